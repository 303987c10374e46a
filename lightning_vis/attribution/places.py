"""Where the views of a look are recorded, the default place among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from lightning_vis.attribution.maps import evidence_map, grad_cam_map
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.views import View
from lightning_vis.constants import INPUT
from lightning_vis.model.answer.output import answer_of
from lightning_vis.model.cut_search import Opening, Witness, find_cuts
from lightning_vis.model.feature_map import ROWS, FeatureMap, feature_maps
from lightning_vis.model.run import ForwardConfig, Pass
from lightning_vis.model.site.site import HELD, place_of
from lightning_vis.probe.probe import Probe

Places = Mapping[str | None, FeatureMap]


def find_places(
    model: nn.Module, probe: Probe, running: ForwardConfig, views: Iterable[View]
) -> tuple[ForwardConfig, dict[str, Exception]]:
    """How a network is run with the places of views known, and, by the keys of the views, why some have none.

    Where no gradient of the answer reaches the image, the cuts that keep it off are opened from then on
    (`lightning_vis.model.cut_search`), and the places are those of the network without them.

    Args:
        model: as it will be run.
        probe: whose first image is run, in one dry run that leaves no trace; in some more where no gradient reaches the image.
        running: how; the places that it knows already are kept, and measured anew if something bypasses them.
        views: whose layers are wanted.
    """
    views = list(views)
    placed, failed, is_reached = _placed(model, probe, running, views)
    if running.cuts is not None or is_reached is not False:
        return placed, failed
    return open_places(model, probe, placed, failed, views)


def open_places(
    model: nn.Module, probe: Probe, placed: ForwardConfig, failed: dict[str, Exception], views: Sequence[View]
) -> tuple[ForwardConfig, dict[str, Exception]]:
    """As `find_places`, where no gradient of the answer reaches the image as the network is run.

    Args:
        model: as `find_places`.
        probe: likewise.
        placed: how the network is run, with the places that were found.
        failed: why others were not.
        views: whose layers are wanted.
    """
    opening = _opening(model, probe, placed)
    if opening.cuts:
        return _placed(model, probe, replace(placed, places={}, cuts=opening.cuts), views)[:2]
    off = [view.key for view in views if view.key in failed or INPUT in view.layers] if opening.why else []
    return replace(placed, cuts=()), {**failed, **dict.fromkeys(off, ValueError(opening.why))}


def _placed(
    model: nn.Module, probe: Probe, running: ForwardConfig, views: Sequence[View]
) -> tuple[ForwardConfig, dict[str, Exception], bool | None]:
    """The places as the network is run now, and whether a gradient was seen to reach the image; None where nothing was run."""
    wanted = {name for view in views for name in view.layers if name != INPUT} - set(running.places)
    shifting = {each.layer for each in running.places.values() if each.bypassed}
    asked = sorted({*wanted, *shifting}, key=str)
    found, is_reached = _found(model, probe, running, asked) if asked else ({}, None)
    places = {name: each for name, each in found.items() if isinstance(each, FeatureMap)}
    why = {name: each for name, each in found.items() if isinstance(each, Exception) and name in wanted}
    failed = {view.key: why[name] for view in views for name in view.layers if name in why}
    cuts = () if is_reached and running.cuts is None else running.cuts
    known = {name: _measured_anew(each, places) for name, each in running.places.items()}
    new = {name: each for name, each in places.items() if name in wanted}
    return replace(running, places={**known, **new}, cuts=cuts), failed, is_reached


def _measured_anew(place: FeatureMap, found: Places) -> FeatureMap:
    """The same place, by whatever name it is known, with what bypasses it now."""
    return replace(place, bypassed=found[place.layer].bypassed) if place.bypassed and place.layer in found else place


def looked_at(view: View, places: Places) -> list[str]:
    """What the records of a view's layers are called: evidence and Grad-CAM look at tokens with attention held."""
    is_ours = view.recorder is gradients and view.to_map in (evidence_map, grad_cam_map)
    return [_record_at(name, places.get(name), is_ours=is_ours) for name in view.layers]


def _record_at(name: str | None, place: FeatureMap | None, *, is_ours: bool) -> str:
    if is_ours and place is not None and place.held is not None:
        return place.held.key
    return place.layer if name is None and place is not None else str(name)


def said_of_places(views: Iterable[View], places: Places) -> tuple[str, ...]:
    """What a reader should know of where views look: how much of the answer bypasses it, what was held constant."""
    looked = dict.fromkeys(key for view in views for key in looked_at(view, places))
    by_name = {each.layer: each for each in places.values()}
    passed = [by_name[name] for name in dict.fromkeys(map(place_of, looked)) if name in by_name]
    held = [place_of(key) for key in looked if key.endswith(HELD)]
    return (*filter(None, (each.said_bypassed for each in passed)), *map(said_of_held, held))


def said_of_held(layer: str) -> str:
    """How tokens are explained."""
    return f"tokens at {layer!r}: gradient x activation with attention and norms held constant (A. Ali et al., 2022)"


def _found(
    model: nn.Module, probe: Probe, running: ForwardConfig, names: Sequence[str | None]
) -> tuple[dict[str | None, FeatureMap | Exception], bool]:
    """What names stand for, and whether the graph of that dry run leads from the answer to the image."""
    try:
        run = _first_image(model, probe, running)
        witness = Witness(run.output, partial(_read, run))
        found = feature_maps(model, run.images, names, witness.forward, witness.read)
        return found, witness.is_reached
    except Exception as error:  # the network itself could not be run
        return dict.fromkeys(names, error), False


def _opening(model: nn.Module, probe: Probe, running: ForwardConfig) -> Opening:
    try:
        run = _first_image(model, probe, running)
        return find_cuts(model, run.images, run.output, partial(_read, run))
    except Exception:  # which is said where the network is run
        return Opening()


def _first_image(model: nn.Module, probe: Probe, running: ForwardConfig) -> Pass:
    images = probe.images[:1].expand(ROWS, *probe.images.shape[1:])
    return running.prepare(model, images, rows=torch.zeros(ROWS, dtype=torch.long))


def _read(run: Pass, output: Any) -> Any:
    """Other heads have layers of their own."""
    return answer_of(run.answer.facts, output) if run.score is None and run.answer.facts.head is not None else output
