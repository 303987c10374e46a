"""Channels last is faster, and nothing else: the same numbers, and models that do not take it are run as they are."""

from __future__ import annotations

import pytest
import torch
from nets import Plain, images, trained_looking
from torch import nn

from lightning_vis.maximization.maximizer import maximize
from lightning_vis.maximization.objectives import channel
from lightning_vis.model.truncated import channels_last, saved_bytes


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
    run = channels_last(model, model, batch)
    assert strides_seen(model, run, batch)[1] == 1
    assert batch.is_contiguous()
    assert run(batch).is_contiguous()
    torch.testing.assert_close(run(batch), model(batch))


def test_gradients_are_those_of_the_model_as_it_is():
    model, batch = maps().double(), images(4).double().requires_grad_()
    wanted = torch.autograd.grad(model(batch).square().sum(), batch)
    torch.testing.assert_close(torch.autograd.grad(channels_last(model, model, batch)(batch).square().sum(), batch), wanted)


def test_a_model_that_calls_view_is_maximized_like_one_that_calls_reshape():
    viewing, reshaping = Viewing("view").eval(), Viewing("reshape").eval()
    reshaping.load_state_dict(viewing.state_dict())
    batch = torch.rand(2, 3, 8, 8)
    with pytest.raises(RuntimeError, match="view"):
        viewing(batch.contiguous(memory_format=torch.channels_last))
    one, other = (maximize(model, "scores", 3, batch, steps=5) for model in (viewing, reshaping))
    torch.testing.assert_close(one.images, other.images, rtol=1e-4, atol=1e-5)


class Mapping(nn.Module):
    """One convolution."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(3, 4, 3, padding=1)


class Unrolled(Mapping):
    """Answers by the order in memory, which nothing forbids: it may not be changed for this one."""

    def forward(self, images):
        maps = self.maps(images)
        return maps.as_strided((len(maps), 4), (4 * maps[0, 0].numel(), maps[0, 0].numel()))


class ViewingPlanes(Mapping):
    """One image passes this view() in either order, two do not."""

    def forward(self, images):
        maps = self.maps(images)
        count, channels, height, width = maps.shape
        return maps.view(count * channels, height * width).mean(1).reshape(count, channels)


class Asserting(Mapping):
    """As some networks make sure of their own code."""

    def forward(self, images):
        assert images.is_contiguous()
        return self.maps(images).mean((2, 3))


@pytest.mark.parametrize("kind", [Unrolled, ViewingPlanes, Asserting])
def test_a_model_for_which_the_order_matters_is_run_as_it_is(kind):
    torch.manual_seed(0)
    model, batch = kind().eval(), images(3)
    before = model.maps.weight.stride()
    assert channels_last(model, model, batch) is model
    assert model.maps.weight.stride() == before
    found = maximize(model, "<output>", 2, batch, steps=2, objective=channel)
    torch.testing.assert_close(found.on_images, model(batch)[:, :2].detach().amax(0))


@pytest.mark.parametrize("memory", [2**30, 1])
def test_the_weights_lie_as_they_lay_afterwards_copied_or_watched(memory):
    model = trained_looking(Plain()).eval()
    before = [(value.data_ptr(), value.stride()) for value in model.parameters()]
    maximize(model, "4", 2, images(2), steps=2, memory=memory)
    assert [(value.data_ptr(), value.stride()) for value in model.parameters()] == before


def test_memory_is_counted_per_image_and_without_the_weights():
    """A linear layer keeps its input for nobody's gradient but its own weights', which are frozen; a ReLU its output."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 10_000), nn.ReLU(), nn.Linear(10_000, 3)).requires_grad_(False)
    batch = torch.rand(1, 3, 4, 4, requires_grad=True)
    assert saved_bytes(model, batch) == 10_000 * 4


def test_an_objective_may_call_view_on_what_the_layer_returns():
    def largest(activation, directions):
        return activation.view(len(activation), -1).amax(1)

    found = maximize(trained_looking(Plain()).eval(), "0", [0], images(2), objective=largest, steps=3)
    assert found.activation > found.history[0]
