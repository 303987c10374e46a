"""Validation of arguments: tensors, names, indices, numbers."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class Mistake(ValueError):
    """What a user has said cannot be: it stops when fit starts, whatever happens to failures."""


def plain(given: Any) -> Any:
    """Lists and dicts of a configuration (hydra's `ListConfig` and `DictConfig`, or a class of the user's own) as Python's own.

    OmegaConf makes a configuration of every dataclass that is put in one, a `View` for instance: it is taken out again.
    """
    if type(given).__module__.partition(".")[0] == "omegaconf":
        return sys.modules["omegaconf"].OmegaConf.to_object(given)
    if isinstance(given, Mapping):
        return {key: plain(value) for key, value in given.items()}
    if isinstance(given, Sequence) and not isinstance(given, (str, bytes, tuple, range)):
        return [plain(each) for each in given]
    return given


def as_tuple(given: Any) -> Any:
    """A list of any kind as a tuple; anything else as it is."""
    given = plain(given)
    return tuple(given) if isinstance(given, list) else given


def tensor_of(given: Any, what: str, expected: str) -> Tensor:
    """A tensor, of anything that has numbers.

    Raises:
        TypeError: it has none.
    """
    try:
        return torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(f"{what}: expected {expected}; got {quoted(given)}, which cannot become a tensor") from error


def names_of(given: Any, what: str, *, of: str = "names") -> list[str]:
    """A list of strings.

    Raises:
        ValueError: a single string.
        TypeError: anything else.
    """
    if isinstance(given, str):
        raise ValueError(f"{what}={given!r}: expected a list of {of}, [{given!r}]")
    if not isinstance(given, Iterable) or getattr(given, "shape", True) == ():
        raise TypeError(f"{what}: expected a list of {of}; got {quoted(given)}")
    names = list(given)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"{what}: expected a list of {of}, all of them strings; got {quoted(names)}")
    return names


def indices_of(given: Any, count: int, what: str) -> list[int]:
    """Indices below `count`; negative ones count from the end.

    Raises:
        TypeError: not all are whole numbers.
        ValueError: some are out of range.
    """
    try:
        indices = [operator.index(each) for each in given]
    except TypeError as error:
        raise TypeError(f"{what}: expected a list of whole numbers; got {quoted(given)}") from error
    wrong = [index for index in indices if not -count <= index < count]
    if wrong:
        raise ValueError(f"{what}: there is no item {wrong[0]}, there are {count}")
    return indices


def count_of(given: Any, what: str) -> int:
    """A whole number of at least 1.

    Raises:
        ValueError: anything else.
    """
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise ValueError(f"{what}={quoted(given)}: expected a whole number of at least 1")
    return given


def steps_of(given: Any, what: str) -> tuple[int, ...]:
    """Numbers of steps.

    Raises:
        TypeError: not all are whole numbers.
    """
    try:
        return tuple(operator.index(each) for each in given)
    except TypeError as error:
        raise TypeError(f"{what}={quoted(given)}: expected a list of whole numbers, like (100, 200)") from error


def floats_of(given: Any, what: str) -> list[float]:
    """One number, or one per channel.

    Raises:
        TypeError: something that is no number.
    """
    try:
        return [float(each) for each in (given if isinstance(given, Iterable) else [given])]
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what}={quoted(given)}: expected one number per channel") from error


def chunk_size_of(given: Any) -> int | None:
    """At most how many images in one pass; None for all.

    Raises:
        ValueError: not a whole number of at least 1.
    """
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 1):
        raise ValueError(f"chunk_size={quoted(given)}: expected a whole number of at least 1, or None for all at once")
    return given


def class_indices_of(classes: Any, scores: Tensor) -> Tensor:
    """One class per row of the scores ``(N, C)``, as ``(N,)`` on their device.

    Raises:
        TypeError: no numbers.
        ValueError: another shape, no whole numbers, or a class that the scores do not have.
    """
    indices = tensor_of(classes, "classes", f"one class index per image, ({len(scores)},)").to(scores.device)
    whole = not (indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool)
    if indices.shape != (len(scores),) or not (whole or not len(indices)):
        got = f"{indices.dtype} {tuple(indices.shape)}"
        raise ValueError(f"classes: expected one class index per image, ({len(scores)},) whole numbers; got {got}")
    wrong = indices[(indices < 0) | (indices >= scores.shape[1])]
    if len(wrong):
        raise ValueError(f"class {int(wrong[0])} was asked for, but the model gives scores for {scores.shape[1]} classes")
    return indices.long()


def check_layers(layers: Sequence[str | None], what: str) -> None:
    """TypeError if these are not names of layers, None for the last feature map."""
    fine = isinstance(layers, (tuple, list)) and all(name is None or isinstance(name, str) for name in layers)
    if not fine or not layers:
        raise TypeError(f"{what}: expected names of layers, None for the last feature map; got {quoted(layers)}")


def quoted(value: Any, limit: int = 80) -> str:
    """A value as users wrote it, at most `limit` characters."""
    if isinstance(value, Tensor):
        return f"a tensor {value.dtype} {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 4]} ..."
