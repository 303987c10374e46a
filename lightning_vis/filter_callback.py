"""When to maximize filters while a network trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from lightning_vis.arguments import names_of
from lightning_vis.budget import Budget
from lightning_vis.callbacks import _probe_of, _warn
from lightning_vis.film import Film, is_spaced
from lightning_vis.filter_facts import numbers_of
from lightning_vis.filter_rendering import filter_sheet, filter_strip, small
from lightning_vis.filters import (
    USUAL,
    Channels,
    check_channels,
    chosen_channels,
    filter_pictures,
    profile,
    usual_layers,
)
from lightning_vis.frames import Array, Frame, Pictures, thinned
from lightning_vis.gallery import COLUMNS
from lightning_vis.layers import find_layer
from lightning_vis.maximization import OUTPUT
from lightning_vis.objectives import Objective, channel
from lightning_vis.probe import Probe, given_probe
from lightning_vis.recipes import Recipe, recipe_of
from lightning_vis.state import as_arrays, as_tensors
from lightning_vis.storing import Store
from lightning_vis.timing import ends_epoch, finished_steps, moment_of, precision_of
from lightning_vis.weight_film import WeightFilm
from lightning_vis.writing import encoded, image_writers, write_pictures

if TYPE_CHECKING:
    from pytorch_lightning import Callback
else:
    from lightning_vis.callbacks import Callback


class FilterMaximizationCallback(Callback):
    """Shows what filters want to see, over the whole training, and leaves the training exactly as it was.

    Every picture starts cold from the same noise and sees the same random transforms, so that what changes in the film
    has changed in the network. Filters are maximized before the first step and after every epoch; from the 17th time on
    only when the number of epochs has grown by 10 %, and at the end.

    Args:
        layers: dotted names, or ``"<output>"`` for the classes; None: the first convolution and the last feature map.
        channels: how many from 0 on, a list of indices, ``"first"`` (8), ``"changed"`` (the 8 whose answers to the
            probe moved most since the last look) or ``"background-driven"`` (those that follow the twins' background).
        probe: the images that give size, range and colours, and that filters are compared on; None takes some from
            the Trainer's data.
        every_n_epochs: after every so many epochs.
        steps: of each optimization.
        objective: what of a channel is to rise: `channel` (its mean), `neuron`, for classes `log_odds`, or your own.
        preset: ``"default"``, ``"keras-vis"``, ``"lucid"`` or a `Recipe`.
        size: height and width of the pictures; those of the probe if None.
        seed: of start and transforms.
        scalars: whether the activation reached is written as a scalar for each filter too.
        weights: whether a card ``weights/<layer>`` is written too: the layer's weights where it is a convolution, what
            moved in them since the last look, and what each filter answers to the first images of the probe.
        max_overhead: the share of the training time so far that all looks together may cost (or 60 seconds, whichever
            is more); over it filters are the first to pause.

    Raises:
        ValueError: arguments out of range, or, when fit starts, layers or channels that do not exist.
    """

    def __init__(
        self,
        layers: Sequence[str] | None = None,
        channels: Channels = USUAL,
        probe: Probe | Callable[[], Probe] | None = None,
        *,
        every_n_epochs: int = 1,
        steps: int = 64,
        objective: Objective = channel,
        preset: str | Recipe = "default",
        size: tuple[int, int] | None = None,
        seed: int = 0,
        scalars: bool = False,
        weights: bool = False,
        max_overhead: float = 0.01,
    ) -> None:
        super().__init__()
        check_channels(channels)
        recipe_of(preset)
        for name, value in (("every_n_epochs", every_n_epochs), ("steps", steps)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r}: expected a whole number of at least 1")
        self.layers = None if layers is None else names_of(layers, "layers")
        self.channels = channels
        self.probe = given_probe(probe)
        self.every_n_epochs = every_n_epochs
        self.scalars = scalars
        self.arguments: dict[str, Any] = {"objective": objective, "steps": steps, "preset": preset}
        self.arguments |= {"size": size, "seed": seed}
        self.weights: dict[str, WeightFilm] | None = {} if weights else None
        self.film = Film()
        self.budget = Budget(max_overhead)
        self._visits = 0  # moments at which filters could have been maximized; the film holds those at which they were
        self._drawn = 0
        self._finished: int | None = None
        self._profiles: dict[str, Tensor] = {}
        self._shown: list[str] = []
        self._cards: dict[str, Array] = {}
        self._resting: set[str] = set()
        self._said: set[str] = set()
        self._writers: list[Any] = []
        self._store = Store(())
        self._images: Probe | None = None

    @property
    def seconds(self) -> dict[str, float]:
        """What maximizing has cost since the fit began, by part."""
        return self.budget.seconds

    @property
    def state_key(self) -> str:
        """Tells callbacks of one Trainer apart in a checkpoint."""
        return self._generate_state_key(layers=self.layers, channels=self.channels, every_n_epochs=self.every_n_epochs)

    # --- when -------------------------------------------------------------------------------------------------------

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Refuses what cannot work, before anything is trained."""
        for layer in self.layers or ():
            if layer != OUTPUT:
                find_layer(pl_module, layer)
        self._refuse_twice(trainer)
        self._resting.clear()
        self.budget.start()
        self._writers = image_writers(trainer.loggers) if trainer.is_global_zero else []
        self._store = Store(self._writers)
        if not self._writers and trainer.is_global_zero:
            given = ", ".join(type(logger).__name__ for logger in trainer.loggers) or "none"
            _warn(f"no logger of this Trainer takes images (loggers: {given}), so no filters are shown")

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Takes the probe and maximizes the filters of the untrained network."""
        if not self._writers:
            return
        self._images = self.probe or _probe_of(trainer)
        forward = _forward(trainer, pl_module)
        self._shown = self.layers or usual_layers(pl_module, self._images.images, forward)
        if self.channels != "background-driven":
            for layer in self._shown:
                chosen_channels(self.channels, profile(pl_module, layer, self._images.images, forward))
        if trainer.global_step == 0:
            self._visit(trainer, pl_module, "start")

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Maximizes after a validation inside fit."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and self._due(trainer) and ends_epoch(trainer):
            self._visit(trainer, pl_module, "validation")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Maximizes after an epoch that no validation ended."""
        if self._due(trainer):
            self._visit(trainer, pl_module, "epoch")

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Maximizes the filters of the finished network, if that has not been done."""
        self._visit(trainer, pl_module, "end")

    def _due(self, trainer: Any) -> bool:
        return bool((trainer.current_epoch + 1) % self.every_n_epochs == 0)

    def _visit(self, trainer: Any, pl_module: Any, moment: str) -> None:
        """Maximizes at spaced visits; always cold, whatever was drawn before."""
        finished = finished_steps(trainer, moment)
        if not self._writers or self._images is None or (moment != "end" and finished == self._finished):
            return
        at_end = moment == "end"
        self._visits += finished != self._finished
        self._finished = finished
        if is_spaced(self._visits, self._drawn) if not at_end else self._last_step() != finished:
            refusal = self.budget.refusal("filters", trainer.callbacks)
            if refusal and moment not in ("start", "end"):
                self._say(refusal)
                return
            self._look(trainer, pl_module, moment_of(trainer, self, moment, finished))
            self._drawn = self._visits

    def _say(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            _warn(message)

    def _last_step(self) -> int:
        return self.film.frames[-1].finished_steps if self.film.frames else -1

    # --- what -------------------------------------------------------------------------------------------------------

    def _look(self, trainer: Any, pl_module: Any, when: dict[str, Any]) -> None:
        assert self._images is not None  # visits end where there is none
        started = time.perf_counter()
        found: dict[str, tuple[Pictures, dict[str, float]]] = {}
        for layer in self._shown:
            if layer not in self._resting:
                try:
                    found[layer] = self._maximized(trainer, pl_module, layer)
                except Exception as error:
                    self._rest(layer, error)
        self._count("maximizing", started)
        if found:
            self._show(_frame(self._images, found, when))

    def _maximized(self, trainer: Any, model: nn.Module, layer: str) -> tuple[Pictures, dict[str, float]]:
        assert self._images is not None  # as in _look
        forward = _forward(trainer, model)
        now = profile(model, layer, self._images.images, forward)
        background = _background(trainer, layer)
        unknown_yet = self.channels == "background-driven" and background is None and not self.film.frames
        wanted: Channels = "first" if unknown_yet else self.channels
        channels = chosen_channels(wanted, now, self._profiles.get(layer), background)
        pictures, filters = filter_pictures(model, layer, channels, self._images, forward=forward, **self.arguments)
        self._profiles[layer] = now
        if self.weights is not None:
            film = self.weights.setdefault(layer, WeightFilm())
            self._cards[f"weights/{layer}"] = film.card(model, layer, channels, self._images, forward)
        return pictures, numbers_of(layer, filters)

    def _show(self, frame: Frame) -> None:
        started = time.perf_counter()
        for part, failure in self._store.add(frame, None).items():
            _warn(f"{part!r} could not be stored for the tab: {failure}")
        self.film.add(replace(frame, pictures={name: small(each) for name, each in frame.pictures.items()}))
        shown = [self.film.frames[at] for at in thinned(len(self.film.frames), COLUMNS)]
        pictures, self._cards = self._cards, {}
        for name in frame.pictures:
            layer = name.removeprefix("filters/")
            pictures |= {name: filter_sheet(frame, layer), f"film/filters.{layer}": filter_strip(shown, layer)}
        data = encoded(pictures)
        for writer in self._writers:
            write_pictures(writer, data, frame.log_step, dict.fromkeys(pictures, _READING))
            if self.scalars and hasattr(writer, "add_scalar"):
                for tag, value in frame.numbers.items():
                    if tag.endswith("/activation"):
                        writer.add_scalar(tag, value, frame.log_step)
        self._count("showing", started)

    def _rest(self, layer: str, error: Exception) -> None:
        self._resting.add(layer)
        _warn(f"the filters of {layer!r} rest until the next fit, because their maximization failed: {error}")

    def _count(self, part: str, started: float) -> None:
        self.budget.count(part, time.perf_counter() - started)

    def _refuse_twice(self, trainer: Any) -> None:
        for other in trainer.callbacks:
            if isinstance(other, FilterMaximizationCallback) and other is not self:
                both = sorted(set(self.layers or ["None"]) & set(other.layers or ["None"]))
                if both:
                    raise ValueError(
                        f"two FilterMaximizationCallbacks would write the pictures of the layers {', '.join(both)}:"
                        " give one of them other layers"
                    )

    # --- kept in checkpoints ----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The film so far."""
        film = as_tensors(self.film.state())
        return {"film": film, "visits": self._visits, "drawn": self._drawn, "profiles": dict(self._profiles)} | {
            "weights": {layer: (each.limit, each.last) for layer, each in (self.weights or {}).items()}
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The film goes on where it stopped."""
        self.film = Film.from_state(as_arrays(state_dict["film"]))
        self._visits, self._drawn = int(state_dict["visits"]), int(state_dict["drawn"])
        self._profiles = dict(state_dict["profiles"])
        if self.weights is not None:
            self.weights = {layer: WeightFilm(*each) for layer, each in state_dict["weights"].items()}
        self._finished = self._last_step()


_READING = """What excites each filter most, found by gradient ascent from the same noise at every look: what changes
from look to look has changed in the network. Under each picture: the channel, the activation that the picture reaches
(the mean over the map), and the highest activation among the probe images. Orange: a probe image excites the filter
more than its own picture, or the filter is dead."""


def _frame(probe: Probe, found: dict[str, tuple[Pictures, dict[str, float]]], when: dict[str, Any]) -> Frame:
    pictures = {f"filters/{layer}": pictures for layer, (pictures, _) in found.items()}
    numbers = {tag: value for _, facts in found.values() for tag, value in facts.items()}
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    return Frame(probe.name, *nobody, pictures=pictures, numbers=numbers, **when)


def _forward(trainer: Any, model: nn.Module) -> Callable[[Tensor], Any]:
    context, _ = precision_of(trainer)

    def forward(images: Tensor) -> Any:
        with context():
            return model(images)

    return forward


def _background(trainer: Any, layer: str) -> list[int] | None:
    """The channels that follow the background, most of all first, as the callback beside this one last saw them."""
    for other in trainer.callbacks:
        frame = getattr(getattr(other, "gallery", None), "last", None)
        numbers = getattr(frame, "per_image", {}).get(f"reliance/background_driven/{layer}")
        if numbers is not None:
            order = np.argsort(-np.asarray(numbers), kind="stable")
            return [int(index) for index in order if numbers[index] > 0.5]
    return None
