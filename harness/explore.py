"""The library: look at features in a notebook or a script, before anybody claims anything. Reads only.

`open_subject("tiny-gemma2")` reads a subject of specs/subjects.yaml and remembers what it read; `open_subject(model=,
tokenizer=, sae=, layer=)` reads objects that are already in memory, and remembers nothing; with `processor=` in place
of `tokenizer=` a PaliGemma model reads pictures, too. Neither makes a gate record. The functions at the end take codes
or plain (n, F) arrays.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.cachedir import run_folder
from harness.census import Census, census_of
from harness.codes import Codes, Mask, Pool, Pooled, Specials, Tokens
from harness.errors import at_least_one, one_of
from harness.independence import grouping
from harness.inputs import Attention, Need, Prompt, Sinks, Subject
from harness.rankings import RankedFeature, Ranking, Scan, ScannedPrompt
from harness.repository import repository
from harness.spelling import spelled, spelled_alone
from harness.stats.auroc import SignedCodes, auroc_of_all
from harness.stats.contrast import check_widths, mean_of_all, rate_gap, rate_of_all
from harness.stats.permutation import rank_sum, stratified_p
from harness.stats.transfer.aligned import AlignedRule
from harness.stats.transfer.ratio import RatioRule

Rank = Literal["mean", "auroc", "rate"]
Prompts = str | Sequence[str | Prompt]
CodesLike = Codes | Pooled | ArrayLike


@dataclass(frozen=True, slots=True)
class OpenSubject:
    """A model, an SAE and a place. `read` turns prompts into the codes of all their tokens.

    tokens, special_tokens: which tokens count when a prompt is pooled into one number per feature
    (specials ignored unless asked for: one BOS token raises a feature's mean 25-fold).
    """

    read: Callable[[Sequence[Prompt]], Codes]
    tokens: Tokens = "text"
    special_tokens: Specials = "ignored"

    def __post_init__(self) -> None:
        one_of("tokens", self.tokens, get_args(Tokens))
        one_of("special_tokens", self.special_tokens, get_args(Specials))

    def encode(self, prompts: Prompts) -> Codes:
        """The sparse code of every token of every prompt."""
        return self.read(_as_prompts(prompts))

    def pooled(self, prompts: Prompts, pool: Pool = "max") -> Pooled:
        """One number per prompt and feature. Raises ValueError for another `pool`, before anything is read."""
        one_of("pool", pool, get_args(Pool))
        codes = self.encode(prompts)
        return codes.pooled(codes.counted(self.tokens, self.special_tokens), pool)

    def top_features(self, prompt: str, n: int = 10, pool: Pool = "max") -> Ranking:
        """The n features that fire most on one prompt, with the token of the peak."""
        at_least_one("n", n)
        one_of("pool", pool, get_args(Pool))
        codes = self.encode([prompt])
        return top_features(codes, n, codes.counted(self.tokens, self.special_tokens), pool, prompt)

    def differential_features(
        self, positive: Prompts, negative: Prompts, n: int = 20, rank: Rank = "mean", pool: Pool = "max"
    ) -> Ranking:
        """The n features that set the first prompts off from the second."""
        at_least_one("n", n)
        one_of("rank", rank, get_args(Rank))
        return differential_features(self.pooled(positive, pool), self.pooled(negative, pool), n, rank)

    def scan(self, feature: int, prompts: Prompts, pool: Pool = "max") -> Scan:
        """One feature over prompts: its pooled value and its value on every token."""
        one_of("pool", pool, get_args(Pool))
        given = _as_prompts(prompts)
        codes = self.encode(given)
        return scan_tokens(codes, feature, given, codes.counted(self.tokens, self.special_tokens), pool)

    def fire_rate(self, feature: int, prompts: Prompts, pool: Pool = "max") -> float:
        """The share of prompts on which the feature fires."""
        return fire_rate(self.pooled(prompts, pool), feature)


def open_subject(
    name: str | None = None,
    *,
    model: Any = None,
    tokenizer: Any = None,
    processor: Any = None,
    sae: Any = None,
    layer: int | None = None,
    sinks: Sinks = "auto",
    root: Path | str = ".",
    **reading: Any,
) -> OpenSubject:
    """Open a subject by its name in specs/subjects.yaml, or objects that are loaded already.

    `model`, `tokenizer`: from transformers; `processor`: in place of the tokenizer, what AutoProcessor gives for a
    PaliGemma model, so that prompts with pictures (as of prompt_set("prompts/pictures.yaml#drawings")) are read; it
    resizes them. `sae`: from sae-lens, or anything with `encode` and `decode` over [n, d_in]; `layer`: whose output is
    read; `sinks`: which tokens are attention sinks, "auto", "none" or over how many median norms. `reading`: tokens=
    and special_tokens=, as in a spec.
    Raises SpecError for a name that is not there; TypeError where what is given is not all, too much, or no processor;
    EnvironmentFault for a `processor` beside a model that reads no pictures. Reading raises EnvironmentFault where
    weights cannot be had, where a prompt is empty or too long, or has a picture that the model does not read.
    """
    for what, names in (("tokens", get_args(Tokens)), ("special_tokens", get_args(Specials))):
        one_of(what, reading.get(what, names[0]), names)  # before anything is loaded
    if name is not None:
        if any(given is not None for given in (model, tokenizer, processor, sae, layer)):
            raise TypeError("open_subject takes a name, or model=, tokenizer=, sae= and layer=, not both")
        return OpenSubject(_reader(_named(name, repository(Path(root)))), **reading)
    if tokenizer is not None and processor is not None:
        raise TypeError("open_subject takes tokenizer= or processor=, not both: a processor has its tokenizer")
    if model is None or (tokenizer is None and processor is None) or sae is None or layer is None:
        raise TypeError("open_subject needs a name, or all of model=, tokenizer= (or processor=), sae= and layer=")
    from harness.running.doors import reader_of

    hook = f"blocks.{layer}.hook_resid_post"
    return OpenSubject(reader_of(model, tokenizer, sae, hook, sinks, processor), **reading)


def prompt_set(reference: str, root: Path | str = ".") -> tuple[Prompt, ...]:
    """The prompts that a spec would mean by this name, such as prompts/categories.yaml#color. Raises SpecError."""
    from harness.language.sets import resolve_reference

    return resolve_reference(repository(Path(root)), reference, allow_local=True).prompts


def census(
    base: OpenSubject,
    adapted: OpenSubject,
    prompts: Prompts,
    images: Prompts | None = None,
    method: Literal["aligned", "ratio_of_means"] = "aligned",
    special_tokens: Specials = "ignored",
    rule: AlignedRule | RatioRule | None = None,
) -> Census:
    """What becomes of every feature from one model to another that is read through the same SAE.

    prompts: texts for both; images: pictures with captions for the adapted model. `print(found.counts)`, then
    `found.conditions`, `found.rows()`, `found.analyses()`. Raises what harness.census.census_of raises.
    """
    one_of("method", method, ("aligned", "ratio_of_means"))
    one_of("special_tokens", special_tokens, get_args(Specials))
    given = _as_prompts(prompts)
    seen = adapted.encode(images) if images is not None else None
    units = grouping(tuple(given)) if method == "aligned" else None  # the ratio pools all tokens, as its source does
    return census_of(base.encode(given), adapted.encode(given), seen, method, special_tokens, rule, units)


def top_features(
    codes: Codes, n: int = 10, counted: Mask | None = None, pool: Pool = "max", text: str | None = None
) -> Ranking:
    """The n features that fire most on the first prompt of `codes`, strongest first, ties by number.

    text: the prompt's, from which the token of a peak is shown (harness.spelling).
    """
    at_least_one("n", n)
    mask = codes.counted() if counted is None else counted
    pooled = codes.pooled(mask, pool)
    feature = pooled.features()[pooled.prompt == 0]
    value = pooled.value[pooled.prompt == 0]
    order = np.lexsort((feature, -value))[:n]
    rows = tuple(_peak(codes, mask, int(feature[i]), float(value[i]), text) for i in order)
    left_out = codes.left_out_sinks("all") & ~mask & (codes.prompt == 0)
    return Ranking("activation", rows, int(np.count_nonzero(left_out)))


def differential_features(positive: CodesLike, negative: CodesLike, n: int = 20, rank: Rank = "mean") -> Ranking:
    """The n features that set `positive` off from `negative`, each codes or an (n_prompts, F) array.

    rank `mean`: mean(positive) - mean(negative), as the source utilities rank; `rate`: the same of firing
    rates; `auroc`: the chance that a positive prompt's activation exceeds a negative one's, ties half.
    Ties go to the lower feature number. Raises ValueError where the widths differ, and for another `rank`.
    """
    at_least_one("n", n)
    one_of("rank", rank, get_args(Rank))
    pos, neg = _as_pooled(positive), _as_pooled(negative)
    check_widths(pos, neg)
    area = _areas(pos, neg, rank)
    rates = rate_gap(rate_of_all(pos), rate_of_all(neg))
    score = {"mean": mean_of_all(pos) - mean_of_all(neg), "rate": rates, "auroc": area}[rank]
    order = np.lexsort((np.arange(len(score)), -score))[:n]
    return Ranking(rank, tuple(_contrast_row(pos, neg, int(f), float(score[f]), float(area[f])) for f in order))


def scan_prompts_for_feature(codes: CodesLike, feature: int) -> NDArray[np.float64]:
    """One feature's value on every prompt, [n_prompts]: zero where it does not fire."""
    return _as_pooled(codes).column(feature)


def fire_rate(codes: CodesLike, feature: int) -> float:
    """The share of prompts on which a feature fires (value != 0). NaN without prompts, never 0."""
    column = scan_prompts_for_feature(codes, feature)
    return float(np.mean(column != 0)) if len(column) else float("nan")


def scan_tokens(codes: Codes, feature: int, prompts: Sequence[Prompt], counted: Mask, pool: Pool = "max") -> Scan:
    """One feature over prompts, with its value on every token and whether that token counts.

    Tokens are shown as harness.spelling says: characters that several tokens share stand at the first of them.
    """
    pooled = codes.pooled(counted, pool).column(feature)
    value = codes.token_column(feature)
    ends = np.searchsorted(codes.prompt, np.arange(len(prompts) + 1))  # a prompt's tokens stand together
    scanned = []
    for i, prompt in enumerate(prompts):
        at = slice(int(ends[i]), int(ends[i + 1]))
        shown = spelled(codes, at, prompt.text)
        tokens = tuple(zip(shown, value[at].tolist(), counted[at].tolist(), strict=True))
        scanned.append(ScannedPrompt(prompt.shown, float(pooled[i]), tokens))
    return Scan(tuple(scanned), feature)


def _peak(codes: Codes, counted: Mask, feature: int, value: float, text: str | None) -> RankedFeature:
    column = np.where(counted & (codes.prompt == 0), codes.token_column(feature), -np.inf)
    at = int(np.argmax(column))
    return RankedFeature(feature, value, token=spelled_alone(codes, at, text), position=int(codes.position[at]))


def _areas(pos: Pooled, neg: Pooled, rank: Rank) -> NDArray[np.float64]:
    """AUROC of all features; NaN for signed codes, which have none, unless it is what was asked for."""
    try:
        return auroc_of_all(pos, neg)
    except SignedCodes:
        if rank == "auroc":
            raise
        return np.full(pos.d_sae, np.nan)


def _contrast_row(pos: Pooled, neg: Pooled, feature: int, score: float, area: float) -> RankedFeature:
    a, b = pos.column(feature), neg.column(feature)
    return RankedFeature(
        feature,
        score,
        pos_mean=float(a.mean()),
        neg_mean=float(b.mean()),
        pos_fire_rate=float(np.mean(a != 0)),
        neg_fire_rate=float(np.mean(b != 0)),
        auroc=None if np.isnan(area) else area,
        p=stratified_p([rank_sum(a, b)]).value,
    )


def _as_prompts(prompts: Prompts) -> list[Prompt]:
    given = [prompts] if isinstance(prompts, str | Prompt) else list(prompts)
    made = [p if isinstance(p, Prompt) else Prompt(p) for p in given]
    for prompt in made:
        if not isinstance(prompt.text, str):
            raise TypeError(f"a prompt is text, and this is {prompt.text!r}")
        if prompt.attention is not None:
            one_of("attention", prompt.attention, get_args(Attention))
    return made


def _as_pooled(codes: CodesLike) -> Pooled:
    if isinstance(codes, Pooled):
        return codes
    return codes.pooled(codes.counted()) if isinstance(codes, Codes) else Pooled.from_dense(np.asarray(codes))


def _named(name: str, root: Path) -> Subject:
    from harness.language.subjects import find_subject

    return find_subject(root, name)


def _reader(subject: Subject) -> Callable[[Sequence[Prompt]], Codes]:
    """Reads through the store, exactly as specs do."""
    from harness.runlog import RUN_LOG, RunLog
    from harness.running import Missing, Runner
    from harness.session import default_store
    from harness.store import open_or_overlay

    shared, _ = run_folder("interp-explore-")
    try:
        runner = Runner(open_or_overlay(default_store(), shared / "evidence.sqlite")[0], RunLog(shared / RUN_LOG))
    except BaseException:
        shutil.rmtree(shared, ignore_errors=True)
        raise

    def read(prompts: Sequence[Prompt]) -> Codes:
        runner.read([Need(subject, tuple(prompts))])
        try:
            return runner.codes(subject, prompts)
        except Missing as missing:
            raise missing.as_fault() from None

    weakref.finalize(read, shutil.rmtree, shared, ignore_errors=True)  # with its reader, or when the process ends
    return read
