"""The matrix of an exchange: every cell at its place, with the counts that the sentence has."""

from __future__ import annotations

import numpy as np

from lightning_vis.frames import Cell
from lightning_vis.render.canvas.style import PANEL, WRONG
from lightning_vis.render.experiment.matrix import matrix
from tests.render.test_cards import written  # noqa: F401

NAMES = ["bird", "mammal", "fish", "snail"]
CELLS = [Cell("fish", "bird", 18, 18), Cell("mammal", "bird", 9, 18)]
CELLS += [Cell(label, host, 0, 17) for label in NAMES for host in NAMES if label != host and host != "bird"]


def test_the_worst_class_stands_first_and_counts_stand_in_their_rows_and_columns(written):  # noqa: F811
    matrix(CELLS, 700)
    places = {}
    for text, corner, *_ in written:
        places.setdefault(text, []).append(corner)
    rows = sorted(NAMES, key=lambda name: max(y for _, y in places[name]))
    assert rows[:2] == ["fish", "mammal"]
    (worst,), (half,) = places["18/18"], places["9/18"]
    assert abs(worst[0] - half[0]) < 20  # one column, that of bird
    assert worst[1] < half[1]
    assert len(places["0/17"]) == len(CELLS) - 2


def test_the_more_follow_the_more_orange():
    picture = matrix([Cell("a", "b", 4, 4), Cell("b", "a", 0, 4)], 700)
    assert (picture == np.array(WRONG, np.uint8)).all(-1).sum() > 1000
    assert (picture == np.array(PANEL, np.uint8)).all(-1).sum() > 1000


def test_eight_classes_with_long_names_fit(written):  # noqa: F811
    names = [f"a very long name of class {at}" for at in range(8)]
    matrix([Cell(label, host, 120, 120) for label in names for host in names if label != host], 700)
    assert all(x + length <= 700 for _, (x, _), _, _, length in written)
    assert [text for text, *_ in written].count("120/120") == 56
