"""Frames: quantising and its inverse, thumbnails, thinning, the words for moments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lightning_vis.events.quantise import quantise, reduced, restored
from lightning_vis.film import thumbnail
from lightning_vis.frames import Frame, Inputs, Maps, Pictures, Scale, Verdict, spoken, thinned, thinned_together

maps = arrays(np.float32, (2, 3, 4), elements=st.floats(-(2.0**100), 2.0**100, width=32))


@settings(deadline=None)
@given(maps)
def test_signed_maps_come_back_to_within_half_a_code(values):
    found = restored(quantise(values, signed=True))
    bound = np.abs(values).max(axis=(1, 2), keepdims=True) / 127 / 2
    assert found.dtype == np.float32
    assert (np.abs(found.astype(float) - values) <= bound * 1.0001 + 1e-37).all()


@settings(deadline=None)
@given(maps)
def test_positive_maps_come_back_to_within_half_a_code(values):
    values = np.abs(values)
    found = restored(quantise(values))
    bound = values.max(axis=(1, 2), keepdims=True) / 255 / 2
    assert (np.abs(found.astype(float) - values) <= bound * 1.0001 + 1e-37).all()


@settings(deadline=None)
@given(maps, st.booleans())
def test_quantising_twice_changes_nothing_more(values, signed):
    once = quantise(values if signed else np.abs(values), signed)
    np.testing.assert_array_equal(quantise(restored(once), signed).codes, once.codes)


def test_maximum_and_zero_are_exact_and_the_mean_is_that_of_the_exact_values():
    values = np.array([[[0.0, 0.001], [-3.0, 1.0]]], np.float32)
    found = quantise(values, signed=True)
    assert found.codes.tolist() == [[[128, 128], [1, 170]]]
    assert found.maximum.tolist() == [3]
    assert found.mean[0] == pytest.approx(-1.999 / 4)
    assert restored(found)[0, 1, 0] == -3
    assert restored(found)[0, 0, 0] == 0


def test_a_map_of_zeros_stays_one():
    found = quantise(np.zeros((1, 2, 2), np.float32))
    assert (found.maximum[0], restored(found).any()) == (0, False)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("signed", [False, True])
def test_a_map_that_is_not_finite_comes_back_as_nan_and_spoils_no_other(bad, signed):
    values = np.ones((3, 2, 2), np.float32)
    values[1, 0, 0], values[1, 1, 1] = bad, -bad
    found = quantise(values, signed)
    assert np.isnan(found.maximum).tolist() == [False, True, False]
    assert np.isnan(restored(found)).all(axis=(1, 2)).tolist() == [False, True, False]
    assert (restored(found)[[0, 2]] == 1).all()


@pytest.mark.parametrize(
    ("shape", "small"), [((224, 224), (56, 56)), ((57, 57), (29, 29)), ((120, 60), (40, 20)), ((7, 7), (7, 7))]
)
def test_thumbnails_have_at_most_56_cells_an_edge(shape, small):
    assert reduced(np.ones((2, *shape), np.float32), 56).shape == (2, *small)


def test_each_cell_is_the_mean_of_what_it_covers():
    values = np.arange(2 * 7 * 5, dtype=np.float32).reshape(2, 7, 5)
    found = reduced(values, 3)  # steps of 3: rows 0-1, 2-3, 4-6; columns 0-1, 2-4
    assert found.shape == (2, 3, 2)
    for row, rows in enumerate((slice(0, 2), slice(2, 4), slice(4, 7))):
        for column, columns in enumerate((slice(0, 2), slice(2, 5))):
            np.testing.assert_allclose(found[:, row, column], values[:, rows, columns].mean(axis=(1, 2)))


def test_a_thumbnail_keeps_everything_else_but_large_pictures():
    large, small = (Pictures(np.zeros((1, side, side, 3), np.uint8), ("a",)) for side in (64, 32))
    frame = Frame(
        "probe",
        np.array([1]),
        np.array([0.5]),
        {"saliency": Maps(np.random.default_rng(0).random((1, 112, 112)), np.array([1]), "<input>", Scale("density", 12.0))},
        {"large": large, "small": small},
        {"reliance/alert": 0.5},
        finished_steps=7,
    )
    found = thumbnail(frame)
    assert found.maps["saliency"].values.shape == (1, 56, 56)
    assert found.maps["saliency"].scale == Scale("density", 12.0)
    assert list(found.pictures) == ["small"]
    assert (found.numbers, found.finished_steps) == (frame.numbers, 7)


@pytest.mark.parametrize(("count", "limit"), [(1, 10), (10, 10), (11, 10), (64, 10), (1000, 10), (3, 2)])
def test_thinning_keeps_first_and_last_and_never_more_than_the_limit(count, limit):
    kept = thinned(count, limit)
    assert kept[0] == 0
    assert kept[-1] == count - 1
    assert len(kept) == len(set(kept)) == min(count, limit)
    assert kept == sorted(kept)
    steps = np.diff(kept)
    assert len(steps) == 0 or steps.max() - steps.min() <= 1


@pytest.mark.parametrize(
    ("finished", "moment", "epoch", "said"),
    [
        (0, "start", 0, "start"),
        (4, "step", 0, "step 4"),
        (12, "epoch", 2, "epoch 2"),
        (12, "end", 2, "epoch 2"),
        (9, "start", 1, "step 9"),
        (9, "validation", 1, "step 9"),
    ],
)
def test_moments_in_a_readers_words(finished, moment, epoch, said):
    assert Frame("p", np.array([0]), np.array([1.0]), finished_steps=finished, moment=moment, epoch=epoch).when == said


def test_class_names():
    inputs = Inputs("probe", np.zeros((1, 2, 2, 3), np.uint8), class_names=("bird", "mammal"))
    assert [inputs.class_name(index) for index in (0, 1, 2, -1)] == ["bird", "mammal", "class 2", "class -1"]


def shown_together(films, limit=10):
    return [[names[at] for at in kept] for names, kept in zip(films, thinned_together(films, limit), strict=True)]


def epochs(count, every=1):
    return ["start", *(f"step {2**at}" for at in range(4)), *(f"epoch {at}" for at in range(every, count + 1, every))]


@pytest.mark.parametrize("count", [2, 5, 8, 30])
def test_one_run_alone_or_two_alike_are_thinned_as_ever(count):
    names = epochs(count)
    as_ever = [names[at] for at in thinned(len(names), 10)]
    assert shown_together([names]) == [as_ever]
    assert shown_together([names, names]) == [as_ever, as_ever]


@pytest.mark.parametrize(("one", "other"), [(8, 12), (2, 20), (3, 4), (20, 21), (1, 300)])
def test_runs_of_other_lengths_show_the_same_moments_in_the_same_columns(one, other):
    short, long = shown_together([epochs(one), epochs(other)])
    assert short == long[: len(short)]
    assert len(short) >= 5
    assert len(long) == min(10, len(epochs(other)))
    assert (short[-1], long[-1]) == (f"epoch {one}", f"epoch {other}")


def test_moments_that_only_one_run_has_are_left_out_between_those_that_both_have():
    assert shown_together([epochs(20), epochs(20, 5)]) == [epochs(20, 5)] * 2


def test_runs_that_end_otherwise_both_show_their_end():
    one, other = shown_together([[*epochs(9), "step 99"], [*epochs(9), "epoch 10", "validate"]])
    assert one[:8] == other[:8]
    assert (one[8:], other[8:]) == (["step 99"], ["epoch 10", "validate"])


@pytest.mark.parametrize(
    "other",
    [
        epochs(12)[3:],  # begins later
        ["start", "epoch 1", "step 8", *(f"epoch {at}" for at in range(2, 12))],  # has them in another order
        ["start", *(f"step {3 * at}" for at in range(1, 12))],  # has none of them but the first
        ["start", *["validate"] * 11],  # has one name for several
    ],
)
def test_runs_that_cannot_be_shown_together_are_thinned_each_by_itself(other):
    names = epochs(12)
    assert shown_together([names, other]) == [[each[at] for at in thinned(len(each), 10)] for each in (names, other)]


def test_looks_of_one_name_are_all_shown():
    names = ["start", "epoch 1", "validate", "epoch 2", "validate"]
    assert shown_together([names]) == [names]
    assert shown_together([names, names]) == [names, names]
    assert thinned_together([names, names], 10) == [[0, 1, 2, 3, 4]] * 2


def test_the_verdict_that_stands_is_the_last_one_that_measured_something():
    said = (None, Verdict("red", "A."), Verdict("not measured", "B."))
    none, red, late = (Frame("probe", np.zeros(1), np.zeros(1), verdict=each) for each in said)
    assert spoken([none]) is None
    assert spoken([none, late]) is late
    assert spoken([red, none, late]) is red
