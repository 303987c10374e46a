"""Which map tells the truth of a transformer? Prints the tables of tokens.md.

    python benchmarks/tokens.py --folder DIR > benchmarks/tokens.md

Small transformers learn the worlds of `examples/leaves.py`; those that DIR does not hold yet are trained, a minute each.
Rules are chosen on the first three seeds and reported on the other five.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import leaves
import numpy as np
import torch
from backgrounds import plates
from drawing import PAINTERS
from experiment import Data, Sources, data_of, probes_of
from network import dataset, group_accuracies
from reliance_table import span, table
from token_maps import METHODS, occlusion, saliency, shares
from token_networks import NETWORKS
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy

from lightning_vis.attribution.metrics import background_lift, lift, pointing
from lightning_vis.probe.probe import Probe

CHOOSE, PROVE = (11, 12, 13), (21, 22, 23, 24, 25)
IMAGES, BATCH, RATE = 1200, 50, 3e-3
EPOCHS = {"spurious": 3, "balanced": 10}
ENOUGH, ATTEMPTS = 0.9, 4
"""Validation accuracy below which a network is trained again, from other weights and for longer."""
Facts = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[*CHOOSE, *PROVE])
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(page([facts for seed in args.seeds for facts in facts_of(args.folder, seed)]))


# --- networks -----------------------------------------------------------------------------------------------------------------


def worlds(seed: int) -> dict[str, tuple[Data, Probe]]:
    """For each arm what a network learns from, and the images it is looked at with."""
    rng = np.random.default_rng(seed)
    objects = [PAINTERS[name] for name in leaves.CLASSES]
    seen, unseen = (Sources(objects, [plates(draw, count, rng) for draw in leaves.KINDS.values()]) for count in (16, 8))
    many = probes_of(unseen, leaves.CLASSES, list(leaves.KINDS), leaves.SIZE, rng)[1]
    return {
        arm: (data_of(seen, unseen, IMAGES, share, leaves.SIZE, seed + 1), many) for arm, share in leaves.CORRELATION.items()
    }


def train(net: nn.Module, data: Data, seed: int, epochs: int) -> nn.Module:
    images, labels = dataset(data.train).tensors
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * (len(images) // BATCH))
    net.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(BATCH):
            flip = torch.rand(len(rows), generator=generator) < 0.5
            some = torch.where(flip[:, None, None, None], images[rows].flip(-1), images[rows])
            optimizer.zero_grad()
            cross_entropy(net(some), labels[rows]).backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def trained(name: str, arm: str, data: Data, seed: int) -> Facts:
    """A network that has learnt, with its accuracies, and how many did not learn before it."""
    for attempt in range(ATTEMPTS):
        torch.manual_seed(seed + 1000 * attempt)
        net = train(NETWORKS[name](), data, seed + 1000 * attempt, EPOCHS[arm] * (1 + attempt))
        images, labels = dataset(data.validation).tensors
        with torch.no_grad():
            accuracy = float((net(images).argmax(1) == labels).float().mean())
        if accuracy > ENOUGH:
            break
    groups = group_accuracies(net, data.test).tolist()
    return {"state": net.state_dict(), "accuracy": accuracy, "groups": groups, "attempt": attempt}


# --- measures -----------------------------------------------------------------------------------------------------------------


def facts_of(folder: Path, seed: int) -> list[Facts]:
    """What was measured of the networks of a seed, now or before."""
    memory = folder / f"{seed}.json"
    if not memory.exists():
        found = [measured(folder, seed, arm, *world, name) for arm, world in worlds(seed).items() for name in NETWORKS]
        memory.write_text(json.dumps(found))
    return json.loads(memory.read_text())


def measured(folder: Path, seed: int, arm: str, data: Data, probe: Probe, name: str) -> Facts:
    file = folder / f"{seed}-{arm}-{name.replace(' ', '_')}.pt"
    if not file.exists():
        torch.save(trained(name, arm, data, seed), file)
    kept = torch.load(file)
    net = NETWORKS[name]().eval()
    net.load_state_dict(kept.pop("state"))
    assert probe.masks is not None
    with torch.no_grad():
        target = net(probe.images).argmax(1)
    drops = occlusion(net, probe.images, target)
    asked = [each for each in METHODS if name != "windows, mean" or fits(each)] if kept["accuracy"] > ENOUGH else []
    plain = seconds(lambda: saliency(net, probe.images, target))
    methods = {each: judged(each, net, probe, target, drops, plain) for each in asked}
    about = {"seed": seed, "arm": arm, "net": name, "date": time.strftime("%Y-%m-%d"), **kept}
    return {**about, "prefix": shares(net, probe.images, target), "methods": methods}


def fits(method: str) -> bool:
    """Whether it can be had of windows: attention that is rolled out is one of all tokens."""
    return not method.startswith(("(d)", "(e)", "attention rollout"))


def judged(method: str, net: nn.Module, probe: Probe, target: Tensor, drops: Tensor, plain: float) -> Facts:
    """A method's maps against masks and occlusion, and its time over that of a forward and a backward pass."""
    maps, masks = METHODS[method](net, probe.images, target).detach(), probe.masks
    rank = ranked(adaptive_avg_pool2d(maps[:, None], drops.shape[1:])[:, 0], drops)
    return {
        "lift": mean(lift(maps, masks)),
        "background": mean(background_lift(maps, masks)),
        "pointing": mean(pointing(maps, masks)),
        "rank": mean(rank),
        "seconds": seconds(lambda: METHODS[method](net, probe.images, target)) / plain,
    }


def mean(values: Tensor) -> float:
    return float(values.nanmean())


def ranked(maps: Tensor, drops: Tensor) -> Tensor:
    """Rank correlation over the cells of each image (C. Spearman, 1904), NaN where a map is empty."""
    one, other = (each.flatten(1).double().argsort(1).argsort(1).double() for each in (maps, drops))
    found = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(one, other, strict=True)])
    return torch.where(maps.flatten(1).abs().amax(1) > 1e-10, found, torch.nan)


def seconds(call: Callable[[], Any], times: int = 3) -> float:
    """The least that a call has taken."""
    found = []
    for _ in range(times):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


# --- tables -------------------------------------------------------------------------------------------------------------------

COLUMNS = [
    "lift, balanced", "background lift, spurious", "lift, balanced / spurious", "pointing, balanced",
    "rank correlation, balanced", "rank correlation, spurious", "cost",
]  # fmt: skip


def page(facts: list[Facts]) -> str:
    parts = [TITLE.format(dates=", ".join(sorted({each["date"] for each in facts})))]
    for seeds, words in ((CHOOSE, "chosen by"), (PROVE, "proved by")):
        some = [each for each in facts if each["seed"] in seeds]
        parts += [
            of_network(some, name, f"{name}, {words} {len({each['seed'] for each in some})} seeds") for name in NETWORKS if some
        ]
    return "\n\n".join([*parts, of_training(facts), of_prefix(facts)])


def of_network(facts: list[Facts], name: str, title: str) -> str:
    pairs = [[each for each in facts if each["net"] == name and each["arm"] == arm] for arm in ("balanced", "spurious")]
    learnt = {each["seed"] for each in pairs[0] if each["methods"]} & {each["seed"] for each in pairs[1] if each["methods"]}
    balanced, spurious = ([each for each in arm if each["seed"] in learnt] for arm in pairs)
    if not learnt:
        return f"**{title}**: none learnt enough"
    rows = [[method, *row(method, balanced, spurious)] for method in METHODS if method in balanced[0]["methods"]]
    few = "" if len(learnt) == len(pairs[0]) else f", of which {len(learnt)} had learnt enough"
    return table(title[0].upper() + title[1:] + few, ["map", *COLUMNS], rows)


def row(method: str, balanced: list[Facts], spurious: list[Facts]) -> list[str]:
    def of(arm: list[Facts], key: str) -> list[float]:
        return [each["methods"][method][key] for each in arm]

    ratios = [one / other for one, other in zip(of(balanced, "lift"), of(spurious, "lift"), strict=True)]
    columns = [of(balanced, "lift"), of(spurious, "background"), ratios, of(balanced, "pointing")]
    columns += [of(balanced, "rank"), of(spurious, "rank"), of(balanced, "seconds")]
    return [told(column) for column in columns]


def told(values: Iterable[float]) -> str:
    values = list(values)
    return "empty" if any(np.isnan(values)) else span(values)


def of_training(facts: list[Facts]) -> str:
    rows = []
    for name in NETWORKS:
        for arm in EPOCHS:
            some = [each for each in facts if each["net"] == name and each["arm"] == arm]
            worst = [float(np.min(each["groups"])) for each in some]
            again = sum(each.get("attempt", 0) > 0 for each in some)
            rows.append([name, arm, span(each["accuracy"] for each in some), span(worst), again])
    return table("The networks", ["network", "arm", "validation accuracy", "worst group", "trained again"], rows)


def of_prefix(facts: list[Facts]) -> str:
    rows = []
    for name in NETWORKS:
        some = [each["prefix"] for each in facts if each["net"] == name and each["prefix"]]
        rows += [[name, place, span(each[place] for each in some)] for place in (some[0] if some else ())]
    return table("Share of |held gradient x activation| that lies in the prefix", ["network", "place", "share"], rows)


TITLE = """# Which map tells the truth of a transformer

Measured {dates} with `python benchmarks/tokens.py --folder DIR > benchmarks/tokens.md`."""


if __name__ == "__main__":
    main()
