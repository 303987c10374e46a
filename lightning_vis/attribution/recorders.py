"""Activations and gradients of any layers from one forward and backward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.arguments import chunk_size_of, names_of, quoted, tensor_of
from lightning_vis.attribution.records import Explained, Record, Recorded, Requests, in_chunks
from lightning_vis.constants import INPUT, MULTICLASS
from lightning_vis.model.answer.answer import CLASSES, Answer
from lightning_vis.model.answer.masks import SEGMENTATION_TASK
from lightning_vis.model.answer.output import answer_of, are_shares, settled, squash_of
from lightning_vis.model.answer.task import Facts
from lightning_vis.model.cut import through
from lightning_vis.model.cut_search import find_cuts
from lightning_vis.model.layers import known_layers
from lightning_vis.model.run import Kept, Pass, prepare
from lightning_vis.model.scores import PROBABILITIES, Score, Target, log_odds, notes_of
from lightning_vis.model.site.collector import collected, one_each
from lightning_vis.model.site.site import Site, place_of, plain_site
from lightning_vis.model.snapshot.snapshot import preserve_state

Differentiate = Callable[[Kept, Tensor, Sequence[Tensor], bool], Sequence[Tensor | None]]
GradientsOf = Callable[[Tensor, Mapping[str, Tensor], bool], dict[str, Tensor]]
"""Of a score at tensors by name, those that it depends on."""
ENGINE: Any = torch.autograd.Variable._execution_engine


def record(
    model: nn.Module,
    images: Tensor,
    layers: Sequence[str],
    targets: Target | Tensor | Sequence[int] | None = None,
    *,
    score: Score = log_odds,
    forward: Callable[[Tensor], Any] | None = None,
    context: Callable[[], AbstractContextManager[Any]] = nullcontext,
    convert: Callable[[Tensor], Tensor] | None = None,
    chunk_size: int | None = None,
) -> dict[str, Record]:
    """Activations and gradients of any layers and of the images, from one forward and one backward pass.

    The model is left exactly as it was. Works inside ``no_grad`` and ``inference_mode``, with frozen parameters, and with
    in-place layers after the recorded ones. Where the network itself lets no gradient reach the images, what keeps it off is
    opened for this pass (`lightning_vis.model.cut_search`).

    Args:
        model: any network; it stays on its device and in its precision, and the images follow it there.
        images: ``(N, C, H, W)`` in the model's input scale.
        layers: dotted names of submodules that return one tensor, ``(N, K, h, w)`` where maps are made of it,
            ``"avgpool:input"`` for what enters one, and `INPUT` for the images.
        targets: the explained class: ``(N,)`` indices, one index for all, ``"predicted"`` (the default) or ``"runner_up"``.
        score: ``(output, classes) -> (N,)``, the number that is differentiated; `log_odds` or `logit`, or your own.
        forward: how to run the model, if not by calling it.
        context: makes the context for the forward pass (a Trainer's precision, say).
        convert: converts the images' type (a Trainer's precision, say); by default that of the model's weights.
        chunk_size: at most this many images in one pass, to save memory; all of them if None.

    Returns:
        A `Record` for each layer.

    Raises:
        ValueError: a layer is unknown, is never called, is called twice, does not return one tensor, or is off the path to
            the score; there are more images than targets; the output cannot be read.
    """
    if not isinstance(images, Tensor) or images.ndim not in (4, 5) or not images.numel():
        raise ValueError(f"record(images): expected a tensor (N, C, H, W), at least one image; got {quoted(images)}")
    layers = names_of(layers, "record(layers)", of="layers' names")
    chunk_size = chunk_size_of(chunk_size)
    labels, target = _split(targets, len(images))
    run = prepare(model, images, labels, forward, score, context, convert)
    if labels is not None and bool((labels < 0).any()):  # no labels that nobody knows: all that is asked for has to be there
        run = replace(run, chosen={target: labels})
    requests = {target: list(dict.fromkeys(layers))}
    with preserve_state(model):
        try:
            recorded = in_chunks(gradients, run, requests, chunk_size)
        except OffPathError:
            cuts = find_cuts(model, run.images, run.output).cuts
            if not cuts:
                raise
            recorded = in_chunks(gradients, replace(run, forward=through(run.forward, cuts)), requests, chunk_size)
    return recorded.explained[target].records


class OffPathError(ValueError):
    """The score does not depend on a layer, or on the image."""


def gradients(run: Pass, requests: Requests) -> Recorded:
    """The plain recorder: one forward pass, then one ``autograd.grad`` per distinct explained class.

    Sites that want attention held share one more, which goes back no further than they lie.

    Args:
        run: the model and the batch.
        requests: the layers wanted for each target.

    Raises:
        ValueError: as `record`.
    """
    try:
        return _gradients(run, requests, _grad)
    except RuntimeError as error:
        if "use_reentrant=True" not in str(error):
            raise
    for parameter in run.model.parameters():  # `preserve_state` puts the flags back
        parameter.requires_grad_(False)
    return _gradients(replace(run, kept=None), requests, _backward)


def _gradients(run: Pass, requests: Requests, differentiate: Differentiate) -> Recorded:
    names = dict.fromkeys(name for layers in requests.values() for name in layers if name != INPUT)
    sites = {name: run.sites.get(name) or plain_site(name) for name in names}
    kept = run.kept if run.kept is not None and run.kept.has(sites) else Kept(sites)
    with collected(run.model, kept.sites if kept.images is None else {}) as met, run.context():
        images = _run_once(run, kept, met)
        tensors = {INPUT: images, **one_each(run.model, {name: kept.met[name] for name in names}, sites)}
        values = run.values(kept.output)
        explained = _explain(run, kept.output, values, requests, tensors, partial(_gradients_of, differentiate, kept))
    notes, facts = _notes(run.answer, kept.output), _facts_seen(run, kept.output)
    return Recorded(None if values is None else values.detach(), explained, notes, facts)


def _run_once(run: Pass, kept: Kept, met: Mapping[str, list[Any]]) -> Tensor:
    """The images that went in; they go in now, if they have not yet."""
    if kept.images is None:
        images = run.images.detach().clone().requires_grad_()
        # A copy goes in: the model may change its input in place, and a leaf may not be changed.
        with kept.gated():
            kept.output = run.forward(images.clone())
        kept.met = {name: list(found) for name, found in met.items()}  # without what comes again while going back
        kept.images = images
    return kept.images


def _facts_seen(run: Pass, output: Any) -> Facts | None:
    """What the graph of an output tells, where only labels have told that it is one class for each image."""
    answer = run.answer
    if answer.task != MULTICLASS or answer.facts.probabilities is not None or run.score is not None:
        return None
    try:
        values = answer_of(answer.facts, output)
    except ValueError:  # of several tensors the one that looks like scores is read
        return None
    seen = settled(answer.facts, answer.task, values, squash_of(values), is_share=are_shares(values))
    return None if seen == answer.facts else seen


def _notes(answer: Answer, output: Any) -> tuple[str, ...]:
    """What a reader should know of how the output was read."""
    if replace(answer, said="") == CLASSES:
        return notes_of(output)
    return (PROBABILITIES,) if answer.facts.probabilities else ()


def _split(targets: Any, count: int) -> tuple[Tensor | None, Target]:
    """Classes given one by one travel as labels, so that everything after knows one kind of target."""
    if targets is None or isinstance(targets, (str, int)):
        return None, "predicted" if targets is None else targets
    labels = tensor_of(targets, "targets", f"a word, one class, or one class per image, ({count},)")
    if labels.shape != (count,):
        raise ValueError(
            f"targets of shape {tuple(labels.shape)} were given for {count} images: one class per image, ({count},)"
        )
    return labels, "label"


def _explain(
    run: Pass,
    output: Any,
    values: Tensor | None,
    requests: Requests,
    tensors: Mapping[str, Tensor],
    gradients_of: GradientsOf,
) -> dict[Target, Explained]:
    groups = _groups(run, values, requests)
    explained: dict[Target, Explained] = {}
    for position, (chosen, targets) in enumerate(groups):
        layers = list(dict.fromkeys(name for target in targets for name in requests[target]))
        score = run.scored(output, values, chosen)
        if not isinstance(score, Tensor) or score.shape != (len(run.images),):
            shape = f"shape {tuple(score.shape)}" if isinstance(score, Tensor) else quoted(score)
            raise ValueError(f"score= returned {shape} for {len(run.images)} images: one number per image")
        again = position + 1 < len(groups) or run.kept is not None
        records = _records(run, score, {name: tensors[name] for name in layers}, gradients_of, again)
        for target in targets:
            explained[target] = Explained(chosen, score.detach(), records)
    return explained


def _groups(run: Pass, values: Tensor | None, requests: Requests) -> list[tuple[Tensor | None, list[Target]]]:
    """Targets that mean the same in every image share one backward pass."""
    groups: list[tuple[Tensor | None, list[Target]]] = []
    for target in requests:
        chosen = run.explained(target, values)
        same = [names for other, names in groups if other is chosen or (chosen is not None and _equal(other, chosen))]
        same[0].append(target) if same else groups.append((chosen, [target]))
    return groups


def _equal(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and torch.equal(one, other)


def _grad(_: Kept, score: Tensor, sites: Sequence[Tensor], again: bool) -> Sequence[Tensor | None]:
    return torch.autograd.grad(score, sites, retain_graph=again, allow_unused=True)


def _backward(kept: Kept, score: Tensor, sites: Sequence[Tensor], again: bool) -> Sequence[Tensor | None]:
    """Where ``autograd.grad`` is refused, by reentrant checkpoints; the parameters take no gradients meanwhile."""
    for site in sites:
        site.grad = None
        site.retain_grad()
    ones = torch.ones_like(score)
    with kept.gated():  # what runs again now had no gates before; all public ways back would hide it from the mode
        ENGINE.run_backward((score,), (ones,), again, False, (), allow_unreachable=True, accumulate_grad=True)
    found = [site.grad for site in sites]
    for site in sites:
        site.grad = None  # else the next pass would add to it
    return found


def _gradients_of(
    differentiate: Differentiate, kept: Kept, score: Tensor, tensors: Mapping[str, Tensor], again: bool
) -> dict[str, Tensor]:
    held = {name: tensor for name, tensor in tensors.items() if name in kept.sites and kept.sites[name].is_held}
    plain = {name: tensor for name, tensor in tensors.items() if name not in held}
    with kept.hold.closed():
        found = _by_name(partial(differentiate, kept), score, held, again=again or bool(plain))
    return found | _by_name(partial(differentiate, kept), score, plain, again=again)


def _by_name(
    differentiate: Callable[[Tensor, Sequence[Tensor], bool], Sequence[Tensor | None]],
    score: Tensor,
    tensors: Mapping[str, Tensor],
    *,
    again: bool,
) -> dict[str, Tensor]:
    wanted = {name: tensor for name, tensor in tensors.items() if tensor.requires_grad}
    if not wanted or not score.requires_grad:
        return {}
    found = zip(wanted, differentiate(score, list(wanted.values()), again), strict=True)
    return {name: value for name, value in found if value is not None}


def _records(
    run: Pass, score: Tensor, tensors: Mapping[str, Tensor], gradients_of: GradientsOf, again: bool
) -> dict[str, Record]:
    found = gradients_of(score.sum(), tensors, again)
    off = [name for name in tensors if name not in found]
    if off:
        raise OffPathError(
            f"the score does not depend on layer {place_of(off[0])!r} through gradients (off the path to the score,"
            f" or computed under no_grad): name another; {known_layers(run.model)}"
        )
    by_place = (
        run.answer.task == SEGMENTATION_TASK.name
    )  # the score is of the object's pixels, and each place has its own share
    return {name: _record(run.sites.get(name), tensor.detach(), found[name], by_place) for name, tensor in tensors.items()}


def _record(site: Site | None, activation: Tensor, gradient: Tensor, by_place: bool) -> Record:
    """Laid out as maps, with what stands before the cells beside them."""
    if site is None:
        return Record(activation, gradient, by_cell=by_place)
    maps, before = site.layout.maps, site.layout.before
    prefix, its_gradient = before(activation), before(gradient)
    beside = None if prefix is None or its_gradient is None else Record(prefix, its_gradient)
    by_cell = site.layout.is_tokens or site.is_held or by_place
    return Record(maps(activation), maps(gradient), beside, by_cell, site.is_held)
