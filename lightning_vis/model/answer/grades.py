"""Ordinal: grades in order, explained by the mean of the cumulative logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_vis.constants import LOG_ODDS
from lightning_vis.model.answer.output import answer_of, logits_of
from lightning_vis.model.answer.task import Facts, Said, Target, Task


def _logits(facts: Facts, output: Any) -> Tensor:
    """``(N, K - 1)``: the log-odds of being above grade 0, above 1, ..."""
    values = answer_of(facts, output)
    if values.ndim != 2:
        raise ValueError(f"task='ordinal': expected cumulative logits (N, grades - 1); got {tuple(values.shape)}")
    return logits_of(facts, values)


def grades_in(truth: Tensor) -> Tensor:
    """True grades ``(N,)``: as they are, or counted where they are given as levels ``(N, K - 1)``."""
    return (truth > 0.5).sum(1) if truth.ndim == 2 and truth.shape[1] > 1 else truth.reshape(len(truth)).long()


def _chosen(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    return torch.full((len(values),), -1, device=values.device)  # there is only the one score


def _score(values: Tensor, chosen: Tensor) -> Tensor:
    return values.mean(1)


def _said(facts: Facts, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
    """The grade is the number of thresholds that are passed (W. Cao, V. Mirjalili, S. Raschka, 2020, "Rank consistent ordinal
    regression")."""
    said = (values > 0).sum(1).cpu()
    if truth is None:
        return Said(tuple(f"grade {_grade(names, int(each))}" for each in said), (None,) * len(said))
    true = grades_in(truth).cpu()
    pairs = list(zip(said.tolist(), true.tolist(), strict=True))
    captions = tuple(f"grade {_grade(names, one)}{_behind(names, other)}" for one, other in pairs)
    wrong = tuple(one != other if other >= 0 else None for one, other in pairs)
    far = (said - true).abs()[true >= 0].float()  # a negative grade is one that nobody knows
    return Said(captions, wrong, numbers={"answers/mean_distance": float(far.mean())} if len(far) else {})


def _behind(names: Sequence[str], true: int) -> str:
    return f" (true {_grade(names, true)})" if true >= 0 else ""


def _grade(names: Sequence[str], at: int) -> str:
    return names[at] if 0 <= at < len(names) else str(at)


def _explains(facts: Facts, chosen: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    return ("a higher grade",) * len(chosen)


def _truth(facts: Facts, truth: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"grade {_grade(names, int(each))}" if each >= 0 else "" for each in grades_in(truth))


def _shares(facts: Facts, values: Tensor) -> Tensor:
    """The expected grade as a share of the highest, and what is left of it ``(M, 2)``."""
    share = values.float().sigmoid().mean(1)
    return torch.stack((share, 1 - share), 1)


ORDINAL_TASK = Task("ordinal", LOG_ODDS, _logits, _chosen, _score, _said, _explains, _truth, _shares)
