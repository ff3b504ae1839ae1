"""From a suite to its specs: names, subjects, features, what is carried, and what stays standing."""

import textwrap

import pytest

from harness.errors import Source
from harness.language.specs import load
from harness.spec import Broken, Spec
from interp_tests.language_root import HEAD, codes_of, copy_root, load_suite, specs_of

CLAIM = "fires_more: {prompts: color, than: others}"


def suite(*entries, head=HEAD):
    return (
        head
        + "expect:\n"
        + "".join(textwrap.indent(e.strip("\n"), "    ").replace("    ", "  - ", 1) + "\n" for e in entries)
    )


def ids(items):
    return [item.id for item in items]


def test_one_entry_is_one_spec_with_everything_that_stands_beside_it(tmp_path):
    """Each key beside the kind arrives in the spec or in its claim."""
    entry = f"""
id: a
why: because
feature: 3
pool: last
special_tokens: counted
alpha: .01
severity: warn
xfail: known
owner: me
family: colors
q: .1
tags: [warm]
discovered_on: [prompts/words.yaml#number, prompts/code.txt]
{CLAIM}
"""
    (spec,) = specs_of(tmp_path, "tags: [color]\n" + suite(entry))
    assert (spec.id, spec.suite, spec.kind, spec.features) == ("suite::a", "suite", "fires_more", (3,))
    assert (spec.claim.pool, spec.claim.special_tokens, spec.claim.scope) == ("last", "counted", "population")
    assert (spec.claim.alpha, spec.severity, spec.xfail, spec.owner) == (0.01, "warn", "known", "me")
    assert (spec.why, spec.family, spec.q, spec.tags) == ("because", "colors", 0.1, ("color", "warm"))
    assert len(spec.discovered_on) == 8
    assert {role: (s.name, len(s)) for role, s in spec.sets.items()} == {
        "prompts": ("color", 5),
        "than": ("others", 10),
    }


def test_a_claim_of_its_own_prompts_only_says_so(tmp_path):
    """scope: sample arrives in the claim; a family, which needs a p, cannot have it beside it."""
    (spec,) = specs_of(tmp_path, suite(f"id: a\nfeature: 3\nscope: sample\n{CLAIM}"))
    assert spec.claim.scope == "sample"
    assert codes_of(tmp_path, suite(f"id: a\nfeature: 3\nscope: sample\nfamily: f\n{CLAIM}")) == ["no_p"]


def test_the_text_of_a_spec_is_its_lines_and_nothing_of_the_next(tmp_path):
    """Failure texts show the claim as it was written, without what follows it."""
    first = f"id: a\nfeature: 3\n{CLAIM}  # with a remark"
    specs = specs_of(tmp_path, suite(first, f"id: b\nfeature: 4\n{CLAIM}") + "\n# the end\n")
    assert specs[0].text == f"- id: a\n  feature: 3\n  {CLAIM}  # with a remark"
    assert specs[1].text == f"- id: b\n  feature: 4\n  {CLAIM}"
    assert specs[0].source == Source("specs/suite.yaml", 6, 5)


def test_several_subjects_and_features_are_several_tests(tmp_path):
    """Suffixes name the subject and the feature exactly where there are several."""
    head = HEAD.replace("[small]", "[small, other]")
    entries = [f"id: a\nfeatures: [1, 2]\n{CLAIM}", f"id: b\nfeature: 1\nsubjects: [other]\n{CLAIM}"]
    assert ids(specs_of(tmp_path, suite(*entries, head=head))) == [
        "suite::a-small-f1", "suite::a-small-f2", "suite::a-other-f1", "suite::a-other-f2", "suite::b",
    ]  # fmt: skip


def test_together_is_one_test_of_several_features(tmp_path):
    """`together` judges the features as one claim."""
    (spec,) = specs_of(tmp_path, suite(f"id: a\nfeatures: [1, 2]\ntogether: any\n{CLAIM}"))
    assert (spec.id, spec.features, spec.together) == ("suite::a", (1, 2), "any")


def test_a_claim_about_the_best_feature_names_itself(tmp_path):
    """`<kind>-<prompts>`, and the sets that the feature is chosen on; a given id wins."""
    best = "feature: {best: {prompts: prompts/words.yaml#number, than: prompts/words.yaml#animal, by: rate}}"
    claim = "fires_more: {prompts: prompts/words.yaml#color, than: prompts/code.txt}"
    unnamed, named = specs_of(tmp_path, suite(f"{best}\n{claim}", f"id: a\n{best}\n{claim}"))
    assert (unnamed.id, named.id) == ("suite::fires_more-prompts-words.yaml-color", "suite::a")
    assert (unnamed.best.by, len(unnamed.best.prompts), unnamed.features) == ("rate", 5, ())


def test_one_wrong_spec_leaves_the_others_standing(tmp_path):
    """A mistake in one spec breaks that spec; its neighbours load, in their places."""
    items = load_suite(
        tmp_path, suite(f"id: a\nfeature: 1\n{CLAIM}", f"id: b\nfeature: x\n{CLAIM}", f"id: c\nfeature: 2\n{CLAIM}")
    ).items
    assert [(i.id, isinstance(i, Broken)) for i in items] == [
        ("suite::a", False),
        ("suite::b", True),
        ("suite::c", False),
    ]


def test_a_wrong_file_is_one_broken_item_beside_the_other_files(tmp_path):
    """What a whole file shares is wrong: one item for it, and the other files' specs load."""
    specs = copy_root(tmp_path) / "specs"
    for name, text in {
        "a": suite(f"id: a\nfeature: 1\n{CLAIM}"),
        "b": "titel: x\n",
        "c/d": suite(f"id: a\nfeature: 1\n{CLAIM}"),
    }.items():
        (specs / name).parent.mkdir(exist_ok=True)
        (specs / f"{name}.yaml").write_text(text)
    (specs / "prompts" / "broken.yaml").unlink()
    (specs / "prompts" / "ring.yaml").unlink()
    (specs / "prompts" / "bad.jsonl").unlink()
    items = load(tmp_path).items
    assert ids(items) == ["a::a", "b", "c/d::a"]
    assert [isinstance(i, Broken) for i in items] == [False, True, False]


def test_shared_prompt_files_are_checked_though_no_suite_uses_them(tmp_path):
    """A mistake in specs/prompts/ is a red item of its own."""
    assert ids(load(copy_root(tmp_path)).items) == ["prompts/bad.jsonl", "prompts/broken", "prompts/ring"]


def test_loading_twice_and_naming_files_in_any_order_give_the_same_specs(tmp_path):
    """Every worker collects the same list; a suite's specs do not depend on what was loaded before it."""
    specs = copy_root(tmp_path) / "specs"
    for name in ("x", "y"):
        (specs / f"{name}.yaml").write_text(suite(f"id: a\nfeatures: [1, 2]\n{CLAIM}"))
    once, again = load(tmp_path).items, load(tmp_path).items
    assert ids(once) == ids(again)
    good = [i for i in once if isinstance(i, Spec)]
    assert good == [i for i in again if isinstance(i, Spec)]
    backwards = load(tmp_path, [specs / "y.yaml", specs / "x.yaml"]).items
    assert sorted(ids(backwards)) == ids(good)
    assert {i.id: i for i in backwards} == {i.id: i for i in good}


def test_a_changed_claim_is_another_spec(tmp_path):
    """The equality above can fail: one digit in a bound makes the specs unequal."""
    texts = [
        suite(f"id: a\nfeature: 1\nfires_more: {{prompts: color, than: others, auroc: {{at_least: {x}}}}}")
        for x in (0.9, 0.8)
    ]
    (one,), (other,) = (specs_of(tmp_path, text) for text in texts)
    assert one != other


def test_paths_choose_files_and_folders(tmp_path):
    """A folder stands for the suites in it; a file for itself, a prompt file for its mistakes."""
    specs = copy_root(tmp_path) / "specs"
    (specs / "sub").mkdir()
    for name in ("a", "sub/b"):
        (specs / f"{name}.yaml").write_text(suite(f"id: a\nfeature: 1\n{CLAIM}"))
    assert ids(load(tmp_path, [specs / "sub"]).items) == ["sub/b::a"]
    assert ids(load(tmp_path, [specs / "sub", specs / "a.yaml", specs / "a.yaml"]).items) == ["sub/b::a", "a::a"]
    assert ids(load(tmp_path, [specs / "prompts" / "broken.yaml"]).items) == ["prompts/broken"]
    assert load(tmp_path, [specs / "prompts" / "words.yaml"]).items == ()


def test_a_subject_of_another_place_is_resolved(tmp_path):
    """`over: {subject: ...}` is another subject whose evidence is needed."""
    entry = "id: a\nreconstruction: {prompts: color, fvu: {over: {subject: other}, at_most: .05}}"
    (spec,) = specs_of(tmp_path, suite(entry))
    assert spec.others["other"].sae.d_sae == 2048
    assert {need.subject.name for need in spec.needs()} == {"small", "other"}


def test_a_corpus_is_resolved_with_the_digest_of_its_file(tmp_path):
    """Evidence over a corpus is remembered under what its file says, so an edited file is another corpus."""
    text = suite("id: a\nreconstruction: {corpus: prose, fvu: {at_most: .2}}")
    (before,) = specs_of(tmp_path, text)
    file = tmp_path / "specs" / "prompts" / "prose.txt"
    assert before.corpora["corpus"].path == "specs/prompts/prose.txt"
    load_again = tmp_path / "specs" / "suite.yaml"
    file.write_text("Another text.\n")
    (after,) = load(tmp_path, [load_again]).items
    assert before.corpora["corpus"].digest != after.corpora["corpus"].digest


def test_features_are_checked_against_each_subject(tmp_path):
    """Feature 1024 exists in the wider SAE only."""
    assert codes_of(tmp_path, suite(f"id: a\nfeature: 1024\nsubjects: [other]\n{CLAIM}")) == []
    assert codes_of(tmp_path, suite(f"id: a\nfeature: 1024\nsubjects: [small]\n{CLAIM}")) == ["feature_out_of_range"]


def test_what_deserves_a_second_look_is_a_warning(tmp_path):
    """Unused sets, weights without a pin and a family that tests nothing are said, and break nothing."""
    text = suite(f"id: a\nfeature: 1\nfamily: f\nxfail: it does not\n{CLAIM}").replace(
        "expect:", "  spare: [x]\nexpect:", 1
    )
    loaded = load_suite(tmp_path, text)
    warnings = "\n".join(loaded.warnings)
    assert "the set 'spare' is not used by any claim" in warnings
    assert "not pinned, so other weights in their place would go unnoticed: model" in warnings
    assert "unnoticed: model small, SAE small-l3. `interp doctor --pin`" in warnings
    assert "3 models and SAEs not used here are not pinned: `interp doctor --pin`" in warnings
    assert warnings.count("not pinned") == 2, "one line for those of these claims, one for all others"
    assert "family 'f': every member is expected to be unmet" in warnings


def test_weights_without_a_pin_are_named_where_a_claim_uses_them(tmp_path):
    """Of a suite of both subjects one more model and SAE are named; the rest is counted."""
    warnings = "\n".join(load_suite(tmp_path, suite(f"id: a\nsubjects: [small, other]\nfeature: 1\n{CLAIM}")).warnings)
    assert "unnoticed: model small, model other, SAE small-l3, SAE other-l3. " in warnings
    assert "1 model or SAE that is not used here is not pinned" in warnings


@pytest.mark.parametrize("own", ["id: a", "id: a-small"])
def test_names_made_by_suffixes_do_not_collide(tmp_path, own):
    """A spec whose id is another's id with its suffix is a mistake; one with its own name is none."""
    head = HEAD.replace("[small]", "[small, other]")
    text = suite(f"id: a\nfeature: 1\n{CLAIM}", f"{own}\nsubjects: [small]\nfeature: 2\n{CLAIM}", head=head)
    assert codes_of(tmp_path, text) == (["duplicate_id"] if own == "id: a-small" else [])
