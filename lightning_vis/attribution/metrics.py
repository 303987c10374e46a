"""Metrics of a map against a mask: lift, pointing game, share along edges."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, max_pool2d, pad

from lightning_vis.attribution.maps import is_drawable


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps ``(N, h, w)`` at another size ``(H, W)``, bilinear, corners not aligned."""
    return interpolate(maps[:, None].float(), size=size, mode="bilinear", align_corners=False)[:, 0]


def lift(maps: Tensor, masks: Tensor) -> Tensor:
    """How much denser a map is on the object than by chance: (share of its mass there) / (the object's share of the area).

    Args:
        maps: ``(N, h, w)``; of signed maps the magnitude counts.
        masks: ``(N, H, W)`` in 0..1, 1 on the object.

    Returns:
        ``(N,)``; 1 = chance, NaN for empty and non-finite maps and for masks that are empty.
    """
    masks = masks.to(maps.device).float()
    mass = resized(maps.abs(), (masks.shape[1], masks.shape[2]))
    share = (mass * masks).sum(dim=(1, 2)) / mass.sum(dim=(1, 2))
    area = masks.mean(dim=(1, 2))
    return torch.where(is_drawable(maps) & (area > 0), share / area, torch.nan)


def background_lift(maps: Tensor, masks: Tensor) -> Tensor:
    """How much denser a map is on the background than by chance; the arguments and the rest as in `lift`."""
    return lift(maps, 1 - masks.float())


def pointing(maps: Tensor, masks: Tensor, tolerance: int | None = None) -> Tensor:
    """Whether the strongest place of a map lies on the object, or at most `tolerance` pixels from it.

    Of several places that are equally strong the share that lies there is given: a constant map hits by chance only.

    Source: J. Zhang et al., 2018, "Top-Down Neural Attention by Excitation Backprop" (the pointing game).

    Args:
        maps: ``(N, h, w)``; of signed maps the largest value counts.
        masks: ``(N, H, W)`` in 0..1; above 0.5 is object.
        tolerance: in pixels of the masks; one fifteenth of the shorter side if None, which is Zhang's 15 of 224.

    Returns:
        ``(N,)`` in 0..1, NaN for empty and non-finite maps.
    """
    masks = masks.to(maps.device).float()
    reach = round(min(masks.shape[1:]) / 15) if tolerance is None else tolerance
    near = max_pool2d((masks > 0.5).float()[:, None], 2 * reach + 1, 1, reach)[:, 0]
    large = resized(maps, (masks.shape[1], masks.shape[2]))
    top = large.amax(dim=(1, 2), keepdim=True)
    strongest = (large >= top - 1e-5 * top.abs()).float()  # interpolation leaves rounding errors in a constant map
    hit = (strongest * near).sum(dim=(1, 2)) / strongest.sum(dim=(1, 2))
    return torch.where(is_drawable(maps), hit, torch.nan)


def edge_map(images: Tensor) -> Tensor:
    """Where the edges of an image are, after I. Sobel: what a map that only copies edges looks like.

    Args:
        images: ``(N, C, H, W)``.

    Returns:
        ``(N, H, W)``, the mean over channels of the gradient's length.
    """
    slope = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=images.device)
    planes = pad(images.float().flatten(0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
    across, down = conv2d(planes, torch.stack([slope, slope.T])[:, None]).unbind(1)
    return torch.hypot(across, down).reshape(images.shape).mean(1)
