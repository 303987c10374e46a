"""Which tensor is made of which, and what travels along."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_vis.probe.witness.notes import LARGEST, Notes, facts_of

LEAF = torch.ones(4, 3)


@pytest.fixture
def weight():
    return nn.Parameter(torch.ones(3))


def answered(weight, is_learning):
    """Notes, an answer made of a leaf and a weight, and its node."""
    notes = Notes({id(weight)}, is_learning, {})
    notes.leaf(("x",), LEAF)
    answer = LEAF * weight
    return notes, answer, notes.add("mul", [notes.of(LEAF), notes.of(weight)], answer)


def test_an_answer_is_made_of_the_batch_and_trained(weight):
    notes, answer, node = answered(weight, True)
    assert notes.of(answer) is node
    assert (node.is_answer, node.touched, node.direct, node.frozen) == (True, True, True, False)
    assert node.sources == {("x",)}


@pytest.mark.parametrize("name", ["detach", "argmax", "__gt__"])
def test_nothing_is_trained_through_what_cuts(weight, name):
    notes, answer, node = answered(weight, False)
    cut = notes.add(name, [node], answer.detach().clone())
    assert (cut.trained, cut.touched) == (False, True)


def test_nothing_is_trained_without_gradients_while_others_have_them(weight):
    notes, _, node = answered(weight, True)
    with torch.no_grad():
        assert not notes.add("mul", [node], torch.ones(1)).trained
        notes, _, node = answered(weight, False)  # a validation, where nothing has any
        assert node.trained


def test_autograd_outranks_a_guess(weight):
    notes, answer, node = answered(weight, True)
    cut = answer * 2
    node = notes.add("detach", [node], cut)
    assert not node.trained
    assert notes.of(cut).trained


def test_what_shares_memory_is_an_alias(weight):
    notes, answer, node = answered(weight, True)
    alias = notes.of(answer.detach()[1:])
    assert (alias.name, alias.parents) == ("alias", [node])
    assert notes.of(torch.ones(4, 3)) is None


def test_weights_that_nobody_trains_are_frozen_and_temperatures_are_none(weight):
    notes = Notes(set(), True, {})
    assert notes.of(weight).weight == "frozen"
    assert notes.of(nn.Parameter(torch.ones(1))) is None


def test_what_is_gone_is_not_taken_for_another(weight):
    notes, answer, _ = answered(weight, True)
    numbers = id(answer), len(notes.nodes)
    del answer
    assert all(notes.of(torch.ones(4, 3)) is None for _ in range(50))
    assert len(notes.nodes) == numbers[1]


@pytest.mark.parametrize(
    ("rows", "steps", "hot", "chained"),
    [
        ([[1, 1, 0], [1, 0, 0], [0, 0, 0]], True, False, False),
        ([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]] * 2, True, False, True),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], False, True, False),
        ([[0.2, 0.8], [0.7, 0.3], [0.5, 0.5]], False, True, False),
        ([[1, 0], [1, 0], [1, 0]], False, True, False),
    ],
)
def test_what_values_say(rows, steps, hot, chained):
    facts = facts_of(torch.tensor(rows))
    assert (facts.are_steps, facts.are_hot, facts.are_chained) == (steps, hot, chained)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (0, 3), (2, 3, 4), (2, LARGEST)])
def test_other_shapes_are_not_looked_into(shape):
    assert facts_of(torch.zeros(shape)) is None
