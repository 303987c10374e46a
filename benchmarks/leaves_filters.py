"""Does the picture of "bird" turn green where birds stand on leaves? The film of both classes in the leaves example.

    python benchmarks/leaves_filters.py docs/pictures/leaves_filters.jpg

Trains both networks of examples/leaves.py with several seeds and maximizes both classes' log-odds after every epoch.
Printed is the greenness, G - (R + B) / 2 in 0..1, of each class's picture; the picture shows the first seed. About a
minute per network on one idle core.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import leaves
import numpy as np
import pytorch_lightning as pl
import torch
from experiment import Sources, data_of, probes_of
from network import SmallCNN, dataset
from PIL import Image, ImageDraw, ImageFont
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.data import DataLoader
from tqdm import tqdm

from lightning_vis import OUTPUT, FilterMaximizationCallback
from lightning_vis.frames import Frame
from lightning_vis.maximization.objectives import log_odds, total_variation
from lightning_vis.maximization.parameterizations import pixels
from lightning_vis.maximization.presets import Recipe, adam
from lightning_vis.maximization.transforms import roll


def recipe() -> Recipe:
    """Pixels and total variation, because a colour is asked for: a Fourier image starts with colours of its own."""
    return Recipe(pixels(), lambda height, width: (roll(4),), adam(0.05), (total_variation(5.0),))


def sources(seed: int) -> tuple[Sources, Sources, np.random.Generator]:
    """Those of the example: plates to learn from and others, and the generator as it stands behind them."""
    rng = np.random.default_rng(seed)
    objects = [leaves.PAINTERS[name] for name in leaves.CLASSES]
    seen, unseen = (Sources(objects, [leaves.plates(draw, count, rng) for draw in leaves.KINDS.values()]) for count in (16, 8))
    return seen, unseen, rng


def film(run: str, seed: int, folder: str) -> list[Frame]:
    """Trains one network as the example does; the frames of its classes' pictures."""
    seen, unseen, rng = sources(seed)
    probe, _ = probes_of(unseen, leaves.CLASSES, list(leaves.KINDS), leaves.SIZE, rng)
    data = data_of(seen, unseen, leaves.IMAGES, leaves.CORRELATION[run], leaves.SIZE, seed + 1)
    pl.seed_everything(seed)
    callback = FilterMaximizationCallback([OUTPUT], 2, probe, objective=log_odds, preset=recipe(), max_overhead=1.0)
    trainer = pl.Trainer(
        max_epochs=leaves.EPOCHS,
        accelerator="cpu",
        logger=TensorBoardLogger(folder, name=run, version=seed),
        callbacks=[callback],
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        log_every_n_steps=5,
    )
    loaders = DataLoader(dataset(data.train), 50, shuffle=True), DataLoader(dataset(data.validation), 100)
    trainer.fit(SmallCNN(classes=2), *loaders)
    return callback.film.frames


def greenness(frame: Frame) -> list[float]:
    """Of each class's picture."""
    red, green, blue = (frame.pictures[f"filters/{OUTPUT}"].values / 255).mean((1, 2)).T
    return [float(value) for value in green - (red + blue) / 2]


def strip(films: dict[str, list[Frame]], side: int = 84, left: int = 110, head: int = 24) -> Image.Image:
    """A row per run and class, a column per look."""
    rows = [(run, index) for run in films for index in range(len(leaves.CLASSES))]
    columns = len(next(iter(films.values())))
    sheet = Image.new("RGB", (left + columns * side, head + len(rows) * side), (24, 24, 24))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, (run, index) in enumerate(rows):
        pen.text((6, head + row * side + side // 3), f"{run}:\n{leaves.CLASSES[index]}", font=font)
        for column, frame in enumerate(films[run]):
            place = (left + column * side, head + row * side)
            pen.text((place[0] + 6, 3), frame.when, font=font)
            picture = Image.fromarray(frame.pictures[f"filters/{OUTPUT}"].values[index])
            sheet.paste(picture.resize((side - 4, side - 4), Image.Resampling.BICUBIC), place)
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(1)
    for number, seed in enumerate(tqdm(args.seeds)):
        with tempfile.TemporaryDirectory() as folder:
            films = {run: film(run, seed, folder) for run in leaves.CORRELATION}
        if number == 0:
            looks = [frame.when for frame in films["spurious"]]
            print("| seed | run | class |", " | ".join(looks), "|\n|---|---|---|" + "---|" * len(looks))
            args.picture.parent.mkdir(parents=True, exist_ok=True)
            strip(films).save(args.picture, quality=70)
        for run, frames in films.items():
            for name, values in zip(leaves.CLASSES, zip(*map(greenness, frames), strict=True), strict=True):
                print(f"| {seed} | {run} | {name} |", " | ".join(f"{each:.2f}" for each in values), "|", flush=True)


if __name__ == "__main__":
    main()
