"""`interp` as a test runs it: in this process, with the exit code that a shell would see."""

import signal
import sys
from unittest.mock import patch

import pytest

from harness.cli import main


def interp(capsys, *args):
    """(exit code, standard output, standard error)."""
    with patch.object(sys, "argv", ["interp", *args]), pytest.raises(SystemExit) as left:
        main()
    return left.value.code, *capsys.readouterr()


def enter(project, monkeypatch):
    """Make the project the current folder, with its environment, on a machine without a GPU."""
    monkeypatch.chdir(project.root)
    for name, value in {**project.env, "CUDA_VISIBLE_DEVICES": ""}.items():
        monkeypatch.setenv(name, value)


def interruptible():
    """For Popen's preexec_fn: what a shell starts in the background ignores SIGINT, and so would all it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
