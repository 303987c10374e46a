"""Looks through views and at twins: what fails rests, what it costs is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.attribution.heads import Head, key_of
from lightning_vis.attribution.pipeline import ANSWER, TWINS, Attempt, seconds_of_pass, try_heads
from lightning_vis.attribution.places import said_of_places
from lightning_vis.attribution.views import View, views_of
from lightning_vis.callbacks.budget import MANY
from lightning_vis.callbacks.monitor import Monitor, lift_view, progress
from lightning_vis.callbacks.schedule import is_spaced, is_wide
from lightning_vis.callbacks.session.drawings import few_of_maps, of_maps
from lightning_vis.callbacks.session.exchange_looks import ExchangeLooks
from lightning_vis.callbacks.session.frame_logger import Left
from lightning_vis.callbacks.session.session import Session
from lightning_vis.callbacks.settings import FEW, Images
from lightning_vis.constants import ALONE
from lightning_vis.frames import Frame, spoken
from lightning_vis.model.answer.answer import UNKNOWN, Answer
from lightning_vis.model.answer.labels import ABSENT
from lightning_vis.model.cut import Cut, said_of_cuts
from lightning_vis.model.feature_map import FeatureMap
from lightning_vis.model.run import Chosen, ForwardConfig
from lightning_vis.model.scores import PROBABILITIES, TARGETS, Score
from lightning_vis.probe.probe import Probe
from lightning_vis.render.twins import with_twins

OFTEN = 100
"""Passes of a view that is seen while the network trains; one of more is seen at the last look."""


class MapLooks:
    """The looks of one callback through its views.

    Args:
        session: of the callback.
        score: ``(output, classes) -> (N,)``, the number that is explained.

    Attributes:
        views: what is looked through.
        places: where the views look, once it is known, None standing for those that name no layer.
        cuts: what is opened for them; None where nobody has looked yet.
        failed: why the last look gave no numbers; "" if it did.
        seconds: what a look takes without its pictures and without views of many passes; 0 before the first one.
        images: which pictures are drawn, as `Settings` has it.
        neighbours: image tags that other callbacks of the Trainer write.
        exchanges: what is exchanged at some of the looks.
        spoken: the look whose verdict stands; None before there is one.
    """

    def __init__(self, session: Session, score: Score | None) -> None:
        self.views: list[View] = []
        self.places: Mapping[str | None, FeatureMap] = {}
        self.cuts: tuple[Cut, ...] | None = None
        self.failed = ""
        self.seconds = 0.0
        self.images: Images = FEW
        self.neighbours = 0
        self.exchanges = ExchangeLooks(session)
        self.spoken: Frame | None = None
        self._why = ""  # a monitored view rests
        self._session, self._score = session, score
        self._asked: list[View] = []  # before it is known what the network answers
        self._chosen: dict[str, Tensor] = {}  # what is explained for good, by target; of another head with its name behind it
        self._others: dict[str, list[View]] = {}  # through what the other heads are looked at
        self._found: dict[str, Attempt] = {}  # where those look, and what was opened for it
        self._drawing = 0.0  # seconds that pictures took last
        self._many_at = 0  # which look had the views of many passes last, counted from 1
        self._pass_seconds: float | None = None  # what one pass takes, once that has been measured

    def open(self, views: Sequence[View]) -> None:
        """A run begins: everything is tried again."""
        self.views = self._asked = list(views)
        self.places, self.cuts, self.failed, self._why = {}, None, "", ""
        self._others, self._found, self.spoken = {}, {}, None
        self.seconds = self._drawing = 0.0
        self._many_at, self._pass_seconds = 0, None

    def settle(self, answer: Answer) -> None:
        """It is known what the network answers: those views are left through which it can be seen."""
        self.views = views_of(answer, self._asked, self._score)
        self._others = {each.name: views_of(each.answer, self._asked, None) for each in self._session.finder.heads}

    @property
    def layer(self) -> str | None:
        """Where the views look that name no layer, once it is known."""
        default = self.places.get(None)
        return None if default is None else (default.layer if default.held is None else default.held.name)

    def summary(self) -> str:
        """What is looked at, through what, where."""
        session = self._session
        others = [key_of(view.key, head) for head, views in self._others.items() for view in views]
        keys = ", ".join([*(view.key for view in self.views), *others])
        layer = f" at layer {self.layer!r}" if self.layer else ""
        said = "".join(f"; {each}" for each in (*said_of_places(self.views, self.places), *said_of_cuts(self.cuts)))
        count = 0 if session.probe is None else len(session.probe)
        return f"{count} images ({keys or 'no maps'}){layer}{said}"

    def reading(self) -> str:
        """What the network answers and where the images come from, in sentences."""
        notes = [f"{each[0].upper()}{each[1:]}." for each in self._session.notes]
        others = [f"{each.name}: {each.answer.said}" for each in self._session.finder.heads if each.answer.said]
        return " ".join(filter(None, (self._session.answer.said, *others, *notes)))

    def can_see(self, module: nn.Module) -> bool:
        """Whether there is anything to see: not while all views rest, nor before lazy layers have their shapes."""
        probe = self._session.probe
        return (
            probe is not None
            and self._session.can_see(module)
            and (
                probe.twins is not None
                or self._session.answer.task != UNKNOWN
                or not self.views
                or bool(self._awake(self.views))
            )
        )

    def look(
        self, trainer: Any, module: nn.Module, monitor: Monitor, when: dict[str, Any], *, numbers_only: bool
    ) -> Frame | None:
        """One look.

        Args:
            trainer: whose precision is used.
            module: what is looked at.
            monitor: judges what the twins say.
            when: where in the training we are, as fields of a `Frame`.
            numbers_only: look only for what is monitored, and draw nothing.

        Returns:
            What it found, None if it failed.
        """
        session = self._session
        assert session.probe is not None  # `can_see` has been asked
        spent = session.budget.spent
        with session.counted("watching over it") as parts:
            is_early = when["epoch"] < 1 and when["moment"] not in ("validate", "test")
            running = replace(session.forward_config(trainer, module, self._score), is_early=is_early)
            others = [] if numbers_only else self._heads(module, running)
            views = self._monitored() if numbers_only else self._due(trainer, module, when["moment"])
            found = self._try_look(module, session.probe, running, bool(monitor.tags), views, others)
            parts |= {} if found is None else found.seconds
        if found is None:
            return None
        if not numbers_only and all(view.passes == 1 for view in views):
            self.seconds = session.budget.spent - spent
        self._keep_choice(found, is_early=is_early)
        frame = replace(found, **when, notes=(*found.notes, *_without(self._awake(self.views), views)))
        frame = self._judged(trainer, monitor, frame)
        frame = self.exchanges.joined(trainer, module, running, frame)
        self.spoken = spoken([*filter(None, (self.spoken, frame))])
        if not numbers_only:
            self._keep(trainer, frame)
            session.logger.write_seconds(frame, session.budget.spent - spent)
        return frame

    def _judged(self, trainer: Any, monitor: Monitor, frame: Frame) -> Frame:
        """The frame with the verdict on its twins, if there are any."""
        sight = self._session.sight
        if sight is None:
            return frame
        if frame.moment in ALONE:
            return monitor.seen(frame, sight)
        return monitor.judge(frame, *progress(trainer, frame.epoch), sight)

    def _due(self, trainer: Any, module: nn.Module, moment: str) -> Sequence[View]:
        """The views of a look: those of many passes at spaced looks and the last one, as long as there is time."""
        is_last = moment in ("end", *ALONE)
        many = [view for view in self._many() if is_last or view.passes <= OFTEN]
        count = self._session.logger.film.count + 1
        if many and (is_last or is_spaced(count, self._many_at)) and self._has_time(trainer, module, many):
            self._many_at = count
            return [view for view in self.views if view.passes == 1 or view in many]
        return [view for view in self.views if view.passes == 1]

    def _many(self) -> list[View]:
        return [view for view in self._awake(self.views) if view.passes > 1]

    def _has_time(self, trainer: Any, module: nn.Module, many: Sequence[View]) -> bool:
        if self._pass_seconds is None:
            self._pass_seconds = self._measured(trainer, module)
        return not self._session.pauses(MANY, trainer, self._pass_seconds * sum(view.passes for view in many))

    def _measured(self, trainer: Any, module: nn.Module) -> float:
        """Seconds of one pass; 0 if it fails: the look will say why."""
        assert self._session.probe is not None
        try:
            return seconds_of_pass(module, self._session.probe, self._running(trainer, module, {}, is_early=True))
        except Exception:
            return 0.0

    def owes(self, trainer: Any, last: Frame) -> bool:
        """Whether views of many passes have no map in the last look, or it has no verdict, and there is time for one more.

        Args:
            trainer: whose training has ended.
            last: what the last look found.
        """
        missing = [view for view in self._many() if view.key not in last.maps]
        seconds = (self._pass_seconds or 0.0) * sum(view.passes for view in missing)
        is_owed = bool(missing) and not self._session.pauses(MANY, trainer, seconds)
        return is_owed or self.exchanges.owes(trainer, last)

    def _keep_choice(self, frame: Frame, *, is_early: bool) -> None:
        """What is explained after the first epoch is explained from then on: a row that changes by itself is a lie."""
        own = [("", self._session.answer, self.views)]
        others = [(each.name, each.answer, self._others.get(each.name, [])) for each in self._session.finder.heads]
        for head, answer, views in own + others if not is_early else ():
            for view in views if answer.kind.first is not None else ():
                maps = frame.maps.get(key_of(view.key, head) if head else view.key)
                if maps is not None and isinstance(view.target, str) and (maps.classes >= 0).all():
                    self._chosen.setdefault(_chosen_of(view.target, head), torch.as_tensor(maps.classes))

    def state(self) -> dict[str, Tensor]:
        """What is explained for good, by target, for a checkpoint."""
        return dict(self._chosen)

    def load(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        self._chosen = dict(state)

    def _keep(self, trainer: Any, frame: Frame) -> None:
        """Takes a frame into the film and the tab, and draws it if its turn has come and there is time."""
        session, inputs = self._session, self._session.inputs
        frame = frame if inputs is None else with_twins(frame, inputs)
        session.logger.keep(frame, inputs)
        if PROBABILITIES in frame.notes:
            session.failures.say(PROBABILITIES)
        is_next = is_wide if self.images == FEW else is_spaced
        is_turn = is_next(session.logger.film.count, session.logger.drawn)
        if is_turn and not session.pauses("pictures", trainer, self._drawing):
            self._draw(frame)

    def _draw(self, frame: Frame) -> None:
        session, inputs, neighbours = self._session, self._session.inputs, self.neighbours + self.exchanges.draws
        spent = session.budget.spent
        if inputs is not None and self.images == FEW:
            session.logger.draw(frame, partial(few_of_maps, inputs=inputs))
        elif inputs is not None and self.images:
            session.logger.draw(frame, partial(of_maps, inputs=inputs, neighbours=neighbours))
        self._drawing = session.budget.spent - spent

    def finish(self, trainer: Any) -> Left:
        """Draws the last look if that has not been done; leaves films, sheets and a summary, and returns where pictures are.

        All of it is done in any case, but for a training whose time is limited: there, as far as there is time.
        """
        logger, inputs, is_limited = self._session.logger, self._session.inputs, self._session.budget.is_limited
        if not self.images or inputs is None:
            return Left()
        is_free = not (is_limited and self._session.pauses("pictures", trainer, self._drawing))
        if is_free and logger.last is not None and logger.drawn < logger.film.count:
            self._draw(logger.last)
        if is_limited and self._session.pauses("films", trainer, logger.seconds_of_films(inputs)):
            return Left()
        return logger.leave(inputs, played=self.images is True, spoken=self.spoken)

    def _heads(self, module: nn.Module, running: ForwardConfig) -> list[Head]:
        """The other heads, each with those of its views that do not rest."""
        found = []
        for name, probe, own in self._session.heads(module, running):
            views = [
                each for each in self._others.get(name, []) if key_of(each.key, name) not in self._session.failures.resting
            ]
            known = self._found.get(name, Attempt(None))
            settled = replace(own, chosen=self._choice(name, len(probe)), places=known.places, cuts=known.cuts)
            found.append(Head(name, probe, settled, views))
        return found

    def _choice(self, head: str, count: int) -> Chosen:
        """What is explained for good, by target."""
        known = {target: self._chosen.get(_chosen_of(target, head)) for target in (*TARGETS, ABSENT)}
        return {target: rows for target, rows in known.items() if rows is not None and len(rows) == count}

    def _try_look(
        self,
        module: nn.Module,
        probe: Probe,
        running: ForwardConfig,
        monitored: bool,
        views: Sequence[View],
        others: Sequence[Head],
    ) -> Frame | None:
        """A look whose failures are dealt with: a view rests, the twins are asked again next time."""
        running = replace(running, chosen=self._choice("", len(probe)), places=self.places, cuts=self.cuts)
        first = Head(self._session.head, probe, running, self._awake(views))
        try:
            attempt, found = try_heads(module, [first, *others])
        except Exception as error:
            attempt, found = Attempt(None, {TWINS: error}, self.places, self.cuts), ()
        self.places, self.cuts = attempt.places, attempt.cuts
        self._found |= {head.name: replace(each, frame=None) for head, each in zip(others, found[1:], strict=False)}
        told = {head.key(ANSWER) for head in others if not head.views and self._others.get(head.name)}
        failures = {key: each for key, each in attempt.failures.items() if key not in told}  # its views rest, and have said why
        twins = failures.pop(TWINS, None)
        says_later = twins is not None and monitored and self._session.failures.on_error == "warn"
        self._why = next((str(failures[view.key]) for view in self._monitored() if view.key in failures), self._why)
        self.failed = str(twins) if says_later else self._why  # said when the numbers go out
        if twins is not None and not says_later:
            self._session.failures.tell("a look failed", twins)
        self._tell_of_answers({key: each for key, each in failures.items() if key.startswith(ANSWER)})
        failures = {key: each for key, each in failures.items() if not key.startswith(ANSWER)}
        self._session.failures.rest(failures, self._layers_of(views))
        return attempt.frame

    def _tell_of_answers(self, failures: Mapping[str, Exception]) -> None:
        """Says which answers without a view could not be looked at; they are asked again next time."""
        for key, error in failures.items():
            named = key.removeprefix(ANSWER).replace("@", " of the head ")
            self._session.failures.tell(f"what the network answers{named} could not be looked at", error)

    def _running(self, trainer: Any, module: nn.Module, chosen: Chosen, *, is_early: bool) -> ForwardConfig:
        config = self._session.forward_config(trainer, module, self._score)
        return replace(config, chosen=chosen, is_early=is_early, places=self.places)

    def _awake(self, views: Sequence[View]) -> list[View]:
        return [view for view in views if view.key not in self._session.failures.resting]

    def _monitored(self) -> list[View]:
        probe = self._session.probe
        key = None if probe is None else lift_view(probe, self.views)
        return [view for view in self.views if view.key == key]

    def _layers_of(self, views: Sequence[View]) -> dict[str, str]:
        named = {view.key: [self.layer if layer is None else layer for layer in view.layers] for view in views}
        for head, own in self._others.items():
            named |= {key_of(view.key, head): [layer for layer in view.layers if layer is not None] for view in own}
        return {key: ", ".join(repr(layer) for layer in layers if layer) for key, layers in named.items()}


def _chosen_of(target: str, head: str) -> str:
    """Under what name the choice of a head is kept; "" is the first one."""
    return f"{target}@{head}" if head else target


def _without(asked: Sequence[View], seen: Sequence[View]) -> list[str]:
    """That a look has no maps of some views, in sentences."""
    missing = [view for view in asked if view.passes > 1 and view not in seen]
    often, rare = ([view for view in missing if (view.passes <= OFTEN) is each] for each in (True, False))
    return [*_missing(often, "at some looks while there is time"), *_missing(rare, "at the last look if there is time")]


def _missing(views: Sequence[View], when: str) -> list[str]:
    names = ", ".join(view.title or view.name for view in views)
    passes = sum(view.passes for view in views)
    return [f"no maps of {names} at this look: they take {passes} passes, and are made {when}"] if views else []
