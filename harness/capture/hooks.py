"""Reading activations as they pass: hooks that change nothing and never outlive their `with` block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import nn

from harness.capture.layers import Site
from harness.errors import EnvironmentFault

Seen = dict[str, torch.Tensor]


class _SeenAll(Exception):
    """Ends a forward pass whose remaining layers nobody asked for; bit-equal to running on, and leaves no state."""


@contextmanager
def reading(sites: Mapping[str, Site], stop_early: bool = True) -> Iterator[Seen]:
    """Within the block, a forward pass fills the yielded dict: hook name -> activations, as the model computed them.

    The pass ends when every site has been seen, by an exception that `run` takes in. Handles are removed however
    the block ends.
    """
    seen: Seen = {}
    handles = []
    try:
        for name, site in sites.items():
            keep = _keeper(name, seen, len(sites) if stop_early else None)
            if site.before:
                handles.append(site.module.register_forward_pre_hook(keep, with_kwargs=True))
            else:
                handles.append(site.module.register_forward_hook(_of_output(keep)))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def run(forward: Callable[[], Any], sites: Mapping[str, Site], stop_early: bool = True) -> Seen:
    """The activations at every site during one forward pass; a site that the pass never reached is an error."""
    with reading(sites, stop_early) as seen, suppress(_SeenAll):
        forward()
    missed = sorted(sites.keys() - seen.keys())
    if missed:
        raise EnvironmentFault(
            "hook_never_fired", f"the forward pass never reached {', '.join(missed)}.", "Please report this model."
        )
    return seen


def given_to(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor | None:
    """The activations that a module is called with; None where its first argument holds no tensor first."""
    return first_tensor(args[0] if args else kwargs.get("hidden_states"))


def first_tensor(value: Any) -> torch.Tensor | None:
    """A tensor, or the first of several: many layers and MLPs return more than the activations."""
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    return value if isinstance(value, torch.Tensor) else None


def _keeper(name: str, seen: Seen, enough: int | None) -> Callable[..., None]:
    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        value = given_to(args, kwargs)
        assert value is not None, f"{type(module).__name__} passes on no tensor at {name}"
        seen[name] = value.detach().clone()  # a later layer may write into it, and a view would hold all of it
        if len(seen) == enough:
            raise _SeenAll

    return keep


def _of_output(keep: Callable[..., None]) -> Callable[[nn.Module, Any, Any], None]:
    return lambda module, args, output: keep(module, (output,), {})
