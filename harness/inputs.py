"""What is read: subjects, prompts, corpora, and the Need of one claim. Keys are in keys.py."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from harness.trained import Training

from harness.errors import nearest_names

SITES = ("hook_resid_pre", "hook_resid_post", "hook_mlp_out")
_HOOK = re.compile(r"^blocks\.(\d+)\.(hook_resid_pre|hook_resid_post|hook_mlp_out)$")

Grain = Literal["tokens", "sums", "weights"]
Attention = Literal["causal", "prefix"]
Modality = Literal["text", "image_text"]
Derived = Literal["shuffled_decoder", "random_sae"]
Bos = Literal["auto", "prepend", "none"]
Sinks = Literal["auto", "none"] | float
FIXED_L0 = ("topk", "abstopk")  # forms in which as many features fire on every token


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Where a model's weights lie, as specs/subjects.yaml names them.

    source `path`: a folder relative to the repository; `hub`: a repository name with a revision;
    `package`: an installed package that carries the weights. `digest` is that of the weights and
    config, `tokenizer_digest` that of the tokenizer's and the processor's files (harness/digests.py); None = unpinned.
    modality `image_text`: it reads pictures with their captions, too. root: the repository that `path` is relative to,
    here as in all that lies in files; where it stands on this machine is no part of what is compared.
    """

    name: str
    source: Literal["path", "hub", "package"]
    location: str
    revision: str | None = None
    digest: str | None = None
    tokenizer_digest: str | None = None
    modality: Modality = "text"
    root: Path | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SaeRef:
    """Where an SAE's weights lie, and the shape that specs are checked against without loading it.

    format: how a path's files are written; `qwen_scope` is a folder with one layerN.sae.pt, which does not say
    its `k` (features a token). `digest` of a path is that of its files, of a release that of its tensors.
    `derived`: what is made of the weights once they are loaded, for mutants (harness/mutants); no file can say it.
    `training`: what the SAE says of itself, as it was when specs/subjects.yaml was read; None elsewhere.
    """

    name: str
    source: Literal["path", "release"]
    location: str
    sae_id: str | None = None
    digest: str | None = None
    d_in: int | None = None
    d_sae: int | None = None
    hook: str | None = None
    architecture: str | None = None
    format: Literal["sae_lens", "qwen_scope"] = "sae_lens"
    k: int | None = None
    derived: Derived | None = None
    training: Training | None = None
    root: Path | None = field(default=None, compare=False, repr=False)

    @property
    def is_topk(self) -> bool:
        """True where L0 is fixed by construction, so that a claim about it says nothing."""
        return self.architecture in FIXED_L0


@dataclass(frozen=True, slots=True)
class Norms:
    """The median norms of a subject's text tokens and image tokens in the residual stream, over fixed probe texts."""

    text: float
    image: float | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A model read through an SAE at one place; one name is one set of weights on every machine.

    bos: whether texts begin with BOS; auto is as the SAE was trained, and where it does not say, as the tokenizer does.
    sinks: which tokens are attention sinks: auto (over 10 medians), none, or over how many medians.
    norms: the medians, where they are pinned.
    read_otherwise: (what, why) of each thing that is read otherwise than the SAE was trained, because an owner means it
    (agreement.OTHERWISE lists them); every verdict, report and the steering gate show it.
    """

    name: str
    model: ModelRef
    sae: SaeRef
    hook: str
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    max_tokens: int = 512
    owner: str = ""
    device_map: Literal["auto"] | None = None
    bos: Bos = "auto"
    sinks: Sinks = "auto"
    norms: Norms | None = None
    read_otherwise: tuple[tuple[str, str], ...] = ()

    @property
    def stream(self) -> str:
        """The hook point where the residual stream has the layer's tokens; an MLP's output is no stream."""
        return stream_of(self.hook)

    @property
    def layer(self) -> int:
        return parse_hook(self.hook)[0]

    @property
    def site(self) -> str:
        return parse_hook(self.hook)[1]


def stream_of(hook: str) -> str:
    """The hook point of the residual stream at the hook's layer: itself, unless it reads what a layer adds to it."""
    layer, site = parse_hook(hook)
    return hook if site.startswith("hook_resid") else f"blocks.{layer}.hook_resid_post"


def parse_hook(hook: str) -> tuple[int, str]:
    """`blocks.10.hook_resid_post` -> (10, 'hook_resid_post'); ValueError for any other site."""
    match = _HOOK.match(hook)
    if match is None:
        near = nearest_names(hook.rpartition(".")[2], SITES, limit=1)
        hint = f" Did you mean {near[0]!r}?" if near and not hook.endswith(near[0]) else ""
        raise ValueError(f"{hook!r} is not a site that can be read; one of blocks.L.{{{', '.join(SITES)}}}.{hint}")
    return int(match[1]), match[2]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file, relative to the repository, and the sha256 of its bytes."""

    path: str
    digest: str
    root: Path | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Filled:
    """One choice by which a template became a prompt: the word put into `slot`, the `place`-th of its list.

    The first choice of a prompt is that of the template itself, under the slot "template".
    """

    slot: str
    place: int
    word: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One input. `marks` are (start, end) character offsets into `text`; `group` names the template
    that several prompts share (None = a unit of its own); `truncate` cuts at the subject's max_tokens
    where the default is an error. `image`: the picture that `text` is the caption of. `attention`: how tokens
    see each other; None is the default, causal for text and prefix (both ways, as PaliGemma was trained) for
    pictures. `chat`: the text is said by this role, inside the model's own chat template. `filled`: how a template
    became this text; empty for a text that was written out."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()
    group: str | None = None
    truncate: bool = False
    image: Picture | None = None
    attention: Attention | None = None
    chat: str | None = None
    filled: tuple[Filled, ...] = ()
    code: bool = False

    @property
    def content(self) -> tuple[str, str | None]:
        """What is read, however it is read: two prompts of one content are the same evidence."""
        return self.text, self.image.digest if self.image else None

    @property
    def shown(self) -> str:
        """The text as reports show it; a caption is the same for many pictures, so theirs is named."""
        return f"[{self.image.path}] {self.text}" if self.image else self.text

    @property
    def is_causal(self) -> bool:
        """Whether a token sees only those before it."""
        return self.attention == "causal" or (self.attention is None and self.image is None)


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Named, ordered prompts."""

    name: str
    prompts: tuple[Prompt, ...]

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A text file read in contexts of `context_length` tokens, at most `token_limit` of them."""

    name: str
    path: str
    digest: str
    context_length: int = 128
    token_limit: int = 100_000
    root: Path | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Need:
    """What must be known to judge a spec, all said before anything runs.

    grain `tokens`: the sparse code of every token of `prompts`; `sums`: streaming sums over `corpus`; `weights`: what
    the decoder directions of `features` promote.
    """

    subject: Subject
    prompts: tuple[Prompt, ...] = ()
    corpus: Corpus | None = None
    grain: Grain = "tokens"
    residuals: bool = False
    features: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What one subject still has to read, as the planner hands it to the capture floor.

    `prompts` and `corpora` come with their keys; `residuals` names the prompt keys whose activations are kept;
    `promotions` the rows of what decoder directions promote (harness/promotion.py).
    """

    subject: Subject
    code_key: str
    prompts: tuple[tuple[str, Prompt], ...] = ()
    corpora: tuple[tuple[str, Corpus], ...] = ()
    residuals: frozenset[str] = frozenset()
    promotions: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[str, ...]:
        """The keys of all that is read, whichever table of the store they are for."""
        return (*dict([*self.prompts, *self.corpora]), *self.promotions)

    @property
    def is_empty(self) -> bool:
        return not self.size

    @property
    def size(self) -> int:
        """Prompts, corpora and rows of what decoder directions promote, together."""
        return len(self.prompts) + len(self.corpora) + len(self.promotions)
