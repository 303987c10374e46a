"""Whether tokens lie in the order of the image's rows, measured by gradients."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, adaptive_avg_pool3d

from lightning_vis.model.site.layout import Layout

NEAR = 1
"""Cells by which a token may miss its place: patches overlap, and neighbours have been mixed in. On small grids none."""
SMALL = 3
"""Cells along an axis, up to which a miss by one would prove nothing."""
OWN, MOST = 0.8, 0.75
"""A cell's own part of the image ranks above so many of the other parts, and does so for so many of the cells asked."""


def lies_in_order(layout: Layout, tensor: Tensor, image: Tensor) -> bool:
    """Whether each of a few cells depends most on its own part of the image.

    Args:
        layout: that is doubted.
        tensor: laid out so, best the first such tensor of the network.
        image: the leaf from which it was computed, ``(N, C, H, W)``. Where no gradient reaches it, nobody knows, and nothing
            is said against the layout.
    """
    return all(_is_near(felt, cell) for cell, felt in _felt(layout, tensor, image))


def may_lie_in_order(layout: Layout, tensor: Tensor, image: Tensor) -> bool:
    """Whether most of a few cells depend on their own part of the image more than on most others, as far as anybody knows.

    Deep in a network all cells depend on everything; but what is carried past each block keeps a cell near its own part.

    Args:
        layout: that is doubted.
        tensor: laid out so, anywhere in the network.
        image: the leaf from which it was computed.
    """
    ranks = [float((felt < felt.flatten()[cell]).sum()) / (layout.cells - 1) for cell, felt in _felt(layout, tensor, image)]
    return sum(rank >= OWN for rank in ranks) >= MOST * len(ranks)


def _felt(layout: Layout, tensor: Tensor, image: Tensor) -> Iterator[tuple[int, Tensor]]:
    """How much a few cells depend on each part of the image, one part for each cell."""
    if tensor.requires_grad:
        maps = layout.maps(tensor)[0].flatten(1)
        for cell in _cells(layout):
            felt = _felt_by(layout, maps[:, cell], image)
            if felt is not None:
                yield cell, felt


def _cells(layout: Layout) -> set[int]:
    """The second cell, the second row's first, one in the middle and the last but one."""
    width, count = layout.grid[-1], layout.cells
    return {1, min(width, count - 1), count // 2 + width // 2 - 1, count - 2} & set(range(count))


def _felt_by(layout: Layout, values: Tensor, image: Tensor) -> Tensor | None:
    weights = torch.randn(values.shape, generator=torch.Generator().manual_seed(0)).to(values)
    try:
        gradient = torch.autograd.grad((values * weights).sum(), image, retain_graph=True, allow_unused=True)[0]
    except RuntimeError as error:
        if "use_reentrant=True" not in str(error):
            raise
        return None
    if gradient is None or not gradient.any():
        return None
    pool = adaptive_avg_pool2d if len(layout.grid) == 2 else adaptive_avg_pool3d
    return pool(gradient[:1].float().abs().sum(1), layout.grid)[0]  # type: ignore[arg-type]


def _is_near(felt: Tensor, cell: int) -> bool:
    strongest = torch.unravel_index(felt.flatten().argmax(), felt.shape)
    expected = torch.unravel_index(torch.tensor(cell), felt.shape)
    near = NEAR if min(felt.shape) > SMALL else 0
    return all(abs(int(one) - int(other)) <= near for one, other in zip(strongest, expected, strict=True))
