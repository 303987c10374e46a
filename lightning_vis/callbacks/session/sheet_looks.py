"""Sheets of the last look: what convinces the network, and where it is sure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lightning_vis import clock
from lightning_vis.constants import CONVINCES, SURE
from lightning_vis.frames import Array, Pictures
from lightning_vis.reliance.exchange.experiment import MOST, RIGHT, Ask, plain_answers
from lightning_vis.reliance.exchange.objects import Objects
from lightning_vis.reliance.exchange.patches import SIDES, Carried, Patch, carried_by_patches
from lightning_vis.reliance.exchange.surest import Surest, surest_of
from lightning_vis.render.experiment.exchange import SAYS
from lightning_vis.render.experiment.sheets import RIGHT_WORD, WRONG_WORD, patch_pictures, sure_pictures

Painted = Callable[[Tensor], Array]
"""Images ``(M, C, H, W)`` as people see them, ``(M, H, W, 3)`` uint8."""
Named = Callable[[int], str]


def sheets_of(
    ask: Ask, objects: Objects, painted: Painted, named: Named, has_time: Callable[[float], bool]
) -> dict[str, Pictures]:
    """Both sheets, by name; that of patches only as long as there is time for it.

    Args:
        ask: the network, lent.
        objects: the pool; cuts are not asked for.
        painted: how people see its images.
        named: what a class is called.
        has_time: whether there is time for so many seconds.
    """
    start = clock.perf_counter()
    plain = plain_answers(ask, objects)
    seconds = (clock.perf_counter() - start) * len(SIDES) * MOST / len(plain)
    found = {SURE: _sure(surest_of(plain, objects.labels), objects, painted, named)}
    if has_time(seconds):
        classes = carried_by_patches(ask, objects.parts.images, objects.labels, plain)
        left_out = _left_out([each.label for each in classes], objects.labels, plain, named)
        found |= {CONVINCES: _patches(classes, objects, painted, named, left_out)} if classes else {}
    return found


def _sure(surest: Surest, objects: Objects, painted: Painted, named: Named) -> Pictures:
    kinds = ((WRONG_WORD, surest.wrong, surest.mistakes), (RIGHT_WORD, surest.right, surest.hits))
    captions = [
        f"{kind} {number} of {count}: {named(each.label)}{SAYS}{named(each.said)} {each.probability:.2f}"
        for kind, shown, count in kinds
        for number, each in enumerate(shown, 1)
    ]
    rows = [each.row for each in (*surest.wrong, *surest.right)]
    return sure_pictures([*painted(objects.parts.images[rows])], captions)


def _patches(classes: tuple[Carried, ...], objects: Objects, painted: Painted, named: Named, left_out: str = "") -> Pictures:
    """The classes in order; below the last one's sentence the ones that are left out."""
    best = sorted(classes, key=lambda each: -each.follows / each.of)
    pairs = [(each, example) for each in best for example in each.examples]
    shown = [_shown(example.patch, example.host, objects.parts.images, painted) for _, example in pairs]
    hosts = [named(int(objects.labels[example.host])) for _, example in pairs]
    says = [
        f"{host} with the patch{SAYS}{named(example.said)} {example.probability:.2f}"
        for host, (_, example) in zip(hosts, pairs, strict=True)
    ]
    turned = [example.said == each.label for each, example in pairs]
    headers = [_counted(each, named(each.label)) + left_out * (each is best[-1]) for each, _ in pairs]
    return patch_pictures(shown, headers, says, turned)


def _left_out(shown: Sequence[int], labels: Tensor, plain: Tensor, named: Named) -> str:
    """Which classes have no patch, and why; "" where all have."""
    there = torch.unique(labels[labels >= 0]).tolist()
    few = [_few_right(each, labels, plain, named) for each in there if each not in shown]
    absent = plain.shape[1] - len(there)
    others = [f"{absent} without images here"] if absent > 0 else []
    return f" Classes not shown: {', '.join(few + others)}." if few + others else ""


def _few_right(label: int, labels: Tensor, plain: Tensor, named: Named) -> str:
    is_own = labels == label
    right = int((plain.argmax(1)[is_own] == label).sum())
    return f"{named(label)} ({right} of {int(is_own.sum())} images right, {RIGHT} needed)"


def _shown(patch: Patch, host: int, images: Tensor, painted: Painted) -> tuple[Array, tuple[slice, slice], Array]:
    pasted = patch.pasted(images, torch.tensor([host]))
    return painted(images[patch.source, None])[0], (patch.rows, patch.columns), painted(pasted)[0]


def _counted(found: Carried, name: str) -> str:
    """What was done with a class, and its control."""
    best = "its best patch is" if len(found.examples) == 1 else "its two best patches are"
    pasted = (
        "pasted"
        if 2 * found.follows >= found.of
        else "no patch of this size carries it to half of the images, a whole background may. Pasted"
    )
    return (
        f"{name}: {pasted} on images of other classes, {best} answered {name} in {found.follows} of {found.of} cases, random"
        f" patches of {name} in {found.control} of {found.of} ({found.side:g} of each side)."
    )
