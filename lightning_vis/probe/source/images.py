"""The images that are taken, and how the network is run on them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_vis.arguments import Mistake, quoted
from lightning_vis.model.answer.answer import UNKNOWN
from lightning_vis.model.answer.words import place_of
from lightning_vis.model.call import Call, on_device
from lightning_vis.model.places import Path, at, canonical, leaves, on_cpu, replaced
from lightning_vis.model.run import ForwardConfig, answered
from lightning_vis.model.scores import log_odds
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.forward_tracer import ForwardTracer, labels_beside
from lightning_vis.probe.hard_examples import BATCH
from lightning_vis.probe.labels import known_labels
from lightning_vis.probe.probe import Probe
from lightning_vis.probe.selection import in_turn
from lightning_vis.probe.source.batches import (
    can_begin,
    collater,
    further,
    has_same_form,
    is_stream,
    joined,
    rows_in,
    shuffled,
)
from lightning_vis.probe.source.conclusion import answer_of, classes_in_turn, left_open, makes_target, rows_in_truth, truth_in
from lightning_vis.probe.source.eval_output import NotInEval, in_eval
from lightning_vis.probe.source.source import Asked, Choice, Source
from lightning_vis.probe.source.step_call import StepCall
from lightning_vis.probe.truth import masks_in
from lightning_vis.probe.witness.replay import Capture, captured, submodule
from lightning_vis.probe.witness.testimony import Testimony
from lightning_vis.progress_bar import progress_bar

Forward = Callable[[Tensor], Any]


@dataclass(frozen=True)
class Chosen:
    """A batch of the images that are taken.

    Attributes:
        batch: as the step gets it.
        count: how many.
        indices: in their data set, if they come from one.
        note: what a reader should know of where they come from.
    """

    batch: Any
    count: int
    indices: tuple[int, ...] | None = None
    note: str = ""


@dataclass(frozen=True)
class Taken:
    """Images, what is true of them, and how the network is run on them.

    Attributes:
        testimony: what the step does with a batch.
        images: ``(N, C, H, W)``, of volumes and clips with five axes, on the CPU.
        truth: ``(N, ...)``, if it is known.
        call: images -> output.
        at_meeting: whether that output is what meets the target.
        is_leaf: whether the images are as the data have them.
        indices: in their data set, if they come from one.
        notes: what a reader should know.
        chosen: the batch that the images are of; None where nobody asks.
    """

    testimony: Testimony
    images: Tensor
    truth: Tensor | None
    call: Call | StepCall
    at_meeting: bool = False
    is_leaf: bool = True
    indices: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    chosen: Chosen | None = None

    def without_batch(self) -> Taken:
        """As it is kept: a batch may lie on a device, and is not asked for again."""
        return replace(self, chosen=None)

    @property
    def channels(self) -> int:
        """Of the images."""
        return int(self.images.shape[1])

    @property
    def labels(self) -> Tensor | None:
        """The truth as labels of a probe, where it is of one of the kinds that a probe has."""
        truth, size = self.truth, self.images.shape[-2:]
        if truth is None:
            return None
        is_map = truth.ndim in (3, 4) and truth.shape[-2:] == size and (truth.ndim == 3 or truth.shape[1] == 1)
        flat = truth.reshape(len(truth), *size) if is_map and truth.ndim == 4 and self.images.ndim == 4 else truth
        return flat if flat.ndim < 3 or is_map else None

    @property
    def masks(self) -> Tensor | None:
        """Of the largest objects in label maps, where every image has one."""
        labels = self.labels
        return None if labels is None or self.images.ndim == 5 else masks_in(labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names that go without saying."""
        return ("background",) if self.testimony.task == "segmentation" else ()

    def call_for(self, given: Probe, module: nn.Module) -> Forward:
        """How the network is run on the images of a user's probe.

        Raises:
            ValueError: it is given more than images, and the probe has not got it.
        """
        if isinstance(self.call, StepCall):
            self._refuse(self._others(module), given)
            return self.call
        nest: Any = (self.call.args, dict(self.call.kwargs))
        others = self._others(module)
        self._refuse(others, given)
        for name, place in others.items():
            nest = replaced(nest, place, given.arguments[name])
        kwargs = nest[1] | {name: each for name, each in given.arguments.items() if name not in others}
        return Call(self.call.function, nest[0], kwargs, self.call.image, len(given.images))

    def _others(self, module: nn.Module) -> dict[str, Path]:
        """The arguments besides the images that are made of a batch, by name; labels that it is given too do not count."""
        it = self.testimony
        labels, images = {*it.target}, {*it.image}
        others = [each for each in it.arguments if each.path != it.image_argument and {*each.leaves} - labels - images]
        parameters = _parameters(submodule(module, it.module))
        return {_name_of(each.path, parameters): each.path for each in others}

    def _refuse(self, others: dict[str, Path], given: Probe) -> None:
        missing = [name for name in others if name not in given.arguments]
        if missing:
            listed = " and ".join(map(repr, missing))
            raise ValueError(
                f"the network is given {listed} besides the images, which the probe has not got:"
                f" pass Probe(images, arguments={{{missing[0]!r}: ...}}), a row for each image"
            )


def _parameters(module: nn.Module) -> list[str]:
    try:
        return list(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        return []


def _name_of(path: Path, parameters: Sequence[str]) -> str:
    """How an argument is called."""
    key = path[1]
    if isinstance(key, int):
        return parameters[key] if key < len(parameters) else f"argument {key}"
    return str(key)


def first_rows(it: Testimony, batch: Any, n: int) -> Any:
    """The first rows of a batch on the CPU: what is kept of it for those who ask later."""
    count = _count_of(it, batch)
    return on_cpu(batch) if count is None else rows_in(batch, range(min(n, count)), count)


def taken_of(
    it: Testimony,
    module: nn.Module,
    batch: Any,
    tracer: ForwardTracer | None,
    source: Source,
    asked: Asked,
    indices: Sequence[int] | None,
    is_chosen: bool,
) -> Taken:
    """Images out of a Trainer's data, chosen anew, or the first of the batch that was watched.

    Args:
        it: what that batch said.
        module: the Lightning module.
        batch: that was watched.
        tracer: that saw it too.
        source: of the Trainer.
        asked: what the user said.
        indices: the images of a run that goes on.
        is_chosen: whether images are wanted; if not, only how the network is run.

    Raises:
        LookupError: no submodule took images.
    """
    it = _located(it, batch, tracer, asked)
    count = len(at(batch, it.image[0]))
    first = Chosen(rows_in(batch, range(min(asked.choice.n, count)), count), min(asked.choice.n, count))
    if not is_chosen or not source.is_alone:
        return _taken(it, module, first, tracer, source, asked)
    chosen = _chosen(it, module, first, source, asked, indices)
    try:
        return _taken(it, module, chosen, None, source, asked)
    except Exception:
        if chosen is first:
            raise
        note = f"the first {first.count} images of the first batch are looked at"
        return _taken(it, module, replace(first, note=note), None, source, asked)


def check_labels_at(batch: Any, it: Testimony, asked: Asked) -> None:
    """Refuses a place of labels where a batch has none.

    Raises:
        Mistake: there is nothing there, or not one for each image.
    """
    for words in (asked.words, *asked.others):
        place = place_of(words.labels_at, "labels_at")
        if place is not None:
            _check_labels(batch, place, f"labels_at={quoted(words.labels_at)}", _count_of(it, batch))


def _check_labels(batch: Any, place: Path, said: str, count: int | None) -> None:
    try:
        found = at(batch, place)
    except LookupError as error:
        raise Mistake(f"{said}: {error}") from error
    if count is not None and rows_in_truth(found, count) is None:
        raise Mistake(f"{said}: expected a label for each of {count} images there; got {quoted(found)}")


def _count_of(it: Testimony, batch: Any) -> int | None:
    places = it.image or tuple(where for where, tensor in leaves(batch) if tensor.ndim >= 4)
    return len(at(batch, places[0])) if places else None


def head_of(
    first: Taken, it: Testimony, module: nn.Module, tracer: ForwardTracer | None, source: Source, asked: Asked
) -> Taken:
    """The same images for another head: what is true of them for it, and how the network is run up to it.

    Args:
        first: what was taken for the first head.
        it: what the step does with the other one; where no loss was met, it is looked for where the first one is.
        module: the Lightning module.
        tracer: that saw the batch too.
        source: of the Trainer.
        asked: what the user said of it.

    Raises:
        LookupError: it is given other images, or its labels are not where the user says.
    """
    assert first.chosen is not None  # that is kept of all that are taken
    if it.task == UNKNOWN and not it.is_way:
        it = replace(
            first.testimony, task=UNKNOWN, why=it.why, head=it.head, target=(), origin="", values="", others=(), heads=it.heads
        )
    it = _located(it, first.chosen.batch, tracer, asked)
    taken = _taken(it, module, first.chosen, None if source.is_alone else tracer, source, asked)
    if not torch.equal(taken.images, first.images):
        raise LookupError("this head is given other images than the first one")
    call = first.call if _is_one_call(taken, first) else taken.call
    return replace(taken, call=call, images=first.images).without_batch()


def _is_one_call(one: Taken, other: Taken) -> bool:
    """Whether one call of the network gives both answers."""
    places = {(each.testimony.module, each.testimony.nth, each.testimony.image_argument) for each in (one, other)}
    return len(places) == 1 and isinstance(one.call, Call) and isinstance(other.call, Call)


def _located(it: Testimony, batch: Any, tracer: ForwardTracer | None, asked: Asked) -> Testimony:
    """Where the images are; of an unknown answer as far as calls tell, and labels where the user says that they are."""
    place = place_of(asked.words.labels_at, "labels_at")
    if place is not None:
        it = replace(it, target=(canonical(batch, place),), origin="batch")
    is_told = asked.words.task is not None or asked.has_score  # an output that nobody reads may be that of the first part
    if it.image and (it.task != UNKNOWN or (it.is_way and (is_told or it.heads))):
        return it
    images = [where for where, tensor in leaves(batch) if tensor.ndim >= 4]
    if not images:
        raise LookupError("the batch holds no images (N, C, H, W)")
    if tracer is None:
        raise LookupError("no submodule took images (N, C, H, W)")
    entry, path = tracer.entry()
    if is_told and tracer.goes_on(entry):
        return _through_step(it, entry.name)
    head = place_of(asked.words.head, "head") or ()
    return replace(
        it, chain=(entry.name,), module=entry.name, nth=0, is_one_call=True, image=(images[0],), image_argument=path, head=head
    )


def _through_step(it: Testimony, first: str) -> Testimony:
    """The same where the step goes on with what the first part returns: as far as it was seen to go with it.

    Raises:
        LookupError: nobody knows how far that is.
    """
    if it.image and it.chain:
        return it
    raise LookupError(
        f"the step goes on with what {first!r} returns, and which of its parts answers is not known: write a forward(images)"
        " that returns the answer"
    )


def _chosen(
    it: Testimony, module: nn.Module, first: Chosen, source: Source, asked: Asked, indices: Sequence[int] | None
) -> Chosen:
    """By index where items make such batches, else out of further batches, else the first rows of the one that was watched."""
    if collater(source.loader) is not None:
        try:
            return _by_index(it, module, first, source, asked, indices)
        except Exception as error:
            if asked.choice.choose is not None:
                raise
            return _instead(first, error)
    if asked.choice.choose is not None:
        raise LookupError(
            f"choose={asked.choice.choose!r} takes data with an index, and a {type(source.loader).__name__} has none"
        )
    if is_stream(source.loader):
        what = f"the data are a stream: the first {first.count} images of its first batch are looked at"
        return replace(first, note=what)
    if not can_begin(source.loader, is_read=source.is_read):
        what = f"a {type(source.loader).__name__} that is being read is not begun anew"
        return replace(first, note=f"{what}: the first {first.count} images of its first batch are looked at")
    try:
        return _of_further(it, first, source, asked.choice)
    except Exception as error:
        return _instead(first, error)


def _instead(first: Chosen, error: Exception) -> Chosen:
    why = str(error).split("\n")[0]
    return replace(first, note=f"the first {first.count} images of the first batch are looked at ({why})")


def _by_index(
    it: Testimony, module: nn.Module, first: Chosen, source: Source, asked: Asked, indices: Sequence[int] | None
) -> Chosen:
    dataset, collate, choice = source.loader.dataset, collater(source.loader), asked.choice

    def made(items: Sequence[int]) -> Any:
        return source.transfer(collate([dataset[each] for each in items]))

    if indices is not None and len(indices) and max(indices) < len(dataset):
        picked = [int(each) for each in indices]
    elif choice.choose is not None:
        picked = _hardest(it, module, len(dataset), made, source, asked)
    else:
        picked = _picked(it, dataset, made, choice.n)
    batch = made(picked)
    if not has_same_form(on_cpu(batch), first.batch):
        raise LookupError("items by index make other batches")
    note = "" if choice.choose is None else _CHOSEN[choice.choose]
    return Chosen(batch, len(picked), tuple(picked), note)


_CHOSEN = {
    "mistakes": "the images are those that the network got most wrong before it was looked at first",
    "unsure": "the images are those that the network was least sure of before it was looked at first",
}


def _hardest(
    it: Testimony,
    module: nn.Module,
    count: int,
    made: Callable[[Sequence[int]], Any],
    source: Source,
    asked: Asked,
) -> list[int]:
    """The images with the lowest log-odds of their label (mistakes) or of the predicted class (unsure), in order."""
    choice, task = asked.choice, asked.words.task or it.task
    if task not in ("multiclass", "binary"):
        raise LookupError(f"choose={choice.choose!r} takes a network that tells classes apart, and this one is read as {task}")
    odds = []
    steps = range(0, count, BATCH)
    for start in progress_bar(steps, desc=f"looking for {choice.choose}", unit="batch", leave=False, disable=source.is_quiet):
        items = range(start, min(start + BATCH, count))
        taken = _taken(it, module, Chosen(made(items), len(items)), None, source, asked)
        odds.append(_log_odds(taken, module, asked))
    return [int(each) for each in torch.cat(odds).argsort(stable=True)[: choice.n]]


def _log_odds(taken: Taken, module: nn.Module, asked: Asked) -> Tensor:
    """``(N,)`` of the label, or of the predicted class."""
    answer, choose = answer_of(taken.testimony, taken.truth, asked, at_meeting=taken.at_meeting), asked.choice.choose
    if taken.truth is None and choose == "mistakes":
        raise LookupError("choose='mistakes' takes labels to be wrong about; choose='unsure' needs none")
    with preserve_state(module):
        run = ForwardConfig(taken.call, answer=answer).prepare(module, taken.images, taken.truth)
        values = answered(run)
        chosen = answer.kind.chosen(answer.facts, "predicted" if choose == "unsure" else "label", values, taken.truth)
    return log_odds(values, chosen.to(values.device)).float().cpu() if chosen is not None else values[:, 0]


def _picked(it: Testimony, dataset: Any, made: Callable[[Sequence[int]], Any], n: int) -> list[int]:
    """Indices, the classes in turn, in an order that is always the same."""
    order = np.array(shuffled(len(dataset)))
    labels = known_labels(dataset) if it.target == ((1,),) else None
    if labels is not None and it.task in ("multiclass", "binary"):
        return in_turn(order, labels[order], n)
    few = order[: 8 * n] if it.target else order[:n]
    classes = [class_of(it, made([int(each)])) for each in few] if it.target else [-1] * len(few)
    return [int(few[each]) for each in in_turn(np.arange(len(few)), np.array(classes, dtype=np.int64), n)]


def class_of(it: Testimony, batch: Any) -> int:
    """The class of a batch of one item, -1 where it has none."""
    value = at(batch, it.target[0])
    truth = value.detach().cpu() if isinstance(value, Tensor) and value.ndim and len(value) == 1 else None
    return classes_in_turn(truth, 1)[0]


def _of_further(it: Testimony, first: Chosen, source: Source, choice: Choice) -> Chosen:
    """Rows out of a few batches of a fresh iterator, the classes in turn."""
    rows: list[Any] = []
    classes: list[int] = []
    for batch in further(source.loader):
        here = source.transfer(batch)
        count = len(at(here, it.image[0]))
        target = at(here, it.target[0]) if it.target else None
        truth = target.detach().cpu() if isinstance(target, Tensor) and target.ndim and len(target) == count else None
        known = classes_in_turn(truth, count)
        rows += [rows_in(here, [each], count) for each in range(count)]
        classes += known
    same = [each for each, row in enumerate(rows) if has_same_form(row, first.batch)]
    picked = in_turn(np.array(same), np.array(classes, dtype=np.int64)[same], choice.n) if same else []
    if not picked:
        return first
    return Chosen(joined([rows[each] for each in picked], [1] * len(picked)), len(picked))


def _taken(
    it: Testimony, module: nn.Module, chosen: Chosen, tracer: ForwardTracer | None, source: Source, asked: Asked
) -> Taken:
    """What the first call got of a batch, and how to call it again."""
    capture = _captured(it, module, chosen, tracer, source)
    nest = on_cpu((capture.args, capture.kwargs))
    place, leaf = it.image_argument, at(chosen.batch, it.image[0])
    value = at(nest, place) if place is not None else None
    in_call = isinstance(value, Tensor) and value.ndim >= 4 and len(value) == chosen.count
    images = value if in_call and value is not None else on_cpu(leaf)
    if images.ndim not in (4, 5) or len(images) != chosen.count:
        raise LookupError(f"the images are {tuple(images.shape)}, not (N, C, H, W)")
    call, seen, at_meeting = _call(it, module, chosen, source, nest, images if in_call else None, asked)
    target = capture.target if seen.head == it.head else None  # another head was met elsewhere
    it = seen
    truth = truth_in(it, chosen.batch, target, chosen.count, asked.words)
    if truth is None and it.task == UNKNOWN and asked.words.task is not None:
        truth = _labels_told(it, chosen)
    is_leaf = next((each.is_leaf for each in it.arguments if each.path == place), True)
    notes = tuple(filter(None, (chosen.note, left_open(it, chosen.batch, truth, chosen.count))))
    return Taken(it, images.float(), truth, call, at_meeting, is_leaf, chosen.indices, notes, chosen)


def _labels_told(it: Testimony, chosen: Chosen) -> Tensor | None:
    """What may be labels of an answer of which only the user says what it is; nothing that is another head's."""
    return None if it.heads else labels_beside(chosen.batch, chosen.count)


def taken_from(it: Testimony, module: nn.Module, chosen: Chosen, source: Source, asked: Asked) -> Taken:
    """What a batch holds that was chosen by somebody else, and how the network is run on it; the step is run on it.

    Args:
        it: what the step does with a batch.
        module: the Lightning module.
        chosen: the batch.
        source: of the Trainer, in one process.
        asked: what the user said.

    Raises:
        LookupError: there are no images in it.
    """
    return _taken(it, module, chosen, None, source, asked)


def _captured(it: Testimony, module: nn.Module, chosen: Chosen, tracer: ForwardTracer | None, source: Source) -> Capture:
    """The first call of a batch; with a tracer as it saw it, without running anything, unless the step makes the target."""
    kept = None if tracer is None else tracer.kept(it.module, it.nth)
    if kept is not None and not (source.is_alone and makes_target(it, chosen.batch, chosen.count)):
        return Capture(*kept)
    if not source.is_alone:
        raise LookupError("the answer is made in the step, which one of several processes does not run alone")
    return captured(module, source.step, on_device(chosen.batch, device_of(module)), it, source.optimizers)


def device_of(module: nn.Module) -> torch.device:
    """Where a module's weights are."""
    return next((each.device for each in module.parameters()), torch.device("cpu"))


def _call(
    it: Testimony, module: nn.Module, chosen: Chosen, source: Source, nest: Any, given: Tensor | None, asked: Asked
) -> tuple[Call | StepCall, Testimony, bool]:
    """The call itself where it alone gives the answer, else the step up to it; where the answer is in eval mode; and whether
    that is where the target is met."""
    device, may_switch = device_of(module), asked.words.head is None
    if it.is_one_call and given is not None and it.image_argument is not None:
        args, kwargs = nest
        call = Call(submodule(module, it.module), args, kwargs, it.image_argument, chosen.count)
        seen = in_eval(it, call, module, given.to(device), may_switch=may_switch)
        if seen is None:
            raise NotInEval(it.chain[-1], it.head)
        return call, seen, False
    if not source.is_alone:
        raise LookupError("the answer is made in the step, which one of several processes does not run alone")
    step = StepCall(module, source.step, on_cpu(chosen.batch), chosen.count, it, it.image[0] if given is None else None)
    images = at(step.batch, it.image[0]) if given is None else given
    seen = None if it.is_made else in_eval(it, step, module, images.to(device), may_switch=may_switch)
    at_meeting = seen is None
    return replace(step, testimony=seen or it, at_meeting=at_meeting), seen or it, at_meeting
