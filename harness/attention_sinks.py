"""Attention sinks: tokens whose norm in the residual stream is far beyond that of other tokens.

Models park attention on a few tokens, mostly the first, with activations tens to hundreds of times as long as others.
One of them outweighs all other tokens in a mean, an MSE or a fraction of variance. So each token is compared with the
subject's own medians, which a fixed probe gives (harness/probe.py), and claims leave sinks out unless they count them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.codes import Floats, Kind, Mask
from harness.errors import EnvironmentFault
from harness.inputs import Norms, Sinks

OVER = 10.0
"""A sink is longer than so many medians..."""
UNCLEAR = (5.0, 20.0)
"""...where no other token of the probe lies between these, so that the rule parts two groups and cuts none in two."""
_MOST_SHOWN = 8


_NO_NORMS = Norms(float("inf"))


@dataclass(frozen=True, slots=True)
class SinkRule:
    """over: how many medians are too many, None where no token is a sink. norms: the subject's medians."""

    over: float | None = None
    norms: Norms = _NO_NORMS

    def flags(self, norm: Floats, kind: NDArray[np.uint8]) -> Mask:
        """Return which tokens are sinks, [n_tokens] bool.

        Args:
            norm: of each token in the residual stream, [n_tokens].
            kind: of each token (harness.codes.Kind). Image tokens have a median of their own; special tokens and those
                of a template are compared with the median of text.
        """
        if self.over is None:
            return np.zeros(len(norm), bool)
        return np.asarray(norm > self.over * medians_for(self.norms, kind))


NO_SINKS = SinkRule()


@dataclass(frozen=True, slots=True)
class Probed:
    """The probe as one subject read it: per token its norm in the residual stream, kind and text, [n_tokens] each."""

    norm: Floats
    kind: NDArray[np.uint8]
    token: tuple[str, ...]

    def norms(self) -> Norms:
        """Return the medians of text tokens and of image tokens, to four digits.

        Rounded, so that another batch or device of the class gives the same. Raises EnvironmentFault `not_finite`.
        """
        text = self._median(Kind.TEXT)
        if text is None:
            message = "the model's activations on its probe texts are NaN, infinite or all zero."
            raise EnvironmentFault("not_finite", message, "Read the model in float32 or bfloat16.")
        return Norms(text, self._median(Kind.IMAGE))

    def unclear(self) -> list[tuple[str, float]]:
        """Return the ordinary tokens between 5 and 20 medians: each text once, with its largest multiple, in order."""
        multiple = self.norm / medians_for(self.norms(), self.kind)
        low, high = UNCLEAR
        ordinary = (self.kind == Kind.TEXT) | (self.kind == Kind.IMAGE)
        found: dict[str, float] = {}
        for i in np.flatnonzero(ordinary & (multiple > low) & (multiple < high)).tolist():
            found[self.token[i]] = max(found.get(self.token[i], 0.0), float(multiple[i]))
        return sorted(found.items(), key=lambda one: -one[1])

    def _median(self, kind: Kind) -> float | None:
        norm = self.norm[(self.kind == kind) & np.isfinite(self.norm)]
        median = float(np.median(norm)) if len(norm) else 0.0
        return float(f"{median:.4g}") if median > 0 else None


def medians_for(norms: Norms, kind: NDArray[np.uint8]) -> Floats:
    """Return the median that each token is compared with, [n_tokens]."""
    image = norms.text if norms.image is None else norms.image
    return np.where(kind == Kind.IMAGE, image, norms.text)


def rule_of(probed: Probed, sinks: Sinks, hook: str, name: str = "this model", pinned: Norms | None = None) -> SinkRule:
    """Return what makes a token a sink at `hook`, given how the probe was read there.

    Pinned medians decide, once the probe agrees with them: a pin that was made for another dtype or hook point would
    flag all tokens or none, and measuring costs one short forward pass a load.

    Raises:
        EnvironmentFault: `sinks_unclear` where 10 medians would cut ordinary tokens in two and `sinks` is auto;
            `norms_changed` where the pinned medians are not those measured; `not_finite`.
    """
    if sinks == "none":
        return NO_SINKS
    found = probed.norms()
    if pinned is not None:
        _must_agree(name, pinned, found)
    if sinks == "auto" and (unclear := probed.unclear()):
        raise _unclear(name, hook, unclear)
    return SinkRule(OVER if sinks == "auto" else float(sinks), pinned or found)


def described(rule: SinkRule) -> str:
    """Return the rule in words, for a finding or a record."""
    if rule.over is None:
        return "no token is a sink (sinks: none)"
    return f"norm over {rule.over:g} times the median ({rule.norms.text:g})"


def written_norms(norms: Norms) -> str:
    """Return the medians as they stand in specs/subjects.yaml."""
    image = "" if norms.image is None else f", image: {norms.image:g}"
    return f"{{text: {norms.text:g}{image}}}"


def _must_agree(name: str, pinned: Norms, found: Norms) -> None:
    pairs: Mapping[str, tuple[float | None, float | None]] = {
        "text": (pinned.text, found.text),
        "image": (pinned.image, found.image),
    }
    for kind, (was, now) in pairs.items():
        if (was is None) != (now is None) or (was is not None and now is not None and not 0.9 < now / was < 1.1):
            raise EnvironmentFault(
                "norms_changed",
                f"specs/subjects.yaml pins a median norm of {was} for {kind} tokens of {name}; it is {now} here.",
                "Remove `median_norm` from the subject and run `interp doctor --pin`.",
            )


def _unclear(name: str, hook: str, tokens: list[tuple[str, float]]) -> EnvironmentFault:
    shown = ", ".join(f"{text!r} ({multiple:.1f} x)" for text, multiple in tokens[:_MOST_SHOWN])
    more = f" and {len(tokens) - _MOST_SHOWN} more" if len(tokens) > _MOST_SHOWN else ""
    return EnvironmentFault(
        "sinks_unclear",
        f"which tokens of {name} are attention sinks cannot be seen from their norms: of the fixed probe texts "
        f"{len(tokens)} ordinary tokens lie between 5 and 20 times the median at {hook}: {shown}{more}.",
        "Write `sinks: none` or `sinks: {over: X}` on the subject in specs/subjects.yaml.",
    )
