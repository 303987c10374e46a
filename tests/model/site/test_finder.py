"""Sites are found in the order of the network, and the last bottleneck is proved to be one by cutting it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from nets import Depthwise, Functional, Plain, Residual, Shared, Swinlike, Tokens, TwoTowers, UNet, images
from torch import nn
from torch.nn import functional as F

from lightning_vis.model.feature_map import ROWS, feature_maps, last_feature_map
from lightning_vis.model.site.bottleneck import bypassed_share
from lightning_vis.model.site.collector import kept_at
from lightning_vis.model.site.layout import LAST, MAPS, SEQUENCE, TOKENS


class Tupled(nn.Module):
    """The features come in a dict within a tuple, beside what has no grid."""

    def __init__(self):
        super().__init__()
        self.body, self.fc = Deep(), nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(F.relu(self.body(x)[1]["map"]).mean((2, 3)))


class Deep(nn.Module):
    """Returns a tuple."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 3, 3, 3))

    def forward(self, x):
        return x.mean((1, 2, 3)), {"map": F.conv2d(x, self.weight)}


class Windows(nn.Module):
    """Tokens of 2 x 2 windows one after the other: as many as there are patches, in another order."""

    def __init__(self):
        super().__init__()
        self.patches, self.block, self.fc = nn.Conv2d(3, 8, 2, 2), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.patches(x)  # (N, 8, 6, 6)
        x = x.unflatten(2, (3, 2)).unflatten(4, (3, 2)).permute(0, 2, 4, 3, 5, 1).flatten(1, 4)
        return self.fc(x + self.block(x)).amax(1)


class Sorts(nn.Module):
    """Windows one after the other."""

    def forward(self, x):
        return x.unflatten(1, (3, 2, 3, 2)).permute(0, 1, 3, 2, 4, 5).flatten(1, 4)


class Sorted(nn.Module):
    """Its tokens lie in the image's order up to the first block, which gets them by windows, as in Hiera."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=True)
        self.patches, self.embed, self.sort = nn.Conv2d(3, 8, 2, 2), nn.LayerNorm(8), Sorts()
        self.blocks, self.fc = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(8, 3)

    def forward(self, x):
        x = self.embed(self.patches(x).flatten(2).transpose(1, 2))
        return self.fc(self.blocks(self.sort(x)).mean(1))


def test_all_views_look_where_tokens_still_lie_in_the_images_order():
    torch.manual_seed(0)
    found = feature_maps(Sorted().eval(), images(1), [None])[None]
    assert (found.layer, found.held.name, found.bypassed) == ("embed", "embed", 0.0)


def cut_share(net, layer, site):
    """What share of the gradient at the image is left while the site is detached: the definition, run."""
    image = images(1).expand(ROWS, -1, -1, -1).clone().requires_grad_()
    weights = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(0))
    whole = torch.autograd.grad((net(image) * weights).sum(), image)[0]
    module = net.get_submodule(site.layer)
    if site.side == "input":
        hook = module.register_forward_pre_hook(lambda _, given: tuple(each.detach() for each in given))
    else:
        hook = module.register_forward_hook(lambda _, __, output: output.detach())
    score = (net(image) * weights).sum()
    left = torch.autograd.grad(score, image, allow_unused=True)[0] if score.requires_grad else None
    hook.remove()
    return 0.0 if left is None else bypassed_share(whole, whole - left)


@pytest.mark.parametrize(
    ("net", "layer", "shape", "kind"),
    [
        (Plain(), "6", (8, 6, 6), MAPS),
        (Residual(), "layer2", (8, 6, 6), MAPS),
        (Depthwise(), "head:input", (8, 6, 6), MAPS),
        (Functional(), "second", (8, 6, 6), MAPS),
        (Shared(), "pool:input", (8, 12, 12), MAPS),
        (UNet(), "stem", (6, 12, 12), MAPS),
        (Tokens(), "blocks.layers.1", (16, 3, 3), TOKENS),
        (Tokens(3), "blocks.layers.1", (16, 3, 3), TOKENS),
        (Tokens(1, mean=True), "norm", (16, 3, 3), TOKENS),
        (Tokens(0, mean=True), "norm", (16, 3, 3), TOKENS),
        (Tokens(1, batch_first=False), "blocks.layers.1", (16, 3, 3), SEQUENCE),
        (Swinlike(), "last", (16, 3, 3), LAST),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_the_default_is_the_last_bottleneck(net, layer, shape, kind):
    net.eval()
    found = last_feature_map(net, images(1))
    assert (found.layer, found.shape, found.site.layout.kind, found.bypassed) == (layer, shape, kind, 0.0)
    if found.site.side == "output" or layer != "head:input":
        assert cut_share(net, layer, found.site) < 1e-6


@pytest.mark.parametrize(
    ("net", "layer"),
    [
        (Tokens(), "blocks:input"),
        (Tokens(3), "blocks:input"),
        (Tokens(0, mean=True), "blocks:input"),
        (Tokens(1, batch_first=False), "blocks:input"),
        (Swinlike(), "last"),
        (Residual(), "layer2"),
    ],
)
def test_maps_are_made_before_the_first_attention(net, layer):
    net.eval()
    found = feature_maps(net, images(1), [None])[None]
    site = found.site if found.held is None else found.held
    assert (site.name, found.bypassed) == (layer, 0.0)
    assert site.is_held == (layer == "blocks:input")
    assert cut_share(net, layer, site) < 1e-6


def test_a_named_layer_of_tokens_is_held_where_attention_lies_behind_it():
    found = feature_maps(Tokens().eval(), images(1), ["blocks.layers.0", "norm", "patches"])
    assert found["blocks.layers.0"].held == replace(found["blocks.layers.0"].site, is_held=True)
    assert found["norm"].held is None
    assert found["patches"].held is None  # maps


def test_attention_that_the_image_does_not_reach_mixes_nothing():
    class WithWords(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.words, self.body, self.fc = nn.MultiheadAttention(4, 1, batch_first=True), body, nn.Linear(4, 3)

        def forward(self, x):
            words = torch.ones(len(x), 5, 4)
            words = self.fc(self.words(words, words, words)[0].mean(1))
            return self.body(x) * words

    assert feature_maps(WithWords(Plain()).eval(), images(1), [None])[None].layer == "body.6"
    assert feature_maps(WithWords(Tokens()).eval(), images(1), [None])[None].held.name == "body.blocks:input"


def test_where_no_bottleneck_stands_before_attention_the_last_one_of_all_is_taken():
    class FromPixels(nn.Module):
        """Pixels themselves attend to each other."""

        def __init__(self):
            super().__init__()
            self.last, self.fc = nn.Conv2d(3, 8, 1), nn.Linear(8, 3)

        def forward(self, x):
            pixels = x.flatten(2).transpose(1, 2)
            mixed = (pixels @ pixels.transpose(1, 2)).softmax(-1) @ pixels
            return self.fc(self.last(mixed.transpose(1, 2).unflatten(2, x.shape[2:])).relu().mean((2, 3)))

    found = feature_maps(FromPixels().eval(), images(1), [None])[None]
    assert (found.layer, found.held) == ("last", None)


def test_where_nothing_is_a_bottleneck_the_least_bypassed_is_taken_and_its_share_is_true():
    torch.manual_seed(0)
    net = TwoTowers().eval()
    found = last_feature_map(net, images(1))
    other = "one" if found.layer == "two" else "two"
    assert found.layer in ("one", "two")
    assert 0 < found.bypassed < cut_share(net, other, feature_maps(net, images(1), [other])[other].site) < 1


def test_zero_heads_hide_no_site():
    net = Tokens().eval()
    nn.init.zeros_(net.head.weight)
    assert last_feature_map(net, images(1)).layer == "blocks.layers.1"
    assert not net.head.weight.any()


def test_a_named_layer_means_its_grid_wherever_it_lies():
    found = feature_maps(Tupled(), images(1), ["body", "body:input"])
    assert found["body"].shape == (8, 10, 10)
    assert found["body"].site.place == (1, "map")
    assert isinstance(found["body:input"], ValueError) or found["body:input"].shape == (3, 12, 12)


def test_a_layer_without_a_grid_is_refused_with_those_that_have_one():
    why = feature_maps(Tokens(), images(1), ["head"])["head"]
    said = "layer 'head' holds no grid of the image; those that do are, from the last one on: norm, blocks, blocks.layers.1"
    assert str(why).startswith(said.split(": norm")[0])
    for name in str(why).split("last one on: ")[1].split(", "):  # what is named can be named
        assert feature_maps(Tokens(), images(1), [name])[name].shape[1:] == (3, 3)


def test_tokens_in_another_order_are_no_site():
    net = Windows()
    assert "holds no grid" in str(feature_maps(net, images(1), ["block"])["block"])
    assert last_feature_map(net, images(1)).layer == "patches"


def test_what_is_kept_is_what_stands_there():
    net, seen = Tupled().eval(), []
    site = feature_maps(net, images(1), ["body"])["body"].site
    with torch.no_grad(), kept_at(net, {"body": site}, {"body": seen.append}):
        net(images(2))
    assert torch.equal(site.layout.maps(seen[0]), F.conv2d(images(2), net.body.weight))


def test_a_named_layer_is_measured_too_as_the_definition_has_it():
    net = UNet().eval()
    found = feature_maps(net, images(1), ["deep", "stem", "fc:input"])
    assert found["deep"].bypassed == pytest.approx(cut_share(net, "deep", found["deep"].site), abs=1e-5)
    assert found["deep"].bypassed > 0.1
    assert found["stem"].bypassed == 0.0
    assert found["deep"].said_bypassed.endswith("% of the answer's gradient at the image bypasses layer 'deep'")
    assert found["stem"].said_bypassed == ""
    assert "holds no grid" in str(found["fc:input"])


class Summed(nn.Linear):
    """A linear layer of the user's own that returns one number."""

    def forward(self, x):
        return super().forward(x).sum()


def test_a_number_alone_is_no_site():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.fc, self.aside = Plain(), nn.Linear(3, 3), Summed(3, 1)

        def forward(self, x):
            x = self.body(x)
            self.aside(x)
            return self.fc(x)

    assert last_feature_map(Net(), images(1)).layer == "body.6"
