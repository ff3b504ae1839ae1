"""Whether the script acts where, and on the model that, the evidence is about: place, hooks, mode, feature numbers."""

from __future__ import annotations

import operator
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from harness.agreement import OTHERWISE
from harness.gate.blocking import Reason, Why
from harness.inputs import Subject
from harness.saefields import standard_hook

_SHOWN = 3
# Hooks that libraries leave on a model for themselves: transformers' to collect hidden states, accelerate's to move
# weights. They pass on what they see.
_LIBRARIES = ("transformers", "accelerate", "torch")


def whole_numbers(features: Iterable[Any]) -> tuple[list[int], list[Reason]]:
    """The features as whole numbers, each once, and a reason for each that is none: 3.7, True, '12'."""
    wanted: dict[int, None] = {}
    reasons = []
    for feature in features:
        number = _whole(feature)
        if number is None:
            message = f"{feature!r} is no feature's number: it is {type(feature).__name__}, not a whole number"
            reasons.append(Reason(Why.NO_SUCH_FEATURE, message))
        else:
            wanted[number] = None
    return list(wanted), reasons


def elsewhere(read_at: str, sae: Any, hook: str | None) -> Iterator[Reason]:
    """A reason where the script acts at another hook point than the evidence is of.

    hook: where the script says that it acts; without it, where its SAE says that it reads. An SAE that says nothing
    gives no reason.
    """
    acts_at = hook if hook is not None else hook_of(sae)
    if acts_at is None or standard_hook(str(acts_at)) == read_at:
        return
    whose = "the script acts" if hook is not None else "the script's SAE says that it reads"
    message = f"{whose} at {acts_at}, the evidence was read at {read_at}: what is known of one place says nothing"
    yield Reason(Why.HOOK_DIFFERS, f"{message} of another (hook= says where the script acts)")


def read_otherwise(subject: Subject, accepted: Collection[str]) -> Iterator[Reason]:
    """A reason for each thing that is read otherwise than the SAE was trained and that the script does not accept by
    name. ValueError where it accepts what cannot be read otherwise."""
    strange = [name for name in accepted if name not in OTHERWISE]
    if strange:
        raise ValueError(f"accept_read_otherwise names {strange[0]!r}; it can name {', '.join(OTHERWISE)}")
    for what, why in subject.read_otherwise:
        if what not in accepted:
            told = f"{subject.name} is read otherwise than its SAE was trained: {OTHERWISE[what]} ({why})"
            yield Reason(Why.READ_OTHERWISE, f"{told}. If the script means that: accept_read_otherwise=[{what!r}]")


def altered(model: Any) -> Iterator[Reason]:
    """Reasons why this model may compute otherwise than the one that was read, though its weights are the same."""
    modules = list(model.named_modules())
    hooked = [*_hooked(modules), *_hooked_everywhere()]
    if hooked:
        yield Reason(Why.MODEL_HOOKED, f"{_some(hooked)}: remove it, then call require_passed, then add your own")
    training = [name or type(module).__name__ for name, module in modules if getattr(module, "training", False)]
    if training:
        yield Reason(Why.TRAINING_MODE, f"{_some(training)} in training mode (dropout is on): call model.eval()")


def hook_of(sae: Any) -> str | None:
    """Where an SAE of sae-lens says that it reads: in its metadata, before version 6 in its configuration."""
    cfg = getattr(sae, "cfg", None)
    for holder in (getattr(cfg, "metadata", None), cfg):
        name = holder.get("hook_name") if isinstance(holder, Mapping) else getattr(holder, "hook_name", None)
        if isinstance(name, str) and name:
            return name
    return None


def _whole(feature: Any) -> int | None:
    if isinstance(feature, bool) or type(feature).__name__ in ("bool", "bool_"):
        return None
    try:
        return operator.index(feature)
    except TypeError:
        return None


def _hooked(modules: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Modules with a forward hook, a pre-hook or a replaced forward that no library put there for itself."""
    for name, module in modules:
        place = name or type(module).__name__
        for kind in ("_forward_pre_hooks", "_forward_hooks"):
            for hook in getattr(module, kind, {}).values():
                if not _is_a_librarys(hook):
                    yield f"{place} has a forward hook ({_named(hook)})"
        replaced = vars(module).get("forward")
        if replaced is not None and not hasattr(module, "_hf_hook"):
            yield f"{place} has another forward ({_named(replaced)})"


def _hooked_everywhere() -> Iterator[str]:
    """torch's hooks of all modules at once; torch is there where a script has a model."""
    torch_modules = sys.modules.get("torch.nn.modules.module")
    for kind in ("_global_forward_pre_hooks", "_global_forward_hooks"):
        for hook in getattr(torch_modules, kind, {}).values():
            if not _is_a_librarys(hook):
                yield f"every module has a forward hook ({_named(hook)})"


def _is_a_librarys(hook: Any) -> bool:
    function = getattr(hook, "func", hook)  # functools.partial
    return str(getattr(function, "__module__", "") or "").split(".")[0] in _LIBRARIES


def _named(hook: Any) -> str:
    function = getattr(hook, "func", hook)
    return str(getattr(function, "__qualname__", type(hook).__name__))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
