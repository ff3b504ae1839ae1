"""How often claims of known truth come out green: a table of every kind and design, judged by the real judge.

    .venv/bin/python benchmarks/false_green.py              toy codes and the shipped models
    .venv/bin/python benchmarks/false_green.py --toys       toy codes only: some minutes of one core
    .venv/bin/python benchmarks/false_green.py --only fires_more --draws 20

Every claim is a Case of false_green_designs.py: a kind, its fields, and evidence whose truth is known because it was
planted. It is judged for about a hundred independent features. Two things are counted: how often it is met, and how
often it is met under --fail-vacuous. A cell is a kind and a design. Cells that are false or on their bound must not be
met more often than alpha: the exact lower 99.9 % limit (Clopper-Pearson) of their rate is compared with it. Attacks
must never be met under --fail-vacuous.

The table also has rules that people use: the number itself (`scope: sample`), a difference of means above 0, above
half a standard deviation, and a rank test on tokens with p < .05.

Writes benchmarks/results/false_green.json and the table in docs/false-greens.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from false_green_designs import Case, Drawn, cases
from measuring import ROOT
from scipy.stats import mannwhitneyu

from harness.errors import Source
from harness.expectations import kinds
from harness.expectations.base import Claim
from harness.inputs import ModelRef, Prompt, PromptSet, SaeRef, Subject
from harness.judging import before_running, judge
from harness.spec import Best, Spec
from harness.stats.intervals import clopper_pearson
from harness.vacuity import failing_vacuous
from harness.verdict import Outcome

SUBJECT = Subject("toy", ModelRef("toy", "package", "toy"), SaeRef("toy", "path", "toy"), "blocks.0.hook_resid_post")
ELSEWHERE = PromptSet("discovery", (Prompt("quite another sentence that no claim here is tested on"),))
CONFIDENCE = 0.999
ALPHA = 0.05
RULES = ("the number itself", "means differ", "means differ by half an SD", "rank test on tokens")
PAGE = ROOT / "docs/false-greens.md"
BEGIN, END = "<!-- table: benchmarks/false_green.py -->", "<!-- end of table -->"


@dataclass(slots=True)
class Tally:
    """What became of one claim, or of the claims of one cell."""

    claims: int = 0
    draws: int = 0
    met: int = 0
    strict: int = 0
    words: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    ruled: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        for name in ("claims", "draws", "met", "strict"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("words", "rules", "ruled"):
            getattr(self, name).update(getattr(other, name))

    @property
    def rate(self) -> float:
        return self.met / max(self.draws, 1)

    @property
    def low(self) -> float:
        """The exact lower limit of the rate of greens at 99.9 %."""
        return clopper_pearson(self.met, self.draws, 1 - CONFIDENCE)[0] if self.draws else 0.0


def tally_of(case: Case, draws: int | None = None) -> Tally:
    """One claim, judged on every evidence that its design makes for it; the seed is its own description."""
    found = Tally(claims=1)
    rng = np.random.default_rng(zlib.crc32(f"{case.kind} {case.design} {case.size} {sorted(case.fields)}".encode()))
    d = case.d if draws is None else min(case.d, max(draws, 8))
    evidences = case.evidences if draws is None else max(1, min(case.evidences, draws // 5))
    for number in range(evidences):
        found.add(_judged(case, case.make(rng, d), beside=number == 0 or d < 10))
    return found


def _judged(case: Case, drawn: Drawn, beside: bool) -> Tally:
    """All draws of one evidence; beside: by the other rules, too."""
    found = Tally()
    specs = [spec_of(case, drawn, feature) for feature in drawn.features]
    early = before_running(specs[0])
    rules = dict(_rules(case, drawn)) if beside else {}
    for i, spec in enumerate(specs):
        verdict = early or judge(spec, drawn.evidence, drawn.discovery)
        found.draws += 1
        found.words[verdict.word] += 1
        found.met += verdict.outcome is Outcome.MET
        found.strict += failing_vacuous(verdict).outcome is Outcome.MET
        for name, greens in rules.items():
            found.ruled[name] += 1
            found.rules[name] += int(greens[i])
    return found


def spec_of(case: Case, drawn: Drawn, feature: int) -> Spec:
    """The claim as a suite would make it, with discovery prompts unless the feature was chosen on the tested ones."""
    kind = kinds()[case.kind]
    roles = [role for role in kind.model_fields if role in drawn.evidence.sets]
    corpus = {"corpus": "corpus"} if drawn.evidence.sums_of else {}
    expectation = kind.model_validate({**{role: role for role in roles}, **corpus, **case.fields})
    sets = {role: drawn.evidence.sets[role] for role in roles}
    best = None
    if drawn.discovery is not None:
        best = Best(*(drawn.discovery.sets[role] for role in ("prompts", "than")))
    others = {name: replace(SUBJECT, name=name) for _, name in drawn.evidence.codes_of if name is not None}
    about = bool(kind.reads_feature) and best is None
    return Spec(
        "toy::claim", "toy", SUBJECT, expectation, Claim(alpha=ALPHA, **case.settings), Source("toy.yaml", 1), sets,
        others=others, features=(feature,) if about else (), best=best,
        discovered_on=ELSEWHERE if about and drawn.found_elsewhere else None,
    )  # fmt: skip


# --- what other rules would say ---------------------------------------------------------------------------------------


def _rules(case: Case, drawn: Drawn) -> Iterator[tuple[str, Sequence[bool]]]:
    """By rule, whether each feature's claim is green."""
    if drawn.discovery is None and drawn.found_elsewhere:
        sample = replace(case, settings={**case.settings, "scope": "sample"})
        yield (
            RULES[0],
            [judge(spec_of(sample, drawn, f), drawn.evidence).outcome is Outcome.MET for f in drawn.features],
        )
    compares = {"prompts", "than"} <= drawn.evidence.sets.keys() and case.kind != "top_feature"
    if compares and drawn.discovery is None:  # where the judge chooses the feature, the others have none to test
        yield from _comparing(drawn)


def _comparing(drawn: Drawn) -> Iterator[tuple[str, Sequence[bool]]]:
    chosen = list(drawn.features)
    pooled, tokens = [], []
    for role in ("prompts", "than"):
        codes = drawn.evidence.codes(role)
        pooled.append(codes.pooled(codes.counted()).dense()[:, chosen])
        tokens.append(np.stack([codes.token_column(f) for f in chosen], axis=1)[codes.counted()])
    gap = pooled[0].mean(0) - pooled[1].mean(0)
    spread = np.sqrt((pooled[0].var(0) + pooled[1].var(0)) / 2)
    yield RULES[1], list(gap > 0)
    yield RULES[2], list(gap > spread / 2)
    with np.errstate(all="ignore"):
        p = mannwhitneyu(*tokens, alternative="greater", method="asymptotic", axis=0).pvalue
    yield RULES[3], list(np.asarray(p) < ALPHA)


# --- tables -----------------------------------------------------------------------------------------------------------

Cell = tuple[str, str, str]


def cells_of(found: Iterable[tuple[Case, Tally]]) -> dict[Cell, Tally]:
    """By truth, kind and design."""
    made: dict[Cell, Tally] = {}
    for case, tally in found:
        made.setdefault((case.truth, case.kind, case.design), Tally()).add(tally)
    return made


def exceeding(cells: Mapping[Cell, Tally]) -> list[str]:
    """The cells that break the goal, in words."""
    false = [
        f"{kind}, {design}: {one.met} of {one.draws} met, so at least {one.low:.3f}"
        for (truth, kind, design), one in cells.items()
        if truth in ("false", "bound") and one.low > ALPHA
    ]
    attacks = [
        f"{kind}, {design}: {one.strict} of {one.draws} green under --fail-vacuous"
        for (truth, kind, design), one in cells.items()
        if truth == "attack" and one.strict
    ]
    return false + attacks


def document(found: Sequence[tuple[Case, Tally]], seconds: float) -> dict[str, Any]:
    """The figures as JSON: cells, then single claims."""
    cells = cells_of(found)
    return {
        "alpha": ALPHA,
        "confidence": CONFIDENCE,
        "claims": len(found),
        "draws": sum(tally.draws for _, tally in found),
        "exceeding": exceeding(cells),
        "cells": [
            {"truth": truth, "kind": kind, "design": design, **_figures(one)}
            for (truth, kind, design), one in cells.items()
        ],
        "by_size": [
            {"truth": c.truth, "kind": c.kind, "design": c.design, "size": c.size, "fields": dict(_short(c.fields)),
             "settings": dict(c.settings), "draws": one.draws, "met": one.met, "strict": one.strict}
            for c, one in found
        ],
        "cpu_seconds": round(seconds),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }  # fmt: skip


def _short(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        yield name, f"{len(value)} words" if isinstance(value, list) and len(value) > 5 else value


def _figures(one: Tally) -> dict[str, Any]:
    return {
        "claims": one.claims,
        "draws": one.draws,
        "met": one.met,
        "rate": round(one.rate, 4),
        "low": round(one.low, 4),
        "met_under_fail_vacuous": one.strict,
        "verdicts": dict(one.words.most_common()),
        "rules": {name: round(one.rules[name] / one.ruled[name], 4) for name in RULES if one.ruled[name]},
    }


def table(cells: Mapping[Cell, Tally]) -> str:
    """The cells as Markdown: false greens, then attacks, then power."""
    parts = [
        ("### Claims that are false, or on their bound", ("false", "bound")),
        ("### Attacks", ("attack",)),
        ("### Power: claims that are true", ("true",)),
    ]
    return "\n\n".join(
        _section(title, [(key, one) for key, one in cells.items() if key[0] in truths]) for title, truths in parts
    )


def _section(title: str, cells: Sequence[tuple[Cell, Tally]]) -> str:
    head = ["kind", "design", "claims x draws", "met", "at least", "under --fail-vacuous", *RULES]
    rows = [_row(head), _row("---" for _ in head)]
    for (_, kind, design), one in sorted(cells, key=lambda cell: (cell[0][1], cell[0][2])):
        rules = (f"{one.rules[name] / one.ruled[name]:.3f}" if one.ruled[name] else "" for name in RULES)
        counts = f"{one.claims} x {one.draws // max(one.claims, 1)}"
        shown = (f"{one.rate:.3f}", f"{one.low:.3f}", f"{one.strict / one.draws:.3f}")
        rows.append(_row((kind, design, counts, *shown, *rules)))
    return f"{title}\n\n" + "\n".join(rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_page(text: str, path: Path = PAGE) -> None:
    """Put the tables between the two marks of the page."""
    page = path.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _all_cases(models: bool) -> Iterator[Case]:
    yield from cases()
    if models:
        from false_green_models import SUBJECTS, claims_on

        for subject in SUBJECTS:
            yield from claims_on(subject)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--draws", type=int, help="fewer draws of each claim, to look at it quickly")
    parser.add_argument("--toys", action="store_true", help="no models: nothing is read")
    parser.add_argument("--only", default="", help="claims whose kind or design has this in it")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures; the checked-in ones are left alone")
    asked = parser.parse_args()
    began = time.process_time()
    wanted = [case for case in _all_cases(not asked.toys) if asked.only in f"{case.kind} {case.design}"]
    found = []
    for number, case in enumerate(wanted):
        found.append((case, tally_of(case, asked.draws)))
        if (case.kind, case.design) != (wanted[number - 1].kind, wanted[number - 1].design):
            print(f"{number + 1} of {len(wanted)}: {case.kind}, {case.design}", file=sys.stderr, flush=True)
    figures = document(found, time.process_time() - began)
    cells = cells_of(found)
    print(table(cells), "\n")
    print(f"{figures['claims']} claims, {figures['draws']:,} draws, {figures['cpu_seconds']} s of CPU time")
    print("\n".join(f"EXCEEDS: {line}" for line in figures["exceeding"]) or "every cell is within its limit")
    whole = not (asked.only or asked.toys) and asked.draws is None
    out = asked.out or (ROOT / "benchmarks/results/false_green.json" if whole else None)
    if out is not None:
        out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if whole and asked.out is None:
        write_page(table(cells))


if __name__ == "__main__":
    main()
