"""record(): what it costs, what it works inside of, and that a row of a record depends on its own image alone."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from unittest.mock import Mock

import pytest
import torch
from nets import Depthwise, Functional, Plain, Residual, images, trained_looking
from torch import nn

from lightning_vis.attribution.recorders import gradients, record
from lightning_vis.attribution.records import in_chunks
from lightning_vis.constants import INPUT
from lightning_vis.model.run import Pass, prepare
from lightning_vis.model.scores import log_odds, logit
from lightning_vis.model.snapshot.snapshot import preserve_state


@contextmanager
def counting(net, monkeypatch):
    """Counts real forward passes of the net and real calls of autograd."""
    counts = {"forward": 0, "grad": 0}
    real = torch.autograd.grad

    def grad(*args, **kwargs):
        counts["grad"] += 1
        return real(*args, **kwargs)

    monkeypatch.setattr(torch.autograd, "grad", grad)
    hook = Mock(return_value=None)  # a hook that counts in a variable of ours finds its count put back
    handle = net.register_forward_hook(hook)
    yield counts
    handle.remove()
    counts["forward"] = hook.call_count
    monkeypatch.undo()


def plain(count=4):
    return trained_looking(Plain()).eval(), images(count)


def test_any_number_of_layers_cost_one_forward_and_one_backward(monkeypatch):
    net, batch = plain()
    with counting(net, monkeypatch) as counts:
        record(net, batch, [INPUT, "0", "2", "4", "6"])
    assert counts == {"forward": 1, "grad": 1}


def test_each_distinct_class_costs_one_backward_and_equal_ones_share_it(monkeypatch):
    net, batch = plain()
    predicted = net(batch).argmax(1)
    requests = {"predicted": ["4"], "label": [INPUT, "4"], "runner_up": ["6"]}
    with counting(net, monkeypatch) as counts:
        different = gradients(Pass(net, batch, net, (predicted + 1) % 3), {"predicted": ["4"], "label": ["4"], 0: ["4"]})
    assert counts == {"forward": 1, "grad": 3}
    with counting(net, monkeypatch) as counts:
        same = gradients(Pass(net, batch, net, predicted), requests)
    assert counts == {"forward": 1, "grad": 2}
    assert torch.equal(same.explained["label"].chosen, predicted)
    assert torch.equal(same.explained["predicted"].records["4"].gradient, same.explained["label"].records["4"].gradient)
    assert set(same.explained["runner_up"].records) == {"6"}
    assert different.explained[0].chosen.tolist() == [0, 0, 0, 0]


def test_each_target_has_the_gradients_it_would_have_alone():
    net, batch = plain()
    together = gradients(Pass(net, batch, net), {"predicted": [INPUT], "runner_up": [INPUT], 2: [INPUT]})
    for target, explained in together.explained.items():
        alone = record(net, batch, [INPUT], target)[INPUT]
        assert torch.equal(explained.records[INPUT].gradient, alone.gradient)
        torch.testing.assert_close(explained.score, log_odds(net(batch), explained.chosen).detach())


@pytest.mark.parametrize("kind", [Plain, Residual, Depthwise, Functional])
def test_a_row_depends_on_its_own_image_alone(kind):
    net = trained_looking(kind()).eval()
    batch, target = images(4), torch.tensor([0, 1, 2, 0])
    layer = next(name for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d | nn.Conv2d))
    other = batch.clone()
    other[[0, 1, 3]] = images(3, seed=9) * 10
    one, two = (record(net, each, [INPUT, layer], target) for each in (batch, other))
    alone = record(net, batch[2:3], [INPUT, layer], target[2:3])
    for name in (INPUT, layer):
        torch.testing.assert_close(one[name].gradient[2], two[name].gradient[2], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(one[name].gradient[2], alone[name].gradient[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(one[name].activation[2], alone[name].activation[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_in_chunks_it_is_the_same(size):
    net, batch = plain(7)
    target = torch.arange(7) % 3
    whole, parts = (record(net, batch, [INPUT, "4"], target, chunk_size=chunk) for chunk in (None, size))
    for name in whole:
        torch.testing.assert_close(parts[name].gradient, whole[name].gradient, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(parts[name].activation, whole[name].activation, rtol=1e-5, atol=1e-6)
    found = in_chunks(gradients, Pass(net, batch, net, target), {"label": ["4"]}, size)
    assert found.values.shape == (7, 3)
    assert torch.equal(found.explained["label"].chosen, target)


def test_a_chunk_is_never_larger_than_asked_for():
    net, batch = plain(7)
    hook = Mock(return_value=None)
    net.register_forward_hook(hook)
    record(net, batch, [INPUT], chunk_size=3)
    assert [len(args[0]) for _, args, _ in (call.args for call in hook.call_args_list)] == [3, 3, 1]


@pytest.mark.parametrize("surrounding", [nullcontext, torch.no_grad, torch.inference_mode])
def test_it_works_inside_no_grad_and_inference_mode(surrounding):
    net, batch = plain()
    expected = record(net, batch, [INPUT, "4"], score=logit)
    with surrounding():
        born_inside = batch + 0
        found = record(net, born_inside, [INPUT, "4"], score=logit)
    for name in expected:
        assert torch.equal(found[name].gradient, expected[name].gradient)


def test_it_works_with_frozen_parameters_and_leaves_them_frozen():
    net, batch = plain()
    expected = record(net, batch, [INPUT, "4"])
    net.requires_grad_(False)
    found = record(net, batch, [INPUT, "4"])
    assert all(torch.equal(found[name].gradient, expected[name].gradient) for name in expected)
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_an_activation_before_an_in_place_relu_is_the_true_one():
    net, batch = plain()
    found = record(net, batch, ["1", "2"])
    assert torch.equal(found["1"].activation, net[1](net[0](batch)))
    assert found["1"].activation.min() < 0 <= found["2"].activation.min()


def test_a_model_that_changes_its_input_in_place_changes_neither_the_images_nor_their_record():
    class Normalises(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x):
            x.sub_(0.5)
            return self.conv(x).mean(dim=(2, 3))

    batch = images(2)
    kept = batch.clone()
    found = record(Normalises(), batch, [INPUT])
    assert torch.equal(batch, kept)
    assert torch.equal(found[INPUT].activation, kept)


def test_what_is_kept_hangs_on_no_graph():
    net, batch = plain()
    for each in record(net, batch, [INPUT, "0", "6"]).values():
        assert not each.activation.requires_grad
        assert not each.gradient.requires_grad


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_images_follow_the_weights_type(dtype):
    net, batch = plain()
    expected = record(net, batch, [INPUT, "4"], [0, 1, 2, 0])
    found = record(net.to(dtype), batch, [INPUT, "4"], [0, 1, 2, 0])
    for name in expected:
        assert found[name].gradient.dtype == dtype
        difference = (found[name].gradient.float() - expected[name].gradient).norm() / expected[name].gradient.norm()
        assert difference < (1e-6 if dtype == torch.float64 else 0.1)


def test_the_model_is_run_in_eval_mode_and_as_the_user_says():
    net, batch = plain()
    expected = record(net, batch, [INPUT])
    found = record(net.train(), batch, [INPUT], forward=lambda x: {"logits": net(x)})
    assert torch.equal(found[INPUT].gradient, expected[INPUT].gradient)
    assert net.training


def test_context_and_convert_are_used():
    net, batch = plain()
    entered = []

    @contextmanager
    def context():
        entered.append(True)
        yield

    found = record(net.double(), batch, [INPUT], context=context, convert=lambda x: (2 * x).double())
    assert entered == [True]
    assert torch.equal(found[INPUT].activation, 2 * batch.double())


@pytest.mark.parametrize("targets", ["predicted", 1, [2, 1, 0, 2], torch.tensor([2, 1, 0, 2])])
def test_every_kind_of_target(targets):
    net, batch = plain()
    with torch.no_grad():
        classes = net(batch).argmax(1) if targets == "predicted" else torch.as_tensor(targets).expand(4)
    leaf = batch.clone().requires_grad_()
    (expected,) = torch.autograd.grad(log_odds(net(leaf), classes).sum(), leaf)
    assert torch.equal(record(net, batch, [INPUT], targets)[INPUT].gradient, expected)


def test_layers_inside_checkpointed_blocks_count_once():
    class Checkpointed(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return torch.utils.checkpoint.checkpoint(self.inner, x, use_reentrant=False)

    net, batch = plain()
    expected = record(net, batch, [INPUT, "4"])
    found = record(Checkpointed(net).eval(), batch, [INPUT, "inner.4"])
    assert torch.equal(found["inner.4"].gradient, expected["4"].gradient)
    assert torch.equal(found[INPUT].gradient, expected[INPUT].gradient)


def test_a_later_target_adds_nothing_to_the_gradients_of_an_earlier_one_in_reentrant_blocks():
    class Checkpointed(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.body = inner, nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return torch.utils.checkpoint.checkpoint(self.inner, self.body(x), use_reentrant=True)

    net = Checkpointed(plain()[0]).eval()
    batch, requests = plain()[1], {0: [INPUT], 1: ["body"]}
    with preserve_state(net):
        both = gradients(prepare(net, batch), requests).explained[0].records[INPUT].gradient
        alone = gradients(prepare(net, batch), {0: [INPUT]}).explained[0].records[INPUT].gradient
    assert torch.equal(both, alone)
