"""What the callback makes of `unseen` and `heldout`: ``python -m tests.probe.witness.films [words of names]``.

Each is fitted for two epochs with ``ProbeCallback(on_error="raise")`` and a TensorBoardLogger. Its frames must have the task that
was read, words below each picture, and maps where the network has feature maps; else there is one sentence that says why not.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import nn

from lightning_vis import ProbeCallback

from .harness import quiet_trainer
from .verdicts import CASES

FILM, SENTENCE, FAILED = "film", "one sentence", "failed"
SENTENCES = (
    "no layer of the model gives a feature map",
    "does not depend on any feature map",
    "name a layer that returns",
    "no submodule took images",
    "the batch holds no images",
)
"""What says why there are no maps, or no images, in words that help."""
WITHOUT_MAPS = {"reconstruction", "unknown"}


class Fit:
    """A fit with a callback that raises what goes wrong; what it said and what it made."""

    def __init__(self, make):
        self.callback, self.error, self.said = ProbeCallback(on_error="raise"), None, []
        pl.seed_everything(0)
        module, training, validation = make()
        self.has_feature_maps = any(isinstance(each, (nn.Conv2d, nn.Conv3d)) for each in module.modules())
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trainer = quiet_trainer([self.callback], logger=TensorBoardLogger(folder))
            try:
                trainer.fit(module, training, validation)
            except Exception as error:
                self.error = error
        self.said = [str(each.message) for each in caught if str(each.message).startswith("lightning_vis")]

    @property
    def frames(self):
        return self.callback.film.frames

    @property
    def task(self):
        testimony = self.callback.session.finder.testimony
        return "unknown" if testimony is None else testimony.task

    @property
    def lacks(self):
        """What a film of this task should have and has not."""
        frames = self.frames
        if not frames:
            return "frames"
        last = frames[-1]
        has_words = (bool(last.said) and len(last.said) == len(last.predicted)) or bool((last.predicted >= 0).all())
        is_dense = self.task == "regression" and bool(self.callback.session.answer.facts.is_dense)
        needs_maps = self.has_feature_maps and self.task not in WITHOUT_MAPS and not is_dense
        wrong_task = {frame.task for frame in frames} != {self.task}
        missing = {"task": wrong_task, "words": not has_words, "maps": needs_maps and not last.maps}
        return ", ".join(word for word, is_missing in missing.items() if is_missing)


def verdict(fit):
    """One word, and what is to be said of it."""
    if fit.error is not None:
        place = traceback.extract_tb(fit.error.__traceback__)[-1]
        where = f"{type(fit.error).__name__}: {fit.error} ({Path(place.filename).name}:{place.lineno})"
        is_sentence = isinstance(fit.error, ValueError) and any(words in str(fit.error) for words in SENTENCES)
        return (SENTENCE if is_sentence else FAILED), " ".join(where.split())
    if not fit.lacks:
        return FILM, ""
    return (SENTENCE if len(fit.said) == 1 else FAILED), f"no {fit.lacks}: {' / '.join(fit.said)}"


def main(words):
    torch.set_num_threads(1)
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_vis"):
        logging.getLogger(name).setLevel(logging.ERROR)
    counts, began = Counter(), time.monotonic()
    for name, (make, _) in CASES.items():
        if all(word in name for word in words):
            fit = Fit(make)
            said, why = verdict(fit)
            counts[said] += 1
            if said != FILM:
                print(f"{said:12} {fit.task:14} {name}: {why}", flush=True)
    print(f"\n{dict(counts)}; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
