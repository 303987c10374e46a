"""None of the tasks, or not to be told honestly."""

import copy

import pytorch_lightning as pl

from .parts import *


def generator(dim=8):
    return nn.Sequential(
        nn.Linear(dim, 128),
        nn.ReLU(),
        nn.Unflatten(1, (8, 4, 4)),
        nn.ConvTranspose2d(8, 8, 2, 2),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 3, 2, 2),
        nn.Sigmoid(),
    )


class WGANGP(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.G, self.D = generator(), cnn(1)
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        real, _ = batch
        og, od = self.optimizers()
        z = torch.randn(len(real), 8)
        fake = self.G(z)
        a = torch.rand(len(real), 1, 1, 1)
        mid = (a * real + (1 - a) * fake.detach()).requires_grad_()
        (grad,) = torch.autograd.grad(self.D(mid).sum(), mid, create_graph=True)
        gp = ((grad.flatten(1).norm(dim=1) - 1) ** 2).mean()
        d_loss = self.D(fake.detach()).mean() - self.D(real).mean() + 10 * gp
        od.zero_grad()
        self.manual_backward(d_loss)
        od.step()
        g_loss = -self.D(self.G(z)).mean()
        og.zero_grad()
        self.manual_backward(g_loss)
        og.step()

    def configure_optimizers(self):
        return [
            torch.optim.Adam(self.G.parameters(), 1e-4, (0.0, 0.9)),
            torch.optim.Adam(self.D.parameters(), 1e-4, (0.0, 0.9)),
        ], []


def make_wgan():
    return WGANGP(), *tuple_loaders(images(), ints(10), val=False)


class DCGAN(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = generator(), cnn(1)
        self.automatic_optimization = False

    def adversarial_loss(self, y_hat, y):
        return F.binary_cross_entropy_with_logits(y_hat, y)

    def training_step(self, batch, batch_idx):
        imgs, _ = batch
        g_opt, d_opt = self.optimizers()
        z = torch.randn(len(imgs), 8).type_as(imgs)
        self.toggle_optimizer(g_opt)
        valid = torch.ones(len(imgs), 1).type_as(imgs)
        g_loss = self.adversarial_loss(self.discriminator(self.generator(z)), valid)
        g_opt.zero_grad()
        self.manual_backward(g_loss)
        g_opt.step()
        self.untoggle_optimizer(g_opt)
        self.toggle_optimizer(d_opt)
        fake = torch.zeros(len(imgs), 1).type_as(imgs)
        d_loss = (
            self.adversarial_loss(self.discriminator(imgs), valid)
            + self.adversarial_loss(self.discriminator(self.generator(z).detach()), fake)
        ) / 2
        d_opt.zero_grad()
        self.manual_backward(d_loss)
        d_opt.step()
        self.untoggle_optimizer(d_opt)

    def configure_optimizers(self):
        return torch.optim.Adam(self.generator.parameters(), 2e-4), torch.optim.Adam(self.discriminator.parameters(), 2e-4)


def make_dcgan():
    return DCGAN(), *tuple_loaders(images(), ints(10), val=False)


class DDPM(AdamModule):
    class Eps(nn.Module):
        def __init__(self):
            super().__init__()
            self.unet = UNet(4, 3)

        def forward(self, x, t):
            return self.unet(torch.cat([x, (t / 100.0)[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1))

    def __init__(self):
        super().__init__()
        self.eps_model = self.Eps()
        self.register_buffer("abar", torch.cumprod(1 - torch.linspace(1e-4, 0.02, 100), 0))

    def training_step(self, batch, batch_idx):
        x0 = batch["image"] * 2 - 1
        t = torch.randint(0, 100, (len(x0),), device=x0.device)
        noise = torch.randn_like(x0)
        a = self.abar[t][:, None, None, None]
        loss = F.mse_loss(self.eps_model(a.sqrt() * x0 + (1 - a).sqrt() * noise, t), noise)
        self.log("loss", loss)
        return loss

    validation_step = training_step


def make_ddpm():
    return DDPM(), *dict_loaders(image=images())


class CRNN(AdamModule):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cnn, self.rnn, self.fc = conv(1, 8, 2), nn.GRU(64, 12, batch_first=True, bidirectional=True), nn.Linear(24, 11)

        def forward(self, x):
            f = self.cnn(x)
            h, _ = self.rnn(f.permute(0, 3, 1, 2).flatten(2))
            return self.fc(h)

    def __init__(self):
        super().__init__()
        self.crnn, self.ctc = self.Net(), nn.CTCLoss(zero_infinity=True)

    def training_step(self, batch, batch_idx):
        img, text, lengths = batch
        logp = self.crnn(img).log_softmax(-1).permute(1, 0, 2)
        return self.ctc(logp, text, torch.full((len(img),), logp.size(0), dtype=torch.long), lengths)

    validation_step = training_step


def make_crnn():
    return CRNN(), *tuple_loaders(images(1), ints(10, size=(N, 3)) + 1, ints(3, 5) + 1)


class Reinforce(AdamModule):
    """Stored transitions: frames, actions, returns."""

    def __init__(self):
        super().__init__()
        self.policy = cnn(4)

    def training_step(self, batch, batch_idx):
        dist = torch.distributions.Categorical(logits=self.policy(batch["obs"]))
        adv = batch["returns"] - batch["returns"].mean()
        return -(dist.log_prob(batch["action"]) * adv).mean() - 0.01 * dist.entropy().mean()


def make_reinforce():
    return Reinforce(), *dict_loaders(val=False, obs=images(), action=ints(4), returns=floats(N, low=-1))


class DQN(AdamModule):
    def __init__(self):
        super().__init__()
        self.q = cnn(4)
        self.q_target = copy.deepcopy(self.q).requires_grad_(False)

    def training_step(self, batch, batch_idx):
        s, a, r, done, s2 = batch
        q = self.q(s).gather(1, a[:, None]).squeeze(1)
        with torch.no_grad():
            nxt = self.q_target(s2).max(1).values * (1 - done)
        return F.smooth_l1_loss(q, r + 0.99 * nxt)


def make_dqn():
    return DQN(), *tuple_loaders(images(), ints(4), floats(N), ints(2, 6).float(), images(seed=3), val=False)


class PairRanking(AdamModule):
    """Which of two photos is nicer: RankNet."""

    def __init__(self):
        super().__init__()
        self.scorer = cnn(1)

    def training_step(self, batch, batch_idx):
        better, worse = batch["better"], batch["worse"]
        return F.softplus(-(self.scorer(better) - self.scorer(worse))).mean()

    validation_step = training_step


def make_rank():
    return PairRanking(), *dict_loaders(better=images(), worse=images(seed=2))


class Rotation(AdamModule):
    """RotNet: four rotations made in the step; labels are made by the step."""

    def __init__(self):
        super().__init__()
        self.rotnet = cnn(4)

    def training_step(self, batch, batch_idx):
        x, _ = batch
        r = torch.randint(0, 4, (len(x),), device=x.device)
        x = torch.stack([torch.rot90(i, int(k), (1, 2)) for i, k in zip(x, r)])
        return F.cross_entropy(self.rotnet(x), r)

    validation_step = training_step


def make_rotation():
    return Rotation(), *tuple_loaders(images(), ints(7))


class YOLOish(AdamModule):
    """Grid 4 x 4 of (obj, x, y, w, h, 3 classes)."""

    def __init__(self):
        super().__init__()
        self.yolo = nn.Sequential(conv(3, 8, 2), conv(8, 8, 2), nn.Conv2d(8, 8, 1))

    def training_step(self, batch, batch_idx):
        img, t = batch["img"], batch["grid"]
        p = self.yolo(img).permute(0, 2, 3, 1)
        obj = t[..., 0]
        l_obj = F.binary_cross_entropy_with_logits(p[..., 0], obj)
        m = obj > 0
        l_box = F.mse_loss(p[..., 1:5][m], t[..., 1:5][m])
        l_cls = F.cross_entropy(p[..., 5:][m], t[..., 5][m].long())
        return l_obj + 5 * l_box + l_cls

    validation_step = training_step


def make_yolo():
    t = torch.cat([(floats(N, 4, 4, 1) > 0.6).float(), floats(N, 4, 4, 4, seed=6), ints(3, size=(N, 4, 4, 1)).float()], -1)
    return YOLOish(), *dict_loaders(img=images(), grid=t)


class TorchvisionDetector(nn.Module):
    """Takes lists, returns a dict of losses in training and detections in evaluation."""

    def __init__(self):
        super().__init__()
        self.body = trunk()
        self.cls, self.box = nn.Linear(12, 3 * 4), nn.Linear(12, 3 * 4)

    def forward(self, imgs, targets=None):
        f = self.body(torch.stack(imgs))
        c, b = self.cls(f).view(-1, 3, 4), self.box(f).view(-1, 3, 4)
        if targets is None:
            return [{"boxes": bb, "scores": cc.softmax(-1)[:, 1:].amax(-1), "labels": cc.argmax(-1)} for bb, cc in zip(b, c)]
        lc = torch.stack([F.cross_entropy(cc[: len(t["labels"])], t["labels"]) for cc, t in zip(c, targets)]).mean()
        lb = torch.stack([F.smooth_l1_loss(bb[: len(t["boxes"])], t["boxes"]) for bb, t in zip(b, targets)]).mean()
        return {"loss_classifier": lc, "loss_box_reg": lb}


class Detection(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.detector = TorchvisionDetector()

    def training_step(self, batch, batch_idx):
        imgs, targets = batch
        losses = self.detector(imgs, targets)
        self.log_dict(losses, batch_size=len(imgs))
        return sum(losses.values())

    def validation_step(self, batch, batch_idx):
        dets = self.detector(batch[0])
        self.log("n", float(sum((d["scores"] > 0.5).sum() for d in dets)), batch_size=len(dets))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.005, momentum=0.9)


def make_detection():
    make = lambda x, b, l, n: (x, {"boxes": b[: int(n)], "labels": l[: int(n)]})
    return Detection(), *loaders(
        make, images(), floats(N, 3, 4), ints(3, size=(N, 3)) + 1, ints(3, 5) + 1, collate_fn=lambda rows: tuple(zip(*rows))
    )


class CenterNet(AdamModule):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = conv(3, 8, 2)
            self.hm, self.wh, self.reg = nn.Conv2d(8, 2, 1), nn.Conv2d(8, 2, 1), nn.Conv2d(8, 2, 1)

        def forward(self, x):
            f = self.body(x)
            return {"hm": self.hm(f), "wh": self.wh(f), "reg": self.reg(f)}

    def __init__(self):
        super().__init__()
        self.net = self.Net()

    def training_step(self, batch, batch_idx):
        o = self.net(batch["input"])
        p, gt = o["hm"].sigmoid().clamp(1e-4, 1 - 1e-4), batch["hm"]
        pos = gt.eq(1).float()
        focal = -(pos * (1 - p) ** 2 * p.log() + (1 - pos) * (1 - gt) ** 4 * p**2 * (1 - p).log()).sum() / pos.sum().clamp(
            min=1
        )
        m = batch["mask"][:, None]
        return (
            focal
            + 0.1 * ((o["wh"] - batch["wh"]).abs() * m).sum() / m.sum()
            + ((o["reg"] - batch["reg"]).abs() * m).sum() / m.sum()
        )

    validation_step = training_step


def make_centernet():
    hm = floats(N, 2, 8, 8)
    hm[hm > 0.95] = 1
    return CenterNet(), *dict_loaders(
        input=images(), hm=hm, mask=(hm.amax(1) == 1).float(), wh=floats(N, 2, 8, 8, high=5), reg=floats(N, 2, 8, 8)
    )


class Captioner(AdamModule):
    """CE of B x V x T against B x T looks like a dense map, but it is a sentence."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.emb, self.rnn, self.out = (
                trunk(),
                nn.Embedding(20, 12),
                nn.GRU(12, 12, batch_first=True),
                nn.Linear(12, 20),
            )

        def forward(self, image, tokens):
            h, _ = self.rnn(self.emb(tokens), self.enc(image)[None])
            return self.out(h)

    def __init__(self):
        super().__init__()
        self.captioner = self.Net()

    def training_step(self, batch, batch_idx):
        img, cap = batch
        logits = self.captioner(img, cap[:, :-1])
        return F.cross_entropy(logits.transpose(1, 2), cap[:, 1:], ignore_index=0)

    validation_step = training_step


def make_caption():
    return Captioner(), *tuple_loaders(images(), ints(20, size=(N, 7)))


class Cox(AdamModule):
    """Survival: partial likelihood with censoring."""

    def __init__(self):
        super().__init__()
        self.risk = cnn(1)

    def training_step(self, batch, batch_idx):
        x, time, event = batch["wsi"], batch["time"], batch["event"]
        h = self.risk(x).squeeze(1)
        order = time.argsort(descending=True)
        h, e = h[order], event[order].float()
        return -((h - torch.logcumsumexp(h, 0)) * e).sum() / e.sum().clamp(min=1)

    validation_step = training_step


def make_cox():
    return Cox(), *dict_loaders(wsi=images(), time=floats(N, high=60), event=ints(2))


class Style(AdamModule):
    """Fast neural style: content and Gram losses under a frozen network."""

    def __init__(self):
        super().__init__()
        self.vgg = conv(3, 8).requires_grad_(False)
        self.transformer = nn.Sequential(UNet(3, 3), nn.Sigmoid())
        self.register_buffer("style", images(seed=50, n=1))

    @staticmethod
    def gram(f):
        f = f.flatten(2)
        return f @ f.transpose(1, 2) / f[0].numel()

    def training_step(self, batch, batch_idx):
        self.vgg.eval()
        fy, fx = self.vgg(self.transformer(batch[0])), self.vgg(batch[0])
        gs = self.gram(self.vgg(self.style)).expand(len(fx), -1, -1)
        return F.mse_loss(fy, fx) + 10 * F.mse_loss(self.gram(fy), gs)


def make_style():
    return Style(), *tuple_loaders(images(), ints(2), val=False)


class Flow(AdamModule):
    """Likelihood of pixels under an elementwise affine flow."""

    class Coupling(nn.Module):
        def __init__(self):
            super().__init__()
            self.st = nn.Sequential(nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 256))

        def forward(self, x):
            a, b = x.chunk(2, 1)
            s, t = self.st(a).chunk(2, 1)
            s = torch.tanh(s)
            return torch.cat([a, b * s.exp() + t], 1), s.sum(1)

    def __init__(self):
        super().__init__()
        self.flow = self.Coupling()

    def training_step(self, batch, batch_idx):
        z, logdet = self.flow(batch["x"].flatten(1))
        nll = 0.5 * (z**2).sum(1) - logdet
        self.log("bpd", nll.mean() / 256)
        return nll.mean()

    validation_step = training_step


def make_flow():
    return Flow(), *dict_loaders(x=images(1), y=ints(3))


class EntropyOnly(AdamModule):
    """TENT test-time adaptation: entropy of the prediction, no labels used (though they lie in the batch)."""

    def __init__(self):
        super().__init__()
        self.model = cnn(5)

    def training_step(self, batch, batch_idx):
        p = self.model(batch["image"]).log_softmax(1)
        return -(p.exp() * p).sum(1).mean()


def make_tent():
    return EntropyOnly(), *dict_loaders(val=False, image=images(), label=ints(5))


CASES = {
    "WGAN-GP": (make_wgan, dict(task="unknown")),
    "DCGAN of the Lightning docs": (make_dcgan, dict(task=("unknown", "binary"), target="constant")),
    "DDPM, noise is the target": (make_ddpm, dict(task="unknown", image="batch['image']")),
    "CRNN with CTC": (make_crnn, dict(task="unknown", image="batch[0]")),
    "REINFORCE on stored frames": (make_reinforce, dict(task="unknown", net="policy", head="", image="batch['obs']")),
    "DQN with a target network": (make_dqn, dict(task="unknown")),
    "RankNet on photo pairs": (make_rank, dict(task="unknown", net="scorer", head="")),
    "rotation pretext": (make_rotation, dict(task=("unknown", "multiclass"), net="rotnet", head="", image="batch[0]")),
    "YOLO-like grid": (make_yolo, dict(task="unknown", net="yolo", image="batch['img']")),
    "torchvision-like detector, dict of losses": (make_detection, dict(task="unknown")),
    "CenterNet heat map, size, offset": (make_centernet, dict(task="unknown", net="net", image="batch['input']")),
    "captioning, CE over tokens": (make_caption, dict(task="unknown", image="batch[0]")),
    "Cox partial likelihood": (make_cox, dict(task="unknown", net="risk", head="", image="batch['wsi']")),
    "fast neural style": (make_style, dict(task="unknown", image="batch[0]")),
    "normalising flow likelihood": (make_flow, dict(task="unknown", image="batch['x']")),
    "entropy minimisation without labels": (
        make_tent,
        dict(task=("unknown", "multiclass"), net="model", head="", image="batch['image']"),
    ),
}
