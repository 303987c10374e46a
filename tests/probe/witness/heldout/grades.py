"""Numbers, intervals, grades, counts and rankings."""

from .parts import *


class MeanVariance(Lit):
    """Age as softmax over bins: cross-entropy, mean and variance loss."""

    def __init__(self):
        super().__init__()
        self.net = classifier(12)
        self.register_buffer("ages", torch.arange(12.0))

    def training_step(self, batch, _):
        x, age = batch["face"], batch["age"]
        logits = self.net(x)
        p = logits.softmax(1)
        mean = (p * self.ages).sum(1)
        var = (p * (self.ages - mean[:, None]) ** 2).sum(1)
        return F.cross_entropy(logits, age) + 0.2 * F.mse_loss(mean, age.float()) + 0.05 * var.mean()

    validation_step = training_step


def make_meanvar():
    return MeanVariance(), *dicts(face=pixels(), age=classes(12))


class Coral(Lit):
    class Layer(nn.Module):
        def __init__(self, size, k):
            super().__init__()
            self.weights = nn.Linear(size, 1, bias=False)
            self.bias = nn.Parameter(torch.arange(k - 1, 0, -1).float() / (k - 1))

        def forward(self, x):
            return self.weights(x) + self.bias

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(backbone(), self.Layer(10, 5))

    def training_step(self, batch, _):
        x, y = batch["img"], batch["grade"]
        levels = (y[:, None] > torch.arange(4, device=y.device)).float()
        logits = self.net(x)
        return -(F.logsigmoid(logits) * levels + (F.logsigmoid(logits) - logits) * (1 - levels)).sum(1).mean()

    def validation_step(self, batch, _):
        rank = (self.net(batch["img"]).sigmoid() > 0.5).sum(1)
        self.log("mae", (rank - batch["grade"]).abs().float().mean())


def make_coral():
    return Coral(), *dicts(img=pixels(), grade=classes(5))


def corn_loss(logits, y, k):
    losses, n = 0.0, 0
    for i in range(k - 1):
        keep = y > i - 1
        if not keep.any():
            continue
        t = (y[keep] > i).float()
        z = logits[keep, i]
        losses = losses - torch.sum(F.logsigmoid(z) * t + (F.logsigmoid(z) - z) * (1 - t))
        n += len(t)
    return losses / n


class Corn(Lit):
    def __init__(self):
        super().__init__()
        self.model = classifier(3)

    def training_step(self, batch, _):
        x, y = batch
        return corn_loss(self.model(x), y, 4)

    validation_step = training_step


def make_corn():
    return Corn(), *tuples(pixels(), classes(4))


class Retinopathy(Lit):
    """Kaggle: the grade as a number under MSE, kappa after rounding."""

    def __init__(self):
        super().__init__()
        self.effnet = classifier(1)

    def training_step(self, batch, _):
        x, y = batch
        return F.mse_loss(self.effnet(x).squeeze(), y.float())

    def validation_step(self, batch, _):
        x, y = batch
        p = self.effnet(x).squeeze()
        self.log("mse", F.mse_loss(p, y.float()))
        self.log("agree", (p.round().clamp(0, 4) == y).float().mean())


def make_retinopathy():
    return Retinopathy(), *tuples(pixels(), classes(5))


class Uncertain(Lit):
    """Mean and log variance out of one layer."""

    def __init__(self):
        super().__init__()
        self.net = classifier(2)

    def training_step(self, batch, _):
        mu, logvar = self.net(batch["image"]).chunk(2, dim=1)
        err = (batch["weight_kg"].unsqueeze(1) - mu) ** 2
        return 0.5 * (torch.exp(-logvar) * err + logvar).mean()

    validation_step = training_step


def make_uncertain():
    return Uncertain(), *dicts(image=pixels(), weight_kg=torch.randn(COUNT))


class Quantiles(Lit):
    qs = (0.1, 0.5, 0.9)

    def __init__(self):
        super().__init__()
        self.net = classifier(3)

    def training_step(self, batch, _):
        x, y = batch
        pred, losses = self.net(x), []
        for i, q in enumerate(self.qs):
            e = y - pred[:, i]
            losses.append(torch.max((q - 1) * e, q * e).unsqueeze(1))
        return torch.cat(losses, 1).sum(1).mean()

    validation_step = training_step


def make_quantiles():
    return Quantiles(), *tuples(pixels(), torch.randn(COUNT))


class MixtureDensity(Lit):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.pi, self.mu, self.s = backbone(), nn.Linear(10, 3), nn.Linear(10, 3), nn.Linear(10, 3)

        def forward(self, x):
            h = self.f(x)
            return F.log_softmax(self.pi(h), 1), self.mu(h), F.softplus(self.s(h)) + 1e-3

    def __init__(self):
        super().__init__()
        self.mdn = self.Net()

    def training_step(self, batch, _):
        x, y = batch
        logpi, mu, s = self.mdn(x)
        logp = torch.distributions.Normal(mu, s).log_prob(y[:, None])
        return -torch.logsumexp(logpi + logp, 1).mean()

    validation_step = training_step


def make_mdn():
    return MixtureDensity(), *tuples(pixels(), torch.randn(COUNT))


class Cells(Lit):
    """How many cells: Poisson."""

    def __init__(self):
        super().__init__()
        self.counter = nn.Sequential(classifier(1, cin=1), nn.Flatten(0))

    def training_step(self, batch, _):
        img, n = batch
        return F.poisson_nll_loss(self.counter(img), n.float(), log_input=True)

    def validation_step(self, batch, _):
        img, n = batch
        self.log("mae", (self.counter(img).exp() - n).abs().mean())


def make_cells():
    return Cells(), *tuples(pixels(1), torch.randint(0, 30, (COUNT,)))


class Houses(Lit):
    """log1p of the price, Huber, a table beside the picture."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cnn, self.mlp, self.out = backbone(), nn.Linear(4, 6), nn.Linear(16, 1)

        def forward(self, image, table):
            return self.out(torch.cat([self.cnn(image), F.relu(self.mlp(table))], 1))

    def __init__(self):
        super().__init__()
        self.net = self.Net()
        self.huber = nn.HuberLoss(delta=0.5)

    def training_step(self, batch, _):
        pred = self.net(batch["photo"], batch["table"])[:, 0]
        return self.huber(pred, torch.log1p(batch["price"]))

    validation_step = training_step


def make_houses():
    return Houses(), *dicts(photo=pixels(), table=torch.randn(COUNT, 4), price=1e5 * (1 + torch.rand(COUNT)))


class Heading(Lit):
    """Direction on the circle."""

    def __init__(self):
        super().__init__()
        self.net = classifier(2)

    def training_step(self, batch, _):
        x, rad = batch
        v = F.normalize(self.net(x), dim=1)
        return F.mse_loss(v, torch.stack([rad.sin(), rad.cos()], 1))

    validation_step = training_step


def make_heading():
    return Heading(), *tuples(pixels(), math.tau * torch.rand(COUNT))


def giou(a, b):
    lt, rb = torch.max(a[:, :2], b[:, :2]), torch.min(a[:, 2:], b[:, 2:])
    inter = (rb - lt).clamp(min=0).prod(1)
    area = lambda t: (t[:, 2:] - t[:, :2]).clamp(min=0).prod(1)
    union = area(a) + area(b) - inter + 1e-6
    hull = (torch.max(a[:, 2:], b[:, 2:]) - torch.min(a[:, :2], b[:, :2])).clamp(min=0).prod(1) + 1e-6
    return inter / union - (hull - union) / hull


class Localise(Lit):
    """One box: L1 and generalised IoU."""

    def __init__(self):
        super().__init__()
        self.box = nn.Sequential(classifier(4), nn.Sigmoid())

    @staticmethod
    def corners(b):
        return torch.cat([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1)

    def training_step(self, batch, _):
        x, b = batch["image"], batch["bbox"]
        p = self.box(x)
        return 5 * F.l1_loss(p, b) + 2 * (1 - giou(self.corners(p), self.corners(b))).mean()

    validation_step = training_step


def make_localise():
    return Localise(), *dicts(image=pixels(), bbox=0.2 + 0.6 * torch.rand(COUNT, 4))


class Aesthetic(Lit):
    """Which of two photographs is better: margin ranking."""

    def __init__(self):
        super().__init__()
        self.score = classifier(1)

    def training_step(self, batch, _):
        a, b, which = batch
        return F.margin_ranking_loss(self.score(a)[:, 0], self.score(b)[:, 0], which, margin=0.5)

    validation_step = training_step


def make_aesthetic():
    return Aesthetic(), *tuples(pixels(), pixels(), 2 * bits() - 1)


class CoxSurvival(Lit):
    """Partial likelihood over the batch: a log risk."""

    def __init__(self):
        super().__init__()
        self.net = classifier(1, cin=1)

    def training_step(self, batch, _):
        risk = self.net(batch["ct"]).view(-1)
        order = torch.argsort(batch["months"], descending=True)
        risk, event = risk[order], batch["dead"][order]
        return -((risk - torch.logcumsumexp(risk, 0)) * event).sum() / event.sum().clamp(min=1)

    validation_step = training_step


def make_cox():
    return CoxSurvival(), *dicts(ct=pixels(1), months=60 * torch.rand(COUNT), dead=bits())


CASES = {
    "age bins, mean and variance loss": (
        make_meanvar,
        dict(task=("multiclass", "ordinal"), net="net", head="", target="batch['age']", image="batch['face']"),
    ),
    "CORAL layer": (
        make_coral,
        dict(task="ordinal", net="net", head="", target="batch['grade']", image="batch['img']"),
    ),
    "CORN, conditional subsets": (
        make_corn,
        dict(task="ordinal", net="model", head="", target="batch[1]", image="batch[0]"),
    ),
    "retinopathy grade under MSE": (
        make_retinopathy,
        dict(task=("regression", "ordinal"), net="effnet", head="", target="batch[1]", image="batch[0]"),
    ),
    "mean and log variance by chunk": (
        make_uncertain,
        dict(task="regression", net="net", target="batch['weight_kg']", image="batch['image']"),
    ),
    "three quantiles in a loop, pinball": (
        make_quantiles,
        dict(task="regression", net="net", target="batch[1]", image="batch[0]"),
    ),
    "mixture density": (
        make_mdn,
        dict(task=("regression", "unknown"), net="mdn", target="batch[1]", image="batch[0]"),
    ),
    "cell counts, Poisson": (
        make_cells,
        dict(task="regression", net="counter", head="", target="batch[1]", image="batch[0]"),
    ),
    "price, log1p, Huber, with a table": (
        make_houses,
        dict(task="regression", net="net", head="", target="batch['price']", image="batch['photo']"),
    ),
    "heading as sine and cosine": (
        make_heading,
        dict(task="regression", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "one box, L1 and GIoU": (
        make_localise,
        dict(task="regression", net="box", head="", target="batch['bbox']", image="batch['image']"),
    ),
    "ranking of two photographs": (
        make_aesthetic,
        dict(task=("unknown", "regression", "ordinal"), net="score", head=""),
    ),
    "partial likelihood of Cox": (
        make_cox,
        dict(task=("unknown", "regression"), net="net", head="", image="batch['ct']"),
    ),
}
