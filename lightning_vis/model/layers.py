"""Layers by their dotted names."""

from __future__ import annotations

import difflib

import torch
from torch import nn
from torch.nn.parameter import is_lazy


def named_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The submodules by dotted name, as the user wrote them: without the wrapper that ``torch.compile`` adds."""
    named = ((name.replace("_orig_mod.", "").removesuffix("._orig_mod"), module) for name, module in model.named_modules())
    return {name: module for name, module in named if name not in ("", "_orig_mod")}


def has_lazy_layers(model: nn.Module) -> bool:
    """Whether some layers get their shapes only from the first batch."""
    return any(is_lazy(value) for value in model.parameters())


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """The submodule with this dotted name.

    Raises:
        ValueError: there is none; the message lists the layers there are.
    """
    layers = named_layers(model)
    if name not in layers:
        raise ValueError(f"layer {name!r} is not in the model; {known_layers(model, name)}")
    return layers[name]


def known_layers(model: nn.Module, wanted: str = "") -> str:
    """A model's layers as a phrase for messages, the names nearest to `wanted` first, at most twelve."""
    names = list(named_layers(model))
    near = difflib.get_close_matches(wanted, names, n=3)
    shown = [*near, *(name for name in names if name not in near)][:12]
    more = f", ... ({len(names)} in all)" if len(names) > len(shown) else ""
    return f"its layers are {', '.join(shown)}{more}" if names else "it has no layers"


def uncalled(model: nn.Module, name: str) -> ValueError:
    """What is said of a layer that gave nothing while the network ran."""
    why = "it is scripted" if isinstance(find_layer(model, name), torch.jit.ScriptModule) else "forward never calls it"
    return ValueError(f"layer {name!r} gave no output: {why}; {known_layers(model, name)}")


def called_often(model: nn.Module, name: str, times: int) -> ValueError:
    """What is said of a layer that ran several times."""
    return ValueError(
        f"layer {name!r} is called {times} times in one forward pass, so it has no one activation:"
        f" name the block around it; {known_layers(model, name)}"
    )
