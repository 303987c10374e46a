"""Borderline cases: several answers are accepted where several can be defended."""

import itertools

from .parts import *


class FitNet(AdamModule):
    """The student's vector follows the frozen teacher's vector; labels lie in the batch unused."""

    def __init__(self):
        super().__init__()
        self.teacher, self.student = trunk().requires_grad_(False), cnn(12)

    def training_step(self, batch, batch_idx):
        x, _ = batch
        self.teacher.eval()
        return F.mse_loss(self.student(x), self.teacher(x))


def make_fitnet():
    return FitNet(), *tuple_loaders(images(), ints(4), val=False)


class PureKD(AdamModule):
    """No labels at all: soft answers of a frozen classifier."""

    def __init__(self):
        super().__init__()
        self.big, self.small = cnn(6, width=20).requires_grad_(False), cnn(6)

    def training_step(self, batch, batch_idx):
        x = batch["image"]
        with torch.no_grad():
            soft = self.big.eval()(x).softmax(1)
        return -(soft * self.small(x).log_softmax(1)).sum(1).mean()

    validation_step = training_step


def make_purekd():
    return PureKD(), *dict_loaders(image=images(), file_no=torch.arange(N))


class UTKFace(AdamModule):
    """Age, sex, race with learnt uncertainties (Kendall)."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = trunk()
            self.age, self.sex, self.race = nn.Linear(12, 1), nn.Linear(12, 1), nn.Linear(12, 5)

        def forward(self, x):
            f = self.body(x)
            return {"age": self.age(f), "sex": self.sex(f), "race": self.race(f)}

    def __init__(self):
        super().__init__()
        self.net = self.Net()
        self.log_s = nn.Parameter(torch.zeros(3))

    def training_step(self, batch, batch_idx):
        o = self.net(batch["face"])
        parts = torch.stack(
            [
                F.l1_loss(o["age"][:, 0], batch["age"]),
                F.binary_cross_entropy_with_logits(o["sex"][:, 0], batch["sex"].float()),
                F.cross_entropy(o["race"], batch["race"]),
            ]
        )
        return (parts * torch.exp(-self.log_s) + self.log_s).sum()

    validation_step = training_step


def make_utk():
    return UTKFace(), *dict_loaders(face=images(), age=floats(N), sex=ints(2), race=ints(5, 8))


class HeatMaps(AdamModule):
    """Pose estimation: gaussians made of joints in the step, MSE weighted by visibility."""

    def __init__(self):
        super().__init__()
        self.hourglass = UNet(3, 4)

    def gaussians(self, joints):
        r = torch.arange(SIDE, device=joints.device).float()
        dx = (r[None, None] - joints[..., :1]) ** 2
        dy = (r[None, None] - joints[..., 1:2]) ** 2
        return torch.exp(-(dy[..., :, None] + dx[..., None, :]) / 4)

    def training_step(self, batch, batch_idx):
        img, joints, visible = batch
        d = (self.hourglass(img) - self.gaussians(joints)) ** 2
        return (d.mean((2, 3)) * visible).mean()

    validation_step = training_step


def make_heatmaps():
    return HeatMaps(), *tuple_loaders(images(), floats(N, 4, 2, high=15), bits(4, p=0.8))


class NIMA(AdamModule):
    """Distribution of scores 1..10 under the squared earth mover's distance."""

    def __init__(self):
        super().__init__()
        self.nima = nn.Sequential(cnn(10), nn.Softmax(1))

    def training_step(self, batch, batch_idx):
        p, q = self.nima(batch["image"]), batch["annotations"]
        return ((p.cumsum(1) - q.cumsum(1)) ** 2).mean(1).sqrt().mean()

    validation_step = training_step


def make_nima():
    return NIMA(), *dict_loaders(image=images(), annotations=torch.softmax(3 * floats(N, 10), 1))


class Jigsaw(AdamModule):
    """Nine shuffled tiles, which of six permutations; tiles and number come from the data set."""

    class CFN(nn.Module):
        def __init__(self):
            super().__init__()
            self.tile, self.fc = trunk(), nn.Linear(9 * 12, 6)

        def forward(self, t):
            return self.fc(self.tile(t.flatten(0, 1)).view(len(t), -1))

    def __init__(self):
        super().__init__()
        self.cfn = self.CFN()

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.cfn(batch["tiles"]), batch["perm"])

    validation_step = training_step


def make_jigsaw():
    perms = list(itertools.permutations(range(9)))[::60000][:6]
    x, k = images()[..., :15, :15], ints(6)
    cut = x.unfold(2, 5, 5).unfold(3, 5, 5).permute(0, 2, 3, 1, 4, 5).reshape(N, 9, 3, 5, 5)
    tiles = torch.stack([c[list(perms[int(i)])] for c, i in zip(cut, k)])
    return Jigsaw(), *dict_loaders(tiles=tiles, perm=k)


class Hashtags(AdamModule):
    """Multi-hot tags divided by their number, softmax CE (Mahajan et al.)."""

    def __init__(self):
        super().__init__()
        self.resnext = cnn(12)

    def training_step(self, batch, batch_idx):
        x, tags = batch
        t = tags / tags.sum(1, keepdim=True).clamp(min=1)
        return -(t * F.log_softmax(self.resnext(x), 1)).sum(1).mean()

    validation_step = training_step


def make_hashtags():
    return Hashtags(), *tuple_loaders(images(), bits(12, p=0.3))


class DiscreteSurvival(AdamModule):
    """Hazards per time bin with censoring (Nnet-survival, MCAT)."""

    def __init__(self):
        super().__init__()
        self.model = cnn(4)

    def training_step(self, batch, batch_idx):
        x, t, c = batch["slide"], batch["bin"][:, None], batch["censored"][:, None].float()
        h = torch.sigmoid(self.model(x))
        S = torch.cat([torch.ones_like(c), torch.cumprod(1 - h, 1)], 1)
        unc = -(1 - c) * (torch.log(S.gather(1, t) + 1e-7) + torch.log(h.gather(1, t) + 1e-7))
        cen = -c * torch.log(S.gather(1, t + 1) + 1e-7)
        return (unc + cen).mean()

    validation_step = training_step


def make_discrete():
    return DiscreteSurvival(), *dict_loaders(slide=images(), bin=ints(4), censored=ints(2, 6))


class BoxAndClass(AdamModule):
    """One object per image: class and box from two heads, returned as a tuple (localisation)."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.c, self.b = trunk(), nn.Linear(12, 3), nn.Linear(12, 4)

        def forward(self, x):
            f = self.body(x)
            return self.c(f), self.b(f).sigmoid()

    def __init__(self):
        super().__init__()
        self.localizer = self.Net()

    def training_step(self, batch, batch_idx):
        img, t = batch
        cls, box = self.localizer(img)
        return F.cross_entropy(cls, t["class"]) + 10 * F.smooth_l1_loss(box, t["bbox"])

    validation_step = training_step


def make_boxclass():
    return BoxAndClass(), *loaders(lambda x, c, b: (x, {"class": c, "bbox": b}), images(), ints(3), floats(N, 4))


class DepthAndSeg(AdamModule):
    """Class per pixel and depth per pixel out of one decoder by channel slices."""

    def __init__(self):
        super().__init__()
        self.net = UNet(3, 4)

    def training_step(self, batch, batch_idx):
        o = self.net(batch["rgb"])
        return F.cross_entropy(o[:, :3], batch["seg"]) + 0.5 * F.l1_loss(o[:, 3], batch["depth"])

    validation_step = training_step


def make_depthseg():
    return DepthAndSeg(), *dict_loaders(rgb=images(), seg=blobs(classes=3), depth=floats(N, SIDE, SIDE, high=5))


CASES = {
    "FitNet: vectors of a frozen teacher": (
        make_fitnet,
        dict(task=("embedding", "regression", "unknown"), net="student", head="", target="frozen network", image="batch[0]"),
    ),
    "distillation without labels": (
        make_purekd,
        dict(task=("multiclass", "unknown"), net="small", head="", target="frozen network", image="batch['image']"),
    ),
    "age, sex and race with learnt weights": (
        make_utk,
        dict(task=("regression", "binary", "multiclass"), net="net", image="batch['face']"),
    ),
    "pose heat maps made in the step": (
        make_heatmaps,
        dict(task=("regression", "unknown"), net="hourglass", head="", target="batch[1]", image="batch[0]"),
    ),
    "score distribution, earth mover": (
        make_nima,
        dict(
            task=("multiclass", "ordinal", "regression"),
            net="nima",
            head="",
            target="batch['annotations']",
            image="batch['image']",
        ),
    ),
    "jigsaw pretext from the data set": (
        make_jigsaw,
        dict(task=("unknown", "multiclass"), net="cfn", head="", target="batch['perm']", image="batch['tiles']"),
    ),
    "hashtags, softmax CE on multi-hot": (
        make_hashtags,
        dict(task=("multilabel", "multiclass"), net="resnext", head="", target="batch[1]", image="batch[0]"),
    ),
    "discrete-time survival": (make_discrete, dict(task=("unknown", "ordinal"), net="model", head="", image="batch['slide']")),
    "one box and its class": (
        make_boxclass,
        dict(task=("unknown", "multiclass", "regression"), net="localizer", image="batch[0]"),
    ),
    "segmentation and depth by channel slices": (
        make_depthseg,
        dict(task=("segmentation", "unknown"), net="net", image="batch['rgb']"),
    ),
}
