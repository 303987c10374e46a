"""Weights and feature maps as pictures: signs, one scale, what moved, any number of channels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import Plain, images, trained_looking

from lightning_vis.maximization.weights import (
    LINE,
    WeightFilm,
    feature_maps,
    filter_weights,
    map_limits,
    map_pictures,
    weight_limit,
    weight_pictures,
)
from lightning_vis.probe.probe import Probe
from lightning_vis.render.weights import weight_sheet


def card_of(film, *arguments):
    """A look at weights as it is drawn."""
    return weight_sheet(**vars(film.look(*arguments)))


def test_colours_of_three_channels_by_hand():
    """0 is the middle of 0..255, the limit its ends; what lies beyond is drawn like the limit."""
    weights = np.zeros((1, 3, 1, 2), np.float32)
    weights[0, :, 0, 0] = (2.0, -2.0, 1.0)
    weights[0, :, 0, 1] = (9.0, -9.0, 0.0)
    drawn = weight_pictures(weights, limit=2.0)
    assert drawn.shape == (1, 1, 2, 3)
    assert drawn[0, 0, 0].tolist() == [255, 0, 191]
    assert drawn[0, 0, 1].tolist() == [255, 0, 128]


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (4, 2, 2), (5, 2, 3), (13, 4, 4)])
def test_other_numbers_of_channels_stand_in_a_square_warm_above_0_and_blue_below(count, rows, columns):
    weights = np.ones((2, count, 3, 5), np.float32)
    weights[:, -1] = -1
    weights[1] *= 1e-9
    drawn = weight_pictures(weights, limit=1.0).astype(int)
    assert drawn.shape == (2, 4 * rows - 1, 6 * columns - 1, 3)
    blocks = [drawn[:, 4 * (at // columns) :, 6 * (at % columns) :][:, :3, :5] for at in range(rows * columns)]
    assert all((block[0, ..., 0] > block[0, ..., 2]).all() for block in blocks[: count - 1])
    assert (blocks[count - 1][0, ..., 2] > blocks[count - 1][0, ..., 0]).all()
    assert all(np.ptp(block[1]) == 0 for block in blocks)  # nearly nothing looks like nothing
    assert (drawn[0, 3::4] == LINE).all()


def test_the_limit_is_four_times_the_root_mean_square():
    assert weight_limit(np.array([3.0, -4.0, 0.0, 0.0])) == pytest.approx(4 * 2.5)
    assert weight_limit(np.zeros(3)) == 1


def test_feature_maps_are_the_layers_output_and_share_a_scale_per_filter():
    model, batch = trained_looking(Plain()).eval(), images(3)
    maps = feature_maps(model, "4", batch, [5, 2])
    expected = torch.nn.Sequential(*list(model)[:5])(batch)[:, [5, 2]].detach().numpy()
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-6)
    limits = map_limits(maps)
    np.testing.assert_allclose(limits, np.abs(expected).max(axis=(0, 2, 3)), rtol=1e-5)
    assert map_pictures(maps, limits).shape == (3, 2, 6, 6, 3)
    assert not map_pictures(np.zeros((1, 1, 2, 2)), np.zeros(1)).any()


def test_the_film_keeps_its_scale_and_shows_what_moved():
    model, probe, film = trained_looking(Plain()).eval(), Probe(images(5)), WeightFilm()
    first = card_of(film, model, "0", [0, 3], probe)
    limit = film.limit
    again = card_of(film, model, "0", [0, 3], probe)
    assert np.array_equal(first, again)  # nothing moved: no change the first time, none the second
    with torch.no_grad():
        model[0].weight[3] *= 3
    moved = card_of(film, model, "0", [0, 3], probe)
    assert film.limit == limit
    rows = [slice(124 + row * 114, 124 + row * 114 + 104) for row in range(2)]
    assert np.array_equal(moved[rows[0]], again[rows[0]])
    assert not np.array_equal(moved[rows[1]], again[rows[1]])


def test_layers_without_such_weights_show_their_maps():
    assert card_of(WeightFilm(), trained_looking(Plain()).eval(), "6", [0, 1], Probe(images(2))).shape[2] == 3


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda net: filter_weights(net, "10"), r"layer '10' has a weight of shape \(3, 8\): only weights"),
        (lambda net: filter_weights(net, "2"), "layer '2' has no weight: only weights"),
        (lambda net: feature_maps(net, "10", images(2)), r"layer '10' returns \(2, 3\): only maps \(N, K, h, w\)"),
        (lambda net: feature_maps(net, "0", images(2), [6]), r"channels=\[6\]: the layer has the 6 channels 0 to 5"),
    ],
)
def test_mistakes_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(Plain().eval())
