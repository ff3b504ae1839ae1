"""`interp warm`: what specs need is read before anyone judges, whole or in shards that are everything once."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.inputs import Need, Prompt
from harness.keys import code_key, prompt_key
from harness.planning import Shard, everything, plan
from harness.store import MemoryStore, Store
from harness.store.unpacking import import_pack
from interp_tests import command
from interp_tests.command import enter
from interp_tests.project import make_project
from interp_tests.test_packs import rows_of
from interp_tests.test_planning import Shelf, subject

TEXTS = st.lists(st.text(max_size=6), min_size=1, max_size=30, unique=True)


def keys_in(groups):
    return [key for group in groups for reading in group.readings for key, _ in reading.prompts]


@given(texts=TEXTS, count=st.integers(1, 7), data=st.data())
def test_shards_are_disjoint_complete_and_stable(texts, count, data):
    """Every missing prompt is in one shard, the same whatever else is asked for, in any order, or held already."""
    one = subject("one")
    prompts = tuple(map(Prompt, texts))
    held = {(code_key(one), prompt_key(p)) for p in data.draw(st.sets(st.sampled_from(prompts)))}
    shards = [Shard(number + 1, count) for number in range(count)]
    parts = [keys_in(plan([Need(one, prompts)], Shelf(held), shard).groups) for shard in shards]
    assert sorted(key for part in parts for key in part) == sorted(
        keys_in(plan([Need(one, prompts)], Shelf(held)).groups)
    )
    some = data.draw(st.permutations(prompts))[: data.draw(st.integers(1, len(prompts)))]
    for shard, part in zip(shards, parts, strict=True):
        again = keys_in(plan([Need(one, tuple(some))], Shelf(held), shard).groups)
        assert set(again) == set(part) & {prompt_key(prompt) for prompt in some}


def test_shards_share_the_work():
    """Of 400 prompts no one of four shards gets all, or none: 100 each, give or take 5 standard deviations."""
    need = Need(subject("one"), tuple(Prompt(f"prompt {i}") for i in range(400)))
    sizes = [sum(reading.size for reading in everything([need], Shard(i, 4))) for i in (1, 2, 3, 4)]
    assert sum(sizes) == 400
    assert all(57 <= size <= 143 for size in sizes)


def test_a_shard_keeps_residuals_of_its_own_prompts_and_counts_its_own():
    """What a shard wants and holds is told of the shard, not of everything."""
    prompts = tuple(Prompt(f"prompt {i}") for i in range(40))
    made = [plan([Need(subject("one"), prompts, residuals=True)], Shelf(), Shard(i, 2)) for i in (1, 2)]
    for one in made:
        (reading,) = one.groups[0].readings
        assert reading.residuals == {key for key, _ in reading.prompts}
        assert one.wanted["one"] == len(reading.prompts)
    assert sum(one.wanted["one"] for one in made) == 40


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3", "1 / 2", "²/3"])
def test_a_shard_that_is_none_is_refused(text):
    """i from 1 to n, in plain digits; 1/1 is everything."""
    with pytest.raises(ValueError, match="is no shard"):
        Shard.parse(text)
    assert (Shard.parse("1/1"), str(Shard.parse("2/3"))) == (Shard(), "2/3")


SUITE = """\
- {id: a, feature: 827, activation: {prompts: color, median: {at_least: .01}}}
- {id: b, feature: 3, fire_rate: {prompts: plain, rate: {at_least: .01}}}
- {id: c, feature: 3, promotes: {tokens: [" red"]}}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project in the current folder, on a machine without a GPU."""
    made = make_project(tmp_path / "repo", tmp_path / "evidence.sqlite")
    enter(made, monkeypatch)
    return made


@pytest.fixture
def interp(capsys):
    """interp(*args) -> (exit code, the JSON document or None, standard error)."""

    def run(*args):
        code, out, err = command.interp(capsys, *args, "--json")
        return code, json.loads(out) if out else None, err

    return run


def test_two_shards_merged_are_the_evidence_of_one_machine(project, interp, tmp_path, monkeypatch):
    """Bit by bit, from two stores by way of two packs; and then nothing is left to read."""
    project.suite("first", SUITE)
    merged = MemoryStore()
    for part in ("1/2", "2/2"):
        monkeypatch.setenv("INTERP_STORE", str(tmp_path / f"shard{part[0]}.sqlite"))
        (told,) = interp("warm", "--shard", part)[1]["subjects"]
        assert (told["held"], told["lacking"]) == (0, 0)
        assert 0 < told["wanted"] < 18
        pack = tmp_path / f"{part[0]}.pack"
        assert interp("store", "export", str(pack))[1]["lacking"] == {"tiny": 18 - told["wanted"]}
        shared = {"1/2": 0, "2/2": 1}  # the sample of the weights is both shards'
        assert import_pack(pack, merged).held == shared[part]
    monkeypatch.setenv("INTERP_STORE", str(tmp_path / "whole.sqlite"))
    assert interp("warm")[0] == 0
    with contextlib.closing(Store(tmp_path / "whole.sqlite")) as whole:
        assert rows_of(merged) == rows_of(whole)
    (told,) = interp("warm")[1]["subjects"]
    assert (told["wanted"], told["held"], told["lacking"]) == (18, 18, 0)


def test_what_cannot_be_read_is_told(project, interp):
    """3 where weights are missing, and where all is another machine's; 0 where some is; 2 for a broken suite."""
    one = "- {id: a, feature: 1, activation: {prompts: color, median: {at_least: .01}}}"
    project.suite("missing", one, subjects="gone")
    project.suite("elsewhere", one, subjects="tiny-gpu")
    project.suite("first", one)
    project.suite("wrong", "- {id: a, feature: 1, activates: {prompts: color}}")
    code, told, _ = interp("warm", "specs/missing.yaml")
    assert (code, told["subjects"][0]["lacking"], "weights_missing" in told["subjects"][0]["faults"][0]) == (3, 8, True)
    code, told, _ = interp("warm", "specs/elsewhere.yaml")
    assert (code, told["subjects"][0]["left"], told["subjects"][0]["faults"]) == (3, True, [])
    code, told, _ = interp("warm", "specs/elsewhere.yaml", "specs/first.yaml")
    assert (code, {s["subject"]: s["lacking"] for s in told["subjects"]}) == (0, {"tiny-gpu": 8, "tiny": 0})
    code, told, err = interp("warm", "specs/wrong.yaml")
    assert (code, told, "activates" in err) == (2, None, True)
    assert interp("warm", "specs/first.yaml", "--shard", "5/4")[0] == 2


def test_with_mutate_what_mutants_read_is_read_too(project, interp):
    """The subjects made for mutants are read under --mutate only; a second time they are held."""
    project.suite("first", "- {id: a, feature: 1, fires_more: {prompts: color, than: plain}}")
    plain = {s["subject"] for s in interp("warm")[1]["subjects"]}
    told = interp("warm", "--mutate")[1]["subjects"]
    assert plain == {"tiny"}
    assert len(told) > 1
    assert all(s["lacking"] == 0 for s in told)
    assert all(s["held"] == s["wanted"] for s in interp("warm", "--mutate")[1]["subjects"])
