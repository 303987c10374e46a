"""The small network of the examples and what they ask of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningModule
from scenes import Scenes
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)


def convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False), nn.BatchNorm2d(channels_out), nn.ReLU()
    )


class SmallCNN(LightningModule):
    """Four convolutions, three times pooled, global average pooling and one linear layer.

    Images of 64 pixels end in a feature map of 8 x 8. Each class's logit is a mean over places, so a map of the last
    convolution explains it entirely.
    """

    def __init__(self, classes: int = 2, learning_rate: float = 3e-3, weight_decay: float = 1e-3) -> None:
        super().__init__()
        self.save_hyperparameters()
        widths = (16, 32, 64, 64)
        blocks = [convolution(a, b) for a, b in zip((3, *widths), widths, strict=False)]
        self.features = nn.Sequential(*[part for block in blocks for part in (block, nn.MaxPool2d(2))][:-1])
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).mean((2, 3)))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self.step(batch, "val")

    def step(self, batch: tuple[Tensor, Tensor], stage: str) -> Tensor:
        images, labels = batch
        logits = self(images)
        loss = F.cross_entropy(logits, labels)
        accuracy = (logits.argmax(1) == labels).float().mean()
        self.log_dict(
            {f"{stage}/loss": loss, f"{stage}/accuracy": accuracy},
            on_step=False, on_epoch=True, prog_bar=True, batch_size=len(labels),
        )  # fmt: skip
        return loss

    def configure_optimizers(self) -> dict[str, object]:
        rate, decay = self.hparams["learning_rate"], self.hparams["weight_decay"]
        optimizer = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def dataset(scenes: Scenes, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> TensorDataset:
    """Normalised images and their labels."""
    m, s = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
    return TensorDataset((torch.from_numpy(scenes.images) - m) / s, torch.from_numpy(scenes.labels))


def group_accuracies(model: nn.Module, scenes: Scenes) -> NDArray[np.float64]:
    """Accuracy of each class on each kind of background, ``(classes, kinds)``; NaN where there is no such image.

    The model answers in eval mode. The worst-group accuracy (Sagawa et al., 2020, "Distributionally robust neural
    networks") is the minimum.
    """
    images, labels = dataset(scenes).tensors
    training = model.training
    model.eval()
    with torch.no_grad():
        right = torch.cat([model(some).argmax(1) for some in images.split(100)]).eq(labels).numpy()
    model.train(training)  # a Trainer would go on training a BatchNorm in eval mode
    table = np.full((scenes.labels.max() + 1, scenes.kinds.max() + 1), np.nan)
    for label, kind in np.ndindex(*table.shape):
        group = right[(scenes.labels == label) & (scenes.kinds == kind)]
        table[label, kind] = group.mean() if len(group) else np.nan
    return table
