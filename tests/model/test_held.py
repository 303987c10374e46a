"""What is held constant changes no output, and makes tokens add up to the score."""

from __future__ import annotations

import math

import pytest
import torch
from nets import Tokens, images
from torch import nn
from torch.nn import functional as F

from lightning_vis.model.held import AttentionSpy, Held

GENERATOR = torch.Generator().manual_seed(0)
QUERY, KEY, VALUE = (torch.randn(2, 3, 5, 4, generator=GENERATOR) for _ in range(3))


def fused(query, key, value):
    return F.scaled_dot_product_attention(query, key, value)


def written_out(query, key, value):
    return (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(-1) @ value


def by_function(query, key, value):
    return F.softmax(query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]), dim=-1) @ value


@pytest.mark.parametrize("attention", [fused, written_out, by_function])
def test_attention_carries_values_and_asks_nothing(attention):
    query, key, value = (each.clone().requires_grad_() for each in (QUERY, KEY, VALUE))
    with Held():
        held = attention(query, key, value)
    torch.testing.assert_close(held, attention(query, key, value))
    weights = torch.randn(held.shape, generator=torch.Generator().manual_seed(1))
    of_query, of_key, of_value = torch.autograd.grad((held * weights).sum(), (query, key, value), allow_unused=True)
    assert of_query is None
    assert of_key is None
    by_hand = (QUERY @ KEY.transpose(-1, -2) / 2).softmax(-1).transpose(-1, -2) @ weights
    torch.testing.assert_close(of_value, by_hand)


def test_the_module_of_several_heads_is_held_too():
    module = nn.MultiheadAttention(8, 2, batch_first=True)
    tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(2)).requires_grad_()
    with Held():
        held, shares = module(tokens, tokens, tokens, average_attn_weights=False)
    plain = module(tokens, tokens, tokens)[0]
    torch.testing.assert_close(held, plain)
    value = F.linear(tokens, module.in_proj_weight[16:], module.in_proj_bias[16:]).unflatten(2, (2, 4)).transpose(1, 2)
    by_hand = module.out_proj((shares.detach() @ value).transpose(1, 2).flatten(2))
    weights = torch.randn(held.shape, generator=torch.Generator().manual_seed(3))
    found, expected = (torch.autograd.grad((each * weights).sum(), tokens)[0] for each in (held, by_hand))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm(6), nn.LayerNorm((5, 6)), nn.LayerNorm(6, elementwise_affine=False), nn.RMSNorm(6)]
)
def test_norms_keep_their_value_to_the_bit_and_are_linear(norm):
    x = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(4)).requires_grad_()
    if norm.weight is not None:
        nn.init.normal_(norm.weight)
    with Held():
        held = norm(x)
    assert torch.equal(held, norm(x))
    weights = torch.randn(held.shape, generator=torch.Generator().manual_seed(5))
    gradient = torch.autograd.grad((held * weights).sum(), x)[0]
    bias = 0 if getattr(norm, "bias", None) is None else norm.bias
    torch.testing.assert_close((gradient * x).sum(), ((norm(x) - bias) * weights).sum())  # linear: it adds up


def test_other_softmaxes_are_left_alone():
    logits = torch.randn(4, 6, requires_grad=True)
    with Held():
        assert logits.softmax(-1).requires_grad
        assert logits.unflatten(1, (2, 3)).softmax(1).requires_grad


@pytest.mark.parametrize("mean", [True, False])
def test_tokens_of_a_linear_network_add_up_to_the_answer(mean):
    net = Tokens(2, mean=mean).eval()
    for layer in net.blocks.layers:  # no biases, and a ReLU is linear where it is
        for name, value in layer.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(value)
    nn.init.zeros_(net.head.bias)
    tokens = []
    hook = net.blocks.register_forward_pre_hook(lambda _, given: tokens.append(given[0]))
    with Held():
        score = net(images(3))[:, 1]
    hook.remove()
    gradient = torch.autograd.grad(score.sum(), tokens[0])[0]
    torch.testing.assert_close((gradient * tokens[0]).sum((1, 2)), score, rtol=1e-4, atol=1e-5)


def test_the_first_attention_is_told_once():
    net, told = Tokens().eval(), []
    with AttentionSpy(lambda: told.append(True)):
        net(images(2).requires_grad_())
    assert told == [True]
    with AttentionSpy(lambda: told.append(True)):
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Softmax(1))(images(2))
    assert told == [True]
