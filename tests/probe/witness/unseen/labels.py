"""Binary, multilabel, ordinal."""

import pytorch_lightning as pl
import torchmetrics

from .parts import *


class Adam(pl.LightningModule):
    """Only the optimizer, which is the same below."""

    def configure_optimizers(self):
        return torch.optim.Adam([p for p in self.parameters() if p.requires_grad], 1e-3)


# ======================= binary =======================
class BCEPos(Adam):
    def __init__(self):
        super().__init__()
        self.model = cnn(1)
        self.criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0]))
        self.auc = torchmetrics.AUROC(task="binary")

    def forward(self, x):
        return self.model(x)

    def training_step(self, batch, batch_idx):
        x, y = batch["image"], batch["target"]
        loss = self.criterion(self(x), y.float().unsqueeze(1))
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch["image"], batch["target"]
        logit = self(x)
        self.auc.update(logit.sigmoid().squeeze(1), y)
        self.log("val_loss", self.criterion(logit, y.float().unsqueeze(1)))

    def on_validation_epoch_end(self):
        self.log("val_auc", self.auc.compute())
        self.auc.reset()


def make_bce_pos():
    return BCEPos(), *dict_loaders(image=images(), target=ints(2))


class Hinge(Adam):
    """SVM-like: labels 0/1 become -1/+1."""

    def __init__(self):
        super().__init__()
        self.scorer = cnn(1)

    def training_step(self, batch, batch_idx):
        x, y = batch
        score = self.scorer(x)[:, 0]
        sign = 2 * y.float() - 1
        loss = F.relu(1 - sign * score).mean()
        self.log("hinge", loss)
        return loss

    validation_step = training_step


def make_hinge():
    return Hinge(), *tuple_loaders(images(), ints(2))


class ImageAndMeta(nn.Module):
    def __init__(self):
        super().__init__()
        self.img, self.tab = trunk(), nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        self.out = nn.Linear(20, 1)

    def forward(self, image, meta):
        return self.out(torch.cat([self.img(image), self.tab(meta)], 1)).squeeze(-1)


class MelanomaFocal(Adam):
    """SIIM-ISIC like: image + metadata, sigmoid focal by hand; meta[:, 0] is sex in 0/1, which looks like a label."""

    def __init__(self):
        super().__init__()
        self.net = ImageAndMeta()

    def training_step(self, batch, batch_idx):
        (image, meta), target = batch
        z = self.net(image=image, meta=meta)
        p = torch.sigmoid(z)
        pt = torch.where(target > 0.5, p, 1 - p).clamp(1e-6, 1)
        at = torch.where(target > 0.5, 0.75, 0.25)
        return (-at * (1 - pt) ** 2 * pt.log()).mean()

    validation_step = training_step


def make_melanoma():
    meta = floats(N, 4)
    meta[:, 0] = ints(2, 9).float()
    return MelanomaFocal(), *loaders(lambda x, m, y: ((x, m), y), images(), meta, ints(2).float())


class ProbBCEByHand(Adam):
    """Deepfake detection: a video clip, per-frame CNN, LSTM, a probability at the end."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cnn, self.rnn, self.fc = trunk(), nn.LSTM(12, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, clip):
            b, t = clip.shape[:2]
            h, _ = self.rnn(self.cnn(clip.flatten(0, 1)).view(b, t, -1))
            return torch.sigmoid(self.fc(h[:, -1]))

    def __init__(self):
        super().__init__()
        self.detector = self.Net()

    def training_step(self, batch, batch_idx):
        p = self.detector(batch["frames"]).clamp(1e-5, 1 - 1e-5)
        y = batch["fake"].view(-1, 1).to(p.dtype)
        return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()

    def validation_step(self, batch, batch_idx):
        p = self.detector(batch["frames"]).squeeze(1)
        self.log("acc", ((p > 0.5).long() == batch["fake"]).float().mean())


def make_deepfake():
    clips = torch.stack([images(seed=s) for s in range(3)], 1)
    return ProbBCEByHand(), *dict_loaders(frames=clips, fake=ints(2))


class MoreThanOne(Adam):
    """softplus form of BCE, label stored as int column 2 of an info tensor."""

    def __init__(self):
        super().__init__()
        self.feature_extractor = trunk(1)
        self.feature_extractor.requires_grad_(False)
        self.head = nn.Linear(12, 1)

    def training_step(self, batch, batch_idx):
        x, info = batch["image"], batch["info"]
        with torch.no_grad():
            feats = self.feature_extractor(x)
        logit = self.head(feats).flatten()
        y = info["malignant"].float()
        loss = (F.softplus(logit) - y * logit).mean()
        self.log("train_loss", loss)
        return {"loss": loss}

    validation_step = training_step


def make_softplus():
    return MoreThanOne(), *loaders(
        lambda x, age, sex, mal: {"image": x, "info": {"age": age, "sex": sex, "malignant": mal}},
        images(1),
        ints(80, 11),
        ints(2, 12),
        ints(2, 13),
    )


# ======================= multilabel =======================
class ChestXray(Adam):
    """Missing findings are -1 and masked out."""

    def __init__(self):
        super().__init__()
        self.densenet = cnn(6, cin=1)

    def training_step(self, batch, batch_idx):
        x, y = batch["img"], batch["lab"]
        logits = self.densenet(x)
        known = (y >= 0).float()
        bce = F.binary_cross_entropy_with_logits(logits, y.clamp(min=0), reduction="none")
        loss = (bce * known).sum() / known.sum().clamp(min=1)
        self.log("loss", loss)
        return loss

    validation_step = training_step


def make_chest():
    y = bits(6)
    y[torch.rand(N, 6, generator=gen(8)) < 0.2] = -1
    return ChestXray(), *dict_loaders(img=images(1), lab=y)


class AsymmetricLoss(nn.Module):
    def __init__(self, gamma_neg=4, gamma_pos=1, clip=0.05):
        super().__init__()
        self.gn, self.gp, self.clip = gamma_neg, gamma_pos, clip

    def forward(self, x, y):
        xs_pos = torch.sigmoid(x)
        xs_neg = (1 - xs_pos + self.clip).clamp(max=1)
        los = y * torch.log(xs_pos.clamp(min=1e-8)) + (1 - y) * torch.log(xs_neg.clamp(min=1e-8))
        pt = xs_pos * y + xs_neg * (1 - y)
        w = torch.pow(1 - pt, self.gp * y + self.gn * (1 - y))
        return -(los * w).sum()


class ASL(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.model, self.loss = cnn(8), AsymmetricLoss()
        self.f1 = torchmetrics.F1Score(task="multilabel", num_labels=8)

    def training_step(self, batch, batch_idx):
        image, target = batch
        return self.loss(self.model(image).float(), target)

    def validation_step(self, batch, batch_idx):
        image, target = batch
        self.f1(torch.sigmoid(self.model(image)), target.int())
        self.log("f1", self.f1)

    def configure_optimizers(self):
        opt = torch.optim.Adam(self.parameters(), 1e-3)
        return {
            "optimizer": opt,
            "lr_scheduler": {"scheduler": torch.optim.lr_scheduler.OneCycleLR(opt, 1e-3, total_steps=100), "interval": "step"},
        }


def make_asl():
    return ASL(), *tuple_loaders(images(), bits(8))


class SeparateBits(Adam):
    """CelebA: ModuleDict of one-logit heads, summed BCE against columns of ONE attribute tensor."""

    NAMES = ["smiling", "young", "glasses"]

    class Net(nn.Module):
        def __init__(self, names):
            super().__init__()
            self.body = trunk()
            self.fc = nn.Linear(12, len(names))

        def forward(self, x):
            return (self.fc(self.body(x)),)

    def __init__(self):
        super().__init__()
        self.net = self.Net(self.NAMES)

    def training_step(self, batch, batch_idx):
        face, attrs = batch
        z = self.net(face)[0]
        total = 0
        for j, name in enumerate(self.NAMES):
            l = F.binary_cross_entropy_with_logits(z[:, j], attrs[:, j].float())
            self.log(f"loss_{name}", l)
            total = total + l
        return total

    validation_step = training_step


def make_celeba():
    return SeparateBits(), *tuple_loaders(images(), bits(3).long())


class SoftMarginTags(Adam):
    """Satellite tags, channels-last uint8 normalised in the step."""

    def __init__(self):
        super().__init__()
        self.net = cnn(5)
        self.register_buffer("mean", torch.tensor([0.4, 0.4, 0.4]).view(1, 3, 1, 1))

    def forward(self, x):
        x = x.permute(0, 3, 1, 2).float() / 255
        return self.net(x - self.mean)

    def training_step(self, batch, batch_idx):
        loss = F.multilabel_soft_margin_loss(self.forward(batch["tile"]), batch["tags"])
        self.log("loss", loss)
        return loss

    validation_step = training_step


def make_tags():
    tiles = (images() * 255).byte().permute(0, 2, 3, 1).contiguous()
    return SoftMarginTags(), *dict_loaders(tile=tiles, tags=bits(5))


# ======================= ordinal =======================
class Coral(nn.Module):
    def __init__(self, grades=5):
        super().__init__()
        self.body, self.w = trunk(), nn.Linear(12, 1, bias=False)
        self.b = nn.Parameter(torch.linspace(1, -1, grades - 1))

    def forward(self, x):
        return self.w(self.body(x)) + self.b


class CoralModule(Adam):
    def __init__(self, grades=5):
        super().__init__()
        self.model, self.grades = Coral(grades), grades

    def training_step(self, batch, batch_idx):
        x, grade = batch
        logits = self.model(x)
        levels = (grade[:, None] > torch.arange(self.grades - 1, device=grade.device)).float()
        loss = -(F.logsigmoid(logits) * levels + (F.logsigmoid(logits) - logits) * (1 - levels)).sum(1).mean()
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, grade = batch
        pred = (self.model(x).sigmoid() > 0.5).sum(1)
        self.log("mae", (pred - grade).abs().float().mean())


def make_coral():
    return CoralModule(), *tuple_loaders(images(), ints(5))


class PandaBins(Adam):
    """Kaggle PANDA: the dataset already gives cumulative bins [1,1,0,0,0]; plain BCE."""

    def __init__(self):
        super().__init__()
        self.enet = cnn(5)

    def training_step(self, batch, batch_idx):
        return F.binary_cross_entropy_with_logits(self.enet(batch["tiles"]), batch["isup_bins"])

    validation_step = training_step


def make_panda():
    g = ints(6)
    return PandaBins(), *dict_loaders(tiles=images(), isup_bins=(torch.arange(5) < g[:, None]).float(), isup=g)


class Corn(Adam):
    """CORN: conditional subsets."""

    def __init__(self):
        super().__init__()
        self.net, self.K = cnn(3), 4

    def forward(self, x):
        return self.net(x)

    def corn_loss(self, logits, y):
        losses, n = 0.0, 0
        for i in range(self.K - 1):
            keep = y > i - 1
            if not keep.any():
                continue
            t = (y[keep] > i).to(logits.dtype)
            p = logits[keep, i]
            losses = losses - (F.logsigmoid(p) * t + (F.logsigmoid(p) - p) * (1 - t)).sum()
            n += len(t)
        return losses / n

    def training_step(self, batch, batch_idx):
        loss = self.corn_loss(self(batch["image"]), batch["severity"])
        self.log("loss", loss)
        return loss

    validation_step = training_step


def make_corn():
    return Corn(), *dict_loaders(image=images(), severity=ints(4))


class CumulativeLink(Adam):
    """Proportional odds: one score, learnt cut points in the LightningModule, NLL of the grade."""

    def __init__(self):
        super().__init__()
        self.scorer = cnn(1)
        self.cuts = nn.Parameter(torch.tensor([-1.0, 0.0, 1.0]))

    def training_step(self, batch, batch_idx):
        x, y = batch
        cum = torch.sigmoid(self.cuts - self.scorer(x))  # P(y <= k)
        cum = torch.cat([torch.zeros_like(cum[:, :1]), cum, torch.ones_like(cum[:, :1])], 1)
        p = (cum[:, 1:] - cum[:, :-1]).gather(1, y[:, None]).clamp(min=1e-6)
        return -p.log().mean()

    validation_step = training_step


def make_cumlink():
    return CumulativeLink(), *tuple_loaders(images(), ints(4))


CASES = {
    "BCE with pos_weight through forward": (
        make_bce_pos,
        dict(task="binary", net="", head="", target="batch['target']", image="batch['image']"),
    ),
    "hinge loss on +-1 made of 0/1": (
        make_hinge,
        dict(task="binary", net="scorer", head="", target="batch[1]", image="batch[0]"),
    ),
    "melanoma image+meta kwargs, sigmoid focal": (
        make_melanoma,
        dict(task="binary", net="net", head="", target="batch[1]", image="batch[0][0]"),
    ),
    "deepfake clips, CNN+LSTM, BCE by hand": (
        make_deepfake,
        dict(task="binary", net="detector", head="", target="batch['fake']", image="batch['frames']"),
    ),
    "frozen features, softplus BCE, nested labels": (
        make_softplus,
        dict(task="binary", net="head", head="", target="batch['info']['malignant']", image="batch['image']"),
    ),
    "chest x-ray with missing labels masked": (
        make_chest,
        dict(task="multilabel", net="densenet", head="", target="batch['lab']", image="batch['img']"),
    ),
    "asymmetric loss, eight labels": (
        make_asl,
        dict(task="multilabel", net="model", head="", target="batch[1]", image="batch[0]"),
    ),
    "attributes column by column, tuple output": (
        make_celeba,
        dict(task="multilabel", net="net", head="[0]", target="batch[1]", image="batch[0]"),
    ),
    "satellite tags, uint8 channels-last, soft margin": (
        make_tags,
        dict(task="multilabel", net="", head="", target="batch['tags']", image="batch['tile']"),
    ),
    "CORAL by hand": (make_coral, dict(task="ordinal", net="model", head="", target="batch[1]", image="batch[0]")),
    "PANDA cumulative bins from the dataset, plain BCE": (
        make_panda,
        dict(task=("ordinal", "multilabel"), net="enet", head="", target="batch['isup_bins']", image="batch['tiles']"),
    ),
    "CORN conditional subsets": (
        make_corn,
        dict(task="ordinal", net="", head="", target="batch['severity']", image="batch['image']"),
    ),
    "proportional odds with learnt cuts": (
        make_cumlink,
        dict(task="ordinal", net="scorer", head="", target="batch[1]", image="batch[0]"),
    ),
}
