"""What `interp new` can ask for: the kinds that two sets decide, and the sets that exist."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import SpecError
from harness.expectations import kinds
from harness.expectations.base import Expectation
from harness.language.mistakes import Mistakes
from harness.language.references import Folder
from harness.language.sets import Library
from harness.language.shelves import Shelf

_POSITIVE, _NEGATIVE = "positive", "negative"


@cache
def askable() -> dict[str, dict[str, str]]:
    """Kinds that can be asked for -> which of the two sets fills each role.

    These are about one feature, and need nothing but sets: a bound that nobody measured, words or edits are not asked.
    """
    found = {name: _roles(kind) for name, kind in kinds().items() if kind.reads_feature}
    return {name: roles for name, roles in found.items() if roles and _is_enough(kinds()[name], roles)}


def _roles(kind: type[Expectation]) -> dict[str, str]:
    """`prompts` is where it should fire, `than` where it should not; silence is the other way round."""
    needed = [name for name, info in kind.model_fields.items() if info.is_required() or name in kind.population_needs]
    if not set(needed) <= set(kind.roles("prompts")):
        return {}
    fires_on = "but_fires_on" if "but_fires_on" in needed else "prompts"
    return {role: _POSITIVE if role == fires_on else _NEGATIVE for role in needed}


def _is_enough(kind: type[Expectation], roles: Mapping[str, str]) -> bool:
    try:
        kind.model_validate(dict(roles))
    except ValidationError:
        return False
    return True


def needs_negative(kind: str) -> bool:
    return _NEGATIVE in askable()[kind].values()


def claim_of(kind: str, positive: str, negative: str | None) -> dict[str, Any]:
    """What stands under the kind's name."""
    return {role: positive if side == _POSITIVE else negative for role, side in askable()[kind].items()}


def sets_that_exist(root: Path) -> list[str]:
    """Every set under specs/prompts, as a reference: `file.yaml#set`, `file.txt`; broken files have none."""
    folder = Folder(Path(os.path.abspath(root)))
    library = Library(folder)
    return [one for file in folder.files() if file.startswith("prompts/") for one in _sets_of(file, folder, library)]


def _sets_of(file: str, folder: Folder, library: Library) -> list[str]:
    if not file.endswith(".yaml"):
        return [file]
    try:
        shelf: Shelf = library.shelf(folder.specs / file)
    except (SpecError, Mistakes):
        return []
    return [f"{file}#{name}" for name in shelf.names()]
