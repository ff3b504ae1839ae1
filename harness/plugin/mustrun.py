"""Which specs must run (--require-run, INTERP_REQUIRE_RUN, -m that needs their gpu marker), what else is asked."""

from __future__ import annotations

import os

import pytest
from _pytest.mark import MarkMatcher
from _pytest.mark.expression import Expression

from harness.session import Mutate

REQUIRE = "INTERP_REQUIRE_RUN"
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
# Flags under which pytest judges nothing and ends with 0; PYTEST_ADDOPTS may bring one into a gate unseen.
_ONLY_LISTS = {
    "collectonly": "--collect-only",
    "showfixtures": "--fixtures",
    "show_fixtures_per_test": "--fixtures-per-test",
    "markers": "--markers",
    "cacheshow": "--cache-show",
    "help": "--help",
}


def is_required(config: pytest.Config) -> bool:
    """True where every claim has to be judged; pytest.UsageError for a value that is neither yes nor no."""
    value = os.environ.get(REQUIRE, "")
    said = value.strip().casefold()
    if value and said not in (*_YES, *_NO):
        raise pytest.UsageError(
            f"{REQUIRE} is {value!r}: write one of {', '.join(_YES)}, or one of {', '.join(_NO)}, or unset it."
        )
    return bool(config.getoption("--require-run")) or said in _YES


def refuse_to_list(config: pytest.Config) -> None:
    """pytest.UsageError where claims have to be judged, and a flag asks for a list instead."""
    listing = next((flag for name, flag in _ONLY_LISTS.items() if getattr(config.option, name, None)), None)
    if listing is not None and is_required(config):
        raise pytest.UsageError(_nothing_judged(listing, f"--require-run or {REQUIRE} asks"))


def refuse_to_collect_only(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The same for -m gpu, which is known to select such a claim once all are collected."""
    if config.option.collectonly and any(_selected_by_its_gpu_marker(item) for item in items):
        raise pytest.UsageError(_nothing_judged("--collect-only", "-m asks"))


def _nothing_judged(flag: str, who: str) -> str:
    return f"{flag} judges nothing, and {who} for every claim to be judged; leave one of them out (see PYTEST_ADDOPTS)."


def must_run(item: pytest.Item) -> bool:
    """True where a spec that cannot be judged has to fail instead of being skipped."""
    return is_required(item.config) or _selected_by_its_gpu_marker(item)


def _selected_by_its_gpu_marker(item: pytest.Item) -> bool:
    expression = item.config.option.markexpr
    if not expression or item.get_closest_marker("gpu") is None:
        return False
    others = [mark for mark in item.iter_markers() if mark.name != "gpu"]
    return not Expression.compile(expression).evaluate(MarkMatcher.from_markers(others))


def fails_vacuous(config: pytest.Config) -> bool:
    """Return whether met claims that say little fail: the flag, or the key of pytest.ini."""
    return bool(config.getoption("--fail-vacuous") or config.getini("interp_fail_vacuous"))


def mutants_asked(config: pytest.Config) -> Mutate:
    """What --mutate and --mutate-stored ask for; of both, the one that reads no model."""
    if config.getoption("--mutate-stored"):
        return "stored"
    return "all" if config.getoption("--mutate") else "no"
