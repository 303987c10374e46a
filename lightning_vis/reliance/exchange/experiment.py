"""The experiment: the surroundings exchanged, the network asked, what it answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from lightning_vis.reliance.exchange.composite import Parts
from lightning_vis.reliance.exchange.effect import Effect, effect_of, followed, own_probabilities
from lightning_vis.reliance.exchange.objects import REMEDY, Objects, Refusal
from lightning_vis.reliance.exchange.plan import HOSTS, OTHER, SAME, Plan, in_turn, plan_of

MOST = 600
"""Forward passes of one image each that an experiment takes at most."""
SUBJECTS = 24
"""Images whose answer is followed; of more than four classes `RIGHT` of each."""
RIGHT = 6
"""Images of a class that have to be right, in two classes at least; fewer say nothing of it."""
ABOVE_CHANCE = 0.15
"""What the accuracy has to be above chance."""
ROWS = 4
"""Examples that are shown."""
PART = 24
"""Images in one forward pass."""

T = TypeVar("T")
Ask = Callable[[Tensor, Tensor], Tensor]
"""Images ``(M, C, H, W)`` and the rows of the pool that go with them ``(M,)`` -> probabilities ``(M, classes)``."""


@dataclass(frozen=True)
class OfClass:
    """What was found of one class: its effect, that of the frame, and of how many images."""

    label: int
    effect: Effect
    frame: float
    images: int


@dataclass(frozen=True)
class Cell:
    """How often objects of one class are called by the class that their surroundings come from."""

    label: int
    host: int
    follows: int
    of: int


@dataclass(frozen=True)
class Row:
    """One exchange as it is shown: an image, and partners of the same class and of another one; what is answered on each.

    Attributes:
        label: the class of the object.
        host: the other class that surroundings come from.
        subject: a row of the pool, whose object it is.
        partners: rows of the pool: whose surroundings, of the same class and of another one.
        said: classes answered of the image and of its object in either surroundings.
        probability: of each of them.
    """

    label: int
    host: int
    subject: int
    partners: tuple[int, int]
    said: tuple[int, int, int]
    probability: tuple[float, float, float]


@dataclass(frozen=True)
class Findings:
    """What an exchange found at one look.

    Attributes:
        effect: of all images, in parts of 1 of the probability of their labels.
        frame: the effect of the frame alone, the second witness.
        images: whose answer was followed.
        classes: each class with enough images, the one that lives most on its surroundings first.
        cells: the class x class matrix but for its diagonal, what follows most first.
        rows: examples, the worst cells first.
        is_automatic: whether the objects were cut out by the pictures themselves.
        asked: forward passes.
        note: which classes, where they are not all; else empty.
        boxed: how many objects of the pool lie in given boxes, where others were cut out.
        remedy: what would help against cut-outs that have not found the objects.
    """

    effect: Effect
    frame: float
    images: int
    classes: tuple[OfClass, ...] = ()
    cells: tuple[Cell, ...] = ()
    rows: tuple[Row, ...] = ()
    is_automatic: bool = True
    asked: int = 0
    note: str = ""
    boxed: int = 0
    remedy: str = REMEDY


@dataclass
class _Asked:
    """Asks in parts, and counts."""

    ask: Ask
    count: int = 0

    def __call__(self, parts: Parts, objects: Tensor, hosts: Tensor) -> Tensor:
        self.count += objects.numel()
        pairs = zip(torch.split(objects.flatten(), PART), torch.split(hosts.flatten(), PART), strict=True)
        found = torch.cat([self.ask(parts.exchanged(own, rest), own) for own, rest in pairs])
        return found.view(*objects.shape, -1)


def plain_answers(ask: Ask, objects: Objects) -> Tensor:
    """What the network answers to the images as they are, ``(P, classes)``."""
    images = objects.parts.images
    return torch.cat([ask(images[some], some) for some in torch.split(torch.arange(len(images)), PART)])


def experiment(ask: Ask, objects: Objects, plain: Tensor) -> Findings | Refusal:
    """Exchanges what surrounds the objects, and asks.

    Args:
        ask: the network.
        objects: the pool.
        plain: ``(P, classes)`` what it answers to the images as they are.

    Returns:
        What was found; or why nothing was.
    """
    right = (plain.argmax(1) == objects.labels) & (objects.labels >= 0)
    refusal = objects.refusal or _refusal(objects.labels, right, plain.shape[1])
    if refusal is not None:
        return refusal
    plan, of_frame = _plans(objects.labels, right)
    asked = _Asked(ask, len(plain))
    answers = asked(objects.parts, *plan.pairs())
    owns, hosts = of_frame.pairs()
    framed = asked(objects.frames, owns[:, :1], hosts[:, :1])
    return _findings(objects, plain, plan, answers, framed, asked.count)


def _refusal(labels: Tensor, right: Tensor, classes: int) -> Refusal | None:
    asked = int((labels >= 0).sum())
    accuracy = int(right.sum()) / asked
    if accuracy < 1 / classes + ABOVE_CHANCE:  # more learning helps in the first case alone, and nobody here knows which it is
        return Refusal(
            f"{accuracy:.0%} of the {asked} images are right, which is near chance",
            "the network may not have learned enough yet, or what it learned does not hold on these images",
        )
    if len(_asked_for(labels, right)) < 2:
        return Refusal(
            f"fewer than {RIGHT} images are right in all classes but one",
            "more validation images or a network that has learned more would help",
        )
    return None


def _asked_for(labels: Tensor, right: Tensor) -> list[int]:
    """The classes with enough images that are right."""
    return [int(each) for each in torch.unique(labels[right]) if int((labels[right] == each).sum()) >= RIGHT]


def _plans(labels: Tensor, right: Tensor) -> tuple[Plan, Plan]:
    """Who is exchanged with whom, whole and for the frame: of many classes more images, each with fewer partners."""
    classes = _asked_for(labels, right)
    few = len(classes) * RIGHT <= SUBJECTS
    allowed = right & torch.isin(labels, torch.tensor(classes))
    subjects = in_turn(labels, allowed, SUBJECTS if few else RIGHT * len(classes))
    plan = plan_of(labels, subjects, HOSTS if few else HOSTS - 1)
    return plan, plan.fewer(HOSTS if few else 1)


def _findings(objects: Objects, plain: Tensor, plan: Plan, answers: Tensor, framed: Tensor, asked: int) -> Findings:
    of = objects.labels[plan.subjects]
    own = own_probabilities(answers, of)
    frame = own_probabilities(framed, of)[:, 0]
    lost = frame[:, SAME] - frame[:, OTHER]
    classes = [
        OfClass(int(each), effect_of(own[of == each]), float(lost[of == each].mean()), int((of == each).sum()))
        for each in torch.unique(of)
        if int((of == each).sum()) >= RIGHT
    ]
    cells = _cells(objects.labels, plain, plan, answers)
    return Findings(
        effect_of(own),
        float(lost.mean()),
        len(of),
        tuple(sorted(classes, key=lambda each: -each.effect.surroundings)),
        cells,
        _rows(objects.labels, plain, plan, answers, cells),
        objects.is_automatic,
        asked,
        boxed=objects.boxed,
        remedy=objects.remedy,
    )


def _cells(labels: Tensor, plain: Tensor, plan: Plan, answers: Tensor) -> tuple[Cell, ...]:
    """Of objects that are right by themselves, in the surroundings of other classes."""
    things, hosts = (each[:, :, OTHER].flatten() for each in plan.pairs())
    is_known = plain.argmax(1)[things] == labels[things]
    said = answers[:, :, OTHER].flatten(0, 2)[is_known]
    follows, of = followed(said, labels[things][is_known], labels[hosts][is_known])
    found = [Cell(label, host, int(follows[label, host]), int(of[label, host])) for label, host in of.nonzero().tolist()]
    return tuple(sorted(found, key=lambda each: (each.of < RIGHT, -each.follows / each.of, -each.of)))


def _rows(
    labels: Tensor, plain: Tensor, plan: Plan, answers: Tensor, cells: tuple[Cell, ...], most: int = ROWS
) -> tuple[Row, ...]:
    """Examples of each cell in turn, those first that follow most; each image once, as long as there are others."""
    queues = [_examples(labels, plan, answers, cell) for cell in cells]
    deepest = max(map(len, queues), default=0)
    found = [queue[depth] for depth in range(deepest) for queue in queues if depth < len(queue)]
    once = list({at: (at, host) for at, host in reversed(found)}.values())[::-1]
    return tuple(_row(labels, plain, plan, answers, at, host) for at, host in once[:most])


def _examples(labels: Tensor, plan: Plan, answers: Tensor, cell: Cell) -> list[tuple[int, int]]:
    """Subjects and their partners in a cell, by position in the plan, those first whose answer follows most."""
    of, hosts = labels[plan.subjects][:, None], labels[plan.partners[:, OTHER]]
    places = ((of == cell.label) & (hosts == cell.host)).nonzero().tolist()
    return sorted(((at, host) for at, host in places), key=lambda each: -float(answers[each[0], 0, OTHER, each[1], cell.host]))


def _row(labels: Tensor, plain: Tensor, plan: Plan, answers: Tensor, at: int, host: int) -> Row:
    subject = int(plan.subjects[at])
    seen = torch.stack((plain[subject], answers[at, 0, SAME, 0], answers[at, 0, OTHER, host]))
    probability, said = seen.max(1)
    partners = int(plan.partners[at, SAME, 0]), int(plan.partners[at, OTHER, host])
    classes = int(labels[subject]), int(labels[partners[1]])
    return Row(*classes, subject, partners, _three(said.tolist()), _three(probability.tolist()))


def _three(values: list[T]) -> tuple[T, T, T]:
    one, two, three = values
    return one, two, three
