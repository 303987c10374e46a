"""Regression: numbers for each image, explained as they are, in the target's unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_vis.arguments import quoted
from lightning_vis.constants import TARGET_UNIT
from lightning_vis.model.answer.output import answer_of, as_compared
from lightning_vis.model.answer.task import Facts, Said, Target, Task


def _numbers(facts: Facts, output: Any) -> Tensor:
    """``(N, K)``, whatever shape an image's numbers have."""
    values = answer_of(facts, output)
    if values.ndim > 3 and min(values.shape[2:]) > 1:
        raise ValueError(
            f"task='regression': expected numbers for each image, (N, K); got {tuple(values.shape)}, numbers at each pixel:"
            " task='reconstruction' compares them with a picture, score= explains one of them"
        )
    return as_compared(facts, values.reshape(len(values), -1))


def numbers_in(truth: Tensor) -> Tensor:
    """True numbers ``(N, K)``."""
    return truth.reshape(len(truth), -1).float()


def _chosen(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    """One of the numbers, the same one in every image: the one that is named, else the one farthest off."""
    count = values.shape[1]
    asked = target if isinstance(target, int) else facts.component
    if asked is not None and not 0 <= asked < count:
        raise ValueError(
            f"component={quoted(asked)}: the answer has {count} number{'s' if count > 1 else ''}, 0 to {count - 1}"
        )
    at = asked if asked is not None else farthest(values, truth if facts.is_compared else None)
    return torch.full((len(values),), at, device=values.device)


def _first(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    """The first of the numbers, if none is named."""
    return _chosen(facts, target, values, None)


def farthest(values: Tensor, truth: Tensor | None) -> int:
    """Which of the numbers is farthest off, in spreads of its own targets; the first where nobody knows."""
    if truth is None or numbers_in(truth).shape != values.shape:
        return 0
    true = numbers_in(truth).to(values.device)
    off, spread = (values.detach().float() - true).abs().nanmean(0), spreads(true)
    off = torch.where(spread > 0, off / spread, torch.nan).nan_to_num(-1.0)  # of a constant nobody knows what is far
    return int(off.argmax()) if values.shape[1] > 1 else 0


def spreads(true: Tensor) -> Tensor:
    """Standard deviations of numbers ``(N, K)``, those that are missing left out: ``(K,)``."""
    return (true - true.nanmean(0)).square().nanmean(0).sqrt()


def _score(values: Tensor, chosen: Tensor) -> Tensor:
    return values.gather(1, chosen[:, None]).squeeze(1)


def _said(facts: Facts, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
    at = int(_chosen(facts, "label", values, truth)[0]) if len(values) else 0
    said = values[:, at].float().cpu()
    name = _named(names, at, values.shape[1], ": ")
    true = (
        None
        if truth is None or not facts.is_compared or numbers_in(truth).shape != values.shape
        else numbers_in(truth)[:, at].cpu()
    )
    nobody = (None,) * len(said)
    if true is None:
        return Said(tuple(f"{name}{number(each)}" for each in said.tolist()), nobody)
    off = said - true
    rows = zip(said.tolist(), true.tolist(), off.tolist(), strict=True)
    captions = tuple(f"{name}{number(one)}{_against(other, by)}" for one, other, by in rows)
    known = math.isfinite(facts.spread) and facts.spread > 0
    per_image = {"answers/error": off / facts.spread} if known else {}
    return Said(captions, nobody, per_image=per_image, numbers=_mean_error(off))


def _against(true: float, off: float) -> str:
    """What is true and how far off the answer is; nothing where it is missing."""
    return f" (true {number(true)}, {signed(off)})" if math.isfinite(true) else ""


def _mean_error(off: Tensor) -> dict[str, float]:
    known = off[off.isfinite()].abs()
    return {"answers/mean_error": float(known.mean())} if len(known) else {}


def number(value: float) -> str:
    """A number as short as it can be told from its neighbours: ``38.2``, ``0.0123``, ``1.2e+06``."""
    return f"{value:.1f}" if 10 <= abs(value) < 1e5 else f"{value:.3g}"


def signed(value: float) -> str:
    """The same with its sign."""
    return number(value) if value < 0 else f"+{number(value + 0.0)}"  # of -0.0 there is no sign


def _named(names: Sequence[str], at: int, count: int, behind: str) -> str:
    """Which number it is, where there are several."""
    if count == 1:
        return ""
    return f"{names[at] if len(names) == count else f'number {at}'}{behind}"


def _in_spreads(facts: Facts, values: Tensor) -> Tensor:
    """The explained number in spreads of the targets, there and back, ``(M, 2)``.

    Raises:
        ValueError: no spread is known.
    """
    if not (math.isfinite(facts.spread) and facts.spread > 0 and facts.is_compared):
        raise ValueError("how far a number moves is told in spreads of the targets, and these have none that is known")
    number = values[:, facts.component or 0].float() / facts.spread
    return torch.stack((number, -number), 1)


def _explains(facts: Facts, chosen: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    several = len(names) > 1 or bool((chosen > 0).any()) or facts.component is not None
    at = [int(each) for each in chosen]
    return tuple((names[each] if each < len(names) else f"number {each}") if several else "the number" for each in at)


NOT_KNOWN = "not known"
"""Of a number that is missing."""


def _truth(facts: Facts, truth: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    rows = numbers_in(truth)
    return tuple(", ".join(map(_known, row[:3].tolist())) + (", ..." if len(row) > 3 else "") for row in rows)


def _known(value: float) -> str:
    return number(value) if math.isfinite(value) else NOT_KNOWN


REGRESSION_TASK = Task(
    "regression", TARGET_UNIT, _numbers, _chosen, _score, _said, _explains, _truth, _in_spreads, first=_first
)
