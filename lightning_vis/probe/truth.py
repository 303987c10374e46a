"""The truth: labels of any kind that users know of their images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import torch
from torch import Tensor

from lightning_vis.arguments import tensor_of
from lightning_vis.model.answer.answer import CLASSES, Answer
from lightning_vis.model.answer.grades import grades_in
from lightning_vis.model.answer.masks import IGNORED, is_one_hot, objects_in
from lightning_vis.model.answer.task import Facts


def truth_of(given: Any, images: Tensor) -> Tensor:
    """Labels as they were given, on the CPU.

    Args:
        given: classes ``(N,)``, multi-hot or soft vectors ``(N, C)``, numbers ``(N,)`` or ``(N, K)``, label maps ``(N, H, W)``;
            maps of 0 and 255 alone are masks as picture files have them, 255 the object.
        images: ``(N, C, H, W)``.

    Raises:
        ValueError: not one for each image.
        TypeError: no numbers.
    """
    count = len(images)
    truth = tensor_of(given, "Probe(labels)", f"one class index per image, ({count},)").detach().cpu()
    is_map = truth.ndim >= 3 and truth.shape[-2:] == images.shape[-2:]
    if truth.ndim == 0 or len(truth) != count or not (truth.ndim < 3 or is_map):
        raise ValueError(
            f"Probe(labels): expected one class index per image, ({count},), or multi-hot labels ({count}, classes), numbers"
            f" ({count}, K) or label maps ({count}, H, W); got {tuple(truth.shape)}"
        )
    return without_white(truth).clone()


def without_white(truth: Tensor) -> Tensor:
    """Masks as picture files have them as maps of 0 and 1; all else as it is."""
    return (truth > 0).to(truth.dtype) if are_pictures(truth) else truth


def are_pictures(truth: Tensor) -> bool:
    """Whether maps hold nothing but black and white, some of them both.

    255 beside other classes is what belongs to none, and so is a whole map of it.
    """
    if truth.ndim < 3:
        return False
    white = (truth == IGNORED).flatten(1)
    is_mixed = white.any(1) & ~white.all(1)
    return bool(is_mixed.any()) and bool(((truth == 0) | (truth == IGNORED)).all())


def without_signs(truth: Tensor) -> Tensor:
    """Labels of -1 and 1 alone, as hinge losses have them, as 0 and 1; with 0 among them -1 is what nobody knows."""
    is_hinge = bool(((truth == -1) | (truth == 1)).all()) and bool((truth == -1).any()) and bool((truth == 1).any())
    return (truth > 0).to(truth.dtype) if is_hinge else truth


def labels_in(truth: Tensor) -> Tensor | None:
    """Classes ``(N,)`` where the truth is one for each image, else None.

    They are whole numbers, also floating ones, the class that a soft or one-hot vector favours, the largest foreground
    class of a label map.
    """
    if truth.ndim > 3 and truth.shape[1] > 1 and is_yes_or_no(truth):  # a mask for each class
        return labels_in(truth.argmax(1)) if is_one_hot(truth) else None
    if truth.ndim >= 3:
        return (
            None if truth.is_floating_point() and not is_yes_or_no(truth) else _objects(truth).flatten(1).amax(1).clamp_min(0)
        )
    if truth.ndim == 2 and truth.shape[1] > 1:
        return truth.argmax(1) if is_one_of_several(truth) else None
    flat = truth.reshape(len(truth))
    is_class = not flat.is_floating_point() or bool((flat.remainder(1) == 0).all())
    return flat.long() if is_class and bool((flat >= 0).all()) else None


HALVES = ("lower half", "upper half")
"""What numbers are called where objects are compared by them."""


def halves_in(truth: Tensor | None) -> Tensor | None:
    """Which images have the lower and which the upper numbers ``(N,)``, where the truth is one number for each that is no class.

    Numbers between 0 and 1 are parted in their middle, which is that of soft yes and no too, others at their median; None where
    all are alike.
    """
    if truth is None or not truth.is_floating_point() or truth.numel() != len(truth) or not bool(truth.isfinite().all()):
        return None
    flat = truth.reshape(len(truth))
    is_share = bool(((flat >= 0) & (flat <= 1)).all())
    upper = flat > (0.5 if is_share else flat.median())
    return upper.long() if 0 < int(upper.sum()) < len(upper) else None


def masks_in(truth: Tensor | None) -> Tensor | None:
    """Masks ``(N, H, W)`` of the largest objects in label maps; None where an image has none."""
    if truth is None or truth.ndim < 3 or (truth.is_floating_point() and not is_yes_or_no(truth)):
        return None
    masks = (_objects(truth) >= 0).float()
    shares = masks.flatten(1).mean(1)
    return masks if masks.ndim == 3 and bool(((shares > 0) & (shares <= 0.98)).all()) else None


def as_task_has_it(truth: Tensor, answer: Answer) -> Tensor | None:
    """Labels as a task has them ``(N, ...)``; None where it makes nothing of them.

    Args:
        truth: ``(N, ...)`` as it was given.
        answer: what is answered.

    Raises:
        ValueError: they are of another kind: numbers where classes are told apart, say.
    """
    reads = _OF_TASKS.get(answer.task)
    try:
        return truth if reads is None else reads(truth)
    except _OtherKind as error:
        got = f"got {tuple(truth.shape)}{error}"
        raise ValueError(f"task={answer.task!r}: expected labels that are {_EXPECTED[answer.task]}; {got}") from None


class _OtherKind(Exception):
    """Labels of another kind, with the value that shows it."""


_EXPECTED = {
    "multiclass": "classes (N,), whole numbers, or one-hot or soft (N, classes), whose rows sum to one",
    "binary": "no and yes (N,), 0 and 1 or between, or one-hot (N, 2)",
    "multilabel": "yes or no for each label (N, labels), 0 and 1 or between, or one class for each image (N,)",
    "ordinal": "grades (N,), whole numbers, levels (N, grades - 1), 1 as far as they are reached, or one-hot",
    "segmentation": "label maps (N, H, W) of classes, whole numbers, or masks for each class (N, classes, H, W)",
}


def _one_class(truth: Tensor) -> Tensor:
    """Classes ``(N,)``, -1 where nobody knows."""
    if truth.ndim > 2:
        labels = labels_in(truth)
        return _refuse(truth) if labels is None else labels
    if truth.ndim == 2 and truth.shape[1] > 1:
        return _favoured(without_signs(truth))
    return _whole(truth.reshape(len(truth)))


def _favoured(rows: Tensor) -> Tensor:
    """The class that each row favours; a row without any number above 0 says nothing."""
    is_known = (rows > 0).any(1)
    if not is_one_of_several(rows[is_known]):
        _refuse(rows)
    return torch.where(is_known, rows.nan_to_num(-1).argmax(1), -1)


def _whole(flat: Tensor) -> Tensor:
    known = flat.nan_to_num(-1) if flat.is_floating_point() else flat
    between = known[known.float().remainder(1) != 0]
    if len(between):
        _refuse(between)
    return known.long().clamp_min(-1)


def _yes_or_no(truth: Tensor) -> Tensor:
    """No and yes ``(N,)``, soft ones too; below 0, and NaN, where nobody knows."""
    if truth.ndim == 2 and truth.shape[1] == 2:
        return _favoured(without_signs(truth))
    if truth.ndim == 2 and truth.shape[1] > 2:
        _refuse(truth)
    flat = _one_class(truth) if truth.ndim > 2 else truth.reshape(len(truth))
    return _between_no_and_yes(without_signs(flat))


def _labels(truth: Tensor) -> Tensor:
    """As they are; one class for each image as whole numbers."""
    if truth.ndim > 2:
        _refuse(truth)
    if truth.ndim == 1 and bool((truth.float().nan_to_num(-1).remainder(1) == 0).all()):
        return _whole(truth)
    return _between_no_and_yes(without_signs(truth))


def _between_no_and_yes(truth: Tensor) -> Tensor:
    values = truth.float().nan_to_num(-1)
    wrong = values[(values > 1) | ((values < 0) & (values.remainder(1) != 0))]
    if len(wrong):
        _refuse(wrong)
    return truth


def _grades(truth: Tensor) -> Tensor:
    """As they are: how many levels there are is known of the answer alone."""
    try:
        grades_in(truth)
    except ValueError:
        between = truth[truth.float().nan_to_num(-1).remainder(1) != 0]
        _refuse(between if truth.ndim == 1 else truth)
    return truth


def _label_maps(truth: Tensor) -> Tensor:
    """Whole numbers; soft masks, of which some pixels are surely no and some surely yes, cut in their middle."""
    known = truth[(truth.float().nan_to_num(-1) >= 0) & (truth != IGNORED)]
    between = known[known.float().remainder(1) != 0]
    if not len(between):
        return truth
    is_share = bool((known <= 1).all())
    if is_share and truth.ndim > 3 and truth.shape[1] > 1 and bool(((truth.sum(1) - 1).abs() < 1e-3).all()):
        return truth.argmax(1)
    if is_share and bool((known == 0).any()) and bool((known == 1).any()):
        return torch.where(truth.isnan(), truth, (truth > 0.5).to(truth.dtype))
    return _refuse(between)


def _like(truth: Tensor) -> Tensor | None:
    """Who is like whom, by class; of numbers nobody knows."""
    try:
        return _one_class(truth)
    except _OtherKind:
        return None


def _refuse(values: Tensor) -> NoReturn:
    raise _OtherKind(f" with {float(values[0]):.3g}" if values.ndim == 1 and len(values) else "")


_OF_TASKS: dict[str, Callable[[Tensor], Tensor | None]] = {
    "multiclass": _one_class,
    "binary": _yes_or_no,
    "multilabel": _labels,
    "ordinal": _grades,
    "segmentation": _label_maps,
    "embedding": _like,
}


def with_maps(labels: Tensor | None, masks: Tensor | None) -> Tensor | None:
    """Label maps ``(N, H, W)`` of classes and masks; the labels where there are no masks."""
    if labels is None or masks is None:
        return labels
    return torch.where(masks > 0.5, labels[:, None, None], 0)


def answer_of_truth(truth: Tensor) -> Answer:
    """What a network answers, where only labels tell: classes, labels, numbers, classes at each pixel."""
    if truth.ndim >= 3 and truth.is_floating_point() and not is_yes_or_no(truth):
        return Answer("regression", Facts(is_dense=True), said="Read as numbers at each pixel, because the labels are.")
    if truth.ndim >= 3:
        return Answer("segmentation", said="Read as a segmentation, because the labels are label maps.")
    if truth.ndim == 2 and truth.shape[1] > 1 and not is_one_of_several(truth):
        is_labels = is_yes_or_no(truth if truth.is_floating_point() else truth.clamp_min(0))  # -1: nobody knows
        task = "multilabel" if is_labels else "regression"
        return Answer(task, said=f"Read as {task}, because the labels are {'multi-hot' if is_labels else 'numbers'}.")
    if truth.is_floating_point() and labels_in(truth) is None:
        return Answer("regression", said="Read as regression, because the labels are numbers.")
    is_told = truth.ndim == 2 and truth.shape[1] > 1  # one-hot and soft rows are of classes
    return CLASSES if is_told else replace(CLASSES, said=_WHOLE)


_WHOLE = "Read as multiclass, because the labels are whole numbers: task='regression' reads them as numbers."


def is_one_of_several(truth: Tensor) -> bool:
    """Whether each row ``(N, C)`` is nonnegative and sums to one, as one-hot and soft labels do."""
    rows = truth.float()
    return bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-3).all())


def is_yes_or_no(truth: Tensor) -> bool:
    """Whether there are only zeros and ones."""
    return bool(((truth == 0) | (truth == 1)).all())


def _objects(truth: Tensor) -> Tensor:
    known = truth[truth != IGNORED]
    return objects_in(truth, max(2, int(known.max()) + 1 if known.numel() else 2), is_sigmoid=False)
