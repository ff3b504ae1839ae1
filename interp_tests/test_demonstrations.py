"""docs/demonstrations.md: its suite, run again as a reader would, says what the page prints."""

import re
import shutil

import pytest

from interp_tests.project import REPO, Project

PAGE = (REPO / "docs/demonstrations.md").read_text()
(SUITE,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
PRINTED = re.findall(r"^```text\n(.*?)\n```", PAGE, flags=re.MULTILINE | re.DOTALL)
WANTING = ["more-prompts-more-power", "more-than-in-code", "sparse", "animal-whatever-the-case"]
SOUND = ["held-out", "as-sparse-as-layer-3", "animal-needs-the-animal"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A checkout whose only suite is the page's."""
    root = tmp_path_factory.mktemp("demonstrations") / "repo"
    (root / "interp_tests").mkdir(parents=True)
    for name in ("conftest.py", "pytest.ini", "interp_tests/test_specs.py"):
        shutil.copy(REPO / name, root / name)
    shutil.copytree(REPO / "specs/prompts", root / "specs/prompts")
    shutil.copytree(REPO / "specs/images", root / "specs/images")
    shutil.copy(REPO / "specs/subjects.yaml", root / "specs/subjects.yaml")
    (root / "harness").symlink_to(REPO / "harness")
    (root / "specs/demo.yaml").write_text(SUITE)
    return Project(root, {"INTERP_STORE": str(root.parent / "store.sqlite")})


@pytest.fixture(scope="module")
def strict(project):
    """What `pytest --fail-vacuous --mutate` printed, and its records by the claim's own id."""
    done = project.pytest("-q", "--fail-vacuous", "--mutate")
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout, {r["id"].split("::")[1]: r for r in project.results()["records"]}


def test_the_page_shows_a_finding_for_each_claim_that_is_wanting():
    """Four claims, four lines that a run printed."""
    assert len(PRINTED) == len(WANTING)


def test_what_the_page_prints_is_what_a_run_prints(strict):
    """Letter by letter, each as the first line of a failure."""
    assert [line for line in PRINTED if line not in strict[0].splitlines()] == []


def test_each_claim_ends_as_the_page_says(strict):
    """The first four are not met, each for its own reason; the mended ones are."""
    found = {name: (record["outcome"], record["reason"]) for name, record in strict[1].items()}
    assert found == {
        "more-prompts-more-power": ("inconclusive", "leaked"),
        "more-than-in-code": ("inconclusive", "vacuous"),
        "sparse": ("inconclusive", "vacuous"),
        "animal-whatever-the-case": ("unmet", None),
        **dict.fromkeys(SOUND, ("met", None)),
    }


def test_a_plain_run_sees_two_of_the_four(project, strict):
    """That is what --fail-vacuous --mutate is for."""
    project.pytest("-q")
    found = {r["id"].split("::")[1]: r["outcome"] for r in project.results()["records"]}
    assert [name for name in WANTING if found[name] != "met"] == ["more-prompts-more-power", "animal-whatever-the-case"]


def test_the_numbers_in_the_text_are_those_of_the_run(strict):
    """Null counts, and the pin of two words."""
    records = strict[1]
    meeting, live = records["held-out"]["details"]["null"]
    assert f"met by {meeting} of {live:,}" in " ".join(PAGE.split())
    assert records["animal-whatever-the-case"]["details"]["pin"] == {"prompt": "the dog", "edited": "THE DOG"}
