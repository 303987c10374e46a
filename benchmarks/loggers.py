"""What each logger's user finds after a training: frames, pictures and films, read back.

    python benchmarks/loggers.py > benchmarks/loggers.md

It takes an environment with wandb and mlflow (mlflow-skinny, sqlalchemy and alembic will do) beside the package: they bring some fifty
packages along, so that the tests do without them.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import logging
import os
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from modules import Classifier, loader

from lightning_vis import FilterMaximizationCallback, ProbeCallback
from lightning_vis.events.frame_reader import read_frames

os.environ |= {"WANDB_SILENT": "true", "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}


def main() -> None:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    print(
        TITLE.format(
            date=datetime.date.today(), versions=", ".join(map(version, ("pytorch-lightning", "wandb", "mlflow-skinny")))
        )
    )
    for name, (make, seen) in LOGGERS.items():
        with tempfile.TemporaryDirectory() as root:
            print("| " + " | ".join([name, *row(Path(root), make(Path(root)), seen)]) + " |", flush=True)


TITLE = """# What each logger's user finds

Made on {date} by `python benchmarks/loggers.py > benchmarks/loggers.md` with {versions}: two epochs of a tiny network, six looks,
`ProbeCallback()` and `FilterMaximizationCallback()`. Looks are counted in the event file, pictures where the logger keeps them, and
each of them was opened.

| logger | looks read back | film.html, GIFs, summary.png | in | pictures in the logger |
|---|--:|---|---|---|"""


def version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def row(root: Path, logger: Any, seen: Callable[[Path, Any], list[Path]]) -> list[str]:
    """Trains and reads back."""
    callbacks = [ProbeCallback(max_overhead=10.0), FilterMaximizationCallback(steps=2, max_overhead=10.0)]
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=logger,
        default_root_dir=root,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(Classifier(), loader(), loader(12, seed=2))
    folders = sorted({path.parent for path in root.rglob("*tfevents*")})
    looks = ", ".join(str(len(read_frames(folder)[0].frames)) for folder in folders)
    films = ", ".join(f"{size(folder / 'film.html')}, {gifs(folder)}, {opened(folder / 'summary.png')}" for folder in folders)
    found = Counter(kind(path) for path in seen(root, logger) if opened(path))
    named = ", ".join(f"{count} of {word}" for word, count in found.items()) or "none"
    return [looks, films, ", ".join(f"`{place(folder, root, logger)}`" for folder in folders), named]


def place(folder: Path, root: Path, logger: Any) -> str:
    """A folder without what differs from run to run."""
    known = folder.relative_to(root).as_posix()
    for word in ("experiment_id", "version") if isinstance(logger, (WandbLogger, MLFlowLogger)) else ():
        known = known.replace(str(getattr(logger, word, None)), word.upper())
    return known


def size(path: Path) -> str:
    return f"{path.stat().st_size / 1000:.0f} KB"


def gifs(folder: Path) -> str:
    looks = {Image.open(path).n_frames for path in folder.glob("*.gif")}
    return f"{len(list(folder.glob('*.gif')))} of {', '.join(map(str, sorted(looks)))} looks"


def opened(path: Path) -> str:
    """A picture's size, once all of it could be read."""
    picture = Image.open(path)
    picture.load()
    return f"{picture.width} x {picture.height}"


def kind(path: Path) -> str:
    """The first word of its tag."""
    return path.parent.name if path.parent.name in ("film", "probe", "filters") else path.name.split("~")[0]


def of_wandb(root: Path, logger: Any) -> list[Path]:
    """What ``wandb sync`` would send."""
    logger.experiment.finish()
    return [path for path in root.rglob("media/images/**/*") if path.is_file()]


def of_mlflow(root: Path, logger: Any) -> list[Path]:
    """What the client finds of the run; it keeps a thumbnail beside each picture."""
    paths = [each.path for each in logger.experiment.list_artifacts(logger.run_id, "images")]
    found = [Path(logger.experiment.download_artifacts(logger.run_id, path)) for path in paths]
    return [path for path in found if path.suffix == ".png"]


def nothing(root: Path, logger: Any) -> list[Path]:
    return []


LOGGERS: dict[str, tuple[Callable[[Path], Any], Callable[[Path, Any], list[Path]]]] = {
    "WandbLogger, offline": (lambda root: WandbLogger(project="project", save_dir=root, offline=True), of_wandb),
    "MLFlowLogger, SQLite": (
        lambda root: MLFlowLogger("e", tracking_uri=f"sqlite:///{root}/store.db", artifact_location=str(root / "artifacts")),
        of_mlflow,
    ),
    "MLFlowLogger, folder": (lambda root: MLFlowLogger("e", tracking_uri=f"file:{root}/mlruns"), of_mlflow),
    "CSVLogger": (lambda root: CSVLogger(root / "logs"), nothing),
    "none": (lambda root: False, nothing),
    "TensorBoardLogger and CSVLogger": (lambda root: [TensorBoardLogger(root / "logs"), CSVLogger(root / "csv")], nothing),
}


if __name__ == "__main__":
    main()
