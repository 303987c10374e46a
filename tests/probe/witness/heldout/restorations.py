"""Pictures out of pictures: autoencoders, restorers, generators."""

from .parts import *


class SuperResolution(Lit):
    def __init__(self):
        super().__init__()
        self.edsr = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.PixelShuffle(2)
        )

    def training_step(self, batch, _):
        sr = self.edsr(batch["lr"])
        return (sr - batch["hr"]).abs().mean()

    def validation_step(self, batch, _):
        mse = F.mse_loss(self.edsr(batch["lr"]).clamp(0, 1), batch["hr"])
        self.log("psnr", -10 * torch.log10(mse))


def make_sr():
    hr = torch.rand(COUNT, 3, 16, 16)
    return SuperResolution(), *dicts(lr=F.avg_pool2d(hr, 2), hr=hr)


class DnCNN(Lit):
    """The network answers the noise, which is subtracted."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))

    def forward(self, noisy):
        return noisy - self.net(noisy)

    def training_step(self, batch, _):
        clean, _label = batch
        noisy = clean + 0.1 * torch.randn_like(clean)
        return F.mse_loss(self(noisy), clean)

    validation_step = training_step


def make_dncnn():
    return DnCNN(), *tuples(torch.rand(COUNT, 1, SIDE, SIDE), classes(3))


class PlainAE(Lit):
    """Fashion autoencoder; labels ride along."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 24), nn.ReLU(), nn.Linear(24, 6))
        self.decoder = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 256), nn.Sigmoid())

    def training_step(self, batch, _):
        x, y = batch
        z = self.encoder(x)
        x_hat = self.decoder(z)
        return F.mse_loss(x_hat, x.view(x.size(0), -1))

    validation_step = training_step


def make_ae():
    return PlainAE(), *tuples(torch.rand(COUNT, 1, SIDE, SIDE), classes(10))


class VAE(Lit):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.d = nn.Linear(256, 8), nn.Linear(4, 256)

        def forward(self, x):
            mu, logvar = self.e(x.flatten(1)).chunk(2, 1)
            z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
            return torch.sigmoid(self.d(z)).view_as(x), mu, logvar

    def __init__(self):
        super().__init__()
        self.vae = self.Net()

    def training_step(self, batch, _):
        x = batch["image"]
        recon, mu, logvar = self.vae(x)
        bce = F.binary_cross_entropy(recon, x, reduction="sum")
        return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())

    validation_step = training_step


def make_vae():
    return VAE(), *dicts(image=torch.rand(COUNT, 1, SIDE, SIDE), label=classes(10))


class MaskedAE(Lit):
    """MAE: patches, hidden ones are predicted; mean error over hidden patches."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.mask_token = nn.Linear(48, 12), nn.Parameter(torch.zeros(12))
            self.block, self.pred = nn.TransformerEncoderLayer(12, 2, 16, 0.0, batch_first=True), nn.Linear(12, 48)

        def patchify(self, x):
            return F.unfold(x, 4, stride=4).transpose(1, 2)

        def forward(self, x):
            t = self.embed(self.patchify(x))
            hidden = (torch.rand(t.shape[:2], device=x.device) < 0.6).float()
            t = torch.where(hidden[..., None] > 0, self.mask_token, t)
            return self.pred(self.block(t)), hidden

    def __init__(self):
        super().__init__()
        self.mae = self.Net()

    def training_step(self, imgs, _):
        pred, mask = self.mae(imgs)
        loss = ((pred - self.mae.patchify(imgs)) ** 2).mean(-1)
        return (loss * mask).sum() / mask.sum()

    validation_step = training_step


def make_mae():
    return MaskedAE(), *both(Rows(lambda x: x, pixels()))


class Diffusion(Lit):
    """DDPM: which noise was added at step t."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.t, self.a, self.b = nn.Embedding(50, 8), nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)

        def forward(self, x, t):
            return self.b(F.silu(self.a(x) + self.t(t)[:, :, None, None]))

    def __init__(self):
        super().__init__()
        self.eps_model = self.Net()
        self.register_buffer("abar", torch.cumprod(1 - torch.linspace(1e-4, 0.1, 50), 0))

    def training_step(self, batch, _):
        x0, _y = batch
        t = torch.randint(0, 50, (len(x0),), device=x0.device)
        eps, a = torch.randn_like(x0), self.abar[t][:, None, None, None]
        return F.mse_loss(self.eps_model(a.sqrt() * x0 + (1 - a).sqrt() * eps, t), eps)

    validation_step = training_step


def make_diffusion():
    return Diffusion(), *tuples(pixels(), classes(4))


class DCGAN(pl.LightningModule):
    """Manual optimization, two optimizers."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(5, 192), nn.Unflatten(1, (3, 8, 8)), nn.Tanh())
        self.discriminator = classifier(1)

    def forward(self, z):
        return self.generator(z)

    def training_step(self, batch, _):
        imgs, _y = batch
        g, d = self.optimizers()
        z = torch.randn(len(imgs), 5).type_as(imgs)
        ones, zeros = torch.ones(len(imgs), 1), torch.zeros(len(imgs), 1)
        adv = F.binary_cross_entropy_with_logits
        g.zero_grad()
        self.manual_backward(adv(self.discriminator(self(z)), ones))
        g.step()
        d.zero_grad()
        real, fake = adv(self.discriminator(imgs), ones), adv(self.discriminator(self(z).detach()), zeros)
        self.manual_backward((real + fake) / 2)
        d.step()

    def configure_optimizers(self):
        return [torch.optim.Adam(m.parameters(), 2e-4, (0.5, 0.999)) for m in (self.generator, self.discriminator)]


def make_dcgan():
    return DCGAN(), *tuples(pixels(side=8), classes(3), val=False)


class Pix2Pix(pl.LightningModule):
    """Condition to photograph: adversarial and L1, manual optimization."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.gen = nn.Sequential(EncoderDecoder(1, 3), nn.Tanh())
        self.disc = nn.Sequential(nn.Conv2d(4, 8, 4, 4), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 1))

    def training_step(self, batch, _):
        sketch, photo = batch["sketch"], batch["photo"]
        opt_g, opt_d = self.optimizers()
        fake = self.gen(sketch)
        score = self.disc(torch.cat([sketch, fake], 1))
        g_loss = F.mse_loss(score, torch.ones_like(score)) + 100 * F.l1_loss(fake, photo)
        opt_g.zero_grad()
        self.manual_backward(g_loss)
        opt_g.step()
        real, fake = self.disc(torch.cat([sketch, photo], 1)), self.disc(torch.cat([sketch, fake.detach()], 1))
        d_loss = 0.5 * (F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, torch.zeros_like(fake)))
        opt_d.zero_grad()
        self.manual_backward(d_loss)
        opt_d.step()

    def validation_step(self, batch, _):
        self.log("val_l1", F.l1_loss(self.gen(batch["sketch"]), batch["photo"]))

    def configure_optimizers(self):
        return [torch.optim.Adam(self.gen.parameters(), 2e-4), torch.optim.Adam(self.disc.parameters(), 2e-4)]


def make_pix2pix():
    return Pix2Pix(), *dicts(sketch=pixels(1), photo=torch.tanh(pixels()))


class Colours(Lit):
    """ab channels out of L."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(EncoderDecoder(1, 2), nn.Tanh())

    def training_step(self, batch, _):
        L, ab = batch
        return F.smooth_l1_loss(self.net(L), ab)

    validation_step = training_step


def make_colours():
    return Colours(), *tuples(pixels(1), torch.tanh(torch.randn(COUNT, 2, SIDE, SIDE)))


class Inpainting(Lit):
    """Hole in the middle, mask as a fourth channel, error in and out of the hole."""

    def __init__(self):
        super().__init__()
        self.gen = EncoderDecoder(4, 3)

    def training_step(self, batch, _):
        x = batch["image"]
        m = torch.ones_like(x[:, :1])
        m[..., 5:11, 5:11] = 0
        out = self.gen(torch.cat([x * m, m], 1))
        return F.l1_loss(out * m, x * m) + 6 * F.l1_loss(out * (1 - m), x * (1 - m))

    validation_step = training_step


def make_inpainting():
    return Inpainting(), *dicts(image=pixels())


class Quantised(Lit):
    """VQ-VAE with straight-through codes."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.dec = nn.Conv2d(3, 6, 4, 4), nn.ConvTranspose2d(6, 3, 4, 4)
            self.codes = nn.Embedding(16, 6)

        def forward(self, x):
            z = self.enc(x).permute(0, 2, 3, 1)
            d = torch.cdist(z.reshape(-1, 6), self.codes.weight)
            q = self.codes(d.argmin(1)).view_as(z)
            vq = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
            q = z + (q - z).detach()
            return self.dec(q.permute(0, 3, 1, 2)), vq

    def __init__(self):
        super().__init__()
        self.vqvae = self.Net()

    def training_step(self, batch, _):
        recon, vq = self.vqvae(batch[0])
        return F.mse_loss(recon, batch[0]) / 0.06 + vq

    validation_step = training_step


def make_quantised():
    return Quantised(), *tuples(pixels())


class Charbonnier(Lit):
    """Deblurring with a robust loss and SSIM-like statistics."""

    def __init__(self):
        super().__init__()
        self.restormer = EncoderDecoder(3, 3)

    def forward(self, x):
        return x + self.restormer(x)

    def training_step(self, batch, _):
        blur, sharp = batch
        out = self(blur)
        edge = lambda i: i - F.avg_pool2d(i, 3, 1, 1)
        c = torch.sqrt((out - sharp) ** 2 + 1e-6).mean()
        return c + 0.05 * torch.sqrt((edge(out) - edge(sharp)) ** 2 + 1e-6).mean()

    validation_step = training_step


def make_charbonnier():
    sharp = torch.rand(COUNT, 3, SIDE, SIDE)
    return Charbonnier(), *tuples(F.avg_pool2d(sharp, 3, 1, 1), sharp)


class Perceptual(Lit):
    """Fast style transfer: features of a frozen network, no pixel loss."""

    def __init__(self):
        super().__init__()
        self.transformer = EncoderDecoder(3, 3)
        self.vgg = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1)).requires_grad_(False)
        self.register_buffer("style", torch.randn(8, 8))

    def training_step(self, batch, _):
        y = self.transformer(batch)
        fy, fx = self.vgg(y), self.vgg(batch)
        v = fy.flatten(2)
        gram = v @ v.transpose(1, 2) / v.shape[-1]
        return F.mse_loss(fy, fx) + 0.1 * F.mse_loss(gram, self.style.expand_as(gram))

    validation_step = training_step


def make_perceptual():
    return Perceptual(), *both(Rows(lambda x: x, pixels()))


CASES = {
    "super-resolution": (
        make_sr,
        dict(task=("reconstruction", "regression"), net="edsr", head="", target="batch['hr']", image="batch['lr']"),
    ),
    "denoiser, the noise is subtracted in forward": (
        make_dncnn,
        dict(task="reconstruction", net="", head="", target="image", image="batch[0]"),
    ),
    "autoencoder on flat pixels": (
        make_ae,
        dict(task="reconstruction", net="decoder", head="", target="image", image="batch[0]"),
    ),
    "variational autoencoder": (
        make_vae,
        dict(task="reconstruction", net="vae", head="[0]", target="image", image="batch['image']"),
    ),
    "masked patches, the batch is a tensor": (
        make_mae,
        dict(task=("reconstruction", "unknown"), net="mae", head="[0]", target="image", image="batch"),
    ),
    "diffusion, noise is predicted": (make_diffusion, dict(task=("unknown", "regression"), net="eps_model", head="")),
    "GAN, manual": (make_dcgan, dict(task=("unknown", "binary"))),
    "sketch to photograph, manual": (
        make_pix2pix,
        dict(task=("reconstruction", "regression"), net="gen", head="", target="batch['photo']", image="batch['sketch']"),
    ),
    "colours from lightness": (
        make_colours,
        dict(task=("reconstruction", "regression"), net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "inpainting with a mask channel": (
        make_inpainting,
        dict(task="reconstruction", net="gen", head="", target="image", image="batch['image']"),
    ),
    "vector-quantised autoencoder": (
        make_quantised,
        dict(task="reconstruction", net="vqvae", head="[0]", target="image", image="batch[0]"),
    ),
    "deblurring, Charbonnier": (
        make_charbonnier,
        dict(task=("reconstruction", "regression"), net="", head="", target="batch[1]", image="batch[0]"),
    ),
    "style transfer by features": (make_perceptual, dict(task=("unknown", "reconstruction"), net="transformer", head="")),
}
