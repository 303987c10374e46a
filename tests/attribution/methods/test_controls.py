"""Controls: shuffled weights that are put back to the bit, the same classes, and neither map without the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import Plain, Residual, Tokens, images, trained_looking
from torch import nn

from lightning_vis.attribution import deconvolution, guided_backprop, saliency
from lightning_vis.attribution.methods.controls import ShuffledWeights, shuffle
from lightning_vis.attribution.methods.correlation import rank_correlation
from lightning_vis.attribution.pipeline import look, try_look
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.views import views_of
from lightning_vis.constants import INPUT
from lightning_vis.model.answer.answer import CLASSES
from lightning_vis.model.run import ForwardConfig, prepare
from lightning_vis.model.snapshot import snapshot
from lightning_vis.probe.probe import Probe

KEYS = ["guided_backprop", "guided_backprop (random weights)"]


@pytest.mark.parametrize("large", [None, 0])
@pytest.mark.parametrize("kind", [Plain, Residual, Tokens])
def test_weights_are_put_back_to_the_bit(kind, large, monkeypatch):
    """Also where they are watched, and copied only when written to."""
    if large is not None:
        monkeypatch.setattr(snapshot, "LARGE", large)
    net = trained_looking(kind())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    drawn = torch.get_rng_state()
    look(net, Probe(images(3)), [guided_backprop(), deconvolution()])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert net.training


def test_weights_are_put_back_if_it_fails():
    def fails(run, requests):
        raise RuntimeError("no such luck")

    net = trained_looking(Plain()).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(RuntimeError):
        ShuffledWeights(fails)(prepare(net, images(2)), {"predicted": [INPUT]})
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_shuffling_keeps_each_tensors_values_and_moves_nearly_all():
    net, same = trained_looking(Residual()), trained_looking(Residual())
    before = {name: value.clone() for name, value in net.named_parameters()}
    shuffle(net), shuffle(same)
    for (name, value), again in zip(net.named_parameters(), same.parameters(), strict=True):
        assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values)
        assert torch.equal(value, again)
        assert value.numel() < 50 or (value == before[name]).float().mean() < 0.1


def test_what_is_explained_is_what_the_network_itself_answers():
    net = trained_looking(Residual(), 1).eval()
    frame = look(net, Probe(images(4)), [guided_backprop()])
    assert list(frame.maps) == KEYS
    one, other = (frame.maps[key] for key in KEYS)
    assert one.classes.tolist() == other.classes.tolist() == net(images(4)).argmax(1).tolist() == frame.predicted.tolist()
    assert not np.allclose(one.values, other.values)
    assert other.title == "guided backprop (random weights)"
    shuffle(net)
    now = net(images(4)).argmax(1)
    assert now.tolist() != frame.predicted.tolist()  # it would explain something else
    again = look(net, Probe(images(4), torch.from_numpy(frame.predicted)), [guided_backprop("label")])
    np.testing.assert_allclose(other.values, again.maps["guided_backprop+label"].values, rtol=1e-4, atol=1e-7)


def test_the_control_is_that_of_a_network_with_those_weights():
    net, classes = trained_looking(Residual()).eval(), torch.tensor([0, 1, 2, 0])
    frame = look(net, Probe(images(4), classes), [guided_backprop("label")])
    shuffle(net)
    other = look(net, Probe(images(4), classes), [guided_backprop("label")])
    found = frame.maps["guided_backprop+label (random weights)"].values
    np.testing.assert_allclose(found, other.maps["guided_backprop+label"].values, rtol=1e-4, atol=1e-7)


def test_how_alike_they_are_is_told():
    frame = look(trained_looking(Residual()).eval(), Probe(images(4)), [guided_backprop()])
    alike = rank_correlation(*(torch.from_numpy(frame.maps[key].values) for key in KEYS)).nanmean()
    assert frame.numbers["attribution/guided_backprop/random_weights"] == pytest.approx(float(alike))
    assert any(f"is {alike:.2f}" in note for note in frame.notes)


def test_in_chunks_they_are_the_same():
    net = trained_looking(Residual()).eval()
    whole, parts = (look(net, Probe(images(5)), [guided_backprop()], chunk_size=size) for size in (None, 2))
    for key in KEYS:
        np.testing.assert_allclose(parts.maps[key].values, whole.maps[key].values, rtol=1e-4, atol=1e-7)


def test_a_view_without_its_control_is_not_shown(monkeypatch):
    """And saliency beside them is."""

    class Breaks(ShuffledWeights):
        def __call__(self, run, requests):
            raise RuntimeError("no such luck")

    net, probe = trained_looking(Residual()).eval(), Probe(images(3))
    views = views_of(CLASSES, [saliency(), guided_backprop()], None)
    object.__setattr__(views[2], "recorder", Breaks(gradients))
    attempt = try_look(net, probe, views, ForwardConfig())
    assert list(attempt.frame.maps) == ["saliency"]
    assert list(attempt.failures) == [KEYS[1], KEYS[0]]


def test_a_network_without_relu_has_neither():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    attempt = try_look(net, Probe(images(3)), views_of(CLASSES, [saliency(), guided_backprop()], None), ForwardConfig())
    assert list(attempt.frame.maps) == ["saliency"]
    assert sorted(attempt.failures) == KEYS


def test_rank_correlation_by_hand():
    one = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    # ranks 1 2 3 4 against 2 1 4 3: 1 - 6 x 4 / (4 x 15)
    assert rank_correlation(one, torch.tensor([[[20.0, 10.0], [40.0, 30.0]]])).item() == pytest.approx(0.6)
    assert rank_correlation(one, -one).item() == pytest.approx(-1)
    # ties share a rank: 1 2 3 4 against 1.5 1.5 3.5 3.5: 4 / sqrt(5 x 4)
    assert rank_correlation(one, torch.tensor([[[0.0, 0.0], [1.0, 1.0]]])).item() == pytest.approx(4 / 20**0.5)
    assert rank_correlation(one, torch.ones(1, 2, 2)).isnan()
    assert rank_correlation(one, torch.full((1, 2, 2), torch.nan)).isnan()
