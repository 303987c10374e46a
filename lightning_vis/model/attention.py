"""Attention while a network runs: noticed, written down, or held constant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Call = Callable[..., Any]
Keep = Callable[[Tensor], None]
See = Callable[[Any, Call, Any, Mapping[str, Any]], Tensor | None]

DOT_PRODUCT, MULTI_HEAD = F.scaled_dot_product_attention, F.multi_head_attention_forward
SOFTMAX: tuple[Call, ...] = (F.softmax, torch.softmax, torch.Tensor.softmax)
NORM: tuple[Call, ...] = (F.layer_norm, torch.layer_norm, F.rms_norm, torch.rms_norm)


# --- held: what comes out is the same, what goes back takes another way ---------------------------------------------------


@dataclass
class Hold:
    """Whether gradients stop at what is held, and what they met.

    Attributes:
        places: what was met at each place of interest so far; nothing is held before the first of them.
        is_closed: while it is, queries, keys and what norms divide by count as constants.
        behind: the places that had been met when an attention ran.
        reached: how many attentions a gradient came to while it was closed.
    """

    places: Mapping[str, Sequence[Any]]
    is_closed: bool = False
    behind: set[str] = field(default_factory=set)
    reached: int = 0

    @property
    def is_behind(self) -> bool:
        """Whether what runs now is behind a place of interest."""
        return any(self.places.values())

    def meet(self) -> None:
        """An attention runs."""
        self.behind |= {name for name, met in self.places.items() if met}

    @contextmanager
    def closed(self) -> Iterator[None]:
        """A time in which gradients stop there."""
        self.is_closed, self.reached = True, 0
        try:
            yield
        finally:
            self.is_closed = False


class _Gate(torch.autograd.Function):
    """Hands a tensor on; while the hold is closed no gradient comes back."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, hold: Hold) -> Tensor:
        ctx.hold = hold
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None]:
        ctx.hold.reached += ctx.hold.is_closed
        return None if ctx.hold.is_closed else gradients[0], None


class _Either(torch.autograd.Function):
    """Hands the first tensor on; while the hold is closed its gradient goes to the second one, which is equal to it."""

    @staticmethod
    def forward(ctx: Any, true: Tensor, held: Tensor, hold: Hold) -> Tensor:
        ctx.hold = hold
        return true.view_as(true)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        ctx.hold.reached += ctx.hold.is_closed
        return (None, gradients[0], None) if ctx.hold.is_closed else (gradients[0], None, None)


class _Norm(torch.autograd.Function):
    """Hands a norm's output on; while the hold is closed its input's gradient is that of a norm with a constant divisor."""

    @staticmethod
    def forward(ctx: Any, true: Tensor, given: Tensor, slope: Tensor, axes: tuple[int, ...], hold: Hold) -> Tensor:
        # Kept as plain attributes: a checkpoint counts what is saved, and runs again without us.
        ctx.slope, ctx.axes, ctx.hold = slope, axes, hold
        return true.view_as(true)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if not ctx.hold.is_closed:
            return gradients[0], None, None, None, None
        through = gradients[0] * ctx.slope
        return None, through - through.mean(ctx.axes, keepdim=True) if ctx.axes else through, None, None, None


class _Holding(TorchFunctionMode):
    """Puts gates into attentions and norms."""

    def __init__(self, hold: Hold) -> None:
        super().__init__()
        self.hold = hold

    def __torch_function__(self, func: Call, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given = dict(kwargs or {})
        how = _HELD.get(func) if torch.is_grad_enabled() and self.hold.is_behind else None
        return func(*args, **given) if how is None else how(self.hold, func, args, given)


@contextmanager
def holding(hold: Hold) -> Iterator[None]:
    """Attentions and norms that run meanwhile obey the hold; all outputs are those of the network alone, bit for bit.

    With attention held, an answer read at one token is linear in the values of the others (A. Ali et al., 2022, "XAI for
    Transformers: Better Explanations through Conservative Propagation", who hold what a norm divides by, too).

    Attention is met as ``F.scaled_dot_product_attention``, as `torch.nn.MultiheadAttention` and as a softmax over tokens.
    """
    with _Holding(hold):
        yield


def _dot_product(hold: Hold, func: Call, args: Any, given: dict[str, Any]) -> Any:
    named = dict(zip(("query", "key", "value"), args, strict=False)) | given
    hold.meet()
    gated = {name: _Gate.apply(named[name], hold) for name in ("query", "key")}  # type: ignore[no-untyped-call]
    return func(**{**named, **gated}) if len(args) <= 3 else func(*gated.values(), *args[2:], **given)


def _multi_head(hold: Hold, func: Call, args: Any, given: dict[str, Any]) -> Any:
    """Run a second time with constant queries and keys: only as it was called does it give the same bits."""
    true = func(*args, **given)
    hold.meet()
    query, key, *rest = args if len(args) > 1 else (given["query"], given["key"])
    with torch.autograd.graph.saved_tensors_hooks(_as_it_is, _as_it_is):  # a checkpoint counts what is saved
        if len(args) > 1:
            held = func(query.detach(), key.detach(), *rest, **given)
        else:
            held = func(**{**given, "query": query.detach(), "key": key.detach()})
    return (_Either.apply(true[0], held[0], hold), *true[1:])  # type: ignore[no-untyped-call]


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _softmax(hold: Hold, func: Call, args: Any, given: dict[str, Any]) -> Any:
    found = func(*args, **given)
    if not is_attention(found, args, given):
        return found
    hold.meet()
    return _Gate.apply(found, hold)  # type: ignore[no-untyped-call]


def is_attention(found: Tensor, args: Any, given: Mapping[str, Any]) -> bool:
    """Whether a softmax is one over tokens, for each of as many tokens: along the last of three axes or more."""
    axis = args[1] if len(args) > 1 else given.get("dim")
    return found.ndim >= 3 and axis in (-1, found.ndim - 1) and found.shape[-1] == found.shape[-2] > 1


def _norm(hold: Hold, func: Call, args: Any, given: dict[str, Any]) -> Any:
    found = func(*args, **given)
    named = dict(zip(("input", "normalized_shape", "weight", "bias_or_eps", "eps"), args, strict=False)) | given
    tensor, weight = named["input"], named.get("weight")
    axes = tuple(range(-len(named["normalized_shape"]), 0))
    is_centred = func in NORM[:2]
    eps = named.get("eps", 1e-5) if is_centred else named.get("eps", named.get("bias_or_eps"))
    slope = _slope(tensor.detach(), None if weight is None else weight.detach(), axes, eps, is_centred=is_centred)
    return _Norm.apply(found, tensor, slope, axes if is_centred else (), hold)  # type: ignore[no-untyped-call]


def _slope(tensor: Tensor, weight: Tensor | None, axes: tuple[int, ...], eps: float | None, *, is_centred: bool) -> Tensor:
    """What a norm multiplies each number with, its divisor taken as it is."""
    eps = torch.finfo(tensor.dtype).eps if eps is None else eps
    spread = tensor.var(axes, unbiased=False, keepdim=True) if is_centred else tensor.square().mean(axes, keepdim=True)
    slope = (spread + eps).rsqrt()
    return slope.expand_as(tensor) if weight is None else slope * weight


_HELD: dict[Call, Callable[[Hold, Call, Any, dict[str, Any]], Any]] = {
    DOT_PRODUCT: _dot_product,
    MULTI_HEAD: _multi_head,
    **dict.fromkeys(SOFTMAX, _softmax),
    **dict.fromkeys(NORM, _norm),
}


# --- caught: the probabilities, worked out beside ---------------------------------------------------------------------------


class _Watching(TorchFunctionMode):
    """Hands on what is seen in each attention."""

    def __init__(self, keep: Keep, ways: Mapping[Call, See]) -> None:
        super().__init__()
        self.keep, self.ways = keep, ways

    def __torch_function__(self, func: Call, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given = dict(kwargs or {})
        found = func(*args, **given)
        see = self.ways.get(func)
        seen = None if see is None else see(found, func, args, given)
        if seen is not None:
            self.keep(seen)
        return found


@contextmanager
def catching(keep: Keep) -> Iterator[None]:
    """Hands the probabilities ``(N, heads, T, T)`` of each attention on, in the order in which they run.

    They are worked out beside it, without gradients: what the network gives is the same, bit for bit. They are met as
    `holding` meets them; of a softmax they have the axes that it has.
    """
    with _Watching(keep, _CAUGHT):
        yield


@contextmanager
def noticing(keep: Keep) -> Iterator[None]:
    """Hands on what each attention gives, in the order in which they run; nothing is worked out."""
    with _Watching(keep, _NOTICED):
        yield


def _of_dot_product(_: Any, __: Call, args: Any, given: Mapping[str, Any]) -> Tensor:
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    named = dict(zip(names, args, strict=False)) | dict(given)
    query, key = named["query"].detach(), named["key"].detach()
    if query.ndim > 2 and query.shape[-3] != key.shape[-3]:  # several heads of the query share one of the keys
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scale = named.get("scale")
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    return _masked(scores, named.get("attn_mask"), is_causal=bool(named.get("is_causal"))).softmax(-1)


def _masked(scores: Tensor, mask: Tensor | None, *, is_causal: bool) -> Tensor:
    if is_causal:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~allowed, -torch.inf)
    if mask is None:
        return scores
    return scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask.detach()


def _of_multi_head(_: Any, func: Call, args: Any, given: Mapping[str, Any]) -> Tensor:
    with torch.no_grad():
        told = func(*args, **{**given, "need_weights": True, "average_attn_weights": False})[1]
    return cast(Tensor, told)


def _of_softmax(found: Tensor, _: Call, args: Any, given: Mapping[str, Any]) -> Tensor | None:
    return found.detach() if is_attention(found, args, given) else None


_CAUGHT: dict[Call, See] = {
    DOT_PRODUCT: _of_dot_product,
    MULTI_HEAD: _of_multi_head,
    **dict.fromkeys(SOFTMAX, _of_softmax),
}
_NOTICED: dict[Call, See] = {
    DOT_PRODUCT: lambda found, *_: found,
    MULTI_HEAD: lambda found, *_: found[0],
    **dict.fromkeys(SOFTMAX, lambda found, _, args, given: found if is_attention(found, args, given) else None),
}
