"""Examples: an original and its edit, drawn before anything is read.

One way of drawing serves two sources of choices. Hypothesis (`search`) prefers what is unusual and can shrink: 0 is the
simplest choice everywhere, so a counterexample shrinks to the first word of each slot and the one guilty edit. Its
draws are not independent, so a rate has a sampler of its own (`rate`): one edit an example, all choices uniform.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from harness.expectations.editing.edits import ORDER, Edit
from harness.expectations.editing.rewriting import marked_words
from harness.inputs import Prompt

Choose = Callable[[str, int], int]  # (what is chosen, n) -> one of 0 .. n - 1, 0 the simplest
MOST_EDITS = 3
_MOST_MISSES = 200  # draws in a row that give nothing new, before the sampler gives up


@dataclass(frozen=True, slots=True)
class Example:
    """One original with its edit. edits: the names of those that made it, in the order of application. choices: what
    was chosen to get there, by name."""

    original: Prompt
    edited: Prompt
    edits: tuple[str, ...] = ()
    choices: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def size(self) -> tuple[int, int, int]:
        """Smaller is simpler: edits, words, characters."""
        both = f"{self.original.text} {self.edited.text}"
        return len(self.edits), len(both.split()), len(both)


class Language:
    """All examples that some prompts and edits allow.

    prompts: in the order written, simplest first; those of a template are chosen slot by slot. `required`: edits that
    every example has. one_edit: at most one other edit an example, for the sampler; else up to MOST_EDITS.
    """

    def __init__(
        self, prompts: Sequence[Prompt], edits: Sequence[Edit], required: Sequence[str] = (), one_edit: bool = False
    ) -> None:
        self.tree = _tree(list(prompts))
        self.kinds = kinds_of(prompts)
        self.required = [edit for edit in edits if edit.name in required]
        self.optional = [edit for edit in edits if edit.name not in required]
        self.one_edit = one_edit

    def draw(self, choose: Choose) -> Example | None:
        """One example; None where the choices lead to none (no edit, or none that changes this prompt)."""
        made: dict[str, int] = {}

        def noted(what: str, ways: int) -> int:
            made[what] = choose(what, ways) if ways > 1 else 0
            return made[what]

        drawn = self._drawn(noted)
        return drawn and replace(drawn, choices=made)

    def again(self, choices: Mapping[str, int]) -> Example | None:
        """The example of these choices; 0 for what they do not say, the last way where there are fewer now."""
        return self.draw(lambda what, ways: min(choices.get(what, 0), ways - 1))

    def _drawn(self, choose: Choose) -> Example | None:
        original = _pick(self.tree, choose)
        edited, applied = original, []
        for edit in sorted(self._chosen(original, choose), key=lambda edit: ORDER.index(edit.name)):
            variants = edit.variants(edited, self.kinds)
            if variants:
                edited = variants[choose(f"how: {edit.name}", len(variants))]
                applied.append(edit.name)
        missing = {edit.name for edit in self.required} - set(applied)
        if edited.text == original.text or missing:
            return None
        return Example(original, edited, tuple(applied))

    def _chosen(self, original: Prompt, choose: Choose) -> list[Edit]:
        ways = [edit for edit in self.optional if edit.variants(original, self.kinds)]
        if self.one_edit:
            none_more: list[list[Edit]] = [[]] if self.required or not ways else []
            each = [*none_more, *([edit] for edit in ways)]
            return [*self.required, *each[choose("which edit", len(each))]]
        if len(ways) == 1 and not self.required:
            return ways
        # With more edits than fit, those asked first would crowd out the last: who is first is drawn too.
        first = choose("first", len(ways)) if len(ways) > MOST_EDITS else 0
        chosen: list[Edit] = []
        for edit in (*ways[first:], *ways[:first]):
            if len(chosen) < MOST_EDITS and choose(edit.name, 2):
                chosen.append(edit)
        return [*self.required, *chosen]


def kinds_of(prompts: Sequence[Prompt]) -> dict[str, tuple[str, ...]]:
    """The marked words of a set by kind, each once, in the order of the prompts."""
    found: dict[str, dict[str, None]] = {}
    for prompt in prompts:
        for kind, text in marked_words(prompt):
            found.setdefault(kind, {})[text] = None
    return {kind: tuple(words) for kind, words in found.items()}


@lru_cache(maxsize=128)
def sampled(
    prompts: tuple[Prompt, ...], edits: tuple[Edit, ...], required: tuple[str, ...], n: int, seed: int
) -> tuple[Example, ...]:
    """n different examples, drawn until there are as many; fewer where the prompts and edits have no more.

    Each (original, edited) pair once: the same pair drawn 29 times is one piece of evidence.
    """
    language, choices = Language(prompts, edits, required, one_edit=True), random.Random(seed)
    found: dict[tuple[str, str], Example] = {}
    misses = 0
    while len(found) < n and misses < _MOST_MISSES:
        drawn = language.draw(lambda what, ways: choices.randrange(ways))
        pair = None if drawn is None else (drawn.original.text, drawn.edited.text)
        if drawn is None or pair is None or pair in found:
            misses += 1
        else:
            found[pair], misses = drawn, 0
    return tuple(found.values())


@lru_cache(maxsize=128)
def explored(
    prompts: tuple[Prompt, ...], edits: tuple[Edit, ...], required: tuple[str, ...], n: int, seed: int
) -> tuple[Example, ...]:
    """The examples, each once, at most n, that Hypothesis tries for this seed as long as none is a counterexample."""
    found: dict[tuple[str, str], Example] = {}

    def keep(example: Example) -> None:
        found.setdefault((example.original.text, example.edited.text), example)

    try_all(Language(prompts, edits, required), n, seed, keep)
    return tuple(found.values())


def try_all(language: Language, n: int, seed: int, check: Callable[[Example], None]) -> None:
    """Give `check` n examples, the same for the same seed; where it raises, shrink and raise for the smallest found."""
    import hypothesis
    from hypothesis.errors import HypothesisSideeffectWarning, Unsatisfiable

    # Without an example database and without its reports: the store keeps what was read, the record what was found.
    settings = hypothesis.settings(
        max_examples=n,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
        print_blob=False,
    )

    @hypothesis.seed(seed)
    @settings
    @hypothesis.given(_examples(language))
    def each(example: Example) -> None:
        check(example)

    with warnings.catch_warnings():
        # Suites are loaded while pytest starts; Hypothesis warns of plugins that use it so early.
        warnings.simplefilter("ignore", HypothesisSideeffectWarning)
        with suppress(Unsatisfiable):
            each()


def _examples(language: Language) -> Any:
    """A strategy of examples, from truth values alone: Hypothesis draws some integers from constants that it finds in
    the modules loaded so far, so that another command would draw other examples."""
    import hypothesis
    from hypothesis import strategies

    coin = strategies.booleans()

    @strategies.composite
    def examples(draw: Any) -> Example:
        drawn = language.draw(lambda what, ways: halving(ways, lambda: draw(coin)))
        return drawn if drawn is not None else hypothesis.reject()

    made: Any = examples
    return made()


def halving(ways: int, coin: Callable[[], bool]) -> int:
    """One of 0 .. ways - 1, each by one sequence of tosses; no heads give 0."""
    low, high = 0, ways
    while high - low > 1:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if coin() else (low, middle)
    return low


_Tree = dict[int, Any] | Prompt


def _tree(prompts: list[Prompt], depth: int = 0) -> _Tree:
    """The prompts by their choices, one level for the template and one for each slot; a leaf is a prompt."""
    if len(prompts) == 1:
        return prompts[0]
    ways: dict[int, list[Prompt]] = {}
    for number, prompt in enumerate(prompts):
        way = prompt.filled[depth].place if depth < len(prompt.filled) else -1 - number
        ways.setdefault(way, []).append(prompt)
    return {number: _tree(ways[way], depth + 1) for number, way in enumerate(sorted(ways, key=_written))}


def _written(way: int) -> int:
    """Texts of a list in their order, then templates in theirs."""
    return -way - 1_000_000 if way < 0 else way


def _pick(tree: _Tree, choose: Choose) -> Prompt:
    depth = 0
    while isinstance(tree, dict):
        tree = tree[choose(f"slot {depth}", len(tree))]
        depth += 1
    return tree
