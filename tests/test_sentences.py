"""What a user wrote, and the exact sentence they get: it quotes what they wrote and says what there is."""

from __future__ import annotations

import copy

import pytest
import torch
from modules import Classifier, loader
from nets import Plain, images
from worlds import twin_probe

import lightning_vis
from lightning_vis.reliance.alert import Thresholds

X, PLATES = images(4), images(4, 16)
MASKS = torch.zeros(4, 12, 12)
MASKS[:, 4:8, 4:8] = 1
WORLD = {name: getattr(lightning_vis, name) for name in lightning_vis.__all__} | {
    "x": X,
    "masks": MASKS,
    "plates": PLATES,
    "both": {"leaves": PLATES, "stones": PLATES},
    "model": Plain(),
    "probe": lightning_vis.Probe(X, [0, 1, 2, 0]),
    "Thresholds": Thresholds,
    "twin_probe": twin_probe,
}

CALLS = [
    (ValueError, "ProbeCallback(every_n_epochs=0)", "every_n_epochs=0: expected a whole number of at least 1"),
    (TypeError, "ProbeCallback(at_steps=[1.5])", "at_steps=[1.5]: expected a list of whole numbers, like (100, 200)"),
    (ValueError, 'ProbeCallback(loggers="wandb")', "loggers='wandb': expected 'all' or 'tensorboard'"),
    (ValueError, 'ProbeCallback(on_error="ignore")', "on_error='ignore': expected 'warn' or 'raise'"),
    (ValueError, 'ProbeCallback(on_alert="shout")', "on_alert='shout': expected 'warn', 'stop' or a function of an Alert"),
    (ValueError, "ProbeCallback(max_overhead=0)", "max_overhead=0: expected a share of the training time above 0, like 0.01"),
    (
        TypeError,
        "ProbeCallback(x)",
        "probe=a tensor torch.float32 (4, 3, 12, 12): expected a Probe, or a function that returns one",
    ),
    (TypeError, "ProbeCallback(int)", "probe=<class 'int'>: expected a Probe, or a function that returns one; got 0"),
    (TypeError, 'ProbeCallback(views="grad_cam")', "views='grad_cam': expected a list of views, [grad_cam(), saliency()]"),
    (TypeError, 'ProbeCallback(views=["grad_cam"])', "views: 'grad_cam' is no View, nor a function that returns one"),
    (
        TypeError,
        "GradCAMCallback(layer=3)",
        "layers of the view 'grad_cam': expected names of layers, None for the last feature map; got (3,)",
    ),
    (
        ValueError,
        'SaliencyCallback(target="best")',
        "target='best' of the view 'saliency': expected one of 'predicted', 'label', 'runner_up', 'absent' or a class index",
    ),
    (ValueError, 'FilterMaximizationCallback(layers="net.0")', "layers='net.0': expected a list of names, ['net.0']"),
    (TypeError, "FilterMaximizationCallback(layers=3)", "layers: expected a list of names; got 3"),
    (
        ValueError,
        'FilterMaximizationCallback(channels="some")',
        "channels='some': expected a number of at least 1, a list of indices, or one of ('first', 'changed',"
        " 'background-driven')",
    ),
    (
        ValueError,
        "FilterMaximizationCallback(channels=[])",
        "channels=[]: expected a number of at least 1, a list of indices, or one of ('first', 'changed', 'background-driven')",
    ),
    (ValueError, "FilterMaximizationCallback(steps=0)", "steps=0: expected a whole number of at least 1"),
    (
        ValueError,
        'FilterMaximizationCallback(preset="deepdream")',
        "preset='deepdream': expected one of 'default', 'keras-vis', 'lucid', or a Recipe",
    ),
    (ValueError, 'FilterMaximizationCallback(on_error="ignore")', "on_error='ignore': expected 'warn' or 'raise'"),
    (
        ValueError,
        "Probe(x[0])",
        "Probe(images): expected floating point images (N, C, H, W), at least one; got torch.float32 (3, 12, 12)",
    ),
    (
        ValueError,
        "Probe(x.byte())",
        "Probe(images): expected floating point images (N, C, H, W), at least one; got torch.uint8 (4, 3, 12, 12)",
    ),
    (
        TypeError,
        'Probe("bird.png")',
        "Probe(images): expected floating point images (N, C, H, W); got 'bird.png', which cannot become a tensor",
    ),
    (
        ValueError,
        "Probe(x, [0, 1])",
        "Probe(labels): expected one class index per image, (4,), or multi-hot labels (4, classes), numbers (4, K) or label maps"
        " (4, H, W); got (2,)",
    ),
    (
        TypeError,
        'Probe(x, ["bird"] * 4)',
        "Probe(labels): expected one class index per image, (4,); got ['bird', 'bird', 'bird', 'bird'], which"
        " cannot become a tensor",
    ),
    (
        ValueError,
        "Probe(x, masks=masks[:2])",
        "Probe(masks): expected (4, 12, 12) with values in 0..1; got (2, 12, 12) with values in 0..1",
    ),
    (
        ValueError,
        "Probe(x, masks=masks * 255)",
        "Probe(masks): expected (4, 12, 12) with values in 0..1; got (4, 12, 12) with values in 0..255",
    ),
    (
        ValueError,
        "Probe(x, [0, 1, 0, 1], masks * 0)",
        "Probe(masks): the mask of image 0 is empty: there is no object to put elsewhere",
    ),
    (ValueError, "Probe(x, mean=[0.5, 0.5])", "Probe(mean): expected one number per channel, 3; got 2"),
    (TypeError, 'Probe(x, std="half")', "Probe(std)='half': expected one number per channel"),
    (ValueError, "Probe(x, window=(40, 0))", "Probe(window): expected (centre, width) with a width above 0; got (40, 0)"),
    (
        ValueError,
        "Probe(x, channels=[0, 7, 1])",
        "Probe(channels): expected one or three of the channels 0 to 2; got (0, 7, 1)",
    ),
    (ValueError, 'Probe(x, class_names="bird")', "Probe(class_names)='bird': expected a list of names, ['bird']"),
    (
        ValueError,
        'Probe(x, backgrounds={"leaves": plates})',
        "Probe(backgrounds): expected plates by kind, {'leaves': (P, C, H, W), ...}, and masks= of the objects to"
        " paste on them; got a dict and no masks",
    ),
    (
        ValueError,
        'Probe(x, [0, 1, 0, 1], masks, {"leaves": plates}, {"leaves": 0})',
        "Probe(backgrounds): expected at least two kinds to compare; got leaves",
    ),
    (
        ValueError,
        'Probe(x, [0, 1, 0, 1], masks, both, {"leaves": "bird", "stones": "cat"}, class_names=["bird", "dog"])',
        "Probe(typical): 'cat' is no class; the classes are bird, dog",
    ),
    (
        ValueError,
        'Probe(x, [0, 1, 0, 1], masks, both, {"leaves": 0, "sand": 1})',
        "Probe(typical): expected one class for each background (leaves, stones); got leaves, sand",
    ),
    (
        ValueError,
        'Probe(x, [0, 1, 0, 1], masks, {"leaves": plates, "stones": plates[:, :, :6, :6]})',
        "Probe(backgrounds): the plates of 'stones' are 6 x 6, smaller than the images, which are 12 x 12",
    ),
    (
        ValueError,
        'Probe(x, [0, 1, 0, 1], masks, {"leaves": plates[:, :1], "stones": plates[:, :1]})',
        "Probe(backgrounds): expected plates (P, 3, H, W) for 'leaves', at least two, because typical= is not"
        " given; got (4, 1, 16, 16)",
    ),
    (
        ValueError,
        'Probe(x, [0, 1, 0, 1], masks, {"leaves": plates[:1], "stones": plates[:1]})',
        "Probe(backgrounds): expected plates (P, 3, H, W) for 'leaves', at least two, because typical= is not"
        " given; got (1, 3, 16, 16)",
    ),
    (ValueError, 'Film.from_logdir("no/such/folder")', "there is no folder 'no/such/folder'"),
    (ValueError, "Film().plot()", "this film has no maps to show"),
    (ValueError, "Thresholds(red_effect=2)", "Thresholds(red_effect=2): expected a number in 0..1"),
    (
        ValueError,
        "Thresholds(red_effect=0.1)",
        "Thresholds(red_effect=0.1, amber_effect=0.2): red begins below amber; raise the one or lower the other",
    ),
    (
        TypeError,
        'View("mine", ("layer4",), "energy")',
        "View('mine'): expected a function of records to maps; got 'energy'",
    ),
    (TypeError, "look(model, x)", "probe=a tensor torch.float32 (4, 3, 12, 12): expected a Probe, like Probe(images, labels)"),
    (ValueError, "look(model, Probe(x), [saliency(7)])", "class 7 was asked for, but the model gives scores for 3 classes"),
    (
        ValueError,
        'look(model, Probe(x), [grad_cam("layer9")])',
        "layer 'layer9' is not in the model; its layers are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
    ),
    (
        ValueError,
        'maximize(model, "layer9", 2, x)',
        "layer 'layer9' is not in the model; its layers are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
    ),
    (ValueError, 'maximize(model, "0", 2, x[0])', "images: expected (N, C, H, W), at least one; got (3, 12, 12)"),
    (ValueError, 'maximize(model, "0", 2, x, steps=0)', "steps=0: expected a whole number of at least 1"),
]


@pytest.mark.parametrize(("error", "written", "sentence"), CALLS, ids=[written for _, written, _ in CALLS])
def test_at_once(error, written, sentence):
    with pytest.raises(error) as caught:
        eval(written, dict(WORLD))
    assert str(caught.value) == sentence


AT_FIT_START = [
    (
        '[ProbeCallback(views=[grad_cam("net.9")])]',
        "layer 'net.9' is not in the model; its layers are net.6, net.5, net.4, net, net.0, net.1, net.2, net.3",
    ),
    (
        '[GradCAMCallback(layer="layer4")]',
        "layer 'layer4' is not in the model; its layers are net, net.0, net.1, net.2, net.3, net.4, net.5, net.6",
    ),
    (
        '[FilterMaximizationCallback(layers=["net.9"])]',
        "layer 'net.9' is not in the model; its layers are net.6, net.5, net.4, net, net.0, net.1, net.2, net.3",
    ),
    (
        '[FilterMaximizationCallback(layers=["net.0"], channels=[1, 4])]',
        "layer 'net.0': channels=[1, 4]: the layer has the 4 channels 0 to 3",
    ),
    (
        '[FilterMaximizationCallback(layers=["net.0"]), FilterMaximizationCallback(layers=["net.0", "net.2"])]',
        "two FilterMaximizationCallbacks would write the pictures of the layers net.0: give one of them other layers",
    ),
    (
        "[ProbeCallback(probe), ProbeCallback(probe, every_n_epochs=2)]",
        "two callbacks would write the pictures of the probe 'probe': give them one probe and one cadence to"
        " share a look, or their probes different names (Probe(..., name=...))",
    ),
    (
        "[ProbeCallback(probe), SaliencyCallback(Probe(x))]",
        "two callbacks would write the pictures of the probe 'probe': give them one probe and one cadence to"
        " share a look, or their probes different names (Probe(..., name=...))",
    ),
    (
        '[ProbeCallback(twin_probe(name="a")), ProbeCallback(twin_probe(name="b"))]',
        "the probes 'a' and 'b' would both log 'attribution/grad_cam/lift': only one probe of a Trainer can have twins",
    ),
]


@pytest.mark.parametrize(("written", "sentence"), AT_FIT_START, ids=[written for written, _ in AT_FIT_START])
def test_at_fit_start_before_anything_is_trained(trainer, written, sentence):
    module = Classifier()
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        trainer(eval(written, dict(WORLD))).fit(module, loader(), loader(8))
    assert str(caught.value) == sentence
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
