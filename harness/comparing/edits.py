"""What was edited of a claim between two runs, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.comparing.told import ToldRun

_BARS = ("severity", "xfail", "alpha", "scope")


def edits(then: ToldRun, now: ToldRun, claim: str) -> tuple[str, ...]:
    """Prompts added and removed, the kind, the bar and what stands beside it; `what it measures` where nothing else
    says why its digest is another. Empty for a claim that is as it was. A run from before digests has its YAML only.
    """
    before, after = then.digest(claim), now.digest(claim)
    bars = list(_bars(then, now, claim))
    if before is None or after is None:
        rewritten = then.records[claim].text != now.records[claim].text
        return tuple(bars or ["its YAML"] * rewritten)
    measured = list(_measured(then, now, claim)) if before != after else []
    return (*(measured or ["what it measures"] * (before != after)), *bars)


def same_prompts(then: ToldRun, now: ToldRun, claim: str) -> bool:
    """Whether both runs say that the claim measured the same on the same prompts."""
    before = then.digest(claim)
    return before is not None and before == now.digest(claim)


def _measured(then: ToldRun, now: ToldRun, claim: str) -> Iterator[str]:
    before, after = then.records[claim], now.records[claim]
    if before.kind != after.kind:
        yield f"kind {before.kind} is now {after.kind}"
    yield from _prompts(then.prompts(claim), now.prompts(claim))
    features = [", ".join(map(str, record.features)) for record in (before, after)]
    if features[0] != features[1]:
        yield f"feature {features[0]} is now {features[1]}"


def _prompts(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for role in dict.fromkeys([*before, *after]):
        was, now = set(before.get(role, ())), set(after.get(role, ()))
        changes = [f"{len(keys)} {what}" for keys, what in ((now - was, "added"), (was - now, "removed")) if keys]
        if changes:
            yield f"{role}: {', '.join(changes)}"


def _bars(then: ToldRun, now: ToldRun, claim: str) -> Iterator[str]:
    before, after = then.records[claim], now.records[claim]
    bounds = before.verdict.bound, after.verdict.bound
    written = before.text != after.text or before.acceptable is not None  # some bounds hold what was measured, too
    if written and all(bounds) and bounds[0] != bounds[1]:  # an undecided verdict may have none
        yield f"bound {bounds[0]} is now {bounds[1]}"
    for name in _BARS:
        was, is_now = getattr(before, name), getattr(after, name)
        if was != is_now:
            yield f"{name} {was or 'none'} is now {is_now or 'none'}"
