"""Guided backpropagation and deconvolution: rules by hand, functions and modules alike, and nothing that is not ours is changed."""

from __future__ import annotations

import pytest
import torch
from nets import Plain, images, trained_looking
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lightning_vis.attribution.methods.rectifiers import DeconvolvedGradients, GuidedGradients, deconvolved, guided
from lightning_vis.attribution.recorders import gradients
from lightning_vis.constants import INPUT
from lightning_vis.model.run import prepare

ENTERED = [1.0, 1.0, -1.0, -1.0]
COMING = torch.tensor([2.0, -2.0, 2.0, -2.0])


@pytest.mark.parametrize(("rule", "expected"), [(guided, [2, 0, 0, 0]), (deconvolved, [2, 0, 2, 0])])
@pytest.mark.parametrize("function", [F.relu, torch.relu, torch.relu_, lambda x: F.relu(x, inplace=True), F.relu6, nn.ReLU()])
def test_rules_by_hand(rule, expected, function):
    x = torch.tensor(ENTERED, requires_grad=True)
    y = rule(function, x * 1)
    assert y.tolist() == [1, 1, 0, 0]
    y.backward(COMING)
    assert x.grad.tolist() == expected


@pytest.mark.parametrize("function", [F.gelu, F.silu, F.mish, F.elu])
def test_what_is_like_a_relu_goes_by_its_own_derivative_where_gradients_are_above_0(function):
    x, same = (torch.tensor(ENTERED, requires_grad=True) for _ in range(2))
    guided(function, x).backward(COMING)
    function(same).backward(COMING.relu())
    assert torch.equal(x.grad, same.grad)


class Spelled(nn.Module):
    """One hidden layer whose activation is spelled as asked."""

    def __init__(self, function):
        super().__init__()
        self.one, self.two, self.function = nn.Conv2d(3, 8, 3), nn.Linear(8, 3), function

    def forward(self, x):
        return self.two(self.function(self.one(x)).mean((2, 3)))


def found_of(recorder, net):
    return recorder(prepare(net, images(3)), {"predicted": [INPUT]}).explained["predicted"].records[INPUT].gradient


SPELLINGS = [
    nn.ReLU(),
    nn.ReLU(inplace=True),
    F.relu,
    torch.relu,
    torch.relu_,
    torch.Tensor.relu,
    lambda x: x.relu_(),
    lambda x: F.relu(input=x, inplace=True),
    lambda x: (x.relu_(), x)[1],  # what was changed in place goes on
    lambda x: checkpoint(F.relu, x, use_reentrant=False),
]


@pytest.mark.parametrize("recorder", [GuidedGradients(), DeconvolvedGradients()])
@pytest.mark.parametrize("function", SPELLINGS)
def test_however_it_is_spelled(recorder, function):
    expected = found_of(recorder, trained_looking(Spelled(nn.ReLU())).eval())
    plain = found_of(gradients, trained_looking(Spelled(nn.ReLU())).eval())
    assert not torch.allclose(expected, plain)
    assert torch.equal(found_of(recorder, trained_looking(Spelled(function)).eval()), expected)


@pytest.mark.parametrize("recorder", [GuidedGradients(), DeconvolvedGradients()])
def test_the_network_answers_as_ever_and_the_plain_gradient_is_plain_again(recorder):
    net = trained_looking(Plain()).eval()
    before = found_of(gradients, net)
    found = recorder(prepare(net, images(3)), {"predicted": [INPUT]})
    assert torch.equal(found.values, net(images(3)).detach())
    assert torch.equal(found_of(gradients, net), before)


@pytest.mark.parametrize("function", [torch.tanh, torch.sigmoid, nn.Hardtanh()])
def test_a_network_without_any_relu_is_refused(function):
    with pytest.raises(ValueError, match="the network has no ReLU, nor anything like it"):
        found_of(GuidedGradients(), trained_looking(Spelled(function)).eval())


@pytest.mark.filterwarnings("ignore:.*torch.jit.* is deprecated", "ignore:.*torch.jit.script.*")
def test_a_scripted_network_is_refused():
    with pytest.raises(ValueError, match="a scripted network hides its ReLUs"):
        found_of(GuidedGradients(), torch.jit.script(trained_looking(Plain()).eval()))
