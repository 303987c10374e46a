"""captum as a second opinion, on nets with norms, dropout, in-place activations, skip connections and depthwise filters."""

from __future__ import annotations

import pytest
import torch
from captum.attr import LayerGradCam, Saliency
from nets import Depthwise, Functional, Plain, Residual, images, trained_looking

from lightning_vis.attribution.maps import evidence_map, grad_cam_map, saliency_map
from lightning_vis.attribution.recorders import record
from lightning_vis.constants import INPUT
from lightning_vis.model.scores import log_odds, logit

# net, the layers compared. Of a layer before an in-place ReLU captum, too, keeps what it returned (it clones).
NETS = [
    (Plain, ["0", "1", "2", "4", "5", "6"]),
    (Residual, ["conv1", "bn1", "layer1.0.conv1", "layer1", "layer2.0.down", "layer2.1.bn2", "layer2"]),
    (Depthwise, ["stem.0", "stem.1", "depth", "norm", "point"]),
    (Functional, ["first", "second"]),
]
CASES = [(net, layer) for net, layers in NETS for layer in layers]
NAMES = [f"{net.__name__}-{layer}" for net, layer in CASES]


def prepared(kind, count):
    torch.manual_seed(5)
    net = trained_looking(kind()).eval()
    return net, images(count, seed=count), torch.arange(count) % 3


def agrees(found, expected, relative=1e-5):
    """Within a share of the largest value: order of summation differs, rounding with it. Empty ones are equal exactly."""
    assert (found - expected).abs().max() <= relative * expected.abs().max()


def compare(record_of_layer, captums, **arguments):
    """Grad-CAM with ReLU, and, because that may be empty, the signed map as well."""
    agrees(grad_cam_map(record_of_layer), captums.attribute(relu_attributions=True, **arguments)[:, 0].detach())
    area = record_of_layer.activation[0, 0].numel()
    signed = captums.attribute(relu_attributions=False, **arguments)[:, 0].detach()
    assert signed.abs().max() > 1e-4, "a comparison of empty maps says nothing"
    agrees(evidence_map(record_of_layer) / area, signed)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("kind", [net for net, _ in NETS], ids=lambda net: net.__name__)
def test_saliency_is_captums_exactly(kind, count):
    net, batch, target = prepared(kind, count)
    ours = saliency_map(record(net, batch, [INPUT], target, score=logit)[INPUT])
    assert torch.equal(ours, Saliency(net).attribute(batch.clone().requires_grad_(), target=target).amax(dim=1))


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("kind", [net for net, _ in NETS], ids=lambda net: net.__name__)
def test_saliency_of_the_log_odds_is_captums_exactly(kind, count):
    net, batch, target = prepared(kind, count)
    ours = saliency_map(record(net, batch, [INPUT], target)[INPUT])
    theirs = Saliency(lambda x: log_odds(net(x), target)).attribute(batch.clone().requires_grad_()).amax(dim=1)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize(("kind", "layer"), CASES, ids=NAMES)
def test_grad_cam_is_captums(kind, layer, count):
    net, batch, target = prepared(kind, count)
    cam = LayerGradCam(net, net.get_submodule(layer))
    compare(record(net, batch, [layer], target, score=logit)[layer], cam, inputs=batch, target=target)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize(("kind", "layer"), CASES, ids=NAMES)
def test_grad_cam_of_the_log_odds_is_captums(kind, layer, count):
    net, batch, target = prepared(kind, count)
    cam = LayerGradCam(lambda x: log_odds(net(x), target), net.get_submodule(layer))
    compare(record(net, batch, [layer], target)[layer], cam, inputs=batch)


def test_all_layers_at_once_are_the_same_as_one_by_one():
    net, batch, target = prepared(Residual, 5)
    names = [INPUT, *NETS[1][1]]
    together = record(net, batch, names, target)
    for name in names:
        alone = record(net, batch, [name], target)[name]
        assert torch.equal(together[name].activation, alone.activation)
        torch.testing.assert_close(together[name].gradient, alone.gradient, rtol=1e-6, atol=1e-7)
