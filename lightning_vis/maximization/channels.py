"""Which layers and channels are maximized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.constants import OUTPUT
from lightning_vis.maximization.objectives import pooled
from lightning_vis.model.feature_map import last_feature_map
from lightning_vis.model.run import on_model
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.model.truncated import activation_of, opened

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
    images = on_model(model, images)
    try:
        run, _ = opened(model, OUTPUT, images, forward or model)
        return [*found, last_feature_map(model, images, run).layer]
    except ValueError:
        if not found:
            raise
    return found


def profile(model: nn.Module, layer: str, images: Tensor, forward: Callable[[Tensor], Any] | None = None) -> Tensor:
    """Each channel's mean activation on each image, ``(N, K)`` float32: what ``"changed"`` compares."""
    with preserve_state(model), torch.no_grad():
        torch.manual_seed(0)  # of layers that draw in eval mode too; put back by preserve_state
        images = on_model(model, images)
        return pooled(activation_of(model, layer, images, forward)(images).float().cpu())


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
