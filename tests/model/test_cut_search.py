"""Which cuts are opened: those that keep the gradient from the image, and no stop-gradient, mask or scale beside them."""

from __future__ import annotations

import pytest
import torch
from nets import images
from torch import nn
from torch.nn import functional as F

from lightning_vis.model.cut import Cut, through
from lightning_vis.model.cut_search import Trial, find_cuts, needed

X = images(3)


class Net(nn.Module):
    """Two frozen backbones and a head, put together by a function."""

    def __init__(self, run):
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3)).requires_grad_(False)
        self.two = nn.Conv2d(3, 6, 5).requires_grad_(False)
        self.head, self.codes, self.run = nn.Linear(6, 3), nn.Parameter(torch.randn(5, 6)), run

    def forward(self, x):
        return self.run(self, x)

    def features(self, x):
        return self.one(x).mean((2, 3))

    @torch.no_grad()
    def quietly(self, x):
        return self.features(x)

    @torch.inference_mode()
    def served(self, x):
        return self.features(x)


def reference(net, x):
    return net.head(net.features(x))


def in_no_grad(net, x):
    with torch.no_grad():
        features = net.features(x)
    return net.head(features)


def decorated(net, x):
    return net.head(net.quietly(x))


def switched(net, x):
    torch.set_grad_enabled(False)
    features = net.features(x)
    torch.set_grad_enabled(True)
    return net.head(features)


def detached(net, x):
    return net.head(net.features(x).detach())


def detached_in_place(net, x):
    return net.head(net.features(x).detach_())


def as_data(net, x):
    return net.head(net.features(x).data)


def flagged(net, x):
    return net.head(net.features(x).requires_grad_(False))


def flagged_image(net, x):
    x.requires_grad = False
    return net.head(net.features(x))


def twice(net, x):
    with torch.no_grad():
        features = net.features(x)
    return net.head(features.detach())


def nested(net, x):
    with torch.no_grad(), torch.set_grad_enabled(False):
        features = net.features(x)
    return net.head(features)


def inferred(net, x):
    with torch.inference_mode():
        features = net.features(x)
    return net.head(features.clone())


def inferred_in_no_grad(net, x):
    with torch.no_grad():
        features = net.served(x).clone()
    return net.head(features)


def read_meanwhile(net, x):
    with torch.no_grad():
        features = net.features(x)
        net.seen = features.numpy().mean()
    return net.head(features)


def clamped(net, x):
    with torch.no_grad():
        net.codes.clamp_(-1, 1)
        features = net.features(x)
    return net.head(features)


CUT = {
    clamped: ["no_grad"],
    in_no_grad: ["no_grad"],
    decorated: ["no_grad"],
    switched: ["no_grad"],
    detached: ["detach"],
    detached_in_place: ["detach_"],
    as_data: ["data"],
    flagged: ["requires_grad_"],
    flagged_image: ["requires_grad"],
    twice: ["no_grad", "detach"],
    nested: ["no_grad"],
    inferred: ["inference_mode"],
    inferred_in_no_grad: ["no_grad", "inference_mode"],
    read_meanwhile: ["no_grad"],
}


def gradient(forward, x=X):
    """What reaches the image of a sum with weights."""
    image = x.clone().requires_grad_()
    output = forward(image.clone())
    return output, torch.autograd.grad((output * torch.arange(1.0, output.shape[1] + 1)).sum(), image)[0]


@pytest.mark.parametrize("run", CUT, ids=lambda run: run.__name__)
def test_what_keeps_the_gradient_off_is_opened_and_no_value_changes(run):
    net = Net(run).eval()
    found = find_cuts(net, X)
    assert [each.word for each in found.cuts] == CUT[run]
    opened, whole = gradient(through(net, found.cuts)), gradient(Net(reference).eval())
    assert torch.equal(opened[0], net(X.clone()))
    assert torch.equal(opened[0], whole[0])
    assert torch.equal(opened[1], whole[1])


def straight_through(net, x):
    features = net.features(x)
    return net.head(features + (features.sign() - features).detach())


def quantised(net, x):
    features = net.features(x)
    nearest = net.codes[torch.cdist(features, net.codes).argmin(1)]
    return net.head(features + (nearest - features).detach())


def gumbel(net, x):
    soft = net.features(x).softmax(1)
    hard = F.one_hot(soft.argmax(1), 6).float()
    return net.head(hard - soft.detach() + soft + 0 * F.gumbel_softmax(soft, hard=True))


def stop_gradient(net, x):
    return torch.cat([net.head(net.features(x)), net.head(net.two(x).mean((2, 3))).detach()], 1)


def masked(net, x):
    return net.head(net.features(x * torch.sigmoid(x.mean(1, keepdim=True)).detach()))


def normalised(net, x):
    features = net.features(x)
    return net.head(features / features.norm(dim=1, keepdim=True).detach())


def normalised_by_no_grad(net, x):
    with torch.no_grad():
        scale = x.abs().amax((1, 2, 3), keepdim=True)
    return net.head(net.features(x / scale))


@pytest.mark.parametrize(
    "run",
    [reference, straight_through, quantised, gumbel, stop_gradient, masked, normalised, normalised_by_no_grad],
    ids=lambda run: run.__name__,
)
def test_where_the_gradient_arrives_nothing_is_touched(run):
    assert find_cuts(Net(run), X).cuts == ()


def before_and_behind(net, x):
    x = x + (x.round() - x).detach()
    with torch.no_grad():
        features = net.features(x)
    return net.head(features + (features.sign() - features).detach())


def before_and_behind_whole(net, x):
    x = x + (x.round() - x).detach()
    features = net.features(x)
    return net.head(features + (features.sign() - features).detach())


def gated(net, x):
    gate = torch.sigmoid(net.two(x)).detach()
    with torch.no_grad():
        features = (net.one(x) * gate).mean((2, 3))
    return net.head(features)


def gated_whole(net, x):
    return net.head((net.one(x) * torch.sigmoid(net.two(x)).detach()).mean((2, 3)))


def gated_behind(net, x):
    gate = torch.sigmoid(net.two(x)).detach()
    with torch.no_grad():
        features = net.one(x)
    return net.head((features * gate).mean((2, 3)))


def scaled(net, x):
    with torch.no_grad():
        scale = x.abs().amax((1, 2, 3), keepdim=True)
    with torch.no_grad():
        features = net.features(x / scale)
    return net.head(features) * scale[:, 0, 0]


def scaled_by_detach(net, x):
    scale = x.abs().amax((1, 2, 3), keepdim=True).detach()
    return net.head(net.features(x / scale).detach()) * scale[:, 0, 0]


def scaled_whole(net, x):
    scale = x.abs().amax((1, 2, 3), keepdim=True).detach()
    return net.head(net.features(x / scale)) * scale[:, 0, 0]


def norm_first(net, x):
    features = net.features(x)
    length = features.norm(dim=1, keepdim=True).detach()
    return net.head(features.detach() / length)


BESIDE = {
    before_and_behind: (["no_grad"], before_and_behind_whole),
    gated: (["no_grad"], gated_whole),
    gated_behind: (["no_grad"], gated_whole),
    scaled: (["no_grad"], scaled_whole),
    scaled_by_detach: (["detach"], scaled_whole),
    norm_first: (["detach"], normalised),
}


@pytest.mark.parametrize("run", BESIDE, ids=lambda run: run.__name__)
def test_beside_a_frozen_backbone_what_is_held_constant_stays_so(run):
    words, whole = BESIDE[run]
    net = Net(run).eval()
    found = find_cuts(net, X)
    assert [each.word for each in found.cuts] == words
    opened, expected = gradient(through(net, found.cuts)), gradient(Net(whole).eval())
    assert torch.equal(opened[0], net(X.clone()))
    assert torch.equal(opened[1], expected[1])


def parallel(net, x):
    one = net.features(x).detach()
    two = net.two(x).mean((2, 3)).detach()
    return net.head(one + two)


def scales(net, x):
    first = net.one[:2](x)
    second = net.one[2](first)
    return net.head(torch.cat([first.detach().mean((2, 3))[:, :2], second.detach().mean((2, 3))[:, :4]], 1))


@pytest.mark.parametrize("run", [parallel, scales], ids=lambda run: run.__name__)
def test_several_frozen_parts_side_by_side_are_all_opened(run):
    found = find_cuts(Net(run).eval(), X)
    assert [each.word for each in found.cuts] == ["detach", "detach"]


class Quietly(nn.Module):
    """A stage of a backbone that runs without gradients."""

    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def forward(self, x):
        with torch.no_grad():
            return self.stage(x)


def test_one_line_that_several_stages_pass_is_one_cut():
    stages = [Quietly(nn.Conv2d(3, 4, 3)), Quietly(nn.Conv2d(4, 6, 3))]
    net = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    whole = nn.Sequential(*(each.stage for each in stages), *net[2:])
    found = find_cuts(net, X)
    assert len(found.cuts) == 1
    assert torch.equal(gradient(through(net, found.cuts))[1], gradient(whole)[1])


def through_numpy(net, x):
    return net.head(torch.from_numpy(net.features(x).detach().numpy()))


def rewritten(net, x):
    with torch.no_grad():
        features = net.features(x).exp()
        features.mul_(2)
    return net.head(features)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (
            through_numpy,
            "detach in through_numpy(), test_cut_search.py line {} stops it, and could not be opened for our own pass:",
        ),
        (
            rewritten,
            "no_grad in rewritten(), test_cut_search.py line {} stops it, and could not be opened for our own pass (one of",
        ),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_cannot_be_opened_is_said(run, reason):
    found = find_cuts(Net(run), X)
    assert found.cuts == ()
    assert reason.format(run.__code__.co_firstlineno + 1) in found.why


def test_a_scripted_backbone_in_inference_mode_is_seen_by_no_mode_and_stays_cut():
    net = Net(inferred)
    net.one = torch.jit.trace(net.one, X)
    found = find_cuts(net, X)
    assert found.cuts == ()


def test_nothing_is_left_behind():
    net = Net(in_no_grad).train()
    net.head.weight.grad = torch.ones_like(net.head.weight)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    flags = [each.requires_grad for each in net.parameters()]
    forward = through(net, find_cuts(net, X).cuts)
    forward(X)
    assert [each.requires_grad for each in net.parameters()] == flags
    assert torch.equal(net.head.weight.grad, torch.ones(3, 6))
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.is_grad_enabled()
    assert not net.one(X).requires_grad
    image = X.clone().requires_grad_()
    assert torch.autograd.grad(net(image).sum(), image, allow_unused=True) == (None,)  # the user's own pass is cut as before


def test_the_shortest_chains_are_opened_and_a_prefix_that_does_is_not_gone_beyond():
    one, two, three = (in_place(word) for word in ("a", "b", "c"))
    seen = []

    def run(cuts):
        seen.append(cuts)
        met = {frozenset(): (one, two), frozenset({one}): (two, three)}
        return Trial(cuts in (frozenset({two}), frozenset({one, three})), met.get(cuts, ()))

    assert set(needed(run).cuts) == {one, two, three}
    assert seen == [frozenset(), frozenset({one}), frozenset({two}), frozenset({one, three})]


def in_place(name):
    return Cut("no_grad", ((name, name, 0, 1),))
