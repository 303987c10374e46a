"""Masks: Dice, Tversky, Lovasz, auxiliary heads, edges, volumes, changes."""

from .parts import *


class Polyps(Lit):
    """Soft Dice on sigmoids; the mask has a channel."""

    def __init__(self):
        super().__init__()
        self.unet = EncoderDecoder(3, 1)

    def forward(self, x):
        return self.unet(x)

    def dice(self, logits, mask, smooth=1.0):
        p, m = torch.sigmoid(logits).flatten(1), mask.flatten(1)
        return (1 - (2 * (p * m).sum(1) + smooth) / (p.sum(1) + m.sum(1) + smooth)).mean()

    def training_step(self, batch, _):
        return self.dice(self(batch["image"]), batch["mask"])

    def validation_step(self, batch, _):
        out = self(batch["image"])
        self.log("dice", 1 - self.dice((out > 0).float() * 20 - 10, batch["mask"]))
        self.log("loss", self.dice(out, batch["mask"]))


def make_polyps():
    return Polyps(), *dicts(image=pixels(), mask=regions().unsqueeze(1).float())


class TverskyLoss(nn.Module):
    def __init__(self, alpha=0.3, beta=0.7, bce=0.5):
        super().__init__()
        self.a, self.b, self.bce = alpha, beta, bce

    def forward(self, logits, y):
        y = y.to(logits.dtype)
        p = logits.sigmoid()
        tp, fp, fn = (p * y).sum(), (p * (1 - y)).sum(), ((1 - p) * y).sum()
        t = tp / (tp + self.a * fp + self.b * fn + 1e-6)
        return (1 - t) + self.bce * F.binary_cross_entropy_with_logits(logits, y)


class Lesions(Lit):
    def __init__(self):
        super().__init__()
        self.net, self.loss = EncoderDecoder(1, 1), TverskyLoss()

    def training_step(self, batch, _):
        x, y = batch
        return self.loss(self.net(x).squeeze(1), y)

    validation_step = training_step


def make_lesions():
    return Lesions(), *tuples(pixels(1), regions())


class Street(Lit):
    """Class weights and void pixels of 255."""

    def __init__(self):
        super().__init__()
        self.fcn = EncoderDecoder(3, 4)
        self.ce = nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 2.0, 1.5]), ignore_index=255)

    def training_step(self, batch, _):
        return self.ce(self.fcn(batch[0]), batch[1])

    def validation_step(self, batch, _):
        out = self.fcn(batch[0])
        ok = batch[1] != 255
        self.log("acc", (out.argmax(1)[ok] == batch[1][ok]).float().mean())
        self.log("vl", self.ce(out, batch[1]))


def make_street():
    y = regions(4)
    y[:, :2] = 255
    return Street(), *tuples(pixels(), y)


def lovasz_grad(gt):
    p = len(gt)
    gts = gt.sum()
    inter = gts - gt.cumsum(0)
    union = gts + (1 - gt).cumsum(0)
    jac = 1 - inter / union
    jac[1:p] = jac[1:p] - jac[0:-1]
    return jac


def lovasz_softmax(probas, labels):
    c = probas.size(1)
    probas, labels = probas.permute(0, 2, 3, 1).reshape(-1, c), labels.view(-1)
    losses = []
    for k in range(c):
        fg = (labels == k).float()
        if fg.sum() == 0:
            continue
        err, perm = torch.sort((fg - probas[:, k]).abs(), 0, descending=True)
        losses.append(torch.dot(err, lovasz_grad(fg[perm])))
    return sum(losses) / len(losses)


class Lovasz(Lit):
    def __init__(self):
        super().__init__()
        self.net = EncoderDecoder(3, 3)

    def training_step(self, batch, _):
        x, y = batch["image"], batch["label"]
        return lovasz_softmax(F.softmax(self.net(x), dim=1), y)

    validation_step = training_step


def make_lovasz():
    return Lovasz(), *dicts(image=pixels(), label=regions(3))


class DeepLab(Lit):
    """torchvision-like: out and aux in a dictionary."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.main, self.aux = EncoderDecoder(3, 4), nn.Conv2d(3, 4, 1)

        def forward(self, x):
            result = collections.OrderedDict()
            result["out"], result["aux"] = self.main(x), self.aux(x)
            return result

    def __init__(self):
        super().__init__()
        self.model = self.Net()

    def training_step(self, batch, _):
        x, y = batch
        losses = {name: F.cross_entropy(o, y, ignore_index=255) for name, o in self.model(x).items()}
        return losses["out"] + 0.4 * losses["aux"]

    def validation_step(self, batch, _):
        x, y = batch
        self.log("loss", F.cross_entropy(self.model(x)["out"], y, ignore_index=255))


def make_deeplab():
    return DeepLab(), *tuples(pixels(), regions(4))


class DeepSupervision(Lit):
    """nnU-Net-like: list of scales, labels shrunk to each."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.u, self.low = EncoderDecoder(1, 3), nn.Conv2d(1, 3, 3, stride=2, padding=1)

        def forward(self, x):
            return [self.u(x), self.low(x), F.avg_pool2d(self.low(x), 2)]

    def __init__(self):
        super().__init__()
        self.network = self.Net()

    def training_step(self, batch, _):
        loss = 0.0
        for i, o in enumerate(self.network(batch["data"])):
            t = F.interpolate(batch["target"], size=o.shape[2:], mode="nearest")[:, 0].long()
            loss = loss + 0.5**i * F.cross_entropy(o, t)
        return loss / 1.75

    validation_step = training_step


def make_supervision():
    return DeepSupervision(), *dicts(data=pixels(1), target=regions(3).unsqueeze(1).float())


class Spleen(Lit):
    """MONAI-like: volumes, one-hot of the label, softmax Dice without background."""

    def __init__(self):
        super().__init__()
        self._model = nn.Sequential(nn.Conv3d(1, 6, 3, padding=1), nn.PReLU(), nn.Conv3d(6, 2, 1))

    def forward(self, x):
        return self._model(x)

    def loss_function(self, out, label):
        p = torch.softmax(out, 1)[:, 1:]
        t = F.one_hot(label[:, 0].long(), 2).movedim(-1, 1).float()[:, 1:]
        inter = (p * t).sum((2, 3, 4))
        return (1 - (2 * inter + 1e-5) / (p.sum((2, 3, 4)) + t.sum((2, 3, 4)) + 1e-5)).mean()

    def training_step(self, batch, _):
        images, labels = batch["image"], batch["label"]
        return {"loss": self.loss_function(self.forward(images), labels)}

    def validation_step(self, batch, _):
        self.log("val_loss", self.loss_function(self.forward(batch["image"]), batch["label"]))


def make_spleen():
    label = (torch.rand(COUNT, 1, 6, 8, 8) > 0.6).float()
    return Spleen(), *dicts(image=torch.randn(COUNT, 1, 6, 8, 8), label=label)


class Brats(Lit):
    """Overlapping regions: three sigmoid channels."""

    def __init__(self):
        super().__init__()
        self.net = EncoderDecoder(4, 3)

    def training_step(self, batch, _):
        p, t = torch.sigmoid(self.net(batch["image"])), batch["label"]
        num = 2 * (p * t).sum((0, 2, 3)) + 1
        return 1 - (num / ((p**2).sum((0, 2, 3)) + (t**2).sum((0, 2, 3)) + 1)).mean()

    validation_step = training_step


def make_brats():
    m = regions()
    t = torch.stack([m, m * (torch.rand(COUNT, SIDE, SIDE) > 0.3), 1 - m], 1).float()
    return Brats(), *dicts(image=pixels(4), label=t)


class SegFormer(Lit):
    """Logits at a quarter of the size are enlarged in the step."""

    Out = collections.namedtuple("Out", "loss logits")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.decode_head = nn.Conv2d(3, 10, 4, stride=4), nn.Conv2d(10, 5, 1)

        def forward(self, pixel_values):
            return SegFormer.Out(None, self.decode_head(F.gelu(self.stem(pixel_values))))

    def __init__(self):
        super().__init__()
        self.model = self.Net()

    def training_step(self, batch, _):
        logits = self.model(pixel_values=batch["pixel_values"]).logits
        up = F.interpolate(logits, size=batch["labels"].shape[-2:], mode="bilinear", align_corners=False)
        return F.cross_entropy(up, batch["labels"])

    validation_step = training_step


def make_segformer():
    return SegFormer(), *dicts(pixel_values=pixels(), labels=regions(5))


class WeakCam(Lit):
    """Tags of images on pooled class maps."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 10, 3, 2, 1), nn.ReLU(), nn.Conv2d(10, 6, 1))

    def training_step(self, batch, _):
        x, tags = batch
        return F.multilabel_soft_margin_loss(self.maps(x).mean((2, 3)), tags)

    validation_step = training_step


def make_weakcam():
    return WeakCam(), *tuples(pixels(), bits(6))


class HED(Lit):
    """Edges: class-balanced BCE on three side outputs and their fusion."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
            self.sa, self.sb, self.fuse = nn.Conv2d(6, 1, 1), nn.Conv2d(6, 1, 1), nn.Conv2d(2, 1, 1)

        def forward(self, x):
            a = F.relu(self.a(x))
            s1, s2 = self.sa(a), self.sb(F.relu(self.b(a)))
            return [torch.sigmoid(s) for s in (s1, s2, self.fuse(torch.cat([s1, s2], 1)))]

    def __init__(self):
        super().__init__()
        self.net = self.Net()

    @staticmethod
    def balanced(p, t):
        pos, neg = t.sum(), (1 - t).sum()
        w = torch.where(t > 0.5, neg / (pos + neg), 1.1 * pos / (pos + neg))
        return F.binary_cross_entropy(p, t, weight=w)

    def training_step(self, batch, _):
        img, edge = batch
        return sum(self.balanced(o, edge) for o in self.net(img))

    validation_step = training_step


def make_hed():
    return HED(), *tuples(pixels(), bits(1, SIDE, SIDE, p=0.15))


class Change(Lit):
    """Two dates, one mask of what changed."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.o = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

        def forward(self, t1, t2):
            return self.o(F.relu((self.e(t1) - self.e(t2)).abs()))

    def __init__(self):
        super().__init__()
        self.net = self.Net()

    def training_step(self, batch, _):
        return F.cross_entropy(self.net(batch["A"], batch["B"]), batch["label"])

    validation_step = training_step


def make_change():
    return Change(), *dicts(A=pixels(), B=pixels(), label=regions())


class Panoptic(Lit):
    """Semantic classes, centres, offsets."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.u = EncoderDecoder(3, 8)
            self.sem, self.ctr, self.off = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 1, 1), nn.Conv2d(8, 2, 1)

        def forward(self, x):
            f = self.u(x)
            return {"sem": self.sem(f), "center": self.ctr(f), "offset": self.off(f)}

    def __init__(self):
        super().__init__()
        self.net = self.Net()

    def training_step(self, batch, _):
        o, t = self.net(batch["image"]), batch["target"]
        loss = F.cross_entropy(o["sem"], t["sem"])
        loss = loss + 200 * F.mse_loss(o["center"], t["center"])
        return loss + 0.01 * (F.l1_loss(o["offset"], t["offset"], reduction="none") * (t["sem"] > 0)[:, None]).mean()

    validation_step = training_step


def make_panoptic():
    rows = Rows(
        lambda x, s, c, o: {"image": x, "target": {"sem": s, "center": c, "offset": o}},
        pixels(),
        regions(4),
        torch.rand(COUNT, 1, SIDE, SIDE),
        torch.randn(COUNT, 2, SIDE, SIDE),
    )
    return Panoptic(), *both(rows)


CASES = {
    "soft Dice, mask with a channel": (
        make_polyps,
        dict(task="segmentation", net="", head="", target="batch['mask']", image="batch['image']"),
    ),
    "Tversky and BCE in one loss": (
        make_lesions,
        dict(task="segmentation", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "street scenes with void pixels": (
        make_street,
        dict(task="segmentation", net="fcn", head="", target="batch[1]", image="batch[0]"),
    ),
    "Lovasz softmax by hand": (
        make_lovasz,
        dict(task="segmentation", net="net", head="", target="batch['label']", image="batch['image']"),
    ),
    "out and aux in a dictionary": (
        make_deeplab,
        dict(task="segmentation", net="model", head="['out']", target="batch[1]", image="batch[0]"),
    ),
    "deep supervision, labels shrunk": (
        make_supervision,
        dict(task="segmentation", net="network", head="[0]", target="batch['target']", image="batch['data']"),
    ),
    "volumes, softmax Dice, step returns a dictionary": (
        make_spleen,
        dict(task="segmentation", target="batch['label']", image="batch['image']"),
    ),
    "overlapping regions, three sigmoids": (
        make_brats,
        dict(task="segmentation", net="net", head="", target="batch['label']", image="batch['image']"),
    ),
    "logits enlarged in the step": (
        make_segformer,
        dict(task="segmentation", net="model", head=".logits", target="batch['labels']", image="batch['pixel_values']"),
    ),
    "tags on pooled class maps": (
        make_weakcam,
        dict(task="multilabel", net="maps", head="", target="batch[1]", image="batch[0]"),
    ),
    "edges with side outputs": (
        make_hed,
        dict(task="segmentation", net="net", target="batch[1]", image="batch[0]"),
    ),
    "change between two dates": (
        make_change,
        dict(task="segmentation", net="net", head="", target="batch['label']", image="batch['A'] and batch['B']"),
    ),
    "semantic classes, centres and offsets": (
        make_panoptic,
        dict(task=("segmentation", "unknown"), net="net", image="batch['image']"),
    ),
}
