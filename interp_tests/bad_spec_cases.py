"""The wrong-on-purpose files of bad_specs/, each put into a small repository of its own and checked there."""

import re
import shutil
from pathlib import Path

from harness.language.check import check

FOLDER = Path(__file__).with_name("bad_specs")
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
STORED = Path(__file__).with_name("__snapshots__") / "test_bad_specs.ambr"


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
    return "\n".join(f"{m['file']}:{m['line']}:{m['column']}: {m['code']}: {m['message']}" for m in found)


def codes_in(text: str) -> set[str]:
    """The codes of messages as `as_lines` gives them, or as a snapshot stores them."""
    return set(re.findall(r"^\s*\S+:\d+:\d+: ([a-z0-9_]+): ", text, flags=re.MULTILINE))


def stored_codes() -> dict[str, set[str]]:
    """Per case, the codes of its snapshot."""
    parts = re.split(r"^# name: \w+\[(\w+)\]$", STORED.read_text(), flags=re.MULTILINE)
    return {case: codes_in(text) for case, text in zip(parts[1::2], parts[2::2], strict=True)}
