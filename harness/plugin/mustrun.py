"""Which specs must run (--require-run, INTERP_REQUIRE_RUN=1, -m that needs their gpu marker), what else is asked."""

from __future__ import annotations

import os

import pytest
from _pytest.mark import MarkMatcher
from _pytest.mark.expression import Expression

from harness.session import Mutate


def must_run(item: pytest.Item) -> bool:
    """True where a spec that cannot be judged has to fail instead of being skipped."""
    if item.config.getoption("--require-run") or os.environ.get("INTERP_REQUIRE_RUN") == "1":
        return True
    return _selected_by_its_gpu_marker(item)


def _selected_by_its_gpu_marker(item: pytest.Item) -> bool:
    expression = item.config.option.markexpr
    if not expression or item.get_closest_marker("gpu") is None:
        return False
    others = [mark for mark in item.iter_markers() if mark.name != "gpu"]
    return not Expression.compile(expression).evaluate(MarkMatcher.from_markers(others))


def is_strict(config: pytest.Config) -> bool:
    """True under pytest's own --strict (pytest.ini has its other meanings on): claims that say little fail, too."""
    return "strict=true" in (config.option.override_ini or [])


def mutants_asked(config: pytest.Config) -> Mutate:
    """What --mutate and --mutate-stored ask for; of both, the one that reads no model."""
    if config.getoption("--mutate-stored"):
        return "stored"
    return "all" if config.getoption("--mutate") else "no"
