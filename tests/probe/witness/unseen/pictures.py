"""The input image is the target (and image-to-image tasks that look like it)."""

from .parts import *


def decoder(dim, cout=3):
    return nn.Sequential(
        nn.Linear(dim, 8 * 4 * 4),
        nn.ReLU(),
        nn.Unflatten(1, (8, 4, 4)),
        nn.ConvTranspose2d(8, 8, 2, 2),
        nn.ReLU(),
        nn.ConvTranspose2d(8, cout, 2, 2),
    )


class AutoencoderParts(AdamModule):
    """Labels are in the batch, but thrown away."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = cnn(10), nn.Sequential(decoder(10), nn.Sigmoid())

    def training_step(self, batch, batch_idx):
        x, _ = batch
        z = self.encoder(x)
        x_hat = self.decoder(z)
        loss = F.mse_loss(x_hat, x)
        self.log("recon", loss)
        return loss

    validation_step = training_step


def make_ae():
    return AutoencoderParts(), *tuple_loaders(images(), ints(10))


class FlatMNIST(AdamModule):
    """Lightning's own README example with BCE: pixels flattened in the step."""

    def __init__(self):
        super().__init__()
        self.l = nn.Sequential(nn.Linear(256, 16), nn.ReLU(), nn.Linear(16, 256))

    def training_step(self, batch, batch_idx):
        x, y = batch
        x = x.view(x.size(0), -1)
        return F.binary_cross_entropy_with_logits(self.l(x), x)

    validation_step = training_step


def make_flatmnist():
    return FlatMNIST(), *tuple_loaders(images(1), ints(10))


class VAE(AdamModule):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.dec = cnn(12), decoder(6)

        def forward(self, x):
            mu, logvar = self.enc(x).chunk(2, 1)
            z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
            return torch.sigmoid(self.dec(z)), mu, logvar

    def __init__(self):
        super().__init__()
        self.vae = self.Net()

    def training_step(self, batch, batch_idx):
        recon, mu, logvar = self.vae(batch)
        rec = F.binary_cross_entropy(recon, batch, reduction="sum")
        kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
        self.log_dict({"rec": rec, "kl": kl})
        return (rec + kl) / len(batch)

    validation_step = training_step


def make_vae():
    return VAE(), *loaders(lambda x: x, images())


class VQVAE(AdamModule):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc = nn.Sequential(conv(3, 8, 2), nn.Conv2d(8, 6, 3, 2, 1))
            self.book = nn.Embedding(12, 6)
            self.dec = nn.Sequential(nn.ConvTranspose2d(6, 8, 2, 2), nn.ReLU(), nn.ConvTranspose2d(8, 3, 2, 2))

        def forward(self, x):
            z = self.enc(x).permute(0, 2, 3, 1)
            idx = torch.cdist(z.reshape(-1, 6), self.book.weight).argmin(1).view(z.shape[:3])
            q = self.book(idx)
            vq = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
            q = z + (q - z).detach()
            return {"indices": idx, "vq_loss": vq, "recon": {"mean": self.dec(q.permute(0, 3, 1, 2))}}

    def __init__(self):
        super().__init__()
        self.model = self.Net()

    def training_step(self, batch, batch_idx):
        out = self.model(batch["image"])
        return (batch["image"] - out["recon"]["mean"]).abs().mean() + out["vq_loss"]

    validation_step = training_step


def make_vqvae():
    return VQVAE(), *dict_loaders(image=images(), caption_id=ints(9))


class MAE(AdamModule):
    """Masked autoencoder: loss on masked patches, prediction B x 16 x 48."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.mix, self.pred = (
                nn.Linear(48, 16),
                nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
                nn.Linear(16, 48),
            )
            self.token = nn.Parameter(torch.zeros(16))

        def forward(self, patches, mask):
            h = torch.where(mask[..., None], self.token, self.embed(patches))
            return self.pred(self.mix(h))

    def __init__(self):
        super().__init__()
        self.mae = self.Net()

    def training_step(self, batch, batch_idx):
        imgs, _ = batch
        p = F.unfold(imgs, 4, stride=4).transpose(1, 2)
        mask = torch.rand(p.shape[:2], device=p.device) < 0.75
        pred = self.mae(p, mask)
        target = (p - p.mean(-1, keepdim=True)) / (p.var(-1, keepdim=True) + 1e-6).sqrt()
        loss = (((pred - target) ** 2).mean(-1) * mask).sum() / mask.sum()
        self.log("loss", loss)
        return loss

    validation_step = training_step


def make_mae():
    return MAE(), *tuple_loaders(images(), ints(5))


class Denoise(AdamModule):
    """Noise added in the step; the clean image of the batch is told back."""

    def __init__(self):
        super().__init__()
        self.net = UNet(1, 1)

    def training_step(self, batch, batch_idx):
        clean = batch["clean"]
        noisy = clean + 0.2 * torch.randn_like(clean)
        return F.mse_loss(self.net(noisy), clean)

    validation_step = training_step


def make_denoise():
    return Denoise(), *dict_loaders(clean=images(1))


class Inpaint(AdamModule):
    """Holes given by the batch; mask goes in as channel and weighs the loss."""

    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(UNet(4, 3), nn.Sigmoid())

    def training_step(self, batch, batch_idx):
        img, mask = batch
        out = self.generator(torch.cat([img * (1 - mask), mask], 1))
        hole = (mask * (out - img)).abs().mean()
        valid = ((1 - mask) * (out - img)).abs().mean()
        return 6 * hole + valid

    validation_step = training_step


def make_inpaint():
    return Inpaint(), *tuple_loaders(images(), blobs()[:, None].float())


class SelfSuperResolution(AdamModule):
    """Low resolution made of the image in the step, charbonnier."""

    def __init__(self):
        super().__init__()
        self.sr = nn.Sequential(conv(3, 8), nn.Conv2d(8, 12, 3, 1, 1), nn.PixelShuffle(2))

    def forward(self, lr):
        return self.sr(lr)

    def training_step(self, hr, batch_idx):
        lr = F.interpolate(hr, scale_factor=0.5, mode="bicubic", align_corners=False)
        return torch.sqrt((self(lr) - hr) ** 2 + 1e-6).mean()

    validation_step = training_step


def make_self_sr():
    return SelfSuperResolution(), *loaders(lambda x: x, images())


class PairedSuperResolution(AdamModule):
    """lr and hr are two images of the batch (real-world SR)."""

    def __init__(self):
        super().__init__()
        self.edsr = nn.Sequential(conv(3, 8), nn.Conv2d(8, 12, 3, 1, 1), nn.PixelShuffle(2))

    def training_step(self, batch, batch_idx):
        return F.l1_loss(self.edsr(batch["lr"]), batch["hr"])

    def validation_step(self, batch, batch_idx):
        mse = F.mse_loss(self.edsr(batch["lr"]).clamp(0, 1), batch["hr"])
        self.log("psnr", -10 * torch.log10(mse))


def make_pair_sr():
    hr = images()
    return PairedSuperResolution(), *dict_loaders(lr=F.avg_pool2d(hr, 2) + 0.02 * images(seed=5, side=8), hr=hr)


class Colourise(AdamModule):
    """Grey made in the step, colour image is the target."""

    def __init__(self):
        super().__init__()
        self.colorizer = UNet(1, 3)

    def training_step(self, batch, batch_idx):
        rgb = batch[0]
        grey = rgb.mean(1, keepdim=True)
        return F.smooth_l1_loss(torch.sigmoid(self.colorizer(grey)), rgb)

    validation_step = training_step


def make_colour():
    return Colourise(), *tuple_loaders(images(), ints(3))


class Perceptual(AdamModule):
    """Autoencoder under features of a frozen network plus a little L1."""

    def __init__(self):
        super().__init__()
        self.vgg = nn.Sequential(conv(3, 8), conv(8, 8, 2)).requires_grad_(False)
        self.autoencoder = nn.Sequential(cnn(10), decoder(10), nn.Sigmoid())

    def training_step(self, batch, batch_idx):
        x = batch["img"]
        self.vgg.eval()
        y = self.autoencoder(x)
        with torch.no_grad():
            fx = self.vgg(x)
        fy = self.vgg(y)
        return F.mse_loss(fy, fx) + 0.1 * F.l1_loss(y, x)

    validation_step = training_step


def make_perceptual():
    return Perceptual(), *dict_loaders(img=images(), label=ints(4))


class SSIMAnomaly(AdamModule):
    """MVTec: SSIM loss by hand; anomaly masks in the validation batches only for scores."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(cnn(10, cin=1), decoder(10, 1))

    @staticmethod
    def ssim(a, b, k=5):
        m = lambda t: F.avg_pool2d(t, k, 1)
        ma, mb = m(a), m(b)
        va, vb, cab = m(a * a) - ma**2, m(b * b) - mb**2, m(a * b) - ma * mb
        return ((2 * ma * mb + 1e-4) * (2 * cab + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))).mean()

    def training_step(self, batch, batch_idx):
        x = batch["image"]
        return 1 - self.ssim(self.model(x), x)

    def validation_step(self, batch, batch_idx):
        x = batch["image"]
        err = (self.model(x) - x).abs().amax((1, 2, 3))
        bad = batch["is_anomaly"].bool()
        self.log("gap", err[bad].mean() - err[~bad].mean())


def make_ssim():
    return SSIMAnomaly(), *dict_loaders(image=images(1), is_anomaly=(torch.arange(N) % 2))


class Translation(AdamModule):
    """Street maps to aerial photos: the target is ANOTHER image, and its key is 'image'."""

    def __init__(self):
        super().__init__()
        self.netG = UNet(3, 3)

    def training_step(self, batch, batch_idx):
        return (torch.tanh(self.netG(batch["map"])) - batch["image"]).abs().mean()

    validation_step = training_step


def make_translation():
    return Translation(), *dict_loaders(map=images(), image=images(seed=40) * 2 - 1)


class PCAtoo(AdamModule):
    """Sparse autoencoder: uint8 channels-last, reconstruct with residual in normalised space, manual optimization."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.enc, self.dec = cnn(20), decoder(20)

    def _loss(self, batch):
        x = batch["rgb"].permute(0, 3, 1, 2).float().div(127.5).sub(1)
        z = F.relu(self.enc(x))
        r = self.dec(z) - x
        return (r * r).mean() + 1e-3 * z.abs().mean()

    def training_step(self, batch, batch_idx):
        opt = self.optimizers()
        opt.zero_grad()
        loss = self._loss(batch)
        self.manual_backward(loss)
        self.clip_gradients(opt, gradient_clip_val=1.0, gradient_clip_algorithm="norm")
        opt.step()

    def validation_step(self, batch, batch_idx):
        self.log("val", self._loss(batch))


def make_sparse():
    return PCAtoo(), *dict_loaders(rgb=(images() * 255).byte().permute(0, 2, 3, 1).contiguous())


CASES = {
    "autoencoder in two parts, labels thrown away": (
        make_ae,
        dict(task="reconstruction", net="decoder", head="", target="image", image="batch[0]"),
    ),
    "flat pixels with BCE on logits": (
        make_flatmnist,
        dict(task="reconstruction", net="l", head="", target="image", image="batch[0]"),
    ),
    "VAE, the batch is the tensor": (
        make_vae,
        dict(task="reconstruction", net="vae", head="[0]", target="image", image="batch"),
    ),
    "VQ-VAE, nested dict output": (
        make_vqvae,
        dict(task="reconstruction", net="model", head="['recon']['mean']", target="image", image="batch['image']"),
    ),
    "masked autoencoder, normalised patches": (
        make_mae,
        dict(task="reconstruction", net="mae", head="", target="image", image="batch[0]"),
    ),
    "denoising, noise added in the step": (
        make_denoise,
        dict(task="reconstruction", net="net", head="", target="image", image="batch['clean']"),
    ),
    "inpainting, mask as input and weight": (
        make_inpaint,
        dict(task="reconstruction", net="generator", head="", target="image", image="batch[0]"),
    ),
    "super-resolution from the image itself": (
        make_self_sr,
        dict(task="reconstruction", net="", head="", target="image", image="batch"),
    ),
    "super-resolution from pairs": (
        make_pair_sr,
        dict(task=("regression", "unknown", "reconstruction"), net="edsr", head="", target="batch['hr']", image="batch['lr']"),
    ),
    "colourisation of a grey made in the step": (
        make_colour,
        dict(task=("reconstruction", "regression"), net="colorizer", head="", target="image", image="batch[0]"),
    ),
    "autoencoder under perceptual loss": (
        make_perceptual,
        dict(task="reconstruction", net="autoencoder", head="", target="image", image="batch['img']"),
    ),
    "anomaly autoencoder with SSIM by hand": (
        make_ssim,
        dict(task="reconstruction", net="model", head="", target="image", image="batch['image']"),
    ),
    "image translation, the target is called image": (
        make_translation,
        dict(task=("regression", "unknown"), net="netG", head="", target="batch['image']", image="batch['map']"),
    ),
    "sparse autoencoder, uint8, manual optimization": (
        make_sparse,
        dict(task="reconstruction", net="dec", head="", target="image", image="batch['rgb']"),
    ),
}
