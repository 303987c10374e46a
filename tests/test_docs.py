"""What the documentation tells users to write is run as it stands there."""

from __future__ import annotations

import importlib
import re
from collections import OrderedDict
from pathlib import Path

import pytest
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


def names_in(path):
    """What is written between backticks as a dotted name of the package."""
    return set(re.findall(r"`(lightning_vis(?:\.\w+)+)`", path.read_text("utf-8")))


def find(name):
    """A module, or what stands in one."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(find(module), attribute)


WRITTEN = [*sorted(DOCS.parent.glob("lightning_vis/**/*.py")), *sorted(DOCS.glob("*.md")), *sorted(DOCS.parent.glob("*.md"))]


@pytest.mark.parametrize("path", [path for path in WRITTEN if names_in(path)], ids=lambda path: path.stem)
def test_every_dotted_name_in_prose_leads_somewhere(path):
    for name in names_in(path):
        assert find(name) is not None
