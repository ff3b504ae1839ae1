"""Why a met claim says little: every reason is collected here, and `--fail-vacuous` fails the claims that have one."""

from __future__ import annotations

from harness.verdict import Outcome, Reason, Verdict

WEAK = "says_little"  # the key of `details`: a list of {reason, why}


def saying_little(verdict: Verdict, reason: Reason, why: str) -> Verdict:
    """Return a met verdict with one more reason why it says little, which is a warning, too.

    Args:
        reason: vacuous, shortcut or no_provenance; the first of a verdict is its reason under `--fail-vacuous`.
        why: one line: what else meets the claim, and what to do.
    """
    if verdict.outcome is not Outcome.MET:
        return verdict
    found = [*verdict.details.get(WEAK, ()), {"reason": str(reason), "why": why}]
    return verdict.with_(warnings=(*verdict.warnings, why), details={**verdict.details, WEAK: found})


def without(verdict: Verdict, reason: Reason, because: str) -> Verdict:
    """Return the verdict without this reason, with a line that says why it does not count."""
    gone = {why for given, why in reasons(verdict) if given is reason}
    kept = [one for one in verdict.details.get(WEAK, ()) if one["why"] not in gone]
    details = {key: value for key, value in verdict.details.items() if key != WEAK} | ({WEAK: kept} if kept else {})
    warnings = tuple(line for line in verdict.warnings if line not in gone)
    return verdict.with_(warnings=(*warnings, because), details=details)


def says_little(verdict: Verdict) -> bool:
    """Return whether there is a reason why the verdict says little."""
    return bool(verdict.details.get(WEAK))


def reasons(verdict: Verdict) -> list[tuple[Reason, str]]:
    """Return every reason why a verdict says little, with its line."""
    return [(Reason(one["reason"]), one["why"]) for one in verdict.details.get(WEAK, ())]


def failing_vacuous(verdict: Verdict) -> Verdict:
    """Return the verdict under `--fail-vacuous`: inconclusive where it is met and says little, with every reason."""
    found = reasons(verdict)
    if not found or verdict.outcome is not Outcome.MET:
        return verdict
    finding = "; ".join([verdict.finding, *(why for _, why in found)])
    return verdict.with_(outcome=Outcome.INCONCLUSIVE, reason=found[0][0], finding=finding)
