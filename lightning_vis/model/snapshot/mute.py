"""Mutes the loggers of a model, and what it prints by Lightning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

from lightning_vis.model.snapshot.restore import Variables


def logging_methods(reached: Iterable[Any]) -> list[Variables]:
    """The methods of all that writes metrics down, as attributes of these objects themselves, where `mute` puts others.

    Args:
        reached: from a network; Lightning modules bring their Trainer's loggers along.
    """
    by_kind: dict[type, list[Any]] = {}
    for value in reached:
        by_kind.setdefault(type(value), []).append(value)
    found = [value for kind, values in by_kind.items() if _logs_metrics(kind) for value in values]
    for module in [value for kind, values in by_kind.items() if issubclass(kind, nn.Module) for value in values]:
        for logger in getattr(vars(module).get("_trainer"), "loggers", ()):
            found += [logger, getattr(logger, "__dict__", {}).get("_experiment")]  # not `experiment`, which would begin one
    speakers = {id(each): each for each in found if hasattr(each, "__dict__")}.values()
    return [Variables(vars(each), frozenset(_writing(each))) for each in speakers]


def mute(methods: Iterable[Variables]) -> None:
    """Has them say nothing."""
    for each in methods:
        each.space.update(dict.fromkeys(each.names, _say_nothing))


def _logs_metrics(kind: type) -> bool:
    if issubclass(kind, nn.Module):
        return all(callable(getattr(kind, name, None)) for name in _OF_MODULES)
    return not issubclass(kind, type) and any(callable(getattr(kind, name, None)) for name in _OF_LOGGERS)


_OF_MODULES = ("log", "log_dict")  # and no more: `log_prob` is mathematics


_OF_LOGGERS = ("log_metrics", "add_scalar")


def _writing(value: Any) -> Iterator[str]:
    if isinstance(value, nn.Module):
        yield from (*_OF_MODULES, *(name for name in ("print",) if callable(getattr(value, name, None))))
        return
    for name in dir(type(value)):
        if name.startswith(("log", "add_")) and callable(getattr(type(value), name, None)):
            yield name


def _say_nothing(*args: Any, **kwargs: Any) -> None:
    """Stands in for what writes metrics while we look."""
