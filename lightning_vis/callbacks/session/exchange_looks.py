"""Exchanges of surroundings at some looks: the pool, the numbers, the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_vis import clock
from lightning_vis.boxes.pool_file import leave_pool, pool_file
from lightning_vis.callbacks.budget import MANY
from lightning_vis.callbacks.failures import log, reason
from lightning_vis.callbacks.monitor import progress
from lightning_vis.callbacks.session.run_folder import boxes_command
from lightning_vis.callbacks.session.session import Session
from lightning_vis.callbacks.session.sheet_looks import sheets_of
from lightning_vis.callbacks.trainer import source_of
from lightning_vis.constants import ALONE, BINARY, CONVINCES, EXCHANGE, MULTICLASS, SURE
from lightning_vis.events.folder import is_remote
from lightning_vis.frames import Array, Frame, Verdict
from lightning_vis.model.answer.answer import UNKNOWN, Answer
from lightning_vis.model.run import ForwardConfig, answered
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.box_file import Box, key_of, masks_of, read_boxes
from lightning_vis.probe.probe import Probe
from lightning_vis.probe.source.pool import Pool
from lightning_vis.reliance.alert import Alert
from lightning_vis.reliance.exchange.experiment import MOST, RIGHT, Ask, Findings, experiment, plain_answers
from lightning_vis.reliance.exchange.objects import Objects, Refusal, objects_of
from lightning_vis.reliance.verdict import AGE_TAG, ALERT_TAG, NOT_MEASURED, TAGS, follows, joined, numbers_of, verdict_of
from lightning_vis.render.experiment.exchange import exchange_pictures

SPACED = 1.5
"""How many times the finished steps of the last exchange there are at the next one, at least."""
TASKS = (MULTICLASS, BINARY)
"""Tasks whose answers can be compared: one class for each image."""

REMEDY = 'a box for each image would help: {} takes them, and ProbeCallback(boxes="boxes.json") reads them'
NO_TIME = Refusal("it would take more time than looking may cost", "a larger max_overhead= gives more")


class ExchangeLooks:
    """What one callback exchanges, and what it found last.

    Args:
        session: of the callback.

    Attributes:
        is_on: whether anything is exchanged.
        change: of its alert at the last exchange, if it has changed and nobody was told.
    """

    def __init__(self, session: Session) -> None:
        self.is_on = self._is_asked = False
        self.change: Alert | None = None
        self._session = session
        self._boxes: dict[str, Box] | None = None  # by what images show
        self._pool: tuple[Pool, Objects] | Refusal | None = None  # None: nobody has looked for one yet
        self._values: dict[str, float] = {}  # what was measured last
        self._age = 0  # how often it went out since
        self._at = 0  # finished steps when it was measured last
        self._sheets_at = -1  # likewise of what convinces the network
        self._since: int | None = None  # finished steps since when the answer has followed the surroundings
        self._seconds = 0.0  # what the last one took

    def __getstate__(self) -> dict[str, Any]:
        """Without the pool, which knows how this run asks the network."""
        return {**vars(self), "_pool": None}

    def open(self, *, is_on: bool, is_asked: bool, boxes: str | None = None) -> None:
        """A run begins: the pool is looked for anew.

        Args:
            is_on: whether anything is exchanged.
            is_asked: whether somebody has asked for it, and is told why there is none.
            boxes: a file of boxes around objects.

        Raises:
            ValueError: it cannot be read.
        """
        self.is_on, self._is_asked, self._pool, self._sheets_at = is_on, is_asked, None, -1
        self._boxes = None if boxes is None else read_boxes(boxes)

    @property
    def draws(self) -> bool:
        """Whether an exchange may be drawn at some look: it has an image tag of its own."""
        return self.is_on and self._answer.task in TASKS

    def numbers(self) -> dict[str, float]:
        """What goes out at the end of an epoch or a validation: what was measured last, with its age; 0 before."""
        found = dict.fromkeys(TAGS, 0.0) | self._values
        found[AGE_TAG] = float(self._age)
        self._age += bool(self._values)
        return found

    def joined(self, trainer: Any, module: nn.Module, running: ForwardConfig, frame: Frame) -> Frame:
        """The frame with what an exchange says, if it is one's turn; whatever fails takes no look along."""
        has_proof = self._answer.task not in TASKS and self._session.sight is not None  # twins say it, or its numbers do
        is_idle = has_proof and not self._is_asked
        if not self.is_on or is_idle or not self._is_due(trainer, frame):
            return frame
        with self._session.budget.timed("exchange"):
            seen = self._seen(frame)
            frame = self._with_verdict(trainer, module, running, frame) if seen is None else _as_seen(frame, seen)
            return replace(frame, pictures={**frame.pictures, **self._sheets(trainer, module, running, frame)})

    def _seen(self, frame: Frame) -> Frame | None:
        """The look before this one, if it has exchanged what this one looks at once more, for another reason."""
        last = self._session.logger.last
        if last is None or frame.moment != "end" or (last.place, last.weights) != (frame.place, frame.weights):
            return None
        return last if last.verdict is not None and last.verdict.is_measured and self._at == frame.finished_steps else None

    def owes(self, trainer: Any, last: Frame) -> bool:
        """Whether the finished network was not exchanged yet, or nobody knew that it was, and there is time for it.

        Args:
            trainer: whose training has ended.
            last: what the last look found.
        """
        is_new = self._at < last.finished_steps or (self._can_show and self._sheets_at < last.finished_steps)
        is_ours = self.is_on and is_new and last.moment == "epoch" and self._answer.task in TASKS
        return is_ours and not self._session.pauses(MANY, trainer, self._seconds)

    def _is_due(self, trainer: Any, frame: Frame) -> bool:
        is_turn = frame.moment == "epoch" and frame.finished_steps >= SPACED * self._at
        return _is_last(trainer, frame) or (frame.epoch >= 1 and is_turn)

    def _with_verdict(self, trainer: Any, module: nn.Module, running: ForwardConfig, frame: Frame) -> Frame:
        try:
            found = self._found(trainer, module, running)
        except Exception as error:  # which takes no look along
            self._session.failures.tell("the exchange of surroundings failed", error)
            found = Refusal(f"the exchange failed ({reason(error)})")
        was_seen = self._since is not None and self._since < frame.finished_steps
        verdict = verdict_of(found, self._session.class_name, was_seen=was_seen)
        self._at = frame.finished_steps
        frame = replace(frame, verdict=joined(frame.verdict, verdict))
        if isinstance(found, Refusal):
            return frame
        if verdict.state != NOT_MEASURED:
            frame = self._measured(frame, found, verdict)
        return replace(frame, pictures={**frame.pictures, **self._pictures(found)})

    @property
    def _can_show(self) -> bool:
        """Whether there is a pool whose images people may see."""
        probe = self._session.probe
        return isinstance(self._pool, tuple) and probe is not None and bool(probe.shown)

    def _sheets(self, trainer: Any, module: nn.Module, running: ForwardConfig, frame: Frame) -> dict[str, Any]:
        """What convinces the finished network, and where it is sure; whatever fails takes no look along."""
        probe = self._session.probe
        is_ours = _is_last(trainer, frame) and (self._sheets_at != frame.finished_steps or frame.moment in ALONE)
        if not self._can_show or probe is None or not isinstance(self._pool, tuple) or not is_ours:
            return {}
        self._sheets_at = frame.finished_steps
        try:
            with preserve_state(module):
                ask = _ask(module, running, self._pool[0], self._answer)
                has_time = partial(self._has_time, trainer)
                return dict(sheets_of(ask, self._pool[1], probe.painted, self._session.class_name, has_time))
        except Exception as error:  # which takes no look along
            self._session.failures.tell("looking for what convinces the network failed", error)
            return {}

    def _has_time(self, trainer: Any, seconds: float) -> bool:
        return not self._session.pauses(MANY, trainer, seconds)

    def _measured(self, frame: Frame, found: Findings, verdict: Verdict) -> Frame:
        """The frame with the numbers, which go out from now on."""
        earlier = frame.finished_steps if self._since is None else self._since
        self._since, self._age = earlier if follows(found) else None, 0
        before, self._values = self._values.get(ALERT_TAG, 0.0), numbers_of(found, verdict)
        frame, level = replace(frame, numbers={**frame.numbers, **self._values}), self._values[ALERT_TAG]
        if level != before:
            self.change = Alert(level, verdict.sentence, frame.epoch, dict(frame.numbers), verdict)
        return frame

    def told(self) -> list[Alert]:
        """The change of the alert, once."""
        change, self.change = self.change, None
        return [] if change is None else [change]

    def _found(self, trainer: Any, module: nn.Module, running: ForwardConfig) -> Findings | Refusal:
        """What an exchange finds, or why nothing."""
        if self._answer.task not in TASKS:
            return _of_other(self._answer.task)
        if self._session.pauses(MANY, trainer, self._seconds):
            return NO_TIME
        self._pool = self._pool or self._gathered(trainer, module, running)
        refusal = self._pool if isinstance(self._pool, Refusal) else self._pool[1].refusal
        if refusal is not None or isinstance(self._pool, Refusal):
            return refusal or NO_TIME
        start = clock.perf_counter()
        with preserve_state(module):
            ask = _ask(module, running, self._pool[0], self._answer)
            plain = plain_answers(ask, self._pool[1])
            self._seconds = (clock.perf_counter() - start) * MOST / len(plain)
            if self._session.pauses(MANY, trainer, self._seconds):
                return NO_TIME
            found = experiment(ask, self._pool[1], plain)
            found = found if isinstance(found, Refusal) else replace(found, note=self._pool[0].note)
        self._seconds = clock.perf_counter() - start
        return found

    def _gathered(self, trainer: Any, module: nn.Module, running: ForwardConfig) -> tuple[Pool, Objects] | Refusal:
        probe, finder = self._session.probe, self._session.finder
        assert probe is not None  # nothing is looked at without one
        try:
            own = _own_pool(probe, running)
            pool = own or finder.pool(module, source_of(trainer, module, finder.step))
        except LookupError as error:
            return Refusal(*str(error).split(": ", 1))
        seen = np.ascontiguousarray(probe.painted(pool.images))
        pictures, boxed = torch.from_numpy(seen).permute(0, 3, 1, 2) / 255, masks_of(pool.images, self._boxes or {})
        if self._boxes is not None and pool.masks is None:
            log(trainer, f"boxes: {int(boxed[1].sum())} of the {len(pool)} images that are exchanged have one")
        return pool, self._left(pool, objects_of(pool.images, pictures, pool.labels, pool.masks, boxed), seen)

    def _left(self, pool: Pool, objects: Objects, seen: Array) -> Objects:
        """Leaves images and cut-outs in the run's folders, where people may see them: a page has them corrected."""
        probe, folders = self._session.probe, self._session.logger.folders
        if objects.cuts is None or probe is None or not probe.shown or not folders:
            return objects
        with self._session.failures.surviving("storing the images that are exchanged"):
            names = [self._session.class_name(each) for each in pool.labels.tolist()]
            small = pool_file([key_of(each) for each in pool.images], names, seen, objects.cuts.numpy())
            for folder in folders:
                leave_pool(folder, small)
            here = [each for each in folders if not is_remote(each)]  # of others the page knows nothing
            return objects.helped_by(REMEDY.format(boxes_command(here[0]))) if here else objects
        return objects

    @property
    def _answer(self) -> Answer:
        return self._session.answer

    def _pictures(self, found: Findings) -> dict[str, Any]:
        """The examples as pictures, where people may see the images."""
        probe = self._session.probe
        if not found.rows or probe is None or not probe.shown or not isinstance(self._pool, tuple):
            return {}
        subjects = torch.tensor([each.subject for each in found.rows])
        partners = torch.tensor([each.partners for each in found.rows])
        parts = self._pool[1].parts
        triples = [parts.images[subjects], *(parts.exchanged(subjects, partners[:, at]) for at in (0, 1))]
        values = np.stack([probe.painted(each) for each in triples], 1)
        said = [tuple(zip(map(self._session.class_name, each.said), each.probability, strict=True)) for each in found.rows]
        classes = [(self._session.class_name(each.label), self._session.class_name(each.host)) for each in found.rows]
        return {EXCHANGE: exchange_pictures(values, classes, said)}

    # --- kept in checkpoints ----------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What was measured last, and whether anything is, for a checkpoint."""
        kept = {"values": dict(self._values), "age": self._age, "at": self._at, "since": self._since}
        return {**kept, "is_on": self.is_on}

    def load(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`, but for what is asked for anew; {} begins anew."""
        values, since = {str(tag): float(value) for tag, value in state.get("values", {}).items()}, state.get("since")
        age, at, since = int(state.get("age", 0)), int(state.get("at", 0)), None if since is None else int(since)
        self._values, self._age, self._at, self._since = values, age, at, since
        self.change = None


def _as_seen(frame: Frame, seen: Frame) -> Frame:
    """A look with what was exchanged at another one of the same network."""
    numbers = {tag: seen.numbers[tag] for tag in TAGS if tag in seen.numbers}
    pictures = {name: seen.pictures[name] for name in (EXCHANGE, CONVINCES, SURE) if name in seen.pictures}
    return replace(frame, verdict=seen.verdict, numbers={**frame.numbers, **numbers}, pictures={**frame.pictures, **pictures})


def _of_other(task: str) -> Refusal:
    """Why nothing is exchanged of answers that are no class, and what measures those."""
    of_each = ", with one label for each image" if task == "multilabel" else ""
    remedy = _TWINS_WOULD + of_each if task != UNKNOWN else "task= says what the output means"
    return Refusal(f"it takes a network that tells classes apart, and this one is read as {task}", remedy)


_TWINS_WOULD = "masks and backgrounds of the probe would help: Probe(images, labels, masks, backgrounds={...})"


def _is_last(trainer: Any, frame: Frame) -> bool:
    """Whether nothing is trained after this look, as far as that is known."""
    if frame.moment in ("end", *ALONE):
        return True
    at, total = progress(trainer, frame.epoch)
    return frame.epoch >= 1 and total is not None and at >= total


def _own_pool(probe: Probe, running: ForwardConfig) -> Pool | None:
    """The probe itself, where it has masks and enough images: what a user has cut out is better than what we do."""
    labels, is_once = probe.labels, probe.twins is None or probe.twins.shown == 1
    if probe.masks is None or labels is None or not is_once or probe.images.ndim != 4:
        return None
    counts = labels[labels >= 0].bincount()
    return Pool(probe.images, labels, running.forward, masks=probe.masks) if int((counts >= RIGHT).sum()) >= 2 else None


def _ask(module: nn.Module, running: ForwardConfig, pool: Pool, answer: Answer) -> Ask:
    """Asks the network, which is lent meanwhile, for the probabilities of its classes."""
    config = replace(running, forward=pool.forward, score=None, chosen={}, places={}, cuts=None, chunk_size=None, answer=answer)
    compared: Callable[[Any, Tensor], Tensor] | None = answer.kind.twins
    assert compared is not None  # of classes they are probabilities

    def ask(images: Tensor, rows: Tensor) -> Tensor:
        return compared(answer.facts, answered(config.prepare(module, images, rows=rows))).float().cpu()

    return ask
