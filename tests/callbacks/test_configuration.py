"""Forms of configuration: hydra's containers and `_target_`, containers of a user's own, probes of a datamodule by name."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence

import hydra.utils
import omegaconf
import pytest
import pytorch_lightning as pl
import torch
from modules import Classifier, loader
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import (
    FilterMaximizationCallback,
    GradCAMCallback,
    Probe,
    ProbeCallback,
    Thresholds,
    View,
    evidence,
    grad_cam,
)
from lightning_vis.attribution.maps import grad_cam_map
from lightning_vis.maximization.objectives import neuron
from lightning_vis.probe.labels import class_names_of


class List(Sequence):
    """As hydra's `ListConfig`: a sequence that is no list."""

    def __init__(self, *values):
        self.values = values

    def __getitem__(self, index):
        return self.values[index]

    def __len__(self):
        return len(self.values)


class Dict(Mapping):
    """As hydra's `DictConfig`: a mapping that is no dict."""

    def __init__(self, **values):
        self.values_ = values

    def __getitem__(self, key):
        return self.values_[key]

    def __iter__(self):
        return iter(self.values_)

    def __len__(self):
        return len(self.values_)


def same(one, other):
    """Whether two objects are made alike."""
    return pickle.dumps(one) == pickle.dumps(other)


HEADS = {"head": ["a", "b"], "task": ["multiclass", "regression"], "unit": ["", "years"], "component": [None, 0]}


@pytest.mark.parametrize(
    ("kind", "own", "plain"),
    [
        (ProbeCallback, {key: List(*each) for key, each in HEADS.items()}, HEADS),
        (ProbeCallback, {"views": List(evidence, grad_cam("net.0")), "at_steps": List(1, 2)},
         {"views": [evidence, grad_cam("net.0")], "at_steps": [1, 2]}),
        (ProbeCallback, {"thresholds": Dict(red_effect=0.4)}, {"thresholds": Thresholds(red_effect=0.4)}),
        (ProbeCallback, {"class_names": List("a", "b"), "mean": List(0.5), "std": List(2)},
         {"class_names": ["a", "b"], "mean": [0.5], "std": [2]}),
        (FilterMaximizationCallback, {"layers": List("net.0"), "channels": List(0, 2), "size": List(8, 8)},
         {"layers": ["net.0"], "channels": [0, 2], "size": (8, 8)}),
        (GradCAMCallback, {"target": 1, "at_steps": List()}, {"target": 1, "at_steps": []}),
    ],
)  # fmt: skip
def test_containers_that_are_no_lists_and_dicts_say_the_same(kind, own, plain):
    one, other = kind(**own), kind(**plain)
    for each in (one, other):
        each.budget = each.session = each.looks = None  # clocks, and what knows them
    assert same(one, other)
    assert one.state_key == other.state_key


def test_a_view_of_your_own_and_a_probe_take_them_too():
    view = View("mine", List("net.0"), grad_cam_map)
    assert view == View("mine", ("net.0",), grad_cam_map)
    images, masks = torch.rand(6, 3, 8, 8), torch.zeros(6, 8, 8)
    masks[:, 2:5, 2:5] = 1
    backgrounds = {"leaves": torch.rand(2, 3, 8, 8), "stones": torch.rand(2, 3, 8, 8)}
    own = Probe(
        images, List(0, 1, 0, 1, 0, 1), masks, Dict(**backgrounds), Dict(leaves=0, stones=1), class_names=List("a", 2),
        mean=List(0.5, 0.5, 0.5), std=List(1, 1, 1), channels=List(0, 1, 2),
    )  # fmt: skip
    plain = Probe(
        images, [0, 1, 0, 1, 0, 1], masks, backgrounds, {"leaves": 0, "stones": 1}, class_names=["a", 2],
        mean=[0.5, 0.5, 0.5], std=[1, 1, 1], channels=[0, 1, 2],
    )  # fmt: skip
    assert own.fingerprint == plain.fingerprint
    assert own.class_names == ("a", "2")
    assert (own.twins.images == plain.twins.images).all()


def test_class_names_that_a_datamodule_takes_from_its_configuration():
    assert class_names_of(type("Data", (), {"class_names": List("bird", "mammal")})()) == ("bird", "mammal")


def test_the_objective_of_a_neuron_can_be_sent_to_a_worker():
    callback = FilterMaximizationCallback(objective=neuron(1, 2))
    assert pickle.loads(pickle.dumps(callback)).looks._arguments["objective"] == neuron(1, 2)


# --- hydra itself -----------------------------------------------------------------------------------------------------


@pytest.fixture
def made():
    """Makes an object of a configuration with hydra's own defaults, ``_convert_: none``."""
    return lambda **config: hydra.utils.instantiate(omegaconf.OmegaConf.create(config))


def test_hydra_makes_callbacks_with_views_words_and_limits(made):
    views = [{"_target_": "lightning_vis.evidence"}, {"_target_": "lightning_vis.grad_cam", "layer": "net.0", "target": 1}]
    callback = made(_target_="lightning_vis.ProbeCallback", views=views, thresholds={"red_effect": 0.4}, **HEADS)
    assert callback.views == [evidence(), grad_cam("net.0", 1)]
    assert callback.settings.thresholds == Thresholds(red_effect=0.4)
    assert [each.head for each in (callback.asked.words, *callback.asked.others)] == ["a", "b"]
    filters = made(_target_="lightning_vis.FilterMaximizationCallback", layers=["net.0"], channels=[0, 1], size=[8, 8])
    assert type(filters.channels) is list
    for each in (callback, filters):
        assert b"omegaconf" not in pickle.dumps(each)


# --- a datamodule's own -----------------------------------------------------------------------------------------------


class Draws(TensorDataset):
    """Moves an image by what it draws from a generator of its own."""

    def __init__(self, *tensors):
        super().__init__(*tensors)
        self.generator = torch.Generator().manual_seed(3)

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image + torch.rand((), generator=self.generator), label


class Data(pl.LightningDataModule):
    """Knows its probes only when it is set up."""

    nothing = None

    def setup(self, stage):
        self.train = Draws(*loader().dataset.tensors)
        self.ready = Probe(torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0)), [0, 1], name="ready")

    def probe(self):
        items = [self.train[index] for index in (0, 1, 2)]
        return Probe(torch.stack([image for image, _ in items]) + torch.rand(()), [int(label) for _, label in items])

    def train_dataloader(self):
        return DataLoader(self.train, 4, shuffle=True)

    def val_dataloader(self):
        return loader(4)


@pytest.mark.parametrize(("name", "count"), [("ready", 2), ("probe", 3)])
def test_a_probe_of_the_datamodule_is_named(trainer, tmp_path, name, count):
    watcher, filters = ProbeCallback(name), FilterMaximizationCallback(channels=1, steps=1, probe=name)
    made = trainer([watcher, filters, GradCAMCallback(name)], max_epochs=1)
    made.fit(Classifier(), datamodule=Data())
    assert len(watcher.film.frames[0].predicted) == count
    assert filters.film.count == 2
    made.save_checkpoint(tmp_path / "kept.ckpt")
    resumed = ProbeCallback(name)
    again = trainer([resumed, FilterMaximizationCallback(channels=1, steps=1, probe=name), GradCAMCallback(name)])
    again.fit(Classifier(), datamodule=Data(), ckpt_path=tmp_path / "kept.ckpt")
    assert resumed.film.count == watcher.film.count + 1


def test_what_a_probe_of_the_datamodule_draws_is_put_back(trainer):
    weights = []
    for ours in ([], [ProbeCallback("probe"), FilterMaximizationCallback(channels=1, steps=1, probe="probe")]):
        torch.manual_seed(5)
        module = Classifier()
        trainer(ours, max_epochs=1).fit(module, datamodule=Data())
        weights.append(module.net[0].weight.detach().clone())
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    ("name", "data", "error", "said"),
    [
        ("other", {"datamodule": Data}, ValueError, "probe='other': the datamodule Data has no attribute or method 'other'"),
        ("nothing", {"datamodule": Data}, TypeError, "probe='nothing': expected a Probe of the datamodule Data; got None"),
        (
            "probe",
            {"train_dataloaders": loader},
            ValueError,
            "is that of a probe of the datamodule, and this Trainer was given",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:You defined a `validation_step`")
def test_a_name_that_leads_to_no_probe_is_refused_when_fit_starts(trainer, name, data, error, said):
    with pytest.raises(error, match=said):
        trainer([ProbeCallback(name)]).fit(Classifier(), **{key: make() for key, make in data.items()})
