"""The alert: a state that needs two looks far enough apart, and goes off again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_vis.reliance.alert import (
    AMBER,
    OFF,
    RED,
    AlertState,
    ClassEffect,
    Measurement,
    Thresholds,
    advance,
    most_telling,
)

USUAL = Thresholds()


def seen(effect, share=0.9, epoch=1, at=None, total=None, **others):
    return Measurement(effect, 0.04, share, epoch, epoch if at is None else at, total, **others)


def levels(*looks, thresholds=USUAL):
    state, found = AlertState(), []
    for look in looks:
        state = advance(state, look, thresholds)
        found.append(state.level)
    return found


def epochs(*effects, share=0.9, total=10):
    """One look after each epoch, from epoch 1 on."""
    return [seen(effect, share, epoch, epoch, total) for epoch, effect in enumerate(effects, 1)]


def test_red_needs_two_looks():
    assert levels(*epochs(0.7, 0.7, 0.7)) == [OFF, RED, RED]


def test_looks_before_the_end_of_the_first_epoch_do_not_count():
    within = [seen(0.8, epoch=0, at=0.1 * step, total=10) for step in range(1, 10)]
    assert levels(*within, *epochs(0.8, 0.8)) == [OFF] * 10 + [RED]


def test_amber_lies_below_red_and_above_nothing():
    assert levels(*epochs(0.22, 0.22)) == [OFF, AMBER]
    assert levels(*epochs(0.7, 0.7, share=0.3)) == [OFF, AMBER]
    assert levels(*epochs(0.19, 0.19)) == [OFF, OFF]
    assert levels(*epochs(0.7, 0.7, share=0.2)) == [OFF, OFF]
    assert levels(*epochs(0.7, 0.22, 0.7, 0.7)) == [OFF, AMBER, AMBER, RED]


def test_the_thresholds_are_reached_by_equality_and_can_be_set():
    assert levels(*epochs(0.25, 0.25, share=0.5)) == [OFF, RED]
    assert levels(*epochs(0.5, 0.5), thresholds=Thresholds(red_effect=0.6)) == [OFF, AMBER]
    with pytest.raises(ValueError, match=r"red_effect=25"):
        Thresholds(red_effect=25)


def test_effects_of_opposite_signs_do_not_add_up_and_negative_ones_count():
    assert levels(*epochs(0.7, -0.7, 0.7, -0.7)) == [OFF] * 4
    assert levels(*epochs(-0.7, -0.7)) == [OFF, RED]


def test_the_looks_must_lie_five_percent_of_the_training_apart():
    assert levels(*epochs(*[0.7] * 7, total=100)) == [OFF] * 5 + [RED, RED]
    halves = [seen(0.7, epoch=e // 2, at=e / 2, total=10) for e in range(2, 5)]
    assert levels(*halves) == [OFF, RED, RED]
    twice = [seen(0.7, at=5, total=10), seen(0.7, at=5, total=10)]  # the same moment looked at twice
    assert levels(*twice, thresholds=Thresholds(apart=0)) == [OFF, OFF]


def test_where_nobody_knows_the_end_an_epoch_is_far_enough():
    assert levels(seen(0.7, epoch=1), seen(0.7, epoch=1), seen(0.7, epoch=2)) == [OFF, OFF, RED]


def test_it_goes_off_again_and_starts_anew():
    assert levels(*epochs(0.7, 0.7, 0.1, 0.7, 0.7)) == [OFF, RED, OFF, OFF, RED]


def test_a_class_that_lives_on_the_background_is_red_though_all_together_do_not_reach_it():
    """One-sided reliance sits on the threshold of all objects; it is that of its class."""
    sided = (ClassEffect(0, 0.02, 0.48, 8), ClassEffect(1, 0.98, 0.5, 8))
    once = [seen(0.5, 0.47, epoch, epoch, 10, classes=sided) for epoch in (1, 2)]
    assert levels(*[seen(0.5, 0.47, epoch, epoch, 10) for epoch in (1, 2)]) == [OFF, AMBER]
    assert levels(*once) == [OFF, RED]
    assert sided[1].share == pytest.approx(0.98 / 1.48)


def test_two_looks_at_two_classes_are_not_two_looks():
    one, other = (
        (ClassEffect(0, 0.9, 0.1, 8), ClassEffect(1, 0.0, 0.9, 8)),
        (ClassEffect(0, 0.0, 0.9, 8), ClassEffect(1, 0.9, 0.1, 8)),
    )
    looks_ = [seen(0.1, 0.1, epoch, epoch, 10, classes=each) for epoch, each in enumerate((one, other, one), 1)]
    assert levels(*looks_) == [OFF, OFF, OFF]


looks = st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1)), max_size=12)


@given(looks)
def test_swapping_the_sign_of_all_effects_changes_no_level(pairs):
    ones = [seen(effect, share, epoch, epoch, 12) for epoch, (effect, share) in enumerate(pairs, 1)]
    others = [seen(-effect, share, epoch, epoch, 12) for epoch, (effect, share) in enumerate(pairs, 1)]
    assert levels(*ones) == levels(*others)


@given(looks)
def test_red_means_that_this_look_and_the_one_before_reached_the_thresholds(pairs):
    found = levels(*(seen(effect, share, epoch, epoch, 12) for epoch, (effect, share) in enumerate(pairs, 1)))
    for at, level in enumerate(found):
        reached = [abs(effect) >= 0.25 and share >= 0.5 for effect, share in pairs[max(at - 1, 0) : at + 1]]
        same_sign = at > 0 and pairs[at][0] * pairs[at - 1][0] > 0
        assert (level == RED) == (len(reached) == 2 and all(reached) and same_sign)


@given(looks, st.integers(0, 12))
def test_a_state_goes_through_a_checkpoint_unchanged(pairs, cut):
    state = AlertState()
    for epoch, (effect, share) in enumerate(pairs, 1):
        state = advance(state, seen(effect, share, epoch, epoch, 12), USUAL)
        if epoch == cut:
            state = AlertState.from_dict(json.loads(json.dumps(state.as_dict())))
            before = {name: value for name, value in state.as_dict().items() if name != "classes"}
            assert AlertState.from_dict(before).red == state.red  # a checkpoint of before classes were judged
    whole = levels(*(seen(effect, share, epoch, epoch, 12) for epoch, (effect, share) in enumerate(pairs, 1)))
    assert not pairs or state.level == whole[-1]


def test_the_most_telling_objects_are_those_that_move_most_the_way_the_mean_does():
    assert most_telling([0.1, 0.9, -0.95, 0.8]) == (1, 3)
    assert most_telling([-0.1, -0.9, 0.95, -0.8]) == (1, 3)
    assert most_telling([0.5]) == (0,)
    assert most_telling([]) == ()
