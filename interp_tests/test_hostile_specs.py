"""A spec is data: what a stranger writes is a mistake with its place, or plain text; nothing runs, hangs or leaks."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.expectations import kinds
from harness.language.check import check
from harness.language.specs import load
from harness.spec import Broken, Spec
from interp_tests.hostile import CANARY, FILES, INERT, PATTERNS, REFERENCES, REFUSED
from interp_tests.language_root import HEAD, copy_root

REPO = Path(__file__).resolve().parents[1]
CLAIM = "expect:\n  - {id: a, feature: 1, fires_more: {prompts: x, than: others}}\n"
SETS = "prompts:\n  others: prompts/words.yaml#!color\n"
SEEING = f"subjects: [seeing]\n{SETS}"
READING = f"subjects: [small]\n{SETS}"
PLACES = {
    "set": READING + "  x: {name}\n",
    "role": READING + "expect:\n  - {{id: a, feature: 1, fires_more: {{prompts: {name}, than: others}}}}\n",
    "use": READING + "  x: {{use: [{name}]}}\n",
    "picture": SEEING + "  x: {{images: {name}, caption: a}}\n",
    "folder": SEEING + "  x: {{folder: {name}, caption: a}}\n",
}
BOUNDED = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from pathlib import Path
from harness.language.check import check
found = check(Path(sys.argv[1]))
modules = [name for name in ("torch", "transformers", "antigravity", "pickle5") if name in sys.modules]
print(json.dumps({"codes": sorted({f["code"] for f in found}), "modules": modules,
    "count": len(found), "letters": sum(len(f["message"]) for f in found),
    "lines": [f["line"] for f in found][:5]}))
"""


@pytest.fixture
def root(tmp_path):
    """A small repository with a file beside specs/ that no spec may read."""
    (tmp_path / "repo").mkdir()
    folder = copy_root(tmp_path / "repo")
    for name in ("secret.txt", "secret.yaml", "secret.png", "secret.jsonl"):
        (folder / name).write_text(f"{CANARY}\n")
    return folder


def placed_mistakes(root, shown):
    """The mistakes of one file, each with a line, and none that shows what stands outside specs/."""
    found = [m for m in check(root) if m["file"] == shown]
    assert all(m["line"] >= 1 and m["column"] >= 1 and m["message"] for m in found)
    assert CANARY not in json.dumps(found)
    assert not list(root.parent.rglob("pwned"))
    return found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("reference", REFERENCES)
def test_a_name_of_a_file_leads_nowhere_else(root, monkeypatch, reference, place):
    """Every way out of specs/ is a mistake on its line, in every key that names a file."""
    monkeypatch.setenv("HOME", str(root))
    suite = PLACES[place].format(name=json.dumps(reference))
    (root / "specs/a.yaml").write_text(suite if "expect" in suite else suite + CLAIM)
    found = placed_mistakes(root, "specs/a.yaml")
    assert found
    assert all(m["line"] == suite[: suite.index(json.dumps(reference))].count("\n") + 1 for m in found[:1])


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_path_of_weights_or_of_a_corpus_is_no_more_than_a_path(root, monkeypatch, reference):
    """In subjects.yaml, too: a way out is a mistake, all else a name below the repository, as it is written."""
    monkeypatch.setenv("HOME", str(root))
    name = json.dumps(reference)
    text = f"models:\n  m: {{path: {name}}}\nsaes:\n  s: {{path: {name}, d_sae: 9, hook: blocks.0.hook_resid_post}}\n"
    text += f"subjects:\n  m: {{model: m, sae: s}}\ncorpora:\n  c: {{path: {name}}}\n"
    (root / "specs/subjects.yaml").write_text(text)
    loaded = load(root)
    assert all(subject.model.location == reference == subject.sae.location for subject in loaded.subjects.values())
    located = [Path(os.path.normpath(root / subject.model.location)) for subject in loaded.subjects.values()]
    assert all(path.is_relative_to(root) for path in located)
    assert "specs/subjects.yaml" in {m["file"] for m in check(root)}
    assert loaded.corpora == {}
    placed_mistakes(root, "specs/subjects.yaml")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", ["suite", "prompts", "subjects", "measured"])
def test_a_file_that_is_no_plain_yaml_is_a_mistake_on_its_line(root, name, place):
    """Tags, merges, bombs, other encodings: one code, one line, whatever the file is for."""
    raw, code, line = FILES[name]
    shown = {
        "suite": "specs/a.yaml",
        "prompts": "specs/prompts/a.yaml",
        "subjects": "specs/subjects.yaml",
        "measured": "specs/measured/a.yaml",
    }[place]
    (root / shown).parent.mkdir(exist_ok=True)
    (root / shown).write_bytes(raw)
    found = placed_mistakes(root, shown)
    about_yaml = name not in ("NUL escaped", "line of code", "unknown key")
    assert (code, line) in {(m["code"], m["line"]) for m in found} or not (about_yaml or place == "suite")
    assert found


def test_a_plain_file_passes_the_same_reader(root):
    """The checks above can fail: a right suite in the same place has no mistakes."""
    (root / "specs/a.yaml").write_text(HEAD + CLAIM.replace("x,", "color,"))
    assert placed_mistakes(root, "specs/a.yaml") == []


LINKS = {
    "suite": ("specs/a.yaml", "secret.yaml"),
    "suite to a device": ("specs/a.yaml", "/dev/zero"),
    "suite to a terminal": ("specs/a.yaml", "/dev/tty"),
    "suite to what is typed": ("specs/a.yaml", "/dev/stdin"),
    "suite to the environment": ("specs/a.yaml", "/proc/self/environ"),
    "prompts": ("specs/prompts/x.yaml", "secret.yaml"),
    "lines": ("specs/prompts/x.jsonl", "secret.jsonl"),
    "subjects": ("specs/subjects.yaml", "secret.yaml"),
    "subjects to a device": ("specs/subjects.yaml", "/dev/zero"),
    "baselines": ("specs/measured/a.yaml", "secret.yaml"),
    "noise": ("specs/measured/noise/small.json", "secret.yaml"),
    "ring": ("specs/a.yaml", "specs/a.yaml"),
    "nothing": ("specs/a.yaml", "gone.yaml"),
}


@pytest.mark.parametrize("name", LINKS)
def test_a_link_out_of_specs_is_a_mistake_that_shows_nothing_of_its_target(root, name, monkeypatch):
    """Linked files are refused before they are opened, and no report quotes a line of one."""
    from harness.reports.record import Record

    monkeypatch.chdir(root)
    place, target = LINKS[name]
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).unlink(missing_ok=True)
    (root / place).symlink_to(target if target.startswith("/") else root / target)
    found = placed_mistakes(root, place)
    assert {m["code"] for m in found} <= {"outside_specs", "unreadable_file", "no_subjects"}
    assert found
    broken = [item for item in load(root).items if isinstance(item, Broken)]
    assert CANARY not in json.dumps([Record.broken(item).to_dict() for item in broken])


REFERRED = {
    "txt": ("specs/prompts/x.txt", "secret.txt", "prompts/x.txt"),
    "jsonl": ("specs/more/x.jsonl", "secret.jsonl", "more/x.jsonl"),
    "yaml": ("specs/prompts/x.yaml", "secret.yaml", "prompts/x.yaml#a"),
    "folder": ("specs/out", ".", "out/secret.txt"),
    "device": ("specs/prompts/x.txt", "/dev/zero", "prompts/x.txt"),
    "picture": ("specs/images/x.png", "secret.png", "images: images/x.png"),
    "pictures": ("specs/images/out", ".", "folder: images/out"),
}


@pytest.mark.parametrize("name", REFERRED)
def test_a_reference_to_a_link_out_of_specs_is_a_mistake(root, name):
    """A file that a suite names may be a link only to what lies under specs/."""
    place, target, reference = REFERRED[name]
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).symlink_to(target if target.startswith("/") else root / target)
    form = f"{{{reference}, caption: a}}" if ": " in reference else reference
    (root / "specs/a.yaml").write_text(
        f"subjects: [seeing]\nprompts:\n  others: prompts/words.yaml#!color\n  x: {form}\n{CLAIM}"
    )
    assert {m["code"] for m in placed_mistakes(root, "specs/a.yaml")} <= {"outside_specs", "unknown_file"}
    assert placed_mistakes(root, "specs/a.yaml")


def test_specs_itself_may_not_lead_out_of_the_repository(root, tmp_path):
    """Where specs/ is a link to another place, none of its files is read."""
    (root / "specs").rename(tmp_path / "elsewhere")
    (root / "specs").symlink_to(tmp_path / "elsewhere")
    (root / "specs/a.yaml").write_text(HEAD + CLAIM.replace("x,", "color,"))
    assert not any(isinstance(item, Spec) for item in load(root).items)
    (found,) = check(root)
    assert (found["code"], found["file"]) == ("outside_specs", "specs")


def linked(place, target):
    def make(root):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        if (root / place).exists():
            (root / place).rename(root / "moved")
        (root / place).symlink_to(root / target)

    return make


def written(place):
    def make(root):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(HEAD + CLAIM.replace("x,", "color,"))

    return make


# What nobody would read: how it is made, the one mistake that it is, and the file that has it.
UNREAD = {
    "capitals": (written("specs/a.YAML"), "bad_file_name", "specs/a.YAML"),
    "one capital": (written("specs/deep/a.yamL"), "bad_file_name", "specs/deep/a.yamL"),
    "the short ending in capitals": (written("specs/a.YML"), "bad_file_name", "specs/a.YML"),
    "the short ending": (written("specs/a.yml"), "wrong_suffix", "specs/a.yml"),
    "lines": (written("specs/prompts/x.JSONL"), "bad_file_name", "specs/prompts/x.JSONL"),
    "baselines": (written("specs/measured/a.Yaml"), "bad_file_name", "specs/measured/a.Yaml"),
    "a folder from elsewhere": (linked("specs/more", "elsewhere"), "outside_specs", "specs/more"),
    "a folder of its own": (linked("specs/more", "specs/prompts"), "outside_specs", "specs/more"),
    "a deep folder": (linked("specs/deep/more", "elsewhere"), "outside_specs", "specs/deep/more"),
    "a folder that holds itself": (linked("specs/more", "specs"), "outside_specs", "specs/more"),
    "pictures": (linked("specs/images/more", "elsewhere"), "outside_specs", "specs/images/more"),
    "folder of baselines": (linked("specs/measured", "elsewhere"), "outside_specs", "specs/measured"),
    "folder of noise": (linked("specs/measured/noise", "elsewhere/noise"), "outside_specs", "specs/measured/noise"),
    "all of it": (linked("specs", "../elsewhere"), "outside_specs", "specs"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_would_never_be_read_is_one_mistake(root, name, monkeypatch):
    """A name in other letters, a linked folder: one red test each, also where just that path is checked."""
    monkeypatch.chdir(root)
    make, code, shown = UNREAD[name]
    for folder in (root / "elsewhere", root.parent / "elsewhere"):
        for place in ("a.yaml", "b.yaml", "noise/small.json"):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(HEAD + CLAIM.replace("x,", "color,"))
    before = check(root)
    make(root)
    (found,) = [m for m in check(root) if m not in before]
    assert (found["code"], found["file"]) == (code, shown)
    broken = [item for item in load(root).items if isinstance(item, Broken)]
    assert [item.source.path for item in broken].count(shown) == 1
    assert [m["file"] for m in check(root, [Path(shown)])] == [shown]


def test_a_folder_that_may_not_be_opened_is_a_mistake(root, monkeypatch):
    """Suites in it would be passed over in silence."""
    (root / "specs/shut").mkdir()
    really = os.scandir

    def scandir(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return really(path)

    before = check(root)
    monkeypatch.setattr(os, "scandir", scandir)
    (found,) = [m for m in check(root) if m not in before]
    assert (found["code"], found["file"]) == ("unreadable_file", "specs/shut")
    assert "Permission denied" in found["message"]


SPECIAL = [
    "specs/a.yaml", "specs/prompts/x.yaml", "specs/prompts/x.jsonl", "specs/prompts/x.txt", "specs/subjects.yaml",
    "specs/measured/a.yaml", "specs/measured/noise/small.json", "specs/images/x.png",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["pipe", "socket"])
@pytest.mark.parametrize("place", SPECIAL)
def test_a_pipe_is_not_waited_for(root, place, kind, monkeypatch):
    """A file that is none is a mistake at once, where opening it would wait for ever."""
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).unlink(missing_ok=True)
    monkeypatch.chdir((root / place).parent)
    if kind == "pipe":
        os.mkfifo(root / place)
    else:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(Path(place).name)
    name = place.removeprefix("specs/")
    form = f"{{images: {name}, caption: a}}" if name.endswith("png") else f"{name}#a" if "yaml" in name else name
    (root / "specs/b.yaml").write_text(
        f"subjects: [small]\nprompts:\n  others: prompts/words.yaml#!color\n  x: {form}\n{CLAIM}"
    )
    done = bounded(root)
    assert set(done["codes"]) & {"unreadable_file", "unknown_file"}


def with_this_code():
    paths = os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def bounded(root):
    """What `check` finds in a process of its own, with 1.5 GB of memory and a minute of CPU."""
    env = with_this_code()
    command = [sys.executable, "-c", BOUNDED, str(root)]
    done = subprocess.run(command, env=env, cwd=REPO, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["modules"] == []
    return found


@pytest.mark.parametrize("text", INERT)
@pytest.mark.parametrize("place", ["list", "template", "txt", "jsonl"])
def test_what_is_code_elsewhere_is_plain_text_here(root, monkeypatch, text, place):
    """Variables, templates, shells, markup: a prompt is the letters that stand in the file."""
    monkeypatch.setenv("HOME", "/home/expanded")
    quoted = json.dumps(text, ensure_ascii=False)
    doubled = json.dumps(text.replace("{", "{{").replace("}", "}}"), ensure_ascii=False)
    (root / "specs/prompts/x.txt").write_text(f"{text}\n")
    (root / "specs/prompts/x.jsonl").write_text(f'{{"text": {quoted}}}\n')
    forms = {"list": f"[{quoted}]", "template": f"{{template: [{doubled}]}}"}
    form = forms.get(place, f"prompts/x.{place}")
    (root / "specs/a.yaml").write_text(
        f"subjects: [small]\nprompts:\n  others: prompts/words.yaml#!color\n  x: {form}\n{CLAIM}"
    )
    (spec,) = (i for i in load(root, [root / "specs/a.yaml"]).items)
    assert [p.text for p in spec.sets["prompts"].prompts] == [text]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_pattern_takes_long(pattern):
    """Held against 20,000 tokens of 64 letters that nearly match, in a process with 20 s of CPU."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
        "from harness.expectations import kinds\n"
        "kind = kinds()['promotes'].model_validate({'pattern': sys.argv[1]})\n"
        "texts = [c * 63 + end for c in 'ax -' for end in '!?_'] * 2000\n"
        "print(int(kind.matches(texts).sum()))\n"
    )
    env = with_this_code()
    done = subprocess.run([sys.executable, "-c", code, pattern], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout) in range(24_001)


@pytest.mark.parametrize("pattern", REFUSED)
def test_a_pattern_that_is_none_is_a_mistake(root, pattern):
    """Look-around, back-references, towers of repetitions: a mistake on the line, with what RE2 says."""
    text = (
        f"subjects: [small]\nexpect:\n  - id: a\n    feature: 1\n    promotes:\n      pattern: {json.dumps(pattern)}\n"
    )
    (root / "specs/a.yaml").write_text(text)
    assert {(m["code"], m["line"]) for m in placed_mistakes(root, "specs/a.yaml")} == {("bad_value", 6)}
    with pytest.raises(ValueError, match="not a regular expression"):
        kinds()["promotes"].model_validate({"pattern": pattern})


ODD_NAMES = [
    "=cmd.yaml",
    "<script>.yaml",
    "a\x1b[2J.yaml",
    "a\nb.yaml",
    "::x::.yaml",
    "\udcff.yaml",
    "a|b.yaml",
    "prompts/`x`.yaml",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_file_is_named_with_letters(root, name):
    """Tests are named after files, so a name with markup or control characters is a mistake, shown in safe letters."""
    os.makedirs((root / "specs" / name).parent, exist_ok=True)
    (root / "specs" / name).write_text(HEAD + CLAIM.replace("x,", "color,"))
    found = [m for m in check(root) if m["code"] == "bad_file_name"]
    assert len(found) == 1
    json.dumps(found, ensure_ascii=False).encode()


def test_a_mistake_has_its_class(root):
    """What stands in a Broken is a SpecError, and nothing else."""
    (root / "specs/a.yaml").write_bytes(FILES["python object"][0])
    items = [item for item in load(root).items if isinstance(item, Broken)]
    assert items
    assert all(isinstance(e, SpecError) for item in items for e in item.errors)
