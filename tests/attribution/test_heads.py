"""Several heads in one look: each as if it were looked at alone, from one forward pass, and none takes another along."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import images
from torch import nn
from torch.utils.checkpoint import checkpoint

from lightning_vis.attribution.heads import Head
from lightning_vis.attribution.pipeline import look, try_heads
from lightning_vis.attribution.views import evidence, grad_cam, saliency
from lightning_vis.model.answer.words import Words
from lightning_vis.model.run import ForwardConfig
from lightning_vis.probe.probe import Probe, answer_of_labels

X = images(4, 12)
KIND = torch.tensor([0, 1, 2, 0])
AGE = torch.tensor([1.5, 2.5, 30.0, 4.0])
MAPS = torch.zeros(4, 12, 12, dtype=torch.long).index_fill_(1, torch.tensor([3, 4, 5]), 1)
HOT = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1]])
LABELS = {"kind": KIND, "age": AGE, "parts": MAPS, "tags": HOT}
NAMES = ["cat", "dog", "cow"]
HEADS = list(LABELS)


class Net(nn.Module):
    """Heads of four tasks on one body; in-place layers and norms in it."""

    def __init__(self, recompute=None):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.more = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True))
        self.kind, self.age, self.tags, self.parts = nn.Linear(8, 3), nn.Linear(8, 1), nn.Linear(8, 3), nn.Conv2d(8, 2, 1)
        self.recompute = recompute

    def forward(self, x):
        features = self.body(x)
        features = (
            self.more(features) if self.recompute is None else checkpoint(self.more, features, use_reentrant=self.recompute)
        )
        pooled = features.mean((2, 3))
        return {name: getattr(self, name)(features if name == "parts" else pooled) for name in ("kind", "age", "tags", "parts")}


def probe(heads=HEADS):
    return Probe(X, {head: LABELS[head] for head in heads}, class_names=NAMES)


def alone(head):
    return Probe(X, LABELS[head], class_names=NAMES if head == HEADS[0] else None)


@pytest.mark.parametrize("heads", [HEADS, HEADS[::-1], ["age", "kind"]], ids=len)
def test_each_head_is_seen_as_if_it_were_alone(heads):
    net = Net()
    frame = look(net, probe(heads), head=heads)
    assert (frame.head, list(frame.heads)) == (heads[0], heads[1:])
    for head in heads:
        one = look(net, Probe(X, LABELS[head], class_names=NAMES if head == heads[0] else None), head=head)
        ours, inputs = frame.of(head), Probe(X, LABELS[head], class_names=NAMES if head == heads[0] else None).inputs()
        assert (ours.task, ours.unit) == (one.task, one.unit)
        assert [ours.caption(at, inputs) for at in range(4)] == [one.caption(at, inputs) for at in range(4)]
        assert [key.partition("@")[0] for key in ours.maps] == list(one.maps)
        for maps, other in zip(ours.maps.values(), one.maps.values(), strict=True):
            np.testing.assert_allclose(maps.values, other.values, atol=1e-6)
            assert (maps.layer, maps.unit, maps.scale) == (other.layer, other.unit, other.scale)
            assert f"({head})" in maps.title
        for tag, value in one.numbers.items():
            if tag.startswith("answers/"):
                assert ours.numbers[tag] == pytest.approx(value)
            elif head != heads[0] and not tag.endswith(("lift", "pointing")):  # masks are the first head's
                key, _, what = tag.rpartition("/")
                assert frame.numbers[f"{key}@{head}/{what}"] == pytest.approx(value, abs=1e-5)


def test_all_heads_cost_one_forward_pass_and_a_backward_pass_for_each_explained_target(monkeypatch):
    net, seen, back = Net(), [], []
    plain = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args, **kwargs: back.append(1) or plain(*args, **kwargs))

    def forward(given):
        seen.append((len(given), torch.is_grad_enabled()))
        return net(given)

    views = [evidence("more"), grad_cam("more", target="label"), saliency(target="label")]
    look(net, probe(), views, head=HEADS, forward=forward)
    passes = [count for count in seen if count == (4, True)]
    assert passes == [(4, True)]
    assert len(seen) - 1 <= 2 * len(HEADS)  # of one image, to find the layers and to see whether there is a sigmoid
    before = len(back)
    look(net, alone("kind"), views, head="kind")
    of_one = len(back) - before
    of_labels = 1  # evidence of a label that is absent
    assert before == len(HEADS) * of_one + of_labels


@pytest.mark.parametrize("recompute", [False, True])
def test_what_is_computed_again_while_going_back_serves_all_heads(recompute):
    net, plain = Net(recompute), Net()
    ours, theirs = (look(each, probe(), [evidence("body"), saliency()], head=HEADS) for each in (net, plain))
    assert list(ours.maps) == list(theirs.maps)
    for key, maps in theirs.maps.items():
        np.testing.assert_allclose(ours.maps[key].values, maps.values, atol=1e-5)


def test_chunks_change_nothing():
    net = Net()
    whole, parts = (look(net, probe(), head=HEADS, chunk_size=size) for size in (None, 3))
    assert parts.heads == whole.heads
    for key, maps in whole.maps.items():
        np.testing.assert_allclose(parts.maps[key].values, maps.values, atol=1e-5)


def test_the_model_is_left_as_it_was():
    net = Net().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    look(net, probe(), head=HEADS)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(each.grad is None for each in net.parameters())
    assert not net.body._forward_hooks


class Towers(nn.Module):
    """Each head has layers of its own."""

    def __init__(self):
        super().__init__()
        for name in ("kind", "age"):
            tower = nn.Sequential(
                nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3 if name == "kind" else 1)
            )
            setattr(self, name, tower)

    def forward(self, x):
        return {"kind": self.kind(x), "age": self.age(x)}


def test_each_head_is_looked_at_in_its_own_layers():
    frame = look(Towers(), probe(["kind", "age"]), head=["kind", "age"])
    assert frame.maps["evidence"].layer.startswith("kind")
    assert frame.maps["evidence@age"].layer.startswith("age")


def heads_of(net, tasks):
    made = []
    for at, (name, task) in enumerate(tasks.items()):
        seen = probe() if at == 0 else probe().of(LABELS.get(name))
        answer = Words(task, name).over(answer_of_labels(seen))
        made.append(Head(name, seen, ForwardConfig(answer=answer), [evidence("more"), saliency()]))
    return made


@pytest.mark.parametrize("broken", ["age", "kind", "nothing"])
def test_a_head_that_cannot_be_read_takes_no_other_along_and_says_so(broken):
    wrong = {"age": "multilabel", "kind": "segmentation", "nothing": "regression"}[broken]
    tasks = {"kind": None, "age": None, "tags": None} | {broken: wrong}
    if broken == "age":
        tasks["age"] = "ordinal"
    net = Net()
    net.age.bias.data[:] = 1.0
    if broken == "age":
        net.age.register_forward_hook(lambda *given: given[-1][:, 0])  # no grades at all
    attempt, _ = try_heads(net, heads_of(net, tasks))
    frame = attempt.frame
    others = [name for name in tasks if name != broken]
    for name in others:
        maps = frame.of(name).maps
        assert {key.partition("@")[0] for key in maps} >= {"evidence.more", "saliency"}, name
        assert any(frame.of(name).caption(at, probe().inputs()) for at in range(4))
    assert frame.of(broken).maps == {}
    assert all(broken in key for key in attempt.failures) or broken == "kind"
    assert attempt.failures
    if broken != "kind":
        assert "It could not be read: " in frame.heads[broken].answer
        assert frame.heads[broken].said == ("",) * 4


def test_what_a_user_names_is_checked():
    net = Net()
    with pytest.raises(ValueError, match=r'there is no output\["no"\]: output is a dict with "kind", "age", "tags", "parts"'):
        look(net, probe(), head=["kind", "no"])
    for heads, message in (([], r"head=\[\]: expected the heads"), (["kind", "kind"], "each of them once")):
        with pytest.raises(ValueError, match=message):
            look(net, probe(), head=heads)
    with pytest.raises(ValueError, match=r"unit=\['', 'm', 'k'\]: expected one for each of 2 heads"):
        look(net, probe(), head=["kind", "age"], unit=["", "m", "k"])
    with pytest.raises(ValueError, match="those of 'kind' stand first, and the first head is 'age': give one order"):
        look(net, probe(), head=["age", "kind"])
    with pytest.raises(TypeError, match="head=True"):
        look(net, probe(), head=["kind", True])


def test_words_are_said_of_each_head_or_of_the_first():
    net = Net()
    frame = look(net, Probe(X, AGE), head=["age", "kind"], task=["regression", "multiclass"], unit="years")
    assert (frame.unit, frame.heads["kind"].unit) == ("years", "log-odds")
    assert frame.maps["evidence"].unit == "years"
    assert frame.heads["kind"].wrong == (None,) * 4  # nobody said what is true of it
    both = look(net, probe(["kind", "age"]), head=["kind", "age"], unit=["", "years"])
    assert (both.unit, both.heads["age"].unit) == ("log-odds", "years")


def test_class_names_are_the_first_heads():
    frame = look(Net(), probe(["kind", "tags"]), head=["kind", "tags"])
    assert frame.maps["evidence@tags"].explains[0].startswith("label ")
    assert not any(name in said for said in frame.heads["tags"].said for name in NAMES)
