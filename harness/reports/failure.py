"""The text of a red test: the finding first, then the claim, the numbers, the prompts, and how to run it again."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from harness.reports.display import columns, escape, one_line
from harness.reports.examples import example_lines
from harness.reports.mistakes import Mistake
from harness.reports.record import Record
from harness.vacuity import says_little
from harness.verdict import Fate, Outcome, Reason, Verdict

MAX_YAML_LINES = 30
MAX_MISTAKES = 20
MAX_MEMBERS = 20
_FINDING_LIMIT = 500
_SAYS_SO = ("not run", "could not be run")

_WHAT_WOULD_DECIDE = {
    Reason.TOO_FEW_PROMPTS: "more prompts, or `scope: sample` to claim it of these prompts only",
    Reason.TOO_SPARSE: "prompts on which the feature fires (5 or more), or a more frequent feature",
    Reason.UNDERPOWERED: "more prompts; extra ones in `than` are the cheapest",
    Reason.LEAKED: "prompts that the feature was not found on",
    Reason.LENGTH_CONFOUND: "sets of similar length, or `pool: mean` or `last`, which do not grow with length",
    Reason.NOT_FINITE: "a checkpoint and SAE whose numbers are finite on these prompts",
    Reason.DEAD: "a prompt that shows the feature alive (`but_fires_on`), or the right feature number",
    Reason.VACUOUS: "a claim that the SAE's construction does not make true by itself",
    Reason.NO_BASELINE: "an accepted baseline (`interp accept`)",
    Reason.NO_PROVENANCE: "`discovered_on:` with the prompts that the feature was found on, or `feature: {best: ...}`",
}


def finding_line(record: Record) -> str:
    """The first line of the failure: the finding, led by the outcome's word where that is not simply `unmet`."""
    verdict = record.verdict
    finding = one_line(verdict.finding, _FINDING_LIMIT)
    if verdict.outcome is Outcome.INCONCLUSIVE:
        return f"inconclusive ({verdict.reason}): {finding}" if verdict.reason else f"inconclusive: {finding}"
    if verdict.outcome is Outcome.NOT_RUN and not record.errors and not finding.startswith(_SAYS_SO):
        return f"not run: {finding}"
    return finding


def failure_text(record: Record, rerun: str, color: bool = False) -> str:
    """What pytest prints for a claim that is not met. `rerun`: the command that runs this spec again.

    Ends without a newline. With `color` the first line and the peak tokens carry ANSI codes; all that comes from
    prompts and files is escaped either way.
    """
    first = _painted(finding_line(record), "31;1", color)
    body = _broken_body(record) if record.errors else _claim_body(record, color)
    lines = [first, *body, "", f"run it again: {escape(rerun)}"]
    return "\n".join(line.rstrip() for line in lines)


def _painted(text: str, code: str, color: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if color else text


def _claim_body(record: Record, color: bool) -> Iterator[str]:
    yield from _section("", yaml_lines(record))
    yield from _section("", _aligned([(name, one_line(value, 400)) for name, value in facts(record)]))
    paint = _painted("{}", "1", color)
    yield from _section("prompts that show it (activation, text):", example_lines(record.verdict.examples, paint))


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield ""
        yield from [title] if title else []
        yield from (f"  {line}" for line in found)


def yaml_lines(record: Record) -> Iterator[str]:
    """The file and line of the claim, then its YAML with line numbers."""
    yield f"{escape(record.source.path)}:{record.source.line}"
    lines = textwrap.dedent(record.text.replace("\r\n", "\n")).rstrip("\n").split("\n") if record.text else []
    width = len(str(record.source.line + len(lines)))
    for offset, line in enumerate(lines[:MAX_YAML_LINES]):
        yield f"{record.source.line + offset:>{width}} | {one_line(line, 140)}"
    if len(lines) > MAX_YAML_LINES:
        yield f"{'':>{width}} | ... {len(lines) - MAX_YAML_LINES} more lines"


def facts(record: Record) -> Iterator[tuple[str, str]]:
    """The numbers and remarks of a verdict, as (name, value) in the order in which they are read."""
    verdict = record.verdict
    yield "verdict", verdict.word.replace("_", " ")
    yield "subject", record.subject
    if record.features:
        yield "feature", ", ".join(map(str, record.features)) + _chosen(record)
    if record.provenance is not None and record.provenance.how != "best":  # which the feature's line says
        yield "found on", record.provenance.in_words
    if verdict.measurement is not None:
        yield "measured", str(verdict.measurement)
    if verdict.bound:
        yield "bound", verdict.bound
    if verdict.p is not None:
        yield "p", f"{verdict.p:.3g}" + (f" (alpha {record.alpha:g})" if record.alpha is not None else "")
    for measured in verdict.also:
        yield "also", str(measured)
    yield from _remarks(record)


def _chosen(record: Record) -> str:
    how = record.verdict.details.get("chosen")
    return f" ({how})" if how else ""


def _remarks(record: Record) -> Iterator[tuple[str, str]]:
    verdict = record.verdict
    for each in (*verdict.details.get("together", []), *_members(verdict)):
        yield "of which", str(each)
    if "pin" in verdict.details:
        yield "pin it", f"pinned: [{json.dumps(verdict.details['pin'], ensure_ascii=False)}]"
    if verdict.null_share is not None:
        yield "null share", f"{verdict.null_share:.1%} of the live features would meet this claim, too"
    yield from _answers(verdict.details)
    if verdict.fragile:
        yield "fragile", str(verdict.details.get("fragile", "inside the numerical noise of this subject"))
        if "float32" in verdict.details:
            yield "in float32", str(verdict.details["float32"])
    for warning in verdict.warnings:
        yield "warning", warning
    for trial in verdict.mutants or ():
        if trial.fate is Fate.SURVIVED:
            yield "survivor", f"{trial.mutant}: {trial.note}; to kill it: {trial.hint}"
    # A survivor says itself what would kill it, and the null share's warning what to contrast the claim with.
    told = "scope: sample" in verdict.finding or verdict.mutants or says_little(verdict)
    if verdict.details.get("needs"):
        yield "needs", str(verdict.details["needs"])
    elif verdict.reason in _WHAT_WOULD_DECIDE and not told:
        yield "needs", _WHAT_WOULD_DECIDE[verdict.reason]
    if verdict.details.get("traceback"):
        yield "traceback", "in results.json, under details"


def _answers(details: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Features that would meet the claim, and what fires where this one is silent."""
    if "would_meet" in details:
        held, tried = details["would_meet"], details["tried"]
        named = ", ".join(map(str, held)) or "none"
        yield "would meet", f"{named} ({tried} found on one half of the prompts; these hold on the other, too)"
    if details.get("instead"):
        fires = ", ".join(f"{f} (on {here:.0%}, in than {there:.0%})" for f, here, there in details["instead"])
        yield "instead", f"on the {details['missed']} prompts that it misses: {fires}"


def _members(verdict: Verdict) -> list[str]:
    """The claims of a family, the largest q first."""
    ranked = sorted(verdict.details.get("members", {}).items(), key=lambda one: -one[1]["q"])
    lines = [f"{name}: q {one['q']:.3g}, p {one['p']:.3g}, {one['verdict'].replace('_', ' ')}" for name, one in ranked]
    return lines[:MAX_MEMBERS] + [f"and {len(lines) - MAX_MEMBERS} more"] * (len(lines) > MAX_MEMBERS)


def _aligned(facts: list[tuple[str, str]]) -> Iterator[str]:
    width = max(len(name) for name, _ in facts)
    last = ""
    for name, value in facts:
        yield f"{name if name != last else '':<{width}}  {value}"
        last = name


def _broken_body(record: Record) -> Iterator[str]:
    for at, mistake in enumerate(record.errors[:MAX_MISTAKES]):
        lines = list(mistake_lines(mistake))
        yield from lines[1:] if at == 0 else ["", *lines]  # the finding has said the first one's message
    if len(record.errors) > MAX_MISTAKES:
        yield f"\nand {len(record.errors) - MAX_MISTAKES} more; `interp check` lists them all"


def mistake_lines(mistake: Mistake) -> Iterator[str]:
    """file:line:column, the code, the message, and the line itself with a caret under the column."""
    message = one_line(mistake.message, _FINDING_LIMIT)
    yield f"{escape(str(mistake.source))}: {mistake.code}: {message}"
    named = any(name in mistake.message for name in mistake.nearest)
    if mistake.nearest and not named:
        yield f"  nearest: {', '.join(one_line(name) for name in mistake.nearest)}"
    if mistake.quote is not None:
        yield from _quoted(mistake)


def _quoted(mistake: Mistake) -> Iterator[str]:
    quote, column = mistake.quote or "", mistake.source.column - 1
    left = max(0, column - 100)
    before = ("..." if left else "") + escape(quote[left:column])
    number = str(mistake.source.line)
    yield f"  {number} | {before}{one_line(quote[column:], 40 if left else 140)}"
    yield f"  {'':>{len(number)}} | {'':>{columns(before)}}^"
