"""What the documentation tells users to write is run as it stands there."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


def test_filters_without_a_trainer(tmp_path, monkeypatch):
    """A layer4 of its own for all that is written about one."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    layers = {f"layer{at + 1}": nn.Sequential(nn.Conv2d(3 if not at else 8, 8, 3), nn.ReLU()) for at in range(4)}
    head = {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "head": nn.Linear(8, 10)}
    model = nn.Sequential(OrderedDict(layers | head)).eval()
    images = torch.rand(6, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    (code,) = [block for block in blocks("filters.md") if "maximize(" in block]
    exec(code, {"model": model, "images": images, "MEAN": [0.5] * 3, "STD": [0.25] * 3})
    assert len(list(tmp_path.glob("layer3_*.png"))) == 8
