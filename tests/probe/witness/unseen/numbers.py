"""Numbers per image, numbers per pixel."""

import math
from typing import NamedTuple

import torchmetrics

from .parts import *


class AgeL1(AdamModule):
    """Arguments of the loss the other way round."""

    def __init__(self):
        super().__init__()
        self.model = cnn(1)
        self.mae = torchmetrics.MeanAbsoluteError()

    def training_step(self, batch, batch_idx):
        out = self.model(batch["image"]).squeeze(1)
        loss = F.l1_loss(batch["age"].float(), out)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        out = self.model(batch["image"]).squeeze(1)
        self.mae(out, batch["age"].float())
        self.log("mae", self.mae)


def make_age():
    return AgeL1(), *dict_loaders(image=images(), age=ints(90), gender=ints(2, 6))


class Pawpularity(AdamModule):
    """Kaggle Pawpularity: BCE on score / 100, metadata are 0/1 flags that look like labels."""

    def __init__(self):
        super().__init__()
        self.swin = cnn(1)
        self.criterion = nn.BCEWithLogitsLoss()

    def training_step(self, batch, batch_idx):
        image, flags, score = batch
        logits = self.swin(image).squeeze(1)
        loss = self.criterion(logits, score / 100.0)
        return {"loss": loss, "pred": logits.sigmoid().detach() * 100, "label": score}

    def validation_step(self, batch, batch_idx):
        image, flags, score = batch
        pred = self.swin(image).squeeze(1).sigmoid() * 100
        self.log("rmse", torch.sqrt(((score - pred) ** 2).mean()))


def make_paw():
    score = floats(N, low=1, high=100).round()
    return Pawpularity(), *tuple_loaders(images(), bits(12), score)


class Fractions(AdamModule):
    """Sand and clay share of a soil picture: two softmaxed columns which sum to one, MSE on measured shares."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(cnn(2), nn.Softmax(-1))

    def training_step(self, batch, batch_idx):
        x, shares = batch
        loss = ((self.net(x) - shares) ** 2).mean()
        self.log("mse", loss)
        return loss

    validation_step = training_step


def make_fractions():
    a = floats(N, 1)
    return Fractions(), *tuple_loaders(images(), torch.cat([a, 1 - a], 1))


class LogCosh(AdamModule):
    """Target standardised in the step with buffers."""

    def __init__(self):
        super().__init__()
        self.regressor = cnn(1, cin=1)
        self.register_buffer("mu", torch.tensor(120.0))
        self.register_buffer("sd", torch.tensor(30.0))

    def forward(self, xray):
        return self.regressor(xray).squeeze(-1) * self.sd + self.mu

    def training_step(self, batch, batch_idx):
        x, months = batch["xray"], batch["target"]["bone_age"]
        z = self.regressor(x).squeeze(-1)
        d = z - (months - self.mu) / self.sd
        loss = (d + F.softplus(-2 * d) - math.log(2)).mean()
        self.log("train", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        z = self.regressor(batch["xray"]).squeeze(-1)
        d = z - (batch["target"]["bone_age"] - self.mu) / self.sd
        self.log("val", (d + F.softplus(-2 * d) - math.log(2)).mean())


def make_logcosh():
    return LogCosh(), *loaders(
        lambda x, m, s: {"xray": x, "target": {"bone_age": m, "male": s}}, images(1), floats(N, low=20, high=220), ints(2, 6)
    )


class Quantile(AdamModule):
    def __init__(self):
        super().__init__()
        self.model = cnn(3)
        self.register_buffer("q", torch.tensor([0.1, 0.5, 0.9]))

    def training_step(self, batch, batch_idx):
        x, y = batch
        e = y.unsqueeze(1) - self.model(x)
        loss = torch.maximum(self.q * e, (self.q - 1) * e).sum(1).mean()
        self.log("pinball", loss)
        return loss

    validation_step = training_step


def make_quantile():
    x = images()
    return Quantile(), *tuple_loaders(x, 10 * brightness(x))


class WingLoss(nn.Module):
    def __init__(self, w=10.0, eps=2.0):
        super().__init__()
        self.w, self.eps = w, eps
        self.C = w - w * math.log(1 + w / eps)

    def forward(self, pred, gt):
        d = (pred - gt).abs()
        return torch.where(d < self.w, self.w * torch.log(1 + d / self.eps), d - self.C).mean()


class Landmarks(AdamModule):
    def __init__(self):
        super().__init__()
        self.pfld, self.wing = cnn(10), WingLoss()

    def training_step(self, batch, batch_idx):
        face, pts = batch["face"], batch["landmarks"]  # pts: B x 5 x 2
        return self.wing(self.pfld(face).view(-1, 5, 2), pts)

    def validation_step(self, batch, batch_idx):
        p = self.pfld(batch["face"]).view(-1, 5, 2)
        self.log("nme", (p - batch["landmarks"]).norm(dim=-1).mean())


def make_landmarks():
    return Landmarks(), *dict_loaders(face=images(), landmarks=floats(N, 5, 2, high=16))


class DepthSILog(AdamModule):
    """Monocular depth with invalid pixels."""

    def __init__(self):
        super().__init__()
        self.net = UNet(3, 1)

    def training_step(self, batch, batch_idx):
        rgb, depth = batch["rgb"], batch["depth"]
        pred = F.softplus(self.net(rgb)) + 1e-3
        valid = depth > 0
        g = torch.log(pred[valid]) - torch.log(depth[valid])
        loss = torch.sqrt((g**2).mean() - 0.85 * g.mean() ** 2 + 1e-8)
        self.log("silog", loss)
        return loss

    validation_step = training_step


def make_depth():
    d = floats(N, 1, SIDE, SIDE, low=-2, high=10).clamp(min=0)
    return DepthSILog(), *dict_loaders(rgb=images(), depth=d)


class CrowdCount(AdamModule):
    def __init__(self):
        super().__init__()
        self.csrnet = nn.Sequential(UNet(3, 1), nn.ReLU())

    def training_step(self, batch, batch_idx):
        img, density, dots = batch
        out = self.csrnet(img)
        return F.mse_loss(out, density, reduction="sum") / len(img)

    def validation_step(self, batch, batch_idx):
        img, density, dots = batch
        self.log("mae", (self.csrnet(img).sum((1, 2, 3)) - dots).abs().mean())


def make_crowd():
    d = floats(N, 1, SIDE, SIDE) * (floats(N, 1, SIDE, SIDE, seed=9) > 0.9)
    return CrowdCount(), *tuple_loaders(images(), d, d.sum((1, 2, 3)))


class Heteroscedastic(AdamModule):
    """Mean and log variance as two outputs."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.mean, self.logvar = trunk(), nn.Linear(12, 1), nn.Linear(12, 1)

        def forward(self, x):
            f = self.body(x)
            return self.mean(f), self.logvar(f)

    def __init__(self):
        super().__init__()
        self.net = self.Net()

    def training_step(self, batch, batch_idx):
        mu, logvar = self.net(batch["im"])
        y = batch["biomass"][:, None]
        loss = (0.5 * torch.exp(-logvar) * (y - mu) ** 2 + 0.5 * logvar).mean()
        self.log("nll", loss)
        return loss

    validation_step = training_step


def make_hetero():
    x = images()
    return Heteroscedastic(), *dict_loaders(im=x, biomass=brightness(x))


class VisualOdometry(AdamModule):
    """Two frames -> relative pose, translation and rotation as two weighted parts of one tensor."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.c = cnn(6, cin=6)

        def forward(self, prev, cur):
            return self.c(torch.cat([prev, cur], 1))

    def __init__(self):
        super().__init__()
        self.pose_net = self.Net()

    def training_step(self, batch, batch_idx):
        pose = self.pose_net(batch["prev"], batch["cur"])
        t, r = pose[:, :3], pose[:, 3:]
        lt = F.mse_loss(t, batch["pose"][:, :3])
        lr = F.mse_loss(r, batch["pose"][:, 3:])
        return lt + 100 * lr

    validation_step = training_step


def make_vo():
    return VisualOdometry(), *dict_loaders(prev=images(), cur=images(seed=20), pose=floats(N, 6, low=-1))


class QualityRow(NamedTuple):
    data: torch.Tensor
    image: torch.Tensor  # "image score", one number


class TargetCalledImage(AdamModule):
    """Photo quality. The pixels are .data and the number to be told is .image."""

    def __init__(self):
        super().__init__()
        self.nima = cnn(1)

    def training_step(self, batch, batch_idx):
        diff = self.nima(batch.data).view(-1) - batch.image
        loss = F.smooth_l1_loss(diff, torch.zeros_like(diff))
        self.log("loss", loss)
        return loss

    validation_step = training_step


def make_called_image():
    return TargetCalledImage(), *loaders(QualityRow, images(), floats(N, high=10))


class PoissonCount(AdamModule):
    """Cell counts 0..6: integer targets, Poisson NLL."""

    def __init__(self):
        super().__init__()
        self.counter = cnn(1, cin=1)

    def training_step(self, batch, batch_idx):
        n_cells, micrograph = batch
        log_rate = self.counter(micrograph)[:, 0]
        return (log_rate.exp() - n_cells * log_rate).mean()

    def validation_step(self, batch, batch_idx):
        n_cells, micrograph = batch
        self.log("val_mae", (self.counter(micrograph)[:, 0].exp() - n_cells).abs().mean())


def make_poisson():
    return PoissonCount(), *tuple_loaders(ints(7), images(1))


class IntegerGradesMSE(AdamModule):
    """APTOS: grade 0..4 as a float regression with MSE, rounded in validation."""

    def __init__(self):
        super().__init__()
        self.model = cnn(1)

    def forward(self, x):
        return self.model(x).squeeze(1)

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.mse_loss(self(x), y.float())

    def validation_step(self, batch, batch_idx):
        x, y = batch
        pred = self(x)
        self.log("val_loss", F.mse_loss(pred, y.float()))
        self.log("val_acc", (pred.round().clamp(0, 4).long() == y).float().mean())


def make_aptos():
    return IntegerGradesMSE(), *tuple_loaders(images(), ints(5))


class DEX(AdamModule):
    """Expected age over 21 bins, L1 on the expectation only."""

    def __init__(self):
        super().__init__()
        self.net = cnn(21)
        self.register_buffer("bins", torch.arange(21).float())

    def training_step(self, batch, batch_idx):
        p = self.net(batch[0]).softmax(-1)
        return ((p * self.bins).sum(-1) - batch[1]).abs().mean()

    validation_step = training_step


def make_dex():
    return DEX(), *tuple_loaders(images(), floats(N, high=20))


class TTARegression(AdamModule):
    """Average of the prediction on the image and its mirror image, even in training."""

    def __init__(self):
        super().__init__()
        self.model = cnn(2)

    def training_step(self, batch, batch_idx):
        x = batch["pixels"]
        pred = (self.model(x) + self.model(x.flip(-1))) / 2
        return F.huber_loss(pred, torch.stack([batch["weight"], batch["height"]], 1))

    validation_step = training_step


def make_tta():
    return TTARegression(), *dict_loaders(pixels=images(), weight=floats(N), height=floats(N, seed=8))


CASES = {
    "age from faces, L1 with swapped arguments": (
        make_age,
        dict(task="regression", net="model", head="", target="batch['age']", image="batch['image']"),
    ),
    "pawpularity, BCE on score/100": (
        make_paw,
        dict(task="regression", net="swin", head="", target="batch[2]", image="batch[0]"),
    ),
    "two shares summing to one, MSE": (
        make_fractions,
        dict(task="regression", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "log-cosh, standardised nested target": (
        make_logcosh,
        dict(task="regression", net="regressor", head="", target="batch['target']['bone_age']", image="batch['xray']"),
    ),
    "three quantiles, pinball": (
        make_quantile,
        dict(task="regression", net="model", head="", target="batch[1]", image="batch[0]"),
    ),
    "landmarks, wing loss": (
        make_landmarks,
        dict(task="regression", net="pfld", head="", target="batch['landmarks']", image="batch['face']"),
    ),
    "depth, SILog on valid pixels": (
        make_depth,
        dict(task="regression", net="net", head="", target="batch['depth']", image="batch['rgb']"),
    ),
    "crowd counting by density map": (
        make_crowd,
        dict(task="regression", net="csrnet", head="", target="batch[1]", image="batch[0]"),
    ),
    "mean and log variance, gaussian NLL by hand": (
        make_hetero,
        dict(task="regression", net="net", head="[0]", target="batch['biomass']", image="batch['im']"),
    ),
    "visual odometry from two frames": (make_vo, dict(task="regression", net="pose_net", head="", target="batch['pose']")),
    "the number to tell is called image, namedtuple batch": (
        make_called_image,
        dict(task="regression", net="nima", head="", target="batch.image", image="batch.data"),
    ),
    "integer counts first, Poisson by hand": (
        make_poisson,
        dict(task="regression", net="counter", head="", target="batch[0]", image="batch[1]"),
    ),
    "grades 0..4 by MSE, rounded in validation": (
        make_aptos,
        dict(task="regression", net="", head="", target="batch[1]", image="batch[0]"),
    ),
    "DEX expected age over bins": (
        make_dex,
        dict(task=("regression", "multiclass", "ordinal"), net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "two numbers, mirrored average, huber": (make_tta, dict(task="regression", net="model", head="", image="batch['pixels']")),
}
