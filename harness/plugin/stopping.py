"""SIGTERM, which a cancelled job gets, ends a run as Ctrl-C does: with a partial report and exit code 2."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


def interrupt_on_sigterm() -> Callable[[], None]:
    """Set the handler; the function that puts back the one before. Where somebody else has set one, it stays."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return lambda: None
    signal.signal(signal.SIGTERM, _interrupt)
    return _put_back


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt("SIGTERM")


def _put_back() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
