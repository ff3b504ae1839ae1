"""The claims of benchmarks/false_green.py on real activations: prompts dealt at random, which no feature can know.

The shipped sentences, nouns in shared frames and near copies are read once for each subject. A claim deals them into
two sets, by sentence, by word or by copy, and is judged for live features drawn by a seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from false_green_designs import Case, Drawn, vs
from numpy.random import Generator
from planted import framed

from harness.codes import Codes, Pooled
from harness.expectations.evidence import Evidence
from harness.explore import open_subject, prompt_set
from harness.inputs import Prompt, PromptSet
from harness.stats.auroc import auroc_of_all

SUBJECTS = ("tiny-gemma2", "gemma-3-270m-q4-l9")
CATEGORIES = ("number", "color", "animal", "action", "object", "spatial", "abstract")
FRAMES = (
    "The {w} was old.",
    "She saw a {w} there.",
    "They talked about the {w}.",
    "Where is my {w}?",
    "A {w} stood by the door.",
    "He never liked that {w}.",
    "Nobody wanted the {w}.",
    "This {w} is very small.",
)
NOUNS = (
    "cup door leaf stone coat wall bird lamp boat shoe tree glove chair spoon horse cloud river mountain king doctor "
    "window garden letter kitchen teacher farmer bridge basket button candle castle circle corner desk dress engine "
    "feather finger forest guitar hammer island jacket kettle ladder market mirror needle orange pencil picture pillow "
    "pocket rabbit saddle shadow sister soldier station ticket tiger tower train turtle uncle valley violin whistle"
).split()
ENDS = (".", "!", " today.", ", they said.")


def claims_on(subject: str) -> Iterator[Case]:
    """Every claim of this file on one subject."""
    read = _remembering(open_subject(subject).read)
    natural = [p for name in CATEGORIES for file in ("categories", "discovery") for p in _shipped(file, name)]
    some = natural[:: len(natural) // 120]
    pairs = [Prompt(f"{a.text} {b.text}") for a, b in zip(natural[::2], natural[1::2], strict=False)]
    read([*natural, *pairs, *_with_ends(some), *framed(FRAMES, NOUNS)])  # at once: a model is loaded for each reading
    on = f"{subject}: "
    for n in ((10, 10), (20, 20), (24, 60)):
        design, make = f"{on}sentences dealt at random", _dealt(read, natural, n)
        for low in (0.51, 0.7):
            yield Case("fires_more", design, "false", vs(n), make, _auroc(low))
        yield Case("selective", design, "false", vs(n), make, {"precision": {"at_least": 0.8}})
        yield Case("distinguishes", design, "false", vs(n), make)
        if n == (20, 20):
            yield Case("beats_keywords", design, "false", vs(n), make, d=25)
        for attack, make in (
            ("chosen on the tested prompts", _chosen(read, natural, n)),
            ("leaked, another end mark", _leaked(read, some, n)),
        ):
            yield Case("fires_more", on + attack, "attack", vs(n), make, _auroc(0.6), d=1, evidences=20)
    for words, frames in itertools.product((2, 3, 5, 10), (4, 8)):
        size = f"{words} v {words} words in {frames} frames"
        for low in (0.51, 0.7):
            make = _words(read, words, frames)
            yield Case("fires_more", f"{on}nouns in shared frames", "false", size, make, _auroc(low))
    for clusters, low in itertools.product((3, 5, 8), (0.51, 0.7)):
        size = f"{clusters} x {len(ENDS)} v {clusters} x {len(ENDS)}"
        yield Case("fires_more", f"{on}near copies", "false", size, _copied(read, some, clusters), _auroc(low))
    for n_each in (12, 24):
        make = _longer(read, pairs, natural, n_each)
        yield Case("fires_more", f"{on}two sentences against one", "false", vs((n_each, n_each)), make, _auroc(0.7))


def _auroc(low: float) -> dict[str, dict[str, float]]:
    return {"auroc": {"at_least": low}}


def _shipped(file: str, name: str) -> tuple[Prompt, ...]:
    return prompt_set(f"prompts/{file}.yaml#{name}")


Read = Callable[[Sequence[Prompt]], Codes]


def _remembering(read: Read) -> Read:
    """Reading, with the codes of the last sets kept: several claims are made of one deal."""
    known: dict[tuple[Prompt, ...], Codes] = {}

    def remembered(prompts: Sequence[Prompt]) -> Codes:
        key = tuple(prompts)
        if key not in known:
            known[key] = read(key)
        return known[key]

    return remembered


def _evidence(read: Read, positive: Sequence[Prompt], negative: Sequence[Prompt]) -> Evidence:
    given = {"prompts": tuple(positive), "than": tuple(negative)}
    return Evidence(
        sets={role: PromptSet(role, prompts) for role, prompts in given.items()},
        codes_of={(role, None): read(prompts) for role, prompts in given.items()},
        cache={},
    )


def _drawn(rng: Generator, evidence: Evidence, d: int) -> Drawn:
    """d features that fire on at least five of these prompts."""
    fires = sum(
        np.bincount(pooled.features(), minlength=pooled.d_sae)
        for pooled in (_pooled(evidence, role) for role in ("prompts", "than"))
    )
    live = np.flatnonzero(fires >= 5)
    return Drawn(evidence, [int(f) for f in rng.choice(live, min(d, len(live)), replace=False)])


def _pooled(evidence: Evidence, role: str) -> Pooled:
    codes = evidence.codes(role)
    return codes.pooled(codes.counted())


def _sides(rng: Generator, given: Sequence[Prompt], n: tuple[int, int]) -> tuple[list[Prompt], list[Prompt]]:
    dealt = [given[int(i)] for i in rng.choice(len(given), sum(n), replace=False)]
    return dealt[: n[0]], dealt[n[0] :]


def _dealt(read: Read, given: Sequence[Prompt], n: tuple[int, int]) -> Callable[[Generator, int], Drawn]:
    return lambda rng, d: _drawn(rng, _evidence(read, *_sides(rng, given, n)), d)


def _chosen(read: Read, given: Sequence[Prompt], n: tuple[int, int]) -> Callable[[Generator, int], Drawn]:
    """The best of all features on the very prompts that it is tested on."""

    def make(rng: Generator, d: int) -> Drawn:
        evidence = _evidence(read, *_sides(rng, given, n))
        best = int(np.argmax(auroc_of_all(_pooled(evidence, "prompts"), _pooled(evidence, "than"))))
        return Drawn(evidence, [best], found_elsewhere=False)

    return make


def _leaked(read: Read, given: Sequence[Prompt], n: tuple[int, int]) -> Callable[[Generator, int], Drawn]:
    """Chosen by the harness, and tested on the same sentences with an exclamation mark."""

    def make(rng: Generator, d: int) -> Drawn:
        sides = _sides(rng, given, n)
        changed = [[Prompt(p.text.rstrip(".?!") + "!") for p in side] for side in sides]
        return Drawn(_evidence(read, *changed), [0], discovery=_evidence(read, *sides))

    return make


def _words(read: Read, words: int, frames: int) -> Callable[[Generator, int], Drawn]:
    def make(rng: Generator, d: int) -> Drawn:
        chosen = [str(w) for w in rng.choice(NOUNS, 2 * words, replace=False)]
        sides = [framed(FRAMES[:frames], mine) for mine in (chosen[:words], chosen[words:])]
        return _drawn(rng, _evidence(read, *sides), d)

    return make


def _copied(read: Read, given: Sequence[Prompt], clusters: int) -> Callable[[Generator, int], Drawn]:
    def make(rng: Generator, d: int) -> Drawn:
        sides = _sides(rng, given, (clusters, clusters))
        return _drawn(rng, _evidence(read, *map(_with_ends, sides)), d)

    return make


def _longer(read: Read, pairs: Sequence[Prompt], single: Sequence[Prompt], n: int) -> Callable[[Generator, int], Drawn]:
    def make(rng: Generator, d: int) -> Drawn:
        (double, _), (one, _) = _sides(rng, pairs, (n, 0)), _sides(rng, single, (n, 0))
        return _drawn(rng, _evidence(read, double, [p for p in one if not _within(p, double)]), d)

    return make


def _within(prompt: Prompt, others: Sequence[Prompt]) -> bool:
    return any(prompt.text in other.text for other in others)


def _with_ends(prompts: Sequence[Prompt]) -> list[Prompt]:
    return [Prompt(p.text.rstrip(".?!") + end) for p in prompts for end in ENDS]
