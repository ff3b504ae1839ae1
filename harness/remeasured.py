"""What a claim measures, held field by field against what it measured before: a change there may lower the bar, too.

Which words, edits, level or prompts are easier to meet no field can say, so every change is told, whichever way it
goes. Not told: prompts that were only added to a set, and bars (baselines.is_bar): loosening.py knows their direction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from harness.baselines import measured_as, measured_fields
from harness.inputs import Corpus, PromptSet
from harness.language.nodes import shortened
from harness.spec import Spec

_LEFT_OUT = "left out"
_ITEMS = 3  # of a list that changed, by name


def remeasured(old: Spec, new: Spec) -> Iterator[str]:
    """One phrase for each part that is not as it was, of two claims of one kind: `pool max -> any`."""
    before, after = _fields(old), _fields(new)
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name, _LEFT_OUT), after.get(name, _LEFT_OUT)
        if was != now:
            yield f"{name} {_changed(was, now)}"
    sets = _sets(new)
    for role, prompts in _sets(old).items():
        yield from _fewer(role, prompts, sets.get(role))


def _fields(spec: Spec) -> dict[str, Any]:
    """What is measured beside the prompts, as YAML names it; the kind's own fields behind the kind."""
    own: dict[str, Any] = measured_fields(spec.expectation)
    corpora = {role: _corpus(one) for role, one in spec.corpora.items()}
    best = spec.best and f"the best by {spec.best.by}"
    return {
        "subject": spec.subject.name,
        "feature": best or (spec.features[0] if len(spec.features) == 1 else spec.features),
        "pool": spec.claim.pool,
        "tokens": spec.claim.tokens,
        "special_tokens": spec.claim.special_tokens,
        **{f"{spec.kind}.{name.rstrip('_')}": value for name, value in (own | corpora).items()},
    }


def _corpus(corpus: Corpus) -> str:
    cut = f"{corpus.token_limit:,} tokens in contexts of {corpus.context_length}"
    return f"{corpus.name} (sha256 {corpus.digest[:8]}..., {cut})"


def _sets(spec: Spec) -> dict[str, PromptSet]:
    """Every set that the claim is tested on, found on, or kept from. One that is gone from `discovered_on` is a bar."""
    best = {"best.prompts": spec.best.prompts, "best.than": spec.best.than} if spec.best is not None else {}
    found_on = {} if spec.discovered_on is None else {"discovered_on": spec.discovered_on}
    return {**{f"{spec.kind}.{role}": prompts for role, prompts in spec.sets.items()}, **best, **found_on}


def _changed(was: Any, now: Any) -> str:
    if isinstance(was, tuple) and isinstance(now, tuple):
        return _other_items([str(one) for one in was], [str(one) for one in now])
    return f"{shortened(_said(was))} -> {shortened(_said(now))}"


def _said(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _other_items(was: Sequence[str], now: Sequence[str]) -> str:
    """Of long lists only what came and went."""
    gone, come = list((Counter(was) - Counter(now)).elements()), list((Counter(now) - Counter(was)).elements())
    told = [f"{word} {_named(items)}" for word, items in (("without", gone), ("with", come)) if items]
    return " and ".join(told) or "in another order"


def _named(items: Sequence[str]) -> str:
    more = f" and {len(items) - _ITEMS} more" if len(items) > _ITEMS else ""
    return ", ".join(shortened(item, 40) for item in items[:_ITEMS]) + more


def _fewer(role: str, was: PromptSet, now: PromptSet | None) -> Iterator[str]:
    """Prompts that are no longer read as they were: taken out, or with other marks or another group."""
    if now is not None and was.prompts == now.prompts:
        return
    left = frozenset() if now is None else frozenset(map(measured_as, now.prompts))
    gone = [prompt for prompt in was.prompts if measured_as(prompt) not in left]
    if gone and (now is not None or role != "discovered_on"):
        example = shortened(gone[0].shown, 40)
        yield f"{role} without {len(gone)} of {len(was)} prompts ({example!r})"
