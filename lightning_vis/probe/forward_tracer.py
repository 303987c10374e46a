"""Traces one batch through a network: which submodule takes the images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.model.layers import named_layers
from lightning_vis.model.scores import class_scores
from lightning_vis.probe.dataset import Item
from lightning_vis.probe.labels import read_label

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

    def __call__(self, images: Tensor) -> Any:
        """Runs the submodule."""
        return self.module(images) if self.argument is None else self.module(**{self.argument: images})


@dataclass
class _Call:
    """One submodule's one call: when it began and ended, its image if it took one, and its answers' classes."""

    entry: EntryPoint
    start: int
    images: Tensor | None
    shape: tuple[int, ...] = ()
    end: int = -1
    classes: int = 0
    is_image: bool = False

    @property
    def has_weights(self) -> bool:
        return next(self.entry.module.parameters(), None) is not None


class ForwardTracer:
    """Lends hooks to all submodules while one batch goes through; they change nothing, and `stop` takes them off.

    Args:
        model: the network.
        batch: what its step gets, on its device.
    """

    def __init__(self, model: nn.Module, batch: Any) -> None:
        self._batch = batch
        self._channels = {image.shape[1] for image in _tensors(batch) if image.ndim == 4}
        self._calls: list[_Call] = []
        self._open: dict[int, list[_Call]] = {}
        self._time = 0
        self._handles: list[Any] = []
        modules = {"": model} | named_layers(model)
        for name, module in modules.items():
            if not isinstance(module, torch.jit.ScriptModule):
                enter = partial(self._enter, name)
                # Ours comes first: what a user's own hook makes of the images, it will make of them again.
                self._handles.append(module.register_forward_pre_hook(enter, prepend=True, with_kwargs=True))
                self._handles.append(module.register_forward_hook(self._leave))

    def stop(self) -> None:
        """Takes the hooks off."""
        while self._handles:
            self._handles.pop().remove()

    def found(self) -> tuple[EntryPoint, list[Item]]:
        """The first submodule that takes images and gives the scores that nothing else is made of, and what it got.

        Raises:
            LookupError: there is none.
        """
        for call in sorted(self._calls, key=lambda call: call.start):
            if call.images is not None and call.classes > 1 and call.has_weights and not self._is_half(call):
                items = _items(call.images, call.shape[0], self._batch, call.classes)
                if not call.is_image or items[0].mask is not None:
                    return call.entry, items
        raise LookupError("no submodule took images (N, C, H, W) and returned class scores (N, C) or (N, C, H, W)")

    def _is_half(self, call: _Call) -> bool:
        """Whether a later submodule with weights got something other than images: features, most likely of this one."""
        later = [other for other in self._calls if other.start > call.end]
        on_images = [other for other in later if other.images is not None]
        rest = [other for other in later if other.images is None and other.has_weights]
        return any(not any(each.start < other.start < each.end for each in on_images) for other in rest)

    def _enter(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._time += 1
        given = [(None, value) for value in args[:1]] if args else list(kwargs.items())
        argument, image = next(((key, value) for key, value in given if self._is_image(value)), (None, None))
        kept = None if image is None else image[:MOST].detach().float().cpu().clone()
        call = _Call(EntryPoint(name, module, argument), self._time, kept, () if image is None else tuple(image.shape))
        self._calls.append(call)
        self._open.setdefault(id(module), []).append(call)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._time += 1
        if not self._open.get(id(module)):
            return
        call = self._open[id(module)].pop()
        call.end = self._time
        if call.images is not None:
            call.classes = _classes(output, call.shape[0])
            call.is_image = isinstance(output, Tensor) and tuple(output.shape) == call.shape

    def _is_image(self, value: Any) -> bool:
        is_map = isinstance(value, Tensor) and value.ndim == 4 and value.is_floating_point() and value.numel() > 0
        return is_map and (not self._channels or value.shape[1] in self._channels)


def _classes(output: Any, count: int) -> int:
    """For how many classes an output has scores of each image; 0 if it has none."""
    try:
        with torch.no_grad():
            scores = class_scores(output)
    except Exception:  # whatever a user's module returns, watching must not disturb
        return 0
    return int(scores.shape[1]) if len(scores) == count else 0


def _items(images: Tensor, count: int, batch: Any, classes: int) -> list[Item]:
    """The images with the labels and masks that the batch has for them."""
    size = (int(images.shape[2]), int(images.shape[3]))
    for values in _label_columns(batch):
        if isinstance(values, Tensor) and values.ndim == 4 and values.shape[1] > 1:
            continue  # images
        try:
            found = [read_label(value, size) for value in list(values)[: len(images)]] if len(values) == count else []
        except TypeError:
            continue
        if found and all(label is not None and label < classes for label, _ in found):
            return [Item(at, image, *each) for at, (image, each) in enumerate(zip(images, found, strict=True))]
    return [Item(at, image) for at, image in enumerate(images)]


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


def _tensors(value: Any, depth: int = 0) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif depth < 3:
        parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, (tuple, list)) else ()
        for part in parts:
            yield from _tensors(part, depth + 1)
