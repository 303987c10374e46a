"""Score-CAM: a slow loop after the paper, and what is said of layers with many channels."""

from __future__ import annotations

import pytest
import torch
from nets import Plain, Residual, Tokens, images, trained_looking
from torch.nn.functional import interpolate

from lightning_vis.attribution import score_cam
from lightning_vis.attribution.methods.masks import ChannelScores, most_varied, score_cam_map
from lightning_vis.attribution.pipeline import look
from lightning_vis.attribution.recorders import record
from lightning_vis.attribution.records import Record
from lightning_vis.model.run import prepare
from lightning_vis.model.scores import log_odds
from lightning_vis.probe.probe import Probe


def slow(net, batch, layer, classes):
    """Algorithm 1 of the paper, image by image and channel by channel."""
    activation = record(net, batch, [layer], classes)[layer].activation
    maps = []
    for image, channels, label in zip(batch, activation, classes, strict=True):
        increases = []
        for channel in channels:
            large = interpolate(channel[None, None], size=image.shape[1:], mode="bilinear", align_corners=False)[0]
            spread = large.max() - large.min()
            mask = (large - large.min()) / spread if spread > 0 else 0 * large
            with torch.no_grad():
                masked, empty = (log_odds(net(each[None]), label[None]) for each in (image * mask, 0 * image))
            increases.append(masked - empty)
        weights = torch.stack(increases).softmax(0)
        maps.append((weights[..., None] * channels).sum(0).relu())
    return torch.stack(maps)


@pytest.mark.parametrize(("kind", "layer"), [(Plain, "6"), (Residual, "layer2"), (Tokens, "patches")])
def test_the_slow_loop_agrees(kind, layer):
    net, classes = trained_looking(kind()).eval(), torch.tensor([0, 1, 2])
    found = look(net, Probe(images(3), classes), [score_cam(layer, "label")]).maps[f"score_cam.{layer}+label"].values
    torch.testing.assert_close(torch.from_numpy(found), slow(net, images(3), layer, classes), rtol=1e-3, atol=1e-5)


def test_by_hand():
    """Two channels of 2 x 2 whose weights are 1/4 and 3/4."""
    activation = torch.tensor([[[[4.0, 0.0], [0.0, -4.0]], [[0.0, 4.0], [0.0, -8.0]]]])
    weights = torch.tensor([0.25, 0.75]).reshape(1, 2, 1, 1).expand_as(activation)
    assert score_cam_map(Record(activation, weights)).tolist() == [[[1.0, 3.0], [0.0, 0.0]]]


def test_of_many_channels_those_that_vary_most_are_asked_and_it_is_said():
    net = trained_looking(Plain()).eval()
    found = ChannelScores(2)(prepare(net, images(3)), {"predicted": ["6"]})
    weights = found.explained["predicted"].records["6"].gradient[:, :, 0, 0]
    assert (weights > 0).sum(1).tolist() == [2, 2, 2]
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    assert found.notes == ("Score-CAM asked the 2 of the 8 channels of layer '6' that vary most over each image",)


def test_those_that_vary_most():
    activation = torch.tensor([[[[5.0, 5.0]], [[0.0, 1.0]], [[-3.0, 3.0]]], [[[0.0, 9.0]], [[0.0, 1.0]], [[2.0, 2.0]]]])
    assert most_varied(activation, 2).tolist() == [[2, 1], [0, 1]]
    assert most_varied(activation, 64).shape == (2, 3)


def test_a_layer_without_a_grid_is_refused():
    with pytest.raises(ValueError, match="no maps"):
        ChannelScores()(prepare(trained_looking(Plain()).eval(), images(2)), {"predicted": ["9"]})
