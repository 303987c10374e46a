"""What is read from `unseen` and `heldout`, beside what was wanted: ``python -m tests.probe.witness.verdicts [words of names]``."""

from __future__ import annotations

import logging
import random
import sys
import time
import warnings
from collections import Counter

import numpy as np
import pytorch_lightning as pl
import torch

from . import heldout, unseen
from .harness import InRehearsal, InSanityCheck, Left, Logged, digest, quiet_trainer, read

SETS = {"unseen": unseen.CASES, "held out": heldout.CASES}
CASES = {name: case for cases in SETS.values() for name, case in cases.items()}

RIGHT, RIGHTLY_UNKNOWN, UNNEEDED, WRONG = "right", "rightly unknown", "unknown without need", "wrong"
OTHERWISE = "otherwise, defensibly"
VERDICTS = (RIGHT, OTHERWISE, RIGHTLY_UNKNOWN, UNNEEDED, WRONG)

SEVERAL_MAPS = "all maps that the network gets are named; the wanted one is the first, which is looked at"
JUDGED = {
    "satellite tags, uint8 channels-last, soft margin": ({"net": "net"}, "self.forward(...) is no call of the module"),
    "interactive segmentation with a prompt called mask": ({"image": 'batch["image"] and batch["mask"]'}, SEVERAL_MAPS),
    "weight map is input and weight": ({"image": "batch[0] and batch[1]"}, SEVERAL_MAPS),
}
"""What is read otherwise than an author wanted it, and may be: set-up -> ({word: read}, why)."""


def trained(make, watcher=None):
    """Fits a set-up for one epoch on its own loaders, with a watcher if there is one; what it left behind."""
    pl.seed_everything(0)
    module, training, validation = make()
    logged = Logged()
    trainer = quiet_trainer([*([watcher] if watcher else []), logged], max_epochs=1)
    trainer.fit(module, training, validation)
    final = {name: float(value).hex() for name, value in trainer.callback_metrics.items()}
    streams = (torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=True)[1].tolist())
    optimizers = digest([each.state_dict() for each in trainer.optimizers])
    return Left(digest(module.state_dict()), optimizers, digest(streams), [*logged.seen, final])


def watched(make):
    """The testimonies of the sanity check, None if there is none, and of the dry run; whether both fits stay the same."""
    sanity, rehearsal = InSanityCheck(), InRehearsal()
    without = trained(make)
    is_same = trained(make, sanity) == without and trained(make, rehearsal) == without
    return sanity.testimony, rehearsal.testimony, is_same


def verdict(testimony, wanted):
    """One of the four, and what was read otherwise than wanted: {word: (wanted, read)}."""
    tasks = wanted["task"] if isinstance(wanted["task"], tuple) else (wanted["task"],)
    if testimony.task == "unknown":
        return (RIGHTLY_UNKNOWN, {}) if "unknown" in tasks else (UNNEEDED, {"why": (wanted["task"], testimony.why)})
    found = read(testimony) | {"net": testimony.chain[-1] if testimony.chain else ""}
    words = [word for word in ("net", "head", "target", "image") if word in wanted]
    other = {word: (wanted[word], found[word]) for word in words if found[word] != wanted[word].replace("'", '"')}
    other |= {} if testimony.task in tasks else {"task": (wanted["task"], testimony.task)}
    return (WRONG, other) if other else (RIGHT, {})


def judged(name, testimony):
    """The verdict on a set-up, with what has been judged about it."""
    said, other = verdict(testimony, CASES[name][1])
    accepted, _ = JUDGED.get(name, ({}, ""))
    is_accepted = said == WRONG and {word: read for word, (_, read) in other.items()} == accepted
    return (OTHERWISE, other) if is_accepted else (said, other)


def told(name):
    """What is said of a set-up, by how it was watched; whether training stayed the same."""
    start = time.monotonic()
    sanity, rehearsal, is_same = watched(CASES[name][0])
    verdicts = {}
    for kind, testimony in (("sanity check", sanity), ("dry run", rehearsal)):
        if testimony is not None:
            verdicts[kind], other = judged(name, testimony)
            if verdicts[kind] in (UNNEEDED, WRONG) or testimony.trouble:
                print(f"{verdicts[kind]:20} {kind:12} {name}: {other} {testimony.trouble or ''}")
    if time.monotonic() - start > 3:
        print(f"{time.monotonic() - start:.1f} s {name}: {rehearsal.said()}", flush=True)
    return verdicts, is_same


def table(names):
    """Prints how often each verdict was reached."""
    began = time.monotonic()
    every = {name: told(name) for name in names}
    print(f"\n| | {' | '.join(VERDICTS)} |\n|---|{'---:|' * len(VERDICTS)}")
    for kind in ("sanity check", "dry run"):
        count = Counter(verdicts[kind] for verdicts, _ in every.values() if kind in verdicts)
        print(f"| {kind} | {' | '.join(str(count[each]) for each in VERDICTS)} |")
    changed = [name for name, (_, is_same) in every.items() if not is_same]
    print(f"\nnot bit-identical: {', '.join(changed) or 'none'}; {time.monotonic() - began:.0f} s\n")


def main(words):
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    for title, cases in SETS.items():
        print(f"{title}\n")
        table([name for name in cases if all(word in name for word in words)])


if __name__ == "__main__":
    main(sys.argv[1:])
