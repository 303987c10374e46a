"""How a witness behaves: keeps nothing alive, disturbs nobody, takes all off, says what it saw."""

from __future__ import annotations

import gc
import weakref
from contextlib import nullcontext, suppress

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from lightning_vis.probe.witness import witness as room
from lightning_vis.probe.witness.testimony import Head, Testimony
from lightning_vis.probe.witness.witness import Witness

from .cases import PLAIN
from .cases.parts import cnn, stepped
from .harness import watched

BY_NAME = {case.name: case for case in PLAIN}


def cross_entropy(self, batch):
    return F.cross_entropy(self.net(batch[0]), batch[1])


def begun(step=cross_entropy, net=lambda: cnn(4)):
    module, data = stepped(step, net=net)()
    return module, [each[:8] for each in data.tensors], {id(each) for each in module.parameters()}


def test_no_activation_and_no_batch_is_kept_alive():
    seen = []
    module, batch, weights = begun(lambda self, batch: seen.extend(map(weakref.ref, steps(self, batch))))
    with watched(module, batch, weights) as witness:
        module._validation(module, batch)
    gc.collect()
    assert len(seen) == 9
    assert [each() for each in seen] == [None] * 9
    assert witness.testimony().task == "multiclass"
    seen = [weakref.ref(each) for each in batch]
    del batch
    gc.collect()
    assert [each() for each in seen] == [None, None]


def steps(self, batch):
    """Each activation of a step, up to the loss."""
    found = [batch[0] * 1]
    for layer in self.net:
        found.append(layer(found[-1]))
    return [*found, F.cross_entropy(found[-1], batch[1])]


def test_errors_of_ours_never_reach_the_step(monkeypatch):
    def broken(*args):
        raise RuntimeError("ours")

    module, batch, weights = begun()
    monkeypatch.setattr(room.Notes, "of", broken)
    with watched(module, batch, weights) as witness:
        loss = module._validation(module, batch)
    assert loss.ndim == 0
    assert len(witness.testimony().trouble) == room.MOST_TROUBLE
    assert witness.testimony().trouble[0] == "RuntimeError: ours"


def test_errors_of_the_step_go_through_and_all_is_taken_off():
    def step(self, batch):
        raise KeyError("theirs")

    module, batch, weights = begun(step)
    with pytest.raises(KeyError, match="theirs"), watched(module, batch, weights):
        module._validation(module, batch)
    assert torch._C._len_torch_function_stack() == 0
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())


def test_a_mode_that_the_step_leaves_on_stays_on():
    class Theirs(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    module, batch, weights = begun()
    theirs = Theirs()
    with watched(module, batch, weights):
        theirs.__enter__()
    assert room._modes() == [theirs]
    theirs.__exit__(None, None, None)


def test_it_may_be_stopped_twice_and_asked_twice():
    module, batch, weights = begun()
    with watched(module, batch, weights) as witness:
        module._validation(module, batch)
    witness.stop()
    assert witness.testimony() == witness.testimony()


def test_a_call_that_fails_and_is_caught_leaves_the_rest_readable():
    def step(self, batch):
        with suppress(RuntimeError):
            self.net(batch[0][:, :2])
        return cross_entropy(self, batch)

    module, batch, weights = begun(step)
    with watched(module, batch, weights) as witness:
        module._validation(module, batch)
    found = witness.testimony()
    assert (found.task, found.module, found.nth) == ("multiclass", "net", 1)


def test_images_that_are_known_are_taken_as_images():
    module, _ = stepped(cross_entropy, net=lambda: nn.Linear(6, 4))()
    batch = [torch.randn(8, 6), torch.arange(8) % 4]
    weights = {id(each) for each in module.parameters()}
    found = []
    for images in (None, [(0,)]):
        with watched(module, batch, weights, images) as witness:
            module._validation(module, batch)
        found.append(witness.testimony())
    assert [each.image for each in found] == [(), ((0,),)]
    assert [each.image_argument for each in found] == [None, (0, 0)]


def test_arguments_are_those_of_the_step_not_those_that_a_users_hook_makes_of_them():
    module, batch, weights = begun()
    module.net.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    with watched(module, batch, weights) as witness:
        module._validation(module, batch)
    (argument,) = witness.testimony().arguments
    assert (argument.path, argument.leaves, argument.is_leaf) == ((0, 0), ((0,),), True)


class Counted(torch.Tensor):
    """Counts what is asked of it through torch's functions."""

    asked = 0

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.asked += 1
        return super().__torch_function__(func, types, args, kwargs)


def test_tensors_of_other_kinds_are_asked_no_more_than_without_us():
    module, (images, labels), weights = begun()
    images, asked = images.as_subclass(Counted), []
    for is_watched in (False, True):
        Counted.asked = 0
        with watched(module, [images, labels], weights) if is_watched else nullcontext():
            module._validation(module, [images, labels])
        asked.append(Counted.asked)
    assert asked[0] == asked[1] > 0


WORDS = "task= (binary, multiclass, multilabel, regression, ordinal, segmentation, embedding or reconstruction)"
SENTENCES = {
    "cross entropy": "Reads 4 classes: net(batch[0]) meets batch[1] in cross_entropy.",
    "focal by hand": "Reads 4 classes: net(batch[0]) meets batch[1] by hand (gather).",
    "MSE": "Reads a number: net(batch[0]) meets batch[1] in mse_loss; shown in the units of the target, without probabilities.",
    "two heads": 'Reads 3 classes: net(batch["image"])["colour"] meets batch["colour"] in cross_entropy;'
    ' there is also "shape" (4 classes): head="shape".',
    "deep supervision": "Reads 3 classes at each pixel: net(batch[0])[0] meets batch[1] in cross_entropy;"
    " there is also [1] (3 classes at each pixel): head=1.",
    "distillation": "Reads 4 classes: student(batch[0]) meets batch[1] in cross_entropy."
    " student is looked at; teacher is not trained.",
    "image and numbers": "Reads 4 classes: net(batch[0], numbers=batch[1]) meets batch[2] in cross_entropy.",
    "frozen backbone": "Reads 4 classes: backbone(batch[0]), then head, meets batch[1] in cross_entropy.",
    "ensemble": "Reads 4 classes: one(batch[0]), then the step, meets batch[1] in cross_entropy.",
    "triplet": "Reads an embedding of 16 numbers: net(batch[0]) is compared with other answers in triplet_margin_loss.",
    "grid of boxes": "Unknown: mse_loss, binary_cross_entropy_with_logits and cross_entropy each take a part of one answer."
    f" Pictures and filters only; {WORDS} or score= names what to explain.",
    "spread of answers": "Unknown: no loss that is known took the answer of net."
    f" Pictures and filters only; {WORDS} or score= names what to explain.",
}


def seen(name):
    """What the validation step of a set-up shows."""
    module, data = BY_NAME[name].make()
    module.log = lambda *args: None
    batch = torch.utils.data.default_collate([data[row] for row in range(8)])
    optimizer = module.configure_optimizers()
    weights = {id(each) for group in optimizer.param_groups for each in group["params"]}
    with torch.no_grad(), watched(module.eval(), batch, weights) as witness:
        module._validation(module, batch)
    return witness.testimony()


@pytest.mark.parametrize("name", SENTENCES)
def test_what_users_are_told(name):
    assert seen(name).said() == SENTENCES[name]


ALONE = ["cross entropy", "SimCLR", "image and numbers", "mixup", "two heads", "VAE", "triplet"]
BY_STEP = [
    "fixed classifier",
    "frozen backbone",
    "ensemble",
    "five crops",
    "maps that the step pools",
    "two parts",
    "BYOL",
    "rotations",
]


@pytest.mark.parametrize("name", [*ALONE, *BY_STEP])
def test_one_call_gives_the_answer_or_the_step_does(name):
    assert seen(name).is_one_call is (name in ALONE)


def test_an_answer_that_the_step_puts_together_is_as_large_as_that():
    assert seen("classes in two parts").shape == (8, 4)


def test_a_loss_by_name_outranks_one_by_hand():
    assert seen("dice and cross entropy").loss == "cross_entropy"


def test_an_empty_testimony_is_unknown():
    assert Testimony(why="no batch went through").said().startswith("Unknown: no batch went through.")
    assert 'head="..."' in Testimony(why="x", heads=(Head("net", (), "binary", (8, 1)),)).said()


def test_metrics_keep_their_own_methods():
    import torchmetrics

    metric = torchmetrics.MeanSquaredError()
    module, batch, weights = begun()
    module.metric = metric
    words = dict(vars(metric))
    with watched(module, batch, weights):
        assert vars(metric)["update"] is not words["update"]
    assert {name: value for name, value in vars(metric).items() if name in words} == words
    assert {*vars(metric)} == {*words}


def test_weights_that_no_optimizer_has_are_no_network():
    module, batch, _ = begun()
    with watched(module, batch, set()) as witness:
        module._validation(module, batch)
    assert witness.testimony().why == "no submodule whose weights an optimizer has was called"


def test_a_witness_that_never_ran_knows_nothing():
    assert Witness(nn.Identity(), [], set()).testimony().task == "unknown"


def test_a_network_that_is_the_module_itself_is_called_so():
    said = Testimony(task="multiclass", chain=("",), frozen=("backbone",), shape=(8, 3), loss="cross_entropy").said()
    assert said.endswith(" The module itself is looked at; backbone is not trained.")
