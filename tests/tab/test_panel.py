"""What an opened cell's pictures say of themselves while they change, in a real browser."""

from __future__ import annotations

import pytest
from tab_cell import BLOBS, at_cell, facts, link, shown_cell
from tab_page import Tab

from lightning_vis.events.frame_reader import read_frames

pytest_plugins = ("tab_fixtures",)
UNDER = ".cell .under"
SPOT = """() => {
    const [spot, map] = [".spot:not([hidden])", "canvas:focus, canvas[role=application]"].map(each => document.querySelector(`.cell .photo ${each}`).getBoundingClientRect());
    return [Math.round(7 * (spot.top - map.top) / map.height), Math.round(7 * (spot.left - map.left) / map.width)];
}"""


def read(tab):
    """The number that is said of a place, and the place."""
    place, _, said = tab.frame.inner_text(UNDER).replace("−", "-").partition(": evidence ")  # noqa: RUF001
    return place, float(said.split()[0])


def evidence(logdir, epoch, row, column, image=1):
    run = next(each for each in read_frames(logdir) if each.name == "alpha")
    return run.frames[epoch].maps["evidence"].values[image, row, column]


def moved(tab, key, when):
    tab.press(key)
    tab.until("when => document.querySelectorAll('.cell figcaption')[1].textContent.startsWith(when)", when)
    shown_cell(tab, 2)


def test_the_value_under_a_resting_pointer_is_that_of_the_picture_shown(page, logdir):
    tab = page.follow(link(runs="alpha", view="evidence", steps=80, cell="1,alpha"))
    shown_cell(tab, 2)
    at_cell(tab, 1, 4, 2)
    for key, epoch in (("ArrowLeft", 7), ("ArrowLeft", 6), ("End", 11)):
        moved(tab, key, f"epoch {epoch} ")
        assert read(tab) == ("row 5 of 7, column 3 of 7", pytest.approx(evidence(logdir, epoch, 4, 2), abs=0.1))
    tab.press("Escape")
    assert tab.frame.query_selector(".cell[open]") is None


def test_another_image_has_no_value_before_it_is_pointed_to(page):
    tab = page.follow(link(runs="alpha", view="evidence", steps=80, cell="1,alpha"))
    shown_cell(tab, 2)
    tab.page.mouse.move(2, 2)
    tab.frame.focus(".cell canvas[role=application]")
    tab.press("ArrowUp")
    assert tab.frame.inner_text(UNDER)
    tab.frame.click("text=next image")
    tab.until("() => document.querySelector('.cell h2').textContent === 'image 3, alpha'")
    assert tab.frame.inner_text(UNDER) == ""
    assert tab.frame.query_selector(".spot:not([hidden])") is None
    tab.press("Escape")


def test_arrows_on_a_map_read_it_cell_by_cell_and_do_not_move_the_film(page, logdir):
    tab = page.follow(link(runs="alpha", view="evidence", steps=80, cell="1,alpha"))
    shown_cell(tab, 2)
    assert tab.frame.get_attribute(UNDER, "aria-live") == "polite"
    tab.frame.focus(".cell canvas[role=application]")
    for key, row, column in (("ArrowUp", 3, 3), ("ArrowDown", 4, 3), ("ArrowLeft", 4, 2), *[("ArrowRight", 4, 6)] * 5):
        tab.press(key)
        if key != "ArrowRight":
            place, value = read(tab)
            assert (place, tab.frame.evaluate(SPOT)) == (f"row {row + 1} of 7, column {column + 1} of 7", [row, column])
            assert value == pytest.approx(evidence(logdir, 8, row, column), abs=0.1)
    assert read(tab)[0] == "row 5 of 7, column 7 of 7"  # and no further
    assert tab.when == "epoch 8"
    tab.press("Escape")


def test_what_a_finger_has_touched_stays_and_can_be_seen_in_a_small_window(browser, server, logdir):
    wishes = {"has_touch": True, "width": 390, "height": 844}
    with Tab(browser, server, link(runs="alpha", view="evidence", steps=80, cell="1,alpha"), **wishes) as tab:
        shown_cell(tab, 2)
        box = tab.frame.query_selector(".cell .photo canvas >> nth=1").bounding_box()
        tab.page.touchscreen.tap(box["x"] + 2.5 * box["width"] / 7, box["y"] + 4.5 * box["height"] / 7)
        tab.until("() => document.querySelector('.cell .under').textContent !== ''")
        tab.frame.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert read(tab) == ("row 5 of 7, column 3 of 7", pytest.approx(evidence(logdir, 8, 4, 2), abs=0.1))
        assert tab.frame.evaluate(SPOT) == [4, 2]
        said = tab.frame.query_selector(UNDER).bounding_box()
        assert said["y"] + said["height"] <= 844 - 64


def test_words_change_with_the_picture_and_what_is_awaited_is_said(browser, server):
    with Tab(browser, server, link(runs="alpha", view="evidence", steps=110, cell="1,alpha")) as tab:
        shown_cell(tab, 2)
        before = whole(tab)
        assert before[0] == "epoch 11 · ✗ bird · p 0.83 · explains mammal"
        held, holds = [], True
        tab.context.route(BLOBS, lambda route: held.append(route) if holds else route.continue_())
        tab.press("Home")
        tab.until("() => document.querySelectorAll('.cell .state')[1].textContent === 'loading start …'")
        assert whole(tab) == before
        assert tab.frame.query_selector_all(".cell .old")
        tab.until("() => parent.location.hash.includes('steps=0')")
        tab.press("v")  # there is no picture of this view yet
        tab.until("() => document.querySelector('.cell canvas[data-state=loading]')")
        words, known, pixels = whole(tab)
        assert (words, known) == ("", {})
        assert pixels != before[2]
        holds = False
        for route in held:
            route.continue_()
        shown_cell(tab, 2)
        assert whole(tab)[0].startswith("start · ✗ bird")
        assert whole(tab)[1]["moment"].startswith("start")
        assert tab.frame.query_selector(".cell .old") is None


def whole(tab):
    """What stands below the map, what is known of it, and its picture."""
    return tab.texts(".cell figcaption")[1], facts(tab), tab.pixels(".cell .photo canvas", 1).tobytes()
