"""Cuts, where the user's forward stops gradients, and a forward that opens some."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lightning_vis.model.call import at_rows

NOT_THE_USERS = tuple(f"{folder}{os.sep}" for folder in (Path(torch.__file__).parent, Path(__file__).parents[1]))
"""Where code lies that stands between the user's calls: which of it is passed differs with hooks, and with who asks."""

Call = tuple[str, str, int, int]
"""A call that was being made: file, function, place in its code, line."""

SET_GRAD = torch._C._set_grad_enabled
"""Through this pass `no_grad`, `enable_grad` and `set_grad_enabled`; `inference_mode` does not."""

DETACHES: Mapping[Any, str] = {
    Tensor.detach: "detach",
    torch.detach: "detach",
    Tensor.detach_: "detach_",
    torch.detach_: "detach_",
    Tensor.data.__get__: "data",  # type: ignore[attr-defined]
}
FLAGS: Mapping[Any, str] = {
    Tensor.requires_grad_: "requires_grad_",
    Tensor.requires_grad.__set__: "requires_grad",  # type: ignore[attr-defined]
}
"""Said of a tensor that was computed, these are refused by autograd: of a batch that needs no gradient they are not."""

READS = (Tensor.numpy, Tensor.__array__)
"""These hand the values out."""


@dataclass(frozen=True)
class Cut:
    """A place in the user's code behind which no gradient flows.

    Attributes:
        word: what cuts: ``"no_grad"``, ``"inference_mode"``, ``"detach"``, ...
        calls: the user's calls that led there, the innermost first.
    """

    word: str
    calls: tuple[Call, ...] = ()

    @property
    def is_region(self) -> bool:
        """Whether all that is computed in it is cut off, rather than one tensor."""
        return self.word in ("no_grad", "inference_mode")

    @property
    def said(self) -> str:
        """Where it is, ``no_grad in forward, net.py line 12``."""
        if not self.calls:
            return self.word
        file, function, _, line = self.calls[0]
        return f"{self.word} in {function}(), {Path(file).name} line {line}"


@dataclass(frozen=True)
class Opened:
    """A way to run a network in which no gradient stops at some cuts; all values are what they are without it.

    Attributes:
        forward: images -> output.
        cuts: that are opened; all others stay.
        used: those of them that it came by; a network may stop cutting when it thaws.
    """

    forward: Callable[[Tensor], Any]
    cuts: frozenset[Cut]
    used: set[Cut] = field(default_factory=set, compare=False)

    def __call__(self, images: Tensor) -> Any:
        """Runs it on images."""
        with OpenCuts(self.cuts) as mode:
            output = self.forward(images)
        self.used.update(mode.used)
        return output

    def at(self, rows: Tensor) -> Opened:
        """The same for images that go with these rows of the probe."""
        return replace(self, forward=at_rows(self.forward, rows))


def through(forward: Callable[[Tensor], Any], cuts: Iterable[Cut] | None) -> Callable[[Tensor], Any]:
    """A way to run a network that lets gradients through cuts; itself where there are none."""
    return Opened(forward, frozenset(cuts)) if cuts else forward


def used_in(forward: Callable[[Tensor], Any]) -> tuple[Cut, ...]:
    """The cuts through which a way to run a network has let gradients so far."""
    return tuple(sorted(forward.used, key=lambda cut: cut.said)) if isinstance(forward, Opened) else ()


def said_of_cuts(cuts: Iterable[Cut] | None) -> tuple[str, ...]:
    """What a reader should know of maps that were made through cuts."""
    where = " and ".join(dict.fromkeys(each.said for each in cuts or ()))
    return (f"seen through a frozen part, which training sends no gradient through ({where})",) if where else ()


class OpenCuts(TorchFunctionMode):
    """A mode for our own forward pass in which some cuts let gradients through.

    It is the innermost mode, so that it sees the user's calls and not what our own modes do in their place. What runs without
    being seen by modes (scripted modules, and within ``inference_mode`` functions with a backward pass of their own) stays cut.

    Args:
        cuts: that are opened.
    """

    def __init__(self, cuts: frozenset[Cut]) -> None:
        super().__init__()
        self.cuts, self.used = cuts, set[Cut]()
        self.region: Cut | None = None  # that is closed, while gradients are off because of it
        self._was_enabled = True
        self._top: FrameType | None = None

    def __enter__(self) -> OpenCuts:
        """From here on."""
        self._was_enabled, self._top = torch.is_grad_enabled(), sys._getframe(1)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        """Up to here."""
        self._top = None  # which holds the images
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def _opens(self, cut: Cut) -> bool:
        if cut in self.cuts:
            self.used.add(cut)
        return cut in self.cuts

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is SET_GRAD:
            return self._switch(*args, **kwargs)
        if func in DETACHES:
            return self._detach(func, *args, **kwargs)
        if func in FLAGS:
            return self._flag(func, *args, **kwargs)
        if func in READS and self.cuts:  # refused where gradients are on
            return func(args[0].detach(), *args[1:], **kwargs)
        return self._compute(func, args, kwargs)

    def _switch(self, mode: bool) -> None:
        """Gradients are to be on or off: a region begins or ends."""
        if not torch.is_inference_mode_enabled():
            if torch.is_grad_enabled() and not mode:
                cut = Cut("no_grad", tuple((*each[:2], 0, each[3]) for each in self._calls()))  # enters and sets: twice
                if self._opens(cut):
                    return
                self.region = cut
            self.region = None if mode else self.region
        SET_GRAD(mode)

    def _detach(self, func: Any, input: Tensor, *args: Any, **kwargs: Any) -> Any:
        cut = Cut(DETACHES[func], self._calls())
        self.meets_detach(cut, input)
        if not self._opens(cut):
            return self._compute(func, (input, *args), kwargs)
        # Another tensor with the same memory, as `detach` returns it.
        return input if cut.word == "detach_" else self._compute(Tensor.view_as, (input, input), {})

    def _flag(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        is_wanted = args[0] if args else kwargs.get("requires_grad", True)
        if is_wanted or not isinstance(tensor, Tensor) or tensor.is_leaf or not tensor.requires_grad:
            return func(tensor, *args, **kwargs)
        cut = Cut(FLAGS[func], self._calls())
        self.meets_detach(cut, tensor)
        return tensor if self._opens(cut) else tensor.detach_()

    def _compute(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        is_inference = torch.is_inference_mode_enabled()
        if self.cuts and writes_weights(func, args):  # which autograd refuses
            with torch.no_grad():
                result = func(*args, **kwargs)
        elif is_inference and INFERENCE in self.cuts:
            self.used.add(INFERENCE)
            with torch.inference_mode(False), torch.set_grad_enabled(self._was_enabled and self.region is None):
                result = func(*args, **kwargs)
        else:
            result = func(*args, **kwargs)
        region = self.region or (INFERENCE if is_inference and INFERENCE not in self.cuts else None)
        self.meets(region, args, kwargs, result)
        return result

    def _calls(self) -> tuple[Call, ...]:
        return tuple(_frames(sys._getframe(2), self._top))

    def meets(self, region: Cut | None, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """A function has been computed; in a region, if that is closed."""

    def meets_detach(self, cut: Cut, tensor: Tensor) -> None:
        """A tensor is about to be cut off, or would be."""


INFERENCE = Cut("inference_mode")
"""Its beginning is not seen, so that all of them are one."""


def _frames(frame: FrameType | None, top: FrameType | None) -> Iterator[Call]:
    while frame is not None and frame is not top:
        code = frame.f_code
        if not code.co_filename.startswith(NOT_THE_USERS):
            yield code.co_filename, code.co_name, frame.f_lasti, frame.f_lineno
        frame = frame.f_back


def writes_weights(func: Any, args: Sequence[Any]) -> bool:
    """Whether a function changes weights in place."""
    name = getattr(func, "__name__", "")
    is_in_place = name in ("__iadd__", "__isub__", "__imul__", "__itruediv__", "__setitem__")
    return bool(args) and isinstance(args[0], nn.Parameter) and (is_in_place or (name[-1:] == "_" and name[-2:] != "__"))


def has_weights(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a function is given weights, one by one or as a list of them."""
    given = [*args, *kwargs.values()]
    given += [each for value in given if isinstance(value, (list, tuple)) for each in value]
    return any(isinstance(each, nn.Parameter) for each in given)
