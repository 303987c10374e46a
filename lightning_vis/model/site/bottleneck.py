"""The last site through which all passes that the answer knows of the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_vis.model.site.candidates import Candidate
from lightning_vis.model.site.graph import bypasses


@dataclass(frozen=True)
class Choice:
    """A candidate, and the share of the answer's gradient at the image that does not come through it.

    Of what attention mixes also the place that is to be looked at with attention held.
    """

    candidate: Candidate
    bypassed: float
    held: Candidate | None = None


def bottleneck(score: Tensor, image: Tensor, candidates: Sequence[Candidate]) -> Choice | None:
    """The last candidate that nothing bypasses and at whose cells a gradient arrives, else the one that is bypassed least.

    Args:
        score: a number that depends on the answer to each image.
        image: the leaf from which it was computed.
        candidates: in the order of the forward pass.

    Returns:
        None where no candidate lies between image and score.
    """
    tensors = [each.tensor for each in candidates]
    arrived = _gradients(score, tensors)
    met = [(each, gradient) for each, gradient in zip(candidates, arrived, strict=True) if _arrives(each, gradient)]
    for each, _ in reversed(met):
        if not bypasses(score, each.tensor, image):
            return Choice(each, 0.0)
    return _least(score, image, met)


def choice_of(score: Tensor, image: Tensor, candidate: Candidate) -> Choice:
    """A candidate that is given, with what bypasses it: all, where the score does not depend on it."""
    if not bypasses(score, candidate.tensor, image):
        return Choice(candidate, 0.0)
    return _least(score, image, [(candidate, _gradients(score, [candidate.tensor])[0])]) or Choice(candidate, 1.0)


def _arrives(candidate: Candidate, gradient: Tensor | None) -> bool:
    """Whether the cells themselves matter: with a class token, the last block's output has gradient at that token alone."""
    return gradient is not None and bool((candidate.site.layout.maps(gradient) != 0).any())


def _gradients(score: Tensor, tensors: Sequence[Tensor]) -> list[Tensor | None]:
    wanted = [each for each in tensors if each.requires_grad]
    if not wanted or not score.requires_grad:
        return [None] * len(tensors)
    try:
        found = iter(torch.autograd.grad(score, wanted, retain_graph=True, allow_unused=True))
    except RuntimeError as error:
        if "use_reentrant=True" not in str(error):
            raise
        found = iter([torch.ones_like(each) for each in wanted])  # such checkpoints refuse the question: all may matter
    return [next(found) if each.requires_grad else None for each in tensors]


def _least(score: Tensor, image: Tensor, met: Sequence[tuple[Candidate, Tensor | None]]) -> Choice | None:
    """Of those that are bypassed the one with the smallest share, the last of equal ones."""
    choices = [Choice(each, share) for each, share in _shares(score, image, met)]
    return min(reversed(choices), key=lambda choice: choice.bypassed, default=None)


def _shares(score: Tensor, image: Tensor, met: Sequence[tuple[Candidate, Tensor | None]]) -> Iterator[tuple[Candidate, float]]:
    whole = _gradients(score, [image])[0]
    if whole is None:
        return
    for each, gradient in met:
        if gradient is None:
            continue
        through = torch.autograd.grad(each.tensor, image, gradient, retain_graph=True, allow_unused=True)[0]
        if through is not None:
            yield each, bypassed_share(whole, through)


def bypassed_share(whole: Tensor, through: Tensor) -> float:
    """How much of a gradient did not come through: 0 for none of it, 1 for all.

    Args:
        whole: the gradient of the score at the image.
        through: that part of it that came through a site.
    """
    beside, inside = (whole - through).abs().sum(), through.abs().sum()
    total = float(beside + inside)
    return float(beside) / total if total > 0 else 1.0
