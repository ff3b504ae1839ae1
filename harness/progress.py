"""What a person who waits is told: lines that stay, and where a reading has got to, which the next one replaces."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

SCREEN_EVERY_S, LOG_EVERY_S = 0.5, 15.0


class Status(str):
    """Where a reading has got to: on a terminal the next line replaces it, a log takes one now and then."""

    __slots__ = ()


@dataclass(slots=True)
class Meter:
    """Tokens done of a total, tokens a second since it began, and the time left at that pace."""

    total: int
    what: str = "tokens"
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def at(self, done: int) -> Status:
        seconds = self.clock() - self.began
        counted = f"{done:,} of {self.total:,} {self.what} read"
        if not done or seconds <= 0:
            return Status(counted)
        pace = done / seconds
        return Status(f"{counted}, {pace:,.0f} a second, {_span((self.total - done) / pace)} left")

    def ended(self, done: int) -> str:
        """A line that stays, whether all were read or a fault came between."""
        seconds = self.clock() - self.began
        return f"{done:,} {self.what} read in {_span(seconds)}, {done / max(seconds, 1e-9):,.0f} a second"


def _span(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02} min"


@dataclass(slots=True)
class Teller:
    """Takes every line of a run: `write` puts one that stays; `rewrite`, where there is a terminal, the status over
    the one before. Without a terminal a status is written at most every 15 s, so that a log stays short."""

    write: Callable[[str], None]
    rewrite: Callable[[str], None] | None = None
    clock: Callable[[], float] = time.monotonic
    _told: float = field(init=False)
    _over: bool = False

    def __post_init__(self) -> None:
        self._told = self.clock()

    def __call__(self, line: str) -> None:
        if isinstance(line, Status):
            self._status(line)
            return
        if self._over and self.rewrite:
            self.rewrite("")
            self._over = False
        self.write(line)

    def _status(self, line: Status) -> None:
        if self.clock() - self._told < (SCREEN_EVERY_S if self.rewrite else LOG_EVERY_S):
            return
        self._told = self.clock()
        self._over = self.rewrite is not None
        (self.rewrite or self.write)(line)
