"""Small transformers for benchmarks/tokens.py: read at a class token, at the mean of the patches, in windows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

DIM, HEADS, BLOCKS = 32, 2, 3


def stem(dim: int) -> nn.Sequential:
    """Images of 64 pixels to 8 x 8 patches (T. Xiao et al., 2021, "Early Convolutions Help Transformers See Better")."""
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.ReLU(),
        nn.Conv2d(12, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU(), nn.Conv2d(24, dim, 3, 2, 1),
    )  # fmt: skip


class Attention(nn.Module):
    """Self-attention of ``(N, T, K)``."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and two layers for each token, a norm before each (A. Dosovitskiy et al., 2020)."""

    def __init__(self, dim: int, heads: int, around: Callable[[Tensor, nn.Module], Tensor] | None = None) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(dim), Attention(dim, heads), nn.LayerNorm(dim)
        self.fc1, self.fc2, self.around = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim), around

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + (self.attn(y) if self.around is None else self.around(y, self.attn))
        return x + self.fc2(gelu(self.fc1(self.norm2(x))))


class ViT(nn.Module):
    """Patches behind a prefix; read at its first token, or at the mean of the patches."""

    def __init__(self, prefix: int = 1, *, mean: bool = False) -> None:
        super().__init__()
        self.patch_embed, self.count, self.is_mean = stem(DIM), prefix, mean
        self.prefix = nn.Parameter(0.02 * torch.randn(1, prefix, DIM))
        self.position = nn.Parameter(0.02 * torch.randn(1, 64, DIM))
        self.blocks = nn.ModuleList(Block(DIM, HEADS) for _ in range(BLOCKS))
        self.norm, self.head = nn.LayerNorm(DIM), nn.Linear(DIM, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x).flatten(2).transpose(1, 2) + self.position
        x = torch.cat((self.prefix.expand(len(x), -1, -1), x), 1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x[:, self.count :].mean(1) if self.is_mean else x[:, 0])


def windowed(x: Tensor, attention: nn.Module, side: int = 4, shift: int = 0) -> Tensor:
    """Attention within windows of ``(N, h, w, K)``, moved around by half of one where it is shifted."""
    n, h, w, k = x.shape
    x = x.roll((-shift, -shift), (1, 2)).reshape(n, h // side, side, w // side, side, k).transpose(2, 3)
    x = attention(x.reshape(-1, side * side, k)).reshape(n, h // side, w // side, side, side, k)
    return x.transpose(2, 3).reshape(n, h, w, k).roll((shift, shift), (1, 2))


def shifted(x: Tensor, attention: nn.Module) -> Tensor:
    return windowed(x, attention, shift=2)


class Swin(nn.Module):
    """Windows on 16 x 16, then on 8 x 8 merged patches, channels last, read at the mean (after Z. Liu et al., 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Sequential(*stem(DIM)[:3], nn.Conv2d(12, 16, 3, 2, 1))
        self.first = nn.Sequential(Block(16, 1, windowed), Block(16, 1, shifted))
        self.merge = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, DIM, bias=False))
        self.second = nn.Sequential(Block(DIM, HEADS, windowed), Block(DIM, HEADS, shifted))
        self.norm, self.head = nn.LayerNorm(DIM), nn.Linear(DIM, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.patch_embed(x).permute(0, 2, 3, 1))
        x = self.second(self.merge(torch.cat([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)))
        return self.head(self.norm(x).mean((1, 2)))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "class token": lambda: ViT(1),
    "class token + registers": lambda: ViT(5),
    "mean of tokens": lambda: ViT(0, mean=True),
    "windows, mean": Swin,
}
