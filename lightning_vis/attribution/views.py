"""Views: evidence, Grad-CAM and saliency, each a named way from record to map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from lightning_vis.arguments import as_tuple, check_layers, quoted
from lightning_vis.attribution.maps import evidence_map, grad_cam_map, saliency_map
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.records import Recorder
from lightning_vis.constants import INPUT
from lightning_vis.frames import Scale
from lightning_vis.model.answer.answer import Answer
from lightning_vis.model.answer.labels import ABSENT, MULTILABEL_TASK
from lightning_vis.model.scores import TARGETS, Score, Target


@dataclass(frozen=True)
class View:
    """A named way to turn one or more layers' records into a map.

    A view of your own needs a name, layers and one function: ``View("energy", ("layer4",), my_map)``.

    Attributes:
        name: how it is called in tags.
        layers: one `Record` per layer reaches `to_map`; None stands for the last bottleneck.
        to_map: ``(*records) -> (N, h, w)``, a function of a module, so that the view pickles.
        recorder: how the records are taken; equal recorders share one call.
        target: the class whose score is explained: ``"predicted"``, ``"label"``, ``"runner_up"`` or an index.
        scale: how the map is drawn.
        title: its name in pictures.
        usual_target: the target that goes without saying in its key.
        control: records the same of a network that has learned nothing, for a view that is never shown without.
    """

    name: str
    layers: tuple[str | None, ...]
    to_map: Callable[..., Tensor]
    recorder: Recorder = gradients
    target: Target = "predicted"
    scale: Scale = field(default_factory=Scale)
    title: str = ""
    usual_target: Target = "predicted"
    control: Recorder | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TypeError(f"View(name): expected a name; got {quoted(self.name)}")
        if not callable(self.to_map):
            raise TypeError(f"View({self.name!r}): expected a function of records to maps; got {quoted(self.to_map)}")
        object.__setattr__(self, "layers", as_tuple(self.layers))
        check_layers(self.layers, f"layers of the view {self.name!r}")
        words = (*TARGETS, ABSENT)
        if not isinstance(self.target, int) and not (isinstance(self.target, str) and self.target in words):
            known = ", ".join(map(repr, words))
            raise ValueError(
                f"target={quoted(self.target)} of the view {self.name!r}: expected one of {known} or a class index"
            )

    @property
    def key(self) -> str:
        """Its name in TensorBoard: ``grad_cam``, ``grad_cam.layer3``, ``grad_cam+label``."""
        named = "".join(f".{layer}" for layer in self.layers if layer not in (None, INPUT))
        return self.name + named + ("" if self.target == self.usual_target else f"+{self.target}")

    @property
    def passes(self) -> int:
        """How often the network runs for it; 1 where the one pass of the others does."""
        return int(getattr(self.recorder, "passes", 1))

    @property
    def beside(self) -> View | None:
        """Its control as a view of its own, with the same class explained."""
        if self.control is None:
            return None
        name, title = f"{self.key} {_CONTROL}", f"{self.title or self.name} {_CONTROL}"
        return replace(self, name=name, title=title, recorder=self.control, usual_target=self.target, control=None)


_CONTROL = "(random weights)"


def given_views(given: Any) -> list[View]:
    """Views as callbacks take them: ready, or functions that return one.

    Raises:
        TypeError: anything else.
    """
    if isinstance(given, (str, View)) or not isinstance(given, Sequence):
        raise TypeError(f"views={quoted(given)}: expected a list of views, [grad_cam(), saliency()]")
    views = [each() if callable(each) and not isinstance(each, View) else each for each in given]
    wrong = [each for each in views if not isinstance(each, View)]
    if wrong:
        raise TypeError(f"views: {quoted(wrong[0])} is no View, nor a function that returns one")
    return views


def views_of(answer: Answer, views: Sequence[View], score: Score | None) -> list[View]:
    """The views through which a task can be seen: none where nothing is explained; evidence for a label that is absent too.

    A view that has a control is followed by it.

    Args:
        answer: what the output means.
        views: those that were asked for.
        score: of the user's own.
    """
    if score is None and answer.kind.score is None:
        return []
    views = [each for view in views for each in (view, view.beside) if each is not None]
    if answer.task != MULTILABEL_TASK.name or score is not None:
        return views
    absent = [replace(each, target=ABSENT) for each in views if each.to_map is evidence_map and each.target == "label"]
    return [*views, *(each for each in absent if each.key not in {view.key for view in views})]


def evidence(layer: str | None = None, target: Target = "label") -> View:
    """What speaks for and against the label, in units of log-odds: warm for, blue against.

    Args:
        layer: dotted name of a layer that holds the image's grid (maps, channels last, tokens), or ``"avgpool:input"`` for
            what enters one; None for the last bottleneck.
        target: the explained class; the label by default, the predicted class where there are no labels.

    Returns:
        A view of `lightning_vis.attribution.maps.evidence_map`.
    """
    return View(
        "evidence", (layer,), evidence_map, target=target, scale=Scale(signed=True), title="evidence", usual_target="label"
    )


def grad_cam(layer: str | None = None, target: Target = "predicted") -> View:
    """Where the evidence for the predicted class lies (R. R. Selvaraju et al., 2017, "Grad-CAM").

    Args:
        layer: dotted name of a layer that holds the image's grid (maps, channels last, tokens), or ``"avgpool:input"`` for
            what enters one; None for the last bottleneck.
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.maps.grad_cam_map`.
    """
    return View("grad_cam", (layer,), grad_cam_map, target=target, scale=Scale(by_area=True), title="Grad-CAM")


def saliency(target: Target = "predicted") -> View:
    """Sensitivity: where a small change would matter (K. Simonyan, A. Vedaldi, A. Zisserman, 2013).

    It does not show what the answer rests on: it outlines the object even in networks that ignore the object.

    Args:
        target: the explained class.

    Returns:
        A view of `lightning_vis.attribution.maps.saliency_map`.
    """
    return View("saliency", (INPUT,), saliency_map, target=target, scale=Scale("density", 12.0), title="saliency")
