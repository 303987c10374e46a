"""Maps of small transformers by the methods that benchmarks/tokens.py compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from token_networks import ViT
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from lightning_vis.model import attention
from lightning_vis.model.attention import Hold, holding
from lightning_vis.model.scores import log_odds

Method = Callable[[nn.Module, Tensor, Tensor], Tensor]


# --- places -------------------------------------------------------------------------------------------------------------------


def places(net: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Where a network is looked at, as (module, "input" or "output")."""
    blocks = [*net.blocks] if isinstance(net, ViT) else [*net.first, *net.second]
    return {
        "first block's input": (blocks[0], "input"),
        "middle block's input": (blocks[len(blocks) // 2], "input"),
        "last block's input": (blocks[-1], "input"),
        "last block's first norm": (blocks[-1].norm1, "output"),
        "final norm": (net.norm, "output"),
    }


def cells(net: nn.Module, tensor: Tensor) -> Tensor:
    """``(N, h, w, K)``, and so of one number for each token."""
    if not isinstance(net, ViT):
        return tensor
    return tensor[:, net.count :].unflatten(1, (8, 8))


@contextmanager
def kept(net: nn.Module, name: str):
    module, side = places(net)[name]
    found: list[Tensor] = []
    before = module.register_forward_pre_hook(lambda _, given: found.append(given[0]) if side == "input" else None)
    after = module.register_forward_hook(lambda _, __, output: found.append(output) if side == "output" else None)
    yield found
    before.remove()
    after.remove()


def passed(net: nn.Module, images: Tensor, target: Tensor, name: str, hold: Hold | None = None) -> tuple[Tensor, Tensor]:
    """Activation and gradient at a place; with a hold, while it is closed."""
    images = images.clone().requires_grad_()
    with kept(net, name) as found, nullcontext() if hold is None else holding(hold):
        score = log_odds(net(images), target).sum()
    with nullcontext() if hold is None else hold.closed():
        return found[0].detach(), torch.autograd.grad(score, found[0])[0]


# --- methods ------------------------------------------------------------------------------------------------------------------


def averaged(name: str, *, held: bool = False) -> Method:
    """Grad-CAM without its ReLU, with attention and norms held or not."""

    def method(net: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        hold = Hold() if held else None
        activation, gradient = (cells(net, each) for each in passed(net, images, target, name, hold))
        return (activation * gradient.mean((1, 2), keepdim=True)).sum(-1)

    return method


def times(name: str, held: str = "") -> Method:
    """Gradient x activation, with "attention" or "attention and norms" held."""

    def method(net: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        with norms_free() if held == "attention" else nullcontext():
            activation, gradient = passed(net, images, target, name, Hold() if held else None)
        return cells(net, activation * gradient).sum(-1)

    return method


@contextmanager
def norms_free():
    """Attention alone is held."""
    kept = {each: attention._HELD.pop(each) for each in attention.NORM}
    yield
    attention._HELD.update(kept)


def input_times(net: nn.Module, images: Tensor, target: Tensor) -> Tensor:
    leaf = images.clone().requires_grad_()
    return (torch.autograd.grad(log_odds(net(leaf), target).sum(), leaf)[0] * images).sum(1)


def saliency(net: nn.Module, images: Tensor, target: Tensor) -> Tensor:
    leaf = images.clone().requires_grad_()
    return torch.autograd.grad(log_odds(net(leaf), target).sum(), leaf)[0].abs().amax(1)


class Written(TorchFunctionMode):
    """Attention by way of probabilities through which gradients go."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        q, k, v = args
        self.found.append((q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1))
        return self.found[-1] @ v


def generic(net: nn.Module, images: Tensor, target: Tensor) -> Tensor:
    """H. Chefer, S. Gur, L. Wolf, 2021, "Generic Attention-model Explainability", for self-attention."""
    with Written() as written:
        score = log_odds(net(images), target).sum()
    gradients = torch.autograd.grad(score, written.found)
    relevance = torch.eye(written.found[0].shape[-1]).expand(len(images), -1, -1)
    for each, gradient in zip(written.found, gradients, strict=True):
        relevance = relevance + (each * gradient).detach().relu().mean(1) @ relevance
    return rows_read(net, relevance)


def rows_read(net: ViT, relevance: Tensor) -> Tensor:
    """What the tokens that are read have of the patches."""
    return cells(net, relevance.mean(1) if net.is_mean else relevance[:, 0])


def legrad(net: nn.Module, images: Tensor, target: Tensor) -> Tensor:
    """W. Bousselham et al., 2024, "LeGrad: An Explainability Method for Vision Transformers via Feature Formation Sensitivity"."""
    found: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda _, __, output: found.append(output)) for block in net.blocks]
    with Written() as written:
        net(images)
    for hook in hooks:
        hook.remove()
    maps = []
    for tokens, each in zip(found, written.found, strict=True):
        x = net.norm(tokens)
        score = log_odds(net.head(x[:, net.count :].mean(1) if net.is_mean else x[:, 0]), target).sum()
        maps.append(torch.autograd.grad(score, each, retain_graph=True)[0].relu().mean((1, 2)))
    return cells(net, torch.stack(maps).mean(0))


def rollout(net: nn.Module, images: Tensor, target: Tensor) -> Tensor:
    """S. Abnar, W. Zuidema, 2020, "Quantifying Attention Flow in Transformers"."""
    with torch.no_grad(), Written() as written:
        net(images)
    flow = torch.eye(written.found[0].shape[-1])
    for each in written.found:
        flow = (0.5 * each.mean(1) + 0.5 * torch.eye(each.shape[-1])) @ flow
    return rows_read(net, flow)


NORMS = "attention and norms"
METHODS: dict[str, Method] = {
    "(a) Grad-CAM signed, last block's input": averaged("last block's input"),
    "Grad-CAM signed, last block's first norm": averaged("last block's first norm"),
    "Grad-CAM signed, final norm": averaged("final norm"),
    "Grad-CAM signed, first block's input": averaged("first block's input"),
    "Grad-CAM signed, all held, first block's input": averaged("first block's input", held=True),
    "(b) gradient x activation, last block's input": times("last block's input"),
    "gradient x activation, last block's first norm": times("last block's first norm"),
    "(c) gradient x activation, final norm": times("final norm"),
    "gradient x activation, first block's input": times("first block's input"),
    "(d) gradient x attention, rolled out": generic,
    "(e) LeGrad": legrad,
    "attention rollout": rollout,
    "(f) attention held, last block's input": times("last block's input", "attention"),
    "(f) attention held, last block's first norm": times("last block's first norm", "attention"),
    "(f) attention held, first block's input": times("first block's input", "attention"),
    "(f) attention and norms held, last block's input": times("last block's input", NORMS),
    "(f) attention and norms held, last block's first norm": times("last block's first norm", NORMS),
    "(f) attention and norms held, middle block's input": times("middle block's input", NORMS),
    "(f) attention and norms held, first block's input": times("first block's input", NORMS),
    "saliency": saliency,
    "gradient x input": input_times,
}


def shares(net: nn.Module, images: Tensor, target: Tensor) -> dict[str, float]:
    """What share of the sum over tokens of |held gradient x activation| lies in the prefix, by place."""
    found = {}
    for name in places(net) if isinstance(net, ViT) and net.count else ():
        activation, gradient = passed(net, images, target, name, Hold())
        each = (activation * gradient).sum(-1).abs()
        found[name] = float((each[:, : net.count].sum(1) / each.sum(1)).mean())
    return found


def occlusion(net: nn.Module, images: Tensor, target: Tensor, side: int = 8) -> Tensor:
    """How much the score falls when a patch has the image's mean colour: ``(N, 8, 8)``."""
    cuts: Sequence[tuple[int, int]] = [(i, j) for i in range(0, 64, side) for j in range(0, 64, side)]
    with torch.no_grad():
        whole, drops = log_odds(net(images), target), []
        for i, j in cuts:
            other = images.clone()
            other[:, :, i : i + side, j : j + side] = images.mean((2, 3), keepdim=True)
            drops.append(whole - log_odds(net(other), target))
    return torch.stack(drops, 1).unflatten(1, (64 // side, 64 // side))
