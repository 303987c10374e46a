"""What one batch said about a network's answer, and how that is put to users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lightning_vis.model.places import Path, written

UNKNOWN = "unknown"


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
        nth: which of its calls in the step, 0 first.
        answer: its position among the tensors that the function was given.
        target: likewise; None if there is no such tensor.
    """

    function: str
    nth: int
    answer: int
    target: int | None


@dataclass(frozen=True)
class Head:
    """An answer that meets a loss.

    Attributes:
        call: dotted name of the submodule.
        path: in what it returns.
        task: what it is trained for.
        shape: of the answer, the images first.
        target: leaves of the batch that it meets.
        weights: names of those that it is made of and that are trained.
    """

    call: str
    path: Path
    task: str
    shape: tuple[int, ...]
    target: tuple[Path, ...] = ()
    weights: frozenset[str] = frozenset()


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
        head: path of the answer in what the last submodule returns.
        in_eval: the same in eval mode, in which a network may return something else; None before that is known.
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
    head: Path = ()
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
        """Whether a user has named this answer so: by its place in the output, the end of it, or the submodule."""
        return bool(self.chain) and is_named(head, self.head, self.chain[-1])

    def said(self, unit: str = "") -> str:
        """All of it as plain sentences in one line; numbers are shown in the unit of the target, or in another one."""
        if self.task == UNKNOWN:
            return f"Unknown: {self.why}. Pictures and filters only; {_remedy(self.heads)} names what to explain."
        first = f"Reads {counted(self.task, self.shape)}: {_met(self)}{_unit(self, unit)}{_also(self.heads)}."
        return first + (f" {self.chain[-1]} is looked at; {_listed(self.frozen)} not trained." if self.frozen else "")


def _unit(it: Testimony, unit: str) -> str:
    """In what units numbers are shown, and what the step makes of them first."""
    if it.change not in ("", "sigmoid"):
        return f"; the step makes another number of it before ({it.change}), so that it is not compared with its target"
    behind = "shown behind the step's sigmoid" if it.change else "shown"
    named = STANDARDISED if unit == STANDARDISED else f"in {unit or 'the units of the target'}"
    return f"; {behind} {named}, no p" if it.task == "regression" else ""


STANDARDISED = "standardised"
"""Of numbers whose target the step computes: no unit of the data."""


def is_named(head: Path, path: Path, call: str) -> bool:
    """Whether a head is called so, that lies at a path of what a submodule returns."""
    return (bool(path) and path[-len(head) :] == head) or call == ".".join(map(str, head))


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
    given = ", ".join(
        dict.fromkeys(" and ".join(written(leaf) for leaf in each.leaves) for each in it.arguments if each.leaves)
    )
    later = [name or "self" for name in it.chain[1:]] or ([] if it.is_one_call else ["the step"])
    then = "".join(f", then {name}" for name in later) + ("," if later and not it.head else "")
    answer = f"{it.module or 'self'}({given}){then}{written(it.head, '')}"
    where = it.loss if it.loss.startswith("by hand") else f"in {it.loss}"
    if it.task == "embedding" and not it.target:
        return f"{answer} is compared with other answers {where}"
    met = " and ".join(written(leaf) for leaf in it.target) or _ORIGINS.get(it.origin, it.origin)
    return f"{answer} meets {met} {where}"


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


def _bracketed(name: str) -> str:
    return name if name.startswith('"') else f"[{name}]"


def _listed(names: Sequence[str]) -> str:
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _remedy(heads: Sequence[Head]) -> str:
    return 'task="...", head="..." or score=' if heads else 'task="..." or score='
