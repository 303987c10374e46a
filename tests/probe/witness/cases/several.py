"""Several networks, several heads, several inputs."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from .parts import UNKNOWN, Case, Columns, Module, Want, chance, cnn, dense, frozen, numbered, pairs, pictures, stepped, wanted

binary_loss = F.binary_cross_entropy_with_logits
OF_STUDENT = Want("multiclass", chain="student", target="batch[1]", values="logits")


def gan(loss):
    """A generator and a discriminator, each with an optimizer, stepped by hand."""

    def step(self, batch):
        of_generator, of_discriminator = self.optimizers()
        images, noise = batch[0], torch.randn(len(batch[0]), 8)
        real, fake = torch.ones(len(images), 1), torch.zeros(len(images), 1)
        of_generator.zero_grad()
        self.manual_backward(loss(self.discriminator(self.generator(noise).view_as(images)), real))
        of_generator.step()
        seen, made = self.discriminator(images), self.discriminator(self.generator(noise).view_as(images).detach())
        of_discriminator.zero_grad()
        self.manual_backward(loss(seen, real) + loss(made, fake))
        of_discriminator.step()

    def optimizers(self):
        return [torch.optim.Adam(each.parameters(), 1e-3) for each in (self.generator, self.discriminator)]

    parts = {"generator": lambda: nn.Linear(8, 768), "discriminator": lambda: cnn(1)}
    return lambda: (
        Module({name: part() for name, part in parts.items()}, step, None, optimizers, is_manual=True),
        pairs(),
    )


def painted():
    """A generator that makes images of images; the discriminator sees those first."""

    def step(self, batch):
        of_generator, of_discriminator = self.optimizers()
        real, fake = torch.ones(len(batch[0]), 1), torch.zeros(len(batch[0]), 1)
        self.manual_backward(binary_loss(self.discriminator(self.generator(batch[0])), real))
        of_generator.step()
        seen, made = self.discriminator(batch[0]), self.discriminator(self.generator(batch[0]).detach())
        of_discriminator.zero_grad()
        self.manual_backward(binary_loss(seen, real) + binary_loss(made, fake))
        of_discriminator.step()

    def optimizers(self):
        return [torch.optim.Adam(each.parameters(), 1e-3) for each in (self.generator, self.discriminator)]

    parts = {"generator": dense(3), "discriminator": cnn(1)}
    return Module(parts, step, None, optimizers, is_manual=True), pairs()


def wasserstein(answers, truth):
    return (answers * (1 - 2 * truth)).mean()


def of_all(self):
    return torch.optim.SGD(self.parameters(), 0.1)


def distilled(share, is_thawed=False, optimizers=None):
    """A student learns from a teacher, and from labels too unless `share` is 1."""

    def step(self, batch):
        with torch.no_grad():
            given = self.teacher(batch[0])
        logits = self.student(batch[0])
        alike = F.kl_div(F.log_softmax(logits / 2, 1), F.softmax(given / 2, 1), reduction="batchmean")
        return alike if share == 1 else share * alike + (1 - share) * F.cross_entropy(logits, batch[1])

    def make():
        teacher = cnn(4) if is_thawed else frozen(cnn(4))
        return Module({"teacher": teacher, "student": cnn(4)}, step, optimizers=optimizers or of_student), pairs()

    return make


def of_student(self):
    return torch.optim.SGD(self.student.parameters(), 0.1)


def fixmatch(self, batch):
    images, labels = batch
    guessed = self.net(images + 0.01).detach().argmax(1)
    strong = self.net(images.flip(3))
    return F.cross_entropy(self.net(images), labels) + F.cross_entropy(strong, guessed)


def mean_teacher():
    def step(self, batch):
        with torch.no_grad():
            slow = self.slow(batch[0])
        logits = self.student(batch[0])
        return F.mse_loss(logits.softmax(1), slow.softmax(1)) + F.cross_entropy(logits, batch[1])

    return Module({"slow": cnn(4), "student": cnn(4)}, step, optimizers=of_student), pairs()


class TwoHeads(nn.Module):
    def __init__(self, as_tuple=False):
        super().__init__()
        self.features, self.colour, self.shape = cnn(8), nn.Linear(8, 3), nn.Linear(8, 4)
        self.as_tuple = as_tuple

    def forward(self, images):
        features = self.features(images).relu()
        if self.as_tuple:
            return self.shape(features), features
        return {"colour": self.colour(features), "shape": self.shape(features)}


def things():
    return Columns(image=pictures(), colour=numbered(3), shape=numbered(4))


def both_heads(self, batch):
    found = self.net(batch["image"])
    return F.cross_entropy(found["colour"], batch["colour"]) + F.cross_entropy(found["shape"], batch["shape"])


def second_head(self, batch):
    return F.cross_entropy(self.net(batch["image"])["shape"], batch["shape"])


def own_forward(self, batch):
    return F.cross_entropy(self(batch[0])[0], batch[1])


def class_and_box():
    def step(self, batch):
        features = self.features(batch["x"])
        box = F.smooth_l1_loss(self.box(features), batch["box"])
        return box + F.cross_entropy(self.kind(features), batch["y"])

    parts = {"features": cnn(8), "kind": nn.Linear(8, 4), "box": nn.Linear(8, 4)}
    return Module(parts, step), Columns(x=pictures(), y=numbered(), box=chance(4))


class ImageAndNumbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.head = cnn(8), nn.Linear(11, 4)

    def forward(self, image, numbers, mask=None):
        both = torch.cat([self.features(image), numbers], 1)
        return self.head(both if mask is None else both * mask)


def with_numbers(self, batch):
    return F.cross_entropy(self.net(batch[0], numbers=batch[1], mask=torch.ones(11)), batch[2])


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.head = cnn(8), nn.Linear(8, 1)

    def forward(self, one, other):
        return self.head((self.features(one) - self.features(other)).abs())


def same_or_not(self, batch):
    return binary_loss(self.net(batch[0], batch[1])[:, 0], batch[2])


def two_images():
    return TensorDataset(pictures(), pictures() * 0.9, numbered(2).float())


def frozen_backbone():
    def step(self, batch):
        return F.cross_entropy(self.head(self.backbone(batch[0]).detach()), batch[1])

    return Module({"backbone": frozen(cnn(8)), "head": nn.Linear(8, 4)}, step), pairs()


def fixed_classifier():
    def step(self, batch):
        return F.cross_entropy(self.head(self.net(batch[0])), batch[1])

    return Module({"net": cnn(8), "head": frozen(nn.Linear(8, 4))}, step), pairs()


class Templates(nn.Module):
    """Compares features with each other before its last layer."""

    def __init__(self):
        super().__init__()
        self.one, self.other, self.head = cnn(8), cnn(8), nn.Linear(1, 1)

    def forward(self, images):
        return self.head(F.cosine_similarity(self.one(images), self.other(images))[:, None])


def hinge(self, batch):
    return (1 - (2 * batch[1] - 1) * self.net(batch[0])[:, 0]).clamp(min=0).mean()


class Gate(nn.Module):
    """Lets through a part of the image."""

    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, images):
        return self.net(images).sigmoid() * images


def roughness(self, batch):
    seen = self.net(batch[0])
    return (seen[..., 1:] - seen[..., :-1]).abs().mean()


def rotations(self, batch):
    turned = torch.cat([batch[0].rot90(times, (2, 3)) for times in range(4)])
    return F.cross_entropy(self.net(turned), torch.arange(4).repeat_interleave(len(batch[0])))


def labelled_last(self, batch):
    """Images without labels go first through the network."""
    z = self.net(torch.cat([batch[0], batch[1] - 0.1]))
    without, labelled = z.chunk(2)
    return F.cross_entropy(labelled, batch[2]) - 0.1 * (without.softmax(1) * without.log_softmax(1)).sum(1).mean()


def taken_in_turn(self, batch):
    """Both views of an image stand side by side."""
    z = self.net(torch.stack([batch[0], batch[1]], 1).flatten(0, 1))
    return F.cross_entropy(z[::2], batch[2])


def two_with_classes():
    return TensorDataset(pictures() * 0.9, pictures(), numbered())


CASES = [
    Case(
        "labelled images behind others",
        stepped(labelled_last, two_with_classes),
        wanted("multiclass", target="batch[2]", image="batch[1]", arguments=(("batch[0]", "batch[1]"),)),
    ),
    Case("every other row", stepped(taken_in_turn, two_with_classes), UNKNOWN),
    Case(
        "GAN",
        gan(binary_loss),
        Want("binary", chain="discriminator", image="batch[0]", target="constant"),
        in_sanity=False,
    ),
    Case(
        "GAN that paints images",
        painted,
        Want("binary", chain="discriminator", image="batch[0]", target="constant"),
        in_sanity=False,
    ),
    Case("least squares GAN", gan(F.mse_loss), UNKNOWN),
    Case("Wasserstein GAN", gan(wasserstein), UNKNOWN),
    Case("distillation", distilled(0.5), OF_STUDENT),
    Case("distillation, teacher thawed", distilled(0.5, is_thawed=True), OF_STUDENT),
    Case("distillation alone", distilled(1), Want("multiclass", chain="student", target="frozen network")),
    Case(
        "distillation alone, teacher in the optimizer",
        distilled(1, optimizers=of_all),
        Want("multiclass", chain="student", target="frozen network"),
    ),
    Case("FixMatch", stepped(fixmatch), wanted("multiclass")),
    Case("mean teacher", mean_teacher, OF_STUDENT),
    Case(
        "two heads",
        stepped(both_heads, things, TwoHeads),
        Want("multiclass", head='["colour"]', target='batch["colour"]', image='batch["image"]'),
    ),
    Case(
        "second head only",
        stepped(second_head, things, TwoHeads),
        Want("multiclass", head='["shape"]', target='batch["shape"]'),
    ),
    Case(
        "logits and features",
        stepped(own_forward, net=lambda: TwoHeads(as_tuple=True), forward=lambda self, images: self.net(images)),
        wanted("multiclass", chain="", head="[0]"),
    ),
    Case("class and box", class_and_box, Want(("multiclass", "regression"), ("features -> kind", "features -> box"))),
    Case(
        "image and numbers",
        stepped(with_numbers, lambda: TensorDataset(pictures(), chance(3), numbered()), ImageAndNumbers),
        wanted("multiclass", target="batch[2]", arguments=(("batch[0]",), ("batch[1]",), ())),
    ),
    Case(
        "siamese",
        stepped(same_or_not, two_images, Siamese),
        Want("binary", chain="net", target="batch[2]", arguments=(("batch[0]",), ("batch[1]",))),
    ),
    Case(
        "frozen backbone",
        frozen_backbone,
        Want("multiclass", chain="backbone -> head", target="batch[1]", image="batch[0]"),
    ),
    Case("fixed classifier", fixed_classifier, Want("multiclass", chain="net -> head", target="batch[1]")),
    Case("comparison inside the network", stepped(hinge, lambda: pairs("yes or no"), Templates), UNKNOWN),
    Case("gate inside the network", stepped(roughness, net=Gate), UNKNOWN),
    Case("rotations", stepped(rotations), UNKNOWN),
]
