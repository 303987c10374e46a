"""Depth, key points, flow, homographies, crowds, detectors, text in pictures."""

from .parts import *


class SiLogDepth(Lit):
    """Scale-invariant log loss where the sensor saw something."""

    def __init__(self):
        super().__init__()
        self.net = EncoderDecoder(3, 1)

    def training_step(self, batch, _):
        depth, mask = batch["depth"], batch["depth"] > 0.1
        pred = F.softplus(self.net(batch["image"])) + 1e-3
        d = torch.log(pred[mask]) - torch.log(depth[mask])
        return torch.sqrt((d**2).mean() - 0.85 * d.mean() ** 2 + 1e-8)

    validation_step = training_step


def make_silog():
    depth = 5 * torch.rand(COUNT, 1, SIDE, SIDE)
    return SiLogDepth(), *dicts(image=pixels(), depth=depth * (torch.rand_like(depth) > 0.2))


class Landmarks(Lit):
    """Wing loss on coordinates, weighted by visibility."""

    def __init__(self):
        super().__init__()
        self.net = classifier(10)

    def wing(self, x, w=0.1, e=0.02):
        c = w - w * math.log(1 + w / e)
        return torch.where(x < w, w * torch.log(1 + x / e), x - c)

    def training_step(self, batch, _):
        img, pts, vis = batch["img"], batch["pts"], batch["vis"]
        out = self.net(img).view(-1, 5, 2)
        return (self.wing((out - pts).abs()) * vis[..., None]).sum() / vis.sum().clamp(min=1)

    validation_step = training_step


def make_landmarks():
    return Landmarks(), *dicts(img=pixels(), pts=torch.rand(COUNT, 5, 2), vis=bits(5, p=0.8))


class PoseMaps(Lit):
    """Heat maps come from the data set with a weight per joint."""

    def __init__(self):
        super().__init__()
        self.hrnet = EncoderDecoder(3, 4)

    def training_step(self, batch, _):
        x, target, weight, meta = batch
        out = self.hrnet(x)
        loss = 0
        for j in range(4):
            w = weight[:, j]
            loss = loss + 0.5 * F.mse_loss(out[:, j].flatten(1) * w, target[:, j].flatten(1) * w)
        return loss / 4

    validation_step = training_step


def make_posemaps():
    data = TensorDataset(pixels(), torch.rand(COUNT, 4, SIDE, SIDE) ** 8, bits(4, 1, p=0.8), torch.arange(COUNT))
    return PoseMaps(), *both(data)


class CenterNet(Lit):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.dla = EncoderDecoder(3, 8)
            self.hm, self.wh = nn.Conv2d(8, 3, 1), nn.Conv2d(8, 2, 1)

        def forward(self, x):
            f = F.relu(self.dla(x))
            return {"hm": self.hm(f), "wh": self.wh(f)}

    def __init__(self):
        super().__init__()
        self.net = self.Net()

    @staticmethod
    def focal(pred, gt):
        pos, neg = gt.eq(1).float(), gt.lt(1).float()
        pl_ = torch.log(pred) * (1 - pred) ** 2 * pos
        nl = torch.log(1 - pred) * pred**2 * (1 - gt) ** 4 * neg
        return -(pl_.sum() + nl.sum()) / pos.sum().clamp(min=1)

    def training_step(self, batch, _):
        o = self.net(batch["input"])
        hm = o["hm"].sigmoid().clamp(1e-4, 1 - 1e-4)
        wh = o["wh"].flatten(2).gather(2, batch["ind"][:, None].expand(-1, 2, -1)).transpose(1, 2)
        reg = F.l1_loss(wh * batch["reg_mask"][..., None], batch["wh"] * batch["reg_mask"][..., None])
        return self.focal(hm, batch["hm"]) + 0.1 * reg

    validation_step = training_step


def make_centernet():
    hm = torch.rand(COUNT, 3, SIDE, SIDE) ** 6
    hm[:, 1, 4, 4] = 1.0
    ind = torch.randint(0, SIDE * SIDE, (COUNT, 5))
    return CenterNet(), *dicts(input=pixels(), hm=hm, ind=ind, wh=3 * torch.rand(COUNT, 5, 2), reg_mask=bits(5))


class TinyYolo(Lit):
    """Grid of cells: offsets, objectness, classes in one tensor; targets built in the step from lists of boxes."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 12, 4, 4), nn.ReLU(), nn.Conv2d(12, 8, 1))

    def training_step(self, batch, _):
        x, boxes, labels = batch
        p = self.net(x).permute(0, 2, 3, 1)
        obj, tgt = torch.zeros_like(p[..., 4]), torch.zeros_like(p[..., :4])
        cls = torch.zeros(p.shape[:3], dtype=torch.long)
        for i, (bs, ls) in enumerate(zip(boxes, labels)):
            for b, l in zip(bs, ls):
                gx, gy = int(b[0] * 4), int(b[1] * 4)
                obj[i, gy, gx], tgt[i, gy, gx], cls[i, gy, gx] = 1, b, l
        on = obj.bool()
        loss = F.binary_cross_entropy_with_logits(p[..., 4], obj)
        return loss + F.mse_loss(p[..., :4][on], tgt[on]) + F.cross_entropy(p[..., 5:][on], cls[on])

    validation_step = training_step


def make_yolo():
    x = pixels()
    boxes = [0.9 * torch.rand(1 + i % 3, 4) for i in range(COUNT)]
    labels = [torch.randint(0, 3, (1 + i % 3,)) for i in range(COUNT)]
    collate = lambda rows: (torch.stack([r[0] for r in rows]), [r[1] for r in rows], [r[2] for r in rows])
    return TinyYolo(), *both(Rows(lambda *r: r, x, boxes, labels), collate)


class Flow(Lit):
    """RAFT-like: a sequence of flow fields, end-point error weighted towards the last."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.upd = nn.Conv2d(6, 8, 3, padding=1), nn.Conv2d(10, 2, 3, padding=1)

        def forward(self, im1, im2):
            f = F.relu(self.enc(torch.cat([im1, im2], 1)))
            flow, flows = torch.zeros_like(im1[:, :2]), []
            for _ in range(3):
                flow = flow + self.upd(torch.cat([f, flow], 1))
                flows.append(flow)
            return flows

    def __init__(self):
        super().__init__()
        self.raft = self.Net()

    def training_step(self, batch, _):
        im1, im2, gt, valid = batch
        loss = 0.0
        preds = self.raft(im1, im2)
        for i, p in enumerate(preds):
            loss = loss + 0.8 ** (2 - i) * (valid[:, None] * (p - gt).abs()).mean()
        self.epe = torch.sum((preds[-1] - gt) ** 2, 1).sqrt().mean().detach()
        return loss

    validation_step = training_step


def make_flow():
    return Flow(), *tuples(pixels(), pixels(), torch.randn(COUNT, 2, SIDE, SIDE), bits(SIDE, SIDE, p=0.9))


class HomographyNet(Lit):
    """Four corner offsets out of two stacked grey patches."""

    def __init__(self):
        super().__init__()
        self.net = classifier(8, cin=2)

    def training_step(self, batch, _):
        pair = torch.cat([batch["patch1"], batch["patch2"]], dim=1)
        delta = self.net(pair).view(-1, 4, 2)
        return F.mse_loss(delta, batch["four_point"])

    validation_step = training_step


def make_homography():
    return HomographyNet(), *dicts(patch1=pixels(1), patch2=pixels(1), four_point=torch.randn(COUNT, 4, 2))


class Crowd(Lit):
    """CSRNet: density map, the count is its sum."""

    def __init__(self):
        super().__init__()
        self.csr = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 1, 3, 2, 1))

    def training_step(self, batch, _):
        img, density = batch
        return F.mse_loss(self.csr(img), density, reduction="sum") / len(img)

    def validation_step(self, batch, _):
        img, density = batch
        self.log("mae", (self.csr(img).sum((1, 2, 3)) - density.sum((1, 2, 3))).abs().mean())


def make_crowd():
    return Crowd(), *tuples(pixels(), torch.rand(COUNT, 1, 4, 4))


class Photometric(Lit):
    """Depth and motion without labels: warp one frame onto the next."""

    def __init__(self):
        super().__init__()
        self.disp = nn.Sequential(EncoderDecoder(3, 1), nn.Sigmoid())

    def training_step(self, batch, _):
        left, right = batch["left"], batch["right"]
        d = self.disp(left)
        theta = torch.eye(2, 3).expand(len(left), -1, -1)
        grid = F.affine_grid(theta, left.shape, align_corners=False)
        grid = torch.stack([grid[..., 0] - 0.3 * d[:, 0], grid[..., 1]], -1)
        warped = F.grid_sample(right, grid, padding_mode="border", align_corners=False)
        smooth = (d[..., 1:] - d[..., :-1]).abs().mean()
        return (warped - left).abs().mean() + 0.1 * smooth

    validation_step = training_step


def make_photometric():
    return Photometric(), *dicts(left=pixels(), right=pixels())


def rotation_6d(v):
    a, b = v[:, :3], v[:, 3:]
    x = F.normalize(a, dim=1)
    z = F.normalize(torch.linalg.cross(x, b), dim=1)
    return torch.stack([x, torch.linalg.cross(z, x), z], 1)


class ObjectPose(Lit):
    """Rotation as six numbers, loss on matrices."""

    def __init__(self):
        super().__init__()
        self.net = classifier(6)

    def training_step(self, batch, _):
        R = rotation_6d(self.net(batch["crop"]))
        return ((R - batch["R"]) ** 2).sum((1, 2)).mean()

    validation_step = training_step


def make_pose():
    return ObjectPose(), *dicts(crop=pixels(), R=rotation_6d(torch.randn(COUNT, 6)))


class Captcha(Lit):
    """CTC over columns."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.c, self.rnn, self.o = nn.Conv2d(1, 8, 3, (4, 1), 1), nn.GRU(32, 8, batch_first=True), nn.Linear(8, 6)

        def forward(self, x):
            h = F.relu(self.c(x)).flatten(1, 2).transpose(1, 2)
            return self.o(self.rnn(h)[0])

    def __init__(self):
        super().__init__()
        self.crnn = self.Net()
        self.ctc = nn.CTCLoss(blank=0, zero_infinity=True)

    def training_step(self, batch, _):
        img, text = batch
        logp = self.crnn(img).log_softmax(2).permute(1, 0, 2)
        n = len(img)
        return self.ctc(logp, text, torch.full((n,), logp.size(0)), torch.full((n,), text.size(1)))

    validation_step = training_step


def make_captcha():
    return Captcha(), *tuples(pixels(1), torch.randint(1, 6, (COUNT, 4)))


class HouseNumbers(Lit):
    """Three digits, one head each, summed cross-entropies."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = backbone()
            self.digits = nn.ModuleList([nn.Linear(10, 11) for _ in range(3)])

        def forward(self, x):
            f = self.body(x)
            return [d(f) for d in self.digits]

    def __init__(self):
        super().__init__()
        self.svhn = self.Net()

    def training_step(self, batch, _):
        x, y = batch
        return sum(F.cross_entropy(o, y[:, i]) for i, o in enumerate(self.svhn(x)))

    validation_step = training_step


def make_svhn():
    return HouseNumbers(), *tuples(pixels(), torch.randint(0, 11, (COUNT, 3)))


CASES = {
    "depth, scale-invariant log": (
        make_silog,
        dict(task=("regression", "reconstruction"), net="net", head="", target="batch['depth']", image="batch['image']"),
    ),
    "landmarks, wing loss, visibility": (
        make_landmarks,
        dict(task="regression", net="net", head="", target="batch['pts']", image="batch['img']"),
    ),
    "heat maps per joint with weights": (
        make_posemaps,
        dict(task=("regression", "reconstruction"), net="hrnet", head="", target="batch[1]", image="batch[0]"),
    ),
    "centres and sizes of objects": (
        make_centernet,
        dict(task=("unknown", "segmentation", "regression"), net="net", image="batch['input']"),
    ),
    "grid detector, targets built in the step": (make_yolo, dict(task="unknown")),
    "flow, sequence of refinements": (
        make_flow,
        dict(task=("regression", "reconstruction", "unknown"), net="raft", target="batch[2]", image="batch[0] and batch[1]"),
    ),
    "corner offsets of two stacked patches": (
        make_homography,
        dict(task="regression", net="net", head="", target="batch['four_point']", image="batch['patch1'] and batch['patch2']"),
    ),
    "crowd density": (
        make_crowd,
        dict(task=("regression", "reconstruction"), net="csr", head="", target="batch[1]", image="batch[0]"),
    ),
    "disparity by warping": (make_photometric, dict(task="unknown")),
    "rotation from six numbers": (
        make_pose,
        dict(task=("regression", "unknown"), net="net", head="", target="batch['R']", image="batch['crop']"),
    ),
    "captcha by CTC": (make_captcha, dict(task="unknown")),
    "digits, one head each": (
        make_svhn,
        dict(task="multiclass", net="svhn", target="batch[1]", image="batch[0]"),
    ),
}
