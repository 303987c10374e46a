"""SmoothGrad and integrated gradients: closed forms, completeness, the same noise at every look."""

from __future__ import annotations

import pytest
import torch
from nets import Plain, Residual, Tokens, images, trained_looking
from torch import nn

from lightning_vis.attribution import integrated_gradients, smooth_grad
from lightning_vis.attribution.methods.averages import NoisyGradients, PathGradients, noises
from lightning_vis.attribution.pipeline import look
from lightning_vis.constants import INPUT
from lightning_vis.model.run import prepare
from lightning_vis.model.scores import logit
from lightning_vis.probe.probe import Probe
from tests.attribution.test_recorders import counting


class Squares(nn.Module):
    """Two scores: the weighted sum of the squares of four pixels, and nothing."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([1.0, 2.0, -1.0, 0.0]))

    def forward(self, x):
        score = (x.flatten(1) ** 2 * self.weights).sum(1)
        return torch.stack((score, 0 * score), 1)


PIXELS = torch.tensor([[[[1.0, 2.0], [3.0, -1.0]]]])


def recorded(recorder, net, batch, classes):
    found = recorder(prepare(net, batch, torch.full((len(batch),), classes), score=logit), {"label": [INPUT]})
    return found.explained["label"]


def test_integrated_gradients_of_squares_are_the_squares():
    found = recorded(PathGradients(), Squares(), PIXELS, 0)
    shares = found.records[INPUT].activation * found.records[INPUT].gradient
    torch.testing.assert_close(shares, torch.tensor([[[[1.0, 8.0], [-9.0, 0.0]]]]), rtol=1e-5, atol=1e-5)
    assert found.rise.item() == pytest.approx(0.0, abs=1e-5)  # 1 + 8 - 9


def test_the_rule_of_gauss_is_exact_for_few_steps():
    found = recorded(PathGradients(1), Squares(), PIXELS, 0)  # the middle of a straight line is its mean
    torch.testing.assert_close(found.records[INPUT].gradient, torch.tensor([[[[1.0, 4.0], [-3.0, 0.0]]]]))


@pytest.mark.parametrize("kind", [Plain, Residual, Tokens])
def test_shares_add_up_to_the_rise_of_the_score(kind):
    net = trained_looking(kind()).eval()
    frame = look(net, Probe(images(4), [0, 1, 2, 0]), [integrated_gradients("label")])
    odds = [torch.log_softmax(net(batch), 1) for batch in (images(4), torch.zeros(1, 3, 12, 12))]
    told = [each - torch.log1p(-each.exp()) for each in odds]  # log p - log (1 - p)
    rise = (told[0] - told[1])[range(4), [0, 1, 2, 0]].detach()
    found = torch.from_numpy(frame.maps["integrated_gradients+label"].values).sum((1, 2))
    torch.testing.assert_close(found, rise, rtol=0.05, atol=0.05 * float(rise.abs().max()))
    share = 1 - float((found - rise).abs().sum() / rise.abs().sum())
    assert frame.numbers["attribution/integrated_gradients+label/completeness"] == pytest.approx(share, abs=1e-4)
    assert share > 0.95


def test_in_chunks_completeness_is_the_same():
    net, probe = trained_looking(Residual()).eval(), Probe(images(5))
    tag = "attribution/integrated_gradients/completeness"
    whole, parts = (look(net, probe, [integrated_gradients()], chunk_size=size).numbers[tag] for size in (None, 2))
    assert parts == pytest.approx(whole, abs=1e-4)


def test_noise_averages_the_gradients_of_squares_to_those_of_the_image():
    found = recorded(NoisyGradients(2, 0.5), Squares(), PIXELS, 0).records[INPUT]
    mean = torch.stack([*noises(PIXELS, 2, 0.5)]).mean(0)
    torch.testing.assert_close(found.gradient, 2 * (PIXELS + mean) * torch.tensor([[1.0, 2.0], [-1.0, 0.0]]))
    assert torch.equal(found.activation, PIXELS)


def test_noise_is_as_large_as_asked_and_the_same_every_time():
    batch = torch.stack((images(1, 32)[0], 10 * images(1, 32)[0]))
    noise = torch.stack([*noises(batch, 20, 0.15)])
    contrast = batch.flatten(1).amax(1) - batch.flatten(1).amin(1)
    torch.testing.assert_close(noise.transpose(0, 1).flatten(1).std(1) / contrast, torch.full((2,), 0.15), rtol=0.02, atol=0)
    assert torch.equal(noise, torch.stack([*noises(batch, 20, 0.15)]))
    torch.testing.assert_close(noise[:, 1], 10 * noise[:, 0])
    assert not torch.equal(noise[0], noise[1])


@pytest.mark.parametrize(("make", "passes"), [(smooth_grad, (51, 51)), (integrated_gradients, (52, 51))])
def test_they_say_how_often_the_network_runs(make, passes, monkeypatch):
    net, recorder = trained_looking(Residual()).eval(), make().recorder
    with counting(net, monkeypatch) as counts:
        recorder(prepare(net, images(2)), {"predicted": [INPUT]})
    assert counts == {"forward": passes[0], "grad": passes[1]}
    assert make().passes == passes[0]


@pytest.mark.parametrize("make", [smooth_grad, integrated_gradients])
def test_what_is_explained_is_chosen_at_the_image_itself(make):
    """A network that answers by the sign of one pixel, whose noisy copies would be of both classes."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[1.0], [-1.0]]))
    frame = look(net.eval(), Probe(torch.tensor([[[[0.01]]], [[[-0.01]]]])), [make()])
    assert frame.maps[make().key].classes.tolist() == [0, 1]
    found = make().recorder(prepare(net, images(1, 1, 1) * 0 + torch.tensor(0.01), score=logit), {"predicted": [INPUT]})
    assert found.explained["predicted"].records[INPUT].gradient.item() == pytest.approx(1.0)
    half = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))  # two pixels, so that noise has a contrast to go by
    with torch.no_grad():
        half[1].weight.copy_(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))
    found = make().recorder(prepare(half, torch.tensor([[[[1.0, -0.99]]]]), score=logit), {"predicted": [INPUT]})
    torch.testing.assert_close(found.explained["predicted"].records[INPUT].gradient, torch.ones(1, 1, 1, 2))
