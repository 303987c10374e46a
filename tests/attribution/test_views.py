"""Views: names and keys, targets, and that they can be pickled and shared."""

from __future__ import annotations

import pickle

import pytest

from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.views import View, evidence, grad_cam, saliency
from lightning_vis.constants import INPUT


@pytest.mark.parametrize(
    ("view", "key"),
    [
        (evidence(), "evidence"),
        (evidence("layer3"), "evidence.layer3"),
        (evidence(target="predicted"), "evidence+predicted"),
        (grad_cam(), "grad_cam"),
        (grad_cam("layer3"), "grad_cam.layer3"),
        (grad_cam("backbone.layer3.0"), "grad_cam.backbone.layer3.0"),
        (grad_cam("layer3", "label"), "grad_cam.layer3+label"),
        (grad_cam(target=2), "grad_cam+2"),
        (saliency(), "saliency"),
        (saliency("runner_up"), "saliency+runner_up"),
        (View("two", ("a", "b"), max), "two.a.b"),
    ],
)
def test_keys(view, key):
    assert view.key == key


def test_definitions():
    assert evidence().target == "label"
    assert evidence().scale.signed
    assert grad_cam().target == saliency().target == "predicted"
    assert grad_cam().scale.by_area
    assert not grad_cam().scale.signed
    assert saliency().layers == (INPUT,)
    assert (saliency().scale.kind, saliency().scale.limit) == ("density", 12)
    assert {view.recorder for view in (evidence(), grad_cam(), saliency())} == {gradients}


@pytest.mark.parametrize("make", [evidence, grad_cam, saliency])
def test_views_pickle_and_equal_each_other(make):
    assert pickle.loads(pickle.dumps(make())) == make()
    assert hash(make()) == hash(make())


@pytest.mark.parametrize("target", ["lable", None, 1.5])
def test_a_target_that_is_none(target):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        grad_cam(target=target)
    assert str(caught.value) == (
        f"target={target!r} of the view 'grad_cam': expected one of 'predicted', 'label', 'runner_up', 'absent' or a class index"
    )
