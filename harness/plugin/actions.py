"""In GitHub Actions: pytest's output between two lines that keep the runner from obeying it, then the annotations.

What pytest prints holds prompts, names, tracebacks and the output of other code. A command in it does nothing, since
the runner was told to stop until it reads a token that nobody could write into a file beforehand.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import pytest

from harness.reports.actions import annotation_lines, append_summary
from harness.reports.markdown import summary_markdown
from harness.reports.record import Record, Run

SUMMARY = "GITHUB_STEP_SUMMARY"


class ActionsLog:
    """One per run, in the controlling process. `records` and `others` are annotated when pytest has had its say."""

    def __init__(self, config: pytest.Config) -> None:
        self.root = config.rootpath
        self.token = secrets.token_hex(16)
        self.records: list[Record] = []
        self.others: list[str] = []
        _print(f"::stop-commands::{self.token}")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        found = annotation_lines(self.records, self.others, _inside_checkout(self.root))
        _print(f"::{self.token}::", *found)

    def finish(self, run: Run, others: list[str]) -> str:
        """Add the run to the job summary, keep what is to annotate; what went wrong, or ''."""
        self.records, self.others = list(run.records), others
        path = os.environ.get(SUMMARY)
        fault = append_summary(summary_markdown(run), Path(path)) if path else None
        return str(fault) if fault else ""


def _inside_checkout(root: Path) -> str:
    """Where the specs' repository lies in the checkout; '' where it is the checkout, or lies outside."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if not workspace or not root.is_relative_to(Path(workspace).resolve()):
        return ""
    inside = root.relative_to(Path(workspace).resolve()).as_posix()
    return "" if inside == "." else inside


def _print(*lines: str) -> None:
    """On lines of their own. pytest captures nothing while it is configured and unconfigured."""
    sys.stdout.write("".join(f"\n{line}" for line in lines) + "\n")
    sys.stdout.flush()
