"""README.md's first example is a suite that ships, and what it prints is what a run prints, to the last character."""

import re
import shutil
import textwrap

import pytest

from interp_tests.project import REPO, make_project

README = (REPO / "README.md").read_text()
SUITE = "specs/tiny-paligemma2/examples.yaml"
(CLAIMS,) = re.findall(r"^```yaml\n(- id: color-beats-code\n.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
(PRINTED,) = re.findall(rf"`pytest {re.escape(SUITE)}` says:\n\n((?:    .*\n)+)", README)


def test_the_claims_are_the_suites():
    """Word for word, and each `why` begins with the sentence that it is a claim of."""
    assert textwrap.indent(CLAIMS, "  ").replace("\n  \n", "\n\n") in (REPO / SUITE).read_text()
    assert "why: feature X fires more on color prompts than on code prompts." in CLAIMS
    assert "why: reconstruction MSE on PaliGemma text stays within bound." in CLAIMS


@pytest.mark.slow
def test_the_output_is_that_of_a_run(tmp_path):
    """The lines stand together in what pytest prints, judged anew; another number in them does not."""
    made = make_project(tmp_path / "p", tmp_path / "evidence.sqlite")
    shutil.rmtree(made.root / "specs")
    for name in ("specs", "harness/zoo"):
        shutil.copytree(REPO / name, made.root / name)
    ran = made.pytest("-q", "--fail-vacuous", SUITE, COLUMNS="140")
    shown = textwrap.dedent(PRINTED)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert shown in ran.stdout
    assert shown.replace("0.9375", "0.9376") not in ran.stdout
