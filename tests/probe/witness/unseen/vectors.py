"""Vectors compared with each other."""

import copy

import pytorch_lightning as pl

from .parts import *

normalize = F.normalize


class Triplet(AdamModule):
    def __init__(self):
        super().__init__()
        self.embedder = cnn(8)
        self.loss = nn.TripletMarginLoss(margin=0.3)

    def training_step(self, batch, batch_idx):
        a, p, n = batch
        loss = self.loss(self.embedder(a), self.embedder(p), self.embedder(n))
        self.log("loss", loss)
        return loss

    validation_step = training_step


def make_triplet():
    return Triplet(), *tuple_loaders(images(), images(seed=1), images(seed=2))


class ContrastivePairs(AdamModule):
    """Hadsell loss on signatures; 1 = same writer. Looks binary, but there are only distances."""

    def __init__(self):
        super().__init__()
        self.signet = cnn(8, cin=1)

    def training_step(self, batch, batch_idx):
        e1, e2 = self.signet(batch["img1"]), self.signet(batch["img2"])
        y = batch["same"].float()
        d = F.pairwise_distance(e1, e2)
        return (y * d.pow(2) + (1 - y) * F.relu(1.0 - d).pow(2)).mean()

    validation_step = training_step


def make_contrastive():
    return ContrastivePairs(), *dict_loaders(img1=images(1), img2=images(1, seed=1), same=ints(2))


class BatchHard(AdamModule):
    """Person re-identification: hardest positive and negative in the batch, identities are labels."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(trunk(), nn.Linear(12, 8), nn.BatchNorm1d(8))

    def forward(self, x):
        return normalize(self.net(x))

    def training_step(self, batch, batch_idx):
        img, pid, camid = batch
        emb = self(img)
        dist = torch.cdist(emb, emb)
        same = pid[:, None] == pid[None, :]
        hardest_p = (dist * same).max(1).values
        hardest_n = (dist + 10.0 * same).min(1).values
        return F.relu(hardest_p - hardest_n + 0.3).mean()

    validation_step = training_step


def make_batchhard():
    return BatchHard(), *tuple_loaders(images(), ints(3), ints(2, 9))


class ArcFaceCriterion(nn.Module):
    def __init__(self, dim, classes, s=16.0, m=0.3):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, dim))
        self.s, self.m = s, m

    def forward(self, emb, label):
        cos = F.linear(normalize(emb), normalize(self.weight)).clamp(-1 + 1e-6, 1 - 1e-6)
        with_margin = torch.cos(torch.acos(cos) + self.m)
        hot = F.one_hot(label, cos.size(1)).bool()
        return F.cross_entropy(self.s * torch.where(hot, with_margin, cos), label)


class ArcFace(AdamModule):
    """Whale identification."""

    def __init__(self):
        super().__init__()
        self.backbone, self.arcface = cnn(16), ArcFaceCriterion(16, 6)

    def training_step(self, batch, batch_idx):
        loss = self.arcface(self.backbone(batch["image"]), batch["individual_id"])
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        e = normalize(self.backbone(batch["image"]))
        sim = e @ e.T - 2 * torch.eye(len(e), device=e.device)
        hit = batch["individual_id"][sim.argmax(1)] == batch["individual_id"]
        self.log("recall@1", hit.float().mean())


def make_arcface():
    return ArcFace(), *dict_loaders(image=images(), individual_id=ints(6), species=ints(2, 8))


class CosFaceInStep(AdamModule):
    def __init__(self):
        super().__init__()
        self.model = cnn(16)
        self.W = nn.Parameter(torch.randn(5, 16) * 0.1)

    def training_step(self, batch, batch_idx):
        x, y = batch
        cosine = normalize(self.model(x)) @ normalize(self.W).t()
        logits = 20 * (cosine - 0.35 * F.one_hot(y, 5))
        return F.cross_entropy(logits, y)

    validation_step = training_step


def make_cosface():
    return CosFaceInStep(), *tuple_loaders(images(), ints(5))


class ProxyNCA(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.embed = cnn(8)
        self.proxies = nn.Parameter(torch.randn(4, 8))

    def training_step(self, batch, batch_idx):
        labels, imgs = batch
        X, P = normalize(self.embed(imgs)), normalize(self.proxies)
        D = torch.cdist(X, P).pow(2)
        pos = D.gather(1, labels[:, None]).squeeze(1)
        neg = D.masked_fill(F.one_hot(labels, 4).bool(), float("inf"))
        return (pos + torch.logsumexp(-neg, 1)).mean()

    def configure_optimizers(self):
        return torch.optim.AdamW([{"params": self.embed.parameters(), "lr": 1e-3}, {"params": [self.proxies], "lr": 1e-1}])


def make_proxynca():
    return ProxyNCA(), *tuple_loaders(ints(4), images(), val=False)


class SupCon(AdamModule):
    """Two views stacked in the batch, labels, projector after encoder."""

    def __init__(self):
        super().__init__()
        self.encoder, self.projector = trunk(), nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 8))

    def training_step(self, batch, batch_idx):
        views, y = batch["views"], batch["label"]  # B x 2 x C x H x W
        b = len(views)
        z = normalize(self.projector(self.encoder(views.flatten(0, 1))))
        yy = y.repeat_interleave(2)
        sim = z @ z.T / 0.1
        eye = torch.eye(2 * b, device=z.device, dtype=torch.bool)
        logp = sim - torch.logsumexp(sim.masked_fill(eye, -1e9), 1, keepdim=True)
        pos = (yy[:, None] == yy[None]) & ~eye
        return -((logp * pos).sum(1) / pos.sum(1)).mean()

    validation_step = training_step


def make_supcon():
    v = images()
    return SupCon(), *dict_loaders(views=torch.stack([v, v.flip(-1)], 1), label=ints(3))


class SimCLR(AdamModule):
    """NT-Xent written as cross-entropy against arange; there is a label in the batch that is not used."""

    def __init__(self):
        super().__init__()
        self.resnet = cnn(8)

    def info_nce(self, z):
        n = len(z) // 2
        sim = F.cosine_similarity(z[:, None], z[None], dim=-1) / 0.2
        sim.fill_diagonal_(-9e15)
        target = torch.cat([torch.arange(n, 2 * n), torch.arange(n)]).to(z.device)
        return F.cross_entropy(sim, target)

    def training_step(self, batch, batch_idx):
        (x1, x2), _ = batch
        loss = self.info_nce(self.resnet(torch.cat([x1, x2])))
        self.log("nll", loss)
        return loss

    validation_step = training_step


def make_simclr():
    x = images()
    return SimCLR(), *loaders(lambda a, b, y: ((a, b), y), x, x.flip(-1), ints(4))


class SimSiam(AdamModule):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(cnn(8), nn.BatchNorm1d(8, affine=False))
        self.predictor = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8))

    def training_step(self, batch, batch_idx):
        x1, x2 = batch
        z1, z2 = self.encoder(x1), self.encoder(x2)
        p1, p2 = self.predictor(z1), self.predictor(z2)
        return -(F.cosine_similarity(p1, z2.detach()).mean() + F.cosine_similarity(p2, z1.detach()).mean()) / 2


def make_simsiam():
    x = images()
    return SimSiam(), *tuple_loaders(x, x.flip(-2), val=False)


class MoCo(pl.LightningModule):
    """Queue of negatives, momentum encoder, CE against zeros."""

    def __init__(self):
        super().__init__()
        self.encoder_q = cnn(8)
        self.encoder_k = copy.deepcopy(self.encoder_q).requires_grad_(False)
        self.register_buffer("queue", normalize(torch.randn(8, 32), dim=0))

    def training_step(self, batch, batch_idx):
        im_q, im_k = batch["q"], batch["k"]
        q = normalize(self.encoder_q(im_q))
        with torch.no_grad():
            for pq, pk in zip(self.encoder_q.parameters(), self.encoder_k.parameters()):
                pk.mul_(0.99).add_(pq, alpha=0.01)
            k = normalize(self.encoder_k(im_k))
        l_pos = torch.einsum("nc,nc->n", q, k)[:, None]
        l_neg = torch.einsum("nc,ck->nk", q, self.queue.clone())
        logits = torch.cat([l_pos, l_neg], 1) / 0.07
        labels = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        self.queue = torch.cat([k.T, self.queue], 1)[:, :32]
        return F.cross_entropy(logits, labels)

    def configure_optimizers(self):
        return torch.optim.SGD(self.encoder_q.parameters(), 0.03)


def make_moco():
    x = images()
    return MoCo(), *dict_loaders(val=False, q=x, k=x.flip(-1))


class VICReg(AdamModule):
    """Views made in the step; the invariance term is an MSE."""

    def __init__(self):
        super().__init__()
        self.net = cnn(8)

    @staticmethod
    def off_diagonal(c):
        return c - torch.diag(torch.diag(c))

    def training_step(self, batch, batch_idx):
        x = batch[0]
        za = self.net(x + 0.1 * torch.randn_like(x))
        zb = self.net(x.flip(-1) * (0.8 + 0.4 * torch.rand(len(x), 1, 1, 1)))
        inv = F.mse_loss(za, zb)
        var = sum(F.relu(1 - torch.sqrt(z.var(0) + 1e-4)).mean() for z in (za, zb))
        cov = sum(self.off_diagonal(torch.cov(z.T)).pow(2).sum() / 8 for z in (za, zb))
        return 25 * inv + 25 * var + cov


def make_vicreg():
    return VICReg(), *tuple_loaders(images(), ints(4), val=False)


class DINO(pl.LightningModule):
    """Multi-crop, EMA teacher, centring; the batch is a list of crops."""

    def __init__(self):
        super().__init__()
        self.student = cnn(16)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.register_buffer("center", torch.zeros(1, 16))
        self.automatic_optimization = False

    def training_step(self, crops, batch_idx):
        opt = self.optimizers()
        with torch.no_grad():
            t = [self.teacher(c) for c in crops[:2]]
            tp = [((v - self.center) / 0.04).softmax(-1) for v in t]
        s = [F.log_softmax(self.student(c) / 0.1, -1) for c in crops]
        terms = [-(a * b).sum(-1).mean() for i, a in enumerate(tp) for j, b in enumerate(s) if i != j]
        loss = sum(terms) / len(terms)
        opt.zero_grad()
        self.manual_backward(loss)
        opt.step()
        with torch.no_grad():
            self.center.lerp_(torch.cat(t).mean(0, keepdim=True), 0.1)
            for a, b in zip(self.teacher.parameters(), self.student.parameters()):
                a.lerp_(b, 0.01)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.student.parameters(), 1e-3)


def make_dino():
    x = images()
    return DINO(), *tuple_loaders(x, x.flip(-1), x[..., :8, :8].clone(), x[..., 8:, 8:].clone(), val=False)


class CLIPLike(AdamModule):
    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb, self.fc = nn.Embedding(50, 12), nn.Linear(12, 8)

        def forward(self, ids, attention_mask):
            h = self.emb(ids) * attention_mask[..., None]
            return self.fc(h.sum(1) / attention_mask.sum(1, keepdim=True))

    def __init__(self):
        super().__init__()
        self.visual, self.text = cnn(8), self.Text()
        self.logit_scale = nn.Parameter(torch.tensor(2.6))

    def training_step(self, batch, batch_idx):
        i = normalize(self.visual(batch["image"]))
        t = normalize(self.text(batch["input_ids"], batch["attention_mask"]))
        logits = self.logit_scale.exp() * i @ t.T
        labels = torch.arange(len(i), device=i.device)
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2

    validation_step = training_step


def make_clip():
    return CLIPLike(), *dict_loaders(image=images(), input_ids=ints(50, 4, (N, 6)), attention_mask=torch.ones(N, 6))


class ProtoNet(AdamModule):
    """Few-shot episode: support and query sets, distance to class means."""

    def __init__(self):
        super().__init__()
        self.encoder = cnn(8, cin=1)

    def training_step(self, batch, batch_idx):
        x, y = batch  # an episode of 8 images of up to 2 classes
        z = self.encoder(x)
        sup, qry = z[:4], z[4:]
        proto = torch.stack([(sup * (y[:4] == c).float()[:, None]).sum(0) / ((y[:4] == c).sum() + 1e-3) for c in range(2)])
        return F.cross_entropy(-torch.cdist(qry, proto).pow(2), y[4:])

    validation_step = training_step


def make_proto():
    return ProtoNet(), *tuple_loaders(images(1), ints(2))


class DeepHash(AdamModule):
    """DPSH: pairwise likelihood of code inner products, plus quantisation."""

    def __init__(self):
        super().__init__()
        self.hashnet = cnn(12)

    def training_step(self, batch, batch_idx):
        x, y = batch["image"], batch["classes"]  # multi-hot
        u = self.hashnet(x)
        s = (y @ y.T > 0).float()
        theta = u @ u.T / 2
        return (F.softplus(theta) - s * theta).mean() + 0.1 * (u - u.sign()).pow(2).mean()

    validation_step = training_step


def make_hash():
    return DeepHash(), *dict_loaders(image=images(), classes=bits(5))


CASES = {
    "triplets as three images": (make_triplet, dict(task="embedding", net="embedder", head="")),
    "contrastive pairs with same/different": (
        make_contrastive,
        dict(task="embedding", net="signet", head="", target="batch['same']"),
    ),
    "batch-hard triplet, identities and cameras": (
        make_batchhard,
        dict(task="embedding", net="", head="", target="batch[1]", image="batch[0]"),
    ),
    "ArcFace within the criterion": (
        make_arcface,
        dict(task="embedding", net="backbone", head="", target="batch['individual_id']", image="batch['image']"),
    ),
    "CosFace in the step": (
        make_cosface,
        dict(task=("embedding", "multiclass"), net="model", head="", target="batch[1]", image="batch[0]"),
    ),
    "proxy NCA, labels first": (
        make_proxynca,
        dict(task="embedding", net="embed", head="", target="batch[0]", image="batch[1]"),
    ),
    "SupCon with views on axis 1": (
        make_supcon,
        dict(task="embedding", net="projector", head="", target="batch['label']", image="batch['views']"),
    ),
    "SimCLR as CE against arange": (make_simclr, dict(task="embedding", net="resnet", head="")),
    "SimSiam": (make_simsiam, dict(task="embedding", head="")),
    "MoCo with a queue": (make_moco, dict(task="embedding", net="encoder_q", head="", image="batch['q']")),
    "VICReg, views made in the step": (make_vicreg, dict(task="embedding", net="net", head="", image="batch[0]")),
    "DINO multi-crop, manual optimization": (make_dino, dict(task="embedding", net="student", head="")),
    "CLIP-like image and tokens": (make_clip, dict(task="embedding", head="", image="batch['image']")),
    "prototypical network episode": (
        make_proto,
        dict(task="embedding", net="encoder", head="", target="batch[1]", image="batch[0]"),
    ),
    "deep pairwise hashing": (
        make_hash,
        dict(task="embedding", net="hashnet", head="", target="batch['classes']", image="batch['image']"),
    ),
}
