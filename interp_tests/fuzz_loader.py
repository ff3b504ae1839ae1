"""One entry point for every fuzzer: bytes in the place of each kind of file, loaded; only specs or mistakes may come.

Coverage-guided, with atheris (no requirement): python -m interp_tests.fuzz_loader CORPUS_DIR -max_total_time=600
"""

import sys
import tempfile
from pathlib import Path

from harness.language.specs import Loaded, load
from harness.spec import Broken, Spec
from interp_tests.language_root import copy_root

PLACES = [
    "specs/a.yaml",
    "specs/prompts/a.yaml",
    "specs/prompts/a.jsonl",
    "specs/subjects.yaml",
    "specs/measured/a.yaml",
]
PLACES += ["specs/measured/noise/small.json"]


def load_bytes(root: Path, place: str, raw: bytes) -> Loaded:
    """What `load` makes of a repository with these bytes in one place; any exception is a finding."""
    path = root / place
    before = path.read_bytes() if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    try:
        return checked(load(root))
    finally:
        path.write_bytes(before) if before is not None else path.unlink()


def checked(loaded: Loaded) -> Loaded:
    """Each item is a spec or has mistakes with a place; no two have one name."""
    ids = [item.id for item in loaded.items]
    assert len(ids) == len(set(ids))
    for item in loaded.items:
        assert isinstance(item, Spec | Broken)
        assert not isinstance(item, Broken) or item.errors
        assert all(e.source.line >= 1 and e.source.column >= 1 and e.message for e in getattr(item, "errors", ()))
        assert "".join(str(e) for e in getattr(item, "errors", ())).encode() or isinstance(item, Spec)
    return loaded


def main() -> None:
    import atheris

    atheris.instrument_all()
    root = copy_root(Path(tempfile.mkdtemp()))

    def one(data: bytes) -> None:
        if data:
            load_bytes(root, PLACES[data[0] % len(PLACES)], data[1:])

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
