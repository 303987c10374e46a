"""What modules gave and took while the network ran, and the sites among it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.model.attention import noticing
from lightning_vis.model.hooks import after, before
from lightning_vis.model.layers import named_layers
from lightning_vis.model.places import Path, leaves
from lightning_vis.model.site.graph import comes_from
from lightning_vis.model.site.layout import Grid, Layout, fits, layout_of, layout_of_frames
from lightning_vis.model.site.order import lies_in_order
from lightning_vis.model.site.site import INPUT_SIDE, OUTPUT_SIDE, Site


@dataclass(frozen=True)
class Met:
    """One floating tensor that entered or left a module."""

    layer: str
    module: nn.Module
    side: str
    place: Path
    tensor: Tensor


@dataclass(frozen=True)
class Candidate:
    """A site and its tensor in this run, and whether it was there before any attention mixed what is known of the image."""

    site: Site
    module: nn.Module
    tensor: Tensor
    is_in_front: bool = False


@dataclass(frozen=True)
class Run:
    """One run of a network.

    Attributes:
        met: what entered and left the modules, in order.
        output: what came out of it.
        front: how many of `met` came before an attention mixed what is known of the image's places; 0 where none did.
        attended: what each attention gave, from that one on.
    """

    met: list[Met]
    output: Any
    front: int
    attended: list[Tensor]

    def is_attended(self, candidate: Candidate) -> bool:
        """Whether attention is paid to what comes of a candidate."""
        return any(comes_from(each, candidate.tensor) for each in reversed(self.attended))


def run_of(model: nn.Module, run: Callable[[], Any], image: Tensor) -> Run:
    """Runs a network on an image, and takes down what enters and leaves its modules, and the attentions that it reaches."""
    found: list[Met] = []
    attended: list[tuple[int, Tensor]] = []

    def note(result: Tensor) -> None:
        # Within reentrant checkpoints nobody knows what it comes from.
        if attended or not torch.is_grad_enabled() or comes_from(result, image):
            attended.append((len(found), result))

    with _watched(model, found), noticing(note):
        output = run()
    return Run(found, output, next((count for count, _ in attended), 0), [each for _, each in attended])


@contextmanager
def _watched(model: nn.Module, found: list[Met]) -> Iterator[None]:
    names = {id(module): name for name, module in named_layers(model).items()}

    def note(module: nn.Module, side: str, nest: Any) -> None:
        tensors = [(place, each) for place, each in leaves(nest) if each.is_floating_point()]
        found.extend(Met(names[id(module)], module, side, place, each) for place, each in tensors)

    def enters(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        note(module, INPUT_SIDE, {**dict(enumerate(given)), **named})

    def leaves_it(module: nn.Module, _: Any, output: Any) -> None:
        note(module, OUTPUT_SIDE, output)

    with ExitStack() as stack:
        for module in model.modules():
            if id(module) in names and not isinstance(module, torch.jit.ScriptModule):
                stack.callback(before(module, enters))
                stack.callback(after(module, leaves_it))
        yield


def candidates_of(run: Run, image: Tensor) -> list[Candidate]:
    """The sites among what was met, in the order in which their tensors were first met.

    A tensor that several modules hand on belongs to the last of them, to a block rather than to its last layer; one that no
    module made belongs to the first that takes it.

    Args:
        run: of the network.
        image: ``(N, C, H, W)`` what was run: it is no site, nor is what is made anew while a layer is run twice.
    """
    found = run.met
    layouts = _in_order(found, _layouts(found, image), image)
    once = _once(found)
    in_front = {id(met.tensor) for met in found[: run.front]}
    groups: dict[int, list[Met]] = {}
    for met in found:
        if id(met.tensor) in layouts:
            groups.setdefault(id(met.tensor), []).append(met)
    learned = [group for group in groups.values() if group[0].tensor.shape != image.shape or _is_made(group)]
    chosen = [_holder([met for met in group if met in once], group) for group in learned]
    held = [met for met in chosen if met is not None]
    return [_candidate(met, layouts[id(met.tensor)], is_in_front=id(met.tensor) in in_front) for met in held]


def _is_made(group: list[Met]) -> bool:
    """Whether something that learns made a tensor: one as large as the image may be the image itself, scaled or flipped."""
    return any(met.side == OUTPUT_SIDE and any(True for _ in met.module.parameters()) for met in group)


def _holder(once: list[Met], group: list[Met]) -> Met | None:
    """After which module the tensor is called: the last one that hands it on, else the first one that takes it."""
    makers = [met for met in group if met.side == OUTPUT_SIDE and not any(met.module.children())]
    if makers and all(_reduces(met.module) for met in makers):
        return None  # what was pooled says more than what pooling left
    handed = [met for met in once if met.side == OUTPUT_SIDE and not _is_through(met.module)]
    alone = [met for met in handed if not met.place]  # what else a module returns may have been made of it within
    taken = [met for met in once if met.side == INPUT_SIDE]
    return next(iter([*alone[-1:], *handed[-1:], *taken]), None)


def _reduces(module: nn.Module) -> bool:
    kind = type(module).__name__.lower()
    return "pool" in kind or "drop" in kind


def _is_through(module: nn.Module) -> bool:
    """Whether a module hands on what others made: it gives no name."""
    return isinstance(module, nn.Identity) or _reduces(module)


def times_met(found: list[Met]) -> dict[tuple[str, str], int]:
    """How often each side of each layer was met."""
    times: dict[tuple[str, str], int] = {}
    for (layer, side, _), count in Counter((met.layer, met.side, met.place) for met in found).items():
        times[layer, side] = max(count, times.get((layer, side), 0))
    return times


def _once(found: list[Met]) -> list[Met]:
    """Without the modules that ran several times, which have no one activation, and those that make weights."""
    times = times_met(found)
    return [met for met in found if times[met.layer, met.side] == 1 and "parametrizations" not in met.layer.split(".")]


def _candidate(met: Met, layout: Layout, *, is_in_front: bool = False) -> Candidate:
    return Candidate(Site(met.layer, met.side, met.place, layout), met.module, met.tensor, is_in_front)


def _layouts(found: list[Met], image: Tensor) -> dict[int, Layout]:
    """The layouts of the tensors that hold the grid; what was met before helps with what comes after."""
    rows, size = len(image), tuple(image.shape[2:])
    last = {id(met.tensor) for met in found if _works_on_last(met.module, met.tensor)}
    layouts: dict[int, Layout] = {}
    known: dict[Grid, None] = {}
    counts: set[int] = set()
    for met in found:
        shape = met.tensor.shape
        counts |= {shape[1]} if len(shape) == 3 and shape[0] == rows else set()
        # Tokens by tokens, or tokens by channels of a head.
        is_attention = len(shape) == 4 and shape[2] in counts and tuple(shape[2:]) not in known
        if id(met.tensor) in layouts or is_attention:
            continue
        is_last = id(met.tensor) in last
        layout = layout_of(shape, rows, size, known, is_last=is_last)
        if layout is None and image.ndim == 5:  # (N, T, C, H, W), or (N, C, T, H, W)
            by_frame = [layout_of_frames(shape, rows, image.shape[at], size[-2:], is_last=is_last) for at in (1, 2)]
            layout = next(filter(None, by_frame), None)
        if layout is not None:
            layouts[id(met.tensor)] = layout
            known.pop(layout.grid, None)  # the latest one stands last
            known |= {layout.grid: None} if layout.frames == 1 and fits(layout.grid, size) else {}
    return layouts


def _in_order(found: list[Met], layouts: dict[int, Layout], image: Tensor) -> dict[int, Layout]:
    """Without tokens that lie otherwise than their number made believe, in the order of windows for instance.

    Of equal layouts the first tensor is asked: there a token still knows little more than its own patch.
    """
    firsts: dict[Layout, Tensor] = {}
    for met in found:
        if id(met.tensor) in layouts:
            firsts.setdefault(layouts[id(met.tensor)], met.tensor)
    wrong = {each for each, tensor in firsts.items() if each.is_tokens and not lies_in_order(each, tensor, image)}
    return {key: layout for key, layout in layouts.items() if layout not in wrong}


def _works_on_last(module: nn.Module, tensor: Tensor) -> bool:
    if isinstance(module, nn.LayerNorm):
        return tuple(module.normalized_shape) == tensor.shape[-1:]
    return isinstance(module, nn.Linear) and tensor.ndim > 0 and tensor.shape[-1] in (module.in_features, module.out_features)


def named_candidates(found: list[Met], image: Tensor) -> dict[str, Candidate]:
    """Every site by its name: of a layer that returns several tensors the first that holds the grid."""
    layouts = _in_order(found, _layouts(found, image), image)
    named: dict[str, Candidate] = {}
    for met in found:
        if id(met.tensor) in layouts:
            candidate = _candidate(met, layouts[id(met.tensor)])
            named.setdefault(candidate.site.name, candidate)
    return named
