"""Nests: what is found in them, how one leaf or some rows are exchanged."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace

import pytest
import torch

from lightning_vis.model.places import LONGEST, Field, at, canonical, leaves, replaced, rows_of, thawed, written

Pair = namedtuple("Pair", "image label")


@dataclass(frozen=True)
class Boxes:
    corners: torch.Tensor
    count: int = 1


def nest():
    return {
        "targets": {"age": torch.arange(3)},
        "views": [torch.zeros(3, 2), Pair(torch.ones(3), torch.arange(3))],
        "boxes": Boxes(torch.ones(3, 4)),
        "plain": SimpleNamespace(mask=torch.ones(3, 1)),
        "names": ["a", "b", "c"],
    }


PLACES = [
    'batch["targets"]["age"]',
    'batch["views"][0]',
    'batch["views"][1].image',
    'batch["views"][1].label',
    'batch["boxes"].corners',
    'batch["plain"].mask',
]


def test_all_tensors_are_found_in_order_and_again_at_their_places():
    value = nest()
    assert [written(path) for path, _ in leaves(value)] == PLACES
    assert all(at(value, path) is tensor for path, tensor in leaves(value))


def test_a_tensor_alone_is_a_leaf():
    value = torch.ones(2)
    assert [*leaves(value)] == [((), value)]
    assert at(value, ()) is value
    assert written((), "output") == "output"


def test_plain_words_find_fields_and_attributes():
    assert at(nest(), ("plain", "mask")).shape == (3, 1)
    assert Field("mask") == "mask"
    assert at([1, 2], (-1,)) == 2


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (("targets", "sex"), 'there is no batch["targets"]["sex"]: batch["targets"] is a dict with "age"'),
        (("views", 4), 'there is no batch["views"][4]: batch["views"] is a list of 2'),
        (("views", 1, "mask"), 'there is no batch["views"][1]["mask"]: batch["views"][1] is a Pair with "image", "label"'),
        (("views", 0, 1), 'there is no batch["views"][0][1]: batch["views"][0] is a tensor of shape (3, 2)'),
    ],
)
def test_a_place_that_is_not_there_is_refused_by_what_is_there(path, sentence):
    for function in (at, lambda value, path: replaced(value, path, 0)):
        with pytest.raises(LookupError) as caught:
            function(nest(), path)
        assert str(caught.value) == sentence


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_one_leaf_is_exchanged_and_nothing_is_mutated(place):
    value = nest()
    before = [*leaves(value)]
    path = before[place][0]
    new = replaced(value, path, torch.zeros(7))
    assert at(new, path).shape == (7,)
    assert type(new["views"][1]) is Pair
    assert type(new["boxes"]) is Boxes
    assert all(one is other for (_, one), (_, other) in zip(leaves(value), before, strict=True))
    others = [each for each in PLACES if each != PLACES[place]]
    assert [written(path) for path, tensor in leaves(new) if tensor.shape != (7,)] == others


def test_rows_are_picked_where_there_are_rows():
    value = nest() | {"mean": torch.ones(1, 3), "number": 3}
    picked = rows_of(value, torch.tensor([2, 0]), 3)
    assert picked["targets"]["age"].tolist() == [2, 0]
    assert picked["views"][1].label.tolist() == [2, 0]
    assert picked["names"] == ["c", "a"]
    assert picked["mean"] is value["mean"]
    assert picked["number"] == 3
    assert [written(path) for path, _ in leaves(picked)] == [*PLACES, 'batch["mean"]']


def test_a_batch_of_as_many_columns_as_rows_keeps_its_columns():
    images, labels = rows_of([torch.ones(2, 3), torch.arange(2)], torch.tensor([1]), 2)
    assert images.shape == (1, 3)
    assert labels.tolist() == [1]


def test_kinds_of_mappings_stay_what_they_are_where_they_can():
    ordered = replaced(OrderedDict(a=torch.ones(1)), ("a",), 1)
    assert type(ordered) is OrderedDict
    assert replaced(MappingProxyType({"a": torch.ones(1), "b": 2}), ("a",), 1) == {"a": 1, "b": 2}


def test_long_lists_modules_and_strangers_are_not_opened():
    stranger = SimpleNamespace(far=SimpleNamespace(tensor=torch.ones(1)))
    network = torch.nn.Linear(1, 1)
    assert [*leaves([[torch.ones(1)] * (LONGEST + 1), stranger, network, "text", None])] == []


def test_tensors_of_inference_mode_are_copied_and_all_else_is_as_it_was():
    with torch.inference_mode():
        value = {"x": [torch.ones(2)], "name": "a"}
        found = thawed(value)
    plain = {"x": torch.ones(2)}
    assert thawed(plain) is plain
    assert value["x"][0].is_inference()
    assert not found["x"][0].is_inference()
    assert (found["x"][0].tolist(), found["name"]) == ([1, 1], "a")
    (found["x"][0] * torch.ones(2, requires_grad=True)).sum().backward()


def test_a_place_is_named_as_leaves_are():
    pair = namedtuple("Pair", ["left", "right"])
    value = {"both": pair(torch.zeros(1), [torch.ones(1), torch.ones(2)])}
    assert canonical(value, ("both", -1, -2)) == canonical(value, ("both", 1, 0)) == ("both", "right", 0)
    assert at(value, canonical(value, ("both", 0))) is value["both"].left
    assert canonical([0] * 5000, (-1,)) == (4999,)
    with pytest.raises(LookupError, match=r'there is no batch\["both"\]\[2\]'):
        canonical(value, ("both", 2))
