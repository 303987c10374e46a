"""Networks that return something else while they train: the answer that is trained is shown, or none."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch
from nets import images
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import ProbeCallback
from lightning_vis.probe.source.eval_output import Returned, found_in
from lightning_vis.probe.witness.testimony import Head
from tests.callbacks.test_tasks import Steps

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:lightning_vis. the model returns probabilities"),
]

N = 24
X, Y, OTHER = images(N, 12), torch.arange(N) % 3, (torch.arange(N) + 1) % 3
MAPS = torch.zeros(N, 12, 12, dtype=torch.long)
MAPS[:, 3:8, 3:8] = 1
Named = namedtuple("Named", "logits aux")


class Net(nn.Module):
    """A body with two heads, of which a function of the training flag makes what is returned."""

    def __init__(self, returns):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.main, self.aux, self.returns = nn.Linear(4, 3), nn.Linear(4, 3), returns

    def forward(self, x):
        features = self.body(x)
        return self.returns(self.main(features), self.aux(features), self.training)


class Deep(nn.Module):
    """Maps at two depths while it trains, the finest one in eval mode."""

    def __init__(self, finest_first=True):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.of_fine, self.of_coarse, self.finest_first = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1), finest_first

    def forward(self, x):
        fine = self.fine(x).relu()
        maps = [self.of_fine(fine), self.of_coarse(self.coarse(fine).relu())]
        return (maps if self.finest_first else maps[::-1]) if self.training else maps[0]


def both(m, b):
    main, aux = m.net(b[0])
    return F.cross_entropy(main, b[1]) + 0.3 * F.cross_entropy(aux, b[1])


def named(m, b):
    out = m.net(b[0])
    return F.cross_entropy(out.logits, b[1]) + 0.3 * F.cross_entropy(out.aux, b[1])


def deep(m, b):
    maps = m.net(b[0])
    sizes = [F.interpolate(b[1][:, None].float(), each.shape[2:])[:, 0].long() for each in maps]
    return sum(F.cross_entropy(each, target) for each, target in zip(maps, sizes, strict=True))


TASKS = {
    "a tuple": (lambda: Net(lambda main, aux, trains: (main, aux) if trains else main), both, Y),
    "a named tuple": (lambda: Net(lambda main, aux, trains: Named(main, aux) if trains else main), named, Y),
    "the auxiliary first": (
        lambda: Net(lambda main, aux, trains: (aux, main) if trains else main),
        both,
        Y,
    ),
    "in another order": (lambda: Net(lambda main, aux, trains: (main, aux) if trains else (aux, main)), both, Y),
    "beside probabilities": (
        lambda: Net(lambda main, aux, trains: (main, aux) if trains else (main.softmax(1), main)),
        both,
        Y,
    ),
    "probabilities": (
        lambda: Net(lambda main, aux, trains: main if trains else main.softmax(1)),
        lambda m, b: F.cross_entropy(m.net(b[0]), b[1]),
        Y,
    ),
    "maps": (Deep, deep, MAPS),
    "maps, the coarsest first": (lambda: Deep(finest_first=False), deep, MAPS),
}


def seen(trainer, net, step, labels, **words):
    """A callback that has seen one epoch, its module, and whether training was left alone."""
    callback = ProbeCallback(on_error="raise", images=False, **words)
    module = Steps(step, net=net)
    data = TensorDataset(X, *(labels if isinstance(labels, tuple) else (labels,)))
    trainer([callback], max_epochs=1, limit_val_batches=0).fit(module, DataLoader(data, 8))
    return callback, module.eval()


@pytest.mark.parametrize("name", TASKS)
def test_the_answer_that_is_trained_is_looked_at(trainer, name):
    net, step, labels = TASKS[name]
    callback, module = seen(trainer, net, step, labels)
    answer, probe, frame = callback.session.answer, callback.session.probe, callback.film.frames[-1]
    assert {*frame.maps} - {"mask"} == {"evidence", "grad_cam", "saliency"}
    assert probe.truth.tolist() == labels[list(probe.indices)].tolist()
    assert "there is also" not in answer.said or name in ("in another order",)
    with torch.no_grad():
        output = module.net(probe.images)
        logits = module.net.main(module.net.body(probe.images)) if isinstance(module.net, Net) else output
    assert torch.equal(answer.values(output).argmax(1), logits.argmax(1))
    if isinstance(module.net, Net):
        torch.testing.assert_close(answer.values(output).softmax(1), logits.softmax(1))


@pytest.mark.parametrize(
    ("returns", "step"),
    [
        (
            lambda main, aux, trains: (main, aux) if trains else main,
            lambda m, b: F.cross_entropy(m.net(b[0])[1], b[1]),
        ),
        (
            lambda main, aux, trains: (main, aux) if trains else aux,
            lambda m, b: F.cross_entropy(m.net(b[0])[0], b[1]) + F.cross_entropy(m.net(b[0])[1], b[2]),
        ),
    ],
    ids=["another head", "a head for another target"],
)
def test_another_tensor_is_never_taken_for_it(trainer, returns, step):
    with pytest.raises(ValueError, match=r"is the answer that is trained, and what is returned in eval mode.* is another one"):
        seen(trainer, lambda: Net(returns), step, (Y, OTHER))


def test_the_remedies_work(trainer):
    callback, _ = seen(trainer, lambda: Net(lambda main, aux, _: (main, aux)), both, Y, head=1)
    assert callback.session.answer.facts.head == (1,)
    callback, _ = seen(trainer, TASKS["a tuple"][0], both, Y, head=0)
    assert callback.session.answer.facts.head == ()
    with pytest.raises(ValueError, match=r"net\(...\)\[1\] is the answer that is trained"):
        seen(trainer, TASKS["a tuple"][0], both, Y, head=1)


def test_parts_that_are_left_out_at_random_come_back():
    head = Head("net", (), "multiclass", (8, 3), weights=frozenset({"a"}))
    one, two = (Returned((at,), (4, 3), frozenset(weights), "open") for at, weights in enumerate(("ab", "a")))
    assert found_in([head], [one], "logits") == (head, one)
    assert found_in([head], [one, two], "logits") == (head, two)
    assert found_in([head], [two, two], "logits") is None
