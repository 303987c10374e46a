"""Embedding: vectors that are compared, explained by nearness to their like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lightning_vis.model.answer.output import answer_of
from lightning_vis.model.answer.task import Facts, Said, Target, Task, name_of


def _vectors(facts: Facts, output: Any) -> Tensor:
    values = answer_of(facts, output)
    if values.ndim != 2:
        raise ValueError(f"task='embedding': expected a vector for each image, (N, D); got {tuple(values.shape)}")
    return values


def references(values: Tensor, copies: Tensor, truth: Tensor | None) -> Tensor:
    """What each image is to be near to, ``(N, D)``, held constant.

    Args:
        values: ``(N, D)`` of the probe.
        copies: ``(N, D)`` of its images mirrored, for those that have no like.
        truth: ``(N,)`` labels, if there are any.

    Returns:
        The mean direction of the other images of its label; where there is none, its own mirrored copy.
    """
    one = normalize(values.detach(), dim=1)
    if truth is None or truth.ndim != 1:
        return normalize(copies.detach(), dim=1)
    same = (truth[:, None] == truth[None, :]).to(values.device) & ~torch.eye(len(one), dtype=torch.bool, device=values.device)
    others = same.to(one.dtype) @ one
    return normalize(torch.where(same.any(1, keepdim=True), others, copies.detach()), dim=1)


def _chosen(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    raise ValueError("task='embedding': what an image is to be near to is known of a whole probe only")


def _score(values: Tensor, chosen: Tensor) -> Tensor:
    """The cosine."""
    return (normalize(values, dim=1) * chosen).sum(1)


def _said(facts: Facts, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
    """The nearest of the other images, counted from 1 as the tab does."""
    if len(values) < 2:
        return Said(("nothing to compare with",) * len(values), (None,) * len(values))
    one = normalize(values.detach().float(), dim=1)
    cosines = (one @ one.T).cpu()
    cosines.fill_diagonal_(-torch.inf)
    best, at = cosines.max(1)
    captions = tuple(f"nearest: image {int(where) + 1}, {float(by):.2f}" for where, by in zip(at, best, strict=True))
    known = truth is not None and truth.ndim == 1
    wrong = (truth[at] != truth).tolist() if known and truth is not None else [None] * len(at)
    return Said(captions, tuple(wrong), per_image={"answers/nearest": best})


def _explains(facts: Facts, chosen: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    return ("its like",) * len(chosen)


def _truth(facts: Facts, truth: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name_of(names, int(each)) for each in truth) if truth.ndim == 1 else ()


EMBEDDING_TASK = Task("embedding", "cosine", _vectors, _chosen, _score, _said, _explains, _truth)
