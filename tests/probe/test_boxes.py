"""Boxes as masks: which pixels they hold, and what is refused."""

from __future__ import annotations

import pytest
import torch

from lightning_vis.probe.boxes import masks_of_boxes
from lightning_vis.probe.probe import Probe

IMAGES = torch.rand(2, 3, 4, 6)


def test_a_box_holds_the_pixels_whose_middles_lie_in_it():
    masks = masks_of_boxes([[1, 0, 4, 2], [0.6, 1.4, 6, 3.5]], IMAGES)
    assert masks[0].tolist() == [[0, 1, 1, 1, 0, 0]] * 2 + [[0] * 6] * 2
    assert masks[1].tolist() == [[0] * 6] + [[0, 1, 1, 1, 1, 1]] * 2 + [[0] * 6]


def test_a_probe_has_them_as_masks_and_makes_no_twins_of_them():
    probe = Probe(IMAGES, [0, 1], boxes=torch.tensor([[1, 0, 4, 2], [0, 1, 6, 4]]))
    assert probe.has_boxes
    assert probe.twins is None
    assert probe.masks.sum((1, 2)).tolist() == [6, 18]
    assert Probe(IMAGES, [0, 1], probe.masks).twins is not None
    assert not Probe(IMAGES, [0, 1]).has_boxes


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[1, 0, 4, 2]], r"expected \(2, 4\), .* got \(1, 4\)"),
        ([[1, 0, 4, 2], [3, 0, 3, 2]], r"the box of image 1 is \[3.0, 0.0, 3.0, 2.0\]: expected left < right"),
        ([[1, 0, 4, 2], [0, 0, 4, 5]], "within 6 x 4 pixels"),
        ([[1, 0, 4, 2], [0, 0, float("nan"), 3]], "the box of image 1"),
    ],
)
def test_what_is_no_box_is_refused(boxes, message):
    with pytest.raises(ValueError, match=message):
        Probe(IMAGES, [0, 1], boxes=boxes)


def test_other_words_for_the_same_are_refused():
    with pytest.raises(ValueError, match="boxes= stand in place of masks="):
        Probe(IMAGES, [0, 1], torch.ones(2, 4, 6), boxes=[[1, 0, 4, 2]] * 2)
    with pytest.raises(TypeError, match="Probe\\(boxes\\): expected pixels"):
        Probe(IMAGES, [0, 1], boxes="all")
