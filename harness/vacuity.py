"""Why a met claim says little: every reason is collected here, and `--fail-vacuous` fails the claims that have one.

A claim that more prompts might still meet is asked the same: where a shortcut explains it, or where its feature may
have been chosen on these very prompts, more prompts are the wrong advice.
"""

from __future__ import annotations

from harness.verdict import Outcome, Reason, Verdict

WEAK = "says_little"  # the key of `details`: a list of {reason, why}
ORDER = (Reason.SHORTCUT, Reason.VACUOUS, Reason.NO_PROVENANCE)
"""The most specific cause first: it is the reason under `--fail-vacuous`, and the finding names the others, too.

What the feature may stand for instead; then that nearly anything meets the claim; then where its number came from.
"""


def may_be_met(verdict: Verdict) -> bool:
    """Return whether the claim is met, or only lacks prompts to be."""
    return verdict.outcome is Outcome.MET or verdict.reason is Reason.UNDERPOWERED


def saying_little(verdict: Verdict, reason: Reason, why: str) -> Verdict:
    """Return a verdict that is met, or lacks prompts to be, with one more reason why it says little: a warning, too.

    Args:
        reason: one of ORDER.
        why: one line: what else meets the claim, and what to do.
    """
    if not may_be_met(verdict):
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
    """Return every reason why a verdict says little with its line, the most specific first."""
    found = [(Reason(one["reason"]), one["why"]) for one in verdict.details.get(WEAK, ())]
    return sorted(found, key=lambda one: ORDER.index(one[0]))


def failing_vacuous(verdict: Verdict) -> Verdict:
    """Return the verdict under `--fail-vacuous`: inconclusive where it says little, with every reason.

    A claim that lacks prompts keeps saying so, after the cause that more of them would not cure.
    """
    found = reasons(verdict)
    if not found or not may_be_met(verdict):
        return verdict
    short = ["and the prompts are too few to show the bound"] if verdict.reason is Reason.UNDERPOWERED else []
    finding = "; ".join([verdict.finding, *(why for _, why in found), *short])
    return verdict.with_(outcome=Outcome.INCONCLUSIVE, reason=found[0][0], finding=finding)
