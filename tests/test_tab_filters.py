"""The pages of filters and of twins in a real browser."""

from __future__ import annotations

import numpy as np
from tab_page import Tab
from tab_runs import pictures_of, write_run
from tab_server import tensorboard, wait_for_looks

from lightning_vis.frames import Frame

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
            tab.frame.wait_for_selector("footer select option[value='logged:val/accuracy']", state="attached")
            assert tab.frame.input_value("footer select") == "logged:val/accuracy"
            tab.until("() => document.querySelector('canvas.chart').width > 300")
            tab.page.wait_for_timeout(500)
            line = tab.pixels("canvas.chart", channels=4).astype(int)
            columns = np.nonzero((np.abs(line - (0xD5, 0x5E, 0x00, 255)).max(2) < 8).any(0))[0]
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
        crosses = tab.frame.eval_on_selector_all(".object .cross", "all => all.map(each => !each.hidden)")
        assert crosses == [False, True, True, False] * 2
        assert len(tab.frame.query_selector_all(".flips")) == 4
        assert tab.frame.inner_text(".effects:not(.quiet)").startswith("Swapping the background moves the answer by 50 points")
        assert np.abs(tab.pixels(".object canvas", at=3).astype(int) - 90).max() <= 2
        tab.press("Home")
        assert tab.frame.query_selector(".flips") is None
    with Tab(browser, server, "&p.lightning_vis.runs=alpha&p.lightning_vis.tab=twins") as tab:
        assert tab.frame.inner_text(".empty").startswith("No twins in these runs")
