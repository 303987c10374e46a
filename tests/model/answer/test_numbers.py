"""Regression: the number, its error, which of several, bars in spreads."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_vis.model.answer.answer import TASKS, Answer
from lightning_vis.model.answer.numbers import farthest, number, signed
from lightning_vis.model.answer.task import Facts

TASK = TASKS["regression"]
SAID, TRUE = torch.tensor([[38.2], [20.0]]), torch.tensor([41.0, 18.5])


def test_captions_errors_and_bars_by_hand():
    said = TASK.said(Facts(spread=4.0), SAID, TRUE, ())
    assert said.captions == ("38.2 (true 41.0, -2.8)", "20.0 (true 18.5, +1.5)")
    assert (said.wrong, said.predicted, said.probability) == ((None, None), None, None)
    torch.testing.assert_close(said.per_image["answers/error"], torch.tensor([-0.7, 0.375]))
    assert said.numbers == {"answers/mean_error": pytest.approx(2.15)}


def test_without_a_spread_there_are_no_bars():
    assert TASK.said(Facts(), SAID, TRUE, ()).per_image == {}


def test_of_several_the_farthest_in_spreads_is_explained_or_the_one_that_is_named():
    true = torch.tensor([[0.0, 0.0], [1.0, 100.0]])
    values = torch.tensor([[0.5, 10.0], [1.5, 110.0]])  # a whole spread off, and a fifth of one
    assert TASK.chosen(Facts(), "label", values, true).tolist() == [0, 0]
    assert TASK.chosen(Facts(), "label", values.flip(1), true.flip(1)).tolist() == [1, 1]
    assert TASK.chosen(Facts(component=1), "label", values, true).tolist() == [1, 1]
    assert TASK.first(Facts(), "label", values.flip(1), true.flip(1)).tolist() == [0, 0]
    torch.testing.assert_close(TASK.score(values, torch.tensor([1, 1])), torch.tensor([10.0, 110.0]))


def test_which_number_it_is_stands_before_it():
    values = torch.tensor([[1.0, 2.0]])
    assert TASK.said(Facts(component=1), values, None, ()).captions == ("number 1: 2",)
    assert TASK.said(Facts(component=1), values, None, ("x", "y")).captions == ("y: 2",)


def test_numbers_are_as_short_as_they_can_be():
    assert [number(each) for each in (38.21, 0.01234, 1.2e6, -3.0)] == ["38.2", "0.0123", "1.2e+06", "-3"]
    assert [signed(each) for each in (1.0, -1.0, 0.0, -0.0)] == ["+1", "-1", "+0", "+0"]


def test_half_precision_and_no_numbers_are_said():
    assert TASK.said(Facts(), SAID.bfloat16(), None, ()).captions == ("38.2", "20.0")
    assert TASK.said(Facts(), torch.full((1, 1), torch.nan), None, ()).captions == ("nan",)


def test_a_number_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="component=3: the answer has 1 number, 0 to 0"):
        TASK.chosen(Facts(component=3), "label", SAID, TRUE)


def test_a_number_that_is_missing_is_no_truth():
    found = Answer("regression", Facts(spread=2.0)).told(torch.tensor([[1.0], [2.0]]), torch.tensor([float("nan"), 1.0]), ())
    assert found.captions == ("1", "2 (true 1, +1)")
    assert found.numbers == {"answers/mean_error": 1.0}
    assert math.isnan(found.per_image["answers/error"][0])


def test_a_constant_target_is_not_the_farthest():
    values, truth = torch.tensor([[5.0, 1.0], [5.0, 2.0]]), torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    assert farthest(values, truth) == 1
    assert farthest(values, torch.tensor([[float("nan"), 1.0], [float("nan"), 3.0]])) == 1


def test_a_number_at_each_pixel_is_no_number():
    with pytest.raises(ValueError, match="numbers at each pixel: task='reconstruction' compares them with a picture"):
        Answer("regression").values(torch.zeros(2, 1, 4, 4))


def test_numbers_are_compared_as_they_meet_their_target_or_not_at_all():
    output, truth = torch.tensor([[0.0], [math.log(3.0)]]), torch.tensor([0.5, 0.5])
    behind = Answer("regression", Facts(change="sigmoid", spread=1.0))
    said = behind.told(behind.values(output), truth, ())
    assert said.captions == ("0.5 (true 0.5, +0)", "0.75 (true 0.5, +0.25)")
    other = Answer("regression", Facts(change="exp", spread=1.0))
    said = other.told(other.values(output), truth, ())
    assert (said.captions, dict(said.per_image), dict(said.numbers)) == (("0", "1.1"), {}, {})


def test_pictures_are_compared_as_they_meet_their_target_or_not_at_all():
    output, truth = torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)
    behind, other = (Answer("reconstruction", Facts(change=each)) for each in ("sigmoid", "tanh"))
    assert behind.told(behind.values(output), truth, ()).captions == ("error 0",)
    assert other.told(other.values(output), truth, ()).captions == ("",)
    assert other.kind.maps(other.facts, other.values(output), truth, (1, 1, 2, 2)) == {}
