"""results.json: what every other report could be written from. results.schema.json fixes its shape."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from harness.reports.mutation import suite_scores
from harness.reports.plain import to_plain
from harness.reports.record import Run

SCHEMA = "interp-specs/results/1"


def document(run: Run) -> dict[str, Any]:
    """{schema, run, records, controls, mutants, capture, weights, basis} in JSON's own types; the text has a digest."""
    about = {
        name: getattr(run, name)
        for name in (
            "id",
            "started",
            "seconds",
            "commit",
            "dirty",
            "versions",
            "machine",
            "device",
            "command",
            "must_run",
            "partial",
            "faults",
            "invalid",
        )
    }
    return {
        "schema": SCHEMA,
        "run": to_plain(about),
        "records": [record.to_dict() for record in run.records],
        "controls": [control.to_dict() for control in run.controls],
        "mutants": [row.to_dict() for row in suite_scores(run.records)],
        "capture": to_plain(run.capture),
        "weights": to_plain(run.weights),
        "basis": to_plain(run.basis.to_dict()),
    }


def content_digest(document: Mapping[str, Any]) -> str:
    """sha256 of all of results.json but its `digest`, as canonical JSON. No signature: who edits can renew it."""
    return _digest({name: _canonical(value) for name, value in document.items() if name != "digest"})


def results_json(run: Run) -> str:
    """The text of results.json, its digest at the end; strict JSON, so a NaN that slipped through is a ValueError and
    never a file.

    One record a line, in the canonical form that the digest is made of: 1,000 take .05 s so, once, and .3 s with
    indents, which Python's encoder in C does not know.
    """
    told = document(run)
    rows = {name: [_strict(one) for one in value] for name, value in told.items() if isinstance(value, list)}
    flat = {name: f"[{','.join(lines)}]" for name, lines in rows.items()}
    flat |= {name: _strict(value) for name, value in told.items() if name not in rows}
    shown = {name: "[\n" + ",\n".join(rows[name]) + "\n]" if rows.get(name) else flat[name] for name in told}
    shown["digest"] = _canonical(_digest(flat))
    return "{\n" + ",\n".join(f"{_canonical(name)}: {text}" for name, text in shown.items()) + "\n}\n"


def _digest(texts: Mapping[str, str]) -> str:
    """Of an object whose values are canonical JSON already."""
    told = ",".join(f"{_canonical(name)}:{texts[name]}" for name in sorted(texts))
    return hashlib.sha256(f"{{{told}}}".encode()).hexdigest()


def _strict(value: Any) -> str:
    return _canonical(value, allow_nan=False)


def _canonical(value: Any, allow_nan: bool = True) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=allow_nan)
