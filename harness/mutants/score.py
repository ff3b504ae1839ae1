"""How many of the mutants that could be judged a suite kills."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from harness.stats.intervals import clopper_pearson
from harness.vacuity import saying_little
from harness.verdict import Fate, Reason, Trial, Verdict


@dataclass(frozen=True, slots=True)
class Score:
    """`killed` of `applicable` mutants that were judged; `not_run` could not be. low, high: two-sided 95 % limits
    (Clopper-Pearson, mutants taken as independent), None where none was judged."""

    killed: int
    applicable: int
    not_run: int
    low: float | None
    high: float | None


def score(trials: Iterable[Trial]) -> Score:
    """Mutants that cannot change a claim's evidence count on neither side."""
    fates = [trial.fate for trial in trials]
    killed, n = fates.count(Fate.KILLED), fates.count(Fate.KILLED) + fates.count(Fate.SURVIVED)
    low, high = clopper_pearson(killed, n, 0.025) if n else (None, None)
    return Score(killed, n, fates.count(Fate.NOT_RUN), low, high)


def kills_nothing(trials: Sequence[Trial]) -> bool:
    """Some mutant was judged, and none of them was killed."""
    found = score(trials)
    return found.applicable > 0 and found.killed == 0


def with_trials(verdict: Verdict, trials: Sequence[Trial], rivals: Collection[str] = ()) -> Verdict:
    """Return a met verdict with its mutants; one that none breaks, that none can change, or that a rival meets, says
    little."""
    verdict = verdict.with_(mutants=tuple(trials))
    unread = [trial.mutant for trial in trials if trial.fate is Fate.NOT_RUN]
    left = f" ({', '.join(unread)}: not run)" if unread else ""
    if kills_nothing(trials):
        survived = ", ".join(trial.mutant for trial in trials if trial.fate is Fate.SURVIVED)
        return saying_little(verdict, Reason.VACUOUS, f"met as well with {survived}{left}: it kills no mutant")
    met = [trial.mutant for trial in trials if trial.fate is Fate.SURVIVED and trial.mutant in rivals]
    if met:
        return saying_little(verdict, Reason.VACUOUS, f"a rival, {met[0]}, meets the claim as well: tighten the bound")
    if not unread and not score(trials).applicable:
        notes = "; ".join(dict.fromkeys(trial.note for trial in trials if trial.note)) or "none is declared"
        why = f"no mutant applies, so nothing shows that it could fail ({notes})"
        return saying_little(verdict, Reason.VACUOUS, why)
    return verdict
