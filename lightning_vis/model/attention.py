"""Attention while a network runs: noticed, or held constant on the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Call = Callable[..., Any]
Way = Callable[[Tensor], Tensor]

DOT_PRODUCT, MULTI_HEAD = F.scaled_dot_product_attention, F.multi_head_attention_forward
SOFTMAX: tuple[Call, ...] = (F.softmax, torch.softmax, Tensor.softmax)
CENTRED: tuple[Call, ...] = (F.layer_norm, torch.layer_norm)
NORM: tuple[Call, ...] = (*CENTRED, F.rms_norm, torch.rms_norm)


# --- held: what comes out is the same, what goes back takes another way -----------------------------------------------------


@dataclass
class Hold:
    """Whether gradients stop at what is held: queries, keys, probabilities, and what norms divide by.

    It knows no tensors: gates lie in the graph, and what they knew of it would live as long as they do.
    """

    is_closed: bool = False

    @contextmanager
    def closed(self) -> Iterator[None]:
        """A time in which they do."""
        self.is_closed = True
        try:
            yield
        finally:
            self.is_closed = False


class _Gate(torch.autograd.Function):
    """Hands a tensor on; while the hold is closed no gradient comes back."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, hold: Hold) -> Tensor:
        ctx.hold = hold
        return tensor.detach()  # no view: what comes behind may change it in place, as without us

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None]:
        return None if ctx.hold.is_closed else gradients[0], None


class _Detour(torch.autograd.Function):
    """Hands a tensor on; while the hold is closed its gradient goes to another one, by a way of its own."""

    @staticmethod
    def forward(ctx: Any, true: Tensor, _: Tensor, way: Way, hold: Hold) -> Tensor:
        ctx.way, ctx.hold = way, hold  # not saved as tensors: a checkpoint counts those
        return true.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        if ctx.hold.is_closed:
            return None, ctx.way(gradients[0]), None, None
        return gradients[0], None, None, None


class _Holding(TorchFunctionMode):
    """Puts gates into attentions and norms."""

    def __init__(self, hold: Hold) -> None:
        super().__init__()
        self._hold = hold

    def __torch_function__(self, func: Call, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        how = _HELD.get(func) if torch.is_grad_enabled() else None
        given = dict(kwargs or {})
        return func(*args, **given) if how is None else how(self._hold, func, args, given)


@contextmanager
def holding(hold: Hold) -> Iterator[None]:
    """Attentions and norms that run meanwhile obey the hold; all outputs and true gradients stay what they are, bit for bit.

    With attention and what norms divide by held, an answer is linear in the tokens, but for other activation functions and
    biases: gradient x activation is how much of the score each of them brought.

    Attention is met as `F.scaled_dot_product_attention`, as `torch.nn.MultiheadAttention` and as a softmax over tokens. What
    reentrant checkpoints run is met when they run it again, on the way back: that is to be in such a time, too.

    Source: A. Ali, T. Schnake, O. Eberle, G. Montavon, K.-R. Müller, L. Wolf, 2022, "XAI for Transformers: Better
    Explanations through Conservative Propagation".

    Args:
        hold: closed while a gradient is wanted that holds them constant.
    """
    with _Holding(hold):
        yield


def _dot_product(hold: Hold, func: Call, args: Any, given: dict[str, Any]) -> Any:
    query, key, value = _three(args, given)
    gated = (_Gate.apply(each, hold) for each in (query, key))  # type: ignore[no-untyped-call]
    return func(*gated, value, *args[3:], **given)


def _multi_head(hold: Hold, func: Call, args: Any, given: dict[str, Any]) -> Any:
    """Run a second time with constant queries and keys: only as it was called does it give the same bits."""
    true = func(*args, **given)
    query, key, value = _three(args, given)
    with torch.autograd.graph.saved_tensors_hooks(_as_it_is, _as_it_is):  # a checkpoint counts what is saved
        held = func(query.detach(), key.detach(), value, *args[3:], **given)
    return (_Detour.apply(true[0], held[0], _as_it_is, hold), *true[1:])  # type: ignore[no-untyped-call]


def _three(args: Any, given: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value, taken out of what is given by name."""
    by_place = dict(zip(("query", "key", "value"), args, strict=False))
    query, key, value = (by_place[name] if name in by_place else given.pop(name) for name in ("query", "key", "value"))
    return query, key, value


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _softmax(hold: Hold, func: Call, args: Any, given: dict[str, Any]) -> Any:
    found = func(*args, **given)
    return _Gate.apply(found, hold) if is_attention(found, args, given) else found  # type: ignore[no-untyped-call]


def is_attention(found: Tensor, args: Any, given: Mapping[str, Any]) -> bool:
    """Whether a softmax is one over tokens: along the last axis, with an axis of heads, or of as many tokens as are asked."""
    axis = args[1] if len(args) > 1 else given.get("dim")
    if found.ndim < 3 or axis not in (-1, found.ndim - 1) or found.shape[-1] == 1:
        return False
    return found.ndim > 3 or found.shape[-1] == found.shape[-2]


def _norm(hold: Hold, func: Call, args: Any, given: dict[str, Any]) -> Any:
    names = ("input", "normalized_shape", "weight", *(("bias", "eps") if func in CENTRED else ("eps",)))
    named = dict(zip(names, args, strict=False)) | given
    way = partial(_straight, _Divided.of(named, is_centred=func in CENTRED))
    return _Detour.apply(func(*args, **given), named["input"], way, hold)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class _Divided:
    """What a norm divided: the tensor, its weight, over which axes, and whether the mean was taken off first."""

    tensor: Tensor
    weight: Tensor | None
    axes: tuple[int, ...]
    eps: float
    is_centred: bool

    @classmethod
    def of(cls, named: Mapping[str, Any], *, is_centred: bool) -> _Divided:
        """By the arguments of `F.layer_norm` or `F.rms_norm`."""
        tensor, weight = named["input"].detach(), named.get("weight")
        eps = named.get("eps", 1e-5 if is_centred else None)
        eps = torch.finfo(tensor.dtype).eps if eps is None else eps
        axes = tuple(range(-len(named["normalized_shape"]), 0))
        return cls(tensor, None if weight is None else weight.detach(), axes, eps, is_centred)


def _straight(norm: _Divided, gradient: Tensor) -> Tensor:
    """The gradient at the input of a norm whose divisor is a constant."""
    exact = norm.tensor.to(torch.promote_types(norm.tensor.dtype, torch.float32))
    centred = exact - exact.mean(norm.axes, keepdim=True) if norm.is_centred else exact
    scaled = gradient if norm.weight is None else gradient * norm.weight
    through = scaled * (centred.square().mean(norm.axes, keepdim=True) + norm.eps).rsqrt()
    return through - through.mean(norm.axes, keepdim=True) if norm.is_centred else through


_HELD: dict[Call, Callable[[Hold, Call, Any, dict[str, Any]], Any]] = {
    DOT_PRODUCT: _dot_product,
    MULTI_HEAD: _multi_head,
    **dict.fromkeys(SOFTMAX, _softmax),
    **dict.fromkeys(NORM, _norm),
}
"""By the function that is called, what is done in its place."""


# --- noticed ------------------------------------------------------------------------------------------------------------------


class _Noticing(TorchFunctionMode):
    """Hands on what each attention gives."""

    def __init__(self, keep: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._keep = keep

    def __torch_function__(self, func: Call, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given = kwargs or {}
        found = func(*args, **given)
        if func in (DOT_PRODUCT, MULTI_HEAD) or (func in SOFTMAX and is_attention(found, args, given)):
            self._keep(found[0] if func is MULTI_HEAD else found)
        return found


@contextmanager
def noticing(keep: Callable[[Tensor], None]) -> Iterator[None]:
    """Hands on what each attention gives, in the order in which they run; they are met as `holding` meets them.

    Args:
        keep: gets what was read, of a softmax over tokens the probabilities.
    """
    with _Noticing(keep):
        yield


@dataclass(frozen=True)
class Attention:
    """One attention as it ran.

    Attributes:
        probabilities: ``(..., T, S)``, detached: how much of each of S tokens goes into each of T.
        result: what was read, with its graph; of a softmax over tokens the probabilities.
        axis: of the result, on which the T tokens lie.
    """

    probabilities: Tensor
    result: Tensor
    axis: int


class _Weighing(TorchFunctionMode):
    """Hands on each attention with its probabilities."""

    def __init__(self, keep: Callable[[Attention], None]) -> None:
        super().__init__()
        self._keep = keep

    def __torch_function__(self, func: Call, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given = dict(kwargs or {})
        found = func(*args, **given)
        if func is DOT_PRODUCT:
            self._keep(Attention(_probabilities(*_three(args, dict(given)), *args[3:], **_beside(given)), found, -2))
        elif func is MULTI_HEAD:
            with torch.no_grad():
                weights = func(*args, **given | {"need_weights": True, "average_attn_weights": False})[1]
            self._keep(Attention(weights, found[0], 0))
        elif func in SOFTMAX and is_attention(found, args, given):
            self._keep(Attention(found.detach(), found, -2))
        return found


@contextmanager
def weighing(keep: Callable[[Attention], None]) -> Iterator[None]:
    """Hands on each attention with its probabilities, in the order in which they run; they are met as `holding` meets them.

    Args:
        keep: gets each of them.
    """
    with _Weighing(keep):
        yield


def _beside(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in ("query", "key", "value")}


@torch.no_grad()
def _probabilities(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """What `F.scaled_dot_product_attention` weighs values by, without dropout: its result for one value per token of its own."""
    ones = torch.eye(key.shape[-2], dtype=value.dtype, device=value.device).expand(*key.shape[:-1], key.shape[-2])
    grouped = {"enable_gqa": True} if enable_gqa else {}  # torch 2.4 does not know the word
    return DOT_PRODUCT(query, key, ones, attn_mask, 0.0, is_causal, scale=scale, **grouped)
