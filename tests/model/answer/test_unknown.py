"""Unknown claims nothing; heads, words and states of an answer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from lightning_vis.model.answer.answer import TASKS, Answer
from lightning_vis.model.answer.output import answer_of
from lightning_vis.model.answer.task import Facts
from lightning_vis.model.answer.words import Words, place_of

X = torch.tensor([[1.0, 2.0]])


def test_unknown_says_nothing():
    said = TASKS["unknown"].said(Facts(), torch.zeros(2, 3), torch.tensor([0, 1]), ("a", "b"))
    assert (said.captions, said.wrong) == (("", ""), (None, None))
    assert (said.predicted, said.probability, said.per_image, said.numbers) == (None, None, {}, {})
    with pytest.raises(ValueError, match="task= says it, or score= names the number"):
        Answer().values(X)


@pytest.mark.parametrize(
    ("output", "head"),
    [
        ({"age": X, "sex": X + 1}, "age"),
        ((X + 1, X), 1),
        ((X + 1, X), -1),
        (SimpleNamespace(age=X, sex=X + 1), "age"),
        ({"heads": [X + 1, {"age": X}]}, "heads.1.age"),
    ],
)
def test_heads_are_found(output, head):
    assert answer_of(Facts(head=place_of(head, "head")), output) is X


def test_heads_that_are_not_there_are_refused_and_the_remedy_works():
    output = {"age": X, "count": torch.tensor([1])}
    with pytest.raises(ValueError, match="name it with head="):
        answer_of(Facts(), {"age": X, "sex": X})
    with pytest.raises(ValueError, match='there is no output\\["size"\\]'):
        answer_of(Facts(head=("size",)), output)
    with pytest.raises(ValueError, match="expected a tensor of numbers there"):
        answer_of(Facts(head=("count",)), output)
    assert answer_of(Facts(head=("age",)), output) is X


def test_words_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="task='detection': expected one of 'binary'"):
        Words("detection")
    with pytest.raises(ValueError, match="component=-1: expected which of the numbers"):
        Words(component=-1)
    with pytest.raises(TypeError, match="head=True: expected a key, an index"):
        Words(head=True)
    with pytest.raises(TypeError, match="unit=3: expected a word, like 'years'"):
        Words(unit=3)


def test_an_answer_comes_back_from_its_state():
    answer = Answer("regression", Facts(("a", 1), 2, True, False, False, 3.5, ("fake", "real")), "years", "said")
    assert Answer.from_state(answer.state()) == answer
    assert Words("ordinal", "b", 0, unit="grades").over(answer).task == "ordinal"
