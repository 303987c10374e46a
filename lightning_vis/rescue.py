"""Gradients through rectifiers that are shut, for filters that nothing has excited yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class RedirectedReLU(TorchFunctionMode):
    """Within it, the ReLUs of some rows let a gradient pass that would open them, where none gets through otherwise.

    Values stay what they are, and so do the gradients of all other rows.

    Source: Lucid, ``misc/redirected_relu_grad.py``.

    Args:
        rows: ``(K,)`` bool, the rows of the batch that need it.
    """

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = rows

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Replaces ReLU and ReLU6, under all their names."""
        kwargs = dict(kwargs or {})
        top = _CUT[function](*args, **kwargs) if function in _CUT else _RECTIFIERS.get(function)
        values = args[0] if args else None
        if top is None or not isinstance(values, Tensor) or not values.ndim or len(values) != len(self.rows):
            return function(*args, **kwargs)
        in_place = function in _IN_PLACE or kwargs.get("inplace", args[-1] is True)
        apply: Any = _Redirected.apply
        return apply(args[0], self.rows, top, bool(in_place))


class _Redirected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor, top: float, in_place: bool) -> Tensor:
        ctx.save_for_backward(values < 0, values > top, rows)
        if in_place:
            ctx.mark_dirty(values)
            return values.clamp_(0, top)
        return values.clamp(0, top)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = gradients
        below, above, rows = ctx.saved_tensors
        passed = gradient.masked_fill(below | above, 0)
        shut = rows & (passed.flatten(1).abs().amax(1) == 0)
        # The objective rises along the gradient: one that pushes what is shut further down is no help.
        opening = gradient.masked_fill((below & (gradient < 0)) | (above & (gradient > 0)), 0)
        return torch.where(shut.view(-1, *[1] * (gradient.ndim - 1)), opening, passed), None, None, None


def _hardtanh_top(values: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False, **_: Any) -> float | None:
    """Where a hardtanh that rectifies ends (``nn.ReLU6`` calls one); None if it is another."""
    return max_val if min_val == 0 else None


def _clamp_top(values: Any, min: Any = None, max: Any = None, **_: Any) -> float | None:
    """Likewise of a clamp."""
    rectifies = isinstance(min, (int, float)) and min == 0 and not isinstance(max, Tensor)
    return (float("inf") if max is None else float(max)) if rectifies else None


_CUT: dict[Any, Callable[..., float | None]] = {
    F.hardtanh: _hardtanh_top,
    **dict.fromkeys((torch.clamp, Tensor.clamp, torch.clamp_, Tensor.clamp_), _clamp_top),
    **dict.fromkeys((torch.clamp_min, Tensor.clamp_min, torch.clamp_min_, Tensor.clamp_min_), _clamp_top),
}
_IN_PLACE = (torch.relu_, Tensor.relu_, torch.clamp_, Tensor.clamp_, torch.clamp_min_, Tensor.clamp_min_)
_RECTIFIERS: dict[Any, float] = {
    **dict.fromkeys((F.relu, torch.relu, Tensor.relu, torch.relu_, Tensor.relu_), float("inf")),
    F.relu6: 6.0,
}
