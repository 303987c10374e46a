"""Attention rollout: by hand, by a slow loop, for each way in which attention is written, and refused where it cannot be."""

import pytest
import torch
from nets import Residual, Tokens, images, trained_looking
from torch import nn
from torch.nn import functional as F

from lightning_vis import Probe, look
from lightning_vis.attribution import attention_rollout, evidence, saliency
from lightning_vis.attribution.methods.rollout import BLIND, rolled_out


def test_it_is_what_is_worked_by_hand():
    """Two tokens, two blocks: (A + I) / 2 twice."""
    first = torch.tensor([[[0.5, 0.5], [0.0, 1.0]]])
    second = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    torch.testing.assert_close(rolled_out([first, second]), torch.tensor([[[0.375, 0.625], [0.375, 0.625]]]))


class Attends(nn.Module):
    """One way of writing it."""

    def __init__(self, way):
        super().__init__()
        self.way, self.qkv, self.out = way, nn.Linear(16, 48), nn.Linear(16, 16)
        self.multi = nn.MultiheadAttention(16, 2, batch_first=True)

    def weights(self, x):
        q, k, _ = self.qkv(x).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
        return (q @ k.transpose(-2, -1) * 0.3).softmax(-1)

    def forward(self, x):
        if self.way == "module":
            return self.multi(x, x, x, need_weights=False)[0]
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(q, k, v, scale=0.3) if self.way == "function" else self.weights(x) @ v
        return self.out(read.transpose(1, 2).flatten(2))


class Small(nn.Module):
    """Three blocks on 4 x 4 patches, behind a prefix."""

    def __init__(self, way, prefix, mean):
        super().__init__()
        torch.manual_seed(7)
        self.patches, self.prefix, self.is_mean = nn.Conv2d(3, 16, 3, 3), nn.Parameter(torch.randn(1, prefix, 16)), mean
        self.blocks, self.head = nn.ModuleList(Attends(way) for _ in range(3)), nn.Linear(16, 3)

    def forward(self, x):
        x = torch.cat((self.prefix.expand(len(x), -1, -1), self.patches(x).flatten(2).transpose(1, 2)), 1)
        self.seen = []
        for block in self.blocks:
            self.seen.append(x)
            x = x + block(x)
        return self.head(x[:, self.prefix.shape[1] :].mean(1) if self.is_mean else x[:, 0])


class Windowed(Small):
    """Attention among four patches at a time."""

    def __init__(self):
        super().__init__("function", 0, mean=True)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = x + block(x.reshape(-1, 4, 16)).reshape(x.shape)
        return self.head(x.mean(1))


def slowly(net, pixels):
    """After the paper's formula, token by token."""
    with torch.no_grad():
        net(pixels)
    matrices = []
    for block, x in zip(net.blocks, net.seen, strict=True):
        weights = block.multi(x, x, x)[1] if block.way == "module" else block.weights(x).mean(1)
        matrices.append(weights.detach())
    count = net.prefix.shape[1]
    rows = range(count, count + 16) if net.is_mean else [0]
    maps = torch.zeros(len(pixels), 16)
    for image in range(len(pixels)):
        flow = torch.eye(count + 16)
        for each in matrices:
            mixed = torch.stack([(each[image, row] + torch.eye(count + 16)[row]) / 2 for row in range(count + 16)])
            flow = torch.stack([sum(mixed[row, at] * flow[at] for at in range(count + 16)) for row in range(count + 16)])
        maps[image] = torch.stack([flow[row, count:] for row in rows]).mean(0)
    return maps.reshape(-1, 4, 4)


@pytest.mark.parametrize("way", ["module", "function", "by hand"])
@pytest.mark.parametrize(("prefix", "mean"), [(1, False), (3, False), (0, True), (2, True)])
def test_it_is_the_papers_formula_read_where_the_answer_reads(way, prefix, mean):
    net, pixels = Small(way, prefix, mean).eval(), images(3)
    frame = look(net, Probe(pixels), [attention_rollout()])
    torch.testing.assert_close(torch.tensor(frame.maps["attention_rollout"].values), slowly(net, pixels), rtol=1e-4, atol=1e-6)


def test_it_is_blind_to_the_class_and_says_so():
    net, probe = Tokens().eval(), Probe(images(3))
    first, other = (look(net, probe, [attention_rollout(target=each)]) for each in (0, 2))
    one, two = (next(iter(each.maps.values())).values for each in (first, other))
    assert (one == two).all()
    assert BLIND in first.notes


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (Residual, "there is no attention on the way to the answer; evidence shows what speaks for it"),
        (Windowed, "attention has to be one between all tokens, those of the 16 places of layer .*; there is one of 4 x 4;"),
    ],
)
def test_where_it_cannot_be_it_is_refused_and_its_remedy_works(make, sentence):
    net, probe = trained_looking(make()).eval(), Probe(images(3))
    with pytest.raises(ValueError, match=sentence):
        look(net, probe, [attention_rollout()])
    assert (look(net, probe, [evidence()]).maps["evidence"].values != 0).any()


def test_other_views_are_as_without_it():
    net, probe = Tokens().eval(), Probe(images(3))
    views = [evidence(), saliency()]
    alone, beside = look(net, probe, views), look(net, probe, [*views, attention_rollout()])
    for key, maps in alone.maps.items():
        assert (maps.values == beside.maps[key].values).all()
