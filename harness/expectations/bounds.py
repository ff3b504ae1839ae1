"""`metric: {at_least | at_most | between}`: the one grammar of bounds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Number = Annotated[float, Field(strict=False, allow_inf_nan=False)]
ShareNumber = Annotated[float, Field(strict=False, allow_inf_nan=False, ge=0, le=1)]


class Bound(BaseModel):
    """Limits of one measured number; exactly one of the three keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_least: Number | None = Field(None, description="The number must be this or more.")
    at_most: Number | None = Field(None, description="The number must be this or less.")
    between: tuple[Number, Number] | None = Field(None, description="The number must be in this closed range.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Bound:
        given = [k for k in ("at_least", "at_most", "between") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"a bound takes exactly one of at_least, at_most, between; it has {given or 'none'}")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError(f"between is [low, high]; {list(self.between)} is the wrong way round")
        return self

    @property
    def low(self) -> float:
        """The lower limit, -inf where there is none."""
        return self.at_least if self.at_least is not None else self.between[0] if self.between else float("-inf")

    @property
    def high(self) -> float:
        """The upper limit, inf where there is none."""
        return self.at_most if self.at_most is not None else self.between[1] if self.between else float("inf")

    def holds(self, value: float) -> bool:
        """False for NaN: what cannot be computed is inside no bound."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if self.between is not None:
            return f"between {self.between[0]:g} and {self.between[1]:g}"
        return f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"


def claims_more(bound: Bound, kind: str, chance: float, instead: str = "") -> Bound:
    """The bound of a number that is `chance` where nothing differs, in a claim of more; ValueError with the mend.

    A range from chance or below holds what does not differ, and no p could ever bear it out.
    """
    at = f"{chance:g}".replace("0.", ".")
    if bound.at_most is not None:
        raise ValueError(f"{kind} claims more, so it takes at_least (or between, from over {at}){instead}")
    if bound.between is not None and bound.low <= chance:
        raise ValueError(
            f"{kind} claims more, and {at} is no difference; this range begins at {bound.low:g}: raise its lower edge "
            f"above {at}, or write at_least"
        )
    return bound


def more_than(chance: float) -> dict[str, Any]:
    """What `claims_more` asks for, as an editor can check it."""
    edge = {"prefixItems": [{"exclusiveMinimum": chance}]}
    return {"allOf": [{"not": {"required": ["at_most"]}}, {"properties": {"between": edge}}]}


class ShareBound(Bound):
    """Limits of a share: a rate, a precision, an AUROC. Outside 0 to 1 every number would be met, or none."""

    at_least: ShareNumber | None = Field(None, description="The share must be this or more, 0 to 1.")
    at_most: ShareNumber | None = Field(None, description="The share must be this or less, 0 to 1.")
    between: tuple[ShareNumber, ShareNumber] | None = Field(
        None, description="The share must be in this closed range, 0 to 1."
    )


class Over(BaseModel):
    """What a relative bound is measured over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: str = Field(description="The subject whose number this one is held against.")
    by: Literal["difference", "ratio"] = Field(
        "difference", description="This number minus the other subject's, or divided by it."
    )


class RelativeBound(Bound):
    """A bound on a number, or on it over another subject's: `{over: {subject: B}, at_most: .05}`."""

    over: Over | None = Field(
        None, description="Hold the difference to another subject's number, or the ratio, against the limits."
    )

    def __str__(self) -> str:
        if self.over is None:
            return super().__str__()
        return super().__str__() + (" x " if self.over.by == "ratio" else " over ") + f"{self.over.subject}'s"
