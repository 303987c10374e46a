"""A file of boxes: there and back, found by what an image shows, and refused where it is none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from lightning_vis.probe.box_file import key_of, masks_of, read_boxes, write_boxes

IMAGES = torch.rand(3, 2, 4, 8, generator=torch.Generator().manual_seed(0))


def test_there_and_back_by_what_images_show(tmp_path):
    write_boxes(tmp_path / "b.json", {key_of(IMAGES[2]): (0.25, 0, 0.75, 0.5)})
    masks, is_known = masks_of(IMAGES.flip(0), read_boxes(tmp_path / "b.json"))
    assert is_known.tolist() == [True, False, False]
    assert masks[0].int().tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]] * 2 + [[0] * 8] * 2
    assert not masks[1:].any()


def test_a_key_is_of_what_an_image_shows():
    assert key_of(IMAGES[0]) == key_of(IMAGES[0].clone()) == key_of(IMAGES[0].double())
    assert len({key_of(each) for each in IMAGES}) == 3
    assert key_of(IMAGES[0]) != key_of(IMAGES[0].reshape(2, 8, 4))
    assert key_of(torch.zeros(1, 2, 2)) == key_of(torch.ones(1, 2, 2))  # nothing is shown


def test_the_example_of_the_page_is_such_a_file(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "format.md").read_text("utf-8")
    (example,) = re.findall(r'```json\n(\{"format": 1, "boxes".*?)```', page, re.DOTALL)
    (tmp_path / "b.json").write_text(example)
    assert read_boxes(tmp_path / "b.json") == {"9f2c4d6e8a0b1c3d": (0.25, 0.1875, 0.75, 0.9375)}


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
