"""Embeddings: answers compared with answers, with proxies, with a slow copy."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from .parts import UNKNOWN, Case, Module, Want, chance, cnn, frozen, pairs, pictures, stepped, two_views

EMBEDDING = Want("embedding", chain="net", image="batch[0]", values="")


def wide():
    return cnn(16)


class ArcFace(nn.Module):
    """Learned proxies, and a margin in the angle."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 16))

    def forward(self, embedding, labels):
        cosine = F.linear(F.normalize(embedding), F.normalize(self.weight))
        angle = torch.acos(cosine.clamp(-0.99, 0.99)) + 0.2 * F.one_hot(labels, 4)
        return F.cross_entropy(16 * torch.cos(angle), labels)


def arc_face():
    return Module({"net": wide(), "loss": ArcFace()}, lambda self, batch: self.loss(self.net(batch[0]), batch[1])), pairs()


def proxies():
    def step(self, batch):
        similar = F.normalize(self.net(batch[0])) @ F.normalize(self.proxies[0]).T
        return F.cross_entropy(similar * 8, batch[1])

    return Module({"net": wide(), "proxies": nn.ParameterList([torch.randn(4, 16)])}, step), pairs()


def triplet(self, batch):
    images = batch[0]
    return F.triplet_margin_loss(self.net(images), self.net(images.flip(3)), self.net(images.roll(1, 0)))


def simclr(self, batch):
    both = F.normalize(torch.cat([self.net(batch[0]), self.net(batch[1])]))
    count = len(batch[0])
    similar = (both @ both.T / 0.1).masked_fill(torch.eye(2 * count, dtype=torch.bool), -1e4)
    return F.cross_entropy(similar, torch.arange(2 * count).roll(count))


def supervised_contrast(self, batch):
    answers = F.normalize(self.net(batch[0]))
    similar = answers @ answers.T / 0.1
    same = (batch[1][:, None] == batch[1]).float()
    logarithms = similar - torch.logsumexp(similar, 1, keepdim=True)
    return -(same * logarithms).sum(1).div(same.sum(1)).mean()


def barlow(self, batch):
    one, other = self.net(batch[0]), self.net(batch[1])
    table = (one - one.mean(0)).T @ (other - other.mean(0)) / len(one)
    return ((table - torch.eye(16)) ** 2).sum()


def vicreg(self, batch):
    one, other = self.net(batch[0]), self.net(batch[1])
    return F.mse_loss(one, other) + F.relu(1 - one.std(0)).mean()


def byol():
    def step(self, batch):
        with torch.no_grad():
            slow = self.slow(batch[1])
        return 2 - 2 * F.cosine_similarity(self.predict(self.net(batch[0])), slow.detach()).mean()

    return Module({"net": wide(), "predict": nn.Linear(16, 16), "slow": frozen(wide())}, step), two_views()


def pictures_and_words():
    def step(self, batch):
        similar = F.normalize(self.picture(batch[0])) @ F.normalize(self.words(batch[1])).T * 9
        own = torch.arange(len(similar))
        return (F.cross_entropy(similar, own) + F.cross_entropy(similar.T, own)) / 2

    return Module({"picture": cnn(8), "words": nn.Linear(5, 8)}, step), TensorDataset(pictures(), chance(5))


def with_classes():
    def step(self, batch):
        found = self.net(batch[0])
        apart = F.triplet_margin_loss(found, found.roll(1, 0), found.roll(2, 0))
        return apart + F.cross_entropy(self.head(found), batch[1])

    return Module({"net": wide(), "head": nn.Linear(16, 4)}, step), pairs()


def consistency(self, batch):
    return F.mse_loss(self.net(batch[0]).softmax(1), self.net(batch[0].flip(3)).softmax(1).detach())


CASES = [
    Case("proxies in the step", proxies, EMBEDDING),
    Case("proxies in the loss", arc_face, EMBEDDING),
    Case("triplet", stepped(triplet, net=wide), EMBEDDING),
    Case("SimCLR", stepped(simclr, two_views, wide), EMBEDDING),
    Case("supervised contrast by hand", stepped(supervised_contrast, net=wide), EMBEDDING),
    Case("Barlow Twins", stepped(barlow, two_views, wide), EMBEDDING),
    Case("VICReg", stepped(vicreg, two_views, wide), EMBEDDING),
    Case("BYOL", byol, Want("embedding", chain="net -> predict")),
    Case("pictures and words", pictures_and_words, Want("embedding", chain="picture", image="batch[0]")),
    Case("triplet and classes", with_classes, Want("multiclass", chain="net -> head", target="batch[1]")),
    Case("consistency alone", stepped(consistency), UNKNOWN),
]
