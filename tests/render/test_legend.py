"""Legends: the ticks of any scale, one at each end, and no two labels in each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lightning_vis.frames import Scale
from lightning_vis.render.canvas.style import FAINT, PANEL
from lightning_vis.render.canvas.text import text_width
from lightning_vis.render.legend import NARROWEST, label_of, legend, ticks_that_fit


@given(st.floats(0.01, 1e6), st.booleans())
def test_a_legend_of_any_limit_has_a_tick_at_each_of_its_ends(limit, signed):
    ticks = ticks_that_fit(Scale(limit=limit, signed=signed))
    assert ticks[0] == ((-limit, 0.0) if signed else (0, 0.0))
    assert ticks[-1] == (limit, 1.0)


@given(st.floats(0.01, 9999), st.booleans())
def test_labels_stand_apart_and_in_order(limit, signed):
    ends = 0.0
    for value, place in ticks_that_fit(Scale(limit=limit, signed=signed)):
        width = text_width(label_of(value))
        left = place * (NARROWEST - 1) - width * place
        assert left >= ends
        ends = left + width
    assert ends <= NARROWEST


def test_the_usual_ticks():
    assert [value for value, _ in ticks_that_fit(Scale())] == [0, 1, 3, 7, 31]
    assert [value for value, _ in ticks_that_fit(Scale(signed=True))] == [-31, -3, 0, 3, 31]
    assert [value for value, _ in ticks_that_fit(Scale(limit=7))] == [0, 1, 3, 7]


def test_a_tick_lies_where_its_value_is_drawn():
    """By hand: log(1 + 3) is 2 of the 5 doublings to 32."""
    assert dict(ticks_that_fit(Scale()))[3] == pytest.approx(2 / 5)
    assert dict(ticks_that_fit(Scale(signed=True)))[-3] == pytest.approx(1 / 2 - 2 / 10)


@pytest.mark.parametrize("limit", [7, 31, 127])
def test_nothing_is_drawn_beyond_the_bar(limit):
    sheet = Image.new("RGB", (300, 60), PANEL)
    legend(sheet, (20, 0), 222, Scale(limit=limit))
    drawn = np.asarray(sheet).astype(int)
    assert np.abs(drawn[10:] - FAINT).sum(2).min() == 0
    for beyond in (drawn[:, :20], drawn[:, 243:]):
        assert (beyond == PANEL).all()


@pytest.mark.parametrize(("limit", "ticks"), [(12.0, [0, 1, 6, 12]), (1.0, [0, 0.5, 1]), (0.5, [0, 0.25, 0.5])])
def test_a_density_has_each_tick_once_and_none_beyond_its_end(limit, ticks):
    assert Scale("density", limit).ticks() == ticks
