"""FilterMaximizationCallback: maximizes filters while a network trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn

from lightning_vis.arguments import count_of, names_of, plain
from lightning_vis.callbacks.base import LookCallback
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.callbacks.schedule import begins_anew, ends_epoch, is_due, is_spaced
from lightning_vis.callbacks.session.filter_looks import FilterLooks, Forward, forward_of
from lightning_vis.callbacks.settings import Settings
from lightning_vis.callbacks.trainer import finished_steps, moment_of
from lightning_vis.constants import OUTPUT
from lightning_vis.maximization.arguments import objective_of, size_of
from lightning_vis.maximization.channels import BACKGROUND, USUAL, Channels, check_channels, refuse_twice
from lightning_vis.maximization.objectives import Objective
from lightning_vis.maximization.presets import Recipe, preset_of
from lightning_vis.model.layers import find_layer
from lightning_vis.model.site.site import split
from lightning_vis.probe.probe import Probe


class FilterMaximizationCallback(LookCallback):
    """Shows what filters want to see, over the whole training, and leaves the training exactly as it was.

    Every picture starts cold from the same noise and sees the same random transforms, so that what changes in the film
    has changed in the network. Filters are maximized before the first step and after every epoch; from the 17th time on
    only when the number of epochs has grown by 10 %, and at the end.

    Args:
        layers: dotted names, or ``"<output>"`` for the classes; None: the classes and the last feature map.
        channels: how many from 0 on, a list of indices, ``"first"`` (8), ``"changed"`` (the 8 whose answers to the
            probe moved most since the last look) or ``"background-driven"`` (of the last feature map, those that follow
            the background of a ProbeCallback's twins).
        probe: the images that give size, range and colours, and that filters are compared on, as `ProbeCallback` takes
            them; None takes some from the Trainer's data.
        every_n_epochs: after every so many epochs.
        steps: of each optimization.
        objective: what of a channel is to rise: `channel` (its mean), `neuron()`, for classes `log_odds`, or your own (of
            `lightning_vis.maximization.objectives`); None: `channel`, and for classes `log_odds`.
        preset: ``"default"``, ``"keras-vis"``, ``"lucid"`` or a `Recipe`.
        size: height and width of the pictures; those of the probe if None.
        seed: of start and transforms.
        scalars: whether the activation reached is written as a scalar for each filter too.
        weights: whether a card ``weights/<layer>`` is written too, for layers that return maps: the layer's weights where
            it is a convolution, what moved in them since the last look, and what each filter answers to the probe's
            first images.
        max_overhead: as `ProbeCallback`; over it filters are the first to pause.
        on_error: ``"warn"``: a failure is said once per fit and the training goes on; ``"raise"``: it stops the training.
        loggers: as `ProbeCallback`.

    Raises:
        ValueError: arguments out of range, or, when fit starts, layers or channels that do not exist.
    """

    def __init__(
        self,
        layers: Sequence[str] | None = None,
        channels: Channels = USUAL,
        probe: Probe | Callable[[], Probe] | str | None = None,
        *,
        every_n_epochs: int = 1,
        steps: int = 64,
        objective: Objective | None = None,
        preset: str | Recipe = "default",
        size: tuple[int, int] | None = None,
        seed: int = 0,
        scalars: bool = False,
        weights: bool = False,
        max_overhead: float = 0.01,
        on_error: str = "warn",
        loggers: str = "all",
    ) -> None:
        super().__init__(probe, Settings(on_error=on_error, max_overhead=max_overhead, loggers=loggers), "filters")
        channels = plain(channels)
        check_channels(channels)
        preset_of(preset)
        objective_of(objective, OUTPUT)
        self.layers = None if layers is None else names_of(layers, "layers")
        self.channels = channels
        self.every_n_epochs = count_of(every_n_epochs, "every_n_epochs")
        arguments = {
            "objective": objective,
            "steps": count_of(steps, "steps"),
            "preset": preset,
            "size": size_of(size),
            "seed": seed,
        }
        self.looks = FilterLooks(self.session, self.layers, channels, arguments, weights)
        self.scalars = scalars
        self._forget()

    def _forget(self) -> None:
        """A new training: nothing has been drawn."""
        self._count = 0  # moments at which filters could have been maximized; the film holds those at which they were
        self._drawn = 0
        self._finished: int | None = None

    @property
    def state_key(self) -> str:
        """Tells callbacks of one Trainer apart in a checkpoint."""
        return self._generate_state_key(layers=self.layers, channels=self.channels, every_n_epochs=self.every_n_epochs)

    # --- when -------------------------------------------------------------------------------------------------------

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Images are looked for anew in every fit, and a new training has a new film."""
        if stage == "fit":
            self.fetch(trainer)
            self.session.prepare(trainer, begins_anew(trainer))
            self.looks.prepare(begins_anew(trainer))
            if begins_anew(trainer):
                self._forget()

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Refuses what cannot work, before anything is trained."""
        for layer in self.layers or ():
            if layer != OUTPUT:
                find_layer(pl_module, split(layer)[0])
        alike = [each for each in trainer.callbacks if isinstance(each, FilterMaximizationCallback)]
        refuse_twice([each.layers for each in alike])
        self.looks.others = frozenset(layer for each in alike if each is not self for layer in each.layers or ())
        self._refuse_unmeasured(trainer.callbacks)
        self._open(trainer, self.settings.loggers)
        make_room(trainer.callbacks, sum(each.looks.tags for each in alike))

    def _refuse_unmeasured(self, callbacks: Sequence[Any]) -> None:
        if self.channels == BACKGROUND and not any(isinstance(each, ProbeCallback) for each in callbacks):
            raise ValueError(
                f"channels={BACKGROUND!r}: it takes a ProbeCallback beside this one, whose probe has twins, to measure"
                " which channels follow the background"
            )

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Maximizes after a validation inside fit."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and ends_epoch(trainer):
            with self._awaited(trainer):
                self._visit(trainer, pl_module, "validation")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Maximizes after an epoch that no validation ended."""
        with self._awaited(trainer):
            self._visit(trainer, pl_module, "epoch")

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Maximizes the filters of the finished network, if that has not been done."""
        with self._awaited(trainer):
            self._visit(trainer, pl_module, "end")
            self.looks.draw()
            self._leave_page(trainer)

    def _may_look(self, trainer: Any) -> bool:
        return self.session.logger.is_open and trainer.state.fn == "fit"

    def _start(self, trainer: Any, module: nn.Module, probe: Probe, moment: str = "start") -> None:
        """The images are known: what cannot work is refused, and the network is seen as it begins, untrained or going on."""
        self.session.take(probe)
        if self.session.can_see(module):
            self.looks.choose(module, self._forward(trainer, module))
        if finished_steps(trainer, moment) == 0 or not self.film.frames:
            self._visit(trainer, module, "start")

    def _visit(self, trainer: Any, module: nn.Module, moment: str) -> None:
        """Maximizes at spaced visits; always cold, whatever was drawn before."""
        finished = finished_steps(trainer, moment)
        is_between = moment in ("validation", "epoch") and not is_due(trainer, self.every_n_epochs)
        if not self.session.can_see(module) or is_between or (moment != "end" and finished == self._finished):
            return
        self._count += finished != self._finished
        self._finished = finished
        is_turn = self._last_step != finished if moment == "end" else is_spaced(self._count, self._drawn)
        if not is_turn:
            return
        with self._lent(trainer, module) as is_whole:
            if is_whole and self._look(trainer, module, moment_of(trainer, self, moment, finished)):
                self._drawn = self._count

    @property
    def _last_step(self) -> int:
        """Finished steps when filters were seen last; -1 before."""
        return self.film.frames[-1].finished_steps if self.film.frames else -1

    def _look(self, trainer: Any, module: nn.Module, when: dict[str, Any]) -> bool:
        """Whether anything was found: there is time, and some layer does not rest."""
        found = self.looks.look(module, self._forward(trainer, module), trainer.callbacks)
        if found:
            self.looks.keep(found, when, self.scalars)
        return bool(found)

    def _forward(self, trainer: Any, module: nn.Module) -> Forward:
        return forward_of(trainer, self.session.forward_config(trainer, module).forward or module)

    # --- kept in checkpoints ----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The film so far, and what the next look is compared with."""
        return {**self.session.state(), "visits": self._count, "drawn": self._drawn, **self.looks.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The film goes on where it stopped."""
        with self.failures.reading("what filters are compared with"):
            changes = self.looks.changes(state_dict)
            if changes:
                what = f"the filters are maximized otherwise than in the checkpoint ({changes}): their film begins anew"
                self.failures.say(what)
                return
            count, drawn = int(state_dict["visits"]), int(state_dict["drawn"])
            self.looks.load(state_dict)
            self.session.load(state_dict)
            self._count, self._drawn, self._finished = count, drawn, self._last_step


def make_room(callbacks: Iterable[Any], tags: int) -> None:
    """Tells those who draw beside the filters how many image tags these take."""
    for other in callbacks:
        if isinstance(other, ProbeCallback):
            other.looks.neighbours = tags
