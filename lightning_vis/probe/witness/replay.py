"""Runs a step again up to where its answer meets the target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lightning_vis.model.hooks import after, before
from lightning_vis.model.places import Path, leaves
from lightning_vis.model.snapshot.rng import begin_streams
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.witness.dry_run import goes_back_itself, still
from lightning_vis.probe.witness.functions import name_of
from lightning_vis.probe.witness.testimony import Meeting, Testimony
from lightning_vis.probe.witness.witness import Given, Witness, is_metric, plain_name


class _Met(BaseException):
    """Answer and target are there; no ``except Exception`` of the step's own is to stop it."""


class NoWayBack(TorchFunctionMode):
    """Runs no backward passes."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs a torch function, if it is none."""
        return None if name_of(func) == "backward" else func(*args, **(kwargs or {}))


ANSWER: Path = ("<answer>",)
"""A source of all that is made of what the answering submodules return."""


class Replay(Witness):
    """Lets a step run until answer and target meet, before loss, metrics and log.

    Args:
        module: the one that gave the testimony.
        batch: what its step gets.
        meeting: where it stops.
        goes_back: whether backward passes of its own are run.

    Attributes:
        answer: as the torch function was given it; None if it was not called.
        target: likewise; None too if the meeting has none.
    """

    def __init__(self, module: nn.Module, batch: Any, meeting: Meeting, *, goes_back: bool = False) -> None:
        super().__init__(module, batch, set())
        self._meeting, self._seen, self._goes_back = meeting, 0, goes_back
        self.answer: Tensor | None = None
        self.target: Tensor | None = None

    def _watch(self, name: str, module: nn.Module) -> set[int]:
        """Lends a hook to a submodule that answers; metrics meet nobody."""
        if is_metric(module):
            return super()._watch(name, module)
        for path in [path for end, path in self._meeting.ends if end == name]:
            self._taken_off.append(after(module, partial(self._has_answered, path)))
        return set()

    def _has_answered(self, path: Path, module: nn.Module, args: Any, output: Any) -> None:
        self._safely(self._mark, path, output)

    def _mark(self, path: Path, output: Any) -> None:
        for tensor in [tensor for where, tensor in leaves(output) if where == path]:
            node = self._notes.of(tensor) or self._notes.add("box", [], tensor)
            node.sources |= {ANSWER}

    def _is_left_out(self, name: str, given: Given | None) -> bool:
        """No backward pass, and not the meeting."""
        if name == self._meeting.function and given is not None and self._safely(self._meet, given):
            raise _Met
        return name == "backward" and not self._goes_back

    def _meet(self, given: Given) -> bool:
        meeting = self._meeting
        if not self._is_alike(given):
            return False
        self._seen += 1
        if self._seen > meeting.nth:
            self.answer = given[meeting.answer][0]
            has_target = meeting.target is not None and meeting.target < len(given)
            self.target = given[meeting.target][0] if has_target and meeting.target is not None else None
        return self.answer is not None

    def _is_alike(self, given: Given) -> bool:
        """As `lightning_vis.probe.witness.occasion` has it."""
        meeting = self._meeting
        if meeting.answer >= len(given) or not meeting.has_form(given[meeting.answer][0].shape):
            return False
        if meeting.ends and ANSWER not in _sources(given, meeting.answer):
            return False
        beside = _sources(given, meeting.target)
        return not meeting.leaves or (bool(beside & {*meeting.leaves}) and ANSWER not in beside)


def _sources(given: Given, place: int | None) -> frozenset[Path]:
    node = given[place][1] if place is not None and place < len(given) else None
    return frozenset() if node is None else node.sources


def meet(
    module: nn.Module, step: Callable[[Any], Any], batch: Any, meeting: Meeting, *, goes_back: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Runs a step up to the meeting: its answer and its target, with the graph behind the answer if gradients are on.

    The module should be lent meanwhile (`preserve_state`, `still`).

    Args:
        module: the one that gave the testimony.
        step: to be run.
        batch: what it gets.
        meeting: where it stops.
        goes_back: whether backward passes of its own are run.

    Raises:
        LookupError: the step did not get there.
    """
    replay = Replay(module, batch, meeting, goes_back=goes_back)
    try:
        replay.start()
        step(batch)
    except _Met:
        pass
    finally:
        replay.stop()
    if replay.answer is None:
        raise LookupError(f"the step does not bring the answer and its target together in {meeting.function} in eval mode")
    return replay.answer, replay.target


@dataclass(frozen=True)
class Capture:
    """What went into the first call, and what met behind it.

    Attributes:
        args: of the first call.
        kwargs: likewise.
        answer: at the meeting; None where there is none.
        target: likewise.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    answer: Tensor | None = None
    target: Tensor | None = None


def captured(
    module: nn.Module, step: Callable[[Any], Any], batch: Any, testimony: Testimony, optimizers: Iterable[Any] = ()
) -> Capture:
    """Runs a step once without gradients, in eval mode, and takes what its first call was given; nothing of the run stays.

    Answer and target are None where the step fails behind that call, or does not bring them together.

    Args:
        module: the one that gave the testimony.
        step: the same step.
        batch: what it gets, and may write into.
        testimony: which call and which meeting.
        optimizers: those that the step may use and the module does not know.

    Raises:
        LookupError: the submodule was not called.
    """
    given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    first = submodule(module, testimony.module)
    with preserve_state(module), torch.no_grad(), still(module, optimizers):
        take_off = before(first, partial(_keep, given), first=True)
        begin_streams()  # a step that augments makes the same images of the same items, in a run that goes on too
        try:
            at, back = testimony.meeting, goes_back_itself(module)
            met = meet(module, step, batch, at, goes_back=back) if at is not None else (step(batch), None)
        except Exception:  # it may take what the network returns while it trains alone
            if len(given) <= testimony.nth:
                raise
            met = None, None
        finally:
            take_off()
    if len(given) <= testimony.nth:
        raise LookupError(f"{testimony.module or 'the module itself'} was called {len(given)} times")
    answer, target = met if testimony.meeting is not None else (None, None)
    return Capture(*given[testimony.nth], answer, target)


def _keep(given: list[Any], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    given.append((args, kwargs))


def submodule(module: nn.Module, name: str) -> nn.Module:
    """The submodule that a testimony names.

    Raises:
        LookupError: there is none.
    """
    found: nn.Module | None = next((each for known, each in module.named_modules() if plain_name(known) == name), None)
    if found is None:
        raise LookupError(f"there is no submodule {name!r}")
    return found
