"""Prompt sets: what is written is what is read, in order, each prompt once."""

import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import Source, SpecError
from harness.inputs import Prompt
from harness.judging import before_running, warnings_of
from harness.language import sets
from harness.language.prompts import with_marks
from harness.language.sets import resolve_reference
from harness.language.specs import load
from harness.spec import Broken
from interp_tests.language_root import ROOT_OF_CASES, codes_of, copy_root, load_suite, prompts_of

WORDS = {
    "color": ["The red door.", "A green leaf.", "The blue cup.", "Yellow paint.", "A white wall."],
    "animal": ["The dog ran.", "A cat slept.", "The horse ate.", "Birds sang.", "A fish swam."],
}


def texts(prompts):
    return [p.text for p in prompts]


def test_a_list_is_its_texts_verbatim(tmp_path):
    """Nothing is stripped, unescaped or expanded: brackets and braces are text where the set says nothing."""
    given_texts = ["  two spaces", "[[red]] {x}", "tab\\t stays", "ends with #"]
    assert texts(prompts_of(tmp_path, str(given_texts).replace("'", '"').replace("\\\\", "\\\\"))) == given_texts


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("prompts/words.yaml#color", WORDS["color"]),
        ("prompts/words.yaml#!number", WORDS["color"] + WORDS["animal"]),
        ("{use: [prompts/words.yaml#animal, prompts/words.yaml#color]}", WORDS["animal"] + WORDS["color"]),
        ("prompts/code.txt", ["def f(x): return x", "# a comment is code too", "for i in range(3): print(i)"]),
    ],
)
def test_a_reference_is_the_prompts_of_its_file_in_order(tmp_path, definition, expected):
    """`#set`, `#!set`, several sets and a .txt file, whose blank lines are left out and whose # lines are not."""
    assert texts(prompts_of(tmp_path, definition)) == expected


def test_jsonl_holds_a_text_and_perhaps_a_group(tmp_path):
    """One prompt a line; `group` joins prompts into one unit."""
    path = copy_root(tmp_path) / "specs" / "prompts" / "lines.jsonl"
    path.write_text('{"text": "a\\nb", "group": "g"}\n\n{"group": null, "text": "c"}\n')
    assert prompts_of(tmp_path, "prompts/lines.jsonl") == (Prompt("a\nb", group="g"), Prompt("c"))


SPELLINGS = ["She saw three cups.", "she saw three cups.", "SHE SAW THREE CUPS.", "She  saw three cups."]


def suite_of(root, groups):
    """A set of four spellings, each with its group (None: of its own)."""
    path = copy_root(root) / "specs" / "prompts" / "cups.jsonl"
    lines = [json.dumps({"text": text, "group": group}) for text, group in zip(SPELLINGS, groups, strict=True)]
    path.write_text("\n".join(lines))
    return "subjects: [small]\nexpect:\n  - {id: a, feature: 1, fire_rate: {prompts: prompts/cups.jsonl}}\n"


@pytest.mark.parametrize(
    ("groups", "units"), [([None] * 4, 1), (["g", None, "g", "g"], 2), (["g", "h", "g", "h"], 2), (["g"] * 4, 1)]
)
def test_spellings_of_one_prompt_are_one_unit_unless_groups_say_otherwise(tmp_path, groups, units):
    """Both may be meant, so it is no mistake; but 4 of them are one of the 14 that a rate takes."""
    (spec,) = load_suite(tmp_path, suite_of(tmp_path, groups)).items
    assert before_running(spec).details["add"] == 14 - units


def test_groups_that_split_near_copies_warn(tmp_path, snapshot):
    """The claim is as its author wants it, and its reader is warned; groups that keep them together are fine."""
    (split,) = load_suite(tmp_path / "split", suite_of(tmp_path / "split", ["g", "h", "g", "h"])).items
    assert warnings_of(split) == snapshot
    (one,) = load_suite(tmp_path / "one", suite_of(tmp_path / "one", ["g"] * 4)).items
    assert warnings_of(one) == ()


@pytest.mark.parametrize(("other", "codes"), [("red  door", []), ("RED DOOR", ["overlapping_sets"])])
def test_the_two_sides_are_compared_exactly(tmp_path, other, codes):
    """Near copies on the two sides are matched pairs, the very same prompt is a slip."""
    folder = copy_root(tmp_path) / "specs" / "prompts"
    for name, text in (("loud", "RED DOOR"), ("low", other)):
        (folder / f"{name}.jsonl").write_text(json.dumps({"text": text}))
    claim = "fires_more: {prompts: prompts/loud.jsonl, than: prompts/low.jsonl}"
    assert codes_of(tmp_path, f"subjects: [small]\nexpect:\n  - {{id: a, feature: 1, {claim}}}\n") == codes


def test_txt_lines_keep_their_spaces_and_lose_only_the_line_break(tmp_path):
    """A carriage return is part of the line break; a form feed is part of the text."""
    path = copy_root(tmp_path) / "specs" / "prompts" / "spaces.txt"
    path.write_bytes(b"    return x  \r\na\x0cb\n \n")
    assert texts(prompts_of(tmp_path, "prompts/spaces.txt")) == ["    return x  ", "a\x0cb"]


def test_marks_are_offsets_into_the_text_without_brackets(tmp_path):
    """Each marked span is where its words stand once the brackets are gone."""
    (prompt,) = prompts_of(tmp_path, '{marks: true, prompts: ["The [[red]] ball on the [[green]] grass."]}')
    assert prompt.text == "The red ball on the green grass."
    assert [prompt.text[a:b] for a, b in prompt.marks] == ["red", "green"]


@given(st.lists(st.tuples(st.text("ab []", max_size=4), st.text("ab", min_size=1, max_size=3)), max_size=4))
def test_marking_and_unmarking_are_inverse(pieces):
    """Wrapping spans in brackets and reading them gives the text and the spans back."""
    clean = [(plain.replace("[", "(").replace("]", ")"), span) for plain, span in pieces]
    prompt = with_marks("".join(f"{plain}[[{span}]]" for plain, span in clean), Source("f"))
    assert prompt.text == "".join(plain + span for plain, span in clean)
    assert [prompt.text[a:b] for a, b in prompt.marks] == [span for _, span in clean]


@given(st.text("a[]", max_size=12))
def test_unbalanced_marks_are_the_only_mistake_of_marks(text):
    """Any text is read, or refused as bad_marks; what is read holds no mark any more."""
    prompt = code = None
    try:
        prompt = with_marks(text, Source("f"))
    except SpecError as error:
        code = error.code
    assert (prompt is None) == (code == "bad_marks")
    if prompt is not None:
        assert len(prompt.text) == len(text) - 4 * len(prompt.marks)
        assert all(a < b for a, b in prompt.marks)


def test_a_template_is_the_product_of_its_slots(tmp_path):
    """The last slot runs fastest, and each template takes the slots that it has."""
    definition = '{template: ["{a} {b}", "only {b}"], a: [x, y], b: [p, q, r]}'
    product = [f"{a} {b}" for a, b in itertools.product("xy", "pqr")]
    assert texts(prompts_of(tmp_path, definition)) == product + [f"only {b}" for b in "pqr"]


def test_prompts_of_one_template_are_one_unit_unless_the_set_says_otherwise(tmp_path):
    """`group: template` is the default, because prompts that share a template are not independent."""
    made = '{{template: ["A {{c}} hat", "A {{c}} coat"], c: [red, blue]{}}}'
    assert [p.group for p in prompts_of(tmp_path, made.format(""))] == ["A {c} hat"] * 2 + ["A {c} coat"] * 2
    assert [p.group for p in prompts_of(tmp_path, made.format(", group: prompt"))] == [None] * 4


def test_templates_hold_marks_and_literal_braces(tmp_path):
    """`{{` is a brace; marks may stand around a slot."""
    prompts = prompts_of(tmp_path, '{template: "{{[[{c}]]}}", c: [red, blue], marks: true}')
    assert texts(prompts) == ["{red}", "{blue}"]
    assert [p.marks for p in prompts] == [((1, 4),), ((1, 5),)]


def test_an_empty_word_leaves_a_slot_out(tmp_path):
    """`""` is a word of a slot; a prompt of nothing is none."""
    assert texts(prompts_of(tmp_path, '{template: "{a}ball", a: ["", "old "]}')) == ["ball", "old ball"]
    suite = 'subjects: [small]\nprompts: {mine: {template: "{a}", a: ["", b]}}\nexpect:\n'
    claim = "  - {id: a, feature: 1, fires_more: {prompts: mine, than: prompts/code.txt}}\n"
    assert codes_of(tmp_path, suite + claim) == ["empty_prompt"]


def test_truncate_is_carried_by_each_prompt(tmp_path):
    """A prompt is cut only where its set says so."""
    assert all(p.truncate for p in prompts_of(tmp_path, "{use: prompts/code.txt, truncate: true}"))
    assert not any(p.truncate for p in prompts_of(tmp_path, "{use: prompts/code.txt}"))


def test_a_link_out_of_specs_is_refused(tmp_path):
    """A file that is only linked into specs/ is outside of it."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret\n")
    (copy_root(tmp_path) / "specs" / "prompts" / "link.txt").symlink_to(secret)
    suite = "subjects: [small]\nprompts: {mine: prompts/link.txt}\nexpect:\n"
    claim = "  - {id: a, feature: 1, fires_more: {prompts: mine, than: prompts/code.txt}}\n"
    assert codes_of(tmp_path, suite + claim) == ["outside_specs"]


def test_the_command_line_takes_local_files_and_suites_do_not(tmp_path):
    """allow_local reads any .txt; without it a path outside specs/ is a mistake."""
    local = tmp_path / "mine.txt"
    local.write_text("one\ntwo\n")
    assert texts(resolve_reference(ROOT_OF_CASES, str(local), allow_local=True).prompts) == ["one", "two"]
    with pytest.raises(SpecError, match="outside_specs"):
        resolve_reference(ROOT_OF_CASES, str(local))


def test_a_local_yaml_with_one_set_needs_no_name(tmp_path):
    """Where nothing else can be meant, the set need not be named; with several it must."""
    local = tmp_path / "mine.yaml"
    local.write_text("prompts: {a: [x, y]}\n")
    assert texts(resolve_reference(ROOT_OF_CASES, str(local), allow_local=True).prompts) == ["x", "y"]
    local.write_text("prompts: {a: [x, y], b: [z]}\n")
    with pytest.raises(SpecError, match=re.escape("mine.yaml#a")):
        resolve_reference(ROOT_OF_CASES, str(local), allow_local=True)


def test_the_command_line_reads_shared_sets_too():
    """The same reference means the same prompts as in a suite."""
    found = resolve_reference(ROOT_OF_CASES, "prompts/words.yaml#color", allow_local=True)
    assert texts(found.prompts) == WORDS["color"]
    assert found.name == "prompts/words.yaml#color"


TWO = "subjects: [small]\n{prompts}expect:\n  - {{id: a, feature: 1, fires_more: {{prompts: {one}, than: {other}}}}}\n"
FILES = {"one": "prompts/words.yaml#color", "other": "prompts/words.yaml#animal"}


def loaded_together(root, *suites):
    """The sets of each suite's first claim, all read by one load."""
    copy_root(root)
    paths = [root / f"specs/{n}.yaml" for n in range(len(suites))]
    for path, text in zip(paths, suites, strict=True):
        path.write_text(text)
    return [item.sets for item in load(root, paths).items]


def test_a_set_of_a_file_is_one_for_all_suites(tmp_path):
    """It is read and checked once: the suites hold the very same prompts."""
    mine, yours = loaded_together(tmp_path, TWO.format(prompts="", **FILES), TWO.format(prompts="", **FILES))
    assert mine["prompts"] is yours["prompts"]


def test_a_suites_own_set_is_its_own(tmp_path):
    """Two suites that call different texts by one name."""
    own = [f'prompts: {{mine: ["{text} ball.", "More of {text}."]}}\n' for text in ("Red", "Blue")]
    suites = [TWO.format(prompts=one, one="mine", other=FILES["other"]) for one in own]
    red, blue = loaded_together(tmp_path, *suites)
    assert texts(red["prompts"].prompts) == ["Red ball.", "More of Red."]
    assert texts(blue["prompts"].prompts) == ["Blue ball.", "More of Blue."]
    assert red["than"] is blue["than"]


def test_a_set_that_changed_is_read_again_by_the_next_load(tmp_path):
    """What is shared ends with the load: `check --watch` loads after every save."""
    suite = TWO.format(prompts="", **FILES)
    (before,) = loaded_together(tmp_path, suite)
    path = tmp_path / "specs/prompts/words.yaml"
    path.write_text(path.read_text().replace("The red door.", "The scarlet door."))
    (after,) = [item.sets for item in load(tmp_path, [tmp_path / "specs/0.yaml"]).items]
    assert texts(before["prompts"].prompts)[0] == "The red door."
    assert texts(after["prompts"].prompts)[0] == "The scarlet door."


def test_shared_sets_count_against_the_budget_of_each_file(tmp_path, monkeypatch):
    """Whether a file holds too many prompts does not depend on the files that were read before it."""
    monkeypatch.setattr(sets, "MAX_PROMPTS_OF_A_FILE", 4)
    more = "  - {id: b, feature: 1, fires_more: {prompts: prompts/words.yaml#number, than: prompts/words.yaml#color}}\n"
    suite = TWO.format(prompts="", **FILES) + more
    copy_root(tmp_path)
    paths = [tmp_path / f"specs/{n}.yaml" for n in range(2)]
    for path in paths:
        path.write_text(suite)
    found = [[e.code for e in item.errors] for item in load(tmp_path, paths).items if isinstance(item, Broken)]
    assert found == 2 * [["too_many_prompts"], ["too_many_prompts"]]
    assert [type(item) for item in load(tmp_path, paths[1:]).items] == [Broken, Broken]
