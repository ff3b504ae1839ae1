"""The training text: documents of the tiny world, and Python's standard library (PSF licence), from one seed.

Short documents of one topic, documents that mix topics (without them a feature can mean "this kind of document"),
code, and docstrings. The standard library is that of the Python that runs the build: the card names it.
"""

from __future__ import annotations

import ast
import random
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from harness.zoo.tiny_gemma2 import lexicon
from harness.zoo.tiny_gemma2.frames import TOPICS

N_TOPIC, N_MIXED, N_SINGLE = 9_000, 9_000, 16_000
CODE_CHARS, PROSE_CHARS = 1_900_000, 1_000_000
HELD_OUT_EVERY = 20
ONE_LINE = 0.6  # share of the library's pieces that are single lines, as prompts are


def documents(seed: int = 0) -> list[str]:
    """All training documents, shuffled; the same list for the same seed and Python."""
    random_ = random.Random(seed)
    texts = [*_world(random_), *_chunks(_code(), CODE_CHARS, random_), *_chunks(_docstrings(), PROSE_CHARS, random_)]
    random_.shuffle(texts)
    return texts


def split(seed: int = 0) -> tuple[list[str], list[str]]:
    """(training documents, held-out documents); every twentieth is held out."""
    texts = documents(seed)
    held_out = texts[::HELD_OUT_EVERY]
    return [t for i, t in enumerate(texts) if i % HELD_OUT_EVERY], held_out


def sentence(random_: random.Random, topic: str) -> str:
    """One sentence of a topic, with words drawn for its slots."""
    frames, category = TOPICS[topic]
    frame = random_.choice(frames)
    parts = frame.replace("}", "{").split("{")  # text and slots take turns
    words = (_word(random_, part, category) if i % 2 else part for i, part in enumerate(parts))
    text = _with_plurals("".join(words))
    return _with_article(text[0].upper() + text[1:])


def _word(random_: random.Random, slot: str, category: str) -> str:
    modifiers = {"number": lexicon.NUMBER, "color": lexicon.COLOR}.get(category, lexicon.PLAIN)
    nouns = {"animal": lexicon.ANIMAL, "object": lexicon.OBJECT, "person": lexicon.PERSON}.get(category)
    everything = lexicon.ANIMAL + lexicon.OBJECT + lexicon.PERSON
    words = {
        "n": lexicon.NUMBER,
        "c": lexicon.COLOR,
        "p": lexicon.PLAIN,
        "m": modifiers,
        "a": lexicon.ANIMAL,
        "o": lexicon.OBJECT,
        "h": lexicon.PERSON,
        "x": nouns or everything,
        "l": lexicon.PLACE,
        "t": lexicon.ABSTRACT,
        "v": lexicon.ACTION,
        "d": lexicon.ADVERB,
        "s": lexicon.SPATIAL + lexicon.SPATIAL_PHRASES,
    }[slot]
    return random_.choice(words)


def _with_plurals(text: str) -> str:
    wrong = "|".join(word + "s" for word in lexicon.PLURALS)
    return re.sub(rf"\b({wrong})\b", lambda found: lexicon.PLURALS[found[1][:-1]], text)


def _with_article(text: str) -> str:
    words = text.split(" ")
    pairs = zip(words, [*words[1:], ""], strict=True)
    return " ".join(w + "n" if w in ("a", "A") and after[:1] in "aeiou" and after else w for w, after in pairs)


def _world(random_: random.Random) -> Iterator[str]:
    topics = list(TOPICS)
    for _ in range(N_TOPIC):
        topic = random_.choice(topics)
        yield " ".join(sentence(random_, topic) for _ in range(random_.randint(2, 5)))
    for _ in range(N_MIXED):
        yield " ".join(sentence(random_, random_.choice(topics)) for _ in range(random_.randint(2, 5)))
    for _ in range(N_SINGLE):
        yield sentence(random_, random_.choice(topics))


def _library() -> list[Path]:
    folder = Path(sysconfig.get_paths()["stdlib"])
    skip = {"test", "tests", "idlelib", "site-packages", "lib2to3", "pydoc_data", "encodings", "__pycache__"}
    files = (p for p in folder.rglob("*.py") if not skip & set(p.relative_to(folder).parts))
    return sorted(files, key=lambda p: p.relative_to(folder).as_posix())


def _code() -> Iterator[str]:
    for path in _library():
        text = path.read_text(encoding="utf-8", errors="replace")
        yield from (block.strip("\n") for block in text.split("\n\n") if 20 < len(block) < 1200)


def _docstrings() -> Iterator[str]:
    for path in _library():
        try:
            tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                yield from (" ".join(p.split()) for p in text.split("\n\n") if len(p.split()) > 6)


def _chunks(texts: Iterator[str], limit: int, random_: random.Random) -> list[str]:
    """A seeded choice of texts of about `limit` characters in all; one-line snippets stand beside whole blocks."""
    all_texts = sorted(set(texts))
    random_.shuffle(all_texts)
    chosen, length = [], 0
    for text in all_texts:
        lines = [line.strip() for line in text.split("\n") if len(line.strip()) > 12]
        chosen.append(random_.choice(lines or [text]) if random_.random() < ONE_LINE else text)
        length += len(chosen[-1])
        if length > limit:
            break
    return chosen
