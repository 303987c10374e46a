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
