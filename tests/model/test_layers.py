"""Finding layers by name, and the default one: the last feature map, chosen by a dry run."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from nets import Depthwise, Functional, Plain, Residual, images
from torch import nn
from torch.nn import functional as F

from lightning_vis.model.feature_map import last_feature_map
from lightning_vis.model.hooks import hooked
from lightning_vis.model.layers import find_layer, known_layers, named_layers

HEAD = ("gap", nn.AdaptiveAvgPool2d(1)), ("flat", nn.Flatten()), ("fc", nn.Linear(8, 3))


def chain(*named):
    return nn.Sequential(OrderedDict(named))


def conv(*arguments, **more):
    return nn.Conv2d(*arguments, **more)


class Reused(nn.Module):
    """One ReLU module used everywhere: its last call is the last feature map, but the module has no one output."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.relu, self.fc = conv(3, 8, 3), conv(8, 8, 3), nn.ReLU(), nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.relu(self.b(self.relu(self.a(x)))).mean((2, 3)))


class Wrapped(nn.Module):
    """A model in a model, as LightningModules hold theirs, with a conv that is off the path."""

    def __init__(self, inner):
        super().__init__()
        self.model = nn.ModuleDict({"backbone": inner})
        self.aside = conv(3, 4, 3, stride=4)

    def forward(self, x):
        self.aside(x)
        return self.model["backbone"](x)


class Segments(nn.Module):
    """Down and up again: (N, C, H, W) comes out, everything passes twice, and what is last is read off."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(conv(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), conv(4, 8, 3, padding=1), nn.ReLU())
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), conv(8, 3, 1))

    def forward(self, x):
        return self.up(self.down(x))


class Transformer(nn.Module):
    """A vision transformer in small: patches, one block of attention, the mean token."""

    def __init__(self):
        super().__init__()
        self.patches = conv(3, 8, 4, stride=4)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.block(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class ChannelsLast(nn.Module):
    """As Swin: after the patches every map is (N, h, w, C)."""

    def __init__(self):
        super().__init__()
        self.patches = conv(3, 8, 4, stride=4)
        self.norm = nn.LayerNorm(8)
        self.mlp = nn.Linear(8, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = self.norm(self.patches(x).permute(0, 2, 3, 1))
        return self.fc(F.gelu(self.mlp(x)).mean((1, 2)))


BEFORE = "taken before any activation function"


@pytest.mark.parametrize(
    ("net", "layer", "shape", "note"),
    [
        (Plain(), "6", (8, 6, 6), ""),
        (Residual(), "layer2", (8, 6, 6), ""),
        (Depthwise(), "head:input", (8, 6, 6), ""),
        (Functional(), "second", (8, 6, 6), BEFORE),
        (Reused(), "b", (8, 8, 8), BEFORE),
        (Transformer(), "block", (8, 3, 3), ""),
        (ChannelsLast(), "mlp", (8, 3, 3), ""),
        (Wrapped(Residual()), "model.backbone.layer2", (8, 6, 6), ""),
        (Segments(), "up.0", (8, 12, 12), ""),
        (chain(("conv", conv(3, 8, 3)), ("act", nn.ReLU()), *HEAD), "act", (8, 10, 10), ""),
        (chain(("conv", conv(3, 8, 3)), ("act", nn.ReLU()), ("drop", nn.Dropout()), *HEAD), "act", (8, 10, 10), ""),
        (chain(("conv", conv(3, 8, 3)), ("act", nn.ReLU()), ("none", nn.Identity()), *HEAD), "act", (8, 10, 10), ""),
        (chain(("conv", conv(3, 8, 3)), ("norm", nn.BatchNorm2d(8)), ("act", nn.GELU()), *HEAD), "act", (8, 10, 10), ""),
        # Pooling comes last: what it pools is looked at, as in VGG.
        (chain(("conv", conv(3, 8, 3)), ("act", nn.ReLU()), ("pool", nn.MaxPool2d(2)), *HEAD), "act", (8, 10, 10), ""),
        (
            chain(("features", chain(("conv", conv(3, 8, 3)), ("act", nn.ReLU()), ("pool", nn.MaxPool2d(2)))), *HEAD),
            "features.act",
            (8, 10, 10),
            "",
        ),
        # An activation that works in place on what pooling made is an activation all the same.
        (
            chain(("conv", conv(3, 8, 3)), ("pool", nn.MaxPool2d(2)), ("act", nn.ReLU(inplace=True)), *HEAD),
            "act",
            (8, 5, 5),
            "",
        ),
        (
            chain(("body", chain(("conv", conv(3, 8, 3)), ("pool", nn.MaxPool2d(2)), ("act", nn.ReLU(inplace=True)))), *HEAD),
            "body",
            (8, 5, 5),
            "",
        ),
        # A container whose last layers do nothing when looking is as good as the layer before them.
        (
            chain(("body", chain(("conv", conv(3, 8, 3)), ("act", nn.ReLU()), ("drop", nn.Dropout()))), *HEAD),
            "body",
            (8, 10, 10),
            "",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_the_default_layer(net, layer, shape, note):
    found = last_feature_map(net, images(2))
    assert (found.layer, found.shape, found.note) == (layer, shape, note)


def test_a_map_of_one_pixel_is_none():
    net = chain(
        ("wide", conv(3, 8, 3)), ("act", nn.ReLU()), ("point", conv(8, 8, 10)), ("flat", nn.Flatten()), ("fc", nn.Linear(8, 3))
    )
    assert last_feature_map(net, images(1)).layer == "act"


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            chain(("flat", nn.Flatten()), ("fc", nn.Linear(432, 3))),
            "no layer of the model gives a feature map (N, K, h, w) above 1 x 1; its layers are flat, fc",
        ),
    ],
    ids=["no convolution"],
)
def test_where_there_is_no_feature_map_it_says_so(net, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        last_feature_map(net, images(1))
    assert message in str(caught.value)


def test_a_forward_under_no_grad_is_noticed():
    net = Plain()
    with pytest.raises(
        ValueError, match=r"the model's output, a tensor \(3, 3\) for 3 images, does not depend on any feature map"
    ):
        last_feature_map(net, images(1), torch.no_grad()(net.forward))


def test_the_dry_run_leaves_no_trace():
    net = Plain().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    last_feature_map(net, images(2))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(module.training and not module._forward_hooks for module in net.modules())


def test_names_are_those_the_user_wrote_also_when_compiled():
    inner = chain(("conv", conv(3, 4, 3)), ("act", nn.ReLU()))
    net = nn.ModuleDict({"body": torch.compile(inner), "fc": nn.Linear(4, 3)})
    assert list(named_layers(net)) == ["body", "body.conv", "body.act", "fc"]
    assert find_layer(net, "body.conv") is inner.conv
    assert list(named_layers(torch.compile(inner))) == ["conv", "act"]


def test_unknown_layers_are_answered_with_the_nearest_names_first():
    with pytest.raises(ValueError, match="layer 'layer2.1.cnv1' is not in the model; its layers are layer2.1.conv1, "):
        find_layer(Residual(), "layer2.1.cnv1")
    assert known_layers(nn.ReLU()) == "it has no layers"


def test_hooks_are_gone_after_an_error_also_one_while_hooking():
    net = Plain()
    with pytest.raises(KeyError), hooked(list(net), lambda *_: None):
        raise KeyError
    with pytest.raises(AttributeError), hooked([net[0], None], lambda *_: None):
        pass
    assert not any(module._forward_hooks for module in net)
