"""What a recorder takes and gives, and how chunks of a batch are joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lightning_vis.model.answer.task import Facts
from lightning_vis.model.run import Pass
from lightning_vis.model.scores import Target
from lightning_vis.model.site.site import place_of


@dataclass(frozen=True)
class Record:
    """What one layer did for the probe.

    Attributes:
        activation: ``(N, K, h, w)``, the layer's output (for `INPUT` the images), detached.
        gradient: the same shape, d score / d activation.
        prefix: of tokens that stand before those of the image's cells, ``(N, P, K)`` each; None where there are none.
        by_cell: whether the gradient differs from cell to cell, as it does for tokens and for the pixels of an object: its
            mean would say little.
        is_held: whether attention and norms behind it were held constant (`lightning_vis.model.attention`).
    """

    activation: Tensor
    gradient: Tensor
    prefix: Record | None = None
    by_cell: bool = False
    is_held: bool = False


@dataclass(frozen=True)
class Explained:
    """One target's answer: what is explained in each image ``(N, ...)``, its score ``(N,)``, and the records by layer.

    `rise` is what a map of shares should add up to, ``(N,)``: the score minus that of an empty image; None where no such
    image was asked.
    """

    chosen: Tensor | None
    score: Tensor
    records: dict[str, Record] = field(default_factory=dict)
    rise: Tensor | None = None


@dataclass(frozen=True)
class Recorded:
    """What a recorder found.

    Attributes:
        values: ``(N, ...)`` the answer in the numbers of its task, None where only the user's score reads it.
        explained: by target.
        notes: what a reader should know, in sentences.
        facts: what was seen of the output, where only labels had told what it means.
    """

    values: Tensor | None
    explained: dict[Target, Explained]
    notes: tuple[str, ...] = ()
    facts: Facts | None = None


Requests = Mapping[Target, Sequence[str]]


Recorder = Callable[[Pass, Requests], Recorded]


def in_chunks(recorder: Recorder, run: Pass, requests: Requests, chunk_size: int | None) -> Recorded:
    """Runs a recorder on at most `chunk_size` images at a time and joins what it found."""
    found = [recorder(part, requests) for part in run.parts(chunk_size)]
    if len(found) == 1:
        return found[0]
    explained = {target: _join([each.explained[target] for each in found]) for target in requests}
    notes = tuple(dict.fromkeys(note for each in found for note in each.notes))
    facts = found[0].facts if all(each.facts == found[0].facts for each in found) else None
    return Recorded(_cat([each.values for each in found]), explained, notes, facts)


def only(found: Recorded, target: Target, names: Sequence[str]) -> Recorded:
    """Of what a recorder found what one view asked for, its records by the names of their places.

    Args:
        found: for several views.
        target: that the view explains.
        names: what its records are called, in its own order.
    """
    each = found.explained[target]
    records = {place_of(name): each.records[name] for name in names}
    return replace(found, explained={target: replace(each, records=records)})


def _join(parts: list[Explained]) -> Explained:
    records = {name: _joined([each.records[name] for each in parts]) for name in parts[0].records}
    score = torch.cat([each.score for each in parts])
    return Explained(_cat([each.chosen for each in parts]), score, records, _cat([each.rise for each in parts]))


def _joined(parts: list[Record]) -> Record:
    prefixes = [each.prefix for each in parts if each.prefix is not None]
    activation, gradient = (torch.cat([getattr(each, kind) for each in parts]) for kind in ("activation", "gradient"))
    return replace(parts[0], activation=activation, gradient=gradient, prefix=_joined(prefixes) if prefixes else None)


def _cat(parts: list[Tensor | None]) -> Tensor | None:
    tensors = [part for part in parts if part is not None]
    return torch.cat(tensors) if len(tensors) == len(parts) else None
