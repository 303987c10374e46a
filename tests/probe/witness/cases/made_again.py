"""Images made again: autoencoders, and what only looks like one."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from .parts import LABELS, UNKNOWN, Case, Module, Want, dense, frozen, mlp, pairs, pictures, stepped

AGAIN = Want("reconstruction", chain="net", image="batch[0]")


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = mlp(8), nn.Linear(4, 768)

    def forward(self, images):
        mean, log_variance = self.encoder(images).chunk(2, 1)
        sample = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(sample).view_as(images), mean, log_variance


def variational(self, batch):
    again, mean, log_variance = self.net(batch[0])
    distance = F.mse_loss(again, batch[0], reduction="sum") / len(again)
    return distance - 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()


class SkippingNet(nn.Module):
    """Adds to the image what its own path through the network found."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(11, 3, 3, padding=1)

    def forward(self, images):
        return images + self.last(torch.cat([self.first(images).relu(), images], 1))


def denoising(self, batch):
    return (self.net(batch[0] + 0.1 * torch.randn_like(batch[0])) - batch[0]).abs().mean()


def patches(images):
    return images.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(len(images), 16, 48)


class OfPatches(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(48, 48)

    def forward(self, images):
        return self.layer(patches(images))


def two_parts():
    def step(self, batch):
        return F.mse_loss(self.decoder(self.encoder(batch[0])), batch[0].flatten(1))

    return Module({"encoder": mlp(4), "decoder": nn.Linear(4, 768)}, step), pairs()


def of_flat_images():
    def step(self, batch):
        images = batch[0].view(len(batch[0]), -1)
        return F.mse_loss(self.decoder(self.encoder(images)), images)

    return Module({"encoder": nn.Linear(768, 4), "decoder": nn.Linear(4, 768)}, step), pairs()


def perceptual(optimizers=None):
    def step(self, batch):
        again = self.net(batch[0])
        return F.l1_loss(self.eye(again), self.eye(batch[0])) + F.l1_loss(again, batch[0])

    return Module({"net": dense(3), "eye": frozen(nn.Conv2d(3, 8, 3, 2))}, step, optimizers=optimizers), pairs()


def with_classes():
    def step(self, batch):
        code = self.encoder(batch[0])
        again = self.decoder(code).view_as(batch[0])
        return F.mse_loss(again, batch[0]) + F.cross_entropy(self.head(code), batch[1])

    return Module({"encoder": mlp(8), "decoder": nn.Linear(8, 768), "head": nn.Linear(8, 4)}, step), pairs()


def diffusion(self, batch):
    noise = torch.randn_like(batch[0])
    return F.mse_loss(self.net(batch[0] * 0.7 + noise * 0.7), noise)


def moved(images, flow):
    """As a flow of two channels says, in parts of the picture."""
    where = F.affine_grid(torch.eye(2, 3).expand(len(images), -1, -1), images.shape, align_corners=False)
    return F.grid_sample(images, where + flow.movedim(1, -1), align_corners=False)


def registered(self, batch):
    flow = self.net(batch[0])
    return ((moved(batch[1], flow) - batch[2]) ** 2).mean() + (flow**2).mean()


def turned(self, batch):
    """The picture that is made again is looked at from elsewhere, and so is the target."""
    still = torch.zeros(len(batch[0]), 2, 16, 16)
    return F.mse_loss(moved(self.net(batch[0]), still), moved(batch[0], still))


def cut_out(self, batch):
    """Alpha mattes that are trained by what they compose."""
    alpha = self.net(batch[0]).sigmoid()
    return F.l1_loss(alpha * batch[1] + (1 - alpha) * batch[2], batch[0])


def filled_in(self, batch):
    """Holes that the batch brings along: they go in, and weigh the loss."""
    again = self.net(torch.cat([batch[0] * batch[1], batch[1]], 1))
    return ((again - batch[0]) * (1 - batch[1])).abs().mean()


def one_of_two(self, batch):
    return (self.net(torch.cat([batch[0], batch[1]], 1)) - batch[0]).abs().mean()


def with_mask():
    return TensorDataset(pictures(), LABELS["mask"]())


def of_four():
    return nn.Conv2d(4, 3, 3, padding=1)


def three():
    return TensorDataset(pictures(), pictures() * 0.9, pictures() * 0.8)


def three_with_masks():
    return TensorDataset(pictures(), LABELS["masks"](), LABELS["masks"]())


def of_all(self):
    """The frozen ones too, as many people do."""
    return torch.optim.Adam(self.parameters(), 0.05)


CASES = [
    Case("autoencoder", stepped(lambda self, batch: F.mse_loss(self.net(batch[0]), batch[0]), net=lambda: dense(3)), AGAIN),
    Case("VAE", stepped(variational, net=VAE), Want("reconstruction", chain="net", head="[0]")),
    Case("denoising", stepped(denoising, net=SkippingNet), AGAIN),
    Case(
        "masked patches",
        stepped(lambda self, batch: ((self.net(batch[0]) - patches(batch[0])) ** 2).mean(-1).mean(), net=OfPatches),
        AGAIN,
    ),
    Case("two parts", two_parts, Want("reconstruction", chain="encoder -> decoder", image="batch[0]")),
    Case("of flat images", of_flat_images, Want("reconstruction", chain="encoder -> decoder", image="batch[0]")),
    Case("perceptual", perceptual, AGAIN),
    Case("perceptual, the frozen in the optimizer", lambda: perceptual(of_all), AGAIN),
    Case("autoencoder and classes", with_classes, Want("multiclass", chain="encoder -> head", target="batch[1]")),
    Case("a flow that moves another picture", stepped(registered, data=three, net=lambda: dense(2)), UNKNOWN),
    Case("a flow that moves a mask", stepped(registered, data=three_with_masks, net=lambda: dense(2)), UNKNOWN),
    Case("made again, moved as its target", stepped(turned, net=lambda: dense(3)), AGAIN),
    Case("holes of the batch", stepped(filled_in, with_mask, of_four), AGAIN),
    Case("one of two inputs again", stepped(one_of_two, with_mask, of_four), UNKNOWN),
    Case("mattes that compose the image", stepped(cut_out, data=three, net=lambda: dense(1)), UNKNOWN),
    Case("diffusion", stepped(diffusion, net=lambda: dense(3)), UNKNOWN),
]
