"""look(): one pass for all views, numbers with their maps, and a view that fails takes no other along."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from nets import Plain, Residual, images, trained_looking
from torch import nn

from lightning_vis.attribution.maps import evidence_map, grad_cam_map, saliency_map
from lightning_vis.attribution.metrics import lift
from lightning_vis.attribution.pipeline import look, try_look, usual_views
from lightning_vis.attribution.places import find_places
from lightning_vis.attribution.recorders import gradients, record
from lightning_vis.attribution.views import View, evidence, grad_cam, saliency
from lightning_vis.constants import INPUT
from lightning_vis.model.run import ForwardConfig
from lightning_vis.model.scores import logit
from lightning_vis.probe.probe import Probe
from tests.attribution.test_recorders import counting


@pytest.fixture
def net():
    return trained_looking(Residual()).eval()


def total(record):
    """A view of one's own: the activations, summed."""
    return record.activation.sum(1)


def breaks(record):
    raise RuntimeError("no such luck")


def flat(record):
    return record.activation.mean((1, 2, 3))


def nothing(record):
    """Maps without a cell."""
    return record.activation[:, 0, :0, :0]


def needs_two_channels(run, requests):
    """A recorder that does not work here."""
    raise NotImplementedError("only for pictures of two channels")


def placed(net, probe):
    """How the net is run once it is known where the usual views look."""
    running, failed = find_places(net, probe, ForwardConfig(), usual_views())
    assert not failed
    return running


def test_the_usual_views_cost_one_forward_and_one_backward_per_explained_class(net, monkeypatch):
    probe = Probe(images(4))  # no labels: all three explain the predicted class
    running = placed(net, probe)
    with counting(net, monkeypatch) as counts:
        try_look(net, probe, usual_views(), running)
    assert counts == {"forward": 1, "grad": 1}
    with torch.no_grad():
        wrong = (net(images(4)).argmax(1) + 1) % 3
    with counting(net, monkeypatch) as counts:
        try_look(net, Probe(images(4), wrong), usual_views(), running)
    assert counts == {"forward": 1, "grad": 2}


def test_each_view_has_its_maps_and_classes(net, probe):
    frame = look(net, probe)
    with torch.no_grad():
        predicted = net(probe.images).argmax(1)
    by_label = record(net, probe.images, ["layer2"], probe.labels)["layer2"]
    by_answer = record(net, probe.images, [INPUT, "layer2"], predicted)
    assert list(frame.maps) == ["evidence", "grad_cam", "saliency"]
    np.testing.assert_allclose(frame.maps["evidence"].values, evidence_map(by_label), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(frame.maps["grad_cam"].values, grad_cam_map(by_answer["layer2"]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(frame.maps["saliency"].values, saliency_map(by_answer[INPUT]), rtol=1e-4, atol=1e-6)
    assert frame.maps["evidence"].classes.tolist() == probe.labels.tolist()
    assert frame.maps["grad_cam"].classes.tolist() == predicted.tolist()
    assert [each.layer for each in frame.maps.values()] == ["layer2", "layer2", INPUT]


def test_answers_and_numbers(net, masked):
    frame = look(net, masked)
    with torch.no_grad():
        p = net(masked.images).softmax(1)
    assert frame.predicted.tolist() == p.argmax(1).tolist()
    np.testing.assert_allclose(frame.probability, p.amax(1), rtol=1e-6)
    lifts = lift(torch.from_numpy(frame.maps["saliency"].values), masked.masks).numpy()
    np.testing.assert_array_equal(frame.per_image["attribution/saliency/lift"], lifts)
    assert frame.numbers["attribution/saliency/lift"] == pytest.approx(lifts.mean())
    assert frame.numbers["attribution/saliency/empty"] == 0
    assert frame.seconds["pass"] > 0


def test_the_probability_of_the_label_is_told_also_where_the_answer_is_another(net):
    labels = torch.tensor([0, 1, 2, 0])
    frame = look(net, Probe(images(4), labels))
    with torch.no_grad():
        odds = net(images(4)).exp()
    own = torch.stack([odds[i, label] / odds[i].sum() for i, label in enumerate(labels.tolist())])
    np.testing.assert_allclose(frame.per_image["answers/label"], own, rtol=1e-5)
    assert frame.numbers["answers/label"] == pytest.approx(float(own.mean()), rel=1e-5)
    assert not any(tag.startswith("answers/") for tag in look(net, Probe(images(4))).per_image)


def test_maps_that_are_empty_are_counted_and_left_out_of_the_mean(net, masked):
    empty = np.abs(look(net, masked).maps["grad_cam"].values).max(axis=(1, 2)) == 0
    frame = look(net, masked, [grad_cam(), saliency()])
    assert frame.numbers["attribution/grad_cam/empty"] == pytest.approx(empty.mean())
    with torch.no_grad():
        net.fc.weight.zero_()
    frame = look(net, masked, [grad_cam(), saliency()])
    assert frame.numbers["attribution/grad_cam/empty"] == 1
    assert np.isnan(frame.numbers["attribution/grad_cam/lift"])


def test_maps_that_are_not_finite_are_said(net, probe):
    with torch.no_grad():
        net.fc.weight[0, 0] = torch.nan
    frame = look(net, probe, [saliency(0)])
    assert frame.notes == ("4 of the maps of saliency+0 are not finite", "4 of 4 answers are not a number")


@pytest.mark.parametrize(
    ("names", "notes"),
    [
        (("cat", "dog"), ("the probe has 2 class names, but the model gives scores for 3 classes",)),
        (("cat",), ("the probe has 1 class name, but the model gives scores for 3 classes",)),
        (("cat", "dog", "cow"), ()),
        (("background",), ()),  # label maps that nobody has named
        (None, ()),
    ],
)
def test_class_names_that_do_not_fit_the_scores_are_said(net, names, notes):
    assert look(net, Probe(images(4), class_names=names), [saliency()]).notes == notes


def test_how_much_of_the_score_the_evidence_explains():
    """All of it for global average pooling and a linear head without biases; less with them."""
    net = trained_looking(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)))
    biased = look(net, Probe(images(4)), [evidence()]).numbers["attribution/evidence/explained"]
    with torch.no_grad():
        net[-1].bias.zero_()
    assert look(net, Probe(images(4)), [evidence()]).numbers["attribution/evidence/explained"] == pytest.approx(1, abs=1e-5)
    assert 0 <= biased < 0.999


def test_several_targets_and_layers_each_with_their_key(net, probe):
    frame = look(net, probe, [grad_cam(), grad_cam("layer1"), grad_cam(target="label"), saliency(2), evidence("conv1")])
    assert list(frame.maps) == ["grad_cam", "grad_cam.layer1", "grad_cam+label", "saliency+2", "evidence.conv1"]
    assert frame.maps["grad_cam.layer1"].values.shape == (4, 12, 12)
    assert frame.maps["saliency+2"].classes.tolist() == [2, 2, 2, 2]


def test_a_view_of_ones_own_is_one_function(net, probe):
    frame = look(net, probe, [View("energy", ("layer1",), total)])
    expected = record(net, probe.images, ["layer1"])["layer1"].activation.sum(1)
    np.testing.assert_allclose(frame.maps["energy.layer1"].values, expected, rtol=1e-5)


def test_score_forward_and_chunks_are_handed_along(net, probe):
    whole = look(net, probe, [saliency()], score=logit)
    parts = look(nn.Sequential(net), probe, [saliency()], score=logit, forward=lambda x: {"logits": net(x)}, chunk_size=3)
    np.testing.assert_allclose(parts.maps["saliency"].values, whole.maps["saliency"].values, rtol=1e-4, atol=1e-6)


def test_an_output_without_class_scores_and_a_score_of_ones_own(probe):
    net = nn.Conv2d(3, 2, 3)
    frame = look(net, probe, [saliency()], score=lambda output, _: output.mean((1, 2, 3, 4)), forward=lambda x: net(x)[:, None])
    assert frame.predicted.tolist() == [-1] * 4
    assert np.isnan(frame.probability).all()
    assert frame.maps["saliency"].values.max() > 0


def test_a_model_that_ends_in_softmax_is_noticed_and_said(net, probe):
    frame = look(nn.Sequential(net, nn.Softmax(1)), probe, [saliency()])
    assert frame.notes == ("the model returns probabilities: their logarithm is explained, as if it had returned logits",)
    plain = look(net, probe, [saliency()])
    assert plain.notes == ()
    np.testing.assert_allclose(frame.maps["saliency"].values, plain.maps["saliency"].values, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("view", "error", "said"),
    [
        (View("broken", (INPUT,), breaks), RuntimeError, "no such luck"),
        (View("broken", (INPUT,), flat), ValueError, "returned a tensor (4,), expected maps (4, h, w)"),
        (View("broken", (INPUT,), nothing), ValueError, "(4, 0, 0), expected maps (4, h, w) of at least one cell"),
        (View("broken", ("missing",), total), ValueError, "layer 'missing' is not in the model"),
        (View("broken", ("aside",), total), ValueError, "forward never calls it"),
        (View("broken", (INPUT,), total, needs_two_channels), NotImplementedError, "only for pictures of two channels"),
        (View("broken", (INPUT,), total, gradients, target=9), ValueError, "class 9 was asked for"),
    ],
)
def test_a_view_that_fails_takes_no_other_along(net, probe, view, error, said):
    net.aside = nn.Conv2d(3, 3, 1)
    attempt = try_look(net, probe, [saliency(), view, grad_cam("layer2")], ForwardConfig())
    assert list(attempt.frame.maps) == ["saliency", "grad_cam.layer2"]
    assert list(attempt.failures) == [view.key]
    assert type(attempt.failures[view.key]) is error
    assert said in str(attempt.failures[view.key])


def test_where_nothing_works_there_is_no_frame_and_every_view_says_why(probe):
    def forward(images):
        raise RuntimeError("refuses this batch")

    attempt = try_look(Plain(), probe, usual_views(), ForwardConfig(forward))
    assert attempt.frame is None
    assert {key: str(error) for key, error in attempt.failures.items()} == dict.fromkeys(
        ("evidence", "grad_cam", "saliency"), "refuses this batch"
    )


def test_what_fails_before_any_view_fails_for_each_of_them(probe):
    lazy = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    attempt = try_look(lazy, probe, [saliency()], ForwardConfig())
    assert attempt.frame is None
    assert "lazy parameters (3.weight, 3.bias)" in str(attempt.failures["saliency"])


def test_look_raises_what_an_attempt_would_have_kept(net, probe):
    with pytest.raises(RuntimeError, match="no such luck"):
        look(net, probe, [View("broken", (INPUT,), breaks)])


def test_ctrl_c_is_not_a_failure_of_a_view(net, probe):
    def interrupted(images):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        try_look(net, probe, usual_views(), ForwardConfig(interrupted))


def test_the_default_layer_is_found_as_the_model_will_be_run(net, probe):
    running, _ = find_places(nn.Sequential(net), probe, ForwardConfig(lambda x: net(x[:, :3])), [grad_cam()])
    assert running.places[None].layer == "0.layer2"


def test_what_bypasses_a_place_is_said_and_measured_anew(probe):
    net = nn.Sequential(OrderedDict(body=Skips(), fc=nn.Linear(8, 3)))
    running = ForwardConfig()
    said = []
    for weight in (1.0, 0.0):
        net.body.weight = weight
        frame = try_look(net, probe, [grad_cam("body.side")], running).frame
        said.append([note for note in frame.notes if "bypasses" in note])
        running, _ = find_places(net, probe, running, [grad_cam("body.side")])
    assert len(said[0]) == 1
    assert said[0][0].endswith("% of the answer's gradient at the image bypasses layer 'body.side'")
    assert said[1] == []


class Skips(nn.Module):
    """Two branches, of which one can be shut."""

    weight = 1.0

    def __init__(self):
        super().__init__()
        self.side, self.other = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return (self.side(x) + self.weight * self.other(x)).relu().mean((2, 3))
