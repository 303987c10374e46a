"""Context in which a model may be run, and that puts it back as it was."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.model.compiled import eagerly
from lightning_vis.model.snapshot.copy_on_write import LARGE, CopyOnWrite
from lightning_vis.model.snapshot.mute import logging_methods, mute
from lightning_vis.model.snapshot.reachable import reachable
from lightning_vis.model.snapshot.restore import restore_all, restorers_of
from lightning_vis.model.snapshot.rng import random_streams
from lightning_vis.model.snapshot.tensors import Restore, tensor


@contextmanager
def preserve_state(model: nn.Module, copied: int | None = None) -> Iterator[nn.Module]:
    """Lends the model in eval mode, with gradients on, and puts everything back afterwards.

    Whatever happens inside (success, an error, Ctrl-C), these are as they were before: the training flag of each module,
    parameters and their ``requires_grad`` and ``.grad`` (the same objects), buffers, Python attributes of modules with the
    lists, dicts, tensors, arrays and generators in them, hooks, the random streams of Python, NumPy and torch, what the
    user's own methods and hooks keep in closures, in globals and in their classes, and the Trainer's own attributes. The
    user's hooks do run: they may be part of the network. ``log``, ``log_dict`` and ``print`` of Lightning modules, the loggers of their Trainer and writers that the model or
    its hooks keep are silent meanwhile, and compiled modules run eagerly, so that hooks work.

    What is written to files, printed, or kept by installed packages or in iterators cannot be taken back.

    A model that is lent already may be lent again inside, which is cheap: what there is was found by the outer loan, and at the
    end of the inner one it is put back to where the outer one began.

    Args:
        model: the module to look at; on any device.
        copied: bytes of weights up to which they are copied, 8 MiB if None; larger ones are watched, and copied only if
            something is about to write to them. A copy costs once, watching some microseconds at every operation.

    Yields:
        The same module.

    Raises:
        ValueError: the model has lazy parameters that no batch has shaped yet.
    """
    modules, parameters, buffers = [*model.modules()], [*model.parameters()], [*model.buffers()]
    _refuse_lazy(model, parameters)
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(eagerly())
        watch = _watch(modules, parameters, LARGE if copied is None else copied)
        reset = _loans().get(id(model))
        with collector_held():
            own = [*random_streams(), _default_dtype(), *_weights(parameters, buffers, watch), *_modes(modules)]
            if reset is None:
                objects, lend = _objects(modules, parameters, buffers)
                stack.enter_context(_on_loan(model, objects, lend))
                stack.callback(_restore, [*objects, *own])
                lend()
            else:
                stack.callback(reset)
                stack.callback(_restore, own)
                _prepare(modules, parameters)
        if watch is not None:
            stack.enter_context(watch)
        yield model


_THREAD = threading.local()


def _default_dtype() -> Restore:
    """What puts the default of new tensors back: Lightning 2.0 leaves 64 bits behind where a double step is not run to its end."""
    return partial(torch.set_default_dtype, torch.get_default_dtype())


def _loans() -> dict[int, Callable[[], None]]:
    """By model that is lent in this thread, what puts its objects back to where the loan began, and lends them again."""
    loans: dict[int, Callable[[], None]] = _THREAD.__dict__.setdefault("loans", {})
    return loans


@contextmanager
def _on_loan(model: nn.Module, objects: Sequence[Restore], lend: Callable[[], None]) -> Iterator[None]:
    """Keeps in mind that a model is lent, for loans within this one."""

    def reset() -> None:
        _restore(objects)
        lend()

    _loans()[id(model)] = reset
    try:
        yield
    finally:
        del _loans()[id(model)]


def _objects(
    modules: list[nn.Module], parameters: list[nn.Parameter], buffers: list[Tensor]
) -> tuple[list[Restore], Callable[[], None]]:
    """What puts all that can be reached back, and what lends it."""
    found = reachable(modules, (*parameters, *buffers))
    trainers = {id(each): each for each in (vars(module).get("_trainer") for module in modules) if hasattr(each, "__dict__")}
    found += [(vars(each), 0) for each in trainers.values()]  # its own attributes: a step may say `trainer.should_stop`
    methods = logging_methods(value for value, _ in found)

    def lend() -> None:
        mute(methods)
        _prepare(modules, parameters)

    return restorers_of([*found, *((each, 0) for each in methods)]), lend


def _restore(restores: Sequence[Restore]) -> None:
    with collector_held():
        restore_all(restores)


@contextmanager
def collector_held() -> Iterator[None]:
    """Python's collector waits: it would walk through the thousands of objects that a loan makes, again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _prepare(modules: Iterable[nn.Module], parameters: Iterable[Tensor]) -> None:
    for module in modules:
        # Not `eval()`: users override `train()` (frozen norms, merged adapters), and that would run their code.
        if getattr(module, "training", False):
            module.training = False
        _thaw(vars(module))
        _thaw(vars(module).get("_buffers"))
    for parameter in parameters:
        parameter.grad = None


def _thaw(kept: Any) -> None:
    """Puts copies in the place of tensors that were made in inference mode: no gradient goes past these themselves."""
    for name, value in kept.items() if isinstance(kept, dict) else ():
        if isinstance(value, Tensor) and value.is_inference():
            kept[name] = value.clone()


def _refuse_lazy(model: nn.Module, parameters: Iterable[Tensor]) -> None:
    if any(map(nn.parameter.is_lazy, parameters)):
        lazy = [name for name, value in model.named_parameters() if nn.parameter.is_lazy(value)]
        raise ValueError(
            f"the model has lazy parameters ({', '.join(lazy[:3])}{', ...' if len(lazy) > 3 else ''}) that get their shape"
            " from the first batch: run one batch through it before looking at it"
        )


def _modes(modules: Iterable[nn.Module]) -> Iterator[Restore]:
    for module in modules:
        if hasattr(module, "training"):  # frozen script modules have no flag
            yield partial(_set, module, "training", module.training)


def _watch(modules: Iterable[nn.Module], parameters: Iterable[Tensor], copied: int) -> CopyOnWrite | None:
    # The operations of scripted modules cannot all be watched.
    scripted = any(isinstance(module, torch.jit.ScriptModule) for module in modules)
    return CopyOnWrite() if not scripted and sum(value.nbytes for value in parameters) > copied else None


def _weights(parameters: Iterable[Tensor], buffers: Iterable[Tensor], watch: CopyOnWrite | None) -> Iterator[Restore]:
    for parameter in parameters:
        # Set aside, not copied: whatever a backward pass would add meanwhile lands in another tensor.
        yield partial(setattr, parameter, "grad", parameter.grad)
        yield partial(_set, parameter, "requires_grad", parameter.requires_grad)
        # The last is done first: flags can only be set where no graph hangs on.
        yield tensor(parameter) if watch is None else watch.keep(parameter)
    for buffer in buffers:
        yield tensor(buffer)


def _set(owner: Any, name: str, value: Any) -> None:
    if getattr(owner, name) != value:
        setattr(owner, name, value)
