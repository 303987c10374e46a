"""The page for everyone, in a real browser: keyboard, screen reader, zoom, touch, the system's colours, paper, any window."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tab_boxes import BOXES
from tab_page import OPENING, Tab
from tab_server import wait_for

pytest_plugins = ("tab_fixtures",)
MOST_STOPS = 30
STOPS = """() => [...document.querySelectorAll("button, input, select, summary, [tabindex]")]
    .filter(each => each.tabIndex >= 0 && !each.disabled && each.checkVisibility() && !each.closest("details:not([open]) > :not(summary)"))
    .map(each => each.closest("main")?.firstChild?.className || each.closest("header, footer")?.localName || "")"""


@pytest.mark.parametrize(("width", "height"), [(390, 844), (720, 450), (1000, 760), (1440, 900), (2560, 1300)])
def test_nothing_leaves_the_window_or_lies_over_anything(page, width, height):
    """720 x 450 is a window of 1440 x 900 at 200 %."""
    page.resize(width, height)
    try:
        if page.follow().frame.is_visible(".more"):
            page.frame.click(".more")  # all of the timeline's controls
        for link in (
            OPENING,
            "&p.lightning_vis.against=moment&p.lightning_vis.other=30",
            *(f"&p.lightning_vis.tab={each}" for each in ("film", "filters", "twins")),
        ):
            page.follow(link).painted()
            page.page.wait_for_timeout(100)
            assert {each: page.frame.evaluate(BOXES, each) for each in ("header", "main", "footer")} == {
                "header": [],
                "main": [],
                "footer": [],
            }, link
            assert page.frame.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), link
    finally:
        if page.frame.is_visible(".more"):
            page.frame.click(".more")
        page.resize(1440, 900)


def test_headings_lead_to_the_runs_and_rows_say_what_stands_in_them(page):
    said = page.follow().frame.locator("body").aria_snapshot()
    assert 'heading "Lightning Vis: Compare" [level=1]' in said
    assert re.findall(r'heading "(\w+)" \[level=2\]', said) == ["alpha", "beta", "gamma", "Timeline"]
    roles = ("grid", "row", "rowheader", "columnheader", "gridcell")
    found = {role: page.frame.locator("main").get_by_role(role).count() for role in roles}
    assert found == {"grid": 1, "row": 4, "rowheader": 4, "columnheader": 4, "gridcell": 12}  # the photos, and three runs
    page.follow("&p.lightning_vis.tab=film").painted()
    said = page.frame.locator("main").aria_snapshot()
    assert '- table "each image over time, a row for each run"' in said
    assert 'cell "image 2, mammal, run alpha, over time: start says bird, wrong"' in said


def test_the_legend_is_said_in_words(page):
    words = {
        "evidence": "Legend: blue at −31, the photo itself at 0, warm at 31, on a logarithmic scale.",  # noqa: RUF001
        "grad_cam": "Legend: the photo itself at 0, light yellow at 31, on a logarithmic scale.",
        "saliency": "Legend: black at 0, light yellow at 12, in multiples of a map's own mean.",
    }
    for view, said in words.items():
        assert page.follow(f"&p.lightning_vis.view={view}").frame.get_attribute(".legend", "aria-label") == said
    page.follow("&p.lightning_vis.view=grad_cam&p.lightning_vis.photo=spotlight&p.lightning_vis.gain=1")
    assert (
        page.frame.get_attribute(".legend", "aria-label")
        == "Legend: the photo is dark at 0 and lit at 15, on a logarithmic scale."
    )


@pytest.mark.parametrize("tab", ["compare", "film", "filters", "twins"])
def test_the_keyboard_has_few_stops(page, tab):
    page.follow(f"&p.lightning_vis.tab={tab}").painted()
    stops = page.frame.evaluate(STOPS)
    assert len(stops) <= MOST_STOPS
    assert stops.count(tab if tab in ("compare", "film") else "sheets") <= 3


def test_arrows_go_through_the_film_and_enter_goes_there(page):
    page.follow("&p.lightning_vis.tab=film").painted()
    page.frame.focus(".film .times button[tabindex='0']")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Enter"):
        page.press(key)
    assert page.when == "epoch 2"
    page.press("ArrowDown")
    assert page.frame.evaluate("() => document.activeElement.getAttribute('aria-label')") == "image 1: bird"


def test_the_chart_is_a_slider_of_all_arrows(page):
    page.follow().frame.focus("canvas.chart")
    seen = [(page.press(key), page.when)[1] for key in ("Home", "ArrowUp", "ArrowRight", "ArrowDown")]
    assert seen == ["start", "epoch 1", "epoch 2", "epoch 1"]


def colours(tab, selector, name):
    return tab.frame.eval_on_selector_all(selector, f"all => all.map(each => getComputedStyle(each).{name})")


def test_in_the_system_s_colours_what_is_chosen_and_measured_can_be_seen(browser, server):
    with Tab(browser, server, forced_colors="active", color_scheme="dark") as tab:
        tab.painted()
        chosen, other = (colours(tab, f"[role=radio][aria-checked={each}]", "backgroundColor")[0] for each in ("true", "false"))
        ground = colours(tab, "body", "backgroundColor")[0]
        assert len({chosen, other, ground}) >= 2
        assert chosen not in (other, ground)
        bar = ".lift:not([hidden])"
        assert ground not in (
            *colours(tab, bar, "borderTopColor"),
            *colours(tab, f"{bar} i", "backgroundColor"),
            *colours(tab, f"{bar} b", "backgroundColor"),
        )
        marks = colours(tab, ".run", "borderLeftColor")
        assert len(set(marks)) == len(marks) == 3
        chart = tab.pixels("canvas.chart", channels=4)
        inked = chart[..., 3] > 200
        assert (
            np.abs(chart[inked][:, :3].astype(int) - [int(each) for each in re.findall(r"\d+", ground)[:3]]).max(1).mean() > 60
        )


def test_nothing_moves_by_itself_where_that_is_not_wanted(browser, server):
    with Tab(browser, server, reduced_motion="reduce") as tab:
        tab.frame.evaluate("() => document.querySelector('figure').classList.add('old')")
        assert colours(tab, "figure.old canvas", "transitionDuration") == ["0s"]
        tab.page.wait_for_timeout(300)
        assert tab.when == "epoch 11"


def test_paper_has_the_whole_page_in_dark_ink_and_nothing_to_press(browser, server):
    with Tab(browser, server, color_scheme="dark", height=500) as tab:
        tab.painted()
        before = tab.pixels("canvas.chart", channels=4)
        tab.page.emulate_media(media="print")
        tab.until("() => getComputedStyle(document.body).color === 'rgb(32, 33, 36)'")
        assert colours(tab, "main", "overflowY") == ["visible"]
        shown = tab.frame.eval_on_selector_all(
            "button, select, input, summary", "all => all.filter(each => each.checkVisibility()).map(each => each.textContent)"
        )
        assert shown == [
            "Compare",
            "Evidence",
            "grey",
            "evidence",
            "⚑ beta: background, from epoch 5, still at epoch 11",
        ]  # what is chosen, and what is the case
        assert set(colours(tab, ".choice [aria-checked=true]", "color")) == {"rgb(32, 33, 36)"}
        assert tab.frame.eval_on_selector(".legend", "each => each.checkVisibility()")
        wait_for(lambda: not np.array_equal(before, tab.pixels("canvas.chart", channels=4)), "the chart stays light")
        assert tab.page.pdf(landscape=True).startswith(b"%PDF")


def test_fingers_open_tiles_and_go_through_the_film(browser, server):
    with Tab(browser, server, width=390, height=844, has_touch=True) as tab:
        tab.painted()
        small = tab.frame.eval_on_selector_all(
            "button, select, summary",
            "all => all.filter(each => each.checkVisibility() && each.getBoundingClientRect().height < 36).map(each => each.textContent)",
        )
        assert small == []
        tab.frame.tap(".picture canvas >> nth=1")
        assert tab.frame.inner_text(".cell h2") == "image 2, alpha"
        tab.frame.tap("role=button[name='look before']")
        tab.until("() => document.querySelectorAll('.cell figcaption')[1].textContent.startsWith('epoch 10')")
        tab.frame.tap("role=button[name='its line in the chart']")
        assert tab.frame.is_visible(".one")
        assert tab.frame.get_attribute("role=button[name='its line in the chart']", "aria-pressed") == "true"
        tab.frame.tap(".cell .close")
        box = tab.frame.query_selector("canvas.chart").bounding_box()
        touch = tab.context.new_cdp_session(tab.page)
        for kind, x in (("touchStart", 70), ("touchMove", 90), ("touchMove", 66)):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": box["x"] + x, "y": box["y"] + 40}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        tab.until_when("start")


@pytest.mark.parametrize(("width", "height"), [(720, 450), (720, 514), (844, 454)])
def test_a_low_window_shows_photos_and_maps_on_its_first_screen(browser, server, width, height):
    """1440 x 900 at 200 %, by itself and inside of TensorBoard, and a telephone held across."""
    with Tab(browser, server, width=width, height=height, has_touch=width == 844) as tab:
        tab.painted()
        footer = tab.frame.query_selector("footer").bounding_box()
        shown = tab.frame.query_selector(".picture canvas").bounding_box()
        assert shown["y"] + shown["height"] <= footer["y"]
        assert not tab.frame.is_visible(".legend")
        assert not tab.frame.is_visible("canvas.chart")
        tab.frame.click(".unfold")
        assert tab.frame.is_visible(".legend")
        assert tab.frame.is_visible("text=copy link")
        tab.frame.click(".more")
        assert tab.frame.is_visible("canvas.chart")
        tab.drag_to(4 / 11)
        assert tab.when == "epoch 4"
