"""The claims of benchmarks/false_green.py on toy codes: each design with its truth, for all kinds that it fits."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from planted import (
    WORDS,
    Side,
    copies,
    corpus_of,
    evidence_of,
    firing,
    framed,
    frames_of,
    on_any_token,
    on_one_token,
    sentence,
    sentences,
    shared,
)
from scipy.special import ndtri

from harness.codes import Floats
from harness.expectations import kinds
from harness.expectations.evidence import Evidence
from harness.inputs import Prompt, PromptSet
from harness.promotion import Promotions
from harness.stats.auroc import auroc_of_all

Truth = Literal["false", "bound", "true", "attack"]
Sides = dict[str, Side]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One evidence and the features that are claimed on it. discovery: where `best` chooses, whose sets it names."""

    evidence: Evidence
    features: Sequence[int]
    discovery: Evidence | None = None
    found_elsewhere: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """One claim of known truth.

    truth: `false` (the claim is false), `bound` (the truth lies on the bound, so that a green is false too), `true`
    (its greens are the power), or `attack` (a claim that no reader should be shown as green). size: of the sets, in
    words. make: an evidence of d features. fields, settings: what stands inside the kind, and beside it.
    """

    kind: str
    design: str
    truth: Truth
    size: str
    make: Callable[[Generator, int], Drawn]
    fields: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    d: int = 80
    evidences: int = 1


def all_of(sides: Sides, **mse: Floats) -> Drawn:
    """Every feature of these sides is one draw."""
    d = next(iter(sides.values())).dense.shape[1]
    return Drawn(evidence_of(sides, **mse), range(d))


def pair(n: tuple[int, int], rates: tuple[float, float], shift: float = 0.0) -> Callable[[Generator, int], Drawn]:
    """Two sets of sentences of their own, fired on at these rates; the first by exp(shift) stronger."""

    def make(rng: Generator, d: int) -> Drawn:
        positive, negative = (sentences(rng, [10] * k) for k in n)
        return all_of(
            {
                "prompts": on_one_token(rng, positive, firing(rng, n[0], d, rates[0], shift)),
                "than": on_one_token(rng, negative, firing(rng, n[1], d, rates[1])),
            }
        )

    return make


SIZES = ((3, 3), (5, 5), (8, 8), (10, 10), (10, 40), (20, 20), (24, 168), (60, 60))
RATES = (1.0, 0.42, 0.1)


def shift_for(auroc: float) -> float:
    """How much stronger a normal score must be to have this AUROC."""
    return float(np.sqrt(2) * ndtri(auroc))


def vs(n: tuple[int, int]) -> str:
    return f"{n[0]} v {n[1]}"


# --- two sets ---------------------------------------------------------------------------------------------------------


def independent() -> Iterator[Case]:
    """Sentences of their own, and features that do not know the sets."""
    for n, rate in itertools.product(SIZES, RATES):
        make = pair(n, (rate, rate))
        for low in (0.51, 0.7):
            yield Case("fires_more", "independent null", "false", vs(n), make, {"auroc": {"at_least": low}})
        yield Case("selective", "independent null", "false", vs(n), make, {"precision": {"at_least": 0.8}})
        if n in SIZES[3:6]:
            yield Case("distinguishes", "independent null", "false", vs(n), make, {"top": 5}, d=100, evidences=1)
    for n in SIZES[1:6]:
        make = pair(n, (0.42, 0.42))
        yield Case("beats_keywords", "independent null", "false", vs(n), make, d=25)


def on_the_bound() -> Iterator[Case]:
    """The AUROC is the bound itself, in strength or in rate; so is the precision."""
    for n, low in itertools.product(SIZES[1:], (0.6, 0.7, 0.8)):
        fields = {"auroc": {"at_least": low}}
        yield Case("fires_more", "truth on the bound", "bound", vs(n), pair(n, (1, 1), shift_for(low)), fields)
        spread = 2 * (low - 0.5)
        for base in (0.02, (1 - spread) / 2, 0.98 - spread):
            yield Case("fires_more", "truth on the bound", "bound", vs(n), pair(n, (base + spread, base)), fields)
    for n, scale in itertools.product(((12, 12), (24, 24), (24, 168), (60, 60)), (0.2, 0.1, 0.025)):
        make = pair(n, (4 * scale, scale))
        yield Case("selective", "truth on the bound", "bound", vs(n), make, {"precision": {"at_least": 0.8}})


def true_effects() -> Iterator[Case]:
    """Features of known AUROC or precision over the bound: greens are the power."""
    for n, auroc in itertools.product(((10, 10), (20, 20), (24, 168)), (0.85, 0.9, 0.95, 0.99)):
        fields = {"auroc": {"at_least": 0.7}}
        make = pair(n, (1, 1), shift_for(auroc))
        yield Case("fires_more", f"true AUROC {auroc:g}, bound .7", "true", vs(n), make, fields)
    for n in ((10, 10), (20, 20), (24, 168)):
        make = pair(n, (0.9, 0.1))
        yield Case("fires_more", "true AUROC 0.9 by rate, bound .7", "true", vs(n), make, {"auroc": {"at_least": 0.7}})
    for n in ((12, 12), (24, 24), (24, 168)):
        make = pair(n, (0.95, 0.05))
        yield Case("selective", "true precision .95, bound .8", "true", vs(n), make, {"precision": {"at_least": 0.8}})
    for n in ((10, 10), (20, 20), (24, 168)):
        yield Case("distinguishes", "true AUROC 0.95 of 5 in 100", "true", vs(n), planted_among(n), {"top": 10})
        yield Case("beats_keywords", "fires on a topic without keywords", "true", vs(n), pair(n, (0.95, 0.05)), d=25)


def planted_among(n: tuple[int, int]) -> Callable[[Generator, int], Drawn]:
    """Five features of AUROC .95; the others do not know the sets."""

    def make(rng: Generator, d: int) -> Drawn:
        positive, negative = (sentences(rng, [10] * k) for k in n)
        shift = np.where(np.arange(d) < 5, shift_for(0.95), 0.0)
        strong = firing(rng, n[0], d) * np.exp(shift)
        sides = {
            "prompts": on_one_token(rng, positive, strong),
            "than": on_one_token(rng, negative, firing(rng, n[1], d)),
        }
        return Drawn(evidence_of(sides), range(5))

    return make


def near_copies() -> Iterator[Case]:
    """A few sentences, each with copies in which one word is another; a copy mostly has its sentence's value."""
    for clusters, each, rate in itertools.product((3, 5, 8, 12), (4, 8), (1.0, 0.42)):
        size = f"{clusters} x {each} v {clusters} x {each}"

        def make(rng: Generator, d: int, clusters: int = clusters, each: int = each, rate: float = rate) -> Drawn:
            sides = {}
            for role in ("prompts", "than"):
                prompts, cluster = copies(rng, clusters, each)
                sides[role] = on_one_token(rng, prompts, shared(rng, cluster, d, rate))
            return all_of(sides)

        for low in (0.51, 0.7):
            yield Case("fires_more", "near copies", "false", size, make, {"auroc": {"at_least": low}})
        yield Case("selective", "near copies", "false", size, make, {"precision": {"at_least": 0.8}})
        if each == 4 and rate == 1:
            yield Case("distinguishes", "near copies", "false", size, make, {"top": 5})
            yield Case("beats_keywords", "near copies", "false", size, make, d=25)


def words_in_frames() -> Iterator[Case]:
    """Both sides fill the same frames with words of their own; a word has one effect in every frame."""
    for words, frames, same in itertools.product((1, 2, 3, 5, 10), (2, 5, 8), (0.5, 0.9)):
        size = f"{words} v {words} words in {frames} frames"

        def make(rng: Generator, d: int, words: int = words, frames: int = frames, same: float = same) -> Drawn:
            chosen = rng.choice(WORDS, 2 * words, replace=False)
            texts = frames_of(rng, frames)
            sides = {}
            for role, mine in (("prompts", chosen[:words]), ("than", chosen[words:])):
                cluster = [k for _ in texts for k in range(words)]
                pooled = shared(rng, cluster, d, 0.6, same)
                sides[role] = on_one_token(rng, framed(texts, list(mine)), pooled)
            return all_of(sides)

        for low in (0.51, 0.7):
            yield Case("fires_more", "words in shared frames", "false", size, make, {"auroc": {"at_least": low}})
        if same == 0.9:
            yield Case("selective", "words in shared frames", "false", size, make, {"precision": {"at_least": 0.8}})


def own_templates() -> Iterator[Case]:
    """Each side is made from templates of its own, which decide the value more than the words do."""
    for templates, words in itertools.product((2, 4, 6, 10), (5, 10)):
        size = f"{templates} templates x {words} words a side"

        def make(rng: Generator, d: int, templates: int = templates, words: int = words) -> Drawn:
            sides = {}
            for role in ("prompts", "than"):
                prompts = framed(frames_of(rng, templates), list(rng.choice(WORDS, words, replace=False)))
                cluster = [t for t in range(templates) for _ in range(words)]
                sides[role] = on_one_token(rng, prompts, shared(rng, cluster, d, 0.6))
            return all_of(sides)

        for low in (0.51, 0.7):
            yield Case("fires_more", "templates of each side", "false", size, make, {"auroc": {"at_least": low}})
        yield Case("selective", "templates of each side", "false", size, make, {"precision": {"at_least": 0.8}})


def lengths() -> Iterator[Case]:
    """Tokens fire alike in both sets and only lengths differ: max favours the longer, mean the shorter."""
    mixed = [60] * 11 + [10] * 13
    plans = {
        "14 against 10 tokens": ([14] * 24, [10] * 24),
        "20 against 10": ([20] * 24, [10] * 24),
        "60 against 10": ([60] * 12, [10] * 12),
        "11 of 24 at 60, others 10": (mixed, [10] * 24),
    }
    for (size, (long, short)), rate in itertools.product(plans.items(), (0.05, 0.3)):

        def make(rng: Generator, d: int, long: list[int] = long, short: list[int] = short, rate: float = rate) -> Drawn:
            return all_of(
                {
                    "prompts": on_any_token(rng, sentences(rng, long), d, rate),
                    "than": on_any_token(rng, sentences(rng, short), d, rate),
                }
            )

        for low in (0.51, 0.7):
            yield Case("fires_more", "longer prompts", "false", size, make, {"auroc": {"at_least": low}})
    for (size, (long, short)), low in itertools.product(plans.items(), (0.51, 0.7)):

        def once(rng: Generator, d: int, long: list[int] = long, short: list[int] = short) -> Drawn:
            a, b = sentences(rng, short), sentences(rng, long)
            return all_of(
                {
                    "prompts": on_one_token(rng, a, firing(rng, len(a), d, sigma=0.3)),
                    "than": on_one_token(rng, b, firing(rng, len(b), d, sigma=0.3)),
                }
            )

        fields = {"auroc": {"at_least": low}}
        yield Case("fires_more", "shorter prompts, pool mean", "false", size, once, fields, {"pool": "mean"})


def keywords() -> Iterator[Case]:
    """The sets differ by three words, and the feature is those words with some noise: it beats no list of them."""
    for n in ((10, 10), (20, 20), (24, 60)):

        def make(rng: Generator, d: int, n: tuple[int, int] = n) -> Drawn:
            listed = rng.choice(WORDS, 3, replace=False)
            sides = {}
            for role, k, share in (("prompts", n[0], 0.9), ("than", n[1], 0.1)):
                has = rng.random(k) < share
                words = [sentence(rng).split() for _ in range(k)]
                for i in np.flatnonzero(has):
                    words[i][4] = str(rng.choice(listed))
                prompts = tuple(Prompt(" ".join(one)) for one in words)
                flipped = has[:, None] ^ (rng.random((k, d)) < 0.05)
                sides[role] = on_one_token(rng, prompts, np.where(flipped, firing(rng, k, d), 0.0))
            return all_of(sides)

        yield Case("beats_keywords", "a list of three words", "false", vs(n), make, d=25)


# --- one set ----------------------------------------------------------------------------------------------------------


def one(n: int, rate: float, shift: float = 0.0, **more: float) -> Callable[[Generator, int], Drawn]:
    """One set of sentences; in `more`, the rate of each further role on 20 sentences."""

    def make(rng: Generator, d: int) -> Drawn:
        sides = {"prompts": on_one_token(rng, sentences(rng, [10] * n), firing(rng, n, d, rate, shift))}
        for role, its in more.items():
            sides[role] = on_one_token(rng, sentences(rng, [10] * 20), firing(rng, 20, d, its))
        return all_of(sides)

    return make


def rates() -> Iterator[Case]:
    """Firing rates, silence and medians whose truth is the bound, and well over it."""
    for n in (14, 22, 30, 38, 60):
        size = f"n={n}"
        for rate in (0.5, 0.8, 0.9):
            fields = {"rate": {"at_least": rate}}
            yield Case("fire_rate", "truth on the bound", "bound", size, one(n, rate), fields)
        yield Case("fire_rate", "truth on the bound", "bound", size, one(n, 0.2), {"rate": {"at_most": 0.2}})
        yield Case("fire_rate", "true rate .97, bound .8", "true", size, one(n, 0.97), {"rate": {"at_least": 0.8}})
        silent = {"rate": {"at_most": 0.2}}
        yield Case("silent_on", "truth on the bound", "bound", size, one(n, 0.2, but_fires_on=1.0), silent)
        yield Case("silent_on", "true rate .02, bound .2", "true", size, one(n, 0.02, but_fires_on=1.0), silent)
        yield Case("activation", "truth on the bound", "bound", size, one(n, 1.0), {"median": {"at_least": 1.0}})
        yield Case("activation", "truth on the bound", "bound", size, one(n, 0.6), {"median": {"at_most": 1.0}})
        yield Case(
            "activation", "true median 2.7, bound 1", "true", size, one(n, 1.0, 1.0), {"median": {"at_least": 1.0}}
        )
        by_rank = {"among": 10, "rate": {"at_least": 0.5}}
        make = one(n, 1.0, than=0.0)
        yield Case("top_feature", "truth on the bound", "bound", size, make, by_rank, d=20, evidences=10)


def rates_of_copies() -> Iterator[Case]:
    """The same rates on a few sentences with near copies."""
    for clusters, each in itertools.product((3, 5, 14), (5, 10)):
        size = f"{clusters} x {each}"

        def make(rng: Generator, d: int, rate: float, clusters: int = clusters, each: int = each) -> Drawn:
            prompts, cluster = copies(rng, clusters, each)
            sides = {"prompts": on_one_token(rng, prompts, shared(rng, cluster, d, rate))}
            sides["but_fires_on"] = on_one_token(rng, sentences(rng, [10] * 20), firing(rng, 20, d))
            return all_of(sides)

        yield Case("fire_rate", "near copies", "bound", size, _at(make, 0.8), {"rate": {"at_least": 0.8}})
        yield Case("silent_on", "near copies", "bound", size, _at(make, 0.2), {"rate": {"at_most": 0.2}})
        yield Case("activation", "near copies", "bound", size, _at(make, 1.0), {"median": {"at_least": 1.0}})


def _at(make: Callable[..., Drawn], rate: float) -> Callable[[Generator, int], Drawn]:
    return lambda rng, d: make(rng, d, rate)


def marked(n: int, shift: float, same: int | None = None) -> Callable[[Generator, int], Drawn]:
    """Sentences of ten words with one marked, anywhere or always the `same` one; it is by exp(shift) stronger."""

    def make(rng: Generator, d: int) -> Drawn:
        prompts, dense = [], []
        for text in (sentence(rng) for _ in range(n)):
            words = text.split()
            at = int(rng.integers(len(words))) if same is None else same
            start = sum(len(word) + 1 for word in words[:at])
            prompts.append(Prompt(text, marks=((start, start + len(words[at])),)))
            dense.append(firing(rng, len(words), d) * np.exp(shift * (np.arange(len(words)) == at))[:, None])
        return all_of({"prompts": Side(tuple(prompts), np.concatenate(dense))})

    return make


def marks() -> Iterator[Case]:
    """Marked tokens that the feature does not know, whose AUROC is the bound, and is over it."""
    for n in (3, 5, 9, 14, 29, 60):
        size = f"{n} marked prompts"
        yield Case("fires_at", "independent null", "false", size, marked(n, 0.0), {"auroc": {"at_least": 0.51}})
        for low in (0.7, 0.9):
            fields = {"auroc": {"at_least": low}}
            yield Case("fires_at", "truth on the bound", "bound", size, marked(n, shift_for(low)), fields)
        yield Case(
            "fires_at",
            "true AUROC 0.95, bound .7",
            "true",
            size,
            marked(n, shift_for(0.95)),
            {"auroc": {"at_least": 0.7}},
        )
    for n, frames, free in ((8, 1, 0), (20, 1, 0), (12, 1, 1), (24, 1, 1), (24, 2, 1), (24, 3, 1)):
        size = f"{n} prompts" + (f", {free + 1} words vary" if free else "")
        fields = {"auroc": {"at_least": 0.7}}
        design = "one slot of one frame" if frames == 1 else f"one slot in each of {frames} frames"
        yield Case("fires_at", design, "false", size, in_slots(n, frames, free), fields)
    for n, share in ((10, 1.0), (10, 0.9), (10, 0.8), (20, 1.0), (20, 0.75), (20, 0.7), (30, 1.0), (30, 0.7)):
        make = placed(n, round(share * n), of_place=True)
        yield Case("fires_at", "a feature of one place", "false", f"{share:.0%} of {n} marks on it", make)
    for n, share in ((10, 0.7), (20, 0.7), (30, 0.5)):
        make = placed(n, round(share * n), of_place=False)
        yield Case("fires_at", "marks mostly in one place", "true", f"{share:.0%} of {n} marks on it", make)


def in_slots(n: int, frames: int, free: int) -> Callable[[Generator, int], Drawn]:
    """n prompts of a few frames with the mark in one slot of each, and `free` more words that vary; a feature likes
    some places of each frame."""

    def make(rng: Generator, d: int) -> Drawn:
        prompts, dense = [], []
        for frame in frames_of(rng, frames):
            words = frame.split()
            at = words.index("{w}")
            likes = rng.standard_normal((len(words), d))
            for word in rng.choice(WORDS, n // frames, replace=False):
                one = [str(word) if w == "{w}" else w for w in words]
                for other in range(free):
                    one[(at + 2 + other) % len(words)] = str(rng.choice(WORDS))
                prompts.append(_with_mark(one, at))
                dense.append(np.exp(likes + 0.3 * rng.standard_normal(likes.shape)))
        return all_of({"prompts": Side(tuple(prompts), np.concatenate(dense))})

    return make


def placed(n: int, on_it: int, of_place: bool) -> Callable[[Generator, int], Drawn]:
    """Sentences of ten words, `on_it` of n of which have their mark on the fourth. The feature fires on the fourth word
    of every sentence, or on the mark wherever it is; and weakly on a third of the others."""

    def make(rng: Generator, d: int) -> Drawn:
        prompts, dense = [], []
        for i in range(n):
            words = sentence(rng).split()
            at = 3 if i < on_it else int(rng.choice([0, 1, 2, 4, 5, 6, 7, 8, 9]))
            hit = np.arange(len(words)) == (3 if of_place else at)
            prompts.append(_with_mark(words, at))
            dense.append(firing(rng, len(words), d, 0.3) + hit[:, None] * firing(rng, len(words), d, 1.0, 3.0))
        return all_of({"prompts": Side(tuple(prompts), np.concatenate(dense))})

    return make


def _with_mark(words: Sequence[str], at: int) -> Prompt:
    start = sum(len(word) + 1 for word in words[:at])
    return Prompt(" ".join(words), marks=((start, start + len(words[at])),))


def listed_tokens() -> Iterator[Case]:
    """A tenth of the words match the list, whatever the feature does; or the feature is the list."""
    for n in (20, 60):
        for design, truth, boost in (("independent null", "false", 0.0), ("fires on the listed words", "true", 4.0)):

            def make(rng: Generator, d: int, n: int = n, boost: float = boost) -> Drawn:
                prompts = sentences(rng, [10] * n)
                tokens = [token for p in prompts for token in p.text.split()]
                hit = np.array([_is_listed(token) for token in tokens])
                return all_of({"prompts": Side(prompts, firing(rng, len(tokens), d) * np.exp(boost * hit)[:, None])})

            yield Case("top_tokens", design, truth, f"n={n}", make, {"tokens": [w for w in WORDS if _is_listed(w)]})


def _is_listed(word: str) -> bool:
    return word.startswith("s")  # a twelfth of the words


# --- about the whole SAE, two subjects, weights -----------------------------------------------------------------------


def fidelity() -> Iterator[Case]:
    """Errors, L0 and density whose mean over prompts is the bound. Prompts differ by a factor of exp(sigma z): on the
    shipped models by .14 in their errors and by .11 in L0."""
    for n, sigma in itertools.product((10, 20, 60), (0.15, 0.4)):

        def make(rng: Generator, d: int, n: int = n, sigma: float = sigma) -> Drawn:
            prompts = sentences(rng, [20] * n)
            effect = np.exp(sigma * rng.standard_normal(n) - sigma**2 / 2)
            mse = np.repeat(effect, 20) * rng.exponential(1.0, n * 20)
            return Drawn(evidence_of({"prompts": Side(prompts, firing(rng, n * 20, d, 0.1))}, prompts=mse), [0])

        for bound in ({"at_most": 1.0}, {"at_least": 1.0}):
            design = f"truth on the bound, {next(iter(bound)).replace('_', ' ')}"
            yield Case("reconstruction", design, "bound", f"n={n}", make, {"mse": bound}, d=4, evidences=40)

        def live(rng: Generator, d: int, n: int = n, sigma: float = sigma) -> Drawn:
            rate = np.repeat(np.minimum(0.1 * np.exp(sigma * rng.standard_normal(n) - sigma**2 / 2), 1), 20)
            dense = np.where(rng.random((n * 20, d)) < rate[:, None], 1.0, 0.0)
            return Drawn(evidence_of({"prompts": Side(sentences(rng, [20] * n), dense)}), [0])

        for bound in ({"at_most": 5.0}, {"at_least": 5.0}):
            design = f"truth on the bound, {next(iter(bound)).replace('_', ' ')}"
            yield Case("sparsity", design, "bound", f"n={n}", live, {"l0": bound}, d=50, evidences=40)
    for sigma, bound in itertools.product((0.3, 1.0), ({"at_most": 0.02}, {"at_least": 0.02})):

        def corpus(rng: Generator, d: int, sigma: float = sigma) -> Drawn:
            prompts = sentences(rng, [100] * 120)
            effect = 0.02 * np.exp(sigma * rng.standard_normal((120, d)) - sigma**2 / 2)
            dense = np.where(rng.random((120 * 100, d)) < np.repeat(effect, 100, axis=0), 1.0, 0.0)
            return Drawn(corpus_of(Side(prompts, dense)), range(d))

        yield Case("density", "truth on the bound", "bound", "120 contexts", corpus, {"rate": bound}, d=50, evidences=4)


def two_models() -> Iterator[Case]:
    """What a feature is said to become in another model, where it becomes something else."""
    plans = {
        "stable": ("fires on other tokens (Jaccard .45)", 0.62, 0.9),
        "shifted": ("fires mostly on the same tokens (Jaccard .47)", 0.65, 0.9),
    }
    for (claimed, (design, same, rate)), n in itertools.product(plans.items(), (20, 60)):
        make = carried(n, same, rate, rate)
        yield Case("transfers", f"as {claimed}: {design}", "false", f"n={n}", make, {"to": "adapted", "as": claimed})
    for n in (15, 20, 30, 60):
        make = carried(n, 1.0, 0.9, 0.59)
        yield Case(
            "transfers",
            "as stable: r .8, silent on a third",
            "bound",
            f"n={n}",
            make,
            {"to": "adapted", "as": "stable"},
        )
    for n in (60, 100):
        yield Case(
            "transfers", "as lost: fires on 5 %", "bound", f"n={n}", carried(n, 0.5, 0.6, 0.05),
            {"to": "adapted", "as": "lost"},
        )  # fmt: skip
    for n in (20, 60):
        yield Case(
            "transfers", "as stable: the same tokens", "true", f"n={n}", carried(n, 0.99, 0.9, 0.9),
            {"to": "adapted", "as": "stable"},
        )  # fmt: skip


def carried(n: int, same: float, here: float, there: float) -> Callable[[Generator, int], Drawn]:
    """A feature fires on one token of a prompt; where it fires in the other model, with chance `same` on the same."""

    def make(rng: Generator, d: int) -> Drawn:
        prompts = sentences(rng, [10] * n)
        base = on_one_token(rng, prompts, firing(rng, n, d, here, sigma=0.5))
        moved = on_one_token(rng, prompts, firing(rng, n, d, 1.0, sigma=0.5))
        keeps = np.repeat(rng.random((n, d)) < same, 10, axis=0)
        fires = np.repeat(rng.random((n, d)) < there / max(here, there), 10, axis=0)
        other = np.where(keeps, base.dense, moved.dense) * fires
        return all_of({"prompts": base, "prompts@adapted": Side(prompts, other)})

    return make


def promoted() -> Iterator[Case]:
    """Decoder directions that raise words at random, and one that raises the listed ones."""
    for design, truth, share in (("independent null", "false", 0.0), ("raises the listed words", "true", 0.9)):

        def make(rng: Generator, d: int, share: float = share) -> Drawn:
            listed = [w for w in WORDS if _is_listed(w)]
            lists = {}
            for f in range(2 * d):
                words = [str(rng.choice(listed if f < d and rng.random() < share else WORDS)) for _ in range(20)]
                lists[f] = tuple((w, 1 - i / 100) for i, w in enumerate(dict.fromkeys(words)))
            return Drawn(Evidence(promotions=Promotions(lists, frozenset(range(d, 2 * d)), 2 * d)), range(d))

        yield Case("promotes", design, truth, "20 words", make, {"tokens": [w for w in WORDS if _is_listed(w)]}, d=50)


def edited() -> Iterator[Case]:
    """A feature keeps firing in nine edits of ten: in all prompts alike, or always in most and in half in a few."""
    for n, spread in itertools.product((5, 20, 60), (0.0, 1.0)):
        design = "truth on the bound" if not spread else "truth on the bound, some prompts break"
        fields = {"edits": ["typo"], "relation": "keeps_firing", "mode": "rate", "rate": {"at_least": 0.9}}

        def make(rng: Generator, d: int, n: int = n, spread: float = spread, fields: dict[str, Any] = fields) -> Drawn:
            originals = PromptSet("prompts", sentences(rng, [10] * n))
            claim = kinds()["holds_under"].model_validate({"prompts": "prompts", **fields})
            ((role, drawn),) = claim.makes({"prompts": originals}).items()
            known = {p.text: i for i, p in enumerate(originals.prompts)}
            weak = np.full((n, d), 0.9)
            if spread:  # a fifth of these very prompts, others for each feature
                weak = np.where(np.argsort(rng.random((n, d)), axis=0) < n // 5, 0.5, 1.0)
            rows = np.array([_like(p.text, known) for p in drawn.prompts])
            keeps = np.array([p.text in known for p in drawn.prompts])[:, None] | (
                rng.random((len(rows), d)) < weak[rows]
            )
            side = on_one_token(rng, drawn.prompts, firing(rng, len(rows), d, sigma=0.2) * keeps)
            found = evidence_of({role: side})
            return Drawn(Evidence({**found.sets, "prompts": originals}, found.codes_of, cache={}), range(d))

        yield Case("holds_under", design, "bound", f"{n} prompts", make, fields)


def _like(text: str, known: Mapping[str, int]) -> int:
    """The original that an edited text shares most words with."""
    words = set(text.split())
    return max(known.items(), key=lambda one: len(words & set(one[0].split())))[1]


# --- attacks ----------------------------------------------------------------------------------------------------------


def chosen_here() -> Iterator[Case]:
    """The best of 300 features that know nothing, on the very prompts that it is tested on."""
    for n in ((5, 5), (10, 10), (24, 60)):

        def make(rng: Generator, d: int, n: tuple[int, int] = n) -> Drawn:
            found = pair(n, (0.42, 0.42))(rng, d)
            return Drawn(found.evidence, [_best(found.evidence)], found_elsewhere=False)

        for low in (0.51, 0.6):
            yield Case(
                "fires_more", "chosen on the tested prompts", "attack", vs(n), make, {"auroc": {"at_least": low}},
                d=300, evidences=25,
            )  # fmt: skip


def leaked() -> Iterator[Case]:
    """Chosen by the harness on sentences, tested on the same with another end mark, capitals, or an opening."""
    changes: dict[str, Callable[[str], str]] = {
        "another end mark": lambda text: f"{text}!",
        "capitals": str.upper,
        "an opening for all": lambda text: f"once {text}",
        "zero-width spaces": lambda text: text.replace(" ", " \u200b"),
        "another last word": lambda text: f"{text.rpartition(' ')[0]} again",
    }
    for (design, change), n in itertools.product(changes.items(), ((10, 10), (20, 20))):

        def make(rng: Generator, d: int, change: Callable[[str], str] = change, n: tuple[int, int] = n) -> Drawn:
            found = pair(n, (0.42, 0.42))(rng, d).evidence
            sides = {}
            for role in ("prompts", "than"):
                pooled = found.codes(role).pooled(found.codes(role).counted()).dense()
                changed = tuple(Prompt(change(prompt.text)) for prompt in found.sets[role].prompts)
                sides[role] = on_one_token(rng, changed, pooled)
            return Drawn(evidence_of(sides), [0], discovery=found)

        yield Case(
            "fires_more", f"leaked: {design}", "attack", vs(n), make, {"auroc": {"at_least": 0.6}}, d=300, evidences=25
        )


def shortcuts() -> Iterator[Case]:
    """The sets differ by their first word, or by a full stop, and the feature is that and nothing else."""
    for n, design in itertools.product((12, 24), ("the first word", "a full stop at the end")):

        def make(rng: Generator, d: int, n: int = n, design: str = design) -> Drawn:
            first = design == "the first word"
            with_it = [f"The {s}" if first else f"{s} ." for s in (sentence(rng) for _ in range(n))]
            without = [
                f"{w} {s}" if first else s for s, w in ((sentence(rng), str(rng.choice(WORDS))) for _ in range(n))
            ]
            sides = {}
            for role, texts in (("prompts", with_it), ("than", without)):
                prompts = tuple(Prompt(text) for text in texts)
                tokens = [token for text in texts for token in text.split()]
                hit = np.array([token in ("The", ".") for token in tokens])[:, None]
                dense = firing(rng, len(tokens), d, 0.02) + hit * firing(rng, len(tokens), d, sigma=0.2) * 3
                dense[:, 4:] = firing(rng, len(tokens), d - 4, 0.05)
                sides[role] = Side(prompts, dense)
            return Drawn(evidence_of(sides), range(4))

        yield Case("fires_more", f"shortcut: {design}", "attack", f"{n} v {n}", make, {}, d=200, evidences=10)


def sinks() -> Iterator[Case]:
    """An SAE that explains nothing but the attention sink of each prompt, and a feature that fires on nothing else."""
    for n in (12, 24):

        def make(rng: Generator, d: int, n: int = n) -> Drawn:
            prompts = tuple(Prompt(f"<sink> {sentence(rng)}") for _ in range(n))
            first = np.array([token == "<sink>" for prompt in prompts for token in prompt.text.split()])[:, None]
            dense = firing(rng, len(first), d, 0.02) * ~first + 50 * first
            return Drawn(evidence_of({"prompts": Side(prompts, dense)}, prompts=np.full(len(first), 140.0)), range(d))

        size = f"n={n}"
        yield Case("reconstruction", "only sinks are explained", "attack", size, make, {"fvu": {"at_most": 0.5}}, d=1)
        yield Case("fire_rate", "fires on sinks only", "attack", size, make, {"rate": {"at_least": 0.5}}, d=20)
        yield Case("activation", "fires on sinks only", "attack", size, make, {"median": {"at_least": 10}}, d=20)


def vacuous() -> Iterator[Case]:
    """Bounds that nearly every feature meets."""
    for kind, fields, make in (
        ("fire_rate", {"rate": {"at_least": 0.05}}, one(24, 0.9)),
        ("activation", {"median": {"at_least": 0.01}}, one(24, 0.9)),
        ("fires_more", {"auroc": {"at_least": 0.51}}, pair((24, 24), (0.9, 0.2))),
        ("selective", {"precision": {"at_least": 0.55}}, pair((24, 24), (0.9, 0.2))),
    ):
        yield Case(kind, "vacuous: every feature meets it", "attack", "n=24", make, fields)


def _best(evidence: Evidence) -> int:
    pooled = [evidence.codes(role).pooled(evidence.codes(role).counted()) for role in ("prompts", "than")]
    return int(np.argmax(auroc_of_all(*pooled)))


DESIGNS = (
    independent,
    on_the_bound,
    true_effects,
    near_copies,
    words_in_frames,
    own_templates,
    lengths,
    keywords,
    rates,
    rates_of_copies,
    marks,
    listed_tokens,
    fidelity,
    two_models,
    promoted,
    edited,
    chosen_here,
    leaked,
    shortcuts,
    sinks,
    vacuous,
)


def cases() -> list[Case]:
    return [case for design in DESIGNS for case in design()]
