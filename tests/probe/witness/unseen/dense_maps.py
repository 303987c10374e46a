"""Classes per pixel."""

from dataclasses import dataclass

import pytorch_lightning as pl
import torchmetrics
from pytorch_lightning.utilities import CombinedLoader

from .parts import *


class DeepLabLike(nn.Module):
    """torchvision-like dictionary with an auxiliary output."""

    def __init__(self, classes):
        super().__init__()
        self.backbone, self.classifier, self.aux = conv(3, 8), nn.Conv2d(8, classes, 1), nn.Conv2d(8, classes, 1)

    def forward(self, x):
        f = self.backbone(x)
        return {"out": self.classifier(f), "aux": self.aux(f)}


class Cityscapes(AdamModule):
    def __init__(self):
        super().__init__()
        self.model = DeepLabLike(4)
        self.ce = nn.CrossEntropyLoss(ignore_index=255)

    def training_step(self, batch, batch_idx):
        img, lbl = batch
        o = self.model(img)
        loss = self.ce(o["out"], lbl) + 0.4 * self.ce(o["aux"], lbl)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        img, lbl = batch
        self.log("val_loss", self.ce(self.model(img)["out"], lbl))


def make_cityscapes():
    lbl = blobs(classes=4)
    lbl[:, :2] = 255
    return Cityscapes(), *tuple_loaders(images(), lbl)


def dice_loss(prob, mask, eps=1.0):
    dims = (1, 2, 3)
    inter = (prob * mask).sum(dims)
    return (1 - (2 * inter + eps) / (prob.sum(dims) + mask.sum(dims) + eps)).mean()


class SaltBCEDice(AdamModule):
    """TGS salt: mask B x 1 x H x W, plus depth metadata that is not used."""

    def __init__(self):
        super().__init__()
        self.unet = UNet(1, 1)

    def forward(self, x):
        return self.unet(x)

    def _shared_step(self, batch, stage):
        logits = self(batch["image"])
        mask = batch["mask"].float()
        loss = 0.5 * F.binary_cross_entropy_with_logits(logits, mask) + 0.5 * dice_loss(logits.sigmoid(), mask)
        self.log(f"{stage}_loss", loss)
        return loss

    def training_step(self, batch, batch_idx):
        return self._shared_step(batch, "train")

    def validation_step(self, batch, batch_idx):
        return self._shared_step(batch, "val")


def make_salt():
    return SaltBCEDice(), *dict_loaders(image=images(1), mask=blobs()[:, None], z=floats(N))


class FocalTversky(nn.Module):
    def __init__(self, alpha=0.7, gamma=0.75):
        super().__init__()
        self.alpha, self.gamma = alpha, gamma

    def forward(self, y_true, y_pred):  # Keras order
        tp = (y_true * y_pred).sum((0, 2, 3))
        fn = (y_true * (1 - y_pred)).sum((0, 2, 3))
        fp = ((1 - y_true) * y_pred).sum((0, 2, 3))
        t = (tp + 1) / (tp + self.alpha * fn + (1 - self.alpha) * fp + 1)
        return ((1 - t) ** self.gamma).mean()


class TverskyModule(AdamModule):
    """Only an overlap loss, softmaxed network, one-hot masks, label argument first."""

    def __init__(self):
        super().__init__()
        self.seg = nn.Sequential(UNet(3, 3), nn.Softmax(1))
        self.loss = FocalTversky()

    def training_step(self, batch, batch_idx):
        masks, scans = batch
        return self.loss(masks, self.seg(scans))

    validation_step = training_step


def make_tversky():
    onehot = F.one_hot(blobs(classes=3), 3).permute(0, 3, 1, 2).float()
    return TverskyModule(), *tuple_loaders(onehot, images())


class DeepSupervision(AdamModule):
    """nnU-Net like: outputs at three scales, the finest first."""

    class Net(nn.Module):
        def __init__(self, k):
            super().__init__()
            self.body = conv(1, 8)
            self.heads = nn.ModuleList([nn.Conv2d(8, k, 1) for _ in range(3)])

        def forward(self, x):
            f = self.body(x)
            return [h(F.avg_pool2d(f, 2**i)) for i, h in enumerate(self.heads)]

    def __init__(self):
        super().__init__()
        self.network = self.Net(3)

    def training_step(self, batch, batch_idx):
        data, seg = batch["data"], batch["seg"]
        loss = 0.0
        for i, (out, w) in enumerate(zip(self.network(data), (1.0, 0.5, 0.25))):
            t = F.interpolate(seg[:, None].float(), size=out.shape[2:], mode="nearest")[:, 0].long()
            loss = loss + w * F.cross_entropy(out, t)
        return loss / 1.75

    def validation_step(self, batch, batch_idx):
        out = self.network(batch["data"])[0]
        self.log("acc", (out.argmax(1) == batch["seg"]).float().mean())


def make_deepsup():
    return DeepSupervision(), *dict_loaders(data=images(1), seg=blobs(classes=3))


class Volume(pl.LightningModule):
    """3-D volumes, class per voxel, soft dice over classes but the background."""

    def __init__(self):
        super().__init__()
        self.vnet = nn.Sequential(nn.Conv3d(1, 6, 3, 1, 1), nn.PReLU(), nn.Conv3d(6, 3, 1))

    def training_step(self, batch, batch_idx):
        vol, seg = batch["ct"]["data"], batch["organs"]["data"]  # torchio-like
        p = self.vnet(vol).softmax(1)[:, 1:]
        t = F.one_hot(seg[:, 0], 3).permute(0, 4, 1, 2, 3)[:, 1:].float()
        inter, total = (p * t).sum((2, 3, 4)), (p + t).sum((2, 3, 4))
        return 1 - ((2 * inter + 1e-3) / (total + 1e-3)).mean()

    validation_step = training_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1, momentum=0.99, nesterov=True)


def make_volume():
    vol = torch.stack([images(1, seed=s)[:, :, :8, :8] for s in range(6)], 2)
    seg = torch.randint(0, 3, (N, 1, 6, 8, 8), generator=gen(5))
    return Volume(), *loaders(lambda v, s: {"ct": {"data": v}, "organs": {"data": s}}, vol, seg)


class OverlappingOrgans(AdamModule):
    """Several masks may be on at one pixel: BCE per channel."""

    def __init__(self):
        super().__init__()
        self.net = UNet(1, 4)

    def training_step(self, batch, batch_idx):
        x, y = batch
        z = self.net(x)
        loss = torch.clamp(z, min=0) - z * y + torch.log1p(torch.exp(-z.abs()))
        return loss.mean()

    validation_step = training_step


def make_overlap():
    masks = torch.stack([blobs(seed=s) for s in range(4)], 1).float()
    return OverlappingOrgans(), *tuple_loaders(images(1), masks)


class Interactive(AdamModule):
    """Image and a mask prompt go in, the true mask is the target; the prompt looks just like a target."""

    def __init__(self):
        super().__init__()
        self.model = UNet(4, 1)

    def training_step(self, batch, batch_idx):
        x = torch.cat([batch["image"], batch["mask"]], 1)  # "mask" is the click map
        out = self.model(x)
        loss = F.binary_cross_entropy(torch.sigmoid(out), batch["gt"])
        self.log("loss", loss)
        return loss

    validation_step = training_step


def make_interactive():
    return Interactive(), *dict_loaders(image=images(), mask=blobs(6)[:, None].float(), gt=blobs()[:, None].float())


class WeightMaps(AdamModule):
    """Original U-Net: cross-entropy weighted by a map that is ALSO given to the network as a channel."""

    def __init__(self):
        super().__init__()
        self.unet = UNet(2, 2)

    def training_step(self, batch, batch_idx):
        cell, weight, label = batch
        logits = self.unet(torch.cat([cell, weight], 1))
        ce = F.cross_entropy(logits, label, reduction="none")
        return (ce * weight[:, 0]).sum() / weight.sum()

    validation_step = training_step


def make_weightmaps():
    w = blobs(8)[:, None].float() + 0.2
    return WeightMaps(), *tuple_loaders(images(1), w, blobs())


class ChangeDetection(AdamModule):
    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.dec = conv(3, 8), nn.Conv2d(8, 2, 1)

        def forward(self, t1, t2):
            return self.dec((self.enc(t1) - self.enc(t2)).abs())

    def __init__(self):
        super().__init__()
        self.fc_siam = self.Siamese()
        self.iou = torchmetrics.JaccardIndex(task="multiclass", num_classes=2)

    def training_step(self, batch, batch_idx):
        z = self.fc_siam(batch["before"], batch["after"])
        return F.nll_loss(F.log_softmax(z, 1), batch["change"], weight=torch.tensor([0.2, 0.8], device=z.device))

    def validation_step(self, batch, batch_idx):
        z = self.fc_siam(batch["before"], batch["after"])
        self.iou(z.argmax(1), batch["change"])
        self.log("iou", self.iou)


def make_change():
    return ChangeDetection(), *dict_loaders(before=images(), after=images(seed=21), change=blobs())


@dataclass
class SemanticSegmenterOutput:
    loss: torch.Tensor = None
    logits: torch.Tensor = None


class SegformerLike(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.enc, self.decode_head = conv(3, 8, 2), nn.Conv2d(8, k, 1)

    def forward(self, pixel_values, labels=None):
        logits = self.decode_head(self.enc(pixel_values))
        loss = None
        if labels is not None:
            up = F.interpolate(logits, size=labels.shape[-2:], mode="bilinear", align_corners=False)
            loss = F.cross_entropy(up, labels, ignore_index=255)
        return SemanticSegmenterOutput(loss, logits)


class HFSegmentation(AdamModule):
    """The loss is computed within the model; logits have half the size."""

    def __init__(self):
        super().__init__()
        self.segformer = SegformerLike(3)

    def training_step(self, batch, batch_idx):
        outputs = self.segformer(pixel_values=batch["pixel_values"], labels=batch["labels"])
        self.log("loss", outputs.loss)
        return outputs.loss

    validation_step = training_step


def make_hfseg():
    return HFSegmentation(), *dict_loaders(pixel_values=images(), labels=blobs(classes=3))


class MeanTeacherSeg(AdamModule):
    """Labelled and unlabelled loaders together; consistency with an EMA teacher."""

    def __init__(self):
        super().__init__()
        self.student, self.ema = UNet(3, 2), UNet(3, 2)
        self.ema.load_state_dict(self.student.state_dict())
        self.ema.requires_grad_(False)

    def training_step(self, batch, batch_idx):
        (x, y), u = batch["labeled"], batch["unlabeled"]
        sup = F.cross_entropy(self.student(x), y)
        with torch.no_grad():
            teacher = self.ema(u).softmax(1)
        cons = F.mse_loss(self.student(u + 0.05 * torch.randn_like(u)).softmax(1), teacher)
        return sup + 0.1 * cons

    def on_train_batch_end(self, *a):
        with torch.no_grad():
            for e, s in zip(self.ema.parameters(), self.student.parameters()):
                e.lerp_(s, 0.01)


def make_mt_seg():
    lab, _ = tuple_loaders(images(), blobs())
    unl, _ = loaders(lambda x: x, images(seed=30))
    return MeanTeacherSeg(), CombinedLoader({"labeled": lab, "unlabeled": unl}, "max_size_cycle"), None


class BoundaryLoss(AdamModule):
    """Dice + signed distance map times probability."""

    def __init__(self):
        super().__init__()
        self.net = UNet(1, 2)

    def training_step(self, batch, batch_idx):
        x, dist, mask = batch["x"], batch["dist"], batch["mask"]
        p = self.net(x).softmax(1)[:, 1:]
        return dice_loss(p, mask[:, None].float()) + 0.01 * (p * dist).mean()

    validation_step = training_step


def make_boundary():
    m = blobs()
    dist = (0.5 - m[:, None].float()) * floats(N, 1, SIDE, SIDE, high=6)
    return BoundaryLoss(), *dict_loaders(x=images(1), dist=dist, mask=m)


class FlattenedCE(AdamModule):
    """Logits permuted to (pixels, classes) and labels flattened before CE."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = conv(3, 8, 2), nn.ConvTranspose2d(8, 5, 2, 2)

    def training_step(self, batch, batch_idx):
        out = self.decoder(self.encoder(batch[0]))
        out = out.permute(0, 2, 3, 1).reshape(-1, 5)
        return F.cross_entropy(out, batch[1].view(-1), label_smoothing=0.05)

    validation_step = training_step


def make_flat():
    return FlattenedCE(), *tuple_loaders(images(), blobs(classes=5))


CASES = {
    "deeplab dict out/aux, ignore 255": (
        make_cityscapes,
        dict(task="segmentation", net="model", head="['out']", target="batch[1]", image="batch[0]"),
    ),
    "salt BCE + dice through forward": (
        make_salt,
        dict(task="segmentation", net="", head="", target="batch['mask']", image="batch['image']"),
    ),
    "focal Tversky only, one-hot masks first": (
        make_tversky,
        dict(task="segmentation", net="seg", head="", target="batch[0]", image="batch[1]"),
    ),
    "deep supervision at three scales": (
        make_deepsup,
        dict(task="segmentation", net="network", head="[0]", target="batch['seg']", image="batch['data']"),
    ),
    "3-D volumes, foreground soft dice": (
        make_volume,
        dict(task="segmentation", net="vnet", head="", target="batch['organs']['data']", image="batch['ct']['data']"),
    ),
    "overlapping masks, stable BCE by hand": (
        make_overlap,
        dict(task="segmentation", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "interactive segmentation with a prompt called mask": (
        make_interactive,
        dict(task="segmentation", net="model", head="", target="batch['gt']", image="batch['image']"),
    ),
    "weight map is input and weight": (
        make_weightmaps,
        dict(task="segmentation", net="unet", head="", target="batch[2]", image="batch[0]"),
    ),
    "change detection of two dates": (make_change, dict(task="segmentation", net="fc_siam", head="", target="batch['change']")),
    "segformer-like, loss within the model": (
        make_hfseg,
        dict(task="segmentation", net="segformer", head=".logits", target="batch['labels']", image="batch['pixel_values']"),
    ),
    "mean teacher segmentation, combined loader": (
        make_mt_seg,
        dict(task="segmentation", net="student", head="", target="batch['labeled'][1]", image="batch['labeled'][0]"),
    ),
    "dice + boundary distance maps": (
        make_boundary,
        dict(task="segmentation", net="net", head="", target="batch['mask']", image="batch['x']"),
    ),
    "CE on flattened pixels, encoder then decoder": (
        make_flat,
        dict(task="segmentation", net="decoder", head="", target="batch[1]", image="batch[0]"),
    ),
}
