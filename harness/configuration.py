"""The effective settings of this checkout on this machine: each with its value and where the value comes from."""

from __future__ import annotations

import configparser
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.cachedir import cache_dir, shown
from harness.errors import EnvironmentFault
from harness.history.pruning import Limits
from harness.keys import resolve_device
from harness.redaction import redacted
from harness.reports.write import reports_dir
from harness.session import default_store
from harness.settings import SETTINGS, Setting

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Configured:
    """One setting as it is here. origin: `default`, `environment variable NAME`, `pytest.ini`. Without secrets."""

    name: str
    value: str
    origin: str
    meaning: str


def effective(root: Path) -> list[Configured]:
    """Every setting, in the order of the list."""
    ini = _pytest_ini(root)
    return [
        Configured(s.name, _shown(s, *found), found[1], s.meaning) for s in SETTINGS for found in [_find(s, ini, root)]
    ]


def problems(root: Path) -> Iterator[str]:
    """What is set and cannot be: one line each, with the mend."""
    try:
        resolve_device("auto")
    except EnvironmentFault as fault:
        yield str(fault)
    try:
        Limits.of(_pytest_ini(root))
    except ValueError as error:
        yield str(error)


def _find(setting: Setting, ini: Mapping[str, str], root: Path) -> tuple[str, str]:
    """(value, origin)."""
    if setting.where == "flag":
        return _flag(setting, ini)
    if setting.where == "pytest.ini":
        given = ini.get(setting.name, "").strip()
        return (given, "pytest.ini") if given else (setting.default, DEFAULT)
    # an empty variable counts as none for all that read it but the one that hides GPUs by being empty
    given = os.environ.get(setting.name, "")
    if given or (setting.name == "CUDA_VISIBLE_DEVICES" and setting.name in os.environ):
        return given, f"environment variable {setting.name}"
    return _default(setting, root), DEFAULT


def _flag(setting: Setting, ini: Mapping[str, str]) -> tuple[str, str]:
    given = {
        "pytest.ini": ini.get("addopts", ""),
        "environment variable PYTEST_ADDOPTS": os.environ.get("PYTEST_ADDOPTS", ""),
    }
    for origin, text in reversed(given.items()):
        for word in _words(text):
            if word.split("=")[0] == setting.name:
                return word.partition("=")[2] or "on", origin
    return setting.default, DEFAULT


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an open quote, which pytest itself refuses
        return text.split()


def _default(setting: Setting, root: Path) -> str:
    """The place that a default means here, where it is one that is computed."""
    try:
        if setting.name == "INTERP_STORE":
            return str(default_store())
        if setting.name == "INTERP_CACHE":
            return str(cache_dir())
        return str(reports_dir(root)) if setting.name == "INTERP_REPORTS" else setting.default
    except EnvironmentFault as fault:
        return f"none: {fault}"


def _shown(setting: Setting, value: str, origin: str) -> str:
    if setting.secret:
        return "not set" if origin == DEFAULT else "set"
    return redacted(shown(value))


def _pytest_ini(root: Path) -> Mapping[str, str]:
    """The section `pytest` of pytest.ini, the file that pytest reads before all others."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(root / "pytest.ini", encoding="utf-8")
    except configparser.Error:
        return {}
    return dict(parser["pytest"]) if parser.has_section("pytest") else {}
