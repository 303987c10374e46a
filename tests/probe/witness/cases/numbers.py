"""Yes or no, labels that do not exclude each other, grades, numbers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .parts import UNKNOWN, Case, Want, cnn, pairs, stepped, supervised, wanted

LABELS = wanted("multilabel", values="logits")
NUMBER = wanted("regression", values="")
GRADES = wanted("ordinal", values="logits")
binary_loss = F.binary_cross_entropy_with_logits


def one():
    return cnn(1)


def sigmoid_by_hand(logits, labels):
    p = torch.sigmoid(logits)
    return (-(labels * (p + 1e-6).log() + (1 - labels) * (1 - p + 1e-6).log())).mean()


def asymmetric(logits, labels):
    p = logits.sigmoid()
    no = (1 - p + 0.05).clamp(max=1)
    return -(labels * p.clamp(min=1e-8).log() + (1 - labels) * no.clamp(min=1e-8).log() * (1 - no) ** 4).sum()


def softplus(logits, labels):
    return (F.softplus(logits) - logits * labels).mean()


def levels(grades):
    return (grades[:, None] > torch.arange(4)).float()


def coral(logits, grades):
    return binary_loss(logits, levels(grades))


def coral_by_hand(logits, grades):
    reached = levels(grades)
    return -(F.logsigmoid(logits) * reached + (F.logsigmoid(logits) - logits) * (1 - reached)).sum(1).mean()


def expected_class(self, batch):
    return F.mse_loss((self.net(batch[0]).softmax(1) * torch.arange(4.0)).sum(1), batch[1].float())


def hinge(self, batch):
    return (1 - (2 * batch[1] - 1) * self.net(batch[0])[:, 0]).clamp(min=0).mean()


def ctc(self, batch):
    count = len(batch[0])
    columns = self.net(batch[0])[:, :, 0].permute(2, 0, 1).log_softmax(2)
    words = batch[1].clamp(1)[:, None].expand(-1, 3)
    return F.ctc_loss(columns, words, torch.full((count,), 16), torch.full((count,), 3), zero_infinity=True)


class MeanAndVariance(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = cnn(2)

    def forward(self, images):
        both = self.net(images)
        return both[:, 0], F.softplus(both[:, 1]) + 1e-3


def gaussian(self, batch):
    mean, variance = self.net(batch[0])
    return F.gaussian_nll_loss(mean, batch[1], variance)


class VarianceAndMean(MeanAndVariance):
    def forward(self, images):
        both = self.net(images)
        variance = F.softplus(both[:, 1]) + 1e-3
        return variance, both[:, 0]


def normal(self, batch):
    variance, mean = self.net(batch[0])
    return -torch.distributions.Normal(mean, variance.sqrt()).log_prob(batch[1]).mean()


def where_known(answers, truth):
    """Some numbers are missing."""
    known = truth > 10
    return F.mse_loss(answers[:, 0][known], truth[known])


def evidential(logits, labels):
    """Evidence for each class: its probabilities are no sigmoids."""
    evidence = F.softplus(logits) + 1
    missing = torch.digamma(evidence.sum(1, keepdim=True)) - torch.digamma(evidence)
    return (F.one_hot(labels, 4) * missing).sum(1).mean()


def thresholded(logits, scores):
    return binary_loss(logits, (scores > 0.5).float())


def two_of_four(logits, first):
    return binary_loss(logits, F.one_hot(torch.stack([first, (first + 1) % 4], 1), 4).sum(1).float())


def first_column(logits, labels):
    return binary_loss(logits[:, 0], labels)


CASES = [
    Case("one column of several", supervised(first_column, "yes or no"), UNKNOWN),
    Case("evidential", supervised(evidential), UNKNOWN),
    Case("labels by a threshold", supervised(thresholded, "four numbers"), LABELS),
    Case("two labels of four", supervised(two_of_four), LABELS),
    Case("labels cast to the logits' type", supervised(lambda z, y: binary_loss(z, y.type_as(z)), "labels"), LABELS),
    Case("normal distribution", stepped(normal, lambda: pairs("age"), VarianceAndMean), wanted("regression", head="[1]")),
    Case("missing numbers", supervised(where_known, "age", one), NUMBER),
    Case("BCE", supervised(nn.BCEWithLogitsLoss(), "labels"), LABELS),
    Case("sigmoid by hand", supervised(sigmoid_by_hand, "labels"), LABELS),
    Case("asymmetric by hand", supervised(asymmetric, "labels"), LABELS),
    Case("softplus by hand", supervised(softplus, "labels"), LABELS),
    Case("soft margin", supervised(nn.MultiLabelSoftMarginLoss(), "labels"), LABELS),
    Case(
        "sigmoid in forward",
        supervised(F.binary_cross_entropy, "labels", lambda: nn.Sequential(cnn(4), nn.Sigmoid())),
        wanted("multilabel", values="probabilities"),
    ),
    Case("yes or no", supervised(lambda z, y: binary_loss(z.squeeze(1), y), "yes or no", one), wanted("binary")),
    Case("yes or no, long", supervised(lambda z, y: binary_loss(z, y.float().unsqueeze(1)), "two", one), wanted("binary")),
    Case("coral", supervised(coral, "five"), GRADES),
    Case("coral by hand", supervised(coral_by_hand, "five"), GRADES),
    Case("levels in the data", supervised(nn.BCEWithLogitsLoss(), "levels"), UNKNOWN),
    Case("MSE", supervised(lambda z, y: F.mse_loss(z.squeeze(1), y), "age", one), NUMBER),
    Case("MSE, sides swapped", supervised(lambda z, y: F.mse_loss(y, z.squeeze(1)), "whole age", one), NUMBER),
    Case("squares by hand", supervised(lambda z, y: (z.squeeze(1) - y).pow(2).mean(), "age", one), NUMBER),
    Case("root of squares", supervised(lambda z, y: torch.sqrt(((y - z[:, 0]) ** 2).mean()), "age", one), NUMBER),
    Case("L1 by hand", supervised(lambda z, y: (y[:, None] - z).abs().mean(), "age as long", one), NUMBER),
    Case("age as long", supervised(lambda z, y: F.huber_loss(z[:, 0], y.float()), "age as long", one), NUMBER),
    Case("four numbers", supervised(nn.L1Loss(), "four numbers"), NUMBER),
    Case("keypoints", supervised(lambda z, y: F.smooth_l1_loss(z.view(-1, 5, 2), y), "keypoints", lambda: cnn(10)), NUMBER),
    Case("Gaussian", stepped(gaussian, lambda: pairs("age"), MeanAndVariance), wanted("regression", head="[0]")),
    Case("expected class", stepped(expected_class), UNKNOWN),
    Case("hinge by hand", stepped(hinge, lambda: pairs("yes or no"), one), UNKNOWN),
    Case("CTC", stepped(ctc, net=lambda: nn.Conv2d(3, 6, (16, 1))), UNKNOWN),
    Case("spread of answers", stepped(lambda self, batch: -self.net(batch[0]).std()), Want("unknown")),
]
