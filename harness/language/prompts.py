"""One text -> one Prompt: marks, and the lines of .txt and .jsonl files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from harness.errors import Source, SpecError, did_you_mean, nearest_names
from harness.inputs import Prompt
from harness.language.mistakes import Mistakes, gathered
from harness.language.nodes import TextFile, shortened

Content = tuple[str, str | None]
MAX_PROMPTS = 10_000
MAX_PROMPTS_OF_A_FILE = 100_000
MAX_LETTERS = 50_000  # of one prompt: at four letters a token, more than any subject here reads
MAX_MARKS = 200  # in one prompt
_MOST_REPEATED = 100
_MARK = re.compile(r"\[\[|\]\]")
_JSON_KEYS = ("text", "group")


@dataclass(frozen=True, slots=True)
class Placed:
    """A prompt and where it stands."""

    prompt: Prompt
    source: Source


def with_marks(text: str, source: Source) -> Prompt:
    """`The [[red]] ball` -> the text without brackets, and (start, end) of each marked span in it."""
    if "[[" not in text and "]]" not in text:
        return Prompt(text)
    parts: list[str] = []
    marks: list[tuple[int, int]] = []
    length, begun, at = 0, None, 0
    for match in _MARK.finditer(text):
        parts.append(text[at : match.start()])
        length += match.start() - at
        at = match.end()
        if (match[0] == "[[") != (begun is None):
            raise _bad_marks(text, source, "one [[ must close before the next opens")
        if begun is None:
            begun = length
        elif begun == length:
            raise _bad_marks(text, source, "[[]] marks nothing")
        else:
            marks.append((begun, length))
            begun = None
    if begun is not None:
        raise _bad_marks(text, source, "a [[ is never closed")
    if len(marks) > MAX_MARKS:
        raise _bad_marks(text, source, f"more than {MAX_MARKS} spans are marked")
    return Prompt("".join([*parts, text[at:]]), marks=tuple(marks))


def _bad_marks(text: str, source: Source, why: str) -> SpecError:
    return SpecError("bad_marks", f"in {shortened(text)!r} {why}; marks are written [[so]]", source)


def without_marks(placed: Sequence[Placed]) -> SpecError | None:
    """`marks: true` on a set in which nothing is marked is a slip."""
    if any(p.prompt.marks for p in placed):
        return None
    return SpecError("bad_marks", "`marks: true`, but no text here has a [[marked]] span", placed[0].source)


def read_lines(file: TextFile) -> Iterator[tuple[str, Source]]:
    """The lines of a file, verbatim, spaces and `#` included; lines of nothing but white space are left out."""
    for number, line in enumerate(file.text.split("\n"), start=1):
        if line.strip():
            yield line.removesuffix("\r"), Source(file.path, number)


def read_txt(file: TextFile) -> list[Placed]:
    """One prompt a line, verbatim; as code, so that punctuation and case tell lines apart."""
    return [Placed(Prompt(line, code=True), source) for line, source in read_lines(file)]


def read_jsonl(file: TextFile) -> list[Placed]:
    """`{"text": ..., "group": ...}` a line; group is optional."""
    placed: list[Placed] = []
    errors: list[SpecError] = []
    for line, source in read_lines(file):
        with gathered(errors):
            placed.append(Placed(_from_json(line, source), source))
    if errors:
        raise Mistakes(errors)
    return placed


def _from_json(line: str, source: Source) -> Prompt:
    try:
        record = json.loads(line, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise SpecError("bad_json", f"this line is not JSON: {error}", source) from None
    if not isinstance(record, list) or not all(isinstance(pair, tuple) for pair in record):
        raise SpecError("bad_json", f'a line is {{"text": "..."}}, not {shortened(line)}', source)
    return _from_pairs(record, source)


def _from_pairs(pairs: list[tuple[str, Any]], source: Source) -> Prompt:
    names = [name for name, _ in pairs]
    for name in names:
        if name not in _JSON_KEYS:
            message = f"{name!r} is not a key of a prompt.{did_you_mean(name, _JSON_KEYS)}"
            raise SpecError("unknown_key", message, source, nearest_names(name, _JSON_KEYS))
        if names.count(name) > 1:
            raise SpecError("duplicate_key", f"{name!r} stands twice in this line; keep one", source)
    fields = dict(pairs)
    text, group = fields.get("text"), fields.get("group")
    if not isinstance(text, str) or not isinstance(group, str | None):
        raise SpecError("bad_json", '"text" must be text, and "group" too where it is given', source)
    if not text.strip() or "\0" in text:
        raise SpecError("empty_prompt", '"text" says nothing, or holds a NUL character', source)
    if any("\ud800" <= c <= "\udfff" for c in text + (group or "")):
        raise SpecError("bad_json", "this line holds half of a surrogate pair, which no tokenizer can read", source)
    return Prompt(text, group=group)


def checked(placed: Sequence[Placed], name: str, source: Source) -> tuple[Prompt, ...]:
    """The prompts of a whole set: at least one, none twice, not too many."""
    if not placed:
        raise SpecError("empty_set", f"the set {name!r} holds no prompts", source)
    if len(placed) > MAX_PROMPTS:
        raise SpecError(
            "too_many_prompts", f"the set {name!r} holds {len(placed):,} prompts, at most {MAX_PROMPTS:,}", source
        )
    errors = [*_too_long(placed), *_repeated(placed, name)]
    if errors:
        raise Mistakes(errors)
    return tuple(p.prompt for p in placed)


def _too_long(placed: Sequence[Placed]) -> list[SpecError]:
    long = (p for p in placed if len(p.prompt.text) > MAX_LETTERS)
    message = f"a prompt has at most {MAX_LETTERS:,} letters; this one has"
    return [SpecError("too_large", f"{message} {len(p.prompt.text):,}", p.source) for p in islice(long, _MOST_REPEATED)]


def _repeated(placed: Sequence[Placed], name: str) -> list[SpecError]:
    """The very same prompt twice is a slip. What differs in a comma is a near copy, and counts as one unit with it."""
    seen: dict[Content, Placed] = {}
    errors: list[SpecError] = []
    for one in placed:
        before = seen.setdefault(one.prompt.content, one)
        if before is not one and len(errors) < _MOST_REPEATED:
            first = before.source
            where = f"line {first.line}" if first.path == one.source.path else str(first)
            message = f"{shortened(one.prompt.shown)!r} is in the set {name!r} already ({where}); remove one of them"
            errors.append(SpecError("duplicate_prompt", message, one.source))
    return errors
