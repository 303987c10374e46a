"""The picture of the twins: what is drawn is what was answered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worlds import Classifier, loader, twin_probe

from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.frames import Frame, Inputs
from lightning_vis.render.canvas.style import INK, WIDTH, WRONG
from lightning_vis.render.twins import BAR, MOST, TILE, twins_sheet, with_twins


def asked(on, says):
    """A frame that knows what was answered on leaves and on stones, and how probable each object's class was there."""
    columns = {
        f"reliance/{word}/{kind}": np.array(values)[:, k]
        for word, values in (("on", on), ("says", says))
        for k, kind in enumerate(("leaves", "stones"))
    }
    count = len(on)
    return Frame("probe", np.zeros(count), np.ones(count), per_image=columns, numbers={"reliance/background_effect": 0.75})


def seen(labels, shown=1):
    count = len(labels) // shown
    grey = np.full((count, 2, 12, 12, 3), 100, np.uint8)
    pictures = np.full((len(labels), 12, 12, 3), 100, np.uint8)
    return Inputs("probe", pictures, np.array(labels), class_names=("bird", "mammal"), twins=grey, kinds=("leaves", "stones"))


def has(picture, colour):
    return bool((picture == np.array(colour, np.uint8)).all(-1).any())


def framed(picture):
    return has(picture[-1:], WRONG)


def test_wrong_answers_have_a_cross_and_those_that_flip_a_frame_too():
    # a bird that is lost on stones, a mammal that is right everywhere, a mammal that is wrong everywhere
    frame = asked([[0.9, 0.2], [0.8, 0.7], [0.1, 0.3]], [[0, 1], [1, 1], [0, 0]])
    tiles = with_twins(frame, seen([0, 1, 1])).pictures["twins"]
    assert tiles.values.shape == (6, TILE, TILE, 3)
    assert [has(tile, WRONG) for tile in tiles.values] == [False, True, False, False, True, True]
    assert [framed(tile) for tile in tiles.values] == [False, True, False, False, False, False]
    assert tiles.captions[0] == "1: bird on leaves: 0.90, says bird"
    assert tiles.captions[1] == "1: bird on stones: 0.20, says mammal: the answer flips"
    assert tiles.captions[4] == "3: mammal on leaves: 0.10, says bird"


def test_an_answer_that_only_wanders_from_one_mistake_to_another_is_not_framed():
    tiles = with_twins(asked([[0.3, 0.3]], [[1, 2]]), seen([0])).pictures["twins"]
    assert not any(framed(tile) for tile in tiles.values)


def test_bars_are_as_long_as_the_probabilities():
    sheet = twins_sheet(asked([[0.5, 0.25]], [[0, 1]]), seen([0]))
    side = (WIDTH - 30) // 4 - 5  # two twins beside each other, twice
    below = sheet[4 * 30 + 20 + side :]
    for colour, share in ((INK, 0.5), (WRONG, 0.25)):
        lengths = (below == np.array(colour, np.uint8)).all(-1).sum(1)
        assert (lengths == round(side * share)).sum() >= BAR


def test_ready_made_twins_are_read_object_by_object():
    frame = asked([[0.9, 0.2]] * 2 + [[0.3, 0.6]] * 2, [[0, 1]] * 2 + [[0, 1]] * 2)
    captions = with_twins(frame, seen([0, 0, 1, 1], shown=2)).pictures["twins"].captions
    assert [caption.split(":")[0] for caption in captions] == ["1", "1", "2", "2"]
    assert captions[2] == "2: mammal on leaves: 0.30, says bird: the answer flips"


def test_of_many_objects_the_first_are_shown_and_it_is_said():
    frame = asked([[0.5, 0.5]] * 40, [[0, 0]] * 40)
    assert len(with_twins(frame, seen([0] * 40)).pictures["twins"].values) == 2 * MOST
    few, many = twins_sheet(asked([[0.5, 0.5]] * 16, [[0, 0]] * 16), seen([0] * 16)), twins_sheet(frame, seen([0] * 40))
    assert few.shape == many.shape
    assert not np.array_equal(few[:40], many[:40])


def test_without_answers_there_is_no_picture():
    frame = asked([[0.5, 0.5]], [[0, 0]])
    assert twins_sheet(replace(frame, per_image={}), seen([0])) is None
    assert with_twins(replace(frame, per_image={}), seen([0])).pictures == {}
    assert twins_sheet(frame, Inputs("probe", np.zeros((1, 2, 2, 3), np.uint8))) is None


@pytest.mark.parametrize("count", [1, 3, 5, 9])
def test_any_number_of_kinds_fits(count):
    kinds = tuple(f"kind {k}" for k in range(count))
    per_image = {f"reliance/{word}/{kind}": np.zeros(3) for kind in kinds for word in ("on", "says")}
    frame = Frame("probe", np.zeros(3), np.ones(3), per_image=per_image)
    inputs = replace(seen([0, 1, 0]), twins=np.zeros((3, count, 12, 12, 3), np.uint8), kinds=kinds)
    assert twins_sheet(frame, inputs).shape[1] == WIDTH


def test_a_sheet_has_at_most_eight_rows():
    kinds = ("a", "b", "c")
    per_image = {f"reliance/{word}/{kind}": np.zeros(20) for kind in kinds for word in ("on", "says")}
    frame = Frame("probe", np.zeros(20), np.ones(20), per_image=per_image)
    tall = replace(seen([0] * 20), twins=np.zeros((20, 3, 12, 12, 3), np.uint8), kinds=kinds)
    assert twins_sheet(frame, tall).shape[0] < 8 * 300 + 200


def test_a_training_writes_the_picture_and_keeps_the_tiles_of_every_look(trainer, events):
    callback = ProbeCallback(twin_probe(), images=True, on_alert=lambda alert: None)
    trainer([callback]).fit(Classifier(), loader(48, 0.95), loader(32, 0.95, seed=1))
    written = events().Images("twins")
    assert len(written) == callback.film.count
    assert {image.width for image in written} == {WIDTH}
    assert callback.session.logger.last.pictures["twins"].values.shape == (16, TILE, TILE, 3)


def test_an_answer_that_is_no_class_is_not_named_as_one():
    frame, inputs = asked([[0.9, 0.1]] * 2, [[0, 1]] * 2), seen([0, 1])
    assert twins_sheet(frame, inputs) is not None
    for nobody in ((replace(frame, predicted=np.full(2, -1)), inputs), (frame, replace(inputs, labels=None))):
        assert twins_sheet(*nobody) is None
        assert with_twins(*nobody).pictures == {}
