"""The verdict with its exchanges, in a real browser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tab_boxes import BOXES
from tab_page import Tab
from tab_runs import film_of, inputs_of, write_run
from tab_server import tensorboard, wait_for_looks

from lightning_vis.frames import Cell, Verdict
from lightning_vis.render.experiment.exchange import exchange_pictures
from lightning_vis.render.experiment.sheets import patch_pictures, sure_pictures

pytest_plugins = ("tab_fixtures",)
SENTENCE = "In the surroundings of leaves, bird is called leaves in 7 of 9 exchanges. See exchange 3."
HEADER = "bird: its best patches are answered bird 9 of 12 times, random patches of bird 2 of 12."
ROWS = 3
IS_SEEN = """() => {
    const [stage, head] = [".stage", ".twins h2"].map(each => document.querySelector(each).getBoundingClientRect());
    return head.top >= stage.top + 8 && head.bottom <= stage.bottom;
}"""


def exchanged(frame, state="red", rows=(2,)):
    """The frame with a verdict and three exchanges, each of three greys of its own."""
    values = np.broadcast_to(
        20 * (1 + np.arange(3 * ROWS, dtype=np.uint8)).reshape(ROWS, 3, 1, 1, 1), (ROWS, 3, 32, 32, 3)
    ).copy()
    said = [[("bird", 0.9), ("bird", 0.8), ("leaves" if row == 2 else "bird", 0.7)] for row in range(ROWS)]
    pictures = exchange_pictures(values, [("bird", "leaves")] * ROWS, said)
    cells = (Cell("bird", "leaves", 7, 9), Cell("leaves", "bird", 0, 9))
    numbers = {**frame.numbers, "reliance/surroundings_alert": float(state == "red")}
    pictures = {"exchange": pictures, **sheets()}
    return replace(frame, verdict=Verdict(state, SENTENCE, rows, cells=cells), pictures=pictures, numbers=numbers)


def sheets():
    """One patch of a class, and a mistake."""
    grey = np.full((32, 32, 3), 60, np.uint8)
    patch = patch_pictures([(grey, (slice(0, 12), slice(0, 12)), grey + 40)], [HEADER], ["on leaves: says bird 0.80"], [True])
    return {"convinces": patch, "sure": sure_pictures([grey], ["wrong 1 of 3: bird: says leaves 0.99"])}


def test_the_verdict_stands_with_its_pictures_those_that_it_names_first(browser, tmp_path):
    frames = film_of(4)
    write_run(tmp_path / "run", [*frames[:2], exchanged(frames[2]), frames[3]], inputs_of())
    write_run(tmp_path / "silent", film_of(4), inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 4)
        wait_for_looks(address, "silent", 4)
        with Tab(browser, address, "&p.lightning_vis.tab=twins") as tab:
            tab.painted()
            assert tab.texts(".verdict:not([hidden])")[0] == f"epoch 2: {SENTENCE}"
            assert ["orange frame" in each for each in tab.texts(".twins > .effects")] == [True]
            named = tab.frame.eval_on_selector_all(
                "select.scalar option", "all => all.map(each => [each.textContent, each.title])"
            )
            assert ["alert: surroundings", "reliance/surroundings_alert"] in named
            assert not any(text.startswith("reliance/") for text, _ in named)
            assert tab.texts(".exchanges .object > .small:first-child")[:3] == ["exchange 3", "exchange 1", "exchange 2"]
            assert len(tab.frame.query_selector_all(".exchanges .named")) == 1
            assert tab.texts(".matrix th") == ["", "leaves", "bird", "bird", "leaves"]
            assert tab.texts(".matrix caption")[0].startswith("epoch 2: how often")
            assert tab.texts(".matrix td") == ["7/9", "", "", "0/9"]
            assert [each.split(".")[0] for each in tab.texts(".flag")] == ["⚑ run: surroundings, from epoch 2"]
            tab.until("() => document.querySelectorAll('.sheet figcaption').length === 3")
            tab.until("() => document.querySelectorAll('.sheet figcaption')[1].textContent === 'says bird 0.80'")
            assert tab.texts(".sheet .object > div:first-child") == [HEADER, ""]
            assert tab.texts(".sheet .place") == ["its patch", "on leaves", "wrong 1 of 3: bird"]
            tab.painted()
            assert abs(int(tab.pixels(".sheet canvas", 1)[100, 100, 0]) - 100) < 10
            tab.until("() => document.querySelector('.exchanges figcaption').textContent === 'says bird 0.90'")
            assert tab.texts(".exchanges figcaption")[:3] == ["says bird 0.90", "says bird 0.80", "says leaves 0.70"]
            greys = [tab.pixels(".exchanges canvas", at)[40, 40, 0] for at in range(3)]
            assert np.abs(np.array(greys, int) - (140, 160, 180)).max() < 10  # as cameras store them; the next one is 20 away
            label = tab.frame.get_attribute(".exchanges canvas >> nth=2", "aria-label")
            assert label == "exchange 3, other class, run run: bird, surroundings of leaves, says leaves 0.70"
            assert tab.frame.inner_text("section >> nth=1").splitlines()[-1] == "no twins in this run"
            tab.press("Home")
            assert tab.frame.query_selector(".exchanges canvas:visible") is None  # nothing was exchanged yet
            # A sentence leads to the exchanges that it names, at their look; the alert's flag does as well.
            for key in "12":  # what is said below the rows is of the moment, and says of which look
                tab.press(key)
                tab.painted()
                tab.press("Home")
                assert tab.texts(".note") == ["run: no verdict at this moment yet, the first one is of epoch 2"]
                tab.press("End")
                tab.painted()
                assert [each.split(": In")[0] for each in tab.texts(".note")] == ["run, epoch 2"]
            tab.press("1")
            tab.frame.click(".note summary")
            tab.frame.click(".see")
            tab.painted()
            assert tab.texts(".twins h2 strong") == ["run", "silent"]
            assert tab.when == "epoch 2"
            assert tab.frame.evaluate(IS_SEEN)
            tab.press("1")
            tab.follow(
                "&p.lightning_vis.tab=compare&p.lightning_vis.runs=silent,run&p.lightning_vis.against=moment&p.lightning_vis.image=1"
            )
            tab.painted()
            assert tab.frame.evaluate(BOXES, "footer") == []
            assert tab.frame.query_selector(".flag").bounding_box()["width"] > 200
            tab.frame.evaluate("() => { document.querySelector('main').scrollTop = 9999; }")
            tab.frame.click(".flag")
            tab.painted()
            assert tab.texts(".twins h2 strong") == ["run", "silent"]
            assert tab.frame.evaluate(IS_SEEN)


@pytest.mark.parametrize(("state", "begin"), [("seen", "run, epoch 2, no alert: "), ("red", "run, epoch 2: ")])
def test_what_was_seen_at_one_look_is_said_to_be_no_alert(browser, tmp_path, state, begin):
    write_run(tmp_path / "run", [*film_of(2), exchanged(film_of(3)[2], state)], inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 3)
        with Tab(browser, address, "&p.lightning_vis.tab=compare") as tab:
            assert [each.startswith(begin) for each in tab.texts(".note")] == [True]
            assert tab.frame.get_attribute(".note", "data-state") == state


@pytest.mark.parametrize(("state", "named"), [("seen", 2), ("not measured", 0)])
def test_a_border_stands_at_what_the_verdict_counts_alone(browser, tmp_path, state, named):
    """A verdict that proves nothing has a row to look at, too, which it does not speak of."""
    write_run(tmp_path / "run", [*film_of(2), exchanged(film_of(3)[2], state, (0, 2))], inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 3)
        with Tab(browser, address, "&p.lightning_vis.tab=twins") as tab:
            tab.painted()
            assert any("A red border: it shows what the verdict counts." in each for each in tab.texts(".twins > .effects"))
            assert sorted(tab.texts(".exchanges .object > .small:first-child")[:3]) == [
                "exchange 1",
                "exchange 2",
                "exchange 3",
            ]
            assert len(tab.frame.query_selector_all(".exchanges .named")) == named


def test_nothing_of_the_exchanges_leaves_a_narrow_window(browser, tmp_path):
    write_run(tmp_path / "run", [film_of(2)[0], exchanged(film_of(2)[1])], inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        for width in (320, 390):
            with Tab(browser, address, "&p.lightning_vis.tab=twins", width=width, height=844) as tab:
                tab.frame.wait_for_selector(".matrix caption")
                tab.painted()
                wide = "each => each.scrollWidth - each.clientWidth"
                assert [tab.frame.eval_on_selector(each, wide) for each in ("html", "main", ".matrix")] == [0, 0, 0]
