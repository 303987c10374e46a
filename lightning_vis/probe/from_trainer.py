"""Takes a probe and the answer from a Trainer's data and step, once for all."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.constants import LIGHTNING
from lightning_vis.model.answer.answer import UNKNOWN, Answer
from lightning_vis.model.answer.words import Words
from lightning_vis.model.compiled import can_run_eagerly, eagerly
from lightning_vis.model.places import Path, thawed
from lightning_vis.model.snapshot.rng import preserve_rng
from lightning_vis.probe.dataset import named, scaling_of
from lightning_vis.probe.forward_tracer import ForwardTracer
from lightning_vis.probe.labels import class_names_of
from lightning_vis.probe.probe import Probe
from lightning_vis.probe.source.batches import batch_size_of, collater, owners_of
from lightning_vis.probe.source.conclusion import answer_of
from lightning_vis.probe.source.eval_output import NotInEval
from lightning_vis.probe.source.given_labels import labels_met
from lightning_vis.probe.source.images import Taken, check_labels_at, first_rows, head_of, taken_of
from lightning_vis.probe.source.pool import Pool, pool_of
from lightning_vis.probe.source.source import Asked, Source
from lightning_vis.probe.truth import are_pictures, without_white
from lightning_vis.probe.witness.dry_run import dry_run
from lightning_vis.probe.witness.testimony import Testimony, listed
from lightning_vis.probe.witness.witness import Witness

Forward = Callable[[Tensor], Any]


_MET = "the labels of the probe are read as a batch's, of which the step makes its targets"
_NOT_MET = "the step makes its targets of what a batch says, and not of these labels: what is true of the images is not known"
MOST = 32
"""Rows of the watched batch that are kept for those who ask later."""


@dataclass(frozen=True)
class TrainerHead:
    """What a Trainer's step tells of another head than the first.

    Attributes:
        name: as the user calls it.
        answer: what it means.
        taken: how the network is run up to it, and what is true of the images for it; None: as the first head.
        why: why it cannot be run.
    """

    name: str
    answer: Answer
    taken: Taken | None = None
    why: str = ""


COMPILED = "something is compiled, which torch before 2.6 does not run as it was written, so that no step was watched"


class TrainerProbe:
    """Reads, once per run and for all who ask, what a network answers, how it is run, and which images are looked at.

    One batch is watched on its way through the user's own step: live in the sanity check, whose results are thrown away, or
    in a dry run of which nothing stays. Never live in a batch that counts: where something is compiled, watching changes it.

    Attributes:
        testimony: what that batch said; None before.
        answer: what the output means; `UNKNOWN` where nobody knows.
        probe: the images that were taken where nobody gave any.
        was_asked: whether somebody has begun to ask in this run.
        step: the name of the step that the batch went through.
        notes: what a reader should know of where the images come from.
        given_notes: what of the images that a user gives.
        heads: the other heads that were asked for.
        asked: what some callback was told, whichever of them comes first to a batch.
    """

    def __init__(self) -> None:
        self.asked = Asked()
        self.testimony: Testimony | None = None
        self.answer: Answer | None = None
        self.probe: Probe | None = None
        self.was_asked = False
        self.step = "validation_step"
        self.notes: tuple[str, ...] = ()
        self.given_notes: tuple[str, ...] = ()
        self.heads: tuple[TrainerHead, ...] = ()
        self._taken: Taken | None = None
        self._nothing = ""  # why no images were found
        self._is_plain = False  # the images of a user's probe go into the module itself
        self._live: tuple[Witness, ForwardTracer, Any] | None = None
        self._stance = ExitStack()  # of the compiler, while a batch is watched live
        self._tracer: ForwardTracer | None = None
        self._batch: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what belongs to one run, as hooks and the user's own step do: a copy still knows what was answered."""
        kept = {name: getattr(self, name) for name in ("asked", "answer", "was_asked", "step", "notes")}
        return {**vars(TrainerProbe()), **kept}

    # --- reading ----------------------------------------------------------------------------------------------------

    @property
    def is_read(self) -> bool:
        """Whether it is known what the output means."""
        return self.testimony is not None and self.testimony.task != UNKNOWN

    @property
    def is_settled(self) -> bool:
        """Whether no other batch is asked: it is known what the output means, or nobody will know."""
        return self.is_read or self.answer is not None

    def start(self, module: nn.Module, batch: Any, weights: set[int]) -> None:
        """A batch of the sanity check is about to go through the network: it is watched."""
        self.was_asked = True
        if self._live is None and not self.is_read:
            head, others = self.asked.paths
            witness, tracer = Witness(module, batch, weights, head=head, others=others), ForwardTracer(module, batch)
            self._live = witness, tracer, batch  # first, so that `stop` takes off whatever has been put on
            self._stance.enter_context(eagerly())  # else dynamo would trace hooks and mode, and end the user's step
            witness.start()

    def stop(self) -> None:
        """The batch is through, or the run ended: hooks come off, and what was seen is kept."""
        if self._live is None:
            return
        (witness, tracer, batch), self._live = self._live, None
        witness.stop()
        tracer.stop()
        self._stance.close()
        self._keep(witness.testimony(), tracer, batch)

    @torch.inference_mode(False)  # Lightning validates in it, and a loss whose gradients nobody could ask for is not read
    def rehearse(self, module: nn.Module, batch: Any, source: Source, name: str) -> None:
        """Reads a batch in a dry run of the step.

        It runs whatever is known here: another process may know less, and its step may wait for this one.
        """
        self.was_asked, batch = True, thawed(batch)
        tracer = ForwardTracer(module, batch)
        try:
            told = self._rehearsed(module, batch, source) if can_run_eagerly(module) else Testimony(why=COMPILED)
        finally:
            tracer.stop()
        if self.testimony is None or told.task != UNKNOWN:
            self.step = name
        self._keep(told, tracer, batch)

    def _rehearsed(self, module: nn.Module, batch: Any, source: Source) -> Testimony:
        head, others = self.asked.paths
        return dry_run(module, partial(source.step, batch), batch, source.weights, source.optimizers, head, others)

    def rehearse_made(self, module: nn.Module, source: Source) -> None:
        """Reads a batch of the first items of the training data in a dry run; does nothing where they have no index.

        What the data draw, count and keep is put back; no loader is iterated.
        """
        self.was_asked = True
        if self.is_settled or collater(source.loader) is None:
            return
        dataset = source.loader.dataset
        try:
            with preserve_rng(dataset):
                items = range(min(batch_size_of(source.loader), len(dataset)))
                batch = source.transfer(source.loader.collate_fn([dataset[each] for each in items]))
                self.rehearse(module, batch, source, "training_step")
        except Exception:
            return  # the first batch of the training will tell

    def _keep(self, testimony: Testimony, tracer: ForwardTracer, batch: Any) -> None:
        if self.testimony is None or testimony.task != UNKNOWN:
            self.testimony, self._tracer, self._batch = testimony, tracer, first_rows(testimony, batch, MOST)

    # --- taking -----------------------------------------------------------------------------------------------------

    @torch.inference_mode(False)  # Lightning validates in it, and what is made there takes no gradient ever
    def take(
        self,
        module: nn.Module,
        given: Probe | None,
        source: Source,
        asked: Asked,
        indices: Sequence[int] | None = None,
    ) -> Probe | None:
        """The images, and with them what the network answers and how it is run.

        Args:
            module: what is to be looked at.
            given: the user's probe, if there is one.
            source: of the Trainer.
            asked: what the user said.
            indices: the images of a run that goes on; None to choose.

        Raises:
            ValueError: there are no images, or nobody knows how the network is run on them.
            Mistake: there are no labels where the user says that they are.
        """
        if self._nothing:
            raise ValueError(self._nothing)
        if given is not None and self._is_plain:
            return given
        is_missing = self._taken is None or (given is None and self.probe is None)
        if is_missing and self.testimony is not None:
            self._take(module, source, asked, indices, given)
        if self._taken is None:
            return given if self._is_plain else None
        if given is not None and self.answer is not None and self.answer.task != UNKNOWN:
            self._taken.call_for(given, module)  # refuses what the probe has not got
        return self.probe if given is None else self._as_met(given, module, source, asked)

    def _as_met(self, given: Probe, module: nn.Module, source: Source, asked: Asked) -> Probe:
        """A user's probe with the labels that its answers are compared with."""
        it = self.testimony
        if given.truth is None or given.has_pictures or it is None or not it.target or it.task == UNKNOWN:
            return given  # masks of black and white have been read as classes by now
        try:
            with preserve_rng(*owners_of(source.loader)):
                met = labels_met(it, module, self._batch, given.truth, source, asked.words)
        except Exception:  # the step says why it cannot be run with these labels; the images can be looked at all the same
            met = None
        is_same = met is given.truth
        self.given_notes = () if is_same else (_NOT_MET if met is None else _MET,)
        return given if is_same else given.told(met)

    def forget_images(self) -> None:
        """The images that were taken are not those that are wanted: the next one who asks has them chosen anew."""
        self._taken = self.probe = None

    def _take(
        self, module: nn.Module, source: Source, asked: Asked, indices: Sequence[int] | None, given: Probe | None
    ) -> None:
        assert self.testimony is not None  # the caller has seen to it
        check_labels_at(self._batch, self.testimony, asked)
        try:
            with preserve_rng(*owners_of(source.loader)):
                taken = taken_of(self.testimony, module, self._batch, self._tracer, source, asked, indices, given is None)
        except Exception as error:
            if given is not None and is_users(getattr(module, "forward", None)):
                self._take_as_it_is(module, asked)
                return
            why = _first_line(error)
            self._nothing = why if isinstance(error, NotInEval) else _nothing_found(why, self.testimony, given)
            raise ValueError(self._nothing) from error
        self._taken, self.notes = taken.without_batch(), (*taken.notes, *_of_loaders(source))
        self.answer = answer_of(taken.testimony, taken.truth, asked, at_meeting=taken.at_meeting)
        if given is None:
            self.probe = _probe_of(taken, source, asked, self.answer)
        self.heads = self._heads(taken, module, source, asked)

    @torch.inference_mode(False)
    def pool(self, module: nn.Module, source: Source) -> Pool:
        """Images beside the probe, for experiments; nothing is drawn from the user's random streams.

        Args:
            module: what is to be asked.
            source: of the Trainer.

        Raises:
            LookupError: there can be none, in a sentence that says what would help.
        """
        if self._taken is None:
            raise LookupError("how the network is run on images of the data is not known")
        with preserve_rng(getattr(source.loader, "dataset", None)):
            return pool_of(self._taken.testimony, module, source, self.asked)

    def _take_as_it_is(self, module: nn.Module, asked: Asked) -> None:
        """The user's images go into the module itself, which has a forward for them."""
        assert self.testimony is not None  # the caller has seen to it
        it = self.testimony
        self.answer = answer_of(it, None, asked)
        self._is_plain = True
        self.heads = tuple(
            TrainerHead(str(words.head), answer_of(other, None, asked.of(words))) for words, other in _others(it, asked)
        )

    def _heads(self, first: Taken, module: nn.Module, source: Source, asked: Asked) -> tuple[TrainerHead, ...]:
        """What is known of the other heads that were asked for; one that cannot be read takes no other along."""
        assert self.testimony is not None  # the caller has seen to it
        found = []
        for words, other in _others(self.testimony, asked):
            name, own = str(words.head), asked.of(words)
            try:
                with preserve_rng(*owners_of(source.loader)):
                    taken = head_of(first, other, module, self._tracer, source, own)
                answer = answer_of(taken.testimony, taken.truth, own, at_meeting=taken.at_meeting)
                found.append(TrainerHead(name, answer, taken))
            except Exception as error:
                found.append(TrainerHead(name, answer_of(other, None, own), why=_first_line(error)))
        return tuple(found)

    def forward_of(self, head: TrainerHead, given: Probe | None, module: nn.Module, first: Forward | None) -> Forward | None:
        """How the network is run up to another head: as up to the first one, where one call gives both.

        Raises:
            ValueError: it is given more than images, and the user's probe has not got it.
        """
        if head.taken is None or (self._taken is not None and head.taken.call is self._taken.call):
            return first
        return head.taken.call if given is None else head.taken.call_for(given, module)

    def said_of_heads(self) -> str:
        """The heads that a loss takes, for a sentence of refusal; "" where none is known."""
        told = () if self.testimony is None else (self.testimony, *self.testimony.others)
        known = {(each.call, each.path): each for it in told for each in it.heads}
        return f"; a loss takes {listed([*known.values()])}" if known else ""

    def unmet(self, asked: Asked) -> list[Path]:
        """The heads that a user has named and that no loss was seen to take: they may still be in the output."""
        it, (first, others) = self.testimony, asked.paths
        told = () if it is None else (it, *it.others)
        return [
            head for head, each in zip((first, *others), told, strict=False) if head is not None and not each.is_called(head)
        ]

    def forward(self, given: Probe | None, module: nn.Module) -> Forward | None:
        """How the network is run on the images; None: by calling it."""
        if self._taken is None:
            return None
        return self._taken.call if given is None else self._taken.call_for(given, module)


def _first_line(error: Exception) -> str:
    return f"{error}".strip().split("\n")[0].rstrip(".") or type(error).__name__


def _others(it: Testimony, asked: Asked) -> list[tuple[Words, Testimony]]:
    """What was said of each of the other heads."""
    return [*zip(asked.others, it.others, strict=True)] if len(it.others) == len(asked.others) else []


def _of_loaders(source: Source) -> list[str]:
    count = source.loaders
    return [f"the images are from the first of {count} loaders"] if count > 1 else []


def loaders_of(trainer: Any) -> int:
    """How many loaders there are of the kind that images are taken from."""
    given = trainer.test_dataloaders if trainer.state.fn == "test" else trainer.val_dataloaders
    loaders = trainer.train_dataloader if given is None or given in ([], ()) else given
    return len(loaders) if isinstance(loaders, (list, tuple, Mapping)) else 1


def loader_of(trainer: Any) -> Any:
    """The loader that images are taken from: the first for validation or test, else the first for training."""
    # Neither `or` nor `if`: the truth of a loader is its length, which iterable data do not have.
    given = trainer.test_dataloaders if trainer.state.fn == "test" else trainer.val_dataloaders
    return first_of(trainer.train_dataloader if given is None or given in ([], ()) else given)


def is_read(trainer: Any) -> bool:
    """Whether the loader that images are taken from is being read: in a fit that is the one for training."""
    return trainer.state.fn != "fit" or any(loader_of(trainer) is each for each in _every(trainer.train_dataloader))


def _every(loaders: Any) -> list[Any]:
    """All loaders in a container of them."""
    if not _holds_loaders(loaders):
        return [loaders]
    return [each for part in (loaders.values() if isinstance(loaders, Mapping) else loaders) for each in _every(part)]


def first_of(loaders: Any) -> Any:
    """The first of several loaders, or the only one."""
    while _holds_loaders(loaders) and len(loaders):
        loaders = next(iter(loaders.values() if isinstance(loaders, Mapping) else loaders))
    return loaders


def _holds_loaders(value: Any) -> bool:
    """Whether a container is one of loaders, as Lightning sees it: a list of another class may be a loader itself."""
    is_named = isinstance(value, tuple) and hasattr(value, "_fields")
    return type(value) in (list, tuple, dict, OrderedDict, defaultdict) or is_named


def _probe_of(taken: Taken, source: Source, asked: Asked, answer: Answer) -> Probe:
    dataset = getattr(source.loader, "dataset", None)
    scaling = scaling_of(dataset)
    names = class_names_of(source.datamodule) or class_names_of(dataset)
    known: dict[str, Any] = {"class_names": named(names, ()) or taken.names}
    if scaling is not None and taken.is_leaf and not {len(scaling[0]), len(scaling[1])} - {1, taken.channels}:
        known |= {"mean": scaling[0], "std": scaling[1]}
    probe = Probe(taken.images, taken.labels, taken.masks, **(known | asked.choice.arguments))
    probe.indices = taken.indices
    if taken.truth is not None and (probe.truth is None or answer.task not in ("multiclass", "binary", "embedding")):
        probe.truth, probe.has_pictures = without_white(taken.truth), are_pictures(taken.truth)
    return probe


def _nothing_found(why: str, it: Testimony, given: Probe | None) -> str:
    if given is not None:
        return f"how the network is run on the images of probe= is not known ({why})"
    if it.why == COMPILED:
        return f"no images were found to look at ({COMPILED}): pass probe=Probe(images, labels) and task=, or use torch 2.6"
    return f"no images were found to look at ({why}): pass probe=Probe(images, labels)"


def is_users(method: Callable[..., Any] | None) -> bool:
    """Whether a method is more than Lightning's own, which does nothing."""
    return method is not None and home_of(method).partition(".")[0] not in (*LIGHTNING, "torch")


def home_of(function: Any) -> str:
    """The module that a function comes from."""
    return str(getattr(getattr(function, "__func__", function), "__module__", ""))
