"""Losses that are written in many ways, each beside one that looks like it and is another."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from .parts import (
    UNKNOWN,
    Case,
    Columns,
    Module,
    Want,
    chance,
    cnn,
    dense,
    frozen,
    numbered,
    pairs,
    pictures,
    stepped,
    supervised,
    wanted,
)

binary_loss = F.binary_cross_entropy_with_logits
CLASSES, NUMBERS, PIXELS = wanted("multiclass"), wanted("regression"), wanted("segmentation")


def negated(logits, labels):
    soft = -0.9 * F.one_hot(labels, 4).float() - 0.025
    return (soft * logits.log_softmax(1)).sum(1).mean()


def weighted_picks(logits, labels):
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])[labels]
    picked = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
    return -(weights * picked).sum() / weights.sum()


def log_cosh(answers, ages):
    return torch.cosh((answers[:, 0] - ages) / 60).log().mean()


def log_cosh_by_softplus(answers, ages):
    off = (answers[:, 0] - ages) / 60
    return (F.softplus(-2 * off) + off).mean()


def against_zero(answers, ages):
    off = ages - answers[:, 0]
    return F.huber_loss(off, torch.zeros_like(off))


def columns(logits, labels):
    """One label after the other."""
    return sum(binary_loss(one, labels[:, at]) for at, one in enumerate(logits.unbind(1)))


def some_columns(logits, labels):
    return sum(binary_loss(logits[:, at], labels[:, at]) for at in range(3))


def columns_of_two_kinds(logits, labels):
    return sum((binary_loss if at else F.mse_loss)(logits[:, at], labels[:, at]) for at in range(4))


def one_column_twice(logits, labels):
    return sum(binary_loss(logits[:, at], labels[:, 0]) for at in range(4)) + binary_loss(logits[:, 0], labels[:, 1])


def halves(answers, numbers):
    first, second = answers.split(2, 1)
    return F.l1_loss(first, numbers[:, :2]) + 9 * F.l1_loss(second, numbers[:, 2:])


def one_hot_data():
    return TensorDataset(pictures(), F.one_hot(numbered(), 4).float())


def shares(self, batch):
    return F.mse_loss(self.net(batch[0]).softmax(1), batch[1])


def rewarded(self, batch):
    picked = self.net(batch[0]).log_softmax(1).gather(1, batch[1][:, None])[:, 0]
    return -(picked * batch[2]).mean()


def with_numbers(low):
    return lambda: TensorDataset(pictures(), numbered(), chance() * (1 - low) + low)


def logistic(logits, masks):
    return (logits.clamp(min=0) - logits * masks + torch.log1p(torch.exp(-logits.abs()))).mean()


def percent(self, batch):
    return ((batch[1] - 100 * self.net(batch[0])[:, 0].sigmoid()) ** 2).mean()


def bools():
    return TensorDataset(pictures(), numbered(2).bool())


def some_shares():
    return TensorDataset(pictures(), chance())


def squares(logits, labels):
    return ((logits[:, 0].sigmoid() - labels.float()) ** 2).mean()


def scaled_squares(logits, grades):
    return ((logits[:, 0].sigmoid() - grades.float() * 0.25) ** 2).mean()


def smoothed_squares(self, batch):
    return ((self.net(batch[0])[:, 0].sigmoid() - (batch[1] * 0.9 + 0.05)) ** 2).mean()


def directions(self, batch):
    return (1 - F.cosine_similarity(F.normalize(self.net(batch[0]), dim=1), batch[1], dim=1)).mean()


class HeatAndSize(nn.Module):
    def __init__(self):
        super().__init__()
        self.heat, self.size = dense(1), dense(2)

    def forward(self, images):
        return {"heat": self.heat(images), "size": self.size(images)}


def objects(self, batch):
    """Numbers at each pixel beside a heat map of which only the peaks are taken for yes."""
    found = self.net(batch["x"])
    peak, p = batch["heat"].eq(1).float(), found["heat"].sigmoid()
    heat = -(peak * p.log() + (1 - peak) * (1 - batch["heat"]) ** 4 * (1 - p).log()).mean()
    return heat + F.l1_loss(found["size"], batch["size"])


def heat_and_size():
    return Columns(x=pictures(), heat=(chance(1, 16, 16) * 1.1).clamp(max=1), size=chance(2, 16, 16))


def learned_weights():
    """How much each loss counts is learned."""

    def step(self, batch):
        answers = self.net(batch[0])
        losses = torch.stack([F.cross_entropy(answers, batch[1]), answers.square().mean()])
        return (losses * torch.exp(-self.sizes[0]) + self.sizes[0]).sum()

    return Module({"net": cnn(4), "sizes": nn.ParameterList([torch.zeros(2)])}, step), pairs()


def momentum():
    """A slow copy sees the same images, old answers wait in a queue."""

    def step(self, batch):
        query = F.normalize(self.net(batch[0]))
        with torch.no_grad():
            key = F.normalize(self.slow(batch[1]))
        alike = torch.einsum("nc,nc->n", query, key)[:, None]
        others = torch.einsum("nc,ck->nk", query, F.normalize(torch.ones(8, 6).cumsum(1), dim=0))
        return F.cross_entropy(torch.cat([alike, others], 1), torch.zeros(len(query), dtype=torch.long))

    net = cnn(8)
    return Module({"net": net, "slow": frozen(copy.deepcopy(net))}, step), TensorDataset(pictures(), pictures().flip(3))


def hardest(self, batch):
    """The camera is in the batch, and not in the loss."""
    found = F.normalize(self.net(batch[0]))
    apart, same = torch.cdist(found, found), batch[1][:, None] == batch[1][None]
    return F.relu((apart * same).amax(1) - (apart + 9 * same).amin(1) + 0.3).mean()


def weighted_hardest(self, batch):
    """Who is who, and how much each image counts: two things of the batch."""
    found = F.normalize(self.net(batch[0]))
    apart, same = torch.cdist(found, found), batch[1][:, None] == batch[1][None]
    return (F.relu((apart * same).amax(1) - (apart + 9 * same).amin(1) + 0.3) * batch[2]).mean()


def pinball(answers, ages):
    off = ages[:, None] - answers
    levels = torch.tensor([0.1, 0.3, 0.5, 0.9])
    return torch.maximum(levels * off, (levels - 1) * off).mean()


def pinball_by_columns(answers, ages):
    losses = []
    for each, level in zip(answers.unbind(1), (0.1, 0.3, 0.5, 0.9), strict=True):
        off = (ages - each) / 60
        losses.append(torch.where(off > 0, level * off, (level - 1) * off).mean())
    return sum(losses)


def some_quantiles(answers, ages):
    off = ages - answers[:, 1]
    return torch.max(0.3 * off, -0.7 * off).mean()


def gaussian_of_columns(answers, ages):
    return F.gaussian_nll_loss(answers[:, 0], ages, answers[:, 1].exp())


def laplace_of_halves(answers, ages):
    center, spread = answers.chunk(2, 1)
    return ((ages[:, None] - center).abs() / (spread.exp() + 1e-3) + spread).mean()


def first_of_two(answers, ages):
    """The other column is for something else."""
    return (((answers[:, 0] - ages) / 60) ** 2).mean() + answers[:, 1].abs().mean()


def poisson(answers, counts):
    return (answers[:, 0].exp() - counts * answers[:, 0]).mean()


def poisson_of_rates(answers, counts):
    rate = F.softplus(answers[:, 0])
    return (rate - counts * rate.log()).mean()


def hazard(answers, months):
    """Exponential survival: months at a rate, and events."""
    return (months * answers[:, 0].exp() - (months > 30) * answers[:, 0]).mean()


def known_ones(self, batch):
    off = (self.net(batch[0])[:, 0] - batch[2]) * (batch[1] > 0)
    return (off**2).sum() / (batch[1] > 0).sum()


def apart(self, batch):
    one, other, far = self.net(batch[0]), self.net(batch[0].flip(3)), self.net(batch[0].roll(1, 0))
    return F.relu((one - other).square().sum(-1) - (one - far).square().sum(-1) + 1).mean()


def apart_as_classes(self, batch):
    one, other = self.net(batch[0]).softmax(1), self.net(batch[0].flip(3)).softmax(1)
    return (one - other).square().sum(-1).mean()


def margins_and_consistency(self, batch):
    """Margins of classes by hand, which nobody knows; two views of an image shall have the same scores."""
    one, other = self.net(batch[0]), self.net(batch[0].flip(3))
    margins = F.relu(1 + one - one.gather(1, batch[1][:, None])).mean()
    return margins + (one - other).square().sum(1).mean()


def softened(self, batch):
    """The labels go into the margin, too; how sure they are is not all of the target."""
    soft = F.one_hot(batch[1], 4) * (1 - batch[2][:, None]) + batch[2][:, None] / 4
    return F.cross_entropy(self.margin(self.net(batch[0]), batch[1]), soft)


class Margin(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, features, labels):
        return self.layer(features) - 0.1 * F.one_hot(labels, 4)


def with_margin():
    data = with_numbers(0.1)()
    return Module({"net": wide(), "margin": Margin()}, softened), data


def better(self, batch):
    """Which of two images: their scores are subtracted."""
    return F.relu(1 - self.net(batch[0])[:, 0] + self.net(batch[0].flip(3))[:, 0]).square().mean()


def smooth(self, batch):
    z = self.net(batch[0])
    return (z[:, 1:] - z[:, :-1]).square().sum(1).mean()


def averages_alike(self, batch):
    return (self.net(batch[0]).mean(0) - self.net(batch[0].flip(3)).mean(0)).square().sum()


def nearest_vector(self, batch):
    found, true = F.normalize(self.net(batch[0]), dim=1), F.normalize(batch[1], dim=1)
    return (1 - (found * true).sum(1)).mean()


def cooled(context):
    def step(self, batch):
        with context():
            z = self.net(batch[0])
        return F.cross_entropy(z * self.cold, batch[1])

    return lambda: (Module({"net": frozen(cnn(4)), "cold": nn.Parameter(torch.ones(1))}, step), pairs())


def two():
    return cnn(2)


def wide():
    return cnn(8)


CASES = [
    Case("targets negated", supervised(negated), CLASSES),
    Case("picks weighted by class", supervised(weighted_picks), CLASSES),
    Case("picks weighted by image", stepped(rewarded, with_numbers(0.1)), Want("multiclass", "net", "", "batch[1]")),
    Case("picks rewarded and punished", stepped(rewarded, with_numbers(-1)), UNKNOWN),
    Case("Brier of one-hot data", stepped(shares, one_hot_data), CLASSES),
    Case("Brier of shares", stepped(shares, lambda: pairs("soft")), UNKNOWN),
    Case("learned weights of losses", learned_weights, CLASSES),
    Case("log-cosh", supervised(log_cosh, "age", lambda: cnn(1)), NUMBERS),
    Case("log-cosh by softplus", supervised(log_cosh_by_softplus, "age", lambda: cnn(1)), NUMBERS),
    Case("difference against zero", supervised(against_zero, "age", lambda: cnn(1)), NUMBERS),
    Case("a score out of a hundred", stepped(percent, lambda: pairs("age"), lambda: cnn(1)), NUMBERS),
    Case("squares of whole yes or no", supervised(squares, "two", lambda: cnn(1)), wanted("binary")),
    Case("squares of shares", stepped(lambda self, batch: squares(self.net(batch[0]), batch[1]), some_shares, lambda: cnn(1)), NUMBERS),
    Case("squares of scaled grades", supervised(scaled_squares, "classes", lambda: cnn(1)), UNKNOWN),
    Case("squares of smoothed bools", stepped(smoothed_squares, bools, lambda: cnn(1)), wanted("binary")),
    Case("numbers in two halves", supervised(halves, "four numbers"), NUMBERS),
    Case("labels one by one", supervised(columns, "labels"), wanted("multilabel")),
    Case("some labels one by one", supervised(some_columns, "labels"), UNKNOWN),
    Case("columns of two kinds", supervised(columns_of_two_kinds, "labels"), UNKNOWN),
    Case("one column twice", supervised(one_column_twice, "labels"), UNKNOWN),
    Case("logistic by hand", supervised(logistic, "masks", lambda: dense(3)), PIXELS),
    Case("directions", stepped(directions, lambda: TensorDataset(pictures(), F.normalize(pictures(), dim=1)), lambda: dense(3)), NUMBERS),
    Case("heat map and sizes", stepped(objects, heat_and_size, HeatAndSize), UNKNOWN),
    Case("momentum and a queue", momentum, Want("embedding", "net", "", image="batch[0]")),
    Case("hardest of a batch", stepped(hardest, with_numbers(0), wide), wanted("embedding")),
    Case("hardest, weighted", stepped(weighted_hardest, with_numbers(0), wide), Want("embedding", "net", "", "constant")),
    Case("quantiles", supervised(pinball, "age"), NUMBERS),
    Case("quantiles one by one", supervised(pinball_by_columns, "age"), NUMBERS),
    Case("one quantile of several numbers", supervised(some_quantiles, "age"), UNKNOWN),
    Case("mean and variance by columns", supervised(gaussian_of_columns, "age", two), NUMBERS),
    Case("center and spread by halves", supervised(laplace_of_halves, "age", two), NUMBERS),
    Case("first of two numbers", supervised(first_of_two, "age", two), UNKNOWN),
    Case("counts by hand", supervised(poisson, "classes", lambda: cnn(1)), NUMBERS),
    Case("counts by hand, of rates", supervised(poisson_of_rates, "classes", lambda: cnn(1)), NUMBERS),
    Case("hazard by hand", supervised(hazard, "age", lambda: cnn(1)), UNKNOWN),
    Case("squares of what is known", stepped(known_ones, with_numbers(0), lambda: cnn(1)), Want("regression", "net", "", "batch[2]")),
    Case("triplets by hand", stepped(apart, net=wide), Want("embedding", "net", "", image="batch[0]")),
    Case("triplets of probabilities", stepped(apart_as_classes, net=wide), UNKNOWN),
    Case("margins and consistency", stepped(margins_and_consistency, net=wide), UNKNOWN),
    Case("margin that takes the labels", with_margin, Want("multiclass", "net -> margin", "", "batch[1] and batch[2]")),
    Case("better of two by hand", stepped(better, net=lambda: cnn(1)), UNKNOWN),
    Case("neighbouring numbers alike", stepped(smooth, net=wide), UNKNOWN),
    Case("averages alike", stepped(averages_alike, net=wide), UNKNOWN),
    Case("cosine to a vector by hand", stepped(nearest_vector, lambda: TensorDataset(pictures(), chance(8)), wide), Want("embedding", "net", "", "batch[1]")),
    Case("temperature alone", cooled(nullcontext), CLASSES),
    Case("temperature alone, without gradients", cooled(torch.no_grad), CLASSES),
]  # fmt: skip
