"""A source: what is known of a Trainer where its data and its step are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning_vis.arguments import count_of, floats_of, names_of, quoted
from lightning_vis.model.answer.words import Words, place_of
from lightning_vis.model.places import Path
from lightning_vis.probe.hard_examples import CHOICES


@dataclass(frozen=True)
class Choice:
    """Which images are taken where nobody gave a probe, and how people see them.

    Attributes:
        n: how many.
        choose: ``"mistakes"`` or ``"unsure"``; None: the classes in turn.
        class_names: by class index; None: those of the data.
        mean: of the normalisation, per channel; None: that of the data.
        std: likewise.
    """

    n: int = 8
    choose: str | None = None
    class_names: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """As arguments of a probe, those that were given."""
        given = {"class_names": self.class_names, "mean": self.mean, "std": self.std}
        return {name: value for name, value in given.items() if value is not None}


def choice_of(
    probe: Any,
    n: int,
    choose: str | None,
    class_names: Sequence[str] | None,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
) -> Choice:
    """Which images are taken, as a user says it.

    Raises:
        ValueError: there is a probe already, or another word.
        TypeError: no names, no numbers.
    """
    count_of(n, "n")
    if choose is not None and (not isinstance(choose, str) or choose not in CHOICES):
        raise ValueError(f"choose={quoted(choose)}: expected {' or '.join(map(repr, CHOICES))}")
    names = None if class_names is None else tuple(names_of(class_names, "class_names"))
    scaling = [None if each is None else tuple(floats_of(each, word)) for each, word in ((mean, "mean"), (std, "std"))]
    choice = Choice(n, choose, names, *scaling)
    given = [name for name, value in vars(choice).items() if value != getattr(Choice(), name)]
    if probe is not None and given:
        raise ValueError(
            f"{given[0]}= is for the images that are taken where no probe= is given: give it to Probe(...) or to"
            " Probe.from_dataset(...)"
        )
    return choice


@dataclass(frozen=True)
class Source:
    """What is known of a Trainer.

    Attributes:
        step: runs the user's step on a batch.
        transfer: brings a batch to the device, through the user's own hooks.
        loader: whose images are taken.
        weights: ids of the parameters that an optimizer has.
        optimizers: of the Trainer.
        is_alone: whether there is one process only: a step run by one of several may wait for the others for ever.
        datamodule: of the Trainer, which may know class names.
        loaders: how many there are of its kind.
        is_read: whether somebody reads the loader in this very moment.
        is_quiet: whether the user wants no progress bars.
    """

    step: Callable[[Any], Any]
    transfer: Callable[[Any], Any]
    loader: Any
    weights: set[int]
    optimizers: tuple[Any, ...] = ()
    is_alone: bool = True
    datamodule: Any = None
    loaders: int = 1
    is_read: bool = False
    is_quiet: bool = False


@dataclass(frozen=True)
class Asked:
    """What a user has said of the images and of the answer; and whether a score of their own is explained.

    Of a network with several heads `others` are what is said of those beside the first.
    """

    words: Words = field(default_factory=Words)
    choice: Choice = field(default_factory=Choice)
    has_score: bool = False
    others: tuple[Words, ...] = ()

    @property
    def paths(self) -> tuple[Path | None, tuple[Path, ...]]:
        """Where the first head is, and the others."""
        found = [place_of(each.head, "head") for each in (self.words, *self.others)]
        return found[0], tuple(each for each in found[1:] if each is not None)

    def of(self, other: Words) -> Asked:
        """The same of another head alone."""
        return Asked(other, self.choice)
