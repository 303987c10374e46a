"""Embedding: vectors that are compared, explained by nearness to their like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from lightning_vis.arguments import quoted
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
    same = ((truth[:, None] == truth[None, :]) & _are_known(truth)).to(values.device)
    are_numbers = one.isfinite().all(1)  # one that is none would take all of its label along
    same = same & are_numbers & ~torch.eye(len(one), dtype=torch.bool, device=values.device)
    others = same.to(one.dtype) @ torch.where(are_numbers[:, None], one, 0)
    return normalize(torch.where(same.any(1, keepdim=True), others, copies.detach()), dim=1)


def _are_known(labels: Tensor) -> Tensor:
    """Where there is a label: negative ones, of images that nobody has labelled, make no two images alike."""
    return labels >= 0


def _chosen(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    raise ValueError(f"target={quoted(target)}: an embedding is explained by its nearness to its like, target='label'")


def _score(values: Tensor, chosen: Tensor) -> Tensor:
    """The cosine."""
    return (normalize(values, dim=1) * chosen).sum(1)


def _said(facts: Facts, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
    """The nearest of the other images, counted from 1 as the tab does."""
    if len(values) < 2:
        return Said(("nothing to compare with",) * len(values), (None,) * len(values))
    one = normalize(values.detach().float(), dim=1)
    cosines = (one @ one.T).cpu()
    best, at = cosines.fill_diagonal_(-torch.inf).nan_to_num(-torch.inf, posinf=torch.inf, neginf=-torch.inf).max(1)
    captions = tuple(_nearest(int(where), float(by)) for where, by in zip(at, best, strict=True))
    near = {"answers/nearest": best.where(best.isfinite(), torch.nan)}
    if truth is None or truth.ndim != 1:
        return Said(captions, (None,) * len(at), per_image=near)
    known = (_are_known(truth) & _are_known(truth[at]) & best.isfinite()).tolist()
    wrong = tuple(each if is_known else None for each, is_known in zip((truth[at] != truth).tolist(), known, strict=True))
    return Said(captions, wrong, per_image=near)


def _nearest(at: int, cosine: float) -> str:
    return "nothing to compare with" if math.isinf(cosine) else f"nearest: image {at + 1}, {cosine:.2f}"


def _explains(facts: Facts, chosen: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    return ("its like",) * len(chosen)


def _truth(facts: Facts, truth: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name_of(names, int(each)) if each >= 0 else "" for each in truth) if truth.ndim == 1 else ()


def _directions(facts: Facts, values: Tensor) -> Tensor:
    return normalize(values.float(), dim=1)


EMBEDDING_TASK = Task("embedding", "cosine", _vectors, _chosen, _score, _said, _explains, _truth, _directions)
