"""Text -> tokens, as the model's own tokenizer means it, with what each token is and where it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.bos import BosRule
from harness.capture.framing import Framed, chat_of, framed, shown
from harness.capture.limits import Limits
from harness.capture.pictures import open_picture
from harness.capture.specials import special_ids
from harness.capture.visual import READ, Visual
from harness.codes import Kind
from harness.errors import EnvironmentFault
from harness.inputs import Picture, Prompt

# Trained with BOS before every document, and far off without it. (Not llama: SmolLM is one, and has no BOS.)
NEED_BOS = ("gemma", "paligemma")


@dataclass(frozen=True, slots=True)
class Tokenized:
    """One prompt's tokens, each array [n_tokens]; start and end are character offsets into the text, -1 where none.

    causal: tokens see only those before them; image: the picture that goes with them.
    """

    ids: NDArray[np.int32]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    kind: NDArray[np.uint8]
    token: tuple[str, ...]
    causal: bool = True
    image: Picture | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class Texts:
    """A tokenizer, and the kind of model that it is for: all that telling a readable prompt from others takes."""

    tokenizer: Any
    model_type: str = ""
    visual: Visual | None = None
    limits: Limits = field(default_factory=Limits)
    _bos: bool | None = None

    @property
    def bos_first(self) -> bool:
        """Whether every text begins with BOS, as the tokenizer means it; asked once."""
        if self._bos is None:
            self._bos = begins_with_bos(self.tokenizer, self.model_type)
        return self._bos

    def begins(self, rule: BosRule) -> bool:
        """Whether texts begin with BOS under a subject's rule; a tokenizer without a BOS token gives none."""
        if rule == "tokenizer":
            return self.bos_first
        return rule == "prepend" and self.tokenizer.bos_token_id is not None

    def tokenize(self, prompt: Prompt, max_tokens: int, bos: bool | None = None) -> Tokenized:
        """One prompt's tokens; raises EnvironmentFault where it is empty, too long or not for this model.

        bos: whether it begins with BOS; None is as the tokenizer does it.
        """
        bos = self.bos_first if bos is None else bos
        _check_bos(self.tokenizer, prompt.text, bos)
        if prompt.image is not None:
            found = self._captioned(prompt, prompt.image, max_tokens, bos)
        elif prompt.chat is not None:
            found = wrapped(self.tokenizer, chat_of(self.tokenizer, prompt, bos), prompt.text, max_tokens)
        else:
            most = self.limits.most(max_tokens) if prompt.truncate else max_tokens
            found = tokenize(self.tokenizer, prompt.text, most, prompt.truncate, bos)
        self.limits.check(found.ids, found.kind, found.token, prompt.text)
        if not prompt.is_causal and self.visual is None:
            raise EnvironmentFault("text_only_model", f"a {self.model_type} model has no prefix attention.", "")
        return replace(found, causal=prompt.is_causal, image=prompt.image)

    def _captioned(self, prompt: Prompt, picture: Picture, max_tokens: int, bos: bool) -> Tokenized:
        if self.visual is None:
            raise self._sees_nothing(picture)
        open_picture(picture)  # what cannot be decoded is known before weights are loaded
        visual, begin = self.visual, self.tokenizer.bos_token if bos else ""
        caption = framed(lambda text: visual.written(text, begin), prompt.text)
        return wrapped(self.tokenizer, caption, prompt.text, max_tokens, image_id=visual.image_id)

    def _sees_nothing(self, picture: Picture) -> EnvironmentFault:
        name = f"a {self.model_type or 'text'} model"
        if self.model_type not in READ:
            text, memory = f"{name}.", "a PaliGemma model and its processor"
        else:
            text, memory = f"{name} with a tokenizer alone.", "its processor as `processor=`, not a tokenizer"
        return EnvironmentFault(
            "text_only_model",
            f"the picture {picture.path} cannot be read by {text}",
            f"Name a subject whose model has `modality: image_text`, or give open_subject {memory}.",
        )


def begins_with_bos(tokenizer: Any, model_type: str = "") -> bool:
    """Whether this tokenizer puts BOS first; raises EnvironmentFault `no_bos` where the model needs it and it does not.

    PaliGemmaProcessor, for one, switches it off on its tokenizer without a word.
    """
    bos = tokenizer.bos_token_id
    puts = bos is not None and list(tokenizer("a")["input_ids"])[:1] == [bos]
    wants = bool(getattr(tokenizer, "add_bos_token", False)) or model_type.startswith(NEED_BOS)
    if wants and not puts:
        raise EnvironmentFault(
            "no_bos",
            f"the tokenizer does not put BOS ({tokenizer.bos_token!r}) first, and {model_type or 'it'} needs that.",
            "Restore add_bos_token in tokenizer_config.json.",
        )
    return bool(puts)


def tokenize(tokenizer: Any, text: str, max_tokens: int, truncate: bool, bos_first: bool) -> Tokenized:
    """One prompt's tokens, beginning with BOS or not, whatever the tokenizer itself would do.

    Raises EnvironmentFault `empty_prompt`, `prompt_too_long` or `no_bos`.
    """
    ids, offsets = _begun(tokenizer, *_encode(tokenizer, text), bos_first)
    specials = special_ids(tokenizer)
    if all(i in specials for i in ids):
        raise EnvironmentFault("empty_prompt", f"the prompt {shown(text)} has no tokens of text.", "Write one.")
    if len(ids) > max_tokens and not truncate:
        raise _too_long(text, len(ids), max_tokens)
    return _described(tokenizer, text, ids[:max_tokens], offsets[:max_tokens], specials)


def wrapped(tokenizer: Any, frame: Framed, text: str, max_tokens: int, image_id: int | None = None) -> Tokenized:
    """The tokens of a text in its frame: TEXT inside it, WRAPPER around it, offsets into `text`.

    A token that the text shares with its frame is the text's where more than white space of the text is in it.
    Raises EnvironmentFault `prompt_too_long` (nothing is cut: it would cut the frame) or `special_in_text`.
    """
    encoded = tokenizer(frame.written, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids, offsets = list(encoded["input_ids"]), np.array(encoded["offset_mapping"], np.int32).reshape(-1, 2)
    if len(ids) > max_tokens:
        raise _too_long(text, len(ids), max_tokens)
    specials = special_ids(tokenizer)
    special = np.array([i in specials for i in ids])
    says = np.array([_says(frame, int(start), int(end)) for start, end in offsets], bool)
    _must_be_plain(tokenizer, ids, special, says, text)
    inside = ~special & says
    stands = np.clip(offsets, frame.first, frame.last) - (frame.first - frame.offset)
    spans = np.where(inside[:, None], stands, -1).astype(np.int32)
    kind = np.where(inside, Kind.TEXT, np.where(special, Kind.SPECIAL, Kind.WRAPPER)).astype(np.uint8)
    if image_id is not None:
        kind = np.where(np.array(ids) == image_id, np.uint8(Kind.IMAGE), kind)
    return Tokenized(np.array(ids, np.int32), spans[:, 0], spans[:, 1], kind, _written(tokenizer, text, ids, spans))


def _says(frame: Framed, start: int, end: int) -> bool:
    """Whether a token at [start, end) says something of the text: it stands in it whole, or holds a letter of it."""
    if frame.first <= start < end <= frame.last:
        return True
    return bool(frame.written[max(start, frame.first) : max(min(end, frame.last), 0)].strip())


def _must_be_plain(
    tokenizer: Any, ids: list[int], special: NDArray[np.bool_], says: NDArray[np.bool_], text: str
) -> None:
    """A text that writes a token of its frame (`<end_of_turn>`) would end its own message, and be counted in part."""
    framing = {i for i, is_said in zip(ids, says, strict=True) if not is_said}
    suspect = {i: special[at] for at, i in enumerate(ids) if says[at] and (special[at] or i in framing)}
    names = _added(tokenizer, len(tokenizer)) if suspect else {}
    found = [i for i, is_special in suspect.items() if is_special or i in names]
    if found:
        named = ", ".join(names.get(i) or str(tokenizer.convert_ids_to_tokens(i)) for i in found)
        raise EnvironmentFault(
            "special_in_text",
            f"the text {shown(text)} contains {named}, which the model's template uses for itself.",
            "Write the text without it, or take `chat` out of the set.",
        )


@lru_cache(maxsize=8)
def _added(tokenizer: Any, size: int) -> dict[int, str]:
    """The tokens that were added to a vocabulary by name, without those of white space; Gemma's are thousands."""
    return {i: str(token) for i, token in tokenizer.added_tokens_decoder.items() if str(token).strip()}


def contexts(tokenizer: Any, pieces: Iterator[str], length: int, limit: int, bos_first: bool) -> Iterator[list[int]]:
    """A corpus's token ids in contexts of `length`, BOS included and first in each; at most `limit` without BOS.

    Pieces are tokenized one by one, so that memory stays flat; what does not fill the last context is dropped.
    """
    bos = [tokenizer.bos_token_id] if bos_first else []
    kept: list[int] = []
    room, given = length - len(bos), 0
    for piece in pieces:
        kept += tokenizer(piece, add_special_tokens=False, verbose=False)["input_ids"]
        while len(kept) >= room and given + room <= limit:
            yield bos + kept[:room]
            kept, given = kept[room:], given + room
        if given + room > limit:
            return


def _encode(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    try:
        encoded = tokenizer(text, return_offsets_mapping=True, verbose=False)
    except NotImplementedError as error:
        raise EnvironmentFault(
            "slow_tokenizer", f"{type(tokenizer).__name__} gives no character offsets.", "A tokenizer.json is needed."
        ) from error
    return list(encoded["input_ids"]), [tuple(pair) for pair in encoded["offset_mapping"]]


def _begun(
    tokenizer: Any, ids: list[int], offsets: list[tuple[int, int]], bos_first: bool
) -> tuple[list[int], list[tuple[int, int]]]:
    """The same tokens with BOS first, or without: GPT-2's tokenizer has one and adds none."""
    bos = tokenizer.bos_token_id
    if bos_first and bos is None:
        raise EnvironmentFault("no_bos", f"{type(tokenizer).__name__} has no BOS token.", "Take `bos` away.")
    is_there = bos is not None and ids[:1] == [bos]
    if bos_first and not is_there:
        return [bos, *ids], [(0, 0), *offsets]
    return (ids[1:], offsets[1:]) if is_there and not bos_first else (ids, offsets)


def _check_bos(tokenizer: Any, text: str, bos_first: bool) -> None:
    """A text that holds the BOS token's own letters would be read as two texts; EnvironmentFault `double_bos`.

    Where BOS also ends a text (GPT-2), it may stand between two documents.
    """
    bos = tokenizer.bos_token
    if not bos or bos not in text:
        return
    if bos == tokenizer.eos_token and not (bos_first and text.lstrip().startswith(bos)):
        return
    raise EnvironmentFault(
        "double_bos",
        f"the text {shown(text)} has {bos!r} in it, which the tokenizer reads as the beginning of a text.",
        "Leave it out: `bos` of the subject decides whether texts begin with it.",
    )


def _described(
    tokenizer: Any, text: str, ids: list[int], offsets: list[tuple[int, int]], specials: frozenset[int]
) -> Tokenized:
    special = np.array([i in specials for i in ids])
    stands = ~special & np.array([end > start for start, end in offsets])
    spans = np.where(stands[:, None], np.array(offsets), -1).astype(np.int32)
    return Tokenized(
        ids=np.array(ids, np.int32),
        start=spans[:, 0],
        end=spans[:, 1],
        kind=np.where(special, Kind.SPECIAL, Kind.TEXT).astype(np.uint8),
        token=_written(tokenizer, text, ids, spans),
    )


def _written(tokenizer: Any, text: str, ids: list[int], spans: NDArray[np.int32]) -> tuple[str, ...]:
    """Each token as it stands in the text; by its name where it has no text of its own (specials, single bytes)."""
    names = tokenizer.convert_ids_to_tokens(ids)
    pairs = [(int(start), int(end)) for start, end in spans]
    times = Counter(pairs)
    return tuple(
        name if start < 0 or times[start, end] > 1 else text[start:end]
        for name, (start, end) in zip(names, pairs, strict=True)
    )


def _too_long(text: str, n: int, most: int) -> EnvironmentFault:
    return EnvironmentFault(
        "prompt_too_long",
        f"the prompt {shown(text)} has {n:,} tokens, its subject reads at most {most:,}.",
        "Shorten it, raise max_tokens in specs/subjects.yaml, or write `truncate: true`.",
    )
