"""Looks at what filters want to see: which layers and channels, and what rests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn

from lightning_vis import clock
from lightning_vis.callbacks.schedule import is_wide
from lightning_vis.callbacks.session.drawings import of_filters
from lightning_vis.callbacks.session.session import Session
from lightning_vis.callbacks.trainer import precision_of
from lightning_vis.constants import OUTPUT
from lightning_vis.frames import Frame, numbers_of
from lightning_vis.maximization.channels import (
    BACKGROUND,
    USUAL,
    USUAL_LAYERS,
    Channels,
    chosen_channels,
    profile,
    usual_layers,
)
from lightning_vis.maximization.cost import seconds_of
from lightning_vis.maximization.frame_builder import Found, build_frame, filter_pictures, first_of
from lightning_vis.maximization.presets import Recipe
from lightning_vis.maximization.weights import WeightFilm, WeightLook
from lightning_vis.model.cut import said_of_cuts, used_in
from lightning_vis.model.run import on_model
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.model.truncated import opened
from lightning_vis.probe.probe import Probe
from lightning_vis.render.filters import small_frame

Forward = Callable[[Tensor], Any]

_CHOICE = "choosing the layers of the filters"


class FilterLooks:
    """The looks of one callback at a network's filters.

    Args:
        session: of the callback.
        layers: dotted names; None for the usual ones.
        channels: which filters of each.
        arguments: of `maximize`, the same at every look.
        weights: whether weights are drawn too.

    Attributes:
        shown: the layers that are looked at, once they are known.
        profiles: what each layer's channels answered to the probe at the last look.
        weights: by layer, what the next card of weights is compared with; None where none are drawn.
        others: layers that other callbacks show.
    """

    def __init__(
        self, session: Session, layers: Sequence[str] | None, channels: Channels, arguments: Mapping[str, Any], weights: bool
    ) -> None:
        self.shown: list[str] = []
        self.profiles: dict[str, Tensor] = {}
        self.weights: dict[str, WeightFilm] | None = {} if weights else None
        self.others: frozenset[str] = frozenset()
        self._last: tuple[Frame, Mapping[str, Found]] | None = None  # what has not been drawn yet
        self._session = session
        self._layers, self._channels, self._arguments = layers, channels, arguments
        self._seconds: dict[str, float] = {}  # what each layer takes: measured before its first film, then what that took

    @property
    def tags(self) -> int:
        """How many image tags are written."""
        layers = self._layers or USUAL_LAYERS
        return len(layers) + (0 if self.weights is None else sum(layer != OUTPUT for layer in layers))

    def prepare(self, is_new: bool) -> None:
        """Another run begins, of a new training or of one that goes on: layers are chosen anew."""
        self.shown, self._last, self._seconds = [], None, {}
        if is_new:
            self.profiles = {}
            self.weights = None if self.weights is None else {}

    def choose(self, module: nn.Module, forward: Forward) -> None:
        """Chooses the layers, once; if the network fails, that is said, and it is met again at the next look.

        Raises:
            ValueError: a layer has no such channels.
        """
        if self.shown:
            return
        try:
            profiles = self._profiled(module, forward)
        except Exception as error:
            self._session.failures.tell(f"{_CHOICE} failed", error)
            return
        for layer, each in profiles.items() if self._channels != BACKGROUND else ():  # nobody knows those yet
            try:
                chosen_channels(self._channels, each)
            except ValueError as error:
                raise ValueError(f"layer {layer!r}: {error}") from error
        self.shown = list(profiles)

    @property
    def _probe(self) -> Probe:
        assert self._session.probe is not None  # `can_see` has been asked
        return self._session.probe

    def _profiled(self, module: nn.Module, forward: Forward) -> dict[str, Tensor]:
        usual = () if self._layers else usual_layers(module, self._probe.images, forward)
        layers = list(self._layers or [layer for layer in usual if layer not in self.others])
        if self._channels == BACKGROUND and self._layers is None:
            layers = layers[-1:]  # classes are no channels that could follow it
        return {layer: profile(module, layer, self._probe.images, forward) for layer in layers}

    def look(self, module: nn.Module, forward: Forward, callbacks: Iterable[Any]) -> dict[str, Found]:
        """One look, in which a layer that fails rests until the next fit and takes no other along.

        Args:
            module: what is looked at; it is lent once for all layers.
            forward: how it is run.
            callbacks: of the Trainer; one of them may know which channels follow the background.

        Returns:
            By layer.
        """
        session, found = self._session, dict[str, Found]()
        with session.failures.surviving(_CHOICE):  # the shapes of lazy layers were not known when fit started
            self.choose(module, forward)
        awake = [layer for layer in self.shown if layer not in session.failures.resting]
        with session.failures.surviving("maximizing the filters"), preserve_state(module) if awake else nullcontext():
            for layer in awake:
                if self._pauses(self._seconds.get(layer, 0.0), callbacks):
                    break
                found |= self._timed(layer, partial(self._try_layer, module, layer, forward, callbacks))
        return found

    def _pauses(self, seconds: float, callbacks: Iterable[Any]) -> bool:
        """Whether there is no time for a film that takes so long; said once."""
        refusal = self._session.budget.refusal("filters", callbacks, seconds)
        if refusal:
            self._session.failures.say(refusal)
        return bool(refusal)

    def _is_too_long(self, layer: str, ascend: Callable[..., Any], callbacks: Iterable[Any], least: float) -> bool:
        """Whether there is no time for a layer's first film, which is measured before it is begun.

        Args:
            layer: its name.
            ascend: makes the film.
            callbacks: of the Trainer.
            least: seconds that a step takes at least: where that is too long, measuring would be too.
        """
        steps = self._arguments["steps"]
        if layer in self._seconds:
            return False
        if self._pauses(steps * least, callbacks):
            return True
        self._seconds[layer] = seconds_of(ascend, self._arguments["preset"], steps)
        return self._pauses(self._seconds[layer], callbacks)

    def _try_layer(self, module: nn.Module, layer: str, forward: Forward, callbacks: Iterable[Any]) -> dict[str, Found]:
        try:
            return self._maximized(module, layer, forward, callbacks)
        except Exception as error:
            self._session.failures.resting.add(layer)
            what = f"the filters of {layer!r} rest until the next fit, because their maximization failed"
            self._session.failures.tell(what, error)
            return {}

    def _timed(self, layer: str, look: Callable[[], dict[str, Found]]) -> dict[str, Found]:
        """What a look at a layer finds; if it finds something, the next one is expected to take as long."""
        budget, before = self._session.budget, self._session.budget.seconds.get("maximizing", 0.0)
        with budget.timed("maximizing"):
            found = look()
        if found:
            self._seconds[layer] = budget.seconds["maximizing"] - before
        return found

    def _maximized(self, module: nn.Module, layer: str, forward: Forward, callbacks: Iterable[Any]) -> dict[str, Found]:
        start = clock.perf_counter()
        now, before = profile(module, layer, self._probe.images, forward), self.profiles.get(layer)
        seconds = clock.perf_counter() - start  # of a pass over the probe
        background = background_of(callbacks, layer)
        unknown_yet = self._channels == BACKGROUND and background is None and before is None
        channels = chosen_channels("first" if unknown_yet else self._channels, now, before, background)
        if not channels:
            what = f"no channel of {layer!r} follows the background now: its filters are shown when one does"
            self._session.failures.say(what)
            return {}
        # As many rows at every look: how kernels round depends on the number of rows, and an ascent enlarges that.
        rows = [*channels, *channels[:1] * (USUAL - len(channels))] if self._channels == BACKGROUND else channels
        run, _ = opened(module, layer, on_model(module, self._probe.images), forward)
        ascend = partial(filter_pictures, module, layer, rows, self._probe, forward=run, **self._arguments)
        if self._is_too_long(layer, ascend, callbacks, seconds * min(1, len(rows) / len(self._probe))):
            return {}
        pictures, filters = ascend()
        pictures, filters = first_of(pictures, len(channels)), filters[: len(channels)]
        self.profiles[layer] = now
        weights, notes = self._weights_of(module, layer, channels, forward), said_of_cuts(used_in(run))
        return {layer: Found(pictures, numbers_of(layer, filters), weights, notes)}

    def _weights_of(self, module: nn.Module, layer: str, channels: Sequence[int], forward: Forward) -> WeightLook | None:
        """A layer's weights, if they are wanted and there is something to draw."""
        if self.weights is None or layer == OUTPUT:
            return None
        try:
            return self.weights.setdefault(layer, WeightFilm()).look(module, layer, channels, self._probe, forward)
        except ValueError as error:  # its filters are shown all the same
            self._session.failures.say(f"no weights of {layer!r} are shown: {error}")
            return None

    def keep(self, found: Mapping[str, Found], when: Mapping[str, Any], scalars: bool) -> None:
        """Takes what was found into the film and the tab, and draws it at ever wider moments.

        Args:
            found: by layer.
            when: where in the training we are, as fields of a `Frame`.
            scalars: whether the activation reached becomes a scalar for each filter too.
        """
        logger, frame = self._session.logger, build_frame(self._probe, found, when)
        logger.keep(frame, None, small_frame(frame))
        if scalars:
            numbers = {tag: value for tag, value in frame.numbers.items() if tag.endswith("/activation")}
            logger.write_numbers(frame, numbers)
        self._last = frame, found
        if is_wide(logger.film.count, logger.drawn):
            self.draw()

    def draw(self) -> None:
        """Draws what was found last, if that has not been done."""
        if self._last is not None:
            frame, found = self._last
            self._session.logger.draw(frame, partial(of_filters, found=found))
            self._last = None

    # --- kept in checkpoints ----------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What the next look is compared with."""
        weights = {layer: (each.limit, each.last) for layer, each in (self.weights or {}).items()}
        return {"profiles": dict(self.profiles), "weights": weights, "settings": self._settings()}

    def changes(self, state: Mapping[str, Any]) -> str:
        """What is asked for otherwise than when this state was kept, in words: its pictures cannot be compared then."""
        before = state.get("settings", self._settings())
        pairs = {name: (before.get(name), now) for name, now in self._settings().items()}
        return ", ".join(f"{name}={now}, not {then}" for name, (then, now) in pairs.items() if then != now)

    def _settings(self) -> dict[str, str]:
        """What decides how a filter's picture looks, as far as it has a name."""
        named = {name: type(value) if isinstance(value, Recipe) else value for name, value in self._arguments.items()}
        return {name: getattr(value, "__qualname__", repr(value)) for name, value in named.items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        profiles, weights = dict(state["profiles"]), {layer: WeightFilm(*each) for layer, each in state["weights"].items()}
        self.profiles, self.weights = profiles, None if self.weights is None else weights


def forward_of(trainer: Any, run: Callable[[Tensor], Any]) -> Forward:
    """A network, or the part of it that takes images, in the Trainer's precision."""
    context, _ = precision_of(trainer)

    def forward(images: Tensor) -> Any:
        with context():
            return run(images)

    return forward


def background_of(callbacks: Iterable[Any], layer: str) -> list[int] | None:
    """The channels that follow the background, most of all first, as the callback beside this one last saw them."""
    for other in callbacks:
        session = getattr(other, "session", None)
        frame = session.logger.last if isinstance(session, Session) else None
        numbers = getattr(frame, "per_image", {}).get(f"reliance/background_driven/{layer}")
        if numbers is not None:
            order = np.argsort(-np.asarray(numbers), kind="stable")
            return [int(index) for index in order if numbers[index] > 0.5]
    return None
