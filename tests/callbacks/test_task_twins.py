"""Twins of every task under a Trainer: what is there can be monitored, and what never is there is refused."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

import pytest
import torch
from nets import images
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import Probe, ProbeCallback
from lightning_vis.reliance.measures import BACKGROUND, OBJECT, SHARE
from tests.callbacks.test_tasks import Steps, cnn, dense
from tests.probe.test_from_trainer import run

pytestmark = pytest.mark.filterwarnings(
    "ignore:lightning_vis. the alert is", "ignore:lightning_vis. attribution/grad_cam/lift could not be measured"
)

ALERT = "reliance/alert"
N = 24
X = images(N, 12)
MASKS = torch.zeros(N, 12, 12)
for at in range(N):
    MASKS[at, 2 : 8 + at % 3, 3:8] = 1
Y = torch.arange(N) % 2
MAPS = (MASKS * (1 + Y[:, None, None])).long()
PLATES = {"leaves": torch.rand(2, 3, 12, 12), "stones": torch.rand(2, 3, 12, 12)}


@dataclass
class Case:
    """A task: how it is trained, on what, and what is monitored of it."""

    step: object
    net: object
    data: TensorDataset
    tags: tuple[str, ...]


def meets(loss, change=lambda y: y):
    return lambda m, b: loss(m.net(b[0]), change(b[1]))


ALL, EFFECTS = (BACKGROUND, OBJECT, SHARE, ALERT), (BACKGROUND, OBJECT, SHARE)
HOT = F.one_hot(Y, 2).float()
CASES = {
    "multiclass": Case(meets(F.cross_entropy), lambda: cnn(2), TensorDataset(X, Y), ALL),
    "multilabel": Case(
        meets(F.binary_cross_entropy_with_logits), lambda: cnn(2), TensorDataset(X, (HOT + HOT.roll(1, 0)).clamp(max=1)), ALL
    ),
    "regression": Case(
        lambda m, b: F.mse_loss(m.net(b[0])[:, 0], b[1]), lambda: cnn(1), TensorDataset(X, 20.0 + 7 * Y), EFFECTS
    ),
    "segmentation": Case(meets(F.cross_entropy), lambda: dense(3), TensorDataset(X, MAPS), EFFECTS),
    "reconstruction": Case(lambda m, b: F.mse_loss(m.net(b[0]), b[0]), lambda: dense(3), TensorDataset(X, Y), (BACKGROUND,)),
    "embedding": Case(
        lambda m, b: F.triplet_margin_loss(m.net(b[0]), m.net(b[0].flip(3)), m.net(b[0].roll(1, 0))),
        cnn,
        TensorDataset(X, Y),
        EFFECTS,
    ),
}


UNREAD = Case(lambda m, b: m.net(b[0]).abs().sum(), lambda: cnn(2), TensorDataset(X, Y), ())


def probe(name):
    labels = MAPS[:8] if name == "segmentation" else Y[:8]
    return Probe(X[:8], labels, MASKS[:8], PLATES, class_names=["background", "bird", "mammal"])


def fitted(trainer, name, *others, callback=None, **arguments):
    case = CASES.get(name, UNREAD)
    callback = callback or ProbeCallback(probe(name), on_error="raise", task=name)
    data = DataLoader(case.data, 8), DataLoader(case.data, 8)
    run(trainer, [callback, *others], Steps(case.step, net=case.net), *data, **arguments)
    return callback


@pytest.mark.parametrize("name", CASES)
def test_what_a_task_measures_is_logged_at_every_epoch_and_nothing_else(trainer, name, tmp_path):
    case = CASES[name]
    kept = ModelCheckpoint(tmp_path, monitor=BACKGROUND, save_top_k=-1, filename="{epoch}", auto_insert_metric_name=False)
    callback = fitted(trainer, name, kept, enable_checkpointing=True)
    frame = callback.film.frames[-1]
    assert frame.task == name
    assert {tag for tag in ALL if tag in frame.numbers} == set(case.tags)
    assert {tag for tag in callback.monitor.values if tag.startswith("reliance/")} == set(case.tags)
    assert kept.best_model_score is not None
    assert json.dumps(frame.numbers)


@pytest.mark.parametrize("name", CASES)
def test_what_a_task_never_measures_is_refused_when_fit_starts(trainer, name):
    for tag in set(ALL) - set(CASES[name].tags):
        with pytest.raises(ValueError, match=f"EarlyStopping monitors '{tag}', which is never logged of a task that is {name}"):
            fitted(trainer, name, EarlyStopping(tag))


SAID = "Whether the answer follows what surrounds the object was not measured: it takes a network that tells classes apart"


@pytest.mark.parametrize("name", ["multilabel", "regression", "unknown"])
def test_a_task_without_proof_says_at_its_end_that_there_is_none_and_what_would_help(trainer, name, caplog):
    remedy = "task= says what the output means" if name == "unknown" else "masks and backgrounds of the probe would help"
    with caplog.at_level(logging.INFO):
        given = Probe(X[:8], None if name == "unknown" else probe(name).labels)
        task = None if name == "unknown" else name
        seen = fitted(trainer, name, callback=ProbeCallback(given, on_error="raise", task=task), max_epochs=2).film.frames[-1]
    assert seen.verdict.state == "not measured"
    assert seen.verdict.sentence.startswith(f"{SAID}, and this one is read as {name}. {remedy[0].upper()}{remedy[1:]}")
    assert sum(SAID in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("name", ["multilabel", "regression"])
def test_its_remedy_measures_it_and_who_wants_no_proof_hears_of_none(trainer, name, caplog):
    with caplog.at_level(logging.INFO):
        seen = fitted(trainer, name, max_epochs=2).film.frames[-1]
        fitted(trainer, name, callback=ProbeCallback(Probe(X[:8], probe(name).labels), task=name, exchange=False), max_epochs=2)
    assert BACKGROUND in seen.numbers
    assert not any(SAID in record.message for record in caplog.records)
