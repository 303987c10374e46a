"""What Grad-CAM of each library leaves behind in a network that is training: ``python docs/comparison.py``, for docs/comparison.md.

It takes captum, grad-cam and torchcam beside the package; grad-cam asks for torchvision, ttach and opencv-python-headless.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from importlib.metadata import version

import torch
from torch import Tensor, nn

from lightning_vis import Probe, grad_cam, look


def network() -> nn.Sequential:
    """A small network in the midst of its training: in train mode, with gradients, statistics and dropout."""
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(8, 8, 3), nn.ReLU()]
    model = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    model(torch.rand(4, 3, 24, 24)).sum().backward()
    return model


def ours(model: nn.Sequential, images: Tensor) -> None:
    """This package."""
    look(model, Probe(images), [grad_cam("5")])


def captum(model: nn.Sequential, images: Tensor) -> None:
    """As captum's documentation has it."""
    from captum.attr import LayerGradCam

    LayerGradCam(model, model[5]).attribute(images, target=0)


def pytorch_grad_cam(model: nn.Sequential, images: Tensor) -> None:
    """As its README has it."""
    from pytorch_grad_cam import GradCAM

    with GradCAM(model=model, target_layers=[model[5]]) as cam:
        cam(input_tensor=images, targets=None)


def torchcam(model: nn.Sequential, images: Tensor) -> None:
    """As its README has it."""
    from torchcam.methods import GradCAM

    with GradCAM(model, "5") as extractor:
        out = model(images)
        extractor(out.argmax(1).tolist(), out)


def state(model: nn.Module) -> dict[str, object]:
    """All that the next step depends on."""
    return {
        "weights": [each.detach().clone() for each in model.parameters()],
        "statistics": [each.clone() for each in model.buffers()],
        "gradients": [each.grad.clone() if each.grad is not None else torch.tensor(torch.nan) for each in model.parameters()],
        "modes": [torch.tensor(each.training) for each in model.modules()],
        "random stream": [torch.get_rng_state()],
    }


def changed(way: Callable[[nn.Sequential, Tensor], None]) -> list[str]:
    """The names of what is not as it was."""
    model, images = network(), torch.rand(2, 3, 24, 24)
    before = copy.deepcopy(state(model))
    way(model, images)
    after = state(model)
    return [name for name in before if not all(map(torch.equal, before[name], after[name]))]


def main() -> None:
    """Prints a row for each library."""
    ways = {"lightning_vis": ours, "captum": captum, "grad-cam": pytorch_grad_cam, "torchcam": torchcam}
    print(f"torch {version('torch')}")  # noqa: T201
    for name, way in ways.items():
        print(f"| {name} {version(name)} | {', '.join(changed(way)) or 'nothing'} |")  # noqa: T201


if __name__ == "__main__":
    main()
