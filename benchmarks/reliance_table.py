"""The runs of `reliance.py` as tables, in Markdown.

python benchmarks/reliance_table.py runs.jsonl ... > benchmarks/reliance.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lightning_vis.reliance.alert import AlertState, Measurement, Thresholds, advance

Run = dict[str, Any]
WORLDS = {
    "drawn": "Drawn animals on leaves and pebbles (64 px, 1200 images, 8 epochs)",
    "mislabelled": "The same animals, 15 % of the training labels wrong (64 px, 1200 images, 8 epochs)",
    "four": "Four drawn animals on four backgrounds (64 px, 1600 images, 10 epochs)",
    "folders": "Photographs: birds and mammals cut out, on leaves and in the open (64 px, 1600 images, 10 epochs)",
}
WAYS = {
    "plates": "16 objects, clean plates, `typical=` (what the callback logs)",
    "many": "64 objects, clean plates, `typical=`",
    "untyped": "16 objects, clean plates, without `typical=`",
    "filled": "16 validation images, masks alone",
    "filled many": "64 validation images, masks alone",
}
MARKS = {0.0: "·", 0.5: "a", 1.0: "R"}


def main() -> None:
    runs = [json.loads(line) for path in sys.argv[1:] for line in Path(path).read_text().splitlines()]
    dates = ", ".join(sorted({run["date"] for run in runs}))
    print(f"# How well the numbers of twins tell networks apart\n\nMeasured {dates} with `benchmarks/reliance.py`.\n")
    print(INTRODUCTION)
    for world, title in WORLDS.items():
        some = [run for run in runs if run["world"] == world]
        if some:
            print(f"\n## {title}\n")
            for part in (alerts, epochs, ends, ways, floors, cost):
                print(part(some), end="\n\n")


INTRODUCTION = """    python benchmarks/reliance.py drawn --arms spurious partly balanced --out runs.jsonl
    python benchmarks/reliance.py mislabelled --arms partly balanced --seeds 201 202 203 204 205 --out runs.jsonl
    python benchmarks/reliance.py four --out runs.jsonl
    python benchmarks/reliance.py folders --objects DIR --backgrounds DIR --arms spurious partly balanced --out ...
    python benchmarks/reliance_table.py runs.jsonl > benchmarks/reliance.md

Arms: the background goes with the class in 95 % of the images (*spurious*), in 75 % (*partly*), or no more often than
chance (*balanced*). `examples/leaves.py` draws the same images at 98 %: `leaves.md` has its alerts. Seeds 101 to 105, and 201
to 205 where labels are wrong; none was used to choose anything. An epoch's letter: R red, a amber, · off.
"Balanced accuracy" and "worst group" are of 400 test images, all classes on all backgrounds, after the last epoch.
Intervals are the smallest and the largest run; they are no confidence intervals.

The photographs are the birds (35) and land mammals (57) of the Debian package tuxpaint-stamps-default, before five
pictures of leaves and grass (Dragonfly, Blinds, GreenMeadow, LadyBird, RainDrops) and four of other things (Bridge,
Aqua, Storm, Wood) from mate-backgrounds and lomiri-wallpapers-16.04 and -20.04.

What to read out of it:

- Red at epoch 2 in all 15 spurious runs, never in the 20 balanced ones; one of these is amber for one epoch.
- At 75 % on photographs the effect at the end lies above every balanced run's (0.08 to 0.26 against -0.12 to 0.05),
  while the lift of Grad-CAM is the same (1.99 and 1.99): attribution does not see this reliance. The shares overlap.
- At 75 % on drawn animals the networks use the background in the first epochs (effect 0.36, then 0.23) and have
  dropped it at the end (0.04 against 0.01): there the worst group is as good as in the balanced runs, and little is
  left to find.
- Where 15 % of the labels they learn from are wrong, the background stays worth its while at 75 %, and the networks keep
  it: at the end an effect of 0.23 to 0.34 against -0.09 to 0.11, a share of 0.31 to 0.41 against 0.00 to 0.14. Whoever
  weighs animal and background by their odds has 0.29; so have the networks in the mean. All five runs end amber. The lift of
  Grad-CAM is lower, too (1.70 against 2.03), but overlaps: it ranks one of the five among the clean ones.
  Two other seeds looked alike before. Animals of half the size, tried first on one seed, kept next to nothing: 0.09.
- The drawn spurious networks learn the animals too, from epoch 4 on, and the alert goes down to amber or off with
  them. Off does not mean clean: seed 104 ends without an alert, with an effect of 0.26 and a worst group of 0.48.
- Twins with filled holes give the same verdicts for spurious and balanced runs, on photographs up to two epochs
  later, and at 75 %, where the donors of a class stand on both kinds, next to no red alert (64 images: 1 run of 15).
  Their effect is smaller by a tenth to a third, and by more than a half where labels are wrong.
- Without `typical=` the verdicts for spurious and balanced runs are the same too, on photographs up to two epochs
  later; at 75 % on photographs one of the four red runs is found.
- In young networks (epoch 2) every number has outliers, the effect down to -0.79 in a balanced run. The worst group
  and the share of background-driven channels say little before epoch 4."""


def arms(runs: list[Run]) -> dict[str, list[Run]]:
    return {arm: [run for run in runs if run["arm"] == arm] for arm in ("spurious", "partly", "balanced")}


def alerts(runs: list[Run]) -> str:
    rows = []
    for arm, some in arms(runs).items():
        for run in some:
            levels = [epoch["logged"]["reliance/alert"] for epoch in run["epochs"]]
            first = next((str(at + 1) for at, level in enumerate(levels) if level == 1), "never")
            worst, mean = np.nanmin(run["groups"]), np.nanmean(run["groups"])
            rows.append([arm, run["seed"], " ".join(MARKS[level] for level in levels), first, f"{mean:.2f}", f"{worst:.2f}"])
    return table("Alert", ["arm", "seed", "epochs", "first red", "balanced accuracy", "worst group"], rows)


def epochs(runs: list[Run]) -> str:
    rows = []
    for tag in ("background_effect", "background_share", "object_effect"):
        for arm, some in arms(runs).items():
            if some:
                values = np.array([[epoch["plates"][f"reliance/{tag}"] for epoch in run["epochs"]] for run in some])
                rows.append([tag, arm, *(span(column) for column in values.T)])
    count = len(runs[0]["epochs"])
    return table("Separation per epoch: mean [least, largest]", ["number", "arm", *map(str, range(1, count + 1))], rows)


def ends(runs: list[Run]) -> str:
    """What the numbers and the lift of Grad-CAM say of the finished networks."""
    rows = []
    for arm, some in arms(runs).items():
        if some:
            numbers = [("plates", f"reliance/{tag}") for tag in TAGS] + [("logged", "attribution/grad_cam/lift")]
            rows.append([arm, *(span([run["epochs"][-1][way][tag] for run in some]) for way, tag in numbers)])
    return table("At the end", ["arm", *TAGS, "Grad-CAM lift on the object"], rows)


TAGS = (
    "background_effect",
    "background_share",
    "only_background_accuracy",
    "typical_gap",
    "worst_group",
    "background_channels",
)


def ways(runs: list[Run]) -> str:
    """Other ways to make twins against 64 objects on clean plates."""
    rows = []
    for way, title in WAYS.items():
        verdicts = [
            f"{sum(first_red(run, way) is not None for run in some)}/{len(some)}" for some in arms(runs).values() if some
        ]
        late = [str(max(first_red(run, way) or 99 for run in some)) for some in [arms(runs)["spurious"]] if some]
        pairs = np.array([[epoch[name]["reliance/background_effect"] for name in ("many", way)] for epoch in every(runs)])
        slope = (pairs[:, 0] @ pairs[:, 1]) / (pairs[:, 0] @ pairs[:, 0])
        rows.append([title, *verdicts, *late, f"{np.corrcoef(pairs.T)[0, 1]:.2f}", f"{slope:.2f}"])
    names = [f"red in {arm}" for arm, some in arms(runs).items() if some]
    late = ["latest first red (spurious)"] * bool(arms(runs)["spurious"])
    columns = ["twins", *names, *late, "correlation", "slope"]
    return table("Ways to make twins, against 64 objects on clean plates (all epochs of all runs)", columns, rows)


def first_red(run: Run, way: str) -> int | None:
    """The first epoch at which the alert would have been red, had it been asked this way."""
    state, total = AlertState(), len(run["epochs"])
    for at, epoch in enumerate(run["epochs"], 1):
        effect, obj, share = (
            epoch[way][f"reliance/{tag}"] for tag in ("background_effect", "object_effect", "background_share")
        )
        state = advance(state, Measurement(effect, obj, share, at, at, total), Thresholds())
        if state.level == 1:
            return at
    return None


def floors(runs: list[Run]) -> str:
    """What each number says of balanced runs, where there is nothing to find."""
    balanced = arms(runs)["balanced"]
    rows = []
    for tag in (*TAGS, "paste_control", "background_effect_error"):
        early, late = ([run["epochs"][at]["plates"][f"reliance/{tag}"] for run in balanced] for at in (1, -1))
        rows.append([tag, span(early), span(late)])
    variation = [run["epochs"][-1]["untyped"]["reliance/within_kind"] for run in balanced]
    rows.append(["within_kind (without `typical=`)", "", span(variation)])
    return table("Floors: the balanced runs", ["number", "epoch 2", "last epoch"], rows)


def cost(runs: list[Run]) -> str:
    shares = {part: 1000 * np.median([run["seconds"][part] for run in runs]) for part in ("pass", "twins")}
    parts = ", ".join(f"{part} {value:.0f} ms" for part, value in shares.items())
    return f"Cost of a look (median over runs, one thread of a busy machine): {parts}."


def every(runs: list[Run]) -> Iterable[dict[str, Any]]:
    return [epoch for run in runs for epoch in run["epochs"]]


def span(values: Iterable[float], mean: Callable[..., Any] = np.mean) -> str:
    values = list(values)
    return f"{mean(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def table(title: str, columns: list[str], rows: list[list[Any]]) -> str:
    lines = [f"**{title}**\n", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


if __name__ == "__main__":
    main()
