"""What would decide a claim: its power at the effect seen here, and the cheapest prompts that would raise it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.expectations.bounds import Bound
from harness.expectations.results import short
from harness.stats.power import ENOUGH, rate_power

STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)
MOST_FOR_A_RATE = 1000


@dataclass(frozen=True, slots=True)
class Addition:
    """How many more of each set, and the power with them."""

    more: Mapping[str, int]
    power: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """The chance that as many other prompts like these would meet the claim, if the effect is what it is here.

    effect: in words. n: units now. addition: the cheapest one found that takes the power to .8, None where the power
    is that already or none would. unit: prompts or templates. most: how many more were tried.
    """

    power: float
    effect: str
    n: int
    addition: Addition | None = None
    unit: str = "prompts"
    most: int = STEPS[-1]

    def __str__(self) -> str:
        head = f"at {self.effect}, as many other {self.unit} would meet it with power {short(self.power)}"
        if self.power >= ENOUGH:
            return head
        return f"{head}; {self.needed}"

    @property
    def needed(self) -> str:
        """`6 more of others (prompts): .62 -> .9`."""
        if self.power >= ENOUGH:
            return f"as many other {self.unit}: they would decide it with power {short(self.power)}"
        if self.addition is None:
            why = "the effect is too near its bound, or beyond it"
            return f"not even {self.most} more would raise it to {short(ENOUGH)}: {why}"
        more = " and ".join(f"{n} more of {name}" for name, n in self.addition.more.items())
        return f"{more} ({self.unit}): {short(self.power)} -> {short(self.addition.power)}"

    def to_dict(self) -> dict[str, Any]:
        add = self.addition and {"more": dict(self.addition.more), "power": self.addition.power}
        return {"power": self.power, "effect": self.effect, "n": self.n, "unit": self.unit, "add": add}


def rate_outlook(share: float, n: int, bound: Bound, alpha: float, name: str, unit: str) -> Outlook:
    """Of a rate: exact. The n is the first one whose power is .8; rates go up and down a little from n to n."""

    def power(units: int) -> float:
        return rate_power(share, units, bound.low, bound.high, alpha)

    now = power(n)
    found = None
    if now < ENOUGH and bound.holds(share):
        more = next((k for k in range(1, MOST_FOR_A_RATE + 1) if power(n + k) >= ENOUGH), None)
        found = None if more is None else Addition({name: more}, power(n + more))
    return Outlook(now, f"a rate of {short(share)}", n, found, unit, MOST_FOR_A_RATE)


def outlook_of(
    power_with: Callable[[Sequence[int]], float], names: Sequence[str], effect: str, n: int, unit: str
) -> Outlook:
    """An outlook from the power with so many units more of each named set."""
    now = power_with([0] * len(names))
    return Outlook(now, effect, n, None if now >= ENOUGH else cheapest(power_with, names), unit)


def cheapest(power_with: Callable[[Sequence[int]], float], names: Sequence[str]) -> Addition | None:
    """The fewest units more, to the last set, to the first, or to each, that take the power to .8; ties go to the
    last set, which holds the negatives. Each way is searched by bisection: power grows with n."""
    ways = [[0] * (len(names) - 1) + [1], [1] + [0] * (len(names) - 1), [1] * len(names)]
    found = [_fewest(power_with, way, names) for way in {tuple(way): way for way in ways}.values()]
    return min((one for one in found if one is not None), key=lambda one: sum(one.more.values()), default=None)


def _fewest(power_with: Callable[[Sequence[int]], float], way: Sequence[int], names: Sequence[str]) -> Addition | None:
    def power(k: int) -> float:
        return power_with([k * each for each in way])

    if power(STEPS[-1]) < ENOUGH:
        return None
    k = STEPS[bisect_left(STEPS, True, key=lambda step: power(step) >= ENOUGH)]
    return Addition({name: k for name, each in zip(names, way, strict=True) if each}, power(k))
