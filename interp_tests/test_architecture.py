"""The floors of the house: imports run down, and the light rooms stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS = [
    {"errors", "progress", "redaction", "repository", "uncollected"},
    {
        "inputs",
        "keys",
        "attention_sinks",
        "bos",
        "probe",
        "digests",
        "releases",
        "loaders",
        "saefields",
        "trained",
        "agreement",
        "cachedir",
        "checkpoints",
        "codes",
        "sums",
        "stats",
        "verdict",
        "heatmaps",
        "spelling",
        "rankings",
        "census",
        "promotion",
        "heldout",
        "sentences",
        "deciding",
        "sametext",
        "nearcopies",
        "independence",
        "weights",
        "vacuity",
        "settings",
        "git",
    },
    {
        "expectations",
        "store",
        "packing",
        "spec",
        "runlog",
        "baselines",
        "calibration",
        "families",
        "contradictions",
        "claimed",
        "provenance",
    },
    {"language", "capture", "judging", "balanced", "answers", "rechecking"},
    {"planning", "mutants", "controls", "reports", "history", "accepting", "loosening", "remeasured", "untrusted"},
    {"running"},
    {
        *("session", "explore", "pinning", "explaining", "costing", "calibrating", "comparing", "drafting", "gate"),
        "observation",
        "stored",
        *("warming", "configuration", "kept", "keptcontrols"),
    },
    {"plugin", "cli", "__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = ("torch", "transformers", "sae_lens")


def room_of(path):
    """harness/capture/hooks.py -> capture; harness/codes.py -> codes."""
    first = path.relative_to(ROOT / "harness").parts[0]
    return first.removesuffix(".py")


def imports_of(path):
    """Every harness room that a file imports, with the line and whether it stands inside a function."""
    tree = ast.parse(path.read_text())
    inside = {
        id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(f)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "harness":
            rooms = [node.module.split(".")[1]] if "." in node.module else [a.name for a in node.names]
            yield from ((room, node.lineno, id(node) in inside) for room in rooms)
        elif isinstance(node, ast.Import):
            names = [a.name.split(".") for a in node.names]
            yield from ((n[1], node.lineno, id(node) in inside) for n in names if n[0] == "harness" and len(n) > 1)


def is_in_the_house(path):
    """Packages' own __init__ count, harness/__init__.py and the zoo's training code do not."""
    parts = path.relative_to(ROOT / "harness").parts
    return parts != ("__init__.py",) and parts[0] != "zoo"


FILES = sorted(p for p in (ROOT / "harness").rglob("*.py") if is_in_the_house(p))


def broken_floors(files):
    for path in files:
        room = room_of(path)
        for imported, line, _ in imports_of(path):
            if imported == "__version__" or imported == room:
                continue
            if FLOOR[imported] > FLOOR[room]:
                yield f"{path.relative_to(ROOT)}:{line} imports {imported} from a floor above"


def test_every_room_has_a_floor():
    """A new file under harness/ must be placed before it can be used."""
    rooms = {room_of(p) for p in FILES}
    assert rooms <= FLOOR.keys(), f"not in FLOORS: {sorted(rooms - FLOOR.keys())}"


def test_imports_run_down_the_floors():
    """No room imports from a floor above its own."""
    assert list(broken_floors(FILES)) == []


def test_an_upward_import_would_be_seen(tmp_path, monkeypatch):
    """The check above can fail: a file on the ground floor that imports running is reported."""
    fake = tmp_path / "harness" / "codes.py"
    fake.parent.mkdir()
    fake.write_text("def f():\n    from harness.running import Runner\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert len(list(broken_floors([fake]))) == 1


def test_stats_import_only_codes_and_sums():
    """One definition of each statistic, which knows nothing of specs."""
    stats = [p for p in FILES if room_of(p) == "stats"]
    assert stats
    assert {room for p in stats for room, _, _ in imports_of(p)} <= {"stats", "codes", "sums"}


def test_capture_never_knows_what_is_claimed():
    """The torch floor sees inputs and codes, never YAML, expectations or verdicts."""
    seen = {room for p in FILES if room_of(p) == "capture" for room, _, _ in imports_of(p)}
    assert not seen & {"language", "expectations", "verdict", "spec", "reports"}


def test_only_running_opens_capture_and_only_inside_functions():
    """capture/ costs seconds of imports, so it has one door."""
    doors = [(room_of(p), inside) for p in FILES for room, _, inside in imports_of(p) if room == "capture"]
    assert {room for room, _ in doors} - {"capture"} == {"running"}
    assert all(inside for room, inside in doors if room == "running")


def imported_by(code):
    """The heavy modules in sys.modules after running `code` in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint([m for m in {(*HEAVY, 'scipy.stats', 'pandas')!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return ast.literal_eval(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "code",
    [
        "from harness.language.specs import load; from pathlib import Path; load(Path('.'))",
        "import harness.plugin, harness.session, harness.running",
        "from harness.expectations import kinds; kinds()",
        "import harness.reports.write, harness.reports.failure, harness.reports.terminal",
        "import harness.cli",
        "import harness.gate",
    ],
)
def test_light_rooms_import_nothing_heavy(code):
    """Checking, planning, judging and reporting start without torch, transformers, sae_lens, scipy.stats or pandas."""
    assert imported_by(code) == []


def test_the_lightness_proof_can_fail():
    """The subprocess check sees a heavy import when there is one."""
    assert imported_by("import harness.capture.engine, torch") != []
