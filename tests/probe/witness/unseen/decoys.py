"""Meant to mislead: names, shapes and extra networks that point to the wrong place."""

from .parts import *


class SameOrNot(AdamModule):
    """Two images -> one logit (a classifier over |e1 - e2|, no distance loss)."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.out = trunk(1), nn.Linear(12, 1)

        def forward(self, pair):
            a, b = pair
            return self.out((self.e(a) - self.e(b)).abs())

    def __init__(self):
        super().__init__()
        self.siamese = self.Net()

    def training_step(self, batch, batch_idx):
        pair, same = batch
        return F.binary_cross_entropy_with_logits(self.siamese(pair), same[:, None].float())

    validation_step = training_step


def make_same():
    return SameOrNot(), *loaders(lambda a, b, y: ((a, b), y), images(1), images(1, seed=2), ints(2))


class AttentionMIL(AdamModule):
    """Bag of patches -> (probability, 0/1 decision, attention)."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.att, self.cls = trunk(), nn.Sequential(nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 1)), nn.Linear(12, 1)

        def forward(self, bag):
            h = self.f(bag.flatten(0, 1)).view(*bag.shape[:2], -1)
            a = self.att(h).softmax(1)
            p = torch.sigmoid(self.cls((a * h).sum(1))).squeeze(1)
            return p, (p > 0.5).float(), a

    def __init__(self):
        super().__init__()
        self.mil = self.Net()

    def training_step(self, batch, batch_idx):
        bag, instance_labels, bag_label = batch
        prob, hat, att = self.mil(bag)
        prob = prob.clamp(1e-5, 1 - 1e-5)
        return F.binary_cross_entropy(prob, bag_label.float())

    validation_step = training_step


def make_mil():
    inst = ints(2, 8, (N, 4))
    return AttentionMIL(), *tuple_loaders(torch.stack([images(seed=s) for s in range(4)], 1), inst, inst[:, 0])


class Sample:
    """A batch with attributes and .to(), as from old torchtext / PyG."""

    def __init__(self, rows):
        self.pixels = torch.stack([r[0] for r in rows])
        self.label = torch.stack([r[1] for r in rows])
        self.weight = torch.stack([r[2] for r in rows])

    def to(self, device, *a, **k):
        for n in ("pixels", "label", "weight"):
            setattr(self, n, getattr(self, n).to(device))
        return self


class AttributeBatch(AdamModule):
    def __init__(self):
        super().__init__()
        self.net = cnn(4)

    def training_step(self, batch, batch_idx):
        ce = F.cross_entropy(self.net(batch.pixels), batch.label, reduction="none")
        loss = (batch.weight * ce).mean()
        self.log("loss", loss, batch_size=len(batch.label))
        return loss

    validation_step = training_step


def make_attr():
    return AttributeBatch(), *loaders(lambda *t: t, images(), ints(4), floats(N), collate_fn=Sample)


class Decoy(AdamModule):
    """'label' is the hospital and is not used, 'meta' holds the diagnosis."""

    def __init__(self):
        super().__init__()
        self.net = cnn(3)

    def training_step(self, batch, batch_idx):
        dx = batch["meta"][:, 2].long()
        return -F.log_softmax(self.net(batch["image"]), 1).gather(1, dx[:, None]).mean()

    validation_step = training_step


def make_decoy():
    meta = torch.stack([ints(3, 20), ints(3, 21), ints(3, 22), ints(3, 23)], 1).float()
    return Decoy(), *dict_loaders(image=images(), label=ints(3), meta=meta)


class VQA(AdamModule):
    """Question tokens are ints like labels."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.v, self.q, self.ans = trunk(), nn.EmbeddingBag(30, 12), nn.Linear(12, 8)

        def forward(self, v, q):
            return {"pred": {"answer": self.ans(self.v(v) * self.q(q))}, "q": self.q(q)}

    def __init__(self):
        super().__init__()
        self.vqa = self.Net()

    def training_step(self, batch, batch_idx):
        question, answer, image = batch
        return F.cross_entropy(self.vqa(image, question)["pred"]["answer"], answer)

    validation_step = training_step


def make_vqa():
    return VQA(), *tuple_loaders(ints(30, 5, (N, 4)), ints(8), images())


class WearsMask(AdamModule):
    """The key 'mask' is a 0/1 per face: does the person wear one?"""

    def __init__(self):
        super().__init__()
        self.backbone, self.fc = trunk(), nn.Linear(12, 1)

    def forward(self, face):
        return torch.sigmoid(self.fc(self.backbone(face)))

    def training_step(self, batch, batch_idx):
        y_hat = self(batch["face"])
        return F.mse_loss(y_hat.squeeze(), batch["mask"].float())  # Brier score

    def validation_step(self, batch, batch_idx):
        self.log("acc", ((self(batch["face"]).squeeze() > 0.5) == batch["mask"]).float().mean())


def make_wears():
    return WearsMask(), *dict_loaders(face=images(), mask=ints(2).bool())


class ZLPR(AdamModule):
    """Multilabel as logsumexp over positives and negatives."""

    def __init__(self):
        super().__init__()
        self.model = cnn(9)

    def training_step(self, batch, batch_idx):
        labels, x = batch["tags"], batch["photo"]
        s = (1 - 2 * labels) * self.model(x)
        neg, pos = s - labels * 1e12, s - (1 - labels) * 1e12
        zero = torch.zeros_like(s[:, :1])
        return (torch.logsumexp(torch.cat([neg, zero], 1), 1) + torch.logsumexp(torch.cat([pos, zero], 1), 1)).mean()

    validation_step = training_step


def make_zlpr():
    return ZLPR(), *dict_loaders(tags=bits(9), photo=images())


class SoftVotes(AdamModule):
    """FER+: ten annotators' votes, KL of the distribution."""

    def __init__(self):
        super().__init__()
        self.fer = cnn(8, cin=1)
        self.kl = nn.KLDivLoss(reduction="batchmean")

    def training_step(self, batch, batch_idx):
        face, votes = batch
        return self.kl(self.fer(face).log_softmax(-1), votes / votes.sum(1, keepdim=True))

    validation_step = training_step


def make_votes():
    votes = F.one_hot(ints(8, 5, (N, 10)), 8).sum(1).float()
    return SoftVotes(), *tuple_loaders(images(1), votes)


class CumulativeMSE(AdamModule):
    """Grades coded as cumulative levels in the step, MSE of sigmoids."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(cnn(4), nn.Sigmoid())

    def encode(self, y):
        t = torch.zeros(len(y), 4, device=y.device)
        for i, g in enumerate(y):
            t[i, : int(g)] = 1.0
        return t

    def training_step(self, batch, batch_idx):
        return F.mse_loss(self.model(batch["retina"]), self.encode(batch["dr_level"]))

    def validation_step(self, batch, batch_idx):
        grade = (self.model(batch["retina"]) > 0.5).cumprod(1).sum(1)
        self.log("exact", (grade == batch["dr_level"]).float().mean())


def make_cummse():
    return CumulativeMSE(), *dict_loaders(retina=images(), dr_level=ints(5))


class ColumnOfInfo(AdamModule):
    """The plant's height stands in column 1 of an info tensor whose columns 0 and 2 are ints."""

    def __init__(self):
        super().__init__()
        self.reg = cnn(1)

    def training_step(self, batch, batch_idx):
        x, info = batch
        err = self.reg(x) - info[:, 1:2]
        return (0.5 * err**2).mean()

    validation_step = training_step


def make_column():
    info = torch.stack([ints(2).float(), floats(N, low=5, high=50), ints(4).float()], 1)
    return ColumnOfInfo(), *tuple_loaders(images(), info)


class SVHN(AdamModule):
    """Five digits: B x 5 x 11 logits, B x 5 ints; shape like a label map."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(cnn(55), nn.Unflatten(1, (5, 11)))

    def training_step(self, batch, batch_idx):
        x, digits = batch
        z = self.net(x)
        return sum(F.cross_entropy(z[:, i], digits[:, i]) for i in range(5))

    validation_step = training_step


def make_svhn():
    return SVHN(), *tuple_loaders(images(), ints(11, size=(N, 5)))


class MethodsNotCalls(AdamModule):
    """timm: forward_features is a method of the model; only the classifier is called."""

    class Timm(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.stages, self.fc = conv(3, 8, 2), conv(8, 12, 2), nn.Linear(12, 5)

        def forward_features(self, x):
            return self.stages(self.stem(x))

        def forward(self, x):
            return self.fc(self.forward_features(x).mean((2, 3)))

    def __init__(self):
        super().__init__()
        self.model = self.Timm()

    def training_step(self, batch, batch_idx):
        x, y = batch
        with torch.no_grad():
            f = self.model.forward_features(x)
        return F.multi_margin_loss(self.model.fc(f.mean((2, 3))), y)

    def validation_step(self, batch, batch_idx):
        x, y = batch
        f = self.model.forward_features(x)
        self.log("acc", (self.model.fc(f.mean((2, 3))).argmax(1) == y).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.model.fc.parameters(), 1e-2)


def make_methods():
    return MethodsNotCalls(), *tuple_loaders(images(), ints(5))


class AuxReconstruction(AdamModule):
    """Regression with a small decoder as a regulariser; the image is the target of the EXTRA loss only."""

    def __init__(self):
        super().__init__()
        self.encoder, self.age_head = trunk(1), nn.Linear(12, 1)
        self.decoder = nn.Linear(12, 256)

    def training_step(self, batch, batch_idx):
        mri, age = batch["mri"], batch["age"]
        z = self.encoder(mri)
        extra = F.mse_loss(self.decoder(z), mri.flatten(1))
        return F.l1_loss(self.age_head(z)[:, 0], age) + 0.01 * extra

    def validation_step(self, batch, batch_idx):
        self.log("mae", (self.age_head(self.encoder(batch["mri"]))[:, 0] - batch["age"]).abs().mean())


def make_auxrec():
    return AuxReconstruction(), *dict_loaders(mri=images(1), age=floats(N, low=20, high=90))


class SurfaceNormals(AdamModule):
    """Dense unit vectors by cosine; looks like an embedding loss or an image."""

    def __init__(self):
        super().__init__()
        self.normals_net = UNet(3, 3)

    def training_step(self, batch, batch_idx):
        n = F.normalize(self.normals_net(batch["rgb"]), dim=1)
        return (1 - F.cosine_similarity(n, batch["normal"], dim=1)).mean()

    validation_step = training_step


def make_normals():
    return SurfaceNormals(), *dict_loaders(rgb=images(), normal=F.normalize(floats(N, 3, SIDE, SIDE, low=-1), dim=1))


CASES = {
    "siamese with one logit for a pair": (make_same, dict(task="binary", net="siamese", head="", target="batch[1]")),
    "attention MIL over bags": (make_mil, dict(task="binary", net="mil", head="[0]", target="batch[2]", image="batch[0]")),
    "attribute batch with sample weights": (
        make_attr,
        dict(task="multiclass", net="net", head="", target="batch.label", image="batch.pixels"),
    ),
    "decoy label, diagnosis in a column of meta": (
        make_decoy,
        dict(task="multiclass", net="net", head="", target="batch['meta']", image="batch['image']"),
    ),
    "VQA, question first and image last": (
        make_vqa,
        dict(task="multiclass", net="vqa", head="['pred']['answer']", target="batch[1]", image="batch[2]"),
    ),
    "wears a mask, Brier score on bools": (
        make_wears,
        dict(task="binary", net="", head="", target="batch['mask']", image="batch['face']"),
    ),
    "multilabel logsumexp (ZLPR)": (
        make_zlpr,
        dict(task="multilabel", net="model", head="", target="batch['tags']", image="batch['photo']"),
    ),
    "annotator votes, KL": (make_votes, dict(task="multiclass", net="fer", head="", target="batch[1]", image="batch[0]")),
    "cumulative levels under MSE": (
        make_cummse,
        dict(task="ordinal", net="model", head="", target="batch['dr_level']", image="batch['retina']"),
    ),
    "height in a column of info": (
        make_column,
        dict(task="regression", net="reg", head="", target="batch[1]", image="batch[0]"),
    ),
    "five digits at once": (
        make_svhn,
        dict(task=("multiclass", "unknown"), net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "methods of the model, only fc is called, multi-margin": (
        make_methods,
        dict(task="multiclass", net="model.fc", head="", target="batch[1]", image="batch[0]"),
    ),
    "age with reconstruction as a regulariser": (
        make_auxrec,
        dict(task="regression", net="age_head", head="", target="batch['age']", image="batch['mri']"),
    ),
    "surface normals by cosine": (
        make_normals,
        dict(task="regression", net="normals_net", head="", target="batch['normal']", image="batch['rgb']"),
    ),
}
