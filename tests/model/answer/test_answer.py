"""Answers that are no numbers are called so, and the others are told as if they were alone."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_vis.model.answer.answer import Answer, answers_are_numbers
from lightning_vis.model.answer.task import Facts


def told(answer, values, truth, names):
    return answer.told(values, truth, names)


TRUTHS = {
    "binary": (torch.randn(4, 2), torch.tensor([0, 1, 0, 1])),
    "multiclass": (torch.randn(4, 3), torch.tensor([0, 1, 2, 1])),
    "multilabel": (torch.randn(4, 3), torch.tensor([[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 1]])),
    "ordinal": (torch.randn(4, 3), torch.tensor([0, 1, 3, 2])),
    "regression": (torch.randn(4, 1), torch.randn(4)),
    "segmentation": (torch.randn(4, 3, 5, 5), torch.randint(0, 3, (4, 5, 5))),
    "reconstruction": (torch.rand(4, 3, 5, 5), torch.rand(4, 3, 5, 5)),
}


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("task", TRUTHS)
def test_an_answer_that_is_no_number_is_neither_right_nor_wrong(task, broken):
    values, truth = TRUTHS[task]
    answer = Answer(task, Facts(spread=1.0))
    damaged = values.clone()
    damaged[1].view(-1)[0] = broken
    found, rest = told(answer, damaged, truth, ()), told(answer, values[[0, 2, 3]], truth[[0, 2, 3]], ())
    assert found.captions[1] == "not a number"
    if rest.captions:
        assert found.captions == (rest.captions[0], "not a number", *rest.captions[1:])
    if rest.wrong:
        assert found.wrong == (rest.wrong[0], None, *rest.wrong[1:])
    if rest.predicted is not None:
        assert found.predicted.tolist() == [int(rest.predicted[0]), -1, *rest.predicted[1:].tolist()]
        assert math.isnan(found.probability[1])
    assert found.numbers == rest.numbers
    for tag, each in found.per_image.items():
        assert math.isnan(each[1])
        torch.testing.assert_close(each[[0, 2, 3]], rest.per_image[tag], equal_nan=True)


@pytest.mark.parametrize("task", TRUTHS)
def test_where_no_answer_is_a_number_nothing_is_judged(task):
    values, truth = TRUTHS[task]
    found = told(Answer(task), torch.full_like(values, math.nan), truth, ())
    assert set(found.captions) == {"not a number"}
    assert set(found.wrong) == {None}
    assert found.predicted is None


def test_a_class_that_is_ruled_out_is_no_broken_answer():
    assert answers_are_numbers(torch.tensor([[0.0, -math.inf], [-math.inf, -math.inf], [1.0, 2.0]])).tolist() == [
        True,
        False,
        True,
    ]


def test_a_class_that_is_not_there_is_called_no_number_beside_classes_that_are():
    values = torch.tensor([[math.nan, 0.0], [0.0, math.log(3.0)]])
    assert told(Answer("multiclass"), values, None, ("cat", "dog")).captions == ("not a number", "dog 0.75")


def test_vectors_that_are_no_numbers_are_called_so_and_the_others_are_compared():
    values = torch.tensor([[math.nan, 1.0], [1.0, 0.0], [0.6, 0.8]])
    found = told(Answer("embedding"), values, torch.tensor([0, 0, 0]), ())
    assert found.captions == ("not a number", "nearest: image 3, 0.60", "nearest: image 2, 0.60")
    assert found.wrong == (None, False, False)


@pytest.mark.parametrize("task", ["regression", "reconstruction", "embedding"])
def test_numbers_that_are_endless_are_no_answers(task):
    """Nothing is ruled out by them, as a class is by a score of minus infinity."""
    assert Answer(task).are_numbers(torch.tensor([[1.0, -math.inf], [1.0, 2.0]])).tolist() == [False, True]
    assert Answer("multilabel").are_numbers(torch.tensor([[1.0, -math.inf]])).tolist() == [True]
