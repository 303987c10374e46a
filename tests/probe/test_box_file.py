"""A file of boxes: there and back, found by what an image shows, and refused where it is none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lightning_vis.probe.box_file import key_of, masks_of, read_boxes, write_boxes

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 4, 8, 3), np.uint8)


def test_there_and_back_by_what_images_show(tmp_path):
    write_boxes(tmp_path / "b.json", {key_of(PICTURES[2]): (0.25, 0, 0.75, 0.5)})
    masks, is_known = masks_of(PICTURES[::-1], read_boxes(tmp_path / "b.json"))
    assert is_known.tolist() == [True, False, False]
    assert masks[0].int().tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]] * 2 + [[0] * 8] * 2
    assert not masks[1:].any()


def test_a_key_is_of_the_picture_alone():
    assert key_of(PICTURES[0]) == key_of(PICTURES[0].copy()) == key_of(PICTURES[:, :, ::-1][0][:, ::-1])
    assert len({key_of(each) for each in PICTURES}) == 3
    assert key_of(PICTURES[0]) != key_of(PICTURES[0].reshape(8, 4, 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is no file of boxes"),
        ("[]", "it is no file of boxes"),
        (json.dumps({"format": 2, "boxes": {}}), "it is no file of boxes"),
        (json.dumps({"format": 1, "boxes": 3}), "it is no file of boxes"),
        (json.dumps({"format": 1, "boxes": {"a": 3}}), r"the box of a is \[3\]"),
        (json.dumps({"format": 1, "boxes": {"a": [0.5, 0, 0.2, 1]}}), r"the box of a is \[0.5, 0.0, 0.2, 1.0\]"),
        (json.dumps({"format": 1, "boxes": {"a": [0, 0, 1]}}), "the box of a"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path, text, message):
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_boxes(tmp_path / "b.json")
    with pytest.raises(ValueError, match="the file cannot be read .No such file"):
        read_boxes(tmp_path / "none.json")
