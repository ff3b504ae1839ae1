"""Which prompts are one independent piece of evidence: near copies, the prompts of a template, a declared group, words.

A prompt stands for its near copies; a template or a declared `group` counts with all of its prompts. Where both sides
of a comparison fill the same templates, the words are the units (docs/statistics.md).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.codes import Mask
from harness.heldout import Prompts, by_identity
from harness.inputs import Prompt
from harness.nearcopies import near_copies
from harness.sametext import same_text, shared_opening, shared_start
from harness.stats.units import (
    LEFT_OUT,
    Design,
    Filling,
    Grouping,
    Units,
    design_of,
    design_of_words,
    in_order_of_appearance,
)

Over = Literal["templates", "words"]
_LONGEST_FILLING = 3  # words, of a list in one frame
_Cell = tuple[str, str]


def grouping(prompts: Prompts, over: Over = "templates") -> Grouping:
    """The units of a set: declared groups, else templates (or their words, where a claim says `over: words`), else
    clusters of near copies."""
    return _by_word(prompts) if over == "words" else _by_template(prompts)


@by_identity
def _by_template(prompts: Prompts) -> Grouping:
    unit, loose = np.full(len(prompts), LEFT_OUT, np.int64), [i for i, p in enumerate(prompts) if not is_declared(p)]
    declared: dict[str | None, int] = {}
    for i, prompt in enumerate(prompts):
        if is_declared(prompt):
            unit[i] = declared.setdefault(prompt.group, len(declared))
    if loose:
        unit[loose] = len(declared) + near_copies([prompts[i] for i in loose], [prompts[i].group for i in loose])
    grouped = np.array([p.group is not None for p in prompts], bool)
    return Grouping(in_order_of_appearance(unit), _ranks(prompts), np.isin(unit, unit[grouped]))


@by_identity
def _by_word(prompts: Prompts) -> Grouping:
    slot = _slot_of_words(prompts)
    if slot is None:
        return _by_template(prompts)
    return Grouping(_words([_word(p, slot) for p in prompts]), _ranks(prompts), np.ones(len(prompts), bool))


def is_declared(prompt: Prompt) -> bool:
    """Whether somebody named the prompt's group: not the template that it was made from."""
    return prompt.group is not None and not (prompt.filled and prompt.group == prompt.filled[0].word)


def _ranks(prompts: Sequence[Prompt]) -> Units:
    """Which of several prompts stands for them: the lowest sha256 of the normalised text, [n]."""
    order = sorted(range(len(prompts)), key=lambda i: (_digest(prompts[i]), prompts[i].text, i))
    ranks = np.empty(len(prompts), np.int64)
    ranks[order] = np.arange(len(prompts))
    return ranks


def _digest(prompt: Prompt) -> bytes:
    picture = prompt.image.digest if prompt.image is not None else ""
    return hashlib.sha256(f"{same_text(prompt.text, prompt.code)}\0{picture}".encode()).digest()


# Words in frames -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shared:
    """Templates that both sides of a comparison fill. slot: whose fillings are the words. positive, negative: how."""

    slot: str
    positive: Filling
    negative: Filling


def design(
    positive: Prompts,
    negative: Prompts,
    over: Over = "templates",
    use_positive: Mask | None = None,
    use_negative: Mask | None = None,
) -> Design:
    """How two sets are compared: by word, where both sides fill the same templates, else by unit. use: [n] the prompts
    that can be used; all unless given."""
    shared = shared_frames(positive, negative)
    if shared is not None:
        return design_of_words(shared.positive, shared.negative, use_positive, use_negative)
    return design_of(grouping(positive, over), grouping(negative, over), use_positive, use_negative)


@by_identity
def shared_frames(positive: Prompts, negative: Prompts) -> Shared | None:
    """How both sides fill the same templates; None where they do not, or where somebody declared groups.

    The words are those of the slot whose fillings differ, the rest is the frame. Of several such slots the one with the
    fewest words is taken, since what is filled into the others is not shared; one prompt then stands for a word in a
    frame.
    """
    if not all(p.filled and not is_declared(p) for side in (positive, negative) for p in side):
        return None
    if _templates(positive) != _templates(negative):
        return None
    fillings = [_fillings(side) for side in (positive, negative)]
    differing = {slot for slot in fillings[0] if fillings[0][slot] != fillings[1].get(slot, frozenset())}
    apart = [slot for slot in sorted(differing) if fillings[0][slot].isdisjoint(fillings[1].get(slot, frozenset()))]
    slots = [slot for slot in apart if all(_has(p, slot) for side in (positive, negative) for p in side)]
    if not slots:
        return None
    slot = min(slots, key=lambda slot: min(len(one[slot]) for one in fillings))
    frames: dict[tuple[_Cell, ...], int] = {}
    return Shared(slot, *(_filling(side, slot, differing, frames) for side in (positive, negative)))


def _filling(side: Prompts, slot: str, differing: set[str], frames: dict[tuple[_Cell, ...], int]) -> Filling:
    frame = [tuple((f.slot, f.word) for f in p.filled if f.slot not in differing) for p in side]
    number = np.array([frames.setdefault(one, len(frames)) for one in frame], np.int64)
    return Filling(_words([_word(p, slot) for p in side]), number, _ranks(side))


def _templates(side: Prompts) -> set[str]:
    return {p.filled[0].word for p in side}


def _fillings(side: Prompts) -> dict[str, frozenset[str]]:
    """The words of each slot."""
    found: dict[str, set[str]] = defaultdict(set)
    for prompt in side:
        for one in prompt.filled[1:]:
            found[one.slot].add(same_text(one.word, prompt.code))
    return {slot: frozenset(words) for slot, words in found.items()}


def _has(prompt: Prompt, slot: str) -> bool:
    return any(one.slot == slot for one in prompt.filled[1:])


def _word(prompt: Prompt, slot: str) -> str:
    """What the prompt has in a slot."""
    return next(one.word for one in prompt.filled[1:] if one.slot == slot)


def _words(words: Sequence[str]) -> Units:
    """The unit of each word: "red", "Red" and near copies of a longer filling are one."""
    distinct = list(dict.fromkeys(words))
    cluster = dict(
        zip(distinct, near_copies([Prompt(word) for word in distinct], but_for_one_word=False).tolist(), strict=True)
    )
    return in_order_of_appearance(np.array([cluster[word] for word in words], np.int64))


def _slot_of_words(prompts: Prompts) -> str | None:
    """The slot that all templates of a set have, of several the one with the fewest words; None where there is none."""
    if not all(p.filled and not is_declared(p) for p in prompts):
        return None
    fillings = _fillings(prompts)
    slots = [slot for slot in fillings if all(_has(p, slot) for p in prompts)]
    return min(slots, key=lambda slot: len(fillings[slot]), default=None)


# What a reader should know -------------------------------------------------------------------------------------


@by_identity
def split_copies(prompts: Prompts) -> tuple[Prompt, Prompt] | None:
    """Two near copies that declared groups make two units of; None where there are none."""
    if not any(map(is_declared, prompts)):
        return None
    first: dict[int, Prompt] = {}
    for prompt, cluster in zip(prompts, near_copies(prompts).tolist(), strict=True):
        other = first.setdefault(cluster, prompt)
        if other.group != prompt.group:
            return other, prompt
    return None


@by_identity
def opening_of(prompts: Prompts) -> str:
    """The sentences that all prompts of a set begin with; "" where there are none."""
    texts = [p.text for p in prompts if p.image is None]
    return texts[0][: shared_opening(texts)].strip() if len(texts) == len(prompts) and texts else ""


def unit_name(prompts: Prompts, over: Over = "templates") -> str:
    """What the units of a set are called: prompts, templates, groups or words."""
    if over == "words" and _slot_of_words(prompts) is not None:
        return "words"
    return _declared_unit(prompts)


@by_identity
def _declared_unit(prompts: Prompts) -> str:
    if any(map(is_declared, prompts)):
        return "groups"
    return "templates" if any(p.group is not None for p in prompts) else "prompts"


def counted_in_words(prompts: Prompts, over: Over = "templates") -> str:
    """`24 prompts`, `24 prompts, 17 independent`, `20 prompts from 4 templates`, `20 prompts, 10 words in 2 frames`."""
    n, name = grouping(prompts, over).n, unit_name(prompts, over)
    head = f"{len(prompts)} prompt{'s' * (len(prompts) != 1)}"
    if n == len(prompts):
        return head
    shown = name if n != 1 else name.removesuffix("s")
    if name == "words":
        return f"{head}, {n} {shown} in {frames_in_words(count_frames(prompts))}"
    return f"{head}, {n} independent" if name == "prompts" else f"{head} from {n} {shown}"


def count_frames(prompts: Prompts) -> int:
    """The templates of a set, each with what is filled beside the words."""
    slot = _slot_of_words(prompts)
    return len({tuple((f.slot, f.word) for f in p.filled if f.slot != slot) for p in prompts})


def frames_in_words(n: int) -> str:
    """`1 frame`, `2 frames`."""
    return f"{n} frame{'s' * (n != 1)}"


def why_few(name: str, prompts: Prompts) -> str:
    """A sentence on near copies in a set, with the template form of a list in one frame; empty where there are none."""
    n = grouping(prompts).n
    if n == len(prompts) or unit_name(prompts) != "prompts":
        return ""
    all_alike = "are all near copies of one another" if n == 1 else f"are {n} independent ones"
    text = (
        f"The {len(prompts)} prompts of {name} {all_alike}: prompts that share half of their word pairs, all but one "
    )
    text += "word, or two words of three in the same places, count once."
    form = template_form(prompts)
    if form is None:
        return text
    return f"{text} Write a list in one frame as a template, on both sides, and its words are counted: {form}."


@by_identity
def words_of_slots(prompts: Prompts) -> frozenset[str]:
    """All words that fill the slots of templates; none where some prompt is written out."""
    if not all(p.filled for p in prompts):
        return frozenset()
    return frozenset(word for words in _fillings(prompts).values() for word in words)


def template_form(prompts: Prompts) -> str | None:
    """`{template: "The {word} was old.", word: [cat, dog, ...]}` for a list in one frame; None for another set."""
    if len(prompts) < 2 or any(p.filled or p.code or p.image is not None for p in prompts):
        return None
    texts = [tuple(p.text.split()) for p in prompts]
    begins = shared_start(texts)
    ends = shared_start([words[begins:][::-1] for words in texts])
    fillings = [" ".join(words[begins : len(words) - ends]) for words in texts]
    is_frame = begins + ends > 0 and all(fillings) and max(len(one.split()) for one in fillings) <= _LONGEST_FILLING
    if not is_frame or len(set(fillings)) < len(fillings):
        return None
    end = _common_end(fillings)
    text = " ".join([*texts[0][:begins], "{word}" + end, *texts[0][len(texts[0]) - ends :]])
    bare = [one[: len(one) - len(end)] for one in fillings]
    shown = ", ".join(bare[:3]) + (", ..." if len(bare) > 3 else "")
    return f'{{template: "{text}", word: [{shown}]}}'


def _common_end(words: Sequence[str]) -> str:
    """The punctuation that all words end with."""
    end = ""
    while all(len(word) > len(end) + 1 for word in words):
        last = {word[-len(end) - 1] for word in words}
        if len(last) > 1 or next(iter(last)).isalnum():
            break
        end = last.pop() + end
    return end
