"""Verdicts by hand: what is said of numbers, and that names and numbers are those that were measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lightning_vis.reliance.exchange.effect import Effect
from lightning_vis.reliance.exchange.experiment import MOST, Cell, Findings, OfClass, Row, experiment, plain_answers
from lightning_vis.reliance.exchange.objects import Refusal, objects_of
from lightning_vis.reliance.verdict import numbers_of, verdict_of

NAMES = ["bird", "mammal"]
ROW = Row(0, 1, 3, (4, 5), (0, 0, 1), (0.9, 0.8, 0.7))
FOUND = Findings(
    effect=Effect(0.58, 0.05, 0.1, 0.85),
    frame=0.3,
    images=24,
    classes=(OfClass(0, Effect(0.7, 0.1, 0.1, 0.9), 0.3, 12), OfClass(1, Effect(0.4, 0.1, 0.1, 0.8), 0.3, 12)),
    cells=(Cell(0, 1, 46, 72), Cell(1, 0, 30, 72)),
    rows=(replace(ROW, label=1, host=0, said=(1, 1, 0)), ROW),
)


def said(found, names=NAMES, was_seen=True):
    return verdict_of(found, names.__getitem__, was_seen=was_seen)


def test_a_shortcut_by_hand():
    verdict = said(FOUND)
    assert (verdict.state, verdict.rows) == ("red", (1,))
    assert verdict.sentence == (
        "In the surroundings of mammal, bird is called mammal in 46 of 72 exchanges. What surrounds the object moves the answer"
        " by 58 points (+-5, 24 images, cut out automatically), most for bird: 70 points (12 images). See exchange 2."
    )
    assert said(FOUND, was_seen=False).state == "seen"
    assert numbers_of(FOUND, verdict) == {
        "reliance/surroundings_effect": 0.58,
        "reliance/surroundings_share": 0.85,
        "reliance/surroundings_effect_error": 0.05,
        "reliance/surroundings_alert": 1.0,
        "reliance/surroundings_measured": 1.0,
    }


def test_the_matrix_has_the_names_and_the_counts_of_the_sentence():
    first, second = said(FOUND).cells
    assert (first.label, first.host, first.follows, first.of) == ("bird", "mammal", 46, 72)
    assert f"called {first.host} in {first.follows} of {first.of} exchanges" in said(FOUND).sentence
    assert (second.label, second.host) == ("mammal", "bird")
    assert said(Refusal("nobody knows")).cells == ()


def test_other_names_make_the_same_sentence_with_other_names():
    swapped = str.maketrans({"b": "x"})
    assert said(FOUND, ["xird", "mammal"]).sentence == said(FOUND).sentence.replace("bird", "bird".translate(swapped))


def test_a_picture_is_named_only_if_it_shows_what_is_said():
    unseen = replace(FOUND, rows=(replace(ROW, said=(0, 0, 0)),))
    assert said(unseen).rows == ()
    assert "See" not in said(unseen).sentence


def test_all_pictures_that_show_what_is_said_are_named():
    for count, named in ((1, "See exchange 2."), (2, "See exchanges 2 and 3."), (3, "See exchanges 2, 3 and 4.")):
        verdict = said(replace(FOUND, rows=(FOUND.rows[0], *[ROW] * count)))
        assert verdict.rows == tuple(range(1, 1 + count))
        assert verdict.sentence.endswith(named)


def test_one_class_alone_is_enough():
    sided = replace(FOUND, effect=Effect(0.15, 0.02, 0.8, 0.16), frame=0.04)
    assert said(sided).state == "red"
    assert "most for bird: 70 points" in said(sided).sentence


def test_cut_outs_that_the_frame_does_not_confirm_are_not_believed_and_masks_are():
    alone = replace(FOUND, frame=0.02, classes=())
    assert said(alone).state == "not measured"
    assert (
        "moves the answer by 58 points, exchanging the picture's frame by 2, so the cut-outs may miss" in said(alone).sentence
    )
    assert said(replace(alone, is_automatic=False)).state == "red"


def test_nothing_and_almost():
    nothing = replace(
        FOUND, effect=Effect(0.014, 0.02, 0.8, 0.02), frame=0.0, classes=(), note="the 8 most frequent of 20 classes"
    )
    assert said(nothing).sentence == (
        "Exchanging what surrounds the object moves the answer by 1 point (+-2, 24 images of the 8 most frequent of 20 classes,"
        " cut out automatically): nothing above 30 points was found. What lies on the object itself is not tested."
    )
    almost = replace(nothing, effect=Effect(0.25, 0.02, 0.8, 0.24))
    assert said(almost).state == "nothing"
    assert "nothing above" not in said(almost).sentence
    assert "exchanging the object moves it by 80" in said(almost).sentence


def test_a_refusal_says_reason_and_remedy():
    assert said(Refusal("nobody knows", "labels would help")).sentence == (
        "Whether the answer follows what surrounds the object was not measured: nobody knows. Labels would help."
    )


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 6, 7, 8])
def test_an_exchange_takes_at_most_600_passes_and_logits_may_have_any_zero(classes):
    labels = torch.arange(12 * classes if classes > 4 else 48) % classes
    generator = torch.Generator().manual_seed(0)
    pictures = 0.1 * torch.rand(len(labels), 3, 32, 32, generator=generator) + 0.1 * labels.view(-1, 1, 1, 1)
    masks = torch.zeros(len(labels), 32, 32)
    masks[:, 10:22, 10:22] = 1
    objects = objects_of(pictures, pictures, labels, masks)
    asked = []

    def ask(images, rows, constant=0.0):
        asked.append(len(images))
        level = images[:, 0, :3, :3].mean((1, 2)) - 0.05
        return (constant - 800 * (level[:, None] - 0.1 * torch.arange(classes)) ** 2).softmax(1)

    found = experiment(ask, objects, plain_answers(ask, objects))
    assert found.asked == sum(asked) <= MOST
    assert max(asked) <= 24
    assert found.effect.surroundings > 0.95
    assert all(each.follows == each.of for each in found.cells)
    other = experiment(lambda *each: ask(*each, 5.0), objects, plain_answers(ask, objects))
    assert said(other, [*map(str, range(classes))]) == said(found, [*map(str, range(classes))])
