"""A fixed number of mutations of event files, seen by server and page: no traceback, no empty page, no lie."""

from __future__ import annotations

import json
import os
import random

import pytest
from mutations import write_mutated
from tab_page import Tab
from tab_runs import film_of, inputs_of, write_run
from tab_server import ask, ask_json, tensorboard, wait_for, wait_for_looks
from tab_tiles import TILES, assert_true

pytest_plugins = ("tab_fixtures",)
MUTATIONS = 200 if os.environ.get("LIGHTNING_VIS_SLOW") else 24
MANY = 23  # runs at once
SEED = 17


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Two sound runs, 40 mutated ones, and three whose facts are nested deep."""
    root = tmp_path_factory.mktemp("fuzz")
    chance = random.Random(SEED)
    for name in ("good1", "good2"):
        write_run(root / "logs" / name, film_of(4), inputs_of(), scalars=False)
    for at in range(MUTATIONS):
        write_mutated(root / "logs" / f"bad{at}", chance)
    for depth in (200, 990, 100_000):
        write_mutated(root / "logs" / f"deep{depth}", chance, depth)
    with tensorboard(root / "logs") as address:
        wait_for_looks(address, "good1", 4)
        wait_for_looks(address, "good2", 4)
        wait_for(lambda: len(ask_json(address, "runs")["runs"]) >= MUTATIONS + 2, "not all runs are there")
        yield address, root / "logs"


def names(address):
    return [each["run"] for each in ask_json(address, "runs")["runs"]]


def test_the_server_answers_of_every_damaged_run(damaged):
    address, _ = damaged
    for run in names(address):
        status, _, body = ask(f"{address}/data/plugin/lightning_vis/data?run={run}")
        assert status in (200, 404), (run, body)
        json.loads(body)


def test_no_damaged_run_takes_the_good_ones_along(browser, damaged):
    from lightning_vis.events.frame_reader import read_frames

    address, logdir = damaged
    runs = {name: read_frames(logdir / name)[0] for name in ("good1", "good2")}
    bad = [name for name in names(address) if not name.startswith("good")]
    for at in range(0, len(bad), MANY):
        shown = ",".join(["good1", "good2", *bad[at : at + MANY]])
        with Tab(
            browser, address, f"&p.lightning_vis.runs={shown}&p.lightning_vis.probe=probe&p.lightning_vis.view=evidence"
        ) as tab:
            for key in ("2", "4", "3", "1", "Home", "ArrowRight", "ArrowRight", "b", "b", "End"):
                tab.press(key)
            tab.frame.wait_for_selector("main > .compare[aria-busy=false]", timeout=60_000)
            tiles = [tile for tile in tab.frame.evaluate(TILES) if "run good" in tile["label"]]
            assert len(tiles) == 8
            assert {tile["state"] for tile in tiles} == {"shown"}
            assert_true(tab, runs, "evidence", of="run good")


def test_sound_facts_are_unchanged_by_what_makes_them_sound(page):
    script = """async (run) => {
      const { soundStreams } = await import("./static/page/intake.js");
      const { streams } = await (await fetch(`data?run=${run}`)).json();
      const kept = (sound, raw) => Object.entries(raw).filter(([, each]) => each !== null).every(([key, each]) =>
        typeof each !== "object" ? sound[key] === each : Array.isArray(each) ? each.length === sound[key].length : kept(sound[key], each));
      return kept(soundStreams(streams), streams);
    }"""
    tab = page.follow()
    for run in ("alpha", "beta", "gamma"):
        assert tab.frame.evaluate(script, run)
