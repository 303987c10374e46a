"""Soft, mixed, noisy, partial and borrowed labels, with teachers and without."""

from pytorch_lightning.utilities import CombinedLoader

from .parts import *


class Mixup(Lit):
    def __init__(self):
        super().__init__()
        self.net = classifier(5)

    def training_step(self, batch, _):
        x, y = batch
        lam = np.random.beta(0.4, 0.4)
        index = torch.randperm(x.size(0), device=x.device)
        mixed = lam * x + (1 - lam) * x[index]
        out = self.net(mixed)
        return lam * F.cross_entropy(out, y) + (1 - lam) * F.cross_entropy(out, y[index])

    def validation_step(self, batch, _):
        x, y = batch
        self.log("val", F.cross_entropy(self.net(x), y))


def make_mixup():
    return Mixup(), *tuples(pixels(), classes(5))


class Cutmix(Lit):
    """Targets are mixed as one-hot vectors; soft cross-entropy."""

    def __init__(self):
        super().__init__()
        self.net = classifier(6)

    def training_step(self, batch, _):
        x, y = batch["image"], batch["label"]
        t = F.one_hot(y, 6).float()
        if self.training:
            perm = torch.randperm(len(x))
            r, c, s = random.randrange(8), random.randrange(8), random.randrange(4, 8)
            x = x.clone()
            x[:, :, r : r + s, c : c + s] = x[perm, :, r : r + s, c : c + s]
            keep = 1 - s * s / (SIDE * SIDE)
            t = keep * t + (1 - keep) * t[perm]
        return torch.sum(-t * F.log_softmax(self.net(x), dim=-1), dim=-1).mean()

    def validation_step(self, batch, _):
        self.log("v", F.cross_entropy(self.net(batch["image"]), batch["label"]))


def make_cutmix():
    return Cutmix(), *dicts(image=pixels(), label=classes(6))


def collate_mixup(rows):
    x, y = default_collate(rows)
    lam = float(np.random.beta(1, 1))
    t = F.one_hot(y, 4).float()
    return lam * x + (1 - lam) * x.flip(0), lam * t + (1 - lam) * t.flip(0)


class SoftCollate(Lit):
    """Mixup happens in the collate function of the training loader only."""

    def __init__(self):
        super().__init__()
        self.clf = classifier(4)
        self.ce = nn.CrossEntropyLoss()

    def training_step(self, batch, _):
        x, t = batch
        return self.ce(self.clf(x), t)

    validation_step = training_step


def make_collate():
    data = TensorDataset(pixels(), classes(4))
    return SoftCollate(), DataLoader(data, BATCH, collate_fn=collate_mixup), DataLoader(data, BATCH)


class Hinton(Lit):
    def __init__(self):
        super().__init__()
        self.teacher, self.student = classifier(5, width=14), classifier(5)
        for p in self.teacher.parameters():
            p.requires_grad = False

    def training_step(self, batch, _):
        x, y = batch
        T = 4.0
        with torch.no_grad():
            t = self.teacher(x)
        s = self.student(x)
        soft = F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction="batchmean") * T * T
        return 0.7 * soft + 0.3 * F.cross_entropy(s, y)

    def validation_step(self, batch, _):
        x, y = batch
        self.log("acc", (self.student(x).argmax(1) == y).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.student.parameters(), lr=0.01, momentum=0.9)


def make_hinton():
    return Hinton(), *tuples(pixels(), classes(5))


class MeanTeacher(Lit):
    """Labelled and unlabelled loaders side by side, an averaged teacher, MSE of softmaxes."""

    def __init__(self):
        super().__init__()
        self.student = classifier(5)
        self.ema = copy.deepcopy(self.student).requires_grad_(False)

    def training_step(self, batch, _):
        (x, y), u = batch["lab"], batch["unlab"][0]
        loss = F.cross_entropy(self.student(x), y)
        with torch.no_grad():
            want = self.ema(u).softmax(1)
        return loss + 0.5 * F.mse_loss(self.student(u + 0.1 * torch.randn_like(u)).softmax(1), want)

    def on_train_batch_end(self, *args):
        for a, b in zip(self.ema.parameters(), self.student.parameters()):
            a.data.mul_(0.99).add_(b.data, alpha=0.01)

    def validation_step(self, batch, _):
        x, y = batch
        self.log("v", F.cross_entropy(self.ema(x), y))


def make_mean_teacher():
    lab, val = tuples(pixels(), classes(5))
    unlab = DataLoader(TensorDataset(pixels()), BATCH)
    return MeanTeacher(), CombinedLoader({"lab": lab, "unlab": unlab}, "min_size"), val


class FixMatch(Lit):
    def __init__(self):
        super().__init__()
        self.model = classifier(4)

    def training_step(self, batch, _):
        (x, y), (weak, strong) = batch
        n = len(x)
        logits = self.model(torch.cat([x, weak, strong]))
        lx = F.cross_entropy(logits[:n], y)
        weak_logits, strong_logits = logits[n:].chunk(2)
        prob, pseudo = weak_logits.detach().softmax(-1).max(-1)
        mask = prob.ge(0.3).float()
        lu = (F.cross_entropy(strong_logits, pseudo, reduction="none") * mask).mean()
        return lx + lu


def make_fixmatch():
    rows = Rows(lambda x, y, w, s: ((x, y), (w, s)), pixels(), classes(4), pixels(), pixels())
    return FixMatch(), *both(rows, val=False)


class HumanVotes(Lit):
    """Counts of fifty annotators per class (CIFAR-10H)."""

    def __init__(self):
        super().__init__()
        self.net = classifier(7)

    def training_step(self, batch, _):
        p = batch["votes"].float() / batch["votes"].sum(1, keepdim=True)
        return F.kl_div(self.net(batch["image"]).log_softmax(1), p, reduction="batchmean")

    validation_step = training_step


def make_votes():
    votes = torch.distributions.Multinomial(50, torch.softmax(2 * torch.randn(COUNT, 7), 1)).sample().long()
    return HumanVotes(), *dicts(image=pixels(), votes=votes)


class ForwardCorrection(Lit):
    """Known transition matrix of label noise (Patrini et al.)."""

    def __init__(self):
        super().__init__()
        self.net = classifier(4)
        self.register_buffer("T", 0.8 * torch.eye(4) + 0.05)

    def training_step(self, batch, _):
        x, noisy = batch
        clean = torch.softmax(self.net(x), 1)
        return F.nll_loss(torch.log(clean @ self.T + 1e-9), noisy)

    def validation_step(self, batch, _):
        x, y = batch
        self.log("acc", (self.net(x).argmax(1) == y).float().mean())


def make_correction():
    return ForwardCorrection(), *tuples(pixels(), classes(4))


class CheXpert(Lit):
    """-1 means uncertain and is masked out."""

    def __init__(self):
        super().__init__()
        self.densenet = classifier(6, cin=1)

    def training_step(self, batch, _):
        y = batch["findings"]
        known = (y >= 0).float()
        raw = F.binary_cross_entropy_with_logits(self.densenet(batch["xray"]), y.clamp(min=0), reduction="none")
        return (raw * known).sum() / known.sum().clamp(min=1)

    validation_step = training_step


def make_chexpert():
    y = bits(6)
    y[torch.rand(COUNT, 6) < 0.2] = -1
    return CheXpert(), *dicts(xray=pixels(1), findings=y)


class DeiT(Lit):
    """Class and distillation head; hard labels of the teacher."""

    class Student(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.head_dist = backbone(), nn.Linear(10, 5), nn.Linear(10, 5)

        def forward(self, x):
            f = self.body(x)
            if self.training:
                return self.head(f), self.head_dist(f)
            return (self.head(f) + self.head_dist(f)) / 2

    def __init__(self):
        super().__init__()
        self.net = self.Student()
        self.regnet = classifier(5).requires_grad_(False).eval()

    def training_step(self, batch, _):
        x, y = batch
        cls, dist = self.net(x)
        with torch.no_grad():
            hard = self.regnet(x).argmax(1)
        return 0.5 * F.cross_entropy(cls, y) + 0.5 * F.cross_entropy(dist, hard)

    def validation_step(self, batch, _):
        x, y = batch
        self.log("val_loss", F.cross_entropy(self.net(x), y))


def make_deit():
    return DeiT(), *tuples(pixels(), classes(5))


CASES = {
    "mixup with two cross-entropies": (
        make_mixup,
        dict(task="multiclass", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "cutmix with mixed one-hots": (
        make_cutmix,
        dict(task="multiclass", net="net", head="", target="batch['label']", image="batch['image']"),
    ),
    "mixup in the collate function": (
        make_collate,
        dict(task="multiclass", net="clf", head="", target="batch[1]", image="batch[0]"),
    ),
    "distillation of a frozen teacher, with labels": (
        make_hinton,
        dict(task="multiclass", net="student", head="", target="batch[1]", image="batch[0]"),
    ),
    "mean teacher, combined loaders": (make_mean_teacher, dict(task="multiclass", head="")),
    "fixmatch, concatenated views": (
        make_fixmatch,
        dict(task="multiclass", net="model", head="", target="batch[0][1]"),
    ),
    "votes of annotators, KL": (
        make_votes,
        dict(task="multiclass", net="net", head="", target="batch['votes']", image="batch['image']"),
    ),
    "noise matrix, forward correction": (
        make_correction,
        dict(task="multiclass", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "x-ray findings, uncertain masked": (
        make_chexpert,
        dict(task="multilabel", net="densenet", head="", target="batch['findings']", image="batch['xray']"),
    ),
    "class and distillation head": (
        make_deit,
        dict(task="multiclass", net="net", target="batch[1]", image="batch[0]"),
    ),
}
