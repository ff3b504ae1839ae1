"""How a prompt's tokens are shown, one by one: as people wrote them, never as a tokenizer spells its bytes.

Evidence names a token by its stretch of the text. Where several tokens share a character (byte-level tokenizers take
an emoji or a letter of Hebrew to pieces) it has their names instead: `æĹ¥` for one of Chinese. So here, on the way out,
the first token of a character shows it and every further one a quiet mark; values stay per token, evidence as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from harness.codes import Codes

CONTINUED = "\u2027"  # stands for a token all of whose text the tokens before it show
_FALLBACK = re.compile(r"<0x([0-9A-F]{2})>")  # SentencePiece's name of a byte


def spelled(codes: Codes, at: slice, text: str | None = None) -> tuple[str, ...]:
    """The tokens `at` of one prompt, in order, as they are shown; CONTINUED where the text is shown already.

    text: the prompt's, into which start and end count; without it, shared characters are put together from the names of
    their bytes, and stay names where those are none. A token without a text of its own (a special, a template's) keeps
    its name, with the tokenizer's signs for a space and a new line read back.
    """
    spans = list(zip(codes.start[at].tolist(), codes.end[at].tolist(), strict=True))
    shown, reached = list(_by_span(codes.token[at], spans, text)), 0
    for i, (start, end) in enumerate(spans):
        if end <= start:
            continue
        if end <= reached:
            shown[i] = CONTINUED
        elif start < reached:
            shown[i] = shown[i][reached - start :]
        reached = max(reached, end)
    return tuple(shown)


def spelled_alone(codes: Codes, token: int, text: str | None = None) -> str:
    """One token that is named by itself, as the peak of a prompt: the characters that it is a part of."""
    at = codes.of_prompt(int(codes.prompt[token]))
    spans = list(zip(codes.start[at].tolist(), codes.end[at].tolist(), strict=True))
    place: int = token - at.start
    return list(_by_span(codes.token[at], spans, text))[place]


def joined(tokens: Sequence[str]) -> str:
    """The text that tokens of `spelled` stand for."""
    return "".join(token for token in tokens if token != CONTINUED)


def _by_span(names: Sequence[str], spans: Sequence[tuple[int, int]], text: str | None) -> Iterator[str]:
    """Each token as its whole stretch of the text, whoever shares that."""
    for (start, end), group in groupby(zip(names, spans, strict=True), key=lambda one: one[1]):
        run = [name for name, _ in group]
        if end <= start:
            yield from map(_read_signs, run)
        elif text is not None and end <= len(text):
            yield from [text[start:end]] * len(run)
        else:
            yield from run if len(run) == 1 else [_from_bytes(run) or name for name in run]


def _read_signs(name: str) -> str:
    """Byte-level tokenizers write a space and a new line as letters."""
    return name.replace("\u2581", " ").replace("\u0120", " ").replace("\u010a", "\n")


def _from_bytes(names: Sequence[str]) -> str | None:
    """The text whose UTF-8 these names are the bytes of; None where they are not."""
    try:
        return b"".join(map(_bytes_of, names)).decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return None


def _bytes_of(name: str) -> bytes:
    found = _FALLBACK.fullmatch(name)
    return bytes.fromhex(found[1]) if found else bytes(_BYTE[letter] for letter in name)


def _alphabet() -> dict[str, int]:
    """GPT-2's letters of the 256 bytes, which every byte-level tokenizer has taken over: printable ones are themselves,
    the rest are 256, 257, ... in order (bytes_to_unicode in openai/gpt-2, encoder.py)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE = _alphabet()
