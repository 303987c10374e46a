"""Segmentation: IoU and score by slow loops, ignored pixels, one logit, sigmoids, images without an object."""

from __future__ import annotations

import pytest
import torch

from lightning_vis.model.answer.answer import TASKS, Answer
from lightning_vis.model.answer.task import Facts
from lightning_vis.probe.truth import truth_of

TASK, CLASSES = TASKS["segmentation"], 3


def scores(seed=0, channels=CLASSES):
    return torch.randn(4, channels, 5, 5, generator=torch.Generator().manual_seed(seed))


def maps(seed=1):
    return torch.randint(0, CLASSES, (4, 5, 5), generator=torch.Generator().manual_seed(seed))


def slow(image, truth):
    """IoU and mean log-odds of the largest foreground class, pixel by pixel."""
    pixels = [(row, column) for row in range(5) for column in range(5) if truth[row, column] != 255]
    one = max(range(1, CLASSES), key=lambda each: sum(int(truth[at]) == each for at in pixels))
    is_true = [int(truth[at]) == one for at in pixels]
    is_said = [int(image[(slice(None), *at)].argmax()) == one for at in pixels]
    iou = sum(a and b for a, b in zip(is_true, is_said, strict=True)) / sum(
        a or b for a, b in zip(is_true, is_said, strict=True)
    )
    shares = [image[(slice(None), *at)].double().softmax(0)[one] for at, own in zip(pixels, is_true, strict=True) if own]
    return iou, float(torch.stack([(share / (1 - share)).log() for share in shares]).mean())


@pytest.mark.parametrize("ignored", [False, True])
def test_iou_and_score_agree_with_slow_loops(ignored):
    output, truth = scores(), maps()
    if ignored:
        truth[:, 2:, 1:4] = 255
    values = TASK.values(Facts(), output)
    found = TASK.score(values, TASK.chosen(Facts(), "label", values, truth))
    expected = [slow(*each) for each in zip(output, truth, strict=True)]
    said = TASK.said(Facts(), values, truth, ())
    torch.testing.assert_close(said.per_image["answers/iou"], torch.tensor([iou for iou, _ in expected]))
    torch.testing.assert_close(found, torch.tensor([score for _, score in expected]), atol=1e-4, rtol=1e-4)
    assert said.wrong == tuple(iou < 0.5 for iou, _ in expected)


def test_one_logit_per_pixel_is_its_own_log_odds():
    z = torch.full((1, 1, 2, 2), -3.0)
    z[0, 0, 0] = 2.0
    values, truth = TASK.values(Facts(), z), torch.tensor([[[1, 1], [0, 0]]])
    torch.testing.assert_close(TASK.score(values, TASK.chosen(Facts(), "label", values, truth)), torch.tensor([2.0]))
    assert TASK.said(Facts(), values, truth, ("ground", "lung")).captions == ("lung, IoU 1.00",)


def test_sigmoid_masks_overlap_and_have_no_background():
    values = torch.full((1, 2, 2, 2), 4.0)
    values[0, 1, 0] = -4.0
    truth = torch.ones(1, 2, 2, 2)
    truth[0, 1, 0] = 0
    facts = Facts(is_sigmoid=True)
    assert TASK.said(facts, TASK.values(facts, values), truth, ("a", "b")).captions == ("a, IoU 1.00",)


def test_an_image_without_an_object_is_right_where_nothing_is_said():
    values = torch.full((2, 2, 3, 3), -1.0)
    values[0, 0], values[1, 1] = 1.0, 1.0
    said = TASK.said(Facts(), values, torch.zeros(2, 3, 3, dtype=torch.long), ())
    assert (said.captions, said.wrong) == (("nothing", "class 1 where nothing is"), (False, True))
    assert said.per_image["answers/iou"].isnan().all()
    assert said.numbers == {}


def test_of_pixels_that_are_all_ignored_nothing_is_known():
    truth = torch.full((4, 5, 5), 255)
    said = TASK.said(Facts(), scores(), truth, ())
    assert said.captions == TASK.said(Facts(), scores(), None, ()).captions
    assert said.wrong == (None,) * 4
    assert TASK.truth(Facts(), truth, ()) == ("",) * 4


def test_label_maps_of_another_size_are_compared_at_their_own():
    values, truth = torch.zeros(1, 2, 2, 2), torch.zeros(1, 4, 4, dtype=torch.long)
    values[0, 1, 0], truth[0, :2] = 5.0, 1
    assert TASK.said(Facts(), values, truth, ()).captions == ("class 1, IoU 1.00",)


def test_a_class_that_the_answer_has_not_is_no_other_class():
    with pytest.raises(ValueError, match="the label maps have class 7, but the model gives scores for 3 classes"):
        TASK.said(Facts(), scores(), torch.full((4, 5, 5), 7), ())


@pytest.mark.parametrize("channels", [1, 3])
def test_probabilities_of_exactly_zero_and_one_are_finite(channels):
    output = torch.zeros(1, channels, 2, 2)
    output[:, -1] = 1.0
    assert TASK.values(Facts(probabilities=True), output).isfinite().all()


def test_refusals():
    values = TASK.values(Facts(), scores())
    with pytest.raises(ValueError, match="expected scores of classes at each pixel"):
        TASK.values(Facts(), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="expected 'label', 'predicted' or a class index"):
        TASK.chosen(Facts(), "runner_up", values, None)
    with pytest.raises(ValueError, match="class 9 was asked for"):
        TASK.chosen(Facts(), 9, values, None)


def test_an_image_of_which_nothing_is_known_is_not_judged():
    values, truth = torch.zeros(3, 2, 2, 2), torch.zeros(3, 2, 2, dtype=torch.long)
    values[:, 1] = 1.0
    truth[0], truth[1, 0] = 255, 255
    found = Answer("segmentation").told(values, truth, ())
    assert found.wrong == (None, True, True)
    assert found.captions[0] == "class 1"


def test_masks_as_picture_files_have_them():
    maps = torch.zeros(2, 4, 4, dtype=torch.uint8)
    maps[:, :2] = 255
    assert truth_of(maps, torch.zeros(2, 3, 4, 4)).unique().tolist() == [0, 1]
    maps[0, 3, 3] = 1  # a class beside it: 255 is none
    assert truth_of(maps, torch.zeros(2, 3, 4, 4)).unique().tolist() == [0, 1, 255]


def test_masks_that_overlap_are_no_classes_of_which_each_pixel_has_one():
    answer, values = Answer("segmentation"), torch.randn(2, 3, 4, 4)
    overlapping = torch.ones(2, 3, 4, 4)
    with pytest.raises(ValueError, match=r"one of 3 classes at each pixel, and the masks \(2, 3, 4, 4\) overlap"):
        answer.told(values, overlapping, ())
    with pytest.raises(ValueError, match="overlap"):
        answer.kind.chosen(answer.facts, "label", values, overlapping)
    assert answer.told(values, torch.nn.functional.one_hot(values.argmax(1), 3).movedim(-1, 1), ()).wrong == (False, False)
    assert len(Answer("segmentation", Facts(is_sigmoid=True)).told(values, overlapping, ()).wrong) == 2
