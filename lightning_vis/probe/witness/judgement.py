"""What one encounter of answer and target says about the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from lightning_vis.model.answer.answer import UNKNOWN
from lightning_vis.model.places import Path
from lightning_vis.probe.witness.ancestry import End, ancestors, chain_of, descendants, leaves_of_rows, way_back
from lightning_vis.probe.witness.functions import (
    ANGLE,
    CHANGES,
    DIFFERENCES,
    DIVISIONS,
    HOTS,
    LENGTHS,
    LINKS,
    NUMBER,
    ORDERS,
    OTHER,
    PART_OF_ROW,
    PICKS,
    PROBABLE,
    PRODUCTS,
    REDUCTIONS,
    SCALES,
    SIGMOID,
    SOFTMAX,
)
from lightning_vis.probe.witness.meetings import Encounter
from lightning_vis.probe.witness.notes import Call
from lightning_vis.probe.witness.origin import BATCH, CONSTANT, FROZEN, IMAGE, ITSELF, Batch, Sources, sources_of

Ruling = tuple[str, str]
"""A task, and what decided; for an unknown one, why."""


@dataclass(frozen=True)
class Case:
    """One encounter with all that is needed to judge it.

    Attributes:
        encounter: of answer and target.
        end: the answer as the network returned it.
        chain: the calls to there; the last one is the end's.
        sources: where both sides come from.
        shape: of the answer: the call's own, or what the step made of it.
        count: images in the batch.
        is_taken_as_whole: whether other losses of its kind take all else of the answer.
    """

    encounter: Encounter
    end: End
    chain: tuple[Call, ...]
    sources: Sources
    shape: tuple[int, ...]
    count: int
    is_taken_as_whole: bool = False

    @property
    def is_made_by_step(self) -> bool:
        """Whether the step makes the answer of what calls returned."""
        return self.shape is not self.end.node.shape

    @property
    def is_picture(self) -> bool:
        """Whether there is an answer at each of several pixels."""
        return len(self.shape) >= 4 and min(self.shape[2:]) > 1

    @property
    def is_per_image(self) -> bool:
        """Whether there is one row of answers for each image."""
        return len(self.shape) in (1, 2) and self.shape[0] == self.count

    @property
    def is_part(self) -> bool:
        """Whether less than the whole answer meets the target, masked pixels aside."""
        if self.is_taken_as_whole:
            return False
        size = 1
        for each in self.shape:
            size *= each
        return self.encounter.answer.size < size and "masked" not in self.encounter.way.names

    @property
    def is_wide(self) -> bool:
        """Whether the target has many entries for each image, in rows only if all of the answer is in such rows too."""
        target, answer = self.encounter.target, self.encounter.answer
        if target is None or target.size < 4 * self.count:
            return False
        is_flat = len(target.shape) <= 2 and target.shape[:1] == (self.count,)
        return not is_flat or (target.shape == answer.shape and answer.size == self.end.node.size)

    @property
    def classes(self) -> int:
        """How many numbers each image, or pixel, has."""
        return self.shape[1] if len(self.shape) > 1 else 1


def case_of(encounter: Encounter, batch: Batch) -> Case:
    """An encounter with its sources and the shape of its answer."""
    end = encounter.way.first
    chain = (*chain_of(end.call), end.call)
    sources, rows = sources_of(encounter, chain, batch), _leaves_of_some(encounter, end, batch.count)
    sources = replace(sources, image=tuple(leaf for leaf in sources.image if not rows or leaf in rows))
    shape = encounter.answer.shape if rows or _is_of_step(encounter, end, batch.count) else end.node.shape
    return Case(encounter, end, chain, sources, shape, batch.count)


def _leaves_of_some(encounter: Encounter, end: End, count: int) -> frozenset[Path] | None:
    """Where views of the images went through the network as one: leaves of those whose answer is taken, one row per image."""
    answer, every = encounter.answer, end.node.shape
    is_some = answer.shape[:1] == (count,) and answer.shape[1:] == every[1:] and every[0] > count
    return leaves_of_rows((answer, 0, count)) if is_some else None


def _is_of_step(encounter: Encounter, end: End, count: int) -> bool:
    """Whether the step makes one answer of several calls, or one row of several per image."""
    way, answer = encounter.way, encounter.answer
    is_several = len(way.calls) > 1 and encounter.kind != ANGLE and not way.is_alike
    is_row = answer.shape[:1] == (count,) and len(answer.shape) <= 2
    is_pooled = bool(way.names & REDUCTIONS) and answer.shape != end.node.shape and is_row
    return is_pooled or is_several or (is_row and _is_located(encounter, end))


def _is_located(encounter: Encounter, end: End) -> bool:
    """Whether half of an answer says how sure the other half is: it scales the difference, or the loss is given both."""
    node, answer = encounter.node, encounter.answer
    if encounter.kind != NUMBER or 2 * answer.size != end.node.size:
        return False
    after = [node, *descendants(node)]
    scaling = [each for each in after if each.name in SCALES or each.name == "gaussian_nll_loss"]
    beside = [each for one in scaling for each in one.parents if each.is_answer and each not in (answer, *after)]
    halves = [each for each in beside if each.size == answer.size and not set(ancestors([each])) & {answer}]
    return any({one.node.at for one in way_back(each).ends} == {end.node.at} for each in halves)


def as_whole(case: Case) -> Case:
    """The same, as if all of the answer met its target here."""
    return replace(case, is_taken_as_whole=True)


def judge(case: Case) -> Ruling:
    """The task, and what decided; `UNKNOWN` with a reason wherever nothing is certain."""
    for rule in (_moving, _compared, _weighted, _of_image, _of_itself):
        ruling = rule(case)
        if ruling is not None:
            return ruling
    return _BY_KIND[case.encounter.kind](case)


def _unknown(why: str) -> Ruling:
    return UNKNOWN, why


def _moving(case: Case) -> Ruling | None:
    """Motion, depth, a homography: pixels that it moves meet others, which say nothing of what it answers itself."""
    return _unknown("the answer says where pixels are taken from") if case.encounter.way.is_moving else None


def _compared(case: Case) -> Ruling | None:
    """Answers compared with answers; nothing but angles or distances counts."""
    encounter = case.encounter
    if encounter.kind == OTHER:
        return _unknown(f"{encounter.node.name} is no task that is known")
    if encounter.way.is_alike:
        return (
            _unknown("maps are compared with maps") if case.is_picture else ("embedding", "answers are compared with answers")
        )
    if _is_direction(case):
        return "regression", "a direction at each pixel"
    if encounter.kind == ANGLE:
        is_row = len(case.shape) == 2
        return ("embedding", encounter.node.name) if is_row else _unknown(f"{encounter.node.name} takes answers {case.shape}")
    return None


def _is_direction(case: Case) -> bool:
    """Whether it counts in which direction an answer points at each pixel, and the batch says where to."""
    encounter = case.encounter
    is_angle = encounter.node.name == "cosine_similarity" and case.is_picture and case.sources.origin == BATCH
    return is_angle and encounter.target is not None and encounter.target.shape == encounter.answer.shape


def _weighted(case: Case) -> Ruling | None:
    """The step's own weights come after the network: proxies if only directions or distances count."""
    if not case.encounter.way.has_weights:
        return None
    if len(case.shape) == 2 and case.encounter.way.names & LENGTHS:
        return "embedding", "its own weights come after it: proxies"
    return _unknown("weights of the step's own come after the network")


def _of_image(case: Case) -> Ruling | None:
    if case.sources.origin != IMAGE:
        return None
    target, answer = case.encounter.target, case.encounter.answer
    if target is not None and case.sources.fed - target.sources - _weights(case):
        return _unknown("the target is one of several inputs")
    if _is_mixed(case):
        return _unknown("the answer is mixed with what the network did not get")
    if case.encounter.kind in (NUMBER, SIGMOID) and target is not None and answer.shape == target.shape:
        return "reconstruction", "the target is the image itself"
    return None


def _weights(case: Case) -> frozenset[Path]:
    """What of the batch the difference is multiplied with: a mask, even if the network is given it too."""
    scaled = [kid for kid in case.encounter.node.kids if kid.name in PRODUCTS and case.encounter.node.name in DIFFERENCES]
    return frozenset[Path]().union(*(each.sources for kid in scaled for each in kid.parents if not each.touched))


def _is_mixed(case: Case) -> bool:
    """Whether the batch adds more to the answer, behind the network, than to the target: it is a part of a picture."""
    added = case.encounter.answer.sources - case.encounter.way.sources
    return bool(added - _sources_of_target(case))


def _of_itself(case: Case) -> Ruling | None:
    if case.sources.origin != ITSELF:
        return None
    if len(case.shape) == 2 and case.encounter.kind == NUMBER and not case.encounter.way.links:
        return "embedding", "answer against answer"
    return _unknown("the target is the network's own answer")


def _soft(case: Case) -> Ruling:
    way, origin = case.encounter.way, case.sources.origin
    if case.classes < 2:
        return _unknown("a softmax over one number says nothing")
    if case.is_picture:
        return _dense(case)
    if not case.is_per_image:
        return _not_per_image(case)
    if way.names & PART_OF_ROW and case.encounter.answer.shape[-1:] != case.shape[-1:]:
        return _only_part(case)
    if origin == FROZEN and case.encounter.answer.sources != _sources_of_target(case):
        return _unknown("the frozen network that it follows sees other images")
    if _is_rewarded(case):
        return _unknown("what is picked is weighted by numbers of both signs: a policy, no classes")
    if origin in (BATCH, FROZEN):
        return _one_class(case)
    return _unknown("the target is no part of the batch")


def _is_rewarded(case: Case) -> bool:
    """Whether the log-probabilities that are picked count for some images and against others, as the batch says."""
    node, labels = case.encounter.node, _sources_of_target(case)
    if node.name not in PICKS:
        return False
    weighed = [each for each in descendants(node) if each.name in PRODUCTS]
    beside = [(each, other) for each in weighed for other in each.parents if other.sources - labels and not other.touched]
    return any(each.ranges[other.at].has_both_signs for each, other in beside if other.at in each.ranges)


def _one_class(case: Case) -> Ruling:
    facts, is_named = case.encounter.facts, case.encounter.is_named
    if facts is not None and not facts.are_hot:
        return _unknown("the targets of a softmax do not sum to one")
    if not is_named and case.encounter.node.name in DIFFERENCES and not case.sources.made & HOTS:
        return _unknown("shares that are numbers cannot be told from classes")
    return "multiclass", ""


def _sources_of_target(case: Case) -> frozenset[Path]:
    target = case.encounter.target
    return frozenset() if target is None else target.sources


def _kinds_of_target(case: Case) -> set[bool]:
    """Whether what the target is made of in the batch is floating."""
    return {each.is_floating_point for each in _types_of_target(case)}


def _types_of_target(case: Case) -> set[torch.dtype]:
    """Of what the target is made of in the batch."""
    todo, seen, kinds = [case.encounter.target], set[int](), set[torch.dtype]()
    while todo:
        node = todo.pop()
        if node is None or node.at in seen:
            continue
        seen.add(node.at)
        if node.leaf is not None:
            kinds.add(node.dtype)
        todo += node.parents
    return kinds


def _sigmoid(case: Case) -> Ruling:
    if case.is_picture:
        return _dense(case)
    if not case.is_per_image:
        return _not_per_image(case)
    if case.is_part:
        return _only_part(case)
    span = case.encounter.range
    if span is not None and (span.low < -1 or span.high > 1):
        return _unknown(f"targets of a sigmoid from {span.low:g} to {span.high:g}")
    if case.sources.origin == BATCH and case.sources.made & DIVISIONS:
        return _unknown("targets that are divided may be shares of something")
    if case.classes == 1:
        return _binary(case.sources.origin)
    if case.sources.origin == BATCH:
        return _several_labels(case)
    return ("multilabel", "") if case.sources.origin == FROZEN else _unknown(f"the target is {_said(case)}")


def _binary(origin: str) -> Ruling:
    if origin == CONSTANT:
        return "binary", "real or fake: the target is a constant of the step"
    return ("binary", "") if origin == BATCH else _unknown(f"the target of a yes or no is the {origin}")


def _several_labels(case: Case) -> Ruling:
    facts, made = case.encounter.facts, case.sources.made
    if facts is not None and made & ORDERS and facts.are_steps:
        return "ordinal", "targets made by comparing grades with steps"
    if facts is not None and facts.are_chained:
        return _unknown("the targets may be grades in order or labels that imply each other")
    if facts is not None and made & HOTS and facts.are_hot:
        return "multiclass", "one-hot targets under sigmoids"
    return "multilabel", ""


def _number(case: Case) -> Ruling:
    encounter, origin = case.encounter, case.sources.origin
    is_soft = SOFTMAX in encounter.way.links
    are_ones = encounter.facts is not None and encounter.facts.are_ones
    if origin == BATCH and is_soft and (are_ones or "one_hot" in case.sources.made):
        return "multiclass", "squares of probabilities minus one-hot targets"
    if origin == FROZEN:
        return _only_part(case) if case.is_part else _against_frozen(case)
    if origin == BATCH and case.sources.made & HOTS:
        return _unknown("numbers whose targets are classes")
    if origin == BATCH and SIGMOID in encounter.way.links and _kinds_of_target(case) == {False}:
        return _whole(case)
    if origin != BATCH or not _is_measured(case):
        return _unknown(f"{encounter.loss} takes what is no number of the batch: the target is {_said(case)}")
    if case.is_part:
        return _only_part(case)
    return _unknown("numbers behind a softmax") if is_soft else ("regression", "")


def _whole(case: Case) -> Ruling:
    """Squares of a sigmoid and whole numbers: a sigmoid reaches no other whole numbers than no and yes."""
    if case.sources.made & SCALES and _types_of_target(case) != {torch.bool}:
        return _unknown("whole numbers that are scaled may be shares of something")
    return _sigmoid(case)


def _is_measured(case: Case) -> bool:
    """Whether the target is numbers, for each image or each pixel."""
    target = case.encounter.target
    is_number = target is not None and (target.dtype.is_floating_point or not case.encounter.is_named)
    return is_number and (case.is_picture or (len(case.shape) <= 3 and case.shape[:1] == (case.count,)))


def _against_frozen(case: Case) -> Ruling:
    if len(case.shape) == 2:
        return "embedding", "a frozen network's answer is the target"
    return _unknown("the target is a frozen network's map")


def _dense(case: Case) -> Ruling:
    is_heat = case.encounter.kind == SIGMOID and bool(case.sources.made & {"eq", "__eq__"}) and True in _kinds_of_target(case)
    if is_heat:
        return _unknown("the targets at each pixel are numbers of which some are taken for yes")
    if case.sources.origin == BATCH and case.is_wide:
        return "segmentation", ""
    return _unknown(f"there is an answer at each pixel, and the target is {_said(case)}")


def _not_per_image(case: Case) -> Ruling:
    return _unknown(f"{case.encounter.loss} takes an answer {case.shape} for {case.count} images")


def _only_part(case: Case) -> Ruling:
    return _unknown(f"{case.encounter.loss} takes a part of an answer")


def _said(case: Case) -> str:
    return {
        BATCH: "of the batch",
        IMAGE: "the image",
        ITSELF: "its own answer",
        FROZEN: "a frozen network's answer",
    }.get(case.sources.origin, "a constant of the step")


_BY_KIND: dict[str, Callable[[Case], Ruling]] = {SOFTMAX: _soft, SIGMOID: _sigmoid, NUMBER: _number}


VALUED = ("multiclass", "multilabel", "binary", "ordinal", "segmentation")


def change_of(case: Case, task: str) -> str:
    """What the step makes of numbers that the network returns before they meet their target, in words; "" where nothing."""
    if task not in ("regression", "reconstruction") or case.is_made_by_step:
        return ""
    names = {LINKED.get(name, name) for name in case.encounter.way.names if name in CHANGES}
    return ", ".join(sorted(names | ({"sigmoid"} if case.encounter.node.name in OF_LOGITS else set())))


OF_LOGITS = ("binary_cross_entropy_with_logits", "multilabel_soft_margin_loss")
LINKED = {"log_sigmoid": "logsigmoid"}


def values_of(case: Case, task: str) -> str:
    """Whether the answer's numbers are logits or probabilities."""
    if task not in VALUED:
        return ""
    between = {name for name in case.encounter.way.names if name in LINKS}
    if case.end.node.name in PROBABLE and not case.is_made_by_step:
        return "probabilities"
    reads_probabilities = case.encounter.node.name in ("binary_cross_entropy",) or "log" in case.encounter.way.names
    return "probabilities" if reads_probabilities and not between else "logits"
