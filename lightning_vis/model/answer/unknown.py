"""Unknown: nothing is claimed of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_vis.model.answer.task import Facts, Said, Target, Task, no_words


def _nothing(facts: Facts, output: Any) -> Tensor:
    raise ValueError("what the output means is not known: task= says it, or score= names the number that is explained")


def _chosen(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    return torch.full((len(values),), -1)


def _said(facts: Facts, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
    return Said(("",) * len(values), (None,) * len(values))


UNKNOWN_TASK = Task("unknown", "", _nothing, _chosen, None, _said, no_words, no_words)
