"""Attention noticed and held: a block of two tokens worked by hand, in all the writings that it has."""

from __future__ import annotations

import math

import pytest
import torch
from nets import Tokens, images
from torch import nn
from torch.nn import functional as F

from lightning_vis.model.attention import Hold, holding, noticing
from lightning_vis.model.run import Kept
from lightning_vis.model.site.site import plain_site

# Two tokens of one number, 0 and 1. Queries 1 - x, keys x ln 3, values 8 - 4 x: queries 1 0, keys 0 ln 3, values 8 4.
# The first token's scores are 0 and ln 3, its attention 1/4 and 3/4, what it reads 2 + 3 = 5; the second's are 1/2, 1/2, 6.
TOKENS = torch.tensor([[[0.0], [1.0]]])
WEIGHT, BIAS = torch.tensor([[-1.0], [math.log(3)], [-4.0]]), torch.tensor([1.0, 0.0, 8.0])
READ = [5.0, 6.0]
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


@pytest.mark.parametrize("attention", WRITINGS)
def test_held_by_hand(attention):
    x, hold = TOKENS.clone().requires_grad_(), Hold()
    with holding(hold):
        read = attention(x)
    torch.testing.assert_close(read.flatten(), torch.tensor(READ))
    with hold.closed():
        (held,) = torch.autograd.grad(read[0, 0, 0], x, retain_graph=True)
    (true,) = torch.autograd.grad(read[0, 0, 0], x)
    assert held.flatten().tolist() == pytest.approx(HELD)
    assert true.flatten().tolist() == pytest.approx(TRUE)
    # complete: what the tokens give and the bias of the values are what is read
    assert float((held * x.detach()).sum()) + 8 == pytest.approx(5)


@pytest.mark.parametrize("attention", WRITINGS)
def test_each_attention_is_noticed_once_and_changes_nothing(attention):
    found = []
    with noticing(found.append):
        read = attention(TOKENS)
    assert torch.equal(read, attention(TOKENS))
    assert len(found) == 1


QUERY, KEY, VALUE = torch.randn(3, 2, 3, 5, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "attention",
    [
        F.scaled_dot_product_attention,
        lambda q, k, v: (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v,
        lambda q, k, v: F.softmax(q @ k.transpose(-1, -2) / 2, dim=-1) @ v,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=torch.zeros(5, 5)),
    ],
)
def test_several_heads_carry_values_and_ask_nothing(attention):
    query, key, value = (each.clone().requires_grad_() for each in (QUERY, KEY, VALUE))
    hold = Hold()
    with holding(hold):
        held = attention(query, key, value)
    assert torch.equal(held, attention(query, key, value))
    weights = torch.randn(held.shape, generator=torch.Generator().manual_seed(1))
    with hold.closed():
        of_query, of_key, of_value = torch.autograd.grad((held * weights).sum(), (query, key, value), allow_unused=True)
    assert of_query is None or not of_query.any()
    assert of_key is None or not of_key.any()
    by_hand = (QUERY @ KEY.transpose(-1, -2) / 2).softmax(-1).transpose(-1, -2) @ weights
    torch.testing.assert_close(of_value, by_hand)


def test_the_module_of_several_heads_is_held_too():
    module, hold = nn.MultiheadAttention(8, 2, batch_first=True), Hold()
    tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(2)).requires_grad_()
    with holding(hold):
        held, shares = module(tokens, tokens, tokens, average_attn_weights=False)
    assert torch.equal(held, module(tokens, tokens, tokens, average_attn_weights=False)[0])
    value = F.linear(tokens, module.in_proj_weight[16:], module.in_proj_bias[16:]).unflatten(2, (2, 4)).transpose(1, 2)
    by_hand = module.out_proj((shares.detach() @ value).transpose(1, 2).flatten(2))
    weights = torch.randn(held.shape, generator=torch.Generator().manual_seed(3))
    with hold.closed():
        found, expected = (torch.autograd.grad((each * weights).sum(), tokens)[0] for each in (held, by_hand))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm(6), nn.LayerNorm((5, 6)), nn.LayerNorm(6, elementwise_affine=False), nn.RMSNorm(6)]
)
def test_norms_keep_their_value_to_the_bit_and_are_linear(norm):
    x, hold = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(4)).requires_grad_(), Hold()
    if norm.weight is not None:
        nn.init.normal_(norm.weight)
    with holding(hold):
        held = norm(x)
    assert torch.equal(held, norm(x))
    weights = torch.randn(held.shape, generator=torch.Generator().manual_seed(5))
    with hold.closed():
        gradient = torch.autograd.grad((held * weights).sum(), x)[0]
    bias = 0 if getattr(norm, "bias", None) is None else norm.bias
    torch.testing.assert_close((gradient * x).sum(), ((norm(x) - bias) * weights).sum())  # linear: it adds up


def test_norms_by_any_name_and_way_of_being_called_are_held():
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(4)).requires_grad_()
    weight, bias = torch.randn(2, 6, generator=torch.Generator().manual_seed(5))
    calls = [
        lambda: F.layer_norm(x, (6,), weight, bias, 0.1),
        lambda: F.layer_norm(input=x, normalized_shape=[6], weight=weight, bias=bias, eps=0.1),
        lambda: torch.layer_norm(x, (6,), weight, bias, 0.1, False),
    ]
    found = [_held_gradient(call, x) for call in calls]
    by_hand = (weight / (x.var(1, unbiased=False, keepdim=True) + 0.1).sqrt()).detach()
    for each in found:
        torch.testing.assert_close(each, by_hand - by_hand.mean(1, keepdim=True))
    roots = [lambda: F.rms_norm(x, (6,), weight, 0.1), lambda: torch.rms_norm(x, (6,), weight, eps=0.1)]
    for call in roots:
        torch.testing.assert_close(_held_gradient(call, x), (weight / (x.square().mean(1, keepdim=True) + 0.1).sqrt()).detach())


def _held_gradient(call, x):
    hold = Hold()
    with holding(hold):
        out = call()
    with hold.closed():
        return torch.autograd.grad(out.sum(), x)[0]


def test_a_norm_of_half_precision_is_held_in_full():
    x = torch.linspace(100, 101, 64, dtype=torch.bfloat16).requires_grad_()
    exact = x.detach().float().requires_grad_()
    weights = torch.randn(64, generator=torch.Generator().manual_seed(0))
    half, full = (_held_gradient(lambda each=each: F.layer_norm(each, (64,)) * weights.to(each), each) for each in (x, exact))
    torch.testing.assert_close(half.float(), full, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("mean", [True, False])
def test_tokens_of_a_linear_network_add_up_to_the_answer(mean):
    net = Tokens(2, mean=mean).eval()
    for layer in net.blocks.layers:  # no biases, and a ReLU is linear where it is
        for name, value in layer.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(value)
    nn.init.zeros_(net.head.bias)
    tokens, hold = [], Hold()
    hook = net.blocks.register_forward_pre_hook(lambda _, given: tokens.append(given[0]))
    with holding(hold):
        score = net(images(3))[:, 1]
    hook.remove()
    with hold.closed():
        gradient = torch.autograd.grad(score.sum(), tokens[0])[0]
    torch.testing.assert_close((gradient * tokens[0]).sum((1, 2)), score, rtol=1e-4, atol=1e-5)


def test_where_no_site_wants_it_nothing_is_held():
    x = TOKENS.clone().requires_grad_()
    with Kept({"layer": plain_site("layer")}).gated():
        assert "_Gate" not in type(dot_product(x).grad_fn.next_functions[0][0]).__name__
        assert "_Detour" not in type(F.layer_norm(x, (1,)).grad_fn).__name__


def test_a_norms_divisor_is_held_by_hand():
    # 1 and 3: mean 2, deviation 1, so -1 and 1. Held, the second is (x2 - x1) / 2: gradient -1/2, 1/2. Truly it does not change.
    x, hold = torch.tensor([[[1.0, 3.0]]], requires_grad=True), Hold()
    weight = torch.tensor([5.0, 2.0])
    with holding(hold):
        out = F.layer_norm(x, (2,), weight, torch.ones(2), eps=0.0)
    assert out.flatten().tolist() == [-4.0, 3.0]
    with hold.closed():
        (held,) = torch.autograd.grad(out[0, 0, 1], x, retain_graph=True)
    assert held.flatten().tolist() == pytest.approx([-1.0, 1.0])
    assert torch.autograd.grad(out[0, 0, 1], x)[0].flatten().tolist() == pytest.approx([0.0, 0.0])


def test_a_root_mean_square_is_held_by_hand():
    x, hold = torch.tensor([3.0, 4.0], requires_grad=True), Hold()
    with holding(hold):
        out = nn.RMSNorm(2, eps=0.0)(x)
    with hold.closed():
        (held,) = torch.autograd.grad(out[1], x)
    assert held.tolist() == pytest.approx([0.0, 1 / math.sqrt(12.5)])


@pytest.mark.parametrize("net", [Tokens(), Tokens(5), Tokens(1, batch_first=False), Tokens(0, mean=True)])
def test_a_network_gives_the_same_bits_and_the_same_true_gradients(net):
    net, found = net.eval(), []
    leaf = images(3).requires_grad_()
    output = net(leaf)
    expected = torch.autograd.grad(output[:, 0].sum(), leaf)[0]
    with holding(Hold()):
        held = net(leaf)
    with noticing(found.append):
        assert torch.equal(net(leaf), output)
    assert torch.equal(held, output)
    assert torch.equal(torch.autograd.grad(held[:, 0].sum(), leaf)[0], expected)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((4, 4), -1), ((2, 3, 4), -1), ((2, 4, 1, 1), -1), ((2, 3, 4, 4), 1), ((2, 4, 4), 1)],
    ids=["scores", "oblong", "one", "classes of pixels", "not along tokens"],
)
def test_a_softmax_that_is_no_attention_is_left_alone(shape, axis):
    scores, hold = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_(), Hold()
    with holding(hold), noticing(lambda _: pytest.fail("that is no attention")):
        shares = torch.softmax(scores, axis)
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    expected = torch.autograd.grad((torch.softmax(scores, axis) * weights).sum(), scores)[0]
    with hold.closed():
        assert torch.equal(torch.autograd.grad((shares * weights).sum(), scores)[0], expected)


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 3, 16, 4), (2, 3, 1, 5), (2, 2, 3, 4, 4)], ids=str)
def test_a_softmax_over_tokens_is_attention_of_fewer_and_of_one_too(shape):
    found = []
    with noticing(found.append):
        torch.softmax(torch.zeros(shape), -1)
    assert len(found) == 1


@pytest.mark.parametrize("block", [dot_product, multi_head, softmax_method])
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_behind_the_place_go_on_working(block, reentrant):
    def run(x):
        return block(F.layer_norm(x + torch.tensor([[0.0], [2.0]]), (2, 1)))

    leaf = TOKENS.clone().requires_grad_()
    expected = torch.autograd.grad(run(leaf)[0, 0, 0], leaf)[0]
    hold = Hold()
    with holding(hold):
        plain, out = run(leaf), torch.utils.checkpoint.checkpoint(run, leaf, use_reentrant=reentrant)
    out[0, 0, 0].backward(retain_graph=not reentrant)
    assert torch.equal(leaf.grad, expected)
    if not reentrant:  # those are held only where they run again in such a time
        with hold.closed():
            held, by_checkpoint = (torch.autograd.grad(each[0, 0, 0], leaf)[0] for each in (plain, out))
        assert torch.equal(by_checkpoint, held)
        assert not torch.equal(held, expected)


def test_a_checkpoint_that_is_run_again_without_us_goes_on_working():
    leaf = TOKENS.clone().requires_grad_()
    with holding(Hold()):
        out = torch.utils.checkpoint.checkpoint(lambda x: multi_head(F.layer_norm(x, (2, 1))), leaf, use_reentrant=False)
    out[0, 0, 0].backward()
    expected = torch.autograd.grad(multi_head(F.layer_norm(leaf, (2, 1)))[0, 0, 0], leaf)[0]
    assert torch.equal(leaf.grad, expected)


def test_what_is_changed_in_place_behind_a_norm_goes_on_working():
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = torch.autograd.grad(F.layer_norm(x, (4,)).relu().square().sum(), x)[0]
    with holding(Hold()):
        out = F.relu(F.layer_norm(x, (4,)), inplace=True)
    torch.testing.assert_close(torch.autograd.grad(out.square().sum(), x)[0], expected)


def test_scripted_modules_go_on_working():
    net = torch.jit.trace(nn.Linear(1, 1), TOKENS)
    with holding(Hold()):
        assert torch.equal(net(TOKENS), net(TOKENS))
