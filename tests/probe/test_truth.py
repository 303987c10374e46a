"""Labels of every kind: what a probe reads in them, and what a network is then taken to answer."""

from __future__ import annotations

import pytest
import torch
from nets import images

from lightning_vis.model.answer.answer import Answer
from lightning_vis.probe.probe import Probe, answer_of_labels

X = images(2)
MAP = torch.zeros(2, 12, 12, dtype=torch.long)
MAP[:, :3], MAP[:, 6] = 2, 1


@pytest.mark.parametrize(
    ("given", "task", "labels"),
    [
        ([1, 0], "multiclass", [1, 0]),
        ([1.0, 0.0], "multiclass", [1, 0]),
        (torch.tensor([[0.1, 0.9], [1.0, 0.0]]), "multiclass", [1, 0]),
        (torch.tensor([[1, 1, 0], [0, 0, 0]]), "multilabel", None),
        (torch.tensor([[1, -1, 1], [0, 0, 0]]), "multilabel", None),
        (torch.tensor([[10, 20], [3, 5]]), "regression", None),
        ([38.2, 41.0], "regression", None),
        (torch.tensor([[0.5, 7.0], [3.0, 5.0]]), "regression", None),
        (MAP, "segmentation", [2, 2]),
        ((MAP > 0).float(), "segmentation", [1, 1]),
        (MAP + 0.5, "regression", None),
    ],
)
def test_labels_are_read_as_what_they_are(given, task, labels):
    probe = Probe(X, given)
    assert answer_of_labels(probe).task == task
    assert (None if probe.labels is None else probe.labels.tolist()) == labels


def test_numbers_at_each_pixel_are_no_segmentation():
    assert answer_of_labels(Probe(X, torch.rand(2, 12, 12) + 0.5)).facts.is_dense


def test_the_largest_object_is_the_mask_and_ignored_pixels_are_not():
    given = MAP.clone()
    given[:, 9:] = 255
    assert torch.equal(Probe(X, given).masks, (MAP == 2).float())
    assert Probe(X, torch.full((2, 12, 12), 255)).masks is None


@pytest.mark.parametrize("given", [[1], torch.tensor(1), torch.zeros(2, 5, 5), torch.zeros(3, 4)])
def test_labels_that_are_not_one_for_each_image_are_refused(given):
    with pytest.raises(ValueError, match=r"Probe\(labels\): expected one class index per image, \(2,\)"):
        Probe(X, given)


def test_masks_of_black_and_white_are_masks_and_whole_maps_of_white_are_none():
    picture = 255 * (MAP > 0).long()
    assert torch.equal(Probe(X, picture).truth, (MAP > 0).long())
    assert Probe(X, picture).has_pictures
    assert not Probe(X, MAP).has_pictures
    ignored = torch.stack([torch.zeros(12, 12), torch.full((12, 12), 255.0)]).long()
    assert torch.equal(Probe(X, ignored).truth, ignored)
    assert Probe(X, ignored).labels.tolist() == [0, 0]


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_labels_of_minus_one_and_one_are_no_and_yes_and_beside_zeros_minus_one_is_unknown(task):
    answer = Answer(task)
    given = torch.tensor([-1, 1]) if task == "binary" else torch.tensor([[-1, 1], [1, -1]])
    assert torch.equal(Probe(X, given).truth_for(answer), (given > 0).long())
    assert torch.equal(Probe(X, given - (given > 0).long()).truth_for(answer), given - (given > 0).long())
    assert torch.equal(Probe(X, given).truth_for(Answer("regression")), given)


COUNT = 6
IMAGES = images(COUNT)
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2])
YES = torch.tensor([0, 1, 1, 0, 1, 0])
DRAW = torch.Generator().manual_seed(1)
NUMBERS = torch.randn(COUNT, 3, generator=DRAW)
LEVELS = (CLASSES[:, None] > torch.arange(2)).float()
MULTI = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0], [0, 1, 1], [1, 0, 0]])
MAPS = (torch.rand(COUNT, 12, 12, generator=DRAW) * 3).long()
MASKS = torch.nn.functional.one_hot(MAPS, 3).movedim(-1, 1)
EDGES = (MAPS > 0).float()
EDGES[:, 3] = 0.7
SHARES = torch.rand(COUNT, generator=DRAW) * 0.9 + 0.05
SOFT = NUMBERS.softmax(1)
FAVOURED = SOFT.argmax(1)
MISSING = torch.where(torch.arange(COUNT) % 2 == 0, torch.nan, CLASSES.float())
ABSENT = torch.where(torch.arange(COUNT) % 2 == 0, -1, CLASSES)

NO, ITSELF, NOBODY = "refused", "as it is", "nobody knows"
TASKS = ("multiclass", "binary", "multilabel", "ordinal", "regression", "segmentation", "embedding")
KINDS = {  # in the order of the tasks
    "classes": (CLASSES, CLASSES, NO, CLASSES, ITSELF, ITSELF, NOBODY, CLASSES),
    "classes as floats": (CLASSES.float(), CLASSES, NO, CLASSES, ITSELF, ITSELF, NOBODY, CLASSES),
    "a column of classes": (CLASSES[:, None], CLASSES, NO, NO, ITSELF, ITSELF, NOBODY, CLASSES),
    "no and yes": (YES, YES, ITSELF, YES, ITSELF, ITSELF, NOBODY, YES),
    "some are missing": (MISSING, ABSENT, NO, ABSENT, ITSELF, ITSELF, NOBODY, ABSENT),
    "one-hot": (torch.eye(3)[CLASSES], CLASSES, NO, ITSELF, ITSELF, ITSELF, NOBODY, CLASSES),
    "one-hot of two": (torch.eye(2)[YES], YES, YES, ITSELF, ITSELF, ITSELF, NOBODY, YES),
    "soft": (SOFT, FAVOURED, NO, ITSELF, NO, ITSELF, NOBODY, FAVOURED),
    "multi-hot": (MULTI, NO, NO, ITSELF, NO, ITSELF, NOBODY, NOBODY),
    "multi-hot of -1 and 1": (2 * MULTI - 1, NO, NO, MULTI, NO, ITSELF, NOBODY, NOBODY),
    "levels": (LEVELS, NO, NO, ITSELF, ITSELF, ITSELF, NOBODY, NOBODY),
    "numbers": (NUMBERS[:, 0], NO, NO, NO, NO, ITSELF, NOBODY, NOBODY),
    "several numbers": (NUMBERS, NO, NO, NO, NO, ITSELF, NOBODY, NOBODY),
    "whole numbers": (torch.stack([CLASSES, CLASSES + 4], 1), NO, NO, NO, NO, ITSELF, NOBODY, NOBODY),
    "shares": (SHARES, NO, ITSELF, ITSELF, NO, ITSELF, NOBODY, NOBODY),
    "label maps": (MAPS, "largest", NO, NO, NO, NO, ITSELF, "largest"),
    "label maps as floats": (MAPS.float(), NO, NO, NO, NO, NO, ITSELF, NOBODY),
    "masks for each class": (MASKS, "largest", NO, NO, NO, NO, ITSELF, "largest"),
    "soft edges": (EDGES, NO, NO, NO, NO, NO, (EDGES > 0.5).float(), NOBODY),
    "numbers at each pixel": (torch.rand(COUNT, 12, 12, generator=DRAW), NO, NO, NO, NO, NO, NO, NOBODY),
}
LARGEST = torch.stack([(each == MAPS).flatten(1).sum(1) for each in (1, 2)], 1).argmax(1) + 1


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_another_kind_than_the_tasks_are_refused_or_nobody_knows(kind, task):
    given, *known = KINDS[kind]
    expected = known[TASKS.index(task)]
    probe, answer = Probe(IMAGES, given), Answer(task)
    if isinstance(expected, str) and expected == NO:
        with pytest.raises(ValueError, match=f"task='{task}': expected labels that are .*; got ") as caught:
            probe.inputs(answer)
        assert str(tuple(given.shape)) in str(caught.value)
        return
    found = probe.truth_for(answer)
    words = {ITSELF: given, NOBODY: None, "largest": LARGEST}
    wanted = words[expected] if isinstance(expected, str) else expected
    assert (found is None) == (wanted is None)
    assert found is None or torch.equal(found.float().nan_to_num(-9), wanted.float().nan_to_num(-9))
    assert len(probe.inputs(answer).pictures) == COUNT


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_again_is_the_image_unless_the_labels_are_a_picture(kind):
    given = KINDS[kind][0]
    found = Probe(IMAGES, given).truth_for(Answer("reconstruction"))
    assert torch.equal(found, given if given.ndim > 2 and given.is_floating_point() else IMAGES)
