"""Watch a network learn the leaves instead of the birds, on your own photographs.

FOREGROUNDS holds one folder of cut-outs (PNG with alpha) per class, BACKGROUNDS one folder of photographs per kind of
background, as many of them; both are taken by name, so that the first class belongs to the first kind. In the first run
each object stands on the background of its class, 19 times out of 20; in the second, the background tells nothing.
`photo_folders.sh` lays such folders out from packages of Debian.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cutouts import load_cutouts, load_plates, painter, split, subfolders
from experiment import CORRELATION, Sources, data_of, probes_of, report, train

SIZE = 64


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("foregrounds", type=Path, help="a folder of cut-outs per class")
    parser.add_argument("backgrounds", type=Path, help="a folder of photographs per kind of background")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--logdir", type=Path, default=Path("logs/photos"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--images", type=int, default=1600, help="for training")
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs; nothing is learnt")
    args = parser.parse_args(given)
    args.images, args.epochs = (48, 1) if args.smoke else (args.images, args.epochs)
    return args


def matching(foregrounds: Path, backgrounds: Path) -> tuple[list[Path], list[Path]]:
    """The folders of the classes and of the kinds of background.

    Raises:
        ValueError: their numbers differ.
    """
    classes, kinds = subfolders(foregrounds), subfolders(backgrounds)
    if len(classes) != len(kinds):
        raise ValueError(
            f"each class needs its kind of background: {foregrounds} holds {', '.join(path.name for path in classes)}"
            f" and {backgrounds} holds {', '.join(path.name for path in kinds)}"
        )
    return classes, kinds


def sources(classes: list[Path], kinds: list[Path], plates: int, rng: np.random.Generator) -> tuple[Sources, Sources]:
    """Cut-outs and parts of photographs to learn from, and others to be tested on."""
    cutouts = [split(load_cutouts(folder), rng) for folder in classes]
    photographs = [load_plates(folder, plates, SIZE, rng) for folder in kinds]
    seen, unseen = (Sources([painter(each[part]) for each in cutouts], [each[part] for each in photographs]) for part in (0, 1))
    return seen, unseen


def main(given: Sequence[str] | None = None) -> None:
    args = arguments(given)
    classes, kinds = matching(args.foregrounds, args.backgrounds)
    class_names, kind_names = [path.name for path in classes], [path.name for path in kinds]
    rng = np.random.default_rng(args.seed)
    seen, unseen = sources(classes, kinds, args.images // 4, rng)
    probe, many = probes_of(unseen, class_names, kind_names, SIZE, rng)
    results = {}
    for name, correlation in CORRELATION.items():
        data = data_of(seen, unseen, args.images, correlation, SIZE, args.seed + 1)
        results[name] = train(args.logdir / name, data, probe, many, args.epochs, args.seed)
    print(report(results, class_names, kind_names))
    print(f"\nNow look: tensorboard --logdir {args.logdir} --samples_per_plugin images=200")


if __name__ == "__main__":
    main()
