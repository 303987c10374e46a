"""Answers at each pixel: classes, masks, depth, detection."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from .parts import UNKNOWN, Case, Columns, Want, chance, dense, pairs, pictures, stepped, supervised, wanted

PIXELS = wanted("segmentation", values="logits")


def three():
    return dense(3)


def one():
    return dense(1)


def flattened(logits, labels):
    return F.cross_entropy(logits.permute(0, 2, 3, 1).reshape(-1, 3), labels.reshape(-1))


def dice(logits, mask):
    p = torch.sigmoid(logits)
    return 1 - (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)


def soft_dice(logits, labels):
    p = logits.softmax(1)
    hot = F.one_hot(labels, 3).permute(0, 3, 1, 2).float()
    return 1 - (2 * (p * hot).sum((0, 2, 3)) / (p + hot).sum((0, 2, 3))).mean()


def where_deep(depths, truth):
    return ((depths - truth).abs() * (truth > 1)).sum() / (truth > 1).sum()


class TwoScales(nn.Module):
    def __init__(self):
        super().__init__()
        self.fine, self.coarse = dense(3), dense(3)

    def forward(self, images):
        return [self.fine(images), self.coarse(F.avg_pool2d(images, 2))]


def deep_supervision(self, batch):
    labels = batch[1][:, None].float()
    return sum(F.cross_entropy(z, F.interpolate(labels, z.shape[2:]).long()[:, 0]) for z in self.net(batch[0]))


def grid_of_boxes(self, batch):
    answer, truth = self.net(batch[0]).permute(0, 2, 3, 1), batch[1].permute(0, 2, 3, 1)
    is_there = truth[..., 4] > 0.5
    box = F.mse_loss(answer[..., :4][is_there], truth[..., :4][is_there])
    thing = F.binary_cross_entropy_with_logits(answer[..., 4], truth[..., 4])
    return box + thing + F.cross_entropy(answer[..., 5:][is_there], truth[..., 5:][is_there].argmax(-1))


def boxes():
    return TensorDataset(pictures(), chance(8, 16, 16))


def larger():
    return TensorDataset(pictures(), pictures() * 2)


class LossInside(nn.Module):
    """As transformers has them: labels go in, loss and logits come out."""

    def __init__(self):
        super().__init__()
        self.net = dense(3)

    def forward(self, pixel_values, labels=None):
        logits = self.net(pixel_values)
        return {"loss": None if labels is None else F.cross_entropy(logits, labels), "logits": logits}


def of_columns(self, batch):
    return self.net(**batch)["loss"]


def columns():
    return Columns(pixel_values=pictures(), labels=(chance(16, 16) * 3).long())


class Prompted(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, images, hints):
        return self.net(torch.cat([images, hints], 1))


def prompted(self, batch):
    return F.binary_cross_entropy_with_logits(self.net(*batch), batch[1])


def by_channels(logits, masks):
    return sum(F.binary_cross_entropy_with_logits(logits[:, each], masks[:, each]) for each in range(3))


def dice_and_cross_entropy(logits, labels):
    return soft_dice(logits, labels) + F.cross_entropy(logits, labels)


def flat_dice(logits, masks):
    found, true = logits.sigmoid().flatten(1), masks.flatten(1)
    return 1 - (2 * (found * true).sum(1) / (found.sum(1) + true.sum(1) + 1)).mean()


def joints(self, batch):
    """Heat maps one by one, weighted on both sides."""
    found, losses = self.net(batch[0]).flatten(2), []
    for each in range(3):
        weight = batch[2][:, each, None]
        losses.append(F.mse_loss(found[:, each] * weight, batch[1].flatten(2)[:, each] * weight))
    return sum(losses)


def some_joints(self, batch):
    found = self.net(batch[0]).flatten(2)
    return sum(F.mse_loss(found[:, each], batch[1].flatten(2)[:, each]) for each in range(2))


def with_visibility():
    return TensorDataset(pictures(), chance(3, 16, 16) * 9, chance(3).round())


CASES = [
    Case("dice of flat masks", supervised(flat_dice, "mask", one), PIXELS),
    Case("heat maps one by one", stepped(joints, with_visibility, three), wanted("regression")),
    Case("some heat maps one by one", stepped(some_joints, with_visibility, three), UNKNOWN),
    Case("masks one by one", supervised(by_channels, "masks", three), PIXELS),
    Case("dice and cross entropy", supervised(dice_and_cross_entropy, "map", three), PIXELS),
    Case(
        "labels go in, loss comes out",
        stepped(of_columns, columns, LossInside),
        Want("segmentation", "net", '["logits"]', 'batch["labels"]', 'batch["pixel_values"]', values="logits"),
    ),
    Case("mask as hint and target", stepped(prompted, lambda: pairs("mask"), Prompted), UNKNOWN),
    Case("segmentation", supervised(nn.CrossEntropyLoss(), "map", three), PIXELS),
    Case("segmentation, flattened", supervised(flattened, "map", three), PIXELS),
    Case("one mask", supervised(nn.BCEWithLogitsLoss(), "mask", one), PIXELS),
    Case("three masks", supervised(nn.BCEWithLogitsLoss(), "masks", three), PIXELS),
    Case("dice by hand", supervised(dice, "mask", one), PIXELS),
    Case("soft dice by hand", supervised(soft_dice, "map", three), PIXELS),
    Case(
        "deep supervision",
        stepped(deep_supervision, lambda: pairs("map"), TwoScales),
        wanted("segmentation", head="[0]"),
    ),
    Case("depth where deep", supervised(where_deep, "depth", one), wanted("regression")),
    Case("super-resolution", stepped(lambda self, b: F.l1_loss(self.net(b[0]), b[1]), larger, three), wanted("regression")),
    Case("grid of boxes", stepped(grid_of_boxes, boxes, lambda: dense(8)), UNKNOWN),
]
