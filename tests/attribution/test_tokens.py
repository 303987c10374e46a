"""Maps of transformers: complete where they can be, the same in all writings of attention, and what is said of them."""

from __future__ import annotations

import gc
import warnings
from dataclasses import replace

import pytest
import torch
from nets import Plain, Residual, Swinlike, Tokens, images
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lightning_vis.attribution.heads import Head
from lightning_vis.attribution.maps import evidence_map, grad_cam_map, prefix_share
from lightning_vis.attribution.methods.views import hires_cam, layer_cam
from lightning_vis.attribution.pipeline import look, try_heads, try_look
from lightning_vis.attribution.places import find_places, looked_at, said_of_held
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.records import Record
from lightning_vis.attribution.views import evidence, grad_cam, saliency
from lightning_vis.model.answer.words import Words
from lightning_vis.model.run import ForwardConfig
from lightning_vis.model.scores import logit
from lightning_vis.model.site.site import place_of
from lightning_vis.probe.probe import Probe, answer_of_labels
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
    """Where evidence looks, and what is recorded there."""
    probe = Probe(images(4), torch.tensor([0, 1, 2, 0]))
    placed, failed = find_places(net, probe, ForwardConfig(score=score), [evidence(layer)])
    assert not failed
    (key,) = looked_at(evidence(layer), placed.places)
    explained = gradients(placed.prepare(net, probe.images, probe.truth), {"label": [key]}).explained["label"]
    return place_of(key), explained.records[key], explained.score


@pytest.mark.parametrize("writing", ["module", "function", "softmax"])
@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("layer", [None, "blocks.0"])
def test_map_and_prefix_and_bias_are_the_score(writing, mean, layer):
    net = Reader(writing, mean).eval()
    name, record, score = recorded(net, layer, logit)
    beside = (record.prefix.activation * record.prefix.gradient).sum((1, 2))
    bias = net.head.bias.detach()[torch.tensor([0, 1, 2, 0])]
    total = evidence_map(record).mean((1, 2)) + beside + bias
    torch.testing.assert_close(total, score, rtol=1e-4, atol=1e-5)
    assert name == (layer or "blocks.0:input")


def test_all_writings_give_the_same_map():
    maps = [evidence_map(recorded(Reader(writing).eval())[1]) for writing in ("module", "function", "softmax")]
    for each in maps[1:]:
        torch.testing.assert_close(each, maps[0], rtol=1e-4, atol=1e-5)
    assert maps[0].abs().max() > 0.01


def test_grad_cam_is_what_speaks_for_it_where_attention_is_held():
    _, record, _ = recorded(Reader().eval())
    assert record.is_held
    torch.testing.assert_close(9 * grad_cam_map(record), evidence_map(record).relu())


def test_the_true_gradient_is_recorded_beside():
    net, labels = Reader().eval(), torch.tensor([0, 1, 2, 0])
    probe, name = Probe(images(4), labels), "blocks.0:input"
    placed, _ = find_places(net, probe, ForwardConfig(score=logit), [evidence(name), hires_cam(name)])
    (held,), (true,) = (looked_at(view(name), placed.places) for view in (evidence, hires_cam))
    records = gradients(placed.prepare(net, probe.images, labels), {"label": [held, true]}).explained["label"].records
    tokens = torch.cat((net.first.expand(4, -1, -1), net.patches(images(4)).flatten(2).transpose(1, 2)), 1)
    tokens = tokens.detach().requires_grad_()
    score = net.head(net.norm(net.blocks[1](net.blocks[0](tokens)))[:, 0]).gather(1, labels[:, None]).sum()
    expected = torch.autograd.grad(score, tokens)[0][:, 1:].movedim(-1, 1).reshape(4, 8, 3, 3)
    torch.testing.assert_close(records[true].gradient, expected)
    assert not records[true].is_held
    assert records[held].is_held
    assert (records[held].gradient - expected).abs().max() > 1e-3


class Hybrid(nn.Module):
    """Convolutions, an attention over all pixels, a convolution again."""

    def __init__(self):
        super().__init__()
        self.stem, self.attention = nn.Conv2d(3, 8, 4, 4), nn.MultiheadAttention(8, 2, batch_first=True)
        self.last, self.fc = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 3)

    def forward(self, x):
        x = self.stem(x)
        y = x.flatten(2).transpose(1, 2)
        x = x + self.attention(y, y, y)[0].transpose(1, 2).unflatten(2, x.shape[2:])
        return self.fc(self.last(x).relu().mean((2, 3)))


@pytest.mark.parametrize(
    ("net", "layer", "where"),
    [
        (Plain(), None, "6"),
        (Residual(), None, "layer2"),
        (Swinlike(), None, "last"),
        (Hybrid(), None, "last"),
        (Hybrid(), "stem", "stem"),  # convolutions hold maps together
        (Tokens(0, mean=True), "norm", "norm"),  # behind all attention
    ],
)
def test_where_no_attention_mixes_what_is_there_nothing_is_held(net, layer, where):
    name, record, _ = recorded(net.eval(), layer)
    assert (name, record.is_held) == (where, False)


def test_attention_that_runs_later_and_elsewhere_holds_nothing():
    class TwoTowers(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.words, self.fc = nn.Conv2d(3, 8, 3), Reader(), nn.Linear(8, 3)

        def forward(self, x):
            x = F.layer_norm(self.body(x).movedim(1, -1), (8,))
            return self.fc(x.relu().mean((1, 2))) + self.words(torch.ones(len(x), 3, 12, 12)).mean()

    name, record, _ = recorded(TwoTowers().eval())
    assert (name, record.is_held) == ("body", False)


@pytest.mark.parametrize(
    ("views", "backward"),
    [
        ([saliency("label"), evidence(), grad_cam(target="label"), layer_cam(target="label")], 2),
        ([saliency(), evidence(), grad_cam(), layer_cam()], 3),
        ([evidence(), grad_cam(target="label")], 1),
        ([saliency(), layer_cam()], 1),
    ],
    ids=["one class", "label and predicted", "held alone", "true alone"],
)
def test_all_views_of_tokens_cost_one_forward_and_go_back_once_more_where_attention_is_held(views, backward, monkeypatch):
    net, probe = Reader().eval(), Probe(images(4), torch.tensor([0, 1, 2, 0]))
    with torch.no_grad():
        assert not torch.equal(net(probe.images).argmax(1), probe.labels)
    placed, _ = find_places(net, probe, ForwardConfig(), views)
    with counting(net, monkeypatch) as counts:
        attempt = try_look(net, probe, views, placed)
    assert counts == {"forward": 1, "grad": backward}
    assert not attempt.failures
    assert [*attempt.frame.maps] == [view.key for view in views]


def test_views_of_tokens_are_what_they_are_alone():
    net, probe = Reader().eval(), Probe(images(4), torch.tensor([0, 1, 2, 0]))
    views = [
        saliency(),
        evidence(),
        grad_cam(),
        layer_cam(),
        evidence("blocks.1"),
        hires_cam("blocks.1"),
        hires_cam("blocks.0:input"),
    ]
    together = look(net, probe, views)
    for view in views:
        alone = look(net, probe, [view]).maps[view.key]
        assert together.maps[view.key].layer == alone.layer
        torch.testing.assert_close(*(torch.from_numpy(each.values) for each in (together.maps[view.key], alone)))


class Headed(Reader):
    """Two answers of the same tokens; its blocks are run again on the way back, if at all."""

    def __init__(self, recompute=None):
        super().__init__()
        self.other, self.recompute = nn.Linear(8, 2), recompute

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x) if self.recompute is None else checkpoint(block, x, use_reentrant=self.recompute)
        x = self.norm(x)
        return {"kind": self.head(x.mean(1)), "other": self.other(x[:, 0])}


def headed(net):
    labels = {"kind": torch.tensor([0, 1, 2, 0]), "other": torch.tensor([0, 1, 1, 0])}
    probe = Probe(images(4), labels)
    views = [saliency(), evidence(), grad_cam(), layer_cam()]
    answers = [Words(head=name).over(answer_of_labels(probe.of(labels[name]))) for name in labels]
    probes = [probe.of(labels[name]) for name in labels]
    return [
        Head(name, each, ForwardConfig(answer=answer), views)
        for name, each, answer in zip(labels, probes, answers, strict=True)
    ]


def test_heads_of_tokens_share_the_forward_pass(monkeypatch):
    net = Headed().eval()
    heads = headed(net)
    for at, head in enumerate(heads):
        heads[at] = replace(head, running=find_places(net, head.probe, head.running, head.views)[0])
    with counting(net, monkeypatch) as counts:
        attempt, each = try_heads(net, heads)
    assert counts["forward"] == 1
    assert not attempt.failures
    for head, found in zip(heads, each, strict=True):
        alone = try_look(net, head.probe, head.views, head.running).frame
        for key, maps in alone.maps.items():
            torch.testing.assert_close(torch.from_numpy(found.frame.maps[key].values), torch.from_numpy(maps.values))


@pytest.mark.parametrize("recompute", [False, True])
def test_checkpointed_tokens_have_the_maps_of_plain_ones(recompute):
    found = []
    for net in (Headed(), Headed(recompute)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = look(
                net.eval(), Probe(images(4), torch.tensor([0, 1, 2, 0])), [saliency(), evidence(), grad_cam()], head="kind"
            )
        found.append({key: (maps.layer, maps.values) for key, maps in frame.maps.items()})
    for key, (layer, values) in found[0].items():
        assert found[1][key][0] == layer
        torch.testing.assert_close(torch.from_numpy(found[1][key][1]), torch.from_numpy(values))


def gates():
    gc.collect()
    return {id(each) for each in gc.get_objects() if type(each).__name__ in ("_GateBackward", "_DetourBackward")}


def test_nothing_of_a_look_lives_on():
    probe, before = Probe(images(4), torch.tensor([0, 1, 2, 0])), gates()
    look(Reader().eval(), probe, [saliency(), evidence(), evidence("blocks.1"), layer_cam()])
    assert gates() <= before


def test_a_place_that_is_bypassed_goes_on_being_looked_at_with_attention_held():
    class Bypassed(Reader):
        """The image's mean has a way of its own past the tokens' last norm."""

        def __init__(self):
            super().__init__(mean=True)
            self.side = nn.Linear(8, 3)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            first = x
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x)).amax(1) + self.side(first.mean(1))

    net, probe = Bypassed().eval(), Probe(images(4), torch.tensor([0, 1, 2, 0]))
    first, _ = find_places(net, probe, ForwardConfig(), [evidence(), evidence("norm"), layer_cam()])
    assert first.places["norm"].bypassed > 0
    found = replace(first, places={**first.places, None: replace(first.places["norm"], held=first.places[None].held)})
    stale = replace(found, places={name: replace(each, bypassed=0.999) for name, each in found.places.items()})
    again, _ = find_places(net, probe, stale, [evidence(), evidence("norm"), layer_cam()])
    assert again.places[None] == found.places[None]
    assert again.places["norm"] == found.places["norm"]


@pytest.mark.parametrize("count", [1, 5])
def test_the_share_in_the_prefix_is_said_where_it_is_large(count):
    net = Tokens(count).eval()
    probe = Probe(images(4), torch.tensor([0, 1, 2, 0]))
    early, late = look(net, probe, [evidence(), saliency()]), look(net, probe, [evidence("blocks.layers.1"), grad_cam()])
    assert said_of_held("blocks:input") in early.notes
    assert {said_of_held("blocks.layers.1"), said_of_held("blocks:input")} <= {*late.notes}
    assert 0 <= early.numbers["attribution/evidence/prefix"] <= 1
    share = late.numbers["attribution/evidence.blocks.layers.1/prefix"]
    assert share > 0.1
    where = (
        "the token before those of the patches, which has"
        if count == 1
        else "the 5 tokens before those of the patches, which have"
    )
    assert f"{share:.0%} of evidence.blocks.layers.1 is in {where} no place in the image" in late.notes
    assert "attribution/saliency/prefix" not in early.numbers


def test_the_share_in_the_prefix_by_hand():
    # Two cells that say 3 and -1, one token beside them that says 4: a half. Without a prefix there is no share.
    ones = torch.ones(1, 1, 1, 2)
    beside = Record(torch.ones(1, 1, 1), torch.full((1, 1, 1), 4.0))
    record = Record(ones, torch.tensor([[[[3.0, -1.0]]]]), beside, by_cell=True)
    assert prefix_share(record).tolist() == [0.5]
    assert prefix_share(Record(ones, 0 * ones, Record(torch.ones(1, 1, 1), torch.zeros(1, 1, 1)))).tolist() == [0.0]
    assert prefix_share(Record(ones, ones)) is None


def test_in_chunks_it_is_the_same():
    probe = Probe(images(5), torch.tensor([0, 1, 2, 0, 1]))
    whole, parts = (look(Reader().eval(), probe, [evidence()], chunk_size=size) for size in (None, 2))
    torch.testing.assert_close(
        *(torch.from_numpy(each.maps["evidence"].values) for each in (whole, parts)), rtol=1e-4, atol=1e-5
    )
    assert whole.notes == parts.notes
