"""Multilabel: yes or no for each label, explained by that label's own logit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_vis.arguments import class_indices_of, quoted
from lightning_vis.constants import LOG_ODDS
from lightning_vis.model.answer.output import answer_of, logits_of
from lightning_vis.model.answer.task import Facts, Said, Target, Task, likeliest, name_of

ABSENT = "absent"
"""The target that stands for a label that an image has not."""


def _logits(facts: Facts, output: Any) -> Tensor:
    values = answer_of(facts, output)
    if values.ndim != 2:
        raise ValueError(f"task='multilabel': expected logits (N, labels); got {tuple(values.shape)}")
    return logits_of(facts, values)


def present(truth: Tensor | None, values: Tensor) -> Tensor:
    """Which labels each image has, ``(N, C)`` bool; where nobody knows, those that are predicted."""
    if truth is None:
        return values.detach() > 0
    return _rows(truth, values).to(values.device) > 0.5


def _rows(truth: Tensor, values: Tensor) -> Tensor:
    """Labels as ``(N, C)``, also of one class for each image; negative ones are those that nobody knows.

    Raises:
        ValueError: they are not as many as the answers.
    """
    if truth.ndim == 1 and values.shape[1] == 1:
        truth = truth[:, None]
    if truth.ndim == 1:
        if truth.is_floating_point():
            raise ValueError(f"task='multilabel': expected one label for each number of an image; got {tuple(truth.shape)}")
        classes = class_indices_of(truth.clamp_min(0), values.detach()).to(truth.device)
        return torch.where(truth[:, None] >= 0, torch.nn.functional.one_hot(classes, values.shape[1]), -1)
    if truth.shape != values.shape:
        got = f"{tuple(truth.shape)} labels for {tuple(values.shape)} numbers"
        raise ValueError(f"task='multilabel': expected one label for each number of an image; got {got}")
    return truth


def _chosen(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    """The least sure of the labels that an image has, or the surest of those that it has not; if it has none, the other."""
    if isinstance(target, int):
        return class_indices_of([target] * len(values), values)
    if target not in ("predicted", "label", "runner_up", ABSENT):
        raise ValueError(f"target={quoted(target)}: expected 'label', 'absent' or the index of a label")
    has, z = present(truth, values), values.detach()
    has_not = ~has if truth is None else ~has & (_rows(truth, values).to(values.device) >= 0)
    least_sure = torch.where(has, z, torch.inf).argmin(1)
    surest = torch.where(has_not, z, -torch.inf).argmax(1)
    is_absent = target in (ABSENT, "runner_up")
    wanted = ~has.any(1) if not is_absent else has_not.any(1)
    return torch.where(wanted, surest, least_sure)


def _first(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    """The first label that an image has, or has not."""
    known = present(truth, values).float() if truth is None else truth
    return _chosen(facts, target, torch.zeros_like(values), known)


def _score(values: Tensor, chosen: Tensor) -> Tensor:
    return values.gather(1, class_indices_of(chosen, values)[:, None]).squeeze(1)


def _said(facts: Facts, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
    shares = values.float().sigmoid().cpu()
    if truth is None:
        return Said(tuple(_caption(row, row > 0.5, names) for row in shares), (None,) * len(shares), top=likeliest(shares))
    has, known = present(truth, values).cpu(), _rows(truth, values).cpu() >= 0
    captions = [_caption(row, torch.where(known[at], has[at], row > 0.5), names) for at, row in enumerate(shares)]
    wrong = (((shares > 0.5) != has) & known).any(1).tolist()
    right = torch.where(known, torch.where(has, shares, 1 - shares), torch.nan).nanmean(1)
    heard = tuple(each if any_known else None for each, any_known in zip(wrong, known.any(1).tolist(), strict=True))
    return Said(tuple(captions), heard, per_image={"answers/label": right}, top=likeliest(shares))


def _caption(shares: Tensor, own: Tensor, names: Sequence[str]) -> str:
    """The labels that an image has, missed ones too, then those that it is only said to have."""
    said = shares > 0.5
    first = [at for at in range(len(shares)) if own[at]]
    others = [at for at in range(len(shares)) if said[at] and not own[at]]
    words = [_word(names, at, shares, "" if said[at] else " missed") for at in first]
    words += [_word(names, at, shares, " wrong") for at in others]
    surest = int(shares.argmax())
    return ", ".join(words) or f"none (most {_word(names, surest, shares, '')})"


def _word(names: Sequence[str], at: int, shares: Tensor, more: str) -> str:
    return f"{name_of(names, at, 'label')} {float(shares[at]):.2f}{more}"


def _explains(facts: Facts, chosen: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name_of(names, int(each), "label") for each in chosen)


def _truth(facts: Facts, truth: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    if truth.ndim == 1:
        return tuple(name_of(names, int(each), "label") if each >= 0 else "" for each in truth)
    rows = [[name_of(names, at, "label") for at in range(truth.shape[1]) if row[at] > 0.5] for row in truth]
    return tuple(", ".join(row) or "none" for row in rows)


def _shares(facts: Facts, values: Tensor) -> Tensor:
    return values.float().sigmoid()


MULTILABEL_TASK = Task("multilabel", LOG_ODDS, _logits, _chosen, _score, _said, _explains, _truth, _shares, first=_first)
