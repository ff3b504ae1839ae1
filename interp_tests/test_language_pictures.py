"""Sets of pictures, and how a set says that it is read."""

import os
from pathlib import Path

import pytest

from interp_tests.language_root import codes_of, copy_root, load_suite, specs_of

CLAIM = "expect:\n  - {id: a, feature: 1, fires_more: {prompts: mine, than: prompts/words.yaml#number}}\n"


def pictures_of(root: Path, definition: str):
    """The prompts of a set of a subject that reads pictures."""
    text = f"subjects: [seeing]\nprompts:\n  mine: {definition}\n{CLAIM}"
    return specs_of(root, text)[0].sets["prompts"].prompts


def test_a_folder_gives_its_sub_folders_pictures_in_order(tmp_path):
    """Sorted, so many of each; the caption names the sub-folder, other files are left out."""
    found = pictures_of(tmp_path, '{folder: images/shapes, caption: "A {folder} thing.", per_folder: 2}')
    assert [(p.image.path, p.text) for p in found] == [
        ("specs/images/shapes/round/0.png", "A round thing."),
        ("specs/images/shapes/round/1.png", "A round thing."),
        ("specs/images/shapes/square/0.png", "A square thing."),
        ("specs/images/shapes/square/1.png", "A square thing."),
    ]
    assert len({p.image.digest for p in found}) == 4
    assert not any(p.is_causal for p in found), "pictures are read both ways unless a set says otherwise"


def test_a_folder_without_sub_folders_is_its_own(tmp_path):
    """One class of pictures needs no folder around it."""
    found = pictures_of(tmp_path, '{folder: images/shapes/round, caption: "{folder}, {name}"}')
    assert [p.text for p in found] == ["round, 0", "round, 1", "round, 2"]


def test_single_pictures_keep_their_order(tmp_path):
    """As listed, not sorted."""
    found = pictures_of(
        tmp_path,
        "{images: [images/shapes/square/1.png, images/shapes/round/0.png], caption: A thing., attention: causal}",
    )
    assert [p.image.path for p in found] == ["specs/images/shapes/square/1.png", "specs/images/shapes/round/0.png"]
    assert all(p.is_causal for p in found)


def test_one_caption_on_many_pictures_is_no_repetition(tmp_path):
    """A prompt is its picture and its text; the same picture twice is one prompt twice."""
    assert len(pictures_of(tmp_path, "{folder: images/shapes, caption: A thing.}")) == 6
    twice = "{images: [images/shapes/round/0.png, images/shapes/round/0.png], caption: A thing.}"
    assert codes_of(tmp_path, f"subjects: [seeing]\nprompts:\n  mine: {twice}\n{CLAIM}") == ["duplicate_prompt"]


def test_pictures_on_both_sides_are_a_slip_and_other_captions_are_not(tmp_path):
    """Overlap is overlap of pictures with their texts."""
    sides = "subjects: [seeing]\nprompts:\n  a: {folder: images/shapes, caption: A thing.}\n"
    sides += "  b: {folder: %s, caption: %s}\n"
    claim = "expect:\n  - {id: a, feature: 1, tokens: image, fires_more: {prompts: a, than: b}}\n"
    assert codes_of(tmp_path, sides % ("images/shapes/round", "A thing.") + claim) == ["overlapping_sets"]
    assert codes_of(tmp_path, sides % ("images/shapes/round", "Nothing.") + claim) == []


def test_how_a_set_is_read_can_be_said_at_the_set_and_at_the_claim(tmp_path):
    """`{use: color, attention: prefix}` where a claim names a set; `chat:` where the set stands."""
    text = (
        "subjects: [seeing]\nprompts:\n  turns: {use: prompts/words.yaml#color, chat: user}\n"
        "expect:\n  - id: a\n    feature: 1\n"
        "    fires_more: {prompts: turns, than: {use: prompts/words.yaml#number, attention: prefix}}\n"
    )
    sets = specs_of(tmp_path, text)[0].sets
    assert {p.chat for p in sets["prompts"].prompts} == {"user"}
    assert {(p.attention, p.is_causal) for p in sets["than"].prompts} == {("prefix", False)}
    assert {
        (p.chat, p.attention) for p in specs_of(tmp_path, text.replace(", chat: user", ""))[0].sets["prompts"].prompts
    } == {(None, None)}


@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_link_out_of_specs_is_refused(tmp_path, target):
    """Neither a linked picture nor a linked folder leads to a stranger's file."""
    root = copy_root(tmp_path / "repo")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.png").write_bytes(b"secret")
    link = root / "specs/images" / ("link" if target == "folder" else "link.png")
    os.symlink(outside if target == "folder" else outside / "a.png", link)
    definition = "{folder: images/link" if target == "folder" else "{images: images/link.png"
    text = f"subjects: [seeing]\nprompts:\n  mine: {definition}, caption: A thing.}}\n{CLAIM}"
    assert codes_of(tmp_path / "repo", text) == ["outside_specs"]


def test_a_linked_picture_inside_a_folder_is_left_out(tmp_path):
    """A folder set takes what lies in it, not what it points to."""
    root = copy_root(tmp_path / "repo")
    (tmp_path / "a.png").write_bytes(b"secret")
    os.symlink(tmp_path / "a.png", root / "specs/images/shapes/round/0a.png")
    found = pictures_of(root, "{folder: images/shapes/round, caption: A thing.}")
    assert [Path(p.image.path).name for p in found] == ["0.png", "1.png", "2.png"]


def test_a_transfer_reads_pictures_by_the_adapted_subject_only(tmp_path):
    """The base may be text-only; the same pictures for a claim of its own are refused."""
    text = (
        "subjects: [small]\nprompts:\n  mine: {folder: images/shapes, caption: A thing.}\n"
        "expect:\n  - id: a\n    feature: 1\n"
        "    transfers: {to: seeing, prompts: prompts/words.yaml#color, images: mine, as: new_vision}\n"
    )
    assert not [i for i in load_suite(tmp_path, text).items if hasattr(i, "errors")]
    assert codes_of(
        tmp_path, f"subjects: [small]\nprompts:\n  mine: {{folder: images/shapes, caption: A.}}\n{CLAIM}"
    ) == ["text_only_subject"]
