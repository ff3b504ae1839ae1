"""The wrong-on-purpose files of bad_specs/, each put into a small repository of its own and checked there."""

import shutil
from pathlib import Path

from harness.language.check import check

FOLDER = Path(__file__).with_name("bad_specs")
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def placed(case: str, root: Path) -> Path:
    """`subjects_*` stands in for specs/subjects.yaml, `prompts_*` goes to specs/prompts/, the rest are suites."""
    shutil.copytree(FOLDER / "_root", root, dirs_exist_ok=True)
    folder, _, _ = case.partition("_")
    names = {"subjects": "subjects.yaml", "prompts": f"prompts/{case}.yaml"}
    path = root / "specs" / names.get(folder, f"{case}.yaml")
    shutil.copyfile(FOLDER / f"{case}.yaml", path)
    return path


def mistakes_in(case: str, root: Path) -> list[dict]:
    """What `interp check` says of the case."""
    return check(root, [placed(case, root)])


def as_lines(found: list[dict]) -> str:
    return "".join(f"{m['file']}:{m['line']}:{m['column']}: {m['code']}: {m['message']}\n" for m in found)
