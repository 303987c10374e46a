"""Compiled steps: as many graphs and the same bits with a witness; a careless one is caught."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F

from lightning_vis.callbacks.trainer import trained_weights
from lightning_vis.probe.witness.witness import Witness

from .cases.parts import Case, Module, pairs, wanted
from .harness import InRehearsal, InSanityCheck, differences, fitted

dynamo = pytest.importorskip("torch._dynamo")
pytestmark = pytest.mark.filterwarnings("ignore:.*")


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.back = nn.Sequential(nn.Flatten(), nn.Linear(768, 8), nn.ReLU())
        self.head = nn.Linear(8, 4)

    def forward(self, images):
        return self.head(self.back(images))


def compiled_network():
    dynamo.reset()
    return Module({"net": torch.compile(Network())}, lambda self, batch: F.cross_entropy(self.net(batch[0]), batch[1])), pairs()


def compiled_loss():
    dynamo.reset()
    loss = torch.compile(lambda logits, labels: F.cross_entropy(logits, labels))
    return Module({"net": Network()}, lambda self, batch: loss(self.net(batch[0]), batch[1])), pairs()


def compiled_both():
    dynamo.reset()
    both = torch.compile(lambda net, images, labels: F.cross_entropy(net(images), labels))
    return Module({"net": Network()}, lambda self, batch: both(self.net, *batch)), pairs()


class Careless(pl.Callback):
    """A mode and hooks left on a live training batch, compiled or not."""

    def on_train_batch_start(self, trainer, module, batch, index):
        self.witness = Witness(module, batch, trained_weights(trainer, module))
        self.witness.start()

    def on_train_batch_end(self, *args):
        self.witness.stop()


def trained(make, watcher=None):
    """What a fit left, and how many graphs were compiled, and where they broke."""
    counters = dynamo.utils.counters
    counters.clear()
    left = fitted(Case("compiled", make, wanted("multiclass")), watcher)
    return left, counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())


@pytest.mark.parametrize("make", [compiled_network, compiled_loss, compiled_both])
def test_compiled_training_stays_the_same(make):
    without = trained(make)
    assert without[1] > 0
    for watcher in (InSanityCheck(), InRehearsal()):
        assert trained(make, watcher) == without
        assert differences(watcher.testimony, wanted("multiclass", values="logits")) == {}
        assert watcher.testimony.trouble == ()


def test_a_careless_watch_is_caught():
    left, graphs, _ = trained(compiled_both, Careless())
    without, fewer, _ = trained(compiled_both)
    assert left.weights != without.weights or graphs > fewer
