"""`interp check --against`: a claim that measures something else under its old id needs a reason, like a lower bar."""

import pytest

from harness.baselines import claim_digest
from harness.language.specs import load
from harness.loosening import compared
from interp_tests.language_root import HEAD, copy_root

SUITE = (
    HEAD
    + """\
  animal: prompts/words.yaml#animal
  number: prompts/words.yaml#number
  found: [Red is a color., Blue is one too.]
  elsewhere: [Pink is a color., Grey is one too.]
  marked: {marks: true, prompts: ["The [[red]] ball.", "A [[blue]] cup.", "The [[white]] wall."]}
  drawn: {template: "The {color} {thing}.", color: [red, blue], thing: [ball, door]}
expect:
  - id: words
    feature: 1
    top_tokens: {prompts: [color, others], tokens: [red, green, blue], share: {at_least: .6}}
  - id: pattern
    feature: 1
    top_tokens: {prompts: [color, others], pattern: "re.*"}
  - id: keywords
    feature: 1
    beats_keywords: {prompts: color, than: others, and_diffmean: true}
  - id: holds
    feature: 1
    holds_under:
      prompts: color
      edits: [case, punctuation, typo, negation]
      relation: keeps_firing
      draws: 200
      pinned: [{prompt: The red door., edited: THE RED DOOR.}]
  - id: selects
    feature: 1
    selective: {prompts: color, than: others, level: .5}
  - id: more
    feature: 1
    discovered_on: found
    fires_more: {prompts: color, than: [animal, number]}
  - id: chosen
    feature: {best: {prompts: found, than: elsewhere, by: auroc}}
    fires_more: {prompts: color, than: others}
  - id: marked
    feature: 1
    fires_at: {prompts: marked}
  - id: drawn
    feature: 1
    fire_rate: {prompts: drawn}
  - id: corpus
    feature: 1
    density: {corpus: prose, rate: {at_most: .1}}
  - id: several
    features: [1, 2]
    together: all
    fire_rate: {prompts: color}
  - id: transferred
    feature: 1
    transfers: {to: seeing, prompts: color, as: stable}
"""
)
# What is changed in the suite: old text, new text, the claim, and the words that the listing must have.
CHANGED = {
    "more words": ("[red, green, blue]", "[red, green, blue, the, a, of]", "words", "tokens with the, a, of"),
    "other words": ("[red, green, blue]", "[red, green, the]", "words", "tokens without blue and with the"),
    "a wider pattern": ('pattern: "re.*"', 'pattern: "r.*"', "pattern", "pattern re.* -> r.*"),
    "words for a pattern": ('pattern: "re.*"', "tokens: [the]", "pattern", "pattern re.* -> left out"),
    "a rival dropped": (", and_diffmean: true", "", "keywords", "and_diffmean True -> False"),
    "fewer draws": ("draws: 200", "draws: 1", "holds", "draws 200 -> 1"),
    "another seed": ("draws: 200", "draws: 200\n      seed: 7", "holds", "seed 0 -> 7"),
    "edits dropped": ("[case, punctuation, typo, negation]", "[case]", "holds", "edits without punctuation, typo, neg"),
    "edits in another order": ("[case, punctuation,", "[punctuation, case,", "holds", "edits in another order"),
    "a counterexample dropped": (
        "      pinned: [{prompt: The red door., edited: THE RED DOOR.}]\n",
        "",
        "holds",
        "pinned without prompt='The red door.'",
    ),
    "a lower level": ("level: .5", "level: .05", "selects", "level 0.5 -> 0.05"),
    "any firing": (", level: .5", "", "selects", "level 0.5 -> left out"),
    "another pool": ("id: selects", "id: selects\n    pool: any", "selects", "pool max -> any"),
    "special tokens": ("id: selects", "id: selects\n    special_tokens: counted", "selects", "ignored -> counted"),
    "image tokens": ("id: selects", "id: selects\n    tokens: all", "selects", "tokens text -> all"),
    "another feature": ("id: selects\n    feature: 1", "id: selects\n    feature: 2", "selects", "feature 1 -> 2"),
    "another subject": ("id: selects", "id: selects\n    subjects: [other]", "selects", "subject small -> other"),
    "a set less": ("[animal, number]", "[animal]", "more", "than without 5 of 10 prompts ('Seven days.')"),
    "another set": ("{prompts: color, than: [an", "{prompts: found, than: [an", "more", "prompts without 5 of 5"),
    "other evidence held out": (
        "discovered_on: found",
        "discovered_on: elsewhere",
        "more",
        "discovered_on without 2 of",
    ),
    "prompts found on, fewer": ("found: [Red is a color., ", "found: [", "more", "discovered_on without 1 of 2"),
    "chosen otherwise": ("by: auroc", "by: mean", "chosen", "feature the best by auroc -> the best by mean"),
    "chosen on fewer": ("elsewhere: [Pink is a color., ", "elsewhere: [", "chosen", "best.than without 1 of 2 prompts"),
    "a mark moved": (
        "The [[red]] ball.",
        "The red [[ball]].",
        "marked",
        "prompts without 1 of 3 prompts ('The red ball.')",
    ),
    "prompts are units": ("thing: [ball, door]}", "thing: [ball, door], group: prompt}", "drawn", "without 4 of 4"),
    "a smaller corpus": ("corpus: prose", "corpus: less", "corpus", "corpus prose (sha256"),
    "more to choose from": ("features: [1, 2]", "features: [1, 2, 3]", "several", "feature with 3"),
    "another class": ("as: stable", "as: lost", "transferred", "transfers.as stable -> lost"),
    "a method that sees less": ("as: stable", "as: stable, method: ratio_of_means", "transferred", "method aligned ->"),
}
SAME = {
    "why": ("id: selects", "id: selects\n    why: because"),
    "owner": ("id: selects", "id: selects\n    owner: me"),
    "tags": ("id: selects", "id: selects\n    tags: [language]"),
    "a stricter bound": ("share: {at_least: .6}", "share: {at_least: .7}"),
    "a bound more": ("than: others, level: .5", "than: others, level: .5, recall: {at_least: .5}"),
    "keys in another order": ("prompts: color, than: others, level: .5", "level: .5, than: others, prompts: color"),
    "a default written out": ("id: selects", "id: selects\n    pool: max"),
    "a prompt more": ("found: [", "found: [Green is a color too., "),
    "a set more": ("[animal, number]", "[animal, number, elsewhere]"),
    "prompts in another order": ("[animal, number]", "[number, animal]"),
    "the same prompts by another name": ("prompts: color, than: [an", "prompts: prompts/words.yaml#color, than: [an"),
    "words of a slot more": ("color: [red, blue]", "color: [red, blue, green]"),
    "held-out evidence added": ("id: selects", "id: selects\n    discovered_on: found"),
}
CORPORA = "\n  less: {path: prompts/prose.txt, token_limit: 500}\n"


@pytest.fixture
def root(tmp_path):
    folder = copy_root(tmp_path)
    subjects = folder / "specs/subjects.yaml"
    subjects.write_text(subjects.read_text().rstrip() + CORPORA)
    return folder


def read(root, text):
    path = root / "specs/suite.yaml"
    path.write_text(text)
    return load(root, [path])


def listed(root, old, new, reason=""):
    before = read(root, SUITE)
    assert old in SUITE
    return list(compared(before, read(root, SUITE.replace(old, new).replace("expect:", f"{reason}expect:"))))


def test_the_suite_that_is_changed_is_right(root):
    """Every claim of it is read: one that is broken would be held against nothing."""
    assert [getattr(item, "errors", ()) for item in read(root, SUITE).items] == [()] * SUITE.count("- id:")


@pytest.mark.parametrize(("old", "new", "claim", "words"), CHANGED.values(), ids=CHANGED)
def test_what_is_measured_was_changed(root, old, new, claim, words):
    """The claim is listed once, by what was changed, and has no reason yet."""
    found = {one.id: one for one in listed(root, old, new)}
    one = found[f"suite::{claim}"]
    (what,) = one.what
    assert what.startswith("what is measured was changed (")
    assert words in what
    assert one.because == ""


@pytest.mark.parametrize(("old", "new"), SAME.values(), ids=SAME)
def test_what_is_not_told(root, old, new):
    """Words about the claim, stricter bars, and prompts that were only added need no reason."""
    assert listed(root, old, new) == []


def test_a_reason_stands_beside_the_claim(root, snapshot):
    """The same key as for a lower bar."""
    (one,) = listed(root, "level: .5}", "level: .05}\n    loosened_because: the level was a guess")
    assert one.because == "the level was a guess"
    assert one.to_dict()["message"] == snapshot


@pytest.mark.parametrize(("old", "new", "claim", "words"), CHANGED.values(), ids=CHANGED)
def test_what_a_baseline_is_held_against_changes_with_it(root, old, new, claim, words):
    """Nothing that is told has the digest of before, so a baseline and this listing see the same claim; the two that
    the digest leaves out are the subject, by name, and what was held out."""
    if words.startswith(("subject", "discovered_on")):
        return
    before, after = read(root, SUITE), read(root, SUITE.replace(old, new))
    was, now = ({item.id: item for item in one.items}[f"suite::{claim}"] for one in (before, after))
    assert claim_digest(was) != claim_digest(now)
