"""The leaves by LightningCLI: ``python examples/cli.py fit --config examples/configs/lightning_cli.yaml``.

Any argument can be said behind it: ``--data.correlation 0.5 --trainer.max_epochs 2``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytorch_lightning as pl
from backgrounds import plates
from drawing import PAINTERS
from experiment import Data, Sources, data_of, probes_of
from leaves import CLASSES, KINDS, SIZE
from network import SmallCNN, dataset
from pytorch_lightning.cli import LightningCLI
from torch.utils.data import DataLoader

from lightning_vis import Probe


class Leaves(pl.LightningDataModule):
    """Birds and mammals, drawn; class c stands on kind c of background as often as `correlation` says."""

    def __init__(self, correlation: float = 0.98, images: int = 600, seed: int = 0) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.data: Data | None = None

    def setup(self, stage: str) -> None:
        """Draws everything, once."""
        if self.data is None:
            seed, rng = self.hparams["seed"], np.random.default_rng(self.hparams["seed"])
            animals = [PAINTERS[name] for name in CLASSES]
            seen, unseen = (Sources(animals, [plates(draw, count, rng) for draw in KINDS.values()]) for count in (8, 4))
            self.probe, _ = probes_of(unseen, CLASSES, list(KINDS), SIZE, rng)
            self.data = data_of(seen, unseen, self.hparams["images"], self.hparams["correlation"], SIZE, seed + 1)

    def twins(self) -> Probe:
        """What ``probe: twins`` names in a configuration."""
        return self.probe

    def train_dataloader(self) -> DataLoader:
        return DataLoader(dataset(self.data.train), 50, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(dataset(self.data.validation), 100)


def main(given: Sequence[str] | None = None) -> None:
    LightningCLI(SmallCNN, Leaves, args=given, save_config_callback=None)


if __name__ == "__main__":
    main()
