"""Ways of running: precisions, loops, metrics in the step, what cannot be looked into."""

from __future__ import annotations

import warnings

import torch
import torchmetrics
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from .parts import Case, Module, cnn, mlp, pairs, stepped, wanted

CLASSES = wanted("multiclass", values="logits")


def cross_entropy(self, batch):
    return F.cross_entropy(self.net(batch[0]), batch[1])


usual = stepped(cross_entropy)


def with_metrics(validation="same"):
    def step(self, batch):
        logits = self.net(batch[0])
        self.accuracy(logits, batch[1])
        self.error.update(logits[:, 0], batch[1].float())
        self.log("accuracy", self.accuracy, on_step=False, on_epoch=True)
        return F.cross_entropy(logits, batch[1])

    def make():
        accuracy = torchmetrics.classification.MulticlassAccuracy(4)
        parts = {"net": cnn(4), "accuracy": accuracy, "error": torchmetrics.MeanSquaredError()}
        return Module(parts, step, validation), pairs()

    return make


def only_metrics(self, batch):
    logits = self.net(batch[0])
    self.error.update(logits.softmax(1)[:, 0], (batch[1] == 0).float())
    self.accuracy(logits, batch[1])
    return logits.mean()


def by_hand(self, batch):
    optimizer = self.optimizers()
    loss = F.cross_entropy(self.net(batch[0]), batch[1])
    optimizer.zero_grad()
    self.manual_backward(loss)
    optimizer.step()


def with_closure(self, batch):
    def closure():
        loss = F.cross_entropy(self.net(batch[0]), batch[1])
        optimizer.zero_grad()
        self.manual_backward(loss)
        return loss

    optimizer = self.optimizers()
    optimizer.step(closure)
    self.lr_schedulers().step()


def scheduled(self):
    optimizer = torch.optim.Adam(self.parameters(), 0.05)
    return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]


def sharpness_aware(self, batch):
    optimizer = self.optimizers()
    self.manual_backward(F.cross_entropy(self.net(batch[0]), batch[1]))
    with torch.no_grad():
        for each in self.net.parameters():
            each.add_(1e-3 * each.grad)
    optimizer.zero_grad()
    self.manual_backward(F.cross_entropy(self.net(batch[0]), batch[1]))
    optimizer.step()
    optimizer.zero_grad()


class Checkpointed(nn.Module):
    def __init__(self, is_reentrant):
        super().__init__()
        self.first, self.head, self.is_reentrant = nn.Conv2d(3, 8, 3), nn.Linear(8, 4), is_reentrant

    def forward(self, images):
        return self.head(self._features(images).mean((2, 3)))

    def _features(self, images):
        if not torch.is_grad_enabled():
            return self._first(images)
        given = images.requires_grad_() if self.is_reentrant else images
        return checkpoint(self._first, given, use_reentrant=self.is_reentrant)

    def _first(self, images):
        return self.first(images).relu()


class Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values * 1.0

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class OwnFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = cnn(4)

    def forward(self, images):
        return Same.apply(self.net(Same.apply(images)))


class LossInside(nn.Module):
    """Takes the batch and returns loss and accuracy."""

    def __init__(self):
        super().__init__()
        self.model = cnn(4)

    def forward(self, batch):
        logits = self.model(batch[0])
        return F.cross_entropy(logits, batch[1]), (logits.argmax(1) == batch[1]).float().mean()


class Transformer(nn.Module):
    """In eval mode torch takes a fast path, which a function mode switches off."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
        self.patches, self.encoder, self.head = nn.Conv2d(3, 16, 4, 4), nn.TransformerEncoder(layer, 2), nn.Linear(16, 4)

    def forward(self, images):
        return self.head(self.encoder(self.patches(images).flatten(2).transpose(1, 2)).mean(1))


def scripted(out):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(mlp(out))


def scripted_part():
    def step(self, batch):
        return F.cross_entropy(self.head(self.net(batch[0])), batch[1])

    return Module({"net": nn.Sequential(scripted(8)), "head": nn.Linear(8, 4)}, step), pairs()


def weight_norm():
    return nn.Sequential(cnn(8), nn.utils.parametrizations.weight_norm(nn.Linear(8, 4)))


def writing(self, batch):
    """Takes its labels out of the batch and normalises the images where they are."""
    labels = batch.pop()
    batch[0].sub_(batch[0].mean())
    return F.cross_entropy(self.net(batch[0]), labels)


MANUAL = {"validation": cross_entropy, "is_manual": True}
CASES = [
    Case("metrics in the step", with_metrics(), CLASSES),
    Case("only metrics in validation", with_metrics(only_metrics), CLASSES, in_sanity=False),
    Case("manual", stepped(by_hand, **MANUAL), CLASSES),
    Case("manual, closure and schedule", stepped(with_closure, optimizers=scheduled, **MANUAL), CLASSES),
    Case("sharpness-aware", stepped(sharpness_aware, validation=None, is_manual=True), CLASSES, in_sanity=False),
    Case("step that writes into the batch", stepped(writing), CLASSES),
    Case(
        "loss inside", stepped(lambda self, batch: self.net(batch)[0], net=LossInside), wanted("multiclass", chain="net.model")
    ),
    Case("bf16-mixed", usual, CLASSES, options={"precision": "bf16-mixed"}),
    Case("bf16-true", usual, CLASSES, options={"precision": "bf16-true"}),
    Case("64-true", usual, CLASSES, options={"precision": "64-true"}),
    Case("accumulated", usual, CLASSES, options={"accumulate_grad_batches": 2}),
    Case("clipped, no inference mode", usual, CLASSES, options={"gradient_clip_val": 0.1, "inference_mode": False}),
    Case("no sanity check", usual, CLASSES, in_sanity=False, options={"num_sanity_val_steps": 0}),
    Case("DDP", usual, CLASSES, options={"strategy": "ddp", "devices": 1}),
    Case("DDP, manual", stepped(by_hand, **MANUAL), CLASSES, options={"strategy": "ddp", "devices": 1}),
    Case("DDP, unused", usual, CLASSES, options={"strategy": "ddp_find_unused_parameters_true", "devices": 1}),
    Case("checkpointed", stepped(cross_entropy, net=lambda: Checkpointed(False)), CLASSES),
    Case("checkpointed, reentrant", stepped(cross_entropy, net=lambda: Checkpointed(True)), CLASSES),
    Case("own function", stepped(cross_entropy, net=OwnFunction), CLASSES),
    Case("scripted", stepped(cross_entropy, net=lambda: scripted(4)), CLASSES, is_unneeded=True),
    Case("scripted part", scripted_part, wanted("multiclass", chain="net -> head")),
    Case("fast path", stepped(cross_entropy, net=Transformer), CLASSES),
    Case(
        "fast path, no sanity check",
        stepped(cross_entropy, net=Transformer),
        CLASSES,
        False,
        options={"num_sanity_val_steps": 0},
    ),
    Case("weight norm", stepped(cross_entropy, net=weight_norm), CLASSES),
]
