"""Ways through the graph that autograd keeps of a run."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def comes_from(tensor: Tensor, image: Tensor) -> bool:
    """Whether the graph of autograd has a way from a tensor to the image."""
    return bypasses(tensor, image, image)


def bypasses(score: Tensor, tensor: Tensor, image: Tensor) -> bool:
    """Whether the graph of autograd has a way from the score to the image that avoids the tensor."""
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
