"""Makes strips and cards among the pictures of README and docs: ``python docs/strips.py LOGS [FOLDER]``.

LOGS holds what the examples leave there, ``leaves``, ``digits``, ...: a run that is not there is left out and said. docs/pictures is
written if no folder is given.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from lightning_vis import Film
from lightning_vis.export import export_strip
from lightning_vis.render.cards import card

STRIPS = {
    "film_evidence_spurious": ("leaves/spurious", "evidence"),
    "verdict_leaves": ("leaves/spurious", "verdict"),
    "digits_filters": ("digits", "filters/<output>"),
}
"""Name -> run, view."""


CARDS = {
    "cards_multilabel": ("multilabel/spurious", (0, 1)),
    "cards_regression": ("regression/right", (0, 1)),
    "cards_segmentation": ("segmentation/spurious", (0, 1)),
    "cards_vit": ("vit/spurious", (0, 1)),
}
"""Name -> run, two images: cards of the last look."""


def strip(logdir: Path, view: str) -> Image.Image:
    """One view of one run, as ``python -m lightning_vis strip`` has it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "strip.png")
        export_strip(logdir, path, view)
        return Image.open(path).convert("RGB")


def cards(logdir: Path, images: tuple[int, ...]) -> Image.Image:
    """Cards of a run's last look side by side, half as large as they are drawn, which is how the Images tab shows them."""
    frame = Film.from_logdir(logdir).frames[-1]
    found = np.concatenate([card(frame, frame.inputs, index) for index in images], 1)
    picture = Image.fromarray(found)
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def main() -> None:
    """Makes all whose runs are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent / "pictures")
    arguments = parser.parse_args()
    for make, pictures in ((strip, STRIPS), (cards, CARDS)):
        for name, (run, what) in pictures.items():
            if (arguments.logs / run).is_dir():
                make(arguments.logs / run, what).save(arguments.folder / f"{name}.jpg", quality=80, optimize=True)
            else:
                print(f"no run in {arguments.logs / run}: {name}.jpg stays as it is")  # noqa: T201


if __name__ == "__main__":
    main()
