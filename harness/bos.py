"""Whether a subject's texts begin with BOS: as its SAE was trained, unless specs/subjects.yaml says otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from harness.digests import model_folder
from harness.inputs import Subject
from harness.trained import training_of

BosRule = Literal["prepend", "none", "tokenizer"]
_BY_TRAINING: dict[bool | None, BosRule] = {True: "prepend", False: "none", None: "tokenizer"}


def bos_rule(subject: Subject) -> BosRule:
    """Return what is done at the beginning of every text of a subject, from its files alone.

    prepend: BOS is there, whether or not the tokenizer adds it; none: it is not; tokenizer: as the tokenizer does it,
    where neither the subject nor the SAE says. A tokenizer without a BOS token gives none under every rule but a
    subject's own `bos: prepend`, which is then an error.
    """
    return rule_for(training_of(subject.sae).prepend_bos) if subject.bos == "auto" else subject.bos


def rule_for(trained_with_bos: bool | None) -> BosRule:
    """Return the rule for an SAE that was trained with BOS, without it, or (None) does not say."""
    return _BY_TRAINING[trained_with_bos]


def bos_note(subject: Subject) -> str:
    """Say how a subject's texts begin where its tokenizer by itself, or its SAE, would have it otherwise; else empty.

    From the files alone: also empty where these are not here, or do not say what the tokenizer does.
    """
    folder, trained = model_folder(subject.model), training_of(subject.sae).prepend_bos
    has_token, adds = (None, None) if folder is None else tokenizer_bos(folder)
    rule = bos_rule(subject)
    begins = (rule == "prepend" and has_token is not False) if rule != "tokenizer" else adds
    why = []
    if trained is not None and begins is not None and trained != begins:
        why.append(f"its SAE was trained {'with' if trained else 'without'} it")
    if has_token is False and rule == "prepend":
        why.append("its tokenizer has no BOS token")
    elif adds is not None and begins is not None and adds != begins:
        why.append(f"its tokenizer by itself {'adds it' if adds else 'adds none'}")
    if not why:
        return ""
    by = f"`bos: {subject.bos}`" if subject.bos != "auto" else "its SAE's training"
    return f"{subject.name}: texts begin {'with' if begins else 'without'} BOS, by {by}; {' and '.join(why)}"


def tokenizer_bos(folder: Path) -> tuple[bool | None, bool | None]:
    """(whether a tokenizer has a BOS token, whether it puts it first by itself), by its files; None: they do not say.

    Where `add_bos_token` of tokenizer_config.json and the post-processor of tokenizer.json disagree, the tokenizer's
    class decides, which no file shows.
    """
    config, rules = _object(folder / "tokenizer_config.json"), _object(folder / "tokenizer.json")
    if "bos_token" not in config:
        return None, None
    token, stated = _content(config["bos_token"]), config.get("add_bos_token")
    if not token:
        return False, False
    puts = token in _first_tokens(rules.get("post_processor")) if rules else None
    return True, puts if stated is None or stated == puts else None


def _first_tokens(processor: Any) -> Iterator[str]:
    """The special token that each template of a post-processor puts before a text."""
    if not isinstance(processor, dict):
        return
    for one in processor.get("processors") or ():
        yield from _first_tokens(one)
    template = processor.get("single")
    if isinstance(template, list) and template and isinstance(template[0], dict):
        first = template[0].get("SpecialToken")
        if isinstance(first, dict):
            yield str(first.get("id"))


def _content(token: Any) -> str:
    """A token as tokenizer_config.json has it: its text, or an object with that."""
    return str(token.get("content") or "") if isinstance(token, dict) else str(token or "")


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
