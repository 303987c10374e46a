"""Batches of many kinds: data classes, nests, clips, bags, crops, several inputs."""

from typing import NamedTuple

from .parts import *


@dataclasses.dataclass
class Sample:
    image: torch.Tensor
    label: torch.Tensor
    path: list


def collate_samples(rows):
    return Sample(torch.stack([r[0] for r in rows]), torch.stack([r[1] for r in rows]), [f"{i}.png" for i in range(len(rows))])


class DataClass(Lit):
    def __init__(self):
        super().__init__()
        self.net = classifier(5)

    def training_step(self, batch, _):
        return F.cross_entropy(self.net(batch.image), batch.label)

    def validation_step(self, batch, _):
        logits = self.net(batch.image)
        self.log("acc", logits.argmax(1).eq(batch.label).float().mean())


def make_dataclass():
    return DataClass(), *both(TensorDataset(pixels(), classes(5)), collate_samples)


class Item(NamedTuple):
    img: torch.Tensor
    attrs: torch.Tensor
    idx: int


class NamedRows(Lit):
    """Named tuples and attributes of faces."""

    def __init__(self):
        super().__init__()
        self.resnet = classifier(7)
        self.pos_weight = torch.linspace(1, 3, 7)

    def training_step(self, batch: Item, _):
        return F.binary_cross_entropy_with_logits(self.resnet(batch.img), batch.attrs, pos_weight=self.pos_weight)

    validation_step = training_step


def make_named():
    return NamedRows(), *both(Rows(Item, pixels(), bits(7), torch.arange(COUNT)))


class Metadata(Lit):
    """Skin lesions with age and site beside the picture; nested tuples."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cnn, self.meta = backbone(), nn.Sequential(nn.Linear(3, 6), nn.ReLU())
            self.out = nn.Linear(16, 4)

        def forward(self, x, meta):
            return self.out(torch.cat([self.cnn(x), self.meta(meta)], dim=1))

    def __init__(self):
        super().__init__()
        self.net = self.Net()

    def training_step(self, batch, _):
        (x, meta), (y, _id) = batch
        return F.cross_entropy(self.net(x, meta), y)

    validation_step = training_step


def make_metadata():
    rows = Rows(lambda x, m, y, i: ((x, m), (y, i)), pixels(), torch.randn(COUNT, 3), classes(4), torch.arange(COUNT))
    return Metadata(), *both(rows)


class Clips(Lit):
    """Frames through a 2d network, mean over time."""

    def __init__(self):
        super().__init__()
        self.cnn, self.fc = backbone(), nn.Linear(10, 5)

    def forward(self, clip):
        b, t = clip.shape[:2]
        return self.fc(self.cnn(clip.flatten(0, 1)).view(b, t, -1).mean(1))

    def training_step(self, batch, _):
        return F.cross_entropy(self(batch["video"]), batch["label"])

    validation_step = training_step


def make_clips():
    return Clips(), *dicts(video=torch.randn(COUNT, 4, 3, SIDE, SIDE), label=classes(5), audio=torch.randn(COUNT, 20))


class Slices3D(Lit):
    """Brain age from a volume."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv3d(1, 6, 3, 2, 1), nn.ELU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, 1))

    def training_step(self, batch, _):
        mri, age = batch
        return F.l1_loss(self.net(mri).squeeze(1), (age - 50) / 20)

    validation_step = training_step


def make_slices():
    return Slices3D(), *tuples(torch.randn(COUNT, 1, 8, 10, 10), 20 + 60 * torch.rand(COUNT))


class AttentionMIL(Lit):
    """Bags of patches, gated attention, a Bernoulli likelihood by hand."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.v, self.u = backbone(), nn.Linear(10, 6), nn.Linear(10, 6)
            self.w, self.c = nn.Linear(6, 1), nn.Linear(10, 1)

        def forward(self, bag):
            h = self.f(bag.flatten(0, 1)).view(*bag.shape[:2], -1)
            a = self.w(torch.tanh(self.v(h)) * torch.sigmoid(self.u(h))).softmax(1)
            return torch.sigmoid(self.c((a * h).sum(1))), a.squeeze(-1)

    def __init__(self):
        super().__init__()
        self.mil = self.Net()

    def training_step(self, batch, _):
        bag, y = batch["bag"], batch["y"].float()
        p, _att = self.mil(bag)
        p = p[:, 0].clamp(1e-5, 1 - 1e-5)
        return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()

    validation_step = training_step


def make_mil():
    return AttentionMIL(), *dicts(bag=torch.randn(COUNT, 5, 3, 8, 8), y=classes(2))


class Ragged(Lit):
    """Images of several sizes in a list, one at a time."""

    def __init__(self):
        super().__init__()
        self.net = classifier(4)

    def training_step(self, batch, _):
        images, labels = batch
        self.net[1].eval()
        logits = torch.cat([self.net(i[None]) for i in images])
        return F.cross_entropy(logits, labels)

    validation_step = training_step


def make_ragged():
    x = [torch.randn(3, 12 + i % 5, 16) for i in range(COUNT)]
    collate = lambda rows: ([r[0] for r in rows], torch.stack([r[1] for r in rows]))
    return Ragged(), *both(Rows(lambda a, b: (a, b), x, classes(4)), collate)


class Attributes(Lit):
    """Colour, kind and season of clothes, a dictionary of logits and of labels."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = backbone()
            self.heads = nn.ModuleDict({"color": nn.Linear(10, 5), "kind": nn.Linear(10, 4), "season": nn.Linear(10, 3)})

        def forward(self, x):
            f = self.body(x)
            return {k: h(f) for k, h in self.heads.items()}

    def __init__(self):
        super().__init__()
        self.model = self.Net()

    def training_step(self, batch, _):
        out = self.model(batch["img"])
        losses = {k: F.cross_entropy(out[k], batch["labels"][k]) for k in out}
        self.log_dict({f"loss_{k}": v for k, v in losses.items()})
        return sum(losses.values())

    validation_step = training_step


def make_attributes():
    rows = Rows(
        lambda x, a, b, c: {"img": x, "labels": {"color": a, "kind": b, "season": c}},
        pixels(),
        classes(5),
        classes(4),
        classes(3),
    )
    return Attributes(), *both(rows)


class Thermal(Lit):
    """Two cameras, fused late."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.o = backbone(3), backbone(1), nn.Linear(20, 3)

        def forward(self, rgb, thermal=None):
            return self.o(torch.cat([self.a(rgb), self.b(thermal)], 1))

    def __init__(self):
        super().__init__()
        self.two = self.Net()

    def training_step(self, batch, _):
        logits = self.two(batch["rgb"], thermal=batch["ir"])
        return F.cross_entropy(logits, batch["y"])

    validation_step = training_step


def make_thermal():
    return Thermal(), *dicts(rgb=pixels(), ir=pixels(1), y=classes(3))


class FiveCrop(Lit):
    """Validation on five crops whose logits are averaged; the validation batch has one axis more."""

    def __init__(self):
        super().__init__()
        self.net = classifier(5)

    def training_step(self, batch, _):
        x, y = batch
        return F.cross_entropy(self.net(x), y)

    def validation_step(self, batch, _):
        x, y = batch
        b, n = x.shape[:2]
        out = self.net(x.flatten(0, 1)).view(b, n, -1).mean(1)
        self.log("v", F.cross_entropy(out, y))


def make_fivecrop():
    train, _ = tuples(pixels(), classes(5))
    return FiveCrop(), train, DataLoader(TensorDataset(torch.randn(COUNT, 5, 3, 12, 12), classes(5)), 4)


class VQA(Lit):
    """A picture and a question, one of the answers."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.v, self.q, self.o = backbone(), nn.EmbeddingBag(40, 10), nn.Linear(10, 7)

        def forward(self, image, question):
            return self.o(self.v(image) * torch.tanh(self.q(question)))

    def __init__(self):
        super().__init__()
        self.vqa = self.Net()

    def training_step(self, batch, _):
        out = self.vqa(batch["image"], batch["question"])
        return F.cross_entropy(out, batch["answer"])

    validation_step = training_step


def make_vqa():
    return VQA(), *dicts(image=pixels(), question=torch.randint(0, 40, (COUNT, 6)), answer=classes(7))


class Weighted(Lit):
    """uint8 images scaled in the step, a weight per sample."""

    def __init__(self):
        super().__init__()
        self.net = classifier(4)
        self.register_buffer("mean", torch.tensor([0.48, 0.45, 0.4]).view(1, 3, 1, 1))

    def training_step(self, batch, _):
        x = (batch["image"].permute(0, 3, 1, 2).float() / 255 - self.mean) / 0.25
        loss = F.cross_entropy(self.net(x), batch["label"], reduction="none")
        return (loss * batch["weight"]).sum() / batch["weight"].sum()

    validation_step = training_step


def make_weighted():
    image = torch.randint(0, 256, (COUNT, SIDE, SIDE, 3), dtype=torch.uint8)
    return Weighted(), *dicts(image=image, label=classes(4), weight=0.5 + torch.rand(COUNT))


CASES = {
    "data class with its own collate": (
        make_dataclass,
        dict(task="multiclass", net="net", head="", target="batch.label", image="batch.image"),
    ),
    "named tuple, attributes of faces": (
        make_named,
        dict(task="multilabel", net="resnet", head="", target="batch.attrs", image="batch.img"),
    ),
    "nested tuples with metadata": (
        make_metadata,
        dict(task="multiclass", net="net", head="", target="batch[1][0]", image="batch[0][0]"),
    ),
    "clips, mean over time": (
        make_clips,
        dict(task="multiclass", net="", head="", target="batch['label']", image="batch['video']"),
    ),
    "brain age, scaled target": (
        make_slices,
        dict(task="regression", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "bags with attention": (
        make_mil,
        dict(task="binary", net="mil", head="[0]", target="batch['y']", image="batch['bag']"),
    ),
    "list of images of several sizes": (
        make_ragged,
        dict(task=("multiclass", "unknown"), net="net", head="", target="batch[1]"),
    ),
    "three attributes in dictionaries": (make_attributes, dict(task="multiclass", net="model", image="batch['img']")),
    "two cameras, one by keyword": (
        make_thermal,
        dict(task="multiclass", net="two", head="", target="batch['y']", image="batch['rgb'] and batch['ir']"),
    ),
    "five crops in validation": (
        make_fivecrop,
        dict(task="multiclass", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "picture and question": (
        make_vqa,
        dict(task="multiclass", net="vqa", head="", target="batch['answer']", image="batch['image']"),
    ),
    "bytes scaled in the step, weights of samples": (
        make_weighted,
        dict(task="multiclass", net="net", head="", target="batch['label']", image="batch['image']"),
    ),
}
