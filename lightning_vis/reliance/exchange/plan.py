"""Who lends what to whom: the pairs of images of an exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

HOSTS = 3
"""Images of the same class, and as many of others, with which each image is exchanged."""
SAME, OTHER = 0, 1
"""Columns of a plan: partners of the same class, partners of another one."""


@dataclass(frozen=True)
class Plan:
    """The exchanges of some images.

    Attributes:
        subjects: ``(n,)`` whose answer is followed, as rows of the pool.
        partners: ``(n, 2, H)`` images of the same class, and images of other classes.
    """

    subjects: Tensor
    partners: Tensor

    def fewer(self, hosts: int) -> Plan:
        """The same with the first so many partners."""
        return Plan(self.subjects, self.partners[:, :, :hosts])

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Objects and surroundings, ``(n, 2, 2, H)`` each: whose part is the subject's own, whose partner, which of them.

        First the subject's object in the surroundings of its partners, then their objects in its surroundings.
        """
        own = self.subjects[:, None, None].expand_as(self.partners)
        return torch.stack((own, self.partners), 1), torch.stack((self.partners, own), 1)


def plan_of(labels: Tensor, subjects: Sequence[int], hosts: int = HOSTS, seed: int = 0) -> Plan:
    """Partners for each subject; the same ones whenever the same images are subjects.

    Args:
        labels: ``(P,)`` classes of the pool, at least two of each that a subject has, and at least two classes; negative
            numbers lend nothing.
        subjects: rows of the pool.
        hosts: how many partners of the same class, and of others.
        seed: of the draw.

    Raises:
        ValueError: a subject has no partner of its class, or none of another.
    """
    generator = torch.Generator().manual_seed(seed)
    partners = [_partners(labels, each, hosts, generator) for each in subjects]
    return Plan(torch.tensor(list(subjects)), torch.stack(partners))


def _partners(labels: Tensor, subject: int, hosts: int, generator: torch.Generator) -> Tensor:
    same = labels == labels[subject]
    other = ~same & (labels >= 0)
    same[subject] = False
    return torch.stack([_drawn(each.nonzero()[:, 0], subject, hosts, generator) for each in (same, other)])


def _drawn(rows: Tensor, subject: int, hosts: int, generator: torch.Generator) -> Tensor:
    if not len(rows):
        raise ValueError(
            f"image {subject} of the pool has no partner: an exchange needs two images of a class, and two classes"
        )
    order = torch.randperm(len(rows), generator=generator)
    return rows[order.repeat(-(-hosts // len(rows)))[:hosts]]


def in_turn(labels: Tensor, allowed: Tensor, count: int) -> list[int]:
    """At most so many of the allowed rows, from each class in turn: no class takes the place of another."""
    queues = [((labels == each) & allowed).nonzero()[:, 0].tolist() for each in torch.unique(labels)]
    deepest = max(map(len, queues), default=0)
    taken = [queue[depth] for depth in range(deepest) for queue in queues if depth < len(queue)]
    return sorted(taken[:count])
