"""How many of the mutants that could be judged a suite kills."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.stats.intervals import clopper_pearson
from harness.verdict import Fate, Outcome, Reason, Trial, Verdict


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


def strictly_killing(verdict: Verdict) -> Verdict:
    """The verdict under --strict: a met claim that no mutant breaks shows nothing."""
    trials = verdict.mutants or ()
    if verdict.outcome is not Outcome.MET or not kills_nothing(trials):
        return verdict
    survived = [trial for trial in trials if trial.fate is Fate.SURVIVED]
    unread = [trial.mutant for trial in trials if trial.fate is Fate.NOT_RUN]
    left = f" ({', '.join(unread)}: not run)" if unread else ""
    why = f"met as well with {', '.join(t.mutant for t in survived)}{left}: it kills no mutant"
    return verdict.with_(outcome=Outcome.INCONCLUSIVE, reason=Reason.VACUOUS, finding=f"{verdict.finding}; {why}")
