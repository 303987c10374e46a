"""Builds networks that packages bring, by the rows of networks.txt.

Small, with random weights, without any download.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# torchvision's own checks of what it registers fail beside a torch for the CPU, and are not needed.
sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.functional import interpolate  # noqa: E402

PACKAGES = ("timm", "torchvision", "transformers", "segmentation_models_pytorch", "monai", "open_clip", "lightly")
LIST = Path(__file__).with_name("networks.txt")
CLASSES = {"multiclass": 2, "segmentation": 3}
"""Two, because their log-odds are linear in the logits: of pooling and a linear head evidence explains all."""


@dataclass(frozen=True)
class Network:
    """A row of the list: `kind` is the heading above it, and a task may name a head, "embedding:image_embeds"."""

    kind: str
    name: str
    package: str
    what: str
    shape: tuple[int, ...]
    task: str
    head: str | int | None
    arguments: dict[str, Any]

    @property
    def classes(self) -> int:
        return CLASSES.get(self.task, 2)


def listed() -> Iterator[Network]:
    """All rows of the list."""
    kind = ""
    for line in LIST.read_text().splitlines():
        if line.startswith("#"):
            kind = line.strip("# ")
        elif line:
            name, package, what, shape, task, arguments = line.split(maxsplit=5)
            task, _, head = task.partition(":")
            where = int(head) if head.isdigit() else head or None
            yield Network(kind, name, package, what, tuple(map(int, shape.split("x"))), task, where, json.loads(arguments))


def _of_timm(row: Network) -> nn.Module:
    arguments = {"num_classes": row.classes, "in_chans": row.shape[0], **row.arguments}
    return importlib.import_module("timm").create_model(row.what, pretrained=False, **arguments)


def _of_torchvision(row: Network) -> nn.Module:
    return importlib.import_module("torchvision").models.get_model(
        row.what, weights=None, num_classes=row.classes, **row.arguments
    )


def _of_transformers(row: Network) -> nn.Module:
    package = importlib.import_module("transformers")
    kind = getattr(package, f"{row.what}ForImageClassification", None) or getattr(package, row.what)
    return kind(kind.config_class(num_labels=row.classes, **row.arguments))


def _of_smp(row: Network) -> nn.Module:
    kind = getattr(importlib.import_module("segmentation_models_pytorch"), row.what)
    return kind(encoder_weights=None, in_channels=row.shape[0], classes=row.classes, **row.arguments)


def _of_monai(row: Network) -> nn.Module:
    kind = getattr(importlib.import_module("monai.networks.nets"), row.what)
    ways_in, ways_out = ("in_channels", "n_input_channels"), ("out_channels", "num_classes")
    sizes = dict.fromkeys(ways_in, row.shape[0]) | dict.fromkeys(ways_out, row.classes)
    known = inspect.signature(kind.__init__).parameters
    return kind(**{name: size for name, size in sizes.items() if name in known}, **row.arguments)


def _of_open_clip(row: Network) -> nn.Module:
    words = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
    return importlib.import_module("open_clip").CLIP(16, row.arguments, words).visual


def _of_lightly(row: Network) -> nn.Module:
    arguments = dict(row.arguments)
    backbone = importlib.import_module("timm").create_model(arguments.pop("backbone"), num_classes=0, **arguments)
    head = getattr(importlib.import_module("lightly.models.modules.heads"), row.what)
    return nn.Sequential(backbone, head(input_dim=backbone.num_features, hidden_dim=64, output_dim=16))


_BUILDERS = (_of_timm, _of_torchvision, _of_transformers, _of_smp, _of_monai, _of_open_clip, _of_lightly)


def built(row: Network) -> nn.Module:
    """The network in eval mode, as if it had been trained a little."""
    net = dict(zip(PACKAGES, _BUILDERS, strict=True))[row.package](row).eval()
    _stir(net, row.classes)
    _settle(net, images_for(row, 4))
    return net.eval()


@torch.no_grad()
def _stir(net: nn.Module, classes: int) -> None:
    """Nothing that begins with zeros stays so: of a head of zeros no map would have a gradient.

    Only heads have no bias: no place accounts for it, and beside random weights it is as large as the rest of the score.
    """
    for each in net.parameters():
        if each.is_floating_point():
            each.add_(0.02 * torch.randn_like(each))
    for each in net.modules():
        bias = getattr(each, "bias", None)
        if isinstance(each, (nn.Linear, nn.modules.conv._ConvNd)) and bias is not None and len(bias) == classes:
            bias.zero_()


@torch.no_grad()
def _settle(net: nn.Module, images: Tensor) -> None:
    """Batch norms see some images: with the statistics of no images deep networks die out."""
    norms = [each for each in net.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.train().momentum = 0.9
    for _ in range(2 * bool(norms)):
        net(images)


def images_for(row: Network, count: int) -> Tensor:
    """Blobs with some noise."""
    depth = len(row.shape) - 1
    coarse = torch.rand(count, row.shape[0], *[4] * depth)
    smooth = interpolate(coarse, size=row.shape[1:], mode="trilinear" if depth == 3 else "bilinear")
    return 2 * smooth - 1 + 0.1 * torch.randn(count, *row.shape)
