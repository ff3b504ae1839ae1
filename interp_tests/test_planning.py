"""The plan is made of what the selected specs need, less what the store has."""

import hashlib
from dataclasses import dataclass, field, replace

from harness.inputs import Corpus, ModelRef, Need, Prompt, SaeRef, Subject
from harness.keys import code_key, corpus_key, prompt_key
from harness.planning import Shard, everything, plan


@dataclass
class Shelf:
    """A store that knows keys only."""

    codes: set = field(default_factory=set)
    kept: set = field(default_factory=set)

    def have(self, code, keys):
        return {k for k in keys if (code, k) in self.codes}

    def have_residuals(self, code, keys):
        return {k for k in keys if (code, k) in self.kept}

    def have_promotions(self, code, rows):
        return {row for row in rows if (code, row) in self.codes}

    def have_sums(self, code, keys):
        return {k for k in keys if (code, k) in self.codes}


def subject(name, model="m", sae="s"):
    model_ref = ModelRef(model, "hub", f"org/{model}", "a" * 40, "d" * 64, "t" * 64)
    return Subject(name, model_ref, SaeRef(sae, "release", sae, "id", "e" * 64, 8, 16), "blocks.1.hook_resid_post")


A, B, C = Prompt("a red ball"), Prompt("a blue door"), Prompt("for i in range(3)")


def test_many_specs_on_the_same_prompts_read_them_once():
    """200 needs over two prompts are one group with two prompts."""
    made = plan([Need(subject("one"), (A, B))] * 200, Shelf())
    assert [g.n_prompts for g in made.groups] == [2]


def test_two_saes_on_one_model_share_its_load():
    """One group is one model load, whatever the number of SAEs that read it."""
    made = plan([Need(subject("one"), (A,)), Need(subject("two", sae="t"), (A, B))], Shelf())
    assert len(made.groups) == 1
    assert made.groups[0].n_prompts == 2


def test_two_models_are_two_groups():
    """Two models are never in memory together."""
    made = plan([Need(subject("one"), (A,)), Need(subject("two", model="n"), (A,))], Shelf())
    assert len(made.groups) == 2


def test_what_the_store_has_is_not_read_again():
    """A warm prompt leaves the plan; with all warm there is nothing to load."""
    one = subject("one")
    shelf = Shelf({(code_key(one), prompt_key(A))})
    made = plan([Need(one, (A, B))], shelf)
    assert [p for _, p in made.groups[0].readings[0].prompts] == [B]
    shelf.codes.add((code_key(one), prompt_key(B)))
    assert plan([Need(one, (A, B))], shelf).groups == ()


def test_marks_and_groups_are_not_part_of_what_is_read():
    """The same text with other marks or another template name is one prompt to read."""
    marked = Prompt(A.text, marks=((2, 5),), group="g")
    assert plan([Need(subject("one"), (A, marked))], Shelf()).groups[0].n_prompts == 1


def test_a_missing_residual_makes_a_warm_prompt_cold():
    """Codes are there, activations are wanted too: the prompt is read again, and says for which key."""
    one = subject("one")
    shelf = Shelf({(code_key(one), prompt_key(A))})
    reading = plan([Need(one, (A,), residuals=True)], shelf).groups[0].readings[0]
    assert reading.residuals == {prompt_key(A)}
    shelf.kept = {(code_key(one), prompt_key(A))}
    assert plan([Need(one, (A,), residuals=True)], shelf).groups == ()


def test_directions_alone_load_a_model_and_read_no_prompt():
    """A claim about a decoder direction asks for its row and the sample's, once each, and for nothing that is there."""
    one, shelf = subject("one"), Shelf()
    needs = [Need(one, features=(f,), grain="weights") for f in (3, 3, 4)]
    [group] = plan(needs, shelf).groups
    assert group.readings[0].promotions == ("sample", "3", "4")
    assert group.n_prompts == 0
    shelf.codes |= {(code_key(one), row) for row in ("sample", "3")}
    assert plan(needs, shelf).groups[0].readings[0].promotions == ("4",)
    assert plan(needs[:2], shelf).groups == ()


def test_the_plan_counts_what_is_wanted_and_what_is_held():
    """Distinct prompts of each subject, and how many the store has; subjects that need nothing more count, too."""
    one, two = subject("one"), replace(subject("two"), hook="blocks.2.hook_resid_post")
    shelf = Shelf({(code_key(one), prompt_key(p)) for p in (A, B)} | {(code_key(two), prompt_key(A))})
    made = plan([Need(one, (A, B)), Need(one, (A,)), Need(two, (A, B, C))], shelf)
    assert made.wanted == {"one": 2, "two": 3}
    assert made.warm == {"one": 2, "two": 1}
    assert [reading.subject for group in made.groups for reading in group.readings] == [two]


def test_a_corpus_is_read_once_and_not_again():
    """By its bytes and how it is cut: two claims share its sums, another cut is another one, one held is left out."""
    one = subject("one")
    prose = Corpus("prose", "prose.txt", "d" * 64)
    short = Corpus("prose", "prose.txt", "d" * 64, context_length=16)
    needs = [Need(one, grain="sums", corpus=corpus) for corpus in (prose, prose, short)]
    [group] = plan(needs, Shelf()).groups
    assert group.readings[0].corpora == ((corpus_key(prose), prose), (corpus_key(short), short))
    assert group.readings[0].subject == one
    shelf = Shelf({(code_key(one), corpus_key(prose))})
    assert plan(needs, shelf).groups[0].readings[0].corpora == ((corpus_key(short), short),)
    shelf.codes.add((code_key(one), corpus_key(short)))
    assert plan(needs, shelf).groups == ()


def test_a_store_is_asked_for_nothing_that_nobody_wants():
    """A plain claim about prompts costs one question: not for sums, activations or directions."""

    class Curt(Shelf):
        def have_sums(self, code, keys):
            raise AssertionError("nobody wants sums")

        have_residuals = have_promotions = have_sums

    assert plan([Need(subject("one"), (A,))], Curt()).groups[0].n_prompts == 1


def test_shards_part_prompts_corpora_and_rows_of_the_decoder_between_them():
    """Of all that is asked for each shard has its own, and no two the same; every reading has its subject's key."""
    one = subject("one")
    texts = tuple(Prompt(f"text {i}") for i in range(20))
    corpora = [Corpus(f"c{i}", f"c{i}.txt", f"{i:064}") for i in range(8)]
    needs = [Need(one, texts, residuals=True), *(Need(one, corpus=c, grain="sums") for c in corpora)]
    needs.append(Need(one, features=tuple(range(12)), grain="weights"))
    (whole,) = everything(needs)
    parts = [reading for n in (1, 2) for reading in everything(needs, Shard(n, 2))]
    assert {part.code_key for part in (whole, *parts)} == {code_key(one)}
    for of in (lambda r: {k for k, _ in r.prompts}, lambda r: {k for k, _ in r.corpora}, lambda r: set(r.promotions)):
        halves = [of(part) for part in parts]
        assert halves[0] | halves[1] == of(whole)
        assert not halves[0] & halves[1]
        assert all(key in Shard(n, 2) for n, half in zip((1, 2), halves, strict=True) for key in half)
        assert all(halves)


def test_a_shards_part_is_the_same_for_whoever_asks():
    """By the first 16 digits of the key's sha256: machines that run different versions must agree."""
    digits = {key: int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) for key in ("a", "b", "c", "d")}
    assert [[key in Shard(n, 3) for n in (1, 2, 3)] for key in digits] == [
        [number % 3 == n for n in range(3)] for number in digits.values()
    ]
