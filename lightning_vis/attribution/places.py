"""Where the views of a look are recorded, the default place among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from lightning_vis.attribution.maps import evidence_map, grad_cam_map
from lightning_vis.attribution.recorders import gradients, held_gradients
from lightning_vis.attribution.records import Recorder
from lightning_vis.attribution.views import View
from lightning_vis.constants import INPUT
from lightning_vis.model.answer.output import answer_of
from lightning_vis.model.feature_map import ROWS, FeatureMap, feature_maps
from lightning_vis.model.run import ForwardConfig, Pass
from lightning_vis.probe.probe import Probe

Places = Mapping[str | None, FeatureMap]


def find_places(
    model: nn.Module, probe: Probe, running: ForwardConfig, views: Iterable[View]
) -> tuple[dict[str | None, FeatureMap], dict[str, Exception]]:
    """The places of views by what their layers are called, and, by the keys of the views, why some have none.

    Args:
        model: as it will be run.
        probe: whose first image is run, in one dry run that leaves no trace.
        running: how; the places that it knows already are kept, and measured anew if something bypasses them.
        views: whose layers are wanted.
    """
    views = list(views)
    wanted = {name for view in views for name in view.layers if name != INPUT} - set(running.places)
    shifting = {each.layer: name for name, each in running.places.items() if each.bypassed}
    asked = sorted({*wanted, *shifting}, key=str)
    found = _found(model, probe, running, asked) if asked else {}
    places = {shifting.get(str(name), name): each for name, each in found.items() if isinstance(each, FeatureMap)}
    why = {name: each for name, each in found.items() if isinstance(each, Exception) and name in wanted}
    failed = {view.key: why[name] for view in views for name in view.layers if name in why}
    return {**running.places, **places}, failed


def looked_at(view: View, places: Places) -> tuple[list[str], Recorder]:
    """The layers of a view by name, and how they are recorded: a view that names none looks at tokens where they are in place."""
    default = places.get(None)
    is_ours = view.layers == (None,) and view.recorder is gradients and view.to_map in (evidence_map, grad_cam_map)
    if default is not None and default.front is not None and is_ours:
        return [default.front.name], held_gradients
    named = [default.layer if name is None and default is not None else str(name) for name in view.layers]
    return named, view.recorder


def said_of_places(views: Iterable[View], places: Places) -> tuple[str, ...]:
    """What a reader should know of where views look: how much of the answer bypasses it, what was held constant."""
    looked = [(view, *looked_at(view, places)) for view in views]
    by_name = {each.layer: each for each in places.values()}
    passed = dict.fromkeys(name for _, names, _ in looked for name in names if name in by_name)
    held = dict.fromkeys(names[0] for _, names, recorder in looked if recorder is held_gradients)
    return (*filter(None, (by_name[name].said_bypassed for name in passed)), *map(said_of_held, held))


def said_of_held(layer: str) -> str:
    """How tokens are explained."""
    return f"tokens at {layer!r}: gradient x activation with attention and norms held constant (A. Ali et al., 2022)"


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
