"""YAML 1.2 core rules for plain scalars, and how a text is written so that YAML reads it as text."""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

# `007` stays text: 1.2's integers may have leading zeros, but nobody who writes 007 in a prompt file means 7.
# 31 digits keep int() away from its limit of 4,300.
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,30})")
_BASED = re.compile(r"0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}")
_WHOLE, _POWER = r"(?:0|[1-9][0-9]*)", r"(?:[eE][-+]?[0-9]+)"
_FLOAT = re.compile(rf"[-+]?(?:(?:\.[0-9]+|{_WHOLE}\.[0-9]*){_POWER}?|{_WHOLE}{_POWER})")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((sign + word for sign in ("", "+") for word in (".inf", ".Inf", ".INF")), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_STARTS = frozenset("-+.0123456789")


def read_plain(text: str) -> Scalar:
    """The value of an unquoted scalar: `no`, `on`, `12:30`, `007`, `2024-01-01` are text, `1e-3` and `.9` numbers."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _STARTS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return int(text, 0) if _BASED.fullmatch(text) else text


def in_quotes(text: str) -> str:
    """`text` as a YAML scalar that is read back as exactly this text (one line)."""
    if text.isprintable() and not ('"' in text or "\\" in text):
        return f'"{text}"'
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else f"\\U{ord(char):08x}"
