"""Whether the loaded tokenizer splits text as tokenizer.json does: a class may put its own rules over the file's.

tokenizer.json is what is pinned and what most checkpoints were trained with. Qwen2Tokenizer, for one, replaces its
normalizer and pre-tokenizer without a word.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentFault

FILE = "tokenizer.json"
# What decides about tokens, beside the vocabulary, which every class takes from the file.
_RULES = ("added_tokens", "normalizer", "pre_tokenizer")
_LARGE = ("vocab", "merges")  # members of `model` that are not compared: megabytes, and taken from the file
_HEAD = 4 << 20  # characters; 6,400 added tokens, as Gemma has, take 1.3 million
_MOST_ADDED = 64
PROBES = (
    "In 1990 and 2024 it was 250,000.5; 3.14e-10 of 12345678901",
    "for i in range(10):\n    print(f\"{i!r}: {x[i+1]}\")\n\n\treturn a_b != c // 2\r\n",
    "  two  spaces,   three, and a tab\tthen a trailing space ",
    " It's we're they'LL I'd can't; DON'T stop-and-go (really?!) ... -- \u2014 \u201cquoted\u201d",
    "caf\u00e9 cafe\u0301 \u00c5ngstr\u00f6m na\u00efve \u0130stanbul stra\u00dfe \ufb01ne \u00bd \u2460 \uff21\uff22",
    "\u4e2d\u6587\u5b57\u7b26 \u65e5\u672c\u8a9e\u306e\u30c6\u30b9\u30c8 \ud55c\uad6d\uc5b4",
    "\u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\u0939\u093f\u0928\u094d\u0926\u0940",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \u200bzero\u200bwidth \u00a0nbsp \ufeff",
    "CamelCaseWord snake_case HTTPServer x\u00b2 a/b\\c <tag attr='v'> https://example.org/?q=1&r=2#f",
    "$100 50% @me #tag 1/2 a&&b ~/x --flag=0x1F",
    "\n\n\nline\n \n  indented\n",
)  # fmt: skip


def refuse_other_tokens(name: str, folder: Path, tokenizer: Any) -> None:
    """Raise EnvironmentFault `tokenizer_mismatch` where `tokenizer` gives other tokens than its tokenizer.json.

    The rules of both are compared first, which takes no second vocabulary in memory. Where they differ they may still
    mean the same, so hard texts and the file's added tokens are encoded both ways.
    """
    path, backend = folder / FILE, getattr(tokenizer, "backend_tokenizer", None)
    if dropout := getattr(getattr(backend, "model", None), "dropout", None):
        text = f"the tokenizer of model {name} splits text at random: {FILE} has BPE dropout {dropout:g}."
        raise EnvironmentFault("tokenizer_mismatch", text, "Set `dropout` to null there; it is for training.")
    if backend is None or not path.is_file() or _has_the_rules_of(backend, path):
        return
    from tokenizers import Tokenizer

    file = Tokenizer.from_file(str(path))
    for text in (*PROBES, *_around_added(file)):
        ours = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        theirs = file.encode(text, add_special_tokens=False).ids
        if ours != theirs:
            raise EnvironmentFault(
                "tokenizer_mismatch",
                f"the tokenizer of model {name}: {type(tokenizer).__name__} splits text otherwise than {FILE}:"
                f" {_first_difference(text, ours, theirs, tokenizer, file)}.",
                "If the model was trained on the class's tokens, load the tokenizer with transformers and save it."
                f" If on the file's, read it with a transformers or a model_type that takes {FILE} as it is.",
            )


def _has_the_rules_of(backend: Any, path: Path) -> bool:
    """Whether a tokenizer made of the file's rules alone has the same rules as `backend`."""
    from tokenizers import Tokenizer

    with path.open(encoding="utf-8", errors="replace") as file:
        rules = rules_of(file.read(_HEAD))
    if rules is None or not all(name in rules for name in (*_RULES, "model")):
        return False
    if rules["model"].get("type") != "BPE":
        return False
    model: dict[str, Any] = {**rules["model"], "unk_token": None, "vocab": {}, "merges": []}
    try:
        made = Tokenizer.from_str(json.dumps({**rules, "added_tokens": [], "model": model}))
    except Exception:  # noqa: BLE001 - tokenizers raises bare Exception; the long comparison then decides
        return False
    return (
        _state(made.normalizer) == _state(backend.normalizer)
        and _state(made.pre_tokenizer) == _state(backend.pre_tokenizer)
        and _settings(rules["model"]) == _settings_of(backend)
        and _listed(rules["added_tokens"]) == _added(backend)
    )


def rules_of(text: str) -> dict[str, Any] | None:
    """The members of tokenizer.json, without the vocabulary and merges of its model; None where it ends before.

    The file is read up to them: parsing 31 MB of Gemma's takes longer than all the rest.
    """
    found: dict[str, Any] = {}
    try:
        for key, value in _members(text, 0, ("model",)):
            found[key] = value
            if key == "model":
                found[key] = dict(_members(text, value, _LARGE, stop=True))
                break
    except (ValueError, IndexError):
        return None
    return found


def _members(text: str, at: int, large: tuple[str, ...], stop: bool = False) -> Any:
    """(key, value) of the JSON object at `at`; of a key in `large` the place of its value, and that is the last."""
    decoder = json.JSONDecoder()
    at = _skip(text, at, "{")
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        at = _skip(text, at, ":")
        if key in large:
            if not stop:
                yield key, at
            return
        value, at = decoder.raw_decode(text, at)
        yield key, value
        at = _skip(text, at, ",}")
        if text[at - 1] == "}":
            return


def _skip(text: str, at: int, wanted: str) -> int:
    """Past white space, one of `wanted`, and white space."""
    while text[at : at + 1].isspace():
        at += 1
    if text[at : at + 1] not in tuple(wanted):
        raise ValueError(f"not JSON at {at}")
    at += 1
    while text[at - 1] != "}" and text[at : at + 1].isspace():
        at += 1
    return at


def _state(component: Any) -> Any:
    return None if component is None else json.loads(component.__getstate__())


_SETTINGS = (
    "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "unk_token",
)  # fmt: skip


def _settings(model: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(model.get(name) or None for name in _SETTINGS)


def _settings_of(backend: Any) -> tuple[Any, ...]:
    return tuple(getattr(backend.model, name, None) or None for name in _SETTINGS)


_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")


def _listed(tokens: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {one["content"]: (one["id"], *(one[flag] for flag in _FLAGS)) for one in tokens}


def _added(backend: Any) -> dict[str, tuple[Any, ...]]:
    found = backend.get_added_tokens_decoder()
    return {one.content: (number, *(getattr(one, flag) for flag in _FLAGS)) for number, one in found.items()}


def _around_added(file: Any) -> list[str]:
    """Each added token of the file inside a text: it must be found, with or without the spaces around it, as there."""
    added = [one.content for _, one in sorted(file.get_added_tokens_decoder().items())]
    return [f"so {one} it{one}is" for one in added[:_MOST_ADDED]]


def _first_difference(text: str, ours: list[int], theirs: list[int], tokenizer: Any, file: Any) -> str:
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    mine = tokenizer.convert_ids_to_tokens(ours[at : at + 3])
    filed = [file.id_to_token(i) for i in theirs[at : at + 3]]
    return f"in {text[:40]!r} token {at} begins {mine} where the file has {filed}"
