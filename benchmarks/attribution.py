"""What record() costs: against one forward plus backward-to-input, captum's five calls, and torchcam.

Saliency and Grad-CAM of four layers of a ResNet-18, one batch. All contestants take their turn in one process, in an order
that rotates, and what counts is the median over rounds of the ratio to the floor within a round: neighbours on the machine
slow down whole rounds. Peak memory is that of the tensors that the contestant itself allocates, from PyTorch's own allocator
(every allocation and release is an event of the profiler): unlike the size of the process it counts neither libraries nor
what the allocator keeps for later, and it is the same in every run.

    python benchmarks/attribution.py [--rounds 15] [--threads 1] [--write]
"""

from __future__ import annotations

import argparse
import datetime
import gc
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from tqdm import tqdm

from lightning_vis import INPUT, logit, record
from lightning_vis.attribution.maps import grad_cam_map, saliency_map
from lightning_vis.attribution.recorders import gradients
from lightning_vis.model.run import Pass

LAYERS = ("layer1", "layer2", "layer3", "layer4")
CASES = ((64, 8), (64, 32), (128, 8), (224, 8))
"""Side of the images in pixels, and how many."""

Contestant = Callable[[], Any]


class Block(nn.Module):
    """The basic block of K. He et al., 2015, "Deep Residual Learning for Image Recognition"."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        narrow = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.downsample = narrow if stride > 1 or width_in != width else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ResNet18(nn.Sequential):
    """ResNet-18 with 10 classes, layer names as everywhere: layer1 .. layer4, fc."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        stem = (nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
        for name, module in zip(("conv1", "bn1", "relu", "maxpool"), stem, strict=True):
            self.add_module(name, module)
        for number, (before, width, stride) in enumerate(((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)), 1):
            self.add_module(f"layer{number}", nn.Sequential(Block(before, width, stride), Block(width, width, 1)))
        for name, module in (("avgpool", nn.AdaptiveAvgPool2d(1)), ("flat", nn.Flatten()), ("fc", nn.Linear(512, classes))):
            self.add_module(name, module)


def floor(net: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """One forward, one backward to the input: nothing that gives gradients can be cheaper."""
    leaf = images.clone().requires_grad_()
    return torch.autograd.grad(net(leaf).gather(1, classes[:, None]).sum(), leaf)[0]


def ours(net: nn.Module, images: Tensor, classes: Tensor) -> list[Tensor]:
    """One call of record() and the five maps."""
    records = record(net, images, [INPUT, *LAYERS], classes, score=logit)
    return [saliency_map(records[INPUT]), *(grad_cam_map(records[layer]) for layer in LAYERS)]


def unobserved(net: nn.Module, images: Tensor, classes: Tensor) -> list[Tensor]:
    """The same maps without `preserve_state`: what is left is what the mathematics costs."""
    explained = gradients(Pass(net, images, net, classes, logit), {"label": [INPUT, *LAYERS]}).explained["label"]
    return [saliency_map(explained.records[INPUT]), *(grad_cam_map(explained.records[layer]) for layer in LAYERS)]


def captums(net: nn.Module, images: Tensor, classes: Tensor) -> list[Tensor]:
    """Five calls: Saliency, and LayerGradCam for each layer."""
    from captum.attr import LayerGradCam, Saliency

    saliency = Saliency(net).attribute(images.clone().requires_grad_(), target=classes).amax(1)
    cams = [LayerGradCam(net, net.get_submodule(layer)) for layer in LAYERS]
    return [saliency, *(cam.attribute(images, target=classes, relu_attributions=True)[:, 0].detach() for cam in cams)]


def torchcams(net: nn.Module, images: Tensor, classes: Tensor) -> list[Tensor]:
    """One GradCAM on four layers (which scales each map to 0..1), and captum's Saliency."""
    from captum.attr import Saliency
    from torchcam.methods import GradCAM

    saliency = Saliency(net).attribute(images.clone().requires_grad_(), target=classes).amax(1)
    with GradCAM(net, list(LAYERS)) as cam:
        return [saliency, *(each.detach() for each in cam(classes.tolist(), net(images)))]


CONTESTANTS: dict[str, Callable[[nn.Module, Tensor, Tensor], Any]] = {
    "forward + backward to the input (floor)": floor,
    "record(): saliency + 4 Grad-CAM": ours,
    "the same without preserve_state(): traces are left": unobserved,
    "captum: Saliency + 4 LayerGradCam": captums,
    "torchcam: GradCAM on 4 layers, + captum's Saliency": torchcams,
}


def has_torchcam() -> bool:
    """It can be imported without torchvision in some versions only."""
    try:
        import torchcam.methods  # noqa: F401
    except ImportError:
        return False
    return True


def ratios(contestants: list[Contestant], rounds: int, progress: tqdm[Any]) -> list[tuple[float, float]]:
    """Median and spread (half the distance of the quartiles) of each contestant's time over the first one's."""
    found: list[list[float]] = [[] for _ in contestants]
    for turn in range(-1, rounds):  # the first round warms up
        seconds = [0.0] * len(contestants)
        for shift in range(len(contestants)):
            at = (turn + shift) % len(contestants)
            seconds[at] = timed(contestants[at])
        if turn >= 0:
            for values, spent in zip(found, seconds, strict=True):
                values.append(spent / seconds[0])
        progress.update()
    quartiles = [statistics.quantiles(values, n=4) for values in found]
    return [(middle, (high - low) / 2) for low, middle, high in quartiles]


def timed(contestant: Contestant) -> float:
    """Processor time of this process: what neighbours take does not count."""
    gc.disable()
    start = time.process_time()
    contestant()
    spent = time.process_time() - start
    gc.enable()
    return spent


def peak(contestant: Contestant) -> float:
    """The most that the contestant's own tensors take at one time, in MiB."""
    contestant()  # what is cached for good is there
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        found = contestant()
    del found
    now = most = 0
    for event in sorted(memory_events(profiled), key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most / 2**20


def memory_events(profiled: Any) -> list[Any]:
    """Each allocation and release of PyTorch's allocator; a release has a negative size."""
    return [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]


def measured(side: int, count: int, rounds: int, names: list[str], progress: tqdm[Any]) -> list[str]:
    """A table's rows for one case: time and memory over the floor."""
    generator = torch.Generator().manual_seed(0)
    net, images = ResNet18().eval(), torch.randn(count, 3, side, side, generator=generator)
    classes = torch.arange(count) % 10
    contestants = [lambda each=CONTESTANTS[name]: each(net, images, classes) for name in names]
    agree(net, images, classes)
    times, peaks = ratios(contestants, rounds, progress), [peak(contestant) for contestant in contestants]
    return [
        f"| {side} px, {count} images | {name} | {middle:.2f} ± {spread:.2f} | {most / peaks[0]:.2f} | {most:.0f} |"
        for name, (middle, spread), most in zip(names, times, peaks, strict=True)
    ]


def agree(net: nn.Module, images: Tensor, classes: Tensor) -> None:
    """Speed says something only about the same numbers."""
    for one, other in zip(ours(net, images, classes), captums(net, images, classes), strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


def table(rounds: int, threads: int) -> str:
    """The whole table, as markdown."""
    names = [name for name in CONTESTANTS if has_torchcam() or "torchcam" not in name]
    with tqdm(total=len(CASES) * (rounds + 1), desc="rounds", file=sys.stderr) as progress:
        rows = [row for side, count in CASES for row in measured(side, count, rounds, names, progress)]
    head = ["| ResNet-18 | contestant | time / floor | peak memory / floor | MiB |", "|---|---|---|---|---|"]
    said = (
        f"{datetime.date.today()}, {platform.processor() or platform.machine()}, torch {torch.__version__}, {threads} thread(s)"
    )
    command = f"python benchmarks/attribution.py --rounds {rounds} --threads {threads}"
    return "\n".join([f"{said}: `{command}`", "", *head, *rows, "", NOTE, ""])


NOTE = """Time: processor time, median of the ratios within a round ± half the distance of their quartiles. Memory: peak of
what the contestant's tensors take beside network and images, from the events of PyTorch's allocator.

The goals are 1.05 in time and 1.2 in memory. Memory: met everywhere. Time: met at 224 pixels, missed at 64. What comes on
top of the maps themselves is the promise to leave no trace, and it is a number of operations, not of pixels: every attribute of
68 modules is noted and compared, and each operation is watched for writes to the weights."""


def main() -> None:
    """Measures, prints, and with ``--write`` keeps the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="keep the table as attribution.md")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore", category=UserWarning, module="captum")
    found = table(arguments.rounds, arguments.threads)
    print(found)
    if arguments.write:
        Path(__file__).with_suffix(".md").write_text(f"# What attribution costs\n\n{found}")


if __name__ == "__main__":
    main()
