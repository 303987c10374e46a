"""Sheets: what is framed, what stands above which pictures, and what is left away."""

from __future__ import annotations

import numpy as np

from lightning_vis.frames import Frame
from lightning_vis.render.canvas.style import WIDTH, WRONG
from lightning_vis.render.experiment.sheets import NOTHING_WRONG, SHEETS, patch_pictures, sure_pictures
from tests.render.test_cards import written  # noqa: F401

GREY = np.full((64, 64, 3), 90, np.uint8)
PLACE = (slice(0, 26), slice(38, 64))
HEADERS = ["bird: 9 of 12.", "bird: 9 of 12.", "mammal: 0 of 12."]
SAYS = [
    "mammal with the patch: says bird 0.97",
    "mammal with the patch: says mammal 0.51",
    "bird with the patch: says bird 0.99",
]


def frame(**pictures):
    return Frame("probe", np.zeros(1, int), np.zeros(1), pictures=pictures, moment="epoch", epoch=3, finished_steps=9)


def patches():
    return patch_pictures([(GREY, PLACE, GREY)] * 3, HEADERS, SAYS, [True, False, False])


def test_a_patch_is_bright_on_its_own_image_and_what_it_turns_is_framed():
    values = patches().values
    assert values.shape == (6, 160, 160, 3)
    assert (values[0, 30, 130] == 90).all()
    assert (values[0, 130, 30] < 55).all()
    assert [tuple(each[0, 80]) == WRONG for each in values] == [False, True, False, False, False, False]


def test_each_class_is_said_once_above_its_patches(written):  # noqa: F811
    assert SHEETS["convinces"](frame(convinces=patches())).shape[1] == WIDTH
    texts = [text for text, *_ in written]
    assert [texts.count(each) for each in dict.fromkeys(HEADERS)] == [1, 1]
    assert texts.index("mammal: 0 of 12.") > texts.index("says mammal 0.51") > texts.index("bird: 9 of 12.")
    assert texts.count("its patch") == 3


def test_mistakes_stand_above_hits_and_it_is_said_where_there_are_none(written):  # noqa: F811
    captions = ["wrong 1 of 1: bird: says mammal 0.98", "right 1 of 47: bird: says bird 1.00"]
    pictures = sure_pictures([GREY, GREY], captions)
    assert [tuple(each[0, 80]) == WRONG for each in pictures.values] == [True, False]
    both = SHEETS["sure"](frame(sure=pictures))
    texts = [text for text, *_ in written]
    assert texts.index("says mammal 0.98") < texts.index("right 1 of 47: bird")
    assert NOTHING_WRONG not in texts
    assert len(SHEETS["sure"](frame(sure=sure_pictures([GREY], captions[1:])))) < len(both)
    assert NOTHING_WRONG in [text for text, *_ in written]


def test_what_was_not_asked_has_no_sheet():
    assert [sheet(frame()) for sheet in SHEETS.values()] == [None, None, None]
