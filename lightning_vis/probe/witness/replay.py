"""Runs a step again up to where its answer meets the target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lightning_vis.model.places import leaves
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.witness.dry_run import goes_back_itself, still
from lightning_vis.probe.witness.functions import name_of
from lightning_vis.probe.witness.testimony import Meeting, Testimony
from lightning_vis.probe.witness.witness import plain_name


class _Met(BaseException):
    """Answer and target are there; no ``except Exception`` of the step's own is to stop it."""


class Replay(TorchFunctionMode):
    """Lets a step run until answer and target meet, before loss, metrics and log.

    Attributes:
        answer: as the torch function was given it; None if it was not called.
        target: likewise; None too if the meeting has none.
    """

    def __init__(self, meeting: Meeting, *, goes_back: bool = False) -> None:
        super().__init__()
        self._meeting, self._seen, self._goes_back = meeting, 0, goes_back
        self.answer: Tensor | None = None
        self.target: Tensor | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs a torch function, but not a backward pass, and not the meeting."""
        name = name_of(func)
        if name == self._meeting.function:
            self._seen += 1
            if self._seen > self._meeting.nth:
                self._take([tensor for _, tensor in leaves((args, dict(kwargs or {})))])
        is_skipped = name == "backward" and not self._goes_back
        return None if is_skipped else func(*args, **(kwargs or {}))

    def _take(self, given: list[Tensor]) -> None:
        meeting = self._meeting
        if meeting.answer < len(given):
            self.answer = given[meeting.answer]
            has_target = meeting.target is not None and meeting.target < len(given)
            self.target = given[meeting.target] if has_target and meeting.target is not None else None
        raise _Met


def meet(step: Callable[[], Any], meeting: Meeting, *, goes_back: bool = False) -> tuple[Tensor, Tensor | None]:
    """Runs a step up to the meeting: its answer and its target, with the graph behind the answer if gradients are on.

    The module should be lent meanwhile (`preserve_state`, `still`).

    Args:
        step: to be run.
        meeting: where it stops.
        goes_back: whether backward passes of its own are run.

    Raises:
        LookupError: the step did not get there.
    """
    replay = Replay(meeting, goes_back=goes_back)
    try:
        with replay:
            step()
    except _Met:
        pass
    if replay.answer is None:
        raise LookupError(f"the step did not call {meeting.function} {meeting.nth + 1} times with an answer")
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


def captured(module: nn.Module, step: Callable[[], Any], testimony: Testimony, optimizers: Iterable[Any] = ()) -> Capture:
    """Runs a step once without gradients, in eval mode, and takes what its first call was given; nothing of the run stays.

    Answer and target are None where the step fails behind that call, or does not bring them together.

    Args:
        module: the one that gave the testimony.
        step: the same step, on a batch that it may write into.
        testimony: which call and which meeting.
        optimizers: those that the step may use and the module does not know.

    Raises:
        LookupError: the submodule was not called.
    """
    given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    first = submodule(module, testimony.module)
    with preserve_state(module), torch.no_grad(), still(module, optimizers):
        handle = first.register_forward_pre_hook(partial(_keep, given), prepend=True, with_kwargs=True)
        torch.manual_seed(0)  # a step that augments makes the same images of the same items, in a run that goes on too
        try:
            at, back = testimony.meeting, goes_back_itself(module)
            met = meet(step, at, goes_back=back) if at is not None else (step(), None)
        except Exception:  # it may take what the network returns while it trains alone
            if len(given) <= testimony.nth:
                raise
            met = None, None
        finally:
            handle.remove()
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
