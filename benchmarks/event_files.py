"""What a run writes, by part: the demo of `examples/leaves.py`, and 300 epochs of `benchmarks/long_run.py`.

python benchmarks/event_files.py --train DIR          # trains both into DIR, with whatever lightning_vis is imported
python benchmarks/event_files.py BEFORE AFTER > benchmarks/event_files.md
"""

from __future__ import annotations

import argparse
import datetime
import logging
import sys
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import leaves
import long_run

from lightning_vis import ProbeCallback
from lightning_vis.events.frame_reader import read_frames

RUNS = {
    "demo": "the demo, `examples/leaves.py`, the spurious run: 8 epochs",
    "long": "300 epochs, as `benchmarks/long_run.py`, without filters",
}
PLACES = {"demo": "spurious"}
FILMS = {".html": "film.html", ".gif": "GIFs", ".png": "summary.png"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--train", type=Path)
    parser.add_argument("--only", choices=RUNS)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    if args.train:
        for name in [args.only] if args.only else RUNS:
            {"demo": demo, "long": long}[name](args.train / name)
    else:
        print(page(*args.folders))


def demo(folder: Path) -> None:
    """The first run of the demo."""
    leaves.CORRELATION.pop("balanced")
    leaves.both(folder, 0)


def long(folder: Path) -> None:
    """300 epochs with three views and twins."""
    data, probe = long_run.made()
    long_run.trained(folder, data, [ProbeCallback(probe, max_overhead=10.0)])


def page(before: Path, after: Path) -> str:
    """The tables, in Markdown."""
    lines = [TITLE.format(date=datetime.date.today())]
    for name, title in RUNS.items():
        sizes = [parts(folder / name / PLACES.get(name, "")) for folder in (before, after)]
        looks = [len(read_frames(folder / name / PLACES.get(name, ""))[0].frames) for folder in (before, after)]
        lines += [
            f"\n## {title[0].upper()}{title[1:]}\n",
            f"| KB | before, {looks[0]} looks | after, {looks[1]} looks |",
            "|---|--:|--:|",
        ]
        for kind in sorted(sizes[0] | sizes[1], key=lambda kind: -sizes[0][kind]):
            if kind not in FILMS.values():
                lines.append(f"| {kind} | {' | '.join(f'{each[kind] / 1000:.0f}' for each in sizes)} |")
        totals = [sum(size for kind, size in each.items() if kind not in FILMS.values()) for each in sizes]
        lines.append(f"| **event file** | **{totals[0] / 1000:.0f}** | **{totals[1] / 1000:.0f}** |")
        lines.append(
            f"| a look of it | {' | '.join(f'{total / 1000 / count:.0f}' for total, count in zip(totals, looks, strict=True))} |"
        )
        for kind in FILMS.values():
            lines.append(f"| beside it: {kind} | {' | '.join(f'{each[kind] / 1000:.0f}' for each in sizes)} |")
    return "\n".join(lines)


TITLE = """# Event files, before `images="few"` and after

Made on {date} by `python benchmarks/event_files.py BEFORE AFTER > benchmarks/event_files.md`; both folders were made by `--train`,
before with the state in front of that change. Eight images of 64 pixels, three views, twins, an exchange at spaced epochs."""


def parts(folder: Path) -> Counter[str]:
    """Bytes in a run's folder, by what they hold."""
    sizes, _ = long_run.bytes_by_kind(folder)
    for path in folder.iterdir():
        if path.suffix in FILMS:
            sizes[FILMS[path.suffix]] += path.stat().st_size
    return sizes


if __name__ == "__main__":
    main()
