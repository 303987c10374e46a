"""A rehearsal of the training step: nothing of it stays, whatever the step does."""

from __future__ import annotations

from queue import SimpleQueue
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lightning_vis.probe.witness.dry_run import dry_run, still, untouched

from .cases import PLAIN, RUNS
from .cases.parts import Module, cnn, pairs, stepped
from .harness import InRehearsal, digest, fitted

BY_NAME = {case.name: case for case in (*PLAIN, *RUNS)}


class Compared(InRehearsal):
    """Compares all that a rehearsal might have moved."""

    def on_train_batch_start(self, trainer, module, batch, index):
        if self.testimony is None:
            before = self._all(trainer, module, batch)
            super().on_train_batch_start(trainer, module, batch, index)
            self.is_same = self._all(trainer, module, batch) == before

    @staticmethod
    def _all(trainer, module, batch):
        rates = [group["lr"] for each in trainer.optimizers for group in each.param_groups]
        steps = [trainer.global_step, [each.state_dict() for each in trainer.optimizers]]
        gradients = [each.grad for each in module.parameters()]
        flags = [(each.training, len(vars(each))) for each in module.modules()]
        words = [*map(sorted, map(vars, trainer.strategy._lightning_optimizers))]
        return digest([module.state_dict(), batch, rates, steps, gradients, flags, words, torch.get_rng_state()])


@pytest.mark.filterwarnings("ignore:.*")
@pytest.mark.parametrize(
    "name", ["GAN", "manual", "manual, closure and schedule", "sharpness-aware", "step that writes into the batch"]
)
def test_nothing_of_a_rehearsal_stays(name):
    compared = Compared()
    fitted(BY_NAME[name], compared)
    assert compared.is_same
    assert compared.testimony.task != "unknown"


def test_an_error_of_the_step_ends_it_but_what_was_seen_counts():
    def step(self, batch):
        loss = F.cross_entropy(self.net(batch[0]), batch[1])
        raise RuntimeError("no more")
        return loss

    module, data = stepped(step)()
    batch = [data.tensors[0][:8], data.tensors[1][:8]]
    found = dry_run(module, lambda: module.training_step(batch, 0), batch, {id(each) for each in module.parameters()})
    assert found.task == "multiclass"
    assert found.trouble == ("RuntimeError: no more",)


def test_what_is_trained_outranks_what_is_only_watched():
    """In training only a loss that is returned, or begins a backward pass, counts."""

    def step(self, batch):
        F.mse_loss(self.net(batch[0]), F.one_hot(batch[1], 4).float())
        return F.cross_entropy(self.net(batch[0]), batch[1])

    module, data = stepped(step)()
    batch = [data.tensors[0][:8], data.tensors[1][:8]]
    found = dry_run(module, lambda: module.training_step(batch, 0), batch, {id(each) for each in module.parameters()})
    assert (found.task, found.nth) == ("multiclass", 1)


def test_optimizers_are_still_and_get_their_own_steps_back():
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    optimizer = torch.optim.SGD([weight], 0.1)
    words = {*vars(optimizer)}
    with still(nn.Identity(), [optimizer]):
        optimizer.step()
        optimizer.zero_grad()
        assert optimizer.step(lambda: 3) == 3
    assert weight.tolist() == [1, 1]
    assert weight.grad is not None
    assert {*vars(optimizer)} == words
    optimizer.step()
    assert weight.tolist() != [1, 1]


def test_optimizers_that_only_the_module_knows_are_still_too():
    steps = SimpleQueue()
    module = nn.Identity()
    known = SimpleNamespace(step=lambda: steps.put("step"), zero_grad=lambda: steps.put("zero_grad"))
    module.optimizers = lambda: [known]
    module.lr_schedulers = lambda: SimpleNamespace(step=lambda: steps.put("schedule"))
    with still(module):
        module.optimizers()[0].step()
        module.optimizers()[0].zero_grad()
    assert steps.empty()
    known.step()
    assert steps.get_nowait() == "step"


def test_no_backward_pass_is_run_where_the_step_optimizes_by_hand():
    passes = SimpleQueue()

    def step(self, batch):
        loss = F.cross_entropy(self.net(batch[0]), batch[1])
        loss.register_hook(passes.put)
        loss.backward()

    module, data = stepped(step)()
    module.automatic_optimization = False
    batch = [data.tensors[0][:8], data.tensors[1][:8]]
    found = dry_run(module, lambda: module.training_step(batch, 0), batch, {id(each) for each in module.parameters()})
    assert found.task == "multiclass"
    assert passes.empty()


def test_a_batch_is_put_back():
    images, labels = torch.ones(2, 3), torch.arange(2)
    batch = {"x": images, "more": [labels]}
    with untouched(batch):
        images.zero_()
        batch["more"].pop()
        del batch["x"]
        batch["new"] = 1
    assert [*batch] == ["x", "more"]
    assert batch["x"] is images
    assert batch["more"][0] is labels
    assert images.sum() == 6


def test_training_flags_are_those_of_the_training():
    seen = SimpleQueue()  # a list would be put back
    module = Module({"net": cnn(4)}, lambda self, batch: seen.put((self.training, self.net[1].training)))
    module.train()
    module.net[1].training = False
    dry_run(module, lambda: module.training_step(None, 0), pairs().tensors, set())
    assert seen.get_nowait() == (True, False)
    assert (module.training, module.net[1].training) == (True, False)
