"""The exchange map: cells of an image exchanged with those of other classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import fold, interpolate, unfold

from lightning_vis.attribution.maps import Recording
from lightning_vis.attribution.methods.choice import scores_at, settled, with_gradients
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.records import Recorded, Requests
from lightning_vis.constants import BINARY, MULTICLASS
from lightning_vis.model.answer.classes import classes_in
from lightning_vis.model.run import Pass, answered
from lightning_vis.model.scores import Target

ACROSS = 7
"""Cells along each side: with 5 the map is coarse, with 10 it is noise."""
ROWS = 64
"""Pairs of a mask and its complement for each donor: the rows of a Hadamard matrix, more than there are cells."""


@dataclass(frozen=True)
class ExchangedCells:
    """Records whose "gradient" is what each cell of an image adds to the score, in the place of another image's, ``(N, 1, 7, 7)``.

    The image keeps some of 7 x 7 cells and has the others from a donor, an image of the probe of another class; and the other way
    round. The difference of both scores is that of 49 cells, each for or against; the rows of a Hadamard matrix say which, so
    that where cells add up each one's share is exact. Donors are the same for all images of a class and at every look.

    Source: R. L. Plackett, J. P. Burman, 1946, "The Design of Optimum Multifactorial Experiments"; here folded over.

    Attributes:
        donors: how many images lend their cells, the mean of whom is taken.
    """

    donors: int = 2

    @property
    def passes(self) -> int:
        """Forward passes."""
        return 2 * ROWS * self.donors + 1

    def __call__(self, run: Pass, requests: Requests) -> Recorded:
        """Records as `lightning_vis.attribution.recorders.gradients` does, and exchanges.

        Raises:
            ValueError: the network tells no classes apart, or the probe's images are all of one.
        """
        _refuse(run)
        found = gradients(run, requests)
        run, lent = settled(run, found), _donors(run, self.donors)
        signs = design(min(ACROSS, *run.images.shape[-2:]))
        shares = {target: run.images.new_zeros((len(run.images), *signs.shape[1:]), dtype=torch.float) for target in requests}
        rises = {target: run.images.new_zeros(len(run.images), dtype=torch.float) for target in requests}
        for donor in lent:
            for row, sign in enumerate(signs):
                for target, change in _changes(run, requests, donor, sign).items():
                    shares[target] += sign.to(change.device) * change[:, None, None] / (ROWS * len(lent))
                    rises[target] += change / len(lent) * (row == 0)  # which keeps all of the image, or nothing
        return _with_rises(with_gradients(found, _by_name(requests, shares)), rises)


def _refuse(run: Pass) -> None:
    if run.answer.task not in (MULTICLASS, BINARY):
        raise ValueError(
            f"the exchange map takes a network that tells classes apart, and this one is read as {run.answer.task}: leave it out"
        )
    if run.images.ndim != 4:
        raise ValueError("the exchange map is made of pictures (N, C, H, W), not of volumes or clips: leave it out")


def design(across: int) -> Tensor:
    """Which cells an image keeps (+1) and which it exchanges (-1), ``(64, across, across)``; the first row keeps all.

    Any two cells are kept together as often as one without the other.

    Args:
        across: cells along each side, at most 7.
    """
    two, matrix = torch.tensor([[1.0, 1.0], [1.0, -1.0]]), torch.ones(1, 1)
    while len(matrix) < ROWS:
        matrix = torch.kron(matrix, two)
    order = 1 + torch.randperm(ROWS - 1, generator=torch.Generator().manual_seed(0))
    return matrix[:, order[: across**2]].view(ROWS, across, across)


def _donors(run: Pass, count: int) -> list[Tensor]:
    """Images that lend their cells, ``(N, C, H, W)`` each: of the whole probe, so that no chunk has others.

    Raises:
        ValueError: all images are of one class.
    """
    whole = run.whole or run
    lent, own = _classes(whole, len(run.images)), _classes(run, len(run.images))
    if len(torch.unique(lent)) < 2:
        raise ValueError(
            "the exchange map takes cells from images of other classes, and all images of the probe are of one: give it some of"
            " another class"
        )
    order = torch.randperm(len(lent), generator=torch.Generator().manual_seed(0)).tolist()
    rows = [[row for row in order if lent[row] != each] for each in own]
    return [whole.images[[each[at % len(each)] for each in rows]] for at in range(count)]


def _classes(run: Pass, chunk_size: int) -> Tensor:
    """Of each image its class; the one that is answered where nobody knows."""
    known = classes_in(run.truth)
    if known is not None and bool((known >= 0).all()):
        return known.cpu()
    said = answered(run, chunk_size).argmax(1).cpu()
    return said if known is None else torch.where(known.cpu() >= 0, known.cpu(), said)


def _changes(run: Pass, requests: Requests, donor: Tensor, sign: Tensor) -> dict[Target, Tensor]:
    """The score with some cells kept, minus that with all others kept, ``(N,)`` by target."""
    kept = interpolate(sign[None, None], run.images.shape[-2:], mode="nearest").to(run.images.device) > 0
    with_own = scores_at(run, torch.where(kept, run.images, donor), requests)
    without = scores_at(run, torch.where(kept, donor, run.images), requests)
    return {target: with_own[target] - without[target] for target in requests}


def _by_name(requests: Requests, shares: Mapping[Target, Tensor]) -> dict[Target, dict[str, Tensor]]:
    return {target: dict.fromkeys(names, shares[target][:, None]) for target, names in requests.items()}


def _with_rises(found: Recorded, rises: Mapping[Target, Tensor]) -> Recorded:
    """With what the cells' shares should add up to."""
    explained = {target: replace(each, rise=rises[target]) for target, each in found.explained.items()}
    return replace(found, explained=explained)


def cell_map(record: Recording) -> Tensor:
    """What each cell adds to the score, shared evenly among it and its neighbours: a single cell is half noise.

    Args:
        record: of `INPUT` by `ExchangedCells`.

    Returns:
        ``(N, 7, 7)``, in units of the score; its sum is that of the cells.
    """
    neighbours = fold(unfold(torch.ones_like(record.gradient), 3, padding=1), record.gradient.shape[-2:], 3, padding=1)
    shared = record.gradient / neighbours
    spread = unfold(shared, 3, padding=1).view(len(shared), 9, *shared.shape[-2:])
    return spread.sum(1)
