"""A comparison in JSON's own types."""

from __future__ import annotations

import math
from typing import Any

from harness.comparing.noise import Moved
from harness.comparing.parts import KeyChange
from harness.comparing.prompts import Paired
from harness.comparing.runs import Comparison, Pair


def document(found: Comparison) -> dict[str, Any]:
    """{then, now, claims: [those that differ], keys, only_then, only_now, counts} in JSON's own types."""
    differing = [p for p in found.pairs if p.flipped or p.is_moved or p.edited or p.chosen or p.prompts]
    return {
        "then": found.then.id,
        "now": found.now.id,
        "claims": [_pair_document(pair) for pair in differing],
        "keys": [_key_document(change) for change in found.keys],
        "only_then": [{"id": name, "is_claim": there} for name, there in found.only_then],
        "only_now": [{"id": name, "is_claim": there} for name, there in found.only_now],
        "in_both": len(found.pairs),
        "flipped": len(found.flipped),
        "moved": sum(pair.is_moved for pair in found.pairs),
    }


def _pair_document(pair: Pair) -> dict[str, Any]:
    return {
        "id": pair.id,
        "then": pair.then.verdict.word,
        "now": pair.now.verdict.word,
        "flipped": pair.flipped,
        "moved": _moved_document(pair.moved),
        "edited": list(pair.edited),
        "chosen": pair.chosen and list(pair.chosen),
        "prompts": [_paired_document(paired) for paired in pair.prompts],
    }


def _moved_document(moved: Moved | None) -> dict[str, Any] | None:
    if moved is None:
        return None
    values = {"then": _finite(moved.then), "now": _finite(moved.now)}
    return {"measure": moved.name, **values, "beyond_noise": moved.beyond, "allowed": moved.by}


def _paired_document(paired: Paired) -> dict[str, Any]:
    largest = [{"then": then, "now": now, "text": text} for then, now, text in paired.largest]
    names = ("role", "n", "lost", "only_then", "only_now", "beyond", "mean")
    return {**{name: getattr(paired, name) for name in names}, "largest": largest}


def _key_document(change: KeyChange) -> dict[str, Any]:
    told = change.changes
    parts = None if told is None else [{"part": part, "then": then, "now": now} for part, then, now in told]
    return {
        "subject": change.subject,
        "then": change.then,
        "now": change.now,
        "changes": parts,
        "claims": change.claims,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
