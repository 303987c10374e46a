"""A tiny training, killed with SIGKILL at random moments twenty times and resumed each time, with the callbacks and without.

After every kill the event files are read: all looks that had been finished must be there, whole. In the end the weights
must be those of a training without callbacks that was killed behind the same checkpoints, bit for bit.

Prints the table of soak.md: run it with ``python benchmarks/soak.py > benchmarks/soak.md``.
"""

from __future__ import annotations

import datetime
import logging
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))

from lightning_vis import ProbeCallback
from lightning_vis.events.frame_reader import read_frames
from tests.torture.nets import Net, loaders
from tests.torture.running import seed_everything
from tests.torture.scenario import probe

KILLS, EPOCHS, VIEWS = 20, 80, 3
STEPS = [0, 1, 2, *range(3, 3 * EPOCHS + 1, 3)]  # three batches an epoch


class Reports(pl.Callback):
    """Writes a byte at every hook, behind all others, so that the parent knows how far the child is."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def on_train_batch_start(self, *arguments: object) -> None:
        os.write(self.pipe, b".")

    on_train_batch_end = on_validation_epoch_end = on_validation_end = on_after_backward = on_train_batch_start  # type: ignore[assignment]


class Held(ModelCheckpoint):
    """Stops for ever behind one checkpoint, if told to, until the kill comes."""

    def __init__(self, folder: Path, hold_after: int | None) -> None:
        super().__init__(folder, filename="{epoch}", save_top_k=-1)
        self.hold_after = hold_after

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._hold(trainer.current_epoch - 1)

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        super()._save_checkpoint(trainer, filepath)
        self._hold(trainer.current_epoch)

    def _hold(self, epoch: int) -> None:
        if epoch == self.hold_after:
            os.close(REPORTING[0])  # the parent reads the end of the pipe
            time.sleep(1e6)


REPORTING: list[int] = []


def train(folder: Path, watched: bool, resumed: int, hold_after: int | None, pipe: int) -> None:
    """One attempt, in a process of its own: from the checkpoint of an epoch (-1 for none) to the end, if it gets there."""
    REPORTING.append(pipe)
    seed_everything(1000 + resumed)
    callbacks = [ProbeCallback(probe())] if watched else []
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=TensorBoardLogger(folder, name=None, version="log"),
        callbacks=[*callbacks, Reports(pipe), Held(folder / "kept", hold_after)],
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
    )
    model = Net()
    trainer.fit(model, *loaders(), ckpt_path=None if resumed < 0 else folder / "kept" / f"epoch={resumed}.ckpt")
    torch.save(model.state_dict(), folder / "final.pt")


def started(*arguments: object) -> tuple[int, int]:
    """A child that trains, and the end of the pipe on which it reports."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    os.close(reading)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        train(*arguments, writing)  # type: ignore[arg-type]
    except BaseException as error:
        print(f"the training failed: {error!r}", flush=True)
        os._exit(1)
    os._exit(0)


def killed(child: int, pipe: int, after: int, delay: float) -> bool:
    """Kills the child once it has reported so often, and a little later; False if it ended before."""
    seen = 0
    while seen < after and (found := os.read(pipe, 1)):
        seen += len(found)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(pipe)
    return os.WIFSIGNALED(status)


def last_checkpoint(folder: Path) -> tuple[int, int]:
    """The epoch of the last checkpoint that can be read, -1 if none can, and how many were cut off by the kill."""
    cut = 0
    for path in sorted(folder.glob("kept/*.ckpt"), key=lambda path: int(path.stem.removeprefix("epoch=")), reverse=True):
        try:
            torch.load(path, weights_only=True)
        except Exception:
            path.unlink()
            cut += 1
        else:
            return int(path.stem.removeprefix("epoch=")), cut
    return -1, cut


def check_frames(folder: Path, finished: int) -> int:
    """How many frames the event files hold; all up to a number of steps must be there, whole, each once."""
    found = read_frames(folder / "log")
    frames = found[0].frames if found else ()
    whole = [frame for frame in frames if len(frame.maps) == VIEWS and len(frame.predicted)]
    steps = [frame.finished_steps for frame in whole]
    due = [step for step in STEPS if step <= finished]
    assert steps[: len(due)] == due, f"after {finished} steps: frames {steps}, not {due}"
    assert len(frames) - len(whole) <= 1, "more than one frame was cut off"
    return len(whole)


def soak(folder: Path, dice: random.Random) -> list[tuple[int, int, int, int]]:
    """With the callbacks, killed at random; by kill: resumed from, last checkpoint, checkpoints cut off, frames."""
    rows, resumed = [], -1
    progress = tqdm(total=KILLS, desc="kills", file=sys.stderr)
    while len(rows) < KILLS:
        child, pipe = started(folder, True, resumed, None)
        assert killed(child, pipe, dice.randint(1, 60), dice.uniform(0, 0.1)), "it ended before it was killed"
        last, cut = last_checkpoint(folder)
        rows.append((resumed, last, cut, check_frames(folder, 3 * (last + 1))))
        resumed = last
        progress.update()
    finish(folder, True, resumed)
    return rows


def replay(folder: Path, rows: list[tuple[int, int, int, int]]) -> None:
    """Without the callbacks, killed behind the same checkpoints."""
    for resumed, last, _, _ in tqdm(rows, desc="again", file=sys.stderr):
        child, pipe = started(folder, False, resumed, last)
        assert killed(child, pipe, 10**9, 0.0), "it ended before it was killed"
        assert last_checkpoint(folder)[0] == last
    finish(folder, False, rows[-1][1])


def finish(folder: Path, watched: bool, resumed: int) -> None:
    child, pipe = started(folder, watched, resumed, None)
    while os.read(pipe, 4096):
        pass
    assert os.waitpid(child, 0)[1] == 0, "the last attempt failed"
    os.close(pipe)


def main() -> None:
    """Soaks, replays, compares, prints."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        rows = soak(root / "with", random.Random(0))
        replay(root / "without", rows)
        weights = [torch.load(root / kind / "final.pt", weights_only=True) for kind in ("with", "without")]
        same = all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())
        frames = check_frames(root / "with", 3 * EPOCHS)
    print(f"# Killed and resumed\n\nMade on {datetime.date.today()} by `python benchmarks/soak.py > benchmarks/soak.md`:")
    print(f"{KILLS} kills with SIGKILL, torch {torch.__version__}, Lightning {pl.__version__}, CPU.\n")
    print("| kill | resumed from epoch | last whole checkpoint | checkpoints cut off | whole frames in the event files |")
    print("|--:|--:|--:|--:|--:|")
    for number, (resumed, last, cut, seen) in enumerate(rows, 1):
        print(f"| {number} | {resumed + 1 or 'the start'} | {last + 1 or 'none'} | {cut} | {seen} |")
    print(f"\nAfter {KILLS} kills and the last resume the film has {frames} frames, each once: {len(STEPS)} were due.")
    print("The final weights are those of a training without callbacks, killed behind the same checkpoints,")
    print(f"bit for bit: {'yes' if same else 'NO'}.")
    assert same
    assert frames == len(STEPS)


if __name__ == "__main__":
    main()
