"""Embeddings: margins, pairs, triplets, prototypes and self-supervision."""

from .parts import *


class ArcMargin(nn.Module):
    def __init__(self, size, k, s=16.0, m=0.3):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(k, size))
        self.s, self.m = s, m

    def forward(self, feats, label):
        cosine = F.linear(F.normalize(feats), F.normalize(self.weight))
        theta = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
        one_hot = torch.zeros_like(cosine).scatter_(1, label.view(-1, 1), 1)
        return self.s * torch.cos(theta + self.m * one_hot)


class Whales(Lit):
    """ArcFace: the margin layer takes the labels."""

    def __init__(self):
        super().__init__()
        self.encoder, self.arc = backbone(), ArcMargin(10, 6)

    def training_step(self, batch, _):
        emb = self.encoder(batch["image"])
        return F.cross_entropy(self.arc(emb, batch["id"]), batch["id"])

    validation_step = training_step


def make_whales():
    return Whales(), *dicts(image=pixels(), id=classes(6))


class SupCon(Lit):
    """Two views stacked along the batch, labels make the mask of positives."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(backbone(), nn.Linear(10, 8))

    def training_step(self, batch, _):
        (a, b), y = batch
        z = F.normalize(self.encoder(torch.cat([a, b])), dim=1)
        y = torch.cat([y, y])
        sim = z @ z.T / 0.1
        eye = torch.eye(len(z), dtype=torch.bool, device=z.device)
        same = (y[:, None] == y[None]) & ~eye
        logp = sim - torch.logsumexp(sim.masked_fill(eye, -1e9), 1, keepdim=True)
        return -((logp * same).sum(1) / same.sum(1)).mean()

    validation_step = training_step


def make_supcon():
    return SupCon(), *both(Rows(lambda a, b, y: ([a, b], y), pixels(), pixels(), classes(3)))


class SimCLR(Lit):
    def __init__(self):
        super().__init__()
        self.backbone, self.projection = backbone(), nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 6))

    def forward(self, x):
        return self.projection(self.backbone(x))

    def training_step(self, batch, _):
        x0, x1 = batch["view0"], batch["view1"]
        z0, z1 = F.normalize(self(x0), dim=1), F.normalize(self(x1), dim=1)
        logits = torch.cat([z0 @ z1.T, z1 @ z0.T]) / 0.5
        target = torch.arange(len(z0), device=z0.device).repeat(2)
        return F.cross_entropy(logits, target)


def make_simclr():
    return SimCLR(), *dicts(view0=pixels(), view1=pixels(), val=False)


class BYOL(Lit):
    """Online and target network, the views are made in the step."""

    def __init__(self):
        super().__init__()
        self.online = nn.Sequential(backbone(), nn.Linear(10, 6))
        self.predictor = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 6))
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    def augment(self, x):
        x = x.flip(-1) if random.random() < 0.5 else x
        return x + 0.1 * torch.randn_like(x)

    def training_step(self, batch, _):
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        a, b = self.augment(x), self.augment(x)
        pa, pb = self.predictor(self.online(a)), self.predictor(self.online(b))
        with torch.no_grad():
            ta, tb = self.target(a), self.target(b)
        return (2 - 2 * F.cosine_similarity(pa, tb) + 2 - 2 * F.cosine_similarity(pb, ta)).mean()

    def on_before_zero_grad(self, _):
        for p, q in zip(self.online.parameters(), self.target.parameters()):
            q.data = 0.99 * q.data + 0.01 * p.data


def make_byol():
    return BYOL(), *tuples(pixels(), val=False)


class SimSiam(Lit):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(backbone(), nn.Linear(10, 6), nn.BatchNorm1d(6, affine=False))
        self.h = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 6))

    def training_step(self, batch, _):
        (x1, x2), _unused = batch
        z1, z2 = self.f(x1), self.f(x2)
        p1, p2 = self.h(z1), self.h(z2)
        D = lambda p, z: -F.cosine_similarity(p, z.detach(), dim=-1).mean()
        return D(p1, z2) / 2 + D(p2, z1) / 2


def make_simsiam():
    return SimSiam(), *both(Rows(lambda a, b, y: ((a, b), y), pixels(), pixels(), classes(3)), val=False)


class DINO(Lit):
    """Two large and two small crops, centre, sharpening."""

    def __init__(self):
        super().__init__()
        self.student = nn.Sequential(backbone(), nn.Linear(10, 12))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.register_buffer("center", torch.zeros(1, 12))

    def training_step(self, crops, _):
        s = [self.student(c) for c in crops]
        with torch.no_grad():
            t = [self.teacher(c) for c in crops[:2]]
        loss, n = 0, 0
        for i, q in enumerate(t):
            q = F.softmax((q - self.center) / 0.04, -1)
            for j, p in enumerate(s):
                if i != j:
                    loss, n = loss - (q * F.log_softmax(p / 0.1, -1)).sum(-1).mean(), n + 1
        self.center.mul_(0.9).add_(torch.cat(t).mean(0, keepdim=True), alpha=0.1)
        return loss / n


def make_dino():
    rows = Rows(lambda *c: list(c), pixels(), pixels(), pixels(side=8), pixels(side=8))
    return DINO(), *both(rows, val=False)


class Barlow(Lit):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(backbone(), nn.Linear(10, 8))

    def training_step(self, batch, _):
        a, b = (self.net(v) for v in batch)
        a, b = (a - a.mean(0)) / (a.std(0) + 1e-5), (b - b.mean(0)) / (b.std(0) + 1e-5)
        c = a.T @ b / len(a)
        on = (torch.diagonal(c) - 1).pow(2).sum()
        off = (c - torch.diag(torch.diagonal(c))).pow(2).sum()
        return on + 5e-3 * off


def make_barlow():
    return Barlow(), *tuples(pixels(), pixels(), val=False)


class Triplet(Lit):
    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(backbone(), nn.Linear(10, 6))

    def training_step(self, batch, _):
        a, p, n = self.embed(batch["anchor"]), self.embed(batch["positive"]), self.embed(batch["negative"])
        return F.relu((a - p).pow(2).sum(1) - (a - n).pow(2).sum(1) + 0.2).mean()

    validation_step = training_step


def make_triplet():
    return Triplet(), *dicts(anchor=pixels(), positive=pixels(), negative=pixels())


class BatchHard(Lit):
    """Re-identification: hardest positive and hardest negative."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(backbone(), nn.Linear(10, 6))

    def training_step(self, batch, _):
        x, pid = batch
        e = self.net(x)
        d = (e[:, None] - e[None]).pow(2).sum(-1).clamp(min=1e-9).sqrt()
        same = pid[:, None].eq(pid[None])
        hard_p = (d * same).max(1).values
        hard_n = (d + 1e6 * same).min(1).values
        return F.softplus(hard_p - hard_n).mean()

    validation_step = training_step


def make_batchhard():
    return BatchHard(), *tuples(pixels(), classes(4))


class Verification(Lit):
    """Contrastive loss on pairs (Hadsell et al.)."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(backbone(1), nn.Linear(10, 6))

    def training_step(self, batch, _):
        x1, x2, different = batch
        d = F.pairwise_distance(self.net(x1), self.net(x2))
        return ((1 - different) * d**2 + different * (1.0 - d).clamp(min=0) ** 2).mean()

    validation_step = training_step


def make_verification():
    return Verification(), *tuples(pixels(1), pixels(1), bits())


class SameOrNot(Lit):
    """Siamese network with a decision on |f1 - f2|."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.twin, self.fc = backbone(1), nn.Linear(10, 1)

        def forward(self, a, b):
            return self.fc(torch.abs(self.twin(a) - self.twin(b)))

    def __init__(self):
        super().__init__()
        self.siamese = self.Net()
        self.bce = nn.BCEWithLogitsLoss()

    def training_step(self, batch, _):
        a, b, same = batch["a"], batch["b"], batch["same"]
        return self.bce(self.siamese(a, b), same.float().unsqueeze(1))

    validation_step = training_step


def make_siamese():
    return SameOrNot(), *dicts(a=pixels(1), b=pixels(1), same=classes(2))


class Prototypes(Lit):
    """Episodes: support and query, the class is the nearest prototype."""

    def __init__(self):
        super().__init__()
        self.encoder = backbone()

    def training_step(self, batch, _):
        support, query = batch["support"][0], batch["query"][0]
        proto = self.encoder(support.flatten(0, 1)).view(3, 2, -1).mean(1)
        z = self.encoder(query.flatten(0, 1))
        return F.cross_entropy(-(torch.cdist(z, proto) ** 2), torch.arange(3).repeat_interleave(2))


def make_prototypes():
    rows = Rows(
        lambda s, q: {"support": s, "query": q}, torch.randn(2, 3, 2, 3, SIDE, SIDE), torch.randn(2, 3, 2, 3, SIDE, SIDE)
    )
    return Prototypes(), DataLoader(rows, 1), None


class MiniClip(Lit):
    """Images and captions, symmetric cross-entropy."""

    def __init__(self):
        super().__init__()
        self.visual = nn.Sequential(backbone(), nn.Linear(10, 6))
        self.text = nn.EmbeddingBag(50, 6)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def training_step(self, batch, _):
        i = F.normalize(self.visual(batch["pixel_values"]), dim=-1)
        t = F.normalize(self.text(batch["input_ids"]), dim=-1)
        logits = self.scale.exp() * i @ t.T
        y = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, y) + F.cross_entropy(logits.T, y)) / 2

    validation_step = training_step


def make_clip():
    return MiniClip(), *dicts(pixel_values=pixels(), input_ids=torch.randint(0, 50, (COUNT, 7)))


class MoCo(Lit):
    def __init__(self):
        super().__init__()
        self.q = nn.Sequential(backbone(), nn.Linear(10, 6))
        self.k = copy.deepcopy(self.q).requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(6, 24), dim=0))
        self.ptr = 0

    def training_step(self, batch, _):
        im_q, im_k = batch
        q = F.normalize(self.q(im_q), dim=1)
        with torch.no_grad():
            k = F.normalize(self.k(im_k), dim=1)
        pos = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)
        neg = torch.einsum("nc,ck->nk", q, self.queue.clone())
        logits = torch.cat([pos, neg], 1) / 0.07
        self.queue[:, self.ptr : self.ptr + len(k)] = k.T
        self.ptr = (self.ptr + len(k)) % 24
        return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))


def make_moco():
    return MoCo(), *tuples(pixels(), pixels(), val=False)


class DeepSVDD(Lit):
    """One class: distance to a fixed centre."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(backbone(), nn.Linear(10, 6, bias=False))
        self.register_buffer("c", 0.5 * torch.ones(6))

    def training_step(self, batch, _):
        x, _labels = batch
        return ((self.net(x) - self.c) ** 2).sum(1).mean()

    def validation_step(self, batch, _):
        x, anomaly = batch
        d = ((self.net(x) - self.c) ** 2).sum(1)
        self.log("gap", d[anomaly == 1].mean() - d[anomaly == 0].mean())


def make_svdd():
    return DeepSVDD(), *tuples(pixels(), classes(2))


CASES = {
    "ArcFace with the labels in the layer": (
        make_whales,
        dict(task=("multiclass", "embedding"), target="batch['id']", image="batch['image']"),
    ),
    "supervised contrastive, stacked views": (make_supcon, dict(task="embedding", net="encoder", head="", target="batch[1]")),
    "SimCLR, cross-entropy of similarities": (make_simclr, dict(task="embedding", head="")),
    "BYOL, views made in the step": (make_byol, dict(task="embedding", head="", image="batch[0]")),
    "SimSiam, stopped gradients": (make_simsiam, dict(task="embedding", head="")),
    "DINO with four crops": (make_dino, dict(task=("embedding", "unknown"), net="student", head="")),
    "Barlow twins": (make_barlow, dict(task="embedding", net="net", head="")),
    "triplet by hand": (make_triplet, dict(task="embedding", net="embed", head="")),
    "batch-hard triplets of identities": (
        make_batchhard,
        dict(task="embedding", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "contrastive pairs": (make_verification, dict(task="embedding", net="net", head="")),
    "siamese decision": (
        make_siamese,
        dict(task="binary", net="siamese", head="", target="batch['same']"),
    ),
    "prototypical episodes": (make_prototypes, dict(task=("embedding", "unknown"), net="encoder", head="")),
    "images and captions": (make_clip, dict(task="embedding", net="visual", head="", image="batch['pixel_values']")),
    "queue of negatives": (make_moco, dict(task="embedding", net="q", head="")),
    "one class, distance to a centre": (
        make_svdd,
        dict(task=("unknown", "embedding"), net="net", head="", image="batch[0]"),
    ),
}
