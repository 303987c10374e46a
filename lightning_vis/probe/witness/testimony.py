"""What one batch said about a network's answer, and how that is put to users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from lightning_vis.model.answer.answer import TASKS, UNKNOWN
from lightning_vis.model.places import Path, written


@dataclass(frozen=True)
class Argument:
    """One tensor among the arguments of a call.

    Attributes:
        path: where in ``(args, kwargs)``.
        leaves: of the batch, that it is made of; none: a constant of the step.
        is_leaf: whether it is the leaf itself.
    """

    path: Path
    leaves: tuple[Path, ...]
    is_leaf: bool


@dataclass(frozen=True)
class Meeting:
    """Where the answer meets its target.

    Attributes:
        function: name of the torch function.
        nth: which of those of its calls that bring an answer of this form, and what is made of these leaves, together; 0 first.
            In eval mode, and later in the training, a step may call it more or less often with something else.
        answer: its position among the tensors that the function was given.
        target: likewise; None if there is no such tensor.
        ends: the submodules, and places in what they return, that the answer is made of; none: of whatever there is.
        leaves: of the batch that the target is made of; none: likewise.
        rank: how many dimensions the answer has; None: whatever.
    """

    function: str
    nth: int
    answer: int
    target: int | None
    ends: tuple[tuple[str, Path], ...] = ()
    leaves: tuple[Path, ...] = ()
    rank: int | None = None

    def has_form(self, shape: Sequence[int]) -> bool:
        """Whether an answer of this shape may be it: there may be more images, and larger ones."""
        return self.rank is None or self.rank == len(shape)


@dataclass(frozen=True)
class Head:
    """An answer that meets a loss.

    Attributes:
        call: dotted name of the submodule.
        path: in what it returns.
        task: what it is trained for.
        shape: of the answer, the images first.
        names: other words of a user for its path: counted from the end, a field by its index.
        target: leaves of the batch that it meets.
        weights: names of those that it is made of and that are trained.
    """

    call: str
    path: Path
    task: str
    shape: tuple[int, ...]
    names: tuple[Path, ...] = ()
    target: tuple[Path, ...] = ()
    weights: frozenset[str] = frozenset()

    def is_called(self, head: Path) -> bool:
        """Whether a user has named it so: by its place in the output, the end of it, or the submodule."""
        is_end = bool(self.path) and self.path[-len(head) :] == head
        return is_end or head in self.names or self.call == ".".join(map(str, head))


@dataclass(frozen=True)
class Testimony:
    """What a network's answer means, as read from one batch. No tensors in it.

    Attributes:
        task: ``"multiclass"``, ``"multilabel"``, ``"binary"``, ``"ordinal"``, ``"regression"``, ``"segmentation"``,
            ``"embedding"``, ``"reconstruction"`` or ``"unknown"``.
        why: what decided, or why nothing is known.
        loss: name of the torch function in which answer and target meet, or ``"by hand (mul)"``.
        chain: dotted names of the submodules that the images go through; the last one answers.
        module: the first of them, that gets raw data; empty for the module itself.
        nth: which of its calls in the step, 0 first.
        is_one_call: whether this call alone gives the answer, one row per image.
        is_made: whether the step makes the answer of what calls return.
        head: path of the answer in what the last submodule returns.
        in_eval: the same in eval mode, in which a network may return something else; None before that is known.
        names: as of `Head`.
        shape: of the answer, the images first.
        values: ``"logits"`` (log-probabilities too) or ``"probabilities"``; empty where it is neither.
        target: leaves of the batch that the target is made of.
        origin: of the target: ``"batch"``, ``"image"``, ``"itself"``, ``"frozen network"`` or ``"constant"``.
        image: leaves of the batch that are the images.
        arguments: of the first call.
        image_argument: which of them is the image, as a path in ``(args, kwargs)``.
        meeting: where it was read.
        heads: all that are known, the chosen one first, then in the order of the step.
        frozen: networks that were called and are not trained.
        made: names of the functions that made the target.
        change: what the step makes of numbers before they meet it, in names of functions.
        trouble: what went wrong while watching.
        others: what the batch said of the other heads that a user has named, in their order; unknown of those that meet no loss.
    """

    __test__: ClassVar[bool] = False  # its name begins like that of a test

    task: str = UNKNOWN
    why: str = ""
    loss: str = ""
    chain: tuple[str, ...] = ()
    module: str = ""
    nth: int = 0
    is_one_call: bool = False
    is_made: bool = False
    head: Path = ()
    names: tuple[Path, ...] = ()
    shape: tuple[int, ...] = ()
    values: str = ""
    target: tuple[Path, ...] = ()
    origin: str = ""
    image: tuple[Path, ...] = ()
    arguments: tuple[Argument, ...] = ()
    image_argument: Path | None = None
    meeting: Meeting | None = None
    heads: tuple[Head, ...] = ()
    frozen: tuple[str, ...] = ()
    made: frozenset[str] = frozenset()
    change: str = ""
    trouble: tuple[str, ...] = ()
    others: tuple[Testimony, ...] = ()
    in_eval: Path | None = None

    def is_called(self, head: Path) -> bool:
        """Whether a user has named this answer so, as `Head.is_called`; one that meets no loss has no other name."""
        met = bool(self.chain) and self.meeting is not None
        return met and Head(self.chain[-1], self.head, self.task, self.shape, self.names).is_called(head)

    @property
    def is_way(self) -> bool:
        """Whether nothing is known of the answer but how the images get there."""
        return self.task == UNKNOWN and bool(self.chain) and self.meeting is None

    def of_unmet(self, head: Path) -> Testimony:
        """Of another head of the same network, which no loss takes that is known: where images go in is known, nothing else."""
        why = f"no loss that is known took {written(head, 'an answer called ')}"
        met = f"; a loss takes {listed(self.heads)}" if self.heads else ""
        way = Testimony(UNKNOWN, why + met, chain=self.chain, module=self.module, nth=self.nth, is_one_call=self.is_one_call)
        taken = replace(way, image=self.image, arguments=self.arguments, image_argument=self.image_argument)
        return replace(taken, head=head, heads=self.heads, frozen=self.frozen, trouble=self.trouble)

    def said(self, unit: str = "") -> str:
        """All of it as plain sentences in one line; numbers are shown in the unit of the target, or in another one."""
        if self.task == UNKNOWN:
            return f"Unknown: {self.why}. Pictures and filters only; {_remedy(self.heads)} names what to explain."
        first = f"Reads {counted(self.task, self.shape)}: {_met(self)}{_unit(self, unit)}{_also(self.heads)}."
        return first + (
            f" {self.chain[-1] or 'The module itself'} is looked at; {_listed(self.frozen)} not trained." if self.frozen else ""
        )


def _unit(it: Testimony, unit: str) -> str:
    """In what units numbers are shown, and what the step makes of them first."""
    if it.change not in ("", "sigmoid"):
        return f"; the step makes another number of it before ({it.change}), so that it is not compared with its target"
    behind = "shown behind the step's sigmoid" if it.change else "shown"
    named = STANDARDISED if unit == STANDARDISED else f"in {unit or 'the units of the target'}"
    return f"; {behind} {named}, without probabilities" if it.task == "regression" else ""


STANDARDISED = "standardised"
"""Of numbers whose target the step computes: no unit of the data."""


def counted(task: str, shape: Sequence[int]) -> str:
    """What an answer says, in words: ``"5 labels, each yes or no (sigmoid)"``."""
    many = int(shape[1]) if len(shape) > 1 else 1
    numbers = "a number" if many == 1 and len(shape) < 3 else f"{many} numbers"
    return {
        "multiclass": f"{many} classes",
        "multilabel": f"{many} labels, each yes or no (sigmoid)",
        "binary": "yes or no (sigmoid)",
        "ordinal": f"{many + 1} grades in order",
        "regression": numbers if len(shape) < 4 else "a number at each pixel",
        "segmentation": f"{max(many, 2)} classes at each pixel",
        "embedding": f"an embedding of {many} numbers",
        "reconstruction": "the image itself, made again",
    }.get(task, task)


def _met(it: Testimony) -> str:
    given = ", ".join(dict.fromkeys(_given(each) for each in it.arguments if each.leaves))
    later = [name or "self" for name in it.chain[1:]] or ([] if it.is_one_call else ["the step"])
    then = "".join(f", then {name}" for name in later) + ("," if later and not it.head else "")
    answer = f"{it.module or 'self'}({given}){then}{written(it.head, '')}"
    where = it.loss if it.loss.startswith("by hand") else f"in {it.loss}"
    if it.task == "embedding" and not it.target:
        return f"{answer} is compared with other answers {where}"
    met = " and ".join(written(leaf) for leaf in it.target) or _ORIGINS.get(it.origin, it.origin)
    return f"{answer} meets {met} {where}"


def _given(it: Argument) -> str:
    """An argument as the step gives it: by name where the call does."""
    leaves, (kind, *place) = " and ".join(written(leaf) for leaf in it.leaves), it.path
    return f"{written(tuple(place[1:]), str(place[0]))}={leaves}" if kind == 1 else leaves


_ORIGINS = {
    "image": "the image",
    "itself": "its own answer",
    "frozen network": "a frozen network's answer",
    "constant": "a constant of the step",
}


def _also(heads: Sequence[Head]) -> str:
    others = [f"{_bracketed(name_of(head))} ({counted(head.task, head.shape)})" for head in heads[1:]]
    return f"; there is also {', '.join(others)}: head={name_of(heads[1])}" if others else ""


def name_of(head: Head) -> str:
    """The word that chooses a head: its key or index, else the submodule that it is of."""
    last = head.path[-1] if head.path else head.call
    return str(last) if isinstance(last, int) else f'"{last}"'


def listed(heads: Sequence[Head]) -> str:
    """Heads that a loss takes, by the words that choose them, with what they say."""
    return ", ".join(f"{name_of(each)} ({counted(each.task, each.shape)})" for each in heads)


def _bracketed(name: str) -> str:
    return name if name.startswith('"') else f"[{name}]"


def _listed(names: Sequence[str]) -> str:
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _remedy(heads: Sequence[Head]) -> str:
    *words, last = (name for name in TASKS if name != UNKNOWN)
    named = f"task= ({', '.join(words)} or {last})"
    return f'{named}, head="..." or score=' if heads else f"{named} or score="
