"""What a recorder takes and gives, and how chunks of a batch are joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lightning_vis.model.run import Pass
from lightning_vis.model.scores import Target


@dataclass(frozen=True)
class Record:
    """What one layer did for the probe.

    Attributes:
        activation: ``(N, K, h, w)``, the layer's output (for `INPUT` the images), detached.
        gradient: the same shape, d score / d activation.
    """

    activation: Tensor
    gradient: Tensor


@dataclass(frozen=True)
class Explained:
    """One target's answer: the class explained in each image ``(N,)``, its score ``(N,)``, and the records by layer."""

    classes: Tensor | None
    score: Tensor
    records: dict[str, Record] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """What a recorder found.

    Attributes:
        scores: ``(N, C)`` class scores, None if the output has none.
        explained: by target.
        notes: what a reader should know, in sentences.
    """

    scores: Tensor | None
    explained: dict[Target, Explained]
    notes: tuple[str, ...] = ()


Requests = Mapping[Target, Sequence[str]]


Recorder = Callable[[Pass, Requests], Recorded]


def in_chunks(recorder: Recorder, run: Pass, requests: Requests, chunk_size: int | None) -> Recorded:
    """Runs a recorder on at most `chunk_size` images at a time and joins what it found."""
    size = chunk_size or max(len(run.images), 1)
    starts = range(0, len(run.images), size)
    found = [recorder(_slice(run, slice(start, start + size)), requests) for start in starts]
    if len(found) == 1:
        return found[0]
    explained = {target: _join([each.explained[target] for each in found]) for target in requests}
    notes = tuple(dict.fromkeys(note for each in found for note in each.notes))
    return Recorded(_cat([each.scores for each in found]), explained, notes)


def _slice(run: Pass, part: slice) -> Pass:
    return replace(run, images=run.images[part], labels=None if run.labels is None else run.labels[part])


def _join(parts: list[Explained]) -> Explained:
    records = {
        name: Record(*(torch.cat([getattr(each.records[name], kind) for each in parts]) for kind in ("activation", "gradient")))
        for name in parts[0].records
    }
    score = torch.cat([each.score for each in parts])
    return Explained(_cat([each.classes for each in parts]), score, records)


def _cat(parts: list[Tensor | None]) -> Tensor | None:
    tensors = [part for part in parts if part is not None]
    return torch.cat(tensors) if len(tensors) == len(parts) else None
