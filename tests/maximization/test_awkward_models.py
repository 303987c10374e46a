"""Maximization of networks that do what users' networks do: draw numbers, change what they get, insist on a size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import Plain, images, trained_looking
from torch import nn

from lightning_vis.callbacks.filters import FilterMaximizationCallback
from lightning_vis.constants import OUTPUT
from lightning_vis.maximization.channels import check_channels, profile
from lightning_vis.maximization.frame_builder import facts_of
from lightning_vis.maximization.maximizer import maximize
from lightning_vis.maximization.objectives import neuron
from lightning_vis.maximization.transforms import jitter
from lightning_vis.maximization.weights import WeightFilm, feature_maps, filter_weights
from tests.maximization.test_weights import card_of


class Greedy(nn.Module):
    """Normalises what it gets where it lies."""

    def __init__(self, channels):
        super().__init__()
        self.net = trained_looking(Plain(channels=channels)).eval()

    def forward(self, x):
        x -= 0.25
        return self.net(x)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_those_of_the_user_whatever_the_network_does_with_them(channels):
    model, batch = Greedy(channels), torch.rand(3, channels, 12, 12, generator=torch.Generator().manual_seed(2))
    kept = batch.clone()
    first, again = (maximize(model, "net.4", 2, batch, steps=2) for _ in range(2))
    profile(model, "net.4", batch)
    feature_maps(model, "net.4", batch)
    assert torch.equal(batch, kept)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.on_images, again.on_images)


def test_a_network_that_draws_numbers_gives_the_same_pictures_every_time():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return torch.nn.functional.dropout(self.conv(x), 0.5)  # as often written: also in eval mode

    model, batch, found = Noisy().eval(), images(2), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append((maximize(model, OUTPUT, 2, batch, steps=3, forward=lambda x: model(x).mean((2, 3))), torch.rand(1)))
        torch.manual_seed(seed)
        assert torch.equal(found[-1][1], torch.rand(1))  # and the stream is where it was
    assert torch.equal(found[0][0].images, found[1][0].images)
    assert torch.equal(found[0][0].activation, found[1][0].activation)


def test_a_network_that_insists_on_its_size_keeps_the_full_image():
    class Sized(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            assert x.shape[2:] == (12, 12), "12 x 12, please"
            return self.conv(x)

    assert maximize(Sized(), "conv", [1], images(2), objective=neuron(), steps=2).images.shape == (1, 3, 12, 12)


@pytest.mark.parametrize("side", [1, 3, 4, 5])
def test_jitter_leaves_something_of_the_smallest_image(side):
    picture, generator = torch.rand(1, 1, side, side), torch.Generator().manual_seed(0)
    for _ in range(20):
        assert jitter(4)(picture, generator).shape == (1, 1, max(1, side - 4), max(1, side - 4))


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 4, 5), nn.Flatten(2), nn.Linear(64, 5)),
            "layer '0' holds no grid of the image; those that",
        ),
        (nn.LayerNorm(12), "layer '0' holds no grid of the image; those that do are, from the last one on: none"),
    ],
)
def test_what_may_be_no_channel_is_not_called_one(module, sentence):
    model = nn.Sequential(module)
    with pytest.raises(ValueError, match=sentence):
        maximize(model, "0", 2, images(2), steps=1)
    with pytest.raises(ValueError, match=sentence):
        profile(model, "0", images(2))


def test_each_channel_is_shown_once():
    with pytest.raises(ValueError, match=r"channels=\[1, 1, 2\]: each channel can be shown once"):
        check_channels([1, 1, 2])
    with pytest.raises(ValueError, match="each channel can be shown once"):
        FilterMaximizationCallback(["net.0"], [3, 3])


def test_a_class_that_is_called_by_the_number_of_another_is_not_mixed_up_with_it():
    found = maximize(trained_looking(Plain()).eval(), OUTPUT, 3, images(2), steps=1)
    assert [each.name for each in facts_of(found, ["2", "x"])] == ["0", "1", "2"]
    assert [each.name for each in facts_of(found, ["a", "x"])] == ["a", "x", "2"]


def test_weights_of_a_transposed_convolution_are_those_of_its_output_channels():
    layer = nn.ConvTranspose2d(5, 2, 3)
    model = nn.Sequential(layer)
    assert np.array_equal(filter_weights(model, "0"), layer.weight.detach().transpose(0, 1).numpy())
    with pytest.raises(ValueError, match="transposed convolution in 2 groups"):
        filter_weights(nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2)), "0")


def test_weights_that_begin_at_0_do_not_set_the_scale(probe_of_three):
    model, film = nn.Sequential(nn.Conv2d(3, 2, 3)), WeightFilm()
    with torch.no_grad():
        model[0].weight.zero_()
    card_of(film, model, "0", [0, 1], probe_of_three)
    with torch.no_grad():
        model[0].weight.fill_(0.05)
    card_of(film, model, "0", [0, 1], probe_of_three)
    assert film.limit == pytest.approx(0.2)


@pytest.fixture
def probe_of_three():
    from lightning_vis.probe.probe import Probe

    return Probe(images(3))
