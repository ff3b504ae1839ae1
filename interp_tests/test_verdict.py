"""How a measurement reads: never without its n."""

import pytest

from harness.verdict import Measurement


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (Measurement("auroc", 0.99554, 192), "auroc 0.9955 (n=192)"),
        (Measurement("auroc", 0.9, 8, low=0.81234, high=1.0), "auroc 0.9 [0.8123, 1] (n=8)"),
        (Measurement("mse", 12345.678, 3, "per token"), "mse 1.235e+04 per token (n=3)"),
        (Measurement("rate", 0.5, 4, low=0.1), "rate 0.5 (n=4)"),
        (Measurement("rate", 0.5, 4, high=0.9), "rate 0.5 (n=4)"),
        (Measurement("rank", None, 0), "rank ? (n=0)"),
    ],
)
def test_a_measurement_is_told_with_its_limits_and_its_n(measured, said):
    """Four digits, the unit if there is one, both limits or none, and always n."""
    assert str(measured) == said
