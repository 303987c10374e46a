"""What record() refuses: each in one sentence that quotes what was asked for and what there is."""

from __future__ import annotations

import re

import pytest
import torch
from nets import Functional, Plain, Residual, images
from torch import nn

from lightning_vis import Probe, look
from lightning_vis.attribution.recorders import record
from lightning_vis.constants import INPUT
from lightning_vis.model.scores import logit

LAYERS = "its layers are first, second, fc"


class Unusual(nn.Module):
    """Layers that cannot be recorded, each for a reason of its own."""

    def __init__(self):
        super().__init__()
        self.main = nn.Conv2d(3, 2, 3)
        self.unused = nn.Conv2d(3, 2, 3)
        self.aside = nn.Conv2d(3, 2, 3)
        self.pair = Pair()
        self.cut = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        self.aside(x)
        with torch.no_grad():
            constant = self.cut(x)
        return (self.main(x) + self.pair(x)[0] + constant).mean(dim=(2, 3))


class Pair(nn.Module):
    """Returns two tensors."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        return self.conv(x), x


NAMES = "main, unused, aside, pair, pair.conv, cut"


@pytest.mark.parametrize(
    ("net", "layer", "message"),
    [
        (Functional, "secnd", "layer 'secnd' is not in the model; its layers are second, first, fc"),
        (Functional, "", f"layer '' is not in the model; {LAYERS}"),
        (
            Residual,
            "layer2.1.relu",
            "layer 'layer2.1.relu' is called 2 times in one forward pass, so it has no one activation:"
            " name the block around it; its layers are layer2.1.relu, layer2.0.relu, layer1.0.relu, conv1, bn1, relu, layer1,"
            " layer1.0, layer1.0.conv1, layer1.0.bn1, layer1.0.conv2, layer1.0.bn2, ... (26 in all)",
        ),
        (
            Unusual,
            "unused",
            "layer 'unused' gave no output: forward never calls it; its layers are unused, main, aside, pair, pair.conv, cut",
        ),
        (Unusual, "pair", "layer 'pair' returns a tuple: name a layer that returns one tensor"),
        *(
            (
                Unusual,
                layer,
                f"the score does not depend on layer '{layer}' through gradients (off the path to the score,"
                f" or computed under no_grad): name another; its layers are {NAMES}",
            )
            for layer in ("aside", "cut")
        ),
    ],
)
def test_layers(net, layer, message):
    with pytest.raises(ValueError, match="layer") as caught:
        record(net(), images(2), [layer])
    assert str(caught.value) == message


def test_one_layer_off_the_path_is_named_also_beside_good_ones():
    with pytest.raises(ValueError, match="the score does not depend on layer 'aside'"):
        record(Unusual(), images(2), [INPUT, "main", "aside"])


def test_a_scripted_layer_has_no_hooks():
    net = Plain().eval()
    net[0] = torch.jit.script(net[0])
    with pytest.raises(ValueError, match="layer '0' gave no output: it is scripted"):
        record(net, images(2), ["0"])
    assert record(net, images(2), [INPUT])[INPUT].gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0, 1], "targets of shape (2,) were given for 3 images: one class per image, (3,)"),
        ([0, 1, 2, 0], "targets of shape (4,) were given for 3 images: one class per image, (3,)"),
        ([[0, 1, 2]], "targets of shape (1, 3) were given for 3 images: one class per image, (3,)"),
        ([0, 1, 7], "class 7 was asked for, but the model gives scores for 3 classes"),
        ([0, -1, 1], "class -1 was asked for, but the model gives scores for 3 classes"),
        (3, "class 3 was asked for, but the model gives scores for 3 classes"),
        ("best", "target='best': expected one of 'predicted', 'label', 'runner_up' or a class index"),
    ],
)
def test_targets(targets, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        record(Functional(), images(3), [INPUT], targets)
    assert str(caught.value) == message


def test_a_forward_under_no_grad_is_opened_and_without_one_there_is_nothing_to_differentiate():
    net = Functional()
    cut, whole = (record(net, images(2), [INPUT], forward=each)[INPUT] for each in (torch.no_grad()(net.forward), net))
    assert torch.equal(cut.gradient, whole.gradient)
    with pytest.raises(ValueError, match="the score does not depend on layer '<input>' through gradients"):
        record(net, images(2), [INPUT], forward=lambda x: net(torch.zeros_like(x)))


def test_a_score_needs_one_number_per_image():
    with pytest.raises(ValueError, match=re.escape("score= returned shape (2, 3) for 2 images: one number per image")):
        record(Functional(), images(2), [INPUT], score=lambda output, classes: output)


UNREADABLE = [
    (lambda x: x.flatten(2), "a tensor (2, 3, 144)"),
    (lambda x: x.mean(), "a tensor ()"),
    (lambda x: {"map": x[0], "loss": x.mean()}, "a dict with 'map': a tensor (3, 12, 12), 'loss': a tensor ()"),
    (lambda x: "bird", "a str"),
]
SEVERAL = [
    (lambda x: (x.mean((2, 3)), x.mean(3)[:, :, 0][:, :2]), "a tuple of a tensor (2, 3), a tensor (2, 2)", "head=0"),
    (lambda x: (x.mean((2, 3)), x.amax((2, 3))), "a tuple of a tensor (2, 3), a tensor (2, 3)", "head=0"),
    (
        lambda x: {"kind": x.mean((2, 3)), "age": x.amax((2, 3))},
        "a dict with 'kind': a tensor (2, 3), 'age': a tensor (2, 3)",
        "head='kind'",
    ),
]
UNREADABLE = [*((head, said, "") for head, said in UNREADABLE), *SEVERAL]


@pytest.mark.parametrize(("head", "said", "named"), UNREADABLE, ids=[each[1] for each in UNREADABLE])
@pytest.mark.parametrize("score", [None, logit])
def test_unreadable_and_ambiguous_outputs_ask_for_a_score_or_a_head(head, said, named, score):
    net = nn.Conv2d(3, 3, 1)
    arguments = {} if score is None else {"score": score}
    with pytest.raises(ValueError, match="cannot read class scores") as caught:
        record(net, images(2), [INPUT], forward=lambda x: head(net(x)), **arguments)
    assert str(caught.value) == (
        f"cannot read class scores (N, C) from the model's output, {said}: pass score=, a function"
        " (output, classes) -> (N,) that gives one number per image, or, where nothing takes one, let forward return the"
        " scores alone" + f"; look() reads one of several, {named}" * bool(named)
    )


@pytest.mark.parametrize(("head", "said", "named"), SEVERAL, ids=[each[1] for each in SEVERAL])
def test_look_reads_the_head_that_is_named_to_it(head, said, named):
    class Heads(nn.Sequential):
        def forward(self, x):
            return head(super().forward(x))

    net, probe = Heads(nn.Conv2d(3, 3, 1), nn.ReLU()), Probe(images(2), [0, 1])
    with pytest.raises(ValueError, match=f"look\\(\\) reads one of several, {named}"):
        look(net, probe)
    assert eval(f"look(net, probe, {named})", {"look": look, "net": net, "probe": probe}).maps


def test_a_score_of_ones_own_reads_what_nobody_else_can():
    net = nn.Conv2d(3, 3, 1)
    found = record(net, images(2), [INPUT], score=lambda output, classes: output[:, 1].sum((1, 2)))
    torch.testing.assert_close(found[INPUT].gradient, net.weight[1].detach().expand(2, 3, 12, 12))


def test_lazy_parameters():
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(2))
    message = "the model has lazy parameters (0.weight, 0.bias, 2.weight, ...) that get their shape from the first batch"
    with pytest.raises(ValueError, match=re.escape(message)):
        record(net, images(2), [INPUT])
    assert isinstance(net[0].weight, nn.UninitializedParameter)
