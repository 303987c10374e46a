"""Networks of all kinds with zero arguments: what is said of them is true, and the training is as without us."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from nets import images
from pytorch_lightning.callbacks import EarlyStopping
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from lightning_vis import Probe, ProbeCallback
from lightning_vis.callbacks.filters import FilterMaximizationCallback
from tests.probe.test_from_trainer import run, same

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:Trying to infer the `batch_size`"),
]

N = 24
X = images(N, 12)
Y = torch.arange(N) % 3


class Steps(pl.LightningModule):
    """A step of one function, for training and validation."""

    def __init__(self, step, **parts):
        super().__init__()
        torch.manual_seed(2)
        for name, make in parts.items():
            setattr(self, name, make())
        self.one_step = step

    def training_step(self, batch, _):
        return self.one_step(self, batch)

    def validation_step(self, batch, _):
        self.log("val_loss", self.one_step(self, batch))

    def configure_optimizers(self):
        return torch.optim.Adam([each for each in self.parameters() if each.requires_grad], 0.01)


def cnn(out=3):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Dropout(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, out)
    )


def frozen():
    return cnn(3).requires_grad_(False)


class Numbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = cnn(4), nn.Linear(6, 3)

    def forward(self, image, numbers):
        return self.head(torch.cat([self.body(image), numbers], 1))


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.colour, self.shape = cnn(4), nn.Linear(4, 3), nn.Linear(4, 5)

    def forward(self, x):
        features = self.body(x)
        return {"colour": self.colour(features), "shape": self.shape(features)}


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = cnn(4), nn.Linear(4, 1)

    def forward(self, one, other):
        return self.head((self.body(one) - self.body(other)).abs())


class Frames(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.over, self.head = cnn(4), nn.LSTM(4, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.over(self.body(x.flatten(0, 1)).view(*x.shape[:2], 4))[0][:, -1])


@dataclass
class Output:
    loss: Any
    logits: Any


class Scored(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = cnn(3)

    def forward(self, pixel_values, labels=None):
        logits = self.body(pixel_values)
        return Output(F.cross_entropy(logits, labels), logits)


def volumes():
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))


def dense(out):
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, out, 3, padding=1))


class Dicts(Dataset):
    def __init__(self, **columns):
        self.columns = columns

    def __len__(self):
        return N

    def __getitem__(self, at):
        return {name: column[at] for name, column in self.columns.items()}


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y, strict=True))


def two_heads(m, b):
    out = m.net(b["image"])
    return F.cross_entropy(out["colour"], b["colour"]) + F.cross_entropy(out["shape"], b["shape"])


def distilled(m, b):
    with torch.no_grad():
        soft = m.teacher(b[0]).softmax(1)
    logits = m.student(b[0])
    return F.cross_entropy(logits, b[1]) + F.kl_div(logits.log_softmax(1), soft, reduction="batchmean")


def unsure(m, b):
    return -m.net(b[0]).std()


def classes(m, b):
    return F.cross_entropy(m.net(b[0]), b[1])


PAIRS = TensorDataset(X, X.flip(0), (torch.arange(N) % 2).float())
NUMBERED = TensorDataset(X, torch.rand(N, 2, generator=torch.Generator().manual_seed(1)), Y)
HEADED = Dicts(image=X, colour=Y, shape=torch.arange(N) % 5)
BYTES = TensorDataset((X.permute(0, 2, 3, 1) * 255).clamp(0, 255).to(torch.uint8), Y)
MAPS = torch.zeros(N, 12, 12, dtype=torch.long).index_fill_(1, torch.tensor([3, 4, 5]), 1)

SETUPS = {
    "metadata": (lambda: Steps(lambda m, b: F.cross_entropy(m.net(b[0], numbers=b[1]), b[2]), net=Numbers), NUMBERED),
    "two heads": (lambda: Steps(two_heads, net=Heads), HEADED),
    "clip": (lambda: Steps(classes, net=Frames), TensorDataset(images(N * 5, 12).view(N, 5, 3, 12, 12), Y)),
    "volume": (lambda: Steps(classes, net=volumes), TensorDataset(images(N, 12)[:, :1, None].expand(N, 1, 6, 12, 12) * 1, Y)),
    "output object": (lambda: Steps(lambda m, b: m.net(**b).loss, net=Scored), Dicts(pixel_values=X, labels=Y)),
    "bytes, channels last": (
        lambda: Steps(lambda m, b: F.cross_entropy(m.net(b[0].permute(0, 3, 1, 2) / 255 - 0.5), b[1]), net=cnn),
        BYTES,
    ),
    "distillation": (lambda: Steps(distilled, teacher=frozen, student=cnn), TensorDataset(X, Y)),
    "ensemble": (
        lambda: Steps(lambda m, b: F.cross_entropy((m.one(b[0]) + m.two(b[0])) / 2, b[1]), one=cnn, two=cnn),
        TensorDataset(X, Y),
    ),
    "multilabel": (
        lambda: Steps(lambda m, b: F.binary_cross_entropy_with_logits(m.net(b[0]), b[1]), net=cnn),
        TensorDataset(X, (torch.rand(N, 3, generator=torch.Generator().manual_seed(2)) > 0.5).float()),
    ),
    "regression": (
        lambda: Steps(lambda m, b: F.l1_loss(m.net(b[0])[:, 0], b[1]), net=lambda: cnn(1)),
        TensorDataset(X, 20 + 38 * torch.rand(N, generator=torch.Generator().manual_seed(3))),
    ),
    "segmentation": (lambda: Steps(classes, net=lambda: dense(2)), TensorDataset(X, MAPS)),
    "autoencoder": (lambda: Steps(lambda m, b: F.mse_loss(m.net(b[0]), b[0]), net=lambda: dense(3)), TensorDataset(X)),
    "triplets": (
        lambda: Steps(lambda m, b: F.triplet_margin_loss(m.net(b[0]), m.net(b[0].flip(3)), m.net(b[0].roll(1, 0))), net=cnn),
        TensorDataset(X, Y),
    ),
    "no loss that is known": (lambda: Steps(unsure, net=cnn), TensorDataset(X, Y)),
}

WANTED = {
    "metadata": ("multiclass", "net(batch[0], numbers=batch[1]) meets batch[2]"),
    "two heads": ("multiclass", 'meets batch["colour"] in cross_entropy; there is also "shape" (5 classes): head="shape"'),
    "clip": ("multiclass", "net(batch[0]) meets batch[1]"),
    "volume": ("multiclass", "net(batch[0]) meets batch[1]"),
    "output object": ("multiclass", '.logits meets batch["labels"]'),
    "bytes, channels last": ("multiclass", "net(batch[0]) meets batch[1]"),
    "distillation": ("multiclass", "student is looked at; teacher is not trained"),
    "ensemble": ("multiclass", "then the step, meets batch[1]"),
    "multilabel": ("multilabel", "3 labels, each yes or no (sigmoid)"),
    "regression": ("regression", "shown in the units of the target, without probabilities"),
    "segmentation": ("segmentation", "2 classes at each pixel"),
    "autoencoder": ("reconstruction", "meets the image in mse_loss"),
    "triplets": ("embedding", "compared with other answers in triplet_margin_loss"),
    "no loss that is known": ("unknown", "no loss that is known took the answer of net"),
}


@pytest.mark.parametrize("sanity", [0, 1])
@pytest.mark.parametrize("name", SETUPS)
def test_a_film_with_zero_arguments_and_a_training_as_without_it(trainer, name, sanity):
    make, data = SETUPS[name]
    task, words = WANTED[name]
    callback = ProbeCallback(on_error="raise")

    def trained(callbacks):
        return run(
            trainer, callbacks, make(), DataLoader(data, 8, shuffle=True), DataLoader(data, 8), num_sanity_val_steps=sanity
        )

    assert same(trained([callback]), trained([]))
    frames = callback.film.frames
    assert frames[0].finished_steps == 0
    assert {frame.task for frame in frames} == {task}
    assert all(words in frame.answer for frame in frames)
    assert len(frames[0].predicted) == 8
    if task not in ("multiclass", "binary"):
        assert all((frame.predicted == -1).all() and len(frame.said) == 8 for frame in frames)
    if task in ("regression", "reconstruction", "unknown"):
        assert all(frame.wrong == (None,) * 8 for frame in frames)


@pytest.mark.filterwarnings("ignore:lightning_vis")
@pytest.mark.parametrize(
    ("make", "data", "maps"),
    [
        (lambda: Steps(lambda m, b: F.binary_cross_entropy_with_logits(m.net(b[0], b[1])[:, 0], b[2]), net=Pair), PAIRS, ["saliency"]),
        (lambda: Steps(lambda m, b: F.cross_entropy(m.head(m.body(b[0]).detach()), b[1]), body=frozen, head=lambda: nn.Linear(3, 3)), TensorDataset(X, Y), ["evidence", "grad_cam", "saliency"]),
    ],
    ids=["siamese", "frozen backbone"],
)  # fmt: skip
def test_answers_are_shown_with_the_maps_that_can_be(trainer, make, data, maps):
    callback = ProbeCallback()
    run(trainer, [callback], make(), DataLoader(data, 8), DataLoader(data, 8), num_sanity_val_steps=1)
    last = callback.film.frames[-1]
    assert last.finished_steps == 6
    assert list(last.maps) == maps
    assert (last.predicted >= 0).all()


def film_of(trainer, module, data, validation=None, **arguments):
    callback = ProbeCallback(on_error="raise", images=False, **arguments)
    run(trainer, [callback], module, data, validation, num_sanity_val_steps=1 if validation else 0)
    return callback


def batches(data):
    return DataLoader(data, 8), DataLoader(data, 8)


def test_a_head_that_is_named_is_read(trainer):
    callback = film_of(trainer, SETUPS["two heads"][0](), *batches(HEADED), head="shape")
    assert 'net(batch["image"])["shape"] meets batch["shape"]' in callback.film.frames[-1].answer
    assert callback.session.inputs.labels.max() == 4


def test_labels_are_where_the_user_says(trainer):
    data = Dicts(x=X, y=Y, other=(Y + 1) % 3)
    module = Steps(lambda m, b: F.cross_entropy(m.net(b["x"]), b["y"]), net=cnn)
    callback = film_of(trainer, module, *batches(data), labels_at="other")
    probe = callback.session.probe
    assert torch.equal(probe.labels, data.columns["other"][list(probe.indices)])


def read_off():
    return nn.Sequential(nn.Conv2d(4, 5, 1), nn.ReLU(), nn.Conv2d(5, 2, 1))


class TwoMaps(nn.Module):
    """What is computed last is no part of the answer."""

    def __init__(self):
        super().__init__()
        self.body, self.out, self.aux = nn.Conv2d(3, 4, 3, padding=1), read_off(), read_off()

    def forward(self, x):
        features = self.body(x)
        return {"out": self.out(features), "aux": self.aux(features)}


def with_auxiliary(m, b):
    found = m.net(b[0])
    return F.cross_entropy(found["out"], b[1]) + 0.4 * F.cross_entropy(found["aux"], b[1])


def test_the_layer_of_another_head_is_not_looked_at(trainer):
    callback = film_of(trainer, Steps(with_auxiliary, net=TwoMaps), *batches(TensorDataset(X, MAPS)))
    layers = {maps.layer for maps in callback.film.frames[-1].maps.values()}
    assert "net.out.1" in layers
    assert not [layer for layer in layers if layer.startswith("net.aux")]


def overlap(m, b):
    soft = m.net(b[0]).softmax(1)
    return 1 - (2 * (soft * b[1]).sum((2, 3)) / (soft + b[1]).sum((2, 3))).mean()


def test_one_hot_label_maps_are_label_maps(trainer):
    hot = F.one_hot(MAPS, 2).permute(0, 3, 1, 2).float()
    callback = film_of(trainer, Steps(overlap, net=lambda: dense(2)), *batches(TensorDataset(X, hot)))
    assert {frame.task for frame in callback.film.frames} == {"segmentation"}
    assert "IoU" in callback.film.frames[-1].said[0]


def test_a_class_out_of_a_column_is_the_label(trainer):
    table = torch.stack([Y + 7, Y], 1)
    step = lambda m, b: -m.net(b[0]).log_softmax(1).gather(1, b[1][:, 1:]).mean()  # noqa: E731
    callback = film_of(trainer, Steps(step, net=cnn), *batches(TensorDataset(X, table)))
    assert callback.session.inputs.labels.tolist() == Y[list(callback.session.probe.indices)].tolist()


def test_a_number_has_the_unit_that_the_user_gives(trainer):
    callback = film_of(trainer, SETUPS["regression"][0](), *batches(SETUPS["regression"][1]), unit="years")
    assert {frame.unit for frame in callback.film.frames} == {"years"}
    assert callback.film.frames[-1].maps["evidence"].unit == "years"
    truths = callback.session.inputs.truth
    assert len(truths) == 8
    assert all(each.endswith(" years") for each in truths)


def test_a_stream_is_read_once_and_said(trainer):
    callback = film_of(trainer, Steps(classes, net=cnn), DataLoader(Stream(), 8))
    assert "The data are a stream: the first 8 images of its first batch are looked at." in callback.looks.reading()


class ListOfBatches:
    def __init__(self):
        self.read = 0

    def __len__(self):
        return 3

    def __iter__(self):
        return iter([(X[at : at + 8], Y.sort().values[at : at + 8]) for at in (0, 8, 16)])


def test_batches_without_an_index_are_read_until_each_class_is_met(trainer):
    callback = film_of(trainer, Steps(classes, net=cnn), ListOfBatches(), ListOfBatches())
    assert sorted(set(callback.session.probe.labels.tolist())) == [0, 1, 2]
    assert len(callback.session.probe) == 8


def test_one_class_alone_is_said(trainer):
    callback = film_of(trainer, Steps(classes, net=cnn), *batches(TensorDataset(X, torch.ones(N, dtype=torch.long))))
    assert "All 8 images are of one class, class 1." in callback.looks.reading()


def test_which_of_several_loaders_is_said(trainer):
    class Several(Steps):
        def validation_step(self, batch, _, dataloader_idx=0):
            self.log("val_loss", self.one_step(self, batch))

    data = batches(TensorDataset(X, Y))
    callback = film_of(trainer, Several(classes, net=cnn), data[0], [*data])
    assert "The images are from the first of 2 loaders." in callback.looks.reading()


@pytest.mark.parametrize("choose", ["mistakes", "unsure"])
def test_hard_examples_are_chosen_once_and_kept(trainer, tmp_path, choose):
    def callback():
        return ProbeCallback(choose=choose, n=5, class_names=["a", "b", "c"], mean=[0.5], std=[2.0])

    first = callback()
    made = trainer([first], max_epochs=1)
    made.fit(Steps(classes, net=cnn), *batches(TensorDataset(X, Y)))
    made.save_checkpoint(tmp_path / "one.ckpt")
    again = callback()
    trainer([again], max_epochs=2).fit(Steps(classes, net=cnn), *batches(TensorDataset(X, Y)), ckpt_path=tmp_path / "one.ckpt")
    assert len(first.session.probe) == 5
    assert again.session.probe.indices == first.session.probe.indices
    done = {"mistakes": "got most wrong", "unsure": "was least sure of"}[choose]
    assert f"The images are those that the network {done} before it was looked at first." in first.looks.reading()
    assert first.session.probe.class_names == ("a", "b", "c")
    assert first.session.probe.mean == [0.5]


@pytest.mark.parametrize("is_quiet", [True, False])
def test_who_wants_no_progress_bar_gets_none(trainer, capfd, is_quiet):
    made = trainer([ProbeCallback(choose="unsure", n=3)], max_epochs=1, enable_progress_bar=not is_quiet)
    made.fit(Steps(classes, net=cnn), *batches(TensorDataset(X, Y)))
    assert ("looking for unsure" in capfd.readouterr().err) != is_quiet


def test_hard_examples_stay_those_of_the_film_from_run_to_run(trainer):
    """The network that has been trained would choose others, and one film would show two choices."""
    callback, made = ProbeCallback(choose="mistakes", n=5), trainer([], max_epochs=3)
    made.callbacks.append(callback)
    module, data, seen = Steps(classes, net=cnn), batches(TensorDataset(X, Y)), []
    for again in (made.fit, made.validate, made.fit):
        again(module, *(data if again == made.fit else data[1:]))
        made.fit_loop.max_epochs = 6
        seen.append(callback.session.probe.indices)
    assert seen[0] == seen[1] == seen[2]


def test_a_test_on_other_data_shows_its_own_images_says_so_and_takes_none_from_the_film(trainer):
    callback, made = ProbeCallback(n=6), trainer([], max_epochs=1)
    made.callbacks.append(callback)
    module, data = Steps(classes, net=cnn), batches(TensorDataset(X, Y))
    module.test_step = module.validation_step
    made.fit(module, *data)
    ours = callback.session.probe
    with pytest.warns(UserWarning, match="goes on with other images in the probe 'probe' than before"):
        made.test(module, batches(TensorDataset(X.flip(0) + 1, (Y + 1) % 3))[1])
    assert callback.session.probe.fingerprint != ours.fingerprint
    assert set(callback.session.probe.labels.tolist()) == {0, 1, 2}
    made.fit_loop.max_epochs = 2
    made.fit(module, *data)
    assert callback.session.probe.fingerprint == ours.fingerprint


MASKS = torch.rand(N, 3, 12, 12, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize(
    ("scale", "arguments", "said", "unit"),
    [
        (1, {}, "shown in the units of the target, without probabilities", "target's unit"),
        (1, {"unit": "years"}, "shown in years, without probabilities", "years"),
        (8, {}, "shown standardised, without probabilities", "standardised"),
        (8, {"unit": "spreads"}, "shown in spreads, without probabilities", "spreads"),
    ],
)
def test_the_line_at_fit_start_names_the_unit_that_is_shown(trainer, scale, arguments, said, unit):
    def ages(m, b):
        target = b[1].float() if scale == 1 else (b[1].float() - 1) / scale
        return F.mse_loss(m.net(b[0])[:, 0], target)

    callback = film_of(trainer, Steps(ages, net=lambda: cnn(1)), *batches(TensorDataset(X, Y)), **arguments)
    assert said in callback.looks.reading()
    assert callback.film.frames[-1].unit == unit


def test_a_unit_of_a_target_that_the_step_computes_is_doubted(trainer):
    """What 'years' is the unit of is not known: of the batch's ages, or of what the step made of them."""

    def step(scale):
        return lambda m, b: F.mse_loss(m.net(b[0])[:, 0], (b[1].float() - 1) / scale if scale else b[1].float())

    for scale, is_doubted in ((8, True), (0, False)):
        callback = film_of(trainer, Steps(step(scale), net=lambda: cnn(1)), *batches(TensorDataset(X, Y)), unit="years")
        doubted = "The step computes the target: where 'years' is the unit in the batch, it is not that of the numbers shown."
        assert (doubted in callback.looks.reading()) == is_doubted


@pytest.mark.parametrize("arguments", [{}, {"task": "multiclass"}])
def test_what_a_score_returns_is_said_to_be_explained(trainer, arguments):
    make, data = SETUPS["metadata"]
    callback = film_of(trainer, make(), *batches(data), score=lambda output, _: output[:, 0], **arguments)
    assert callback.looks.reading().endswith("What score= returns is explained.")
    assert callback.film.frames[-1].maps["evidence"].explains == ()


TABLE = torch.tensor([0, 3, 1, 0, 2])
MADE = {  # how the loss gets them, what the network gives
    "standardised": (lambda y: (y.float() - 10) / 5, F.mse_loss, 1),
    "counted from 1": (lambda y: y - 1, F.cross_entropy, 3),
    "yes above": (lambda y: (y > 1).float(), F.binary_cross_entropy_with_logits, 1),
    "logarithms": (lambda y: torch.log1p(y.float()), F.mse_loss, 1),
    "as they are": (lambda y: y, F.cross_entropy, 4),
    "a part": (lambda y: y[:, None][:, 0], F.cross_entropy, 4),
    "rows of a unit matrix": (lambda y: torch.eye(4)[y], F.cross_entropy, 4),
    "looked up": (lambda y: TABLE[y], F.cross_entropy, 4),
    "looked up, by name": (lambda y: TABLE.index_select(0, y), F.cross_entropy, 4),
}


@pytest.mark.parametrize("sanity", [0, 1])
@pytest.mark.parametrize("made", MADE)
def test_labels_of_a_users_probe_are_met_as_the_step_makes_its_targets(trainer, made, sanity):
    """What a data set says (an age of 41, a class counted from 1) is what a user gives; the loss gets something else."""
    target, loss, width = MADE[made]
    says = Y + 1

    def step(m, b):
        output = m.net(b[0])
        return loss(output[:, 0] if width == 1 else output, target(b[1]))

    callback = ProbeCallback(Probe(X[:4], says[:4]), on_error="raise")
    run(trainer, [callback], Steps(step, net=lambda: cnn(width)), *batches(TensorDataset(X, says)), num_sanity_val_steps=sanity)
    truth = callback.session.probe.truth_for(callback.session.answer)
    met = target(says[:4]).float()
    assert torch.allclose(truth.float(), met if met.ndim == 1 else met.argmax(1).float())


def test_classes_that_the_step_looks_up_are_the_truth_of_images_that_are_taken(trainer):
    setup = Steps(lambda m, b: F.cross_entropy(m.net(b[0]), TABLE[b[1]]), net=lambda: cnn(4))
    session = film_of(trainer, setup, *batches(TensorDataset(X, Y))).session
    assert torch.equal(session.probe.truth_for(session.answer), TABLE[Y[list(session.probe.indices)]])


def test_labels_are_no_numbers_of_items_that_a_step_looks_up(trainer):
    """The batch has each item's number, and the step its classes by those: a user's classes are no numbers of items."""
    setup = Steps(lambda m, b: F.cross_entropy(m.net(b[0]), Y[b[1]]), net=cnn)
    callback = film_of(trainer, setup, *batches(TensorDataset(X, torch.arange(N))), probe=Probe(X[:4], Y[:4]))
    assert callback.session.inputs.labels is None
    assert "what is true of the images is not known" in callback.looks.reading()


@pytest.mark.parametrize("given", [True, False])
def test_a_dict_that_the_step_looks_classes_up_in_leaves_open_what_is_true(trainer, given):
    classes = dict(enumerate(TABLE.tolist()))
    setup = Steps(lambda m, b: F.cross_entropy(m.net(b[0]), torch.tensor([classes[int(y)] for y in b[1]])), net=lambda: cnn(4))
    callback = film_of(trainer, setup, *batches(TensorDataset(X, Y)), probe=Probe(X[:4], Y[:4]) if given else None)
    assert [callback.film.frames[-1].is_wrong(at, callback.session.inputs) for at in range(4)] == [None] * 4
    assert "the target is no part of the batch" in callback.looks.reading()


def test_labels_counted_otherwise_than_a_batchs_are_not_compared(trainer):
    """Of a data set that counts from 1 a user gives classes from 0: one off, every answer would be called wrong."""
    setup = Steps(lambda m, b: F.cross_entropy(m.net(b[0]), b[1] - 1), net=cnn)
    callback = film_of(trainer, setup, *batches(TensorDataset(X, Y + 1)), probe=Probe(X[:4], Y[:4]))
    assert callback.session.inputs.labels is None
    assert "what is true of the images is not known" in callback.looks.reading()


def test_missing_labels_of_a_user_stay_missing_and_the_others_are_theirs(trainer):
    def step(m, b):
        known = b[1] >= 0
        return F.cross_entropy(m.net(b[0])[known], b[1][known])

    labels = Y.clone()
    labels[1] = -1
    callback = film_of(trainer, Steps(step, net=cnn), *batches(TensorDataset(X, labels)), probe=Probe(X[:4], labels[:4]))
    assert callback.session.probe.truth.tolist() == [0, -1, 2, 0]


@pytest.mark.filterwarnings("ignore:lightning_vis. attribution/grad_cam/lift could not be measured")
def test_black_and_white_masks_of_a_user_are_classes_once(trainer):
    masks = MAPS * 255
    setup = Steps(lambda m, b: F.cross_entropy(m.net(b[0]), b[1] // 255), net=lambda: dense(2))
    callback = film_of(trainer, setup, *batches(TensorDataset(X, masks)), probe=Probe(X[:4], masks[:4]))
    truth = callback.session.probe.truth_for(callback.session.answer)
    assert torch.equal(truth, MAPS[:4])


def test_labels_that_the_step_cannot_take_are_not_compared_and_it_is_said(trainer):
    def step(m, b):
        if (b[1] > 3).any():
            raise ValueError("no such class")
        return F.cross_entropy(m.net(b[0]), b[1] - 1)

    probe = Probe(X[:4], torch.tensor([1, 2, 3, 4]))
    callback = film_of(trainer, Steps(step, net=cnn), *batches(TensorDataset(X, Y + 1)), probe=probe)
    assert "not of these labels: what is true of the images is not known" in callback.looks.reading()
    assert callback.session.inputs.labels is None


SHAPES = {"one for each class": (MASKS.amax(1, keepdim=True) == MASKS).float(), "that overlap": (MASKS > 0.6).float()}


@pytest.mark.parametrize("masks", SHAPES)
def test_masks_for_each_class_are_read_where_a_user_says_segmentation(trainer, masks):
    """The loss is none that is known; masks that overlap are a yes or no each."""
    dense = Steps(unsure, net=lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1)))
    callback = ProbeCallback(task="segmentation", on_error="raise")
    trainer([callback], max_epochs=1).fit(dense, *batches(TensorDataset(X, SHAPES[masks])))
    frame, truth = callback.film.frames[-1], callback.session.probe.truth
    with torch.no_grad():
        scores = dense.net.eval()(callback.session.probe.images)
    said = scores > 0 if masks == "that overlap" else scores == scores.amax(1, keepdim=True)
    areas = truth.sum((2, 3)) if masks == "that overlap" else truth.sum((2, 3)) * torch.tensor([0.0, 1.0, 1.0])
    for image, of_class in enumerate(areas.argmax(1)):
        both, either = (one(said[image, of_class], truth[image, of_class] > 0.5).sum() for one in (torch.mul, torch.maximum))
        assert frame.said[image] == f"class {of_class}, IoU {both / either:.2f}"
    assert set(frame.maps) == {"evidence", "grad_cam", "saliency", "mask"}


def test_hard_examples_are_chosen_in_the_words_of_the_user(trainer):
    """The loss is none that is known, so that task= and labels_at= alone say what is a mistake."""
    callback = ProbeCallback(choose="mistakes", n=5, task="multiclass", labels_at=1, on_error="raise")
    model, data = Steps(unsure, net=cnn), TensorDataset(X, Y)
    with torch.no_grad():
        scores = model.net.eval()(X)
    odds = torch.stack([row[label] - row[torch.arange(3) != label].logsumexp(0) for row, label in zip(scores, Y, strict=True)])
    model.train()
    trainer([callback], max_epochs=1).fit(model, *batches(data))
    assert callback.session.probe.indices == tuple(odds.argsort(stable=True)[:5].tolist())


@pytest.mark.filterwarnings("ignore:lightning_vis.*other images")  # those of an unknown answer have no labels
def test_a_checkpoint_keeps_the_answer_and_another_one_is_said(trainer, tmp_path):
    data = batches(TensorDataset(X, Y))
    made = trainer([ProbeCallback()], max_epochs=1)
    made.fit(Steps(classes, net=cnn), *data)
    made.save_checkpoint(tmp_path / "one.ckpt")
    with pytest.warns(UserWarning, match="read as unknown, and in its checkpoint as multiclass: task='multiclass' keeps it"):
        trainer([ProbeCallback()]).fit(Steps(unsure, net=cnn), *data, ckpt_path=tmp_path / "one.ckpt")
    kept = ProbeCallback(task="multiclass", on_error="raise")
    trainer([kept], max_epochs=2).fit(Steps(unsure, net=cnn), *data, ckpt_path=tmp_path / "one.ckpt")
    assert {frame.task for frame in kept.film.frames} == {"multiclass"}


# --- refusals, each with its remedy -------------------------------------------------------------------------------------


def test_metadata_that_a_probe_lacks_is_named_and_can_be_given(trainer):
    make, data = SETUPS["metadata"]
    with pytest.raises(
        ValueError, match=r"given 'numbers' besides the images.*pass Probe\(images, arguments=\{'numbers': ...\}\)"
    ):
        film_of(trainer, make(), *batches(data), probe=Probe(X[:5], Y[:5]))
    callback = film_of(trainer, make(), *batches(data), probe=Probe(X[:5], Y[:5], arguments={"numbers": torch.zeros(5, 2)}))
    assert set(callback.film.frames[-1].maps) == {"evidence", "grad_cam", "saliency"}


@pytest.mark.parametrize("remedy", [{"task": "multiclass"}, {"score": lambda output, _: output[:, 0]}])
def test_the_sentence_of_an_unknown_answer_names_remedies_that_work(trainer, remedy):
    make, data = SETUPS["no loss that is known"]
    plain = film_of(trainer, make(), *batches(data))
    words = "binary, multiclass, multilabel, regression, ordinal, segmentation, embedding or reconstruction"
    assert f"Pictures and filters only; task= ({words}) or score= names what to explain." in plain.film.frames[-1].answer
    assert plain.film.frames[-1].maps == {}
    told = film_of(trainer, make(), *batches(data), **remedy)
    assert set(told.film.frames[-1].maps) == {"evidence", "grad_cam", "saliency"}
    assert "names what to explain" not in told.film.frames[-1].answer


def test_an_answer_without_views_that_cannot_be_looked_at_is_said_and_nothing_rests(trainer):
    def again(m, b):
        return F.mse_loss(m.net(b[0]), b[0])

    class Breaks(nn.Sequential):
        steps = 0

        def forward(self, x):
            self.steps += self.training
            if not self.training and self.steps:
                raise RuntimeError("boom")
            return super().forward(x)

    callback = ProbeCallback()
    sentence = r"what the network answers could not be looked at: boom \(RuntimeError\)"
    with pytest.warns(UserWarning, match=sentence):
        run(trainer, [callback], Steps(again, net=lambda: Breaks(nn.Conv2d(3, 3, 1))), batches(TensorDataset(X, Y))[0])
    assert callback.session.failures.resting == set()


class Unseen(torch.autograd.Function):
    """A loss that leaves torch."""

    @staticmethod
    def forward(context, scores, labels):
        context.save_for_backward(scores, labels)
        values = scores.numpy()
        return torch.tensor(np.log(np.exp(values).sum(1)).mean() - values[range(len(values)), labels.numpy()].mean())

    @staticmethod
    def backward(context, gradient):
        scores, labels = context.saved_tensors
        return gradient * (scores.softmax(1) - F.one_hot(labels, scores.shape[1])) / len(scores), None


def margin(scores, labels):
    rest = labels.new_full((len(labels), scores.shape[1] - 1), -1)
    return F.multilabel_margin_loss(scores, torch.cat([labels[:, None], rest], 1))


def in_parts(loss):
    return Steps(lambda m, b: loss(m.head(m.body(b[0])), b[1]), body=lambda: cnn(8), head=lambda: nn.Linear(8, 3))


@pytest.mark.parametrize("loss", [margin, Unseen.apply], ids=["no task", "not seen"])
@pytest.mark.parametrize("told", [{"task": "multiclass"}, {"score": lambda output, _: output[:, 2]}], ids=["task", "score"])
def test_of_an_unknown_network_in_parts_the_last_one_answers(trainer, loss, told):
    module = in_parts(loss)
    callback = film_of(trainer, module, *batches(TensorDataset(X, Y)), **told)
    plain = in_parts(loss)
    run(trainer, [], plain, *batches(TensorDataset(X, Y)), num_sanity_val_steps=1)
    assert all(torch.equal(each, plain.state_dict()[name]) for name, each in module.state_dict().items())
    frame, probe = callback.film.frames[-1], callback.session.probe
    scores = module.eval().head(module.body(probe.images)).detach()
    if "task" in told:
        assert frame.predicted.tolist() == scores.argmax(1).tolist()
        assert torch.equal(probe.truth, Y[[*probe.indices]])
    else:
        assert [float(each) for each in frame.said] == pytest.approx(scores[:, 2].tolist(), rel=0.01)
    assert set(frame.maps) == {"evidence", "grad_cam", "saliency"}


def test_which_of_several_last_parts_answers_is_not_guessed_and_the_remedy_works(trainer):
    class Answers(Steps):
        def forward(self, x):
            return self.one(self.body(x))

    def step(m, b):
        features = m.body(b[0])
        return Unseen.apply(m.one(features), b[1]) + Unseen.apply(m.two(features), b[1])

    parts = {"body": lambda: cnn(8), "one": lambda: nn.Linear(8, 3), "two": lambda: nn.Linear(8, 3)}
    sentence = (
        r"the step goes on with what 'body' returns, and which of its parts answers is not known: write a forward\(images\) that"
        r" returns the answer\): pass probe=Probe\(images, labels\)"
    )
    with pytest.raises(ValueError, match=sentence):
        film_of(trainer, Steps(step, **parts), *batches(TensorDataset(X, Y)), task="multiclass")
    module = Answers(step, **parts)
    given = {"probe": Probe(X[:5], Y[:5]), "task": "multiclass"}
    frame = film_of(trainer, module, *batches(TensorDataset(X, Y)), **given).film.frames[-1]
    assert frame.predicted.tolist() == module.eval()(X[:5]).argmax(1).tolist()


def test_an_unknown_answer_has_filters(trainer):
    callback = FilterMaximizationCallback(channels=2, steps=1, on_error="raise")
    run(trainer, [callback], SETUPS["no loss that is known"][0](), *batches(TensorDataset(X, Y)), num_sanity_val_steps=1)
    assert any(name.startswith("filters/net") for name in callback.film.frames[0].pictures)


@pytest.mark.parametrize("key", ["reliance/alert", "reliance/background_effect"])
def test_a_number_that_can_never_be_logged_is_refused_when_fit_starts(trainer, key):
    stopping = EarlyStopping(key)
    with pytest.raises(ValueError, match=f"EarlyStopping monitors '{key}', which is never logged: it takes a probe with twins"):
        run(trainer, [ProbeCallback(), stopping], Steps(classes, net=cnn), *batches(TensorDataset(X, Y)))


@pytest.mark.filterwarnings("ignore:lightning_vis")
def test_its_remedy_logs_it(trainer):
    masks = torch.zeros(6, 12, 12)
    masks[:, 4:8, 4:8] = 1
    probe = Probe(X[:6], Y[:6], masks)
    run(
        trainer, [ProbeCallback(probe), EarlyStopping("reliance/alert")], Steps(classes, net=cnn), *batches(TensorDataset(X, Y))
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"probe": Probe(X[:2]), "n": 4}, r"n= is for the images that are taken where no probe= is given"),
        ({"choose": "best"}, "choose='best': expected 'mistakes' or 'unsure'"),
        ({"n": 0}, "n=0: expected a whole number of at least 1"),
        ({"task": "detection"}, "task='detection': expected one of 'binary', "),
        (
            {"choose": "mistakes"},
            "choose='mistakes' takes a network that tells classes apart, and this one is read as regression",
        ),
    ],
)
def test_what_cannot_be_is_refused(trainer, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        film_of(trainer, SETUPS["regression"][0](), *batches(SETUPS["regression"][1]), **arguments)


class Mixed(nn.Module):
    """Returns numbers, and what is none."""

    def __init__(self):
        super().__init__()
        self.body = cnn(3)

    def forward(self, x):
        logits = self.body(x)
        return {"logits": logits, "index": logits.argmax(1), "more": {"features": logits * 2}}


def mixed(m, b):
    return F.cross_entropy(m.net(b["image"])["logits"], b["kind"])


MIXED = Dicts(image=X, kind=Y, name=[f"image {each}" for each in range(N)], count=torch.tensor([3] * N))
CANNOT = [
    ({"labels_at": "nowhere"}, 'labels_at=\'nowhere\': there is no batch["nowhere"]: batch is a dict with "image", "kind", '),
    (
        {"labels_at": "kind.more"},
        'labels_at=\'kind.more\': there is no batch["kind"]["more"]: batch["kind"] is a tensor of shape (8,)',
    ),
    ({"labels_at": "name"}, "labels_at='name': expected a label for each of 8 images there; got ['image 0', 'image 1', "),
    (
        {"head": "nowhere"},
        'head=\'nowhere\': there is no output["nowhere"]: output is a dict with "logits", "index", "more"; a loss',
    ),
    (
        {"head": "index"},
        'head=\'index\': expected a tensor of numbers at output["index"]; got a tensor (1,); a loss takes "logits" (3 classes)',
    ),
    (
        {"head": "more"},
        "head='more': expected a tensor of numbers at output[\"more\"]; got a dict with 'features': a tensor (1, 3); a",
    ),
    ({"head": 7}, "head=7: there is no output[7]: output is a dict with "),
    (
        {"component": 1},
        "component=1: it says which of several numbers of an image is explained, and the answer is read as multiclass:"
        " task='regression' reads numbers",
    ),
    ({"task": "regression", "component": 3}, "component=3: the answer has 3 numbers, 0 to 2"),
    ({"head": ["logits", "more.features"], "component": [None, 0]}, "component=0: it says which of several numbers"),
    ({"head": ["logits", "more.features"], "labels_at": [None, "name"]}, "labels_at='name': expected a label for each of 8"),
]


@pytest.mark.parametrize("given", [False, True], ids=["taken", "given"])
@pytest.mark.parametrize(("arguments", "sentence"), CANNOT, ids=[str(each) for each, _ in CANNOT])
def test_a_word_that_cannot_be_is_refused_when_fit_starts_whatever_failures_lead_to(trainer, arguments, sentence, given):
    module = Steps(mixed, net=Mixed)
    callback = ProbeCallback(Probe(X[:4], Y[:4]) if given else None, **arguments)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        run(trainer, [callback], module, *batches(MIXED), num_sanity_val_steps=1)
    assert str(caught.value).startswith(sentence)
    assert module.trainer.global_step == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"labels_at": "kind"},
        {"head": "logits"},
        {"task": "regression", "component": 2},
        {"head": ["logits", "more.features"], "task": [None, "regression"], "component": [None, 0]},
    ],
)
def test_a_word_that_the_refusal_names_works(trainer, arguments):
    frame = film_of(trainer, Steps(mixed, net=Mixed), *batches(MIXED), **arguments).film.frames[-1]
    assert {"evidence", "grad_cam", "saliency"} <= set(frame.maps)


def test_predict_is_said_not_to_be_looked_at(trainer, caplog):
    class Predicts(Steps):
        def forward(self, batch):
            return self.net(batch[0])

    with caplog.at_level(logging.INFO):
        trainer([ProbeCallback()]).predict(Predicts(classes, net=cnn), DataLoader(TensorDataset(X, Y), 8))
    assert sum("trainer.predict is not looked at" in record.message for record in caplog.records) == 1
