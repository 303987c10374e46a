"""One picture of a training: which images it shows, what it says, and that all of it is on the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightning_vis.callbacks.session.frame_logger import leave_summary
from lightning_vis.frames import Verdict
from lightning_vis.model.scores import PROBABILITIES, SEGMENTATION
from lightning_vis.render.summary import SIZE, summary, telling, words
from tests.render.test_cards import frame, inputs, written  # noqa: F401

NUMBERS = {
    "reliance/background_effect": 0.934,
    "reliance/object_effect": -0.061,
    "reliance/alert": 1.0,
    "attribution/grad_cam/lift": 0.84,
}
SAID = [
    "Right on 1 of 2 probe images at first, on 2 at last.",
    "Swapping the background moves the answer by 93 points, swapping the object by -6.",
    "The alert is red.",
    "Grad-CAM on the object: 0.8 x chance.",
]


def film(**last):
    first = frame(predicted=(0, 0))
    return [first, frame(predicted=(0, 1), **({"finished_steps": 9, "epoch": 3, "moment": "epoch"} | last))]


def test_what_happened_in_words():
    assert words(film(numbers=NUMBERS), inputs()) == SAID
    assert words(film(), replace(inputs(), labels=None)) == []


def test_the_surest_right_image_and_the_surest_wrong_one_are_shown():
    looked = replace(frame(4, predicted=(0, 1, 1, 0)), probability=np.array([0.6, 0.7, 0.9, 0.99], np.float32))
    assert telling([looked, looked], inputs(4)) == [1, 3]  # labels 0, 1, 0, 1


def test_without_labels_the_two_whose_maps_changed_most_are_shown():
    values = np.zeros((4, 7, 7), np.float32)
    later = values + np.array([1, 3, 0, 2], np.float32)[:, None, None]
    frames = [frame(4, values=values), frame(4, values=later)]
    assert telling(frames, replace(inputs(4), labels=None)) == [1, 3]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_it_is_1200_by_630_and_its_name_tells_probes_apart(tmp_path, count):
    frames = [frame(count), frame(count)]
    paths = [leave_summary(str(tmp_path), frames, replace(inputs(count), name=name)) for name in ("probe", "sick/well")]
    assert [Path(path).name for path in paths] == ["summary.png", "summary_sick_well.png"]
    with Image.open(paths[0]) as picture:
        assert picture.size == (1200, 630)


def test_nothing_is_written_beyond_the_edge_and_no_sentence_is_broken_off(written):  # noqa: F811
    notes = (SEGMENTATION, PROBABILITIES, f"one more time: {SEGMENTATION}")
    summary("a run with a name that is much too long for its place", film(numbers=NUMBERS, notes=notes), inputs())
    for text, (x, y), size, _, length in written:
        assert x + length <= SIZE[0], text
        assert y + size <= SIZE[1], text
    text = " ".join(text for text, *_ in written)
    assert all(each in text for each in SAID)
    assert SEGMENTATION[1:] in text
    assert "one more time" not in text


def test_it_says_what_it_is_of_which_run_and_from_when_to_when(written):  # noqa: F811
    frames = [replace(each, moment="start" if at == 0 else "epoch") for at, each in enumerate(film())]
    summary("a run", frames, inputs())
    shown = [text for text, *_ in written]
    assert "a run" in shown
    assert "what the network looked at, start to epoch 3" in shown
    written.clear()
    summary("a run", [replace(each, maps={}) for each in frames], inputs())
    assert "what the network answered, start to epoch 3" in [text for text, *_ in written]
    written.clear()
    summary("a run", [replace(each, maps={"error": each.maps["evidence"]}) for each in frames], inputs())
    assert "where the network errs, start to epoch 3" in [text for text, *_ in written]
    written.clear()
    summary("a run", frames[1:], inputs())
    assert "what the network looked at, epoch 3" in [text for text, *_ in written]


def test_a_map_without_content_is_called_empty(written):  # noqa: F811
    summary("run", [frame(values=np.zeros((2, 7, 7), np.float32))] * 2, inputs())
    assert [text for text, *_ in written].count("empty") == 4


def test_errors_of_two_numbers_are_not_compared():
    """Of several numbers one is chosen after the first epoch: until then it may be another."""
    first, last = film(numbers={"answers/mean_error": 2.0}, task="regression", unit="years", said=("1", "2"))
    first = replace(first, numbers={"answers/mean_error": 9.0}, task="regression", said=("1", "2"))
    assert "Mean absolute error (years): 9 at first, 2 at last." in words([first, last], inputs())
    other = {key: replace(each, classes=np.ones_like(each.classes)) for key, each in first.maps.items()}
    first, last = (replace(each, maps=maps) for each, maps in ((first, _zero(first.maps)), (last, other)))
    assert "Mean absolute error (years): 2 at last." in words([first, last], inputs())


def _zero(maps):
    return {key: replace(each, classes=np.zeros_like(each.classes)) for key, each in maps.items()}


def test_what_each_image_has_explained_is_named_where_they_differ(written):  # noqa: F811
    looked = frame()
    names = [f"label {index}" for index in range(len(inputs().pictures))]
    for explains, is_named in ((tuple(names), True), (("label 0",) * len(names), False)):
        written.clear()
        shown = replace(looked, maps={"evidence": replace(looked.maps["evidence"], explains=explains)})
        summary("run", [shown, shown], inputs())
        assert (sum(text.startswith("for label") for text, *_ in written) > 0) is is_named


def test_a_verdict_of_two_experiments_stands_whole_and_once(written):  # noqa: F811
    sentence = (
        "In the surroundings of mammal, bird is called mammal in 66 of 72 exchanges. What surrounds the object moves the answer by 64"
        " points (+-3, 24 images, cut out automatically), most for bird: 66 points (12 images). See exchange 3. On pebbles, bird is"
        " called mammal in 4 of 4 twins; mammal is right in every twin. Swapping the background moves the answer by 49 points,"
        " swapping the object by 49; moving the object by 3 pixels moves it by 3 (epochs 1 to 8, 8 objects, 6 of them different)."
        " This network partly answers by background. See twins 1 and 6."
    )
    for picture in ("exchange", "twins"):
        written.clear()
        summary("run", film(numbers=NUMBERS, verdict=Verdict("red", sentence, (), picture)), inputs())
        said = " ".join(text for text, *_ in written)
        assert sentence in said
        assert said.count("Swapping the background moves") == 1
        assert "The alert is" not in said
