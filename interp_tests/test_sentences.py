"""The sentences of a corpus: how a text is cut, what is left out, and where it ends."""

import pytest

from harness.errors import SpecError
from harness.inputs import Corpus
from harness.language.subjects import corpus_sentences
from harness.sentences import sentences_of

FILE = """\
The red ball rolled away. It was never seen again! "Where is it?" asked the girl.
x = rows[0].split(".")
Values of 3.5 or more, e.g. those of Mr. brown, stay in one sentence.

Short.
It was never seen again!
"""


def texts(tmp_path, text, **limits):
    path = tmp_path / "corpus.txt"
    path.write_text(text, encoding="utf-8")
    corpus = Corpus("some", str(path), f"{text}{limits}", **limits)
    return [p.text for p in sentences_of(corpus).prompts]


def test_a_line_is_a_paragraph_or_one_sentence(tmp_path):
    """Cut at an end mark before a capital; a number, an abbreviation before a small letter and code are not cut."""
    assert texts(tmp_path, FILE) == [
        "The red ball rolled away.",
        "It was never seen again!",
        '"Where is it?" asked the girl.',
        'x = rows[0].split(".")',
        "Values of 3.5 or more, e.g. those of Mr. brown, stay in one sentence.",
    ]


def test_each_sentence_counts_once_and_a_rest_of_a_few_letters_not_at_all(tmp_path):
    """The last line is the second sentence again, and `Short.` is under a dozen characters."""
    assert texts(tmp_path, FILE).count("It was never seen again!") == 1
    assert texts(tmp_path, "Short.\nIt is long enough.\n") == ["It is long enough."]


def test_text_without_spaces_is_cut_at_its_own_full_stops(tmp_path):
    """Chinese and Japanese sentences end without a space."""
    assert texts(tmp_path, "今天的天气真的非常非常好啊。我们一起去公园里面散步吧！") == [
        "今天的天气真的非常非常好啊。",
        "我们一起去公园里面散步吧！",
    ]


def test_limits_are_four_characters_a_token(tmp_path):
    """Ten tokens a sentence cut it at 40 characters, between words; the corpus ends before its limit is exceeded."""
    long = "word " * 30
    assert [len(t) for t in texts(tmp_path, long, context_length=10)] == [39]
    lines = "\n".join(f"This is the sentence number {i}." for i in range(10, 90))
    assert len(texts(tmp_path, lines, token_limit=100)) == 400 // 31
    assert len(texts(tmp_path, lines)) == 80


@pytest.mark.parametrize(
    ("content", "words"), [(b"\xff\xfe broken bytes here", "UTF-8"), (b"no.\nnot.\n", "no sentence")]
)
def test_a_corpus_without_a_sentence_to_read_is_one_error(tmp_path, content, words):
    """The error names the file and what is wrong, before any model is read."""
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "bad.txt").write_bytes(content)
    (specs / "subjects.yaml").write_text("models: {}\nsaes: {}\nsubjects: {}\ncorpora:\n  bad: {path: bad.txt}\n")
    with pytest.raises(SpecError, match=words) as raised:
        corpus_sentences(tmp_path, "bad")
    assert raised.value.code == "corpus_unreadable"
    with pytest.raises(SpecError, match="bad"):
        corpus_sentences(tmp_path, "bed")
