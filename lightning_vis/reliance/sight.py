"""Sight: what looks see of the twins, as the alert and the verdict take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lightning_vis.frames import Frame
from lightning_vis.reliance.alert import Measurement, most_telling
from lightning_vis.reliance.measures import BACKGROUND, HOME, OBJECT, SHARE
from lightning_vis.reliance.twin_verdict import Named, TwinAnswers, classes_of, refusal_of
from lightning_vis.reliance.twins import Twins


@dataclass(frozen=True)
class Sight:
    """What is known of the twins before any look.

    Attributes:
        twins: the images.
        named: what a class is called.
        pictured: how many objects the pictures show, the first ones.
    """

    twins: Twins
    named: Named
    pictured: int

    @cached_property
    def refusal(self) -> str:
        """Why nothing can be swapped; "" if something can."""
        return refusal_of(self.twins)

    @cached_property
    def once(self) -> list[bool]:
        """Of each object whether it is not another one over again."""
        return self.twins.once()

    def measurement(self, frame: Frame, at: float, total: float | None) -> Measurement:
        """The numbers of a look.

        Args:
            frame: what it found.
            at: how far the training is.
            total: how long it will be; None if nobody knows.
        """
        effects, objects = self._of(frame, BACKGROUND), self._of(frame, OBJECT)
        home = self._of(frame, HOME) or [float("nan")] * len(effects)
        return Measurement(
            effect=frame.numbers[BACKGROUND],
            object_effect=frame.numbers[OBJECT],
            share=frame.numbers[SHARE],
            epoch=frame.epoch,
            at=at,
            total=total,
            control=frame.numbers.get("reliance/paste_control"),
            telling=most_telling(effects),
            objects=len(effects),
            different=sum(self.once),
            classes=classes_of(self.labels, home, effects, objects, self.once) if objects else (),
            when=frame.when,
        )

    def answers(self, frame: Frame) -> TwinAnswers:
        """What was answered, object by object."""
        said = {kind: [int(each) for each in self._of(frame, f"reliance/says/{kind}")] for kind in self.twins.kinds}
        return TwinAnswers(
            self.labels, said if all(said.values()) else {}, self._of(frame, BACKGROUND), min(self.pictured, len(self.labels))
        )

    @property
    def labels(self) -> Sequence[int]:
        """The objects' classes."""
        return [int(each) for each in self.twins.labels]

    def _of(self, frame: Frame, tag: str) -> list[float]:
        """One value per object; [] where the look has none."""
        return [float(each) for each in frame.per_image.get(tag, ())][:: self.twins.shown]
