"""Probes from data sets: labels read without loading images, classes in turn, label maps, and what is refused."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from nets import images
from torch import nn
from torch.utils.data import ConcatDataset, IterableDataset, Subset, TensorDataset, random_split

from lightning_vis.probe.dataset import scaling_of
from lightning_vis.probe.labels import class_names_of, known_labels, read_label
from lightning_vis.probe.probe import Probe

IMAGE = torch.zeros(3, 4, 4)


class Data:
    """A map-style data set that says in a list outside of itself what was taken from it."""

    def __init__(self, items, taken=None, **attributes):
        self.items = items
        self.take = (taken if taken is not None else []).append
        vars(self).update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        self.take(index)
        return self.items[index]


def pairs(labels):
    return [(torch.full((3, 4, 4), index / 100), label) for index, label in enumerate(labels)]


LABELS = [0] * 80 + [1] * 15 + [2] * 5
FOLDER = [(f"{at}.png", label) for at, label in enumerate(LABELS)]

# --- labels without loading -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attributes",
    [
        {"targets": LABELS},
        {"targets": torch.tensor(LABELS, dtype=torch.uint8)},
        {"targets": np.array(LABELS, dtype=np.uint16)},
        {"targets": np.array(LABELS, dtype=np.float32)},
        {"targets": [torch.tensor(label) for label in LABELS]},
        {"targets": torch.tensor(LABELS)[:, None]},
        {"targets": torch.eye(3)[LABELS] * 0.8 + 0.1},
        {"labels": np.array(LABELS, dtype=np.int32)},
        {"samples": FOLDER},
        {"targets": ["0.png"] * 100, "samples": FOLDER},
        {"targets": [0, 1], "labels": LABELS},
    ],
    ids=["list", "uint8", "uint16", "float", "tensors", "column", "soft", "labels", "samples", "paths", "other length"],
)
def test_classes_in_turn_from_known_labels_and_only_the_chosen_images_are_loaded(attributes):
    taken = []
    data = Data(pairs(LABELS), taken, **attributes)
    assert Probe.from_dataset(data, n=7).labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert len(taken) == 7


class Wrapped:
    """What people write to give a subset transforms of its own."""

    def __init__(self, subset):
        self.subset = subset

    def __len__(self):
        return len(self.subset)

    def __getitem__(self, index):
        return self.subset[index]


def test_labels_are_found_through_subsets_and_concatenations_without_loading():
    taken = []
    whole = Data(pairs(LABELS), taken, targets=LABELS)
    data = Wrapped(Subset(ConcatDataset([whole, Subset(whole, [99, 0])]), [101, 100, 85, 3, 4]))
    assert known_labels(data).tolist() == [0, 2, 1, 0, 0]
    assert taken == []
    probe = Probe.from_dataset(data, n=3)
    assert probe.labels.tolist() == [0, 1, 2]
    assert probe.images[1, 0, 0, 0] == 0.85
    half, _ = random_split(TensorDataset(images(10), torch.arange(10)), [5, 5])
    assert known_labels(half).tolist() == list(half.indices)


def test_where_one_part_has_no_labels_a_few_images_are_loaded():
    taken = []
    data = ConcatDataset([Data(pairs(LABELS), taken, targets=LABELS), Data(pairs(LABELS), taken)])
    assert known_labels(data) is None
    assert Probe.from_dataset(data, n=3).labels[:2].tolist() == [0, 1]
    assert len(taken) == 24


def test_of_a_thousand_classes_some_are_taken_at_equal_distances_from_where_the_seed_says():
    data = Data(pairs(range(1000)), targets=list(range(1000)))
    found = [Probe.from_dataset(data, seed=seed).labels for seed in range(3)]
    assert all(each.diff().tolist() == [125] * 7 for each in found)
    assert len({int(each[0]) for each in found}) == 3


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
            return image + torch.rand(1) + random.random() + np.random.rand(), label

    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    Probe.from_dataset(Augments(pairs([0, 1] * 4)), n=4)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]


# --- items ------------------------------------------------------------------------------------------------------------


def test_indices_and_other_arguments():
    probe = Probe.from_dataset(Data(pairs([5, 6, 7])), indices=[2, 0], name="mine", mean=[0.5], std=[0.5])
    assert probe.labels.tolist() == [7, 5]
    assert (probe.name, probe.mean, probe.indices) == ("mine", [0.5], (2, 0))


def test_dicts_and_other_orders_by_their_keys():
    items = [{"pixels": image, "kind": label} for image, label in pairs([1, 0])]
    assert Probe.from_dataset(Data(items), image_key="pixels", label_key="kind", indices=[1, 0]).labels.tolist() == [
        0,
        1,
    ]
    assert Probe.from_dataset(Data(items), image_key="pixels").labels is None
    items = [("patient", label, image) for image, label in pairs([1, 0])]
    assert Probe.from_dataset(Data(items), image_key=2, label_key=1, indices=[0, 1]).labels.tolist() == [1, 0]


def test_one_image_makes_a_probe():
    probe = Probe.from_dataset(Data([(IMAGE, 3)]))
    assert (len(probe), probe.labels.tolist()) == (1, [3])


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (2, 2),
        (True, 1),
        (np.int64(3), 3),
        (np.uint8(200), 200),
        (torch.tensor(4, dtype=torch.int16), 4),
        (torch.tensor([5]), 5),
        (1.0, 1),
        (torch.tensor([0.2, 0.7, 0.1]), 1),
        (np.array([0, 0, 1]), 2),
        (None, None),
        (0.37, None),
        (-1, None),
        ("bird", None),
        (torch.tensor([1, 0, 1]), None),
        (torch.tensor([0.5, 3.0]), None),
        ({"boxes": IMAGE}, None),
        (torch.zeros(5, 5), None),
    ],
)
def test_what_a_label_means(label, expected):
    assert read_label(label, (4, 4)) == (expected, None)


@pytest.mark.parametrize("items", [[IMAGE] * 4, [(IMAGE,)] * 4, [(IMAGE, torch.rand(4, 4))] * 4, [(IMAGE, 0), (IMAGE, None)]])
def test_items_without_a_label_make_a_probe_without_labels(items):
    probe = Probe.from_dataset(Data(items), indices=[0, 1])
    assert (len(probe), probe.labels, probe.masks) == (2, None, None)


# --- label maps -------------------------------------------------------------------------------------------------------


def label_map(**pixels):
    """``(4, 4)`` of zeros, with so many pixels of each class: ``c3=5``."""
    flat = [int(name[1:]) for name, count in pixels.items() for _ in range(count)]
    return torch.tensor(flat + [0] * (16 - len(flat))).reshape(4, 4)


@pytest.mark.parametrize(
    ("given", "label", "area"),
    [
        (label_map(c2=3, c5=4), 5, 4),
        (label_map(c2=3, c255=9), 2, 3),
        (label_map(c255=6), 1, 6),
        (label_map(c1=6).float()[None], 1, 6),
        (label_map(c1=6).bool().numpy(), 1, 6),
        (label_map(c7=6).to(torch.uint8)[None], 7, 6),
        (label_map(), 0, 0),
        (label_map(c1=3) - label_map(c1=2) * 2, 1, 1),
    ],
    ids=["largest", "ignored", "black and white", "float", "bool", "one channel", "nothing", "negative"],
)
def test_label_maps_become_the_mask_of_their_largest_foreground_class(given, label, area):
    found, mask = read_label(given, (4, 4))
    assert (found, mask.sum(), mask.shape) == (label, area, (4, 4))
    torch.testing.assert_close(
        mask,
        (torch.as_tensor(given).reshape(4, 4) == (255 if area == 6 and given.max() == 255 else max(label, -9))).float()
        * (area > 0),
    )


def test_a_probe_of_label_maps_prefers_images_that_show_an_object():
    maps = [label_map(), label_map(c1=16), label_map(c1=4), label_map(c2=5), label_map(c1=2, c2=3)]
    probe = Probe.from_dataset(Data([(IMAGE + at, each) for at, each in enumerate(maps)]), n=4)
    assert sorted(probe.indices) == [2, 3, 4]
    assert torch.equal(probe.masks.sum((1, 2)), torch.tensor([{2: 4.0, 3: 5.0, 4: 3.0}[at] for at in probe.indices]))
    empty = Probe.from_dataset(Data([(IMAGE, label_map()), (IMAGE, label_map(c1=3))]), indices=[0, 1])
    assert (empty.labels.tolist(), empty.masks) == ([0, 1], None)


# --- names and scaling ------------------------------------------------------------------------------------------------


def test_class_names_are_found_through_wrappers():
    data = Data(pairs([0, 1]), classes=["bird", ("tench", "Tinca tinca")])
    assert class_names_of(Subset(ConcatDataset([data, Wrapped(data)]), [0])) == ("bird", "tench")
    assert class_names_of(ConcatDataset([data, Data([], classes=["a", "b"])])) == ()
    assert class_names_of(Data([], classes=10)) == ()
    assert Probe.from_dataset(data).class_names == ("bird", "tench")
    assert Probe.from_dataset(data, class_names=["a", "b"]).class_names == ("a", "b")


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std


class Compose:
    def __init__(self, *transforms):
        self.transforms = list(transforms)


@pytest.mark.parametrize(
    "given",
    [
        {"transform": Normalize([0.5, 0.4, 0.3], (0.2, 0.2, 0.1))},
        {"transform": Compose(str, Compose(Normalize(torch.tensor([0.5, 0.4, 0.3]), torch.tensor([[0.2], [0.2], [0.1]]))))},
        {"transforms": Compose(Normalize(np.array([0.5, 0.4, 0.3]), [0.2, 0.2, 0.1]))},
        {"transform": nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity()))},
    ],
)
def test_the_normalisation_is_found_among_the_transforms(given):
    if isinstance(given["transform" if "transform" in given else "transforms"], nn.Sequential):
        given["transform"][1].append(nn.Identity())
        given["transform"][1][1].mean, given["transform"][1][1].std = [0.5, 0.4, 0.3], [0.2, 0.2, 0.1]
    data = Subset(Data(pairs([0, 1]), **given), [1, 0])
    mean, std = scaling_of(data)
    assert (mean, std) == (pytest.approx((0.5, 0.4, 0.3)), pytest.approx((0.2, 0.2, 0.1)))
    assert Probe.from_dataset(data).mean == pytest.approx((0.5, 0.4, 0.3))


def test_a_normalisation_that_is_none_is_not_taken_for_one():
    for transform in (None, Normalize("channel", "channel"), Normalize(None, None), Compose(str), torch.zeros(3)):
        assert scaling_of(Data([], transform=transform)) is None
    data = Data([(torch.zeros(1, 4, 4), 0)], transform=Normalize([0.1, 0.1], [1, 1]))
    assert Probe.from_dataset(data).mean is None


# --- mistakes ---------------------------------------------------------------------------------------------------------


class Brightness(nn.Module):
    """Two classes, dark and bright: the logit of the second is the mean of the image times 10, minus 5."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(10.0))
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        self.norm(x)
        return x.mean((1, 2, 3)) * self.weight - 5


def test_the_most_wrong_and_the_most_unsure_images():
    # log-odds of class 1 are 10 x index / 100 - 5: those of label 1 below 50 are wrong, 0 the most
    data = TensorDataset(torch.stack([image for image, _ in pairs(range(100))]), torch.arange(100) % 10 // 9)
    model = Brightness().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    probe = Probe.from_dataset(data, n=3, choose="mistakes", model=model)
    assert probe.indices == (98, 97, 96)  # label 0, as bright as can be
    assert sorted(Probe.from_dataset(data, n=3, choose="unsure", model=model).indices) == [49, 50, 51]
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# --- what is refused --------------------------------------------------------------------------------------------------


class Stream(IterableDataset):
    def __iter__(self):
        return iter(pairs([0, 1]))

    def __len__(self):
        return 2


MODEL = Brightness()
COLLECT = "so no fixed images can be taken from it: collect some yourself and pass probe=Probe(images, labels)"


@pytest.mark.parametrize(
    ("data", "arguments", "error", "message"),
    [
        (iter([]), {}, TypeError, f"a list_iterator cannot be indexed, {COLLECT}"),
        (Stream(), {}, TypeError, f"a Stream cannot be indexed, {COLLECT}"),
        (
            Data([{"image": IMAGE, "label": 0}]),
            {},
            ValueError,
            "item 0 of Data is a dict with 'image', 'label': say where image and label are with"
            " Probe.from_dataset(data, image_key=..., label_key=...)",
        ),
        (
            Data([{"image": IMAGE, "label": 0}]),
            {"image_key": "pixels"},
            ValueError,
            "item 0 of Data is a dict with 'image', 'label', without image_key='pixels': say where image and label are with"
            " Probe.from_dataset(data, image_key=..., label_key=...)",
        ),
        (
            Data([{"image": IMAGE, "label": 0}]),
            {"image_key": "image", "label_key": "kind"},
            ValueError,
            "item 0 of Data is a dict with 'image', 'label', without label_key='kind': say where image and label are with"
            " Probe.from_dataset(data, image_key=..., label_key=...)",
        ),
        (
            Data([("a.png", 0)]),
            {},
            ValueError,
            "item 0 of Data is a tuple whose image is a str: expected (image, label) with the image a tensor (C, H, W);"
            " or pass probe=Probe(images, labels)",
        ),
        (
            Data([(IMAGE, 0), (torch.zeros(3, 5, 4), 1)]),
            {},
            ValueError,
            "the images of a probe need one size, but those of Data have [(3, 4, 4), (3, 5, 4)]",
        ),
        (Data([]), {}, ValueError, "a probe needs at least one image, but Data has none"),
        (
            Data([]),
            {"choose": "mistakes", "model": MODEL},
            ValueError,
            "a probe needs at least one image, but Data has none",
        ),
        (Data([(IMAGE, 0)]), {"choose": "worst"}, ValueError, "choose='worst': expected 'mistakes' or 'unsure'"),
        (
            Data([(IMAGE, 0)]),
            {"choose": "mistakes"},
            ValueError,
            "choose='mistakes': expected model=, the network whose answers decide; got none",
        ),
        (
            Data([(IMAGE, 0)]),
            {"choose": "unsure", "model": "resnet"},
            ValueError,
            "choose='unsure': expected model=, the network whose answers decide; got a str",
        ),
        (
            Data([(IMAGE, 0)]),
            {"choose": "unsure", "model": MODEL, "indices": [0]},
            ValueError,
            "choose='unsure' and indices= were given, and each says which images: give one of them",
        ),
        (
            Data([(IMAGE, 0), (IMAGE, None)]),
            {"choose": "mistakes", "model": MODEL},
            ValueError,
            "choose='mistakes': item 1 of Data has no label to be wrong about; choose='unsure' needs none",
        ),
        (
            Data([(IMAGE, 7)]),
            {"choose": "mistakes", "model": MODEL},
            ValueError,
            "class 7 was asked for, but the model gives scores for 2 classes",
        ),
    ],
)
def test_what_the_user_wrote_and_the_sentence_they_get(data, arguments, error, message):
    with pytest.raises(error) as caught:
        Probe.from_dataset(data, **arguments)
    assert str(caught.value) == message
