"""Mistakes travel together: a file is read to its end, and every mistake in it is reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from harness.errors import SpecError


class Mistakes(Exception):
    """What was wrong with one piece of a file; `errors` holds at least one SpecError."""

    def __init__(self, errors: Iterable[SpecError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(map(str, self.errors)))


@contextmanager
def gathered(into: list[SpecError]) -> Iterator[None]:
    """Go on after a mistake: what is raised inside is put on the list."""
    try:
        yield
    except SpecError as error:
        into.append(error)
    except Mistakes as mistakes:
        into.extend(mistakes.errors)


def in_order(errors: Iterable[SpecError]) -> tuple[SpecError, ...]:
    """Each mistake once, in the order of the file."""
    unique = {(str(e), e.code): e for e in errors}
    return tuple(sorted(unique.values(), key=lambda e: (e.source.path, e.source.line, e.source.column, e.code)))
