"""The leaves by hydra: ``python examples/hydra_app.py trainer.max_epochs=2``; ``examples/configs/hydra.yaml`` says all.

It needs hydra-core. hydra makes the callbacks, their views and their limits as it makes everything else.
"""

from __future__ import annotations

import hydra
import pytorch_lightning as pl
from omegaconf import DictConfig


def train(config: DictConfig) -> pl.Trainer:
    """Trains what a configuration describes."""
    pl.seed_everything(config.seed)
    trainer = hydra.utils.instantiate(config.trainer)
    trainer.fit(hydra.utils.instantiate(config.model), datamodule=hydra.utils.instantiate(config.data))
    return trainer


@hydra.main(config_path="configs", config_name="hydra", version_base=None)
def main(config: DictConfig) -> None:
    train(config)


if __name__ == "__main__":
    main()
