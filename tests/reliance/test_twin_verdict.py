"""The verdict on twins by hand: the class that flips, on the background that does it, in counts that can be counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lightning_vis.frames import Cell, Verdict
from lightning_vis.reliance.alert import AlertState, ClassEffect, Measurement, Thresholds, advance
from lightning_vis.reliance.twin_verdict import TwinAnswers, classes_of, flips_of, holding, refusal_of, verdict_of_twins
from lightning_vis.reliance.twins import Twins
from lightning_vis.reliance.verdict import joined

NAMES = ["bird", "mammal"]
USUAL = Thresholds()
# birds hold, mammals are birds on leaves
SIDED = TwinAnswers([0, 1] * 8, {"leaves": [0] * 16, "sand": [0, 1] * 8}, [0.0, 0.9] * 7 + [0.0, 0.99], 16)
CLASSES = (ClassEffect(0, 0.01, 0.5, 8), ClassEffect(1, 0.99, 0.5, 8))


def seen(effect, obj=0.04, share=0.9, epoch=1, total=10, **others):
    return Measurement(effect, obj, share, epoch, epoch, total, **{"when": f"epoch {epoch}", **others})


def said(*looks, answers=SIDED, names=NAMES, refusal=""):
    state = AlertState()
    for each in looks:
        state = advance(state, each, USUAL)
    return verdict_of_twins(looks[-1], state, answers, USUAL, names.__getitem__, refusal)


def sided(epoch):
    return seen(0.5, 0.5, 0.5, epoch, objects=16, classes=CLASSES, telling=(3, 11))


def test_one_sided_reliance_by_hand():
    verdict = said(sided(2), sided(3))
    assert verdict == Verdict(
        "red",
        "On leaves, mammal is called bird in 8 of 8 twins; bird is right in every twin. Swapping the background moves the"
        " answer by 50 points, swapping the object by 50 (epoch 3, 16 objects), most for mammal: 99 points (8 objects)."
        " This network answers by background, as at every look from epoch 2 on. See twins 16 and 2.",
        (15, 1),
        "twins",
    )


def test_the_class_alone_is_named_where_all_together_are_not_red():
    looks = [replace(sided(epoch), share=0.2) for epoch in (2, 3)]
    assert said(*looks).state == "red"
    assert "For mammal this network answers by background, as at every look from epoch 2 on." in said(*looks).sentence


def test_both_classes_by_hand():
    both = TwinAnswers([0, 1, 0, 1], {"leaves": [0, 0, 0, 0], "sand": [1, 1, 0, 1]}, [0.9, 0.8, 0.1, 0.7], 4)
    verdict = said(seen(0.7, epoch=2), seen(0.72, epoch=3, control=0.02, objects=4), answers=both)
    assert verdict.sentence == (
        "On leaves, mammal is called bird in 2 of 2 twins. Swapping the background moves the answer by 72 points, swapping the"
        " object by 4; moving the object by 3 pixels moves it by 2 (epoch 3, 4 objects). This network answers by"
        " background, as at every look from epoch 2 on. See twins 2 and 4."
    )
    assert verdict.rows == (1, 3)


def test_other_names_make_the_same_sentence_with_other_names():
    swapped = said(sided(2), sided(3), names=["xird", "yammal"]).sentence
    assert swapped == said(sided(2), sided(3)).sentence.replace("bird", "xird").replace("mammal", "yammal")


def test_what_is_wrong_everywhere_does_not_flip():
    wrong = replace(SIDED, says={"leaves": [0] * 16, "sand": [0] * 16})
    assert flips_of(wrong) == ()
    assert holding(wrong) == [0]
    assert holding(replace(SIDED, says={})) == []


def test_the_worst_class_on_the_worst_background_stands_first():
    says = {"leaves": [0, 0, 0, 1], "sand": [0, 2, 0, 0], "stones": [0, 0, 1, 1]}
    found = flips_of(TwinAnswers([0, 0, 1, 1], says, [0.1] * 4, 4))
    assert [(each.label, each.kind, each.said, each.objects, each.of) for each in found] == [
        (1, "sand", 0, (2, 3), 2),
        (0, "sand", 2, (1,), 2),
        (1, "leaves", 0, (2,), 2),
    ]


def test_twins_that_no_picture_shows_are_not_named():
    few = replace(SIDED, shown=1)
    assert said(sided(2), sided(3), answers=few).rows == ()
    assert "See" not in said(sided(2), sided(3), answers=few).sentence


def test_where_nothing_flips_those_that_move_most_are_named():
    held = replace(SIDED, says={"leaves": [0, 1] * 8, "sand": [0, 1] * 8})
    verdict = said(sided(2), sided(3), answers=held)
    assert verdict.rows == (3, 11)
    assert verdict.sentence.startswith("Swapping the background")


def test_amber_seen_and_the_wrong_way_in_plain_words():
    assert said(seen(0.22), seen(0.22, epoch=2)).state == "amber"
    assert (
        "This network partly answers by background, as at every look from epoch 1 on."
        in said(seen(0.22), seen(0.22, epoch=2)).sentence
    )
    assert said(seen(0.7)).state == "seen"
    away = said(seen(-0.7), seen(-0.7, epoch=2)).sentence
    assert "away from the class that is typical of it, by 70 points" in away


@pytest.mark.parametrize(
    ("total", "takes"), [(10, "all looks over 5 % of the training, two at least,"), (None, "two looks in a row")]
)
def test_one_look_is_not_enough_and_says_what_is(total, takes):
    """The looks before it may have found the same: within the first epoch they do not count, and two may lie too close."""
    early = [seen(0.5, epoch=0, total=total, when=when) for when in ("step 8", "step 16")]
    for looks in ([seen(0.7, total=total)], early, [*early, seen(0.87, total=total)]):
        assert said(*looks).state == "seen"
        assert said(*looks).sentence.endswith(
            f" A network is said to answer by background when {takes} find that; none before epoch 1 counts. See twins 16 and 2."
        )
    assert "by 50 points, swapping the object by 4 (step 16)." in said(*early).sentence
    late = [seen(0.7, epoch=each, total=total and 100) for each in (1, 2)]
    assert said(*late).state == ("seen" if total else "red")


def test_numbers_are_of_their_look_and_the_look_since_when_it_is_so_is_named():
    looks = [seen(0.7, epoch=1, when="step 24"), seen(0.5, epoch=2), seen(0.48, epoch=3)]
    sentence = said(*looks).sentence
    assert "by 48 points, swapping the object by 4 (epoch 3). This network answers by background, as at every look" in sentence
    assert "as at every look from step 24 on." in sentence
    state = AlertState()
    for each in looks[:2]:
        state = advance(state, each, USUAL)
    kept = state.as_dict()
    assert AlertState.from_dict(kept).since() == "step 24"
    del kept["red"]["when"]  # as checkpoints of before have it
    assert AlertState.from_dict(kept).since() == "epoch 1"


def test_nothing_is_said_with_its_limit_and_never_that_all_is_well():
    off = said(seen(0.7), seen(0.7, epoch=2), seen(0.02, 0.9, 0.02, epoch=3))
    assert (off.state, off.rows) == ("nothing", ())
    assert off.sentence == (
        "Swapping the background moves the answer by 2 points, swapping the object by 90 (epoch 3): nothing above 20 points was"
        " found. What lies on the object itself is not tested."
    )
    almost = said(seen(0.22, 0.9, 0.2)).sentence
    assert "nothing above" not in almost
    assert "less than its share" in almost


def test_what_was_not_measured_is_not_called_nothing():
    blind = said(seen(0.01, 0.02, 0.02))
    assert blind.state == "not measured"
    assert blind.sentence.startswith("Whether the answer follows the background cannot be said: swapping the background moves")
    assert "so it follows neither" in blind.sentence
    alike = said(seen(0.01, 0.9, 0.02), refusal="the backgrounds look alike")
    assert alike.state == "not measured"
    assert alike.sentence == "Whether the answer follows the background was not measured: the backgrounds look alike."


@pytest.mark.parametrize("word", ["spurious", "passed", "clean", "alert"])
def test_no_sentence_says(word):
    looks = [[seen(0.7), seen(0.7, epoch=2)], [seen(0.7), seen(0.7, epoch=2), seen(0.0, 0.9, 0.0, epoch=3)], [seen(0.0, 0.0)]]
    assert all(word not in said(*each).sentence.lower() for each in looks)


def twins(difference, masks=None):
    images = torch.rand(4, 1, 1, 1, 8, 8).repeat(1, 2, 1, 1, 1, 1)
    images[:, 1, ..., 2:] += difference
    return Twins(images, torch.tensor([0, 1] * 2), ("a", "b"), masks=masks)


def test_backgrounds_that_look_alike_are_refused():
    assert "Backgrounds that differ would help: Probe(images, labels, masks, backgrounds" in refusal_of(twins(0.01))
    assert refusal_of(twins(0.2)) == ""
    everywhere = torch.zeros(4, 2, 8, 8)
    everywhere[..., 2:] = 1  # only objects differ
    assert refusal_of(twins(0.2, everywhere))


def test_classes_need_six_objects_and_take_the_background_effect_where_they_are_nowhere_at_home():
    nan = float("nan")
    found = classes_of([0] * 6 + [1] * 5, [0.9] * 5 + [nan] + [1.0] * 5, [0.3] * 11, [0.1] * 11, [True] * 11)
    assert [(each.label, each.objects) for each in found] == [(0, 6)]
    assert found[0].effect == pytest.approx((5 * 0.9 + 0.3) / 6)


TWIN, OTHER = Verdict("red", "A.", (1,), "twins"), Verdict("nothing", "B.", (), "exchange")


def test_of_two_experiments_the_worse_one_speaks_first():
    assert joined(TWIN, None) == TWIN
    assert joined(None, OTHER) == OTHER
    assert joined(None, None) is None
    assert joined(TWIN, OTHER) == Verdict("red", "A. B.", (1,), "twins")
    found = Verdict("red", "C.", (0,), "exchange")
    assert joined(replace(TWIN, state="nothing"), found) == Verdict("red", "C. A.", (0,), "exchange")
    assert joined(TWIN, found) == TWIN
    assert joined(TWIN, replace(OTHER, state="not measured")) == TWIN
    assert joined(replace(TWIN, state="not measured"), OTHER) == OTHER
    cells = (Cell("bird", "mammal", 3, 4),)
    assert joined(TWIN, replace(OTHER, cells=cells)).cells == cells


def test_an_object_that_comes_several_times_counts_once():
    found = classes_of([0] * 7, [0.9] * 7, [0.3] * 7, [0.1] * 7, [True] * 5 + [False] * 2)
    assert found == ()
    assert "(epoch 1, 8 objects, 3 of them different)" in said(seen(0.7, objects=8, different=3)).sentence
    assert "8 objects)" in said(seen(0.7, objects=8, different=8)).sentence


def test_objects_are_the_same_wherever_they_lie():
    images, masks = torch.rand(4, 2, 1, 3, 24, 24), torch.zeros(4, 2, 24, 24)
    thing, other = torch.rand(2, 3, 8, 8)
    for at, (each, left) in enumerate([(thing, 2), (other, 2), (thing, 12), (0.9 * other, 9)]):
        images[at, ..., 4:12, left : left + 8] = each
        masks[at, :, 4:12, left : left + 8] = 1
    made = Twins(images, torch.tensor([0, 1, 0, 1]), ("a", "b"), masks=masks)
    assert made.once() == [True, True, False, True]
    assert replace(made, masks=None).once() == [True] * 4
    again = torch.cat([images, images[:1]])
    assert replace(made, images=again, masks=None).once() == [True] * 4 + [False]
