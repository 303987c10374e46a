"""What a user says of the answer, one word each, over what was read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from lightning_vis.arguments import quoted
from lightning_vis.model.answer.answer import Answer, check_task
from lightning_vis.model.answer.numbers import REGRESSION_TASK
from lightning_vis.model.places import Path

Place = str | int | None
"""A key, an index or an attribute; "a.b" for one within another."""


@dataclass(frozen=True)
class Words:
    """What a user says of the answer; what is None or empty is read.

    Attributes:
        task: what the output means.
        head: where in the output the answer is.
        component: which of several numbers is explained.
        labels_at: where in the batch the labels are.
        unit: of the number that is explained.

    Raises:
        ValueError: there is no such task, or no such number.
        TypeError: a place that is no key and no index.
    """

    task: str | None = None
    head: Place = None
    component: int | None = None
    labels_at: Place = None
    unit: str = ""

    def __post_init__(self) -> None:
        if self.task is not None:
            check_task(self.task)
        place_of(self.head, "head")
        place_of(self.labels_at, "labels_at")
        if self.component is not None and (type(self.component) is not int or self.component < 0):
            raise ValueError(f"component={quoted(self.component)}: expected which of the numbers is explained, 0 for the first")
        if not isinstance(self.unit, str):
            raise TypeError(f"unit={quoted(self.unit)}: expected a word, like 'years'")

    def over(self, answer: Answer) -> Answer:
        """An answer as the user has it: a word that is given is never overruled."""
        facts = answer.facts if self.head is None else replace(answer.facts, head=place_of(self.head, "head"))
        facts = facts if self.component is None else replace(facts, component=self.component)
        task = self.task or answer.task
        said = answer.said if task == answer.task else ""  # it speaks of another task
        return replace(answer, task=task, facts=facts, unit=self.unit or answer.unit, said=said)


def check_component(component: int | None, answer: Answer, ask: Callable[[], Any] = lambda: None) -> None:
    """Refuses a number that an answer has not.

    Args:
        component: which of several numbers is explained; None where nobody has named one.
        answer: what is answered.
        ask: returns what the network does of an image; None where it cannot be asked.

    Raises:
        ValueError: the answer is no numbers, or has not as many.
    """
    if component is None:
        return
    if answer.kind is not REGRESSION_TASK:
        what = "numbers at each pixel" if answer.facts.is_dense else answer.task
        raise ValueError(
            f"component={quoted(component)}: it says which of several numbers of an image is explained, and the answer is read"
            f" as {what}: task='regression' reads numbers"
        )
    output = ask()
    values = None if output is None else _values(answer, output)
    if values is not None:
        answer.kind.chosen(replace(answer.facts, component=component), "label", values, None)


def _values(answer: Answer, output: Any) -> Tensor | None:
    """The answer in an output; None where it cannot be read: the look will say why."""
    try:
        return answer.values(output)
    except Exception:
        return None


def words_of(task: Any, head: Any, component: Any, labels_at: Any, unit: Any) -> tuple[Words, ...]:
    """What a user says of each head, the first one first; what is said once is said of the first.

    Args:
        task: as of `Words`, or one for each head.
        head: likewise, or all that are looked at.
        component: likewise.
        labels_at: likewise.
        unit: likewise.

    Raises:
        ValueError: no head, one of them twice, or not one of something for each.
        TypeError: as `Words`.
    """
    if not isinstance(head, (list, tuple)):
        return (Words(task, head, component, labels_at, unit),)
    if not head or len({str(each) for each in head}) < len(head):
        raise ValueError(f"head={quoted(head)}: expected the heads that are looked at, each of them once")
    given = {"task": task, "component": component, "labels_at": labels_at, "unit": unit}
    columns = {what: _one_each(what, value, len(head)) for what, value in given.items()}
    return tuple(Words(head=each, **{what: column[at] for what, column in columns.items()}) for at, each in enumerate(head))


def _one_each(what: str, value: Any, count: int) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        return [value, *(["" if what == "unit" else None] * (count - 1))]
    if len(value) != count:
        raise ValueError(f"{what}={quoted(value)}: expected one for each of {count} heads, or one for the first")
    return [*value]


def place_of(given: Any, what: str) -> Path | None:
    """A place as users write it, ``"targets.age"`` or ``1``, as a path; None for none.

    Raises:
        TypeError: it is neither a text nor a whole number.
    """
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (str, int)) or given == "":
        raise TypeError(f"{what}={quoted(given)}: expected a key, an index, or 'a.b' for one within another")
    if isinstance(given, int):
        return (given,)
    return tuple(int(word) if word.isdecimal() else word for word in given.split("."))
