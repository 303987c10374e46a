"""Values to colours: known strengths, known anchors, and that more is never drawn as less."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lightning_vis.attribution.metrics import resized
from lightning_vis.frames import Maps, Scale
from lightning_vis.render.colormap import blend, colours, dimmed, enlarged, map_strength, opacity, overlay, strength

LOG, SIGNED, AREA, DENSITY = Scale(), Scale(signed=True), Scale(by_area=True), Scale("density", 12.0)


@pytest.mark.parametrize(("value", "share"), [(0, 0), (1, 0.2), (3, 0.4), (7, 0.6), (15, 0.8), (31, 1), (1000, 1)])
def test_the_ticks_of_the_legend_lie_evenly_on_the_log_scale(value, share):
    """log1p(2^k - 1) / log1p(31) = k / 5."""
    assert strength(np.array(value), LOG) == pytest.approx(share)
    assert strength(np.array(-value), SIGNED) == pytest.approx(-share)
    assert strength(np.array(-value), LOG) == 0


def test_scales_by_area_count_the_cells():
    assert strength(np.array(1 / 16), AREA, area=16) == pytest.approx(0.2)


def test_density_is_in_units_of_the_maps_own_mean():
    assert strength(np.array([0, 0.5, 6, 12]), DENSITY, mean=1).tolist() == pytest.approx([0, 0.5 / 12, 0.5, 1])
    assert strength(np.array([1.0]), DENSITY, mean=0.5).tolist() == pytest.approx([2 / 12])


def test_a_density_with_signs_is_in_units_of_the_mean_magnitude():
    maps = Maps(np.array([[[2.0, -2.0], [0.0, -4.0]]], np.float32), np.array([0]), "x", Scale("density", 4.0, signed=True))
    assert map_strength(maps, 0, (2, 2)).tolist() == [[0.25, -0.25], [0, -0.5]]
    wide = Maps(maps.values, maps.classes, "x", Scale("density", 1.0, signed=True))
    assert map_strength(wide, 0, (2, 2)).tolist() == [[1, -1], [0, -1]]


def test_a_map_is_enlarged_as_torch_does_it_and_scaled_afterwards():
    values = np.random.default_rng(0).random((1, 4, 5)).astype(np.float32) * 20
    np.testing.assert_allclose(enlarged(values[0], (12, 15)), resized(torch.from_numpy(values), (12, 15))[0], rtol=1e-4)
    found = map_strength(Maps(values, np.array([0]), "x", LOG), 0, (12, 15))
    np.testing.assert_allclose(found, np.log1p(enlarged(values[0], (12, 15))) / np.log(32), rtol=1e-6)


@pytest.mark.parametrize("scale", [LOG, SIGNED, AREA, DENSITY], ids=["log", "signed", "area", "density"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_map_that_is_not_finite_is_drawn_as_nothing(scale, bad):
    values = np.ones((1, 4, 4), np.float32)
    values[0, 1, 1] = bad
    assert not map_strength(Maps(values, np.array([0]), "x", scale), 0, (8, 8)).any()


@pytest.mark.parametrize("scale", [LOG, SIGNED, AREA, DENSITY], ids=["log", "signed", "area", "density"])
def test_an_empty_map_is_drawn_as_nothing(scale):
    assert not map_strength(Maps(np.zeros((1, 4, 4), np.float32), np.array([0]), "x", scale), 0, (8, 8)).any()


def test_opacity_grows_with_magnitude_from_nothing_and_never_hides_all():
    shares = np.linspace(0, 1, 201)
    assert opacity(shares)[0] == 0
    assert (np.diff(opacity(shares)) > -1e-12).all()
    assert (np.diff(opacity(shares))[:150] > 0).all()
    assert 0.7 < opacity(shares)[-1] < 1
    np.testing.assert_array_equal(opacity(-shares), opacity(shares))


def test_colours_at_known_places():
    assert colours(np.array([0.0, 1.0]), signed=False).tolist() == [[0, 0, 4], [252, 255, 164]]  # inferno's ends
    against, neutral, towards = colours(np.array([-1.0, 0.0, 1.0]), signed=True)
    assert against[2] > against[0] + 80  # blue
    assert towards[0] > towards[2] + 80  # red
    assert abs(neutral[0] - neutral[2]) < 50


def test_inferno_is_matplotlibs_at_its_anchors_and_nearly_so_between_them():
    from matplotlib import colormaps

    for count, bound in ((17, 1), (151, 8)):
        shares = np.linspace(0, 1, count)
        assert np.abs(colours(shares, signed=False) - colormaps["inferno"](shares)[:, :3] * 255).max() <= bound


def test_inferno_gets_lighter_all_the_way():
    light = colours(np.linspace(0, 1, 101), signed=False) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(light) > 0).all()


def test_where_the_map_is_nothing_the_dimmed_grey_photo_is_seen():
    photo = np.full((2, 2, 3), (200, 100, 50), np.uint8)
    grey = round((0.299 * 200 + 0.587 * 100 + 0.114 * 50) * 0.55)
    assert (overlay(photo, np.zeros((2, 2))) == grey).all()
    np.testing.assert_allclose(dimmed(photo), grey, atol=0.5)


def test_over_black_more_is_always_lighter():
    drawn = overlay(np.zeros((1, 101, 3), np.uint8), np.linspace(0, 1, 101)[None]).astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(drawn[0]) >= -1).all()
    assert drawn[0, -1] > 180


def test_blending_is_linear():
    below, above = np.zeros((1, 3, 3)), np.full((1, 3, 3), 200.0)
    assert blend(below, above, np.array([[0, 0.25, 1]]))[0, :, 0].tolist() == [0, 50, 200]
