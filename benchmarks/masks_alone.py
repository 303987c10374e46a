"""What twins of masks alone miss of the exact background effect: is it the holes, or whose background it is?

    python benchmarks/masks_alone.py 51 52

Trains the network of the examples on drawn leaves for two epochs and asks it about the same 64 validation objects on the other
images' backgrounds, four times: the holes filled as `lightning_vis.reliance.twins` fills them, filled after they were grown by
three pixels more, with the true background in them; and the holes filled, but each background told by what it is instead of
by the class that stood before it. The truth is 64 other objects on clean backgrounds that nobody has seen.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import backgrounds
import drawing
import numpy as np
import pytorch_lightning as pl
import scenes
import torch
from network import MEAN, STD, SmallCNN, dataset
from torch import Tensor
from torch.nn.functional import max_pool2d
from torch.utils.data import DataLoader

from lightning_vis.reliance import twins
from lightning_vis.reliance.paste import inpainted

ARMS = {"spurious": 0.95, "partly": 0.75, "balanced": 0.5}
SIZE, COUNT, EPOCHS, MORE = 64, 64, 2, 3
Ask = Callable[[Tensor], Tensor]
Fill = Callable[[Tensor, Tensor], Tensor]


def scaled(pictures: object) -> Tensor:
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
    return (torch.as_tensor(np.asarray(pictures, np.float32)) - mean) / std


def background_effect(ask: Ask, found: twins.Twins) -> float:
    """As `reliance/background_effect` of two classes on two kinds of background."""
    said = ask(found.images.flatten(0, 2)).view(*found.images.shape[:3], -1).mean(2)
    return float(np.mean([(said[:, kind, kind] - said[:, 1 - kind, kind]).mean() for kind in (0, 1)]))


def grown_hole(image: Tensor, mask: Tensor) -> Tensor:
    return inpainted(image, max_pool2d((mask > 0.02).float()[None, None], 2 * MORE + 1, 1, MORE)[0, 0])


@contextmanager
def filled_by(fill: Fill) -> Iterator[None]:
    with mock.patch.object(twins, "inpainted", fill):
        yield


@contextmanager
def told_by(kinds: Tensor) -> Iterator[None]:
    """Backgrounds are of the kind that they are."""
    known = twins._donor
    with mock.patch.object(twins, "_donor", lambda labels, kind, index: known(kinds, kind, index)):
        yield


def run(arm: str, seed: int) -> list[float]:
    """The exact effect, and that of masks alone: as it is, wider holes, true backgrounds in them, told by what they are."""
    rng = np.random.default_rng([seed, 7])
    painters = [drawing.PAINTERS[name] for name in ("bird", "mammal")]
    seen, unseen = (
        [backgrounds.plates(getattr(backgrounds, kind), count, rng) for kind in ("leaves", "pebbles")] for count in (12, 8)
    )
    trained = scenes.compose(painters, seen, 900, ARMS[arm], SIZE, rng)
    draw, cut, pair = rng.spawn(3)
    labels = pair.permutation(np.arange(COUNT) % 2)
    kinds = scenes.paired(labels, 2, ARMS[arm], pair)
    painted = [painters[label](SIZE, draw) for label in labels]
    squares = [scenes.crop(unseen[kind], SIZE, cut) for kind in kinds]
    held = scenes.pasted(painted, squares, labels, kinds)
    clean = scaled(np.array(squares).transpose(0, 3, 1, 2))
    ask = network(trained, seed)
    exact = scenes.twins(painters, unseen, COUNT, SIZE, rng).scenes
    truth = twins.Twins(scaled(exact.images).view(COUNT, 2, 1, 3, SIZE, SIZE), torch.arange(COUNT) % 2, ("", ""))

    def alone() -> float:
        made = twins.on_each_other(scaled(held.images), torch.tensor(labels), torch.tensor(held.masks), ["bird", "mammal"])
        assert made is not None  # of two classes there are twins
        return background_effect(ask, made)

    found = [background_effect(ask, truth), alone()]
    rows = iter(clean)
    for condition in (filled_by(grown_hole), filled_by(lambda image, mask: next(rows)), told_by(torch.tensor(kinds))):
        with condition:
            found.append(alone())
    return found


def network(trained: scenes.Scenes, seed: int) -> Ask:
    pl.seed_everything(seed)
    net, quiet = SmallCNN(classes=2), {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=EPOCHS, accelerator="cpu", enable_model_summary=False, **quiet)
    trainer.fit(net, DataLoader(dataset(trained), 50, shuffle=True))
    net.eval()

    def ask(images: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([net(each).softmax(1) for each in images.split(64)])

    return ask


def main() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    print(
        "| arm, seed | exact | masks alone | holes grown by 3 pixels | true background in the holes | told by what they are |"
    )
    print("|---|---|---|---|---|---|")
    for seed in map(int, sys.argv[1:]):
        for arm in ARMS:
            print(f"| {arm}, {seed} | {' | '.join(f'{each:.2f}' for each in run(arm, seed))} |", flush=True)


if __name__ == "__main__":
    main()
