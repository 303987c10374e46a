"""One class per image: losses by hand and odd ways of giving labels."""

import pytorch_lightning as pl
import torchmetrics

from .parts import *


# --- focal loss by hand, dict output -------------------------------------------------
class DictNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body, self.fc = trunk(), nn.Linear(12, classes)

    def forward(self, x):
        f = self.body(x)
        return {"features": f, "logits": self.fc(f)}


class Focal(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = DictNet(5)
        self.acc = torchmetrics.Accuracy(task="multiclass", num_classes=5)

    def focal(self, logits, target, gamma=2.0):
        ce = F.cross_entropy(logits, target, reduction="none")
        return ((1 - torch.exp(-ce)) ** gamma * ce).mean()

    def training_step(self, batch, batch_idx):
        out = self.model(batch["image"])
        loss = self.focal(out["logits"], batch["label"])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        out = self.model(batch["image"])
        self.acc(out["logits"].softmax(-1), batch["label"])
        self.log("val_acc", self.acc)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def make_focal():
    return Focal(), *dict_loaders(image=images(), label=ints(5))


# --- label smoothing by hand ---------------------------------------------------------
class Smooth(pl.LightningModule):
    def __init__(self, classes=4, eps=0.1):
        super().__init__()
        self.net, self.classes, self.eps = cnn(classes), classes, eps

    def forward(self, x):
        return self.net(x)

    def _step(self, batch, stage):
        x, y = batch
        logp = F.log_softmax(self(x), dim=1)
        with torch.no_grad():
            dist = torch.full_like(logp, self.eps / (self.classes - 1))
            dist.scatter_(1, y.unsqueeze(1), 1 - self.eps)
        loss = (-dist * logp).sum(1).mean()
        self.log(f"{stage}/loss", loss)
        return loss

    def training_step(self, batch, _):
        return self._step(batch, "train")

    def validation_step(self, batch, _):
        return self._step(batch, "val")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


def make_smooth():
    return Smooth(), *tuple_loaders(images(), ints(4))


# --- poly-1 loss as a module ---------------------------------------------------------
class PolyLoss(nn.Module):
    def __init__(self, epsilon=1.0):
        super().__init__()
        self.epsilon = epsilon

    def forward(self, logits, labels):
        onehot = F.one_hot(labels, logits.shape[1]).float()
        pt = (onehot * logits.softmax(-1)).sum(-1)
        return (F.cross_entropy(logits, labels, reduction="none") + self.epsilon * (1 - pt)).mean()


class Poly(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.backbone, self.classifier, self.criterion = trunk(), nn.Linear(12, 3), PolyLoss()

    def training_step(self, batch, batch_idx):
        imgs, labels, paths_id = batch
        preds = self.classifier(F.dropout(self.backbone(imgs), 0.1, self.training))
        return {"loss": self.criterion(preds, labels), "preds": preds.detach()}

    validation_step = training_step

    def configure_optimizers(self):
        return torch.optim.Adam(
            [{"params": self.backbone.parameters(), "lr": 1e-4}, {"params": self.classifier.parameters(), "lr": 1e-3}]
        )


def make_poly():
    return Poly(), *tuple_loaders(images(), ints(3), torch.arange(N))


# --- generalised cross entropy on probabilities --------------------------------------
class GCE(pl.LightningModule):
    def __init__(self, q=0.7):
        super().__init__()
        self.cnn, self.q = nn.Sequential(cnn(6), nn.Softmax(dim=1)), q

    def training_step(self, batch, batch_idx):
        img, noisy_label = batch["img"], batch["noisy"]
        p = self.cnn(img).gather(1, noisy_label.view(-1, 1)).squeeze(1).clamp(min=1e-6)
        loss = ((1 - p**self.q) / self.q).mean()
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        pred = self.cnn(batch["img"]).argmax(1)
        self.log("acc", (pred == batch["clean"]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


def make_gce():
    return GCE(), *dict_loaders(img=images(), noisy=ints(6, 5), clean=ints(6, 1))


# --- symmetric cross entropy ---------------------------------------------------------
def sce_loss(pred, labels, alpha=0.1, beta=1.0):
    ce = F.cross_entropy(pred, labels)
    p = F.softmax(pred, dim=1).clamp(1e-7, 1.0)
    one_hot = F.one_hot(labels, pred.size(1)).float().clamp(1e-4, 1.0)
    rce = -(p * one_hot.log()).sum(1)
    return alpha * ce + beta * rce.mean()


class SCE(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = cnn(4, cin=1)

    def training_step(self, batch, batch_idx):
        (x, meta), y = batch
        return sce_loss(self.model(x), y)

    def validation_step(self, batch, batch_idx):
        (x, meta), y = batch
        self.log("val_loss", sce_loss(self.model(x), y), prog_bar=True)

    def configure_optimizers(self):
        opt = torch.optim.SGD(self.parameters(), lr=0.01)
        return [opt], [torch.optim.lr_scheduler.StepLR(opt, 10)]


def make_sce():
    return SCE(), *loaders(lambda x, m, y: ((x, m), y), images(1), floats(N, 2), ints(4))


# --- mixup ----------------------------------------------------------------------------
class Mixup(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.encoder = cnn(10)
        self.loss_fn = nn.CrossEntropyLoss()

    def training_step(self, batch, batch_idx):
        x, y = batch
        lam = float(torch.distributions.Beta(0.4, 0.4).sample())
        perm = torch.randperm(len(x), device=x.device)
        logits = self.encoder(lam * x + (1 - lam) * x[perm])
        loss = lam * self.loss_fn(logits, y) + (1 - lam) * self.loss_fn(logits, y[perm])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_loss", self.loss_fn(self.encoder(x), y))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-3)


def make_mixup():
    return Mixup(), *tuple_loaders(images(), ints(10))


# --- cutmix, soft targets -------------------------------------------------------------
class CutMix(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = cnn(5)

    @staticmethod
    def cutmix(x, t):
        idx = torch.randperm(len(x))
        h = int(torch.randint(2, 12, ()))
        x = x.clone()
        x[:, :, :h, :h] = x[idx][:, :, :h, :h]
        lam = 1 - h * h / (x.shape[-1] * x.shape[-2])
        return x, lam * t + (1 - lam) * t[idx]

    def training_step(self, batch, batch_idx):
        x, y = batch["x"], F.one_hot(batch["y"], 5).float()
        x, soft = self.cutmix(x, y)
        out = self.model(x)
        return torch.sum(-soft * F.log_softmax(out, dim=-1), dim=-1).mean()

    def validation_step(self, batch, batch_idx):
        out = self.model(batch["x"])
        self.log_dict({"val_loss": F.cross_entropy(out, batch["y"]), "val_acc": (out.argmax(-1) == batch["y"]).float().mean()})

    def configure_optimizers(self):
        return torch.optim.RMSprop(self.parameters(), 1e-3)


def make_cutmix():
    return CutMix(), *dict_loaders(x=images(), y=ints(5))


# --- distillation with labels ----------------------------------------------------------
class Distill(pl.LightningModule):
    def __init__(self, T=4.0, alpha=0.7):
        super().__init__()
        self.teacher, self.student = cnn(7, width=24), cnn(7)
        self.teacher.requires_grad_(False)
        self.T, self.alpha = T, alpha

    def training_step(self, batch, batch_idx):
        x, y = batch
        self.teacher.eval()
        with torch.no_grad():
            t = self.teacher(x)
        s = self.student(x)
        kd = F.kl_div(F.log_softmax(s / self.T, 1), F.softmax(t / self.T, 1), reduction="batchmean") * self.T**2
        loss = self.alpha * kd + (1 - self.alpha) * F.cross_entropy(s, y)
        self.log("loss", loss)
        return loss

    validation_step = training_step

    def configure_optimizers(self):
        return torch.optim.Adam(self.student.parameters(), 1e-3)


def make_distill():
    return Distill(), *tuple_loaders(images(), ints(7))


# --- center loss + CE -------------------------------------------------------------------
class CenterLoss(nn.Module):
    def __init__(self, classes, dim):
        super().__init__()
        self.centers = nn.Parameter(torch.randn(classes, dim))

    def forward(self, feats, labels):
        return ((feats - self.centers[labels]) ** 2).sum(1).mean() / 2


class FeatNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.fc = trunk(), nn.Linear(12, 4)

    def forward(self, x):
        f = self.body(x)
        return f, self.fc(f)


class CenterCE(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net, self.center = FeatNet(), CenterLoss(4, 12)
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        x, y = batch
        opt, opt_c = self.optimizers()
        feats, logits = self.net(x)
        loss = F.cross_entropy(logits, y) + 0.01 * self.center(feats, y)
        opt.zero_grad()
        opt_c.zero_grad()
        self.manual_backward(loss)
        opt.step()
        opt_c.step()
        self.log("loss", loss)

    def validation_step(self, batch, batch_idx):
        x, y = batch
        _, logits = self.net(x)
        self.log("val", F.cross_entropy(logits, y))

    def configure_optimizers(self):
        return (torch.optim.Adam(self.net.parameters()), torch.optim.SGD(self.center.parameters(), 0.5))


def make_center():
    return CenterCE(), *tuple_loaders(images(), ints(4))


# --- labels first, one-hot, MSE ----------------------------------------------------------
class OneHotMSE(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.classifier = cnn(6)

    def training_step(self, batch, batch_idx):
        onehot, x = batch  # labels come first here
        loss = F.mse_loss(self.classifier(x).softmax(1), onehot)
        self.log("mse", loss)
        return loss

    validation_step = training_step

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


def make_onehot_mse():
    return OneHotMSE(), *tuple_loaders(F.one_hot(ints(6), 6).float(), images())


# --- nll of log-softmax, index by hand -----------------------------------------------------
class LogProbIndex(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(cnn(2), nn.LogSoftmax(dim=-1))
        self.register_buffer("class_weight", torch.tensor([0.3, 1.7]))

    def training_step(self, batch, batch_idx):
        image, is_sick = batch["scan"]["pixels"], batch["scan"]["sick"]
        logp = self.net(image)
        picked = logp[torch.arange(len(logp)), is_sick]
        w = self.class_weight[is_sick]
        return -(w * picked).sum() / w.sum()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


def make_logprob_index():
    return LogProbIndex(), *loaders(
        lambda x, y: {"scan": {"pixels": x, "sick": y}}, images(1).expand(-1, 3, -1, -1), ints(2), val=False
    )


# --- evidential (Dirichlet) ------------------------------------------------------------------
class Evidential(pl.LightningModule):
    def __init__(self, K=4):
        super().__init__()
        self.model, self.K = cnn(K), K

    def training_step(self, batch, batch_idx):
        img, target = batch
        y = F.one_hot(target, self.K).float()
        alpha = F.softplus(self.model(img)) + 1
        S = alpha.sum(1, keepdim=True)
        p = alpha / S
        err = ((y - p) ** 2).sum(1)
        var = (p * (1 - p) / (S + 1)).sum(1)
        loss = (err + var).mean()
        self.log("loss", loss)
        return loss

    validation_step = training_step

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


def make_evidential():
    return Evidential(), *tuple_loaders(images(), ints(4))


CASES = {
    "focal by hand, dict output": (
        make_focal,
        dict(task="multiclass", net="model", head="['logits']", target="batch['label']", image="batch['image']"),
    ),
    "label smoothing by hand": (make_smooth, dict(task="multiclass", net="", head="", target="batch[1]", image="batch[0]")),
    "poly loss, backbone then classifier": (
        make_poly,
        dict(task="multiclass", net="classifier", head="", target="batch[1]", image="batch[0]"),
    ),
    "generalised CE on softmax output, noisy labels": (
        make_gce,
        dict(task="multiclass", net="cnn", head="", target="batch['noisy']", image="batch['img']"),
    ),
    "symmetric CE, nested tuple batch": (
        make_sce,
        dict(task="multiclass", net="model", head="", target="batch[1]", image="batch[0][0]"),
    ),
    "mixup, ten classes": (make_mixup, dict(task="multiclass", net="encoder", head="", target="batch[1]", image="batch[0]")),
    "cutmix, soft CE by hand": (
        make_cutmix,
        dict(task="multiclass", net="model", head="", target="batch['y']", image="batch['x']"),
    ),
    "distillation with labels": (
        make_distill,
        dict(task="multiclass", net="student", head="", target="batch[1]", image="batch[0]"),
    ),
    "center loss + CE, manual optimization": (
        make_center,
        dict(task="multiclass", net="net", head="[1]", target="batch[1]", image="batch[0]"),
    ),
    "one-hot labels first, MSE of softmax": (
        make_onehot_mse,
        dict(task="multiclass", net="classifier", head="", target="batch[0]", image="batch[1]"),
    ),
    "two log-softmax outputs, indexed by hand with class weights": (
        make_logprob_index,
        dict(task="multiclass", net="net", head="", target="batch['scan']['sick']", image="batch['scan']['pixels']"),
    ),
    "evidential deep learning": (
        make_evidential,
        dict(task="multiclass", net="model", head="", target="batch[1]", image="batch[0]"),
    ),
}
