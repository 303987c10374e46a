"""The package's door: what importing it loads, and which Lightning its callbacks belong to. Each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

import lightning_vis


def run(code):
    """What the code prints in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_loads_nothing_heavy():
    heavy = ["torch", "pytorch_lightning", "lightning", "matplotlib", "numpy", "tensorboard", "PIL"]
    assert run(f"import lightning_vis, sys; print(*[name for name in {heavy} if name in sys.modules])") == []


def test_a_name_loads_only_its_own_house():
    loaded = run("import sys; from lightning_vis import Frame; print(*[n for n in ('numpy', 'torch') if n in sys.modules])")
    assert loaded == ["numpy"]
    loaded = run("""
        import sys
        from lightning_vis import record
        print(*[name for name in ("torch", "pytorch_lightning", "lightning", "matplotlib") if name in sys.modules])
    """)
    assert loaded == ["torch"]


def test_every_public_name_resolves_and_is_listed():
    for name in lightning_vis.__all__:
        assert getattr(lightning_vis, name) is not None
        assert name in dir(lightning_vis)


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(AttributeError, match="no attribute 'GradCam'; it has .*GradCAMCallback"):
        lightning_vis.GradCam  # noqa: B018


SCRIPT = """
    import warnings; warnings.simplefilter("ignore")
    {imports}
    import torch
    from lightning_vis import ProbeCallback

    modules = [kind.__module__ for kind in ProbeCallback.__mro__]
    print(*[name.split(".callbacks")[0] for name in modules if name.endswith("callbacks.callback")], "|")

    def train(pl, TensorBoardLogger):
        class Model(pl.LightningModule):
            def __init__(self):
                super().__init__()
                self.net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
                                               torch.nn.Flatten(), torch.nn.Linear(4, 2))
            def forward(self, x):
                return self.net(x)
            def training_step(self, batch, _):
                return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), 0.1)

        data = torch.utils.data.TensorDataset(torch.randn(8, 3, 8, 8), torch.arange(8) % 2)
        callback = ProbeCallback()
        # Not in a list: Lightning takes a lone callback only if it is one of its own.
        trainer = pl.Trainer(max_epochs=2, accelerator="cpu", callbacks=callback, logger=TensorBoardLogger("{folder}"),
                             enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False)
        trainer.fit(Model(), torch.utils.data.DataLoader(data, 4))
        print(*[frame.finished_steps for frame in callback.film.frames], "|")

    for package in {trained}:
        train(__import__(package, fromlist=["Trainer"]), __import__(package + ".loggers", fromlist=["x"]).TensorBoardLogger)
"""
BOTH = ["pytorch_lightning", "lightning.pytorch"]


@pytest.mark.parametrize(
    ("imported", "bases"),
    [
        ([], ["pytorch_lightning"]),
        (["pytorch_lightning"], ["pytorch_lightning"]),
        (["lightning.pytorch"], ["lightning.pytorch"]),
        (BOTH, BOTH),
    ],
)
def test_the_base_class_is_that_of_the_lightning_in_use_and_its_trainer_takes_it(tmp_path, imported, bases):
    imports = "; ".join(f"import {name}" for name in imported)
    printed = run(SCRIPT.format(imports=imports, folder=tmp_path, trained=imported))
    said = " ".join(printed).split("|")
    assert said[0].split() == bases
    assert [line.split() for line in said[1:-1]] == [["0", "1", "2", "4"]] * len(imported)
    assert len(list(tmp_path.rglob("events.out.tfevents.*"))) == len(imported)
