"""The session: the images of one run, how the network is run, where frames go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from lightning_vis.arguments import quoted
from lightning_vis.callbacks.budget import Budget
from lightning_vis.callbacks.failures import Failures
from lightning_vis.callbacks.session.frame_logger import FrameLogger
from lightning_vis.callbacks.trainer import precision_of, source_of, trained_weights
from lightning_vis.film import Film
from lightning_vis.frames import Inputs
from lightning_vis.model.answer.answer import Answer
from lightning_vis.model.compiled import is_compiled
from lightning_vis.model.layers import has_lazy_layers
from lightning_vis.model.places import at
from lightning_vis.model.run import ForwardConfig
from lightning_vis.model.scores import Score
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.from_trainer import TrainerHead, TrainerProbe
from lightning_vis.probe.probe import Probe
from lightning_vis.probe.source.source import Asked


def sessions_of(trainer: Any) -> list[Session]:
    """The sessions of all callbacks of a Trainer that look, in its order."""
    return [each.session for each in trainer.callbacks if isinstance(getattr(each, "session", None), Session)]


def finder_of(trainer: Any, asked: Asked | None) -> TrainerProbe:
    """The one that reads the answer and finds images in the run that is being set up, for all callbacks that ask alike.

    Args:
        trainer: its callbacks are known.
        asked: what the user said; None: whatever another callback was told.
    """
    fresh = [each for each in sessions_of(trainer) if not each.finder.was_asked]
    alike = [each for each in fresh if each.asked == asked]
    others = [each for each in fresh if asked is None and each.asked is not None]
    finder = next((each.finder for each in [*others, *alike]), None) or TrainerProbe()
    finder.asked = asked or finder.asked
    return finder


class Session:
    """One run of a Trainer (a fit, a validation, a test) as one callback sees it.

    Args:
        given: the user's probe, if there is one.
        failures: decides what happens when something fails.
        budget: told what everything costs.
        asked: what the user said of images and answer; None: whatever another callback was told.

    Attributes:
        given: the user's probe, if there is one.
        probe: the images, once they are known.
        finder: finds images and how to run the network, for all callbacks of the Trainer.
        logger: where frames go.
    """

    def __init__(self, given: Probe | None, failures: Failures, budget: Budget, asked: Asked | None = None) -> None:
        self.asked = asked
        self.probe: Probe | None = None
        self.finder = TrainerProbe()
        self.logger = FrameLogger(failures, budget)
        self.failures, self.budget = failures, budget
        self.given = given
        self._inputs: Inputs | None = None
        self._has_given_up = False  # nothing was found
        self._answered: Answer | None = None  # what that checkpoint says of the answer
        self._resumed: dict[str, Any] = {}  # the probe of the checkpoint that this run goes on from

    # --- the images -------------------------------------------------------------------------------------------------

    def prepare(self, trainer: Any, is_new: bool) -> None:
        """Another run begins, of a new training or of one that goes on: the images are looked for anew."""
        self.finder = finder_of(trainer, self.asked)
        self.probe = self._inputs = None
        self._has_given_up = False
        if is_new:
            self.logger.forget()
            self._resumed = {}

    def watch(self, trainer: Any, module: nn.Module, batch: Any) -> None:
        """A batch of the sanity check is about to go through the network: it is watched, if nobody has watched one.

        Where something is compiled it is left alone: the sizes that are compiled first decide how later ones are compiled.
        """
        if self.finder.testimony is None and not is_compiled():
            self.finder.start(module, batch, trained_weights(trainer, module))

    def rehearse(self, trainer: Any, module: nn.Module, batch: Any, step: str) -> None:
        """A batch that counts is about to go through the network: a dry run of the step tells what it answers."""
        self.finder.rehearse(module, batch, source_of(trainer, module, step), step)

    def rehearse_made(self, trainer: Any, module: nn.Module) -> None:
        """Rehearses a batch that is made of the first items of the training data, where they have an index."""
        source = replace(source_of(trainer, module, "training_step"), loader=trainer.train_dataloader)
        self.finder.rehearse_made(module, source)

    @property
    def has_given_up(self) -> bool:
        """Whether nothing was found to look at in this run."""
        return self._has_given_up

    def find(self, trainer: Any, module: nn.Module) -> Probe | None:
        """The images, those of the checkpoint where there is one; None where no batch has been seen yet.

        Raises:
            ValueError: none were found, or the network cannot be run on them; said once.
        """
        if self._has_given_up:
            return None
        try:
            return self._found(trainer, module)
        except ValueError:
            self._has_given_up = True
            raise

    def _found(self, trainer: Any, module: nn.Module) -> Probe | None:
        sessions = [each for each in (self, *sessions_of(trainer)) if each.given is None]  # a user's probe has its own
        indices = next((each._resumed["indices"] for each in sessions if each._resumed.get("indices")), None)
        source = source_of(trainer, module, self.finder.step)
        probe = self.finder.take(module, self.given, source, self._asked, indices)
        return None if probe is None else probe.laid_out(module)

    @property
    def _asked(self) -> Asked:
        return self.asked or self.finder.asked

    def take(self, probe: Probe) -> None:
        """These are the images from now on.

        Raises:
            ValueError: the labels of a user's probe are none that the task has.
        """
        self.probe = probe
        self._inputs = self._seen(probe)
        known, self._resumed = self._resumed, {}
        before, self._answered = self._answered, None
        if before is not None and before.task != self.answer.task:
            self.failures.say(
                f"this run goes on with an answer that is read as {self.answer.task}, and in its checkpoint as {before.task}:"
                f" task={before.task!r} keeps it"
            )
        frames = self.logger.film.frames
        if any(len(frame.predicted) not in (0, len(probe)) for frame in frames):
            self.failures.say(f"the probe {probe.name!r} has another number of images than before: its film begins anew")
            self.logger.forget()
        elif known and known["fingerprint"] != probe.fingerprint and any(len(frame.predicted) for frame in frames):
            self.failures.say(
                f"this run goes on with other images in the probe {probe.name!r} than those in its checkpoint:"
                " earlier looks of the film show the ones, later looks the others"
            )

    def _seen(self, probe: Probe) -> Inputs:
        """What people see of the images; without labels where those that were found cannot be read."""
        try:
            return probe.inputs(self.answer)
        except Exception as error:
            if self.given is not None and isinstance(error, ValueError):
                raise
            self.failures.tell("the labels of the images cannot be read, so that nothing is called right or wrong", error)
            self.probe = probe.of(None)
            return self.probe.inputs(self.answer)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the images, in sentences."""
        of_found = self.finder.notes if self.given is None else ()
        return (*of_found, *_of_probe(self.probe, self.answer))

    @property
    def inputs(self) -> Inputs | None:
        """What people see of the images, once they are known."""
        return self._inputs

    # --- the network ------------------------------------------------------------------------------------------------

    @property
    def answer(self) -> Answer:
        """What the network answers, as far as it is known."""
        return self.finder.answer or Answer()

    def forward_config(self, trainer: Any, module: nn.Module, score: Score | None = None) -> ForwardConfig:
        """How the network is run under a Trainer, and what its output means."""
        context, convert = precision_of(trainer)
        forward = self.finder.forward(self.given, module)
        return ForwardConfig(forward, score, context, convert, answer=self.answer)

    @property
    def head(self) -> str:
        """What the user calls the first head."""
        return str(self._asked.words.head)

    def heads(self, module: nn.Module, first: ForwardConfig) -> list[tuple[str, Probe, ForwardConfig]]:
        """The other heads that were asked for: name, images, and how the network is run up to each.

        Args:
            module: what is looked at.
            first: how it is run up to the first head.
        """
        return [(head.name, self._probe_of(head), self._running_of(head, module, first)) for head in self.finder.heads]

    def _probe_of(self, head: TrainerHead) -> Probe:
        assert self.probe is not None  # else there is nothing to look at
        told = None if head.taken is None or self.given is not None else head.taken.truth
        return self.probe.of(self.probe.truths.get(head.name, told))

    def _running_of(self, head: TrainerHead, module: nn.Module, first: ForwardConfig) -> ForwardConfig:
        def refuse(images: Any) -> Any:
            raise ValueError(why)

        why = head.why
        try:
            forward = refuse if why else self.finder.forward_of(head, self.given, module, first.forward)
        except ValueError as error:
            why, forward = str(error), refuse
        return replace(first, forward=forward, score=None, answer=head.answer, chosen={}, places={})

    def refuse_unknown_heads(self, trainer: Any, module: nn.Module) -> None:
        """Refuses heads that are neither taken by a loss nor in the output.

        Raises:
            ValueError: there is no such head; the message names those there are.
        """
        unmet = self.finder.unmet(self._asked)
        output = self._output(trainer, module) if unmet and self.probe is not None else None
        for head in unmet if output is not None else ():
            try:
                at(output, head, "output")
            except LookupError as error:
                word = head[0] if len(head) == 1 else ".".join(map(str, head))
                raise ValueError(f"head={quoted(word)}: {error}{self.finder.said_of_heads()}") from error

    def _output(self, trainer: Any, module: nn.Module) -> Any:
        """What the network returns of one image; None where it cannot be run: the look will say why."""
        assert self.probe is not None  # the caller has seen to it
        try:
            running = self.forward_config(trainer, module)
            run = running.prepare(module, self.probe.images[:1], rows=torch.zeros(1, dtype=torch.long))
            with preserve_state(module), torch.no_grad():
                return run.output(run.images)
        except Exception:
            return None

    def can_see(self, module: nn.Module) -> bool:
        """Whether there is anything to look at yet: lazy layers get their shapes from the first batch."""
        return self.probe is not None and not has_lazy_layers(module)

    # --- what it costs ----------------------------------------------------------------------------------------------

    def pauses(self, kind: str, trainer: Any, coming: float = 0.0) -> bool:
        """Whether the budget is used up for this kind of work; said once."""
        refusal = self.budget.refusal(kind, trainer.callbacks, coming)
        if refusal:
            self.failures.say(refusal)
        return bool(refusal)

    @contextmanager
    def counted(self, rest: str) -> Iterator[dict[str, float]]:
        """Counts what is done inside: the parts that are named in what it yields, and the rest under a name of its own."""
        started, parts = time.perf_counter(), dict[str, float]()
        try:
            yield parts
        finally:
            parts[rest] = time.perf_counter() - started - sum(parts.values())
            for part, seconds in parts.items():
                self.budget.count(part, seconds)

    # --- kept in checkpoints ----------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The film so far, and which images it shows."""
        probe = self.probe
        known = {} if probe is None else {"fingerprint": probe.fingerprint, "indices": probe.indices and [*probe.indices]}
        film = as_tensors(self.logger.film.state())
        answer = None if self.finder.answer is None else self.finder.answer.state()
        return {"film": film, "drawn": self.logger.drawn, "probe": known, "answer": answer}

    def load(self, state: dict[str, Any]) -> None:
        """The film goes on where it stopped, or begins anew where it cannot be read."""
        with self.failures.reading("the film"):
            film, drawn, probe = Film.from_state(as_arrays(state["film"])), int(state["drawn"]), dict(state.get("probe", {}))
            before = None if state.get("answer") is None else Answer.from_state(state["answer"])
            self.logger.go_on(film, drawn)
            self._resumed, self._answered = probe, before


def _of_probe(probe: Probe | None, answer: Answer) -> list[str]:
    """What a probe cannot show, because all of it is alike."""
    if probe is None or len(probe) == 1:
        return [] if probe is None else ["the probe is a single image"]
    labels = probe.labels if answer.task in ("multiclass", "binary") else None
    if labels is None or len(torch.unique(labels)) > 1:
        return []
    at = int(labels[0])
    named = probe.class_names[at] if at < len(probe.class_names) else f"class {at}"
    return [f"all {len(probe)} images are of one class, {named}"]


def as_tensors(state: Any) -> Any:
    """Dicts and lists with their arrays as tensors: what ``weights_only=True`` loads again."""
    return _converted(state, np.ndarray, torch.as_tensor)


def as_arrays(state: Any) -> Any:
    """The inverse of `as_tensors`."""
    return _converted(state, torch.Tensor, lambda tensor: tensor.numpy())


def _converted(value: Any, kind: type, convert: Any) -> Any:
    if isinstance(value, dict):
        return {key: _converted(item, kind, convert) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_converted(item, kind, convert) for item in value]
    return convert(value) if isinstance(value, kind) else value
