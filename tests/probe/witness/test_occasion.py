"""Steps that go another way in eval mode: the same meeting is found again, or none."""

from __future__ import annotations

import pytest
import torch
from nets import images
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import ProbeCallback
from lightning_vis.attribution.views import saliency
from lightning_vis.probe.witness.dry_run import dry_run
from lightning_vis.probe.witness.replay import captured
from tests.callbacks.test_tasks import Steps

pytestmark = [pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")]

X, Y = images(16, 12), torch.arange(16) % 4 + 1


class Noisy(nn.Module):
    """Multiplies while it trains, and gates in either mode."""

    def forward(self, x):
        return x.mul(torch.rand(len(x), 1)).mul(2) if self.training else x


class Metric(nn.Module):
    """As those of torchmetrics: it is no loss, whatever it multiplies."""

    def __init__(self):
        super().__init__()
        self._update_signature, self.compute = None, None

    def update(self, said, hot):
        self.seen = said.mul(hot).sum()

    def forward(self, said, hot):
        self.update(said, hot)


def hot(labels):
    return F.one_hot(labels - 1, 4).float()


def lost(m, b, logits):
    return -logits.log_softmax(1).mul(hot(b[1])).sum(1).mean()


def plain(m, b):
    return lost(m, b, m.head(m.noise(m.body(b[0]))))


def branching(m, b):
    features = m.body(b[0])
    if m.training:
        features = features.mul(1.5).mul(torch.rand(len(features), 1))
    logits = m.head(features)
    return lost(m, b, logits.mul(0.9) if m.training else logits)


def measuring(m, b):
    logits = m.head(m.body(b[0]))
    if not m.training:
        m.metric.update(logits.log_softmax(1), hot(b[1]))
        b[1].mul(2).mul(3)
    return lost(m, b, logits)


def averaged(m, b):
    """The answer is none that a submodule returns."""
    logits = (m.head(m.noise(m.body(b[0]))) + m.head(m.body(b[0].flip(-1)))) / 2
    if m.training:
        logits = logits.mul(1.1)
    return lost(m, b, logits)


def warmed_up(m, b):
    """Later in the training something is multiplied that was not when the step was watched."""
    logits = (m.head(m.body(b[0])) + m.head(m.body(b[0].flip(-1)))) / 2
    if m.current_epoch:
        logits.detach().mul(b[1].float().mean()).mul(2)
        hot(b[1]).mul(logits.detach().sum())
    return lost(m, b, logits)


STEPS = {each.__name__: each for each in (plain, branching, measuring, averaged, warmed_up)}


def made(step):
    return Steps(
        step,
        body=lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6)),
        noise=Noisy,
        head=lambda: nn.Linear(6, 4),
        metric=Metric,
    )


def watched(module):
    batch = [X[:8], Y[:8]]
    found = dry_run(module.train(), lambda: module.training_step(batch, 0), batch, {id(each) for each in module.parameters()})
    assert found.task == "multiclass"
    return found, batch


@pytest.mark.parametrize("name", STEPS)
def test_what_met_while_it_trained_is_met_in_eval_mode(name):
    module = made(STEPS[name])
    found, batch = watched(module)
    capture = captured(module, lambda batch: module.training_step(batch, 0), batch, found)
    logits = module.eval().head(module.body(batch[0]))
    if name in ("averaged", "warmed_up"):
        logits = (logits + module.head(module.body(batch[0].flip(-1)))) / 2
    torch.testing.assert_close(capture.answer, logits.log_softmax(1))
    assert torch.equal(capture.target, hot(batch[1]))


def test_a_meeting_that_is_not_there_in_eval_mode_is_none():
    def step(m, b):
        logits = m.head(m.body(b[0]))
        return lost(m, b, logits) if m.training else hot(b[1]).mul(logits.detach()[:, :1]).sum()

    module = made(step)
    found, batch = watched(module)
    capture = captured(module, lambda batch: module.training_step(batch, 0), batch, found)
    assert capture.answer is capture.target is None


@pytest.mark.parametrize("name", STEPS)
def test_at_every_look_it_is_the_trained_answer(trainer, name):
    views = [saliency()] if name in ("averaged", "warmed_up") else None  # called twice, no layer has the image's grid
    callback, module = ProbeCallback(views=views, on_error="raise", images=False), made(STEPS[name])
    trainer([callback], max_epochs=2, limit_val_batches=0).fit(module, DataLoader(TensorDataset(X, Y), 8))
    probe, frame = callback.session.probe, callback.film.frames[-1]
    assert probe.truth.tolist() == (Y - 1)[list(probe.indices)].tolist()
    with torch.no_grad():
        logits = module.eval().head(module.body(probe.images))
        if name in ("averaged", "warmed_up"):
            logits = (logits + module.head(module.body(probe.images.flip(-1)))) / 2
    torch.testing.assert_close(torch.as_tensor(frame.probability), logits.softmax(1).amax(1), check_dtype=False)
    assert "saliency" in frame.maps
