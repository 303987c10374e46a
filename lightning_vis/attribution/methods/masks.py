"""Score-CAM: channels weighted by what the image scores where they are active."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from lightning_vis.attribution.maps import Recording, check_maps
from lightning_vis.attribution.methods.choice import scores_at, settled, with_gradients
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.records import Record, Recorded, Requests
from lightning_vis.model.run import Pass
from lightning_vis.model.scores import Target


@dataclass(frozen=True)
class ChannelScores:
    """Records whose "gradient" is a channel's weight: the softmax of what the image scores where that channel is active.

    The image is multiplied by the channel's activation, brought to the image's size and to 0..1. Of layers with more channels
    than `most` those are asked that vary most over an image, as Faster Score-CAM does; then a note says so.

    Source: H. Wang et al., 2020, "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks".

    Attributes:
        most: how many channels are asked.
    """

    most: int = 64

    @property
    def passes(self) -> int:
        """Forward passes, if there are so many channels."""
        return self.most + 1

    def __call__(self, run: Pass, requests: Requests) -> Recorded:
        """Records as `lightning_vis.attribution.recorders.gradients` does, and asks for each channel."""
        found = gradients(run, requests)
        run = settled(run, found)
        weights = {
            target: {name: self._weights(run, target, record) for name, record in each.records.items()}
            for target, each in found.explained.items()
        }
        return replace(with_gradients(found, weights), notes=(*found.notes, *self._notes(found)))

    def _weights(self, run: Pass, target: Target, record: Record) -> Tensor:
        """Weights ``(N, K, 1, 1)``, 0 for channels that are not asked, each as large as a map."""
        check_maps(record)
        chosen = most_varied(record.activation, self.most)
        scores = [scores_at(run, run.images * mask, [target])[target] for mask in _masks(record.activation, chosen, run.images)]
        flat = torch.zeros(record.activation.shape[:2], device=chosen.device)
        flat.scatter_(1, chosen, torch.stack(scores, 1).softmax(1))
        return (
            flat.to(record.activation.dtype)
            .reshape(*flat.shape, *(1 for _ in record.activation.shape[2:]))
            .expand_as(record.activation)
        )

    def _notes(self, found: Recorded) -> list[str]:
        records = {name: record for each in found.explained.values() for name, record in each.records.items()}
        counts = {name: record.activation.shape[1] for name, record in records.items()}
        return [
            f"Score-CAM asked the {self.most} of the {count} channels of layer {name!r} that vary most over each image"
            for name, count in counts.items()
            if count > self.most
        ]


def most_varied(activation: Tensor, most: int) -> Tensor:
    """Indices ``(N, k)`` of the channels of ``(N, K, ...)`` whose standard deviation over an image is largest."""
    spreads = activation.flatten(2).float().std(2, correction=0)
    return spreads.topk(min(most, spreads.shape[1]), 1).indices


def _masks(activation: Tensor, chosen: Tensor, images: Tensor) -> Iterator[Tensor]:
    """One chosen channel of each image after the other, ``(N, 1, H, W)`` in 0..1."""
    rows = torch.arange(len(chosen), device=chosen.device)
    for column in chosen.unbind(1):
        yield _mask(activation[rows, column][:, None].float(), images).to(images.dtype)


def _mask(channel: Tensor, images: Tensor) -> Tensor:
    """A channel at the images' size, from its smallest value 0 to its largest 1; a flat one hides all."""
    mode = "bilinear" if channel.ndim == 4 else "trilinear"
    large = interpolate(channel, size=images.shape[2:], mode=mode, align_corners=False)
    low, high = (getattr(large.flatten(1), end)(1).reshape(-1, *(1 for _ in large.shape[1:])) for end in ("amin", "amax"))
    return torch.where(high > low, (large - low) / (high - low), 0)


def score_cam_map(record: Recording) -> Tensor:
    """ReLU of the sum over channels of weight x activation.

    Args:
        record: of a layer by `ChannelScores`, ``(N, K, h, w)``.

    Returns:
        ``(N, h, w)``, at least 0, in units of the activation.
    """
    return (record.gradient * record.activation).sum(1).relu()
