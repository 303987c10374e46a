"""The receptive field of one neuron, so that nothing else need be computed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_vis.model.truncated import Activation


@dataclass(frozen=True)
class Window:
    """A part of the image at ``(top, left)``, and the neuron's place in the layer's map of this part."""

    top: int
    left: int
    height: int
    width: int
    row: int
    column: int


def receptive_window(activation: Activation, image: Tensor, row: int, column: int) -> Window:
    """The smallest window, in whole strides of the layer, that gives a neuron the same activation as the full image.

    What a neuron sees is found by setting edges of the image to NaN, which convolutions, pooling and rectifiers pass on
    whatever their weights. Where the window proves not to be exact (a network that looks at the whole image, or strides
    that do not divide its size), it is the full image.

    Args:
        activation: images to the layer's output ``(N, K, h, w)``.
        image: ``(1, C, H, W)``: only size, type and device count.
        row: the neuron's row in the layer's map.
        column: its column.
    """
    size = (image.shape[2], image.shape[3])
    full = Window(0, 0, *size, row, column)
    with torch.no_grad():
        height, width = activation(image).shape[2:]
        edges = _edges(activation, image, row, column)
        window = _aligned(edges, size, (max(1, size[0] // height), max(1, size[1] // width)), (row, column))
        is_smaller = window.height * window.width < size[0] * size[1]
        return window if is_smaller and _is_exact(activation, image, window, full) else full


def _edges(activation: Activation, image: Tensor, row: int, column: int) -> list[int]:
    """Top, left, bottom, right: how many rows or columns at each edge the neuron does not see, by bisection."""
    height, width = image.shape[2:]
    unseen, seen = [0] * 4, [height + 1, width + 1, height + 1, width + 1]
    while any(high - low > 1 for low, high in zip(unseen, seen, strict=True)):
        middle = [(low + high) // 2 for low, high in zip(unseen, seen, strict=True)]
        output = activation(torch.cat([_without(image, edge, count) for edge, count in enumerate(middle)]))
        for edge, hit in enumerate(output[:, :, row, column].isnan().any(1).tolist()):
            (seen if hit else unseen)[edge] = middle[edge]
    return unseen


def _without(image: Tensor, edge: int, count: int) -> Tensor:
    image = image.clone().transpose(2, 3) if edge % 2 else image.clone()
    part = slice(0, count) if edge < 2 else slice(image.shape[2] - min(count, image.shape[2]), None)
    image[:, :, part] = float("nan")
    return image.transpose(2, 3) if edge % 2 else image


def _aligned(edges: list[int], size: tuple[int, int], stride: tuple[int, int], neuron: tuple[int, int]) -> Window:
    top, left = (edges[axis] // stride[axis] * stride[axis] for axis in (0, 1))
    ends = (size[axis] - edges[axis + 2] for axis in (0, 1))
    bottom, right = (min(size[axis], -(-end // stride[axis]) * stride[axis]) for axis, end in enumerate(ends))
    place = (neuron[0] - top // stride[0], neuron[1] - left // stride[1])
    return Window(top, left, max(bottom - top, 1), max(right - left, 1), *place)


def _is_exact(activation: Activation, image: Tensor, window: Window, full: Window) -> bool:
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0)).to(image)
    part = noise[:, :, window.top : window.top + window.height, window.left : window.left + window.width]
    try:
        there = activation(part)[:, :, window.row, window.column]
    except Exception:
        return False  # a network that takes one size only
    here = activation(noise)[:, :, full.row, full.column]
    return torch.allclose(there, here, rtol=1e-3, atol=1e-4 * float(here.abs().max()))
