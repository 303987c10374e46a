"""Attention caught and held: a block of two tokens worked by hand, in all the writings that it has."""

from __future__ import annotations

import math

import pytest
import torch
from nets import Tokens, images
from torch import nn
from torch.nn import functional as F

from lightning_vis.model.attention import Hold, catching, holding

# Two tokens of one number, 0 and 1. Queries 1 - x, keys x ln 3, values 8 - 4 x: queries 1 0, keys 0 ln 3, values 8 4.
# The first token's scores are 0 and ln 3, its attention 1/4 and 3/4, what it reads 2 + 3 = 5; the second's are 1/2, 1/2, 6.
TOKENS = torch.tensor([[[0.0], [1.0]]])
WEIGHT, BIAS = torch.tensor([[-1.0], [math.log(3)], [-4.0]]), torch.tensor([1.0, 0.0, 8.0])
ATTENTION, READ = [[0.25, 0.75], [0.5, 0.5]], [5.0, 6.0]
# With attention held d 5 / d x is 1/4 and 3/4 times -4. Truly: q1 comes from the first token, d q1 / d x1 = -1, and
# d 5 / d q1 = sum of attention x (value - 5) x key = 3/4 (4 - 5) ln 3; d 5 / d k = attention x (value - 5) q1 = 3/4, -3/4.
HELD = [-1.0, -3.0]
TRUE = [-1 + 0.75 * math.log(3) + 0.75 * math.log(3), -3 - 0.75 * math.log(3)]


def dot_product(x):
    q, k, v = F.linear(x, WEIGHT, BIAS).unsqueeze(1).split(1, -1)
    return F.scaled_dot_product_attention(q, k, v).squeeze(1)


def named_dot_product(x):
    q, k, v = F.linear(x, WEIGHT, BIAS).unsqueeze(1).split(1, -1)
    return F.scaled_dot_product_attention(value=v, key=k, query=q, attn_mask=None, scale=1.0).squeeze(1)


def dot_product_with_more(x):
    q, k, v = F.linear(x, WEIGHT, BIAS).unsqueeze(1).split(1, -1)
    return F.scaled_dot_product_attention(q, k, v, torch.zeros(2, 2), 0.0).squeeze(1)


def softmax_method(x):
    q, k, v = F.linear(x, WEIGHT, BIAS).split(1, -1)
    return (q @ k.transpose(-2, -1)).softmax(dim=-1) @ v


def softmax_function(x):
    q, k, v = F.linear(x, WEIGHT, BIAS).split(1, -1)
    return F.dropout(F.softmax(torch.einsum("nik,njk->nij", q, k), -1, dtype=torch.float32), 0.1, training=False) @ v


def softmax_module(x):
    q, k, v = F.linear(x, WEIGHT, BIAS).split(1, -1)
    return nn.Softmax(2)(torch.bmm(q, k.mT)) @ v


def multi_head(x, need_weights=False):
    attention = nn.MultiheadAttention(1, 1, batch_first=True).eval()
    attention.load_state_dict(
        {"in_proj_weight": WEIGHT, "in_proj_bias": BIAS, "out_proj.weight": torch.eye(1), "out_proj.bias": torch.zeros(1)}
    )
    return attention(x, x, x, need_weights=need_weights)[0]


def multi_head_with_weights(x):
    return multi_head(x, need_weights=True)


WRITINGS = [
    dot_product,
    named_dot_product,
    dot_product_with_more,
    softmax_method,
    softmax_function,
    softmax_module,
    multi_head,
    multi_head_with_weights,
]


def behind():
    return Hold({"here": [None]})


@pytest.mark.parametrize("attention", WRITINGS)
def test_held_by_hand(attention):
    x, hold = TOKENS.clone().requires_grad_(), behind()
    with holding(hold):
        read = attention(x)
    torch.testing.assert_close(read.flatten(), torch.tensor(READ))
    with hold.closed():
        (held,) = torch.autograd.grad(read[0, 0, 0], x, retain_graph=True)
    (true,) = torch.autograd.grad(read[0, 0, 0], x)
    assert held.flatten().tolist() == pytest.approx(HELD)
    assert true.flatten().tolist() == pytest.approx(TRUE)
    assert hold.behind == {"here"}
    assert hold.reached > 0
    # complete: what the tokens give and the bias of the values are what is read
    assert float((held * x.detach()).sum()) + 8 == pytest.approx(5)


@pytest.mark.parametrize("attention", WRITINGS)
def test_caught_by_hand(attention):
    found = []
    with catching(found.append):
        read = attention(TOKENS)
    assert torch.equal(read, attention(TOKENS))
    assert len(found) == 1
    torch.testing.assert_close(found[0].reshape(2, 2), torch.tensor(ATTENTION))


def test_masks_count_in_what_is_caught():
    q, k, v = torch.randn(3, 2, 4, 5, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.rand(5, 5, generator=torch.Generator().manual_seed(1)) > 0.4
    mask |= torch.eye(5, dtype=torch.bool)
    for given in ({"attn_mask": mask}, {"attn_mask": mask.float()}, {"is_causal": True}, {"scale": 0.3}):
        found = []
        with catching(found.append):
            out = F.scaled_dot_product_attention(q, k, v, **given)
        torch.testing.assert_close(found[0] @ v, out)


def test_a_norms_divisor_is_held_by_hand():
    # 1 and 3: mean 2, deviation 1, so -1 and 1. Held, the second is (x2 - x1) / 2: gradient -1/2, 1/2. Truly it does not change.
    x, hold = torch.tensor([[[1.0, 3.0]]], requires_grad=True), behind()
    weight = torch.tensor([5.0, 2.0])
    with holding(hold):
        out = F.layer_norm(x, (2,), weight, torch.ones(2), eps=0.0)
    assert out.flatten().tolist() == [-4.0, 3.0]
    with hold.closed():
        (held,) = torch.autograd.grad(out[0, 0, 1], x, retain_graph=True)
    assert held.flatten().tolist() == pytest.approx([-1.0, 1.0])
    assert torch.autograd.grad(out[0, 0, 1], x)[0].flatten().tolist() == pytest.approx([0.0, 0.0])


def test_a_root_mean_square_is_held_by_hand():
    x, hold = torch.tensor([3.0, 4.0], requires_grad=True), behind()
    with holding(hold):
        out = nn.RMSNorm(2, eps=0.0)(x)
    with hold.closed():
        (held,) = torch.autograd.grad(out[1], x)
    assert held.tolist() == pytest.approx([0.0, 1 / math.sqrt(12.5)])


@pytest.mark.parametrize("net", [Tokens(), Tokens(5), Tokens(1, batch_first=False), Tokens(0, mean=True)])
def test_a_network_gives_the_same_bits_and_the_same_true_gradients(net):
    net, caught = net.eval(), []
    leaf = images(3).requires_grad_()
    output = net(leaf)
    expected = torch.autograd.grad(output[:, 0].sum(), leaf)[0]
    with holding(behind()):
        held = net(leaf)
    with catching(caught.append):
        assert torch.equal(net(leaf), output)
    assert torch.equal(held, output)
    assert torch.equal(torch.autograd.grad(held[:, 0].sum(), leaf)[0], expected)
    assert [each.shape[:2] for each in caught] == [(3, 2)] * 3
    for each in caught:
        torch.testing.assert_close(each.sum(-1), torch.ones(each.shape[:-1]))


def test_nothing_is_held_before_the_place():
    x, met = TOKENS.clone().requires_grad_(), {"here": []}
    hold = Hold(met)
    with holding(hold):
        first = dot_product(x)
        met["here"].append(first)
        second = dot_product(first)
    with hold.closed():
        torch.autograd.grad(second[0, 0, 0], x)
    assert hold.behind == {"here"}
    assert hold.reached == 2  # queries and keys of the second


@pytest.mark.parametrize(
    "tensor", [torch.zeros(4, 4), torch.zeros(2, 3, 4), torch.zeros(2, 4, 1, 1)], ids=["scores", "oblong", "one"]
)
def test_a_softmax_that_is_no_attention_is_left_alone(tensor):
    hold = behind()
    with holding(hold), catching(lambda _: pytest.fail("that is no attention")):
        torch.softmax(tensor.requires_grad_(), -1)
        torch.softmax(torch.zeros(2, 3, 4, 4, requires_grad=True), 1)
    assert not hold.behind


@pytest.mark.parametrize("block", [dot_product, multi_head, softmax_method])
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_behind_the_place_go_on_working(block, reentrant):
    def run(x):
        return block(F.layer_norm(x + torch.tensor([[0.0], [2.0]]), (2, 1)))

    leaf = TOKENS.clone().requires_grad_()
    plain, hold = run(leaf), behind()
    expected = torch.autograd.grad(plain[0, 0, 0], leaf)[0]
    with holding(hold):
        out = torch.utils.checkpoint.checkpoint(run, leaf, use_reentrant=reentrant)
    out[0, 0, 0].backward()
    assert torch.equal(leaf.grad, expected)


def test_scripted_modules_go_on_working():
    net = torch.jit.trace(nn.Linear(1, 1), TOKENS)
    with holding(behind()):
        assert torch.equal(net(TOKENS), net(TOKENS))
