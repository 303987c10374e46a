"""What convinces a network: patches of images that carry their class to others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lightning_vis.reliance.exchange.experiment import MOST, PART, RIGHT, Ask
from lightning_vis.reliance.exchange.plan import in_turn

SIDES = 0.4, 0.6
"""Of an image's sides: those of a patch, and of a larger one where smaller ones carry a class to fewer than half of the images."""
PLACES = 4
"""Places of a patch along each side; they overlap."""
BEST = 2
"""Patches of a class that are asked again and shown, of an image each."""
HOSTS = 6
"""Images of other classes that each of them is pasted on, and as many before, by which it is found."""
CLASSES = 8
"""Classes at most, as in a pool."""
SOURCES = 12
"""Images of a class whose patches are tried at most; fewer where there are many classes."""


@dataclass(frozen=True)
class Patch:
    """A part of an image.

    Attributes:
        source: whose it is, a row of the pool.
        rows: of pixels.
        columns: likewise.
    """

    source: int
    rows: slice
    columns: slice

    def pasted(self, images: Tensor, hosts: Tensor) -> Tensor:
        """Images ``(M, C, H, W)``: the hosts ``(M,)`` of ``(P, C, H, W)`` with the patch on its own place."""
        found = images[hosts].clone()
        found[:, :, self.rows, self.columns] = images[self.source, :, self.rows, self.columns]
        return found


@dataclass(frozen=True)
class Example:
    """A patch as it is shown: pasted on the image on which it convinces most, and what is answered there."""

    patch: Patch
    host: int
    said: int
    probability: float


@dataclass(frozen=True)
class Carried:
    """How far the patches of one class carry it.

    Attributes:
        label: the class.
        side: of the patches, in sides of an image.
        examples: the patches that carry it best.
        follows: how many of their pastings are answered by it.
        control: how many of those of patches drawn at random from the same images, pasted on the same ones.
        of: pastings of each kind.
    """

    label: int
    side: float
    examples: tuple[Example, ...]
    follows: int
    control: int
    of: int


def carried_by_patches(ask: Ask, images: Tensor, labels: Tensor, plain: Tensor) -> tuple[Carried, ...]:
    """Pastes patches of images of each class on images of others, finds the best ones, and asks those again on fresh images.

    Only images that are right by themselves lend and take. It takes at most 600 forward passes of one image for each
    size of patches, beside those of the images as they are.

    Args:
        ask: the network.
        images: ``(P, C, H, W)``.
        labels: ``(P,)``, negative numbers where they do not count.
        plain: ``(P, classes)`` what it answers to the images as they are.

    Returns:
        Each class of at least six such images, in order, eight at most; () where there are fewer than two.
    """
    right = (plain.argmax(1) == labels) & (labels >= 0)
    enough = [int(each) for each in torch.unique(labels[right]) if int((labels[right] == each).sum()) >= RIGHT]
    classes = enough[:CLASSES]
    allowed = right & torch.isin(labels, torch.tensor(classes, dtype=labels.dtype))
    count = min(SOURCES, (MOST // max(1, len(classes)) - 2 * BEST * HOSTS) // PLACES**2)
    tried = partial(_of_class, ask, images, labels, allowed, count=count)
    return tuple(_best_size(partial(tried, each)) for each in classes if len(classes) > 1)


def _best_size(tried: Callable[[float], Carried]) -> Carried:
    """Of small patches, unless they carry the class to few images, and larger ones to more."""
    small, large = SIDES
    found = tried(small)
    return found if 2 * found.follows >= found.of else max((found, tried(large)), key=lambda each: each.follows)


def _of_class(ask: Ask, images: Tensor, labels: Tensor, allowed: Tensor, label: int, side: float, *, count: int) -> Carried:
    hosts = torch.tensor(in_turn(labels, allowed & (labels != label), 2 * HOSTS))
    seen, fresh = hosts[::2], hosts[1::2]
    sources = (allowed & (labels == label)).nonzero()[:count, 0].tolist()
    height, width = images.shape[2:]
    tried = [Patch(source, *place) for source in sources for place in places(height, width, side)]
    # another host for each place of an image, and for each image another one on the same place
    on = seen[[(at // PLACES**2 + at) % len(seen) for at in range(len(tried))]]
    best = _best(tried, _answers(ask, images, tried, on)[:, label])
    drawn = torch.randperm(len(tried), generator=torch.Generator().manual_seed(label))[: len(best)].tolist()
    found, control = (_again(ask, images, each, fresh) for each in (best, [tried[at] for at in drawn]))
    follows, by_chance = (int((each.argmax(2) == label).sum()) for each in (found, control))
    examples = tuple(_example(patch, answers, fresh, label) for patch, answers in zip(best, found, strict=True))
    return Carried(label, side, examples, follows, by_chance, len(best) * len(fresh))


def places(height: int, width: int, side: float) -> list[tuple[slice, slice]]:
    """Rows and columns of the patches of an image, evenly spaced, from edge to edge."""
    return [(rows, columns) for rows in _along(height, side) for columns in _along(width, side)]


def _along(length: int, side: float) -> list[slice]:
    own = max(1, round(side * length))
    return [slice(start, start + own) for start in (round(at * (length - own) / (PLACES - 1)) for at in range(PLACES))]


def _best(tried: list[Patch], shares: Tensor) -> list[Patch]:
    """The best patch of each image, the best ones first."""
    order = [tried[at] for at in shares.argsort(descending=True, stable=True).tolist()]
    of_each = {patch.source: patch for patch in reversed(order)}
    return [patch for patch in order if of_each[patch.source] is patch][:BEST]


def _again(ask: Ask, images: Tensor, patches: list[Patch], hosts: Tensor) -> Tensor:
    """Answers to each patch on each host, ``(patches, hosts, classes)``."""
    pairs = [patch for patch in patches for _ in hosts]
    return _answers(ask, images, pairs, hosts.repeat(len(patches))).view(len(patches), len(hosts), -1)


def _answers(ask: Ask, images: Tensor, patches: list[Patch], hosts: Tensor) -> Tensor:
    """Answers to patches on a host each, ``(M, classes)``, in parts."""
    found = []
    for at in range(0, len(patches), PART):
        rows = hosts[at : at + PART]
        each = zip(patches[at : at + PART], rows, strict=True)
        found.append(ask(torch.cat([patch.pasted(images, row[None]) for patch, row in each]), rows))
    return torch.cat(found)


def _example(patch: Patch, answers: Tensor, hosts: Tensor, label: int) -> Example:
    at = int(answers[:, label].argmax())
    probability, said = answers[at].max(0)
    return Example(patch, int(hosts[at]), int(said), float(probability))
