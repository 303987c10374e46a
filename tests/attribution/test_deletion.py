"""Faithfulness: curves by hand of a network whose score is the sum of known pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import Residual, images, trained_looking
from torch import nn

from lightning_vis.attribution import evidence, faithfulness, input_x_gradient, occlusion, saliency
from lightning_vis.attribution.deletion import STEPS, area, curve, order_of
from lightning_vis.attribution.views import View
from lightning_vis.constants import INPUT
from lightning_vis.probe.probe import Probe

PIXELS = torch.tensor([[[[4.0, 1.0], [2.0, 3.0]]]])


def summed(batch):
    return batch.sum((1, 2, 3))


def test_by_hand():
    order = order_of(PIXELS[:, 0])
    assert order.tolist() == [[[0, 3], [2, 1]]]
    assert curve(summed, PIXELS, order, 4, inserts=False).tolist() == [[10, 6, 3, 1, 0]]
    assert curve(summed, PIXELS, order, 4, inserts=True).tolist() == [[0, 4, 7, 9, 10]]
    assert curve(summed, PIXELS, 3 - order, 2, inserts=False).tolist() == [[10, 7, 0]]


def test_areas_by_hand():
    assert area(np.array([[10.0, 6, 3, 1, 0], [0, 4, 7, 9, 10]])).tolist() == [3.75, 6.25]
    assert area(np.array([[1.0, 1.0]])).tolist() == [1]


def test_what_is_equal_comes_in_random_order_the_same_each_time():
    flat = order_of(torch.zeros(2, 8, 8))
    assert torch.equal(flat[0].flatten().sort().values, torch.arange(64))
    assert torch.equal(flat[0], flat[1])
    assert torch.equal(flat, order_of(torch.ones(2, 8, 8)))
    assert (flat[0].flatten() != torch.arange(64)).float().mean() > 0.8
    halves = torch.zeros(1, 8, 8)
    halves[:, :, 4:] = 1
    assert order_of(halves)[0, :, 4:].max() == 31


class Corner(nn.Module):
    """Its score is the sum of the pixels of one corner, a quarter of the image."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.weight * x[:, 0, :10, :10].sum((1, 2))


def test_a_network_whose_score_is_the_sum_of_a_corner_has_known_curves():
    """400 pixels, 20 a step: five steps take the whole corner away."""
    probe = Probe(torch.ones(2, 3, 20, 20))
    found = faithfulness(Corner(), probe, [input_x_gradient()], score=lambda output, _: output, task="unknown")
    one = found["input_x_gradient"]
    down = [100 - 20 * min(step, 5) for step in range(STEPS + 1)]
    assert one.deletion.tolist() == [down, down]
    assert one.insertion.tolist() == [[100 - each for each in down]] * 2
    even = 100 - 100 * np.arange(STEPS + 1) / STEPS
    assert np.abs(one.random_deletion - even).max() < 15
    assert one.deletion_gain == pytest.approx(50 - 12.5, abs=5)  # areas of 50 and of 100 x 0.25 / 2
    assert one.insertion_gain == pytest.approx(87.5 - 50, abs=5)


def against(record):
    """The worst map there is: what speaks for the class comes last."""
    return -(record.activation * record.gradient).sum(1)


def test_a_map_turned_round_is_worse_than_chance():
    views = [View("wrong", (INPUT,), against), input_x_gradient()]
    found = faithfulness(Corner(), Probe(torch.ones(2, 3, 20, 20)), views, score=lambda output, _: output, task="unknown")
    assert found["wrong"].deletion_gain < -30
    assert found["wrong"].insertion_gain < -30


def test_of_a_classifier_they_are_probabilities_of_what_is_explained():
    net, labels = trained_looking(Residual()), torch.tensor([0, 1, 2, 0])
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = faithfulness(net, Probe(images(4), labels), [evidence(), saliency(), occlusion()])
    assert list(found) == ["evidence", "saliency", "occlusion"]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    p = net.eval()(images(4)).softmax(1).detach()
    np.testing.assert_allclose(found["evidence"].deletion[:, 0], p[range(4), labels], rtol=1e-4)
    np.testing.assert_allclose(found["saliency"].deletion[:, 0], p.amax(1), rtol=1e-4)
    np.testing.assert_allclose(found["saliency"].insertion[:, -1], p.amax(1), rtol=1e-4)
    empty = net(torch.zeros(1, 3, 12, 12)).softmax(1)[0].detach()
    np.testing.assert_allclose(found["evidence"].insertion[:, 0], empty[labels], rtol=1e-4)
    assert all(each.insertion.shape == (4, STEPS + 1) for each in found.values())


def test_in_chunks_they_are_the_same():
    net, probe = trained_looking(Residual()).eval(), Probe(images(5))
    whole, parts = (faithfulness(net, probe, [saliency()], chunk_size=size)["saliency"] for size in (None, 2))
    np.testing.assert_allclose(parts.deletion, whole.deletion, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(parts.random_insertion, whole.random_insertion, rtol=1e-4, atol=1e-6)


def test_volumes_are_refused():
    with pytest.raises(ValueError, match=r"takes images \(N, C, H, W\)"):
        faithfulness(Corner(), Probe(torch.ones(2, 1, 3, 8, 8)))
