"""Deletion and insertion curves: whether the answer hangs on what a map marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_vis.arguments import quoted
from lightning_vis.attribution.methods.choice import scores_at, settled
from lightning_vis.attribution.metrics import resized
from lightning_vis.attribution.pipeline import look, run_of, usual_views
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.records import in_chunks
from lightning_vis.attribution.views import View, views_of
from lightning_vis.constants import INPUT, LOG_ODDS
from lightning_vis.frames import Array
from lightning_vis.model.answer.words import Words
from lightning_vis.model.run import ForwardConfig, Pass
from lightning_vis.model.scores import Score, Target
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.probe import Probe, answer_of_labels

STEPS = 20
"""How many times a share of the pixels is taken away, or put in, until all are."""


@dataclass(frozen=True)
class Faithfulness:
    """Curves of a view, and of the same images in random order.

    Each is ``(N, STEPS + 1)``, from none of the pixels deleted (inserted) to all: probabilities where the score is log-odds, else
    the score itself.

    Attributes:
        deletion: what the network says when the pixels that the map puts first are set to the model's zero first.
        insertion: what it says when they are put into an image of zeros first.
        random_deletion: as `deletion`, pixel by pixel in random order.
        random_insertion: as `insertion`, likewise.
    """

    deletion: Array
    insertion: Array
    random_deletion: Array
    random_insertion: Array

    @property
    def deletion_gain(self) -> float:
        """Area under the random curve minus that under the map's, the mean over images: above 0 if the map knows more."""
        return float((area(self.random_deletion) - area(self.deletion)).mean())

    @property
    def insertion_gain(self) -> float:
        """Area under the map's curve minus that under the random one, likewise."""
        return float((area(self.insertion) - area(self.random_insertion)).mean())


def faithfulness(
    model: nn.Module,
    probe: Probe,
    views: Sequence[View] | None = None,
    *,
    score: Score | None = None,
    forward: Callable[[Tensor], Any] | None = None,
    chunk_size: int | None = None,
    task: str | None = None,
    head: str | int | None = None,
    component: int | None = None,
) -> dict[str, Faithfulness]:
    """Deletes and inserts pixels in the order in which each view's maps put them, and asks the network again each time.

    The explained class stays the one that is explained in the whole image. It takes 84 forward passes for each view, and leaves
    the model exactly as it was. Source: V. Petsiuk, A. Das, K. Saenko, 2018, "RISE: Randomized Input Sampling for Explanation of
    Black-box Models"; other than there, insertion begins with the model's zero and not with a blurred image.

    Args:
        model: as `lightning_vis.attribution.pipeline.look` takes it, and so the others.
        probe: images ``(N, C, H, W)``.
        views: those that are judged; the usual ones if None.
        score: the number that is explained.
        forward: how to run the model.
        chunk_size: at most this many images in one pass.
        task: what the output means.
        head: where in the output the answer is.
        component: which of several numbers is explained.

    Returns:
        Curves by view key.

    Raises:
        ValueError: volumes and clips, and as `lightning_vis.attribution.pipeline.look`.
    """
    if probe.images.ndim != 4:
        raise ValueError(f"faithfulness() takes images (N, C, H, W); the probe has {quoted(probe.images)}")
    answer = Words(task, head, component).over(answer_of_labels(probe))
    views = views_of(answer, usual_views() if views is None else views, score)
    arguments: dict[str, Any] = {"score": score, "forward": forward, "chunk_size": chunk_size, "task": task, "head": head}
    maps = look(model, probe, views, component=component, **arguments).maps
    running = ForwardConfig(probe.call(model, forward), score, chunk_size=chunk_size, answer=answer)
    is_odds = score is None and answer.score_unit == LOG_ODDS
    with preserve_state(model):
        run = _settled(run_of(model, probe, running), {view.target for view in views}, chunk_size)
        asked = {view.target: _asking(run, view.target, chunk_size, is_odds=is_odds) for view in views}
        return {view.key: _of(torch.from_numpy(maps[view.key].values), asked[view.target], run.images) for view in views}


def _settled(run: Pass, targets: set[Target], chunk_size: int | None) -> Pass:
    return settled(run, in_chunks(gradients, run, {target: [INPUT] for target in targets}, chunk_size))


def _asking(run: Pass, target: Target, chunk_size: int | None, *, is_odds: bool) -> Callable[[Tensor], Tensor]:
    """What is asked of changed images: ``(N, C, H, W) -> (N,)``."""

    def ask(images: Tensor) -> Tensor:
        parts = replace(run, images=images).parts(chunk_size)
        scores = torch.cat([scores_at(part, part.images, [target])[target] for part in parts]).cpu()
        return scores.sigmoid() if is_odds else scores

    return ask


def _of(maps: Tensor, ask: Callable[[Tensor], Tensor], images: Tensor) -> Faithfulness:
    orders = order_of(resized(maps, (images.shape[2], images.shape[3]))), order_of(torch.zeros(images[:, 0].shape))
    curves = [curve(ask, images, order, STEPS, inserts=inserts) for order in orders for inserts in (False, True)]
    return Faithfulness(*(each.numpy() for each in curves))


def order_of(maps: Tensor, seed: int = 0) -> Tensor:
    """At which place each pixel's turn comes, the largest value first; what is equal comes in random order.

    Args:
        maps: ``(N, H, W)``.
        seed: of that order, by a generator of its own, the same for each image.

    Returns:
        ``(N, H, W)`` whole numbers from 0.
    """
    flat = maps.flatten(1)
    mixed = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(seed))
    places = mixed[flat[:, mixed].argsort(dim=1, descending=True, stable=True)]
    return places.argsort(dim=1).reshape(maps.shape)


def curve(ask: Callable[[Tensor], Tensor], images: Tensor, order: Tensor, steps: int, *, inserts: bool) -> Tensor:
    """What is answered while more and more pixels are deleted, or inserted.

    Args:
        ask: ``(N, C, H, W) -> (N,)``.
        images: ``(N, C, H, W)``.
        order: ``(N, H, W)``, as of `order_of`.
        steps: in how many steps.
        inserts: into an image of zeros, instead of deleting from the whole one.

    Returns:
        ``(N, steps + 1)``.
    """
    count, answers = order[0].numel(), []
    for step in range(steps + 1):
        came = (order < round(count * step / steps)).to(images.device)
        answers.append(ask(images * (came if inserts else ~came)[:, None]))
    return torch.stack(answers, 1)


def area(curves: Array) -> Array:
    """The areas ``(N,)`` under curves ``(N, steps + 1)`` over the share of the pixels, by trapezoids."""
    return np.asarray((curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2)
