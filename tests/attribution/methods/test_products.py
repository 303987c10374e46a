"""Grad-CAM++, HiResCAM, LayerCAM, input x gradient: numbers worked by hand, and slow loops after the papers' formulas."""

from __future__ import annotations

import pickle

import pytest
import torch
from nets import Plain, PooledLinear, Residual, Tokens, images, trained_looking

from lightning_vis import attribution
from lightning_vis.attribution.maps import evidence_map
from lightning_vis.attribution.methods.products import grad_cam_plus_plus_map, layer_cam_map, product_map
from lightning_vis.attribution.pipeline import look, try_look
from lightning_vis.attribution.places import find_places
from lightning_vis.attribution.recorders import record
from lightning_vis.attribution.records import Record
from lightning_vis.constants import INPUT, SENSITIVITIES
from lightning_vis.model.run import ForwardConfig
from lightning_vis.probe.probe import Probe
from tests.attribution.test_recorders import counting

ONE_PASS = [attribution.input_x_gradient, attribution.grad_cam_plus_plus, attribution.hires_cam, attribution.layer_cam]

# one image, two channels, 2 x 2 places
ACTIVATION = torch.tensor([[[[1.0, 2.0], [0.0, 3.0]], [[2.0, 0.0], [1.0, 1.0]]]])
GRADIENT = torch.tensor([[[[1.0, -1.0], [2.0, 0.0]], [[-1.0, 1.0], [0.5, -2.0]]]])
HAND = Record(ACTIVATION, GRADIENT)


def test_products_by_hand():
    # channel 1: 1, -2, 0, 0; channel 2: -2, 0, 0.5, -2
    assert product_map(HAND).tolist() == [[[-1.0, -2.0], [0.5, -2.0]]]


def test_layer_cam_by_hand():
    # positive gradients: channel 1: 1, 0, 2, 0; channel 2: 0, 1, 0.5, 0; times activations and added: 1, 0, 0.5, 0
    assert layer_cam_map(HAND).tolist() == [[[1.0, 0.0], [0.5, 0.0]]]
    assert layer_cam_map(Record(-ACTIVATION, GRADIENT)).tolist() == [[[0.0, 0.0], [0.0, 0.0]]]


def test_grad_cam_plus_plus_by_hand():
    # channel 1, sum of A = 6: a = 1 / (2 + 6) = 1/8 where g = 1, 1 / (2 + 12) = 1/14 where g = 2; weight 1/8 + 2/14
    # channel 2, sum of A = 4: a = 1 / (2 + 4) = 1/6 where g = 1, 1 / (2 + 2) = 1/4 where g = 1/2; weight 1/6 + 1/8
    one, two = 1 / 8 + 1 / 7, 1 / 6 + 1 / 8
    expected = one * ACTIVATION[:, 0] + two * ACTIVATION[:, 1]
    torch.testing.assert_close(grad_cam_plus_plus_map(HAND), expected)


def slow_grad_cam_plus_plus(record):
    """The paper's equation 19, with the derivatives of an exponential of a ReLU network's score."""
    count, channels, height, width = record.activation.shape
    maps = torch.zeros(count, height, width, dtype=torch.float64)
    for image in range(count):
        for channel in range(channels):
            a, g = record.activation[image, channel].double(), record.gradient[image, channel].double()
            weight = 0.0
            for i in range(height):
                for j in range(width):
                    if g[i, j] != 0:
                        share = g[i, j] ** 2 / (2 * g[i, j] ** 2 + sum(each * g[i, j] ** 3 for each in a.flatten()))
                        weight += share * max(g[i, j], torch.tensor(0.0))
            maps[image] += weight * a
    return maps.relu()


def slow_product(record, *, positive):
    count, channels, height, width = record.activation.shape
    maps = torch.zeros(count, height, width, dtype=torch.float64)
    for at in torch.cartesian_prod(*map(torch.arange, (count, channels, height, width))).tolist():
        gradient = record.gradient[tuple(at)].double()
        maps[at[0], at[2], at[3]] += (gradient.relu() if positive else gradient) * record.activation[tuple(at)].double()
    return maps.relu() if positive else maps


@pytest.mark.parametrize(("kind", "layer"), [(Plain, "6"), (Residual, "layer1"), (Residual, "layer2.1.bn2")])
def test_slow_loops_agree(kind, layer):
    found = record(trained_looking(kind()).eval(), images(3), [layer])[layer]
    close = {"rtol": 1e-4, "atol": 1e-6}
    torch.testing.assert_close(grad_cam_plus_plus_map(found).double(), slow_grad_cam_plus_plus(found), **close)
    torch.testing.assert_close(product_map(found).double(), slow_product(found, positive=False), **close)
    torch.testing.assert_close(layer_cam_map(found).double(), slow_product(found, positive=True), **close)


def test_gradients_too_small_for_cubes_are_no_zeros():
    found = Record(ACTIVATION, GRADIENT * 1e-20)
    torch.testing.assert_close(
        grad_cam_plus_plus_map(found) * 2e20, (GRADIENT.relu().sum((2, 3))[..., None, None] * ACTIVATION).sum(1)
    )


def test_where_all_is_pooled_hires_cam_is_the_evidence_over_the_area():
    found = record(trained_looking(PooledLinear(4)).eval(), images(3), ["features"])["features"]
    torch.testing.assert_close(product_map(found) * 100, evidence_map(found), rtol=1e-4, atol=1e-5)


def test_input_x_gradient_adds_up_to_the_score_of_a_linear_network():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(432, 3, bias=False)).eval()
    found = record(net, images(3), [INPUT], 1, score=lambda output, classes: output[:, 1])[INPUT]
    torch.testing.assert_close(product_map(found).sum((1, 2)), net(images(3))[:, 1].detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("to_map", [product_map, layer_cam_map, grad_cam_plus_plus_map])
def test_a_layer_without_a_grid_is_refused(to_map):
    with pytest.raises(ValueError, match=r"no maps \(N, K, h, w\)"):
        to_map(Record(torch.zeros(2, 3), torch.zeros(2, 3)))


@pytest.mark.parametrize("to_map", [product_map, layer_cam_map, grad_cam_plus_plus_map])
def test_volumes_have_maps_with_depth(to_map):
    deep = Record(ACTIVATION[:, :, None].expand(-1, -1, 3, -1, -1), GRADIENT[:, :, None].expand(-1, -1, 3, -1, -1))
    assert to_map(deep).shape == (1, 3, 2, 2)


@pytest.mark.parametrize("kind", [Residual, Tokens])
def test_all_of_them_cost_one_forward_and_one_backward(kind, monkeypatch):
    net, probe, views = trained_looking(kind()).eval(), Probe(images(4)), [make() for make in ONE_PASS]
    running, failed = find_places(net, probe, ForwardConfig(), views)
    with counting(net, monkeypatch) as counts:
        attempt = try_look(net, probe, views, running)
    assert failed == attempt.failures == {}
    assert counts == {"forward": 1, "grad": 1}
    assert list(attempt.frame.maps) == ["input_x_gradient", "grad_cam_plus_plus", "hires_cam", "layer_cam"]


@pytest.mark.parametrize("make", ONE_PASS)
def test_in_chunks_they_are_the_same(make):
    net, probe = trained_looking(Residual()).eval(), Probe(images(5))
    whole, parts = (look(net, probe, [make()], chunk_size=size).maps[make().key].values for size in (None, 2))
    torch.testing.assert_close(torch.tensor(parts), torch.tensor(whole), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", ONE_PASS)
def test_views_are_named_as_people_look_for_them(make):
    assert make().key == make.__name__
    assert make(target="label").key == f"{make.__name__}+label"
    assert pickle.loads(pickle.dumps(make())) == make()


@pytest.mark.parametrize("make", [attribution.smooth_grad, attribution.saliency])
def test_only_what_shows_sensitivity_is_said_to(make):
    assert make().title in SENSITIVITIES
    others = [*ONE_PASS, attribution.integrated_gradients, attribution.score_cam, attribution.guided_backprop]
    assert not {each().title for each in others} & {*SENSITIVITIES}
