"""Tokens taken out of text that comes from outside: a library's exception, the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_PLACES = re.compile(r"_(PATH|FILE|DIR)$", re.IGNORECASE)
_HIDDEN = "[secret]"
_NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 8  # a shorter value ("true") is no secret, and would be cut out of ordinary words
_LONGEST_FILE = 4096
# Hugging Face, GitHub (classic, fine-grained), GitLab, AWS key ids, OpenAI-like, Slack, a URL's user:password@.
_SHAPES = re.compile(
    r"\bhf_[A-Za-z0-9]{16,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}|\bA[KS]IA[0-9A-Z]{16}\b"
    r"|\bsk-[\w-]{16,}|\bxox[a-z]-[\w-]{10,}|(?<=://)[^\s/@:]{1,200}:[^\s/@]{1,200}(?=@)"
)


def redacted(text: str) -> str:
    """The text without the values of secrets that this process has, and without anything of a known token's shape."""
    for value in sorted(_values(), key=len, reverse=True):
        text = text.replace(value, _HIDDEN)
    return _SHAPES.sub(_HIDDEN, text)


def _values() -> Iterator[str]:
    """Secrets of the environment, by the names that such variables have, and the token that the hub's client keeps."""
    named = {name: value for name, value in os.environ.items() if _NAMES.search(name) and not _PLACES.search(name)}
    home = os.environ.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface")
    token = _text(Path(os.environ.get("HF_TOKEN_PATH") or os.path.join(home, "token")))
    yield from (value for value in (*named.values(), token.strip()) if len(value) >= _SHORTEST)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_FILE).decode("utf-8", "replace")
    except OSError:
        return ""
