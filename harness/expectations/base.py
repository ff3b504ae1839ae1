"""The base of every kind: what a claim is, how it is read, and what judges it.

A kind is one file in this folder: a subclass of Expectation with a sentence per field, `judge`,
the side it claims, the mutants that can change its evidence, and EXAMPLES on toy codes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.codes import Mask, Pool, Specials, Tokens
from harness.expectations.evidence import Evidence
from harness.expectations.noise import usual_noise
from harness.heldout import Half
from harness.independence import Over
from harness.inputs import Attention, PromptSet
from harness.stats.noise import Noise
from harness.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from harness.expectations.outlook import Outlook
    from harness.expectations.telling import Told

Side = Literal["high", "low", "none"]
Scope = Literal["population", "sample"]
Misfit = Literal["prompts", "construction", "keywords"]
Shared = Literal["nothing", "sae", "sae or model"]


@dataclass(frozen=True, slots=True)
class Role:
    """Marks a field that names something to be resolved: a prompt set, a corpus or a subject.

    beside: a set that is not compared with the claim's other sets prompt by prompt, so that it may share texts with
    them (pictures with their captions).
    """

    what: Literal["prompts", "corpus", "subject"]
    beside: bool = False


class UsedSet(BaseModel):
    """A set with how it is read: `{use: color, attention: causal}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    use: str | tuple[str, ...] = Field(description="A set, or several.")
    half: Half | None = Field(
        None, description="discovery or test: the half of its prompts, by hash, that features are found or tested on."
    )
    truncate: bool = Field(
        False, description="Cut prompts at the subject's max_tokens; without it a longer prompt is an error."
    )
    code: bool = Field(
        False, description="Its prompts are code: punctuation and case tell two of them apart. A .txt file is code."
    )
    attention: Attention | None = Field(
        None, description="causal (the default for text) or prefix (for pictures): which tokens see which."
    )


SetRef = Annotated[str | tuple[str, ...] | UsedSet, Role("prompts")]
OptionalSetRef = Annotated[str | tuple[str, ...] | UsedSet | None, Role("prompts")]
PicturesRef = Annotated[str | tuple[str, ...] | UsedSet | None, Role("prompts", beside=True)]
CorpusRef = Annotated[str | None, Role("corpus")]
SubjectRef = Annotated[str, Role("subject")]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The baseline that a number is held against, as it stands today.

    date: when it was accepted, ISO. feature: the one it was measured of. stale: why it is no baseline of today's
    claim and weights, empty where it is one. moved: the library versions that differ since, in words.
    """

    value: float
    date: str
    feature: int | None = None
    stale: str = ""
    moved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """How a spec reads its evidence: what stands beside the kind in YAML.

    `sae_is_topk` and `dtype` come from the subject: the L0 of a TopK SAE is fixed, so a claim about it is vacuous,
    and numbers are as noisy as the model's precision. `over`: what is a unit of prompts from templates that the sides
    do not share: the template, or its word. `accepted`: the baseline of a kind that takes one.
    `measured_noise`: the subject's own, where it stands; `noise_is` says in words whose it is.
    """

    feature: int | None = None
    pool: Pool = "max"
    tokens: Tokens = "text"
    special_tokens: Specials = "ignored"
    scope: Scope = "population"
    alpha: float = 0.05
    over: Over = "templates"
    sae_is_topk: bool = False
    dtype: str = "float32"
    accepted: Accepted | None = None
    measured_noise: Noise | None = None
    noise_is: str = ""

    @property
    def alpha_in_words(self) -> str:
        """.05, .025, 1e-6: with the digits that it has, since half of .05 is not .03."""
        return f"{self.alpha:.4g}".removeprefix("0")

    @property
    def noise(self) -> Noise:
        """How far numbers move that should not: the subject's own, or the usual of its precision."""
        return self.measured_noise or usual_noise(self.dtype)

    @property
    def noise_in_words(self) -> str:
        return self.noise_is or f"the usual noise of {self.dtype} (this subject's own is not measured)"


@dataclass(frozen=True, slots=True)
class KindExample:
    """A claim on toy codes with the outcome it must have: the conformance test and docs/kinds.md read it.

    fields: the kind's own YAML keys. rows: per role the prompts, each a sequence of (token, value of feature 0);
    a token in [[brackets]] is marked, <image> is an image token; the role `prompts@other` is what the subject `other`
    reads there. settings: keys beside the kind, as in Claim. sums: for corpus kinds, see toy.py. promoted: the tokens
    that feature 0's decoder direction raises, strongest first.
    """

    title: str
    outcome: Outcome
    fields: Mapping[str, Any]
    rows: Mapping[str, Sequence[Sequence[tuple[str, float]]]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    promoted: Sequence[str] = ()


class Unfit(ValueError):
    """A claim that its own prompts do not fit. at: the keys and indices inside the kind that lead to what is wrong.
    what: that is the prompts, an edit that makes the claim true by construction, or keywords that the prompts lack."""

    def __init__(self, at: Sequence[str | int], message: str, what: Misfit = "prompts") -> None:
        super().__init__(message)
        self.at = tuple(at)
        self.what: Misfit = what


class Expectation(BaseModel):
    """What is claimed. Subclasses are the kinds; their class docstring is the claim in a sentence.

    reads_decoder: the claim is about the feature's decoder direction, and no prompt is read. asks: `judge` asks for
    prompts beyond its evidence. takes_baseline: the number is held against an accepted one. gives_p: a population
    claim has a p, which a family can correct. p_decides: a random deal of its labels meets it in at most alpha of all
    draws. loosens: fields that lower the bar as they grow, beside the bounds. rivals: mutants that make the claim
    vacuous where they meet it, whatever else it kills. population_needs: optional sets that a claim about prompts in
    general cannot do without. reads_sentences: a corpus is read sentence by sentence, as prompts are, and not in one
    stream of sums.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str] = ""
    reads_feature: ClassVar[bool | None] = True
    reads_decoder: ClassVar[bool] = False
    asks: ClassVar[bool] = False
    takes_baseline: ClassVar[bool] = False
    gives_p: ClassVar[bool] = False
    p_decides: ClassVar[bool] = False
    loosens: ClassVar[frozenset[str]] = frozenset()
    shares: ClassVar[Shared] = "nothing"
    reads_sentences: ClassVar[bool] = False
    population_needs: ClassVar[frozenset[str]] = frozenset()
    mutants: ClassVar[frozenset[str]] = frozenset()
    rivals: ClassVar[frozenset[str]] = frozenset()
    examples: ClassVar[tuple[KindExample, ...]] = ()

    def about_feature(self) -> bool:
        """Whether this claim is about a feature; kinds where that depends on their fields have reads_feature None."""
        return bool(self.reads_feature)

    def side(self) -> Side:
        """`high` where firing more makes it true, `low` where firing less does, `none` otherwise."""
        return "none"

    def changed_by(self) -> frozenset[str]:
        """The mutants that can change the evidence of this very claim: those of the kind, less what its fields
        rule out."""
        return self.mutants

    def beforehand(self, sets: Mapping[str, PromptSet], claim: Claim) -> Verdict | None:
        """The verdict that no evidence can change (too few prompts for alpha), or None."""
        return None

    def smallest_p(self, sets: Mapping[str, PromptSet], claim: Claim) -> float | None:
        """The smallest p that any evidence on these sets could reach; None where no p, or not the sets, decide."""
        return None

    def to_be_met(self, sets: Mapping[str, PromptSet], claim: Claim) -> str | None:
        """What the number must come to on these sets, in words; None for a kind that does not know beforehand."""
        return None

    def outlook(self, evidence: Evidence, claim: Claim) -> Outlook | None:
        """The claim's power at the effect seen here and what would raise it; None where the kind has none.

        Asked of a claim that was judged, and found neither dead nor undecidable.
        """
        return None

    def other_subjects(self) -> tuple[str, ...]:
        """Subjects, beside the spec's own, whose evidence is needed; `shares` says what they must have in common."""
        return tuple(self.references("subject").values())

    def read_by(self, role: str) -> tuple[str | None, ...]:
        """Which subjects read the prompts (or the corpus) of a role; None is the spec's own."""
        return (None, *self.other_subjects())

    def counted_as(self, role: str, claim: Claim) -> Claim:
        """How a role's tokens are counted: as the claim says, but for kinds that read pictures beside it."""
        return claim

    def check_fit(self, sets: Mapping[str, PromptSet], claim: Claim) -> None:
        """Raises Unfit where the claim can make nothing of its sets; cheap, since every load of the suite asks."""

    def makes(self, sets: Mapping[str, PromptSet]) -> dict[str, PromptSet]:
        """Prompts that the claim makes from its sets, by a role that is no field: read with the others, judged from.

        Pure, and the same in every process.
        """
        return {}

    def needs_residuals(self, role: str = "prompts") -> bool:
        """True where the claim compares the activations of a role themselves (DiffMean, another model's)."""
        return False

    def meeting(self, evidence: Evidence, claim: Claim) -> Mask | None:
        """Which features' effect reaches the bound, [d_sae]; None for a kind whose null says nothing."""
        return None

    def excludes_nothing(self) -> Iterator[tuple[str, str]]:
        """Yield (field, message) of what else in the claim every evidence meets; bounds are compared in scales.py."""
        yield from ()

    def contrast(self) -> tuple[str, str, float] | None:
        """(the role on which the feature fires more, the other one, the least AUROC that the claim needs) of a claim
        that compares two sets, which a shortcut could explain; None for other claims."""
        return None

    def weaknesses(self, evidence: Evidence, claim: Claim) -> Iterator[str]:
        """Yield why the claim, met on this evidence, says little, beside its null: one line each, with what to do."""
        yield from ()

    def compared(self, evidence: Evidence) -> tuple[Mask, str] | None:
        """The features that `meeting` is counted over, [d_sae], and what they are; None for the live ones."""
        return None

    def judge(self, evidence: Evidence, claim: Claim) -> Verdict:
        """Decide the claim from the evidence alone."""
        raise TypeError(f"the kind {self.kind!r} does not say how it is judged")

    def in_words(self, told: Told) -> str:
        """This very claim as one plain sentence: feature, sets with their sizes, bounds, and all that is not default.

        Made of the fields here; a kind says it better where that reads badly.
        """
        places = (*self.references("prompts"), *self.references("corpus"))
        given = {name: getattr(self, name) for name in type(self).model_fields if name not in places}
        said = {name: told.on(name) for name in places}
        said |= {name: told.value(value) for name, value in given.items() if value is not None}
        fields = ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in said.items())
        about = f"of {told.who}: " if told.who else ""
        claimed = about + self.summary().replace("`", "").removesuffix(".")
        return told.sentence(claimed, fields, told.level(), told.pooled())

    @classmethod
    def summary(cls) -> str:
        """The first sentence of the class docstring."""
        return (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")

    @classmethod
    def roles(cls, what: str) -> tuple[str, ...]:
        """The fields that name a prompt set (or a corpus), in order."""
        return tuple(name for name, role in _roles_of(cls) if role.what == what)

    @classmethod
    def roles_beside(cls) -> tuple[str, ...]:
        """The roles whose prompts may stand in the claim's other sets too."""
        return tuple(name for name, role in _roles_of(cls) if role.beside)

    def references(self, what: str) -> dict[str, Any]:
        """The roles of this claim that are filled, with what the reviewer wrote there."""
        return {name: getattr(self, name) for name in self.roles(what) if getattr(self, name) is not None}


@cache
def _roles_of(kind: type[Expectation]) -> tuple[tuple[str, Role], ...]:
    """Asked several times for each claim, and the same for all claims of a kind."""
    return tuple(
        (name, meta) for name, info in kind.model_fields.items() for meta in info.metadata if isinstance(meta, Role)
    )
