"""What a refusal says is to be done is done here, and is enough."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentTypeError
from functools import cache
from pathlib import Path

import pytest
import torch
from modules import Classifier, loader
from nets import Plain, images
from test_sentences import WORLD
from torch import nn

import lightning_vis.attribution
import lightning_vis.maximization.objectives
from lightning_vis.attribution.pipeline import look_at_twins
from lightning_vis.attribution.records import Record
from lightning_vis.cli import _at_least_two
from lightning_vis.maximization.presets import default_recipe
from lightning_vis.probe.box_file import read_boxes, write_boxes

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))

from sentences import collected, helps_itself

X = images(4)
Y = torch.tensor([0, 1, 2, 0])
AGES = torch.tensor([58, 3, 41, 20])
BOXES = torch.tensor([[2.0, 2, 9, 9]] * 4)
TWO = torch.tensor([0, 1, 0, 1])
MAPS = torch.zeros(4, 12, 12, dtype=torch.long)
MAPS[:, 3:8, 3:8] = 1


def energy(record: Record) -> torch.Tensor:
    return record.activation.square().sum(1)


def flat(record: Record) -> torch.Tensor:
    return record.activation.flatten(1)


class Pixels(nn.Module):
    """One number, or several, at each pixel."""

    def __init__(self, width):
        super().__init__()
        self.width, self.net = width, nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, width, 1))

    def forward(self, x):
        return self.net(x)


class Heads(nn.Module):
    """A kind, an age, and the name of the network."""

    def __init__(self):
        super().__init__()
        self.body, self.kind, self.age = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Linear(4, 3), nn.Linear(4, 1)

    def forward(self, x):
        seen = self.body(x).mean((2, 3))
        return {"kind": self.kind(seen), "age": self.age(seen), "name": "heads"}


class Rows(nn.Sequential):
    """As many numbers as there are pixels, in a row."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1), nn.Flatten())


class Away(nn.Module):
    """It leaves its answer where there are no values."""

    def forward(self, x):
        return x.to("meta")


class Items(torch.utils.data.Dataset):
    """Pictures in dicts."""

    targets = Y.tolist()

    def __init__(self, image="picture", label="kind", sizes=(12, 12)):
        self.image, self.label, self.sizes = image, label, sizes

    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        side = self.sizes[index % 2]
        return {self.image: X[index, :, :side, :side], self.label: int(Y[index])}


def linear():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def fixed():
    """It takes images of 12 pixels."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 3)).eval()


def twins(kinds):
    """Three objects on several backgrounds ``(3, kinds, 3, 12, 12)``."""
    return images(3 * kinds).reshape(3, kinds, 3, 12, 12)


def lazy(is_run):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3))
    if is_run:
        net(X)
    return net


def empty(is_loaded):
    with torch.device("meta"):
        net = Plain()
    if is_loaded:
        net = net.to_empty(device="cpu")
        net.load_state_dict(Plain().state_dict())
    return net


def film(inputs):
    found = lightning_vis.Film([lightning_vis.look(Plain(), lightning_vis.Probe(X, Y))], [0], 1, 1)
    found.inputs = inputs
    return found


NAMES = (
    WORLD
    | {name: getattr(lightning_vis.attribution, name) for name in vars(lightning_vis.attribution) if name[0] != "_"}
    | {name: getattr(lightning_vis.maximization.objectives, name) for name in ("neuron", "log_odds", "channel", "pooled", "total_variation")}
    | {
        "torch": torch, "nn": nn, "Y": Y, "ages": AGES, "boxes": BOXES, "two": TWO, "maps": MAPS, "energy": energy, "flat": flat, "Away": Away, "at_least_two": _at_least_two, "fixed": fixed, "twins": twins, "look_at_twins": look_at_twins, "Rows": Rows, "Pixels": Pixels, "Heads": Heads,
        "Items": Items, "linear": linear, "lazy": lazy, "empty": empty, "film": film, "default_recipe": default_recipe,
        "read_boxes": read_boxes, "write_boxes": write_boxes, "Plain": Plain, "net": Plain(), "images": images,
    }
)  # fmt: skip

ROWS = [  # what is written, what is said of it, what is written then
    # arguments
    ("ProbeCallback(every_n_epochs=0)", "a whole number of at least 1", "ProbeCallback(every_n_epochs=1)"),
    ("FilterMaximizationCallback(steps=0)", "a whole number of at least 1", "FilterMaximizationCallback(steps=1)"),
    ("ProbeCallback(at_steps=[1.5])", "like (100, 200)", "ProbeCallback(at_steps=(100, 200))"),
    ('Probe(x, class_names="bird")', "a list of names, ['bird']", 'Probe(x, class_names=["bird"])'),
    ("Probe(x, class_names=3)", "a list of names; got 3", 'Probe(x, class_names=["bird"])'),
    ('Probe(x, class_names=["bird", None])', "all of them strings", 'Probe(x, class_names=["bird", "none"])'),
    ('Probe(x, ["bird"] * 4)', "which cannot become a tensor", "Probe(x, [0, 1, 2, 0])"),
    ('Probe(x, std="half")', "one number per channel", "Probe(x, std=[0.5] * 3)"),
    ("Probe(x, mean=[0.5, 0.5])", "one number per channel, 3", "Probe(x, mean=[0.5] * 3)"),
    ('record(model, x, ["0"], chunk_size=0)', "at least 1, or None for all at once", 'record(model, x, ["0"], chunk_size=None)'),
    ('record(model, x, ["0"], [0.5] * 4)', "expected labels that are classes, whole numbers", 'record(model, x, ["0"], [0, 1, 2, 0])'),
    ("look(model, Probe(x), [saliency(7)])", "the model gives scores for 3 classes", "look(model, Probe(x), [saliency(2)])"),
    ("GradCAMCallback(layer=3)", "None for the last feature map", "GradCAMCallback(layer=None)"),
    # attribution
    ('look(model, probe, [View("mine", ("4",), flat)])', "expected maps (4, h, w)", 'look(model, probe, [View("mine", ("4",), energy)])'),
    ('look(model, probe, [grad_cam("10")])', "those that do are, from the last one on: 6, 4, 2, 0", 'look(model, probe, [grad_cam("6")])'),
    ("look(linear(), probe, [guided_backprop()])", "this method would give the plain gradient, saliency", "look(linear(), probe, [saliency()])"),
    ("look(torch.jit.trace(model.eval(), x), probe, [guided_backprop()])", "it takes one run by Python", "look(model, probe, [guided_backprop()])"),
    ("look(model, probe, [attention_rollout()])", "evidence shows what speaks for it", "look(model, probe, [evidence()])"),
    ("look(model, x)", "like Probe(images, labels)", "look(model, Probe(x, Y))"),
    ("look(Pixels(3), Probe(x, maps * 255))", "pass maps of class indices", "look(Pixels(3), Probe(x, maps))"),
    ('look(Pixels(1), Probe(x, ages.float()), task="regression")', "task='reconstruction' compares them with a picture", 'look(Pixels(1), Probe(x), task="reconstruction")'),
    ('look(Pixels(1), Probe(x, ages.float()), task="regression")', "score= explains one of them", 'look(Pixels(1), Probe(x), task="regression", score=lambda output, classes: output[:, 0, 5, 5])'),
    ('look(Rows(), Probe(x, ages + 0.5))', "component= explains one of them", "look(Rows(), Probe(x), task='regression', component=5)"),
    ('look(Rows(), Probe(x, ages + 0.5))', "task='reconstruction' compares them with a picture", "look(Rows(), Probe(x), task='reconstruction')"),
    ("record(model, x[0], [INPUT])", "record(images): expected a tensor (N, C, H, W)", "record(model, x, [INPUT])"),
    ("record(model, x, [INPUT], torch.zeros(2, dtype=torch.long))", "one class per image, (4,)", "record(model, x, [INPUT], Y)"),
    ("record(model, x, [INPUT], score=lambda output, classes: output)", "one number per image", "record(model, x, [INPUT], score=lambda output, classes: output[:, 0])"),
    ('ProbeCallback(views="grad_cam")', "a list of views, [grad_cam(), saliency()]", "ProbeCallback(views=[grad_cam(), saliency()])"),
    ('ProbeCallback(views=["grad_cam"])', "nor a function that returns one", "ProbeCallback(views=[grad_cam])"),
    ('View(None, ("4",), energy)', "expected a name", 'View("mine", ("4",), energy)'),
    ('View("mine", ("4",), "energy")', "a function of records to maps", 'View("mine", ("4",), energy)'),
    ('SaliencyCallback(target="best")', "'runner_up'", 'SaliencyCallback(target="runner_up")'),
    ('grad_cam_map(record(model, x, ["10"])["10"])', "name a convolution or a block before the pooling", 'grad_cam_map(record(model, x, ["4"])["4"])'),
    ("look(nn.Sequential(Plain(), Away()), probe)", "return it on a device that has them", "look(nn.Sequential(Plain()), probe)"),
    ("look(Pixels(2), Probe(x, torch.ones(4, 2, 12, 12).long()), task='segmentation')", "overlap, leave pixels to none of them", "look(Pixels(2), Probe(x, maps), task='segmentation')"),
    ("logit(torch.zeros(4, 3), torch.zeros(4))", "one class index per image", "logit(torch.zeros(4, 3), Y)"),
    # callbacks
    ("ProbeCallback(max_overhead=0)", "above 0, like 0.01", "ProbeCallback(max_overhead=0.01)"),
    ('ProbeCallback(on_error="ignore")', "'warn' or 'raise'", 'ProbeCallback(on_error="warn")'),
    ('ProbeCallback(on_alert="shout")', "'warn', 'stop' or a function", 'ProbeCallback(on_alert="stop")'),
    ('ProbeCallback(loggers="wandb")', "'all' or 'tensorboard'", 'ProbeCallback(loggers="all")'),
    ('ProbeCallback(images="many")', "'few', True or False", "ProbeCallback(images=True)"),
    ('ProbeCallback(exchange="yes")', "True, False or None", "ProbeCallback(exchange=True)"),
    ("ProbeCallback(thresholds=0.4)", "like Thresholds(red_effect=0.5)", "ProbeCallback(thresholds=Thresholds(red_effect=0.5))"),
    ('ProbeCallback(thresholds={"red": 0.4})', "there are red_effect", 'ProbeCallback(thresholds={"red_effect": 0.4})'),
    ("ProbeCallback(Probe(x), n=4)", "give it to Probe(...) or to Probe.from_dataset(...)", "ProbeCallback(Probe.from_dataset(list(zip(x, Y)), n=4))"),
    # film, events
    ('film(None).plot("evidence")', "set film.inputs", 'film(Probe(x, Y).inputs()).plot("evidence")'),
    ('film(Probe(x, Y).inputs()).plot("energy")', "this film has evidence", 'film(Probe(x, Y).inputs()).plot("evidence")'),
    # maximization
    ('maximize(net, "0", 2, x[0], steps=1)', "expected (N, C, H, W)", 'maximize(net, "0", 2, x, steps=1)'),
    ('maximize(net, "0", 2, x * torch.nan, steps=1)', "has a pixel that is finite", 'maximize(net, "0", 2, x, steps=1)'),
    ('maximize(net, "0", 2, x, objective=neuron, steps=1)', "write neuron() for the middle of the map", 'maximize(net, "0", 2, x, objective=neuron(), steps=1)'),
    ('maximize(net, "0", 2, x, objective="channel", steps=1)', "a function like channel, log_odds or neuron()", 'maximize(net, "0", 2, x, objective=channel, steps=1)'),
    ('maximize(net, "0", 2, x, size=8, steps=1)', "like (64, 64)", 'maximize(net, "0", 2, x, size=(64, 64), steps=1)'),
    ('maximize(net, "0", "some", x, steps=1)', "a list of indices, like [0, 5]", 'maximize(net, "0", [0, 5], x, steps=1)'),
    ('maximize(net, "0", [9], x, steps=1)', "the 6 channels 0 to 5", 'maximize(net, "0", [5], x, steps=1)'),
    ('maximize(net, "0", [], x, steps=1)', "name at least one channel", 'maximize(net, "0", [0], x, steps=1)'),
    ('maximize(net, "0", 2, x, objective=neuron(40, 40), steps=1)', "outside the layer's map of 12 x 12", 'maximize(net, "0", 2, x, objective=neuron(11, 11), steps=1)'),
    ('maximize(net, "10", 2, x, objective=neuron(), steps=1)', "a neuron has a position", 'maximize(net, "4", 2, x, objective=neuron(), steps=1)'),
    ('maximize(net, "0", 2, x, objective=lambda a, c: a, steps=1)', "one number per image", 'maximize(net, "0", 2, x, objective=lambda activation, channels: activation.mean((1, 2, 3)), steps=1)'),
    ('maximize(net, "layer9", 2, x)', "its layers are 0, 1, 2", 'maximize(net, "2", 2, x, steps=1)'),
    ('FilterMaximizationCallback(layers="net.0")', "a list of names, ['net.0']", 'FilterMaximizationCallback(layers=["net.0"])'),
    ("FilterMaximizationCallback(layers=3)", "layers: expected a list of names", "FilterMaximizationCallback(layers=None)"),
    ('FilterMaximizationCallback(channels="some")', "'background-driven'", 'FilterMaximizationCallback(channels="background-driven")'),
    ('FilterMaximizationCallback(preset="deepdream")', "or a Recipe", "FilterMaximizationCallback(preset=default_recipe())"),
    ("pooled(torch.zeros(2, 5, 3))", "name a layer that returns maps (N, K, h, w)", "pooled(torch.zeros(2, 5, 3, 3))"),
    ("pooled(torch.zeros(2, 5, 3))", "or one number per channel (N, K)", "pooled(torch.zeros(2, 5))"),
    ("at_least_two('1')", "a whole number of at least 2", "at_least_two('2')"),
    # model
    ('look(model, probe, task="classes")', "expected one of", 'look(model, probe, task="multiclass")'),
    ('look(Heads(), Probe(x, ages), head="age")', "task='regression' reads one number for each image", 'look(Heads(), Probe(x, ages), head="age", task="regression")'),
    ('look(Heads(), Probe(x, two), head="age")', "task='binary' yes or no", 'look(Heads(), Probe(x, two), head="age", task="binary")'),
    ('look(Heads(), Probe(x, labels={"kind": Y, "age": ages}), head=["kind", "age"])', "task='regression' reads one number", 'look(Heads(), Probe(x, labels={"kind": Y, "age": ages}), head=["kind", "age"], task=[None, "regression"])'),
    ('look(model, Probe(x, two), task="binary")', "one number for each image, (N,) or (N, 1)", 'look(Heads(), Probe(x, two), head="age", task="binary")'),
    ('look(model, Probe(x, [0.5, 1, 2, 0]), task="multiclass")', "classes (N,), whole numbers", 'look(model, Probe(x, [0, 1, 2, 0]), task="multiclass")'),
    ('look(Pixels(2), probe, task="embedding")', "a vector for each image, (N, D)", 'look(model, probe, task="embedding")'),
    ('look(Pixels(2), probe, task="ordinal")', "cumulative logits (N, grades - 1)", 'look(model, probe, task="ordinal")'),
    ('look(model, Probe(x, [0, 1, 2, 9]), task="ordinal")', "the grades 0 to 3", 'look(model, Probe(x, [0, 1, 2, 3]), task="ordinal")'),
    ('look(model, Probe(x, torch.ones(4, 5)), task="ordinal")', "levels (N, grades - 1)", 'look(model, Probe(x, torch.ones(4, 3)), task="ordinal")'),
    ('look(Pixels(2), Probe(x), task="multilabel")', "logits (N, labels)", 'look(model, Probe(x), task="multilabel")'),
    ('look(model, Probe(x, torch.ones(4, 5)), task="multilabel")', "one label for each number of an image", 'look(model, Probe(x, torch.ones(4, 3)), task="multilabel")'),
    ('look(model, Probe(x, maps), task="segmentation")', "classes at each pixel, (N, C, H, W)", 'look(Pixels(2), Probe(x, maps), task="segmentation")'),
    ("look(Pixels(2), Probe(x, maps * 3))", "the model gives scores for 2 classes", "look(Pixels(4), Probe(x, maps * 3))"),
    ('look(Pixels(2), Probe(x, maps), [saliency("runner_up")])', "'label', 'predicted' or a class index", 'look(Pixels(2), Probe(x, maps), [saliency("predicted")])'),
    ('look(Heads(), Probe(x, ages + 0.5), head="age", component=3)', "the answer has 1 number", 'look(Heads(), Probe(x, ages + 0.5), head="age", component=0)'),
    ('look(Heads(), Probe(x), head="name")', "expected a tensor of numbers there", 'look(Heads(), Probe(x), head="kind")'),
    ("look(Heads(), Probe(x))", "a function (output, classes) -> (N,) that gives one number per image", 'look(Heads(), Probe(x), score=lambda output, classes: output["kind"][:, 0])'),
    ("look(model, probe, component=1)", "task='regression' reads numbers", 'look(model, Probe(x), component=1, task="regression")'),
    ('look(Heads(), Probe(x), head=["kind", "kind"])', "each of them once", 'look(Heads(), Probe(x), head=["kind"])'),
    ('look(Heads(), Probe(x), head=["kind", "age"], task=["multiclass"] * 3)', "one for each of 2 heads", 'look(Heads(), Probe(x), head=["kind", "age"], task=["multiclass", "regression"])'),
    ("look(Heads(), Probe(x), head=1.5)", "a key, an index, or 'a.b'", 'look(Heads(), Probe(x), head="kind")'),
    ("look(model, probe, component=-1)", "0 for the first", 'look(model, Probe(x), component=0, task="regression")'),
    ("look(model, probe, unit=3)", "a word, like 'years'", 'look(Heads(), Probe(x), head="age", task="regression", unit="years")'),
    ('look(model, Probe(x), [grad_cam("layer9")])', "its layers are 0", 'look(model, Probe(x), [grad_cam("4")])'),
    ("look(empty(False), probe)", "model.to_empty(device='cpu') and load them", "look(empty(True), probe)"),
    ("look(lazy(False), probe)", "run one batch through it", "look(lazy(True), probe)"),
    # probe
    ("Probe(x, boxes=boxes[:2])", "expected (4, 4)", "Probe(x, boxes=boxes)"),
    ("Probe(x, boxes=boxes * 9)", "within 12 x 12 pixels", "Probe(x, boxes=boxes.clamp(max=12))"),
    ("Probe(x, boxes=boxes, masks=masks)", "give one of them", "Probe(x, boxes=boxes)"),
    ("Probe.from_dataset(iter(x))", "pass probe=Probe(images, labels)", "ProbeCallback(probe=Probe(x, Y))"),
    ("Probe.from_dataset(Items())", "Probe.from_dataset(data, image_key=..., label_key=...)", 'Probe.from_dataset(Items(), image_key="picture", label_key="kind")'),
    ("Probe.from_dataset([])", "at least one image", "Probe.from_dataset([(x[0], 1)])"),
    ('Probe.from_dataset(Items(sizes=(12, 8)), image_key="picture")', "need one size", 'Probe.from_dataset(Items(), image_key="picture")'),
    ("Probe(x, window=(40, 0))", "a width above 0", "Probe(x, window=(40, 80))"),
    ("Probe(x, channels=[0, 7, 1])", "one or three of the channels 0 to 2", "Probe(x, channels=[0, 2, 1])"),
    ('Probe.from_dataset(list(zip(x, Y)), choose="best")', "'mistakes'", 'Probe.from_dataset(list(zip(x, Y)), choose="mistakes", model=model)'),
    ('Probe.from_dataset(list(zip(x, Y)), choose="mistakes")', "expected model=", 'Probe.from_dataset(list(zip(x, Y)), choose="mistakes", model=model)'),
    ('Probe.from_dataset(list(zip(x, Y)), choose="unsure", model=model, indices=[0])', "give one of them", "Probe.from_dataset(list(zip(x, Y)), indices=[0])"),
    ('Probe.from_dataset(list(x), choose="mistakes", model=model)', "choose='unsure' needs none", 'Probe.from_dataset(list(x), choose="unsure", model=model)'),
    ("Probe(x.byte())", "expected floating point images", "Probe(x.byte().float())"),
    ("Probe(x, slices=1)", "only volumes (N, C, D, H, W) and clips", "Probe(torch.rand(2, 1, 5, 12, 12), slices=1)"),
    ("Probe(x, arguments=[1])", "a dict of arguments by name", 'Probe(x, arguments={"numbers": torch.ones(4, 1)})'),
    ('Probe(x, arguments={"numbers": torch.ones(2, 1)})', "for each of 4 images", 'Probe(x, arguments={"numbers": torch.ones(4, 1)})'),
    ("Probe(x, masks=masks * 255)", "with values in 0..1", "Probe(x, masks=masks)"),
    ("ProbeCallback(x)", "expected a Probe, or a function that returns one", "ProbeCallback(lambda: Probe(x))"),
    ("Probe(x, [0, 1])", "one class index per image, (4,)", "Probe(x, Y)"),
    ('look(Heads(), Probe(x, labels={"kind": Y, "age": ages}), head=["age", "kind"])', "give one order", 'look(Heads(), Probe(x, labels={"age": ages + 0.5, "kind": Y}), head=["age", "kind"])'),
    ("Probe(torch.rand(2, 1, 5, 12, 12), slices=1.5)", "a whole number, or one for each of 2 images", "Probe(torch.rand(2, 1, 5, 12, 12), slices=[1, 2])"),
    ("Probe(torch.rand(2, 1, 5, 12, 12), slices=[1])", "one for all or one for each", "Probe(torch.rand(2, 1, 5, 12, 12), slices=[1, 2])"),
    ("Probe.from_dataset(list(zip(x, Y)), indices=[9])", "there is no item 9, there are 4", "Probe.from_dataset(list(zip(x, Y)), indices=[3])"),
    ("Probe.from_dataset(list(zip(x, Y)), indices=[1.5])", "a list of whole numbers", "Probe.from_dataset(list(zip(x, Y)), indices=[1])"),
    ('Probe.from_dataset([("a.png", 1)])', "expected (image, label) with the image a tensor (C, H, W)", "Probe.from_dataset([(x[0], 1)])"),
    ('look(Heads(), Probe(x, maps), head="age", task="regression")', "expected labels that are numbers (N,) or (N, K)", 'look(Heads(), Probe(x, ages), head="age", task="regression")'),
    ('look(model, Probe(x, ages + 0.5), task="ordinal")', "grades (N,), whole numbers", 'look(model, Probe(x, Y), task="ordinal")'),
    ("look(Heads(), Probe(x, ages + 0.5))", "name it with head=", 'look(Heads(), Probe(x, ages + 0.5), head="age")'),
    ('read_boxes("none.json")', "the file cannot be read", '(write_boxes("own.json", {"a": [0, 0, 1, 1]}), read_boxes("own.json"))'),
    ('(write_boxes("own.json", {"a": [1, 0, 0, 1]}), read_boxes("own.json"))', "left < right and top < bottom within 0..1", '(write_boxes("own.json", {"a": [0, 0, 1, 1]}), read_boxes("own.json"))'),
    ('(open("own.json", "w").close(), read_boxes("own.json"))', "as write_boxes leaves it", '(write_boxes("own.json", {"a": [0, 0, 1, 1]}), read_boxes("own.json"))'),
    ("Film().plot()", "no maps to show", 'film(Probe(x, Y).inputs()).plot("evidence")'),
    ("FilterMaximizationCallback(channels=[1, 1])", "each channel can be shown once", "FilterMaximizationCallback(channels=[1])"),
    ('maximize(net, "0", 2, x, priors=total_variation, steps=1)', "a list of functions, like [total_variation(1.0)]", 'maximize(net, "0", 2, x, priors=[total_variation(1.0)], steps=1)'),
    ('maximize(net, "0", 2, x, priors=[lambda images: images], steps=1)', "one number per image", 'maximize(net, "0", 2, x, priors=[lambda images: images.mean((1, 2, 3))], steps=1)'),
    ('maximize(net, "0", 2, x, std=[0.0] * 3, steps=1)', "expected numbers above 0", 'maximize(net, "0", 2, x, std=[0.5] * 3, steps=1)'),
    ('maximize(fixed(), "3", 2, x, size=(8, 8), steps=1)', "the network takes 12 x 12 images", 'maximize(fixed(), "3", 2, x, size=(12, 12), steps=1)'),
    ("faithfulness(model, Probe(torch.rand(2, 3, 5, 12, 12), slices=1))", "takes images (N, C, H, W)", "faithfulness(model, probe, [saliency()])"),
    ("look_at_twins(model, probe)", "give it masks and labels of at least two classes", "look_at_twins(net, Probe(x, two, masks))"),
    ("look_at_twins(net, Probe(x, two * 9, masks, both))", "the model gives scores for 3 classes", "look_at_twins(net, Probe(x, two, masks, both))"),
    # reliance
    ("Probe(twins(3), [0, 1, 0], masks[:3], backgrounds=['leaves', 'stones'])", "2 names were given for images on 3 backgrounds", "Probe(twins(4), [0, 1, 0], masks[:3], backgrounds=['leaves', 'leaves', 'stones', 'stones'])"),
    ("Probe(twins(3), [0, 1, 0], masks[:3], backgrounds=['leaves', 'leaves', 'stones'])", "the same number of backgrounds", "Probe(twins(4), [0, 1, 0], masks[:3], backgrounds=['leaves', 'leaves', 'stones', 'stones'])"),
    ("Probe(twins(2), [0, 1, 0], masks[:3], backgrounds=['leaves', 'stones'])", "at least two backgrounds of each kind", "Probe(twins(2), [0, 1, 0], masks[:3], backgrounds=['leaves', 'stones'], typical={'leaves': 0, 'stones': 1})"),
    ("Probe(x[:2], [0, 1], masks[:2], both)", "without typical= at least one class needs two objects", 'Probe(x[:2], [0, 1], masks[:2], both, {"leaves": 0, "stones": 1})'),
    ("Thresholds(red_effect=2)", "a number in 0..1", "Thresholds(red_effect=0.5)"),
    ("Thresholds(red_effect=0.1)", "raise the one or lower the other", "Thresholds(red_effect=0.1, amber_effect=0.05)"),
    ("Thresholds(red_effect=0.1)", "raise the one or lower the other", "Thresholds(red_effect=0.3)"),
    ('Probe(x, two, masks, typical={"leaves": 0})', "backgrounds=, which are not given", 'Probe(x, two, masks, both, {"leaves": 0, "stones": 1})'),
    ('Probe(x, backgrounds={"leaves": plates})', "and masks= of the objects to paste", "Probe(x, two, masks, backgrounds=both)"),
    ("Probe(x, None, masks, both)", "need labels=", "Probe(x, two, masks, both)"),
    ("Probe(x, [0, 0, 0, 0], masks, both)", "all objects are of class", "Probe(x, two, masks, both)"),
    ('Probe(x, two, masks, {"leaves": plates}, {"leaves": 0})', "at least two kinds to compare", 'Probe(x, two, masks, both, {"leaves": 0, "stones": 1})'),
    ("Probe(x, two, masks, both, [0, 1])", "a dict of one class for each background", 'Probe(x, two, masks, both, {"leaves": 0, "stones": 1})'),
    ('Probe(x, two, masks, both, {"leaves": 0, "sand": 1})', "one class for each background (leaves, stones)", 'Probe(x, two, masks, both, {"leaves": 0, "stones": 1})'),
    ('Probe(x, two, masks, both, {"leaves": 0, "stones": 0})', "none can be compared", 'Probe(x, two, masks, both, {"leaves": 0, "stones": 1})'),
    ('Probe(x, two, masks, both, {"leaves": "cat", "stones": "dog"}, class_names=["bird", "dog"])', "the classes are bird, dog", 'Probe(x, two, masks, both, {"leaves": "bird", "stones": "dog"}, class_names=["bird", "dog"])'),
    ('Probe(x, two, masks, both, {"leaves": "cat", "stones": "dog"})', "pass class_names= or a class index", 'Probe(x, two, masks, both, {"leaves": 0, "stones": 1})'),
    ('Probe(x, two, masks, both, {"leaves": "cat", "stones": "dog"})', "pass class_names= or a class index", 'Probe(x, two, masks, both, {"leaves": "cat", "stones": "dog"}, class_names=["cat", "dog"])'),
    ('Probe(x, two, masks, {"leaves": plates[:1], "stones": plates[:1]})', "because typical= is not given", 'Probe(x, two, masks, {"leaves": plates[:1], "stones": plates[:1]}, {"leaves": 0, "stones": 1})'),
    ('Probe(x, two, masks, {"leaves": plates, "stones": plates[:, :, :6, :6]})', "smaller than the images", "Probe(x, two, masks, both)"),
    ("Probe(x, two, masks * 0)", "there is no object to put elsewhere", "Probe(x, two, masks)"),
    ("Probe(x, two, masks * 0 + 1)", "there is no background", "Probe(x, two, masks)"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@cache
def told(written):
    """What is said of it; "" of what works."""
    try:
        eval(written, dict(NAMES))
    except (ValueError, TypeError, ArgumentTypeError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("written", "said", "mended"), ROWS, ids=[row[0][:60] for row in ROWS])
def test_a_refusal_is_followed(written, said, mended):
    assert said in told(written)
    assert told(mended) == ""


AT_FIT_START = [
    (
        "[ProbeCallback(probe), ProbeCallback(probe, every_n_epochs=2)]",
        "give them one probe and one cadence to share a look, or their probes different names",
        ("[ProbeCallback(probe), GradCAMCallback(probe)]", '[ProbeCallback(probe), ProbeCallback(Probe(x, name="other"), every_n_epochs=2)]'),
    ),
    (
        '[ProbeCallback(task="multiclass"), GradCAMCallback(), ProbeCallback(every_n_epochs=2, task="binary")]',
        "tell one of them, and it holds for both",
        ('[ProbeCallback(task="multiclass"), GradCAMCallback()]',),
    ),
    (
        '[ProbeCallback(twin_probe(name="a")), ProbeCallback(twin_probe(name="b"))]',
        "only one probe of a Trainer can have twins",
        ('[ProbeCallback(twin_probe(name="a")), ProbeCallback(Probe(x, name="b"))]',),
    ),
    (
        '[FilterMaximizationCallback(["net.0"], 1, steps=1), FilterMaximizationCallback(["net.0", "net.2"], 1, steps=1)]',
        "give one of them other layers",
        ('[FilterMaximizationCallback(["net.0"], 1, steps=1), FilterMaximizationCallback(["net.2"], 1, steps=1)]',),
    ),
    (
        '[FilterMaximizationCallback(channels="background-driven", steps=1)]',
        "it takes a ProbeCallback beside this one, whose probe has twins",
        ('[ProbeCallback(twin_probe()), FilterMaximizationCallback(channels="background-driven", steps=1)]',),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("written", "said", "mended"), AT_FIT_START, ids=[row[0][:60] for row in AT_FIT_START])
@pytest.mark.filterwarnings("ignore:lightning_vis. ")
def test_a_refusal_at_fit_start_is_followed(trainer, written, said, mended):
    def fit(callbacks):
        made = trainer(eval(callbacks, dict(NAMES)), max_epochs=1, limit_train_batches=1, limit_val_batches=1)
        made.fit(Classifier(), loader(), loader(8))

    with pytest.raises(ValueError, match=re.escape(said)):
        fit(written)
    for each in mended:
        fit(each)


ELSEWHERE = {
    "--model: ": ("callbacks/test_replay.py", "--model: "),
    "--callbacks": ("callbacks/test_replay.py", "--callbacks"),
    "there are no data: --data": ("callbacks/test_replay.py", "there are no data: --data"),
    "expected an import path like package.module.Name": (
        "callbacks/test_replay.py",
        "expected an import path like package.module.Name",
    ),
    "holds several runs": ("events/test_frame_reader.py", "holds several runs"),
    "monitor another number": ("callbacks/test_task_twins.py", "which is never logged of a task that is"),
    "the exchange map ": ("attribution/methods/test_cells.py", "leave it out"),
    "is a symbolic link: name the file": ("boxes/test_server.py", "is a symbolic link: name the file"),
    "the folder is not on this machine": ("boxes/test_pool_file.py", "copy its"),
    "no images to draw boxes on": ("boxes/test_pool_file.py", "no images to draw boxes on"),
    "--port 0 takes a free one": ("boxes/test_server.py", "--port 0 takes"),
    "besides the images, which the probe has not got": ("callbacks/test_tasks.py", "besides the images"),
    "Film.plot() draws with matplotlib": ("test_film.py", "pip install matplotlib"),
    "nobody has measured which channels of this layer follow": (
        "callbacks/test_filters.py",
        "nobody has measured which channels of this layer follow",
    ),
    "an exchange needs two images of a class": (
        "reliance/exchange/test_exchange.py",
        "an exchange needs two images of a class",
    ),
    "they are written by ProbeCallback while it trains": (
        "test_export.py",
        "they are written by ProbeCallback while it trains",
    ),
    "no view ... in these runs": ("test_export.py", "in these runs: there are"),
    "what the output means is not known": ("model/answer/test_words.py", "what the output means is not known"),
    "of the datamodule": ("callbacks/test_configuration.py", "of the datamodule"),
    "the datamodule ... has no": ("callbacks/test_configuration.py", "has no attribute or method"),
    "name a layer that returns one tensor": ("attribution/test_refusals.py", "name a layer that returns one tensor"),
    "an embedding is explained by its nearness": (
        "model/answer/test_embedding.py",
        "an embedding is explained by its nearness",
    ),
    "'absent' or the index of a label": ("model/answer/test_labels.py", "'absent' or the index of a label"),
    "off the path to the score": ("attribution/test_refusals.py", "off the path to the score"),
    "... or later, and ... is installed": ("test_versions.py", "or later, and"),
    "expected a tensor of numbers at": ("callbacks/test_tasks.py", "expected a tensor of numbers at"),
    "expected a label for each of": ("callbacks/test_tasks.py", "expected a label for each of"),
}
"""Where those are tested that no row follows: it takes files, servers, or a network of one kind."""
TO_NO_USER = {
    "expected one to ... key=",
    "task='ordinal': expected labels that are grades, whole numbers; got ...",
    "task='multiclass': expected logits (N, classes) of at least two classes; got ...",
    "expected one ...=",
}
"""The refusals of other places come before them, or it is the tab's page that is refused."""


def pattern(sentence):
    return re.compile(".*".join(map(re.escape, sentence.split("..."))), re.DOTALL)


def test_what_each_refusal_says_is_to_be_done_is_done_by_a_test():
    """A new one comes with a row."""
    every = [sentence for room in collected()["refused"].values() for sentence in room if helps_itself(sentence)]
    seen = [told(row[0]) for row in ROWS]
    known = [each for each in every if any(pattern(each).fullmatch(one) for one in seen)]
    at_fit_start = [each for each in every if any(row[1] in each for row in AT_FIT_START)]
    elsewhere = [each for each in every if any(phrase in each for phrase in ELSEWHERE)]
    left = set(every) - {*known, *at_fit_start, *elsewhere}
    assert sorted(left - TO_NO_USER) == []
    assert sorted(TO_NO_USER - left) == []


@pytest.mark.parametrize(("file", "quoted"), ELSEWHERE.values())
def test_those_that_no_row_follows_are_quoted_where_they_are_tested(file, quoted):
    assert quoted in (Path(__file__).parent / file).read_text("utf-8")
