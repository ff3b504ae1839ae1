"""Where a mistake stands, what it is called, and how to mend it."""

from __future__ import annotations

import bisect
import difflib
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import PurePath
from typing import TypeVar

from harness.redaction import redacted

T = TypeVar("T")
_LONGEST_NAME, _MOST_NAMES, _NEIGHBOURS = 100, 3000, 60
_LONGEST_LINE, _LONGEST_TRACE = 300, 20_000


@dataclass(frozen=True, slots=True)
class Source:
    """A place in a file; line and column count from 1, path is relative to the repository."""

    path: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class SpecError(Exception):
    """One mistake in what a reviewer wrote: both a value (a red test) and an exception.

    `code` is stable and listed in docs/errors.md; `message` says what was read and the mend;
    `nearest` holds the closest valid names, best first.
    """

    def __init__(self, code: str, message: str, source: Source, nearest: Iterable[str] = ()) -> None:
        super().__init__(f"{source}: {code}: {message}")
        self.code = code
        self.message = message
        self.source = source
        self.nearest = tuple(nearest)

    def __reduce__(self) -> tuple[type[SpecError], tuple[str, str, Source, tuple[str, ...]]]:
        return SpecError, (self.code, self.message, self.source, self.nearest)


class EnvironmentFault(Exception):
    """Something that a claim needs cannot be had here: weights, a device, the store.

    `code` names the fault and is listed in docs/faults.md, `mend` says what to do about it. It fails the specs that
    need the thing, and no others. Messages often quote a library, so tokens are taken out here. `trace`: the traceback
    of what nobody foresaw, which results.json has and no message shows.
    """

    def __init__(self, code: str, message: str, mend: str = "", trace: str = "") -> None:
        message, mend = redacted(message), redacted(mend)
        super().__init__(f"{code}: {message}" + (f" {mend}" if mend else ""))
        self.code = code
        self.message = message
        self.mend = mend
        self.trace = redacted(trace)

    def __reduce__(self) -> tuple[type[EnvironmentFault], tuple[str, str, str, str]]:
        return EnvironmentFault, (self.code, self.message, self.mend, self.trace)

    @classmethod
    def unforeseen(cls, code: str, what: str, error: BaseException) -> EnvironmentFault:
        """What a library, a kind or a template raised, in one line: its type, its first line, and the line of code.

        what: who raised it, as the message begins. A fault stays what it is.
        """
        if isinstance(error, EnvironmentFault):
            return error
        trace = "".join(traceback.format_exception(error))
        mend = "Its traceback is in results.json of a pytest run, under details of the claim."
        return cls(code, f"{what} raised {in_short(error)}.", mend, trace[-_LONGEST_TRACE:])


def guarded(call: Callable[[], T], otherwise: Callable[[BaseException], T]) -> T:
    """What `call` gives, or what `otherwise` makes of whatever it raises: SystemExit and pytest's own outcomes too.

    For code of kinds, which may be anybody's. Ctrl-C goes through, and so does a fault, which says more.
    """
    try:
        return call()
    except (KeyboardInterrupt, EnvironmentFault):
        raise
    except BaseException as error:  # noqa: BLE001 - one claim's code must end no other claim's
        return otherwise(error)


class Ended(Exception):
    """What is no Exception, and would end the process, raised by a library: see its cause."""


@contextmanager
def contained() -> Iterator[None]:
    """Around a library's code: SystemExit, or a panic of Rust code (no Exception either), becomes an Ended.

    So that whoever fails one prompt or one subject for an Exception does so for these. Ctrl-C goes through.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise Ended(f"{type(error).__name__}: {error}") from error


def in_short(error: BaseException) -> str:
    """`KeyError: 'scale' (torch/nn/modules/module.py:1773)`: type, first line, and where it was raised."""
    error = error.__cause__ if isinstance(error, Ended) and error.__cause__ is not None else error
    lines = str(error).strip().splitlines()
    first = f": {lines[0].rstrip('.')[:_LONGEST_LINE]}" if lines else ""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}{first}" + (f" ({_place(frames[-1])})" if frames else "")


def _place(frame: traceback.FrameSummary) -> str:
    """The file as it is called in its package or checkout: whole paths differ from machine to machine."""
    parts = PurePath(frame.filename).parts
    at = next((i + 1 for i in reversed(range(len(parts))) if parts[i] in ("site-packages", "dist-packages")), None)
    at = next((i for i, part in enumerate(parts) if part == "harness"), -2) if at is None else at
    return f"{'/'.join(parts[at:])}:{frame.lineno}"


def nearest_names(name: str, valid: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """The valid names closest to `name`, best first; empty when none is close.

    Only names that a person could have meant to type are looked at: comparing two takes the product of their lengths,
    and a file can hold a name of 300,000 letters, or thousands of names.
    """
    if len(str(name)) > _LONGEST_NAME:
        return ()
    short = islice((each for each in valid if len(each) <= _LONGEST_NAME), _MOST_NAMES)
    return _closest(str(name), tuple(short))[:limit]


@lru_cache(maxsize=256)
def _closest(name: str, valid: tuple[str, ...]) -> tuple[str, ...]:
    """Asked for twice with each mistake, for its message and for its list."""
    return tuple(difflib.get_close_matches(name, _likely(name, valid), n=3, cutoff=0.5))


def _likely(name: str, valid: tuple[str, ...]) -> Iterable[str]:
    """Of many names those that begin or end most like this one: its neighbours in the order of their letters."""
    if len(valid) <= 2 * _NEIGHBOURS:
        return valid
    forwards, backwards = _in_order(valid)
    around = [*_around(name, forwards), *(other[::-1] for other in _around(name[::-1], backwards))]
    return dict.fromkeys(around)


@lru_cache(maxsize=16)
def _in_order(valid: tuple[str, ...]) -> tuple[list[str], list[str]]:
    return sorted(valid), sorted(name[::-1] for name in valid)


def _around(name: str, names: list[str]) -> list[str]:
    at = bisect.bisect(names, name)
    return names[max(at - _NEIGHBOURS // 2, 0) : at + _NEIGHBOURS // 2]


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """` Did you mean 'x'?` with a leading space, or the valid names where none is close."""
    names = list(valid)
    near = nearest_names(name, names, limit=1)
    if near:
        return f" Did you mean {near[0]!r}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f" Valid: {shown}." if names else ""


def one_of(what: str, value: object, valid: Iterable[str]) -> None:
    """Raise ValueError where an argument of the library is none of the valid names; it has the nearest and all."""
    names = list(valid)
    if value not in names:
        near = nearest_names(value, names, limit=1) if isinstance(value, str) else ()
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{what}={value!r} is none of {', '.join(names)}.{hint}")


def at_least_one(what: str, value: int) -> None:
    """Raise ValueError where a number of things asked for is none: a negative one would cut a list from its end."""
    if value < 1:
        raise ValueError(f"{what}={value} asks for nothing; it is 1 or more.")
