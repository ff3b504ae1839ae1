"""sae-lens' registry of published SAEs, read as a file: which releases and ids there are, and where their files lie.

Importing sae_lens costs 5 s and 500 MB, parsing its whole registry .6 s; one release's lines take some milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from harness.inputs import SaeRef

PUBLIC = "https://www.neuronpedia.org/"
_PLACE = re.compile(r"[\w.-]+/[\w.-]+")
_NAME = re.compile(r"^([^\s#][^:\n]*):", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Release:
    """One release: the hub repository, the model, the loader that sae-lens takes, what it puts into each SAE's
    configuration, and by id the path, Neuronpedia's id and the factor that is folded into the weights."""

    name: str
    repository: str
    loader: str
    paths: dict[str, str]
    neuronpedia: dict[str, str]
    model: str
    overrides: dict[str, Any]
    scaling: dict[str, float]

    def download_command(self, sae_id: str) -> str:
        """The command that fetches one SAE's files into the hub cache, as a person types it."""
        path = self.paths.get(sae_id, "")
        wanted = f"'{path}'" if path.endswith((".pt", ".npz", ".safetensors")) else f"--include '{path}/*'"
        return f"hf download {self.repository} {wanted}"


def release_names() -> tuple[str, ...]:
    """Every release that the installed sae-lens knows, in its order; empty where there is none."""
    return tuple(match[1] for match in _NAME.finditer(_registry()))


@cache
def find_release(name: str) -> Release | None:
    """The release of that name; None where the installed sae-lens has none."""
    text = _registry()
    start = next((m.start() for m in _NAME.finditer(text) if m[1] == name), None)
    if start is None:
        return None
    end = next((m.start() for m in _NAME.finditer(text, start + 1)), len(text))
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entry = yaml.load(text[start:end], Loader=loader)[name]
    saes = entry.get("saes", [])
    paths = {str(sae["id"]): str(sae["path"]) for sae in saes}
    shown = {str(sae["id"]): str(sae["neuronpedia"]) for sae in saes if sae.get("neuronpedia")}
    scaling = {str(sae["id"]): float(sae["norm_scaling_factor"]) for sae in saes if sae.get("norm_scaling_factor")}
    return Release(
        name,
        str(entry.get("repo_id", "")),
        str(entry.get("conversion_func") or "sae_lens"),
        paths,
        shown,
        str(entry.get("model") or ""),
        dict(entry.get("config_overrides") or {}),
        scaling,
    )


def public_pages(sae: SaeRef, features: Iterable[int]) -> tuple[str, ...]:
    """The address of each feature's page on Neuronpedia, by the ids of sae-lens' registry; none for an SAE of a path,
    for weights changed by a mutant, and for one that the registry gives no id. Nothing is asked of that site."""
    if sae.source != "release" or sae.derived is not None:
        return ()
    release = find_release(sae.location)
    place = release.neuronpedia.get(sae.sae_id or "", "") if release is not None else ""
    return tuple(f"{PUBLIC}{place}/{feature}" for feature in features) if _PLACE.fullmatch(place) else ()


@cache
def _registry() -> str:
    spec = find_spec("sae_lens")
    if spec is None or spec.origin is None:
        return ""
    file = Path(spec.origin).parent / "pretrained_saes.yaml"
    return file.read_text(encoding="utf-8") if file.is_file() else ""
