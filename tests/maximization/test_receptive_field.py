"""The crop to what a neuron sees: sizes known on paper, and the same activation as on the full image."""

from __future__ import annotations

import pytest
import torch
from nets import Depthwise, Plain, Residual, trained_looking
from torch import nn
from torch.nn import functional as F

from lightning_vis.maximization.maximizer import maximize
from lightning_vis.maximization.objectives import neuron
from lightning_vis.maximization.receptive_field import receptive_window
from lightning_vis.model.truncated import activation_of


class Functional(nn.Module):
    """No module marks where it pools."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 5, padding=2), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        return self.second(F.max_pool2d(F.relu(self.first(x)), 2))


class Squeezed(nn.Module):
    """Each channel is weighted by the mean of the whole image: every neuron sees everything."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 4, 3, padding=1), nn.Identity()

    def forward(self, x):
        x = self.conv(x)
        return self.out(x * x.mean((2, 3), keepdim=True).sigmoid())


class Fixed(nn.Module):
    """Takes one size and no other."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        if x.shape[2:] != (48, 48):
            raise RuntimeError("expected 48 x 48")
        return self.conv(x)


def window_of(model, layer, row, column, size=48):
    blank = torch.zeros(1, 3, size, size)
    activation = activation_of(model.eval(), layer, blank)
    with torch.no_grad():
        return receptive_window(activation, blank, row, column)


@pytest.mark.parametrize(
    ("model", "layer", "stride", "field"),
    [
        (Plain(), "0", 1, 3),  # one 3 x 3
        (Plain(), "4", 2, 8),  # 3, pooled by 2 (4), 3 at stride 2 (8)
        (Residual(), "layer1", 1, 7),  # three 3 x 3
        (Residual(), "layer2.0", 2, 11),  # and one of stride 2, then 3 at stride 2: 9 + ... = 7 + 2 + 2 * 2 - 2 = 11
        (Depthwise(), "norm", 2, 7),  # 3 of stride 2, then 3: 3 + 2 * 2
        (Functional(), "second", 2, 10),  # 5, pooled by 2 (6), 3 at stride 2 (10)
    ],
)
def test_the_window_is_the_receptive_field_in_whole_strides(model, layer, stride, field):
    model = trained_looking(model)
    middle = 24 // stride
    window = window_of(model, layer, middle, middle)
    assert window.height == window.width
    assert field <= window.height <= field + 2 * (stride - 1) + 1
    assert window.top % stride == window.left % stride == 0


@pytest.mark.parametrize("place", [(0, 0), (0, 11), (12, 23), (23, 1)])
@pytest.mark.parametrize(("kind", "layer"), [(Plain, "4"), (Residual, "layer2"), (Depthwise, "norm"), (Functional, "second")])
def test_the_neuron_does_in_its_window_what_it_does_in_the_full_image(kind, layer, place):
    model = trained_looking(kind()).eval()
    window = window_of(model, layer, *place)
    image = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(5))
    part = image[:, :, window.top : window.top + window.height, window.left : window.left + window.width]
    assert part[0, 0].numel() < image[0, 0].numel()
    activation = activation_of(model, layer, image)
    with torch.no_grad():
        here, there = activation(image)[:, :, place[0], place[1]], activation(part)[:, :, window.row, window.column]
    torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("model", "layer"), [(Squeezed(), "out"), (Fixed(), "conv")])
def test_where_no_crop_is_exact_the_image_stays_whole(model, layer):
    window = window_of(trained_looking(model), layer, 5, 7)
    assert (window.top, window.left, window.height, window.width, window.row, window.column) == (0, 0, 48, 48, 5, 7)


def test_strides_that_do_not_divide_the_image_keep_it_whole_or_exact():
    model = trained_looking(Residual()).eval()
    window = window_of(model, "layer2", 10, 10, size=47)
    image = torch.randn(1, 3, 47, 47)
    part = image[:, :, window.top : window.top + window.height, window.left : window.left + window.width]
    activation = activation_of(model, "layer2", image)
    with torch.no_grad():
        whole, cropped = activation(image)[0, :, 10, 10], activation(part)[0, :, window.row, window.column]
    torch.testing.assert_close(cropped, whole, rtol=1e-4, atol=1e-4)


def test_maximize_crops_for_a_neuron_and_reaches_what_the_full_image_would():
    model = trained_looking(Functional()).eval()
    batch = torch.rand(2, 3, 48, 48)
    found = maximize(model, "second", 3, batch, objective=neuron(), steps=8)
    assert max(found.images.shape[2:]) <= 12
    full = torch.zeros(3, 3, 48, 48)
    window = window_of(model, "second", 12, 12)
    full[:, :, window.top : window.top + window.height, window.left : window.left + window.width] = found.images
    with torch.no_grad():
        reached = model(full)[torch.arange(3), torch.arange(3), 12, 12]
    torch.testing.assert_close(reached, found.activation, rtol=1e-4, atol=1e-4)
