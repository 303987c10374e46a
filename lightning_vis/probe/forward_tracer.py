"""Traces one batch through a network: which submodule takes the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.model.hooks import after, before
from lightning_vis.model.layers import named_layers
from lightning_vis.model.places import Path, leaves, on_cpu, rows_of
from lightning_vis.model.scores import class_scores
from lightning_vis.probe.witness.witness import plain_name

MOST = 8
"""Images that are kept of a batch."""


LABEL_KEYS = ("label", "labels", "target", "targets", "y", "class", "classes", "mask", "masks", "segmentation")


@dataclass(frozen=True)
class EntryPoint:
    """How images get into a network: the submodule's dotted name (empty for the whole), and the argument's name if it
    is given by name."""

    name: str
    module: nn.Module
    argument: str | None = None

    @property
    def place(self) -> Path:
        """Where in ``(args, kwargs)`` the images are."""
        return (0, 0) if self.argument is None else (1, self.argument)


@dataclass
class _Call:
    """One submodule's one call: when it began and ended, what it got if there were images in it, its answers' classes."""

    entry: EntryPoint
    start: int
    count: int
    kept: Any = None
    end: int = -1
    classes: int = 0

    @property
    def has_weights(self) -> bool:
        return next(self.entry.module.parameters(), None) is not None


class ForwardTracer:
    """Lends hooks to all submodules while one batch goes through; they change nothing, and `stop` takes them off.

    They work unseen by torch function modes: a user's own, which may count, sees nothing but the network.

    Args:
        model: the network.
        batch: what its step gets, on its device.
    """

    def __init__(self, model: nn.Module, batch: Any) -> None:
        self._channels = {image.shape[1] for _, image in leaves(batch) if image.ndim >= 4}
        self._calls: list[_Call] = []
        self._open: dict[int, list[_Call]] = {}
        self._time = 0
        self._taken_off: list[Callable[[], None]] = []
        modules = {"": model} | named_layers(model)
        for name, module in modules.items():
            if not isinstance(module, torch.jit.ScriptModule):
                enter = partial(self._enter, plain_name(name))
                # Ours comes first: what a user's own hook makes of the images, it will make of them again.
                self._taken_off.append(before(module, enter, first=True))
                self._taken_off.append(after(module, self._leave))

    def stop(self) -> None:
        """Takes the hooks off."""
        while self._taken_off:
            self._taken_off.pop()()

    def kept(self, name: str, nth: int) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """What the nth call of a submodule got, the first rows of it on the CPU; None if there were no images in it."""
        calls = [call for call in self._calls if call.entry.name == name]
        found: tuple[tuple[Any, ...], dict[str, Any]] | None = calls[nth].kept if nth < len(calls) else None
        return found

    def entry(self) -> tuple[EntryPoint, Path]:
        """The first submodule that takes images and gives scores that nothing else is made of, else the first that takes
        images; and where among its arguments they are.

        Raises:
            LookupError: none took images.
        """
        with_images = [call for call in sorted(self._calls, key=lambda call: call.start) if call.kept is not None]
        answers = [call for call in with_images if call.classes > 1 and call.has_weights and not self._is_half(call)]
        trained = [call for call in with_images if call.has_weights]
        found = next(iter([*answers, *trained]), None)
        if found is None:
            raise LookupError("no submodule took images (N, C, H, W)")
        return found.entry, found.entry.place

    def goes_on(self, entry: EntryPoint) -> bool:
        """Whether what a submodule returns goes on into a later one: then it is no answer, most likely."""
        return any(call.entry is entry and self._is_half(call) for call in self._calls)

    def _is_half(self, call: _Call) -> bool:
        """Whether a later submodule with weights got something other than images: features, most likely of this one."""
        later = [other for other in self._calls if other.start > call.end]
        on_images = [other for other in later if other.kept is not None]
        rest = [other for other in later if other.kept is None and other.has_weights]
        return any(not any(each.start < other.start < each.end for each in on_images) for other in rest)

    def _enter(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        with torch._C.DisableTorchFunction():
            self._begin(name, module, args, kwargs)

    def _begin(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._time += 1
        given = [(None, value) for value in args[:1]] if args else list(kwargs.items())
        argument, image = next(((key, value) for key, value in given if self._is_image(value)), (None, None))
        count = 0 if image is None else len(image)
        kept = None if image is None else _rows((args, kwargs), count)
        call = _Call(EntryPoint(name, module, argument), self._time, count, kept)
        self._calls.append(call)
        self._open.setdefault(id(module), []).append(call)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        with torch._C.DisableTorchFunction():
            self._end(module, output)

    def _end(self, module: nn.Module, output: Any) -> None:
        self._time += 1
        if not self._open.get(id(module)):
            return
        call = self._open[id(module)].pop()
        call.end = self._time
        if call.kept is not None:
            call.classes = _classes(output, call.count)

    def _is_image(self, value: Any) -> bool:
        is_map = isinstance(value, Tensor) and value.ndim >= 4 and value.is_floating_point() and value.numel() > 0
        return is_map and (not self._channels or value.shape[1] in self._channels)


def _rows(given: Any, count: int) -> Any:
    """The first rows of what a call got, on the CPU."""
    return on_cpu(rows_of(given, torch.arange(min(MOST, count)), count))


def _classes(output: Any, count: int) -> int:
    """For how many classes an output has scores of each image; 0 if it has none."""
    try:
        with torch.no_grad():
            scores = class_scores(output)
    except Exception:  # whatever a user's module returns, watching must not disturb
        return 0
    return int(scores.shape[1]) if len(scores) == count else 0


def labels_beside(batch: Any, count: int) -> Tensor | None:
    """What may be labels ``(count, ...)``, where a user has said what they are; None where nothing may be."""
    for values in _label_columns(batch):
        if isinstance(values, Tensor) and values.ndim and len(values) == count:
            return values.detach().cpu()
        if (
            isinstance(values, (list, tuple))
            and len(values) == count
            and all(isinstance(each, (int, float)) for each in values)
        ):
            return torch.tensor(values)
    return None


def _label_columns(batch: Any) -> Iterator[Any]:
    """What may be labels: under the usual keys, else beside the images, else the only whole numbers there are."""
    if isinstance(batch, Mapping):
        yield from (batch[key] for key in LABEL_KEYS if key in batch)
        others = [value for key, value in batch.items() if key not in LABEL_KEYS]
        numbers = [each for each in others if isinstance(each, Tensor) and not each.is_floating_point()]
        yield from numbers if len(numbers) == 1 else ()
    elif isinstance(batch, (tuple, list)):
        yield from (each for each in batch[1:2] if isinstance(each, (Tensor, list, tuple)))
        yield from (found for part in batch if isinstance(part, Mapping) for found in _label_columns(part))
