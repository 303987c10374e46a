"""Makes the strips among the pictures of README and docs: ``python docs/strips.py LOGS [FOLDER]``.

LOGS holds what the examples leave there, ``leaves`` and ``digits``: a run that is not there is left out and said. docs/pictures is
written if no folder is given.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from PIL import Image

from lightning_vis.export import export_strip

STRIPS = {
    "film_evidence_spurious": ("leaves/spurious", "evidence"),
    "verdict_leaves": ("leaves/spurious", "verdict"),
    "digits_filters": ("digits", "filters/<output>"),
}


def strip(logdir: Path, view: str) -> Image.Image:
    """One view of one run, as ``python -m lightning_vis strip`` has it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "strip.png")
        export_strip(logdir, path, view)
        return Image.open(path).convert("RGB")


def main() -> None:
    """Makes all whose runs are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent / "pictures")
    arguments = parser.parse_args()
    for name, (run, view) in STRIPS.items():
        if (arguments.logs / run).is_dir():
            strip(arguments.logs / run, view).save(arguments.folder / f"{name}.jpg", quality=88)
        else:
            print(f"no run in {arguments.logs / run}: {name}.jpg stays as it is")  # noqa: T201


if __name__ == "__main__":
    main()
