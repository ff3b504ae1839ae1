"""specs/measured/noise/: the noise of subjects, one JSON file each, written by `interp calibrate`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

from harness.calibration import FOLDER
from harness.errors import Source, SpecError
from harness.language.checking import validated
from harness.language.loader import read_yaml
from harness.language.mistakes import gathered, in_order
from harness.language.models import CalibrationEntry
from harness.language.references import Folder
from harness.spec import Broken, Calibration, Spec
from harness.stats.noise import Noise


def read_calibrations(folder: Folder) -> tuple[dict[str, Calibration], list[Broken]]:
    """The figures by subject, and the files that cannot be read, as red tests; never raises."""
    found: dict[str, Calibration] = {}
    broken: list[Broken] = []
    if not folder.holds(folder.specs / FOLDER):  # a linked folder, which is a mistake of its own
        return found, broken
    for path in sorted((folder.specs / FOLDER).glob("*.json")):
        errors: list[SpecError] = []
        with gathered(errors):
            found[path.stem] = _read(folder, path)
        if errors:
            name = f"{FOLDER}/{path.stem}"
            broken.append(Broken(name, name, errors[0].source, in_order(errors)))
    return found, broken


def _read(folder: Folder, path: Path) -> Calibration:
    shown = folder.shown(path)
    if not folder.holds(path):
        raise SpecError("outside_specs", "this is a link out of specs/; copy the file here", Source(shown))
    entry = validated(CalibrationEntry, read_yaml(path, shown), "the noise of a subject")
    batch, precision = Noise(**entry.batch.model_dump()), Noise(**entry.precision.model_dump())
    return Calibration(entry.date, entry.prompts, entry.tokens, batch, entry.other, precision, entry.read_with)


def with_noise(items: Iterable[Spec | Broken], found: dict[str, Calibration]) -> list[Spec | Broken]:
    """The same items, each claim with the figures of its subject."""
    return [
        replace(item, calibration=found.get(item.subject.name)) if isinstance(item, Spec) else item for item in items
    ]


def write_calibration(root: Path, subject: str, figures: Calibration) -> Path:
    """The file of one subject, moved in whole."""
    path = root / "specs" / FOLDER / f"{subject}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(json.dumps(asdict(figures), indent=1, sort_keys=True) + "\n")
    os.replace(beside, path)
    return path
