"""Which moments are shown, in a real browser: two of them and their difference, at a speed, in a part of the film."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tab_page import Tab
from tab_runs import film_of, inputs_of, write_run
from tab_server import tensorboard, wait_for_looks
from tab_tiles import drawn_difference

from lightning_vis.events.frame_reader import read_frames
from lightning_vis.frames import Scale
from lightning_vis.render.canvas.tiles import drawn

pytest_plugins = ("tab_fixtures",)
LONG = 3000
COUNT = 4


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A run of 3,000 looks at two images."""
    root = tmp_path_factory.mktemp("long")
    write_run(root / "long", film_of(LONG, count=2, size=16), inputs_of(2, 16), scalars=False)
    with tensorboard(root) as address:
        wait_for_looks(address, "long", LONG)
        yield address


def link(**more):
    return "".join(f"&p.lightning_vis.{name}={value}" for name, value in more.items())


@pytest.mark.parametrize("view", ["evidence", "grad_cam"])
def test_two_moments_of_a_run_stand_below_each_other_with_their_difference(logdir, view, page):
    run = next(each for each in read_frames(logdir) if each.name == "alpha")
    asked = link(runs="alpha", view=view, steps=90, against="moment", other=30)
    tab = page.follow(asked)
    tab.painted()
    assert tab.texts(".run .facts > div:first-child") == ["epoch 9", "epoch 3", "epoch 9 minus epoch 3"]
    assert tab.texts(".run strong") == ["alphaA", "alphaB", "A minus B"]
    assert tab.texts(".picture + figcaption .name")[2 * COUNT :] == ["bird", "✗ bird", "bird", "mammal"]
    assert tab.texts(".measures .number")[-COUNT:] == ["p 0.59 → 0.77"] * COUNT
    for row, epoch in ((0, 9), (1, 3)):
        shown = tab.pixels(at=row * COUNT + 2)
        flat = np.broadcast_to(run.inputs.pictures[2][16, 16], shown.shape)
        assert np.abs(shown.astype(int) - drawn(flat, run.frames[epoch].maps[view], 2)).max() <= 3
    shown = tab.pixels(at=2 * COUNT + 2)
    flat = np.broadcast_to(run.inputs.pictures[2][16, 16], shown.shape)
    first, second = (run.frames[at].maps[view] for at in (9, 3))
    error = np.abs(shown.astype(int) - drawn_difference(flat, first, second, 2)).mean()
    assert error <= 3  # codes of codes: 8 bits of each map's own maximum, and of the difference's
    tab.press("Shift+ArrowLeft")
    tab.painted()
    assert tab.texts(".run .facts > div:first-child") == ["epoch 9", "epoch 2", "epoch 9 minus epoch 2"]
    tab.frame.check(".beside input[type=checkbox]")
    tab.press("ArrowLeft")
    tab.painted()
    assert tab.texts(".run .facts > div:first-child") == ["epoch 8", "epoch 1", "epoch 8 minus epoch 1"]
    tab.press("b")
    tab.painted()
    assert tab.texts(".run .facts > div:first-child") == ["epoch 8"]


def test_the_difference_of_a_moment_to_itself_is_none(page):
    tab = page.follow(link(runs="alpha", steps=90, against="moment", other=90))
    tab.painted()
    assert tab.texts(".picture .state")[2 * COUNT :] == ["no difference"] * COUNT


def test_a_run_is_taken_away_from_another_one(page):
    tab = page.follow(link(runs="alpha,beta"))
    tab.painted()
    tab.frame.select_option("select[aria-label='compare with']", "run:alpha")
    tab.painted()
    assert tab.texts(".run strong") == ["alpha", "beta", "beta minus alpha"]
    labels = tab.frame.eval_on_selector_all(".picture canvas", "all => all.map(each => each.getAttribute('aria-label'))")
    assert (
        labels[2 * COUNT + 1]
        == "image 2, difference, run beta, epoch 11, minus epoch 11, run alpha: says bird, wrong → says mammal"
    )
    assert tab.texts(".picture + figcaption .name")[2 * COUNT + 1] == "✗ bird → mammal"
    assert tab.frame.eval_on_selector_all(
        ".picture + figcaption .name", "all => all.every(each => each.scrollWidth <= each.clientWidth)"
    )
    values = [tab.pixels(at=at).astype(int) for at in (0, COUNT, 2 * COUNT)]
    assert not np.array_equal(values[1], values[2])


def spoiled(frame, **facts):
    return replace(frame, maps={"evidence": replace(frame.maps["evidence"], **facts)})


def test_maps_that_cannot_be_compared_are_not_subtracted_and_it_is_said_why(browser, tmp_path):
    frames = film_of(2)
    holed = frames[1].maps["evidence"].values.copy()
    holed[1, 2, 2] = np.nan
    runs = {
        "one": frames,
        "scale": [spoiled(frame, scale=Scale("log", 7.0, signed=True)) for frame in frames],
        "unit": [spoiled(frame, unit="years") for frame in frames],
        "zholed": [frames[0], spoiled(frames[1], values=holed)],
    }
    for name, each in runs.items():
        write_run(tmp_path / name, each, inputs_of())
    with tensorboard(tmp_path) as address:
        for name in runs:
            wait_for_looks(address, name, 2)
        with Tab(browser, address, link(runs="one,scale,unit,zholed", against="run:one")) as tab:
            tab.painted()
            rows = [tab.texts(".picture .state")[at * COUNT : (at + 1) * COUNT] for at in range(7)]
            assert rows[2] == ["cannot be compared: unlike scales"] * COUNT
            assert tab.pixels(at=2 * COUNT, channels=4)[..., 3].max() == 0
            assert rows[4] == ["cannot be compared: unlike units"] * COUNT
            assert rows[5] == ["", "not finite", "", ""]
            assert rows[6] == ["no difference", "cannot be compared: not finite", "no difference", "no difference"]
            halves = tab.texts(".measures")[5 * COUNT : 6 * COUNT]
            assert ["half" in each for each in halves] == [True, False, True, True]
            tab.frame.click(f".picture canvas >> nth={6 * COUNT + 1}")
            tab.frame.wait_for_selector(".cell .state >> text=cannot be compared: not finite")


def test_a_film_of_three_thousand_looks_is_played_to_its_end_in_seconds(browser, long):
    with Tab(browser, long, link(speed="4")) as tab:
        tab.painted()
        tab.press("Home")
        tab.press("Space")
        tab.frame.wait_for_selector("role=button[name='pause']")
        tab.frame.wait_for_selector("role=button[name='play']", timeout=60_000)
        assert tab.when == f"epoch {LONG - 1}"
        tab.painted()


def test_a_part_of_the_film_is_zoomed_into(browser, long):
    with Tab(browser, long, link(tab="film", steps=10000)) as tab:
        tab.painted()
        heads = [int(each.split(" ")[-1]) for each in tab.texts(".film .times button")[1:]]
        assert heads[-1] == LONG - 1
        for _ in range(6):
            tab.press("+")
        tab.painted()
        near = [int(each.split(" ")[-1]) for each in tab.texts(".film .times button")]
        assert near[0] < 1000 < near[-1]
        assert near[-1] - near[0] < 60
        current = ".film .times button[aria-current=true]"
        assert abs(int(tab.frame.inner_text(current).split(" ")[-1]) - 1000) <= 1
        assert tab.frame.is_visible(".film .cursor")
        tab.press("End")  # which lies outside
        assert tab.frame.query_selector(current) is None
        assert not tab.frame.is_visible(".film .cursor")
        outside = f"The moment shown, epoch {LONG - 1}, lies outside of the part of the film that is zoomed into."
        assert outside in tab.texts(".film .note")
        tab.drag_to(0)
        assert tab.when == f"epoch {near[0]}"
        tab.until("() => parent.location.hash.includes('from=')")
        for _ in range(14):
            tab.press("-")
        tab.painted()
        assert tab.texts(".film .times button")[0] == "start"


def test_the_axis_counts_epochs_or_steps(page):
    tab = page.follow()
    assert tab.when == "epoch 11"
    tab.frame.click(".axis")
    assert tab.when == "step 110"
    assert tab.frame.inner_text(".axis") == "steps"
    tab.press("2")
    tab.painted()
    assert tab.texts(".film .times button")[:2] == ["start", "step 10"]


def test_the_axis_says_steps_where_epochs_of_the_runs_have_different_lengths(browser, tmp_path):
    write_run(tmp_path / "ten", film_of(3), inputs_of())
    write_run(tmp_path / "seven", [replace(each, finished_steps=7 * each.epoch) for each in film_of(3)], inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "ten", 3)
        wait_for_looks(address, "seven", 3)
        with Tab(browser, address) as tab:
            tab.painted()
            assert tab.when == "step 20"
            assert tab.frame.inner_text(".axis") == "steps"
            assert tab.frame.is_disabled(".axis")
            assert tab.frame.get_attribute(".axis", "title") == "in steps: the epochs of these runs have different lengths"
            tab.follow(link(runs="ten"))
            tab.painted()
            assert (tab.when, tab.frame.inner_text(".axis")) == ("epoch 2", "epochs")
            assert tab.frame.is_enabled(".axis")


def test_linked_moments_are_as_far_apart_again_behind_an_end_of_the_film(page):
    tab = page.follow(link(runs="alpha", steps=30, against="moment", other=10, linked="true"))

    def moments():
        return tab.when, tab.frame.inner_text(".moment.B >> nth=-1")

    assert moments() == ("epoch 3", "B epoch 1")
    found = []
    for key in ("ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight", "End", "ArrowLeft"):
        tab.press(key)
        found.append(moments())
    a = ("epoch 2", "epoch 1", "start", "epoch 1", "epoch 2", "epoch 11", "epoch 10")
    b = ("start", "start", "start", "start", "start", "epoch 9", "epoch 8")
    assert found == [(one, f"B {other}") for one, other in zip(a, b, strict=True)]
    tab.press("Shift+ArrowLeft")  # another distance
    tab.press("ArrowLeft")
    assert moments() == ("epoch 9", "B epoch 6")


def test_the_chart_says_values_under_the_pointer_and_smooths(page):
    tab = page.follow()
    tab.painted()
    box = tab.frame.query_selector("canvas.chart").bounding_box()
    tab.page.mouse.move(box["x"] + 64 + (box["width"] - 64 - 150) * 4 / 11, box["y"] + 30)
    assert tab.frame.inner_text(".pointed").split("\n") == ["epoch 4", "18 % alpha", "18 % beta", "18 % gamma"]
    tab.page.mouse.move(box["x"] + 5, 200)
    tab.frame.wait_for_selector(".pointed", state="hidden")
    script = """async () => { const { smoothed } = await import("./static/timeline/scalars.js");
      return smoothed([[0, 1], [1, 0], [2, 0]], 0.5); }"""
    assert tab.frame.evaluate(script) == [[0, 1], [1, pytest.approx(1 / 3)], [2, pytest.approx(1 / 7)]]
    before = tab.pixels("canvas.chart")
    tab.frame.fill("input[aria-label='smoothing of the lines']", "0.9")
    assert not np.array_equal(before, tab.pixels("canvas.chart"))


def test_an_image_s_line_and_the_speed_stay_in_the_link(browser, server):
    with Tab(browser, server) as tab:
        tab.frame.select_option(".speed", "0.25")
        tab.until("() => parent.location.hash.includes('speed=0.25')")
        tab.page.reload()
        tab.wait()
        assert tab.frame.input_value(".speed") == "0.25"


REFUSED = """refuses => {
    Object.defineProperty(navigator, "clipboard", { value: undefined, configurable: true });
    if (refuses) document.execCommand = () => false;
}"""


def test_a_copied_link_holds_the_moment_and_the_runs_however_the_training_goes_on(browser, server):
    with Tab(browser, server, link(runs="beta,alpha", against="moment", view="grad_cam")) as tab:
        tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
        tab.painted()
        assert "steps=" not in tab.link  # it follows the training
        tab.frame.click(".copy")
        tab.until("() => document.querySelector('.copy').textContent === 'link copied'")
        copied = tab.frame.evaluate("() => navigator.clipboard.readText()")
        for part in ("steps=110", "other=0", "runs=beta,alpha", "view=grad_cam", "probe=probe", "tab=compare"):
            assert f"p.lightning_vis.{part}" in copied.replace("%2C", ",")
        assert "steps=" not in tab.link
        tab.until("() => document.querySelector('.copy').textContent === 'copy link'")
        tab.frame.evaluate(REFUSED, False)  # as over plain http from another machine
        tab.frame.click(".picture canvas >> nth=1")
        tab.frame.click(".cell >> text=copy link")
        tab.frame.wait_for_selector(".cell >> text=link copied")
        tab.frame.evaluate(REFUSED, True)
        tab.press("Escape")
        tab.frame.click(".copy")
        tab.until("() => document.querySelector('.copy').textContent === 'it is in the address bar'")
        assert "steps=110" in tab.link


def test_the_share_that_is_explained_is_that_of_the_moment(browser, tmp_path):
    for name, shares in (("one", (0.03, 0.5, 0.98)), ("two", (0.03, 0.5, 0.93))):
        frames = [
            replace(each, numbers={"attribution/evidence/explained": share})
            for each, share in zip(film_of(3), shares, strict=True)
        ]
        write_run(tmp_path / name, frames, inputs_of())
    with tensorboard(tmp_path) as address:
        for name in ("one", "two"):
            wait_for_looks(address, name, 3)
        with Tab(browser, address, "&p.lightning_vis.view=evidence") as tab:
            caption = "text => document.querySelector('header').textContent.includes(text)"
            tab.until(caption, "Explains 93 to 98 % of the score.")
            tab.press("Home")
            tab.until(caption, "Explains 3 % of the score.")
