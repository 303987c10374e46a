"""Gathers weights that are spread over processes, and lends the network whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.model.snapshot.restore import mappings, restore_all

Weights = Mapping[tuple[nn.Module, str], nn.Parameter]
"""Whole weights, by the module that has them and their name in it."""


@torch.inference_mode(False)
@torch.no_grad()
def gathered(root: nn.Module, *, everywhere: bool = False) -> Weights:
    """Copies of all weights of a network, whole; every process has to call it, since all hold a part.

    What PyTorch keeps of its parts is not written to. Units of FSDP are put together one by one.

    Args:
        root: as the strategy runs it: in units of FSDP1, or with distributed tensors, as FSDP2 and tensor parallelism have them.
        everywhere: whether all processes get them, and not the first one alone.

    Returns:
        The weights; in the other processes none, unless `everywhere`.
    """
    from torch.distributed.fsdp import FullyShardedDataParallel

    is_kept = everywhere or not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0
    copies = _Copies(is_kept)
    units = [each for each in root.modules() if isinstance(each, FullyShardedDataParallel)]
    for unit in units:  # the outermost first: the first one met takes itself for it
        with FullyShardedDataParallel.summon_full_params(unit, recurse=False, writeback=False, rank0_only=not everywhere):
            copies.take(_own(unit) if is_kept else ())
    inside = {each for unit in units for each in _own(unit)}
    copies.take(each for each in root.modules() if each not in inside)
    return copies.found


class _Copies:
    """Copies of weights; a weight that stands in several places has one copy."""

    def __init__(self, is_kept: bool) -> None:
        self.found: dict[tuple[nn.Module, str], nn.Parameter] = {}
        self._known: dict[int, tuple[Tensor, nn.Parameter]] = {}  # weights are kept, so that no other gets the same id
        self._is_kept = is_kept

    def take(self, modules: Iterable[nn.Module]) -> None:
        """Copies what these modules have themselves; distributed tensors are put together by all processes."""
        for module in modules:
            for name, weight in module._parameters.items():
                if weight is not None:
                    full = weight.full_tensor() if hasattr(weight, "full_tensor") else weight
                    if self._is_kept:
                        known = self._known.setdefault(id(weight), (weight, _copy(full, weight.requires_grad)))
                        self.found[module, name] = known[1]


def _copy(weight: Tensor, requires_grad: bool) -> nn.Parameter:
    return nn.Parameter(weight.detach().clone(), requires_grad)


def _own(unit: nn.Module) -> list[nn.Module]:
    """The modules of a unit that no unit within it has."""
    within = {each for child in unit.modules() if child is not unit and _FSDP in child._modules for each in child.modules()}
    return [each for each in unit.modules() if each not in within]


@contextmanager
def lent_whole(module: nn.Module, weights: Weights) -> Iterator[None]:
    """Puts whole weights in the place of a process' own part, and takes what talks to other processes out of the way.

    Meanwhile the network is what its author wrote: without wrappers of FSDP and of activation checkpointing, without hooks of
    `torch.distributed`. It runs in this process alone, and what fails there keeps no other waiting.

    Args:
        module: a network, or what FSDP wraps.
        weights: all that it has, as `gathered` returns them; none: it is whole already.
    """
    modules = list(module.modules()) if weights else []
    spaces = [*(vars(each) for each, name in weights if name in vars(each))]
    spaces += [vars(each)[key] for each in modules for key in ("_modules", "_parameters", *_HOOKS)]
    restores = mappings(spaces)
    try:
        for each in modules:
            _stand_alone(each)
        for (owner, name), weight in weights.items():
            vars(owner).pop(name, None)  # FSDP without `use_orig_params` leaves tensors as attributes
            owner._parameters[name] = weight
        yield
    finally:
        restore_all(restores)


_FSDP, _CHECKPOINT = "_fsdp_wrapped_module", "_checkpoint_wrapped_module"
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def _stand_alone(module: nn.Module) -> None:
    """Takes a module's parts of weights, the wrappers around its children, and hooks of torch.distributed off."""
    for name in [name for name, weight in module._parameters.items() if weight is not None]:
        del module._parameters[name]
    for name, child in module._modules.items():
        module._modules[name] = _unwrapped(child)
    for hooks in (vars(module)[key] for key in _HOOKS):
        for key in [key for key, hook in hooks.items() if _home_of(hook).startswith("torch.distributed")]:
            del hooks[key]


def _unwrapped(module: nn.Module | None) -> nn.Module | None:
    inner = None if module is None else module._modules.get(_FSDP, module._modules.get(_CHECKPOINT))
    return module if inner is None else _unwrapped(inner)


def _home_of(hook: Any) -> str:
    return str(getattr(hook, "__module__", ""))
