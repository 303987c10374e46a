"""Settings: what users may ask of a callback that looks, in one frozen object."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from lightning_vis.arguments import quoted
from lightning_vis.callbacks.monitor import OnAlert
from lightning_vis.reliance.alert import Thresholds

LOGGERS = ("all", "tensorboard")
FEW: Literal["few"] = "few"
Images = bool | Literal["few"]
"""Which pictures are drawn beside the tab: none, few, or all."""


def thresholds_of(given: Any) -> Any:
    """Limits of the alert by their names, as a configuration has them; None for the usual ones, anything else as it is.

    Raises:
        TypeError: there is no such limit.
    """
    if not isinstance(given, dict):
        return Thresholds() if given is None else given
    names = [each.name for each in fields(Thresholds)]
    unknown = next((each for each in given if each not in names), None)
    if unknown is not None:
        raise TypeError(f"thresholds: there is no limit {quoted(unknown)}; there are {', '.join(names)}")
    return Thresholds(**given)


@dataclass(frozen=True)
class Settings:
    """How a callback looks, beside at what and when; as it stands here, nobody has chosen anything.

    Attributes:
        on_error: ``"warn"`` or ``"raise"``.
        max_overhead: the share of the training time that all looks together may cost.
        loggers: ``"all"`` that take images, or ``"tensorboard"``.
        images: ``"few"``: at ever wider moments and at the end a strip of each view and two cards, as small as TensorBoard
            shows them; True: at spaced looks cards, strips and twins, and a film; False: none, and no films at the end. The
            tab gets its frames in any case.
        on_validate: whether ``trainer.validate`` and ``trainer.test`` are looked at too.
        on_alert: what happens when the alert changes.
        thresholds: of the alert.
        exchange: whether the numbers of the exchange are logged; None: where something monitors one; False: nothing is
            exchanged.
        boxes: a file of boxes around the objects that are exchanged.

    Raises:
        ValueError: another word for `loggers` or `images`.
        TypeError: thresholds of another kind; an exchange that is neither yes nor no.
    """

    on_error: str = "warn"
    max_overhead: float = 0.01
    loggers: str = "all"
    images: Images = FEW
    on_validate: bool = True
    on_alert: OnAlert = "warn"
    thresholds: Thresholds = field(default_factory=Thresholds)
    exchange: bool | None = None
    boxes: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.loggers, str) or self.loggers not in LOGGERS:
            raise ValueError(f"loggers={quoted(self.loggers)}: expected 'all' or 'tensorboard'")
        if not isinstance(self.images, bool) and self.images != FEW:
            raise ValueError(f"images={quoted(self.images)}: expected 'few', True or False")
        if not isinstance(self.thresholds, Thresholds):
            raise TypeError(
                f"thresholds={quoted(self.thresholds)}: expected limits of the alert, like Thresholds(red_effect=0.5)"
            )
        if self.exchange is not None and not isinstance(self.exchange, bool):
            raise TypeError(f"exchange={quoted(self.exchange)}: expected True, False or None")
