"""Several callbacks of one Trainer: what one of them is told holds for all; what contradicts itself is refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from lightning_vis import FilterMaximizationCallback, Probe, ProbeCallback, SaliencyCallback
from lightning_vis.attribution import grad_cam
from tests.callbacks.test_tasks import Steps, X, Y, batches, classes, cnn, unsure

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")


def fitted(trainer, callbacks, step=unsure, **parts):
    training = trainer(callbacks, max_epochs=1)
    training.fit(Steps(step, **(parts or {"net": cnn})), *batches(TensorDataset(X, Y)))
    return training


@pytest.mark.parametrize("order", [1, -1])
def test_what_one_is_told_holds_for_all(trainer, order):
    """The loss is none that is known; the one that was told nothing may stand first."""
    told = ProbeCallback(views=[grad_cam()], task="multiclass", n=5, on_error="raise")
    others = [
        SaliencyCallback(),
        ProbeCallback(Probe(X[:3], Y[:3], name="mine")),
        FilterMaximizationCallback(channels=1, steps=1),
    ]
    fitted(trainer, [told, *others][::order])
    assert {each.session.answer.task for each in (told, *others)} == {"multiclass"}
    assert told.film is others[0].film
    assert set(told.film.frames[-1].maps) == {"grad_cam", "saliency"}
    assert [len(told.film.frames[-1].predicted), len(others[1].film.frames[-1].predicted)] == [5, 3]


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.kind, self.size = cnn(4), nn.Linear(4, 3), nn.Linear(4, 1)

    def forward(self, x):
        features = self.body(x)
        return {"kind": self.kind(features), "size": self.size(features)}


def both(m, b):
    out = m.net(b[0])
    return F.cross_entropy(out["kind"], b[1]) + F.mse_loss(out["size"][:, 0], b[1].float())


SENTENCE = r"two callbacks were told different things .* of the probe 'probe' .*: tell one of them, .* head=\['a', 'b'\]"


@pytest.mark.parametrize(
    ("one", "other"),
    [({"task": "multiclass"}, {"task": "binary"}), ({"n": 4}, {"n": 5}), ({"head": "kind"}, {"head": "size"})],
)
def test_what_contradicts_itself_is_refused(trainer, one, other):
    with pytest.raises(ValueError, match=SENTENCE):
        fitted(trainer, [ProbeCallback(**one), ProbeCallback(views=[grad_cam()], **other)], both, net=Both)


def test_its_remedies_work(trainer):
    callback = ProbeCallback(head=["kind", "size"], on_error="raise")
    fitted(trainer, [callback], both, net=Both)
    assert {"evidence", "evidence@size"} <= set(callback.film.frames[-1].maps)
    named = [
        ProbeCallback(Probe(X[:3], Y[:3], name="kinds"), head="kind", on_error="raise"),
        ProbeCallback(Probe(X[:3], torch.rand(3), name="sizes"), head="size", on_error="raise"),
    ]
    fitted(trainer, named, both, net=Both)
    assert [each.session.answer.task for each in named] == ["multiclass", "regression"]


def test_a_checkpoint_knows_a_callback_by_the_same_name_as_before():
    assert ProbeCallback(task="binary", n=3).state_key == ProbeCallback().state_key
    assert "head" not in ProbeCallback().state_key


def test_callbacks_that_read_alike_read_once(trainer):
    callbacks = [ProbeCallback(), FilterMaximizationCallback(channels=1, steps=1)]
    fitted(trainer, callbacks, classes)
    assert callbacks[0].session.finder is callbacks[1].session.finder
