"""Each command's help has an example, and each example runs: with this repository's specs and its tiny models."""

import dataclasses
import json
import shlex
import shutil
import sys
from unittest.mock import patch

import pytest
import typer.main

from harness.cli import app, main
from interp_tests.project import REPO, make_project

SPECS = ("subjects.yaml", "prompts", "images", "measured", "tiny-gemma2")
OLDER = "20261123T155400Z-0abc"  # the earlier run of `interp compare`'s example
SLOW = {"calibrate", "mutate", "train-sae", "transfer"}  # each reads models for 5 s to a minute
# A second run of a long example, or of one that overwrites no file.
SHORTER = {"calibrate": ("--prompts", "4"), "draft": ("--out", "specs/tiny-gemma2/again.yaml")}
# What scripts rely on in each document: the keys, of its rows where it is a list.
KEYS = {
    "check": set(),
    "explain": {"claim", "reads", "smallest_p", "power", "verdict", "pages"},
    "accept": {"run", "changed", "kept", "refused", "written"},
    "history": {"claim", "runs"},
    "show": {"schema", "run", "records", "capture"},
    "compare": {"flipped", "moved"},
    "calibrate": {"prompts", "tokens"},
    "mutate": {"suites", "claims", "invalid"},
    "draft": {"feature", "auroc", "bound", "claim"},
    "top": {"feature", "activation", "token", "position"},
    "diff": {"feature", "score", "pos_mean", "neg_mean", "pos_fire_rate", "neg_fire_rate", "auroc", "p"},
    "scan": {"prompt", "activation", "tokens"},
    "transfer": {"categories", "conditions"},
    "warm": {"path", "shard", "subjects"},
    "kinds": {"kind", "claim"},
    "doctor": {"subjects", "settings", "problems"},
    "store size": {"path", "file_bytes", "tables", "subjects"},
    "store verify": {"path", "rows", "damaged", "dropped"},
    "store prune": {"path"},
    "store export": {"path"},
    "store import": {"path"},
}


def commands(group=None, path=()):
    """(name, command) of every command, in the order of the help: `store import` comes after `store export`."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def example_of(help_text):
    """The words after `Example:`, up to the end of that paragraph; none where there is no example."""
    _, found, after = (help_text or "").partition("Example:")
    return shlex.split(after.split("\n\n")[0]) if found else []


COMMANDS = dict(commands())
EXAMPLES = {name: example_of(command.help) for name, command in COMMANDS.items()}
WITH_JSON = [name for name, command in COMMANDS.items() if any("--json" in one.opts for one in command.params)]


@dataclasses.dataclass
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A checkout with the shipped specs of tiny-gemma2, judged once, so that there are runs and a warm store."""
    root = tmp_path_factory.mktemp("examples")
    made = make_project(root / "repo", root / "work/store.sqlite")
    (made.root / "harness").symlink_to(REPO / "harness")
    for name in SPECS:
        place = made.root / "specs" / name
        copy = shutil.copytree if (REPO / "specs" / name).is_dir() else shutil.copyfile
        copy(REPO / "specs" / name, place, **({"dirs_exist_ok": True} if place.is_dir() else {}))
    ran = made.pytest("-q", "-k", "categories or drift")
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    runs = made.root / "reports/runs"
    shutil.copytree(next(runs.iterdir()), runs / OLDER)
    return made


def run(project, words, capsys, **env):
    """The exit code and output of one command line, in this process; `> FILE` as a shell has it."""
    words, to = (words[:-2], words[-1]) if ">" in words else (words, None)
    with pytest.MonkeyPatch.context() as here, patch.object(sys, "argv", words):
        here.chdir(project.root)
        for name in ("CI", "GITHUB_ACTIONS", "NO_COLOR", "FORCE_COLOR"):
            here.delenv(name, raising=False)
        for name, value in {**project.env, "CUDA_VISIBLE_DEVICES": "", **env}.items():
            here.setenv(name, value)
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as left:
            code = left.code or 0
    found = Ran(code, *capsys.readouterr())
    if to:
        (project.root / to).write_text(found.out)
    return found


def named(names):
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW), id=name) for name in names]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_an_example(name):
    """Its help shows a command line of that very command."""
    assert EXAMPLES[name][: 1 + len(name.split())] == ["interp", *name.split()]


@pytest.mark.parametrize("name", named(COMMANDS))
def test_the_example_runs(name, project, capsys):
    """It exits 0, says something, and writes no escape where its output is no terminal, a GitHub runner's included."""
    ran = run(project, EXAMPLES[name], capsys, GITHUB_ACTIONS="true")
    assert ran.code == 0, ran.out[-2000:] + ran.err[-2000:]
    assert ran.out.strip() or ran.err.strip()
    assert "\x1b" not in ran.out + ran.err


@pytest.mark.parametrize("name", named(WITH_JSON))
def test_json_is_one_document_with_its_keys(name, project, capsys):
    """The example under --json prints one document and nothing else, with the keys that scripts rely on."""
    ran = run(project, [*EXAMPLES[name], "--json", *SHORTER.get(name, ())], capsys)
    document = json.loads(ran.out)
    rows = document if isinstance(document, list) else [document]
    assert rows or name == "check"
    assert all(KEYS[name] <= row.keys() for row in rows), rows[0].keys()


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_is_plain_where_colour_is_not_wanted(name, project, capsys, monkeypatch):
    """Under NO_COLOR on a terminal, and on a GitHub runner, which typer takes for a terminal."""
    words = ["interp", *name.split(), "--help"]
    on_a_runner = run(project, words, capsys, GITHUB_ACTIONS="true")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    on_a_terminal = run(project, words, capsys, NO_COLOR="1")
    for ran in (on_a_runner, on_a_terminal):
        assert ran.code == 0
        assert "Example:" in ran.out
        assert "\x1b" not in ran.out


def test_a_terminal_without_no_color_has_colours(project, capsys, monkeypatch):
    """The checks for plain text can fail: the same table has escapes where a terminal takes them."""
    table = ["interp", "kinds"]
    assert "\x1b" in run(project, table, capsys, FORCE_COLOR="1", TERM="xterm").out
    assert "\x1b" not in run(project, table, capsys, FORCE_COLOR="1", TERM="xterm", NO_COLOR="1").out
    assert example_of("No example here.\n\nNone.") == []
