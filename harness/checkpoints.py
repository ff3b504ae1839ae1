"""What can be seen of a checkpoint without torch: files that are none, cut off or missing, adapters, quantized weights.

A fault names the thing that is wrong: transformers and safetensors report each of these as something else.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import EnvironmentFault

ADAPTER = "adapter_config.json"
CONFIG = "config.json"
_POINTER = b"version https://git-lfs.github.com/spec/"
_QUANTIZED = ("quantization_config", "compression_config")
_FLOATS = ("F64", "F32", "F16", "BF16")  # as safetensors names them
_LARGEST_HEADER = 100_000_000  # bytes; safetensors' own limit


def is_pointer(path: Path) -> bool:
    """Whether git-lfs left a pointer in place of the file."""
    try:
        with path.open("rb") as file:
            return file.read(len(_POINTER)) == _POINTER
    except OSError:
        return False


def has_files(folder: Path, patterns: Sequence[str] = ("*.safetensors",)) -> bool:
    """Whether files match in `folder` and none of them is a git-lfs pointer."""
    found = list(_matching(folder, patterns))
    return bool(found) and not any(is_pointer(path) for path in found)


def first_pointer(folder: Path, patterns: Sequence[str]) -> Path | None:
    """The first file that git-lfs has not fetched."""
    return next((path for path in _matching(folder, patterns) if is_pointer(path)), None)


def refuse_pointers(what: str, folder: Path, patterns: Sequence[str]) -> None:
    """Raise EnvironmentFault `lfs_pointer` with the first file that git-lfs has not fetched."""
    if (pointer := first_pointer(folder, patterns)) is not None:
        text = f"{what}: {pointer.name} is a git-lfs pointer, the file itself is not here."
        raise EnvironmentFault("lfs_pointer", text, "Run `git lfs pull`.")


def adapter_beside(folder: Path) -> str | None:
    """What is wrong with a folder that holds an adapter beside the weights, and the fix; None where none does."""
    try:
        is_there = (folder / ADAPTER).is_file()
    except OSError:  # a name too long for this file system is no folder; what reads it says so
        is_there = False
    if not is_there:
        return None
    return (
        f"{ADAPTER} is beside the weights: applied where peft is installed, ignored elsewhere."
        " Move it away, or merge the adapter and save the model without it"
    )


def quantized(folder: Path) -> str | None:
    """What is wrong with a folder whose config.json says that the weights are quantized, and the fix."""
    config = _json(folder / CONFIG)
    inner = config.get("text_config") if isinstance(config, dict) else None
    for part in (config, inner):
        for key in _QUANTIZED:
            if isinstance(part, dict) and isinstance(part.get(key), dict):
                fix = "Name the checkpoint that was quantized, or save it dequantized"
                return f"the weights are quantized ({_method(part[key])}), and such are not read. {fix}"
    return None


def refuse_kind(name: str, folder: Path) -> None:
    """Raise EnvironmentFault `adapter_beside_weights` or `quantized_weights`."""
    if (found := adapter_beside(folder)) is not None:
        raise EnvironmentFault("adapter_beside_weights", f"model {name}: {found}.")
    if (found := quantized(folder)) is not None:
        raise EnvironmentFault("quantized_weights", f"model {name}: {found}.")


def refuse_damage(name: str, folder: Path) -> None:
    """Raise EnvironmentFault `weights_missing` or `weights_unreadable` with the file that is missing or cut off,
    `quantized_weights` with a weight that is stored as whole numbers or in 8 bits: transformers would take these for
    the weight's values."""
    config = folder / CONFIG
    if not config.is_file():
        raise _missing(name, f"{CONFIG} is not beside them")
    if not isinstance(_json(config), dict):
        raise _damaged(f"{CONFIG} of model {name} is no JSON object")
    for index in sorted(folder.glob("*.safetensors.index.json")):
        listed = _json(index)
        shards = listed.get("weight_map") if isinstance(listed, dict) else None
        if not isinstance(shards, dict):
            raise _damaged(f"{index.name} of model {name} lists no files")
        absent = sorted({str(one) for one in shards.values() if not (folder / str(one)).is_file()})
        if absent:
            raise _missing(name, f"{absent[0]}, which {index.name} lists, is not here")
    for path in sorted(folder.glob("*.safetensors")):
        if (damage := damage_of(path)) is not None:
            raise _damaged(f"{path.name} of model {name} {damage}")
        if (packed := _packed_weight(path)) is not None:
            text = f"model {name}: {packed} of {path.name}, and config.json does not say how it is to be read."
            fix = "Name the checkpoint that was quantized, or save it dequantized."
            raise EnvironmentFault("quantized_weights", text, fix)


def damage_of(path: Path) -> str | None:
    """What is wrong with a safetensors file by its own header, as the end of a sentence; None where nothing is."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= _LARGEST_HEADER:
            return "is no safetensors file"
        header = file.read(length)
    if len(header) < length:
        return f"is cut off inside its header, after {size:,} bytes"
    try:
        tensors = json.loads(header)
        end = max((one["data_offsets"][1] for name, one in tensors.items() if name != "__metadata__"), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return "is no safetensors file"
    whole = 8 + length + end
    return f"is cut off: it has {size:,} of {whole:,} bytes" if size < whole else None


def _packed_weight(path: Path) -> str | None:
    """The first weight that is no ordinary floating-point number, with its type; None where all are."""
    with path.open("rb") as file:
        tensors = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    stored = ((name, one["dtype"]) for name, one in tensors.items() if name.endswith((".weight", ".bias")))
    return next((f"{name} is {dtype}" for name, dtype in stored if dtype not in _FLOATS), None)


def _matching(folder: Path, patterns: Sequence[str]) -> Iterator[Path]:
    return (path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file())


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _method(config: dict[str, Any]) -> str:
    return str(config.get("quant_method") or config.get("quant_type") or "by an unnamed method")


def _missing(name: str, detail: str) -> EnvironmentFault:
    return EnvironmentFault(
        "weights_missing", f"the weights of model {name} are not here: {detail}.", "Fetch them again."
    )


def _damaged(detail: str) -> EnvironmentFault:
    return EnvironmentFault("weights_unreadable", f"{detail}.", "Fetch it again.")
