"""Maps of transformers: complete where they can be, the same in all writings of attention, and what is said of them."""

from __future__ import annotations

import pytest
import torch
from nets import Plain, Residual, Swinlike, Tokens, images
from torch import nn
from torch.nn import functional as F

from lightning_vis.attribution.maps import evidence_map, grad_cam_map, prefix_share
from lightning_vis.attribution.pipeline import look
from lightning_vis.attribution.places import find_places
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.records import Record
from lightning_vis.attribution.tokens import HELD
from lightning_vis.attribution.views import evidence, grad_cam, saliency
from lightning_vis.model.run import ForwardConfig
from lightning_vis.model.scores import logit
from lightning_vis.probe.probe import Probe
from tests.attribution.test_recorders import counting


class Block(nn.Module):
    """A norm, attention in one of three writings, and nothing behind it that is not linear."""

    def __init__(self, writing):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
        self.norm.bias.data.zero_()
        self.writing = writing

    def forward(self, x):
        y = self.norm(x)
        if self.writing == "module":
            return x + self.attention(y, y, y)[0]
        q, k, v = (y @ self.attention.in_proj_weight.T).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        if self.writing == "function":
            read = F.scaled_dot_product_attention(q, k, v)
        else:
            read = (q @ k.transpose(-2, -1) / 2).softmax(-1) @ v
        return x + self.attention.out_proj(read.transpose(1, 2).flatten(2))


class Reader(nn.Module):
    """Two blocks, read at a class token or at the mean; of all biases the head's alone is left."""

    def __init__(self, writing="module", mean=False):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.patches, self.first, self.is_mean = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8)), mean
        self.blocks, self.norm = nn.ModuleList(Block(writing) for _ in range(2)), nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)
        for name, weight in self.named_parameters():
            weight.data.copy_(torch.randn(weight.shape, generator=generator) * (0.0 if "norm.bias" in name else 0.5))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.first.expand(len(x), -1, -1), x), 1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x[:, 1:].mean(1) if self.is_mean else x[:, 0])


def recorded(net, layer=None, score=None):
    probe = Probe(images(4), torch.tensor([0, 1, 2, 0]))
    running = ForwardConfig(score=score)
    places, failed = find_places(net, probe, running, [evidence(layer)])
    assert not failed
    run = ForwardConfig(score=score, places=places).prepare(net, probe.images, probe.truth)
    name = places[layer].layer
    return name, gradients(run, {"label": [name]}).explained["label"]


@pytest.mark.parametrize("writing", ["module", "function", "softmax"])
@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("layer", [None, "blocks.0"])
def test_map_and_prefix_and_bias_are_the_score(writing, mean, layer):
    net = Reader(writing, mean).eval()
    name, explained = recorded(net, layer, logit)
    record = explained.records[name]
    beside = (record.prefix.activation * record.prefix.held).sum((1, 2))
    bias = net.head.bias.detach()[torch.tensor([0, 1, 2, 0])]
    total = evidence_map(record).mean((1, 2)) + beside + bias
    torch.testing.assert_close(total, explained.score, rtol=1e-4, atol=1e-5)
    assert name == (layer or "blocks.0:input")


def test_all_writings_give_the_same_map():
    found = [recorded(Reader(writing).eval()) for writing in ("module", "function", "softmax")]
    maps = [evidence_map(explained.records[name]) for name, explained in found]
    for each in maps[1:]:
        torch.testing.assert_close(each, maps[0], rtol=1e-4, atol=1e-5)
    assert maps[0].abs().max() > 0.01


def test_grad_cam_is_what_speaks_for_it_where_attention_is_held():
    name, explained = recorded(Reader().eval())
    record = explained.records[name]
    torch.testing.assert_close(9 * grad_cam_map(record), evidence_map(record).relu())


def test_the_true_gradient_is_recorded_beside():
    net = Reader().eval()
    name, explained = recorded(net, None, logit)
    tokens = torch.cat((net.first.expand(4, -1, -1), net.patches(images(4)).flatten(2).transpose(1, 2)), 1)
    tokens = tokens.detach().requires_grad_()
    score = net.head(net.norm(net.blocks[1](net.blocks[0](tokens)))[:, 0]).gather(1, torch.tensor([[0], [1], [2], [0]])).sum()
    expected = torch.autograd.grad(score, tokens)[0][:, 1:].movedim(-1, 1).reshape(4, 8, 3, 3)
    record = explained.records[name]
    torch.testing.assert_close(record.gradient, expected)
    assert (record.held - expected).abs().max() > 1e-3


@pytest.mark.parametrize("net", [Plain(), Residual(), Swinlike()])
def test_where_there_is_no_attention_nothing_is_held(net):
    name, explained = recorded(net.eval())
    assert explained.records[name].held is None


def test_attention_that_runs_later_and_elsewhere_holds_nothing():
    class TwoTowers(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.words, self.fc = nn.Conv2d(3, 8, 3), Reader(), nn.Linear(8, 3)

        def forward(self, x):
            return self.fc(F.layer_norm(self.body(x).relu().mean((2, 3)), (8,))) + self.words(torch.ones_like(x)).mean()

    name, explained = recorded(TwoTowers().eval())
    assert (name, explained.records[name].held) == ("body", None)


def test_attention_costs_one_way_back_more(monkeypatch):
    net, labels = Reader().eval(), torch.tensor([0, 1, 2, 0])
    probe = Probe(images(4), labels)
    places, _ = find_places(net, probe, ForwardConfig(), [evidence()])
    run = ForwardConfig(places=places).prepare(net, probe.images, labels)
    name = places[None].layer
    with counting(net, monkeypatch) as counts:
        gradients(run, {"label": ["<input>", name]})
    assert counts == {"forward": 1, "grad": 2}


@pytest.mark.parametrize("count", [1, 5])
def test_the_share_in_the_prefix_is_said_where_it_is_large(count):
    net = Tokens(count).eval()
    probe = Probe(images(4), torch.tensor([0, 1, 2, 0]))
    early, late = look(net, probe, [evidence(), saliency()]), look(net, probe, [evidence("blocks.layers.1"), grad_cam()])
    assert HELD in early.notes
    assert 0 <= early.numbers["attribution/evidence/prefix"] <= 1
    share = late.numbers["attribution/evidence.blocks.layers.1/prefix"]
    assert share > 0.1
    where = "the class token, which has" if count == 1 else "the 5 tokens before those of the patches, which have"
    assert f"{share:.2g} of evidence is in {where} no place in the image" in late.notes
    assert "attribution/saliency/prefix" not in early.numbers


def test_the_share_in_the_prefix_by_hand():
    # Two cells that say 3 and -1, one token beside them that says 4: a half. Without a prefix there is no share.
    ones = torch.ones(1, 1, 1, 2)
    beside = Record(torch.ones(1, 1, 1), torch.zeros(1, 1, 1), held=torch.full((1, 1, 1), 4.0))
    record = Record(ones, torch.zeros_like(ones), beside, torch.tensor([[[[3.0, -1.0]]]]))
    assert prefix_share(record).tolist() == [0.5]
    assert prefix_share(Record(ones, ones)) is None


def test_in_chunks_it_is_the_same():
    probe = Probe(images(5), torch.tensor([0, 1, 2, 0, 1]))
    whole, parts = (look(Reader().eval(), probe, [evidence()], chunk_size=size) for size in (None, 2))
    torch.testing.assert_close(
        *(torch.from_numpy(each.maps["evidence"].values) for each in (whole, parts)), rtol=1e-4, atol=1e-5
    )
    assert whole.notes == parts.notes
