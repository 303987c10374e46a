"""Multiclass and binary: log-odds by hand, the words of yes and no, soft and unknown labels."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_vis.model.answer.answer import TASKS, Answer
from lightning_vis.model.answer.task import Facts

BINARY, MULTICLASS = TASKS["binary"], TASKS["multiclass"]
Z = torch.tensor([2.0, -1.0, 0.5])


def test_the_score_of_a_binary_answer_is_its_logit_or_minus_it():
    values = BINARY.values(Facts(), Z[:, None])
    torch.testing.assert_close(BINARY.score(values, torch.tensor([1, 1, 0])), torch.tensor([2.0, -1.0, -0.5]))


@pytest.mark.parametrize("labels", [torch.tensor([1, 1, 0]), torch.tensor([[0.9], [1.0], [0.1]])])
def test_a_binary_answer_is_wrong_where_its_sign_is_against_the_label_also_a_soft_one(labels):
    said = BINARY.said(Facts(), BINARY.values(Facts(), Z), labels, ())
    assert said.captions == ("yes 0.88", "no 0.73", "yes 0.62")
    assert said.wrong == (False, True, True)


def test_a_label_that_is_neither_no_nor_yes_makes_nothing_wrong():
    assert BINARY.said(Facts(), BINARY.values(Facts(), Z), torch.tensor([-1, -100, 7]), ()).wrong == (None,) * 3


def test_where_nobody_knows_real_from_fake_there_is_one_word():
    said = BINARY.said(Facts(words=("fake", "real")), BINARY.values(Facts(), Z), None, ())
    assert (said.captions, said.wrong) == (("real 0.88", "real 0.27", "real 0.62"), (None,) * 3)


def test_log_odds_of_a_class_by_hand():
    values = MULTICLASS.values(Facts(), torch.tensor([[2.0, 1.0, 0.0]]))
    expected = 1.0 - math.log(math.exp(2.0) + math.exp(0.0))
    torch.testing.assert_close(MULTICLASS.score(values, torch.tensor([1])), torch.tensor([expected]))


def test_the_probability_of_the_label_is_a_number_of_each_image():
    values = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    shares = MULTICLASS.said(Facts(), values, torch.tensor([1, 0]), ()).per_image["answers/label"]
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.75]))


@pytest.mark.parametrize("probabilities", [True, None])
def test_probabilities_of_exactly_zero_and_one_are_finite(probabilities):
    found = MULTICLASS.values(Facts(probabilities=probabilities), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    assert MULTICLASS.score(found, torch.tensor([0, 0])).isfinite().all()
    sure = BINARY.values(Facts(probabilities=True), torch.tensor([0.0, 1.0]))
    assert BINARY.score(sure, torch.tensor([0, 1])).isfinite().all()


def test_classes_that_the_answer_has_not_are_refused():
    with pytest.raises(ValueError, match="class 5 was asked for, but the model gives scores for 2 classes"):
        MULTICLASS.chosen(Facts(), "label", torch.zeros(1, 2), torch.tensor([5]))


def test_an_answer_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"task='binary': expected one number for each image, \(N,\) or \(N, 1\)"):
        BINARY.values(Facts(), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"task='multiclass': expected scores \(N, classes\) of at least two classes"):
        MULTICLASS.values(Facts(head=()), torch.zeros(2, 1))


def test_a_number_between_two_classes_is_none():
    with pytest.raises(ValueError, match="expected labels that are classes, whole numbers; got 0.7"):
        TASKS["multiclass"].chosen(Facts(), "label", torch.zeros(2, 3), torch.tensor([0.7, 1.0]))


UNKNOWN = [torch.tensor([-1, 1, 0]), torch.tensor([-100.0, 1.0, 0.0]), torch.tensor([math.nan, 1.0, 0.0])]


@pytest.mark.parametrize("truth", UNKNOWN)
def test_labels_that_nobody_knows_are_neither_right_nor_wrong(truth):
    values = torch.tensor([[0.0, math.log(3.0)]]).repeat(3, 1)
    said = MULTICLASS.said(Facts(), values, truth, ())
    assert said.wrong == (None, False, True)
    torch.testing.assert_close(said.per_image["answers/label"], torch.tensor([math.nan, 0.75, 0.25]), equal_nan=True)
    assert MULTICLASS.chosen(Facts(), "label", values, truth).tolist() == [1, 1, 0]  # of the first the predicted one
    assert MULTICLASS.truth(Facts(), truth, ("cat", "dog")) == ("", "dog", "cat")
    binary = BINARY.said(Facts(), BINARY.values(Facts(), Z), truth, ())
    assert binary.wrong == (None, True, True)
    assert BINARY.truth(Facts(), truth, ()) == ("", "yes", "no")


def test_where_all_classes_are_known_no_words_are_needed():
    assert MULTICLASS.truth(Facts(), torch.tensor([0, 1]), ("cat", "dog")) == ()
    assert MULTICLASS.said(Facts(), torch.zeros(2, 2), torch.tensor([0, 1]), ()).wrong == ()


def test_one_probability_is_that_of_the_second_of_two_classes():
    found = MULTICLASS.values(Facts(probabilities=True), torch.tensor([[0.75], [0.25]]))
    torch.testing.assert_close(found.softmax(1)[:, 1], torch.tensor([0.75, 0.25]))


def test_of_classes_with_a_sigmoid_each_the_probability_is_the_sigmoid_and_the_score_the_own_logit():
    kind = Answer("multiclass", Facts(is_sigmoid=True)).kind
    values = torch.tensor([[math.log(3.0), 0.0, 5.0], [math.log(3.0), 0.0, -1.0]])
    said = kind.said(Facts(is_sigmoid=True), values, torch.tensor([0, 0]), ())
    torch.testing.assert_close(said.probability[1], torch.tensor(0.75))
    torch.testing.assert_close(said.per_image["answers/label"], torch.tensor([0.75, 0.75]))
    assert kind.score(values, torch.tensor([2, 0])).tolist() == [5.0, pytest.approx(math.log(3.0))]


def test_the_most_probable_classes_come_surest_first_and_none_that_is_as_good_as_ruled_out():
    values = 4 * torch.randn(20, 9, generator=torch.Generator().manual_seed(0))
    said = MULTICLASS.said(Facts(), values, None, ())
    for top, shares, predicted in zip(said.top, values.softmax(1), said.predicted.tolist(), strict=True):
        order = sorted(range(9), key=lambda at: -float(shares[at]))[:5]
        assert list(top) == [(at, pytest.approx(float(shares[at]))) for at in order if shares[at] >= 0.01]
        assert top[0][0] == predicted


def test_of_an_answer_that_is_no_number_no_class_is_probable():
    values = torch.tensor([[1.0, 2.0, 3.0], [math.nan, 0.0, 0.0]])
    assert [len(each) for each in Answer("multiclass").told(values, None, ()).top] == [3, 0]
