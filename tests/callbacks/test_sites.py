"""Transformers and branches, trained for real: what is looked at, where, and what is said of it."""

from __future__ import annotations

import pytest
import torch
from modules import Classifier, loader
from nets import Swinlike, Tokens, TwoTowers

from lightning_vis import FilterMaximizationCallback, ProbeCallback, SaliencyCallback, evidence, grad_cam


@pytest.mark.parametrize(
    ("net", "layer", "last"),
    [
        (Tokens(), "net.blocks:input", "net.blocks.layers.1"),
        (Tokens(5), "net.blocks:input", "net.blocks.layers.1"),
        (Tokens(1, mean=True), "net.blocks:input", "net.norm"),
        (Tokens(1, batch_first=False), "net.blocks:input", "net.blocks.layers.1"),
        (Swinlike(), "net.last", "net.last"),
    ],
    ids=["class token", "registers", "mean of tokens", "sequence first", "channels last"],
)
def test_transformers_have_maps_and_filters_with_no_argument(trainer, net, layer, last):
    maps, filters = ProbeCallback(), FilterMaximizationCallback(max_overhead=1.0)
    trainer([maps, filters], max_epochs=1).fit(Classifier(net), loader(), loader(12, seed=2))
    frame = maps.film.frames[-1]
    for key in ("evidence", "grad_cam"):
        assert frame.maps[key].layer == layer
        assert frame.maps[key].values.shape[1:] == (3, 3)
        assert (frame.maps[key].values != 0).any()
    assert f"filters/{last}" in filters.film.frames[-1].pictures
    assert not [note for note in frame.notes if "bypasses" in note]
    held = [note for note in frame.notes if "attention and norms held constant" in note]
    assert held == ([] if layer == last else [held[0]])


@pytest.mark.parametrize("net", [Tokens, Swinlike])
def test_a_training_of_tokens_is_the_same_to_the_bit_without_us(trainer, net):
    found = []
    for callbacks in ([ProbeCallback()], []):
        torch.manual_seed(1)
        module = Classifier(net())
        trainer(callbacks, max_epochs=2).fit(module, loader(), loader(12, seed=2))
        found.append(module.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_a_share_that_bypasses_is_said_at_the_start_and_at_each_look(trainer, caplog):
    callback = ProbeCallback()
    with caplog.at_level("INFO"):
        trainer([callback], max_epochs=1).fit(Classifier(TwoTowers()), loader(), loader(12, seed=2))
    told = [record.getMessage() for record in caplog.records if "bypasses layer" in record.getMessage()]
    assert len(told) == 1
    for frame in callback.film.frames:
        assert [note for note in frame.notes if "of the answer's gradient at the image bypasses layer 'net." in note]


def test_a_layer_by_what_enters_it_is_looked_at(trainer):
    callback = ProbeCallback(views=[evidence("net.4:input"), grad_cam("net.4:input")])
    trainer([callback], max_epochs=1).fit(Classifier(), loader(), loader(12, seed=2))
    frame = callback.film.frames[-1]
    assert [*frame.maps] == ["evidence.net.4:input", "grad_cam.net.4:input"]
    assert frame.maps["evidence.net.4:input"].values.shape == (8, 12, 12)


def test_a_layer_without_a_grid_rests_alone_and_says_what_there_is(trainer):
    callback = ProbeCallback(views=[evidence("net.head"), grad_cam()])
    with pytest.warns(UserWarning, match=r"'net.head' holds no grid of the image; those that do are, .*net.blocks.layers.1"):
        trainer([callback, SaliencyCallback()], max_epochs=1).fit(Classifier(Tokens()), loader(), loader(12, seed=2))
    frame = callback.film.frames[-1]
    assert "grad_cam" in frame.maps
    assert "evidence.net.head" not in frame.maps
    assert torch.is_tensor(torch.from_numpy(frame.maps["grad_cam"].values))
