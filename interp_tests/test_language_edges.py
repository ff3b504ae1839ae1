"""White space at the edges of texts, and texts that a comma cut in two."""

import json

import pytest

from harness.language.specs import load

SUBJECTS = """\
models: {m: {path: zoo/m}}
saes: {s: {path: zoo/s, d_in: 8, d_sae: 16, hook: blocks.0.hook_resid_post}}
subjects: {t: {model: m, sae: s, dtype: float32, device: cpu}}
"""
COLOR = [f"The red ball rolled {i} times." for i in range(8)]
PLAIN = [f"He painted house number {i}." for i in range(8)]


def loaded(root, prompts, files=None):
    specs = root / "specs"
    specs.mkdir(parents=True, exist_ok=True)
    (specs / "subjects.yaml").write_text(SUBJECTS)
    for name, text in (files or {}).items():
        (specs / name).write_text(text)
    (specs / "one.yaml").write_text(
        f"title: one\nsubjects: [t]\nprompts:\n{prompts}"
        "expect:\n  - {id: a, feature: 3, fires_more: {prompts: a, than: b}}\n"
    )
    return load(root)


def lines(items, block=""):
    """A YAML list, its items in quotes, or each as a block of this sign."""
    return "".join(f"    - {block}\n      {one}\n" if block else f"    - {json.dumps(one)}\n" for one in items)


def codes(found):
    return [error.code for item in found.items for error in getattr(item, "errors", ())]


@pytest.mark.parametrize("sign", ["|", ">"])
def test_a_block_of_one_line_is_a_mistake_that_names_the_line(tmp_path, sign):
    """Each such text, with the sign that takes the break off; with that sign there is nothing to say."""
    found = loaded(tmp_path, f"  a:\n{lines(COLOR, sign)}  b:\n{lines(PLAIN)}")
    errors = [error for item in found.items for error in item.errors]
    assert [error.code for error in errors] == ["trailing_break"] * 8
    assert errors[0].source.line == 5
    assert f"write `{sign}-` for `{sign}`, or {json.dumps(COLOR[0])}" in errors[0].message
    clean = loaded(tmp_path, f"  a:\n{lines(COLOR, sign + '-')}  b:\n{lines(PLAIN)}")
    assert codes(clean) == []
    assert clean.notes == ()


def test_code_of_several_lines_may_end_in_a_line_break(tmp_path):
    """Where all of its set and of the other one do; where only one set does, a line says so."""
    code = "    - |\n      if x:\n          return {}\n"
    same = loaded(tmp_path, f"  a:\n{code.format(1)}{code.format(2)}  b:\n{code.format(3)}{code.format(4)}")
    assert (codes(same), same.notes) == ([], ())
    apart = loaded(tmp_path, f"  a:\n{code.format(1)}{code.format(2)}  b:\n{lines(PLAIN)}")
    assert codes(apart) == []
    (note,) = apart.notes
    assert "edge_spaces: the texts of a end with white space and those of b do not" in note
    assert note in apart.warnings
    mixed = loaded(tmp_path, f"  a:\n{code.format(1)}{lines(COLOR)}  b:\n{lines(PLAIN)}")
    assert codes(mixed) == ["trailing_break"]


@pytest.mark.parametrize(("text", "what"), [("The red ball ", "end"), (" The red ball", "begin"), ("Tab\t", "end")])
def test_some_texts_with_white_space_at_an_edge_are_one_line(tmp_path, text, what):
    """Counted, with the place of the first."""
    found = loaded(tmp_path, f"  a:\n{lines([*COLOR, text])}  b:\n{lines(PLAIN)}")
    (note,) = found.notes
    assert note.startswith(f"specs/one.yaml:13:7: edge_spaces: 1 of the 9 texts of 'a' {what} with white space: ")


@pytest.mark.parametrize(
    ("edit", "what"),
    [("{} ", "end"), ("{}\u200b", "end"), ("{}\u00a0", "end"), (" {}", "begin"), ("\u2060{}", "begin")],
)
def test_one_set_with_white_space_at_an_edge_against_another_without_is_one_line(tmp_path, edit, what):
    """All of its texts have it, so that the set alone says nothing; signs that nobody sees are tokens, too."""
    found = loaded(tmp_path, f"  a:\n{lines([edit.format(text) for text in COLOR])}  b:\n{lines(PLAIN)}")
    assert any(
        f"edge_spaces: the texts of a {what} with white space and those of b do not" in one for one in found.notes
    )


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_files_of_lines_are_verbatim_and_looked_at(tmp_path, name):
    """A trailing space is said; indentation is code's own."""

    def text(each):
        return "\n".join(each if name == "a.txt" else [json.dumps({"text": one}) for one in each]) + "\n"

    prompts = f"  a: {name}\n  b:\n{lines(PLAIN)}"
    spaced = loaded(tmp_path, prompts, {name: text([*COLOR, "The end. "])})
    assert [note.partition(": edge_spaces: ")[2][:18] for note in spaced.notes] == ["1 of the 9 texts o"]
    indented = loaded(tmp_path, prompts, {name: text([*COLOR, "    return x"])})
    assert (codes(indented), indented.notes) == ([], ())


def test_slots_may_begin_and_end_with_spaces(tmp_path):
    """What counts is the text that a template makes."""
    drawn = '  a:\n    template: "{start}the red ball{end}"\n    start: ["", "She saw "]\n    end: [".", " in May."]\n'
    found = loaded(tmp_path, f"{drawn}  b:\n{lines(PLAIN)}")
    assert (codes(found), found.notes) == ([], ())
    open_ended = loaded(tmp_path, f"{drawn.replace('in May.', 'in May. ')}  b:\n{lines(PLAIN)}")
    assert "2 of the 4 texts of 'a' end with white space" in open_ended.notes[0]


@pytest.mark.parametrize(
    ("written", "split"),
    [
        ("[After lunch, the red ball rolled., He left.]", "the red ball rolled."),
        ("[He left., In May, she came back.]", "she came back."),
        ("[It cost 1, 000 dollars., He left.]", "000 dollars."),
        ("[He left,she stayed.]", "she stayed."),
    ],
)
def test_a_comma_that_splits_a_text_is_said(tmp_path, written, split):
    """With the place, both parts, and how to write it."""
    found = loaded(tmp_path, f"  a: {written}\n  b:\n{lines(PLAIN)}")
    assert codes(found) == []
    (note,) = found.notes
    assert f"comma_split: {split!r} looks like the rest of" in note
    assert note.startswith("specs/one.yaml:4:")


@pytest.mark.parametrize(
    "written",
    [
        "[red ball, blue hat, green tree]",
        '["After lunch", "the red ball rolled."]',
        "[The dog ran., the cat sat.]",
        "[Paris, London, Rome]",
        "\n    - After lunch, the red ball rolled.\n    - he left",
    ],
)
def test_lists_that_say_what_they_mean_are_left_alone(tmp_path, written):
    """Phrases in lower case, quotes, sentences that ended, a block list."""
    found = loaded(tmp_path, f"  a: {written}\n  b:\n{lines(PLAIN)}")
    assert (codes(found), found.notes) == ([], ())


def test_words_of_a_slot_are_words(tmp_path):
    """`[Red, blue]` is two colors."""
    drawn = '  a:\n    template: "A {color} ball."\n    color: [Red, blue]\n'
    assert loaded(tmp_path, f"{drawn}  b:\n{lines(PLAIN)}").notes == ()


def test_a_colon_or_a_hash_in_brackets_is_a_mistake(tmp_path):
    """`Note: this` is a mapping there, and ` #` begins a remark."""
    assert codes(loaded(tmp_path, f"  a: [Note: this is red, He left]\n  b:\n{lines(PLAIN)}")) == ["not_text"]
    assert codes(loaded(tmp_path, f"  a: [He left, use #1\n    ]\n  b:\n{lines(PLAIN)}")) == ["text_after_hash"]
