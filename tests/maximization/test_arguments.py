"""What may be asked of maximize(): each mistake is one sentence that quotes it, and what stands for what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import Plain, images, trained_looking

import lightning_vis
from lightning_vis.constants import OUTPUT
from lightning_vis.maximization.maximizer import maximize
from lightning_vis.maximization.objectives import channel, log_odds, neuron, total_variation
from lightning_vis.maximization.transforms import jitter


def net():
    return trained_looking(Plain()).eval()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"layer": "conv9"}, "layer 'conv9' is not in the model; its layers are"),
        ({"channels": [8]}, r"channels=\[8\]: the layer has the 8 channels 0 to 7"),
        ({"channels": [-1]}, r"channels=\[-1\]: the layer has the 8 channels 0 to 7"),
        ({"channels": []}, r"channels=\[\]: name at least one channel"),
        ({"preset": "deepdream"}, "preset='deepdream': expected one of 'default', 'keras-vis', 'lucid', or a Recipe"),
        ({"steps": 0}, "steps=0: expected a whole number of at least 1"),
        ({"images": torch.rand(3, 12, 12)}, r"images: expected \(N, C, H, W\), at least one; got \(3, 12, 12\)"),
        ({"objective": neuron(40, 0)}, r"neuron\(40, 0\) lies outside the layer's map of 6 x 6"),
        ({"objective": neuron(), "layer": "10"}, r"a neuron has a position, but the layer returns \(2, 3\)"),
        ({"objective": lambda a, d: a.sum()}, r"objective= returned shape \(\) for 2 images: one number per image"),
        ({"objective": lambda a, d: d.sum(1)}, "the objective does not depend on the image through gradients"),
        ({"objective": neuron}, r"objective=neuron: write neuron\(\) for the middle of the map, or neuron\(row, column\)"),
        ({"objective": "channel"}, "objective='channel': expected a function like channel, log_odds or neuron"),
        ({"channels": "first"}, "channels='first': expected how many, or a list of indices"),
        ({"channels": 0}, "channels=0: expected a whole number of at least 1"),
        ({"channels": 99}, r"channels=\[0, 1, 2, .* \.\.\.: the layer has the 8 channels 0 to 7"),
        ({"size": 64}, r"size=64: expected height and width, like \(64, 64\)"),
        ({"size": (1, 1), "layer": "5"}, r"size=\(1, 1\): the network takes 12 x 12 images, but gets not as far as '5'"),
        ({"transforms": jitter(4)}, r"transforms=<function .*: expected a list of functions, like \[jitter\(4\)\]"),
        ({"priors": total_variation(1.0)}, r"priors=<function .*: expected a list of functions, like \[total_variation"),
        ({"priors": [lambda x: x.sum()]}, r"priors= returned \(\) for 2 images: one number per image"),
        ({"std": (0.0, 1.0, 1.0)}, r"std=\(0.0, 1.0, 1.0\): expected numbers above 0"),
        ({"images": torch.full((2, 3, 12, 12), torch.nan)}, "images: none of the .* has a pixel that is finite"),
    ],
)
def test_mistakes_are_named(arguments, sentence):
    usual = {"layer": "5", "channels": 2, "images": images(2), "steps": 2}
    with pytest.raises((ValueError, TypeError), match=sentence):
        maximize(net(), **(usual | arguments))


def test_nothing_asked_for_means_log_odds_of_classes_and_means_of_channels():
    for layer, meant in ((OUTPUT, log_odds), ("5", channel)):
        usual, said = (maximize(net(), layer, 2, images(2), steps=3, **each) for each in ({}, {"objective": meant}))
        assert torch.equal(usual.images, said.images)
        assert torch.equal(usual.activation, said.activation)


def test_a_score_stands_for_the_objective_of_its_name():
    """`lightning_vis.log_odds` is what a user finds first."""
    for score, meant in ((lightning_vis.log_odds, log_odds), (lightning_vis.logit, channel)):
        found, said = (maximize(net(), OUTPUT, 2, images(2), steps=3, objective=each) for each in (score, meant))
        assert torch.equal(found.images, said.images)


def test_arrays_are_images_too():
    one, other = (maximize(net(), "5", 2, each, steps=2) for each in (images(2), np.asarray(images(2))))
    assert torch.equal(one.images, other.images)
