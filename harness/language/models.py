"""The keys of a suite file, with a sentence each: the editor's help, the schema and the checks come from here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from harness.agreement import OTHERWISE
from harness.codes import Pool, Specials, Tokens
from harness.expectations.base import Role, Scope, UsedSet
from harness.independence import Over
from harness.inputs import Bos, Modality

Text = Annotated[str, Field(min_length=1)]
FeatureId = Annotated[int, Field(ge=0)]
SetName = str | tuple[str, ...] | UsedSet


SPEC_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
REVISION = r"^([0-9a-f]{40}|unpinned)$"
DIGEST = r"^[0-9a-f]{64}$"
PATTERNS = {
    DIGEST: "a sha256 of 64 hex digits",
    SPEC_ID: "letters, digits, _ . and -, a letter or digit first",
    REVISION: "a commit of 40 hex digits, or unpinned",
}

EACH_ONCE: dict[str, Any] = {"uniqueItems": True}


MOST_ALPHA = 0.5  # above it a one-sided lower limit lies over the upper one, and every claim is met


def _at_most_a_coin(alpha: float) -> float:
    if alpha <= MOST_ALPHA:
        return alpha
    confidence = f"; write {round(1 - alpha, 12):g} for {100 * alpha:g} % confidence" if 0.8 <= alpha < 1 else ""
    raise PydanticCustomError("less_than_equal", f"It must be at most {MOST_ALPHA:g}, an error rate{confidence}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BestOn(_Strict):
    """The sets on which a feature is chosen; it is tested on others."""

    prompts: Annotated[SetName, Role("prompts")] = Field(description="Prompts on which the feature should fire.")
    than: Annotated[SetName, Role("prompts")] = Field(description="Prompts on which it should not.")
    by: Literal["auroc", "mean", "rate"] = Field(
        "auroc", description="What ranks the features: AUROC, difference of means, or difference of firing rates."
    )


class BestFeature(_Strict):
    """A feature named by what it does, not by its number."""

    best: BestOn = Field(description="Take the feature that ranks first on these discovery prompts.")


class FeatureSource(_Strict):
    """Where a feature's number and label are published: `discovered_on` in place of a prompt set."""

    label: Text = Field(description="What the feature is said to encode there.")
    from_: Text = Field(alias="from", description="Where that is published: an address or a citation.")


class SpecKeys(_Strict):
    """The keys beside the kind: how a claim reads its evidence, and what is said about it."""

    id: Text | None = Field(
        None,
        pattern=SPEC_ID,
        description="The claim's name in this file; tests are named after it. May be left out with {best: ...}.",
    )
    why: Text | None = Field(None, description="What makes you expect this, for the reader of a failure.")
    feature: FeatureId | BestFeature | None = Field(
        None, description="The feature's number, or {best: ...}: the one that ranks first on discovery prompts."
    )
    features: Annotated[tuple[FeatureId, ...], Field(min_length=1, json_schema_extra=EACH_ONCE)] | None = Field(
        None, description="Several features, one test each; one test in all with `together`."
    )
    together: Literal["all", "any"] | None = Field(
        None, description="Judge `features` as one claim: all of them meet it, or any of them does."
    )
    subjects: Annotated[tuple[Text, ...], Field(min_length=1, json_schema_extra=EACH_ONCE)] | None = Field(
        None, description="Subjects of this claim, in place of the suite's; names from specs/subjects.yaml."
    )
    pool: Pool = Field("max", description="What turns a prompt's counted tokens into one number.")
    tokens: Tokens = Field("text", description="Which tokens count.")
    special_tokens: Specials = Field("ignored", description="Whether special tokens (BOS and the like) count.")
    scope: Scope = Field(
        "population",
        description="population: of prompts like these, tested statistically; sample: of these prompts only.",
    )
    alpha: Annotated[float, AfterValidator(_at_most_a_coin)] = Field(
        0.05,
        gt=0,
        json_schema_extra={"maximum": MOST_ALPHA},
        description="The error rate at which a population claim is decided; .05 is 95 % confidence.",
    )
    over: Over = Field(
        "templates",
        description="What is one unit of prompts made from templates that the sides do not share (or of one set): "
        "templates, or their words; words say nothing of other templates. Of shared templates words are the units.",
    )
    family: Text | None = Field(
        None,
        pattern=SPEC_ID,
        description="Claims of one family, in any file, are corrected for multiplicity together: a test of its own.",
    )
    q: float | None = Field(
        None, gt=0, lt=1, description="The false discovery rate of the family, the same for all its members (.05)."
    )
    severity: Literal["fail", "warn"] = Field(
        "fail", description="warn: a claim that does not hold is a line in the summary; the steering gate still blocks."
    )
    xfail: Text | None = Field(None, description="The reason why this claim is known not to hold (strict; unmet only).")
    shortcut_accepted: Text | None = Field(
        None,
        description="Why it is accepted that a trivial predictor (length, a first token, punctuation) tells the sets "
        "apart as well; without it `--fail-vacuous` fails the claim.",
    )
    loosened_because: Text | None = Field(
        None, description="Why this claim's bar is lower than it was: `interp check --against` asks for it."
    )
    tags: tuple[Text, ...] = Field((), description="Markers to select tests by, beside the suite's: pytest -m color.")
    owner: Text | None = Field(None, description="Who answers for this claim, in place of the suite's owner.")
    discovered_on: Annotated[SetName | None, Role("prompts")] = Field(
        None,
        description="The prompts on which the feature was found; a claim cannot be tested on them. Or its published "
        "source, {label, from}: the author's word, which does not show that the tested prompts are held out.",
    )


class SuiteKeys(_Strict):
    """A suite: claims about features, with the prompts that they are tested on."""

    title: Text | None = Field(None, description="What this file is about.")
    subjects: Annotated[tuple[Text, ...], Field(min_length=1, json_schema_extra=EACH_ONCE)] | None = Field(
        None, description="Names from specs/subjects.yaml; every claim runs on each."
    )
    owner: Text | None = Field(None, description="Who answers for these claims.")
    tags: tuple[Text, ...] = Field((), description="Markers to select tests by: pytest -m color.")
    loosened_because: Text | None = Field(
        None, description="Why claims that stood here are gone: `interp check --against` asks for it."
    )
    prompts: dict[str, Any] | None = Field(None, description="Named sets of prompts.")
    expect: tuple[Any, ...] = Field((), description="The claims.")


class ModelEntry(_Strict):
    """A model's weights: exactly one of path, hub, package."""

    path: Text | None = Field(None, description="A folder of this repository.")
    hub: Text | None = Field(None, description="A repository on the Hugging Face hub; needs `revision`.")
    package: Text | None = Field(None, description="An installed Python package that carries the weights.")
    revision: Text | None = Field(None, pattern=REVISION, description="The hub commit, 40 hex digits, or `unpinned`.")
    digest: Text | None = Field(
        None, pattern=DIGEST, description="Digest of weights and config, held against the files."
    )
    tokenizer_digest: Text | None = Field(
        None, pattern=DIGEST, description="Digest of the files of the tokenizer and the image processor."
    )
    modality: Modality = Field("text", description="image_text: it reads pictures with their captions, too.")


class SaeEntry(_Strict):
    """An SAE's weights: path, or sae-lens release and id."""

    path: Text | None = Field(None, description="A folder of this repository.")
    release: Text | None = Field(None, description="A release of sae-lens; needs `id`.")
    id: Text | None = Field(None, description="The SAE's id in the release.")
    digest: Text | None = Field(None, pattern=DIGEST, description="Digest of the weights and cfg.json.")
    d_in: int | None = Field(None, gt=0, description="Width of the activations that the SAE reads.")
    d_sae: int | None = Field(None, gt=0, description="Number of features; feature numbers are checked against it.")
    hook: Text | None = Field(None, description="Where the SAE reads, such as blocks.10.hook_resid_post.")
    format: Literal["sae_lens", "qwen_scope"] = Field(
        "sae_lens", description="How the files of `path` are written; qwen_scope is a folder with one layerN.sae.pt."
    )
    k: int | None = Field(None, gt=0, description="Features a token of a TopK SAE; a qwen_scope file does not say it.")
    architecture: Text | None = Field(
        None, description="The SAE's form (jumprelu, topk, standard, ...), compared with what the SAE says."
    )


class OverMedian(_Strict):
    """A token is a sink from so many medians on."""

    over: float = Field(
        gt=1, allow_inf_nan=False, description="A token is a sink where its norm exceeds so many times the median."
    )


class NormsEntry(_Strict):
    """Median norms in the residual stream, as `interp doctor --pin` writes them."""

    text: float = Field(gt=0, allow_inf_nan=False, description="The median of text tokens.")
    image: float | None = Field(None, gt=0, allow_inf_nan=False, description="The median of image tokens.")


class SubjectEntry(_Strict):
    """A model read through an SAE at one place."""

    model: Text = Field(description="A name under `models:`.")
    sae: Text = Field(description="A name under `saes:`.")
    hook: Text | None = Field(None, description="Where the SAE reads; needed where the SAE does not say.")
    dtype: Literal["float32", "bfloat16", "float16"] = Field("float32", description="The model's precision.")
    device: Literal["cpu", "cuda", "auto"] = Field("cpu", description="Where the model runs.")
    max_tokens: int = Field(
        512, gt=0, description="Longer prompts are an error, or are cut where the set says truncate."
    )
    device_map: Literal["auto"] | None = Field(
        None, description="auto spreads a model too big for one GPU over several and the CPU's memory (accelerate)."
    )
    read_otherwise: dict[str, Text] | None = Field(
        None,
        description="What is meant to be read otherwise than the SAE was trained, each with the reason: "
        + ", ".join(OTHERWISE)
        + ".",
    )
    bos: Bos = Field(
        "auto",
        description="Whether texts begin with BOS; auto is as the SAE was trained, or else as the tokenizer does it.",
    )
    sinks: Literal["auto", "none"] | OverMedian = Field(
        "auto",
        description="Which tokens are attention sinks, which do not count. auto: over 10 times the median norm.",
    )
    median_norm: NormsEntry | None = Field(
        None, description="Median norms by which sinks are found; `interp doctor --pin` writes them."
    )
    owner: str = Field("", description="Who answers for this subject.")


class CorpusEntry(_Strict):
    """A text file that claims about whole corpora read."""

    path: Text = Field(description="A text file, relative to specs/.")
    digest: Text | None = Field(
        None, pattern=DIGEST, description="sha256 of the file; taken from the file where it is left out."
    )
    context_length: int = Field(128, gt=1, description="Tokens a context.")
    token_limit: int = Field(100_000, gt=0, description="At most this many tokens are read.")


Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class NoiseEntry(_Strict):
    """How far two readings were apart (harness/stats/noise.py)."""

    flips: Share = Field(description="Firings in one reading only, of the mean number of firings.")
    mean: Share = Field(description="How far a feature's mean activation moves, relative; the median feature.")
    single: Share = Field(description="How far one token's activation moves, relative; 99th percentile.")
    l0: Share = Field(description="How far the mean L0 moves, relative.")
    fvu: Share = Field(description="How far the FVU moves, absolute.")


class CalibrationEntry(_Strict):
    """A subject's own noise, as `interp calibrate` writes it."""

    date: Text = Field(description="When it was measured.")
    prompts: int = Field(ge=1, description="How many prompts were read.")
    tokens: int = Field(ge=1, description="How many counted tokens they have.")
    batch: NoiseEntry = Field(description="One prompt at a time against the usual batches.")
    other: Literal["float32", "bfloat16"] = Field(description="The other precision.")
    precision: NoiseEntry = Field(description="The other precision against the subject's own.")
    read_with: dict[str, str] = Field(description="Weights, SAE, tokenizer, device and versions that it was read with.")


class BaselineEntry(_Strict):
    """An accepted number, as `interp accept` writes it."""

    measure: Text = Field(description="What was measured.")
    value: Annotated[float, Field(allow_inf_nan=False)] = Field(description="The number.")
    n: int = Field(ge=0, description="How many tokens or prompts it was measured on.")
    unit: str = Field("", description="The number's unit, where it has one.")
    feature: FeatureId | None = Field(None, description="The feature that it is of; none for a number of the subject.")
    date: Text = Field(description="When it was accepted.")
    run: Text = Field(description="The run that measured it.")
    claim: Text = Field(pattern=DIGEST, description="Digest of what the claim measures.")
    read_with: dict[str, str] = Field(description="Weights, SAE, tokenizer, device and versions that it was read with.")
