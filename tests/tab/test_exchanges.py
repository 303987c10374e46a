"""The verdict with its exchanges, in a real browser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tab_page import Tab
from tab_runs import film_of, inputs_of, write_run
from tab_server import tensorboard, wait_for_looks

from lightning_vis.frames import Verdict
from lightning_vis.render.experiment.exchange import exchange_pictures

pytest_plugins = ("tab_fixtures",)
SENTENCE = "In the surroundings of leaves, bird is called leaves in 7 of 9 exchanges. See exchange 3."
ROWS = 3


def exchanged(frame, state="red", rows=(2,)):
    """The frame with a verdict and three exchanges, each of three greys of its own."""
    values = np.broadcast_to(
        20 * (1 + np.arange(3 * ROWS, dtype=np.uint8)).reshape(ROWS, 3, 1, 1, 1), (ROWS, 3, 32, 32, 3)
    ).copy()
    said = [[("bird", 0.9), ("bird", 0.8), ("leaves" if row == 2 else "bird", 0.7)] for row in range(ROWS)]
    pictures = exchange_pictures(values, [("bird", "leaves")] * ROWS, said)
    return replace(frame, verdict=Verdict(state, SENTENCE, rows), pictures={"exchange": pictures})


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
            assert tab.texts(".exchanges .object > .small") == ["exchange 3", "exchange 1", "exchange 2"]
            assert len(tab.frame.query_selector_all(".exchanges .named")) == 1
            tab.until("() => document.querySelector('.exchanges figcaption').textContent === 'says bird 0.90'")
            assert tab.texts(".exchanges figcaption")[:3] == ["says bird 0.90", "says bird 0.80", "says leaves 0.70"]
            greys = [tab.pixels(".exchanges canvas", at)[40, 40, 0] for at in range(3)]
            assert np.abs(np.array(greys, int) - (140, 160, 180)).max() < 10  # as cameras store them; the next one is 20 away
            label = tab.frame.get_attribute(".exchanges canvas >> nth=2", "aria-label")
            assert label == "exchange 3, other class, run run: bird, surroundings of leaves, says leaves 0.70"
            assert tab.frame.inner_text("section >> nth=1").splitlines()[-1] == "no twins in this run"
            tab.press("Home")
            assert tab.frame.query_selector(".exchanges canvas:visible") is None  # nothing was exchanged yet
