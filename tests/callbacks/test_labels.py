"""Labels of every kind for every task: refused before the first step in a sentence, or looked at; they end no training."""

import pytest
import torch
from nets import images
from pytorch_lightning import Callback
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import Probe, ProbeCallback
from tests.callbacks.test_tasks import Steps, cnn

N = 8
X = images(N, 12)
Y = torch.arange(N) % 3
DRAW = torch.Generator().manual_seed(1)
HOT = (torch.rand(N, 3, generator=DRAW) > 0.5).float()
NUMBERS = torch.randn(N, 2, generator=DRAW)
MAPS = (torch.rand(N, 12, 12, generator=DRAW) * 3).long()

KINDS = {
    "none": None,
    "classes": Y,
    "a column": Y[:, None],
    "unknown": torch.full((N,), -1),
    "multi-hot": HOT,
    "soft": NUMBERS.new_full((N, 3), 1 / 3),
    "numbers": NUMBERS[:, 0],
    "two numbers": NUMBERS,
    "label maps": MAPS,
    "floating maps": torch.rand(N, 12, 12, generator=DRAW),
}


def dense(out):
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, out, 1))


STEPS = {
    "multiclass": (lambda: cnn(3), lambda m, b: F.cross_entropy(m.net(b[0]), b[1])),
    "binary": (lambda: cnn(1), lambda m, b: F.binary_cross_entropy_with_logits(m.net(b[0])[:, 0], (b[1] > 0).float())),
    "multilabel": (lambda: cnn(3), lambda m, b: F.binary_cross_entropy_with_logits(m.net(b[0]), b[2])),
    "regression": (lambda: cnn(2), lambda m, b: F.mse_loss(m.net(b[0]), b[3])),
    "ordinal": (
        lambda: cnn(2),
        lambda m, b: F.binary_cross_entropy_with_logits(m.net(b[0]), (b[1][:, None] > torch.arange(2)).float()),
    ),
    "segmentation": (lambda: dense(3), lambda m, b: F.cross_entropy(m.net(b[0]), b[4])),
    "embedding": (
        lambda: cnn(5),
        lambda m, b: F.triplet_margin_loss(m.net(b[0]), m.net(b[0].flip(-1)), m.net(b[0]).roll(1, 0)),
    ),
    "reconstruction": (lambda: dense(3), lambda m, b: F.mse_loss(m.net(b[0]), b[0])),
}


class Counts(Callback):
    def __init__(self):
        self.begun = self.ended = 0

    def on_train_batch_start(self, *_):
        self.begun += 1

    def on_train_end(self, *_):
        self.ended += 1


@pytest.mark.filterwarnings("ignore:lightning_vis", "ignore:You defined a `validation_step` but have no")
@pytest.mark.parametrize("task", STEPS)
@pytest.mark.parametrize("kind", KINDS)
def test_they_end_no_training(trainer, task, kind):
    make, step = STEPS[task]
    callback, counts = ProbeCallback(Probe(X[:6], None if KINDS[kind] is None else KINDS[kind][:6])), Counts()
    training = trainer([callback, counts], max_epochs=1, num_sanity_val_steps=0)
    data = DataLoader(TensorDataset(X, Y, HOT, NUMBERS, MAPS), 4)
    try:
        training.fit(Steps(step, net=make), data)
    except ValueError as error:
        assert (counts.begun, counts.ended) == (0, 0)
        assert f"task={task!r}" in str(error)
        assert str(tuple(KINDS[kind][:6].shape)) in str(error)
    else:
        assert (counts.begun, counts.ended) == (2, 1)
        assert callback.session.answer.task == task


LOOKED_UP = {
    "classes": (Y, True, ""),
    "whole numbers": (Y.float(), True, ""),
    "-1 is unknown": (torch.arange(N) % 4 - 1, True, ""),
    "ages": (20 + torch.arange(N), False, "there is a label 27, and the answer has 3 classes: labels_at= says where"),
    "one too many": (torch.arange(N) % 4, False, "there is a label 3, and the answer has 3 classes: labels_at= says where"),
    "between classes": (Y + 0.5, False, "expected labels that are classes (N,), whole numbers"),
}


@pytest.mark.parametrize("name", LOOKED_UP)
def test_labels_that_were_looked_up_for_a_users_task_are_classes_of_the_answer_or_left(trainer, recwarn, name):
    """No loss met them: an age beside the images is no class, and a cross on every image would say that it is."""
    labels, are_kept, said = LOOKED_UP[name]
    callback = ProbeCallback(task="multiclass", exchange=False, images=False)
    rows = [{"image": image, "label": label, "own": own} for image, label, own in zip(X, labels, Y, strict=True)]
    trainer([callback], max_epochs=1).fit(
        Steps(lambda m, b: m.net(b["image"]).square().mean(), net=cnn), *[DataLoader(rows, 4)] * 2
    )
    told = [str(each.message) for each in recwarn if "lightning_vis" in str(each.message)]
    assert (callback.session.probe.truth is not None) == are_kept
    assert callback.film.frames[-1].maps
    assert len(told) == (not are_kept)
    assert all(said in each for each in told)


def test_another_place_helps_where_no_class_was_found(trainer):
    callback = ProbeCallback(task="multiclass", labels_at="own", exchange=False, images=False, on_error="raise")
    rows = [{"image": image, "label": 20 + at, "own": own} for at, (image, own) in enumerate(zip(X, Y, strict=True))]
    trainer([callback], max_epochs=1).fit(
        Steps(lambda m, b: m.net(b["image"]).square().mean(), net=cnn), *[DataLoader(rows, 4)] * 2
    )
    assert callback.session.inputs.labels is not None
