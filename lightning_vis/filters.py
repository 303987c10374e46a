"""What the filters of a layer want to see, as facts and pictures of a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_vis.filter_facts import Filter
from lightning_vis.frames import Array, Pictures
from lightning_vis.layers import last_feature_map
from lightning_vis.maximization import Maximized, maximize
from lightning_vis.objectives import pooled
from lightning_vis.observing import observing
from lightning_vis.probe import Probe
from lightning_vis.truncation import OUTPUT, activation_of, on_model

Channels = int | str | Sequence[int]
"""Which filters: how many from 0 on, indices, ``"first"``, ``"changed"`` or ``"background-driven"``."""

BACKGROUND = "background-driven"
WORDS = ("first", "changed", BACKGROUND)
USUAL = 8
"""How many filters are shown where nobody says."""
USUAL_LAYERS = (OUTPUT, "the last feature map")
"""Which layers are shown where nobody says."""


def usual_layers(model: nn.Module, images: Tensor, forward: Callable[[Tensor], Any] | None = None) -> list[str]:
    """The classes and the last feature map, as far as the model has them.

    Not the first convolution: it is linear in the image, so that its mean over a map knows a colour and no edge.

    Raises:
        ValueError: the model has no feature map, and what it returns cannot be read as class scores.
    """
    found: list[str] = []
    with suppress(ValueError):
        found += [OUTPUT] if len(profile(model, OUTPUT, images, forward)) == len(images) else []
    try:
        return [*found, last_feature_map(model, on_model(model, images), forward).layer]
    except ValueError:
        if not found:
            raise
    return found


def profile(model: nn.Module, layer: str, images: Tensor, forward: Callable[[Tensor], Any] | None = None) -> Tensor:
    """Each channel's mean activation on each image, ``(N, K)`` float32: what ``"changed"`` compares."""
    with observing(model), torch.no_grad():
        torch.manual_seed(0)  # of layers that draw in eval mode too; put back by observing
        return pooled(activation_of(model, layer, forward)(on_model(model, images)).float().cpu())


def chosen_channels(
    wanted: Channels, now: Tensor, before: Tensor | None = None, background: Sequence[int] | None = None
) -> list[int]:
    """The channels to show.

    Args:
        wanted: as the user wrote it.
        now: `profile` of this look.
        before: of the last look; without it ``"changed"`` means the first ones.
        background: the channels that follow the background, most of all first, if anybody knows.

    Raises:
        ValueError: an index is out of range, a word is unknown, or ``"background-driven"`` without numbers.
    """
    count = now.shape[1]
    if isinstance(wanted, int):
        return list(range(min(wanted, count)))
    if not isinstance(wanted, str):
        wrong = [index for index in wanted if not 0 <= index < count]
        if wrong:
            raise ValueError(f"channels={list(wanted)!r}: the layer has the {count} channels 0 to {count - 1}")
        return list(wanted)
    if wanted == BACKGROUND:
        return _background(background, count)
    if wanted == "changed" and before is not None and before.shape == now.shape:
        return sorted(_movement(now, before).topk(min(USUAL, count)).indices.tolist())
    return list(range(min(USUAL, count)))


def check_channels(wanted: Channels) -> None:
    """Refuses what can be no choice of channels, whatever the layer.

    Raises:
        ValueError: with what was written and what there is.
    """
    is_word = isinstance(wanted, str) and wanted in WORDS
    is_count = isinstance(wanted, int) and not isinstance(wanted, bool) and wanted >= 1
    listed = list(wanted) if isinstance(wanted, Sequence) and not isinstance(wanted, str) else []
    is_list = bool(listed) and all(isinstance(index, int) for index in listed)
    if is_list and len(set(listed)) < len(listed):
        raise ValueError(f"channels={wanted!r}: each channel can be shown once")
    if not (is_word or is_count or is_list):
        raise ValueError(f"channels={wanted!r}: expected a number of at least 1, a list of indices, or one of {WORDS}")


def refuse_twice(layers: Sequence[Sequence[str] | None]) -> None:
    """Refuses layers whose pictures two callbacks would write.

    Args:
        layers: of each callback, None for the usual ones.

    Raises:
        ValueError: with their names.
    """
    named = [name for each in layers for name in sorted(set(each or USUAL_LAYERS))]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise ValueError(
            f"two FilterMaximizationCallbacks would write the pictures of the layers {', '.join(twice)}:"
            " give one of them other layers"
        )


def filter_pictures(
    model: nn.Module, layer: str, channels: Sequence[int], probe: Probe, **arguments: Any
) -> tuple[Pictures, list[Filter]]:
    """Maximizes channels of a layer, with the arguments of `maximize`."""
    found = maximize(model, layer, channels, probe.images, mean=probe.mean, std=probe.std, **arguments)
    filters = facts_of(found, probe.class_names if layer == OUTPUT else None)
    is_plain = found.pictures.shape[1] in (1, 3)  # other images are shown as mixtures of their channels, and so are these
    pictures = shown(found.pictures) if is_plain else probe.painted(found.images)
    return Pictures(pictures, tuple(each.caption for each in filters)), filters


def facts_of(found: Maximized, class_names: Sequence[str] | None = None) -> list[Filter]:
    """The facts of each row.

    Args:
        found: what was maximized.
        class_names: where channels are classes, what they are called, as far as that is known; None elsewhere.
    """
    kind = "channel" if class_names is None else "class"
    known = dict(enumerate(class_names or ())) if len(set(class_names or ())) == len(class_names or ()) else {}
    channels = [(each,) if isinstance(each, int) else each for each in found.channels]
    names = ["+".join(known.get(index, str(index)) for index in each) for each in channels]
    if len(set(names)) < len(names):  # a class is called by the number of another that has no name
        names = ["+".join(map(str, each)) for each in channels]
    rows = zip(names, found.activation.tolist(), found.on_images.tolist(), found.dead.tolist(), strict=True)
    return [Filter(*row, kind) for row in rows]


def shown(pictures: Tensor) -> Array:
    """Pictures ``(K, C, H, W)`` in 0..1 as ``(K, H, W, 3)`` uint8: of two channels one, of more the first three."""
    pictures = pictures if pictures.shape[1] >= 3 else pictures[:, :1].expand(-1, 3, -1, -1)
    values = (pictures[:, :3].nan_to_num() * 255).round().clamp(0, 255).byte()
    return np.ascontiguousarray(values.permute(0, 2, 3, 1).numpy())


def _movement(now: Tensor, before: Tensor) -> Tensor:
    """How far each channel's answers to the probe moved, as a share of how large they are."""
    size = torch.maximum(now.norm(dim=0), before.norm(dim=0))
    return torch.as_tensor((now - before).norm(dim=0) / size.clamp_min(1e-12))


def _background(background: Sequence[int] | None, count: int) -> list[int]:
    if background is None:
        raise ValueError(
            'channels="background-driven": nobody has measured which channels of this layer follow the background: a'
            " ProbeCallback beside this one does it for its last feature map, if its probe has twins"
            " (Probe(..., masks=..., backgrounds=...))"
        )
    return [index for index in background if index < count][:USUAL]
