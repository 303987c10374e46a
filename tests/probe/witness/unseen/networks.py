"""Classification in networks, batches and steps of many shapes."""

import copy
from collections import namedtuple
from dataclasses import dataclass

import pytorch_lightning as pl
import torchmetrics

from .parts import *

GoogLeNetOutputs = namedtuple("GoogLeNetOutputs", ["logits", "aux_logits2", "aux_logits1"])


class GoogLeNetLike(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.a, self.b = conv(3, 8, 2), conv(8, 12, 2)
        self.aux1, self.aux2, self.fc = nn.Linear(8, k), nn.Linear(12, k), nn.Linear(12, k)

    def forward(self, x):
        u = self.a(x)
        v = self.b(u)
        logits = self.fc(F.dropout(v.mean((2, 3)), 0.2, self.training))
        if self.training:
            return GoogLeNetOutputs(logits, self.aux2(v.amax((2, 3))), self.aux1(u.mean((2, 3))))
        return logits


class GoogLeNet(AdamModule):
    """Three outputs in training, a bare tensor in evaluation."""

    def __init__(self):
        super().__init__()
        self.googlenet = GoogLeNetLike(6)

    def training_step(self, batch, batch_idx):
        x, y = batch
        o = self.googlenet(x)
        return F.cross_entropy(o.logits, y) + 0.3 * (F.cross_entropy(o.aux_logits1, y) + F.cross_entropy(o.aux_logits2, y))

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val", F.cross_entropy(self.googlenet(x), y))


def make_googlenet():
    return GoogLeNet(), *tuple_loaders(images(), ints(6))


class LossAndLogits(nn.Module):
    """pytorch_pretrained style: (loss, logits) when labels are given, (logits,) otherwise."""

    def __init__(self, k):
        super().__init__()
        self.vit, self.classifier, self.k = trunk(), nn.Linear(12, k), k

    def forward(self, pixel_values, labels=None):
        logits = self.classifier(self.vit(pixel_values))
        outputs = (logits,)
        if labels is not None:
            outputs = (nn.CrossEntropyLoss()(logits.view(-1, self.k), labels.view(-1)),) + outputs
        return outputs


class ViTOld(AdamModule):
    def __init__(self):
        super().__init__()
        self.model = LossAndLogits(4)

    def training_step(self, batch, batch_idx):
        loss, logits = self.model(**batch)
        self.log("acc", (logits.argmax(-1) == batch["labels"]).float().mean())
        return loss

    validation_step = training_step


def make_vit_old():
    return ViTOld(), *dict_loaders(pixel_values=images(), labels=ints(4))


@dataclass
class ClassifierOutput:
    logits: torch.Tensor
    hidden: torch.Tensor
    loss: torch.Tensor | None = None


class DataclassNet(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.body, self.head, self.criterion = trunk(), nn.Linear(12, k), nn.CrossEntropyLoss(label_smoothing=0.1)

    def forward(self, image, target=None):
        h = self.body(image)
        z = self.head(h)
        return ClassifierOutput(z, h, None if target is None else self.criterion(z, target))


class DataclassModule(AdamModule):
    """Loss of the network's own criterion and an L2 penalty on features."""

    def __init__(self):
        super().__init__()
        self.network = DataclassNet(5)

    def training_step(self, batch, batch_idx):
        o = self.network(batch[0], target=batch[1])
        return o.loss + 1e-3 * F.mse_loss(o.hidden, torch.zeros_like(o.hidden))

    validation_step = training_step


def make_dataclass():
    return DataclassModule(), *tuple_loaders(images(), ints(5))


class MultiView(AdamModule):
    """Four views of one object, logits averaged over views (MVCNN)."""

    def __init__(self):
        super().__init__()
        self.view_net = cnn(4)

    def training_step(self, batch, batch_idx):
        views, label = batch
        b, v = views.shape[:2]
        logits = self.view_net(views.reshape(b * v, *views.shape[2:])).view(b, v, -1).mean(1)
        return F.cross_entropy(logits, label)

    validation_step = training_step


def make_multiview():
    return MultiView(), *tuple_loaders(torch.stack([images(seed=s) for s in range(4)], 1), ints(4))


class Ensemble(AdamModule):
    """Three members, probabilities averaged, NLL of the mean."""

    def __init__(self):
        super().__init__()
        self.members = nn.ModuleList([cnn(3) for _ in range(3)])

    def training_step(self, batch, batch_idx):
        x, y = batch["x"], batch["y"]
        prob = torch.stack([m(x).softmax(1) for m in self.members]).mean(0)
        return F.nll_loss(torch.log(prob + 1e-8), y)

    validation_step = training_step


def make_ensemble():
    return Ensemble(), *dict_loaders(x=images(), y=ints(3))


class TemperatureScaling(pl.LightningModule):
    """The network is frozen and only one number is learnt (by LBFGS)."""

    def __init__(self):
        super().__init__()
        self.model = cnn(5).requires_grad_(False)
        self.temperature = nn.Parameter(torch.tensor(1.5))

    def training_step(self, batch, batch_idx):
        x, y = batch
        self.model.eval()
        with torch.no_grad():
            logits = self.model(x)
        return F.cross_entropy(logits / self.temperature, y)

    def configure_optimizers(self):
        return torch.optim.LBFGS([self.temperature], lr=0.05, max_iter=5)


def make_temperature():
    return TemperatureScaling(), *tuple_loaders(images(), ints(5), val=False)


class Hierarchical(AdamModule):
    """Coarse and fine CE heads in a ModuleDict."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = trunk()
            self.heads = nn.ModuleDict({"coarse": nn.Linear(12, 3), "fine": nn.Linear(12, 9)})

        def forward(self, x):
            f = self.body(x)
            return {k: h(f) for k, h in self.heads.items()}

    def __init__(self):
        super().__init__()
        self.net = self.Net()

    def training_step(self, batch, batch_idx):
        out = self.net(batch["image"])
        losses = {k: F.cross_entropy(out[k], batch["labels"][k]) for k in ("coarse", "fine")}
        self.log_dict(losses)
        return 0.3 * losses["coarse"] + 0.7 * losses["fine"]

    validation_step = training_step


def make_hier():
    fine = ints(9)
    return Hierarchical(), *loaders(lambda x, c, f: {"image": x, "labels": {"coarse": c, "fine": f}}, images(), fine // 3, fine)


class FixMatch(AdamModule):
    """Labelled, weakly and strongly changed unlabelled images; pseudo labels over a threshold."""

    def __init__(self):
        super().__init__()
        self.wrn = cnn(4)

    def training_step(self, batch, batch_idx):
        x, y, weak, strong = batch["x"], batch["y"], batch["u_w"], batch["u_s"]
        lx, lw, ls = self.wrn(torch.cat([x, weak, strong])).chunk(3)
        conf, pseudo = lw.detach().softmax(-1).max(-1)
        lu = (F.cross_entropy(ls, pseudo, reduction="none") * (conf > 0.26)).mean()
        return F.cross_entropy(lx, y) + lu

    def validation_step(self, batch, batch_idx):
        self.log("val", F.cross_entropy(self.wrn(batch["x"]), batch["y"]))


def make_fixmatch():
    u = images(seed=5)
    return FixMatch(), *dict_loaders(x=images(), y=ints(4), u_w=u, u_s=(u * 1.5).clamp(0, 1).flip(-1))


class MeanTeacher(AdamModule):
    """Labels of -1 mean unlabelled; consistency MSE with the EMA teacher."""

    def __init__(self):
        super().__init__()
        self.student = cnn(5)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)

    def training_step(self, batch, batch_idx):
        x, y = batch
        s = self.student(x)
        with torch.no_grad():
            t = self.teacher(x + 0.05 * torch.randn_like(x))
        loss = F.cross_entropy(s, y, ignore_index=-1) + 3 * F.mse_loss(s.softmax(1), t.softmax(1))
        return loss

    def optimizer_step(self, *args, **kwargs):
        super().optimizer_step(*args, **kwargs)
        with torch.no_grad():
            for a, b in zip(self.teacher.state_dict().values(), self.student.state_dict().values()):
                a.copy_(0.99 * a + 0.01 * b) if a.is_floating_point() else a.copy_(b)

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_acc", (self.teacher(x).argmax(1) == y).float().mean())


def make_mean_teacher():
    y = ints(5)
    y[1::4] = -1
    return MeanTeacher(), *tuple_loaders(images(), y)


class SAM(pl.LightningModule):
    """Sharpness-aware minimisation: two passes of the network per step."""

    def __init__(self):
        super().__init__()
        self.net = cnn(4)
        self.automatic_optimization = False

    def compute_loss(self, batch):
        x, y = batch
        return F.cross_entropy(self.net(x), y)

    def training_step(self, batch, batch_idx):
        opt = self.optimizers()
        self.manual_backward(self.compute_loss(batch))
        ps = [p for p in self.net.parameters() if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in ps]).norm() + 1e-12
        es = [p.grad * 0.05 / norm for p in ps]
        with torch.no_grad():
            for p, e in zip(ps, es):
                p.add_(e)
        opt.zero_grad()
        self.manual_backward(self.compute_loss(batch))
        with torch.no_grad():
            for p, e in zip(ps, es):
                p.sub_(e)
        opt.step()
        opt.zero_grad()

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.compute_loss(batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.05)


def make_sam():
    return SAM(), *tuple_loaders(images(), ints(4))


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, a):
        ctx.a = a
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -ctx.a * g, None


class DANN(AdamModule):
    """Source labels plus a domain discriminator on features of both domains."""

    def __init__(self):
        super().__init__()
        self.features, self.label_head, self.domain_head = trunk(), nn.Linear(12, 6), nn.Linear(12, 1)

    def training_step(self, batch, batch_idx):
        xs, ys, xt = batch["source"], batch["source_y"], batch["target"]
        fs, ft = self.features(xs), self.features(xt)
        cls = F.cross_entropy(self.label_head(fs), ys)
        d = self.domain_head(Reverse.apply(torch.cat([fs, ft]), 0.3)).squeeze(1)
        dom = F.binary_cross_entropy_with_logits(d, torch.cat([torch.ones(len(fs)), torch.zeros(len(ft))]).to(d))
        return cls + 0.1 * dom

    def validation_step(self, batch, batch_idx):
        self.log("acc", (self.label_head(self.features(batch["source"])).argmax(1) == batch["source_y"]).float().mean())


def make_dann():
    return DANN(), *dict_loaders(source=images(), source_y=ints(6), target=images(seed=9))


class TimmBCE(AdamModule):
    """ResNet strikes back: BCE over one-hot of an int label. Looks multilabel; it is one class per image."""

    def __init__(self):
        super().__init__()
        self.model = cnn(7)
        self.acc = torchmetrics.classification.MulticlassAccuracy(num_classes=7)

    def training_step(self, batch, batch_idx):
        x, y = batch
        off = 0.1 / 7
        t = torch.full((len(y), 7), off, device=y.device).scatter_(1, y[:, None], 0.9 + off)
        return F.binary_cross_entropy_with_logits(self.model(x), t)

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.acc(self.model(x), y)
        self.log("acc", self.acc)


def make_timm_bce():
    return TimmBCE(), *tuple_loaders(images(), ints(7))


CASES = {
    "GoogLeNet with two auxiliary outputs": (
        make_googlenet,
        dict(task="multiclass", net="googlenet", target="batch[1]", image="batch[0]"),
    ),
    "(loss, logits) from **batch": (
        make_vit_old,
        dict(task="multiclass", net="model", head="[1]", target="batch['labels']", image="batch['pixel_values']"),
    ),
    "dataclass output, criterion in forward, feature penalty": (
        make_dataclass,
        dict(task="multiclass", net="network", head=".logits", target="batch[1]", image="batch[0]"),
    ),
    "four views averaged": (
        make_multiview,
        dict(task="multiclass", net="view_net", head="", target="batch[1]", image="batch[0]"),
    ),
    "ensemble of three in a ModuleList": (
        make_ensemble,
        dict(task="multiclass", head="", target="batch['y']", image="batch['x']"),
    ),
    "temperature scaling of a frozen network, LBFGS": (
        make_temperature,
        dict(task="multiclass", net="model", head="", target="batch[1]", image="batch[0]"),
    ),
    "coarse and fine heads": (make_hier, dict(task="multiclass", net="net", image="batch['image']")),
    "FixMatch with chunks": (
        make_fixmatch,
        dict(task="multiclass", net="wrn", head="", target="batch['y']", image="batch['x']"),
    ),
    "mean teacher, -1 is unlabelled": (
        make_mean_teacher,
        dict(task="multiclass", net="student", head="", target="batch[1]", image="batch[0]"),
    ),
    "SAM, two passes": (make_sam, dict(task="multiclass", net="net", head="", target="batch[1]", image="batch[0]")),
    "DANN, an image is called target": (
        make_dann,
        dict(task="multiclass", net="label_head", head="", target="batch['source_y']", image="batch['source']"),
    ),
    "BCE over smoothed one-hot of int labels": (
        make_timm_bce,
        dict(task="multiclass", net="model", head="", target="batch[1]", image="batch[0]"),
    ),
}
