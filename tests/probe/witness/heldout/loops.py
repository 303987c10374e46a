"""Unusual loops: manual steps, two networks, several passes, precision, ensembles."""

import contextlib

from .parts import *


class SAM(pl.LightningModule):
    """Two passes per step around a sharpened point."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.net = classifier(5)

    def training_step(self, batch, _):
        x, y = batch
        opt = self.optimizers()
        loss = F.cross_entropy(self.net(x), y)
        self.manual_backward(loss)
        moved = []
        with torch.no_grad():
            norm = torch.stack([p.grad.norm() for p in self.net.parameters()]).norm() + 1e-12
            for p in self.net.parameters():
                e = 0.05 * p.grad / norm
                p.add_(e)
                moved.append((p, e))
        opt.zero_grad()
        self.manual_backward(F.cross_entropy(self.net(x), y))
        with torch.no_grad():
            for p, e in moved:
                p.sub_(e)
        opt.step()
        opt.zero_grad()

    def validation_step(self, batch, _):
        x, y = batch
        self.log("val_acc", (self.net(x).argmax(1) == y).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


def make_sam():
    return SAM(), *tuples(pixels(), classes(5))


class Bfloat(Lit):
    """Autocast and channels last by hand."""

    def __init__(self):
        super().__init__()
        self.net = classifier(6).to(memory_format=torch.channels_last)

    def training_step(self, batch, _):
        x = batch["image"].to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = self.net(x)
        return F.cross_entropy(z.float(), batch["y"])

    validation_step = training_step


def make_bfloat():
    return Bfloat(), *dicts(image=pixels(), y=classes(6))


class Ensemble(Lit):
    """Three networks, their probabilities are averaged."""

    def __init__(self):
        super().__init__()
        self.members = nn.ModuleList([classifier(4) for _ in range(3)])

    def forward(self, x):
        return torch.stack([m(x).softmax(-1) for m in self.members]).mean(0)

    def training_step(self, batch, _):
        x, y = batch
        return F.nll_loss(self(x).clamp_min(1e-7).log(), y)

    validation_step = training_step


def make_ensemble():
    return Ensemble(), *tuples(pixels(), classes(4))


class FlipAverage(Lit):
    """Test-time averaging in validation."""

    def __init__(self):
        super().__init__()
        self.net = classifier(5)

    def training_step(self, batch, _):
        x, y = batch
        return F.cross_entropy(self.net(x), y)

    def validation_step(self, batch, _):
        x, y = batch
        logits = (self.net(x) + self.net(torch.flip(x, [-1]))) / 2
        self.log("loss", F.cross_entropy(logits, y))


def make_flip():
    return FlipAverage(), *tuples(pixels(), classes(5))


class Chunks(pl.LightningModule):
    """Gradient accumulation over halves of the batch, clipping by hand."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.model = classifier(3)

    def training_step(self, batch, _):
        opt = self.optimizers()
        opt.zero_grad()
        for xs, ys in zip(batch["pixels"].chunk(2), batch["labels"].chunk(2)):
            loss = F.cross_entropy(self.model(xs), ys) / 2
            self.manual_backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        opt.step()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


def make_chunks():
    return Chunks(), *dicts(pixels=pixels(), labels=classes(3), val=False)


class ConfusionMatrix(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.k = k
        self.register_buffer("m", torch.zeros(k, k))

    def forward(self, preds, target):
        preds = preds.argmax(1) if preds.ndim > 1 else preds
        self.m += torch.bincount(target * self.k + preds, minlength=self.k**2).view(self.k, self.k)
        return self.m.diag().sum() / self.m.sum()


class SharedStep(Lit):
    """_shared_step returns everything, metrics as modules in a dictionary."""

    def __init__(self, k=5):
        super().__init__()
        self.model, self.head = backbone(), nn.Sequential(nn.Dropout(0.2), nn.Linear(10, k))
        self.metrics = nn.ModuleDict({s: ConfusionMatrix(k) for s in ("trainx", "val")})
        self.criterion = {"main": nn.CrossEntropyLoss(), "reg": lambda z: 1e-3 * z.pow(2).mean()}

    def forward(self, x):
        return self.head(self.model(x))

    def _shared_step(self, batch, stage):
        x, y = batch["image"], batch["label"].long()
        logits = self.forward(x)
        loss = self.criterion["main"](logits, y) + self.criterion["reg"](logits)
        acc = self.metrics[stage](logits.detach(), y)
        self.log_dict({f"{stage}/loss": loss, f"{stage}/acc": acc})
        return {"loss": loss, "preds": logits.argmax(1), "targets": y}

    def training_step(self, batch, _):
        return self._shared_step(batch, "trainx")

    def validation_step(self, batch, _):
        return self._shared_step(batch, "val")


def make_shared():
    return SharedStep(), *dicts(image=pixels(), label=classes(5))


class CoTeaching(Lit):
    """Each network learns from what the other finds easy."""

    def __init__(self):
        super().__init__()
        self.net1, self.net2 = classifier(4), classifier(4)

    def training_step(self, batch, _):
        x, y = batch
        o1, o2 = self.net1(x), self.net2(x)
        l1, l2 = F.cross_entropy(o1, y, reduction="none"), F.cross_entropy(o2, y, reduction="none")
        keep = int(0.7 * len(y))
        i1, i2 = l1.argsort()[:keep], l2.argsort()[:keep]
        return F.cross_entropy(o1[i2], y[i2]) + F.cross_entropy(o2[i1], y[i1])

    def validation_step(self, batch, _):
        x, y = batch
        self.log("a", (self.net1(x).argmax(1) == y).float().mean())


def make_coteaching():
    return CoTeaching(), *tuples(pixels(), classes(4))


class FGSM(Lit):
    """Adversarial training: the gradient of the image within the step."""

    def __init__(self):
        super().__init__()
        self.net = classifier(5)

    def training_step(self, batch, _):
        x, y = batch
        with torch.enable_grad():
            d = torch.zeros_like(x).uniform_(-0.03, 0.03).requires_grad_()
            grad = torch.autograd.grad(F.cross_entropy(self.net(x + d), y), d)[0]
        adv = (x + (d + 0.03 * grad.sign()).clamp(-0.03, 0.03)).detach()
        return F.cross_entropy(self.net(adv), y)

    def validation_step(self, batch, _):
        x, y = batch
        self.log("clean", F.cross_entropy(self.net(x), y))


def make_fgsm():
    return FGSM(), *tuples(pixels(), classes(5))


class AugMix(Lit):
    """Three views in one pass, Jensen-Shannon consistency."""

    def __init__(self):
        super().__init__()
        self.net = classifier(4)

    def training_step(self, batch, _):
        views, y = batch
        logits = self.net(torch.cat(views, 0))
        clean, a1, a2 = torch.split(logits, len(y))
        p = [F.softmax(z, 1) for z in (clean, a1, a2)]
        m = torch.clamp(sum(p) / 3, 1e-7, 1).log()
        js = sum(F.kl_div(m, q, reduction="batchmean") for q in p) / 3
        return F.cross_entropy(clean, y) + 12 * js


def make_augmix():
    rows = Rows(lambda a, b, c, y: ([a, b, c], y), pixels(), pixels(), pixels(), classes(4))
    return AugMix(), *both(rows, val=False)


class RDrop(Lit):
    """Two passes with dropout, symmetric KL."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(backbone(), nn.Dropout(0.3), nn.Linear(10, 6))

    def training_step(self, batch, _):
        x, y = batch["x"], batch["y"]
        a, b = self.net(x), self.net(x)
        kl = lambda p, q: F.kl_div(p.log_softmax(1), q.softmax(1), reduction="batchmean")
        return 0.5 * (F.cross_entropy(a, y) + F.cross_entropy(b, y)) + (kl(a, b) + kl(b, a)) / 2

    def validation_step(self, batch, _):
        x, y = batch["x"], batch["y"]
        self.log("loss", F.cross_entropy(self.net(x), y))


def make_rdrop():
    return RDrop(), *dicts(x=pixels(), y=classes(6))


class Averaged(Lit):
    """Weights are swapped for their average around validation."""

    def __init__(self):
        super().__init__()
        self.net = classifier(5)
        self.shadow = {k: v.clone() for k, v in self.net.state_dict().items()}

    @contextlib.contextmanager
    def ema(self):
        kept = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(self.shadow)
        yield
        self.net.load_state_dict(kept)

    def training_step(self, batch, _):
        img, lab = batch
        return F.cross_entropy(self.net(img), lab)

    def on_train_batch_end(self, *a):
        for k, v in self.net.state_dict().items():
            self.shadow[k] = 0.9 * self.shadow[k] + 0.1 * v if v.is_floating_point() else v.clone()

    def validation_step(self, batch, _):
        img, lab = batch
        with self.ema():
            out = self.net(img)
        self.log("v", F.cross_entropy(out, lab))


def make_averaged():
    return Averaged(), *tuples(pixels(), classes(5))


class MonteCarlo(Lit):
    """Dropout stays on in validation, eight passes."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(backbone(), nn.Dropout(0.5), nn.Linear(10, 1))

    def training_step(self, batch, _):
        x, y = batch
        return F.binary_cross_entropy_with_logits(self.net(x).flatten(), y)

    def validation_step(self, batch, _):
        x, y = batch
        self.net[1].train()
        p = torch.stack([torch.sigmoid(self.net(x)).flatten() for _ in range(8)])
        self.log("bce", F.binary_cross_entropy(p.mean(0), y))
        self.log("spread", p.std(0).mean())


def make_montecarlo():
    return MonteCarlo(), *tuples(pixels(), bits())


CASES = {
    "sharpness-aware, manual": (make_sam, dict(task="multiclass", net="net", head="", target="batch[1]", image="batch[0]")),
    "bfloat16 and channels last by hand": (
        make_bfloat,
        dict(task="multiclass", net="net", head="", target="batch['y']", image="batch['image']"),
    ),
    "ensemble of averaged probabilities": (
        make_ensemble,
        dict(task="multiclass", head="", target="batch[1]", image="batch[0]"),
    ),
    "flips averaged in validation": (
        make_flip,
        dict(task="multiclass", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "halves of the batch, manual": (
        make_chunks,
        dict(task="multiclass", net="model", head="", target="batch['labels']", image="batch['pixels']"),
    ),
    "shared step, metrics as modules": (
        make_shared,
        dict(task="multiclass", head="", target="batch['label']", image="batch['image']"),
    ),
    "co-teaching of two networks": (make_coteaching, dict(task="multiclass", head="", target="batch[1]", image="batch[0]")),
    "adversarial images made in the step": (
        make_fgsm,
        dict(task="multiclass", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "three views, Jensen-Shannon": (make_augmix, dict(task="multiclass", net="net", head="", target="batch[1]")),
    "two passes with dropout": (
        make_rdrop,
        dict(task="multiclass", net="net", head="", target="batch['y']", image="batch['x']"),
    ),
    "averaged weights around validation": (
        make_averaged,
        dict(task="multiclass", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "eight passes with dropout in validation": (
        make_montecarlo,
        dict(task="binary", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
}
