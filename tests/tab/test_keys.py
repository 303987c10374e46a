"""The keyboard in a real browser: who has it after a choice, a redraw or a window, and what it reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tab_page import HostedTab, Tab
from tab_runs import film_of, frame_of, inputs_of, pictures_of, with_twins, write_run
from tab_server import tensorboard, wait_for_looks

from lightning_vis.frames import Frame

pytest_plugins = ("tab_fixtures",)
FOCUSED = """() => {
    const each = document.activeElement;
    return each.dataset.name || each.getAttribute("aria-label") || (each.localName === "input" ? each.value : each.textContent);
}"""
HAS = "selector => document.activeElement.matches(selector)"
MANY = 30


@pytest.fixture(scope="module")
def crowd(browser, tmp_path_factory):
    """Thirty runs of many images, each with an alert that stands; the first one has more twins and filters than a window holds."""
    root = tmp_path_factory.mktemp("crowd")
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    found = {f"filters/conv{at}": pictures_of(96) for at in range(2)}
    filters = Frame("probe", *nobody, pictures=found, finished_steps=10, log_step=9, moment="step")
    write_run(root / "run_0", [*with_twins(film_of(3, count=80)), filters], inputs_of(80, twins=True))
    for at in range(1, MANY):
        frames = [frame_of(10 * epoch, 80, share=0.5, seed=at, alert=1.0) for epoch in range(2)]
        write_run(root / f"run_{at}", frames, inputs_of(80))
    with tensorboard(root) as address:
        wait_for_looks(address, f"run_{MANY - 1}", 2)
        yield address


@pytest.fixture(scope="module")
def many(browser, crowd):
    with Tab(browser, crowd) as tab:
        yield tab


def runs(*numbers, **more):
    chosen = ",".join(f"run_{at}" for at in numbers)
    return f"&p.lightning_vis.runs={chosen}" + "".join(f"&p.lightning_vis.{name}={value}" for name, value in more.items())


def has(tab, selector):
    return tab.frame.evaluate(HAS, selector)


def focused(tab):
    return tab.frame.evaluate(FOCUSED)


def chosen(tab):
    return tab.frame.inner_text("[aria-label=page] [aria-checked=true]")


def test_after_a_choice_in_a_select_the_page_has_its_keys_again(many):
    tab = many.follow(runs(1, tab="compare"))
    order = "select[aria-label='order of images']"
    tab.frame.focus(order)
    for key in ("Space", "ArrowDown", "Enter"):  # opens it, goes on, and chooses
        tab.press(key)
    assert tab.frame.input_value(order) == "class"
    tab.press("Home")
    assert tab.when == "start"
    tab.press("Space")
    tab.until_when("epoch 1")
    tab.press("2")
    assert chosen(tab) == "Film"


def test_arrows_go_through_a_select_and_escape_leaves_it(many):
    tab = many.follow(runs(1, tab="compare"))
    order = "select[aria-label='order of images']"
    tab.frame.focus(order)
    for key in ("ArrowDown", "ArrowDown"):
        tab.press(key)
        assert has(tab, order)
    values = tab.frame.eval_on_selector_all(f"{order} option", "all => all.map(each => each.value)")
    assert tab.frame.input_value(order) == values[2]
    tab.press("Escape")
    tab.press("Home")
    assert (tab.when, tab.frame.input_value(order)) == ("start", values[2])


def test_a_range_keeps_its_own_keys_alone(page):
    tab = page.follow()
    smooth = "input[aria-label='smoothing of the lines']"
    tab.frame.focus(smooth)
    before = float(tab.frame.input_value(smooth))
    tab.press("ArrowRight")
    assert float(tab.frame.input_value(smooth)) > before
    assert tab.when == "epoch 11"
    tab.press("2")
    assert chosen(tab) == "Film"
    tab.frame.focus(smooth)
    tab.press("Escape")
    tab.press("ArrowLeft")
    assert tab.when == "epoch 10"


def test_space_plays_where_a_tile_has_the_keyboard_and_enter_opens_it(page):
    tab = page.follow("&p.lightning_vis.tab=compare&p.lightning_vis.steps=90")
    tab.painted()
    tab.frame.focus("[aria-label^='image 1, run alpha']")
    tab.press("Enter")
    assert tab.frame.query_selector(".cell[open]")
    tab.press("Space")  # over the page it plays too, and closes nothing
    tab.until_when("epoch 11")
    assert tab.frame.query_selector(".cell[open]")
    tab.press("Home")
    tab.press("Escape")
    assert has(tab, "[aria-label^='image 1, run alpha']")
    tab.press("Space")
    tab.until_when("epoch 11")
    assert tab.frame.query_selector(".cell[open]") is None


@pytest.mark.parametrize("tab", ["twins", "filters"])
def test_up_and_down_scroll_a_page_that_is_taller_than_the_window(many, tab):
    many.resize(900, 640)
    many.follow(runs(0, tab=tab)).painted()
    most = many.frame.evaluate(
        "() => { const each = document.querySelector('main'); return each.scrollHeight - each.clientHeight; }"
    )
    assert most > 200
    for _ in range(most // 80 + 1):
        many.press("ArrowDown")
    many.until("most => document.querySelector('main').scrollTop >= most - 1", most)
    assert many.when == "epoch 2"
    many.press("ArrowUp")
    many.until("most => document.querySelector('main').scrollTop < most - 40", most)
    many.resize(1440, 900)


def test_inside_of_tensorboard_up_and_down_scroll_the_page_too(browser, crowd):
    with HostedTab(browser, crowd, runs(0, tab="twins")) as tab:
        tab.painted()
        tab.press("ArrowDown")
        tab.until("() => document.querySelector('main').scrollTop > 40")


def test_the_keyboard_stays_where_it_was_when_what_it_was_on_is_made_anew(many):
    tab = many.follow(runs(0, 1, tab="compare"))
    tab.painted()
    tab.frame.focus("[aria-label='next images']")
    tab.press("Enter")
    assert tab.texts(".pager span") != []
    assert focused(tab) == "next images"
    tab.frame.focus("[aria-label^='image'][aria-label*='run run_1']")
    tile = focused(tab)
    tab.press("b")
    assert tab.frame.query_selector(".moment.B")
    assert focused(tab) == tile
    tab.press("b")
    assert focused(tab) == tile
    tab.frame.focus(".others button >> nth=0")
    tab.press("Enter")
    assert tab.frame.inner_text(".runs summary").startswith("3 of")
    assert has(tab, ".others button")
    tab.frame.focus(".runs summary")
    tab.press("Enter")
    tab.frame.focus("[aria-label='show run_5 only']")
    tab.press("Enter")
    assert tab.frame.inner_text(".runs summary").startswith("1 of")
    assert focused(tab) == "show run_5 only"


def test_the_keyboard_stays_in_an_opened_tile(page):
    tab = page.follow("&p.lightning_vis.tab=compare")
    tab.painted()
    tab.frame.focus("[aria-label^='image 2, run beta']")
    tab.press("Enter")
    tab.frame.focus("text=next image")
    for title in ("image 3, beta", "image 4, beta"):
        tab.press("Enter")
        assert tab.frame.inner_text(".cell h2") == title
    tab.press("b")
    assert focused(tab).startswith("next image ")
    tab.press("Escape")  # the tile that it was opened from was made anew meanwhile
    tab.until(HAS, "[aria-label^='image 2, run beta']")


def test_the_keyboard_stays_on_the_page_where_what_it_was_on_is_gone(page):
    tab = page.follow("&p.lightning_vis.tab=compare&p.lightning_vis.image=1")
    tab.painted()
    tab.frame.focus(".one")
    tab.press("Enter")
    assert tab.frame.query_selector(".one[hidden]")
    assert has(tab, "main")
    tab.frame.focus("main canvas[tabindex='0']")
    tab.press("2")
    assert has(tab, "main")


def test_the_keyboard_stays_on_a_moment_while_the_film_grows(browser, tmp_path):
    frames = film_of(20)
    write_run(tmp_path / "run", frames[:18], inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 18)
        with Tab(browser, address, "&p.lightning_vis.tab=film", width=2560) as tab:
            tab.painted()
            tab.frame.focus(".times button >> text='epoch 17'")
            tab.press("ArrowLeft")
            assert focused(tab) == "epoch 16"
            write_run(tmp_path / "run", frames[18:], inputs_of())
            tab.until("() => document.querySelector('footer .bar').textContent.includes('of 20')")
            assert focused(tab) == "epoch 16"
            tab.press("+")
            tab.until("() => document.querySelectorAll('.times button').length < 18")
            assert has(tab, ".times button")


def test_a_pointer_leaves_the_page_its_keys(page):
    tab = page.follow("&p.lightning_vis.tab=compare&p.lightning_vis.steps=50")
    tab.painted()
    tab.click("Film")
    tab.press("ArrowRight")
    assert (tab.when, chosen(tab)) == ("epoch 6", "Film")


def test_escape_a_press_elsewhere_and_another_page_close_lists(many):
    tab = many.follow(runs(1, 2, 3, tab="compare"))
    tab.painted()
    for summary in (".runs summary", ".alerts summary"):
        is_open = f"{summary.split(' ')[0]} details[open], details{summary.split(' ')[0]}[open]"
        tab.frame.focus(summary)
        tab.press("Enter")
        assert tab.frame.query_selector(is_open)
        tab.press("Tab")
        tab.press("Escape")
        assert tab.frame.query_selector(is_open) is None
        assert has(tab, summary)
        tab.press("Enter")
        tab.frame.click("main", position={"x": 700, "y": 5})
        assert tab.frame.query_selector(is_open) is None
        tab.frame.click(summary)
        assert tab.frame.query_selector(is_open)
        tab.press("2")
        assert tab.frame.query_selector(is_open) is None
        tab.press("1")
        tab.painted()


def test_a_list_of_flags_stays_open_while_they_change(many):
    tab = many.follow(runs(1, 2, 3, tab="compare"))
    tab.frame.click(".alerts summary")
    tab.frame.eval_on_selector(".others button[title='show run_4 too']", "each => each.click()")  # no press elsewhere
    tab.until("() => document.querySelectorAll('.flag').length === 4")
    assert tab.frame.query_selector(".alerts details[open]")


def test_another_page_closes_an_opened_tile(page):
    tab = page.follow("&p.lightning_vis.tab=compare&p.lightning_vis.cell=1,beta")
    assert tab.frame.query_selector(".cell[open]")
    tab.press("2")
    assert chosen(tab) == "Film"
    assert tab.frame.query_selector(".cell[open]") is None
    assert has(tab, "main")


def test_all_flags_can_be_read_within_the_window(many):
    tab = many.follow(runs(*range(1, MANY), tab="compare"))
    tab.frame.click(".alerts summary")
    lines = tab.frame.eval_on_selector_all(
        ".alerts .lines .flag",
        "all => all.map(each => [each.clientHeight, each.scrollHeight, each.clientWidth, each.scrollWidth])",
    )
    assert len(lines) == MANY - 1
    assert all(height >= 20 and height >= inner and width >= across for height, inner, width, across in lines)
    box = tab.frame.query_selector(".alerts .lines").bounding_box()
    assert box["y"] >= 0
    tab.frame.focus(".flag >> nth=-1")
    last = tab.frame.query_selector(".flag >> nth=-1").bounding_box()
    assert box["y"] <= last["y"] <= box["y"] + box["height"] - last["height"]


def test_one_flag_says_all_of_the_alert_without_a_pointer(page):
    tab = page.follow("&p.lightning_vis.tab=compare&p.lightning_vis.runs=beta")
    for width, height in ((1440, 900), (1000, 760)):
        tab.resize(width, height)
        size = tab.frame.eval_on_selector(".flag", "each => [each.textContent, each.clientWidth - each.scrollWidth]")
        assert size == ["⚑ beta: background, from epoch 5, still at epoch 11", 0]
        assert tab.frame.is_visible(".flag")
    tab.resize(1440, 900)


ALERT_TICKS = """async () => {
  const { scaleOf } = await import("./static/timeline/axes.js");
  return scaleOf("reliance/alert", [0, 0.5]).ticks.map((tick) => tick.text);
}"""


def test_the_words_of_an_alert_say_what_makes_them(browser, tmp_path):
    """Amber, then red at the last look; another run whose alert is that of the surroundings."""
    levels = [frame_of(10 * at, alert=at / 2) for at in range(3)]
    write_run(tmp_path / "twins", levels, inputs_of())
    exchanged = [replace(each, numbers={"reliance/surroundings_alert": each.numbers["reliance/alert"]}) for each in levels]
    write_run(tmp_path / "exchanged", exchanged, inputs_of())
    both = [replace(each, numbers={**each.numbers, "reliance/surroundings_alert": 1.0}) for each in levels]
    write_run(tmp_path / "both", both, inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "twins", 3)
        wait_for_looks(address, "both", 3)
        wait_for_looks(address, "exchanged", 3)
        with Tab(browser, address, "&p.lightning_vis.tab=compare&p.lightning_vis.runs=twins") as tab:
            tab.painted()
            assert tab.texts(".alert") == ["alert: background"]
            assert "0.25 or more, and its share 0.5 or more" in tab.frame.get_attribute(".alert", "title")
            tab.press("ArrowLeft")
            tab.until("() => document.querySelector('.alert').textContent === 'background?'")
            assert "0.2 or more, and its share 0.25 or more" in tab.frame.get_attribute(".alert", "title")
            tab.follow("&p.lightning_vis.tab=compare&p.lightning_vis.runs=exchanged").painted()
            assert tab.texts(".alert") == ["alert: surroundings"]
            assert "none amber red" in " ".join(tab.frame.evaluate(ALERT_TICKS))
            assert "two exchanges in a row" in tab.frame.get_attribute(".alert", "title")
            tab.follow("&p.lightning_vis.tab=compare&p.lightning_vis.runs=both").painted()
            assert tab.texts(".alert") == ["alert: background", "alert: surroundings"]
            tab.press("?")
            said = tab.frame.inner_text(".help")
            assert all(f"\n{word}\n" in said for word in ("alert: background", "background?", "alert: surroundings"))
