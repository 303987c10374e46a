"""What is true of images: what met the answer in the step, wherever the step makes something else of what the batch says."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from nets import images
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import Probe, ProbeCallback
from lightning_vis.callbacks.session import session
from tests.callbacks.test_tasks import Steps, cnn

pytestmark = [pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")]

N = 24
X, AGES, CLASSES = images(N, 12), torch.arange(N) * 3.0 + 20, torch.arange(N) % 3
MAPS = torch.zeros(N, 12, 12, dtype=torch.long)
MAPS[:, 3:8, 3:8], MAPS[:, 0] = 7, 255


def dense(out):
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, out, 1))


def standardised(m, b):
    return F.mse_loss(m.net(b[0])[:, 0], (b[1] - 50) / 20)


MADE = {
    "standardised": (AGES, lambda: cnn(1), standardised, (AGES - 50) / 20),
    "classes from one": (CLASSES + 1, lambda: cnn(3), lambda m, b: F.cross_entropy(m.net(b[0]), b[1] - 1), CLASSES),
    "one-hot of them": (
        CLASSES + 1,
        lambda: cnn(3),
        lambda m, b: F.binary_cross_entropy_with_logits(m.net(b[0]), F.one_hot(b[1] - 1, 3).float()),
        CLASSES,
    ),
    "yes above one": (
        CLASSES,
        lambda: cnn(1),
        lambda m, b: F.binary_cross_entropy_with_logits(m.net(b[0])[:, 0], (b[1] > 1).float()),
        (CLASSES > 1).float(),
    ),
    "grades from one": (
        CLASSES + 1,
        lambda: cnn(2),
        lambda m, b: F.binary_cross_entropy_with_logits(m.net(b[0]), (b[1][:, None] - 1 > torch.arange(2)).float()),
        CLASSES,
    ),
    "a map of yes, flat": (
        MAPS,
        lambda: dense(2),
        lambda m, b: F.cross_entropy(
            m.net(b[0]).permute(0, 2, 3, 1).reshape(-1, 2), torch.where(b[1] == 255, 0, b[1] > 0).long().flatten()
        ),
        torch.where(MAPS == 255, -1, (MAPS > 0).long()),
    ),
}
AS_IT_IS = {
    "numbers": (AGES, lambda: cnn(1), lambda m, b: F.mse_loss(m.net(b[0]), b[1][:, None].float()), AGES),
    "classes": (CLASSES, lambda: cnn(3), lambda m, b: F.cross_entropy(m.net(b[0]), b[1].view(-1).long()), CLASSES),
    "one-hot": (CLASSES, lambda: cnn(3), lambda m, b: F.cross_entropy(m.net(b[0]), F.one_hot(b[1], 3).float()), CLASSES),
    "grades": (
        CLASSES,
        lambda: cnn(2),
        lambda m, b: F.binary_cross_entropy_with_logits(m.net(b[0]), (b[1][:, None] > torch.arange(2)).float()),
        CLASSES,
    ),
}


def seen(trainer, setup, probe=None):
    """A callback that has seen one epoch, and what is true of its images."""
    labels, net, step, truth = setup
    callback = ProbeCallback(probe, on_error="raise", images=False)
    made = trainer([callback], max_epochs=1, num_sanity_val_steps=0)
    made.fit(Steps(step, net=net), DataLoader(TensorDataset(X, labels), 8))
    return callback, None if probe is not None else truth[list(callback.session.probe.indices or range(8))]


@pytest.fixture
def several(monkeypatch):
    """A Trainer that has several processes, as far as those who ask know."""
    alone = session.source_of
    monkeypatch.setattr(session, "source_of", lambda *asked: replace(alone(*asked), is_alone=False))


@pytest.mark.parametrize("name", [*MADE, *AS_IT_IS])
def test_what_met_the_answer_is_true(trainer, name):
    callback, truth = seen(trainer, (MADE | AS_IT_IS)[name])
    assert callback.session.probe.truth.tolist() == truth.tolist()
    assert callback.session.notes == ()


@pytest.mark.parametrize("name", MADE)
def test_of_several_processes_none_knows_what_the_step_makes(trainer, name, several, caplog):
    with caplog.at_level(logging.INFO):
        callback, _ = seen(trainer, MADE[name])
    assert callback.session.probe.truth is None
    assert {*callback.film.frames[-1].wrong} <= {None}
    assert "The step makes its targets of batch[1] (" in caplog.text
    assert "what is true of them is not known" in caplog.text


@pytest.mark.parametrize("name", AS_IT_IS)
def test_of_several_processes_one_knows_what_the_batch_says(trainer, name, several):
    callback, truth = seen(trainer, AS_IT_IS[name])
    assert callback.session.probe.truth.tolist() == truth.tolist()
    assert callback.session.notes == ()


def test_the_spread_is_one_of_what_met_the_answer(trainer):
    callback, _ = seen(trainer, MADE["standardised"], Probe(X[:4], AGES[:4]))
    assert callback.session.answer.facts.spread == pytest.approx(float(((AGES[:8] - 50) / 20).std(correction=0)))
    assert callback.session.notes == ("the labels of the probe are read as a batch's, of which the step makes its targets",)


def test_of_a_users_probe_nothing_is_said_about_where_images_are_from(trainer, several):
    callback, _ = seen(trainer, AS_IT_IS["classes"], Probe(X[:4], CLASSES[:4]))
    assert callback.session.notes == ()


def test_labels_of_a_user_are_not_compared_where_no_step_makes_targets_of_them(trainer, several):
    callback, _ = seen(trainer, MADE["standardised"], Probe(X[:4], AGES[:4]))
    assert callback.session.probe.truth is None
    (said,) = callback.session.notes
    assert said.endswith("and not of these labels: what is true of the images is not known")
