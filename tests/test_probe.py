"""The probe: what it takes, how it chooses images by index, and what people see of it."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from nets import images
from torch.utils.data import TensorDataset

from lightning_vis.probe import Probe


class Data:
    """A map-style data set that remembers what was taken from it."""

    def __init__(self, items, **attributes):
        self.items, self.taken = items, []
        vars(self).update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        self.taken.append(index)
        return self.items[index]


def pairs(labels):
    return [(torch.full((3, 4, 4), index / 100), label) for index, label in enumerate(labels)]


# --- from tensors -----------------------------------------------------------------------------------------------------


def test_images_are_kept_as_a_copy():
    given = images(2)
    probe = Probe(given, labels=np.array([1, 0]))
    given.zero_()
    assert probe.images.abs().sum() > 0
    assert probe.labels.tolist() == [1, 0]
    assert len(probe) == 2


def test_soft_labels_count_for_the_class_they_favour():
    assert Probe(images(2), torch.tensor([[0.1, 0.9], [0.6, 0.4]])).labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": torch.zeros(3, 4, 4)}, "Probe(images): expected floating point images (N, C, H, W), at least one; got"),
        ({"images": torch.zeros(0, 3, 4, 4)}, "Probe(images): expected floating point images (N, C, H, W), at least one; got"),
        (
            {"images": torch.zeros(2, 3, 4, 4, dtype=torch.uint8)},
            "Probe(images): expected floating point images (N, C, H, W), at least one; got torch.uint8 (2, 3, 4, 4)",
        ),
        (
            {"images": torch.zeros(2, 3, 4, 4), "labels": [0, 1, 2]},
            "Probe(labels): expected one class index per image, (2,); got (3,)",
        ),
        (
            {"images": torch.zeros(2, 3, 4, 4), "masks": torch.zeros(2, 5, 4)},
            "Probe(masks): expected (2, 4, 4) with values in 0..1; got (2, 5, 4)",
        ),
        (
            {"images": torch.zeros(2, 3, 4, 4), "masks": torch.full((2, 4, 4), 255)},
            "Probe(masks): expected (2, 4, 4) with values in 0..1; got",
        ),
    ],
)
def test_shapes_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Probe(**arguments)
    assert str(caught.value).startswith(message)


# --- from a data set --------------------------------------------------------------------------------------------------


def test_classes_in_turn_from_known_labels_and_only_the_chosen_images_are_loaded():
    data = Data(pairs([0] * 80 + [1] * 15 + [2] * 5), targets=[0] * 80 + [1] * 15 + [2] * 5)
    probe = Probe.from_dataset(data, n=7)
    assert probe.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert len(data.taken) == 7


def test_samples_as_image_folders_have_them():
    data = Data(pairs([0, 0, 1, 1]), samples=[("a.png", 0), ("b.png", 0), ("c.png", 1), ("d.png", 1)], classes=["bird", "mammal"])
    probe = Probe.from_dataset(data, n=2)
    assert probe.labels.tolist() == [0, 1]
    assert probe.class_names == ("bird", "mammal")


def test_more_classes_than_places_are_spread_over():
    data = Data(pairs(range(100)), targets=list(range(100)))
    assert Probe.from_dataset(data, n=4).labels.tolist() == [0, 33, 66, 99]


def test_the_choice_depends_on_the_seed_alone():
    data = TensorDataset(images(50), torch.arange(50) % 3)
    torch.manual_seed(1)
    first = Probe.from_dataset(data, n=4)
    torch.manual_seed(2)
    assert torch.equal(Probe.from_dataset(data, n=4).images, first.images)
    assert not torch.equal(Probe.from_dataset(data, n=4, seed=1).images, first.images)


def test_no_random_stream_is_touched_although_the_data_set_draws():
    class Augments(Data):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return image + torch.rand(1) + random.random() + np.random.rand(), label  # noqa: NPY002

    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    Probe.from_dataset(Augments(pairs([0, 1] * 4)), n=4)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]


def test_indices_and_other_arguments():
    probe = Probe.from_dataset(Data(pairs([5, 6, 7])), indices=[2, 0], name="mine", mean=[0.5], std=[0.5])
    assert probe.labels.tolist() == [7, 5]
    assert (probe.name, probe.mean) == ("mine", [0.5])


@pytest.mark.parametrize(
    "items",
    [[torch.zeros(3, 4, 4)] * 4, [(torch.zeros(3, 4, 4),)] * 4, [(torch.zeros(3, 4, 4), torch.zeros(4, 4))] * 4],
)
def test_items_without_a_label_make_a_probe_without_labels(items):
    probe = Probe.from_dataset(Data(items), n=2)
    assert (len(probe), probe.labels) == (2, None)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (iter([]), TypeError, "a list_iterator cannot be indexed, so no fixed images can be taken from it: collect some"),
        (
            Data([{"image": torch.zeros(3, 4, 4)}] * 4),
            ValueError,
            "of Data is a dict whose image is a dict: expected (image, label) with the image a tensor (C, H, W)",
        ),
        (
            Data([(torch.zeros(3, 4, 4), 0), (torch.zeros(3, 5, 4), 1)]),
            ValueError,
            "the images of a probe need one size, but those of Data have [(3, 4, 4), (3, 5, 4)]",
        ),
        (Data([]), ValueError, "the images of a probe need one size, but those of Data have none"),
    ],
    ids=["iterator", "dicts", "sizes", "empty"],
)
def test_data_that_no_probe_can_be_taken_from(data, error, message):
    with pytest.raises(error) as caught:
        Probe.from_dataset(data)
    assert message in str(caught.value)


# --- what people see --------------------------------------------------------------------------------------------------


def test_mean_and_std_are_undone():
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
    shown = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    normalised = (shown - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    inputs = Probe(normalised, mean=mean, std=std).inputs()
    np.testing.assert_array_equal(inputs.pictures, (shown.permute(0, 2, 3, 1) * 255).round().numpy())
    assert (inputs.note, inputs.pictures.dtype) == ("", np.uint8)


def test_images_in_0_to_1_are_shown_as_they_are():
    shown = torch.rand(2, 3, 4, 5)
    inputs = Probe(shown, labels=[1, 0], class_names=["a", "b"]).inputs()
    np.testing.assert_array_equal(inputs.pictures, (shown.permute(0, 2, 3, 1) * 255).round().numpy())
    assert inputs.labels.tolist() == [1, 0]
    assert inputs.class_names == ("a", "b")


@pytest.mark.parametrize(
    ("channels", "note"),
    [
        (1, "display rescaled"),
        (2, "display rescaled, 1 of 2 channels shown"),
        (3, "display rescaled"),
        (5, "display rescaled, 3 of 5 channels shown"),
    ],
)
def test_unknown_scales_and_channels_are_said(channels, note):
    inputs = Probe(images(2, channels=channels) * 7).inputs()
    assert inputs.pictures.shape == (2, 12, 12, 3)
    assert inputs.note == note
    assert inputs.pictures.min() < 10
    assert inputs.pictures.max() > 245


def test_pixels_that_are_not_finite_are_shown_black():
    given = torch.full((1, 3, 2, 2), 0.5)
    given[0, :, 0, 0] = torch.nan
    pictures = Probe(given).inputs().pictures
    assert pictures[0, 0, 0].tolist() == [0, 0, 0]
    assert pictures[0, 1, 1].tolist() == [128, 128, 128]
