"""The drawn and the pasted data of the examples: exact masks, exact shares, one palette for all, nothing global."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import backgrounds
import cutouts
import drawing
import network
import scenes

SIZE = 64
BIRD_AND_MAMMAL = [drawing.PAINTERS["bird"], drawing.PAINTERS["mammal"]]


def flat(*values, side=80):
    """Plates of one colour each, which no painter uses."""
    return [np.full((2, side, side, 3), value, np.float32) for value in values]


def square(value):
    """A painter: a square of 20 pixels at a random place, half covered along its first row."""

    def paint(size, rng):
        rgba = np.zeros((size, size, 4), np.float32)
        top, left = rng.integers(0, size - 20, 2)
        rgba[top : top + 20, left : left + 20] = (value, value, value, 1)
        rgba[top, left : left + 20, 3] = 0.5
        return rgba

    return paint


def noisy_plates(kinds, seed=0, side=80):
    return [np.random.default_rng(seed + kind).random((2, side, side, 3), np.float32) for kind in range(kinds)]


def share_on_own_kind(labels, kinds, label):
    return (kinds[labels == label] == label).mean()


# --- scenes --------------------------------------------------------------------------------------------------------


def test_pixels_are_the_plate_outside_the_object_inside_and_half_half_on_a_half_covered_rim():
    result = scenes.compose([square(0.9), square(0.7)], flat(0.25, 0.5), 40, 0.5, SIZE, np.random.default_rng(0))
    plate = np.array([0.25, 0.5], np.float32)[result.kinds][:, None, None]
    colour = np.array([0.9, 0.7], np.float32)[result.labels][:, None, None]
    for channel in result.images.transpose(1, 0, 2, 3):
        for covered, expected in ((0, plate), (1, colour), (0.5, (plate + colour) / 2)):
            where = result.masks == covered
            assert where.sum() >= 40 * 20
            np.testing.assert_array_equal(channel[where], np.broadcast_to(expected, channel.shape)[where])


def test_drawn_objects_leave_the_plate_untouched_where_the_mask_is_zero():
    drawn = scenes.twins(BIRD_AND_MAMMAL, noisy_plates(2), 6, SIZE, np.random.default_rng(1))
    clean = drawn.plates.transpose(1, 0, 2, 3, 4).reshape(-1, 3, SIZE, SIZE)
    outside = np.broadcast_to(drawn.scenes.masks[:, None] == 0, clean.shape)
    np.testing.assert_array_equal(drawn.scenes.images[outside], clean[outside])
    solid = np.broadcast_to(drawn.scenes.masks[:, None] == 1, clean.shape)
    assert (drawn.scenes.images[solid] != clean[solid]).mean() > 0.99
    assert 0.05 < solid.mean() < 0.4
    assert 0.5 < outside.mean() < 0.95


@pytest.mark.parametrize(("classes", "kinds"), [(2, 2), (2, 3), (3, 3), (4, 4)])
@pytest.mark.parametrize("correlation", [0.0, 0.25, 0.5, 0.95, 1.0])
def test_each_class_stands_on_its_kind_exactly_as_often_as_asked_and_evenly_on_the_others(classes, kinds, correlation):
    n = 40 * classes
    painters = [square(label / 8) for label in range(classes)]
    result = scenes.compose(painters, flat(*range(kinds), side=24), n, correlation, 24, np.random.default_rng(2))
    for label in range(classes):
        counts = np.bincount(result.kinds[result.labels == label], minlength=kinds)
        others = np.delete(counts, label)
        assert counts.sum() == 40
        assert counts[label] == round(correlation * 40)
        assert others.max() - others.min() <= 1


def test_labels_are_balanced_and_mixed():
    labels = scenes.compose([square(0), square(1)], flat(0, 1), 101, 0.9, SIZE, np.random.default_rng(3)).labels
    assert abs(2 * labels.sum() - 101) == 1
    assert 30 < (labels[1:] != labels[:-1]).sum() < 70


def test_the_correlation_changes_the_backgrounds_and_not_the_objects():
    runs = [
        scenes.compose(BIRD_AND_MAMMAL, noisy_plates(2), 30, correlation, SIZE, np.random.default_rng(4))
        for correlation in (0.95, 0.5)
    ]
    np.testing.assert_array_equal(runs[0].labels, runs[1].labels)
    np.testing.assert_array_equal(runs[0].masks, runs[1].masks)
    assert (runs[0].kinds != runs[1].kinds).any()


def test_twins_are_one_object_on_every_kind_in_turn_beside_the_clean_backgrounds():
    result = scenes.twins([square(0.9), square(0.7)], flat(0.1, 0.2, 0.3), 4, SIZE, np.random.default_rng(5))
    assert result.scenes.images.shape == (12, 3, SIZE, SIZE)
    assert result.scenes.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]
    assert result.scenes.kinds.tolist() == [0, 1, 2] * 4
    masks = result.scenes.masks.reshape(4, 3, SIZE, SIZE)
    np.testing.assert_array_equal(masks, np.repeat(masks[:, :1], 3, axis=1))
    assert result.plates.shape == (3, 4, 3, SIZE, SIZE)
    assert [set(kind.ravel().tolist()) for kind in result.plates.astype(np.float64).round(3)] == [{0.1}, {0.2}, {0.3}]


def test_scenes_have_the_promised_types_and_range():
    result = scenes.compose(BIRD_AND_MAMMAL, noisy_plates(2), 10, 0.5, SIZE, np.random.default_rng(6))
    assert [part.dtype for part in result] == [np.float32, np.int64, np.float32, np.int64]
    for part in (result.images, result.masks):
        assert part.min() >= 0
        assert part.max() <= 1


@pytest.mark.parametrize(
    ("kinds", "correlation", "size", "message"),
    [
        (1, 0.5, 64, "2 classes need at least 2 kinds of background, got 1"),
        (2, 1.5, 64, "correlation is a share between 0 and 1, got 1.5"),
        (2, 0.5, 96, "images of 96 pixels do not fit on a plate of 80 pixels"),
    ],
)
def test_what_cannot_be_composed_is_said(kinds, correlation, size, message):
    with pytest.raises(ValueError, match=message):
        scenes.compose([square(0), square(1)], flat(*range(kinds)), 4, correlation, size, np.random.default_rng(0))


# --- drawing and backgrounds ---------------------------------------------------------------------------------------


def test_coverage_of_a_drawn_disc_is_its_area():
    centres = np.arange(64, dtype=np.float32) + 0.5 - 31.3
    sheet = drawing.Sheet(centres[None] / 40, centres[:, None] / 40, 40.0)
    disc = drawing.Layer(drawing.ellipse(sheet, (0.0, 0.0), (0.5, 0.5)), np.ones((3, 1, 1), np.float32))
    assert drawing.over([disc], sheet.scale)[..., 3].sum() == pytest.approx(np.pi * 20**2, rel=2e-3)


def test_a_polygon_is_negative_inside_and_its_distance_is_in_units():
    sheet = drawing.Sheet(np.float32([[0.0, 2.0, -0.5]]), np.float32([[0.0, 0.0, 0.0]]), 1.0)
    distance = drawing.polygon(sheet, (-1, -1), (1, -1), (1, 1), (-1, 1))
    np.testing.assert_allclose(distance, [[-1.0, 1.0, -0.5]])


def test_all_animals_draw_their_colours_from_the_same_stream(monkeypatch):
    seen = []

    def spy(rng, palette=drawing.palette):
        seen.append(np.concatenate(palette(rng)).ravel())
        return palette(np.random.default_rng(0))

    monkeypatch.setattr(drawing, "palette", spy)
    for paint in drawing.PAINTERS.values():
        paint(SIZE, np.random.default_rng(7))
    assert len(seen) == 4
    for colours in seen[1:]:
        np.testing.assert_array_equal(colours, seen[0])


def test_the_animals_are_told_apart_by_shape_and_not_by_mean_colour():
    rng = np.random.default_rng(8)
    means = [[weighted(paint(SIZE, rng)) for _ in range(300)] for paint in BIRD_AND_MAMMAL]
    spread = np.std(means, axis=1).mean()
    assert np.abs(np.mean(means[0], axis=0) - np.mean(means[1], axis=0)).max() < 0.5 * spread


def weighted(rgba):
    return (rgba[..., :3] * rgba[..., 3:]).sum((0, 1)) / rgba[..., 3].sum()


def test_a_tail_is_a_number_where_its_feathers_would_meet():
    """One pixel that is not a number spreads through a whole batch, though nothing of the tail lies there."""
    sheet = drawing.Sheet(np.float32([[0.3, -0.5]]), np.float32([[0.0, 0.05]]), 100.0)
    assert np.isfinite(drawing.over(drawing.fan(sheet, drawing.palette(np.random.default_rng(0)), 0.0, 0.5), 100.0)).all()


@pytest.mark.parametrize("name", drawing.PAINTERS)
def test_animals_stay_inside_the_picture(name):
    rng = np.random.default_rng(9)
    drawn = np.stack([drawing.PAINTERS[name](SIZE, rng)[..., 3] for _ in range(60)])
    rim = np.concatenate([drawn[:, 0], drawn[:, -1], drawn[:, :, 0], drawn[:, :, -1]])
    assert rim.sum() / drawn.sum() < 0.002
    assert 0.08 < drawn.mean() < 0.3


@pytest.mark.parametrize("draw", [backgrounds.leaves, backgrounds.pebbles, backgrounds.sand, backgrounds.planks])
def test_plates_are_pictures_that_the_seed_decides(draw):
    first, again, other = (backgrounds.plates(draw, 1, np.random.default_rng(seed), side=96) for seed in (0, 0, 1))
    assert first.shape == (1, 96, 96, 3)
    assert first.dtype == np.float32
    assert first.min() >= 0
    assert first.max() <= 1
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.03


def test_leaves_are_green_and_pebbles_are_grey():
    rng = np.random.default_rng(10)
    leaves, pebbles = (backgrounds.plates(draw, 1, rng, side=96) for draw in (backgrounds.leaves, backgrounds.pebbles))
    red, green, blue = leaves.mean((0, 1, 2))
    assert green > 1.3 * max(red, blue)
    assert np.ptp(pebbles.mean((0, 1, 2))) < 0.02


def test_the_seed_decides_everything_and_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()
    first, again, other = (
        scenes.compose(BIRD_AND_MAMMAL, noisy_plates(2), 12, 0.5, SIZE, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first.images != other.images).mean() > 0.9
    np.testing.assert_array_equal(np.random.get_state()[1], before)


# --- network -------------------------------------------------------------------------------------------------------


class Background(torch.nn.Module):
    """Answers 1 where the corner is bright, and only in eval mode."""

    def forward(self, images):
        assert not self.training
        bright = images[:, 0, 0, 0] > 0
        return torch.stack([~bright, bright], 1).float()


@pytest.mark.parametrize("training", [True, False])
def test_group_accuracies_of_a_network_that_answers_by_background(training):
    model = Background().train(training)
    test = scenes.compose([square(0.9), square(0.9)], flat(0.25, 0.75), 250, 0.5, SIZE, np.random.default_rng(0))
    np.testing.assert_array_equal(network.group_accuracies(model, test), [[1, 0], [0, 1]])
    one = scenes.compose([square(0.9), square(0.9)], flat(0.25, 0.75), 10, 1.0, SIZE, np.random.default_rng(0))
    np.testing.assert_array_equal(network.group_accuracies(model, one), [[1, np.nan], [np.nan, 1]])
    assert model.training is training


def test_the_network_ends_in_a_map_whose_mean_decides():
    model = network.SmallCNN(classes=3).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features = model.features(images)
    assert features.shape == (2, 64, 8, 8)
    by_place = torch.nn.functional.conv2d(features, model.head.weight[..., None, None], model.head.bias)
    torch.testing.assert_close(model(images), by_place.mean((2, 3)))


# --- cut-outs ------------------------------------------------------------------------------------------------------


def save(path, values, mode):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8), mode).save(path)
    return path


def rectangle(colour, height=60, width=90):
    """A coloured rectangle in the middle of a transparent picture whose hidden pixels are white."""
    rgba = np.full((2 * height, 2 * width, 4), (255, 255, 255, 0))
    rgba[height // 2 : height // 2 + height, width // 2 : width // 2 + width] = (*colour, 255)
    return rgba


def test_cutouts_are_cut_to_their_alpha_and_reduced(tmp_path):
    save(tmp_path / "small.png", rectangle((200, 0, 0)), "RGBA")
    save(tmp_path / "deeper" / "large.png", rectangle((200, 0, 0), 600, 900), "RGBA")
    save(tmp_path / "notes.txt.png", rectangle((0, 0, 200), 10, 10), "RGBA").rename(tmp_path / "notes.txt")
    assert [image.size for image in cutouts.load_cutouts(tmp_path)] == [(192, 128), (90, 60)]


def test_a_pasted_cutout_has_its_own_colour_up_to_its_rim(tmp_path):
    """White pixels hidden under full transparency do not bleed in."""
    save(tmp_path / "red.png", rectangle((250, 0, 0)), "RGBA")
    paint = cutouts.painter(cutouts.load_cutouts(tmp_path))
    rng = np.random.default_rng(0)
    for rgba in (paint(SIZE, rng) for _ in range(10)):
        visible = rgba[rgba[..., 3] > 0.2]
        assert visible[:, 0].min() > 2 * visible[:, 1:3].max()
        length = max(np.ptp(axis) + 1 for axis in np.nonzero(rgba[..., 3] > 0.5))
        assert 0.55 * SIZE < length <= 0.95 * SIZE + 1


def test_plates_for_training_come_from_the_left_and_for_testing_from_the_right(tmp_path):
    photo = np.zeros((300, 1000, 3))
    photo[:, :620, 0] = photo[:, 650:, 2] = 200
    photo[:, 620:650] = 255
    save(tmp_path / "photo.png", photo, "RGB")
    train, test = cutouts.load_plates(tmp_path, 20, SIZE, np.random.default_rng(0))
    assert train.shape == (20, SIZE, SIZE, 3)
    assert test.shape == (10, SIZE, SIZE, 3)
    assert train[..., 0].min() > 0.6 > 0.1 > train[..., 2].max()
    assert test[..., 2].min() > 0.6 > 0.1 > test[..., 0].max()


def test_the_split_shares_out_every_cutout_once():
    train, test = cutouts.split(list(range(20)), np.random.default_rng(0))
    assert (len(train), len(test)) == (15, 5)
    assert sorted(train + test) == list(range(20))
    assert cutouts.split([1, 2], np.random.default_rng(0)) in [([1], [2]), ([2], [1])]


def test_scenes_are_made_from_folders(tmp_path):
    for name, colour in (("birds", (250, 0, 0)), ("mammals", (0, 0, 250))):
        save(tmp_path / "objects" / name / "1.png", rectangle(colour), "RGBA")
    for name, grey in (("leaves", 60), ("others", 180)):
        save(tmp_path / "photos" / name / "1.png", np.full((400, 640, 3), grey), "RGB")
    rng = np.random.default_rng(0)
    painters = [cutouts.painter(cutouts.load_cutouts(path)) for path in cutouts.subfolders(tmp_path / "objects")]
    plates = [cutouts.load_plates(path, 8, SIZE, rng)[0] for path in cutouts.subfolders(tmp_path / "photos")]
    result = scenes.compose(painters, plates, 20, 0.9, SIZE, rng)
    inside = np.array([image[:, mask == 1].mean(1) for image, mask in zip(result.images, result.masks, strict=True)])
    assert (inside[:, [0, 2]].argmax(1) == result.labels).all()
    assert share_on_own_kind(result.labels, result.kinds, 0) == 0.9


def test_folders_that_cannot_be_used_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    opaque = save(tmp_path / "opaque" / "a.png", np.full((9, 9, 3), 99), "RGB")
    nothing = save(tmp_path / "nothing" / "b.png", np.zeros((9, 9, 4)), "RGBA")
    for call, message in [
        (lambda: cutouts.load_cutouts(tmp_path / "empty"), f"{tmp_path / 'empty'} holds no images"),
        (lambda: cutouts.load_plates(tmp_path / "x", 2, 64, np.random.default_rng(0)), f"{tmp_path / 'x'} is not a"),
        (lambda: cutouts.load_cutouts(opaque.parent), f"{opaque} is no cut-out: all its pixels are opaque"),
        (lambda: cutouts.load_cutouts(nothing.parent), f"{nothing} is no cut-out: all its pixels are transparent"),
        (lambda: cutouts.subfolders(tmp_path / "opaque"), "at least two subfolders, one per class or kind, and has 0"),
        (lambda: cutouts.split([1], np.random.default_rng(0)), "1 cut-out cannot be split"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            call()
