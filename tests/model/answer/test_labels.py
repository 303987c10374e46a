"""Multilabel: each label by itself, the one that is explained, labels that nobody knows."""

from __future__ import annotations

import pytest
import torch

from lightning_vis.model.answer.answer import TASKS
from lightning_vis.model.answer.task import Facts

TASK = TASKS["multilabel"]
LOGITS = torch.tensor([[4.0, 3.8, -5.0, -5.0]])
HAS = torch.tensor([[1, 1, 0, 0]])
NAMES = ("cat", "dog", "bird", "fish")


def test_two_labels_that_are_right_are_both_shown_as_sure():
    said = TASK.said(Facts(), LOGITS, HAS, NAMES)
    assert (said.captions, said.wrong) == (("cat 0.98, dog 0.98",), (False,))
    torch.testing.assert_close(TASK.score(LOGITS, torch.tensor([0])), torch.tensor([4.0]))


def test_what_is_missed_and_what_is_only_said_stand_in_the_caption():
    said = TASK.said(Facts(), torch.tensor([[4.0, -0.8, 1.0, -5.0]]), HAS, NAMES)
    assert (said.captions, said.wrong) == (("cat 0.98, dog 0.31 missed, bird 0.73 wrong",), (True,))


def test_the_least_sure_present_and_the_surest_absent_label_are_chosen():
    values = torch.tensor([[4.0, 3.8, -5.0, -2.0], [1.0, 2.0, 3.0, 4.0], [0.1, 0.4, 0.3, 0.2]])
    truth = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    assert TASK.chosen(Facts(), "label", values, truth).tolist() == [1, 3, 0]
    assert TASK.chosen(Facts(), "absent", values, truth).tolist() == [3, 3, 0]
    assert TASK.first(Facts(), "label", values, truth).tolist() == [0, 0, 0]
    assert TASK.first(Facts(), "absent", values, truth).tolist() == [2, 0, 0]


def test_a_label_that_nobody_knows_is_neither_wrong_nor_absent():
    truth = torch.tensor([[1, -1, 0, -1]])
    said = TASK.said(Facts(), torch.tensor([[4.0, 3.0, -5.0, -9.0]]), truth, NAMES)
    assert (said.captions, said.wrong) == (("cat 0.98, dog 0.95",), (False,))
    assert TASK.chosen(Facts(), "absent", torch.tensor([[4.0, 3.0, -5.0, -9.0]]), truth).tolist() == [2]
    assert TASK.first(Facts(), "absent", torch.zeros(1, 4), torch.tensor([[1, -1, -1, 0]])).tolist() == [3]
    assert TASK.said(Facts(), LOGITS, -torch.ones(1, 4), NAMES).wrong == (None,)


def test_one_class_for_each_image_is_one_label():
    assert TASK.chosen(Facts(), "label", LOGITS, torch.tensor([2])).tolist() == [2]
    assert TASK.said(Facts(), torch.tensor([[2.0], [2.0]]), torch.tensor([1, 0]), ("cat",)).wrong == (False, True)


@pytest.mark.parametrize("truth", [torch.tensor([9]), torch.ones(1, 7)])
def test_other_labels_than_the_answer_has_are_refused(truth):
    for ask in (lambda: TASK.said(Facts(), LOGITS, truth, ()), lambda: TASK.chosen(Facts(), "label", LOGITS, truth)):
        with pytest.raises(ValueError, match="was asked for|expected one label for each number of an image"):
            ask()


def test_probabilities_are_read_back_as_logits_finite_at_both_ends():
    values = TASK.values(Facts(probabilities=True), torch.tensor([[0.0, 1.0, 0.75]]))
    assert values.isfinite().all()
    torch.testing.assert_close(values[0, 2].exp(), torch.tensor(3.0))


def test_half_precision_answers_are_said_too():
    assert TASK.said(Facts(), LOGITS.bfloat16(), HAS, NAMES).captions == ("cat 0.98, dog 0.98",)


def test_refusals():
    with pytest.raises(ValueError, match=r"task='multilabel': expected logits \(N, labels\)"):
        TASK.values(Facts(), torch.zeros(4))
    with pytest.raises(ValueError, match="expected 'label', 'absent' or the index of a label"):
        TASK.chosen(Facts(), "best", LOGITS, HAS)


def test_of_an_image_whose_one_label_nobody_knows_nothing_is_wrong():
    values = torch.tensor([[2.0, -1.0], [2.0, -1.0]])
    said = TASK.said(Facts(), values, torch.tensor([-100, 1]), ("cat", "dog"))
    assert said.captions == ("cat 0.88", "dog 0.27 missed, cat 0.88 wrong")
    assert said.wrong == (None, True)


def test_the_most_probable_labels_have_probabilities_of_their_own():
    (top,) = TASK.said(Facts(), LOGITS, HAS, NAMES).top
    assert list(top) == [(0, pytest.approx(0.982, abs=1e-3)), (1, pytest.approx(0.978, abs=1e-3))]
