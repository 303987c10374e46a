"""Volumes and clips: the slice that is shown, its share of maps, and what is refused."""

from __future__ import annotations

import pytest
import torch
from nets import images

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


def test_images_have_no_slices():
    with pytest.raises(ValueError, match="only volumes .* and clips have slices"):
        Probe(images(2), slices=1)
