"""Observing changes nothing: training with the callbacks is bit-identical to training without, and bad callbacks are caught."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from modules import Classifier, TwoOptimizers, loader
from nets import Tokens, TwoTowers
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from lightning_vis.callbacks.probe import GradCAMCallback, ProbeCallback, SaliencyCallback
from lightning_vis.probe.probe import Probe

pytestmark = [  # what Lightning says about set-ups that are as they are on purpose
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),  # of dynamo itself
    pytest.mark.filterwarnings("ignore:Found 1 module.* in eval mode at the start of training"),
]


class Fingerprint(pl.Callback):
    """Everything that a training is made of, at the end of every batch and at the end of the fit."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        modes = [module.training for module in pl_module.modules()]
        self.seen.append((modes, batch[0].clone(), batch[1].clone(), torch.get_rng_state()))

    def on_train_batch_end(self, trainer, pl_module, *_):
        gradients = [None if each.grad is None else each.grad.clone() for each in pl_module.parameters()]
        self.seen.append([*gradients, *(value.clone() for value in pl_module.state_dict().values())])

    def on_train_end(self, trainer, pl_module):
        optimizers = [nested(optimizer.state_dict()) for optimizer in trainer.optimizers]
        streams = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())
        hooks = [len(module._forward_hooks) + len(module._backward_hooks) for module in pl_module.modules()]
        metrics = {key: value.clone() for key, value in trainer.callback_metrics.items()}
        self.seen.append((optimizers, streams, hooks, metrics, [module.training for module in pl_module.modules()]))


def nested(value):
    if isinstance(value, dict):
        return {key: nested(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [nested(item) for item in value]
    return value.clone() if isinstance(value, torch.Tensor) else value


def same(one, other):
    """Equal to the bit, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def fingerprint(trainer, callbacks, module, validated=True, **arguments):
    """One training from one seed, its data shuffled by the global stream, with these callbacks before the fingerprint's."""
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    watching = Fingerprint()
    training = trainer([*callbacks, watching], **arguments)
    training.fit(module(), loader(shuffle=True), loader(12, seed=2) if validated else None)
    assert len(watching.seen) > 4
    return watching.seen


class Drawing(Classifier):
    """Draws from all three streams in every forward, also in eval mode, and counts its calls."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.mean.add_(0.1 * (x.mean() - self.mean))
        noise = torch.rand(1).item() + random.random() + np.random.rand()
        self.log("noise", noise)
        return self.net(x + 1e-3 * noise * self.calls + self.mean)


class PartlyFrozen(Classifier):
    """A norm that is kept in eval mode by hand, and weights that do not learn."""

    def __init__(self):
        super().__init__()
        self.net[1].eval()
        self.net[0].requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        if hasattr(self, "net"):
            self.net[1].eval()
        return self


class Accumulates(Classifier):
    """Manual optimization that steps every third batch, so that gradients are alive when an epoch ends."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.count = 0

    def training_step(self, batch, _):
        self.manual_backward(nn.functional.cross_entropy(self(batch[0]), batch[1]))
        self.count += 1
        if self.count % 4 == 0:
            self.optimizers().step()
            self.optimizers().zero_grad()

    def on_validation_model_zero_grad(self):
        """Lightning would drop the gradients."""


class Tokenized(Classifier):
    """A transformer whose head is 0 at first, so that the dry run wakes it."""

    def __init__(self):
        super().__init__(Tokens())
        nn.init.zeros_(self.net.head.weight)


class Branched(Classifier):
    """No place is a bottleneck, so that each look measures what bypasses it."""

    def __init__(self):
        super().__init__(TwoTowers())


class PartlyCompiled(Classifier):
    """The blocks of a transformer are compiled."""

    def __init__(self):
        super().__init__(Tokens())
        self.net.blocks = torch.compile(self.net.blocks, backend="eager")


SETUPS = {
    "validation": (Classifier, {}),
    "no validation": (Classifier, {"validated": False}),
    "sanity check": (Classifier, {"num_sanity_val_steps": 2}),
    "accumulation": (Classifier, {"accumulate_grad_batches": 4}),
    "accumulation, validation in mid-epoch": (Classifier, {"accumulate_grad_batches": 4, "val_check_interval": 0.5}),
    "accumulation across the epoch border": (Accumulates, {}),
    "accumulation across the epoch border, no validation": (Accumulates, {"validated": False}),
    "bf16-mixed": (Classifier, {"precision": "bf16-mixed"}),
    "bf16-true": (Classifier, {"precision": "bf16-true"}),
    "64-true": (Classifier, {"precision": "64-true"}),
    "two optimizers": (TwoOptimizers, {}),
    "random streams, buffers, counters and logs in forward": (Drawing, {}),
    "partly frozen by hand": (PartlyFrozen, {}),
    "partly frozen by hand, no validation": (PartlyFrozen, {"validated": False}),
    "tokens": (Tokenized, {}),
    "tokens, bf16-mixed": (Tokenized, {"precision": "bf16-mixed"}),
    "tokens, blocks compiled": (PartlyCompiled, {"num_sanity_val_steps": 1}),
    "branches": (Branched, {}),
    "clipped": (Classifier, {"gradient_clip_val": 0.1}),
}


@pytest.mark.parametrize("setup", SETUPS)
def test_training_is_bit_identical_with_and_without(trainer, probe, setup):
    module, arguments = SETUPS[setup]
    callback = ProbeCallback(probe)
    without = fingerprint(trainer, [], module, **arguments)
    assert same(fingerprint(trainer, [callback], module, **arguments), without)
    assert len(callback.film.frames) >= 4
    assert all(len(frame.maps) == 3 for frame in callback.film.frames)


def test_so_it_is_with_three_callbacks_and_a_probe_from_the_data(trainer):
    callbacks = [ProbeCallback(), SaliencyCallback(), GradCAMCallback(layer="net.0")]
    assert same(fingerprint(trainer, callbacks, Classifier), fingerprint(trainer, [], Classifier))
    assert set(callbacks[0].film.frames[0].maps) == {"evidence", "grad_cam", "saliency", "grad_cam.net.0"}


def test_so_it_is_with_masks_whose_numbers_are_logged(trainer, probe):
    masks = torch.zeros(4, 12, 12)
    masks[:, 3:9, 3:9] = 1
    with_twins = ProbeCallback(Probe(probe.images, probe.labels, masks), on_alert=lambda alert: None)
    with_it, without = (fingerprint(trainer, found, Classifier) for found in ([with_twins], []))
    assert set(with_it[-1][3]) > set(without[-1][3])  # the numbers are there
    for key in set(with_it[-1][3]) - set(without[-1][3]):
        del with_it[-1][3][key]
    assert same(with_it, without)


class Counting:
    """A loader of one's own: batches in an order that its count of epochs decides."""

    def __init__(self, data):
        self.data, self.epoch = data, 0

    def __len__(self):
        return 6

    def __iter__(self):
        self.epoch += 1
        order = torch.randperm(24, generator=torch.Generator().manual_seed(self.epoch))
        yield from (self.data[order[4 * each : 4 * each + 4]] for each in range(6))


def drawn(count, **arguments):
    """Batches drawn from a generator that nobody else draws from."""
    data = loader(count).dataset
    order = RandomSampler(data, generator=torch.Generator().manual_seed(3))
    return DataLoader(data, batch_sampler=BatchSampler(order, 4, False), **arguments)


class Batches(list):
    """Lightning takes a plain list for several loaders."""


class Whole(Dataset):
    """Items that are batches."""

    def __init__(self, count):
        self.data, self.seen = loader(count).dataset, []

    def __len__(self):
        return len(self.data) // 4

    def __getitem__(self, index):
        self.seen.append(index)
        return self.data[4 * index : 4 * index + 4]


LOADERS = {
    "a batch sampler's own generator": drawn,
    "a worker that stays": partial(drawn, num_workers=1, persistent_workers=True),
    "one's own": lambda count: Counting(loader(count).dataset),
    "items that are batches": lambda count: DataLoader(Whole(count), batch_size=None, shuffle=True),
    "a list of batches": lambda count: Batches(loader(count)),
}


def trained_by(trainer, callbacks, training, validation):
    """One training by these loaders."""
    torch.manual_seed(5)
    watching = Fingerprint()
    trainer([*callbacks, watching]).fit(Classifier(), training, validation)
    return watching.seen


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork")
@pytest.mark.filterwarnings("ignore:Your `val_dataloader`.s sampler has shuffling enabled")
@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize("validated", [False, True])
def test_so_it_is_whatever_the_images_are_taken_from(trainer, make, validated):
    found = []
    for callbacks in ([], [callback := ProbeCallback()]):
        found.append(trained_by(trainer, callbacks, make(24), make(24) if validated else None))
    assert len(found[0]) == 2 * 2 * 6 + 1
    assert same(*found)
    assert len(callback.film.frames) >= 4
    assert len(callback.session.probe) >= 4


def test_so_it_is_where_one_loader_trains_and_validates(trainer):
    found = []
    for callbacks in ([], [ProbeCallback()]):
        both = Counting(loader(24).dataset)
        found.append(trained_by(trainer, callbacks, both, both))
    assert same(*found)


def test_a_loader_that_is_being_read_is_said_not_to_be_begun_anew(trainer):
    callback = ProbeCallback()
    trainer([callback]).fit(Classifier(), Counting(loader(24).dataset))
    assert any("a Counting that is being read is not begun anew: the first 4 images" in each for each in callback.session.notes)


class Backward(pl.Callback):
    """Bad: adds to the weights' gradients."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        pl_module(batch[0].clone()).sum().backward()


class Draws(pl.Callback):
    """Bad: draws from the global generator."""

    def on_train_epoch_end(self, *_):
        torch.rand(1)


class LeavesEvalMode(pl.Callback):
    """Bad: leaves the network in eval mode."""

    def on_train_batch_end(self, trainer, pl_module, *_):
        pl_module.eval()


class LosesFrozenModes(pl.Callback):
    """Bad: eval() and train() again, which thaws what was frozen by hand."""

    def on_train_epoch_end(self, trainer, pl_module):
        pl_module.net.eval()
        pl_module.net.train()


@pytest.mark.parametrize(
    ("bad", "module"),
    [(Backward, Classifier), (Draws, Classifier), (LeavesEvalMode, Classifier), (LosesFrozenModes, PartlyFrozen)],
)
def test_the_same_comparison_catches_bad_callbacks(trainer, bad, module):
    assert not same(fingerprint(trainer, [bad()], module), fingerprint(trainer, [], module))


def test_two_trainings_without_callbacks_are_the_same(trainer):
    assert same(fingerprint(trainer, [], Classifier), fingerprint(trainer, [], Classifier))
