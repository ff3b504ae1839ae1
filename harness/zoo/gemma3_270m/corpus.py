"""The corpus of the SAE: three domains, each with documents that training never sees.

code: modules of the standard library; held out: one module in fifteen.
prose: Jane Austen (held out: Northanger Abbey), WordNet's definitions and example sentences and the
Jargon File (held out: one document in fifteen).
templates: sentences of templates.py; held out: the frames of HELD_OUT.

No sentence of prose or templates, and no line of a comment or string in code, holds a word that
withheld.py names.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.zoo.gemma3_270m import sources, templates
from harness.zoo.gemma3_270m.withheld import clean, without_withheld

SEED = 20261123
DOMAINS = ("code", "prose", "templates")
HELD_OUT_NOVEL = "NORTHANGER ABBEY"
# How much of each kind. They set the mixture: 2.25 M tokens, 39 % code, 47 % prose, 14 % templates.
CODE_CHARACTERS = 3_200_000
AUSTEN_CHARACTERS = 2_000_000
DEFINITION_CHARACTERS = 1_500_000
TEMPLATE_DOCUMENTS = 11_000
HELD_OUT_TEMPLATE_DOCUMENTS = 900


@dataclass(frozen=True, slots=True)
class Split:
    """Documents that are trained on, and those held out."""

    train: list[str]
    held_out: list[str]


def build(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Write <domain>.jsonl and <domain>-held-out.jsonl under `folder`; domain -> both paths."""
    made = {"code": code, "prose": lambda: prose(folder / "packages"), "templates": template_sentences}
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for domain in DOMAINS:
        paths[domain] = (folder / f"{domain}.jsonl", folder / f"{domain}-held-out.jsonl")
        if not all(p.exists() for p in paths[domain]):
            split = made[domain]()
            _write(split.held_out, paths[domain][1])
            _write(split.train, paths[domain][0])
    return paths


def code() -> Split:
    """Modules, whole, up to CODE_CHARACTERS."""
    files = [(f.name, sources.python_source(f)) for f in sources.python_files()]
    split = _split((text for name, text in files if text), share=15)
    return Split(_up_to(split.train, CODE_CHARACTERS), _up_to(split.held_out, CODE_CHARACTERS // 15))


def prose(work: Path) -> Split:
    """Novels in documents of eight paragraphs, definitions by twelve, examples alone and by six, jargon entries."""
    novels = sources.austen(work)
    held_out = _by(novels.pop(HELD_OUT_NOVEL), 8, "\n\n")
    austen = [text for paragraphs in novels.values() for text in _by(paragraphs, 8, "\n\n")]
    definitions, examples = sources.wordnet(work)
    lines = clean(definitions)
    random.Random(SEED).shuffle(lines)
    sentences = [f"{text.rstrip('.!?')}." for text in clean(examples)]
    random.Random(SEED).shuffle(sentences)
    half = len(sentences) // 2
    short = _split([*sentences[:half], *_by(sentences[half:], 6, " ", cleaned=False)], share=15)
    entries = _split(map(without_withheld, sources.jargon(work)), share=15)
    defined = _split(_up_to(_by(lines, 12, "\n", cleaned=False), DEFINITION_CHARACTERS), share=15)
    return Split(
        [*_up_to(austen, AUSTEN_CHARACTERS), *short.train, *entries.train, *defined.train],
        [*_up_to(held_out, AUSTEN_CHARACTERS // 15), *short.held_out, *entries.held_out, *defined.held_out],
    )


def template_sentences() -> Split:
    """Sentences of trained frames, and of frames that training never sees."""
    return Split(
        clean(templates.documents(templates.TRAINED, TEMPLATE_DOCUMENTS, SEED)),
        clean(templates.documents(templates.HELD_OUT, HELD_OUT_TEMPLATE_DOCUMENTS, SEED + 1)),
    )


def _by(texts: list[str], size: int, joint: str, cleaned: bool = True) -> list[str]:
    """`texts` joined `size` at a time, less the sentences with withheld words."""
    parts = [without_withheld(t) for t in texts] if cleaned else texts
    return [joint.join(p for p in parts[i : i + size] if p) for i in range(0, len(parts), size)]


def _split(texts: Iterable[str], share: int) -> Split:
    """One in `share` held out, chosen by the text's own digest, so that it stays when others change."""
    kept = [t for t in texts if t]
    is_held = [int(hashlib.sha256(t.encode()).hexdigest(), 16) % share == 0 for t in kept]
    return Split(
        [t for t, held in zip(kept, is_held, strict=True) if not held],
        [t for t, held in zip(kept, is_held, strict=True) if held],
    )


def _up_to(texts: list[str], characters: int) -> list[str]:
    """A seeded choice of `texts` of about so many characters in all."""
    order = list(texts)
    random.Random(SEED).shuffle(order)
    chosen: list[str] = []
    for text in order:
        if characters <= 0:
            break
        chosen.append(text)
        characters -= len(text)
    return chosen


def _write(texts: list[str], path: Path) -> None:
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in texts), encoding="utf-8")
    part.replace(path)
