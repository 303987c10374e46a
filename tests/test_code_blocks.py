"""Every code block of README and docs is run as it stands there, in one world where its words mean something."""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import logging
import re
import symtable
import sys
from collections import OrderedDict
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import nn
from torch.utils.data import TensorDataset

import lightning_vis

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CLASSES = 10
BLOCK = re.compile(r"^```(python|yaml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SAID = re.compile(r"\n\n[^\n`]*:\n\n```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
"""What stands behind a block: a line that ends in a colon, and what is said when the block runs."""


ELSEWHERE = re.compile(r"needs a (?:download|server)")
"""In the line before a block that no test can run."""


def found(page):
    """Every block of a page: the line before it, its kind, its code, and what it says."""
    text = page.read_text("utf-8")
    for at in BLOCK.finditer(text):
        said = SAID.match(text, at.end())
        yield text[: at.start()].rstrip().rpartition("\n")[2], *at.groups(), said[1] if said else ""


def blocks(kind="python", elsewhere=False):
    """Those of one kind, with what they say, each with its page and its place there."""
    for page in PAGES:
        for at, (before, is_kind, code, said) in enumerate(found(page)):
            if is_kind == kind and bool(ELSEWHERE.search(before)) is elsewhere:
                yield pytest.param(code, said, id=f"{page.stem}{at}")


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


@pytest.mark.parametrize(("code", "said"), list(blocks()))
def test_every_block_runs_as_it_stands(code, said, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO, "pytorch_lightning.lightning_vis"):
        exec(compile(code, "block", "exec", dont_inherit=True), world(code))
    written = {"layer3_{channel}.png": 8, '"look.png"': 1}
    assert len(list(tmp_path.glob("*.png"))) == sum(count for name, count in written.items() if name in code)
    assert " ".join(said.split()) in " ".join(caplog.text.split())


def test_blocks_are_found_and_a_wrong_word_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    codes = [each.values[0] for each in blocks()]
    written = sum(page.read_text("utf-8").count("\n```python\n") for page in PAGES)
    assert len(codes) + len([*blocks(elsewhere=True)]) == written >= 25
    with pytest.raises(TypeError):
        exec(codes[0].replace("ProbeCallback()", "ProbeCallback(taks=1)"), world(""))


def unknown(code):
    """What a block reads that nothing has made: neither itself, nor Python, nor the pages' world."""
    tables = [symtable.symtable(code, "block", "exec")]
    for table in tables:
        tables += table.get_children()
    own = [each for each in tables[0].get_symbols() if each.is_assigned() or each.is_imported() or each.is_namespace()]
    read = {each.get_name() for table in tables for each in table.get_symbols() if each.is_global() and each.is_referenced()}
    return read - {each.get_name() for each in own} - set(vars(builtins)) - set(world(code))


def wrong_imports(code):
    """What a block imports of this package, or of one that is installed, and is not there."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            try:
                module = importlib.import_module(node.module)
            except ModuleNotFoundError as error:
                yield from [node.module] * error.name.startswith("lightning_vis")
            else:
                yield from (each.name for each in node.names if not hasattr(module, each.name))


@pytest.mark.parametrize("code", [each.values[0] for each in blocks(elsewhere=True)])
def test_blocks_that_need_more_than_is_here_compile_and_name_what_there_is(code):
    assert unknown(code) == set()
    assert [*wrong_imports(code)] == []


def test_wrong_names_of_such_blocks_are_seen():
    assert unknown("import math\nfor at in range(3):\n    print(math.pi, at, Probe, model, modle)") == {"modle"}
    code = "from lightning_vis import Probe, Prob\nfrom lightning_vis.nowhere import it\nfrom nobody import it"
    assert [*wrong_imports(code)] == ["Prob", "lightning_vis.nowhere"]


def yaml_with(word):
    """The one block of YAML that says so."""
    (block,) = [each.values[0] for each in blocks("yaml") if word in each.values[0]]
    return block


def test_the_yaml_of_lightning_makes_its_callbacks(tmp_path, monkeypatch):
    from pytorch_lightning.cli import LightningCLI

    (tmp_path / "config.yaml").write_text(yaml_with("class_path"))
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    more = re.search(r"`(--trainer\.callbacks\+=[^`]*)`", (ROOT / "docs/yaml.md").read_text("utf-8"))[1].split()
    told = ["train.py", f"--config={tmp_path / 'config.yaml'}", "--trainer.accelerator=cpu", *more]
    monkeypatch.setattr(sys, "argv", told)
    made = LightningCLI(pl.LightningModule, pl.LightningDataModule, run=False).trainer.callbacks
    names = [type(each).__name__ for each in made if type(each).__module__.startswith("lightning_vis")]
    assert names == ["ProbeCallback", "FilterMaximizationCallback", "ProbeCallback"]


def test_the_yaml_of_hydra_makes_its_callbacks():
    import hydra.utils
    import omegaconf

    made = hydra.utils.instantiate(omegaconf.OmegaConf.create(yaml.safe_load(yaml_with("_target_")))).callbacks
    assert [view.key for view in made[0].views] == ["evidence", "grad_cam.net.0+1"]
    assert len([*blocks("yaml")]) == 2


def test_the_notebook_shows_what_there_is_and_keeps_no_outputs():
    """It is run by ``make docs``, in a kernel of its own."""
    cells = json.loads((ROOT / "docs/look.ipynb").read_text("utf-8"))["cells"]
    codes = [each for each in cells if each["cell_type"] == "code"]
    shown = {each["source"][-1].partition("(")[0] for each in codes}
    assert {"probe", "film.plot", "frame.plot", "frame", "film"} <= shown
    assert any("Film.from_logdir(" in line for each in codes for line in each["source"])
    assert not any(each["outputs"] for each in codes)


def test_each_command_of_the_pages_is_one_that_there_is():
    """``python -m lightning_vis`` with what stands behind it."""
    from lightning_vis.cli import parser

    written = {found for page in PAGES for found in re.findall(r"python -m lightning_vis (\w+)", page.read_text("utf-8"))}
    assert {"export", "replay", "doctor"} <= written
    for command in written:
        with pytest.raises(SystemExit) as left:
            parser().parse_args([command, "--help"])
        assert left.value.code == 0
