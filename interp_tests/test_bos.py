"""How a subject's texts begin, from its files: what its tokenizer does by itself, where its SAE has it otherwise."""

import json

import pytest

from harness.bos import bos_note, tokenizer_bos
from harness.language.references import Folder
from harness.language.subjects import load_subjects
from interp_tests.command import interp
from interp_tests.planted import Planted
from interp_tests.tiny_random import edit_json, make_tokenizer


@pytest.fixture
def project(tmp_path, monkeypatch):
    made = Planted(tmp_path / "repo")
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "cache"))
    return made


def bare(project):
    """A tokenizer with a BOS token that it does not add, as GPT-2's."""
    make_tokenizer(bos=False).save_pretrained(project.root / "zoo/model")


def tokenless(project):
    """A tokenizer without a BOS token, as Qwen's."""
    tokenizer = make_tokenizer(bos=False)
    tokenizer.bos_token = None
    tokenizer.save_pretrained(project.root / "zoo/model")
    edit_json(project.root / "zoo/model/tokenizer_config.json", bos_token=None)


def note(project):
    project.write()
    (subject,) = load_subjects(Folder(project.root)).subjects.values()
    return bos_note(subject)


@pytest.mark.parametrize("bos", [True, False])
def test_the_files_say_what_the_tokenizer_does(tmp_path, bos):
    """The same as the tokenizer that transformers makes of them."""
    from transformers import AutoTokenizer

    from harness.capture.tokens import begins_with_bos

    make_tokenizer(bos).save_pretrained(tmp_path)
    real = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer_bos(tmp_path) == (real.bos_token is not None, begins_with_bos(real)) == (True, bos)


def test_where_files_disagree_or_are_silent_nothing_is_said(tmp_path):
    """`add_bos_token` against the post-processor: the class decides. No file, no object, no key: unknown."""
    assert tokenizer_bos(tmp_path) == (None, None)
    make_tokenizer(True).save_pretrained(tmp_path)
    edit_json(tmp_path / "tokenizer_config.json", add_bos_token=False)
    assert tokenizer_bos(tmp_path) == (True, None)
    (tmp_path / "tokenizer.json").write_text("[]")
    assert tokenizer_bos(tmp_path) == (True, None)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": {"content": "<s>"}}))
    assert tokenizer_bos(tmp_path) == (True, None)


def test_a_sequence_of_processors_is_looked_into(tmp_path):
    """Llama 3's tokenizer puts BOS in the second of two."""
    make_tokenizer(True).save_pretrained(tmp_path)
    rules = json.loads((tmp_path / "tokenizer.json").read_text())["post_processor"]
    edit_json(tmp_path / "tokenizer.json", post_processor={"type": "Sequence", "processors": [{}, rules]})
    assert tokenizer_bos(tmp_path) == (True, True)


def test_every_disagreement_is_one_line(project):
    """Between the SAE, the tokenizer and the subject; nothing where they agree or nobody says."""
    assert note(project) == ""
    project.says(prepend_bos=True)
    assert note(project) == ""
    bare(project)
    by_training = "tiny: texts begin with BOS, by its SAE's training; its tokenizer by itself adds none"
    assert note(project) == by_training
    tokenless(project)
    assert note(project) == (
        "tiny: texts begin without BOS, by its SAE's training; its SAE was trained with it and its tokenizer has no"
        " BOS token"
    )
    project.says(prepend_bos=False)
    assert note(project) == ""
    make_tokenizer(True).save_pretrained(project.root / "zoo/model")
    assert note(project) == "tiny: texts begin without BOS, by its SAE's training; its tokenizer by itself adds it"
    project.subject |= {"bos": "prepend", "read_otherwise": {"bos": "to compare"}}
    assert note(project) == "tiny: texts begin with BOS, by `bos: prepend`; its SAE was trained without it"


def test_doctor_says_it(project, capsys):
    """One line in text, a key of the subject in JSON."""
    project.says(prepend_bos=True)
    bare(project)
    line = note(project)
    assert line in interp(capsys, "doctor")[1]
    (subject,) = json.loads(interp(capsys, "doctor", "--json")[1])["subjects"]
    assert subject["bos"] == line


@pytest.mark.parametrize(("trained", "how"), [(True, "with"), (False, "without")])
def test_the_record_says_how_texts_begin(project, trained, how):
    """Where the SAE decides it: no warning, a line of the record."""
    project.says(prepend_bos=trained)
    bare(project)
    edit_json(project.root / "zoo/model/config.json", model_type="gemma2")
    (record,) = project.judged()
    assert record.verdict.details["bos"] == [f"texts of tiny begin {how} BOS, as SAE tiny was trained"]
    assert not record.verdict.warnings
