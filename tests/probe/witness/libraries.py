"""What is read from networks and losses of other libraries: ``python -m tests.probe.witness.libraries [words of names]``.

Prints a table in Markdown. It runs in an environment of its own, with torch for the CPU and what is to be tried of transformers,
monai, timm, segmentation-models-pytorch, lightly and torchvision; what is not installed is said. Nothing is downloaded: all
networks are small and random.
"""

from __future__ import annotations

import datetime
import importlib
import logging
import os
import sys
import types
import warnings
from collections.abc import Iterator

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# torchvision's own checks of what it registers fail beside a torch for the CPU, and are not needed.
sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))
warnings.filterwarnings("ignore")

import pytorch_lightning as pl  # noqa: E402
import torch  # noqa: E402
from torch.utils.data import TensorDataset  # noqa: E402

from tests.probe.witness.cases.parts import (  # noqa: E402
    COUNT,
    UNKNOWN,
    Case,
    Columns,
    Module,
    Want,
    chance,
    cnn,
    numbered,
    pictures,
    supervised,
    two_views,
    wanted,
)
from tests.probe.witness.harness import InRehearsal, InSanityCheck, differences, fitted  # noqa: E402

PACKAGES = (
    "torch",
    "pytorch_lightning",
    "transformers",
    "monai",
    "timm",
    "segmentation_models_pytorch",
    "lightly",
    "torchvision",
)
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
PATCHES = {"image_size": 16, "patch_size": 4}


def library(name):
    return importlib.import_module(name)


def columns_into(model, **columns):
    """A model that takes the batch by name and returns its own loss."""
    return Module({"model": model}, lambda self, batch: self.model(**batch).loss), Columns(**columns)


def hf_vit(labels, **config):
    def make():
        hf = library("transformers")
        config_of_vit = hf.ViTConfig(**SMALL, **PATCHES, **({"num_labels": 4} | config))
        return columns_into(hf.ViTForImageClassification(config_of_vit), pixel_values=pictures(), labels=labels())

    return make


def hf_segformer():
    hf = library("transformers")
    sizes = {"hidden_sizes": [8] * 4, "depths": [1] * 4, "num_attention_heads": [1] * 4, "decoder_hidden_size": 8}
    model = hf.SegformerForSemanticSegmentation(hf.SegformerConfig(**sizes, num_labels=3))
    return columns_into(model, pixel_values=pictures(3, 32, 32), labels=(chance(32, 32) * 3).long())


def hf_mae():
    hf = library("transformers")
    decoder = {f"decoder_{name}": value for name, value in SMALL.items()}
    return columns_into(hf.ViTMAEForPreTraining(hf.ViTMAEConfig(**SMALL, **PATCHES, **decoder)), pixel_values=pictures())


def hf_clip():
    hf = library("transformers")
    words = SMALL | {"vocab_size": 50, "max_position_embeddings": 8, "eos_token_id": 49, "bos_token_id": 1, "pad_token_id": 0}
    model = hf.CLIPModel(hf.CLIPConfig(text_config=words, vision_config=SMALL | PATCHES, projection_dim=8))
    data = {"pixel_values": pictures(), "input_ids": (chance(8) * 47).long() + 2, "attention_mask": torch.ones(COUNT, 8).long()}
    return Module({"model": model}, lambda self, batch: self.model(**batch, return_loss=True).loss), Columns(**data)


def hf_yolos():
    hf = library("transformers")
    config = hf.YolosConfig(**SMALL, image_size=[16, 16], patch_size=4, num_detection_tokens=5, num_labels=3)

    def step(self, batch):
        pairs = zip(batch["c"], batch["b"], strict=True)
        labels = [{"class_labels": kind, "boxes": box} for kind, box in pairs]
        return self.model(pixel_values=batch["x"], labels=labels).loss

    data = Columns(x=pictures(), c=numbered(3)[:, None], b=chance(1, 4) * 0.4 + 0.3)
    return Module({"model": hf.YolosForObjectDetection(config)}, step), data


def learned(model, loss, images, labels):
    step = lambda self, batch: self.loss(self.model(batch[0]), batch[1])  # noqa: E731
    return Module({"model": model, "loss": loss}, step), TensorDataset(images, labels)


MAPS = {
    "mask": lambda: chance(1, 32, 32).round(),
    "masks": lambda: chance(3, 32, 32).round(),
    "map": lambda: (chance(32, 32) * 3).long(),
    "map with a channel": lambda: (chance(1, 32, 32) * 3).long(),
    "volume": lambda: (chance(1, 16, 16, 16) * 3).long(),
}


def smp(loss, labels="mask", *args, out=1):
    def make():
        package = library("segmentation_models_pytorch")
        model = package.Unet("resnet18", encoder_weights=None, classes=out)
        return learned(model, getattr(package.losses, loss)(*args), pictures(3, 32, 32), MAPS[labels]())

    return make


def monai(loss, labels="map with a channel", out=3, **options):
    def make():
        is_volume = labels == "volume"
        size = {"spatial_dims": 3, "in_channels": 1} if is_volume else {"spatial_dims": 2, "in_channels": 3}
        model = library("monai.networks.nets").UNet(**size, out_channels=out, channels=(4, 8), strides=(2,))
        images = pictures(1, 16, 16, 16) if is_volume else pictures(3, 32, 32)
        return learned(model, getattr(library("monai.losses"), loss)(**options), images, MAPS[labels]())

    return make


def timm(loss, labels=numbered, *args):
    def make():
        model = library("timm").create_model("resnet10t", num_classes=4)
        return learned(model, getattr(library("timm.loss"), loss)(*args), pictures(3, 32, 32), labels())

    return make


def lightly(loss):
    def make():
        step = lambda self, batch: self.loss(self.net(batch[0]), self.net(batch[1]))  # noqa: E731
        return Module({"net": cnn(16), "loss": getattr(library("lightly.loss"), loss)()}, step), two_views()

    return make


def torchvision_focal():
    focal = library("torchvision.ops").sigmoid_focal_loss
    return supervised(lambda logits, labels: focal(logits, labels, reduction="mean"), "labels")()


def soft():
    return chance(4).softmax(1)


def of_hf(task, head="logits"):
    return Want(task, chain="model", head=f'["{head}"]', target='batch["labels"]', image='batch["pixel_values"]')


MASKS = wanted("segmentation", chain="model", values="logits")
CLASSES = wanted("multiclass", chain="model", values="logits")
VIEWS = Want("embedding", chain="net", image="batch[0]")
ONE_HOT = {"to_onehot_y": True, "softmax": True}
CASES = [
    Case("transformers ViT", hf_vit(numbered), of_hf("multiclass")),
    Case(
        "transformers ViT, labels",
        hf_vit(lambda: chance(4).round(), problem_type="multi_label_classification"),
        of_hf("multilabel"),
    ),
    Case("transformers ViT, number", hf_vit(lambda: chance() * 9, num_labels=1), of_hf("regression")),
    Case("transformers SegFormer", hf_segformer, of_hf("segmentation")),
    Case("transformers MAE", hf_mae, Want("reconstruction", chain="model")),
    Case("transformers CLIP", hf_clip, Want("embedding")),
    Case("transformers YOLOS (boxes)", hf_yolos, UNKNOWN),
    Case("smp Dice", smp("DiceLoss", "mask", "binary"), MASKS),
    Case("smp Dice, classes", smp("DiceLoss", "map", "multiclass", out=3), MASKS),
    Case("smp Focal", smp("FocalLoss", "mask", "binary"), MASKS),
    Case("smp Focal, classes", smp("FocalLoss", "map", "multiclass", out=3), MASKS),
    Case("smp Jaccard", smp("JaccardLoss", "masks", "multilabel", out=3), MASKS),
    Case("smp Tversky", smp("TverskyLoss", "mask", "binary"), MASKS),
    Case("smp Lovasz", smp("LovaszLoss", "mask", "binary"), MASKS),
    Case("smp soft BCE", smp("SoftBCEWithLogitsLoss"), MASKS),
    Case("MONAI DiceCE, 3-D", monai("DiceCELoss", "volume", **ONE_HOT), MASKS),
    Case("MONAI Dice", monai("DiceLoss", "mask", 1, sigmoid=True), MASKS),
    Case("MONAI Focal", monai("FocalLoss", to_onehot_y=True), MASKS),
    Case("MONAI generalised Dice", monai("GeneralizedDiceLoss", **ONE_HOT), MASKS),
    Case("MONAI Tversky", monai("TverskyLoss", **ONE_HOT), MASKS),
    Case("timm smoothing", timm("LabelSmoothingCrossEntropy", numbered, 0.1), CLASSES),
    Case("timm soft target", timm("SoftTargetCrossEntropy", soft), CLASSES),
    Case("timm asymmetric", timm("AsymmetricLossMultiLabel", lambda: chance(4).round()), wanted("multilabel", chain="model")),
    Case("timm BCE (one-hot)", timm("BinaryCrossEntropy"), CLASSES),
    Case("lightly NT-Xent", lightly("NTXentLoss"), VIEWS),
    Case("lightly Barlow Twins", lightly("BarlowTwinsLoss"), VIEWS),
    Case("lightly VICReg", lightly("VICRegLoss"), VIEWS),
    Case("lightly negative cosine", lightly("NegativeCosineSimilarity"), VIEWS),
    Case("torchvision focal", torchvision_focal, wanted("multilabel")),
]


def verdict(testimony, want):
    """One word: right, rightly unknown, unknown, or what is wrong."""
    wrong = differences(testimony, want)
    if testimony.task == "unknown":
        return "unknown" if wrong else "rightly unknown"
    return f"WRONG {wrong}" if wrong else "right"


def row(case: Case) -> tuple[str, ...]:
    """Name, what the sanity check says, what the rehearsal says, whether the bits are the same, the sentence."""
    sanity, rehearsal = InSanityCheck(), InRehearsal()
    try:
        without = fitted(case)
        same = all(fitted(case, watcher) == without for watcher in (sanity, rehearsal))
    except ImportError as error:
        return case.name, "not run", "not run", "", " ".join(f"{error}".split())
    words = [verdict(each.testimony, case.want) for each in (sanity, rehearsal)]
    trouble = f" {'; '.join(rehearsal.testimony.trouble)}" if rehearsal.testimony.trouble else ""
    return case.name, *words, "same" if same else "DIFFERENT", rehearsal.testimony.said() + trouble


def versions() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {library(name).__version__}"
        except ImportError:
            yield f"{name} not installed"


def main(words: list[str]) -> None:
    torch.set_num_threads(1)
    pl.seed_everything(0)
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    print(f"{datetime.date.today()}: `python -m tests.probe.witness.libraries {' '.join(words)}`".replace(" `", "`"))
    print(f"\n{', '.join(versions())}\n")
    print("| set-up | sanity check | rehearsal | bits | read |\n|---|---|---|---|---|")
    rows = []
    for case in CASES:
        if not words or any(word in case.name for word in words):
            rows.append(row(case))
            print(f"| {' | '.join(rows[-1])} |", flush=True)
    ran = [each for each in rows if each[1] != "not run"]
    counts = {word: sum(each[2] == word for each in ran) for word in ("right", "rightly unknown", "unknown")}
    print(f"\n{len(ran)} run: {counts}, {sum('WRONG' in f'{each}' for each in ran)} wrong")


if __name__ == "__main__":
    main(sys.argv[1:])
