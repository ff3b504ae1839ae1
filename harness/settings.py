"""Every setting from outside the specs, in one list: `interp doctor` shows them, docs/settings.md is made of them.

A test walks the source for os.environ, getini and getoption, and fails where one is read that is not in the list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Where = Literal["environment", "pytest.ini", "flag"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: where it is given, what holds without it, what it does. `secret`: its value is never shown."""

    name: str
    where: Where
    default: str
    meaning: str
    secret: bool = False


def _env(name: str, default: str, meaning: str, secret: bool = False) -> Setting:
    return Setting(name, "environment", default, meaning, secret)


SETTINGS = (
    _env("INTERP_STORE", "evidence.sqlite in INTERP_CACHE", "the file with the evidence; checkouts may share it"),
    _env("INTERP_CACHE", "~/.cache/interp-specs", "folder of evidence, converted weights and remembered digests"),
    _env("INTERP_REPORTS", "reports", "folder of the reports"),
    _env("INTERP_DEVICE", "the subject's own", "cpu or cuda: where `device: auto` goes; cpu moves cuda subjects, too"),
    _env("INTERP_REQUIRE_RUN", "0", "1, true, yes or on: as --require-run; 0, false, no or off: not"),
    _env("HF_HOME", "~/.cache/huggingface", "folder of the hub's client: weights and token"),
    _env("HF_HUB_CACHE", "hub in HF_HOME", "folder of weights from the hub"),
    _env("HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE", "the former name of HF_HUB_CACHE; read by the hub's client"),
    _env("HF_HUB_OFFLINE", "0", "1: the hub's client asks nobody; read by that client"),
    _env("HF_TOKEN", "none", "login at the hub; read by that client", secret=True),
    _env("HF_TOKEN_PATH", "token in HF_HOME", "file with that login"),
    _env("XDG_CACHE_HOME", "~/.cache", "where INTERP_CACHE and HF_HOME are by default"),
    _env("CUDA_VISIBLE_DEVICES", "all", "GPUs that may be seen; empty or -1 hides all"),
    _env("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "0", "1 lets weights run code, so nothing is loaded under it"),
    _env("RAY_ADDRESS", "none", "the cluster for `interp warm --engine ray`; none: this machine"),
    _env("RAY_USAGE_STATS_ENABLED", "0", "1 lets Ray send its statistics; without it they are turned off"),
    _env("NO_COLOR", "none", "any text: no colours, and trends in ASCII"),
    _env("FORCE_COLOR", "none", "any text: colours where the output is no terminal; NO_COLOR wins"),
    _env("CI", "none", "any text: `interp accept` and `interp calibrate` write nothing"),
    _env("GITHUB_ACTIONS", "none", "true: annotations on failing lines and a job summary"),
    _env("GITHUB_STEP_SUMMARY", "none", "file that takes the job summary"),
    _env("GITHUB_WORKSPACE", "none", "checkout that annotated paths are relative to"),
    _env("PYTEST_ADDOPTS", "none", "flags for every pytest"),
    Setting("interp_fail_vacuous", "pytest.ini", "false", "true: as --fail-vacuous in every run"),
    Setting("interp_keep_runs", "pytest.ini", "50", "runs that reports/runs/ keeps; 0 keeps all"),
    Setting("interp_keep_days", "pytest.ini", "90", "days for which it keeps them; 0 keeps all"),
    Setting("--require-run", "flag", "off", "a spec that cannot be judged fails, gpu specs too"),
    Setting("--fail-vacuous", "flag", "off", "a met claim that says little fails: inconclusive, with the reason"),
    Setting("--mutate", "flag", "off", "judge mutants of every met claim's evidence"),
    Setting("--mutate-stored", "flag", "off", "as --mutate, from the store alone"),
    Setting("--no-store", "flag", "off", "read and judge everything again, and keep nothing"),
    Setting("--failed-in", "flag", "off", "only the claims that failed in a run"),
)

_HEAD = """# Settings

Written by `python -m harness.settings` from that file; edit that one. `interp doctor` shows each with its value
here and where the value comes from. What a claim depends on (weights, device, dtype) stands in specs/subjects.yaml.
"""
_TITLES: dict[Where, str] = {
    "environment": "Environment variables",
    "pytest.ini": "Keys of pytest.ini",
    "flag": "Flags of pytest",
}


def settings_page() -> str:
    """docs/settings.md."""
    return _HEAD + "".join(f"\n## {title}\n\n" + "".join(_table(where)) for where, title in _TITLES.items())


def _table(where: Where) -> Iterator[str]:
    yield "| name | without it | meaning |\n|---|---|---|\n"
    yield from (f"| `{s.name}` | {s.default} | {s.meaning} |\n" for s in SETTINGS if s.where == where)


if __name__ == "__main__":
    print(settings_page(), end="")
