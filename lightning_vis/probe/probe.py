"""The probe: the fixed images looked at every time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from lightning_vis.arguments import count_of, floats_of, indices_of, names_of, quoted, tensor_of
from lightning_vis.frames import Inputs
from lightning_vis.model.snapshot.rng import preserve_rng
from lightning_vis.probe.dataset import Item, Key, check_indexable, named, read_item, scaling_of, stacked
from lightning_vis.probe.display import Array, concealed, display_of
from lightning_vis.probe.hard_examples import check_choice, hard_examples
from lightning_vis.probe.labels import class_names_of
from lightning_vis.probe.selection import pick
from lightning_vis.reliance.twins import twins_of
from lightning_vis.reliance.validation import Typical


class Probe:
    """The images that are looked at every time, with what people see of them.

    Args:
        images: ``(N, C, H, W)`` float, in the model's input scale; or ready-made twins, the same objects on several
            backgrounds, ``(objects, backgrounds, C, H, W)``, with one label and one mask per object.
        labels: ``(N,)`` true classes, if known.
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

    Attributes:
        indices: where the images lie in their data set, if they come from one.
        shown: whether people may see the images.

    Raises:
        ValueError: shapes that do not fit each other; the message quotes them.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | Sequence[int] | None = None,
        masks: Tensor | None = None,
        backgrounds: Mapping[str, Tensor] | Sequence[str] | None = None,
        typical: Typical | None = None,
        *,
        name: str = "probe",
        class_names: Sequence[str] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        window: tuple[float, float] | None = None,
        channels: Sequence[int] | None = None,
        inputs: bool = True,
    ) -> None:
        given = _images(images)
        count = given.shape[1] if given.ndim == 5 else 1
        objects = given[:, 0] if given.ndim == 5 else given
        labels = None if labels is None else _labels(labels, len(objects))
        masks = None if masks is None else _masks(masks, objects)
        self.name = name
        self.class_names = tuple(_class_names(() if class_names is None else class_names))
        self.twins = twins_of(given, labels, masks, backgrounds, typical, self.class_names)
        self.images = given.flatten(0, 1) if given.ndim == 5 else given
        self.labels = None if labels is None else labels.repeat_interleave(count)
        self.masks = None if masks is None else masks.repeat_interleave(count, 0)
        mean = None if mean is None else floats_of(mean, "Probe(mean)")
        std = None if std is None else floats_of(std, "Probe(std)")
        self.mean, self.std = mean, std
        self.indices: tuple[int, ...] | None = None
        self.shown = inputs
        self._display = display_of(_numpy(self.images), mean, std, window, channels)

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
        known: dict[str, Any] = {"labels": labels, "masks": masks} | _scaling(dataset, images)
        probe = cls(images, **(known | arguments | _names(arguments.get("class_names"), dataset, items)))
        probe.indices = tuple(item.index for item in items)
        return probe

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """Tells probes apart: a hash of the images' bytes and the labels."""
        found = hashlib.sha256(str(tuple(self.images.shape)).encode())
        found.update(_numpy(self.images).tobytes())
        found.update(b"" if self.labels is None else self.labels.numpy().tobytes())
        return found.hexdigest()[:16]

    def inputs(self) -> Inputs:
        """What people see of the probe, as plain arrays."""
        labels = None if self.labels is None else self.labels.numpy()
        masks = None if self.masks is None else self.masks.numpy()
        note = self._display.note if self.shown else "not shown"
        seen = Inputs(self.name, self._pictures(self.images), labels, masks, self.class_names, note)
        if self.twins is None:
            return seen
        grid = self.twins.images[:, :, 0]
        twins = self._pictures(grid.flatten(0, 1))
        return replace(seen, twins=twins.reshape(*grid.shape[:2], *twins.shape[1:]), kinds=self.twins.kinds)

    def painted(self, images: Tensor) -> Array:
        """Other images ``(N, C, H, W)`` in the model's input scale, in the colours of the probe's own, as uint8 RGB."""
        return self._display.pictures(_numpy(images))

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


def _labels(given: Any, count: int) -> Tensor:
    labels = tensor_of(given, "Probe(labels)", f"one class index per image, ({count},)").detach().cpu()
    if labels.is_floating_point() and labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(1)  # soft labels: the class they favour
    if labels.shape != (count,):
        raise ValueError(f"Probe(labels): expected one class index per image, ({count},); got {tuple(labels.shape)}")
    return labels.long()


def _masks(given: Any, images: Tensor) -> Tensor:
    masks = tensor_of(given, "Probe(masks)", "values in 0..1").detach().cpu().float()
    masks = masks[:, 0] if masks.ndim == 4 and masks.shape[1] == 1 else masks
    expected = (len(images), *images.shape[2:])
    if masks.shape != expected or not (masks.min() >= 0 and masks.max() <= 1):
        values = f" with values in {masks.min():g}..{masks.max():g}" if masks.numel() else ""
        raise ValueError(f"Probe(masks): expected {expected} with values in 0..1; got {tuple(masks.shape)}{values}")
    return masks.clone()


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
