"""The tensors at sites while the network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from lightning_vis.model.hooks import entered, hooked
from lightning_vis.model.layers import called_often, find_layer, uncalled
from lightning_vis.model.places import at, replaced
from lightning_vis.model.site.site import INPUT_SIDE, Site

Keep = Callable[[Any], None]


@contextmanager
def kept_at(model: nn.Module, sites: Mapping[str, Site], keep: Mapping[str, Keep]) -> Iterator[None]:
    """Gives what stands at each site to the function of the same name, as often as the network passes by.

    Raises:
        ValueError: the model has no such layer.
    """
    with ExitStack() as stack:
        for name, site in sites.items():
            module = find_layer(model, site.layer)
            if site.side == INPUT_SIDE:
                stack.enter_context(entered(module, partial(_enters, keep[name], site)))
            else:
                stack.enter_context(hooked([module], partial(_leaves, keep[name], site)))
        yield


def _leaves(keep: Keep, site: Site, _: nn.Module, __: Any, output: Any) -> Any:
    tensor = at(output, site.place, "output")
    keep(tensor)
    # The clone goes on: an in-place layer behind would rewrite what was kept.
    return replaced(output, site.place, tensor.clone()) if isinstance(tensor, Tensor) else output


def _enters(keep: Keep, site: Site, _: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    keep(at({**dict(enumerate(given)), **named}, site.place, "input"))


@contextmanager
def collected(model: nn.Module, sites: Mapping[str, Site]) -> Iterator[dict[str, list[Any]]]:
    """Lists of what stood at each site, by name."""
    found: dict[str, list[Any]] = {name: [] for name in sites}
    with kept_at(model, sites, {name: each.append for name, each in found.items()}):
        yield found


def one_each(model: nn.Module, found: Mapping[str, list[Any]], sites: Mapping[str, Site]) -> dict[str, Tensor]:
    """The one tensor of each site.

    Raises:
        ValueError: a layer is never called, is called twice, or returns no tensor.
    """
    for name, tensors in found.items():
        if not tensors:
            raise uncalled(model, sites[name].layer)
        if len(tensors) > 1:
            raise called_often(model, sites[name].name, len(tensors))
        if not isinstance(tensors[0], Tensor):
            kind = type(tensors[0]).__name__
            raise ValueError(f"layer {sites[name].name!r} returns a {kind}: name a layer that returns one tensor")
    return {name: tensors[0] for name, tensors in found.items()}
