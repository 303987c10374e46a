"""Forward and backward of ten small networks, with channels last in memory, of images and weights, over torch's own order.

    python benchmarks/channels_last.py --threads 1

One batch of 16 images, both orders in turn, in one process; printed are milliseconds and the ratio, of the best and of
the median runs.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import torch
from torch import Tensor, nn


def block(before: int, after: int, stride: int = 1) -> nn.Module:
    convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """The basic block of ResNet-18 and 34."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.one, self.two = block(before, after, stride), block(after, after)[:2]
        same = stride == 1 and before == after
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.two(self.one(maps)) + self.shortcut(maps))


def resnet18() -> nn.Module:
    widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
    pairs = zip(widths, widths[1:], strict=False)
    blocks = [Residual(before, after, 1 if before == after else 2) for before, after in pairs]
    return nn.Sequential(block(3, 64, 2), nn.MaxPool2d(3, 2, 1), *blocks)


def networks() -> dict[str, tuple[nn.Module, tuple[int, int]]]:
    """What each is called, the network, and its images' channels and size."""
    pooled = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
    lenet = [nn.Conv2d(3, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh()]
    groups = [nn.Conv2d(3, 32, 3, 2, 1), nn.GroupNorm(8, 32), nn.GELU(), nn.Conv2d(32, 64, 3, 2, 1)]
    vgg = [block(3, 64), block(64, 64), nn.MaxPool2d(2), block(64, 128), block(128, 128), nn.MaxPool2d(2), block(128, 256)]
    up = [block(3, 16), nn.MaxPool2d(2), block(16, 32), nn.Upsample(scale_factor=2, mode="bilinear"), block(32, 16)]
    return {
        "convolutions and pooling": (nn.Sequential(*pooled), (3, 64)),
        "strides and batch norm": (nn.Sequential(block(3, 16, 2), block(16, 32, 2), block(32, 64, 2)), (3, 64)),
        "LeNet-like, 32 px": (nn.Sequential(*lenet), (3, 32)),
        "group norm and GELU": (nn.Sequential(*groups), (3, 64)),
        "down and up again": (nn.Sequential(*up), (3, 64)),
        "12 input channels": (nn.Sequential(block(12, 32), block(32, 64, 2), block(64, 64)), (12, 64)),
        "patches of a transformer": (nn.Sequential(nn.Conv2d(3, 192, 8, 8), nn.Flatten(2)), (3, 64)),
        "VGG-like": (nn.Sequential(*vgg), (3, 64)),
        "ResNet-18": (resnet18(), (3, 64)),
        "ResNet-18, 128 px": (resnet18(), (3, 128)),
    }


def seconds(model: nn.Module, layout: torch.memory_format, shape: tuple[int, int]) -> float:
    channels, size = shape
    images = torch.rand(16, channels, size, size).requires_grad_()
    started = time.process_time()
    torch.autograd.grad(model(images.contiguous(memory_format=layout)).contiguous().sum(), images)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name, (model, shape) in networks().items():
        model.eval().requires_grad_(False)
        layouts = (torch.contiguous_format, torch.channels_last)
        models = [copy.deepcopy(model).to(memory_format=layout) for layout in layouts]
        runs = [[seconds(*each, shape) for each in zip(models, layouts, strict=True)] for _ in range(args.rounds)]
        plain, last = zip(*runs, strict=True)
        best, middle = (min(last) / min(plain), statistics.median(last) / statistics.median(plain))
        print(f"| {name} | {1000 * min(plain):.1f} | {1000 * min(last):.1f} | {best:.2f} | {middle:.2f} |", flush=True)


if __name__ == "__main__":
    main()
