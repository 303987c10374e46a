"""What `observing` and the callbacks do without one of their precautions: each must be missed by some scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from lightning_vis import callbacks, failures, observing, probe, recording, remembering

Cut = Callable[[pytest.MonkeyPatch], None]


class Torch:
    """torch as `observing` sees it, but for one function."""

    def __init__(self, **other: Any) -> None:
        self.other = other

    def __getattr__(self, name: str) -> Any:
        return self.other.get(name) or getattr(torch, name)


def values_only(kind: str) -> Callable[[nn.Module], Iterator[Callable[[], None]]]:
    """`_weights` without one of its steps."""

    def weights(model: nn.Module) -> Iterator[Callable[[], None]]:
        for parameter in model.parameters():
            if kind != "values":
                yield remembering.tensor(parameter)
            if kind != "flags":
                yield lambda p=parameter, flag=parameter.requires_grad: p.requires_grad_(flag)
            if kind != "gradients":
                yield lambda p=parameter, grad=parameter.grad: setattr(p, "grad", grad)
        if kind != "buffers":
            yield from (remembering.tensor(buffer) for buffer in model.buffers())

    return weights


def prepared_with(**parts: bool) -> Callable[[nn.Module], None]:
    """`_prepare` without one of its steps."""

    def prepare(model: nn.Module) -> None:
        for module in model.modules():
            if parts.get("modes", True):
                module.training = False
            if parts.get("silence", True) and callable(getattr(module, "log_dict", None)):
                vars(module).update(log=lambda *_, **__: None, log_dict=lambda *_, **__: None)
        for parameter in model.parameters():
            parameter.grad = None

    return prepare


def loud(self: failures.Failures, what: str, error: Exception) -> None:
    raise error


def put(owner: Any, name: str, value: Any) -> Cut:
    return lambda patch: patch.setattr(owner, name, value)


def nothing(*arguments: Any, **named: Any) -> list[Any]:
    return []


# what is missing: (how it is cut out, the scenario that must notice)
ABLATIONS: dict[str, tuple[Cut, str]] = {
    "the random streams": (put(observing, "random_streams", nothing), "draws_random_numbers_in_eval"),
    "the weights' values": (put(observing, "_weights", values_only("values")), "shrinks_its_weights_in_forward"),
    "the weights' flags": (put(observing, "_weights", values_only("flags")), "reentrant_checkpointing"),
    "the weights' gradients": (
        put(observing, "_weights", values_only("gradients")),
        "manual_accumulation_across_epochs",
    ),
    "the buffers": (put(observing, "_weights", values_only("buffers")), "memory_bank_replaces_its_buffer"),
    "the attributes": (put(observing, "remember", nothing), "counts_and_remembers_in_eval"),
    "objects of the user's own": (put(remembering, "_is_own", lambda *_: False), "counts_in_an_object_of_its_own"),
    "generators that modules keep": (
        put(remembering, "_STATE", remembering._STATE[:3]),
        "draws_random_numbers_in_eval",
    ),
    "modes of scripted modules": (put(observing, "_modes", nothing), "scripted_network"),
    "silence of log": (put(observing, "_prepare", prepared_with(silence=False)), "logs_and_metrics_in_forward"),
    "leaving inference mode": (
        put(observing, "torch", Torch(inference_mode=lambda _: nullcontext())),
        "validate_alone",
    ),
    "switching gradients on": (
        put(observing, "torch", Torch(enable_grad=nullcontext, inference_mode=lambda _: nullcontext())),
        "plain",
    ),
    "looking eagerly": (put(observing, "_eagerly", nullcontext), "compiled_submodule"),
    "waiting for lazy layers": (put(callbacks, "is_lazy", lambda _: False), "lazy_modules"),
    "surviving a failure": (put(failures.Failures, "tell", loud), "view_of_the_users_own_breaks"),
    "the state of the data set": (
        put(probe, "keeping_randomness", nullcontext),
        "augmenting_data_with_its_own_generator",
    ),
    "autograd.grad instead of backward": (put(recording, "_grad", recording._backward), "optimizer_steps_in_backward"),
    "backward where checkpoints want it": (put(recording, "_backward", recording._grad), "reentrant_checkpointing"),
}
