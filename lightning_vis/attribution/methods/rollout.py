"""Attention rollout: where attention leads, from the patches to the answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lightning_vis.attribution.maps import Recording
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.records import Record, Recorded, Requests
from lightning_vis.constants import INPUT
from lightning_vis.model.attention import Attention, weighing
from lightning_vis.model.run import Pass

BLIND = "attention rollout is the same whatever is explained: it shows where attention leads, not what speaks for the answer"

MOST_PREFIX = 16
"""Tokens before those of the patches: a class token, registers, prompts."""


@dataclass
class _Flow:
    """Attentions as they come in one forward pass, and which tokens of each the answer depends on."""

    probabilities: list[Tensor] = field(default_factory=list)
    are_read: dict[int, Tensor] = field(default_factory=dict)

    def keep(self, attention: Attention) -> None:
        """Takes the next one."""
        number, others = len(self.probabilities), [*range(attention.result.ndim)]
        others.remove(attention.axis % attention.result.ndim)

        def note(gradient: Tensor) -> None:
            self.are_read[number] = (gradient != 0).sum(others) > 0

        self.probabilities.append(attention.probabilities)
        if attention.result.requires_grad:
            attention.result.register_hook(note)  # type: ignore[no-untyped-call]

    @property
    def read(self) -> Tensor:
        """Which tokens the answer reads of the last attention on the way to it, ``(T,)`` bool."""
        return self.are_read[max(self.are_read)]


def attention_rollout(run: Pass, requests: Requests) -> Recorded:
    """Records whose "activation" is the rollout, ``(N, 1, h, w)``: of tokens whose attention is one between all of them.

    Attention is averaged over heads; half of each token goes past it, as the skip does. Of the last attention those tokens
    are followed that the answer reads: the class token, or all patches.

    Source: S. Abnar, W. Zuidema, 2020, "Quantifying Attention Flow in Transformers".

    Args:
        run: the model and the batch.
        requests: the layers wanted for each target; their grid is the map's.

    Raises:
        ValueError: there is no attention, or none between all tokens of the layer.
    """
    flow = _Flow()

    @contextmanager
    def weighed() -> Iterator[None]:
        with run.context(), weighing(flow.keep):
            yield

    down_to_the_image = {target: [*layers, INPUT] for target, layers in requests.items()}  # past all attention
    found = gradients(replace(run, context=weighed, kept=None), down_to_the_image)
    explained = {
        target: replace(each, records={name: _rolled(each.records[name], flow, name) for name in requests[target]})
        for target, each in found.explained.items()
    }
    return replace(found, explained=explained, notes=(*found.notes, BLIND))


def _rolled(record: Record, flow: _Flow, layer: str) -> Record:
    size = record.activation.shape
    if not flow.are_read:
        raise ValueError("attention rollout: there is no attention on the way to the answer; evidence shows what speaks for it")
    cells = size[2:].numel()
    matrices = [each.reshape(size[0], -1, *each.shape[-2:]).mean(1) for each in flow.probabilities[: max(flow.are_read) + 1]]
    tokens = matrices[-1].shape[-1]
    others = {tuple(each.shape[-2:]) for each in matrices} - {(tokens, tokens)}
    if others or not cells <= tokens <= cells + MOST_PREFIX:
        raise ValueError(
            f"attention rollout: attention has to be one between all tokens, those of the {cells} places of layer {layer!r} and"
            f" at most {MOST_PREFIX} before them; there is one of {' x '.join(map(str, min(others, default=(tokens, tokens))))};"
            " evidence shows what speaks for the answer"
        )
    maps = rolled_out(matrices)[:, flow.read].mean(1)[:, tokens - cells :].reshape(size[0], 1, *size[2:])
    return Record(maps, torch.ones_like(maps))


def rolled_out(attentions: list[Tensor]) -> Tensor:
    """How much of each token of the first attention is in each behind the last, ``(N, T, T)``; rows sum to one.

    Args:
        attentions: of each block, the mean over heads ``(N, T, T)``, the first block first.
    """
    alone = torch.eye(attentions[0].shape[-1], device=attentions[0].device)
    flow = alone
    for each in attentions:
        flow = (0.5 * each.float() + 0.5 * alone) @ flow
    return flow


def rollout_map(record: Recording) -> Tensor:
    """The rollout as it is, ``(N, h, w)``, at least 0.

    Args:
        record: of a layer by `attention_rollout`.
    """
    return record.activation[:, 0]
