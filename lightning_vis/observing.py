"""Look at a model and leave no trace."""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Restore = Callable[[], None]


@contextmanager
def observing(model: nn.Module) -> Iterator[nn.Module]:
    """Lends the model in eval mode, with gradients on, and puts everything back afterwards.

    Whatever happens inside (success, an error, Ctrl-C), these are as they were before: the training flag of each module,
    parameters and their ``requires_grad`` and ``.grad`` (the same objects), buffers, Python attributes of modules with the
    lists, dicts, tensors, arrays and generators in them, hooks, and the random streams of Python, NumPy and torch.
    ``log`` and ``log_dict`` of Lightning modules are silent meanwhile, and compiled modules run eagerly, so that hooks work.

    Args:
        model: the module to look at; on any device.

    Yields:
        The same module.

    Raises:
        ValueError: the model has lazy parameters that no batch has shaped yet.
    """
    _refuse_lazy(model)
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_eagerly())
        # An ExitStack runs every callback, also after one of them has raised: no restore step depends on another.
        for restore in (*_random_streams(), *_weights(model), *_attributes(model), *_modes(model)):
            stack.callback(restore)
        _prepare(model)
        yield model


@contextmanager
def keeping_randomness() -> Iterator[None]:
    """Puts the random streams of Python, NumPy and torch back, whatever is drawn inside."""
    with ExitStack() as stack:
        for restore in _random_streams():
            stack.callback(restore)
        yield


def _prepare(model: nn.Module) -> None:
    for module in model.modules():
        # Not `eval()`: users override `train()` (frozen norms, merged adapters), and that would run their code.
        if getattr(module, "training", False):
            module.training = False
        if callable(getattr(module, "log", None)) and callable(getattr(module, "log_dict", None)):
            vars(module).update(log=_say_nothing, log_dict=_say_nothing)
    for parameter in model.parameters():
        parameter.grad = None


def _say_nothing(*args: Any, **kwargs: Any) -> None:
    """Stands in for ``log`` while we look."""


def _refuse_lazy(model: nn.Module) -> None:
    lazy = [name for name, value in model.named_parameters() if nn.parameter.is_lazy(value)]
    if lazy:
        raise ValueError(
            f"the model has lazy parameters ({', '.join(lazy[:3])}{', ...' if len(lazy) > 3 else ''}) that get their shape"
            " from the first batch: run one batch through it before looking at it"
        )


def _eagerly() -> AbstractContextManager[Any]:
    # Importing dynamo takes seconds; if nobody has, nothing is compiled.
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _modes(model: nn.Module) -> Iterator[Restore]:
    for module in model.modules():
        if hasattr(module, "training"):  # frozen script modules have no flag
            yield lambda module=module, flag=module.training: _set(module, "training", flag)


def _weights(model: nn.Module) -> Iterator[Restore]:
    for parameter in model.parameters():
        yield _tensor(parameter)
        yield lambda p=parameter, flag=parameter.requires_grad: _set(p, "requires_grad", flag)
        # Set aside, not copied: whatever a backward pass would add meanwhile lands in another tensor.
        yield lambda p=parameter, grad=parameter.grad: setattr(p, "grad", grad)
    for buffer in model.buffers():
        yield _tensor(buffer)


def _attributes(model: nn.Module) -> list[Restore]:
    restores: list[Restore] = []
    seen: dict[int, Any] = {id(value): value for value in (*model.parameters(), *model.buffers())}
    for module in model.modules():
        _remember(module, seen, restores)
    return restores


def _remember(value: Any, seen: dict[int, Any], restores: list[Restore]) -> None:
    """Adds to `restores` what puts `value`, and everything in it, back; `seen` also keeps the objects alive, for their ids."""
    if id(value) in seen or isinstance(value, (int, float, str, bytes, type(None), type)):
        return
    seen[id(value)] = value
    for kind, keep in _KEEPERS:
        if isinstance(value, kind):
            restores.append(keep(value))
            break
    for item in _items(value):
        _remember(item, seen, restores)


def _items(value: Any) -> Any:
    if isinstance(value, nn.Module):
        return (vars(value),)
    if isinstance(value, dict):
        return tuple(value.values())
    return tuple(value) if isinstance(value, (list, tuple, set, deque)) else ()


def _tensor(value: Tensor) -> Restore:
    kept = value.detach().clone()

    def restore() -> None:
        with torch.no_grad():
            if not torch.equal(value, kept):
                value.copy_(kept)

    return restore


def _array(value: np.ndarray[Any, Any]) -> Restore:
    kept = value.copy()
    return lambda: None if np.array_equal(value, kept) else np.copyto(value, kept)


def _dict(value: dict[Any, Any]) -> Restore:
    kept = dict(value)

    def restore() -> None:
        if not _same_items([*value.items()], [*kept.items()]):
            value.clear()
            value.update(kept)

    return restore


def _sequence(value: list[Any] | deque[Any]) -> Restore:
    kept = list(value)

    def restore() -> None:
        if not _same_items([(None, item) for item in value], [(None, item) for item in kept]):
            value.clear()
            value.extend(kept)

    return restore


def _set_of(value: set[Any]) -> Restore:
    kept = set(value)

    def restore() -> None:
        if value != kept:
            value.clear()
            value.update(kept)

    return restore


def _same_items(now: list[tuple[Any, Any]], then: list[tuple[Any, Any]]) -> bool:
    return len(now) == len(then) and all(
        key is other_key and value is other for (key, value), (other_key, other) in zip(now, then, strict=True)
    )


def _bit_generator(value: np.random.Generator) -> Restore:
    kept = value.bit_generator.state
    return lambda: setattr(value.bit_generator, "state", kept)


def _torch_generator(value: torch.Generator) -> Restore:
    kept = value.get_state()
    return lambda: _none(value.set_state(kept))


def _python_generator(value: random.Random) -> Restore:
    kept = value.getstate()
    return lambda: value.setstate(kept)


_KEEPERS: tuple[tuple[Any, Callable[[Any], Restore]], ...] = (
    (Tensor, _tensor),
    (np.ndarray, _array),
    (dict, _dict),
    ((list, deque), _sequence),
    (set, _set_of),
    (torch.Generator, _torch_generator),
    (np.random.Generator, _bit_generator),
    (random.Random, _python_generator),
)


def _random_streams() -> Iterator[Restore]:
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield lambda: random.setstate(python)
    yield lambda: np.random.set_state(numpy)
    yield lambda: torch.set_rng_state(cpu)
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        cuda = torch.cuda.get_rng_state_all()
        yield lambda: torch.cuda.set_rng_state_all(cuda)


def _set(owner: Any, name: str, value: Any) -> None:
    if getattr(owner, name) != value:
        setattr(owner, name, value)


def _none(_: Any) -> None:
    return None
