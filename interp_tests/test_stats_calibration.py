"""The error rates that the verdicts promise, on simulated prompts with seeded draws."""

import numpy as np
import pytest

from harness.stats.intervals import newcombe_auroc
from harness.stats.permutation import midrank_p
from interp_tests.plain_twins.ranks import auroc

DRAWS = 800
SLACK = 3 * np.sqrt(0.05 * 0.95 / DRAWS)


def activations(rng, n, share):
    """Zero-inflated lognormal: silent on most prompts, and skewed where it fires."""
    return np.where(rng.random(n) < share, rng.lognormal(0, 1, n), 0.0)


@pytest.mark.parametrize(("n_pos", "n_neg"), [(5, 5), (5, 20), (12, 12)])
def test_a_true_null_is_rejected_at_most_as_often_as_alpha(n_pos, n_neg):
    """Both sets alike: p <= .05 in at most 5 % of draws, up to simulation error."""
    rng = np.random.default_rng(n_pos + n_neg)
    p = [midrank_p(activations(rng, n_pos, 0.4), activations(rng, n_neg, 0.4)).value for _ in range(DRAWS)]
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + SLACK


def test_a_real_difference_is_found():
    """The check above can fail: where positives fire and negatives do not, most draws are significant."""
    rng = np.random.default_rng(0)
    p = [midrank_p(activations(rng, 5, 0.95), activations(rng, 20, 0.1)).value for _ in range(200)]
    assert np.mean(np.array(p) <= 0.05) > 0.9


def test_newcombe_covers_the_true_auroc():
    """At 8 against 12 and a true AUROC of .87, 95 % limits hold it in at least 93 % of draws; Wald's in fewer."""
    rng = np.random.default_rng(1)
    covered = wald = 0
    truth = 0.8687  # P(N(1.586, 1) > N(0, 1)) = Phi(1.586 / sqrt 2) = Phi(1.1215)
    for _ in range(DRAWS):
        found = auroc(rng.normal(1.586, 1, 8), rng.normal(0, 1, 12))
        low, high = newcombe_auroc(found, 8, 12, 0.025)
        covered += low <= truth <= high
        q1, q2 = found / (2 - found), 2 * found**2 / (1 + found)
        error = np.sqrt((found * (1 - found) + 7 * (q1 - found**2) + 11 * (q2 - found**2)) / 96)
        wald += abs(found - truth) <= 1.96 * error
    assert covered / DRAWS >= 0.93
    assert wald < covered
