"""Watch a network learn the leaves instead of the birds, and another one learn the birds. Two minutes on two cores.

In the first run birds stand on leaves and four-legged animals on pebbles, 19 times out of 20; in the second, leaves and
pebbles tell nothing. Everything is drawn; nothing is downloaded.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import drawing
import numpy as np
from backgrounds import leaves, pebbles, plates
from experiment import Data, probe_of, report, train
from scenes import compose, twins

CLASSES = ["bird", "quadruped"]
KINDS = {"leaves": leaves, "pebbles": pebbles}
CORRELATION = {"spurious": 0.95, "balanced": 0.5}
SIZE = 64


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--logdir", type=Path, default=Path("logs/leaves"))
    parser.add_argument("--epochs", type=int, default=8)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    painters = [drawing.PAINTERS[name] for name in CLASSES]
    generator = np.random.default_rng(args.seed)
    seen = [plates(draw, 16, generator) for draw in KINDS.values()]
    unseen = [plates(draw, 8, generator) for draw in KINDS.values()]
    probes = twins(painters, unseen, 16, SIZE, generator).scenes
    probe, many = probe_of(type(probes)(*(part[:8] for part in probes)), CLASSES), probe_of(probes, CLASSES)
    results = {}
    for name, correlation in CORRELATION.items():
        rngs = np.random.default_rng(args.seed + 1).spawn(3)
        data = Data(
            compose(painters, seen, 1200, correlation, SIZE, rngs[0]),
            compose(painters, unseen, 400, correlation, SIZE, rngs[1]),
            compose(painters, unseen, 400, 0.5, SIZE, rngs[2]),
        )
        results[name] = train(args.logdir / name, data, probe, many, args.epochs, args.seed)
    print(report(results, CLASSES, list(KINDS)))
    print(f"\nNow look: tensorboard --logdir {args.logdir} --samples_per_plugin images=200")


if __name__ == "__main__":
    main()
