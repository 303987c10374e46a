"""In which colours, range and size filters are drawn, what is called dead, and that a film follows the weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import Plain, images, trained_looking
from torch import nn
from torch.nn import functional as F

from lightning_vis.frames import filters_of
from lightning_vis.maximization.frame_builder import shown
from lightning_vis.maximization.maximizer import maximize
from lightning_vis.maximization.objectives import neuron
from lightning_vis.maximization.presets import Recipe, adam, default_recipe
from lightning_vis.probe.probe import Probe
from tests.callbacks.test_filters import Frozen, filters, loader

MEAN, STD = (0.3, 0.5, 0.6), (0.1, 0.25, 2.0)


def coloured(count=20, side=24):
    """Pictures in 0..1 whose channels correlate and vary very differently, in float64."""
    noise = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(5)).double()
    mixing = torch.tensor([[0.10, 0.02, 0.00], [0.02, 0.05, 0.01], [0.01, -0.01, 0.02]]).double()
    return (0.5 + torch.einsum("dc,nchw->ndhw", mixing, noise)).clamp(0, 1)


def normalised(pictures):
    shift, factor = (torch.tensor(values).double().view(1, 3, 1, 1) for values in (MEAN, STD))
    return (pictures - shift) / factor


def waves(seed, height, width):
    """The waves of the start, before they are mixed to colours: 1 / frequency, numpy's inverse transform, Lucid's 4."""
    spectrum = torch.randn(1, 3, height, width // 2 + 1, 2, generator=torch.Generator().manual_seed(seed))[0] * 0.01
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    weighted = torch.view_as_complex(spectrum).numpy() / np.maximum(frequencies, 1 / max(height, width))
    return np.fft.irfft2(weighted, (height, width), norm="ortho").reshape(3, -1) / 4


@pytest.mark.parametrize("scaled", [False, True])
def test_the_canvas_has_the_covariance_of_the_pictures_whatever_the_model_takes(scaled):
    """With a rate of 0 the image is the start: sigmoid(B waves). The B that solves it has B B' = covariance, but for size."""
    pictures = coloured()
    batch = normalised(pictures) if scaled else pictures
    still = replace(default_recipe(), update=adam(0.0))
    arguments = {"preset": still, "steps": 1, "seed": 3} | ({"mean": MEAN, "std": STD} if scaled else {})
    found = maximize(trained_looking(Plain()).double().eval(), "4", 1, batch, **arguments).images
    unit = found * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1) if scaled else found
    colours, *_ = np.linalg.lstsq(waves(3, 24, 24).T, torch.logit(unit[0]).flatten(1).T.numpy(), rcond=None)
    covariance = np.cov(pictures.transpose(0, 1).flatten(1).numpy(), bias=True)
    ratio = colours.T @ colours / covariance
    assert ratio == pytest.approx(np.full((3, 3), ratio[0, 0]), rel=1e-3)


def test_the_callback_keeps_to_the_range_that_mean_and_std_say(trainer, events):
    """The film holds what a maximization by hand gives with them, to the last bit, and other numbers than without them."""
    probe = Probe(normalised(coloured(4, 56)).float(), mean=MEAN, std=STD)
    torch.manual_seed(0)
    callback, model = filters(probe=probe, layers=["net.4"], steps=12, scalars=True), Frozen(rate=0.0)
    trainer([callback], max_epochs=1).fit(model, loader())
    by_hand = maximize(model, "net.4", 3, probe.images, steps=12, mean=MEAN, std=STD)
    frame = callback.film.frames[-1]
    assert np.array_equal(frame.pictures["filters/net.4"].values, shown(by_hand.pictures))
    written = [events().Scalars(f"filters/net.4/{index}/activation")[-1].value for index in range(3)]
    assert written == pytest.approx(by_hand.activation.tolist(), rel=1e-5)
    guessed = maximize(model, "net.4", 3, probe.images, steps=12)
    assert not np.allclose(guessed.activation, by_hand.activation, rtol=0.01)


def test_pictures_have_the_size_that_was_asked_for(trainer):
    model, batch = trained_looking(Plain()).eval(), images(2)
    found = maximize(model, "4", [5, 2], batch, size=(20, 31), steps=3)
    assert found.images.shape == found.pictures.shape == (2, 3, 20, 31)
    reached = nn.Sequential(*list(model)[:5])(found.images)[[0, 1], [5, 2]].mean((1, 2))
    assert found.activation.tolist() == pytest.approx(reached.tolist(), rel=1e-5)
    callback, frozen = filters(probe=Probe(batch), layers=["net.4"], size=(40, 56)), Frozen(rate=0.0)
    trainer([callback], max_epochs=1).fit(frozen, loader())
    kept = callback.film.frames[-1].pictures["filters/net.4"].values  # as large as a film keeps them, in a square
    by_hand = maximize(frozen, "net.4", 3, batch, steps=3, size=(40, 56))
    assert np.array_equal(kept[:, 8:48], shown(by_hand.pictures))


def test_colours_are_shown_as_they_are_and_one_channel_grey():
    values = torch.rand(2, 5, 4, 3, generator=torch.Generator().manual_seed(0))
    values[0, 0, 0, 0], values[0, 1, 0, 0], values[0, 2, 0, 0] = 1.2, -0.1, float("nan")
    drawn = {count: shown(values[:, :count]) for count in (1, 2, 3, 5)}
    for row, y, x, colour in np.ndindex(2, 4, 3, 3):
        value = values[row, colour, y, x].item()
        level = round(255 * min(1.0, max(0.0, 0.0 if value != value else value)))
        assert drawn[3][row, y, x, colour] == drawn[5][row, y, x, colour] == level
        assert drawn[1][row, y, x, colour] == drawn[2][row, y, x, colour] == drawn[3][row, y, x, 0]


class Bright(nn.Module):
    """Filter 0 answers to red above 0.9, filter 1 to nothing, filter 2 to any red; the start is grey, about 0.5."""

    def __init__(self, gate):
        super().__init__()
        self.conv, self.out, self.gate = nn.Conv2d(3, 3, 1), nn.Identity(), gate
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, 0] = self.conv.weight[2, 0] = 1
            self.conv.bias.copy_(torch.tensor([-0.9, -0.9, 0.0]))

    def forward(self, x):
        return self.out(self.gate(self.conv(x)))


@pytest.mark.parametrize(("gate", "steps"), [(F.relu, 1), (lambda x: F.threshold(x, 0.0, 0.0), 20)])
def test_a_filter_that_some_probe_image_excites_is_not_dead_though_nothing_opened_it(gate, steps):
    """The rescue knows no threshold, and a single step ends before it helps: no gradient to the end in either."""
    batch = torch.full((3, 3, 6, 6), 0.5)
    batch[1, 0, 2, 2] = 1.0
    found = maximize(Bright(gate), "out", 3, batch, steps=steps, transforms=[])
    assert found.activation[:2].tolist() == [0, 0]
    assert found.on_images.tolist() == pytest.approx([0.1 / 36, 0, 0.5 + 0.5 / 36], rel=1e-4)
    assert found.dead.tolist() == [False, True, False]


def test_a_filter_that_its_picture_excites_is_not_dead_though_no_gradient_is_left():
    """Opened by the rescue, its pixels have gone up to where it is flat, and no given image does that."""
    model = Bright(lambda x: F.hardtanh(100 * (x + 0.39), 0.0, 1.0))  # filter 0 answers to red above 0.51
    found = maximize(model, "out", 2, torch.full((2, 3, 6, 6), 0.5), steps=40, transforms=[])
    assert found.on_images.tolist() == [0, 0]
    assert found.activation[0] > 0.9
    assert found.activation[1] == 0
    assert found.dead.tolist() == [False, True]


class Swapped(Frozen):
    """Filters 0 and 2 of a layer in the middle change places before every epoch."""

    def on_train_epoch_start(self):
        with torch.no_grad():
            for values in (self.net[4].weight, self.net[4].bias):
                values[[0, 2]] = values[[2, 0]]


def facts(frame, layer):
    return np.array([(each.reached, each.on_probe) for each in filters_of(frame, layer)])


def differences(one, other):
    return np.abs(one.astype(int) - other.astype(int))


def test_two_filters_whose_weights_are_swapped_swap_their_pictures_and_their_numbers(trainer):
    torch.manual_seed(0)
    callback = filters(layers=["net.4"], channels=4, steps=16)
    trainer([callback], max_epochs=2, precision="64-true").fit(Swapped(rate=0.0), loader())
    first, swapped, again = callback.film.frames
    pictures = [frame.pictures["filters/net.4"].values for frame in (first, swapped, again)]
    assert differences(pictures[0][0], pictures[0][2]).max() > 20  # they can be told apart
    for place, came_from in enumerate([2, 1, 0, 3]):
        assert np.array_equal(pictures[1][place], pictures[0][came_from])
        assert np.array_equal(pictures[2][place], pictures[0][place])
    np.testing.assert_allclose(facts(swapped, "net.4"), facts(first, "net.4")[[2, 1, 0, 3]], rtol=1e-9)
    np.testing.assert_allclose(facts(again, "net.4"), facts(first, "net.4"), rtol=1e-9)


class Doubling(Frozen):
    """The first layer, linear in the image, is doubled before every epoch."""

    def on_train_epoch_start(self):
        with torch.no_grad():
            for values in self.net[0].parameters():
                values *= 2


def test_a_linear_layer_that_is_doubled_reaches_twice_as_much_with_the_same_picture(trainer):
    """Adam's step does not know how large a gradient is, but for an epsilon of 1e-8."""
    torch.manual_seed(0)
    still = Recipe(default_recipe().parameterization, lambda height, width: (), adam(0.05))
    callback = filters(layers=["net.0"], channels=6, steps=24, objective=neuron(), preset=still)
    trainer([callback], max_epochs=3, precision="64-true").fit(Doubling(rate=0.0), loader())
    first = callback.film.frames[0]
    assert len(callback.film.frames) == 4
    for doublings, frame in enumerate(callback.film.frames):
        np.testing.assert_allclose(facts(frame, "net.0"), facts(first, "net.0") * 2**doublings, rtol=1e-4)
        pictures = [each.pictures["filters/net.0"].values for each in (frame, first)]
        assert differences(*pictures).max() <= 1
