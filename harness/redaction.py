"""Tokens taken out of text that comes from outside: a library's exception, the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_HIDDEN = "[secret]"
_PLACES = re.compile(r"_(PATH|FILE|DIR)$", re.IGNORECASE)
# What a variable's name ends in or holds. As words of their own where others hold the letters: PWD and OLDPWD are the
# current folder, which every message would lose; KEYBOARD, COMPASS and PATTERN are no secrets either.
_NAMES = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASSCODE|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL|BEARER|AUTHORIZATION"
    r"|_PWD(_|$)|(^|_|PG)PASS$|(^|_)(PAT|PW|DSN|JWT|CREDS?|COOKIE|SALT)(_|$)",
    re.IGNORECASE,
)
_PERHAPS = re.compile(
    r"(^|_)(KEY|AUTH)$", re.IGNORECASE
)  # AUTH=required, SORT_KEY=modified: a secret has more than letters
_SHORTEST = 8  # a shorter value ("true") is no secret, and would be cut out of ordinary words
_SHORTEST_LINE = 16  # of a value of several, such as a private key
_LONGEST_FILE = 4096
# Hugging Face, GitHub (classic, fine-grained), GitLab, AWS key ids, OpenAI-like, Slack, a URL's user:password@, token@.
_SHAPES = re.compile(
    r"\bhf_[A-Za-z0-9]{16,}|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}|\bA[KS]IA[0-9A-Z]{16}\b"
    r"|\bsk-[\w-]{16,}|\bxox[a-z]-[\w-]{10,}|(?<=://)[^\s/@:]{0,200}:[^\s/@]{1,200}(?=@)|(?<=://)[^\s/@:]{16,200}(?=@)"
)


def redacted(text: str) -> str:
    """The text without the values of secrets that this process has, and without anything of a known token's shape."""
    for value in sorted(_values(), key=len, reverse=True):
        text = text.replace(value, _HIDDEN)
    return _SHAPES.sub(_HIDDEN, text)


def _values() -> Iterator[str]:
    """Secrets of the environment, by the names that such variables have, and the token that the hub's client keeps."""
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    place = os.environ.get("HF_TOKEN_PATH") or os.path.join(home, "token")
    token = _text(Path(os.path.expandvars(os.path.expanduser(place))))
    for value in (*(value for name, value in os.environ.items() if _is_secret(name, value)), token.strip()):
        lines = value.splitlines()
        yield from (line for line in lines if len(lines) > 1 and len(line) >= _SHORTEST_LINE)
        if len(value) >= _SHORTEST:
            yield value


def _is_secret(name: str, value: str) -> bool:
    """By its name; a file or folder that is there is none, whatever names it."""
    if _PLACES.search(name) or len(value) < _SHORTEST:
        return False
    named = _NAMES.search(name) or (_PERHAPS.search(name) and not value.isalpha())
    return bool(named) and not (os.path.isabs(value) and os.path.exists(value))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_FILE).decode("utf-8", "replace")
    except OSError:
        return ""
