"""Where the views of a look are recorded, the default place among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from lightning_vis.attribution.views import View
from lightning_vis.constants import INPUT
from lightning_vis.model.answer.output import answer_of
from lightning_vis.model.feature_map import ROWS, FeatureMap, feature_maps
from lightning_vis.model.run import ForwardConfig, Pass
from lightning_vis.model.site.site import LAST_OF_ALL
from lightning_vis.probe.probe import Probe

Places = dict[str | None, FeatureMap]


def find_places(
    model: nn.Module, probe: Probe, running: ForwardConfig, views: Iterable[View]
) -> tuple[Places, dict[str, Exception]]:
    """The places of views by what their layers are called, and, by the keys of the views, why some have none.

    Args:
        model: as it will be run.
        probe: whose first image is run, in one dry run that leaves no trace.
        running: how; the places that it knows already are kept, and measured anew if something bypasses them.
        views: whose layers are wanted; with twins the last bottleneck is, too, where channels are compared.
    """
    views = list(views)
    named = {name for view in views for name in view.layers if name != INPUT}
    wanted = ({*named, LAST_OF_ALL} if None in named and probe.twins is not None else named) - set(running.places)
    shifting = _shifting(running.places)
    asked = sorted({*wanted, *shifting}, key=str)
    found = _found(model, probe, running, asked) if asked else {}
    places = {
        key: each for name, each in found.items() if isinstance(each, FeatureMap) for key in shifting.get(str(name), [name])
    }
    why = {name: each for name, each in found.items() if isinstance(each, Exception) and name in wanted}
    failed = {view.key: why[name] for view in views for name in view.layers if name in why}
    return {**running.places, **places}, failed


def _shifting(places: Mapping[str | None, FeatureMap]) -> dict[str, list[str | None]]:
    """The layers that something bypasses, with all names they are known by: how much it is may change."""
    found: dict[str, list[str | None]] = {}
    for name, each in places.items():
        if each.bypassed:
            found.setdefault(each.layer, []).append(name)
    return found


def said_of_places(places: Mapping[str | None, FeatureMap], views: Iterable[View]) -> tuple[str, ...]:
    """What a reader should know of where views look: how much of the answer bypasses it."""
    names = dict.fromkeys(name for view in views for name in view.layers if name in places)
    return tuple(filter(None, (places[name].said_bypassed for name in names)))


def _found(
    model: nn.Module, probe: Probe, running: ForwardConfig, names: Sequence[str | None]
) -> dict[str | None, FeatureMap | Exception]:
    try:
        images = probe.images[:1].expand(ROWS, *probe.images.shape[1:])
        run = running.prepare(model, images, rows=torch.zeros(ROWS, dtype=torch.long))
        return feature_maps(model, run.images, names, run.output, partial(_read, run))
    except Exception as error:  # the network itself could not be run
        return dict.fromkeys(names, error)


def _read(run: Pass, output: Any) -> Any:
    """Other heads have layers of their own."""
    return answer_of(run.answer.facts, output) if run.score is None and run.answer.facts.head is not None else output
