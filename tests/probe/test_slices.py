"""Volumes and clips: the slice that is shown, its share of maps, and what is refused."""

from __future__ import annotations

import pytest
import torch
from nets import images
from torch import nn

from lightning_vis.probe.probe import Probe
from lightning_vis.probe.slices import slices_of

VOLUME = images(2, 8)[:, :, None] + torch.arange(6.0)[:, None, None]  # (2, 3, 6, 8, 8)
CLIP = VOLUME.movedim(1, 2)


@pytest.mark.parametrize(("given", "which"), [(None, (3, 3)), (1, (1, 1)), ([0, 5], (0, 5)), (-1, (5, 5))])
def test_the_middle_or_the_named_slice_is_shown(given, which):
    for whole, axis in ((VOLUME, 2), (CLIP, 1)):
        found = slices_of(whole, given)
        assert (found.axis, found.depth, found.which) == (axis, 6, which)
        expected = torch.stack([VOLUME[row, :, at] for row, at in enumerate(which)])
        torch.testing.assert_close(found.of_images(whole), expected)


def test_notes_count_from_one():
    notes = [slices_of(VOLUME, 1).note, slices_of(CLIP, 1).note, slices_of(VOLUME, [0, 1]).note]
    assert notes == ["slice 2 of 6", "frame 2 of 6", "one slice of 6 each"]


def test_maps_of_what_is_shown():
    slices, values = slices_of(CLIP, [0, 5]), torch.arange(6.0).reshape(1, 6, 1, 1).repeat(2, 1, 2, 2)
    assert slices.of_maps(values, is_sum=False)[:, 0, 0].tolist() == [0, 5]
    assert slices.of_maps(values[:, :3], is_sum=False)[:, 0, 0].tolist() == [0, 2]
    each = slices.of_maps(values.flatten(0, 1), is_sum=True)  # of each frame by itself its share of the mean
    assert each[:, 0, 0].tolist() == [0, 30]


def test_five_axes_are_twins_only_with_backgrounds():
    assert Probe(VOLUME).slices is not None
    assert Probe(VOLUME).twins is None
    masks = torch.zeros(2, 8, 8)
    masks[:, 2:5, 2:5] = 1
    twins = Probe(images(16, 8).reshape(4, 4, 3, 8, 8), [0, 1, 0, 1], masks.repeat(2, 1, 1), ["a", "a", "b", "b"])
    assert (twins.slices, len(twins)) == (None, 16)


@pytest.mark.parametrize("given", [9, [0], [0, 9]])
def test_slices_that_are_not_there_are_refused(given):
    with pytest.raises(ValueError, match=r"Probe\(slices\)"):
        Probe(VOLUME, slices=given)


@pytest.mark.parametrize("given", [1.5, "2", True, [0, 1.5], torch.tensor([0.5, 1.0]), {0: 1}])
def test_slices_that_are_no_numbers_are_refused_in_one_sentence(given):
    with pytest.raises(TypeError, match=r"Probe\(slices\): expected a whole number, or one for each of 2 images; got"):
        Probe(VOLUME, slices=given)


def test_slices_may_be_tensors():
    assert slices_of(VOLUME, torch.tensor(1)).which == slices_of(VOLUME, torch.tensor([1, 1])).which == (1, 1)


CONV2, CONV3 = (lambda channels: nn.Conv2d(channels, 2, 1)), (lambda channels: nn.Conv3d(channels, 2, 1))


@pytest.mark.parametrize(
    ("shape", "net", "axis", "is_doubtful"),
    [
        ((3, 16), None, 2, False),
        ((16, 3), None, 1, False),
        ((4, 3), None, 1, False),  # four frames in colour
        ((3, 4), None, 2, False),
        ((2, 2), None, 2, True),
        ((4, 1), None, 2, True),
        ((4, 1), CONV2(1), 1, False),
        ((4, 1), CONV3(4), 2, False),
        ((4, 1), CONV3(1), 1, False),  # which turns them round itself
        ((2, 2), CONV3(2), 2, False),
        ((2, 2), CONV2(2), 2, True),
        ((4, 1), CONV2(8), 2, True),
        ((3, 16), CONV2(16), 2, False),
        ((4, 3), CONV3(4), 2, False),
    ],
)
def test_channels_are_where_the_network_takes_them_if_the_shape_leaves_it_open(shape, net, axis, is_doubtful):
    probe = Probe(torch.rand(2, *shape, 6, 6))
    found = probe if net is None else probe.laid_out(nn.Sequential(nn.Flatten(), net))
    assert (found.slices.axis, found.slices.is_doubtful) == (axis, is_doubtful)
    assert found.slices.of_images(found.images).shape[1] == shape[0 if axis == 2 else 1]
    assert found.inputs().pictures.shape[1:3] == (6, 6)


def test_a_doubt_is_said():
    assert slices_of(torch.rand(2, 2, 2, 6, 6), None).note == "slice 2 of 2, if axis 1 holds channels"
    assert slices_of(torch.rand(2, 4, 1, 6, 6), None, 1).note == "frame 3 of 4"


def test_images_have_no_slices():
    with pytest.raises(ValueError, match="only volumes .* and clips have slices"):
        Probe(images(2), slices=1)
