"""Work without the collector of cycles leaves the collector as it found it."""

import gc

import pytest

from harness.uncollected import uncollected


@pytest.fixture
def collector():
    """gc.enable or gc.disable; what was on before the test is on after it."""
    was_on = gc.isenabled()
    yield lambda on: gc.enable() if on else gc.disable()
    gc.enable() if was_on else gc.disable()


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_off_inside_and_afterwards_as_it_was(collector, on):
    """A notebook that turned its collector off keeps it off."""
    collector(on)
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled() is on


def test_the_collector_comes_back_when_the_work_fails(collector):
    """One broken suite must not leave a run of hours without a collector."""
    collector(True)
    with pytest.raises(ValueError, match="broken"), uncollected():
        raise ValueError("broken")
    assert gc.isenabled()


def test_within_one_another_the_outer_one_turns_it_on(collector):
    """Reading suites while suites are read: the inner end does not turn it on."""
    collector(True)
    with uncollected():
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
