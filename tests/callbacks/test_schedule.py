"""When looks are taken and at which step they are written, in real Trainers of many set-ups, against Lightning's scalars."""

from __future__ import annotations

import pytest
import torch
from modules import SAFELY, Classifier, LogsStep, TwoOptimizers, loader
from pytorch_lightning.callbacks import EarlyStopping
from torch import nn

from lightning_vis.attribution.views import saliency
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.callbacks.schedule import is_early, is_wide

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")  # on purpose
USUAL = [0, 1, 2, 4, 6, 12]  # six batches an epoch, two epochs


def fitted(trainer, probe, module=None, *, validated=True, count=24, looking=None, **arguments):
    """The frames of one training."""
    callback = ProbeCallback(probe, [saliency()], **(looking or {}))
    validation = loader(12, seed=2) if validated else None
    trainer([callback], **arguments).fit(module or Classifier(), loader(count), validation)
    return callback.film.frames


# what: (arguments of fitted, finished steps that are looked at, what they are called)
SETUPS = {
    "plain": ({}, USUAL, ["start", "step 1", "step 2", "step 4", "epoch 1", "epoch 2"]),
    "no validation": ({"validated": False}, USUAL, ["start", "step 1", "step 2", "step 4", "epoch 1", "epoch 2"]),
    "no validation batches": ({"limit_val_batches": 0}, USUAL, None),
    "sanity check": ({"num_sanity_val_steps": 2}, USUAL, None),
    "longer epoch": ({"count": 48}, [0, 1, 2, 4, 8, 12, 24], None),
    "accumulation": (
        {"accumulate_grad_batches": 4},  # steps after batches 4 and 6 of each epoch: Lightning steps on the last one
        [0, 1, 2, 4],
        ["start", "step 1", "epoch 1", "epoch 2"],
    ),
    "accumulation, no validation": ({"accumulate_grad_batches": 4, "validated": False}, [0, 1, 2, 4], None),
    "accumulation of a whole epoch": ({"accumulate_grad_batches": 10}, [0, 1, 2], ["start", "epoch 1", "epoch 2"]),
    "validation every second epoch": ({"check_val_every_n_epoch": 2, "max_epochs": 3}, [*USUAL, 18], None),
    "validation twice an epoch": (
        {"val_check_interval": 0.5},
        [0, 1, 2, 3, 4, 6, 9, 12],
        ["start", "step 1", "step 2", "step 3", "step 4", "epoch 1", "step 9", "epoch 2"],
    ),
    "validation across epochs": (
        {"val_check_interval": 5, "check_val_every_n_epoch": None},
        [0, 1, 2, 4, 5, 6, 10, 12],
        ["start", "step 1", "step 2", "step 4", "step 5", "epoch 1", "step 10", "epoch 2"],
    ),
    "max_steps in mid-epoch": (
        {"max_steps": 9, "max_epochs": -1},
        [0, 1, 2, 4, 6, 9],
        ["start", "step 1", "step 2", "step 4", "epoch 1", "step 9"],
    ),
    "max_steps in an epoch that is not looked at": (
        {"max_steps": 9, "max_epochs": -1, "looking": {"every_n_epochs": 3}},
        [0, 1, 2, 4, 9],
        ["start", "step 1", "step 2", "step 4", "step 9"],
    ),
    "fewer batches": ({"limit_train_batches": 0.5}, [0, 1, 2, 3, 6], ["start", "step 1", "step 2", "epoch 1", "epoch 2"]),
    "every third epoch": (
        {"looking": {"every_n_epochs": 3}, "max_epochs": 7},
        [0, 1, 2, 4, 18, 36, 42],
        ["start", "step 1", "step 2", "step 4", "epoch 3", "epoch 6", "epoch 7"],
    ),
    "at steps": ({"looking": {"at_steps": [3, 6, 8]}}, [0, 3, 6, 8, 12], None),
    "at steps that end epochs in between": ({"looking": {"at_steps": [6], "every_n_epochs": 2}}, [0, 6, 12], None),
    "at no steps": ({"looking": {"at_steps": ()}}, [0, 6, 12], None),
    "two optimizers": ({"module": TwoOptimizers}, USUAL, None),
    "two optimizers, no validation": ({"module": TwoOptimizers, "validated": False}, USUAL, None),
    "one batch": ({"fast_dev_run": True}, [0, 1], None),
    "stopped early": ({"max_epochs": 9, "stop": True}, [*USUAL], None),
}


@pytest.mark.parametrize("setup", SETUPS)
def test_looks_are_taken_once_at_exactly_these_finished_steps(trainer, probe, setup):
    arguments, expected, names = SETUPS[setup]
    arguments = dict(arguments)
    if "module" in arguments:
        arguments["module"] = arguments["module"]()
    if arguments.pop("stop", False):  # a loss that cannot get better by this much
        stopping = EarlyStopping("val_loss", min_delta=100.0, patience=1)
        frames = fitted(lambda found, **more: trainer([*found, stopping], **more), probe, **arguments)
    else:
        frames = fitted(trainer, probe, **arguments)
    assert [frame.finished_steps for frame in frames] == expected
    if names:
        assert [frame.when for frame in frames] == names


def test_a_second_fit_goes_on_and_does_not_begin_again(trainer, probe):
    callback = ProbeCallback(probe, [saliency()])
    training, module = trainer([callback], max_epochs=1), Classifier()
    training.fit(module, loader(), loader(12, seed=2))
    training.fit_loop.max_epochs = 2
    training.fit(module, loader(), loader(12, seed=2))
    assert [frame.finished_steps for frame in callback.film.frames] == USUAL
    assert [frame.epoch for frame in callback.film.frames] == [0, 0, 0, 0, 1, 2]


def test_a_resumed_training_goes_on_and_does_not_begin_again(trainer, probe, tmp_path):
    first = ProbeCallback(probe, [saliency()])
    training = trainer([first], max_epochs=1)
    training.fit(Classifier(), loader(), loader(12, seed=2))
    training.save_checkpoint(tmp_path / "one.ckpt")
    second = ProbeCallback(probe, [saliency()])
    trainer([second]).fit(Classifier(), loader(), loader(12, seed=2), ckpt_path=tmp_path / "one.ckpt", **SAFELY)
    assert [frame.finished_steps for frame in second.film.frames] == USUAL
    assert [frame.log_step for frame in second.film.frames] == [step - 1 for step in USUAL]


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        (Classifier, {}),
        (Classifier, {"validated": False}),
        (Classifier, {"accumulate_grad_batches": 4}),
        (Classifier, {"check_val_every_n_epoch": 2, "max_epochs": 4}),
        (Classifier, {"max_steps": 9, "max_epochs": -1}),
        (TwoOptimizers, {}),
        (TwoOptimizers, {"validated": False}),
        (LogsStep, {}),
        (LogsStep, {"validated": False}),
    ],
)
def test_pictures_stand_at_the_steps_of_lightnings_epoch_scalars(trainer, probe, events, module, arguments):
    frames = fitted(trainer, probe, module(), looking={"images": True}, **arguments)
    found = events()
    scalars = [event.step for event in found.Scalars("loss")]
    ends = [frame for frame in frames if frame.moment in ("epoch", "end") or frame is frames[-1]]
    assert [frame.log_step for frame in ends] == scalars
    steps = [frame.log_step for frame in frames]
    assert steps[0] == -1 if module is not LogsStep else True
    for tag in ("probe/0", "probe/3", "film/saliency"):
        assert [event.step for event in found.Images(tag)] == steps


def test_pictures_of_validations_within_an_epoch_stand_at_the_steps_of_their_scalars(trainer, probe, events):
    frames = fitted(trainer, probe, val_check_interval=0.5)
    validations = [event.step for event in events().Scalars("val_loss")]
    assert [frame.log_step + 1 for frame in frames if frame.finished_steps in (3, 6, 9, 12)] == [3, 6, 9, 12]
    assert validations == [2, 5, 8, 11]


def test_the_untrained_network_is_the_first_picture_at_minus_one(trainer, probe, events):
    fitted(trainer, probe, TwoOptimizers(), looking={"images": True})
    for tag in events().Tags()["images"]:
        assert events().Images(tag)[0].step == (11 if tag.endswith("played") else -1)


@pytest.mark.parametrize(
    ("finished", "at_steps", "epoch", "early"),
    [
        (0, None, 0, False),
        *((step, None, 0, step in (1, 2, 4, 8, 16)) for step in range(1, 20)),
        (4, None, 1, False),
        (4, (4, 7), 3, True),
        (5, (4, 7), 0, False),
        (1, (), 0, False),
    ],
)
def test_early_steps(finished, at_steps, epoch, early):
    assert is_early(finished, at_steps, epoch) is early


class Lazy(Classifier):
    """A network whose layers get their shapes from the first batch."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3))


@pytest.mark.parametrize("given", [True, False])
def test_the_first_step_of_lazy_layers_is_seen_before_the_second_one(trainer, probe, given):
    frames = fitted(trainer, probe if given else None, Lazy(), max_epochs=1)
    assert [frame.finished_steps for frame in frames] == [1, 2, 4, 6]
    assert [frame.when for frame in frames] == ["step 1", "step 2", "step 4", "epoch 1"]


def test_looking_at_lazy_layers_changes_no_bit(trainer, probe):
    ends = []
    for callbacks in ([], [ProbeCallback(probe, [saliency()])]):
        torch.manual_seed(3)
        module = Lazy()
        trainer(callbacks, max_epochs=1).fit(module, loader(24))
        ends.append(torch.cat([each.detach().flatten() for each in module.parameters()]))
    assert torch.equal(*ends)


def test_moments_of_pictures_are_ever_wider_and_nine_in_a_long_training():
    drawn = []
    for count in range(1, 3001):
        if is_wide(count, drawn[-1] if drawn else 0):
            drawn.append(count)
    assert drawn == [1, 6, 15, 38, 95, 238, 595, 1488]  # and the last one
