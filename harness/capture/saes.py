"""Loading an SAE through sae-lens: the pinned weights, in fp32, of the shape that specs were checked against."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from harness.agreement import Difference, left_to_refuse, of_shape
from harness.capture.centring import read_centred
from harness.capture.checks import must_be_finite, quoted, refuse_unsafe_loading, temporary_folder
from harness.capture.encode import Encoder
from harness.capture.network import be_impatient
from harness.capture.qwen_scope import read_qwen_scope
from harness.checkpoints import damage_of, refuse_pointers
from harness.digests import SAE_FILES, mismatch, sae_files, verify_sae
from harness.errors import EnvironmentFault, did_you_mean
from harness.inputs import FIXED_L0, Bos, SaeRef
from harness.releases import find_release, release_names
from harness.repository import located
from harness.trained import Training, training_of, training_of_config

_LOADED = "the SAE as sae-lens loads it"


def read_config(folder: Path) -> dict[str, Any]:
    """An SAE's cfg.json, without sae-lens. Raises EnvironmentFault `sae_missing`."""
    try:
        config: dict[str, Any] = json.loads((folder / SAE_FILES[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EnvironmentFault(
            "sae_missing", f"no readable {SAE_FILES[0]} in {folder}.", "Fetch or train the SAE, or mend its path."
        ) from error
    return config


def load_sae(
    ref: SaeRef,
    d_model: int,
    device: torch.device,
    hook: str | None = None,
    meant: Collection[str] = (),
    bos: Bos = "auto",
) -> Encoder:
    """The SAE, fp32, its decoder norms not folded, checked against its pins, the model's width and its own words.

    hook: where it will read; `ref.hook` without it. meant: what is read otherwise than it was trained, on purpose
    (agreement.OTHERWISE). bos: the subject's own word on BOS.

    Raises EnvironmentFault: `unsafe_loading`, `sae_missing`, `sae_unsupported`, `sae_unreadable`,
    `digest_mismatch`, `sae_mismatch`, `not_finite`.
    """
    refuse_unsafe_loading()
    sae = _from_path(ref, device) if ref.source == "path" else released(ref, device)
    sae = sae.float().to(device).eval().requires_grad_(False)
    said = _said_once_loaded(ref, sae)
    _refuse(ref, hook or ref.hook, said, meant, bos)
    _check_shape(ref, sae, d_model)
    must_be_finite(sae, f"SAE {ref.name}")
    read_centred(sae, said.is_centred is True and "centring" not in meant)
    return sae  # type: ignore[no-any-return]


def sae_lens() -> Any:
    """The module sae_lens. Libraries that it imports make folders in the temporary folder as they are imported.

    Raises EnvironmentFault `no_temporary_folder`.
    """
    with temporary_folder("sae-lens"):
        import sae_lens

    return sae_lens


def _from_path(ref: SaeRef, device: torch.device) -> Any:
    folder = located(ref.location, ref.root)
    refuse_pointers(f"SAE {ref.name}", folder, sae_files(ref))
    verify_sae(ref, folder)
    if ref.format == "qwen_scope":
        return _from_qwen_scope(ref, folder, device)
    _check_form(ref, training_of_config(read_config(folder), SAE_FILES[0]))
    if not (folder / SAE_FILES[1]).is_file():
        raise EnvironmentFault("sae_missing", f"no {SAE_FILES[1]} in {folder}.", "Fetch or train the SAE.")
    if (damage := damage_of(folder / SAE_FILES[1])) is not None:
        raise EnvironmentFault("sae_unreadable", f"SAE {ref.name}: {SAE_FILES[1]} {damage}.", "Fetch it again.")
    SAE = sae_lens().SAE
    with _SaeFaults(ref):
        return SAE.load_from_disk(folder, device=str(device), dtype="float32")


def _from_qwen_scope(ref: SaeRef, folder: Path, device: torch.device) -> Any:
    files = sorted(path for pattern in sae_files(ref) for path in folder.glob(pattern))
    if len(files) != 1 or ref.k is None:
        raise EnvironmentFault(
            "sae_missing", f"{folder} holds {len(files)} files *.sae.pt, one is wanted.", "Fetch or train the SAE."
        )
    return read_qwen_scope(files[0], ref.k, str(device))


def released(ref: SaeRef, device: torch.device) -> Any:
    """A published SAE as sae-lens loads it, fp32, held against its pin. Raises EnvironmentFault as load_sae does."""
    refuse_unsafe_loading()
    _check_release(ref)
    be_impatient()
    SAE = sae_lens().SAE
    with _SaeFaults(ref), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        sae = SAE.from_pretrained(ref.location, ref.sae_id or "", device=str(device), dtype="float32")
    _check_form(ref, training_of_config(sae.cfg.to_dict(), _LOADED))
    if ref.digest is not None and (found := weights_digest(sae)) != ref.digest:
        raise mismatch(f"SAE {ref.name}", ref.digest, found)
    return sae


def weights_digest(sae: Any) -> str:
    """sha256 over the sorted lines `<name> <shape> <sha256 of the fp32 bytes>`: what a release is pinned by.

    No loader of sae-lens takes a revision, and each writes its files elsewhere, so the tensors are digested.
    """
    lines = []
    for name, tensor in sorted(sae.state_dict().items()):
        data = tensor.detach().float().cpu().contiguous().numpy()
        lines.append(f"{name} {list(tensor.shape)} {hashlib.sha256(data).hexdigest()}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _said_once_loaded(ref: SaeRef, sae: Any) -> Training:
    """All that the SAE says, once its files are here: of a release, what its loader made of them as well."""
    said = training_of(ref)
    if said.is_whole and ref.source == "path":
        return said
    loaded, written = training_of_config(sae.cfg.to_dict(), _LOADED), _written(ref)
    known = {one.name: getattr(loaded, one.name) for one in fields(loaded) if getattr(loaded, one.name) is not None}
    known["activation_fn"] = written.activation_fn or known.get("activation_fn", said.activation_fn)
    known["unclear"] = tuple(dict.fromkeys((*written.unclear, *loaded.unclear)))
    # A factor that was folded is in the weights now; one that was not leaves the normalization to be done.
    return replace(said, **{**known, "norm_scaling_factor": None})


def _written(ref: SaeRef) -> Training:
    """What a release's cfg.json says, of which sae-lens drops some when it loads the file."""
    from huggingface_hub import try_to_load_from_cache

    found = find_release(ref.location)
    if ref.source != "release" or (found is not None and found.loader != "sae_lens"):
        return Training()
    repository, path = (found.repository, found.paths[ref.sae_id or ""]) if found else (ref.location, ref.sae_id or "")
    cached = try_to_load_from_cache(repository, f"{path}/{SAE_FILES[0]}")
    if not isinstance(cached, str):
        return Training()
    return training_of_config(read_config(Path(cached).parent), SAE_FILES[0])


def _refuse(ref: SaeRef, hook: str | None, said: Training, meant: Collection[str], bos: Bos) -> None:
    """Raise the first difference between what the SAE says and how it would be read; with it, how many more."""
    found = [*of_shape(ref, said)] if hook is None else left_to_refuse(ref, hook, said, meant, bos)
    if found:
        raise _fault(found)
    if ref.source == "release" and ref.architecture is None and said.architecture in FIXED_L0:
        text = f"SAE {ref.name} is {said.architecture}, which specs/subjects.yaml does not say."
        raise EnvironmentFault("sae_mismatch", text, f"Write `architecture: {said.architecture}`.")


def _check_form(ref: SaeRef, said: Training) -> None:
    """Before weights are read: forms that sae-lens has no class for, or no reading of single tokens."""
    found = [one for one in of_shape(ref, said) if one.code == "sae_unsupported"]
    if found:
        raise _fault(found)


def _fault(found: Sequence[Difference]) -> EnvironmentFault:
    first, others = found[0], len(found) - 1
    more = f" ({others} more like this)" if others else ""
    code = "sae_mismatch" if first.code == "sae_mismatch" else "sae_unsupported"
    return EnvironmentFault(code, f"{first.message}{more}.", first.fix)


def _check_shape(ref: SaeRef, sae: Any, d_model: int) -> None:
    d_in, d_sae = int(sae.cfg.d_in), int(sae.cfg.d_sae)
    if d_in != d_model:
        text = f"SAE {ref.name} reads {d_in} dimensions, the model has {d_model} there."
        raise EnvironmentFault("sae_mismatch", text, "Pair the SAE with the model that it was trained on.")
    for name, pinned, found in (("d_in", ref.d_in, d_in), ("d_sae", ref.d_sae, d_sae)):
        if pinned is not None and pinned != found:
            text = f"SAE {ref.name}: specs/subjects.yaml says {name} {pinned}, the weights have {found}."
            raise EnvironmentFault("sae_mismatch", text, f"Write `{name}: {found}` in specs/subjects.yaml.")


class _SaeFaults:
    """What sae-lens raises, as one message; never a reason to take another SAE instead."""

    def __init__(self, ref: SaeRef) -> None:
        self.ref = ref

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, EnvironmentFault):
            return
        code = "sae_missing" if _is_about_the_network(error) else "sae_unreadable"
        raise EnvironmentFault(
            code,
            f"SAE {self.ref.name} cannot be loaded: {type(error).__name__}: {quoted(error)}.",
            _mend(self.ref) if code == "sae_missing" else "Fetch it again, or mend it in specs/subjects.yaml.",
        ) from error


def _is_about_the_network(error: BaseException | None) -> bool:
    """A file that is not cached, or a request that nobody answers; sae-lens wraps neither."""
    modules = ("requests", "httpx", "httpcore", "huggingface_hub", "urllib3")
    while error is not None:
        if isinstance(error, OSError) or type(error).__module__.split(".")[0] in modules:
            return True
        error = error.__cause__ or error.__context__
    return False


def _mend(ref: SaeRef) -> str:
    release = find_release(ref.location) if ref.source == "release" else None
    if release is None:
        return "Check its path or release in specs/subjects.yaml, and fetch it where there is network access."
    fetch = f"Fetch it where there is network access: `{release.download_command(ref.sae_id or '')}`."
    if release.loader == "gemma_3":
        fetch += (
            " sae-lens asks the hub for the shapes of Gemma Scope 2's tensors at every load, cached or not: this SAE"
            " cannot be loaded offline."
        )
    return fetch


def _check_release(ref: SaeRef) -> None:
    """Names that sae-lens does not know, before it is asked: it says neither which are near nor where they stand."""
    found = find_release(ref.location)
    if found is None and "/" not in ref.location:
        raise _unknown(ref, f"release {ref.location!r}", did_you_mean(ref.location, release_names()))
    if found is not None and ref.sae_id not in found.paths:
        raise _unknown(ref, f"id {ref.sae_id!r} in {ref.location!r}", did_you_mean(ref.sae_id or "", found.paths))


def _unknown(ref: SaeRef, what: str, hint: str) -> EnvironmentFault:
    return EnvironmentFault(
        "sae_missing", f"SAE {ref.name}: sae-lens has no {what}.{hint}", "Mend specs/subjects.yaml."
    )
