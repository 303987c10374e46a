"""The user's step run once more, as a rehearsal of which nothing stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.model.places import DEEPEST, Path, leaves, parts
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.witness.testimony import Testimony
from lightning_vis.probe.witness.witness import Given, Witness, exchange


def dry_run(
    module: nn.Module,
    step: Callable[[], Any],
    batch: Any,
    weights: set[int],
    optimizers: Iterable[Any] = (),
    head: Path | None = None,
    others: Sequence[Path] = (),
) -> Testimony:
    """Runs a step, `training_step` as a rule, and reads what the answer means; nothing of the run stays.

    It runs eagerly and with the training flags as they are. Under manual optimization optimizers and schedulers do not step
    and no gradient is made: a backward pass only tells which loss is trained. An error of the step ends the run, but what was
    seen up to it counts. What the step writes to files cannot be taken back.

    Args:
        module: the Lightning module, or any other with a step.
        step: runs it on the batch, in the precision it is trained in.
        batch: what the step gets; if the step writes into it, it is put back.
        weights: ids of the parameters that an optimizer has.
        optimizers: those that the step may use; those that the module knows need not be named.
        head: the answer that a user has named.
        others: further ones that are asked for.

    Raises:
        ValueError: the module has lazy parameters that no batch has shaped yet.
    """
    flags = [(each, each.training) for each in module.modules() if hasattr(each, "training")]
    with preserve_state(module), still(module, optimizers), untouched(batch):
        for each, flag in flags:
            if each.training != flag:
                each.training = flag
        return _rehearsed(_Rehearsal(module, batch, weights, head=head, others=others), step)


def goes_back_itself(module: nn.Module) -> bool:
    """Whether a backward pass in a step is a part of the network, as an attack on the image is, and not of its training."""
    return bool(getattr(module, "automatic_optimization", False))


class _Rehearsal(Witness):
    """Watches a step whose training goes no way back."""

    def _backward(self, given: Given | None) -> bool:
        if goes_back_itself(self._module):
            return False
        super()._backward(given)
        return True


def _rehearsed(witness: Witness, step: Callable[[], Any]) -> Testimony:
    try:
        witness.start()
        witness.root(step())
    except Exception as error:
        witness.lament(error)
    finally:
        witness.stop()
    return witness.testimony()


@contextmanager
def still(module: nn.Module, optimizers: Iterable[Any] = ()) -> Iterator[None]:
    """Optimizers and schedulers do nothing meanwhile; ``manual_backward`` is the loss' own, which a mode can keep from running.

    Args:
        module: whose optimizers and schedulers they are, those that Lightning wraps too.
        optimizers: others.
    """
    known = [*optimizers, *_asked(module, "optimizers"), *_asked(module, "lr_schedulers")]
    with ExitStack() as stack:
        for each in {id(each): each for each in known}.values():
            stack.callback(exchange(each, "step", lambda _: _closure_only))
            if hasattr(each, "zero_grad"):
                stack.callback(exchange(each, "zero_grad", lambda _: _nothing))
        if hasattr(module, "manual_backward"):
            stack.callback(exchange(module, "manual_backward", lambda _: _backward))
        yield


def _asked(module: nn.Module, word: str) -> list[Any]:
    """What a module answers when asked for its optimizers; nothing if it has none, or no Trainer."""
    try:
        found = getattr(module, word)()
    except Exception:
        return []
    return [*found] if isinstance(found, (list, tuple)) else [] if found is None else [found]


def _closure_only(closure: Any = None, *args: Any, **kwargs: Any) -> Any:
    """An optimizer's step without the step."""
    return closure() if callable(closure) else None


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Gradients stay as they are."""


def _backward(loss: Tensor, *args: Any, **kwargs: Any) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


@contextmanager
def untouched(batch: Any) -> Iterator[None]:
    """Puts a batch back afterwards: values of its tensors, items of its containers."""
    tensors = [(tensor, tensor.detach().clone()) for _, tensor in leaves(batch)]
    containers = [(each, _contents(each)) for each in _containers(batch, 0)]
    try:
        yield
    finally:
        for container, contents in containers:
            _refill(container, contents)
        with torch.no_grad():
            for tensor, value in tensors:
                if tensor.shape != value.shape or not torch.equal(tensor, value):
                    _put_back(tensor, value)


def _put_back(tensor: Tensor, value: Tensor) -> None:
    """Into the same tensor, which stays one of inference mode if it is: with other data it would be neither, and fail."""
    with torch.inference_mode(tensor.is_inference()):
        if tensor.is_inference():
            tensor.resize_(value.shape).copy_(value)
        else:
            tensor.data = value


def _containers(value: Any, depth: int) -> Iterator[Any]:
    known = parts(value) if depth < DEEPEST else []
    if known and not isinstance(value, tuple):
        yield value
    for _, part in known:
        yield from _containers(part, depth + 1)


def _contents(container: Any) -> Any:
    if isinstance(container, (Mapping, list)):
        return [*container.items()] if isinstance(container, Mapping) else [*container]
    return dict(vars(container))


def _refill(container: Any, contents: Any) -> None:
    if isinstance(container, list):
        container[:] = contents
    elif not isinstance(container, Mapping):
        vars(container).clear()
        vars(container).update(contents)
    elif [*map(_same, container.items())] != [*map(_same, contents)]:
        container.clear()  # type: ignore[attr-defined]
        container.update(contents)  # type: ignore[attr-defined]


def _same(item: tuple[Any, Any]) -> tuple[Any, int]:
    return item[0], id(item[1])
