"""`pytest specs/colors`, a suite, `suite.yaml::id`, or plain `pytest` inside specs/: the claims written there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import Source

CHOSEN = pytest.StashKey["tuple[Chosen, ...]"]()
TEST_FILE = "interp_tests/test_specs.py"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A file or folder under specs/, relative to the repository, and of a file the id of one claim."""

    path: str
    claim: str = ""

    def holds(self, source: Source, name: str) -> bool:
        inside = source.path == self.path or source.path.startswith(f"{self.path}/")
        named = name.partition("::")[2]
        return inside and (not self.claim or named == self.claim or named.startswith(f"{self.claim}@"))


def choose(config: pytest.Config) -> None:
    """Take what lies under specs/ out of the arguments and collect the test of specs in its place.

    Raises pytest.UsageError for a file there that is no suite.
    """
    specs, rest, chosen = config.rootpath / "specs", [], []
    for given in config.args:
        file, _, claim = given.partition("::")
        path = Path(config.invocation_params.dir, file).resolve()
        if not path.is_relative_to(specs.resolve()):
            rest.append(given)
            continue
        if not path.exists() or (path.is_file() and path.suffix != ".yaml"):
            raise pytest.UsageError(f"{given} is no suite and no folder of suites. See `interp check`.")
        chosen.append(Chosen((Path("specs") / path.relative_to(specs.resolve())).as_posix(), claim))
    if chosen:
        config.args[:] = [*rest, str(config.rootpath / TEST_FILE)]
        config.stash[CHOSEN] = tuple(chosen)


def deselect(
    config: pytest.Config, items: list[pytest.Item], claim_of: Callable[[pytest.Item], tuple[Source, str] | None]
) -> None:
    """Leave the items of the chosen suites; claim_of gives an item's place and id, None for other tests."""
    chosen = config.stash.get(CHOSEN, ())
    if not chosen:
        return
    left = [item for item in items if (claim := claim_of(item)) and not any(one.holds(*claim) for one in chosen)]
    if left:
        config.hook.pytest_deselected(items=left)
        gone = set(left)
        items[:] = [item for item in items if item not in gone]
