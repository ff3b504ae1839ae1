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
    """{schema, run, records, controls, mutants, capture, weights, basis, digest} in JSON's own types."""
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
    told = {
        "schema": SCHEMA,
        "run": to_plain(about),
        "records": [record.to_dict() for record in run.records],
        "controls": [control.to_dict() for control in run.controls],
        "mutants": [row.to_dict() for row in suite_scores(run.records)],
        "capture": to_plain(run.capture),
        "weights": to_plain(run.weights),
        "basis": to_plain(run.basis.to_dict()),
    }
    return {**told, "digest": content_digest(told)}


def content_digest(document: Mapping[str, Any]) -> str:
    """sha256 of all of results.json but its `digest`, as canonical JSON. No signature: who edits can renew it."""
    told = {name: value for name, value in document.items() if name != "digest"}
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def results_json(run: Run) -> str:
    """The text of results.json; strict JSON, so a NaN that slipped through is a ValueError and never a file.

    One record a line: 1,000 take .05 s so, and .3 s with indents, which Python's encoder in C does not know.
    """
    parts = [f"{_dumped(name)}: {_listed(value)}" for name, value in document(run).items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _listed(value: Any) -> str:
    return "[\n" + ",\n".join(map(_dumped, value)) + "\n]" if isinstance(value, list) and value else _dumped(value)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
