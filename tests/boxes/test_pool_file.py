"""The pool's file: what it holds, found below a folder, told from what is none; boxes around cuts worked out by hand."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lightning_vis.boxes.pool_file import box_around, leave_pool, pool_file, read_pools


def pool(count=3, height=40, width=80):
    """Flat pictures, each of its own grey; the cut of image i is its left half but for i columns, from row 10 on."""
    pictures = np.stack([np.full((height, width, 3), 40 * at, np.uint8) for at in range(count)])
    cuts = np.zeros((count, height, width), bool)
    for at in range(count):
        cuts[at, 10:, at : width // 2] = True
    return pool_file([f"key{at}" for at in range(count)], ["bird", "mammal", "bird"][:count], pictures, cuts)


def test_the_box_around_a_cut_is_in_shares_of_the_sides():
    mask = np.zeros((4, 8), bool)
    assert box_around(mask) is None
    mask[1, 2] = mask[2, 5] = True
    assert box_around(mask) == (0.25, 0.25, 0.75, 0.75)
    assert box_around(~mask) == (0, 0, 1, 1)


def test_there_and_back(tmp_path):
    leave_pool(str(tmp_path), pool())
    (found,), damage = read_pools(str(tmp_path))
    assert damage == []
    assert (found.keys, found.classes, found.size) == (("key0", "key1", "key2"), ("bird", "mammal", "bird"), (40, 80))
    assert found.boxes() == [(0, 0.25, 0.5, 1), (1 / 80, 0.25, 0.5, 1), (2 / 80, 0.25, 0.5, 1)]
    sheet = np.asarray(Image.open(io.BytesIO(found.pictures)))
    assert sheet.shape == (40, 240, 3)
    assert [round(int(sheet[20, x, 0]) / 40) for x in (40, 120, 200)] == [0, 1, 2]


def test_large_images_are_kept_small_with_their_proportions():
    small = pool(2, 256, 512)
    assert small.size == (64, 128)
    assert small.boxes()[0] == (0, 2 / 64, 0.5, 1)  # rows from 10 on: a half of the third small row is covered


def test_nothing_is_written_twice_and_nothing_replaced(tmp_path):
    for _ in range(2):
        leave_pool(str(tmp_path), pool())
    (first,) = tmp_path.iterdir()
    stamp = first.stat().st_mtime_ns
    leave_pool(str(tmp_path), pool(2))
    leave_pool(str(tmp_path), pool())
    assert len(list(tmp_path.iterdir())) == 2
    assert first.stat().st_mtime_ns == stamp


def test_all_below_a_folder_are_found_and_links_followed_but_not_in_a_circle(tmp_path):
    for name in ("a", "b/version_0"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    leave_pool(str(tmp_path / "runs" / "b" / "version_0"), pool())
    (tmp_path / "runs" / "a" / "up").symlink_to(tmp_path / "runs")
    (tmp_path / "linked").symlink_to(tmp_path / "runs" / "b")
    assert len(read_pools(str(tmp_path / "runs"))[0]) == 1
    assert len(read_pools(str(tmp_path / "linked"))[0]) == 1


def facts_of(tmp_path):
    leave_pool(str(tmp_path), pool())
    (path,) = tmp_path.glob("*.json")
    return path, json.loads(path.read_text())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "it is of format 2, and this version reads 1"),
        ({"keys": ["key0"]}, "cannot be read"),
        ({"classes": ["bird"]}, "its images and names are not as many"),
        ({"cuts": "AAA"}, "a picture is damaged"),
        ({"pictures": ""}, "cannot be read"),
        ({"size": None}, "cannot be read"),
    ],
)
def test_a_damaged_file_takes_no_other_along(tmp_path, change, reason):
    path, facts = facts_of(tmp_path)
    path.write_text(json.dumps(facts | change))
    with pytest.raises(ValueError, match=reason):
        read_pools(str(tmp_path))
    (tmp_path / "exchange_pool_none.json").write_text("[")
    leave_pool(str(tmp_path), pool(2))
    pools, damage = read_pools(str(tmp_path))
    assert len(pools) == 1
    assert len(damage) == 2


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("nowhere", "there is no folder 'nowhere'"),
        ("s3://bucket/run", "'s3://bucket/run': the folder is not on this machine; copy its exchange_pool_"),
        (".", "no images to draw boxes on in '.': a ProbeCallback leaves them"),
    ],
)
def test_a_folder_without_any_is_one_sentence(tmp_path, monkeypatch, folder, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_pools(folder)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_a_folder_behind_an_address_gets_one_too(monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    leave_pool("memory://pools/run", pool())
    (path,) = fsspec.filesystem("memory").glob("/pools/run/*.json")
    assert SimpleNamespace(**json.loads(fsspec.filesystem("memory").cat(path))).format == 1
