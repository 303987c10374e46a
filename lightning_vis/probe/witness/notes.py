"""What is noted of one batch: tensors as nodes, calls of submodules."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from lightning_vis.model.places import Path
from lightning_vis.probe.witness.functions import CUTS

LARGEST = 1 << 17
"""Numbers of a target that is looked into."""


@dataclass(frozen=True)
class Facts:
    """What the values of a target (N, K) say: each row falls or rises throughout, each sums to one."""

    are_steps: bool
    are_hot: bool  # or to minus one, as in a product that is already negative
    are_ones: bool  # one in each row is one, all others are zero
    are_chained: bool  # eight rows or more, and one with more than one label


@dataclass(frozen=True)
class Range:
    """The least and the greatest of some values."""

    low: float
    high: float

    @property
    def has_both_signs(self) -> bool:
        """Whether some are below zero and others above."""
        return self.low < 0 < self.high


@dataclass(eq=False)
class Call:
    """One call of a submodule; times are counted in nodes."""

    name: str
    module: nn.Module
    nth: int
    order: int
    start: int
    is_trained: bool
    has_weights: bool
    within: tuple[Call, ...]
    arguments: list[tuple[Path, Node | None]]
    end: int = -1
    outputs: list[tuple[Path, Node]] = field(default_factory=list)
    named: dict[Path, Path] = field(default_factory=dict)  # places in what it returned as a user writes them, and as they are

    @property
    def nodes(self) -> list[Node]:
        """The tensors it was given that are known."""
        return [node for _, node in self.arguments if node is not None]

    @property
    def sources(self) -> frozenset[Path]:
        """Leaves of the batch that its arguments are made of."""
        return frozenset().union(*(node.sources for node in self.nodes))


@dataclass(eq=False)
class Node:
    """One tensor: what made it of what. No tensor is kept.

    Attributes:
        parameter: the name of the weight that it is.
        sources: leaves of the batch that it is made of.
        trained: a gradient flows from it to a weight that an optimizer has.
        touched: made of such a weight, gradient or not.
        frozen: made of a weight that nobody trains.
        direct: a trained weight is an argument of this very function.
        later: weights come after it.
        within: the calls that were open.
        calls: those that returned it, each with the path in what it returned.
        places: positions of the parents, by their number, among the tensors that the function was given.
        row: which row of its first parent it begins with, where it is nothing but some of these in a row; else None.
        facts: what the parents' values say, by their number.
        ranges: in which the parents' values lie, by their number.
    """

    at: int
    name: str
    parents: list[Node]
    shape: tuple[int, ...]
    dtype: torch.dtype
    within: tuple[Call, ...] = ()
    leaf: Path | None = None
    weight: str = ""
    parameter: str = ""
    sources: frozenset[Path] = frozenset()
    trained: bool = False
    touched: bool = False
    frozen: bool = False
    direct: bool = False
    later: bool = False
    calls: list[tuple[Call, Path]] = field(default_factory=list)
    kids: list[Node] = field(default_factory=list)
    function: str = ""
    nth: int = 0
    places: dict[int, int] = field(default_factory=dict)
    row: int | None = None
    facts: dict[int, Facts] = field(default_factory=dict)
    ranges: dict[int, Range] = field(default_factory=dict)

    @property
    def is_answer(self) -> bool:
        """Whether it may be an answer: made of the batch, and trained."""
        return self.trained and bool(self.sources)

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    def inherit(self, cut: bool) -> None:
        """Takes over what its parents are made of; no gradient flows through what is cut."""
        self.sources = frozenset().union(*(each.sources for each in self.parents))
        self.direct = any(each.weight == "trained" for each in self.parents)
        self.touched = self.direct or any(each.touched for each in self.parents)
        self.frozen = any(each.frozen or each.weight == "frozen" for each in self.parents)
        self.trained = not cut and (self.direct or any(each.trained for each in self.parents))


class Notes:
    """Knows the node of each tensor that is alive, by weak references.

    Args:
        weights: ids of parameters that an optimizer has.
        with_gradients: whether autograd is on, so that it can be asked.
        names: of parameters, by their ids.
    """

    def __init__(self, weights: set[int], with_gradients: bool, names: Mapping[int, str]) -> None:
        self.nodes: list[Node] = []
        self.calls: list[Call] = []
        self.open: list[Call] = []
        self.weights, self.names = weights, names
        self._with_gradients = with_gradients
        self._tensors: dict[int, tuple[weakref.ref[Tensor], Node]] = {}
        self._storages: dict[int, tuple[StorageWeakRef, Node]] = {}

    def leaf(self, path: Path, tensor: Tensor) -> None:
        """A tensor of the batch."""
        node = self.add("leaf", [], tensor)
        node.leaf, node.sources = path, frozenset((path,))

    def add(self, name: str, parents: Sequence[Node], tensor: Tensor) -> Node:
        """A tensor that was made of others."""
        node = Node(len(self.nodes), name, [*parents], tuple(tensor.shape), tensor.dtype, tuple(self.open))
        self.nodes.append(node)
        no_gradient = not tensor.dtype.is_floating_point or (self._with_gradients and not torch.is_grad_enabled())
        node.inherit(name in CUTS or no_gradient)
        self._tensors[id(tensor)] = (weakref.ref(tensor), node)
        storage = _storage(tensor)
        if storage is not None:
            self._storages[storage.cdata] = (storage, node)
        return node

    def of(self, tensor: Tensor) -> Node | None:
        """The node of a tensor; of one that shares memory with a known one, a new node; None for what is not known."""
        reference, node = self._tensors.get(id(tensor), (None, None))
        if node is not None and reference is not None and reference() is tensor:
            if self._with_gradients and node.touched and tensor.requires_grad:
                node.trained = True  # what autograd says outranks what we guess
            return node
        return self._weight(tensor) if isinstance(tensor, nn.Parameter) else self._alias(tensor)

    def _weight(self, tensor: Tensor) -> Node | None:
        if is_number(tensor):
            return None  # a learned temperature or loss weight is no layer
        node = self.add("weight", [], tensor)
        node.weight = "trained" if id(tensor) in self.weights else "frozen"
        node.parameter = self.names.get(id(tensor), "")
        return node

    def _alias(self, tensor: Tensor) -> Node | None:
        own = _storage(tensor)
        storage, node = self._storages.get(own.cdata, (None, None)) if own is not None else (None, None)
        if node is None or storage is None or node.weight or storage.expired():  # type: ignore[no-untyped-call]
            return None
        return self.add("alias", [node], tensor)


def _storage(tensor: Tensor) -> StorageWeakRef | None:
    try:
        return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
    except Exception:  # sparse tensors and the like have none
        return None


def is_number(tensor: Tensor) -> bool:
    """Whether it is one number, as a learned temperature is, and no layer of one weight."""
    return tensor.numel() == 1 and tensor.ndim < 2


def row_of(tensor: Tensor, whole: Tensor) -> int | None:
    """Which row of another tensor this one begins with; None if it is not some of its rows, one after the other."""
    own, other = _storage(tensor), _storage(whole)
    is_view = own is not None and other is not None and own.cdata == other.cdata
    if not is_view or not tensor.ndim or tensor.shape[1:] != whole.shape[1:] or tensor.stride() != whole.stride():
        return None
    row, rest = divmod(int(tensor.storage_offset() - whole.storage_offset()), whole.stride(0) or 1)
    return row if rest == 0 and 0 <= row <= len(whole) - len(tensor) else None


def facts_of(tensor: Tensor) -> Facts | None:
    """What the values of a target (N, K) say; None if it has another shape or is large."""
    if tensor.ndim != 2 or tensor.shape[1] < 2 or not 0 < tensor.numel() <= LARGEST or tensor.is_complex():
        return None
    rows = tensor.detach()[:64].float()
    falls, rises = bool((rows[:, 1:] <= rows[:, :-1]).all()), bool((rows[:, 1:] >= rows[:, :-1]).all())
    sums = rows.sum(1)
    steps = (falls or rises) and len({*map(tuple, rows.tolist())}) > 2
    chained = steps and len(rows) >= 8 and bool((sums > 1).any())
    hot = bool((sums.abs().round(decimals=3) == 1).all())
    return Facts(steps, hot, hot and bool(((rows == 0) | (rows == 1)).all()), chained)


def range_of(tensor: Tensor) -> Range | None:
    """In which the values of a tensor lie; None if it is empty, large, or no tensor of real numbers."""
    if not 0 < tensor.numel() <= LARGEST or tensor.is_complex():
        return None
    values = tensor.detach().float()
    return Range(float(values.min()), float(values.max()))
