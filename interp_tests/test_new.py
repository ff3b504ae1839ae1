"""`interp new`: what it writes passes `interp check`, and holds or fails on a real run."""

import shutil
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.expectations import kinds
from harness.language.asking import askable, needs_negative
from harness.language.check import check
from harness.language.scalars import in_quotes
from harness.language.specs import load
from harness.language.writing import entry, scalar, specs_in, suite_text
from interp_tests.command import interp
from interp_tests.project import COLOR, PLAIN, REPO, make_project

NOT_ASKED = {
    "activation",
    "density",
    "holds_under",
    "promotes",
    "reconstruction",
    "sparsity",
    "top_tokens",
    "transfer_census",
    "transfers",
    "transfers_sae",
    "unchanged",
}
WORDS = ["found by diff", "why: because", "# no remark", "no", "12", "it's {x}", '"quoted"', "über 50 %", "a #b", "- x"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The repository's own prompts and subjects, and no suite; no terminal, as in CI."""
    shutil.copytree(REPO / "specs" / "prompts", tmp_path / "specs" / "prompts")
    shutil.copy(REPO / "specs" / "subjects.yaml", tmp_path / "specs" / "subjects.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115
    return tmp_path


def flags(**changes):
    """All flags of a claim that is right, some of them changed; None leaves one out."""
    given_flags = {
        "name": "color-words",
        "subject": "tiny-gemma2",
        "feature": "267",
        "kind": "fires_more",
        "positive": "prompts/categories.yaml#color",
        "negative": "prompts/categories.yaml#!color",
        "why": "found by interp diff",
        **changes,
    }
    return [part for flag, value in given_flags.items() if value is not None for part in (f"--{flag}", value)]


def specs_under(root):
    return load(root, [root / "specs/tiny-gemma2"]).items


def test_every_kind_is_either_offered_or_known_not_to_be():
    """A new kind that two sets decide is offered without another line; the others are listed here."""
    assert set(kinds()) == set(askable()) | NOT_ASKED
    assert not set(askable()) & NOT_ASKED


@pytest.mark.parametrize("kind", sorted(askable()))
def test_what_is_written_passes_check(kind, root, capsys):
    """For each kind that is offered: exit code 0, a file with the schema's line, and no mistake in it."""
    positive = "prompts/marked.yaml#color" if kind == "fires_at" else "prompts/categories.yaml#color"
    negative = "prompts/categories.yaml#!color" if needs_negative(kind) else None
    code, out, _ = interp(capsys, "new", *flags(kind=kind, positive=positive, negative=negative))
    written = root / "specs/tiny-gemma2/color-words.yaml"
    assert (code, out.split(":")[0]) == (0, "wrote specs/tiny-gemma2/color-words.yaml")
    assert written.read_text().startswith("# yaml-language-server: $schema=../suite.schema.json\n")
    assert check(root, [written]) == []
    assert interp(capsys, "check", str(written))[0] == 0
    assert [spec.kind for spec in specs_under(root)] == [kind]


def test_silence_is_claimed_of_the_negative_set(root, capsys):
    """`silent_on` reads the sets the other way round."""
    assert interp(capsys, "new", *flags(kind="silent_on"))[0] == 0
    (spec,) = specs_under(root)
    assert {role: s.name for role, s in spec.sets.items()} == {
        "prompts": "prompts/categories.yaml#!color",
        "but_fires_on": "prompts/categories.yaml#color",
    }


@pytest.mark.parametrize("flag", ["name", "subject", "feature", "kind", "positive", "negative", "why"])
def test_a_missing_flag_is_named_where_nobody_can_be_asked(flag, root, capsys):
    """Without a terminal, one error names the flag, and nothing is written."""
    code, _, err = interp(capsys, "new", *flags(**{flag: None}))
    assert code == 2
    assert f"missing_flag: --{flag} is missing" in err
    assert not list(root.glob("specs/tiny-gemma2/*"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"subject": "tiny-gema2"}, "tiny-gemma2"),
        ({"kind": "fires_mor"}, "Did you mean 'fires_more'?"),
        ({"kind": "promotes"}, "kind_not_asked"),
        ({"feature": "1024"}, "from 0 to 1023"),
        ({"feature": "x"}, "from 0 to 1023"),
        ({"positive": "prompts/categories.yaml#colour"}, "Did you mean 'color'?"),
        ({"positive": "prompts/categoris.yaml#color"}, "prompts/categories.yaml"),
        ({"positive": "color"}, "#color"),
        ({"negative": "prompts/categories.yaml#color"}, "overlapping_sets"),
        ({"name": "two words"}, "bad_name"),
        ({"why": " "}, "empty_text"),
        ({"out": "elsewhere/x.yaml"}, "bad_place"),
        ({"out": "specs/prompts/x.yaml"}, "bad_place"),
        ({"out": "specs/x.yml"}, "bad_place"),
        ({"kind": "fire_rate"}, "leave --negative out"),
    ],
)
def test_a_wrong_answer_writes_nothing(change, says, root, capsys):
    """One message says what is wrong, with the nearest name, and no file appears."""
    before = sorted(root.rglob("*"))
    code, _, err = interp(capsys, "new", *flags(**change))
    assert code == 2
    assert says in err
    assert sorted(root.rglob("*")) == before


def test_a_claim_that_nothing_can_decide_is_refused(root, capsys):
    """Three prompts cannot show it for prompts in general, so the suite would fail `interp check`."""
    (root / "specs/prompts/few.txt").write_text("A red ball.\nA blue door.\nA green hat.\n")
    code, _, err = interp(capsys, "new", *flags(positive="prompts/few.txt"))
    assert (code, "undecidable" in err) == (2, True)
    assert not (root / "specs/tiny-gemma2").exists()


def test_no_suite_is_overwritten_and_append_adds_to_its_end(root, capsys):
    """A second claim of that place is refused; --append puts it behind the first, which stays as it was."""
    assert interp(capsys, "new", *flags())[0] == 0
    path = root / "specs/tiny-gemma2/color-words.yaml"
    first = path.read_text()
    code, _, err = interp(capsys, "new", *flags(feature="12"))
    assert (code, "file_exists" in err, path.read_text()) == (2, True, first)
    more = flags(name="more", subject="tiny-qwen3", out="specs/tiny-gemma2/color-words.yaml")
    assert interp(capsys, "new", *more, "--append")[0] == 0
    assert path.read_text().startswith(first)
    assert {s.id: s.subject.name for s in specs_under(root)} == {
        "tiny-gemma2/color-words::color-words": "tiny-gemma2",
        "tiny-gemma2/color-words::more": "tiny-qwen3",
    }
    assert "duplicate_id" in interp(capsys, "new", *more, "--append")[2]


def test_a_suite_that_does_not_end_with_its_claims_is_left_alone(root, capsys):
    """Where a line more would not be a claim more, the file stays as it is."""
    path = root / "specs/odd.yaml"
    path.write_text(
        "subjects: [tiny-gemma2]\nexpect:\n  - {id: a, feature: 1, fires_more: "
        "{prompts: c, than: d}}\nprompts:\n  c: prompts/categories.yaml#color\n  d: prompts/categories.yaml#!color\n"
    )
    before = path.read_text()
    assert interp(capsys, "new", *flags(out="specs/odd.yaml"), "--append")[0] == 2
    assert path.read_text() == before


def test_answers_are_asked_for_on_a_terminal_and_again_after_a_slip(root, capsys, monkeypatch):
    """What no flag says is asked; a wrong answer is told what is wrong, and asked again."""
    answers = iter(["fires_mor", "fires_more", "267"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda *args, **how: next(answers))
    code, _, err = interp(capsys, "new", *flags(kind=None, feature=None))
    assert (code, list(answers)) == (0, [])
    assert "Did you mean 'fires_more'?" in err
    assert specs_under(root)[0].features == (267,)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)))
def test_any_text_is_read_back_as_it_was_written(root, why):
    """`why` and the title come back as given, whatever they hold, or are refused as no text of YAML."""
    claim = {"prompts": "prompts/categories.yaml#color", "than": "prompts/categories.yaml#!color"}
    text = suite_text(
        "a/x.yaml", why, "tiny-gemma2", [entry({"id": "a", "why": why, "feature": 1, "fires_more": claim})]
    )
    if "\0" in why:
        return
    assert specs_in(root, text, "x.yaml")[0].why == why


def test_only_what_yaml_would_misread_is_quoted():
    """Plain where it can be; the partner shows that quotes are not put everywhere."""
    assert scalar("found by interp diff", alone=True) == "found by interp diff"
    assert scalar("12", alone=True) == in_quotes("12")
    assert scalar("a: b", alone=True) == in_quotes("a: b")


def test_a_new_suite_is_judged(tmp_path):
    """One file of `interp new`, run by pytest: the color feature of the tiny model is met, and another one is not."""
    project = make_project(tmp_path, tmp_path / "store.sqlite")
    (project.root / "specs/prompts").mkdir()
    for name, prompts in {"color": COLOR, "plain": PLAIN}.items():
        (project.root / f"specs/prompts/{name}.txt").write_text("\n".join(prompts) + "\n")
    sets = {"positive": "prompts/color.txt", "negative": "prompts/plain.txt", "subject": "tiny"}
    for name, feature in {"right": "267", "wrong": "3"}.items():
        made = project.run([sys.executable, "-m", "harness", "new", *flags(name=name, feature=feature, **sets)])
        assert made.returncode == 0, made.stderr
    assert project.pytest("-q").returncode == 1
    outcomes = project.outcomes()
    assert outcomes["tiny/right::right"] == "met"
    assert outcomes["tiny/wrong::wrong"] != "met"
