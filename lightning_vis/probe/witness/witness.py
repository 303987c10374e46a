"""Watches one batch on its way through the user's own step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from lightning_vis.model.hooks import after, before
from lightning_vis.model.places import Path, canonical, leaves
from lightning_vis.probe.witness.choice import concluded
from lightning_vis.probe.witness.functions import (
    BY_HAND,
    LOOKED_UP,
    LOSSES,
    OF_FIRST,
    SILENT,
    SLICES,
    TABLES,
    is_of_shape_only,
    name_of,
)
from lightning_vis.probe.witness.notes import Call, Node, Notes, facts_of, is_number, range_of, row_of
from lightning_vis.probe.witness.testimony import Testimony

MOST_TROUBLE = 5

Given = list[tuple[Tensor, Node | None]]
"""The tensors that a function was given, with their nodes."""


class Witness(TorchFunctionMode):
    """Notes of one batch which tensor was made of which, and which call of a submodule returned it.

    It lends hooks and a function mode from `start` to `stop`. Compiled parts must run eagerly meanwhile (as in
    `dry_run`), and it has no place in a live training batch: where something is compiled, a mode changes the weights.
    No activation is kept alive. What goes wrong in here never reaches the user's step.

    Args:
        module: the Lightning module, or any other with a step.
        batch: what its step gets.
        weights: ids of the parameters that an optimizer has.
        images: leaves of the batch that are known to be the images; None to find them.
        head: the answer that a user has named, where there are several.
        others: further ones that are asked for.
    """

    def __init__(
        self,
        module: nn.Module,
        batch: Any,
        weights: set[int],
        images: Sequence[Path] | None = None,
        head: Path | None = None,
        others: Sequence[Path] = (),
    ) -> None:
        super().__init__()
        self._module, self._images, self._head, self._others = module, images, head, others
        self._asked = (*others, *([] if head is None else [head]))
        is_calibrated = _is_calibrated(module, weights)
        looked_at = module.parameters() if is_calibrated else _trained(module, weights)
        names = {id(each): plain_name(name) for name, each in module.named_parameters()}
        self._notes = Notes({id(each) for each in looked_at}, torch.is_grad_enabled() and not is_calibrated, names)
        self._shapes: dict[Path, tuple[int, ...]] = {}
        self._counts: Counter[str] = Counter()
        self._roots: list[Node] = []
        self._trouble: list[str] = []
        self._mute = 0
        self._known: dict[int, tuple[bool, bool]] = {}  # of submodules
        self._taken_off: list[Callable[[], None]] = []
        self._safely(self._begin, batch)

    def _begin(self, batch: Any) -> None:
        for path, tensor in leaves(batch):
            self._shapes[path] = tuple(tensor.shape)
            self._notes.leaf(path, tensor)

    def start(self) -> None:
        """Puts the hooks and the mode on."""
        inside: set[int] = set()
        for name, module in self._module.named_modules():
            if id(module) not in inside:
                inside |= self._watch(plain_name(name), module)
        self.__enter__()  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        """Takes all off again; as often as one likes."""
        while self in _modes():  # a compiler that failed may have left it on twice
            _take_off(self)
        while self._taken_off:
            self._taken_off.pop()()

    def testimony(self) -> Testimony:
        """What was seen; made only once the batch is through."""
        told, others = self._concluded(self._head), tuple(map(self._of_other, self._others))
        left = tuple(each for each in told.heads[1:] if not any(each.is_called(head) for head in self._others))
        return replace(told, heads=(*told.heads[:1], *left), others=others)

    def _concluded(self, head: Path | None) -> Testimony:
        return concluded(self._notes, self._roots, self._shapes, self._images, self._trouble, head)

    def _of_other(self, head: Path) -> Testimony:
        """What is said of this head and of no other one."""
        found = self._concluded(head)
        return replace(found, heads=found.heads[:1]) if found.is_called(head) else found

    def root(self, loss: Any) -> None:
        """What is trained: a loss that the step returned."""
        self._safely(self._returned, loss)

    def _returned(self, loss: Any) -> None:
        values = [tensor for path, tensor in leaves(loss) if path in ((), ("loss",))]
        self._roots += [node for node in map(self._notes.of, values) if node is not None]

    def _watch(self, name: str, module: nn.Module) -> set[int]:
        """Lends hooks to a submodule, and says which ones inside of it are none of ours."""
        if is_metric(module):
            for word in ("update", "forward"):
                self._taken_off.append(exchange(module, word, self._muted))
            return {id(each) for each in module.modules()}
        if isinstance(module, torch.jit.ScriptModule):  # takes no hooks
            return {id(each) for each in module.modules()}
        self._taken_off += [before(module, partial(self._enter, name), first=True), after(module, self._leave)]
        return set()

    def _muted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def muted(*args: Any, **kwargs: Any) -> Any:
            self._mute += 1
            try:
                return call(*args, **kwargs)
            finally:
                self._mute -= 1

        return muted

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs a torch function as it would have run, and notes it."""
        kwargs = kwargs or {}
        name = name_of(func)
        nth = self._counts[name]
        self._counts[name] += 1
        given = self._safely(self._given, args, kwargs) if not self._mute else None
        if self._is_left_out(name, given):
            return None
        out = func(*args, **kwargs)
        if given is not None:
            self._safely(self._note, name, nth, given, out)
        return out

    def _is_left_out(self, name: str, given: Given | None) -> bool:
        """Whether a function is not to be run."""
        return name == "backward" and self._backward(given)

    def _backward(self, given: Given | None) -> bool:
        """A backward pass begins; whether it is not to be run."""
        self._roots += [node for _, node in (given or [])[:1] if node is not None]
        return False

    def _safely(self, function: Callable[..., Any], *args: Any) -> Any:
        """Our own work: its errors are ours alone, and no mode sees it."""
        try:
            with torch._C.DisableTorchFunction():
                return function(*args)
        except Exception as error:
            self.lament(error)
        return None

    def lament(self, error: Exception) -> None:
        """Keeps an error in mind, the first few of them."""
        if len(self._trouble) < MOST_TROUBLE:
            self._trouble.append(f"{type(error).__name__}: {error}"[:200])

    def _given(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Given:
        return [(tensor, self._notes.of(tensor)) for _, tensor in leaves((args, dict(kwargs)))]

    def _note(self, name: str, nth: int, given: Given, out: Any) -> None:
        outs = [tensor for _, tensor in leaves(out)] if name != "__setitem__" else [given[0][0]]
        if name in SILENT | {"backward"} or not outs:
            return
        if name == "broadcast_tensors" and len(outs) == len(given):
            for tensor, one in zip(outs, given, strict=True):
                self._add(name, name, nth, [one], tensor)
            return
        for tensor in outs:
            if not isinstance(tensor, nn.Parameter):
                self._add(_way_of(name, given), name, nth, given, tensor)

    def _add(self, name: str, function: str, nth: int, given: Given, tensor: Tensor) -> None:
        known = [node for _, node in given if node is not None]
        parents = [] if is_of_shape_only(name) else known[:1] if name in OF_FIRST else known
        node = self._notes.add(name, parents, tensor)
        node.function, node.nth = function, nth
        node.places = {each.at: place for place, (_, each) in reversed([*enumerate(given)]) if each is not None}
        if name in SLICES:
            node.row = row_of(tensor, given[0][0])
        if name in LOSSES or name in BY_HAND:
            _look_into(node, given)

    def _enter(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._safely(self._open, name, module, args, kwargs)

    def _open(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        notes = self._notes
        arguments = [(path, notes.of(tensor)) for path, tensor in leaves((args, kwargs))]
        trained, has_weights = self._weights_of(module)
        nth = sum(each.module is module for each in notes.calls)
        within = tuple(notes.open)
        call = Call(name, module, nth, len(notes.calls), len(notes.nodes), trained, has_weights, within, arguments)
        notes.calls.append(call)
        notes.open.append(call)

    def _weights_of(self, module: nn.Module) -> tuple[bool, bool]:
        """Whether some of its weights are trained, and whether it has any; a network asks this of each block within blocks."""
        if id(module) not in self._known:
            weights = [*module.parameters()]
            self._known[id(module)] = any(id(each) in self._notes.weights for each in weights), bool(weights)
        return self._known[id(module)]

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._safely(self._close, module, output)

    def _close(self, module: nn.Module, output: Any) -> None:
        still_open = self._notes.open
        while still_open and still_open[-1].module is not module:
            still_open.pop()  # an error ended it
        if not still_open:
            return
        call = still_open.pop()
        call.end = len(self._notes.nodes)
        call.named = {head: _place_in(output, head) for head in self._asked}
        for path, tensor in leaves(output):
            node = self._notes.of(tensor) or self._box(call, tensor)
            if node.at >= call.start:
                node.calls.append((call, path))
                call.outputs.append((path, node))

    def _box(self, call: Call, tensor: Tensor) -> Node:
        """What a submodule returned that nobody could look into: it is made of all that went in."""
        node = self._notes.add("box", call.nodes, tensor)
        if call.is_trained:
            node.trained = node.touched = node.direct = True
        elif call.has_weights:
            node.frozen = True
        return node


def _place_in(output: Any, head: Path) -> Path:
    """Where a head that a user has named is in an output; as they have written it where it is not."""
    try:
        return canonical(output, head)
    except LookupError:
        return head


def is_metric(module: nn.Module) -> bool:
    """Whether it is one of torchmetrics, which trains nothing."""
    return hasattr(module, "_update_signature") and hasattr(module, "compute")


def _trained(module: nn.Module, weights: set[int]) -> list[nn.Parameter]:
    return [each for each in module.parameters() if each.requires_grad and id(each) in weights]


def _is_calibrated(module: nn.Module, weights: set[int]) -> bool:
    """Whether nothing but a temperature or the like is trained: then the network that it cools is looked at."""
    trained = _trained(module, weights)
    return bool(trained) and all(not is_lazy(each) and is_number(each) for each in trained)


def _way_of(name: str, given: Given) -> str:
    """The name of a function, or of what is done by it: the same index takes a part, or looks something up."""
    return "masked" if _is_masked(name, given) else LOOKED_UP if _is_looked_up(name, given) else name


def _is_looked_up(name: str, given: Given) -> bool:
    """Whether what the batch says is the place in a table that says something else: no part of it, nor of an answer."""
    if name not in TABLES or len(given) < 2 or (given[0][1] is not None and given[0][1].touched):
        return False
    return any(each is not None and each.sources and tensor.dtype != torch.bool for tensor, each in given[1:])


def _is_masked(name: str, given: Given) -> bool:
    """Whether the pixels or entries of a mask are taken: none of them, rather than a part of each answer, is left out."""
    if name not in ("__getitem__", "masked_select") or len(given) != 2:
        return False
    return given[1][0].dtype == torch.bool and given[1][0].shape == given[0][0].shape


def _look_into(node: Node, given: Given) -> None:
    """What the values beside an answer say."""
    if not any(each.is_answer for each in node.parents):
        return
    for tensor, each in given:
        if each is not None and not each.weight and not each.trained:
            node.facts |= {each.at: facts} if (facts := facts_of(tensor)) is not None else {}
            node.ranges |= {each.at: span} if (span := range_of(tensor)) is not None else {}


def plain_name(name: str) -> str:
    """A submodule's name as the user wrote it: without the wrapper that ``torch.compile`` adds."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def exchange(owner: Any, word: str, by: Callable[[Any], Any]) -> Callable[[], None]:
    """Puts another method on an object itself; returns what takes it off again."""
    own, had, value = vars(owner), word in vars(owner), getattr(owner, word)
    own[word] = by(value)

    def put_back() -> None:
        own.pop(word)
        own.update({word: value} if had else {})

    return put_back


def _modes() -> list[Any]:
    return [torch._C._get_function_stack_at(each) for each in range(torch._C._len_torch_function_stack())]


def _take_off(mode: TorchFunctionMode) -> None:
    """Takes a mode off from wherever it stands: the step may have left another one on top of it."""
    above = []
    while (top := torch._C._pop_torch_function_stack()) is not mode:
        above.append(top)
    for each in reversed(above):
        torch._C._push_on_torch_function_stack(each)
