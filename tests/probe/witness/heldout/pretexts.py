"""Pretext tasks, domains, generated weights, outliers."""

from .parts import *


class RotNet(Lit):
    """Four rotations made in the step."""

    def __init__(self):
        super().__init__()
        self.net = classifier(4)

    def training_step(self, batch, _):
        x, _y = batch
        rotated = torch.cat([torch.rot90(x, k, (2, 3)) for k in range(4)])
        target = torch.arange(4, device=x.device).repeat_interleave(len(x))
        return F.cross_entropy(self.net(rotated), target)

    validation_step = training_step


def make_rotnet():
    return RotNet(), *tuples(pixels(), classes(3))


class RotLoader(Lit):
    """The data set rotates; the batch says by how much."""

    def __init__(self):
        super().__init__()
        self.net = classifier(4)

    def training_step(self, batch, _):
        return F.cross_entropy(self.net(batch["rotated"]), batch["turns"])

    validation_step = training_step


def make_rotloader():
    k, x = classes(4), pixels()
    return RotLoader(), *dicts(rotated=torch.stack([torch.rot90(i, int(n), (1, 2)) for i, n in zip(x, k)]), turns=k)


class Doersch(Lit):
    """Where is the second patch, seen from the first."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.fc = backbone(), nn.Linear(20, 8)

        def forward(self, a, b):
            return self.fc(torch.cat((self.f(a), self.f(b)), 1))

    def __init__(self):
        super().__init__()
        self.net = self.Net()

    def training_step(self, batch, _):
        centre, other, where = batch
        return F.cross_entropy(self.net(centre, other), where)

    validation_step = training_step


def make_doersch():
    return Doersch(), *tuples(pixels(side=8), pixels(side=8), classes(8))


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, a):
        ctx.a = a
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -ctx.a * g, None


class DANN(Lit):
    """Source labels, domain labels made in the step, reversed gradient."""

    def __init__(self):
        super().__init__()
        self.feature, self.label, self.domain = backbone(), nn.Linear(10, 5), nn.Linear(10, 1)

    def training_step(self, batch, _):
        (xs, ys), (xt, _yt) = batch["source"], batch["target"]
        fs, ft = self.feature(xs), self.feature(xt)
        d = self.domain(Reverse.apply(torch.cat([fs, ft]), 0.3)).squeeze(1)
        which = torch.cat([torch.zeros(len(xs)), torch.ones(len(xt))])
        return F.cross_entropy(self.label(fs), ys) + F.binary_cross_entropy_with_logits(d, which)


def make_dann():
    rows = Rows(lambda a, y, b, z: {"source": (a, y), "target": (b, z)}, pixels(), classes(5), pixels(), classes(5))
    return DANN(), *both(rows, val=False)


class Hyper(Lit):
    """The last layer's weights are generated from a description of the task."""

    def __init__(self):
        super().__init__()
        self.body, self.hyper = backbone(), nn.Linear(4, 33)

    def forward(self, x, task):
        w = self.hyper(task)
        return torch.bmm(w[:, :30].view(-1, 3, 10), self.body(x).unsqueeze(2)).squeeze(2) + w[:, 30:]

    def training_step(self, batch, _):
        return F.cross_entropy(self(batch["x"], batch["task"]), batch["y"])

    validation_step = training_step


def make_hyper():
    return Hyper(), *dicts(x=pixels(), task=torch.randn(COUNT, 4), y=classes(3))


class EnergyMargin(Lit):
    """Outliers in the same batch push their energy up."""

    def __init__(self):
        super().__init__()
        self.net = classifier(5)

    def training_step(self, batch, _):
        (x, y), (out, _dummy) = batch
        z = self.net(torch.cat((x, out), 0))
        loss = F.cross_entropy(z[: len(x)], y)
        e_in, e_out = -torch.logsumexp(z[: len(x)], 1), -torch.logsumexp(z[len(x) :], 1)
        return loss + 0.1 * (F.relu(e_in + 7).pow(2).mean() + F.relu(-2 - e_out).pow(2).mean())


def make_energy():
    rows = Rows(lambda x, y, o, d: ((x, y), (o, d)), pixels(), classes(5), pixels(), classes(2))
    return EnergyMargin(), *both(rows, val=False)


class SwAV(Lit):
    """Sinkhorn codes of one view, predicted from the other."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(backbone(), nn.Linear(10, 6))
        self.prototypes = nn.Linear(6, 9, bias=False)

    @torch.no_grad()
    def codes(self, scores):
        q = torch.exp(scores / 0.05).T
        q /= q.sum()
        for _ in range(3):
            q /= q.sum(1, keepdim=True) * 9
            q /= q.sum(0, keepdim=True) * q.shape[1]
        return (q * q.shape[1]).T

    def training_step(self, batch, _):
        s = [self.prototypes(F.normalize(self.net(v), dim=1)) for v in batch]
        a, b = self.codes(s[0]), self.codes(s[1])
        return -0.5 * ((a * F.log_softmax(s[1] / 0.1, 1)).sum(1) + (b * F.log_softmax(s[0] / 0.1, 1)).sum(1)).mean()


def make_swav():
    return SwAV(), *tuples(pixels(), pixels(), val=False)


class Hashing(Lit):
    """Binary codes for retrieval: inner products follow shared labels."""

    def __init__(self):
        super().__init__()
        self.hash = nn.Sequential(backbone(), nn.Linear(10, 8), nn.Tanh())

    def training_step(self, batch, _):
        x, y = batch
        u = self.hash(x)
        same = (y[:, None] == y[None]).float()
        theta = u @ u.T / 2
        like = (F.softplus(theta) - same * theta).mean()
        return like + 0.1 * (u.abs() - 1).pow(2).mean()

    validation_step = training_step


def make_hashing():
    return Hashing(), *tuples(pixels(), classes(3))


class ZeroShot(Lit):
    """Zero-shot: the picture's vector follows the class's attribute vector, which the batch holds."""

    def __init__(self):
        super().__init__()
        self.net = classifier(12)

    def training_step(self, batch, _):
        v = F.normalize(self.net(batch["image"]), dim=-1)
        t = F.normalize(batch["attributes"], dim=-1)
        return (1 - (v * t).sum(-1)).mean()

    validation_step = training_step


def make_zeroshot():
    return ZeroShot(), *dicts(image=pixels(), attributes=torch.rand(COUNT, 12))


class LossPrediction(Lit):
    """Active learning: a second head predicts the loss."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.b, self.c, self.l = backbone(), nn.Linear(10, 5), nn.Linear(10, 1)

        def forward(self, x):
            f = self.b(x)
            return self.c(f), self.l(f.detach()).squeeze(1)

    def __init__(self):
        super().__init__()
        self.net = self.Net()

    def training_step(self, batch, _):
        x, y = batch
        scores, guess = self.net(x)
        target = F.cross_entropy(scores, y, reduction="none")
        return target.mean() + F.mse_loss(guess, target.detach())

    validation_step = training_step


def make_lossprediction():
    return LossPrediction(), *tuples(pixels(), classes(5))


CASES = {
    "rotations made in the step": (make_rotnet, dict(task="multiclass", net="net", head="")),
    "rotations from the data set": (
        make_rotloader,
        dict(task="multiclass", net="net", head="", target="batch['turns']", image="batch['rotated']"),
    ),
    "where is the second patch": (
        make_doersch,
        dict(task="multiclass", net="net", head="", target="batch[2]", image="batch[0] and batch[1]"),
    ),
    "reversed gradient, two domains": (
        make_dann,
        dict(task="multiclass", net="label", head="", target="batch['source'][1]", image="batch['source'][0]"),
    ),
    "generated weights": (make_hyper, dict(task="multiclass", net="", head="", target="batch['y']", image="batch['x']")),
    "energy margin of outliers": (make_energy, dict(task="multiclass", net="net", head="", target="batch[0][1]")),
    "Sinkhorn codes": (make_swav, dict(task=("embedding", "unknown"))),
    "hash codes of labels": (make_hashing, dict(task="embedding", net="hash", head="", target="batch[1]", image="batch[0]")),
    "attribute vectors of classes, cosine": (
        make_zeroshot,
        dict(task=("embedding", "regression"), net="net", head="", target="batch['attributes']", image="batch['image']"),
    ),
    "a head that predicts the loss": (
        make_lossprediction,
        dict(task="multiclass", net="net", head="[0]", target="batch[1]", image="batch[0]"),
    ),
}
