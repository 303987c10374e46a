"""Reading class scores out of what a model returns, and the two scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from lightning_vis.model.scores import (
    PROBABILITIES,
    are_probabilities,
    class_scores,
    classes_of,
    describe,
    log_odds,
    logit,
    notes_of,
)

LOGITS = torch.tensor([[1.0, 2.0, -1.0], [0.0, 0.0, 3.0]])


def test_log_odds_are_those_of_the_softmax():
    for row, classes in enumerate(([0, 0], [1, 1], [2, 2])):
        p = torch.softmax(LOGITS, 1)[:, row]
        torch.testing.assert_close(log_odds(LOGITS, torch.tensor(classes)), torch.log(p / (1 - p)))


def test_log_odds_by_hand():
    # 1 - log(e^2 + e^-1) and 3 - log(e^0 + e^0)
    expected = [1 - math.log(math.exp(2) + math.exp(-1)), 3 - math.log(2)]
    assert log_odds(LOGITS, torch.tensor([0, 2])).tolist() == pytest.approx(expected)


def test_log_odds_of_a_sure_answer_stay_finite_and_keep_a_gradient():
    scores = torch.tensor([[200.0, -200.0]], requires_grad=True)
    value = log_odds(scores, torch.tensor([0]))
    value.sum().backward()
    assert value.item() == 400
    assert scores.grad.tolist() == [[1.0, -1.0]]


def test_logit_is_the_models_own_number():
    assert logit(LOGITS, torch.tensor([1, 2])).tolist() == [2, 3]


@dataclass
class ModelOutput:
    """As Hugging Face returns it."""

    logits: torch.Tensor
    loss: torch.Tensor


READABLE = {
    "tensor": LOGITS,
    "tuple": (LOGITS, torch.tensor(0.3)),
    "list with indices beside": [LOGITS, torch.tensor([1, 2])],
    "dict": {"out": LOGITS},
    "dict with a loss": {"loss": torch.tensor(0.3), "out": LOGITS},
    "dict with logits and features": {"features": torch.ones(2, 8), "logits": LOGITS},
    "dict with logits and others of their shape": {"aux": torch.ones(2, 3), "logits": LOGITS},
    "object": ModelOutput(LOGITS, torch.tensor(0.3)),
    "namespace": SimpleNamespace(logits=LOGITS, features=torch.ones(2, 3)),
    "with a map": (LOGITS, torch.ones(2, 8, 4, 4)),
}


@pytest.mark.parametrize("name", READABLE)
def test_outputs_that_hold_one_tensor_of_scores(name):
    assert torch.equal(class_scores(READABLE[name]), LOGITS)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_logit_is_two_classes(shape):
    z = torch.tensor([2.0, -1.0, 0.5]).reshape(shape)
    scores = class_scores(z)
    assert scores.shape == (3, 2)
    torch.testing.assert_close(scores.softmax(1)[:, 1], z.reshape(-1).sigmoid())
    torch.testing.assert_close(log_odds(z, torch.tensor([1, 1, 1])), z.reshape(-1))
    torch.testing.assert_close(log_odds(z, torch.tensor([0, 0, 0])), -z.reshape(-1))


def test_probabilities_are_noticed_and_their_logarithm_is_taken():
    p = LOGITS.softmax(1)
    assert are_probabilities(p)
    assert notes_of({"p": p}) == (PROBABILITIES,)
    torch.testing.assert_close(class_scores(p), p.log())
    torch.testing.assert_close(log_odds(p, torch.tensor([0, 2])), log_odds(LOGITS, torch.tensor([0, 2])))


def test_a_probability_of_zero_stays_finite():
    assert class_scores(torch.tensor([[1.0, 0.0]])).isfinite().all()


@pytest.mark.parametrize("scores", [LOGITS, -LOGITS.softmax(1), LOGITS.softmax(1) * 2, torch.ones(3, 1), LOGITS.log_softmax(1)])
def test_what_is_not_probabilities_is_left_as_it_is(scores):
    assert not are_probabilities(scores)
    if scores.shape[1] > 1:
        assert class_scores(scores) is scores


def test_probabilities_in_half_precision_are_noticed():
    assert are_probabilities(torch.randn(8, 1000).softmax(1).bfloat16())


def test_classes_of_each_target():
    labels = torch.tensor([2, 2], dtype=torch.int32)
    assert classes_of("predicted", LOGITS, labels).tolist() == [1, 2]
    assert classes_of("label", LOGITS, labels).tolist() == [2, 2]
    assert classes_of("label", LOGITS, None).tolist() == [1, 2]
    assert classes_of("runner_up", LOGITS, labels)[0].item() == 0
    assert classes_of(1, LOGITS, None).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("target", "labels", "message"),
    [
        (3, None, "class 3 was asked for, but the model gives scores for 3 classes"),
        (-1, None, "class -1 was asked for, but the model gives scores for 3 classes"),
        ("label", torch.tensor([0, 5]), "class 5 was asked for, but the model gives scores for 3 classes"),
        ("lable", None, "target='lable': expected one of 'predicted', 'label', 'runner_up' or a class index"),
    ],
)
def test_targets_that_there_are_not(target, labels, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        classes_of(target, LOGITS, labels)
    assert str(caught.value) == message


def test_describe_says_types_and_shapes():
    assert (
        describe({"a": LOGITS, "b": (LOGITS, 1)}) == "a dict with 'a': a tensor (2, 3), 'b': a tuple of a tensor (2, 3), a int"
    )
