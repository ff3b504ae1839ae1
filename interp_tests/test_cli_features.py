"""`interp top`, `diff`, `scan` and `transfer` where something is amiss: one message, and the right exit code."""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from harness.codes import NoSuchFeature
from harness.errors import EnvironmentFault
from harness.explore import fire_rate, open_subject
from harness.running import Missing
from interp_tests.command import enter, interp
from interp_tests.project import COLOR, PLAIN, REPO, make_project

LONG = "word " * 1000
SIX = "ball red blue green yellow brown"
ADAPTED = "  again: {model: tiny, sae: tiny, dtype: bfloat16, device: cpu}\n"
AWAY = "  away: {model: gone, sae: tiny, dtype: bfloat16, device: cpu}\n"

# (what is typed, exit code, how the message begins)
TOP_ENV = "interp: weights_missing: "
CASES = {
    "top without a text": (["top", "", "-s", "tiny"], 2, "interp: <command line>:1:1: empty_prompt: "),
    "top of 5,000 letters": (["top", LONG, "-s", "tiny"], 2, "interp: <command line>:1:1: prompt_too_long: "),
    "top without weights": (["top", "x", "-s", "gone"], 3, TOP_ENV),
    "diff with a long prompt": (["diff", "long.txt", "color.txt", "-s", "tiny"], 3, "interp: prompt_too_long: "),
    "diff without weights": (["diff", "plain.txt", "color.txt", "-s", "gone"], 3, TOP_ENV),
    "scan with a long prompt": (["scan", "3", "long.txt", "-s", "tiny"], 3, "interp: prompt_too_long: "),
    "scan without weights": (["scan", "3", "color.txt", "-s", "gone"], 3, TOP_ENV),
    "scan of a feature too high": (
        ["scan", "99999", "color.txt", "-s", "tiny"],
        2,
        "interp: <command line>:1:1: feature_out_of_range: feature 99999 does not exist: the SAE of tiny has 1,024 "
        "features, 0 to 1023\n",
    ),
    "scan of a feature below zero": (
        ["scan", "-s", "tiny", "--", "-1", "color.txt"],
        2,
        "interp: <command line>:1:1: feature_out_of_range: feature -1 does not exist: ",
    ),
    "transfer with a long prompt": (
        ["transfer", "tiny", "again", "--prompts", "long.txt"],
        3,
        "interp: prompt_too_long: ",
    ),
    "transfer without weights": (["transfer", "gone", "away", "--prompts", "color.txt"], 3, TOP_ENV),
}
COUNTS = [
    ["top", "x", "-s", "tiny", "--n"],
    ["diff", "plain.txt", "color.txt", "-s", "tiny", "-n"],
    ["draft", "plain.txt", "color.txt", "-s", "tiny", "-n"],
    ["transfer", "tiny", "again", "--prompts", "color.txt", "--limit"],
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    made = make_project(folder / "repo", folder / "store.sqlite")
    with (made.root / "specs/subjects.yaml").open("a") as file:
        file.write(ADAPTED + AWAY)
    for name, lines in {"color": COLOR, "plain": PLAIN, "long": ["A short one.", LONG.strip(), f"{LONG}x"]}.items():
        (made.root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return made


@pytest.fixture(autouse=True)
def here(project, monkeypatch):
    enter(project, monkeypatch)


@pytest.mark.parametrize("as_json", [False, True], ids=["", "json"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_amiss_is_one_message_and_a_code_of_its_own(case, as_json, capsys):
    """Two for what was typed, three for what is not here, never one, which would say that a claim does not hold."""
    args, code, begins = CASES[case]
    given = [args[0], "--json", *args[1:]] if as_json else args
    left, out, err = interp(capsys, *given)
    assert (left, out) == (code, "")
    assert err.startswith(begins)
    assert err.count("\n") == 1


def test_what_is_right_ends_with_zero(capsys):
    """The table's partner: the same commands, with nothing amiss."""
    for args in (["top", "The red ball.", "-s", "tiny"], ["scan", "3", "color.txt", "-s", "tiny"]):
        left, out, err = interp(capsys, *args)
        assert (left, err) == (0, "")
        assert out


def test_the_library_raises_the_fault_that_it_promises(project):
    """A notebook catches EnvironmentFault; the second of two long prompts is counted."""
    with pytest.raises(
        EnvironmentFault, match=r"^prompt_too_long: .* reads at most 512\. There is 1 more fault\. "
    ) as it:
        open_subject("tiny").encode([LONG, f"{LONG} and more", "A short one."])
    assert it.value.code == "prompt_too_long"
    assert not isinstance(it.value, Missing)
    alone = Missing([EnvironmentFault("cold", "it is cold.", "Warm it.")])
    assert str(alone.as_fault()) == "cold: it is cold. Warm it."


@pytest.mark.parametrize("feature", [-1, -1024, 1024, 99999])
def test_a_feature_that_is_not_there_is_refused_by_the_library_too(feature):
    """Neither counted from the end, nor silent: the number and the range are told. Codes and arrays alike."""
    opened, told = open_subject("tiny"), rf"^feature {feature} does not exist: the SAE has 1,024 features, 0 to 1023$"
    with pytest.raises(NoSuchFeature, match=told):
        opened.scan(feature, COLOR[:2])
    with pytest.raises(NoSuchFeature, match=told):
        opened.fire_rate(feature, COLOR[:2])
    with pytest.raises(NoSuchFeature, match=told):
        opened.encode(COLOR[:2]).token_column(feature)
    with pytest.raises(NoSuchFeature, match=told):
        fire_rate(np.zeros((2, 1024)), feature)
    assert fire_rate(np.ones((2, 1024)), feature % 1024) == 1


@pytest.mark.parametrize("args", COUNTS, ids=lambda args: args[0])
@pytest.mark.parametrize("count", ["0", "-3", "-990"])
def test_a_count_below_one_is_refused(args, count, capsys):
    """A usage error that says the limit."""
    left, out, err = interp(capsys, *args, count)
    assert (left, out) == (2, "")
    assert "greater than or equal to 1" in " ".join(err.split()).replace("│ ", "")


@pytest.mark.parametrize("flag", ["--n", "-n"])
def test_n_has_a_short_form(flag, capsys):
    """`-n 3` is `--n 3`."""
    left, out, _ = interp(capsys, "top", SIX, "-s", "tiny", flag, "3", "--json")
    assert left == 0
    assert out.count('"feature"') == 3


def folders(place):
    return sorted(path.name for path in Path(place).glob("interp-*"))


def test_a_reader_leaves_no_folder_behind(tmp_path, monkeypatch):
    """It has one while it lives, and none once nobody holds it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened = open_subject("tiny")
    opened.encode(COLOR[:1])
    assert len(folders(tmp_path)) == 1
    del opened
    assert folders(tmp_path) == []


def test_a_command_leaves_no_folder_behind(project, tmp_path):
    """A whole process, ending well or with a fault."""
    for args, code in ((["top", "The red ball."], 0), (["scan", "3", "long.txt"], 3)):
        command = [sys.executable, "-m", "harness", args[0], "-s", "tiny", *args[1:]]
        done = project.run(command, TMPDIR=str(tmp_path))
        assert done.returncode == code, done.stderr
        assert folders(tmp_path) == []


def test_a_run_that_cannot_be_configured_leaves_no_folder_behind(project, tmp_path):
    """Another plugin fails once ours has made its folder."""
    (project.root / "failing.py").write_text(
        "import pathlib, tempfile, pytest\n"
        "@pytest.hookimpl(trylast=True)\n"
        "def pytest_configure(config):\n"
        "    print('made', len(list(pathlib.Path(tempfile.gettempdir()).glob('interp-run-*'))))\n"
        "    raise pytest.UsageError('no')\n"
    )
    done = project.pytest("-s", "-p", "failing", TMPDIR=str(tmp_path), PYTHONPATH=f"{REPO}{os.pathsep}{project.root}")
    assert done.returncode != 0
    assert "made 1" in done.stdout, done.stdout + done.stderr
    assert folders(tmp_path) == []
