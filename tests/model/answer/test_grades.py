"""Ordinal: the grade is counted, the distance is a mean over those that are known."""

from __future__ import annotations

import pytest
import torch

from lightning_vis.model.answer.answer import TASKS, Answer
from lightning_vis.model.answer.grades import grades_in
from lightning_vis.model.answer.task import Facts

TASK = TASKS["ordinal"]
LOGITS = torch.tensor([[3.0, 1.0, -2.0], [2.0, 1.0, 0.5], [-1.0, -2.0, -3.0]])


def test_grade_distance_and_score_by_hand():
    said = TASK.said(Facts(), LOGITS, torch.tensor([2, 1, 2]), ())
    assert said.captions == ("grade 2 (true 2)", "grade 3 (true 1)", "grade 0 (true 2)")
    assert (said.wrong, said.numbers) == ((False, True, True), {"answers/mean_distance": pytest.approx(4 / 3)})
    torch.testing.assert_close(TASK.score(LOGITS, torch.zeros(3)), torch.tensor([2 / 3, 3.5 / 3, -2.0]))


def test_grades_as_levels_are_counted():
    levels = torch.tensor([[1.0, 1, 0], [1, 0, 0], [1, 1, 0]])
    assert TASK.said(Facts(), LOGITS, levels, ()).captions == TASK.said(Facts(), LOGITS, torch.tensor([2, 1, 2]), ()).captions


def test_a_grade_that_nobody_knows_counts_nowhere():
    said = TASK.said(Facts(), LOGITS, torch.tensor([-1, 1, -100]), ("none", "mild", "bad", "worst"))
    assert said.captions == ("grade bad", "grade worst (true mild)", "grade none")
    assert (said.wrong, said.numbers) == ((None, True, None), {"answers/mean_distance": 2.0})
    assert TASK.said(Facts(), LOGITS, torch.full((3,), -1), ()).numbers == {}
    assert TASK.truth(Facts(), torch.tensor([-1, 1]), ()) == ("", "grade 1")


def test_the_expected_grade_is_a_share_of_the_highest():
    torch.testing.assert_close(TASK.twins(Facts(), torch.tensor([[0.0, 0.0]])), torch.tensor([[0.5, 0.5]]))


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"task='ordinal': expected cumulative logits \(N, grades - 1\)"):
        TASK.values(Facts(), torch.zeros(3))


def test_labels_as_they_may_be_given():
    assert grades_in(torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 0]]), 3).tolist() == [1, 2, 0]
    assert grades_in(torch.tensor([[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]), 3).tolist() == [0, 3, 1]  # one-hot
    assert grades_in(torch.tensor([[0.0], [2.0]]), 3).tolist() == [0, 2]
    assert grades_in(torch.tensor([-1, 3]), 3).tolist() == [-1, 3]
    assert grades_in(torch.tensor([float("nan"), 3.0]), 3).tolist() == [-1, 3]
    assert grades_in(torch.tensor([[1, -1, -1], [1, 1, 0]]), 3).tolist() == [-1, 2]  # of the first nobody knows the others


@pytest.mark.parametrize(
    ("truth", "sentence"),
    [
        (torch.tensor([0, 4]), "there is a label 4, but the answer has the grades 0 to 3"),
        (torch.zeros(2, 5, 5), r"expected labels that are grades \(N,\), levels \(N, grades - 1\)"),
        (torch.tensor([[1, 0, 1]]), "expected labels that are grades"),
        (torch.tensor([0.5, 1.0]), "expected labels that are grades, whole numbers; got 0.5"),
        (torch.tensor([[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0]]), r"or one-hot; got \(2, 6\)"),
    ],
)
def test_labels_that_are_no_grades_are_refused(truth, sentence):
    with pytest.raises(ValueError, match=sentence):
        Answer("ordinal").told(torch.randn(len(truth), 3), truth, ())
