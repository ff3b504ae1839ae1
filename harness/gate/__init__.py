"""The steering gate: `require_passed` refuses a script whose features, weights or run record are not proven.

Reads and compares; steers nothing. docs/steering-gate.md shows it in a script, and says what it cannot see.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentFault
from harness.gate.blocking import InterventionBlocked, Reason, Why
from harness.gate.claims import about, proven_by, unproven
from harness.gate.dossier import Activation, Context, Dossier, dossiers
from harness.gate.opening import Opened, opened
from harness.gate.place import altered, elsewhere, read_otherwise, whole_numbers
from harness.gate.subjects import found_subject
from harness.repository import repository
from harness.running import Missing

__all__ = ["Activation", "Context", "Dossier", "InterventionBlocked", "Reason", "Why", "require_passed"]

MAX_AGE = datetime.timedelta(days=30)


def require_passed(
    *,
    model: Any,
    sae: Any,
    features: Sequence[int],
    hook: str | None = None,
    max_age: datetime.timedelta | None = MAX_AGE,
    specs: Sequence[str] = (),
    subject: str | None = None,
    accept_read_otherwise: Collection[str] = (),
    run: str | Path = "latest",
    root: Path | str = ".",
) -> Mapping[int, Dossier]:
    """What is known of each feature, where every claim about it holds of these very weights.

    model: a transformers model as the script has loaded it, with or without its head; sae: a sae-lens SAE.
    hook: the hook point at which the script acts (`blocks.9.hook_resid_post`); without it, where the SAE says it reads.
    max_age: of the run; None for any. specs: ids of claims, or patterns such as `colors::*`: then each must be met,
    and each feature needs one of them. subject: of specs/subjects.yaml, where these weights are several's.
    accept_read_otherwise: what may be read otherwise than the SAE was trained (`hook`, `bos`, ...), by name.
    run: `latest`, a run's id, or a results.json. root: the repository with specs/ and reports/.

    Raises InterventionBlocked with all that is in the way and the command to run; ValueError without features.
    """
    asked = list(features)
    if not asked:
        raise ValueError("require_passed needs the features that the script is about to use, and there are none")
    record = opened(repository(Path(root)), str(run), max_age)
    name, reasons = found_subject(record, model, sae, subject)
    wanted, no_numbers = whole_numbers(asked)
    reasons = [*record.reasons, *reasons, *no_numbers, *altered(model)]
    if name is not None:
        reasons += read_otherwise(record.loaded.subjects[name], accept_read_otherwise)
        reasons += elsewhere(record.loaded.subjects[name].hook, sae, hook)
        reasons += unproven(record, name, wanted, specs)
    if reasons or name is None:
        raise _blocked(record, asked, reasons, name)
    try:
        known = dossiers(record.loaded.subjects[name], {f: about(record, name, f) for f in wanted}, sae)
        known = {f: replace(one, proven_by=proven_by(record, name, f, specs)) for f, one in known.items()}
    except (Missing, EnvironmentFault) as fault:
        raise _blocked(record, wanted, [Reason(Why.EVIDENCE_MISSING, str(fault))], name) from fault
    silent = [_never_fires(feature) for feature in wanted if known[feature].activation is None]
    if silent:
        raise _blocked(record, wanted, silent, name)
    return known


def _never_fires(feature: int) -> Reason:
    """Claims of silence, of rank or of weights may all be met by a feature that no text here excites."""
    told = "no claim shows that it fires: it does on no positive prompt. Claim where it does (fires_more, fire_rate)"
    return Reason(Why.NEVER_FIRES, f"feature {feature}: {told}")


def _blocked(record: Opened, features: Sequence[object], reasons: Sequence[Reason], name: str | None) -> Exception:
    subject = record.loaded.subjects.get(name or "")
    return InterventionBlocked(features, reasons, "pytest -m gpu" if subject and subject.device == "cuda" else "pytest")
