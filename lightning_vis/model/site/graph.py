"""Ways through the graph that autograd keeps of a run."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any

from torch import Tensor


def nodes_behind(nodes: Iterable[Any], closed: Container[Any] = ()) -> Iterator[Any]:
    """The nodes of autograd's graph from some on towards the leaves, without those that are closed and what only they lead to."""
    waiting, seen = [*nodes], set[Any]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen or node in closed:
            continue
        seen.add(node)
        yield node
        waiting += [behind for behind, _ in node.next_functions]


def comes_from(tensor: Tensor, source: Tensor) -> bool:
    """Whether the graph has a way from a tensor to another one, a leaf or not."""
    nodes = nodes_behind([tensor.grad_fn])
    return any(node is source.grad_fn or getattr(node, "variable", None) is source for node in nodes)


def bypasses(score: Tensor, tensor: Tensor, image: Tensor) -> bool:
    """Whether the graph has a way from the score to the image that avoids the tensor."""
    closed, seen, open_ = (tensor.grad_fn, tensor.output_nr), set[Any](), [(score.grad_fn, score.output_nr)]
    while open_:
        edge = open_.pop()
        node = edge[0]
        if node is None or edge == closed or node in seen:
            continue
        if getattr(node, "variable", None) is image:
            return True
        seen.add(node)
        open_.extend(node.next_functions)
    return False
