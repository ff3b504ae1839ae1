"""One model load, one pass over the union of what several SAEs have to read through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from harness.attention_sinks import NO_SINKS, SinkRule
from harness.bos import BosRule, bos_rule
from harness.capture.batching import SHORTEST, Shapes
from harness.capture.behind import Behind
from harness.capture.centring import must_be_centrable, wants_centred
from harness.capture.corpora import added, blocks_of, ended, partial_sums
from harness.capture.derived import derived
from harness.capture.encode import Encoder, codes_of, encode, trained_with_bos
from harness.capture.loaded import Batch, LoadedModel, Residuals
from harness.capture.models import load_model, load_texts
from harness.capture.probing import norms_of, sink_rule
from harness.capture.promoting import promotions
from harness.capture.saes import load_sae, weights_digest
from harness.capture.samples import sample_of
from harness.capture.sink import CaptureStats, Sink
from harness.capture.specials import special_ids
from harness.capture.tokenizing import Text, Tokenizing, tokenizing
from harness.capture.tokens import Texts, Tokenized
from harness.codes import Kind
from harness.digests import verify
from harness.errors import EnvironmentFault, contained
from harness.inputs import Corpus, Prompt, Reading, Subject
from harness.keys import code_key, lacks_commit
from harness.progress import Meter
from harness.sums import Part, Sums

__all__ = ["CaptureStats", "Kept", "LoadedModel", "Residuals", "Sink", "read_model"]

Progress = Callable[[str], None]


@dataclass(slots=True)
class Kept:
    """A model and its SAEs from one read_model to the next of the same model, dtype and device: a search asks prompt by
    prompt. n_layers: how many layers of it are loaded."""

    loaded: LoadedModel | None = None
    n_layers: int = 0
    saes: dict[str, Encoder] = field(default_factory=dict)
    sinks: dict[str, SinkRule] = field(default_factory=dict)


def read_model(
    readings: Sequence[Reading],
    sink: Sink,
    progress: Progress | None = None,
    kept: Kept | None = None,
    one_by_one: bool = False,
) -> dict[str, CaptureStats]:
    """Read prompts and corpora through every SAE of one model; what is done goes to `sink` batch by batch.

    All readings share one model, dtype and device. Returns the counts by subject name. What keeps one prompt, corpus
    or SAE from being read goes to sink.fault under its keys; what keeps the model from being read raises
    EnvironmentFault. kept: takes what is loaded here, and gives it the next time. one_by_one: a batch for each prompt,
    in place of the device's own shapes.
    """
    if len({(r.subject.model, r.subject.dtype, r.subject.device) for r in readings}) != 1:
        raise ValueError("read_model reads one model, dtype and device at a time")
    with Behind(sink) as behind:
        return _Run(list(readings), behind, progress or (lambda line: None), kept or Kept(), one_by_one).read()


@dataclass(slots=True)
class _Through:
    """One reading whose SAE is loaded. sinks: which of its tokens are sinks."""

    reading: Reading
    sae: Encoder
    stats: CaptureStats
    sinks: SinkRule
    bos: BosRule

    @property
    def hook(self) -> str:
        return self.reading.subject.hook

    @property
    def stream(self) -> str:
        return self.reading.subject.stream


@dataclass(slots=True)
class _Run:
    readings: list[Reading]
    sink: Sink
    progress: Progress
    kept: Kept
    one_by_one: bool
    stats: dict[str, CaptureStats] = field(init=False)
    _keys: dict[str, frozenset[str]] = field(init=False)
    _bos: dict[str, BosRule] = field(init=False)

    def __post_init__(self) -> None:
        self.stats = {r.subject.name: CaptureStats() for r in self.readings}
        self._bos = {r.code_key: bos_rule(r.subject) for r in self.readings}
        self._keys = {r.code_key: frozenset(key for key, _ in r.prompts) for r in self.readings}

    def read(self) -> dict[str, CaptureStats]:
        first, began = self.readings[0].subject, time.perf_counter()
        texts = self.kept.loaded.texts if self.kept.loaded else load_texts(first, self.progress)
        with tokenizing(texts, self._wanted()) as tokens:
            if tokens.nothing_readable and not any(r.corpora or r.promotions for r in self.readings):
                self._readable(tokens)
                return self.stats  # an empty prompt, met again in every run, must not load a model each time
            try:
                loaded = self._loaded(first, texts)
                throughs = self._throughs(loaded)
            finally:
                readable = self._readable(tokens)
        self._read_all(began, loaded, throughs, readable)
        return self.stats

    def _loaded(self, first: Subject, texts: Texts) -> LoadedModel:
        n_layers = max(r.subject.layer for r in self.readings) + 1
        if self.kept.loaded is None or self.kept.n_layers < n_layers:
            self.kept.loaded = None  # before the deeper one comes: never two in memory
            self.kept.loaded, self.kept.n_layers = load_model(first, n_layers, texts, self.progress), n_layers
            if self.one_by_one:
                self.kept.loaded.shapes = Shapes(SHORTEST)
            self.stats[first.name].loads = 1
        return self.kept.loaded

    def _read_all(
        self, began: float, loaded: LoadedModel, throughs: Sequence[_Through], texts: Mapping[Text, Tokenized]
    ) -> None:
        shared, ready = self.stats[self.readings[0].subject.name], time.perf_counter()
        shared.load_seconds, before = ready - began, loaded.batches
        try:
            self._read_prompts(loaded, throughs, texts)
            self._read_corpora(loaded, throughs)
            self._read_decoders(loaded, throughs)
        finally:
            shared.seconds, shared.batches = time.perf_counter() - ready, loaded.batches - before
            shared.rows, shared.oom_halvings = loaded.shapes.table(), loaded.shapes.halvings

    def _throughs(self, loaded: LoadedModel) -> list[_Through]:
        return [through for r in self.readings if (through := self._through(r, loaded)) is not None]

    def _through(self, reading: Reading, loaded: LoadedModel) -> _Through | None:
        """A reading with its SAE; one whose SAE cannot be had, or whose site is not proven, fails alone."""
        try:
            with contained():
                if reading.prompts or reading.corpora:
                    loaded.prove(reading.subject.hook)
                sae = self._sae(reading, loaded)
                sinks = self._sinks(reading, loaded)
        except Exception as error:
            fault = _raised(f"loading the SAE of {reading.subject.name}", error)
            if fault.code == "out_of_memory":  # the model's pass, whichever SAE is read
                raise fault from error
            for key in (*(key for key, _ in (*reading.prompts, *reading.corpora)), *reading.promotions):
                self.sink.fault(reading.code_key, key, fault)
            return None
        stats, ref = self.stats[reading.subject.name], reading.subject.sae
        if ref.source == "release":
            stats.sae_digest = ref.digest or weights_digest(sae)
        return _Through(reading, derived(sae, ref.derived), stats, sinks, self._bos[reading.code_key])

    def _sae(self, reading: Reading, loaded: LoadedModel) -> Encoder:
        saes = self.kept.saes
        if reading.code_key not in saes:
            sae = saes[reading.code_key] = _sae_of(reading.subject, loaded)
            _must_begin_as_said(reading.subject, sae, loaded)
            _must_be_as_planned(reading)
            if reading.subject.sae.derived is None:
                self.sink.weights(reading.code_key, sample_of(loaded.model, sae, reading.subject.layer))
        return saes[reading.code_key]

    def _sinks(self, reading: Reading, loaded: LoadedModel) -> SinkRule:
        """What makes a token of this subject a sink; nothing has to be known where only weights are read."""
        known, subject = self.kept.sinks, reading.subject
        if reading.code_key not in known and (reading.prompts or reading.corpora):
            known[reading.code_key] = sink_rule(loaded, subject, self._bos[reading.code_key])
        return known.get(reading.code_key, NO_SINKS)

    def _wants(self, reading: Reading, text: Text) -> bool:
        return text[0] in self._keys[reading.code_key] and text[1:] == self._way(reading)

    def _way(self, reading: Reading) -> tuple[int, BosRule]:
        return reading.subject.max_tokens, self._bos[reading.code_key]

    def _wanted(self) -> dict[Text, Prompt]:
        """Every distinct text once."""
        return {(key, *self._way(r)): prompt for r in self.readings for key, prompt in r.prompts}

    def _readable(self, tokens: Tokenizing) -> dict[Text, Tokenized]:
        """The tokens of what can be read; what cannot is a fault of its own."""
        found: dict[Text, Tokenized] = {}
        for text, outcome in tokens.outcomes():
            if isinstance(outcome, Tokenized):
                found[text] = outcome
                continue
            for reading in self.readings:
                if self._wants(reading, text):
                    self.sink.fault(reading.code_key, text[0], outcome)
        return found

    def _read_prompts(self, loaded: LoadedModel, throughs: Sequence[_Through], texts: Mapping[Text, Tokenized]) -> None:
        keys = [text for text in texts if any(self._wants(t.reading, text) for t in throughs)]
        done, meter = 0, Meter(sum(len(texts[key]) for key in keys))

        def handle(batch: Batch) -> None:
            nonlocal done
            for through in throughs:
                if any(self._wants(through.reading, keys[i]) for i in batch.indices):
                    self._emit(through, batch, [(keys[i], texts[keys[i]]) for i in batch.indices])
            done += sum(len(texts[keys[i]]) for i in batch.indices)
            self.progress(meter.at(done))

        def failed(i: int, error: Exception) -> None:
            for through in (t for t in throughs if self._wants(t.reading, keys[i])):
                self.sink.fault(through.reading.code_key, keys[i][0], _raised("the forward pass", error))

        try:
            loaded.read([texts[text] for text in keys], _places(throughs), handle, failed)
        finally:
            if keys:
                self.progress(meter.ended(done))

    def _emit(self, through: _Through, batch: Batch, texts: Sequence[tuple[Text, Tokenized]]) -> None:
        """The whole batch goes through the SAE, so that its shape is the same whatever was selected."""
        code_key = through.reading.code_key
        wanted = [text[0] for text, _ in texts if self._wants(through.reading, text)]
        try:
            with contained():
                encoded = encode(batch.seen[through.hook], batch.real, through.sae)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - one SAE that fails, with the model's other SAEs still to be read
            for key in wanted:
                self.sink.fault(code_key, key, _raised(f"the SAE of {through.reading.subject.name}", error))
            return
        norm = norms_of(batch, through.stream)
        codes, residuals, first = [], [], 0
        for text, tokens in texts:
            if self._wants(through.reading, text):
                try:
                    sink = through.sinks.flags(norm[first : first + len(tokens)], tokens.kind)
                    codes.append((text[0], codes_of(encoded, first, tokens, sink)))
                except EnvironmentFault as fault:
                    self.sink.fault(code_key, text[0], fault)
                else:
                    if text[0] in through.reading.residuals:
                        residuals.append((text[0], encoded.h[first : first + len(tokens)]))
            first += len(tokens)
        if residuals:
            self.sink.residuals(code_key, residuals)
        if codes:
            self.sink.codes(code_key, codes)
        through.stats.prompts += len(codes)
        through.stats.tokens += sum(one.n_tokens for _, one in codes)

    def _read_corpora(self, loaded: LoadedModel, throughs: Sequence[_Through]) -> None:
        corpora: dict[str, Corpus] = {key: corpus for t in throughs for key, corpus in t.reading.corpora}
        for key, corpus in corpora.items():
            readers = [t for t in throughs if key in dict(t.reading.corpora)]
            for bos in sorted({loaded.texts.begins(t.bos) for t in readers}):
                takers = [t for t in readers if loaded.texts.begins(t.bos) == bos]
                try:
                    with contained():
                        self._read_corpus(loaded, takers, key, corpus, bos)
                except Exception as error:  # noqa: BLE001 - a corpus with a hole in it is another one: it fails whole
                    for through in takers:
                        self.sink.fault(through.reading.code_key, key, _raised(f"reading corpus {corpus.name}", error))

    def _read_decoders(self, loaded: LoadedModel, throughs: Sequence[_Through]) -> None:
        for through in (t for t in throughs if t.reading.promotions):
            code_key, rows = through.reading.code_key, through.reading.promotions
            try:
                with contained():
                    found = promotions(loaded.model, loaded.tokenizer, through.sae, rows)
            except Exception as error:  # noqa: BLE001 - what decoders promote is not all that is read
                fault = _raised(f"reading the decoder of {through.reading.subject.name}", error)
                for row in rows:
                    self.sink.fault(code_key, row, fault)
            else:
                self.sink.promotions(code_key, found)

    def _read_corpus(
        self, loaded: LoadedModel, takers: Sequence[_Through], key: str, corpus: Corpus, bos: bool
    ) -> None:
        specials = np.array(sorted(special_ids(loaded.tokenizer)))
        done, last, number, meter = 0, [], 0, Meter(corpus.token_limit, f"tokens of {corpus.name}")
        for number, contexts in enumerate(blocks_of(loaded, corpus, bos)):
            last = self._read_block(loaded, takers, contexts, specials)
            for through, sums in zip(takers, last, strict=True):
                self.sink.sums(through.reading.code_key, key, number, sums)
                through.stats.tokens += sums.n_tokens
            done += last[0].n_tokens
            self.progress(meter.at(done))
        self.progress(meter.ended(done))
        for through, sums in zip(takers, last, strict=True):
            self.sink.sums(through.reading.code_key, key, number + 1, ended(sums))

    def _read_block(
        self, loaded: LoadedModel, takers: Sequence[_Through], contexts: Sequence[Sequence[int]], specials: np.ndarray
    ) -> list[Sums]:
        parts: list[list[Sums]] = []

        def handle(batch: Batch) -> None:
            ids = np.concatenate([np.asarray(contexts[i]) for i in batch.indices])
            kind = np.where(np.isin(ids, specials), Kind.SPECIAL, Kind.TEXT).astype(np.uint8)
            parts.append([_summed(through, batch, kind) for through in takers])

        loaded.read(contexts, _places(takers), handle)
        return [added(batches) for batches in zip(*parts, strict=True)]


def _places(throughs: Sequence[_Through]) -> list[str]:
    """What one pass has to see: where each SAE reads, and the stream by which its sinks are told."""
    return sorted({place for through in throughs for place in (through.hook, through.stream)})


def _summed(through: _Through, batch: Batch, kind: NDArray[np.uint8]) -> Sums:
    """The sums of one batch of a corpus; kind: of its real tokens."""
    encoded = encode(batch.seen[through.hook], batch.real, through.sae)
    sink = through.sinks.flags(norms_of(batch, through.stream), kind)
    part = np.select([kind == Kind.SPECIAL, sink], [Part.SPECIAL, Part.SINK], Part.ORDINARY)
    return partial_sums(encoded, part.astype(np.uint8))


def _must_begin_as_said(subject: Subject, sae: Encoder, loaded: LoadedModel) -> None:
    """`bos: prepend` needs a BOS token, and a release says in its files only whether it was trained with one."""
    has_token = loaded.tokenizer.bos_token_id is not None
    if subject.bos == "prepend" and not has_token:
        text = f"{subject.name} has `bos: prepend`, and its tokenizer has no BOS token."
        raise EnvironmentFault("no_bos", text, "Take `bos` out of the subject in specs/subjects.yaml.")
    said, reads = trained_with_bos(sae), bos_rule(subject)
    if said is None or (said and not has_token):
        return
    asked = loaded.texts.bos_first if reads == "tokenizer" else reads == "prepend"
    if said == asked or "bos" in dict(subject.read_otherwise):
        return
    how, word = ("with", "prepend") if said else ("without", "none")
    text = f"SAE {subject.sae.name} was trained {how} BOS by its own files, and would be read otherwise."
    fix = f"Write `bos: {word}` on {subject.name} in specs/subjects.yaml, or say why: `read_otherwise: {{bos: why}}`."
    raise EnvironmentFault("sae_mismatch", text, fix)


def _sae_of(subject: Subject, loaded: LoadedModel) -> Encoder:
    """The SAE of a subject, read as it was trained but for what the subject says is meant."""
    meant = dict(subject.read_otherwise)
    sae = load_sae(subject.sae, loaded.d_model, loaded.device, subject.hook, meant, subject.bos)
    if wants_centred(sae):
        must_be_centrable(loaded.model, subject.sae.name)
    return sae


def _must_be_as_planned(reading: Reading) -> None:
    """Files that changed since the key was made from them would be kept as evidence of the old ones."""
    verify(reading.subject)
    if lacks_commit(reading.subject):
        text = f"{reading.subject.name} was read from the hub at a commit that is not in the hub's cache."
        raise EnvironmentFault("commit_unknown", text, "Pin it: `interp doctor --pin`.")
    if code_key(reading.subject) != reading.code_key:
        text = f"the files of {reading.subject.name} changed between planning and loading."
        raise EnvironmentFault("weights_changed", text, "Run again when nobody writes to them.")


def _raised(what: str, error: Exception) -> EnvironmentFault:
    """Whatever a library raised while it read, as one message; memory has been dealt with below where it can be."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        return EnvironmentFault("out_of_memory", f"{what} needs more memory than there is: {error}.", "Free some.")
    return EnvironmentFault.unforeseen("reading_failed", what, error)
