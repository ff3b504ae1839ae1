"""From numbers to a verdict: the rule that holds limits against a bound, and the words around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.expectations.base import Claim
from harness.expectations.bounds import Bound, RelativeBound
from harness.expectations.noise import Margin, Measure
from harness.stats.intervals import Limits, rate_inside
from harness.verdict import Measurement, Outcome, Reason, Verdict, inconclusive

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True, slots=True)
class Part:
    """One bounded number of a claim and how it came out; a claim with several holds if all hold.

    measure: what the number is, where it is known how that moves with noise. scale: what relative noise is relative
    to, the number itself unless given: a difference of two means is as noisy as the means, however small it is.
    """

    name: str
    limits: Limits
    bound: Bound
    outcome: Outcome
    n: int
    unit: str = ""
    measure: Measure | None = None
    scale: float | None = None

    @property
    def measurement(self) -> Measurement:
        return measured(self.name, self.limits, self.n, self.unit)

    @property
    def margin(self) -> Margin | None:
        """How far what decided is from the bound; None where nothing was decided, or the noise is not known."""
        distances = [abs(number - edge) for number, edge in self._decided()]
        if self.measure is None or not distances:
            return None
        return Margin(self.measure, self.limits.value if self.scale is None else self.scale, min(distances))

    def _decided(self) -> Iterator[tuple[float, float]]:
        """(the number that decided, the edge of the bound that it was held against)."""
        value = self.limits.value
        low, high = self.limits.low1, self.limits.high1
        sides = (low, self.bound.low, low >= self.bound.low), (high, self.bound.high, high <= self.bound.high)
        if self.outcome is Outcome.MET:
            yield from ((limit if inside else value, edge) for limit, edge, inside in sides if math.isfinite(edge))
        if self.outcome is Outcome.UNMET:
            below = value < self.bound.low
            limit, edge = (high, self.bound.low) if below else (low, self.bound.high)
            outside = limit < edge if below else limit > edge
            yield (limit if outside else value), edge


def worst(parts: Sequence[Part]) -> Part:
    """The part that decides: the first unmet, else the first inconclusive, else the first."""
    rank = {Outcome.UNMET: 0, Outcome.INCONCLUSIVE: 1, Outcome.MET: 2}
    return min(parts, key=lambda part: rank[part.outcome])


def by_limits(bound: Bound, limits: Limits) -> Outcome:
    """met if the one-sided limits lie inside the bound, unmet if they lie outside, else could not tell."""
    if not math.isfinite(limits.value):
        return Outcome.INCONCLUSIVE
    if bound.low <= _toward(limits.low1, bound.low) and _toward(limits.high1, bound.high) <= bound.high:
        return Outcome.MET
    outside = limits.high1 < bound.low or limits.low1 > bound.high
    return Outcome.UNMET if outside else Outcome.INCONCLUSIVE


def _toward(limit: float, bound: float) -> float:
    """An open side of a bound is met by any limit, NaN too."""
    return bound if math.isinf(bound) else limit


def by_value(bound: Bound, value: float) -> Outcome:
    """`scope: sample`: the number itself."""
    if not math.isfinite(value):
        return Outcome.INCONCLUSIVE
    return Outcome.MET if bound.holds(value) else Outcome.UNMET


def judged(bound: Bound, limits: Limits, claim: Claim) -> Outcome:
    """By the limits for prompts in general, by the number for `scope: sample`."""
    return by_value(bound, limits.value) if claim.scope == "sample" else by_limits(bound, limits)


def part(
    name: str,
    limits: Limits,
    bound: Bound,
    claim: Claim,
    n: int,
    unit: str = "",
    measure: Measure | None = None,
    scale: float | None = None,
) -> Part:
    """A part judged in the usual way; a number of these prompts only has no limits."""
    shown = only(limits.value) if claim.scope == "sample" else limits
    return Part(name, shown, bound, judged(bound, limits, claim), n, unit, measure, scale)


def verdict_of(parts: Sequence[Part], finding: str, reason: Reason = Reason.UNDERPOWERED, **rest: object) -> Verdict:
    """The verdict of a claim from its parts: the deciding one is the measurement, the others stand in `also`."""
    deciding = worst(parts)
    others = tuple(p.measurement for p in parts if p is not deciding)
    also = rest.pop("also", ())
    assert isinstance(also, tuple)
    details = dict(rest.pop("details", {}))  # type: ignore[call-overload]
    deciders = [deciding] if deciding.outcome is Outcome.UNMET else list(parts)
    margins = [found for found in (one.margin for one in deciders) if found is not None]
    why = reason if deciding.outcome is Outcome.INCONCLUSIVE else None
    return Verdict(
        deciding.outcome,
        finding,
        measurement=deciding.measurement,
        bound=f"{deciding.name} {deciding.bound}" if len(parts) > 1 else str(deciding.bound),
        reason=why,
        also=(*others, *also),
        details={**details, "margins": margins} if margins else details,
        **rest,  # type: ignore[arg-type]
    )


def measured(name: str, limits: Limits, n: int, unit: str = "") -> Measurement:
    """A Measurement with its two-sided 95 % limits, where these are finite."""
    has = math.isfinite(limits.low) and math.isfinite(limits.high)
    return Measurement(name, limits.value, n, unit, low=limits.low if has else None, high=limits.high if has else None)


def only(value: float) -> Limits:
    """A number without limits."""
    return Limits(value, math.nan, math.nan, math.nan, math.nan)


def short(value: float) -> str:
    """.94, 1, 12.3, .0021, 2e-7, 4,820: two or three digits, as a reader wants them."""
    if not math.isfinite(value):
        return str(value)
    if 0 < abs(value) < 1e-4:
        mantissa, power = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(power)}"
    if 0 < abs(value) < 0.0095:
        return f"{value:.2g}".replace("0.", ".", 1)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.3g}"
    if 0.9 < abs(value) < 1 and text.endswith("1.00"):
        text = f"{value:.4f}"  # an AUROC of .9995 is not perfect
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("0.", ".", 1) if abs(value) < 1 and "." in text else text


def spread(limits: Limits) -> str:
    """`.94 [.83, .98]`, without brackets where there are no limits."""
    if not (math.isfinite(limits.low) and math.isfinite(limits.high)):
        return short(limits.value)
    return f"{short(limits.value)} [{short(limits.low)}, {short(limits.high)}]"


def limits_text(bound: Bound) -> str:
    """`at least .9`, as a finding says it; over another subject's number where the bound says so."""
    over = bound.over if isinstance(bound, RelativeBound) else None
    beside = f" {'times' if over.by == 'ratio' else 'over'} {over.subject}'s" if over is not None else ""
    return _limits(bound) + beside


def bound_text(bound: Bound) -> str:
    """The bound in words, in the same short numbers as the finding."""
    return f"bound {_limits(bound)}"


def _limits(bound: Bound) -> str:
    if bound.between is not None:
        return f"between {short(bound.low)} and {short(bound.high)}"
    return f"at least {short(bound.low)}" if bound.at_least is not None else f"at most {short(bound.high)}"


def in_words(n: int) -> str:
    return _WORDS[n] if n < len(_WORDS) else str(n)


def fewest(enough: Callable[[int], bool], start: int, most: int = 10_000) -> int | None:
    """The smallest n >= start that is enough, or None where none up to `most` is."""
    return next((n for n in range(start, most + 1) if enough(n)), None)


def reachable(bound: Bound, n: int, alpha: float) -> bool:
    """Whether some count of n has its one-sided limits inside the bound: rate >= .8 needs 14, <= .05 needs 59."""
    if n == 0:
        return False
    if bound.between is None:
        floor = alpha ** (1 / n)  # Clopper-Pearson's lower limit at n of n; its mirror is the upper one at 0
        return bool(floor >= bound.low) if bound.at_least is not None else bool(1 - floor <= bound.high)
    return bool(rate_inside(np.arange(n + 1.0), n, bound.low, bound.high, alpha).any())


def too_few(
    n: int,
    missing: int | None,
    where: str,
    because: str,
    unit: str = "prompts",
    sample_helps: bool = True,
    besides: tuple[int, str] | None = None,
    also: str = "",
) -> Verdict:
    """The static verdict on a set that is too small; `missing`: how many more would do, None where none would.

    sample_helps: whether `scope: sample` would let the claim be made of these prompts only. besides: how many more
    another set needs at the same time, and its name. also: a sentence on why so few count.
    """
    head = f"{n} {unit if n != 1 else unit.removesuffix('s')} cannot show this for prompts in general ({because})."
    these = "this one only" if n == 1 else f"these {in_words(n)} only"
    more = "" if unit == "prompts" else f" {unit if missing != 1 else unit.removesuffix('s')}"
    add = "No number of prompts can: change the bound"
    if missing is not None:
        both = f" and {besides[0]} to {besides[1]}" if besides is not None else ""
        add = f"Add {missing}{more} to {where}{both} (`interp draft` suggests some)"
    sample = f", or write `scope: sample` to claim it of {these}" if sample_helps else ""
    return inconclusive(
        Reason.TOO_FEW_PROMPTS,
        " ".join(filter(None, [head, f"{add}{sample}.", also])),
        measurement=Measurement(unit, n, n),
        details={} if missing is None else {"add": missing, "to": where} | _besides(besides),
    )


def _besides(other: tuple[int, str] | None) -> dict[str, object]:
    return {} if other is None else {"besides": {"add": other[0], "to": other[1]}}


def against(found: Part, claim: Claim) -> str:
    """`firing rate 0 [0, .23], one-sided limit .19, bound at most .2`: the number, what decides, and the bound."""
    shown = f"{found.name} {spread(found.limits)}{' ' + found.unit if found.unit else ''}"
    if claim.scope == "sample":
        return f"{shown} (these prompts only), {bound_text(found.bound)}"
    limits = [short(limit) for limit in _deciding(found) if math.isfinite(limit)]
    one_sided = f", one-sided limit{'s' if len(limits) > 1 else ''} {' and '.join(limits)}" if limits else ""
    return f"{shown}{one_sided}, {bound_text(found.bound)}"


def _deciding(found: Part) -> tuple[float, ...]:
    """The limits that decided: those that had to be inside the bound, or the one that refutes it."""
    low, high = found.limits.low1, found.limits.high1
    if found.outcome is Outcome.UNMET:
        return (high,) if high < found.bound.low else (low,)
    return tuple(x for x, b in ((low, found.bound.low), (high, found.bound.high)) if math.isfinite(b))
