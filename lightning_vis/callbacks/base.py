"""LookCallback: a Lightning Callback with a session; watches a first batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn

from lightning_vis.callbacks.budget import Budget
from lightning_vis.callbacks.failures import Failures, log
from lightning_vis.callbacks.host.parents import Callback
from lightning_vis.callbacks.host.versions import refuse_old
from lightning_vis.callbacks.schedule import ends_epoch
from lightning_vis.callbacks.session.barrier import awaited
from lightning_vis.callbacks.session.frame_logger import leave_page
from lightning_vis.callbacks.session.run_folder import frame_files, leave_nothing_empty
from lightning_vis.callbacks.session.session import Session
from lightning_vis.callbacks.settings import Settings
from lightning_vis.callbacks.trainer import is_sharded, looks_here, refusal_of, time_limit_of
from lightning_vis.events.loggers import image_writers
from lightning_vis.film import Film
from lightning_vis.model.layers import has_lazy_layers
from lightning_vis.model.snapshot.shards import Weights, gathered, lent_whole
from lightning_vis.probe.probe import Probe, given_probe, probe_of_data
from lightning_vis.probe.source.source import Asked


class LookCallback(Callback):
    """What all callbacks that look have in common; a class, because the Trainer calls hooks by their names.

    What the network answers is read from the first batch: live in the sanity check, else in a dry run of the step.

    Args:
        probe: the user's images, a function that returns them, or their name in the datamodule, if there are any.
        settings: how it looks.
        work: what it spends its time on, as `Budget` calls it.
        asked: what the user said of images and answer.

    Raises:
        ImportError: a package is too old.
    """

    def __init__(
        self, probe: Probe | Callable[[], Probe] | str | None, settings: Settings, work: str, asked: Asked | None = None
    ) -> None:
        super().__init__()
        refuse_old()
        self.named = probe if isinstance(probe, str) else None
        self.probe = None if isinstance(probe, str) else given_probe(probe)
        self.settings, self.asked = settings, asked
        self.failures = Failures(settings.on_error)
        self.budget = Budget(settings.max_overhead, work)
        self.session = Session(self.probe, self.failures, self.budget, asked)
        self._is_first = True  # no batch of this run has come yet
        self._waits = False  # for the first batch, which gives lazy layers their shapes
        self._is_open = False  # in a run
        self._ask: Callable[[], None] | None = None  # asks the processes that wait to help gather the weights

    def __getstate__(self) -> dict[str, Any]:
        """Without the module's `log`, which Lightning hangs on every callback, and the whole network on it."""
        return {name: value for name, value in vars(self).items() if name not in ("log", "log_dict")}

    @property
    def film(self) -> Film:
        """The looks so far, at most 64 of them."""
        return self.session.logger.film

    @property
    def seconds(self) -> dict[str, float]:
        """What looking has cost since the fit began, by part."""
        return self.budget.seconds

    @contextmanager
    def _awaited(self, trainer: Any) -> Iterator[None]:
        """Work of the first process, for which the others wait; they help where it takes weights that all hold a part of."""
        if refusal_of(trainer):
            yield
            return
        with awaited(trainer, partial(gathered, trainer.strategy.model)) as self._ask:
            try:
                yield
            finally:
                self._ask = None

    @contextmanager
    def _lent(self, trainer: Any, module: nn.Module) -> Iterator[bool]:
        """The network with all its weights, in the first process, for as long as the others wait; False if that cannot be."""
        ask, self._ask = self._ask, None  # whoever looks within a look has them already
        weights: Weights | None = {}
        if ask is not None and is_sharded(trainer):
            weights = None
            with self.failures.surviving("putting the weights of all processes together"), self.budget.timed("weights"):
                ask()
                weights = gathered(trainer.strategy.model)
        try:
            with lent_whole(module, weights or {}):
                yield weights is not None
        finally:
            self._ask = ask

    def fetch(self, trainer: Any) -> None:
        """Takes the probe that has a name in the datamodule, which knows its data by now.

        Raises:
            ValueError: it has none of this name.
            TypeError: it is no probe.
        """
        if self.named is not None:
            self.probe = self.session.given = probe_of_data(self.named, getattr(trainer, "datamodule", None))

    def _may_look(self, trainer: Any) -> bool:
        """Whether this callback looks for itself, in this process, and somebody wants to know."""
        raise NotImplementedError

    def _start(self, trainer: Any, module: nn.Module, probe: Probe, moment: str = "start") -> None:
        """The images are known."""
        raise NotImplementedError

    def _open(self, trainer: Any, loggers: str) -> None:
        """A run begins: where its frames go; and one sentence where nothing is looked at."""
        self.failures.forget(self._said_in(trainer))
        self._is_open = True
        self.budget.start(time_limit_of(trainer))
        self.budget.is_first = trainer.state.fn == "fit" and trainer.current_epoch == 0
        self._is_first = True
        refusal = refusal_of(trainer)
        self.session.logger.open([], [])
        if looks_here(trainer):
            with self.failures.surviving("finding where pictures and frames go"):
                self.session.logger.open(image_writers(trainer.loggers, loggers), frame_files(trainer))
        if refusal and trainer.is_global_zero:
            self.failures.say(refusal)

    def _said_in(self, trainer: Any) -> set[str]:
        """What the callbacks of this Trainer have said in this run: one reason is said once, whichever of them meets it first."""
        others = (each for each in trainer.callbacks if isinstance(each, LookCallback) and each._is_open)
        return next((each.failures.said for each in others), set())

    def _rehearse(self, trainer: Any, module: nn.Module, batch: Any, step: str) -> Probe | None:
        """A batch that counts is about to come: it is rehearsed, if it is not known what the network answers, in every process.

        A dry run in one of several processes might wait for the others for ever.
        """
        session, may_be_whole = self.session, self._is_first or not is_sharded(trainer)  # later the others wait no more
        is_asked = session.probe is None and not session.has_given_up and may_be_whole and self._may_look(trainer)
        wants = is_asked and self._has_time(trainer) and not has_lazy_layers(module)
        needs = wants and not session.finder.is_settled
        if trainer.world_size > 1 and not refusal_of(trainer):
            needs = self._is_first and trainer.strategy.broadcast(needs)
        self._is_first = False
        if needs:
            surviving, timed = self.failures.surviving("reading what the network answers"), self.budget.timed("reading")
            with surviving, timed, self._whole_everywhere(trainer, module):
                self.session.rehearse(trainer, module, batch, step)
        return self._find(trainer, module) if wants else None

    def _whole_everywhere(self, trainer: Any, module: nn.Module) -> AbstractContextManager[None]:
        """The network with all its weights in each process: a step may wait for that of the others."""
        if not is_sharded(trainer):
            return nullcontext()
        return lent_whole(module, gathered(trainer.strategy.model, everywhere=True))

    def _has_time(self, trainer: Any) -> bool:
        """Whether to find out what there is to see takes no time that a limited training has not got."""
        return not (self.budget.is_limited and self.session.pauses("looks", trainer))

    def _find(self, trainer: Any, module: nn.Module) -> Probe | None:
        """The images, if it is known by now what the network answers."""
        if self.session.probe is None and self._may_look(trainer) and self._has_time(trainer):
            surviving, timed = self.failures.surviving("finding images to look at"), self.budget.timed("finding images")
            with surviving, timed, self._lent(trainer, module) as is_whole:
                return self.session.find(trainer, module) if is_whole else None
        return None

    def on_validation_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Watches the first batch of the sanity check live, whose results are thrown away; in ``trainer.validate`` it is
        rehearsed."""
        if trainer.sanity_checking and self._may_look(trainer) and not is_sharded(trainer):
            with self.failures.surviving("watching the first batch"), self.budget.timed("reading"):
                self.session.watch(trainer, pl_module, batch)
        elif trainer.state.fn == "validate" and batch_idx == 0:
            with self._awaited(trainer):
                self._rehearse(trainer, pl_module, batch, "validation_step")

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Takes what was watched."""
        if trainer.sanity_checking:
            with self.budget.timed("reading"):
                self.session.finder.stop()

    def on_test_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Rehearses the first batch."""
        if batch_idx == 0:
            with self._awaited(trainer):
                self._rehearse(trainer, pl_module, batch, "test_step")

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Takes the images and sees the untrained network, if it is known what it answers: from the sanity check, else from a
        dry run on a batch that is made of items by index."""
        finder, may_look = self.session.finder, self._may_look(trainer) and self._has_time(trainer)
        self._waits = has_lazy_layers(pl_module)
        is_alone = trainer.world_size == 1 and not is_sharded(trainer)
        if may_look and not finder.is_read and is_alone and not has_lazy_layers(pl_module):
            with self.failures.surviving("reading what the network answers"), self.budget.timed("reading"):
                self.session.rehearse_made(trainer, pl_module)
        with self._awaited(trainer):
            probe = self._find(trainer, pl_module) if may_look and finder.is_read else None
            if probe is not None:
                self._start_whole(trainer, pl_module, probe)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Looks of the first epoch have a share of the time of their own."""
        self.budget.is_first = trainer.current_epoch == 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """With its last batch the first epoch is over."""
        self.budget.is_first = self.budget.is_first and not ends_epoch(trainer)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Rehearses the first batch, where nothing else told what the network answers: its weights are still untouched."""
        with self._awaited(trainer) if self._is_first else nullcontext():
            probe = self._rehearse(trainer, pl_module, batch, "training_step")
            if probe is not None:
                self._start_whole(trainer, pl_module, probe)

    def _start_whole(self, trainer: Any, module: nn.Module, probe: Probe) -> None:
        with self._lent(trainer, module) as is_whole:
            if is_whole:
                self._start(trainer, module, probe)

    def _leave_page(self, trainer: Any) -> None:
        """Leaves the film of all callbacks as one HTML file, if this one is the last of them and any of them draws."""
        callbacks = [each for each in trainer.callbacks if isinstance(each, LookCallback)]
        if callbacks[-1] is not self or not looks_here(trainer) or not any(each.settings.images for each in callbacks):
            return
        if self.budget.is_limited and self.session.pauses("films", trainer):
            return
        with self.failures.surviving("making the film to take along"), self.budget.timed("films"):
            folders = sorted({folder for each in callbacks for folder in each.session.logger.folders})
            pages = [leave_page(folder) for folder in folders]
            for page in filter(None, pages):
                log(trainer, f"the film of this training, for any browser: {page}")

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Takes off what still watches, whatever ended the run."""
        self.session.finder.stop()
        self._is_open = False
        leave_nothing_empty(trainer)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Likewise."""
        self.teardown(trainer, pl_module, "")
