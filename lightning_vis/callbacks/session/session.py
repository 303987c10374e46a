"""The session: the images of one run, how the network is run, where frames go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from lightning_vis import clock
from lightning_vis.arguments import quoted
from lightning_vis.callbacks.budget import Budget
from lightning_vis.callbacks.failures import Failures
from lightning_vis.callbacks.session.frame_logger import FrameLogger
from lightning_vis.callbacks.trainer import is_sharded, precision_of, source_of, trained_weights
from lightning_vis.constants import BINARY, MULTICLASS, UNKNOWN
from lightning_vis.film import Film
from lightning_vis.frames import Inputs
from lightning_vis.model.answer.answer import Answer
from lightning_vis.model.answer.classes import classes_in
from lightning_vis.model.answer.words import check_component
from lightning_vis.model.compiled import is_compiled
from lightning_vis.model.layers import has_lazy_layers
from lightning_vis.model.places import Path, at, written
from lightning_vis.model.run import ForwardConfig
from lightning_vis.model.scores import Score, describe
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.from_trainer import TrainerHead, TrainerProbe
from lightning_vis.probe.probe import Probe
from lightning_vis.probe.source.source import Asked
from lightning_vis.reliance.sight import Sight
from lightning_vis.render.twins import pictured


def _classes_of(answer: Answer, output: Any) -> int:
    """For how many classes an output has scores; 0 where nobody can read it: the look will say why."""
    try:
        return int(answer.values(output).shape[1])
    except ValueError:
        return 0


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
        self._sight: Sight | None = None
        self._has_given_up = False  # nothing was found
        self._answered: Answer | None = None  # what that checkpoint says of the answer
        self._resumed: dict[str, Any] = {}  # the images that the film shows, of a run that goes on
        self._is_of_checkpoint = False  # they are those of a checkpoint, not of a run before in this process

    # --- the images -------------------------------------------------------------------------------------------------

    def prepare(self, trainer: Any, is_new: bool) -> None:
        """Another run begins, of a new training or of one that goes on: its images are looked for anew, those of the film first."""
        self.finder = finder_of(trainer, self.asked)
        self.probe = self._inputs = None
        self._has_given_up = self._is_of_checkpoint = False
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
        resumed = next((each for each in sessions if each._resumed.get("indices")), None)
        source = source_of(trainer, module, self.finder.step)
        find = partial(self.finder.take, module, self.given, source, self._asked)
        probe = find(None if resumed is None else resumed._resumed["indices"])
        if resumed is not None and resumed._is_of_other_data(probe):
            self.finder.forget_images()
            probe = find(None)
        return None if probe is None else probe.laid_out(module)

    def _is_of_other_data(self, found: Probe | None) -> bool:
        """Whether images of these indices are not those of a run before: another data set is looked at, as in a test."""
        return found is not None and not self._is_of_checkpoint and found.fingerprint != self._resumed["fingerprint"]

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
        known, self._resumed = self._resumed, self._resumed or _known(probe)
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
            self._resumed = _known(probe)
        elif known and known["fingerprint"] != probe.fingerprint and any(len(frame.predicted) for frame in frames):
            before_it = "those in its checkpoint" if self._is_of_checkpoint else "before"
            self.failures.say(
                f"this run goes on with other images in the probe {probe.name!r} than {before_it}:"
                " earlier looks of the film show the ones, later looks the others"
            )

    def _seen(self, probe: Probe) -> Inputs:
        """What people see of the images; without labels where those that were found cannot be read."""
        try:
            return probe.inputs(self.answer)
        except Exception as error:
            if self.given is not None and isinstance(error, ValueError):
                raise
            return self._leave_labels(error)

    def _leave_labels(self, error: Exception) -> Inputs:
        """What people see of the images without the labels that were found."""
        assert self.probe is not None  # the caller has seen to it
        self.failures.tell("the labels of the images cannot be read, so that nothing is called right or wrong", error)
        self.probe = self.probe.of(None)
        self._inputs = self.probe.inputs(self.answer)
        return self._inputs

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the images, in sentences."""
        of_found = self.finder.notes if self.given is None else self.finder.given_notes
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

    @property
    def sight(self) -> Sight | None:
        """What is known of the twins, once the images are known; None if there are none."""
        twins = None if self.probe is None else self.probe.twins
        if twins is not None and (self._sight is None or self._sight.twins is not twins):
            self._sight = Sight(twins, self.class_name, pictured(len(twins.kinds)))
        return None if twins is None else self._sight

    def class_name(self, index: int) -> str:
        """What people call a class."""
        inputs, words = self.inputs, self.answer.facts.words
        if self.answer.task == BINARY and (inputs is None or len(inputs.class_names) != 2):
            return words[index] if index < len(words) else f"class {index}"
        return f"class {index}" if inputs is None else inputs.class_name(index)

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
        probe = self.probe.of(self.probe.truths.get(head.name, told))
        try:
            probe.truth_for(head.answer)
        except ValueError as error:  # which takes no other head along
            what = f"the labels of the head {head.name!r} cannot be read, so that nothing is called right or wrong"
            self.failures.tell(what, error)
            return probe.of(None)
        return probe

    def _running_of(self, head: TrainerHead, module: nn.Module, first: ForwardConfig) -> ForwardConfig:
        def refuse(images: Any) -> Any:
            raise ValueError(why)

        why = head.why
        try:
            forward = refuse if why else self.finder.forward_of(head, self.given, module, first.forward)
        except ValueError as error:
            why, forward = str(error), refuse
        return replace(first, forward=forward, score=None, answer=head.answer, chosen={}, places={})

    def check_labels(self, trainer: Any, module: nn.Module) -> None:
        """Leaves labels that no loss has met, and that name a class which the answer has not; said once."""
        if self.probe is None or self.given is not None or not self._is_looked_up or is_sharded(trainer):
            return
        running = self.forward_config(trainer, module)
        output = self._output(module, running)
        count = 0 if output is None else _classes_of(running.answer, output)
        label = int(torch.as_tensor(classes_in(self.probe.truth)).max())
        if count and label >= count:
            said = (
                f"there is a label {label}, and the answer has {count} classes: labels_at= says where in the batch others are"
            )
            self._leave_labels(ValueError(said))

    @property
    def _is_looked_up(self) -> bool:
        """Whether labels were taken for classes because the user says that there are classes, and no loss has met them."""
        it, truth = self.finder.testimony, None if self.probe is None else self.probe.truth
        is_told = it is not None and it.task == UNKNOWN and self.answer.task == MULTICLASS
        return is_told and truth is not None and truth.ndim < 3

    def refuse_words(self, trainer: Any, module: nn.Module) -> None:
        """Refuses what the user has said of the answer, where it cannot be.

        Raises:
            ValueError: a head that is neither taken by a loss nor in the output, or is no numbers there; the message names those
                there are. A component where there are no several numbers, or not as many.
        """
        if self.probe is None:
            return
        first = self.forward_config(trainer, module)
        unmet = self.finder.unmet(self._asked)
        output = self._output(module, first) if unmet else None
        for head in unmet if output is not None else ():
            self._refuse_head(head, output)
        words = (self._asked.words, *self._asked.others)
        if any(each.component is not None for each in words):
            runs = [first, *(running for _, _, running in self.heads(module, first))]
            for each, running in zip(words, runs, strict=False):
                check_component(each.component, running.answer, partial(self._output, module, running))

    def _refuse_head(self, head: Path, output: Any) -> None:
        said = f"head={quoted(head[0] if len(head) == 1 else '.'.join(map(str, head)))}"
        try:
            found = at(output, head, "output")
        except LookupError as error:
            raise ValueError(f"{said}: {error}{self.finder.said_of_heads()}") from error
        if not isinstance(found, torch.Tensor) or not found.is_floating_point():
            got = f"expected a tensor of numbers at {written(head, 'output')}; got {describe(found)}"
            raise ValueError(f"{said}: {got}{self.finder.said_of_heads()}")

    def _output(self, module: nn.Module, running: ForwardConfig) -> Any:
        """What the network returns of one image; None where it cannot be run: the look will say why."""
        assert self.probe is not None  # the caller has seen to it
        try:
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
        started, parts = clock.perf_counter(), dict[str, float]()
        try:
            yield parts
        finally:
            parts[rest] = clock.perf_counter() - started - sum(parts.values())
            for part, seconds in parts.items():
                self.budget.count(part, seconds)

    # --- kept in checkpoints ----------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The film so far, and which images it shows."""
        known = {} if self.probe is None else _known(self.probe)
        film = as_tensors(self.logger.film.state())
        answer = None if self.finder.answer is None else self.finder.answer.state()
        return {"film": film, "drawn": self.logger.drawn, "probe": known, "answer": answer}

    def load(self, state: dict[str, Any]) -> None:
        """The film goes on where it stopped, or begins anew where it cannot be read."""
        with self.failures.reading("the film"):
            film, drawn, probe = Film.from_state(as_arrays(state["film"])), int(state["drawn"]), dict(state.get("probe", {}))
            before = None if state.get("answer") is None else Answer.from_state(state["answer"])
            self.logger.go_on(film, drawn)
            self._resumed, self._answered, self._is_of_checkpoint = probe, before, bool(probe)


def _known(probe: Probe) -> dict[str, Any]:
    """What the images are found again by."""
    return {"fingerprint": probe.fingerprint, "indices": probe.indices and [*probe.indices]}


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
