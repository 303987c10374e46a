"""Reconstruction and numbers at each pixel: the error map by hand."""

from __future__ import annotations

import pytest
import torch

from lightning_vis.model.answer.answer import TASKS, Answer
from lightning_vis.model.answer.task import Facts

TASK, DENSE = TASKS["reconstruction"], Answer("regression", Facts(is_dense=True)).kind


def test_errors_by_hand():
    truth, values = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    values[0, 0, 0, 1], values[0, 1, 0, 1] = 2.0, 4.0
    torch.testing.assert_close(
        TASK.maps(Facts(), values, truth, truth.shape)["error"], torch.tensor([[[0.0, 10.0], [0.0, 0.0]]])
    )
    said = TASK.said(Facts(), values, truth, ())
    assert (said.captions, said.wrong) == (("error 2.5",), (None,))
    assert said.numbers == {"answers/mean_squared_error": pytest.approx(2.5)}


def test_flat_answers_are_pictures_again():
    truth = torch.arange(12.0).reshape(1, 3, 2, 2)
    found = TASK.maps(Facts(), truth.reshape(1, 12) + 1, truth, truth.shape)["error"]
    torch.testing.assert_close(found, torch.ones(1, 2, 2))


def test_depth_of_images_in_colour_has_a_map():
    truth = torch.zeros(2, 4, 4)
    found = DENSE.maps(Facts(), torch.full((2, 1, 4, 4), 3.0), truth, (2, 3, 4, 4))["error"]
    torch.testing.assert_close(found, torch.full((2, 4, 4), 9.0))


@pytest.mark.parametrize("values", [torch.zeros(1, 3, 2, 2), torch.zeros(1, 4, 4, 3)])
def test_what_cannot_be_compared_is_not(values):
    truth = torch.zeros(1, 3, 4, 4)
    assert TASK.maps(Facts(), values, truth, truth.shape) == {}
    assert TASK.said(Facts(), values, truth, ()).captions == ("",)


def test_nothing_is_explained():
    assert TASK.score is None
    assert DENSE.score is None
