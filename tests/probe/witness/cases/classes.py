"""Classes: one of several, and what the labels are made into."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .parts import UNKNOWN, Case, Module, Want, cnn, dense, pairs, pictures, stepped, supervised, wanted

CLASSES = wanted("multiclass", values="logits")


def focal_picked(logits, labels):
    chosen = F.log_softmax(logits, 1).gather(1, labels[:, None])[:, 0]
    return (-((1 - chosen.exp()) ** 2) * chosen).mean()


def focal_over_cross_entropy(logits, labels):
    each = F.cross_entropy(logits, labels, reduction="none")
    return ((1 - torch.exp(-each)) ** 2 * each).mean()


def smoothed(logits, labels):
    logarithms = logits.log_softmax(-1)
    return (-0.9 * logarithms[torch.arange(len(labels)), labels] - 0.1 * logarithms.mean(-1)).mean()


def hot_times_log_softmax(logits, labels):
    return -(F.one_hot(labels, 4) * F.log_softmax(logits, 1)).sum(1).mean()


def brier(logits, labels):
    return ((logits.softmax(1) - F.one_hot(labels, 4)) ** 2).sum(1).mean()


def hot_under_sigmoids(logits, labels):
    return F.binary_cross_entropy_with_logits(logits, F.one_hot(labels, 4).float())


def with_softmax():
    return nn.Sequential(cnn(4), nn.Softmax(1))


def mixup(self, batch):
    share, other = 0.3, torch.randperm(len(batch[0]))
    logits = self.net(share * batch[0] + (1 - share) * batch[0][other])
    return share * F.cross_entropy(logits, batch[1]) + (1 - share) * F.cross_entropy(logits, batch[1][other])


def with_penalty(self, batch):
    penalty = sum(each.pow(2).sum() for each in self.net.parameters())
    return F.cross_entropy(self.net(batch[0]), batch[1]) + 1e-3 * penalty


def channels_last(self, batch):
    images = (batch[0].permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    return F.cross_entropy(self.net(images), batch[1])


def bytes_channels_last():
    return pairs(images=(pictures(16, 16, 3).abs() * 80).clamp(max=255).to(torch.uint8))


def cross_entropy(self, batch):
    return F.cross_entropy(self.net(batch[0]), batch[1])


def accuracy(self, batch):
    return (self.net(batch[0]).argmax(1) == batch[1]).float().mean()


class Frames(nn.Module):
    """Several frames of a film, one after the other."""

    def __init__(self):
        super().__init__()
        self.each, self.all, self.head = cnn(8), nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 4)

    def forward(self, frames):
        count, length = frames.shape[:2]
        return self.head(self.all(self.each(frames.flatten(0, 1)).view(count, length, 8))[0][:, -1])


def with_temperature():
    def step(self, batch):
        return F.cross_entropy(self.net(batch[0]) * self.scale[0], batch[1])

    return Module({"net": cnn(4), "scale": nn.ParameterList([torch.ones(1)])}, step), pairs()


def some_columns(self, batch):
    return F.cross_entropy(self.net(batch[0])[:, :4], batch[1])


def crops_of(self, batch):
    count, crops = batch[0].shape[:2]
    each = self.net(batch[0].flatten(0, 1)).view(count, crops, 4)
    return F.cross_entropy(each.mean(1), batch[1])


def pooled(self, batch):
    return F.cross_entropy(self.net(batch[0]).mean((2, 3)), batch[1])


def ensemble():
    def step(self, batch):
        return F.cross_entropy((self.one(batch[0]) + self.other(batch[0])) / 2, batch[1])

    return Module({"one": cnn(4), "other": cnn(4)}, step), pairs()


def in_two_parts():
    def step(self, batch):
        return F.cross_entropy(torch.cat([self.one(batch[0]), self.other(batch[0])], 1), batch[1])

    return Module({"one": cnn(2), "other": cnn(2)}, step), pairs()


BY_STEP = Want("multiclass", chain="net", target="batch[1]", image="batch[0]", values="logits")
CASES = [
    Case("classes in two parts", in_two_parts, Want("multiclass", target="batch[1]", image="batch[0]", values="logits")),
    Case("some columns of an answer", stepped(some_columns, net=lambda: cnn(6)), UNKNOWN),
    Case("five crops", stepped(crops_of, lambda: pairs(images=pictures(5, 3, 16, 16))), BY_STEP),
    Case("maps that the step pools", stepped(pooled, net=lambda: dense(4)), BY_STEP),
    Case("ensemble", ensemble, Want("multiclass", target="batch[1]", image="batch[0]", values="logits")),
    Case("learned temperature", with_temperature, CLASSES),
    Case("cross entropy", supervised(nn.CrossEntropyLoss()), CLASSES),
    Case("label smoothing", supervised(nn.CrossEntropyLoss(label_smoothing=0.1)), CLASSES),
    Case("weights, ignored", supervised(nn.CrossEntropyLoss(weight=torch.ones(4), ignore_index=3)), CLASSES),
    Case("soft labels", supervised(nn.CrossEntropyLoss(), "soft"), CLASSES),
    Case("two classes", supervised(nn.CrossEntropyLoss(), "two", lambda: cnn(2)), CLASSES),
    Case("margin", supervised(nn.MultiMarginLoss()), CLASSES),
    Case("focal by hand", supervised(focal_picked), CLASSES),
    Case("focal over cross entropy", supervised(focal_over_cross_entropy), CLASSES),
    Case("smoothing by hand", supervised(smoothed), CLASSES),
    Case("one-hot times log-softmax", supervised(hot_times_log_softmax), CLASSES),
    Case(
        "softmax in forward",
        stepped(lambda self, batch: F.nll_loss((self.net(batch[0]) + 1e-6).log(), batch[1]), net=with_softmax),
        wanted("multiclass", values="probabilities"),
    ),
    Case("Brier", supervised(brier), CLASSES),
    Case("one-hot under sigmoids", supervised(hot_under_sigmoids), CLASSES),
    Case("mixup", stepped(mixup), Want("multiclass", target="batch[1]", image="batch[0]")),
    Case("weights' penalty", stepped(with_penalty), CLASSES),
    Case("H x W x C, uint8", stepped(channels_last, bytes_channels_last), CLASSES),
    Case("frames of a film", stepped(cross_entropy, lambda: pairs(images=pictures(3, 3, 16, 16)), Frames), CLASSES),
    Case("metrics only in validation", stepped(cross_entropy, validation=accuracy), CLASSES, in_sanity=False),
]
