"""`interp check --untrusted` in a real git repository: only data under specs/ passes, and nothing is run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import EnvironmentFault
from harness.git import UnknownRef, commit_of
from harness.untrusted import NoBase, refused_changes
from interp_tests.language_root import HEAD, copy_root

REPO = Path(__file__).resolve().parents[1]
SUITE = HEAD + "expect:\n  - {id: a, feature: 1, fires_more: {prompts: color, than: others}}\n"
CODE = "open('pwned', 'w')\n"
STANDING = ["conftest.py", "pytest.ini", "pyproject.toml", "constraints.txt", "Makefile", "README.md", ".gitignore"]
STANDING += ["harness/cli/check.py", "interp_tests/test_specs.py", ".github/workflows/gate.yml", ".ci/gate.sh"]

DATA = ["specs/a.yaml", "specs/new.yaml", "specs/deep/er/new.yaml", "specs/prompts/new.txt", "specs/prompts/new.jsonl"]
DATA += ["specs/images/shapes/new.png", "specs/images/new.jpeg", "specs/measured/a.yaml", "specs/grüße.yaml"]
NO_DATA = [*STANDING, "specs/subjects.yaml", "specs/Subjects.yaml", "specs/conftest.py", "specs/Conftest.py"]
NO_DATA += ["deep/conftest.py", "harness/new.py", "specs/new.py", "specs/pytest.ini", "specs/new.json", "specs/new"]
NO_DATA += [
    "specs/new.yml",
    "specs/.gitattributes",
    ".gitattributes",
    ".gitmodules",
    "specs/new.yaml.so",
    "sitecustomize.py",
]
NO_DATA += ["specs/prompts/new.pkl", "specs/images/new.svg", "specs/images/new.gif", "setup.cfg", "new/specs/a.yaml"]
NO_DATA += ["interp_tests/new_data.yaml", ".github/new.yaml", ".ci/new.txt", "re2.py", "specs.py", "tox.ini"]


def git(root, *arguments):
    env = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "core.autocrlf=false", *arguments]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=True).stdout.strip()


def write(root, name, text):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def commit(root):
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "a change")


@pytest.fixture
def root(tmp_path):
    """A repository on a branch that left main; nothing is changed yet."""
    folder = copy_root(tmp_path / "repo")
    write(folder, "specs/a.yaml", SUITE)
    for name in STANDING:
        write(folder, name, "# as it was\n" if name != ".gitignore" else "ignored\n")
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    git(folder, "checkout", "-q", "-b", "change")
    return folder


def interp(root, *arguments):
    """The command line as a gate runs it: the trusted code, in the folder of the change."""
    paths = [str(REPO), os.environ.get("PYTHONPATH")]  # an empty part would name the folder of the change
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    code = (
        "import sys; from harness.cli import main\ntry:\n    main()\nfinally:\n"
        "    heavy = [n for n in ('torch', 'transformers', 'sae_lens') if n in sys.modules]\n"
        "    print('HEAVY', heavy, file=sys.stderr) if heavy else None\n"
    )
    command = [sys.executable, "-P", "-c", code, "check", "--untrusted", *arguments]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", DATA)
def test_data_under_specs_passes(root, name):
    """Suites, prompts, pictures and baselines are what a stranger may change."""
    write(root, name, SUITE + "# changed\n")
    commit(root)
    assert refused_changes(root) == []


@pytest.mark.parametrize("how", ["committed", "staged", "new"])
@pytest.mark.parametrize("name", NO_DATA)
def test_all_else_is_refused_by_name(root, name, how):
    """Code, settings, weights: one file of these in a change, in whatever state, and the change does not pass."""
    write(root, name, CODE)
    if how == "committed":
        commit(root)
    elif how == "staged":
        git(root, "add", "-A")
    (found,) = refused_changes(root)
    assert found.file == name
    assert found.why


@pytest.mark.parametrize("name", [*STANDING, "specs/subjects.yaml"])
def test_what_is_gone_is_refused_too(root, name):
    """A change that takes a guard away is as bad as one that edits it."""
    (root / name).unlink()
    commit(root)
    assert [found.file for found in refused_changes(root)] == [name]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("specs/a.yaml", "subjects.yaml"), ("specs/new.yaml", "/etc/passwd"),
        ("specs/prompts/new.txt", "../../harness"),
        ("specs/images/new.png", "/dev/zero"), ("specs/deep.yaml", "a.yaml"), ("harness/new.py", "../specs/a.yaml"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("committed", [True, False])
def test_a_link_is_refused_wherever_it_leads(root, name, target, committed):
    """Git stores a link as such; so does a working tree."""
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to(target)
    if committed:
        commit(root)
    assert [found.file for found in refused_changes(root)] == [name]


def test_a_folder_that_becomes_a_link_is_refused(root):
    """specs/ itself, exchanged for a link to another folder."""
    (root / "specs").rename(root / "other")
    (root / "specs").symlink_to("other")
    commit(root)
    assert {"specs", "other/a.yaml"} <= {found.file for found in refused_changes(root)}


def test_an_executable_file_and_a_submodule_are_refused(root):
    """Data needs neither."""
    (root / "specs/a.yaml").chmod(0o755)
    commit(root)
    head = git(root, "rev-parse", "HEAD")
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{head},specs/new.yaml")
    git(root, "commit", "-q", "-m", "a submodule")
    assert {f.file: f.why for f in refused_changes(root)} == {
        "specs/a.yaml": "is executable",
        "specs/new.yaml": "is a submodule",
    }


def test_what_main_has_done_since_is_not_held_against_the_change(root):
    """The change is what stands between the point where it left main and now."""
    git(root, "checkout", "-q", "main")
    write(root, "harness/new.py", "main's own\n")
    commit(root)
    git(root, "checkout", "-q", "change")
    write(root, "specs/new.yaml", SUITE)
    commit(root)
    assert refused_changes(root) == []
    assert [found.file for found in refused_changes(root, "HEAD~1")] == []


def test_a_file_renamed_out_of_the_harness_is_refused(root):
    """A rename is a file gone and a file new."""
    git(root, "mv", "harness/cli/check.py", "specs/new.txt")
    commit(root)
    assert [found.file for found in refused_changes(root)] == ["harness/cli/check.py"]


def test_the_base_is_origins_main_before_ones_own(root):
    """A local main that has the change already does not hide it."""
    git(root, "update-ref", "refs/remotes/origin/main", "main")
    write(root, "conftest.py", CODE)
    commit(root)
    git(root, "branch", "-f", "main", "HEAD")
    assert [found.file for found in refused_changes(root)] == ["conftest.py"]
    assert refused_changes(root, "main") == []


@pytest.mark.parametrize("ref", ["gone", "--output=pwned", "HEAD:specs", "main..change", "-", "$(touch pwned)"])
def test_a_base_that_is_no_commit_is_an_error(root, ref):
    """Nothing passes because the base was misspelt, and a ref is no option."""
    with pytest.raises(NoBase):
        refused_changes(root, ref)
    assert not (root / "pwned").exists()


# refs that come with a fork's commits, or that somebody made by mistake: (refs, the base that is asked for).
OTHERS_OF_THE_NAME = {
    "a tag": (["refs/tags/origin/main"], "origin/main"),
    "a branch": (["refs/heads/origin/main"], "origin/main"),
    "a tag of main": (["refs/tags/main"], "main"),
    "a tag and a branch": (["refs/tags/origin/main", "refs/heads/origin/main"], "origin/main"),
    "another space of names": (["refs/pull/main"], "main"),
    "a tag of HEAD": (["refs/tags/HEAD"], "HEAD~1"),
    "a tag of an id": (["refs/tags/{main}"], "{main}"),
    "a tag of what is not there": (["refs/tags/upstream/main"], "upstream/main"),
}


@pytest.mark.parametrize(("refs", "asked"), OTHERS_OF_THE_NAME.values(), ids=OTHERS_OF_THE_NAME)
def test_a_name_that_a_fork_brings_is_never_the_base(root, refs, asked):
    """A tag or branch of the base's name, on the change itself, makes an error: by it nothing would have changed."""
    main = git(root, "rev-parse", "main")
    git(root, "update-ref", "refs/remotes/origin/main", main)
    write(root, "conftest.py", CODE)
    commit(root)
    for ref in refs:
        git(root, "update-ref", ref.format(main=main), "HEAD")
    with pytest.raises(NoBase):
        refused_changes(root, asked.format(main=main))
    with pytest.raises(UnknownRef):
        commit_of(root, asked.format(main=main))
    assert [found.file for found in refused_changes(root, "refs/remotes/origin/main")] == ["conftest.py"]


def test_plain_git_would_take_the_tag(root):
    """The check above can fail: git itself means the tag by the name, and only warns."""
    git(root, "update-ref", "refs/remotes/origin/main", "main")
    write(root, "conftest.py", CODE)
    commit(root)
    git(root, "tag", "origin/main")
    assert git(root, "rev-parse", "--verify", "--quiet", "origin/main^{commit}") == git(root, "rev-parse", "HEAD")
    done = interp(root, "--against", "origin/main")
    assert done.returncode == 2
    assert "refs/remotes/origin/main or refs/tags/origin/main" in done.stderr


@pytest.mark.parametrize("asked", ["main", "origin/main", "refs/tags/v1", "HEAD~1", "{main}", "change~1", "main^0"])
def test_a_name_that_is_one_commit_is_the_base(root, asked):
    """A branch of a remote or here, a whole commit id, a whole name, and what stands before them."""
    main = git(root, "rev-parse", "main")
    git(root, "update-ref", "refs/remotes/origin/main", main)
    git(root, "tag", "v1", main)
    write(root, "conftest.py", CODE)
    commit(root)
    assert commit_of(root, asked.format(main=main)) == main
    assert [found.file for found in refused_changes(root, asked.format(main=main))] == ["conftest.py"]


def configured(root, text):
    write(root, ".git/hidden", text)
    git(root, "config", "core.excludesFile", str(root / ".git/hidden"))


# How a new file can be kept out of what git lists; each hides interp_tests/conftest.py.
HIDERS = {
    "a new .gitignore beside it": lambda root: write(root, "interp_tests/.gitignore", "*\n"),
    "a new .gitignore under specs/": lambda root: write(root, "specs/.gitignore", "*\n"),
    "the .gitignore that is there": lambda root: write(root, ".gitignore", "ignored\nconftest.py\n.gitignore\n"),
    "info/exclude": lambda root: write(root, ".git/info/exclude", "conftest.py\n"),
    "core.excludesFile": lambda root: configured(root, "conftest.py\n"),
}


@pytest.mark.parametrize("hide", HIDERS.values(), ids=HIDERS)
def test_a_new_file_cannot_be_hidden_from_it(root, hide):
    """Only what the base ignores is left out: neither the change nor the checkout says what is not to be seen."""
    write(root, "interp_tests/conftest.py", CODE)
    write(root, "specs/new.py", CODE)
    hide(root)
    assert {"interp_tests/conftest.py", "specs/new.py"} <= {found.file for found in refused_changes(root)}


def test_what_the_base_ignores_is_no_change(root):
    """A virtual environment and caches are not listed, by whichever .gitignore of the base leaves them out."""
    git(root, "checkout", "-q", "main")
    write(root, ".gitignore", ".venv/\nreports/*\n!reports/README.md\n")
    write(root, "harness/.gitignore", "*.pyc\n/built\n")
    commit(root)
    git(root, "checkout", "-q", "-B", "change")
    for name in (".venv/lib/evil.pth", "reports/runs/1/results.json", "harness/deep/a.pyc", "harness/built"):
        write(root, name, CODE)
    assert refused_changes(root) == []
    write(root, "interp_tests/a.pyc", CODE)
    write(root, "harness/deep/built", CODE)
    assert [found.file for found in refused_changes(root)] == ["harness/deep/built", "interp_tests/a.pyc"]


def test_without_git_nothing_passes(root, monkeypatch):
    """A checkout that git cannot read is a fault, not a change without files."""
    with pytest.raises(NoBase):
        refused_changes(copy_root(root.parent / "bare"))
    (root / ".git/index").write_bytes(b"broken")
    with pytest.raises(EnvironmentFault, match="git_failed"):
        refused_changes(root)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EnvironmentFault, match="git_missing"):
        refused_changes(root)


PROGRAMS = {
    "fsmonitor": ("core.fsmonitor", "{script}"),
    "external diff": ("diff.external", "{script}"),
    "pager": ("core.pager", "{script}"),
    "hooks": ("core.hooksPath", "{folder}"),
    "textconv": ("diff.evil.textconv", "{script}"),
    "diff driver": ("diff.evil.command", "{script}"),
    "clean filter": ("filter.evil.clean", "{script}"),
    "process filter": ("filter.evil.process", "{script}"),
    "alias": ("alias.diff-tree", "!{script}"),
    "ssh": ("core.sshCommand", "{script}"),
    "editor": ("core.editor", "{script}"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_git_runs_no_program_that_the_checkout_names(root, tmp_path, name):
    """Attributes come with the change, settings may lie in the checkout: neither makes git start anything."""
    script = tmp_path / "evil" / "post-index-change"
    write(tmp_path, "evil/post-index-change", f"#!/bin/sh\ntouch {tmp_path}/pwned\ncat\n")
    script.chmod(0o755)
    key, value = PROGRAMS[name]
    write(root, ".gitattributes", "* diff=evil filter=evil\n")
    write(root, "specs/a.yaml", SUITE + "# changed\n")
    commit(root)
    git(root, "config", key, value.format(script=script, folder=script.parent))
    write(root, "specs/a.yaml", SUITE + "# and again\n")
    assert [found.file for found in refused_changes(root)] == [".gitattributes"]
    assert not (tmp_path / "pwned").exists()


def test_the_planted_program_does_run_under_plain_git(root, tmp_path):
    """The check above can fail: `git diff` starts the external diff that the checkout names."""
    write(tmp_path, "evil", f"#!/bin/sh\ntouch {tmp_path}/pwned\n")
    (tmp_path / "evil").chmod(0o755)
    git(root, "config", "diff.external", str(tmp_path / "evil"))
    write(root, "specs/a.yaml", SUITE + "# changed\n")
    git(root, "diff")
    assert (tmp_path / "pwned").exists()


def test_the_command_refuses_before_it_reads(root):
    """Exit 2 with the file and why, and nothing else is said; the change's conftest.py and harness/ are not run."""
    for name in ("conftest.py", "harness/__init__.py", "sitecustomize.py", "specs/subjects.yaml"):
        write(root, name, CODE)
    commit(root)
    done = interp(root)
    assert done.returncode == 2, done.stderr
    assert "conftest.py: untrusted_change: conftest.py is code that pytest runs" in done.stdout
    assert "specs/subjects.yaml names the weights" in done.stdout
    assert "specs read" not in done.stdout
    assert not (root / "pwned").exists()
    found = json.loads(interp(root, "--json").stdout)
    assert {m["code"] for m in found} == {"untrusted_change"}


def test_the_command_goes_on_to_check_what_passes(root):
    """Data is then read as any other: a right suite ends with 0, a wrong one with its mistake; torch is not needed."""
    write(root, "specs/new.yaml", SUITE)
    commit(root)
    done = interp(root, "specs/new.yaml")
    assert (done.returncode, "1 spec read, 0 mistakes" in done.stdout) == (0, True)
    assert "HEAVY" not in done.stderr
    write(root, "specs/new.yaml", "title: !!python/name:os.system\n")
    done = interp(root, "specs/new.yaml", "--against", "main")
    assert done.returncode == 2
    assert "unsafe_tag" in done.stdout
    assert interp(root, "--against", "gone").returncode == 2
