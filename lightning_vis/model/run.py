"""How a model is run: forward, device, precision, context, chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from lightning_vis.model.answer.answer import CLASSES, Answer
from lightning_vis.model.attention import Hold, holding
from lightning_vis.model.call import at_rows
from lightning_vis.model.cut import Cut, through
from lightning_vis.model.feature_map import FeatureMap
from lightning_vis.model.places import leaves
from lightning_vis.model.scores import Score, Target, describe, log_odds, logit
from lightning_vis.model.site.site import Site

Chosen = Mapping[Target, Tensor]
"""What is explained in each image for a target, where that is fixed."""


@dataclass
class Kept:
    """One forward pass that several heads explain, kept until all of them have gone back through it.

    Attributes:
        sites: all that any of them wants, by name.
        images: that went in; None before.
        output: that came out.
        met: what stood at each site.
        hold: closed for the gradients of sites that want attention held.
    """

    sites: Mapping[str, Site]
    images: Tensor | None = None
    output: Any = None
    met: Mapping[str, list[Any]] = field(default_factory=dict)
    hold: Hold = field(default_factory=Hold)

    def gated(self) -> AbstractContextManager[None]:
        """A time in which the network runs: where a site wants it, attention and norms can be held on the way back."""
        return holding(self.hold) if any(site.is_held for site in self.sites.values()) else nullcontext()

    def has(self, sites: Mapping[str, Site]) -> bool:
        """Whether these sites are among its own."""
        return all(self.sites.get(name) == site for name, site in sites.items())


@dataclass(frozen=True)
class Pass:
    """One model and one batch, ready to be run by a recorder.

    Attributes:
        model: in eval mode, lent by `preserve_state`.
        images: ``(N, C, H, W)`` in the model's input scale, on its device.
        forward: images -> output.
        truth: ``(N, ...)`` what is true of each image, as its task has it; None where nobody knows.
        score: ``(output, classes) -> (N,)``, the number that is explained; None: that of the task.
        context: makes the context that forward runs in.
        answer: what the output means.
        chosen: what is explained, where that is fixed.
        is_early: whether the first epoch runs, in which nothing is chosen for good.
        sites: where named layers hold the image's grid; one that is not among them returns maps ``(N, K, h, w)``.
        kept: the forward pass that other heads explain too, if there is one.
        whole: all of the images, where these are some of them.
    """

    model: nn.Module
    images: Tensor
    forward: Callable[[Tensor], Any]
    truth: Tensor | None = None
    score: Score | None = None
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    answer: Answer = CLASSES
    chosen: Chosen = field(default_factory=dict)
    is_early: bool = False
    sites: Mapping[str, Site] = field(default_factory=dict)
    kept: Kept | None = None
    whole: Pass | None = None

    def part(self, rows: slice) -> Pass:
        """Some of the images, with what belongs to them."""
        at = torch.arange(len(self.images))[rows]
        truth = None if self.truth is None else self.truth[rows]
        chosen = {target: each[rows] for target, each in self.chosen.items()}
        forward = self.forward if len(at) == len(self.images) else at_rows(self.forward, at)
        kept = self.kept if len(at) == len(self.images) else None
        found = replace(self, images=self.images[rows], truth=truth, chosen=chosen, forward=forward, kept=kept)
        return found if len(at) == len(self.images) else replace(found, whole=self.whole or self)

    def parts(self, chunk_size: int | None) -> Iterator[Pass]:
        """At most so many images at a time."""
        size = chunk_size or max(len(self.images), 1)
        return (self.part(slice(start, start + size)) for start in range(0, len(self.images), size))

    def output(self, images: Tensor) -> Any:
        """What the model returns for images, in its context; raises ValueError as `with_values`."""
        with self.context():
            return with_values(self.forward(images))

    def values(self, output: Any) -> Tensor | None:
        """The answer in an output; None where only a score of the user's own knows how to read it.

        Raises:
            ValueError: it cannot be read, and has to be.
        """
        try:
            return self.answer.values(output)
        except ValueError:
            if self.score in (None, log_odds, logit):
                raise
            return None

    def explained(self, target: Target, values: Tensor | None) -> Tensor | None:
        """What is explained in each image: an index, a vector to be near to, a map of classes."""
        if target in self.chosen:
            return self.chosen[target].to(self.images.device)
        if values is None:
            return self.truth
        kind = self.answer.kind
        choose = kind.first if self.is_early and kind.first is not None else kind.chosen
        return choose(self.answer.facts, target, values, self.truth)

    def scored(self, output: Any, values: Tensor | None, chosen: Tensor | None) -> Any:
        """The number that is differentiated, one for each image."""
        if self.score is None:
            kind = self.answer.kind
            if kind.score is None or values is None or chosen is None:
                raise ValueError(f"of a {self.answer.task} no number is explained unless score= says which")
            return kind.score(values, chosen)
        return self.score(values if self.score in (log_odds, logit) else output, chosen)


@dataclass(frozen=True)
class ForwardConfig:
    """How a model is run: by what function, to what score, in what context, converted how, in chunks of what size.

    What its output means and what of it is explained belong to it too, and the cuts in it that we open: None where nobody has
    looked for any yet.
    """

    forward: Callable[[Tensor], Any] | None = None
    score: Score | None = None
    context: Callable[[], AbstractContextManager[Any]] = nullcontext
    convert: Callable[[Tensor], Tensor] | None = None
    chunk_size: int | None = None
    answer: Answer = CLASSES
    chosen: Chosen = field(default_factory=dict)
    is_early: bool = False
    places: Mapping[str | None, FeatureMap] = field(default_factory=dict)
    kept: Kept | None = None
    cuts: tuple[Cut, ...] | None = None

    def prepare(self, model: nn.Module, images: Tensor, truth: Tensor | None = None, rows: Tensor | None = None) -> Pass:
        """Images on the model's device and in its precision.

        Args:
            model: to be run.
            images: ``(M, C, H, W)``.
            truth: what is true of them.
            rows: ``(M,)`` the probe images whose other arguments go with them; None: they are the probe's own.
        """
        run = prepare(model, images, truth, self.forward, self.score, self.context, self.convert)
        forward = through(run.forward if rows is None else at_rows(run.forward, rows), self.cuts)
        chosen, kept = (self.chosen, self.kept) if rows is None else ({}, None)
        run = replace(run, forward=forward, answer=self.answer, chosen=chosen, is_early=self.is_early, kept=kept)
        return replace(run, sites=self.sites)

    @property
    def meaning(self) -> Answer:
        """What is known of the number that is explained: of what a user's own score returns nothing but a unit that is said."""
        if self.score in (None, log_odds):
            return self.answer
        unit = self.answer.unit
        return replace(self.answer, unit=unit or "logits") if self.score is logit else Answer(unit=unit)

    @property
    def sites(self) -> dict[str, Site]:
        """Where the places that are known lie, by name."""
        sites = {each.layer if name is None else name: each.site for name, each in self.places.items()}
        return sites | {each.held.key: each.held for each in self.places.values() if each.held is not None}


def prepare(
    model: nn.Module,
    images: Tensor,
    truth: Tensor | None = None,
    forward: Callable[[Tensor], Any] | None = None,
    score: Score | None = None,
    context: Callable[[], AbstractContextManager[Any]] = nullcontext,
    convert: Callable[[Tensor], Tensor] | None = None,
) -> Pass:
    """A `Pass` whose images are on the model's device and of its floating type."""
    return Pass(model, on_model(model, images, convert), forward or model, truth, score, context)


def with_values(output: Any) -> Any:
    """An output as it is.

    Raises:
        ValueError: it has no values.
    """
    if any(tensor.is_meta for _, tensor in leaves(output)):
        raise ValueError(f"the model's output, {describe(output)}, is {NO_VALUES}: return it on a device that has them")
    return output


NO_VALUES = "on the device 'meta', where nothing has a value"


def answered(run: Pass, chunk_size: int | None = None) -> Tensor:
    """What the network answers to all images, ``(N, ...)`` in the numbers of its task: one forward pass without gradients."""
    found = []
    with torch.no_grad():
        for part in run.parts(chunk_size):
            with part.context():
                found.append(part.answer.values(with_values(part.forward(part.images.clone()))).detach())
    return torch.cat(found)


def on_model(model: nn.Module, images: Tensor, convert: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Images on the model's device, in the type of its weights, or as `convert` converts them."""
    weight = next((value for value in model.parameters() if value.is_floating_point()), None)
    if weight is None:
        return images.detach()
    if weight.is_meta:
        raise ValueError(
            f"the model's weights are {NO_VALUES}: give them values with model.to_empty(device='cpu') and load them"
        )
    images = images.detach().to(weight.device)
    return images.to(weight.dtype) if convert is None else convert(images)
