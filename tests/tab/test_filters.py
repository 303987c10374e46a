"""The pages of filters and of twins in a real browser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tab_page import Tab
from tab_runs import film_of, inputs_of, pictures_of, with_twins, write_run
from tab_server import tensorboard, wait_for_looks

from lightning_vis.export import export_html
from lightning_vis.frames import Filter, Frame, Pictures, Verdict, numbers_of

pytest_plugins = ("tab_fixtures",)


def test_filters_at_the_moment_and_over_time(browser, server):
    with Tab(browser, server, "&p.lightning_vis.runs=gamma&p.lightning_vis.tab=filters") as tab:
        tab.painted()
        assert np.abs(tab.pixels(".tiles canvas").astype(int) - 220).max() <= 2
        tab.drag_to(6 / 11)  # filters were maximized at looks 0, 4 and 11
        tab.page.wait_for_timeout(300)
        assert np.abs(tab.pixels(".tiles canvas").astype(int) - 80).max() <= 2
        tab.until("() => document.querySelector('.tiles figcaption').textContent === 'channel 0'")
        assert tab.frame.inner_text(".sheets h2").split() == ["gamma", "step", "40"]
        assert len(tab.frame.query_selector_all(".row canvas")) == 8 * 3
        tab.frame.click("details .times button >> nth=0")
        assert tab.when == "start"


LOOKS = ((0, 1, 2), (4, 1, 7), (7, 0, 4))
"""The channels of each look, as ``channels="background-driven"`` might choose them: each is drawn in a grey of its own."""
ROWS = {"7": [None, 150, 150], "0": [10, None, 10], "4": [None, 90, 90]}
CLASSES = ("great tit", "a: dead (b", "grey heron")
DEAD, PREFERS = (4, 1), (0, 2)  # channel and look


@pytest.fixture
def changing(tmp_path):
    """A run of two callbacks, of which one looks at other channels every time and one at classes."""
    frames = [frame for at, channels in enumerate(LOOKS) for frame in (filters_at(at, channels), classes_at(at, CLASSES))]
    write_run(tmp_path / "logs" / "changing", frames, None)
    return tmp_path / "logs"


def filters_at(look, channels):
    found = [Filter(str(each), 2.0, 3.0 if (each, look) == PREFERS else 1.0, (each, look) == DEAD) for each in channels]
    return sheet_of(look, "conv1", found, [10 + 20 * each for each in channels])


def classes_at(look, names):
    return sheet_of(look, "<output>", [Filter(name, 2.0, 1.0, kind="class") for name in names], [40, 80, 120])


def sheet_of(look, layer, filters, greys):
    values = np.broadcast_to(np.array(greys, np.uint8)[:, None, None, None], (len(greys), 24, 24, 3)).copy()
    pictures = {f"filters/{layer}": Pictures(values, tuple(each.caption for each in filters))}
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    steps = {"finished_steps": 10 * look, "log_step": 10 * look - 1, "epoch": look, "moment": "epoch" if look else "start"}
    return Frame("probe", *nobody, pictures=pictures, numbers=numbers_of(layer, filters), **steps)


def film_shown(tab):
    """By label of the row: the grey of each tile, None where there is none."""
    tab.painted()
    rows = tab.frame.eval_on_selector_all(
        "details .row:not(.times)",
        "all => all.map(row => [row.querySelector('span').textContent, [...row.querySelectorAll('figure')].map(each =>"
        " each.querySelector('canvas')?.getContext('2d').getImageData(9, 9, 1, 1).data[0] ?? null)])",
    )
    return {label: [grey and round(grey, -1) for grey in greys] for label, greys in rows}


def test_a_row_of_the_filters_film_is_one_channel_and_empty_where_it_was_not_looked_at(browser, changing):
    with tensorboard(changing) as address:
        wait_for_looks(address, "changing", 3)
        with Tab(browser, address, "&p.lightning_vis.layer=filters/conv1") as tab:
            assert film_shown(tab) == ROWS
            assert tab.texts("details .times > *") == ["channel", "start", "epoch 1", "epoch 2"]
            tab.press("Home")
            tab.until("() => document.querySelector('h2 span').textContent === ' start'")
            assert film_shown(tab) == {"0": [10, None, 10], "1": [30, 30, None], "2": [50, None, None]}
            tab.click("<output>")
            assert film_shown(tab) == {name: [grey] * 3 for name, grey in zip(CLASSES, (40, 80, 120), strict=True)}
            assert tab.frame.inner_text("details .times > span") == "class"
            assert tab.frame.query_selector(".note") is None


def test_an_orange_frame_marks_filters_that_are_dead_or_prefer_a_probe_image(browser, changing):
    with tensorboard(changing) as address:
        wait_for_looks(address, "changing", 3)
        with Tab(browser, address, "&p.lightning_vis.layer=filters/conv1") as tab:
            tab.painted()
            marked = "all => all.map(each => each.getAttribute('aria-label'))"
            assert tab.frame.eval_on_selector_all("details .marked canvas", marked) == [
                "filters/conv1 0, run changing, epoch 2: it prefers a probe image",
                "filters/conv1 4, run changing, epoch 1: dead",
            ]
            assert tab.frame.eval_on_selector_all(".tiles > figure", "all => all.map(each => each.className)") == [
                "",
                "marked",
                "",
            ]
            outline = tab.frame.eval_on_selector(".marked canvas", "each => getComputedStyle(each).outlineColor")
            assert outline == "rgb(230, 81, 0)"
            note = tab.frame.inner_text(".note")
            assert note.startswith(
                "Orange frame: the filter is dead, or a probe image excites it more than its own picture does."
            )
            assert note.endswith("Over time: the filters of the look shown; empty where a look had others.")


def test_the_exported_page_has_the_same_rows(browser, changing, tmp_path):
    export_html(changing, tmp_path / "film.html")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(f"file://{tmp_path}/film.html#p.lightning_vis.layer=filters/conv1")
    tab = Tab.__new__(Tab)
    tab.frame = page.main_frame
    assert film_shown(tab) == ROWS
    assert len(tab.frame.query_selector_all("details .marked")) == 2
    context.close()


def test_a_run_of_filters_alone_opens_on_them_and_says_where_maps_come_from(browser, tmp_path):
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    frames = [
        Frame("probe", *nobody, pictures={"filters/conv": pictures_of(2)}, finished_steps=10 * at, log_step=10 * at - 1)
        for at in range(3)
    ]
    write_run(tmp_path / "filters", frames, None)
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "filters", 3)
        with Tab(browser, address) as tab:
            tab.painted()
            assert len(tab.frame.query_selector_all(".tiles canvas")) == 2
            tab.frame.wait_for_selector("select.scalar option[value='logged:val/accuracy']", state="attached")
            assert tab.frame.input_value("select.scalar") == "logged:val/accuracy"
            tab.until("() => document.querySelector('canvas.chart').width > 300")
            tab.page.wait_for_timeout(500)
            line = tab.pixels("canvas.chart", channels=4).astype(int)
            name = tab.frame.eval_on_selector(".sheets h2", "each => getComputedStyle(each).borderLeftColor")
            colour = [int(each) for each in name.removeprefix("rgb(").removesuffix(")").split(",")]
            columns = np.nonzero((np.abs(line - (*colour, 255)).max(2) < 8).any(0))[0]
            assert columns[0] < 70 < 1000 < columns[-1]  # from the first look to the last
            for key in "12":
                tab.press(key)
                assert tab.frame.inner_text(".empty").startswith("No maps in these runs: add ProbeCallback()")
            tab.page.reload()
            tab.wait()
            assert tab.frame.query_selector("role=radio[name='Film'] >> nth=0").get_attribute("aria-checked") == "true"


def test_twins_say_where_the_answer_flips(browser, server):
    with Tab(browser, server, "&p.lightning_vis.runs=gamma&p.lightning_vis.tab=twins") as tab:
        tab.painted()
        assert len(tab.frame.query_selector_all(".object canvas")) == 8
        said = tab.texts(".object figure .name:not(.quiet)")
        assert said == ["bird", "mammal", "bird", "mammal"] * 2
        assert tab.texts(".object .moved") == ["moves by 80 points"] * 4  # from 0.1 to 0.9
        crosses = tab.frame.eval_on_selector_all(".object .cross", "all => all.map(each => !each.hidden)")
        assert crosses == [False, True, True, False] * 2
        assert len(tab.frame.query_selector_all(".flips")) == 4
        assert tab.frame.inner_text(".effects:not(.quiet)").startswith("Swapping the background moves the answer by 50 points")
        assert np.abs(tab.pixels(".object canvas", at=3).astype(int) - 90).max() <= 2
        tab.press("Home")
        assert tab.frame.query_selector(".flips") is None
    with Tab(browser, server, "&p.lightning_vis.runs=alpha&p.lightning_vis.tab=twins") as tab:
        assert tab.frame.inner_text(".empty").startswith("No twins in these runs")


def test_the_verdict_names_twins_by_the_numbers_that_the_page_has(browser, tmp_path):
    verdict = Verdict("red", "On leaves, mammal is called bird in 2 of 2 twins. See twin 2.", (1,), "twins")
    frames = [replace(each, verdict=verdict) for each in with_twins(film_of(2))]
    write_run(tmp_path / "run", frames, inputs_of(twins=True))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        with Tab(browser, address, "&p.lightning_vis.tab=twins") as tab:
            tab.painted()
            assert tab.texts(".effects:not(.quiet):not([hidden])") == [verdict.sentence]  # once
            objects = tab.texts(".object > .small")
            assert objects[verdict.rows[0]] == "twin 2: mammal"
            shown = tab.frame.eval_on_selector_all(".object", "all => all.map(each => each.querySelectorAll('.flips').length)")
            assert [at + 1 for at, flips in enumerate(shown) if flips][1] == 2


def test_forty_filters_of_long_names_leave_the_film_in_the_window(browser, tmp_path):
    names = [f"n{at:08d} a long name of a class, and another one, as in ImageNet" for at in range(40)]
    write_run(tmp_path / "long", [classes_of(at, names) for at in range(2)], None)
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "long", 2)
        for width, height in ((1440, 900), (390, 844)):
            with Tab(browser, address, "&p.lightning_vis.tab=filters", width=width, height=height) as tab:
                tab.painted()
                caption = "() => document.querySelector('.now figcaption').title"
                tab.until(f"() => ({caption})().includes('ImageNet')")  # cut to the eye, whole to the pointer
                assert tab.frame.eval_on_selector(".now figcaption", "each => each.clientHeight < 40")
                film = tab.frame.query_selector(".sheets details").bounding_box()
                assert film["y"] < (tab.frame.query_selector("footer").bounding_box()["y"] if width > 700 else 2 * height)


def classes_of(look, names):
    return sheet_of(look, "<output>", [Filter(name, 2.0, 1.0, kind="class") for name in names], range(40, 200, 4))
