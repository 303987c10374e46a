"""The package's door: what importing it loads, and which Lightning its callbacks belong to. Each in a process of its own."""

from __future__ import annotations

import importlib
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
    {later}

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
    ("before", "later", "bases"),
    [
        ([], [], BOTH[:1]),
        (BOTH[:1], [], BOTH[:1]),
        (BOTH[1:], [], BOTH[1:]),
        (BOTH, [], BOTH),
        ([], BOTH[1:], BOTH),
    ],
)
def test_the_base_class_is_that_of_the_lightning_in_use_and_its_trainer_takes_it(tmp_path, before, later, bases):
    trained = before + later
    first, second = ("; ".join(f"import {name}" for name in names) for names in (before, later))
    printed = run(SCRIPT.format(imports=first, later=second, folder=tmp_path, trained=trained))
    said = " ".join(printed).split("|")
    assert said[0].split() == bases
    assert [line.split() for line in said[1:-1]] == [["0", "1", "2", "4"]] * len(trained)
    assert len(list(tmp_path.rglob("events.out.tfevents.*"))) == len(trained)


def test_a_lightning_that_is_alone_is_the_one_that_is_taken():
    """As where `lightning` is installed without `pytorch_lightning`, and nothing has been imported before."""
    code = """
        import sys, importlib.util
        plain = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *more: None if name == "pytorch_lightning" else plain(name, *more)
        from lightning_vis import ProbeCallback
        import lightning.pytorch as pl
        print(issubclass(ProbeCallback, pl.Callback), "pytorch_lightning" in sys.modules)
    """
    assert run(code) == ["True", "False"]


def test_a_class_whose_bases_cannot_be_joined_stays_as_it_is():
    code = """
        import sys, pytorch_lightning as pl
        from lightning_vis import ProbeCallback
        import lightning_vis.callbacks.host.parents as ours
        class Mine(pl.Callback): ...
        sys.modules["lightning.pytorch.callbacks.callback"] = type(sys)("x")
        sys.modules["lightning.pytorch.callbacks.callback"].Callback = type("Callback", (Mine,), {})
        import imaplib
        print(issubclass(ProbeCallback, pl.Callback), ours.Arrival in sys.meta_path)
    """
    assert run(code) == ["True", "False"]


PUBLIC = {
    "attribution": "evidence_map grad_cam_map lift pointing saliency_map background_lift edge_map is_drawable resized",
    "callbacks": "FilterMaximizationCallback GradCAMCallback ProbeCallback SaliencyCallback",
    "frames": "ALONE Array Frame Inputs Maps Pictures Quantised Scale place_of quantise reduced restored thinned thumbnail",
    "maximization": "OUTPUT Maximized maximize",
    "probe": "Probe",
    "reliance": "background_effects background_share object_effects paste_control total_variation twin_numbers worst_group",
    "tab.plugin": "LightningVisPlugin",
}
FORMER = {
    "alert": "Alert AlertState Thresholds",
    "colours": "colours overlay strength",
    "filter_callback": "FilterMaximizationCallback",
    "filters": "chosen_channels facts_of filter_pictures profile",
    "layers": "find_layer last_feature_map named_layers",
    "looking": "look look_at_twins usual_views",
    "objectives": "channel log_odds lp_norm neuron total_variation",
    "parameterizations": "fourier pixels",
    "parts": "facts_part map_part",
    "reading": "read_frames read_runs whole_run without_repeated",
    "recipes": "PRESETS Recipe adam default_recipe keras_vis lucid",
    "recording": "INPUT gradients prepare record",
    "records": "Pass Record Recorded",
    "rendering": "card drawn legend strip",
    "scores": "class_scores log_odds logit",
    "storing": "store_frame store_inputs",
    "transforms": "jitter pad rotate scale",
    "truncation": "OUTPUT activation_of on_model",
    "views": "View evidence grad_cam saliency",
    "weights": "feature_maps filter_weights weight_pictures",
    "writing": "image_writers write_pictures",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_paths_lead_to_their_names(module):
    found = importlib.import_module(f"lightning_vis.{module}")
    assert [name for name in PUBLIC[module].split() if not hasattr(found, name)] == []


@pytest.fixture
def _not_imported():
    """Former modules as if nobody had asked for one."""
    yield [sys.modules.pop(f"lightning_vis.{name}", None) for name in FORMER]
    for name in FORMER:
        vars(lightning_vis).pop(name, None)


def test_all_former_modules_are_tried():
    assert set(FORMER) == set(lightning_vis._FORMER)


@pytest.mark.parametrize("module", FORMER)
@pytest.mark.usefixtures("_not_imported")
def test_former_paths_go_on_working_with_one_warning(module):
    with pytest.warns(DeprecationWarning, match=f"lightning_vis.{module} has moved: import from lightning_vis") as caught:
        found = importlib.import_module(f"lightning_vis.{module}")
    assert len(caught) == 1
    assert importlib.import_module(f"lightning_vis.{module}") is found  # a second warning would be an error
    homes = [importlib.import_module(f"lightning_vis.{home}") for home in lightning_vis._FORMER[module]]
    for name in FORMER[module].split():
        assert getattr(found, name) is next(getattr(home, name) for home in homes if hasattr(home, name))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        found.nonsense  # noqa: B018


@pytest.mark.usefixtures("_not_imported")
def test_a_former_module_is_an_attribute_too():
    with pytest.warns(DeprecationWarning, match="lightning_vis.views has moved"):
        assert lightning_vis.views.evidence is lightning_vis.evidence
