"""Whether tokens lie in the order of the image's rows, measured by gradients."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, adaptive_avg_pool3d

from lightning_vis.model.site.layout import Layout

NEAR = 1
"""Cells by which a token may miss its place: patches overlap, and neighbours have been mixed in. On small grids none."""
SMALL = 3
"""Cells along an axis, up to which a miss by one would prove nothing."""


def lies_in_order(layout: Layout, tensor: Tensor, image: Tensor) -> bool:
    """Whether each of a few cells depends most on its own part of the image.

    Args:
        layout: that is doubted.
        tensor: laid out so, best the first such tensor of the network.
        image: the leaf from which it was computed, ``(N, C, H, W)``. Where no gradient reaches it, nobody knows, and nothing
            is said against the layout.
    """
    if not tensor.requires_grad:
        return True
    maps = layout.maps(tensor)[0].flatten(1)
    return all(_is_near(layout, maps[:, cell], cell, image) for cell in _cells(layout))


def _cells(layout: Layout) -> set[int]:
    """The second cell, the second row's first, one in the middle and the last but one."""
    width, count = layout.grid[-1], layout.cells
    return {1, min(width, count - 1), count // 2 + width // 2 - 1, count - 2} & set(range(count))


def _is_near(layout: Layout, values: Tensor, cell: int, image: Tensor) -> bool:
    weights = torch.randn(values.shape, generator=torch.Generator().manual_seed(0)).to(values)
    gradient = torch.autograd.grad((values * weights).sum(), image, retain_graph=True, allow_unused=True)[0]
    if gradient is None or not gradient.any():
        return True
    pool = adaptive_avg_pool2d if len(layout.grid) == 2 else adaptive_avg_pool3d
    felt = pool(gradient[:1].float().abs().sum(1), layout.grid)  # type: ignore[arg-type]
    strongest = torch.unravel_index(felt.flatten().argmax(), layout.grid)
    expected = torch.unravel_index(torch.tensor(cell), layout.grid)
    near = NEAR if min(layout.grid) > SMALL else 0
    return all(abs(int(one) - int(other)) <= near for one, other in zip(strongest, expected, strict=True))
