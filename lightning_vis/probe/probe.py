"""The probe: the fixed images looked at every time."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from lightning_vis.arguments import count_of, floats_of, indices_of, names_of, plain, quoted, tensor_of
from lightning_vis.frames import Inputs
from lightning_vis.model.answer.answer import CLASSES, Answer
from lightning_vis.model.answer.masks import SEGMENTATION_TASK
from lightning_vis.model.answer.numbers import REGRESSION_TASK
from lightning_vis.model.answer.pictures import RECONSTRUCTION_TASK
from lightning_vis.model.call import Call
from lightning_vis.model.snapshot.rng import preserve_rng
from lightning_vis.probe.boxes import masks_of_boxes
from lightning_vis.probe.dataset import Item, Key, check_indexable, named, read_item, scaling_of, stacked
from lightning_vis.probe.display import Array, concealed, display_of
from lightning_vis.probe.hard_examples import check_choice, hard_examples
from lightning_vis.probe.labels import class_names_of
from lightning_vis.probe.selection import pick
from lightning_vis.probe.slices import Slices, axis_of, slices_of
from lightning_vis.probe.truth import (
    HALVES,
    answer_of_truth,
    are_pictures,
    as_task_has_it,
    halves_in,
    labels_in,
    masks_in,
    truth_of,
    with_maps,
)
from lightning_vis.reliance.evaluate import can_ask
from lightning_vis.reliance.twins import Twins, twins_of
from lightning_vis.reliance.validation import Typical
from lightning_vis.render.notebook import paragraph, pictures_html


class Probe:
    """The images that are looked at every time, with what people see of them.

    Args:
        images: ``(N, C, H, W)`` float, in the model's input scale; volumes ``(N, C, D, H, W)`` and clips
            ``(N, T, C, H, W)``; or, where `backgrounds` or `typical` is given, ready-made twins, the same objects on several
            backgrounds, ``(objects, backgrounds, C, H, W)``, with one label and one mask per object.
        labels: what is true, if known: classes ``(N,)``; labels that an image may have several of, multi-hot ``(N, C)``;
            numbers ``(N,)`` or ``(N, K)`` float; label maps ``(N, H, W)``, whose largest foreground class is the label. Of a
            network with several heads all of them by the heads' names, the first one's first.
        masks: ``(N, H, W)`` bool or 0..1, 1 on the object, if known. With labels of at least two classes they are
            enough to put each object on the backgrounds of the others.
        backgrounds: by kind, clean plates ``(P, C, H', W')`` in the scale of the images and at least as large, on
            which the objects are pasted; for ready-made twins the names of their backgrounds.
        typical: the class, by name or index, that goes with each kind of background. Without it every object is
            pasted on two plates of each kind, and differences between kinds are measured against those within one.
        name: the first word of its tags in TensorBoard.
        class_names: by class index.
        mean: per channel, undone for the pictures: picture = image x std + mean, in 0..1.
        std: per channel.
        window: centre and width of the values shown, in units before the normalisation, as radiology says it.
        channels: which one is shown grey, or which three as red, green and blue; by default as
            `lightning_vis.probe.display.display_of` decides.
        inputs: False where nobody may see the images (patients): maps are drawn on grey, and no picture is written. Maps
            are made of the images all the same, and saliency follows their edges.
        arguments: what else the network is given, by the names of its arguments: tensors with a row for each image.
        slices: which slice of volumes or frame of clips is shown, one for all or one for each; None for the middle.
        boxes: ``(N, 4)`` pixels left, top, right, bottom of a box around each object, in place of masks; right and bottom are
            excluded. What surrounds the boxes is exchanged; a box is no outline, so that no twins are made of it.

    Attributes:
        truth: ``(N, ...)`` the labels as they were given; `labels` are classes.
        truths: the same of each head, by name, where labels of several were given.
        indices: where the images lie in their data set, if they come from one.
        shown: whether people may see the images.
        has_pictures: whether the labels are masks as picture files have them, black and white.
        has_boxes: whether the masks are boxes.

    Raises:
        ValueError: shapes that do not fit each other; the message quotes them.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | Sequence[Any] | Mapping[str, Any] | None = None,
        masks: Tensor | None = None,
        backgrounds: Mapping[str, Tensor] | Sequence[str] | None = None,
        typical: Typical | None = None,
        *,
        name: str = "probe",
        class_names: Sequence[str] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        window: tuple[float, float] | None = None,
        channels: Sequence[int] | None = None,
        inputs: bool = True,
        arguments: Mapping[str, Any] | None = None,
        slices: int | Sequence[int] | None = None,
        boxes: Tensor | Sequence[Sequence[float]] | None = None,
    ) -> None:
        labels, backgrounds, typical, arguments = map(plain, (labels, backgrounds, typical, arguments))
        class_names, window, channels, slices = map(plain, (class_names, window, channels, slices))
        given = _images(images)
        are_twins = given.ndim == 5 and (backgrounds is not None or typical is not None)
        self.slices = _slices(given, slices, are_twins)
        count = given.shape[1] if are_twins else 1
        objects = given[:, 0] if are_twins else given if self.slices is None else self.slices.of_images(given)
        self.has_pictures = hasattr(labels, "shape") and are_pictures(torch.as_tensor(labels))
        known = {str(head): truth_of(each, objects) for head, each in labels.items()} if isinstance(labels, Mapping) else {}
        truth = next(iter(known.values()), None) if isinstance(labels, Mapping) else None
        truth = truth_of(labels, objects) if truth is None and labels is not None else truth
        self.has_boxes = boxes is not None
        if boxes is not None and any(each is not None for each in (masks, backgrounds, typical)):
            raise ValueError("Probe(boxes): boxes= stand in place of masks=, and of boxes no twins are made; give one of them")
        masks = _objects(boxes, masks, truth, objects)
        labels = None if truth is None else labels_in(truth)
        self.name = name
        self.class_names = tuple(_class_names(() if class_names is None else class_names))
        whole = None if self.slices is not None else given  # of a volume one slice has a mask
        groups, named = (labels, self.class_names) if labels is not None else (halves_in(truth), HALVES)
        self.twins = None if whole is None or self.has_boxes else twins_of(whole, groups, masks, backgrounds, typical, named)
        self.images = given.flatten(0, 1) if are_twins else given
        self.truth = None if truth is None else truth.repeat_interleave(count, 0)
        self.truths = {head: each.repeat_interleave(count, 0) for head, each in known.items()}
        self.labels = None if labels is None else labels.repeat_interleave(count)
        self.masks = None if masks is None else masks.repeat_interleave(count, 0)
        self.arguments = _arguments(arguments, len(self.images))
        mean = None if mean is None else floats_of(mean, "Probe(mean)")
        std = None if std is None else floats_of(std, "Probe(std)")
        self.mean, self.std = mean, std
        self.indices: tuple[int, ...] | None = None
        self.shown = inputs
        self._asked = slices, window, channels
        self._display = display_of(_numpy(self._flat(self.images)), mean, std, window, channels)

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        n: int = 8,
        *,
        indices: Sequence[int] | None = None,
        choose: str | None = None,
        model: nn.Module | None = None,
        seed: int = 0,
        image_key: Key = None,
        label_key: Key = None,
        **arguments: Any,
    ) -> Probe:
        """A probe of `n` images of a map-style data set: by index, the classes in turn, seeded.

        Labels are read from ``.targets``, ``.samples`` and the like, without loading images; class names from
        ``.classes``; mean and std from the data set's transforms; all of it through ``Subset`` and ``ConcatDataset``
        too. Label maps ``(H, W)`` become masks of their largest foreground class, and that class the label.

        Args:
            dataset: with ``__len__`` and ``__getitem__``; items are ``(image, label)``, images alone, or dicts.
            n: how many images, if no indices are given.
            indices: these images and no others.
            choose: ``"mistakes"`` or ``"unsure"``: the images that `model` gets most wrong or is least sure of.
            model: whose answers decide; it is left as it was.
            seed: of the choice; no random stream but a private one is touched.
            image_key: the image's key in items that are dicts, or its position if it is not the first.
            label_key: the label's.
            arguments: the other arguments of `Probe` (``mean=``, ``std=``, ``class_names=``, ``name=``, ...).

        Raises:
            ValueError: items without an image tensor, images of different sizes, no images.
            TypeError: the data set cannot be indexed.
        """
        check_indexable(dataset)
        if indices is None:
            count_of(n, "n")
        if choose is not None:
            check_choice(choose, model, indices)
        with preserve_rng(dataset):
            if choose is not None and model is not None:
                items = hard_examples(dataset, model, choose, n, image_key, label_key)
            elif indices is not None:
                items = [
                    read_item(dataset, index, image_key, label_key) for index in indices_of(indices, len(dataset), "indices")
                ]
            else:
                items = pick(dataset, n, seed, image_key, label_key)
        images, labels, masks = stacked(items, type(dataset).__name__)
        known: dict[str, Any] = {"labels": with_maps(labels, masks), "masks": masks} | _scaling(dataset, images)
        probe = cls(images, **(known | arguments | _names(arguments.get("class_names"), dataset, items)))
        probe.indices = tuple(item.index for item in items)
        return probe

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        """How many images of what size, and what is known of them."""
        known = {"labels": self.truth, "masks": None if self.has_boxes else self.masks, "boxes": self.has_boxes or None}
        facts = [name for name, each in known.items() if each is not None]
        twins = [] if self.twins is None else [f"twins on {', '.join(self.twins.kinds)}"]
        words = "; ".join([f"{len(self)} images {tuple(self.images.shape[1:])}", *facts, *twins])
        return f"<Probe {self.name!r}: {words}>"

    def _repr_html_(self) -> str:
        """For a notebook: the first images as people see them, and what is true of each."""
        return paragraph(repr(self)) + pictures_html(self.inputs())

    @property
    def fingerprint(self) -> str:
        """Tells probes apart: a hash of the images' bytes and the labels."""
        found = hashlib.sha256(str(tuple(self.images.shape)).encode())
        found.update(_numpy(self.images).tobytes())
        known = self.labels if self.labels is not None else self.truth
        known = known.float() if known is not None and known.dtype == torch.bfloat16 else known  # of which NumPy has none
        found.update(b"" if known is None else known.numpy().tobytes())
        return found.hexdigest()[:16]

    def truth_for(self, answer: Answer) -> Tensor | None:
        """What is true of each image ``(N, ...)`` as a task has it; None where nobody knows.

        Raises:
            ValueError: the labels are of another kind than the task's.
        """
        if answer.task == RECONSTRUCTION_TASK.name:
            is_picture = self.truth is not None and self.truth.ndim > 2 and self.truth.is_floating_point()
            return self.truth if is_picture else self.images
        if self.truth is None:
            return None
        if answer.task == SEGMENTATION_TASK.name and self.truth.ndim < 3:
            return None if self.masks is None or self.has_boxes else with_maps(self.labels, self.masks)
        if answer.kind is REGRESSION_TASK and self.truth.ndim > 2 and self.truth.shape[-2:] == self.images.shape[-2:]:
            shape = tuple(self.truth.shape)
            raise ValueError(
                f"task='regression': expected labels that are numbers (N,) or (N, K); got {shape}, one at each pixel"
            )
        return as_task_has_it(self.truth, answer)

    def twins_for(self, answer: Answer) -> Twins | None:
        """The twins, if a task has answers that can be compared on them.

        A picture that is to be made again has to be the image itself: of twins no other one is known.
        """
        is_other = answer.task == RECONSTRUCTION_TASK.name and self.truth_for(answer) is not self.images
        return self.twins if self.twins is not None and can_ask(answer, self.twins) and not is_other else None

    def call(self, model: nn.Module, forward: Callable[[Tensor], Any] | None = None) -> Callable[[Tensor], Any] | None:
        """How a model is run on the images: with the other arguments, if there are any."""
        if not self.arguments:
            return forward
        return Call(forward or model, (self.images,), self.arguments, (0, 0), len(self.images))

    def check_heads(self, head: Any) -> None:
        """Refuses labels of several heads whose first one is another than the first head.

        Raises:
            ValueError: they are in another order.
        """
        first = head[0] if isinstance(head, (list, tuple)) and head else head
        known = next(iter(self.truths), None)
        if known is not None and first is not None and known != str(first):
            raise ValueError(f"Probe(labels): those of {known!r} stand first, and the first head is {first!r}: give one order")

    def of(self, truth: Tensor | None) -> Probe:
        """The same images for another head, with what is true of them for it; class names and twins are of the first one."""
        probe = self.told(truth)
        probe.twins, probe.class_names, probe.truths = None, (), {}
        return probe

    def told(self, truth: Tensor | None) -> Probe:
        """The same images and twins, with something else that is true of them."""
        probe = copy.copy(self)
        probe.truth, probe.labels = truth, None if truth is None else labels_in(truth)
        return probe

    def laid_out(self, model: nn.Module) -> Probe:
        """The same images, the channels of volumes and clips where a network takes them, if their shape leaves that open."""
        axis = None if self.slices is None else axis_of(self.images.shape, model)
        if axis is None or self.slices is None or (axis == self.slices.axis and not self.slices.is_doubtful):
            return self
        probe, (given, window, channels) = copy.copy(self), self._asked
        probe.slices = slices_of(self.images, given, axis)
        probe._display = display_of(_numpy(probe._flat(self.images)), self.mean, self.std, window, channels)
        return probe

    def inputs(self, answer: Answer | None = None) -> Inputs:
        """What people see of the probe, as plain arrays, what is true of it in the words of a task; of that of its labels if None.

        Raises:
            ValueError: as `truth_for`.
        """
        seen = self.facts(answer_of_labels(self) if answer is None else answer, self._pictures(self._flat(self.images)))
        if self.twins is None:
            return seen
        grid = self.twins.images[:, :, 0]
        twins = self._pictures(grid.flatten(0, 1))
        return replace(seen, twins=twins.reshape(*grid.shape[:2], *twins.shape[1:]), kinds=self.twins.kinds)

    def facts(self, answer: Answer, pictures: Array) -> Inputs:
        """What is known of the images in the words of a task, with pictures of them."""
        labels = None if self.labels is None or answer.task == REGRESSION_TASK.name else self.labels.numpy()
        masks = None if self.masks is None else self.masks.numpy()
        note = ", ".join(filter(None, (self._display.note, "" if self.slices is None else self.slices.note)))
        truth = self.truth_for(answer)
        words = () if truth is None else answer.truth(truth, self.class_names)
        return Inputs(self.name, pictures, labels, masks, self.class_names, note if self.shown else "not shown", truth=words)

    def painted(self, images: Tensor) -> Array:
        """Other images ``(N, C, H, W)`` in the model's input scale, in the colours of the probe's own, as uint8 RGB."""
        return self._display.pictures(_numpy(images))

    def _flat(self, images: Tensor) -> Tensor:
        """``(N, C, H, W)``: of volumes the slices that are shown."""
        return images if self.slices is None else self.slices.of_images(images)

    def _pictures(self, images: Tensor) -> Array:
        return self.painted(images) if self.shown else concealed(_numpy(images))


def _numpy(images: Tensor) -> Array:
    return images.float().numpy()


def _names(given: Any, dataset: Any, items: list[Item]) -> dict[str, Any]:
    """Class names as arguments of a probe, the user's as they are."""
    return {"class_names": given or named(class_names_of(dataset), items)}


def _scaling(dataset: Any, images: Tensor) -> dict[str, Any]:
    """Mean and std as arguments of a probe, where the data set has them for images like these."""
    scaling = scaling_of(dataset)
    if scaling is None or {len(scaling[0]), len(scaling[1])} - {1, images.shape[1]}:
        return {}
    return dict(zip(("mean", "std"), scaling, strict=True))


def _images(given: Any) -> Tensor:
    images = tensor_of(given, "Probe(images)", "floating point images (N, C, H, W)")
    if images.ndim not in (4, 5) or not images.numel() or not images.is_floating_point():
        raise ValueError(
            "Probe(images): expected floating point images (N, C, H, W), at least one;"
            f" got {images.dtype} {tuple(images.shape)}"
        )
    return images.detach().cpu().clone()


def _class_names(given: Any) -> list[str]:
    """Names; numbers are named by themselves."""
    numbered = [str(name) if isinstance(name, int) else name for name in given] if isinstance(given, (list, tuple)) else given
    return names_of(numbered, "Probe(class_names)")


def _slices(images: Tensor, given: Any, are_twins: bool) -> Slices | None:
    if images.ndim == 5 and not are_twins:
        return slices_of(images, given)
    if given is not None:
        raise ValueError(f"Probe(slices): only volumes (N, C, D, H, W) and clips have slices; got {tuple(images.shape)}")
    return None


def _arguments(given: Any, count: int) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise TypeError(f"Probe(arguments): expected a dict of arguments by name; got {quoted(given)}")
    for name, value in given.items():
        if isinstance(value, Tensor) and value.ndim and len(value) not in (1, count):
            raise ValueError(f"Probe(arguments): expected a row of {name!r} for each of {count} images; got {len(value)}")
    return {name: value.detach().cpu().clone() if isinstance(value, Tensor) else value for name, value in given.items()}


def _objects(boxes: Any, masks: Any, truth: Tensor | None, images: Tensor) -> Tensor | None:
    """Where the objects lie, as it was given, else as label maps say it."""
    if boxes is not None:
        return masks_of_boxes(boxes, images)
    return masks_in(truth) if masks is None else _masks(masks, images)


def _masks(given: Any, images: Tensor) -> Tensor:
    masks = tensor_of(given, "Probe(masks)", "values in 0..1").detach().cpu().float()
    masks = masks[:, 0] if masks.ndim == 4 and masks.shape[1] == 1 else masks
    expected = (len(images), *images.shape[2:])
    if masks.shape != expected or not (masks.min() >= 0 and masks.max() <= 1):
        values = f" with values in {masks.min():g}..{masks.max():g}" if masks.numel() else ""
        raise ValueError(f"Probe(masks): expected {expected} with values in 0..1; got {tuple(masks.shape)}{values}")
    return masks.clone()


def probe_of_data(name: str, datamodule: Any) -> Probe:
    """The probe that a datamodule has under a name, ready or as a method that returns it.

    What it draws meanwhile is put back, in its data sets too.

    Raises:
        ValueError: there is no datamodule, or it has nothing of this name.
        TypeError: it is no probe.
    """
    if datamodule is None:
        raise ValueError(f"probe={name!r}: a name is that of a probe of the datamodule, and this Trainer was given none")
    if not hasattr(datamodule, name):
        raise ValueError(f"probe={name!r}: the datamodule {type(datamodule).__name__} has no attribute or method {name!r}")
    with preserve_rng(*(each for each in vars(datamodule).values() if isinstance(each, Dataset))):
        probe = given_probe(getattr(datamodule, name))
    if probe is None:
        raise TypeError(f"probe={name!r}: expected a Probe of the datamodule {type(datamodule).__name__}; got None")
    return probe


def given_probe(given: Any) -> Probe | None:
    """A probe as callbacks take it: ready, or a function that returns it; None for none.

    Raises:
        TypeError: anything else.
    """
    probe = given() if callable(given) else given
    if probe is not None and not isinstance(probe, Probe):
        got = "" if probe is given else f"; got {quoted(probe)}"
        raise TypeError(f"probe={quoted(given)}: expected a Probe, or a function that returns one{got}")
    return probe


def answer_of_labels(probe: Probe) -> Answer:
    """What a network answers, where only the labels of a probe tell: one class for each image where there are none."""
    return CLASSES if probe.truth is None else answer_of_truth(probe.truth)
