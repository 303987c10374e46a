"""What looks at transformers cost, over one forward plus backward to the input; prints the table of token_cost.md.

Saliency, evidence and Grad-CAM of a ViT-Tiny and a Swin-Tiny of timm, 224 pixels, 8 images. Contestants take their turn in one
process, as in benchmarks/attribution.py; places are known, as they are at all looks of a training but the first.

    python benchmarks/token_cost.py [--rounds 15] [--threads 1] [--write]
"""

from __future__ import annotations

import argparse
import datetime
import platform
import statistics
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from attribution import Contestant, ratios, timed
from torch import Tensor, nn
from tqdm import tqdm

from lightning_vis.attribution.pipeline import try_look
from lightning_vis.attribution.places import find_places, looked_at
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.views import View, evidence, grad_cam, saliency
from lightning_vis.model.run import ForwardConfig
from lightning_vis.model.scores import log_odds
from lightning_vis.probe.probe import Probe

NETWORKS = {"ViT-Tiny": "vit_tiny_patch16_224", "Swin-Tiny": "swin_tiny_patch4_window7_224"}
COUNT, CLASSES = 8, 10

ALL = (saliency("label"), evidence(), grad_cam(target="label"))
"""Of one class: in networks that have learnt, the label is the class that is predicted."""


def floor(net: nn.Module, probe: Probe) -> Tensor:
    """One forward, one backward to the input."""
    leaf = probe.images.clone().requires_grad_()
    return torch.autograd.grad(log_odds(net(leaf), probe.labels).sum(), leaf)[0]


def back_twice(net: nn.Module, probe: Probe) -> Tensor:
    """One forward, two ways back to the input: what anybody has to pay for two kinds of gradients."""
    leaf = probe.images.clone().requires_grad_()
    score = log_odds(net(leaf), probe.labels).sum()
    torch.autograd.grad(score, leaf, retain_graph=True)
    return torch.autograd.grad(score, leaf)[0]


def bare(net: nn.Module, probe: Probe, running: ForwardConfig, views: Sequence[View]) -> None:
    """The records of views alone: nothing is kept from leaving traces, and nothing is made of them."""
    names = dict.fromkeys(name for view in views for name in looked_at(view, running.places))
    gradients(running.prepare(net, probe.images, probe.labels), {"label": [*names]})


def look(net: nn.Module, probe: Probe, running: ForwardConfig, *looks: Sequence[View]) -> None:
    """All looks, one after the other."""
    for views in looks:
        assert not try_look(net, probe, views, running).failures


def contestants_of(net: nn.Module) -> dict[str, Contestant]:
    images = torch.randn(COUNT, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    probe = Probe(images, torch.arange(COUNT) % CLASSES)
    running, _ = find_places(net, probe, ForwardConfig(), ALL)
    return {
        "forward + backward to the input (floor)": partial(floor, net, probe),
        "forward + twice backward to the input": partial(back_twice, net, probe),
        "records of saliency, evidence, Grad-CAM": partial(bare, net, probe, running, ALL),
        "look: saliency": partial(look, net, probe, running, ALL[:1]),
        "look: evidence, Grad-CAM": partial(look, net, probe, running, ALL[1:]),
        "**look: saliency, evidence, Grad-CAM**": partial(look, net, probe, running, ALL),
        "the same as two looks, a forward pass each": partial(look, net, probe, running, ALL[:1], ALL[1:]),
    }


def forward_share(net: nn.Module, times: int) -> float:
    """How much of the floor is its forward pass."""
    images = torch.randn(COUNT, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    probe = Probe(images, torch.arange(COUNT) % CLASSES)
    return statistics.median(
        timed(partial(net, images.requires_grad_())) / timed(partial(floor, net, probe)) for _ in range(times)
    )


def rows_of(title: str, name: str, rounds: int, progress: tqdm[Any]) -> list[str]:
    torch.manual_seed(0)
    net = timm.create_model(name, pretrained=False, num_classes=CLASSES).eval()
    contestants = contestants_of(net)
    found = ratios([*contestants.values()], rounds, progress)
    share = forward_share(net, rounds)
    rows = [
        f"| {title} | {each} | {middle:.2f} ± {spread:.2f} |" for each, (middle, spread) in zip(contestants, found, strict=True)
    ]
    return [*rows, f"| {title} | the forward pass alone | {share:.2f} |"]


def table(rounds: int, threads: int) -> str:
    """The whole table, as markdown."""
    with tqdm(total=len(NETWORKS) * (rounds + 1), desc="rounds", file=sys.stderr) as progress:
        rows = [row for title, name in NETWORKS.items() for row in rows_of(title, name, rounds, progress)]
    versions = f"torch {torch.__version__}, timm {timm.__version__}, {threads} thread(s)"
    said = f"{datetime.date.today()}, {platform.processor() or platform.machine()}, {versions}"
    command = f"python benchmarks/token_cost.py --rounds {rounds} --threads {threads}"
    head = ["| network | contestant | time / floor |", "|---|---|---|"]
    return "\n".join([f"{said}: `{command}`", "", *head, *rows, "", NOTE, ""])


NOTE = """Processor time, median of the ratios within a round ± half the distance of their quartiles; one class is explained of each image.

The goal is 1.10. It is met by saliency alone, and by evidence and Grad-CAM alone. **Saliency with evidence and Grad-CAM misses it**:
two kinds of gradients take two ways back, and the second one alone is more than half of the floor. Beside forward and twice backward
nothing is left to save but 0.03 to 0.09, of which the records are none: that is the look itself, the network lent and put back and
maps and numbers made. Before, tokens had a forward pass of their own for it; that was 0.46 more, as the two looks have it.

Where the time of the second way back goes (profiled): half into the matrix products of linear layers in both networks, and a fifth
into the fused attention of the ViT. That works out gradients of queries and keys, too, which the gates then throw away: a kernel for
the values alone would save less than 0.1, and would have to know masks and dropout of each writing of attention. Where label and predicted class
differ, each has a way back of its own, as in convolutional networks: saliency and Grad-CAM of one, evidence of the other are three."""


def main() -> None:
    """Measures, prints, and with ``--write`` keeps the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="keep the table as token_cost.md")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = table(arguments.rounds, arguments.threads)
    print(found)
    if arguments.write:
        Path(__file__).with_suffix(".md").write_text(f"# What looks at transformers cost\n\n{found}")


if __name__ == "__main__":
    main()
