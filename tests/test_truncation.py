"""Channels last is faster, and nothing else: the same numbers, and models that do not take it are run as they are."""

from __future__ import annotations

import pytest
import torch
from nets import Plain, images, trained_looking
from torch import nn

from lightning_vis.maximization import maximize
from lightning_vis.truncation import channels_last


class Viewing(nn.Module):
    """Calls view() on its maps, as most classifiers of tutorials do: torch refuses that where channels lie last."""

    def __init__(self, flatten):
        super().__init__()
        self.flatten = flatten
        self.maps, self.scores = nn.Conv2d(3, 4, 3), nn.Linear(4 * 6 * 6, 5)

    def forward(self, images):
        return self.scores(getattr(self.maps(images), self.flatten)(len(images), -1))


def maps():
    return nn.Sequential(*list(trained_looking(Plain()))[:4]).eval()


def strides_seen(model, activation, batch):
    seen = []
    hook = model[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].stride()))
    activation(batch)
    hook.remove()
    return seen[-1]


def test_the_network_sees_channels_last_and_the_caller_does_not():
    model, batch = maps(), images(4)
    run = channels_last(model, batch)
    assert strides_seen(model, run, batch)[1] == 1
    assert batch.is_contiguous()
    assert run(batch).is_contiguous()
    torch.testing.assert_close(run(batch), model(batch))


def test_gradients_are_those_of_the_model_as_it_is():
    model, batch = maps().double(), images(4).double().requires_grad_()
    wanted = torch.autograd.grad(model(batch).square().sum(), batch)
    torch.testing.assert_close(torch.autograd.grad(channels_last(model, batch)(batch).square().sum(), batch), wanted)


def test_a_model_that_calls_view_is_maximized_like_one_that_calls_reshape():
    viewing, reshaping = Viewing("view").eval(), Viewing("reshape").eval()
    reshaping.load_state_dict(viewing.state_dict())
    batch = torch.rand(2, 3, 8, 8)
    with pytest.raises(RuntimeError, match="view"):
        viewing(batch.contiguous(memory_format=torch.channels_last))
    one, other = (maximize(model, "scores", 3, batch, steps=5) for model in (viewing, reshaping))
    torch.testing.assert_close(one.images, other.images, rtol=1e-4, atol=1e-5)


def test_an_objective_may_call_view_on_what_the_layer_returns():
    def largest(activation, directions):
        return activation.view(len(activation), -1).amax(1)

    found = maximize(trained_looking(Plain()).eval(), "0", [0], images(2), objective=largest, steps=3)
    assert found.activation > found.history[0]
