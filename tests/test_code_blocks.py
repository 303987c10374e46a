"""Every code block of README and docs is run as it stands there, in one world where its words mean something."""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import nn
from torch.utils.data import TensorDataset

import lightning_vis

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
CLASSES = 10
ELSEWHERE = re.compile(r"needs a (?:download|server)")
"""In the line before a block that no test can run."""


def blocks(elsewhere=False):
    """Each block with its page and its place there."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for at, found in enumerate(re.finditer(r"```python\n(.*?)```", text, re.DOTALL)):
            before = text[: found.start()].rstrip().rpartition("\n")[2]
            if bool(ELSEWHERE.search(before)) is elsewhere:
                yield pytest.param(found[1], id=f"{page.stem}{at}")


class Heads(nn.Module):
    """A kind and an age."""

    def __init__(self, body):
        super().__init__()
        self.body, self.kind, self.age = body, nn.Linear(8, 3), nn.Linear(8, 1)

    def forward(self, images):
        seen = self.body(images)
        return {"kind": self.kind(seen), "age": self.age(seen)}


def body():
    layers = {f"layer{at + 1}": nn.Sequential(nn.Conv2d(3 if not at else 8, 8, 3), nn.ReLU()) for at in range(4)}
    return nn.Sequential(OrderedDict(layers | {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten()})).eval()


def world(code):
    """What the pages take for known: a model, images, what is true of them."""
    generator = torch.Generator().manual_seed(1)
    images, plates = torch.rand(6, 3, 24, 24, generator=generator), torch.rand(2, 3, 24, 24, generator=generator)
    masks, kinds = torch.zeros(6, 24, 24), torch.arange(6) % 2
    masks[:, 8:16, 8:16] = 1
    model = (
        Heads(body()).eval()
        if "kinds" in code
        else nn.Sequential(OrderedDict([*body().named_children(), ("head", nn.Linear(8, CLASSES))]))
    )
    return {name: getattr(lightning_vis, name) for name in lightning_vis.__all__} | {
        "Trainer": partial(pl.Trainer, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False),
        "EarlyStopping": EarlyStopping,
        "ModelCheckpoint": ModelCheckpoint,
        "MEAN": [0.5] * 3,
        "STD": [0.25] * 3,
        "NAMES": [f"class {at}" for at in range(CLASSES)],
        "val_set": TensorDataset(images, kinds),
        "model": model.eval(),
        "probe": lightning_vis.Probe(images, kinds),
        "images": images,
        "labels": kinds,
        "classes": kinds,
        "kinds": kinds,
        "ages": torch.arange(6.0) + 20.5,
        "numbers": torch.zeros(6, 2),
        "volumes": torch.rand(6, 1, 16, 24, 24, generator=generator),
        "masks": masks,
        "leaves": plates,
        "stones": 1 - plates,
    }  # fmt: skip


@pytest.mark.parametrize("code", list(blocks()))
def test_every_block_runs_as_it_stands(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "block", "exec"), world(code))
    written = {"layer3_{channel}.png": 8, '"look.png"': 1}
    assert len(list(tmp_path.glob("*.png"))) == sum(count for name, count in written.items() if name in code)


def test_blocks_that_need_more_than_is_here_compile():
    codes = [each.values[0] for each in blocks(elsewhere=True)]
    assert len(codes) >= 3
    for code in codes:
        compile(code, "block", "exec")


def test_blocks_are_found_and_a_wrong_word_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    codes = [each.values[0] for each in blocks()]
    assert len(codes) >= 12
    with pytest.raises(TypeError):
        exec(codes[0].replace("ProbeCallback()", "ProbeCallback(taks=1)"), world(""))


def test_each_command_of_the_pages_is_one_that_there_is():
    """``python -m lightning_vis`` with what stands behind it."""
    from lightning_vis.cli import parser

    written = {found for page in PAGES for found in re.findall(r"python -m lightning_vis (\w+)", page.read_text("utf-8"))}
    assert {"export", "replay", "doctor"} <= written
    for command in written:
        with pytest.raises(SystemExit) as left:
            parser().parse_args([command, "--help"])
        assert left.value.code == 0
