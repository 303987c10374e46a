"""Embedding: near to its like, by a slow loop; gradients by finite differences; images without a label."""

from __future__ import annotations

import pytest
import torch

from lightning_vis.model.answer.answer import TASKS
from lightning_vis.model.answer.embedding import references
from lightning_vis.model.answer.task import Facts

TASK = TASKS["embedding"]
VALUES = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.double)
COPIES = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.double)
LABELS = torch.tensor([0, 1, 0, 2, 0])


def slow(row):
    one = [each / each.norm() for each in VALUES]
    like = [one[at] for at in range(5) if at != row and LABELS[at] == LABELS[row]]
    mean = torch.stack(like).mean(0) if like else COPIES[row]
    return float(one[row] @ (mean / mean.norm()))


def test_the_score_is_the_cosine_to_the_mean_of_the_others():
    found = TASK.score(VALUES, references(VALUES, COPIES, LABELS))
    torch.testing.assert_close(found, torch.tensor([slow(row) for row in range(5)], dtype=torch.double))


def test_gradients_agree_with_finite_differences_and_stay_in_their_row():
    near = references(VALUES, COPIES, LABELS)
    assert torch.autograd.gradcheck(lambda values: TASK.score(values, near), VALUES.clone().requires_grad_())
    slopes = torch.autograd.functional.jacobian(lambda values: TASK.score(values, near), VALUES)
    assert all(bool((slopes[row, other] == 0).all()) for row in range(5) for other in range(5) if row != other)


def test_images_that_nobody_labelled_are_not_alike():
    labels = torch.tensor([-1, -1, 0, 0, -100])
    near = references(VALUES, COPIES, labels)
    torch.testing.assert_close(near[[0, 1, 4]], torch.nn.functional.normalize(COPIES, dim=1)[[0, 1, 4]])
    assert TASK.truth(Facts(), labels, ()) == ("", "", "class 0", "class 0", "")


def test_the_nearest_is_counted_from_one_and_wrong_where_it_has_another_label():
    values = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    said = TASK.said(Facts(), values, torch.tensor([0, 1, 0]), ())
    assert said.captions == ("nearest: image 3, 0.80", "nearest: image 3, 0.60", "nearest: image 1, 0.80")
    assert said.wrong == (False, True, False)
    assert TASK.said(Facts(), values, torch.tensor([0, -1, 0]), ()).wrong == (False, None, False)
    assert TASK.said(Facts(), values, None, ()).wrong == (None,) * 3


def test_an_image_without_numbers_is_nobodys_nearest():
    said = TASK.said(Facts(), torch.tensor([[1.0, 0.0], [torch.nan, 1.0], [0.8, 0.6]]), LABELS[:3], ())
    assert said.captions == ("nearest: image 3, 0.80", "nothing to compare with", "nearest: image 1, 0.80")
    assert said.wrong == (False, None, False)


def test_one_image_has_nothing_to_compare_with():
    assert TASK.said(Facts(), VALUES[:1], LABELS[:1], ()).captions == ("nothing to compare with",)


def test_refusals():
    with pytest.raises(ValueError, match="target=1: an embedding is explained by its nearness to its like, target='label'"):
        TASK.chosen(Facts(), 1, VALUES, None)
    with pytest.raises(ValueError, match=r"expected a vector for each image, \(N, D\)"):
        TASK.values(Facts(), torch.zeros(3))


def test_a_vector_that_is_no_number_is_no_like():
    """It would take all other images of its label along."""
    values = VALUES.clone()
    values[2] = float("nan")
    near = references(values, COPIES, LABELS)
    torch.testing.assert_close(near[0], VALUES[4] / VALUES[4].norm())
