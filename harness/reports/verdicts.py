"""A Verdict as the keys of one record, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from harness.reports.plain import Lost, to_plain
from harness.verdict import Example, Fate, Measurement, Outcome, Reason, Trial, Verdict


@dataclass(frozen=True, slots=True)
class PlainVerdict:
    """The keys of a verdict in JSON's own types, and what they lost (plain.py)."""

    keys: dict[str, Any]
    not_finite: Lost

    @classmethod
    def of(cls, verdict: Verdict) -> PlainVerdict:
        lost, told = Lost(), verdict_dict(verdict)
        ready = [e.pop("tokens") for e in told["examples"]] if all(map(_has_plain_tokens, verdict.examples)) else []
        keys = to_plain(told, lost)
        for example, tokens in zip(keys["examples"], ready, strict=False):
            example["tokens"] = tokens
        return cls(keys, lost)


# In C: a verdict has hundreds of tokens, and a run a thousand verdicts.
_of_example, _of_token = itemgetter("text", "value", "role", "note"), itemgetter("token", "activation")


def verdict_dict(verdict: Verdict) -> dict[str, Any]:
    """The fields by name; a claim without a bound has None there, and tokens are named pairs."""
    fields = {name: getattr(verdict, name) for name in Verdict.__dataclass_fields__}
    return {**fields, "bound": verdict.bound or None, "examples": [_example_dict(e) for e in verdict.examples]}


def verdict_from(data: Mapping[str, Any]) -> Verdict:
    """The verdict that `verdict_dict` was made from; other keys in `data` are left alone."""
    fields = {name: data[name] for name in Verdict.__dataclass_fields__ if name != "mutants"}
    measured, reason = data["measurement"], data["reason"]
    fields |= {
        "outcome": Outcome(data["outcome"]),
        "reason": Reason(reason) if reason else None,
        "bound": data["bound"] or "",
        "measurement": Measurement(**measured) if measured else None,
        "also": tuple(Measurement(**one) for one in data["also"]),
        "examples": tuple(_example(one) for one in data["examples"]),
        "warnings": tuple(data["warnings"]),
        "mutants": _trials(data.get("mutants")),
    }
    return Verdict(**fields)


def _example_dict(example: Example) -> dict[str, Any]:
    tokens = [{"token": token, "activation": activation} for token, activation in example.tokens]
    return {**{name: getattr(example, name) for name in ("text", "value", "role", "note")}, "tokens": tokens}


def _has_plain_tokens(example: Example) -> bool:
    """Most have, and there are hundreds of them in a verdict: then nothing else looks at each."""
    return all(
        type(token) is str and token.isascii() and type(value) is float and math.isfinite(value)
        for token, value in example.tokens
    )


def _example(data: Mapping[str, Any]) -> Example:
    text, value, role, note = _of_example(data)
    return Example(text, value, role, note, tuple(map(_of_token, data["tokens"])))


def _trials(data: Sequence[Mapping[str, Any]] | None) -> tuple[Trial, ...] | None:
    """None also for runs from before there were mutants."""
    return None if data is None else tuple(Trial(**{**one, "fate": Fate(one["fate"])}) for one in data)
