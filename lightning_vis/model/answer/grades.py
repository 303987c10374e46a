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
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"task='ordinal': expected cumulative logits (N, grades - 1); got {tuple(values.shape)}")
    return logits_of(facts, values)


def grades_in(truth: Tensor, levels: int | None = None) -> Tensor:
    """True grades ``(N,)``: as they are, counted where they are given as levels ``(N, K - 1)``, found where they are one-hot.

    Args:
        truth: of any of these kinds.
        levels: how many the answer has; None: it is not known yet.

    Raises:
        ValueError: neither grades nor levels nor one-hot, or a grade that the answer has not.
    """
    if truth.ndim == 1 or truth.shape[1:] == (1,):
        grades = _whole(truth.reshape(len(truth)))
    elif bool((truth > 1).any()):
        raise ValueError(f"{_EXPECTED}; got {tuple(truth.shape)}")
    elif truth.ndim == 2 and _are_levels(truth) and levels in (None, truth.shape[1]):
        grades = (truth > 0.5).sum(1)
    elif truth.ndim == 2 and bool(((truth > 0.5).sum(1) == 1).all()) and levels in (None, truth.shape[1] - 1):
        grades = truth.argmax(1)
    else:
        raise ValueError(f"{_EXPECTED}; got {tuple(truth.shape)}")
    is_known = (truth >= 0).reshape(len(truth), -1).all(1)
    grades = torch.where(is_known, grades, -1)
    if levels is not None and len(grades) and int(grades.max()) > levels:
        raise ValueError(f"task='ordinal': there is a label {int(grades.max())}, but the answer has the grades 0 to {levels}")
    return grades


_EXPECTED = (
    "task='ordinal': expected labels that are grades (N,), levels (N, grades - 1), 1 as far as they are reached, or one-hot"
)


def _whole(truth: Tensor) -> Tensor:
    """Grades as whole numbers, -1 where there is none.

    Raises:
        ValueError: a number between two grades.
    """
    known = truth.nan_to_num(-1) if truth.is_floating_point() else truth
    if bool((known.remainder(1) != 0).any()):
        broken = float(known[known.remainder(1) != 0][0])
        raise ValueError(f"task='ordinal': expected labels that are grades, whole numbers; got {broken:.3g}")
    return known.long()


def _are_levels(truth: Tensor) -> bool:
    """Whether no level is reached above one that is not."""
    reached = truth > 0.5
    return bool((reached[:, 1:] <= reached[:, :-1]).all())


def _chosen(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    return torch.full((len(values),), -1, device=values.device)  # there is only the one score


def _score(values: Tensor, chosen: Tensor) -> Tensor:
    return values.mean(1)


def _said(facts: Facts, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
    """The grade is the number of thresholds that are passed.

    Source: W. Cao, V. Mirjalili, S. Raschka, 2020, "Rank consistent ordinal regression for neural networks".
    """
    said = (values > 0).sum(1).cpu()
    if truth is None:
        return Said(tuple(f"grade {_grade(names, int(each))}" for each in said), (None,) * len(said))
    true = grades_in(truth, values.shape[1]).cpu()
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
    try:
        grades = grades_in(truth)
    except ValueError:  # which is said where they are compared with an answer
        return ("",) * len(truth)
    return tuple(f"grade {_grade(names, int(each))}" if each >= 0 else "" for each in grades)


def _shares(facts: Facts, values: Tensor) -> Tensor:
    """The expected grade as a share of the highest, and what is left of it ``(M, 2)``."""
    share = values.float().sigmoid().mean(1)
    return torch.stack((share, 1 - share), 1)


ORDINAL_TASK = Task("ordinal", LOG_ODDS, _logits, _chosen, _score, _said, _explains, _truth, _shares)
