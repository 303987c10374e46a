"""An object cut out by the picture itself: what differs from its own border."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

from lightning_vis.reliance.exchange.morphology import filled, grown, largest, opened, otsu

SIDE = 64
"""Pixels along each side at which pictures are cut, whatever their size: what was measured was measured so."""
BORDER = 0.08
"""Of the side: what lies so near to the border is taken for surroundings."""
NEAREST = 3
"""Pixels of the border that a pixel is compared with: the most alike ones."""
CENTRED = 0.3
"""Standard deviation, in sides, of the weight of the middle: objects are photographed there."""
SEEN = 0.01
"""Of the range of colours: smaller differences are those of rounding."""
LEAST = 0.2
"""Of the largest part: smaller parts are specks."""


def strangeness(pictures: Tensor) -> Tensor:
    """How far each pixel's colour and the spread around it are from the most alike ones along the picture's border.

    Args:
        pictures: ``(N, C, H, W)`` in 0..1.

    Returns:
        ``(N, SIDE, SIDE)``.
    """
    appearance = _appearance(interpolate(pictures.float(), (SIDE, SIDE), mode="area"))
    # every fifth pixel of the border is asked
    known = appearance[:, :, _edge(SIDE)][:, :, ::5].transpose(1, 2)
    distances = torch.cdist(appearance.flatten(2).transpose(1, 2), known)
    return distances.topk(NEAREST, dim=2, largest=False).values.mean(2).view(-1, SIDE, SIDE)


def cut_outs(strange: Tensor, size: tuple[int, int]) -> Tensor:
    """Where the object lies in pictures of one object each, as far as their colours tell.

    What is far from all of the border, the middle counting most, is the object.

    Args:
        strange: ``(N, SIDE, SIDE)``, the `strangeness` of the pictures.
        size: of the masks, ``(H, W)``.

    Returns:
        ``(N, H, W)`` bool; a picture without any such part gives an empty mask.
    """
    distances = _blurred(strange, 1.5) * _middle(SIDE)
    edge = _edge(SIDE)
    distances = distances.masked_fill(edge, 0.0)
    threshold = otsu(distances[:, ~edge]).clamp_min(SEEN)
    found = opened(distances > threshold[:, None, None])
    masks = grown(filled(largest(found, LEAST)))
    return interpolate(masks[:, None].float(), size, mode="nearest")[:, 0] > 0


def contrasts(strange: Tensor, masks: Tensor) -> Tensor:
    """How much less a cut-out looks like the picture's border than the ring around it does.

    Args:
        strange: ``(N, SIDE, SIDE)``, the `strangeness` of the pictures.
        masks: ``(N, H, W)`` bool.

    Returns:
        ``(N,)`` in standard deviations over that ring; NaN where a mask is empty or leaves no ring.
    """
    small = interpolate(masks[:, None].float(), (SIDE, SIDE), mode="nearest")[:, 0] > 0
    rings = grown(small, 2 * round(BORDER * SIDE)) & ~grown(small)
    inside, around = (_moments(strange[:, None], part) for part in (small, rings))
    return ((inside[0] - around[0]).abs() / around[1].clamp_min(1e-3))[:, 0]


def grown_cuts(masks: Tensor, share: float) -> Tensor:
    """Masks grown by a share of the picture's side: rims of an object are no surroundings."""
    return grown(masks, round(share * min(masks.shape[1:])))


def painted_out(pictures: Tensor, masks: Tensor) -> Tensor:
    """Pictures whose masked part is covered by what lies around it, blurred, the nearest first.

    What covers it is blurred at `SIDE` pixels along the shorter side, where the picture has more.

    Args:
        pictures: ``(N, C, H, W)``.
        masks: ``(N, H, W)`` bool.
    """
    known, (height, width) = ~masks[:, None], masks.shape[1:]
    ratio = min(1.0, SIDE / min(height, width))
    size = (round(height * ratio), round(width * ratio))
    values, shares = (interpolate(each, size, mode="area") for each in (pictures * known, known.to(pictures)))
    cover = _spread(values, shares, pictures.mean((2, 3), keepdim=True))
    return torch.where(known, pictures, interpolate(cover, (height, width), mode="bilinear"))


def _spread(values: Tensor, shares: Tensor, otherwise: Tensor) -> Tensor:
    """What is known of each place, or around it: of `values`, each times the share ``(N, 1, h, w)`` that is known."""
    result, is_open = values, shares < 1
    for reach in (2, 4, 8, 16, 32):
        if not is_open.any():
            break
        sigma = reach * min(shares.shape[2:]) / SIDE
        weight = _blurred(shares, sigma)
        fresh = is_open & (weight > 0.05)
        result = torch.where(fresh, _blurred(values, sigma) / weight.clamp_min(1e-6), result)
        is_open = is_open & ~fresh
    return torch.where(is_open, otherwise, result)


def _appearance(pictures: Tensor) -> Tensor:
    """Of each pixel the mean colour around it and how much it varies there, ``(N, C + 1, H, W)``."""
    padded = pad(pictures, (2, 2, 2, 2), mode="reflect")
    mean = avg_pool2d(padded, 5, 1)
    spread = (avg_pool2d(padded**2, 5, 1) - mean**2).clamp_min(0).sqrt()
    return torch.cat((mean, spread.mean(1, keepdim=True)), 1)


def _edge(side: int) -> Tensor:
    width = max(2, round(BORDER * side))
    edge = torch.ones(side, side, dtype=torch.bool)
    edge[width:-width, width:-width] = False
    return edge


def _middle(side: int) -> Tensor:
    at = torch.linspace(-0.5, 0.5, side)
    return torch.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * CENTRED**2))


def _blurred(maps: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of ``(N, H, W)`` or ``(N, C, H, W)``, borders mirrored as far as there is something to mirror."""
    if maps.ndim == 3:
        return _blurred(maps[:, None], sigma)[:, 0]
    reach = min(round(4 * sigma), *(length - 1 for length in maps.shape[2:]))
    kernel = torch.exp(-(torch.arange(-reach, reach + 1).float() ** 2) / (2 * sigma**2)).to(maps)
    kernel = kernel / kernel.sum()
    planes = pad(maps.flatten(0, 1)[:, None], (reach, reach, reach, reach), mode="reflect")
    planes = conv2d(conv2d(planes, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
    return planes.view_as(maps)


def _moments(pictures: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each colour within masks, ``(N, C)`` each."""
    weights = masks[:, None].to(pictures)
    area = weights.sum((2, 3))
    mean = (pictures * weights).sum((2, 3)) / area
    return mean, ((pictures - mean[:, :, None, None]) ** 2 * weights).sum((2, 3)).div(area).sqrt()
