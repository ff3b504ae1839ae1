"""A comparison as text."""

from __future__ import annotations

from collections.abc import Iterator

from harness.comparing.parts import KeyChange
from harness.comparing.prompts import Paired
from harness.comparing.runs import Comparison, Pair
from harness.comparing.told import ToldRun
from harness.reports.display import number, one_line

_DIGITS = 12


def lines(found: Comparison) -> Iterator[str]:
    """The comparison as text: each section only where there is something in it, the counts last."""
    yield f"{_run(found.then)} -> {_run(found.now)}"
    moved = [pair for pair in found.pairs if pair.is_moved and not pair.flipped]
    edited = [pair for pair in found.pairs if pair.edited and not pair.flipped and not pair.is_moved]
    chosen = [pair for pair in found.pairs if pair.chosen and not (pair.flipped or pair.is_moved or pair.edited)]
    yield from _section("flipped", [line for pair in found.flipped for line in _pair(pair)])
    yield from _section("moved beyond noise", [line for pair in moved for line in _pair(pair)])
    yield from _section("edited", [line for pair in edited for line in _pair(pair)])
    yield from _section("another feature chosen", [line for pair in chosen for line in _pair(pair)])
    yield from _section("in the first run only", [_only(*one) for one in found.only_then])
    yield from _section("in the second run only", [_only(*one) for one in found.only_now])
    yield from _section("keys", [line for change in found.keys for line in _key(change)])
    yield _counts(found)


def _section(title: str, said: list[str]) -> Iterator[str]:
    if said:
        yield f"{title}:"
        yield from (f"  {line}" for line in said)


def _run(run: ToldRun) -> str:
    return f"{one_line(run.id)} ({run.started[:16].replace('T', ' ')}{', cut short' if run.partial else ''})"


def _pair(pair: Pair) -> Iterator[str]:
    words = [record.verdict.word.replace("_", " ") for record in (pair.then, pair.now)]
    yield f"{one_line(pair.id)}: {f'{words[0]} -> {words[1]}' if words[0] != words[1] else words[0]}"
    if pair.moved is not None and pair.moved.then != pair.moved.now:
        beyond = "beyond" if pair.moved.beyond else "within"
        yield (
            f"  {pair.moved.name} {number(pair.moved.then)} -> {number(pair.moved.now)} "
            f"({pair.moved.difference:+.4g}, {beyond} {pair.moved.by})"
        )
    if pair.edited:
        yield f"  edited: {one_line('; '.join(pair.edited), 400)}"
    if pair.chosen is not None:
        yield f"  chose feature {pair.chosen[1]}, not {pair.chosen[0]}"
    for paired in pair.prompts:
        yield from (f"  {line}" for line in _paired(paired))


def _paired(paired: Paired) -> Iterator[str]:
    lost = f"{paired.lost} more are not in the store under both keys (pruned, or never kept)" if paired.lost else ""
    if not paired.n:
        yield (
            f"{paired.role}: {lost.replace('more are', 'prompts are')}" if lost else f"{paired.role}: no prompt in both"
        )
        return
    yield (
        f"{paired.role}: {paired.n} prompts paired, {paired.beyond} beyond noise; {paired.only_then} fire no longer, "
        f"{paired.only_now} newly; {paired.mean:+.4g} on average" + (f"; {lost}" if lost else "")
    )
    for then, now, text in paired.largest:
        yield f"  {number(then)} -> {number(now)}  {one_line(text, 80)}"


def _only(claim: str, is_claim: bool) -> str:
    return f"{one_line(claim)}{'' if is_claim else ' (no claim of today)'}"


def _key(change: KeyChange) -> Iterator[str]:
    claims = f"{change.claims} claim{'s' * (change.claims != 1)}"
    if change.changes is None:
        yield f"{change.subject}: another key, of parts that neither the runs nor the store know any more ({claims})"
        return
    for part, then, now in change.changes:
        yield f"{change.subject}: {part} {_short(then)} -> {_short(now)} ({claims})"


def _short(part: str) -> str:
    return f"{part[:_DIGITS]}..." if len(part) == 64 and part.isalnum() else one_line(part)


def _counts(found: Comparison) -> str:
    as_before = sum(not pair.flipped and not pair.is_moved for pair in found.pairs)
    moved = sum(pair.is_moved and not pair.flipped for pair in found.pairs)
    edited = sum(bool(pair.edited) for pair in found.pairs)
    both = f"{len(found.flipped)} flipped, {moved} moved beyond noise, {as_before} as they were; {edited} edited"
    alone = f"{len(found.only_then)} only in the first, {len(found.only_now)} only in the second"
    return f"{len(found.pairs)} claim{'s' * (len(found.pairs) != 1)} in both: {both}; {alone}"
