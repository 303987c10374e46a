"""The maths of maps: a case worked by hand, the law of the evidence map, lift against a slow loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from nets import PooledLinear, images, trained_looking
from torch import nn

from lightning_vis.attribution.maps import evidence_map, grad_cam_map, is_drawable, saliency_map
from lightning_vis.attribution.metrics import lift, resized
from lightning_vis.attribution.recorders import record
from lightning_vis.attribution.records import Record
from lightning_vis.constants import INPUT
from lightning_vis.model.scores import log_odds, logit

#   A 5x5 image, two 3x3 kernels without padding, ReLU, global average pooling, linear. Every number below is worked by hand.
IMAGE = [
    [0, 0, 0, 0, 0],
    [0, 1, 2, 0, 0],
    [0, 3, 4, 0, 0],
    [0, 0, 0, 0, 5],
    [0, 0, 0, 0, 0],
]
# Kernel A takes the pixel under its centre, kernel B its right neighbour minus its centre (before ReLU).
A = [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
B = [[0, 0, 0], [0, -1, 1], [0, 0, 0]]
# Outputs 3x3 (centres at rows 1..3, columns 1..3):
A_OUT = [[1, 2, 0], [3, 4, 0], [0, 0, 0]]
# B before ReLU: [[2-1, 0-2, 0-0], [4-3, 0-4, 0-0], [0, 0, 5-0]] = [[1, -2, 0], [1, -4, 0], [0, 0, 5]]
B_OUT = [[1, 0, 0], [1, 0, 0], [0, 0, 5]]
# Means: A 10/9, B 7/9. Linear: class 0 = 9 A - 18 B, class 1 = 0 A + 9 B + 2.
# Logits: z0 = 10 - 14 = -4, z1 = 7 + 2 = 9.
LINEAR = [[9.0, -18.0], [0.0, 9.0]]
BIAS = [0.0, 2.0]
# d z0 / d activation: 9/9 = 1 everywhere for A, -18/9 = -2 everywhere for B. Grad-CAM weights: 1 and -2 (means of those).
# Sum: A - 2 B = [[1-2, 2, 0], [3-2, 4, 0], [0, 0, -10]]; evidence is nine times it; its mean is (-1+2+1+4-10) = -4 = z0.
SUM_0 = [[-1, 2, 0], [1, 4, 0], [0, 0, -10]]
# d z0 / d image: A gives 1 at its centre where A_OUT > 0: (1,1) (1,2) (2,1) (2,2).
# B gives -2 x (+1 right, -1 centre) where B was positive: centres (1,1), (2,1), (3,3):
#   centre (1,1): +2 at (1,1), -2 at (1,2);  centre (2,1): +2 at (2,1), -2 at (2,2);  centre (3,3): +2 at (3,3), -2 at (3,4).
GRADIENT_0 = [
    [0, 0, 0, 0, 0],
    [0, 3, -1, 0, 0],
    [0, 3, -1, 0, 0],
    [0, 0, 0, 2, -2],
    [0, 0, 0, 0, 0],
]
# d z1 / d activation: 0 for A, 9/9 = 1 for B.
# Log-odds of class 0 of two = z0 - z1 = -13: weights 1 - 0 = 1 for A, -2 - 1 = -3 for B.
SUM_ODDS = [[1 - 3, 2, 0], [3 - 3, 4, 0], [0, 0, -15]]


@pytest.fixture
def by_hand():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    net[0].weight.data = torch.tensor([[A], [B]], dtype=torch.float32)
    net[4].weight.data, net[4].bias.data = torch.tensor(LINEAR), torch.tensor(BIAS)
    return net


def test_the_case_worked_by_hand(by_hand):
    image = torch.tensor(IMAGE, dtype=torch.float32)[None, None]
    torch.testing.assert_close(by_hand(image), torch.tensor([[-4.0, 9.0]]))
    found = record(by_hand, image, [INPUT, "1"], [0], score=logit)
    torch.testing.assert_close(found["1"].activation[0], torch.tensor([A_OUT, B_OUT]).float())
    torch.testing.assert_close(found["1"].gradient[0], torch.tensor([1.0, -2.0])[:, None, None].expand(2, 3, 3))
    torch.testing.assert_close(found[INPUT].gradient[0, 0], torch.tensor(GRADIENT_0).float())
    torch.testing.assert_close(saliency_map(found[INPUT])[0], torch.tensor(GRADIENT_0).float().abs())
    torch.testing.assert_close(evidence_map(found["1"])[0], 9 * torch.tensor(SUM_0).float())
    torch.testing.assert_close(grad_cam_map(found["1"])[0], torch.tensor([[0.0, 2, 0], [1, 4, 0], [0, 0, 0]]))


def test_the_case_worked_by_hand_in_log_odds(by_hand):
    image = torch.tensor(IMAGE, dtype=torch.float32)[None, None]
    found = record(by_hand, image, ["1"], [0])
    torch.testing.assert_close(evidence_map(found["1"])[0], 9 * torch.tensor(SUM_ODDS).float())
    torch.testing.assert_close(grad_cam_map(found["1"])[0], torch.tensor([[0.0, 2, 0], [0, 4, 0], [0, 0, 0]]))


def test_saliency_is_the_largest_magnitude_over_channels():
    gradient = torch.tensor([[[[1.0, 0.0]], [[-3.0, 0.5]]]])
    assert saliency_map(Record(gradient, gradient)).tolist() == [[[3.0, 0.5]]]


# --- the law: with global average pooling and a linear head, the mean of the evidence map is the score less its biases -----


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_mean_of_the_evidence_of_a_logit_plus_its_bias_is_the_logit(classes):
    net, batch = trained_looking(PooledLinear(classes)), images(5)
    target = torch.arange(5) % classes
    evidence = evidence_map(record(net, batch, ["features"], target, score=logit)["features"])
    expected = net(batch).gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(evidence.mean(dim=(1, 2)) + net.fc.bias[target], expected, rtol=1e-5, atol=1e-5)


def test_of_two_classes_the_log_odds_differ_by_the_difference_of_the_biases():
    net, batch = trained_looking(PooledLinear(2)), images(5)
    target = torch.arange(5) % 2
    evidence = evidence_map(record(net, batch, ["features"], target)["features"])
    biases = net.fc.bias[target] - net.fc.bias[1 - target]
    torch.testing.assert_close(evidence.mean(dim=(1, 2)) + biases, log_odds(net(batch), target), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_of_many_classes_the_rivals_count_by_their_share(classes):
    """score = z_c - logsumexp(rivals) and d score / d z = 1 for c, -q_j for its rivals, q = softmax over them.

    With z = W gap + b the mean of the map is (z - b)_c - q (z - b), and logsumexp = q z + entropy(q), so that
    score = mean + b_c - q b - entropy(q).
    """
    net, batch = trained_looking(PooledLinear(classes)), images(6)
    target = torch.arange(6) % classes
    mean = evidence_map(record(net, batch, ["features"], target)["features"]).mean(dim=(1, 2))
    for row, own in enumerate(target.tolist()):
        logits = net(batch)[row].tolist()
        rivals = [index for index in range(classes) if index != own]
        total = sum(math.exp(logits[index]) for index in rivals)
        shares = {index: math.exp(logits[index]) / total for index in rivals}
        biases = net.fc.bias[own].item() - sum(share * net.fc.bias[index].item() for index, share in shares.items())
        entropy = -sum(share * math.log(share) for share in shares.values())
        assert mean[row].item() + biases - entropy == pytest.approx(logits[own] - math.log(total), rel=1e-5, abs=1e-5)


# --- lift, sizes, empty maps ----------------------------------------------------------------------------------------------


def test_lift_agrees_with_a_slow_loop():
    maps, masks = images(3, 6).sum(1), (images(3, 12, seed=2)[:, 0] > 0.5).float()
    big = resized(maps.abs(), (12, 12))
    for row, found in enumerate(lift(maps, masks)):
        on_object = mass = 0.0
        for y in range(12):
            for x in range(12):
                mass += big[row, y, x].item()
                on_object += big[row, y, x].item() * masks[row, y, x].item()
        assert found.item() == pytest.approx(on_object / mass / (masks[row].sum().item() / 144), rel=1e-5)


def test_lift_is_one_for_an_even_map_and_one_over_the_area_for_a_map_on_the_object_only():
    masks = torch.zeros(2, 8, 8)
    masks[:, :4, :2] = 1
    maps = torch.stack((torch.full((8, 8), 3.0), masks[0] * 0.1))
    assert lift(maps, masks).tolist() == pytest.approx([1.0, 8.0])


def test_lift_counts_the_magnitude_of_signed_maps():
    masks = torch.zeros(1, 2, 2)
    masks[0, 0] = 1
    assert lift(torch.tensor([[[-3.0, -3.0], [1.0, 1.0]]]), masks).item() == pytest.approx(1.5)


def test_lift_of_what_says_nothing_is_nan():
    broken = torch.stack((torch.zeros(4, 4), torch.full((4, 4), torch.nan), torch.full((4, 4), torch.inf), torch.ones(4, 4)))
    masks = torch.ones(4, 4, 4)
    masks[3] = 0
    assert lift(broken, masks).isnan().all()
    assert is_drawable(broken).tolist() == [False, False, False, True]


def test_maps_are_enlarged_bilinearly_with_corners_not_aligned():
    # Samples of a step 0 -> 1 at positions -0.25, 0.25, 0.75, 1.25, the outer ones clamped.
    assert resized(torch.tensor([[[0.0, 1.0]]]), (1, 4))[0, 0].tolist() == pytest.approx([0, 0.25, 0.75, 1])
    np.testing.assert_allclose(resized(torch.full((1, 3, 3), 2.5), (7, 5)), 2.5, rtol=1e-6)


@pytest.mark.parametrize("to_map", [grad_cam_map, evidence_map])
def test_a_layer_without_maps_is_refused_in_words(to_map):
    with pytest.raises(ValueError, match=r"returns \(2, 5\), no maps \(N, K, h, w\): name a convolution"):
        to_map(Record(torch.zeros(2, 5), torch.zeros(2, 5)))
