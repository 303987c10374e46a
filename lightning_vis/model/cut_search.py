"""Which cuts have to be opened so that a gradient reaches the image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.model.cut import Cut, OpenCuts, has_weights
from lightning_vis.model.places import leaves
from lightning_vis.model.site.graph import nodes_behind
from lightning_vis.model.snapshot.snapshot import preserve_state

MOST_RUNS = 32
"""Of a network, until the search is given up."""


@dataclass(frozen=True)
class Trial:
    """What one run with some cuts open found.

    Attributes:
        reaches: whether a gradient of the answer reaches the image.
        met: the closed cuts at which something arrived that depends on the image, in order.
        parts: those of them that cut off what weights of the network made, since the image or another cut.
        error: why it could not be run so; "" if it could.
    """

    reaches: bool
    met: tuple[Cut, ...] = ()
    parts: frozenset[Cut] = frozenset()
    error: str = ""


@dataclass(frozen=True)
class Opening:
    """Which cuts are opened, none where a gradient reaches the image anyway, and why, where it needs to and cannot, none is."""

    cuts: tuple[Cut, ...] = ()
    why: str = ""


Try = Callable[[frozenset[Cut]], Trial]


def find_cuts(
    model: nn.Module,
    images: Tensor,
    forward: Callable[[Tensor], Any] | None = None,
    read: Callable[[Any], Any] | None = None,
) -> Opening:
    """The cuts that keep the gradient of the answer from the image, if nothing of it arrives; found by runs that leave no trace.

    Args:
        model: any network.
        images: ``(N, C, H, W)`` in the model's input scale, on its device; few.
        forward: how to run the model, if not by calling it.
        read: takes the answer out of the output.
    """
    with preserve_state(model):
        model.requires_grad_(False)  # what needs a gradient then depends on the image; taken back by preserve_state
        return needed(partial(_try, model, images, forward or model, read or (lambda output: output)))


def needed(run: Try) -> Opening:
    """The cuts to open: regions without gradients, and only if those do not do, single tensors.

    Of all ways to the image those are opened on which nothing less would do. If some of them lead through weights, only those:
    what is computed without any is a mask, a scale, a rounding, and not a part of the network.
    """
    whole = run(frozenset())
    if whole.reaches or not (whole.met or whole.error):
        return Opening()
    errors = [whole.error]
    for is_allowed in (lambda cut: cut.is_region, lambda _: True):
        found = _chains(run, whole, is_allowed, errors)
        parts = [chain for chain, is_part in found if is_part] or [chain for chain, _ in found]
        if parts:
            return Opening(tuple(dict.fromkeys(cut for chain in parts for cut in chain)))
    return Opening((), _why(whole, next(filter(None, errors), "")))


def _why(whole: Trial, error: str) -> str:
    """Why nothing was opened; "" where nothing is cut that we know of."""
    where = " and ".join(dict.fromkeys(each.said for each in whole.met))
    reason = f" ({error})" if error else ""
    return (
        f"no gradient of the answer reaches the image: {where} stops it, and could not be opened for our own pass{reason}:"
        " compute that part with gradients on, or name a layer behind it"
        if where
        else ""
    )


def _chains(run: Try, whole: Trial, is_allowed: Callable[[Cut], bool], errors: list[str]) -> list[tuple[tuple[Cut, ...], bool]]:
    """The shortest chains of cuts, each met behind the one before, that let a gradient through; whether a part is among them."""
    found: list[tuple[tuple[Cut, ...], bool]] = []
    waiting: list[tuple[tuple[Cut, ...], Trial, bool]] = [
        ((cut,), whole, cut in whole.parts) for cut in whole.met if is_allowed(cut)
    ]
    for _ in range(MOST_RUNS):
        if not waiting:
            break
        chain, before, is_part = waiting.pop(0)
        trial = run(frozenset(chain))
        errors.append(trial.error)
        if trial.reaches:
            found.append((chain, is_part))
            continue
        new = [cut for cut in trial.met if cut not in before.met and is_allowed(cut)]
        waiting += [((*chain, cut), trial, is_part or cut in trial.parts) for cut in new]
    return found


def _try(
    model: nn.Module, images: Tensor, forward: Callable[[Tensor], Any], read: Callable[[Any], Any], cuts: frozenset[Cut]
) -> Trial:
    image = images.detach().clone().requires_grad_()
    spy = CutSpy(cuts)
    try:
        with preserve_state(model):
            with spy:
                output = forward(image.clone())
            answers = [each for _, each in leaves(read(output)) if each.requires_grad]
            reaches = bool(answers) and _reaches(answers, image)
    except Exception as error:
        return Trial(False, tuple(spy.met), spy.parts, str(error).partition("\n")[0])
    return Trial(reaches, tuple(spy.met), spy.parts)


def _reaches(answers: Sequence[Tensor], image: Tensor) -> bool:
    """Whether the graph leads to the image, and autograd can go back through it."""
    total = torch.stack([each.float().sum() for each in answers]).sum()
    try:
        return torch.autograd.grad(total, image, retain_graph=True, allow_unused=True)[0] is not None
    except RuntimeError as error:
        if "use_reentrant=True" not in str(error):
            raise
    total.backward()  # type: ignore[no-untyped-call]
    return image.grad is not None


class Witness:
    """Sees in a run that somebody else makes whether the graph of autograd leads from the answer to the image.

    Args:
        forward: images -> output.
        read: takes the answer out of it.
    """

    def __init__(self, forward: Callable[[Tensor], Any], read: Callable[[Any], Any]) -> None:
        self._forward, self._read = forward, read
        self.is_reached = False

    def forward(self, images: Tensor) -> Any:
        """Runs it, on images that need a gradient."""
        self._image = images.grad_fn  # the network may change the images in place
        return self._forward(images)

    def read(self, output: Any) -> Any:
        """The answer, looked at."""
        answer = self._read(output)
        found = [each.grad_fn for _, each in leaves(answer) if each.is_floating_point()]
        self.is_reached = any(node is self._image for node in nodes_behind(found))
        return answer


@dataclass
class _Met:
    """What was cut off, by the closed cut where that happened."""

    sources: dict[Cut, list[Tensor]] = field(default_factory=dict)
    weighty: set[Cut] = field(default_factory=set)


class CutSpy(OpenCuts):
    """Notes the closed cuts at which something arrives that depends on the image."""

    def __init__(self, cuts: frozenset[Cut]) -> None:
        super().__init__(cuts)
        self._met = _Met()
        self._by_weights: set[Any] = set()  # nodes of autograd's graph

    @property
    def met(self) -> list[Cut]:
        """The cuts, in the order in which they were met."""
        return list(self._met.sources)

    @property
    def parts(self) -> frozenset[Cut]:
        """Those that cut off what weights made."""
        found = {cut for cut, tensors in self._met.sources.items() if any(map(self._is_made_by_weights, tensors))}
        return frozenset(found | self._met.weighty & set(self._met.sources))

    def meets(self, region: Cut | None, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> None:
        """Notes regions into which the image's gradient would go on, and who is made by weights."""
        is_weighty = has_weights(args, kwargs)
        if region is None:
            self._by_weights |= {each.grad_fn for each in _floats(result) if is_weighty and each.grad_fn is not None}
            return
        if is_weighty:
            self._met.weighty.add(region)
        if any(each.requires_grad for each in _floats([*args, *kwargs.values()])) and _floats(result):
            self._met.sources.setdefault(region, [])

    def meets_detach(self, cut: Cut, tensor: Tensor) -> None:
        """Notes a tensor that depends on the image."""
        if tensor.requires_grad and cut not in self.cuts and self.region is None:
            self._met.sources.setdefault(cut, []).append(tensor)

    def _is_made_by_weights(self, tensor: Tensor) -> bool:
        """Whether weights lie between a tensor and what was cut off before it, or the image."""
        others = {each.grad_fn for tensors in self._met.sources.values() for each in tensors} - {tensor.grad_fn}
        return any(node in self._by_weights for node in nodes_behind([tensor.grad_fn], others))


def _floats(nest: Any) -> list[Tensor]:
    """The floating tensors in a value or a list of values and lists."""
    values: Iterable[Any] = nest if isinstance(nest, (list, tuple)) else (nest,)
    flat = [each for value in values for each in (value if isinstance(value, (list, tuple)) else (value,))]
    return [each for each in flat if isinstance(each, Tensor) and each.is_floating_point()]
