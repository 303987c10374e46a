"""Cards of weights: which filter stands in which row, what moved since the last look, on one scale, and whose maps."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from nets import images
from PIL import Image
from torch import nn

from lightning_vis.maximization.weights import IMAGES, WeightFilm, map_pictures, weight_pictures
from lightning_vis.probe.probe import Probe
from lightning_vis.render.canvas.style import GAP, TEXT
from lightning_vis.render.canvas.tiles import fit
from lightning_vis.render.weights import SIDE
from tests.callbacks.test_filters import Frozen, filters, loader
from tests.maximization.test_weights import card_of

WEIGHTS, CHANGE, MAPS = 0, 1, 2
"""Columns of a card; a map for each image from the third on."""


def tile(card, row, column):
    """A square of a card; the names stand left of the first column, the probe's images above the first row."""
    top, left = SIDE + 2 * GAP + row * (SIDE + GAP), 2 * GAP + 2 * TEXT + column * (SIDE + GAP)
    return card[top : top + SIDE, left : left + SIDE]


def read_back(square, height, width):
    """The picture that was enlarged without smoothing: the pixel in the middle of each of its cells."""
    block = SIDE / max(height, width)
    top, left = (SIDE - height * block) / 2, (SIDE - width * block) / 2
    rows, columns = (
        [int(start + (at + 0.5) * block) for at in range(count)] for start, count in ((top, height), (left, width))
    )
    return square[np.ix_(rows, columns)]


class Moving(nn.Sequential):
    """A convolution of six filters whose weights are those of one moment of a film."""

    def __init__(self, channels):
        super().__init__(nn.Conv2d(channels, 6, 3, bias=False))
        self.moments = torch.randn(3, *self[0].weight.shape, generator=torch.Generator().manual_seed(channels))
        self.moments[1] *= 2

    def at(self, moment):
        with torch.no_grad():
            self[0].weight.copy_(self.moments[moment])
        return self


def scale_of(weights):
    """Four times the root mean square of all filters of a layer, however many are shown."""
    values = weights.double().flatten().tolist()
    return 4 * (sum(value * value for value in values) / len(values)) ** 0.5


@pytest.fixture(params=[3, 2])
def cards(request):
    """Three looks at filters 4 and 1, and the network; of three input channels (colours) or two (blocks)."""
    model, film = Moving(request.param), WeightFilm()
    probe = Probe(images(6, channels=request.param))
    return model, probe, [card_of(film, model.at(moment), "0", [4, 1], probe) for moment in range(3)]


def test_weights_are_those_of_the_filters_named_on_the_scale_of_the_first_look(cards):
    model, _, drawn = cards
    for moment, card in enumerate(drawn):
        expected = weight_pictures(model.moments[moment][[4, 1]].numpy(), scale_of(model.moments[0]))
        for row in range(2):
            assert np.array_equal(read_back(tile(card, row, WEIGHTS), *expected.shape[1:3]), expected[row])


def test_the_change_is_what_moved_since_the_last_look_on_the_same_scale(cards):
    model, _, drawn = cards
    moved = [torch.zeros_like(model.moments[0]), *(model.moments[1:] - model.moments[:-1])]
    for card, difference in zip(drawn, moved, strict=True):
        expected = weight_pictures(difference[[4, 1]].numpy(), scale_of(model.moments[0]))
        for row in range(2):
            assert np.array_equal(read_back(tile(card, row, CHANGE), *expected.shape[1:3]), expected[row])


def test_three_input_channels_are_the_colours_of_the_weights_worked_by_hand():
    """127.5 is 0, and 127.5 more or less the limit; rounded to even, as numpy does."""
    model, film = Moving(3), WeightFilm()
    limit = scale_of(model.moments[0])
    card_of(film, model.at(0), "0", [5], Probe(images(1)))
    card = card_of(film, model.at(1), "0", [5], Probe(images(1)))
    for column, weights in ((WEIGHTS, model.moments[1][5]), (CHANGE, model.moments[1][5] - model.moments[0][5])):
        found = read_back(tile(card, 0, column), 3, 3)
        for y, x, channel in np.ndindex(3, 3, 3):
            share = max(-1.0, min(1.0, weights[channel, y, x].item() / limit))
            assert abs(int(found[y, x, channel]) - (127.5 + 127.5 * share)) <= 0.501


def test_maps_are_the_answers_of_the_filters_named_to_the_first_images_each_row_on_its_own_scale(cards):
    model, probe, drawn = cards
    for moment, card in enumerate(drawn):
        kernels = model.moments[moment][[4, 1]]
        windows = probe.images[:IMAGES].unfold(2, 3, 1).unfold(3, 3, 1)
        answers = torch.einsum("nchwyx,kcyx->nkhw", windows, kernels).numpy()
        expected = map_pictures(answers, np.abs(answers).max((0, 2, 3)))
        for row, image in np.ndindex(2, IMAGES):
            shown, wanted = (each.astype(int) for each in (tile(card, row, MAPS + image), fit(expected[image, row], SIDE)))
            assert np.abs(shown - wanted).max() <= 1  # another order of the sum, one level
        assert card.shape[1] == 2 * GAP + 2 * TEXT + (MAPS + IMAGES) * (SIDE + GAP)


def test_above_the_maps_stand_the_images_they_answer_to(cards):
    _, probe, drawn = cards
    for image in range(IMAGES):
        left = 2 * GAP + 2 * TEXT + (MAPS + image) * (SIDE + GAP)
        assert np.array_equal(drawn[0][GAP : GAP + SIDE, left : left + SIDE], fit(probe.inputs().pictures[image], SIDE))


class Turning(Frozen):
    """Filter 2 of the first layer turns round before each epoch; nothing else moves."""

    def on_train_epoch_start(self):
        with torch.no_grad():
            self.net[0].weight[2] *= -1


def test_in_the_event_files_only_the_filter_that_moved_has_a_change(trainer, events):
    torch.manual_seed(0)
    trainer([filters(layers=["net.0"], weights=True, steps=1)], max_epochs=2).fit(Turning(rate=0.0), loader())
    halves = [Image.open(io.BytesIO(each.encoded_image_string)) for each in events().Images("weights/net.0")]
    cards = [np.asarray(each.resize((2 * each.width, 2 * each.height), Image.Resampling.NEAREST)) for each in halves]
    assert len(cards) == 2  # of the first look and the last one
    strength = [[spread(tile(card, row, CHANGE)) for row in range(3)] for card in cards]
    assert max(strength[0]) < 8  # nothing moved before the first look: grey, but for JPEG
    first, second, turned = strength[1]  # since the first look it would be turned back
    assert max(first, second) < 8 < 60 < turned


def spread(square):
    """From the darkest to the brightest value, the edge left out, where JPEG mixes it with what is beside."""
    return int(np.ptp(square[16:-16, 16:-16].astype(int)))
