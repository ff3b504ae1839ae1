"""What makes a claim undecidable whatever its statistic: broken numbers, dead features, unlike lengths."""

from __future__ import annotations

import numpy as np

from harness.codes import Mask
from harness.errors import EnvironmentFault
from harness.expectations.base import Claim
from harness.expectations.bounds import Bound
from harness.expectations.evidence import Evidence
from harness.spelling import spelled_alone
from harness.stats.firing import live_of_all, not_finite_tokens
from harness.verdict import Measurement, Reason, Verdict, inconclusive


def feature_of(claim: Claim, d_sae: int) -> int:
    """The claim's feature; a number that the SAE does not have is a fault, not silence."""
    if claim.feature is None:
        raise EnvironmentFault("no_feature", "this kind of claim is about a feature, and none was named.")
    if not 0 <= claim.feature < d_sae:
        raise EnvironmentFault(
            "unknown_feature",
            f"feature {claim.feature} does not exist: the codes have {d_sae:,} features, 0 to {d_sae - 1}.",
        )
    return claim.feature


def signed_codes_fault() -> EnvironmentFault:
    """AUROC from sparse codes takes silence as the lowest value, which signed codes break."""
    return EnvironmentFault(
        "signed_codes",
        "these codes are signed (abstopk, raw top-k), and AUROC needs activations of 0 or more.",
        "Claim firing instead (fire_rate, silent_on, or `pool: any`).",
    )


def broken(evidence: Evidence, claim: Claim, roles: tuple[str, ...], subject: str | None = None) -> Verdict | None:
    """Inconclusive where numbers are not finite, or where nothing at all fires."""
    for role in roles:
        found = not_finite(evidence, claim, role, subject)
        if found is not None:
            return found
    if not any(live(evidence, claim, role, subject).any() for role in roles):
        return inconclusive(
            Reason.DEAD,
            f"no feature at all fires on the counted tokens of {named(evidence, roles)}: the codes are all zero, "
            "so the SAE or the place where it reads is wrong.",
        )
    return None


def not_finite(evidence: Evidence, claim: Claim, role: str, subject: str | None = None) -> Verdict | None:
    """Inconclusive where a counted token's code or activation is NaN or infinite."""
    codes = evidence.codes(role, subject)
    key = ("not_finite", id(codes), claim.tokens, claim.special_tokens)
    counted = evidence.counted(role, claim, subject)
    bad = evidence.memo(key, lambda: not_finite_tokens(codes, counted), keep=codes)
    if not len(bad):
        return None
    prompts = np.unique(codes.prompt[bad])
    prompt = evidence.prompts(role).prompts[int(prompts[0])]
    token = spelled_alone(codes, int(bad[0]), prompt.text)
    return inconclusive(
        Reason.NOT_FINITE,
        f"{len(bad)} of the counted tokens of {evidence.prompts(role).name}, on {len(prompts)} prompts, are NaN or "
        f"infinite (first at {token!r} in {prompt.shown[:80]!r}): a checkpoint or dtype is broken.",
        measurement=Measurement("tokens not finite", len(bad), int(counted.sum())),
    )


def live(evidence: Evidence, claim: Claim, role: str, subject: str | None = None) -> Mask:
    """Which features fire on a counted token of the role, [d_sae]."""
    codes = evidence.codes(role, subject)
    key = ("live", id(codes), claim.tokens, claim.special_tokens)
    return evidence.memo(key, lambda: live_of_all(codes, evidence.counted(role, claim, subject)), keep=codes)


def dead(evidence: Evidence, claim: Claim, roles: tuple[str, ...], hint: str = "") -> Verdict | None:
    """Inconclusive where the feature fires on no counted token of any of these sets."""
    if any(live(evidence, claim, role)[feature_of(claim, evidence.codes(role).d_sae)] for role in roles):
        return None
    n = sum(len(evidence.prompts(role)) for role in roles)
    return inconclusive(
        Reason.DEAD,
        f"feature {claim.feature} never fires on the {n} prompts of {named(evidence, roles)}: silence cannot tell a "
        f"dead or mistyped feature from a quiet one.{hint}",
        measurement=Measurement("firing prompts", 0, n),
    )


def dead_at_rest(
    evidence: Evidence, claim: Claim, roles: tuple[str, ...], bound: Bound, hint: str = ""
) -> Verdict | None:
    """Where a bound holds at 0, silence would meet it, and a mistyped number with it; at_least is refuted by a 0."""
    return dead(evidence, claim, roles, hint) if bound.holds(0.0) else None


def outcompeted(claim: Claim) -> tuple[str, ...]:
    """A warning for claims of silence: the k strongest features of a token fire, whatever else stands in it."""
    return ("in a TopK SAE silence means that other features won, not that the input was absent",) * claim.sae_is_topk


def named(evidence: Evidence, roles: tuple[str, ...]) -> str:
    return " and ".join(evidence.prompts(role).name for role in roles)


def left_out(evidence: Evidence, claim: Claim, roles: tuple[str, ...]) -> tuple[str, ...]:
    """A warning for each set with prompts that have no counted token: they are no units, and not in n."""
    empty = {role: int((evidence.pooled(role, claim).lengths == 0).sum()) for role in roles}
    return tuple(
        f"{n} of {len(evidence.prompts(role))} prompts of {evidence.prompts(role).name} have no counted token and "
        "are left out"
        for role, n in empty.items()
        if n
    )


def no_units(evidence: Evidence, claim: Claim, roles: tuple[str, ...]) -> Verdict | None:
    """Inconclusive where a set has not one counted token, which no prompt more and no `scope: sample` would mend."""
    empty = [evidence.prompts(role).name for role in roles if not evidence.pooled(role, claim).lengths.any()]
    if not empty:
        return None
    return inconclusive(
        Reason.TOO_FEW_PROMPTS,
        f"no prompt of {' or '.join(empty)} has a counted token: look at `tokens` ({claim.tokens}) and at the set.",
        measurement=Measurement("counted tokens", 0, sum(len(evidence.prompts(role)) for role in roles)),
    )
