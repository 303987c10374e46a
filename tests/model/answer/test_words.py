"""What each task says and explains: numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_vis.model.answer.answer import CLASSES, TASKS, Answer
from lightning_vis.model.answer.task import Facts
from lightning_vis.model.answer.words import Words, place_of


def said(answer, output, truth=None, names=()):
    values = answer.values(output)
    return answer.kind.said(answer.facts, values, truth, names)


def score(answer, output, target, truth=None):
    values = answer.values(output)
    return answer.kind.score(values, answer.kind.chosen(answer.facts, target, values, truth))


def test_two_labels_that_are_there_are_both_there():
    output, truth = torch.tensor([[4.0, 3.8, -5.0, -5.0]]), torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    found = said(Answer("multilabel"), output, truth, ["cat", "dog", "hen", "cow"])
    assert found.captions == ("cat 0.98, dog 0.98",)
    assert found.wrong == (False,)
    assert score(Answer("multilabel"), output, "label", truth).tolist() == pytest.approx(
        [3.8]
    )  # the least sure of those present
    assert score(Answer("multilabel"), output, "absent", truth).tolist() == [-5.0]
    assert score(Answer("multilabel"), output, 0, truth).tolist() == [4.0]  # its own logit, whatever the others are


def test_what_is_missed_and_what_is_wrong_stands_in_the_caption():
    output, truth = torch.tensor([[2.0, -1.0, 1.0], [-3.0, -2.0, -4.0]]), torch.tensor([[1, 1, 0], [0, 0, 0]])
    found = said(Answer("multilabel"), output, truth, ["cat", "dog", "hen"])
    assert found.captions == ("cat 0.88, dog 0.27 missed, hen 0.73 wrong", "none (most dog 0.12)")
    assert found.wrong == (True, False)
    assert said(Answer("multilabel"), output).wrong == (None, None)


def test_one_logit_is_yes_or_no():
    found = said(Answer("binary"), torch.tensor([[2.0], [-1.0]]), torch.tensor([1, 1]))
    assert found.captions == ("yes 0.88", "no 0.73")
    assert found.wrong == (False, True)
    assert score(Answer("binary"), torch.tensor([[2.0], [-1.0]]), 1).tolist() == [2.0, -1.0]
    assert said(Answer("binary"), torch.tensor([2.0]), None, ["cat", "dog"]).captions == ("dog 0.88",)


def test_of_a_discriminator_nobody_knows_what_is_right():
    found = said(Answer("binary", Facts(words=("fake", "real"))), torch.tensor([[-0.4], [1.0]]))
    assert (found.captions, found.wrong) == (("real 0.40", "real 0.73"), (None, None))


def test_a_grade_is_the_number_of_thresholds_passed():
    output, truth = torch.tensor([[3.0, 1.0, 0.5, -2.0], [-1.0, -2.0, -3.0, -4.0]]), torch.tensor([4, 0])
    found = said(Answer("ordinal"), output, truth)
    assert found.captions == ("grade 3 (true 4)", "grade 0 (true 0)")
    assert found.wrong == (True, False)
    assert found.numbers == {"answers/mean_distance": 0.5}
    assert score(Answer("ordinal"), output, "label").tolist() == [0.625, -2.5]
    levels = (truth[:, None] > torch.arange(4)).float()
    assert said(Answer("ordinal"), output, levels).captions == found.captions


def test_a_number_has_its_unit_and_no_probability():
    answer = Answer("regression", Facts(spread=14.0), "years")
    found = said(answer, torch.tensor([[38.2], [60.0]]), torch.tensor([41.0, 58.0]))
    assert found.captions == ("38.2 (true 41.0, -2.8)", "60.0 (true 58.0, +2)")
    assert (found.wrong, found.predicted, found.probability) == ((None, None), None, None)
    assert found.per_image["answers/error"].tolist() == pytest.approx([-0.2, 2 / 14])
    assert found.numbers["answers/mean_error"] == pytest.approx(2.4)
    assert answer.score_unit == "years"


def test_of_several_numbers_the_one_farthest_off_is_explained_or_the_one_that_is_named():
    output, truth = torch.tensor([[1.0, 5.0], [2.0, 5.0]]), torch.tensor([[1.0, 50.0], [2.0, 54.0]])
    assert score(Answer("regression"), output, "label", truth).tolist() == [5.0, 5.0]
    assert score(Answer("regression", Facts(component=0)), output, "label", truth).tolist() == [1.0, 2.0]
    named = said(Answer("regression", Facts(component=1)), output, truth, ["x", "y"])
    assert named.captions[0] == "y: 5 (true 50.0, -45.0)"
    with pytest.raises(ValueError, match="component=2: the answer has 2 numbers, 0 to 1"):
        score(Answer("regression", Facts(component=2)), output, "label", truth)


def slow_iou(predicted, true):
    both = sum(p and t for p, t in zip(predicted.flatten().tolist(), true.flatten().tolist(), strict=True))
    either = sum(p or t for p, t in zip(predicted.flatten().tolist(), true.flatten().tolist(), strict=True))
    return both / either


def test_a_segmentation_is_judged_over_its_largest_true_object():
    torch.manual_seed(0)
    output = torch.randn(2, 3, 4, 4)
    truth = torch.zeros(2, 4, 4, dtype=torch.long)
    truth[0, :2], truth[0, 3, 0], truth[0, 3, 3], truth[1, 1:3, 1:3] = 2, 1, 255, 1
    answer = Answer("segmentation")
    found = said(answer, output, truth, ["nothing", "cat", "dog"])
    for at, which in ((0, 2), (1, 1)):
        iou = slow_iou(output[at].argmax(0) == which, truth[at] == which)
        assert found.captions[at] == f"{['', 'cat', 'dog'][which]}, IoU {iou:.2f}"
        assert found.wrong[at] == (iou < 0.5)
        odds = [
            float(output[at, which, y, x]) - math.log(sum(math.exp(output[at, c, y, x]) for c in range(3) if c != which))
            for y in range(4)
            for x in range(4)
            if truth[at, y, x] == which
        ]
        assert float(score(answer, output, "label", truth)[at]) == pytest.approx(sum(odds) / len(odds), rel=1e-4)


def test_one_logit_for_each_pixel_and_images_without_an_object():
    output = torch.full((2, 1, 3, 3), -4.0)
    output[0, 0, :2] = 4.0
    truth = torch.zeros(2, 1, 3, 3)
    truth[0, 0, :2] = 1
    found = said(Answer("segmentation"), output, truth)
    assert found.captions == ("class 1, IoU 1.00", "nothing")
    assert found.wrong == (False, False)
    assert said(Answer("segmentation"), -output, truth).captions[1] == "class 1 where nothing is"


def test_masks_that_are_a_yes_or_no_each():
    output = torch.full((1, 3, 4, 4), -3.0)
    output[0, 1, :, :3] = output[0, 0, 0, 0] = 3.0
    truth = (output > 0).float()
    found = said(Answer("segmentation", Facts(is_sigmoid=True)), output, truth)
    assert found.captions == ("class 1, IoU 1.00",)
    assert score(Answer("segmentation", Facts(is_sigmoid=True)), output, "label", truth).tolist() == [3.0]


def test_the_nearest_of_embeddings():
    output = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    found = said(Answer("embedding"), output, torch.tensor([0, 1, 1]))
    assert found.captions[0] == f"nearest: image 2, {0.9 / math.hypot(0.9, 0.1):.2f}"
    assert found.wrong == (True, True, False)
    assert said(Answer("embedding"), output).wrong == (None, None, None)


def test_an_error_is_a_mean_of_squares_and_its_map_their_mean_over_channels():
    picture, made = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    made[0, 0, 0, 0], made[0, 1, 0, 0] = 2.0, 1.0
    answer = Answer("reconstruction")
    found = said(answer, made, picture)
    assert (found.captions, found.wrong) == (("error 0.625",), (None,))
    maps = answer.kind.maps(answer.facts, made, picture, picture.shape)
    assert maps["error"].tolist() == [[[2.5, 0.0], [0.0, 0.0]]]
    assert answer.kind.score is None


def test_an_unknown_answer_claims_nothing():
    answer = Answer()
    with pytest.raises(ValueError, match="what the output means is not known: task= says it, or score="):
        answer.values(torch.zeros(2, 3))
    assert (answer.kind.score, answer.kind.twins, answer.score_unit) == (None, None, "")


@pytest.mark.parametrize("task", ["binary", "multilabel", "multiclass"])
def test_probabilities_of_exactly_zero_and_one_are_finite(task):
    answer = Answer(task, Facts(head=(), probabilities=True))
    output = torch.tensor([[0.0, 1.0], [1.0, 0.0]]) if task != "binary" else torch.tensor([[0.0], [1.0]])
    assert answer.values(output).isfinite().all()


@pytest.mark.parametrize("task", TASKS)
def test_an_answer_comes_back_from_a_checkpoint_as_it_was(task):
    answer = Answer(task, Facts(head=("a", 0), component=1, spread=2.0, words=("fake", "real")), "years", "Reads it.")
    assert Answer.from_state(answer.state()) == answer
    assert repr(Answer.from_state(CLASSES.state())) == repr(CLASSES)  # NaN is not itself


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"task": "classes"}, "task='classes': expected one of 'binary', 'multiclass', 'multilabel'"),
        ({"head": 1.5}, "head=1.5: expected a key, an index, or 'a.b' for one within another"),
        ({"component": -1}, "component=-1: expected which of the numbers is explained, 0 for the first"),
        ({"unit": 3}, "unit=3: expected a word, like 'years'"),
    ],
)
def test_words_that_are_none(arguments, sentence):
    with pytest.raises((ValueError, TypeError), match="^" + sentence.replace("'a.b'", "'a.b'")):
        Words(**arguments)


def test_a_place_is_written_with_dots():
    assert place_of("targets.age", "head") == ("targets", "age")
    assert (place_of(1, "head"), place_of("out.0", "head"), place_of(None, "head")) == ((1,), ("out", 0), None)


@pytest.mark.parametrize(
    ("head", "output"),
    [("scores", {"scores": torch.ones(2, 3), "more": torch.zeros(2)}), (1, (torch.zeros(2), torch.ones(2, 3)))],
)
def test_a_head_is_found_and_one_that_is_not_there_is_said(head, output):
    answer = Words("multilabel", head).over(CLASSES)
    assert answer.values(output).shape == (2, 3)
    with pytest.raises(ValueError, match="head=.*there is no output.*nothing.*: output is a (dict|tuple)"):
        Words("multilabel", "nothing").over(CLASSES).values(output)
    with pytest.raises(ValueError, match="which tensor is its answer is not known: name it with head="):
        Words("multilabel").over(CLASSES).values(output)
