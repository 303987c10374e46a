"""What `preserve_state` and the callbacks do without one of their precautions: each must be missed by some scenario."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_vis.attribution import recorders
from lightning_vis.callbacks import base, failures
from lightning_vis.callbacks.session import session
from lightning_vis.model.snapshot import reachable, restore, snapshot, tensors
from lightning_vis.probe import from_trainer

Cut = Callable[[pytest.MonkeyPatch], None]


class Torch:
    """torch as `preserve_state` sees it, but for one function."""

    def __init__(self, **other: Any) -> None:
        self.other = other

    def __getattr__(self, name: str) -> Any:
        return self.other.get(name) or getattr(torch, name)


def values_only(kind: str) -> Callable[..., Iterator[Callable[[], None]]]:
    """`_weights` without one of its steps."""

    def weights(parameters: list[nn.Parameter], buffers: list[torch.Tensor], watch: Any) -> Iterator[Callable[[], None]]:
        for parameter in parameters:
            if kind != "values":
                yield tensors.tensor(parameter)
            if kind != "flags":
                yield lambda p=parameter, flag=parameter.requires_grad: p.requires_grad_(flag)
            if kind != "gradients":
                yield lambda p=parameter, grad=parameter.grad: setattr(p, "grad", grad)
        if kind != "buffers":
            yield from (tensors.tensor(buffer) for buffer in buffers)

    return weights


def eval_only(modules: list[nn.Module], parameters: list[nn.Parameter]) -> None:
    """`_prepare` without setting gradients aside."""
    for module in modules:
        module.training = False


def loud(self: failures.Failures, what: str, error: Exception) -> None:
    raise error


def put(owner: Any, name: str, value: Any) -> Cut:
    return lambda patch: patch.setattr(owner, name, value)


def nothing(*arguments: Any, **named: Any) -> tuple[Any, ...]:
    return ()


def without(items_of: Callable[[Any], Any]) -> tuple[Any, ...]:
    """The ways in which values lead to others, but for one."""
    return tuple(each for each in reachable._ITEMS if each[1] is not items_of)


GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)

# what is missing: (how it is cut out, the scenario that must notice)
ABLATIONS: dict[str, tuple[Cut, str]] = {
    "the random streams": (put(snapshot, "random_streams", nothing), "draws_random_numbers_in_eval"),
    "the weights' values": (put(snapshot, "_weights", values_only("values")), "shrinks_its_weights_in_forward"),
    "the weights' flags": (put(snapshot, "_weights", values_only("flags")), "reentrant_checkpointing"),
    "the weights' gradients": (
        put(snapshot, "_weights", values_only("gradients")),
        "manual_accumulation_across_epochs",
    ),
    "setting gradients aside": (put(snapshot, "_prepare", eval_only), "backward_inside_forward"),
    "the buffers": (put(snapshot, "_weights", values_only("buffers")), "memory_bank_replaces_its_buffer"),
    "the attributes": (put(snapshot, "restorers_of", nothing), "counts_and_remembers_in_eval"),
    "objects of the user's own": (put(reachable, "_is_own", lambda *_: False), "counts_in_an_object_of_its_own"),
    "generators that modules keep": (
        put(restore, "_RESTORERS", [each for each in restore._RESTORERS if each[0] not in GENERATORS]),
        "draws_random_numbers_in_eval",
    ),
    "modes of scripted modules": (put(snapshot, "_modes", nothing), "scripted_network"),
    "globals that hooks name": (put(reachable, "_ITEMS", without(reachable._of_namespace)), "hook_that_fills_a_global_list"),
    "closures of hooks": (put(reachable, "contents_of", nothing), "hook_that_counts_in_a_closure"),
    "the user's functions": (put(reachable, "_ITEMS", without(reachable._of_code)), "counts_in_a_global"),
    "the user's classes": (put(restore, "attributes_of", lambda _: {}), "counts_in_its_class"),
    "slots": (put(reachable, "slots_of", nothing), "object_with_slots"),
    "silence of log": (put(snapshot, "mute", nothing), "logs_and_metrics_in_forward"),
    "silence of loggers": (put(snapshot, "mute", nothing), "writes_to_the_logger_in_forward"),
    "silence of writers": (put(snapshot, "mute", nothing), "writes_to_a_writer_of_its_own"),
    "leaving inference mode": (
        put(snapshot, "torch", Torch(inference_mode=lambda _: nullcontext())),
        "validate_alone",
    ),
    "switching gradients on": (
        put(snapshot, "torch", Torch(enable_grad=nullcontext, inference_mode=lambda _: nullcontext())),
        "plain",
    ),
    "looking eagerly": (put(snapshot, "eagerly", nullcontext), "compiled_forward"),
    "waiting for lazy layers": (put(base, "has_lazy_layers", lambda _: False), "lazy_modules"),
    "leaving compiled steps alone": (
        put(session, "is_compiled", lambda: False),
        "step_through_dynamo_with_other_sizes_after_sanity_1",
    ),
    "surviving a failure": (put(failures.Failures, "tell", loud), "view_of_the_users_own_breaks"),
    "the state of the data set": (
        put(from_trainer, "preserve_rng", nullcontext),
        "augmenting_data_with_its_own_generator",
    ),
    "autograd.grad instead of backward": (put(recorders, "_grad", recorders._backward), "optimizer_steps_in_backward"),
    "backward where checkpoints want it": (put(recorders, "_backward", recorders._grad), "reentrant_checkpointing"),
}
