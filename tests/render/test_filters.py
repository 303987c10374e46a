"""Grids and films of filters: whose picture stands where, under which name and numbers, and which ones are framed."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_vis.frames import Filter, Frame, Pictures, numbers_of
from lightning_vis.maximization.frame_builder import shown
from lightning_vis.maximization.maximizer import maximize
from lightning_vis.render.canvas.style import FAINT, GAP, INK, PANEL, TEXT, WIDTH, WRONG
from lightning_vis.render.canvas.text import write
from lightning_vis.render.canvas.tiles import fit, halved
from lightning_vis.render.filters import filter_card, filter_film, filter_sheet, filter_strip
from tests.callbacks.test_filters import Frozen, filters, loader

LAYER = "features.3"
FILTERS = (
    Filter("7", 4.5, 2.5),
    Filter("30", 1.25, 3.5),
    Filter("2", 0.125, -1.5),
    Filter("11", 0.0, 0.0, dead=True),
    Filter("5", 123.4, 12.0),
    Filter("19", -0.5, 0.75),
)
"""In no order; a probe image excites 30 and 19 more than their pictures do, and 11 is dead."""


def colour(look, name):
    """A colour that no other picture has, and no text."""
    return (30 + 50 * look, 10 + 7 * int(name), 255)


def frame(look, shown_filters=FILTERS):
    """A look whose pictures are each of one colour."""
    values = np.stack([np.full((9, 9, 3), colour(look, each.name), np.uint8) for each in shown_filters])
    pictures = Pictures(values, tuple(each.caption for each in shown_filters))
    facts = {"finished_steps": 4 * look, "epoch": look, "moment": "epoch"}
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    return Frame("probe", *nobody, pictures={f"filters/{LAYER}": pictures}, numbers=numbers_of(LAYER, shown_filters), **facts)


def place(sheet, wanted):
    """Top, left and side of the square of a colour; None where there is none."""
    rows, columns = np.nonzero((sheet == wanted).all(2))
    if not len(rows):
        return None
    top, left, side = rows.min(), columns.min(), int(rows.max() - rows.min()) + 1
    assert len(rows) == side * side == (columns.max() - columns.min() + 1) ** 2
    return int(top), int(left), side


def is_framed(sheet, top, left, side):
    """Whether orange runs all the way round a square, two pixels wide."""
    outer = sheet[top - 2 : top + side + 2, left - 2 : left + side + 2]
    inside = np.zeros(outer.shape[:2], bool)
    inside[2:-2, 2:-2] = True
    return bool((outer[~inside] == WRONG).all())


def trimmed(region):
    """What is written in a region, without the empty room around it."""
    rows, columns = np.nonzero((region != PANEL).any(2))
    return region[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] if len(rows) else region[:0, :0]


def written(*lines, size=TEXT, width=400):
    """Lines of text in their colours, one below the other."""
    sheet = Image.new("RGB", (width, len(lines) * size + 2 * GAP), PANEL)
    for number, (text, ink) in enumerate(lines):
        write(sheet, (0, number * size), text, ink, width, size)
    return trimmed(np.asarray(sheet))


@pytest.mark.parametrize("count", [1, 4, 6])
def test_a_grid_shows_filters_in_their_order_each_over_its_own_two_numbers(count):
    sheet = filter_sheet(frame(1, FILTERS[:count]), LAYER)
    places = [place(sheet, colour(1, each.name)) for each in FILTERS[:count]]
    assert places == sorted(places)  # row by row, from left to right
    below = ["7: 4.5|best 2.5", "30: 1.25|best 3.5", "2: 0.12|best -1.5", "11:|dead", "5: 123|best 12", "19: -0.5|best 0.75"]
    for (top, left, side), words, each in zip(places, below, FILTERS, strict=False):
        first, second = words.split("|")
        under = sheet[top + side + 2 : top + side + 2 * TEXT + GAP, left : left + side]
        expected = written((first, INK), (second, WRONG if each.name in ("30", "11", "19") else FAINT), width=side)
        assert np.array_equal(trimmed(under), expected)


def test_a_grid_frames_in_orange_what_a_probe_image_excites_more_and_what_is_dead():
    sheet = filter_sheet(frame(1), LAYER)
    framed = [each.name for each in FILTERS if is_framed(sheet, *place(sheet, colour(1, each.name)))]
    assert framed == ["30", "11", "19"]
    plain = filter_sheet(frame(1, (FILTERS[0], FILTERS[2], FILTERS[4])), LAYER)
    assert not (plain == WRONG).all(2).any()


@pytest.mark.parametrize(("draw", "size"), [(filter_film, TEXT), (filter_strip, 22)])
def test_a_film_has_a_row_for_each_filter_of_the_last_look_under_its_own_name(draw, size):
    """The first look showed other filters in another order: they stand in the rows of today, or nowhere."""
    looks = [frame(0, (FILTERS[4], FILTERS[0], FILTERS[5])), frame(1), frame(2, FILTERS[:4])]
    film = draw(looks, LAYER)
    today = [place(film, colour(2, each.name)) for each in FILTERS[:4]]
    assert [left for _, left, _ in today] == [today[0][1]] * 4
    assert today == sorted(today)
    for each, (top, left, side) in zip(FILTERS[:4], today, strict=True):
        before = place(film, colour(1, each.name))
        assert before[0] == top
        assert before[1] < left
        names = film[top : top + side, : place(film, colour(0, "7"))[1] - 2]
        assert np.array_equal(trimmed(names), written((each.name, FAINT), size=size))
    first = {each.name: place(film, colour(0, each.name)) for each in FILTERS}
    assert {name for name, found in first.items() if found} == {"7"}
    assert first["7"][0] == today[0][0]
    assert first["7"][1] < place(film, colour(1, "7"))[1]


@pytest.mark.parametrize("draw", [filter_film, filter_strip])
def test_a_film_frames_a_filter_in_the_looks_in_which_it_had_no_answer(draw):
    """A probe image beat filter 30 at the second look only, and 7 has died: what stands beside them is not framed."""
    looks = [
        frame(0, (FILTERS[0], FILTERS[2], Filter("30", 3.0, 1.0))),
        frame(1, (FILTERS[0], FILTERS[2], FILTERS[1])),
        frame(2, (Filter("7", 0.0, 0.0, dead=True), FILTERS[2], Filter("30", 3.0, 1.0))),
    ]
    film = draw(looks, LAYER)
    places = {(look, name): place(film, colour(look, name)) for look in range(3) for name in ("7", "2", "30")}
    assert {key for key, found in places.items() if is_framed(film, *found)} == {(1, "30"), (2, "7")}


def test_a_card_is_the_grid_of_today_over_the_film():
    looks = [frame(0), frame(1)]
    card, parts = filter_card(looks[1], looks, LAYER), (filter_sheet(looks[1], LAYER), filter_film(looks, LAYER))
    assert np.array_equal(card[: len(parts[0])], parts[0])
    assert np.array_equal(card[len(parts[0]) : len(parts[0]) + len(parts[1])], parts[1])


def test_the_card_in_the_event_file_shows_each_filter_at_its_own_place(trainer, events):
    """Each square is nearest to the picture that a maximization by hand gives for the channel of this place."""
    torch.manual_seed(0)
    callback, model = filters(layers=["net.4"], channels=[6, 0, 3, 5, 2], steps=24), Frozen(rate=0.0)
    trainer([callback], max_epochs=1).fit(model, loader())
    card = np.asarray(Image.open(io.BytesIO(events().Images("filters/net.4")[-1].encoded_image_string)).convert("RGB"))
    by_hand = shown(maximize(model, "net.4", [6, 0, 3, 5, 2], callback.session.probe.images, steps=24).pictures)
    side = (WIDTH - 5 * GAP) // 4
    wanted = [halved(fit(picture, side)).astype(int) for picture in by_hand]
    for position in range(5):
        y, x = TEXT + 3 * GAP + position // 4 * (side + 2 * TEXT + 2 * GAP), GAP + position % 4 * (side + GAP)
        half = card[y // 2 : y // 2 + side // 2, x // 2 : x // 2 + side // 2]
        away = [np.abs(half - each).mean() for each in wanted]
        assert np.argmin(away) == position
        assert away[position] < 7 < sorted(away)[1]  # what JPEG costs
