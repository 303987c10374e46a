"""Every cell in a real browser: its picture is what its words say, or its state says otherwise."""

from __future__ import annotations

import json
import os
import random
import re
import struct
from dataclasses import replace

import numpy as np
import pytest
from tab_page import Tab
from tab_runs import film_of, inputs_of, write_run
from tab_server import ask, tensorboard, wait_for_looks
from tab_tiles import LABEL, TILES, assert_true, expected, pixels_of

from lightning_vis.events.frame_reader import read_frames
from lightning_vis.tab.answers import packed

IS_SLOW = bool(os.environ.get("LIGHTNING_VIS_SLOW"))
pytest_plugins = ("tab_fixtures",)
BLOBS, ALL = re.compile(r"/blobs\?"), re.compile(r"/data/plugin/lightning_vis/(runs|data|blobs)")


def refuse(route):
    route.abort()


def states(tab):
    return [tile["state"] for tile in tab.frame.evaluate(TILES)]


def test_a_picture_that_fails_is_said_and_comes_by_itself_when_it_can_be_had(browser, server):
    with Tab(browser, server) as tab:
        tab.painted()
        tab.context.route(BLOBS, refuse)
        tab.drag_to(0)
        tab.until("() => document.querySelectorAll('.picture canvas[data-state=failed]').length === 12")
        assert set(tab.texts(".picture .state")) == {"could not be had"}
        tab.painted()  # nothing is on its way any more
        tab.press("End")
        assert set(states(tab)) == {"shown"}
        tab.press("Home")
        assert set(states(tab)) == {"failed"}
        tab.context.unroute(BLOBS)
        tab.until("() => document.querySelectorAll('.picture canvas[data-state=shown]').length === 12")
        assert set(tab.texts(".picture .state")) == {"empty"}  # the untrained network's maps


def test_what_could_not_be_had_is_asked_for_at_a_press(browser, server):
    with Tab(browser, server) as tab:
        tab.painted()
        tab.context.route(BLOBS, refuse)
        tab.drag_to(4 / 11)
        tab.until("() => document.querySelectorAll('.again').length === 3")
        tab.page.wait_for_timeout(4000)  # by itself it is asked for less and less often
        tab.context.unroute(BLOBS)
        tab.frame.click(".again >> nth=0")
        tab.frame.wait_for_selector(".picture canvas[data-state=failed]", state="detached", timeout=1500)
        assert tab.frame.query_selector(".again") is None


def test_on_a_slow_line_words_change_with_their_picture_and_not_before(browser, server, logdir):
    runs = {each.name: each for each in read_frames(logdir)}
    with Tab(browser, server) as tab:
        tab.painted()
        held = []
        tab.context.route(BLOBS, lambda route: held.append(route))  # playwright marks what it calls
        tab.press("Home")
        tab.until("() => document.querySelectorAll('.waiting').length === 3")
        assert tab.texts(".waiting") == ["loading start …"] * 3
        tiles = tab.frame.evaluate(TILES)
        assert all("epoch 11" in tile["label"] for tile in tiles)
        assert len(tab.frame.query_selector_all("figure.old")) == 12
        assert "epoch 11" in tab.texts(".run .facts")[0]
        assert_true(tab, runs, "evidence")
        tab.click("Saliency")  # the pictures of another view are no older ones of this one
        tab.until("() => document.querySelectorAll('.picture canvas[data-state=loading]').length === 12")
        assert_true(tab, runs, "saliency")
        for route in held:
            route.continue_()
        tab.until("() => document.querySelectorAll('.picture canvas[data-state=shown]').length === 12")
        assert all("start" in tile["label"] for tile in tab.frame.evaluate(TILES))
        assert_true(tab, runs, "saliency")


def some_refused(body, chance):
    """An answer with pictures, some of which could not be had."""
    (length,) = struct.unpack_from("<I", body)
    sizes, at, kept = json.loads(body[4 : 4 + length]), 4 + length, []
    for size in sizes:
        kept.append("it is refused" if chance.random() < 0.3 else body[at : at + size])
        at += size
    return packed(kept)


@pytest.mark.parametrize("seed", range(8 if IS_SLOW else 1))
def test_after_any_presses_with_failures_between_every_tile_is_what_it_says(browser, server, logdir, seed):
    runs = {each.name: each for each in read_frames(logdir)}
    chance = random.Random(seed)

    def sometimes(route):
        if chance.random() < 0.3:
            route.abort()
        else:
            route.fulfill(body=some_refused(ask(route.request.url)[2], chance))

    with Tab(browser, server, width=900) as tab:
        tab.painted()
        tab.context.route(BLOBS, sometimes)
        for _ in range(25):
            tab.press(chance.choice(["Home", "End", "ArrowLeft", "ArrowRight", "ArrowLeft", "v", "2", "1", "Space"]))
            if chance.random() < 0.5:
                tab.page.wait_for_timeout(chance.choice([0, 30, 200]))
            view = tab.frame.evaluate("() => document.querySelector('[aria-label=view] [aria-checked=true]')?.value")
            assert_true(tab, runs, view)
        tab.context.unroute(BLOBS)
        tab.press("1")
        tab.press("Home")
        tab.until("() => document.querySelectorAll('.picture canvas[data-state=shown]').length === 12")
        view = tab.frame.evaluate("() => document.querySelector('[aria-label=view] [aria-checked=true]').value")
        assert_true(tab, runs, view)


def test_the_film_says_of_each_cell_what_is_missing_and_mends_it(browser, server):
    with Tab(browser, server) as tab:
        tab.painted()
        tab.context.route(BLOBS, refuse)
        tab.press("2")
        tab.frame.wait_for_selector(".film .again")
        tab.painted()
        rows = [tab.pixels(".film .row > canvas", at, channels=4) for at in range(3)]
        pitch = rows[0].shape[1] // 12
        assert all((row[4, : 11 * pitch, 3] < 255).all() for row in rows)  # but for the last look, which is there already
        assert all((row[20, 11 * pitch : 12 * pitch - 4, 3] == 255).all() for row in rows)
        tab.context.unroute(BLOBS)
        tab.frame.evaluate("() => document.querySelector('.film .again')?.click()")  # unless it has tried again by itself
        tab.until("() => !document.querySelector('.film .again')")
        tab.painted()
        assert (tab.pixels(".film .row > canvas", 0, channels=4)[20, : pitch - 4, 3] == 255).all()


WRITTEN = """() => {
    const own = CanvasRenderingContext2D.prototype.fillText;
    window.written = [];
    CanvasRenderingContext2D.prototype.fillText = function (text, ...more) {
        if (this.canvas.closest(".film .row")) window.written.push(text);
        return own.call(this, text, ...more);
    };
}"""


def test_the_film_tells_a_look_without_a_map_of_the_view_from_no_look(browser, tmp_path):
    frames = [
        replace(frame, maps={"grad_cam": frame.maps["grad_cam"]}) if at % 2 == 0 else frame
        for at, frame in enumerate(film_of(4))
    ]
    write_run(tmp_path / "gaps", frames, inputs_of())
    write_run(tmp_path / "late", film_of(4)[2:], inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "gaps", 4)
        wait_for_looks(address, "late", 2)
        with Tab(browser, address, "&p.lightning_vis.runs=gaps") as tab:
            for run, words in (("gaps", {"no map"}), ("late,gaps", {"no map", "no look"})):
                tab.follow(f"&p.lightning_vis.runs={run}&p.lightning_vis.view=evidence")
                tab.frame.evaluate(WRITTEN)
                tab.press("2")
                tab.painted()
                assert {text for text in tab.frame.evaluate("() => window.written") if text.startswith("no ")} == words


def test_a_server_that_is_gone_is_said_and_the_page_goes_on_when_it_is_back(browser, server):
    with Tab(browser, server) as tab:
        tab.painted()
        tab.context.route(ALL, refuse)
        tab.frame.wait_for_selector(".banner:not([hidden])", timeout=8000)
        assert tab.frame.inner_text(".banner div >> nth=0").startswith("TensorBoard does not answer since ")
        tab.press("Home")
        tab.until("() => document.querySelectorAll('.picture canvas[data-state=failed]').length === 12")
        tab.context.unroute(ALL)
        tab.frame.wait_for_selector(".banner", state="hidden", timeout=8000)
        tab.until("() => document.querySelectorAll('.picture canvas[data-state=shown]').length === 12")


def test_a_page_that_finds_no_server_begins_when_there_is_one(browser, server):
    with Tab(browser, server) as tab:
        tab.context.route(ALL, refuse)
        tab.page.reload()
        frame = tab.find()
        frame.wait_for_selector(".banner:not([hidden])")
        tab.context.unroute(ALL)
        tab.wait()
        tab.painted()
        assert tab.when == "epoch 11"


def spoiled(spoil):
    """Answers of one run as something has spoiled them."""

    def answer(route):
        content = route.fetch().json()
        spoil(content)
        route.fulfill(json=content)

    return answer


def of_look(**facts):
    return lambda content: content["streams"][0]["looks"][3].update(facts)


def of_maps(**facts):
    def spoil(content):
        for look in content["streams"][0]["looks"]:
            look["maps"]["evidence"].update(facts)

    return spoil


DAMAGE = {
    "predicted": of_look(predicted=None),
    "numbers": of_look(numbers=None, per_image=7, notes=None),
    "steps": of_look(steps=None),
    "words": of_look(said=5, wrong="no", heads=[], verdict=3, when=None, epoch="x"),
    "maps": of_look(maps=None, pictures=[]),
    "scale": of_maps(scale=None),
    "limit": of_maps(scale={"kind": "log", "limit": None, "signed": True}),
    "size": of_maps(size=None),
    "zero": of_maps(size=[0, 7]),
    "enormous": of_maps(size=[100000, 100000]),
    "negative": of_maps(size=[-1, -1]),
    "text": of_maps(size=["7", "7"], maximum="many", mean=None, classes=None),
    "small": of_maps(size=[700, 700]),
    "nothing": lambda content: content.update(streams=None),
    "list": lambda content: content.update(streams=[None, 3, {"probe": None}]),
    "inputs": lambda content: content["streams"][0].update(inputs={"count": "many"}, masks=3, places=None),
    "labels": lambda content: content["streams"][0]["inputs"].update(labels=["x", None, {}, 1], class_names=None, note=4),
}


BETA = re.compile(r"/data\?run=beta&")


@pytest.fixture(scope="module")
def reader(browser, server):
    """A page that tests load anew, each with another damage on the way to it."""
    with Tab(browser, server) as tab:
        yield tab


def load(tab, answer):
    tab.context.unroute_all(behavior="wait")
    tab.context.route(BETA, answer)
    tab.page.reload()
    tab.wait()


@pytest.mark.parametrize("name", DAMAGE)
def test_one_damaged_run_fails_for_itself(reader, logdir, name):
    runs = {each.name: each for each in read_frames(logdir)}
    tab = reader
    load(tab, spoiled(DAMAGE[name]))
    tab.frame.wait_for_selector("main > .compare[aria-busy=false]")
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowRight", "2", "4", "3", "1", "End"):
        tab.press(key)
    tab.until("() => document.querySelectorAll('.picture canvas[data-state=shown]').length >= 8")
    tab.frame.wait_for_selector("main > .compare[aria-busy=false]")
    shown = [tile for tile in tab.frame.evaluate(TILES) if "run beta" not in tile["label"]]
    assert [tile["state"] for tile in shown] == ["shown"] * 8
    for tile in shown:
        error = pixels_of(tile)[:, :3] - expected(runs[LABEL.match(tile["label"])[2]], tile, "evidence")
        assert np.abs(error).max() <= 3
    assert tab.errors == []


@pytest.mark.parametrize("body", ["", "<html>", "[" * 100_000, '{"run": "beta"', "null"])
def test_a_run_whose_answer_cannot_be_read_is_named_and_takes_no_other_along(reader, body):
    tab = reader
    load(tab, lambda route: route.fulfill(body=body))
    tab.painted()
    assert tab.texts(".run strong") == ["alpha", "gamma"]
    assert tab.frame.inner_text(".banner div >> nth=0").startswith("beta could not be loaded: ")
    tab.context.unroute_all()
    tab.frame.click(".banner button")
    tab.until("() => document.querySelectorAll('.run strong').length === 3")
    assert tab.frame.query_selector(".banner[hidden]")
    assert tab.errors == []


def test_names_with_quotes_and_backslashes_say_what_tensorboard_cannot_serve(browser, tmp_path):
    """TensorBoard's fast loader has keys of such runs that it refuses itself."""
    for name in ('say "cheese"', "back\\slash"):
        write_run(tmp_path / name, film_of(3), inputs_of())
    write_run(tmp_path / "plain", film_of(3), inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, 'say "cheese"', 3)
        wait_for_looks(address, "plain", 3)
        tab = Tab(browser, address)
        tab.painted()
        found = dict(zip([json.dumps(tile["label"]) for tile in tab.frame.evaluate(TILES)], states(tab), strict=True))
        assert set(found.values()) == {"shown"} or {"shown", "failed"} == set(found.values())
        assert all(state == "shown" for label, state in found.items() if "run plain" in label)
        tab.context.close()


def test_three_hundred_looks_are_played_to_the_end_with_few_addresses_written(browser, tmp_path):
    write_run(tmp_path / "long", film_of(300, count=2), inputs_of(2))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "long", 300)
        with Tab(browser, address) as tab:
            tab.frame.evaluate(
                "() => { const own = parent.history.replaceState; window.written = 0;"
                " parent.history.replaceState = (...all) => { window.written += 1;"
                " if (window.written > 40) throw new DOMException('too many', 'SecurityError'); return own.apply(parent.history, all); }; }"
            )
            tab.press("Home")
            tab.press("Space")
            tab.frame.wait_for_selector("role=button[name='pause']")
            tab.frame.wait_for_selector("role=button[name='play']", timeout=90_000)
            assert tab.when == "epoch 299"
            assert tab.frame.evaluate("() => window.written") < 60
