"""Maps against masks: on the background, at the strongest place, along edges; and the lift as a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_vis.attribution.metrics import background_lift, edge_map, lift, pointing
from lightning_vis.render.lift_axis import HEIGHT, lift_axis, position

MASKS = torch.zeros(1, 30, 30)
MASKS[:, 10:20, 10:20] = 1


def peak(y, x, size=30):
    maps = torch.zeros(1, size, size)
    maps[:, y, x] = 2.0
    return maps


def test_lifts_on_object_and_background_share_the_mass():
    maps = torch.rand(5, 6, 6, generator=torch.Generator().manual_seed(0))
    masks = (torch.rand(5, 12, 12, generator=torch.Generator().manual_seed(1)) > 0.7).float()
    area = masks.mean((1, 2))
    torch.testing.assert_close(lift(maps, masks) * area + background_lift(maps, masks) * (1 - area), torch.ones(5))


def test_background_lift_by_hand():
    masks = torch.zeros(1, 2, 2)
    masks[0, 0, 0] = 1
    assert background_lift(torch.tensor([[[1.0, 1.0], [1.0, 1.0]]]), masks).item() == pytest.approx(1)
    assert background_lift(torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]), masks).item() == pytest.approx(0)
    assert background_lift(torch.tensor([[[0.0, 0.0], [0.0, 5.0]]]), masks).item() == pytest.approx(4 / 3)


@pytest.mark.parametrize(("place", "hit"), [((15, 15), 1), ((10, 19), 1), ((8, 15), 1), ((7, 15), 0), ((0, 0), 0)])
def test_the_strongest_place_counts_up_to_a_fifteenth_of_the_side_away(place, hit):
    assert pointing(peak(*place), MASKS).item() == hit  # 30 / 15 = 2 pixels


def test_the_tolerance_can_be_set():
    assert pointing(peak(8, 15), MASKS, tolerance=0).item() == 0
    assert pointing(peak(5, 15), MASKS, tolerance=5).item() == 1


def test_ties_are_shared_so_that_a_constant_map_hits_by_chance_only():
    assert pointing(torch.ones(1, 6, 6), MASKS, tolerance=0).item() == pytest.approx(100 / 900)
    assert pointing(peak(15, 15) + peak(0, 0), MASKS).item() == pytest.approx(0.5)


def test_the_largest_value_counts_not_the_largest_magnitude():
    assert pointing(peak(15, 15) - 5 * peak(0, 0), MASKS).item() == 1


def test_maps_that_say_nothing_are_left_out():
    assert pointing(torch.zeros(1, 6, 6), MASKS).isnan().all()
    assert pointing(torch.full((1, 6, 6), torch.nan), MASKS).isnan().all()


def test_pointing_against_a_slow_loop():
    generator = torch.Generator().manual_seed(2)
    maps, masks = (
        torch.rand(8, 12, 12, generator=generator),
        (torch.rand(8, 12, 12, generator=generator) > 0.97).float(),
    )
    for each, mask, found in zip(maps, masks, pointing(maps, masks, tolerance=2), strict=True):
        y, x = divmod(int(each.argmax()), 12)
        near = [(j, i) for j in range(y - 2, y + 3) for i in range(x - 2, x + 3) if 0 <= j < 12 and 0 <= i < 12]
        assert found.item() == any(mask[place] > 0.5 for place in near)


# --- edges ---------------------------------------------------------------------------------------------------------


def test_an_even_picture_has_no_edges_and_a_step_has_them_along_it():
    images = torch.zeros(1, 3, 8, 8)
    assert edge_map(images).abs().max() == 0
    images[:, :, :, 4:] = 1
    edges = edge_map(images)[0]
    assert torch.equal(edges[:, [3, 4]], torch.full((8, 2), 4.0))
    assert edges[:, [0, 1, 2, 5, 6, 7]].abs().max() == 0


def test_edges_turn_with_the_picture_and_ignore_brightness():
    images = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(edge_map(images.rot90(1, (2, 3))), edge_map(images).rot90(1, (1, 2)))
    torch.testing.assert_close(edge_map(images + 5), edge_map(images), atol=1e-4, rtol=1e-4)


def test_the_lift_of_edges_is_high_where_only_the_object_has_them():
    images = torch.zeros(1, 3, 30, 30)
    images[:, :, 12:18, 12:18] = 1
    assert lift(edge_map(images), MASKS).item() == pytest.approx(9)


# --- the axis ------------------------------------------------------------------------------------------------------


def test_chance_stands_in_the_middle_and_a_quarter_and_four_times_at_the_ends():
    assert [position(value, 201) for value in (0.25, 0.5, 1, 2, 4)] == [0, 50, 100, 150, 200]
    assert (position(0, 201), position(0.01, 201), position(99, 201)) == (0, 0, 200)


@given(st.floats(0.3, 3.9), st.floats(0.3, 3.9))
def test_a_larger_lift_never_stands_further_left(one, other):
    assert (position(one, 220) <= position(other, 220)) or one > other


def test_the_mark_stands_where_it_should_and_is_missing_where_there_is_no_lift():
    colours = (10, 10, 10), (100, 100, 100), (250, 250, 250)
    picture = lift_axis(2.0, 201, *colours)
    assert picture.shape == (HEIGHT, 201, 3)
    columns = np.flatnonzero((picture == 250).all((0, 2)))
    assert columns.mean() == pytest.approx(149.5)
    assert (picture[:, 100] == 100).all(-1).sum() > HEIGHT / 2  # the tick at chance
    assert not (lift_axis(np.nan, 201, *colours) == 250).any()
