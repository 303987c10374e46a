"""Attention and norms held constant: what lies behind is linear in the tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

SOFTMAX = (torch.softmax, F.softmax, Tensor.softmax)


class Held(TorchFunctionMode):
    """A mode for our own forward pass in which attention probabilities and the lengths by which norms divide are constants.

    The output is the same. The gradient no longer asks how attention would move, but what it carries: gradient times
    activation at the first tokens is then how much of the score each of them brought, but for what biases add.

    Source: A. Ali, T. Schnake, O. Eberle, G. Montavon, K.-R. Müller, L. Wolf, 2022, "XAI for Transformers: Better
    Explanations through Conservative Propagation".
    """

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return _HOLDS.get(func, func)(*args, **kwargs)


class AttentionSpy(TorchFunctionMode):
    """Tells when attention is paid for the first time; changes nothing."""

    def __init__(self, tell: Callable[[], None]) -> None:
        super().__init__()
        self._tell: Callable[[], None] | None = tell

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tell = self._tell
        if tell is not None and _is_attention(func, result):
            self._tell = None
            tell()
        return result


def _is_attention(func: Any, result: Any) -> bool:
    if func in (F.scaled_dot_product_attention, F.multi_head_attention_forward):
        return True
    return func in SOFTMAX and isinstance(result, Tensor) and _is_by_tokens(result)


def _is_by_tokens(probabilities: Tensor) -> bool:
    """Whether a softmax is one of tokens over tokens: with an axis of heads, or square."""
    shape = probabilities.shape
    return len(shape) == 4 or (len(shape) == 3 and shape[1] == shape[2])


def _held_attention(query: Tensor, key: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Queries and keys are constants; the value alone is carried on."""
    same = key is query
    query = query.detach()
    return F.scaled_dot_product_attention(query, query if same else key.detach(), *args, **kwargs)


def _held_heads(query: Tensor, key: Tensor, *args: Any, **kwargs: Any) -> Any:
    return F.multi_head_attention_forward(query.detach(), key.detach(), *args, **kwargs)


def _held_softmax(func: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    result = func(*args, **kwargs)
    return result.detach() if _is_by_tokens(result) else result


def _held_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    axes = tuple(range(-len(normalized_shape), 0))
    centred = input - input.mean(axes, keepdim=True)
    return _slope(F.layer_norm(input, normalized_shape, weight, bias, eps), centred, axes, weight, eps)


def _held_rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    axes = tuple(range(-len(normalized_shape), 0))
    least = torch.finfo(input.dtype).eps if eps is None else eps
    return _slope(F.rms_norm(input, normalized_shape, weight, eps), input, axes, weight, least)


def _slope(result: Tensor, values: Tensor, axes: tuple[int, ...], weight: Tensor | None, eps: float) -> Tensor:
    """The value of a norm, with the gradient of one that divides by a constant length."""
    length = (values.detach().float().pow(2).mean(axes, keepdim=True) + eps).rsqrt().to(values.dtype)
    linear = values * length if weight is None else values * length * weight
    return result.detach() + (linear - linear.detach())


_HOLDS: dict[Any, Callable[..., Any]] = {
    F.scaled_dot_product_attention: _held_attention,
    F.multi_head_attention_forward: _held_heads,
    F.layer_norm: _held_layer_norm,
    F.rms_norm: _held_rms_norm,
    **{each: partial(_held_softmax, each) for each in SOFTMAX},
}
"""By the function that is called, the one that takes its place."""
