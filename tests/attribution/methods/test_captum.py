"""captum as a second opinion on every method that it has, on five architectures, a transformer among them."""

from __future__ import annotations

import pytest
import torch
from captum.attr import (
    Deconvolution,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
)
from nets import Depthwise, Functional, Plain, Residual, Tokens, images, trained_looking
from torch import nn

from lightning_vis.attribution.maps import grad_cam_map, saliency_map
from lightning_vis.attribution.methods.averages import NoisyGradients, PathGradients, noises
from lightning_vis.attribution.methods.products import product_map
from lightning_vis.attribution.methods.rectifiers import DeconvolvedGradients, GuidedGradients
from lightning_vis.attribution.methods.windows import Occlusion as Windows
from lightning_vis.attribution.methods.windows import occlusion_map
from lightning_vis.attribution.recorders import gradients, record
from lightning_vis.constants import INPUT
from lightning_vis.model.run import prepare
from lightning_vis.model.scores import logit

CLASSES = 3
NETS = [(Plain, "4"), (Residual, "layer2"), (Depthwise, "point"), (Functional, "second"), (Tokens, "patches")]
KINDS = [pytest.param(kind, id=kind.__name__) for kind, _ in NETS]
COUNT = 4


def prepared(kind):
    torch.manual_seed(5)
    return trained_looking(kind()).eval(), images(COUNT, seed=3), torch.arange(COUNT) % CLASSES


def recorded(recorder, net, batch, target):
    """What a recorder finds at the images, for each image's own class."""
    found = recorder(prepare(net, batch, target, score=logit), {"label": [INPUT]})
    return found.explained["label"].records[INPUT]


def agrees(found, expected, relative=1e-4):
    """Within a share of the largest value, which is not nothing."""
    assert expected.abs().max() > 1e-5
    assert (found - expected).abs().max() <= relative * expected.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_saliency(kind):
    net, batch, target = prepared(kind)
    theirs = Saliency(net).attribute(batch.clone().requires_grad_(), target=target)
    agrees(saliency_map(recorded(gradients, net, batch, target)), theirs.amax(1))


@pytest.mark.parametrize("kind", KINDS)
def test_input_x_gradient(kind):
    net, batch, target = prepared(kind)
    theirs = InputXGradient(net).attribute(batch.clone().requires_grad_(), target=target).detach()
    agrees(product_map(recorded(gradients, net, batch, target)), theirs.sum(1))


@pytest.mark.parametrize("kind", KINDS)
def test_integrated_gradients(kind):
    net, batch, target = prepared(kind)
    theirs = IntegratedGradients(net).attribute(batch, target=target, n_steps=50).detach()
    ours = recorded(PathGradients(), net, batch, target)
    agrees(ours.activation * ours.gradient, theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_smooth_grad_with_the_same_noise(kind, monkeypatch):
    net, batch, target = prepared(kind)
    noise = torch.stack([*noises(batch, 6, 0.15)], 1).flatten(0, 1)  # captum repeats each image
    monkeypatch.setattr(torch, "normal", lambda *_: noise)
    tunnel = NoiseTunnel(Saliency(net))
    theirs = tunnel.attribute(batch, nt_samples=6, target=target, abs=False).detach()
    monkeypatch.undo()
    agrees(recorded(NoisyGradients(6), net, batch, target).gradient, theirs)


@pytest.mark.parametrize(("kind", "layer"), [pytest.param(*each, id=each[0].__name__) for each in NETS])
def test_grad_cam(kind, layer):
    net, batch, target = prepared(kind)
    theirs = LayerGradCam(net, net.get_submodule(layer)).attribute(batch, target=target, relu_attributions=True)
    agrees(grad_cam_map(record(net, batch, [layer], target, score=logit)[layer]), theirs[:, 0].detach())


@pytest.mark.parametrize("kind", KINDS)
def test_occlusion(kind):
    net, batch, target = prepared(kind)
    with torch.no_grad():
        theirs = Occlusion(net).attribute(batch, (3, 4, 4), (3, 2, 2), target=target)
    agrees(occlusion_map(recorded(Windows(), net, batch, target)), theirs[:, 0], 1e-3)  # differences of scores


class Modules(nn.Module):
    """A functional network with its ReLUs as modules, which captum needs."""

    def __init__(self, net):
        super().__init__()
        self.first, self.second, self.fc = net.first, net.second, net.fc
        self.one, self.two = nn.ReLU(), nn.ReLU()

    def forward(self, x):
        return self.fc(self.two(self.second(self.one(self.first(x)))).mean((2, 3)))


def with_plain_relus(kind):
    """The network, and another one of the same weights all of whose activations are ReLU modules of their own."""
    net, *rest = prepared(kind)
    if kind is Depthwise:  # captum has no rule for SiLU
        net.stem[2], net.act, net.head[3] = nn.ReLU(), nn.ReLU(), nn.ReLU()
        return net, net, *rest
    if kind is Functional:
        return net, Modules(net), *rest
    other = prepared(kind)[0]
    for module in other.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation = nn.ReLU()
    return net, other, *rest


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
@pytest.mark.parametrize("method", [(GuidedGradients(), GuidedBackprop), (DeconvolvedGradients(), Deconvolution)])
@pytest.mark.parametrize("kind", KINDS)
def test_guided_backprop_and_deconvolution(kind, method):
    recorder, captums = method
    net, same, batch, target = with_plain_relus(kind)
    theirs = captums(same).attribute(batch.clone().requires_grad_(), target=target).detach()
    agrees(recorded(recorder, net, batch, target).gradient, theirs)
