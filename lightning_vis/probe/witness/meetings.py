"""Where an answer meets its target: in a loss by name, or in one by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lightning_vis.probe.witness.ancestry import Way, ancestors, descendants, way_back
from lightning_vis.probe.witness.functions import (
    ALIKE,
    ANGLE,
    BENDS,
    BESIDE,
    BY_HAND,
    DIFFERENCES,
    LAYERS,
    LOSSES,
    MAXIMA,
    NUMBER,
    PICKS,
    PRODUCTS,
    REDUCTIONS,
    SCALES,
    SIGMOID,
    SIZES,
    SOFTMAX,
    SQUARES,
    SUMS,
)
from lightning_vis.probe.witness.notes import Facts, Node, Range


@dataclass(frozen=True)
class Encounter:
    """An answer and its target in one torch function.

    Attributes:
        node: what the function made.
        kind: how the answer is read (see `functions`).
        answer: trained, and made of the batch.
        target: None where there is none.
        way: back from the answer to the calls that returned it.
        is_named: whether the function is a loss; else it is one by hand.
    """

    node: Node
    kind: str
    answer: Node
    target: Node | None
    way: Way
    is_named: bool

    @property
    def loss(self) -> str:
        """The loss, as users are told."""
        return self.node.name if self.is_named else f"by hand ({self.node.name})"

    @property
    def facts(self) -> Facts | None:
        """What the target's values say."""
        return None if self.target is None else self.node.facts.get(self.target.at)

    @property
    def range(self) -> Range | None:
        """In which the target's values lie."""
        return None if self.target is None else self.node.ranges.get(self.target.at)


def encounters(nodes: Sequence[Node], roots: Sequence[Node]) -> list[Encounter]:
    """All that is to be seen, in the order of the step; where something is trained, only what leads there."""
    found = _without_weights(_first_of_each([each for node in nodes if (each := _encounter(node)) is not None]))
    found = found or _apart([each for node in nodes if (each := _among_answers(node)) is not None], nodes)
    leading = {node.at for node in ancestors(roots, len(nodes))}
    on_path = [each for each in found if each.node.at in leading]
    return on_path or found


def _first_of_each(found: Sequence[Encounter]) -> list[Encounter]:
    """Without products of what has met its label or number already: these are weights."""
    picked = {each.node.at for each in found if each.node.name in PICKS | DIFFERENCES and not each.is_named}
    return [each for each in found if each.is_named or each.node.at in picked or not _is_made_of(each.answer, picked)]


def _without_weights(found: Sequence[Encounter]) -> list[Encounter]:
    """Without products that are compared with something of the batch only later: these are masks, or mixtures of pictures."""
    of_batch = [each for each in found if each.target is not None and each.target.sources and not each.target.touched]
    compared = [each.answer for each in of_batch if not _is_product(each)]
    before = {node.at for node in ancestors(compared)}
    return [each for each in found if not (_is_product(each) and each.node.at in before)]


def _is_product(each: Encounter) -> bool:
    return not each.is_named and each.node.name in PRODUCTS


def _is_made_of(answer: Node, picked: set[int]) -> bool:
    return bool(picked) and any(node.at in picked for node in ancestors([answer]))


def _encounter(node: Node) -> Encounter | None:
    is_summed = node.name in LOSSES and node.shape == ()  # weights after that weigh losses
    if node.later and not is_summed:
        return None
    return _named(node) if node.name in LOSSES else _by_hand(node) if node.name in BY_HAND else None


def _named(node: Node) -> Encounter | None:
    given = [each for each in node.parents if not each.weight]
    answer = next((each for each in given if each.is_answer), None)
    way = way_back(answer) if answer is not None else Way()
    if answer is None or not way.ends:
        return None
    target = next((each for each in given if each is not answer), None)
    return Encounter(node, LOSSES[node.name], answer, target, way, True)


def _by_hand(node: Node) -> Encounter | None:
    answer = next((each for each in node.parents if each.is_answer), None)
    target = next((each for each in node.parents if each.sources and not each.touched), None)
    if answer is None or target is None:
        return None
    way = way_back(answer)
    if not way.ends or _is_inside(node) or _is_summed_up(answer, way):
        return None
    kind = _kind_by_hand(node, answer, target, way)
    return None if kind is None else Encounter(node, kind, answer, target, way, False)


def _is_summed_up(answer: Node, way: Way) -> bool:
    return answer.size < way.ends[0].node.size and bool(way.names & REDUCTIONS)


def _is_inside(node: Node) -> bool:
    """Whether something that a network returns, and no loss, is made of it."""
    around = [call for call in node.within if call.is_trained]
    returned = {each.at for call in around for _, each in call.outputs if each.size > 1}
    return bool(returned) and any(each.at in returned for each in (node, *descendants(node)))


def _kind_by_hand(node: Node, answer: Node, target: Node, way: Way) -> str | None:
    if node.name in PICKS:
        return _kind_of_pick(target, way)
    if node.name in DIFFERENCES:
        return _kind_of_difference(node, answer, target, way)
    return _kind_of_product(node, answer, target, way)


def _kind_of_pick(target: Node, way: Way) -> str | None:
    """Log-probabilities are picked by whole numbers."""
    is_index = not target.dtype.is_floating_point and target.dtype != torch.bool
    return SOFTMAX if is_index and (SOFTMAX in way.links or "logsumexp" in way.names) else None


def _kind_of_difference(node: Node, answer: Node, target: Node, way: Way) -> str | None:
    """A difference of equal shapes whose size is taken, or of several quantiles and one number."""
    last = target.shape[len(target.shape) - len(answer.shape) :]
    is_sized = any(any(map(_is_size, each.kids)) or _is_even(each) for each in _scaled(node))
    is_equal = answer.shape in (target.shape, last or None)
    is_column = target.shape == (*answer.shape[:-1], 1) and node.shape == answer.shape
    if not (is_equal and is_sized) and not (is_tilted(node) and (is_equal or is_column)):
        return None
    return SOFTMAX if way.links == {SOFTMAX} else NUMBER


def is_tilted(node: Node) -> bool:
    """Whether a difference counts otherwise above than below: the greater of two multiples of it."""
    multiples = {each.at for each in _scaled(node)}
    kids = [kid for each in _scaled(node) for kid in each.kids if kid.name in MAXIMA]
    return any(len(multiples & {each.at for each in kid.parents}) > 1 for kid in kids)


def _scaled(node: Node) -> list[Node]:
    """A difference, and what it is in other units, or times a weight."""
    once = _times(node)
    return [node, *once, *(each for kid in once for each in _times(kid))]


def _times(node: Node) -> list[Node]:
    """Its products and quotients with what is no answer."""
    return [kid for kid in node.kids if kid.name in SCALES and sum(each.touched for each in kid.parents) == 1]


def _is_size(kid: Node) -> bool:
    is_square = kid.name in SQUARES and len(kid.parents) > 1 and kid.parents[0] is kid.parents[1]
    is_against_zero = LOSSES.get(kid.name) == NUMBER and sum(bool(each.sources) for each in kid.parents) == 1
    return kid.name in SIZES or is_square or is_against_zero


def _is_even(node: Node) -> bool:
    """Whether a difference is added to a softplus of itself: the logarithm of its hyperbolic cosine."""
    others = [each for kid in node.kids if kid.name in SUMS for each in kid.parents if each.name == "softplus"]
    return any(node in ancestors([each]) for each in others)


def _kind_of_product(node: Node, answer: Node, target: Node, way: Way) -> str | None:
    """Probabilities or their logarithms, or bare logits beside what tells how they are meant, times the target."""
    if _is_rate(node, answer):
        return NUMBER
    if _is_cosine(node, answer, target):
        return ANGLE
    kind = only(way.links) if len(way.links) == 1 else None if way.links else _kind_beside(way)
    is_index = kind == SIGMOID and not target.shape and not target.dtype.is_floating_point and target.dtype != torch.bool
    return None if is_index else kind


def _kind_beside(way: Way) -> str | None:
    """How bare logits are meant: what else is made of them tells it."""
    after = [kid for end in way.ends for kid in descendants(end.node)]
    beside = {BESIDE[kid.name] for kid in after if kid.name in BESIDE} | {SIGMOID for kid in after if _is_softplus(kid)}
    return only(beside) if len(beside) == 1 and not way.names & BENDS else None


def _is_rate(node: Node, answer: Node) -> bool:
    """Whether a count times the logarithm of a rate is taken from the rate itself: Poisson."""
    others = [each for kid in node.kids if kid.name in DIFFERENCES for each in kid.parents if each is not node]
    if answer.name == "log":
        return any(each in answer.parents for each in others)
    return any(each.name == "exp" and each.shape == answer.shape and _ends(each) == _ends(answer) for each in others)


def _ends(node: Node) -> set[int]:
    return {end.node.at for end in way_back(node).ends}


def _is_cosine(node: Node, answer: Node, target: Node) -> bool:
    """Whether a row of length one is multiplied with another, and the products are summed: a cosine by hand."""
    are_rows = len(node.shape) == 2 and answer.shape == target.shape and target.dtype.is_floating_point
    is_summed = any(kid.name == "sum" and kid.shape == node.shape[:1] for kid in node.kids)
    return are_rows and is_summed and all(each.name == "normalize" for each in (answer, target))


def _is_softplus(node: Node) -> bool:
    return node.name == "log1p" and any(each.name == "exp" for each in node.parents)


def only(items: set[str]) -> str:
    """The one item of a set."""
    (item,) = items
    return item


def _among_answers(node: Node) -> Encounter | None:
    """Answers multiplied with answers, or the distance between them, where nothing else is known (Barlow Twins, triplets)."""
    answers = [each for each in node.parents if each.is_answer]
    if node.name not in (ALIKE - LAYERS) | DIFFERENCES or node.later or len(answers) < 2:
        return None
    way = way_back(node)
    if not way.ends or any(len(end.node.shape) != 2 or end.call.end > node.at for end in way.ends):
        return None
    if node.name in DIFFERENCES and not _is_distance(node, way):
        return None
    way.is_alike = True
    return Encounter(node, ANGLE, answers[0], None, way, False)


def _apart(found: list[Encounter], nodes: Sequence[Node]) -> list[Encounter]:
    """Without distances where the batch says something of answers that are none: these may be for consistency alone."""
    distances = [each for each in found if each.node.name in DIFFERENCES]
    behind = {node.at for each in distances for node in (each.node, *descendants(each.node))}
    is_told = any(_is_told(node) and node.at not in behind for node in nodes) if distances else False
    return [each for each in found if not (is_told and each in distances)]


def _is_told(node: Node) -> bool:
    """Whether something of the batch meets an answer."""
    is_of_batch = any(each.sources and not each.touched for each in node.parents)
    return not node.later and is_of_batch and any(each.is_answer for each in node.parents)


def _is_distance(node: Node, way: Way) -> bool:
    """Whether vectors of one network are subtracted from each other, and their differences squared and summed."""
    length = node.shape[-1] if len(node.shape) > 1 else 0
    is_of_one = len({id(end.call.module) for end in way.ends}) == 1 and {end.node.shape[-1] for end in way.ends} == {length}
    sizes = [kid for kid in node.kids if _is_size(kid)]
    summed = [each for kid in sizes for each in (kid, *kid.kids) if each.shape == node.shape[:-1]]
    return is_of_one and length > 1 and not way.links and bool(summed)
