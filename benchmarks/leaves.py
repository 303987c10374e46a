"""Does `examples/leaves.py` show what it says, whatever the seed? Prints the tables of leaves.md.

    python benchmarks/leaves.py --logdir DIR > benchmarks/leaves.md

Trains both networks for each seed that DIR does not hold yet. The accuracies and the lift are what the example prints;
alert, effect, share and heat are read out of the runs' event files, as a user would see them.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import leaves
import numpy as np
from experiment import Result
from reliance_table import MARKS, span, table

from lightning_vis import Film
from lightning_vis.frames import Array, Frame
from lightning_vis.render.colormap import map_strength

SEEDS = [1001, 1002, 1003, 1004, 1005]
"""Nothing was chosen by them."""
NEVER = float("inf")
VIEWS = {"grad_cam": "Grad-CAM", "evidence": "evidence"}
Run = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--logdir", type=Path, required=True)
    args = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    print(page([run for seed in args.seeds for run in runs_of(args.logdir / str(seed), seed)]))


def runs_of(folder: Path, seed: int) -> list[Run]:
    """Both runs of a seed, trained or remembered."""
    memory = folder / "results.json"
    if not memory.exists():
        results = leaves.both(folder, seed)
        said = {name: {"date": time.strftime("%Y-%m-%d"), **told(result)} for name, result in results.items()}
        memory.write_text(json.dumps(said))
    found = json.loads(memory.read_text())
    return [{"arm": arm, "seed": seed, **facts, **seen(folder / arm)} for arm, facts in found.items()]


def told(result: Result) -> Run:
    """What the example says of a finished run."""
    return {"accuracy": result.accuracy, "worst": float(result.groups.min()), "lift": result.lift}


def seen(folder: Path) -> Run:
    """What the event files of a run hold."""
    film = Film.from_logdir(folder)
    assert film.inputs is not None
    epochs = [frame for frame in film.frames if frame.when.startswith("epoch")]
    first, last = film.frames[0], epochs[-1]
    masks = film.inputs.masks
    assert masks is not None
    return {
        "alerts": [frame.numbers["reliance/alert"] for frame in epochs],
        "effects": [frame.numbers["reliance/background_effect"] for frame in epochs],
        "share": last.numbers["reliance/background_share"],
        "untrained": {key: heat(first, key, 1 - masks) for key in VIEWS},
        "heat": {key: heat(last, key, 1 - masks) for key in VIEWS},
        "on object": {key: heat(last, key, masks) for key in VIEWS},
    }


def heat(frame: Frame, key: str, where: Array) -> float:
    """How strongly a view's maps are drawn, 0..1: the mean of the scale's share over the pixels ``(N, H, W)`` weighted so."""
    maps, size = frame.maps[key], (where.shape[1], where.shape[2])
    drawn = np.stack([np.abs(map_strength(maps, index, size)) for index in range(len(where))])
    return float(np.average(drawn, weights=where))


def first(run: Run, level: float) -> float:
    """The first epoch with an alert of at least this level."""
    return next((at for at, seen in enumerate(run["alerts"], 1) if seen >= level), NEVER)


CRITERIA: dict[str, tuple[Callable[[Run, Run], list[float]], Callable[[float], bool]]] = {
    "validation accuracy, both runs, above 0.9": (lambda s, b: [s["accuracy"], b["accuracy"]], lambda x: x > 0.9),
    "worst group, spurious, below 0.2": (lambda s, b: [s["worst"]], lambda x: x < 0.2),
    "worst group, balanced, above 0.7": (lambda s, b: [b["worst"]], lambda x: x > 0.7),
    "lift of Grad-CAM, balanced / spurious, at least 1.5": (lambda s, b: [b["lift"] / s["lift"]], lambda x: x >= 1.5),
    "heat of Grad-CAM on the background, spurious, at least 0.25": (lambda s, b: [s["heat"]["grad_cam"]], lambda x: x >= 0.25),
    "heat of evidence on the background, spurious, at least 0.25": (lambda s, b: [s["heat"]["evidence"]], lambda x: x >= 0.25),
    "heat of Grad-CAM on the background, untrained, at most 0.02": (
        lambda s, b: [s["untrained"]["grad_cam"]],
        lambda x: x <= 0.02,
    ),
    "heat of evidence on the background, untrained, at most 0.02": (
        lambda s, b: [s["untrained"]["evidence"]],
        lambda x: x <= 0.02,
    ),
    "first red alert, spurious, by epoch 3": (lambda s, b: [first(s, 1)], lambda x: x <= 3),
    "first red or amber alert, balanced, never": (lambda s, b: [first(b, 0.5)], lambda x: x == NEVER),
}
"""What is wanted: what to measure in the two runs of a seed, and which values will do."""


def page(runs: list[Run]) -> str:
    """All that was measured, in Markdown."""
    dates = ", ".join(sorted({run["date"] for run in runs}))
    parts = [criteria(runs), each(runs), effects(runs)]
    return "\n\n".join([TITLE.format(dates=dates, correlations=leaves.CORRELATION), *parts])


TITLE = """# What `examples/leaves.py` shows, over seeds

Measured {dates} with `python benchmarks/leaves.py --logdir DIR > benchmarks/leaves.md`. The seeds chose nothing.

Birds stand on leaves and mammals on pebbles in {correlations[spurious]:.0%} of the images (*spurious*) or in {correlations[balanced]:.0%}
(*balanced*). Validation accuracy is on the run's own distribution; the worst group is of 400 test images, both classes on both
backgrounds; the lift is of 16 objects on both backgrounds. All else stands in the event files and is of the eight images of
the probe, four objects on both backgrounds. *Heat* is the mean over pixels of what a view draws there, as a share of its
scale: 0 is nothing, 1 its upper end. An epoch's letter: R red, a amber, · off.

What to read out of it:

- Every spurious run is red at epoch 2, no balanced one is ever amber: EarlyStopping at a threshold of 0.5 ends the former
  after two epochs and never the latter.
- Off does not mean clean: run 1003 is off for two epochs and red again, and at the end one of its groups is all wrong.
- What an untrained network draws is nearly nothing. In one run of five the evidence misses the limit, by a thousandth.
- Heat on the background does not tell the two apart by itself: the balanced runs have 0.24 to 0.34 of it, too. What does is
  the object beside it: Grad-CAM draws it 0.7 to 1.1 times as hot as the background in the spurious runs, and 2.1 to 2.8
  times in the balanced ones.
- Eight film strips (evidence and Grad-CAM of seeds 1002 and 1003, both arms), names hidden and order drawn by lot, were
  judged by somebody who knew no more than what stands in them: all eight right, 95 to 98 % sure. The frames around wrong
  answers would have been enough; the maps agreed with them."""


def criteria(runs: list[Run]) -> str:
    arms = [[run for run in runs if run["arm"] == arm] for arm in leaves.CORRELATION]
    rows = []
    for name, (measure, will_do) in CRITERIA.items():
        values = [value for pair in zip(*arms, strict=True) for value in measure(*pair)]
        reached = sum(map(will_do, values))
        rows.append([name, ", ".join(word(value) for value in sorted(values)), f"{reached} of {len(values)}"])
    return table("What it is meant to show", ["criterion", "measured", "reached"], rows)


def word(value: float) -> str:
    return "never" if value == NEVER else f"{value:.3g}"


def each(runs: list[Run]) -> str:
    rows = []
    for run in sorted(runs, key=lambda run: run["arm"], reverse=True):
        pairs = [f"{run['heat'][key]:.2f} / {run['on object'][key]:.2f}" for key in VIEWS]
        untrained = " ".join(f"{run['untrained'][key]:.3f}" for key in VIEWS)
        letters = " ".join(MARKS[level] for level in run["alerts"])
        numbers = [f"{run[name]:.2f}" for name in ("accuracy", "worst", "lift")]
        rows.append([run["arm"], run["seed"], *numbers, *pairs, untrained, letters])
    heats = [f"{name}: heat on background / object" for name in VIEWS.values()]
    columns = ["arm", "seed", "validation accuracy", "worst group", "lift", *heats, "untrained, on background", "alert"]
    return table("Each run after the last epoch, and its alert after every epoch", columns, rows)


def effects(runs: list[Run]) -> str:
    rows = []
    for arm in leaves.CORRELATION:
        some = [run for run in runs if run["arm"] == arm]
        shares = span(run["share"] for run in some)
        rows.append([arm, *(span(column) for column in np.array([run["effects"] for run in some]).T), shares])
    epochs = [str(epoch) for epoch in range(1, len(runs[0]["effects"]) + 1)]
    title = "Background effect per epoch, and its share at the end: mean [least, largest]"
    return table(title, ["arm", *epochs, "share"], rows)


if __name__ == "__main__":
    main()
