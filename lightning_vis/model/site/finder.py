"""Finds sites by one run of the network: the default one and named ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.model.layers import called_often, find_layer, known_layers, uncalled
from lightning_vis.model.places import leaves
from lightning_vis.model.scores import describe
from lightning_vis.model.site.bottleneck import Choice, bottleneck, choice_of
from lightning_vis.model.site.candidates import Candidate, Run, candidates_of, named_candidates, run_of, times_met
from lightning_vis.model.site.layout import MAPS
from lightning_vis.model.site.order import lies_in_order, may_lie_in_order
from lightning_vis.model.site.site import split
from lightning_vis.model.snapshot.snapshot import preserve_state

DOUBTED = 8
"""Tokens in another order than that of the rows: after so many places no more tokens are asked."""

Found = Choice | Exception
"""A site with what bypasses it, or why there is none."""


class NoGridError(ValueError):
    """What a layer gives has no place in the image."""


@dataclass(frozen=True)
class _Run:
    """One dry run: what was met in it, and a number that depends on the whole answer."""

    image: Tensor
    candidates: list[Candidate]
    named: dict[str, Candidate]
    times: Mapping[tuple[str, str], int]
    score: Tensor
    network: Run


def find_sites(
    model: nn.Module,
    images: Tensor,
    names: Iterable[str | None],
    forward: Callable[[Tensor], Any] | None = None,
    read: Callable[[Any], Any] | None = None,
) -> dict[str | None, Found]:
    """The sites that are meant by names, None standing for the default one, found by one run that leaves no trace.

    Args:
        model: any network.
        images: ``(N, C, H, W)`` in the model's input scale, on its device; three or fewer, best all the same one.
        names: dotted names of layers, ``"avgpool:input"`` for what enters one, None for the last bottleneck.
        forward: how to run the model, if not by calling it.
        read: takes the answer out of the output.
    """
    with preserve_state(model), torch.enable_grad():
        _wake(model)
        run = _dry_run(model, images, forward or model, read or (lambda output: output))
        return {name: _found(model, run, name) for name in names}


def _wake(model: nn.Module) -> None:
    """Weights that are all 0, as a new head's often are, let no gradient through: noise takes their place for a moment."""
    generators: dict[torch.device, torch.Generator] = {}
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1 and weight.is_floating_point() and not weight.any():
                generator = generators.setdefault(weight.device, torch.Generator(weight.device).manual_seed(0))
                weight.normal_(0.0, 0.02, generator=generator)


def _dry_run(model: nn.Module, images: Tensor, forward: Callable[[Tensor], Any], read: Callable[[Any], Any]) -> _Run:
    image = images.detach().clone().requires_grad_()
    run = run_of(model, lambda: forward(image.clone()), image)
    answers = [each for _, each in leaves(read(run.output)) if each.is_floating_point()]
    candidates = candidates_of(run, image)
    told = [each for each in candidates if not _is_answer(each, answers)]  # else of a network of one width it would be none
    told = told or [each for each in candidates if not any(each.tensor is answer for answer in answers)]
    named = named_candidates(run.met, image)
    return _Run(image, told, named, times_met(run.met), _projection(answers), run)


def _is_answer(candidate: Candidate, answers: Sequence[Tensor]) -> bool:
    """Whether a site is the output itself, or a map of it at another size: it shows the answer and explains nothing."""
    tensor, layout = candidate.tensor, candidate.site.layout
    dense = [each.shape[1] for each in answers if each.ndim == tensor.ndim and layout.kind == MAPS]
    return any(each is tensor for each in answers) or tensor.shape[1] in dense


def _projection(answers: Sequence[Tensor]) -> Tensor:
    """A number on which every part of the answer acts; the plain sum of a softmax would be 1 whatever the image."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(each.shape, generator=generator).to(each.device) for each in answers]
    parts = [(each.float() * weight).sum() for each, weight in zip(answers, weights, strict=True) if each.requires_grad]
    return torch.stack(parts).sum() if parts else torch.zeros(())


def _found(model: nn.Module, run: _Run, name: str | None) -> Found:
    try:
        return _default(model, run) if name is None else _named(model, run, name)
    except Exception as error:
        return error


def _default(model: nn.Module, run: _Run) -> Choice:
    if not run.candidates:
        raise ValueError(f"no layer of the model gives a feature map (N, K, h, w) above 1 x 1; {known_layers(model)}")
    found = bottleneck(run.score, run.image, run.candidates)
    for _ in range(DOUBTED):
        if found is None or _holds(run, found.candidate):
            break
        run = replace(run, candidates=[each for each in run.candidates if each is not found.candidate])
        found = bottleneck(run.score, run.image, run.candidates)
    else:
        sure = [each for each in run.candidates if not each.site.layout.is_tokens]
        found = bottleneck(run.score, run.image, sure)
    if found is None:
        raise ValueError(
            f"the model's output, {describe(run.network.output)} for {len(run.image)} images, does not depend on any feature map"
            " through gradients"
        )
    front, is_sorted = _front(run, found)
    # Behind a sorting nobody can tell the order any more: what is in place in front of it is shown to all views.
    return replace(found, held=front) if front is None or not is_sorted else Choice(front, 0.0, front)


def _front(run: _Run, last: Choice) -> tuple[Candidate | None, bool]:
    """Where tokens, which attention mixes from block to block, still are each of its own place: the last bottleneck in front.

    Maps are not asked for it, though some block may pay attention: convolutions hold them together.

    Returns:
        That place; and whether as many tokens as at the last one lie behind it in another order than that of the image.
    """
    in_front = [each for each in run.candidates if each.is_in_front and last.candidate.site.layout.kind != MAPS]
    is_sorted = False
    for _ in range(DOUBTED):
        found = bottleneck(run.score, run.image, in_front) if in_front else None
        if found is None or found.bypassed:
            break
        if _is_in_place(run, found.candidate):
            return found.candidate, is_sorted
        is_sorted |= found.candidate.site.layout.cells == last.candidate.site.layout.cells
        in_front = [each for each in in_front if each is not found.candidate]
    return None, is_sorted


def _is_in_place(run: _Run, candidate: Candidate) -> bool:
    """Whether tokens that nothing has mixed yet lie in the order of the image's rows: some networks sort them into windows."""
    layout = candidate.site.layout
    return not layout.is_tokens or lies_in_order(layout, candidate.tensor, run.image)


def _holds(run: _Run, candidate: Candidate) -> bool:
    """Whether tokens lie in the order of the image's rows here too: blocks may have sorted them into windows."""
    layout = candidate.site.layout
    return not layout.is_tokens or may_lie_in_order(layout, candidate.tensor, run.image)


def _named(model: nn.Module, run: _Run, name: str) -> Choice:
    layer, side = split(name)
    find_layer(model, layer)
    times = run.times.get((layer, side), 0)
    if times != 1:
        raise called_often(model, name, times) if times else uncalled(model, layer)
    if name not in run.named or not _holds(run, run.named[name]):
        there = ", ".join(each.site.name for each in reversed(run.candidates[-12:])) or "none"
        raise NoGridError(f"layer {name!r} holds no grid of the image; those that do are, from the last one on: {there}")
    found, candidate = choice_of(run.score, run.image, run.named[name]), run.named[name]
    is_mixed = candidate.site.layout.kind != MAPS and run.network.is_attended(candidate)
    return replace(found, held=candidate) if is_mixed else found
