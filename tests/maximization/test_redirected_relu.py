"""Dead filters: opened where that can be done, reported where it cannot, and no business of their neighbours."""

from __future__ import annotations

import pytest
import torch
from nets import images
from torch import nn
from torch.nn import functional as F

from lightning_vis.constants import OUTPUT
from lightning_vis.maximization.ascent import RedirectedReLU
from lightning_vis.maximization.maximizer import maximize
from lightning_vis.maximization.objectives import lp_norm, total_variation
from lightning_vis.maximization.parameterizations import Canvas


class Rectified(nn.Module):
    """One convolution and a rectifier in one of the ways people write it; filter 1 is shut on ordinary images."""

    def __init__(self, rectify):
        super().__init__()
        self.conv, self.block, self.rectify = nn.Conv2d(3, 4, 3), nn.Identity(), rectify
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            self.conv.weight.copy_(torch.randn(self.conv.weight.shape, generator=generator) * 0.3)
            self.conv.bias.copy_(torch.tensor([0.5, 0.0, 0.5, -1.0]))
            self.conv.weight[3] = 0  # nothing can ever open this one
            self.conv.bias[1] = -0.5 * self.conv.weight[1].sum() - 0.5  # and a grey one with its noise stays below 0

    def forward(self, x):
        return self.block(self.rectify(self.conv(x)))


def in_place(x):
    F.relu_(x)  # what it returns is not used
    return x


WAYS = {
    "module": nn.ReLU(),
    "in-place module": nn.ReLU(inplace=True),
    "function": F.relu,
    "torch": torch.relu,
    "method": lambda x: x.relu(),
    "in-place method": lambda x: x.relu_(),
    "in-place function": in_place,
    "relu6": F.relu6,
    "relu6 module": nn.ReLU6(inplace=True),
    "clamp": lambda x: x.clamp(min=0),
    "torch clamp": lambda x: torch.clamp(x, 0, 9),
    "in-place clamp": lambda x: x.clamp_(0),
    "clamp_min": lambda x: x.clamp_min(0),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_shut_filter_is_opened_and_one_that_nothing_opens_is_reported(way):
    batch = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.4
    found = maximize(Rectified(WAYS[way]), "block", 4, batch, steps=64, transforms=())
    assert found.on_images[1] == 0  # no image excites it, so plain gradients are zero
    assert found.activation[1] > 0.05
    assert found.activation[3] == 0
    assert found.dead.tolist() == [False, False, False, True]


@pytest.mark.parametrize("prior", [total_variation(0.01), lp_norm(0.01)])
def test_priors_hide_no_shut_filter(prior):
    """They always have a gradient; whether a filter is shut is for the objective to say."""
    batch = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.4
    found = maximize(Rectified(F.relu), "block", 4, batch, steps=64, transforms=(), priors=[prior])
    assert found.activation[1] > 0.05
    assert found.dead.tolist() == [False, False, False, True]


def test_one_image_that_excites_a_filter_shows_that_it_lives():
    model = Rectified(F.relu)
    with torch.no_grad():
        model.conv.bias[1] += 0.25
    bright = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    found = maximize(model, "block", 4, bright, steps=2, parameterization=dark, transforms=())
    assert found.on_images[1] > 0
    assert not found.dead[1]


def dark(subject, generator):
    """A start at which filter 1 is shut, and stays so in two steps."""
    return Canvas(torch.zeros(1, *subject.shape), lambda values: 0.4 + 0 * values.clamp(max=0))


def test_a_number_and_a_keyword_pass_through_the_rescue():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.gain = nn.Conv2d(3, 2, 3), nn.Parameter(torch.tensor(0.5))

        def forward(self, x):
            return F.relu(input=self.conv(x) - 9) * F.relu(self.gain)

    assert maximize(Odd(), "conv", 2, torch.rand(2, 3, 8, 8), steps=2).images.shape == (2, 3, 8, 8)
    assert maximize(Odd(), OUTPUT, 2, torch.rand(2, 3, 8, 8), steps=2, forward=summed(Odd())).images.shape == (2, 3, 8, 8)


def summed(model):
    return lambda x: model(x).mean((2, 3))


def test_without_the_rescue_the_shut_filter_stays_shut(monkeypatch):
    monkeypatch.setattr("lightning_vis.maximization.ascent.RESCUE_STEPS", 0)
    batch = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.4
    assert maximize(Rectified(F.relu), "block", 4, batch, steps=64, transforms=()).activation[1] == 0


def test_a_shut_neighbour_changes_nothing():
    model, batch = Rectified(F.relu).double(), torch.rand(4, 3, 12, 12).double() * 0.2 + 0.4
    beside, alone = (maximize(model, "block", rows, batch, steps=20) for rows in ([0, 1], [0]))
    torch.testing.assert_close(beside.images[0], alone.images[0], rtol=1e-9, atol=1e-12)


def test_gradients_by_hand():
    """Row 0 is rescued: below 0 only what rises passes. Row 1 is not. In row 2 something gets through: all is usual."""
    values = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]], requires_grad=True)
    outer = torch.tensor([[0.5, -0.5, 0.0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]])
    with RedirectedReLU(torch.tensor([True, False, True])):
        (F.relu(values) * outer).sum().backward()
    assert values.grad.tolist() == [[0.5, 0.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.5, 0.0]]


def test_values_are_what_they_are_without():
    batch = images(5)
    with RedirectedReLU(torch.ones(5, dtype=torch.bool)):
        assert torch.equal(F.relu(batch), batch.clamp(0))
        assert torch.equal(F.relu6(batch * 5), (batch * 5).clamp(0, 6))
        changed = batch.clone()
        F.relu(changed, inplace=True)
        assert torch.equal(changed, batch.clamp(0))
        assert torch.equal(F.relu(torch.ones(2, 3)), torch.ones(2, 3))  # another batch is left alone
