"""Watch a network learn the leaves instead of the birds, and another one learn the birds. Two minutes on two cores.

In the first run birds stand on leaves and four-legged animals on pebbles, 49 times out of 50; in the second, leaves and
pebbles tell nothing. Everything is drawn; nothing is downloaded.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from backgrounds import leaves, pebbles, plates
from drawing import PAINTERS
from experiment import Result, Sources, data_of, probes_of, report, train

CLASSES = ["bird", "mammal"]
KINDS = {"leaves": leaves, "pebbles": pebbles}
CORRELATION = {"spurious": 0.98, "balanced": 0.5}  # at 0.95 the first network learns the animals too, after four epochs
SIZE = 64
IMAGES = 1200
EPOCHS = 8


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--logdir", type=Path, default=Path("logs/leaves"), help="the runs are LOGDIR/spurious and /balanced")
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs; nothing is learnt")
    args = parser.parse_args(given)
    images, epochs = (60, 1) if args.smoke else (IMAGES, EPOCHS)
    print(report(both(args.logdir, args.seed, images, epochs), CLASSES, list(KINDS)))
    print(f"\nNow look: tensorboard --logdir {args.logdir}    (the tab Lightning Vis)")


def both(logdir: Path, seed: int, images: int = IMAGES, epochs: int = EPOCHS) -> dict[str, Result]:
    """Trains both networks, on other plates than they are tested on."""
    rng = np.random.default_rng(seed)
    objects = [PAINTERS[name] for name in CLASSES]
    few = min(8, images // 30)  # a smoke draws no more than it shows
    seen, unseen = (Sources(objects, [plates(draw, count, rng) for draw in KINDS.values()]) for count in (2 * few, few))
    probe, many = probes_of(unseen, CLASSES, list(KINDS), SIZE, rng)
    return {
        name: train(logdir / name, data_of(seen, unseen, images, correlation, SIZE, seed + 1), probe, many, epochs, seed)
        for name, correlation in CORRELATION.items()
    }


if __name__ == "__main__":
    main()
