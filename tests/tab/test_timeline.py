"""The timeline in a real browser: the chart that is the scrubber, and the moments that it goes through."""

from __future__ import annotations

import time
from dataclasses import replace as replaced
from types import SimpleNamespace

import numpy as np
import pytest
from tab_page import HostedTab, Tab
from tab_runs import alone_at, film_of, frame_of, inputs_of, write_run
from tab_server import ask_json, tensorboard, wait_for, wait_for_looks

pytest_plugins = ("tab_fixtures",)
LONG = 300


def test_three_hundred_epochs_are_kept_the_untrained_one_first(browser, tmp_path):
    write_run(tmp_path / "long", film_of(LONG, count=2), inputs_of(2))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "long", LONG)
        with Tab(browser, address) as tab:
            assert tab.frame.inner_text("footer .quiet") == f"look {LONG} of {LONG}"
            assert tab.when == "epoch 299"
            tab.painted()
            last = tab.pixels()
            tab.press("Home")
            assert tab.when == "start"
            tab.until("() => document.querySelector('.picture .state').textContent === 'empty'")
            assert not np.array_equal(last, tab.pixels())
            tab.press("ArrowRight")
            assert tab.when == "epoch 1"
            tab.press("2")
            heads = tab.frame.eval_on_selector_all(".film .times button", "all => all.map(each => each.title)")
            assert heads[0].startswith("start:")
            assert heads[-1].startswith("epoch 299:")


@pytest.mark.parametrize(("short", "long"), [((10, (1, 2, 3)), (16, (1, 2))), ((10, (2, 4)), (16, (1, 3)))])
def test_runs_whose_epochs_differ_in_length_share_steps_and_no_epochs(browser, tmp_path, short, long):
    """Each is ``(steps of an epoch, epochs after which it was looked at)``; alone, a run keeps its epochs."""
    for name, (length, epochs) in (("long", long), ("short", short)):
        looks = [replaced(frame_of(length * each), epoch=each) for each in (0, *epochs)]
        write_run(tmp_path / name, looks, inputs_of())
    steps = sorted({length * each for length, epochs in (short, long) for each in epochs})
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "long", 1 + len(long[1]))
        wait_for_looks(address, "short", 1 + len(short[1]))
        with Tab(browser, address, "&p.lightning_vis.tab=film") as tab:
            assert tab.when == f"step {steps[-1]}"
            assert tab.texts(".film .times button") == ["start", *(f"step {each}" for each in steps)]
            assert tab.frame.get_attribute("canvas.chart", "aria-valuetext") == tab.when
            tab.press("1")
            assert [each.split(" ")[1][:1] for each in tab.texts(".run .facts")] == [str(each[1][-1]) for each in (long, short)]
        with Tab(browser, address, "&p.lightning_vis.runs=short&p.lightning_vis.tab=film") as tab:
            assert tab.texts(".film .times button") == ["start", *(f"epoch {each}" for each in short[1])]


def test_play_goes_on_by_itself_and_stops_at_the_end_or_when_asked(page):
    tab = page.follow()
    tab.press("Home")
    tab.press("Space")
    tab.until("() => Number(document.querySelector('canvas.chart').getAttribute('aria-valuenow')) >= 2")
    tab.press("Space")
    stopped = tab.position
    tab.page.wait_for_timeout(900)
    assert tab.position == stopped < 11
    tab.frame.click("role=button[name='play']")
    tab.until("() => document.querySelector('canvas.chart').getAttribute('aria-valuenow') === '11'")
    tab.frame.wait_for_selector("role=button[name='play']")


def test_the_chart_is_the_scrubber(page):
    tab = page.follow()
    tab.painted()
    before = tab.pixels()
    tab.drag_to(3 / 11)
    assert tab.position == 3
    tab.until_when("epoch 3")
    tab.painted()
    assert not np.array_equal(before, tab.pixels())


def test_any_scalar_can_be_on_the_chart_those_of_the_training_too(page):
    tab = page.follow()
    tab.frame.wait_for_selector("select.scalar option[value='logged:val/accuracy']", state="attached")
    values = tab.frame.eval_on_selector_all("select.scalar option", "all => all.map(each => each.value)")
    assert {"attribution/evidence/lift", "answers/right", "logged:val/accuracy"} <= set(values)
    assert tab.frame.input_value("select.scalar") == "reliance/background_effect"
    before = tab.pixels("canvas.chart")
    tab.frame.select_option("select.scalar", "logged:val/accuracy")
    tab.until("() => new URLSearchParams(parent.location.hash.slice(1)).get('p.lightning_vis.scalar')")
    tab.page.wait_for_timeout(500)
    assert not np.array_equal(before, tab.pixels("canvas.chart"))


FLAGS = """async (levels) => {
  const { alertsOf } = await import("./static/timeline/alerts.js");
  const looks = levels.map(([twins, surroundings], at) => ({
    steps: at, when: `epoch ${at}`, numbers: { "reliance/alert": twins, "reliance/surroundings_alert": surroundings },
  }));
  return alertsOf([{ name: "run", looks }]).map((each) => each.text);
}"""


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        ([[0, 0], [1, 0], [1, 0]], "⚑ run: background, from epoch 1, still at epoch 2"),
        ([[0, 0], [1, 0], [0.5, 0]], "⚑ run: background, from epoch 1, still, in part, at epoch 2"),
        ([[0, 0], [1, 0], [0, 0]], "⚑ run: background, from epoch 1, gone since epoch 2"),
        ([[0, 0], [1, 0], [0.5, 1]], "⚑ run: background, from epoch 1; surroundings at epoch 2"),
        ([[0, 0], [1, 0], [0, 1]], "⚑ run: background, from epoch 1; surroundings at epoch 2"),
        ([[0, 1], [0, 1], [1, 1]], "⚑ run: surroundings, from epoch 0, still at epoch 2"),
        ([[0, 0], [0, 0], [0, 1]], "⚑ run: surroundings, from epoch 2"),
    ],
)
def test_a_flag_says_which_alert_began_and_which_one_stands(page, levels, text):
    assert page.follow().frame.evaluate(FLAGS, levels) == [text]


def test_the_alert_stands_on_the_timeline_and_leads_to_its_look(page):
    tab = page.follow()
    flags = tab.texts(".flag")
    assert flags == ["⚑ beta: background, from epoch 5, still at epoch 11"]
    tab.frame.click(".flag")
    assert tab.when == "epoch 5"
    tab.painted()  # what is said of a run changes with its pictures
    assert tab.frame.query_selector(".alert.red")
    tab.press("ArrowLeft")
    tab.painted()
    assert tab.frame.query_selector(".alert") is None


def wrong_in_tests(found):
    """How many answers are wrong in each look of ``trainer.test``."""
    looks = [(stream["inputs"]["labels"], look) for stream in found["streams"] for look in stream["looks"]]
    return {
        sum(one != other for one, other in zip(labels, look["predicted"], strict=True))
        for labels, look in looks
        if look["alone"] == "test"
    }


def test_looks_outside_of_fit_stand_behind_the_film_s_and_take_nothing_away(browser, tmp_path):
    write_run(tmp_path / "run", film_of(4), inputs_of())
    for moment in ("test", "validate"):
        write_run(tmp_path / "run", [alone_at(30, moment, wrong=(0,))], inputs_of())
    write_run(tmp_path / "run", [alone_at(20, wrong=(0, 1))], inputs_of())
    write_run(tmp_path / "run", [alone_at(30, "test", count=6)], inputs_of(6))
    write_run(tmp_path / "run", [alone_at(30, "test", wrong=(0, 1, 2))], inputs_of())  # the newest one stands
    with tensorboard(tmp_path) as address:
        wait_for(lambda: wrong_in_tests(ask_json(address, "data", run="run")) == {3, 0}, "not all looks are there")
        with Tab(browser, address) as tab:
            seen = []
            for _ in range(7):
                tab.painted()
                seen.append((tab.when, tab.texts(".run .facts")[0].split(" right")[0].removeprefix(tab.when)))
                tab.press("ArrowLeft")
            film = [("start", "4 of 4"), ("epoch 1", "4 of 4"), ("epoch 2", "4 of 4"), ("validate", "2 of 4")]
            assert seen[::-1] == [*film, ("epoch 3", "4 of 4"), ("validate", "3 of 4"), ("test", "1 of 4")]
            assert tab.frame.inner_text("footer .quiet") == "look 1 of 7"
            tab.press("2")
            tab.painted()
            assert tab.texts(".film .times button") == [when for when, _ in seen[::-1]]
            tab.frame.click(".film .times button >> nth=3")
            assert tab.when == "validate"
            tab.page.reload()  # a link names also a place between two steps
            tab.wait()
            assert tab.position == 3
        with Tab(browser, address, "&p.lightning_vis.epoch=3") as tab:
            assert tab.when == "epoch 3"
        with Tab(browser, address, "&p.lightning_vis.probe=probe%2C%20test") as tab:
            assert len(tab.frame.query_selector_all(".picture canvas")) == 6
            tab.painted()


def test_a_running_training_is_followed_unless_somebody_looks_back(browser, tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    from lightning_vis.events.frame_writer import FrameWriter

    writer = SummaryWriter(tmp_path / "live")
    store, frames = FrameWriter([writer]), film_of(6)
    for frame in frames[:3]:
        store.add(frame, inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "live", 3)
        with Tab(browser, address) as tab:
            assert tab.when == "epoch 2"
            store.add(frames[3], inputs_of())
            tab.until_when("epoch 3")
            tab.press("Home")
            store.add(frames[4], inputs_of())
            tab.until("() => document.querySelector('footer .quiet').textContent.endsWith('of 5')")
            assert tab.when == "start"
            tab.press("End")
            assert tab.when == "epoch 4"
            tab.painted()
    writer.close()


def test_a_training_that_begins_anew_in_the_same_folder_replaces_the_old_one(browser, tmp_path):
    write_run(tmp_path / "again", film_of(6), inputs_of())
    write_run(tmp_path / "again", film_of(3, seed=9, wrong=(0, 1)), inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for(lambda: places_of(address, "again") == [[0, 10, 20]], "the second training does not come")
        with Tab(browser, address) as tab:
            assert tab.frame.inner_text("footer .quiet") == "look 3 of 3"
            assert "✗" in tab.frame.inner_text(".picture + figcaption")


def places_of(address, run):
    return [stream["places"] for stream in ask_json(address, "data", run=run)["streams"]]


def test_a_page_that_is_open_lets_go_of_what_is_replaced(browser, tmp_path):
    write_run(tmp_path / "again", film_of(6), inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for(lambda: places_of(address, "again") == [[0, 10, 20, 30, 40, 50]], "the first training does not come")
        with HostedTab(browser, address, polls=False) as tab:
            assert tab.frame.inner_text("footer .quiet") == "look 6 of 6"
            write_run(tmp_path / "again", film_of(3, seed=9, wrong=(0, 1)), inputs_of())
            wait_for(lambda: places_of(address, "again") == [[0, 10, 20]], "the second training does not come")
            tab.page.click(".reload-button")
            tab.until("() => document.querySelector('footer .quiet').innerText === 'look 3 of 3'")
            assert "✗" in tab.frame.inner_text(".picture + figcaption")


def test_tensorboard_s_own_reload_brings_what_is_new(browser, tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    from lightning_vis.events.frame_writer import FrameWriter

    writer = SummaryWriter(tmp_path / "live")
    store, frames = FrameWriter([writer]), film_of(4)
    for frame in frames[:2]:
        store.add(frame, inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "live", 2)
        with HostedTab(browser, address, polls=False) as tab:
            store.add(frames[2], inputs_of())
            wait_for_looks(address, "live", 3)
            assert tab.when == "epoch 1"
            tab.page.click(".reload-button")
            tab.until_when("epoch 2")
            tab.drag_to(0)  # the keyboard is with TensorBoard since the click on its button
            store.add(frames[3], inputs_of())
            wait_for_looks(address, "live", 4)
            tab.page.click(".reload-button")
            tab.until("() => document.querySelector('footer .quiet').textContent.endsWith('of 4')")
            assert tab.when == "start"
    writer.close()


def test_every_number_of_ours_has_words_and_its_name_where_the_pointer_lies(browser, tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    words = {
        "attribution/evidence/background_lift": "on the background: Evidence, × chance",  # noqa: RUF001
        "attribution/evidence/pointing": "strongest place on the object: Evidence",
        "attribution/evidence/completeness": "share of the score's rise that adds up: Evidence",
        "attribution/evidence/prefix": "share in tokens without a place: Evidence",
        "attribution/evidence/random_weights": "likeness to maps of shuffled weights: Evidence",
        "attribution/edges/lift": "on the object: edges of the photo, × chance",  # noqa: RUF001
        "reliance/home_effect": "own class on its typical background, minus elsewhere",
        "reliance/background_effect@age": "effect of the background on the answer (age)",
        "logged:lightning_vis/seconds": "seconds that the look took",
        "logged:hp_metric": "hp_metric",  # the user's own
    }
    looks = [tag for tag in words if not tag.startswith("logged:")]
    frames = [replaced(frame, numbers={**frame.numbers, **dict.fromkeys(looks, 0.5)}) for frame in film_of(2)]
    write_run(tmp_path / "run", frames, inputs_of())
    writer = SummaryWriter(tmp_path / "run")
    for tag in ("lightning_vis/seconds", "hp_metric"):
        writer.add_scalar(tag, 0.5, 9)
    writer.close()
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        with Tab(browser, address) as tab:
            tab.frame.wait_for_selector("select.scalar option[value='logged:hp_metric']", state="attached")
            options = tab.frame.eval_on_selector_all(
                "select.scalar option", "all => all.map(each => [each.value, [each.textContent, each.title]])"
            )
            found = {value: said for value, said in options if value in words}
            assert found == {tag: [text, tag.removeprefix("logged:")] for tag, text in words.items()}


def test_a_tile_brings_its_own_line_to_the_chart(browser, tmp_path):
    lifts = {"attribution/evidence/lift": np.array([0.25, 1.0, 1.0, 4.0])}
    frames = [replaced(frame, per_image=lifts) for frame in film_of(3)]
    write_run(tmp_path / "run", frames, inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 3)
        with Tab(browser, address, "&p.lightning_vis.runs=run") as tab:
            assert tab.frame.input_value("select.scalar") == "reliance/background_effect"  # not known of single images
            tab.frame.click(".picture canvas >> nth=3")
            tab.press("Escape")  # who only looked at it large finds the chart as it was
            assert tab.frame.query_selector(".one[hidden]")
            tab.frame.click(".photo canvas >> nth=3")
            assert tab.frame.input_value("select.scalar") == "attribution/evidence/lift"
            assert tab.frame.inner_text(".one") == "line of image 4, mammal ✕"
            assert tab.frame.get_attribute(".picture canvas >> nth=3", "aria-pressed") == "true"
            assert line_at(tab) == pytest.approx(12, abs=1)  # 4 x stands at the top
            tab.frame.focus(".photo canvas >> nth=0")
            tab.press("Enter")
            tab.until("() => parent.location.hash.includes('image=0')")
            assert line_at(tab) == pytest.approx(96, abs=1)  # 1/4 x at the bottom
            link = tab.link
            tab.frame.select_option("select.scalar", "logged:val/accuracy")
            assert tab.frame.inner_text(".one") == "image 1, bird: not known of one image ✕"
            tab.frame.select_option("select.scalar", "attribution/evidence/lift")
            tab.press("Escape")
            assert tab.frame.query_selector(".one[hidden]")
            mean = frames[0].numbers["attribution/evidence/lift"]
            assert line_at(tab) == pytest.approx(96 - 84 * (np.log2(mean) + 2) / 4, abs=1)
        with Tab(browser, address, link) as tab:
            assert line_at(tab) == pytest.approx(96, abs=1)


def line_at(tab):
    """How far below the chart's upper edge the first run's line passes, halfway through the training."""
    pixels = tab.pixels("canvas.chart", channels=4).astype(int)
    name = tab.frame.eval_on_selector(".run", "each => getComputedStyle(each).borderLeftColor")
    colour = [int(each) for each in name.removeprefix("rgb(").removesuffix(")").split(",")]
    column = pixels[:, 64 + (pixels.shape[1] - 64 - 150) // 2 - 20]  # beside the middle look, where a time is written below
    (rows,) = np.nonzero(np.abs(column - (*colour, 255)).max(1) < 8)  # the line of all images is fainter
    return rows.mean()


def test_a_training_without_masks_has_the_probability_of_the_label_on_its_chart(browser, tmp_path):
    import torch
    from modules import CLASSES, Classifier
    from nets import images
    from pytorch_lightning import Trainer
    from pytorch_lightning.loggers import TensorBoardLogger
    from torch.utils.data import DataLoader, TensorDataset

    from lightning_vis.callbacks.probe import ProbeCallback

    data = DataLoader(TensorDataset(images(8), torch.arange(8) % CLASSES), batch_size=4)
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    Trainer(max_epochs=2, logger=logger, callbacks=[ProbeCallback()], enable_progress_bar=False).fit(Classifier(), data, data)
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 3)
        with Tab(browser, address) as tab:
            tab.painted()
            assert tab.frame.input_value("select.scalar") == "answers/label"
            tab.frame.click(".photo canvas >> nth=2")
            assert tab.frame.input_value("select.scalar") == "answers/label"
            assert tab.frame.inner_text(".one") == "line of image 3, class 2 ✕"


def test_an_open_page_finds_looks_that_stand_under_another_name_since(browser, tmp_path, monkeypatch):
    """They were written long before the page asked last: an answer that brings only what is new has them not."""
    for frames, seconds in ((film_of(4), 5000), ([alone_at(30)], 5000), (film_of(6)[4:], 1000)):
        clock = SimpleNamespace(time=lambda ago=seconds: time.time() - ago)
        monkeypatch.setattr("torch.utils.tensorboard.writer.time", clock)
        write_run(tmp_path / "run", frames, inputs_of())
    monkeypatch.undo()
    with tensorboard(tmp_path) as address:
        wait_for(lambda: places_of(address, "run") == [[0, 10, 20, 30, 30.25, 40, 50]], "the first training does not come")
        with HostedTab(
            browser, address, "&p.lightning_vis.runs=run&p.lightning_vis.probe=probe%2C%20validate", polls=False
        ) as tab:
            assert tab.frame.inner_text("footer .quiet") == "look 7 of 7"
            write_run(tmp_path / "run", film_of(3, count=6), inputs_of(6))
            wait_for(lambda: len(places_of(address, "run")) == 2, "the second training does not come")
            tab.page.click(".reload-button")
            tab.until("() => document.querySelector('footer .quiet').innerText === 'look 1 of 1'")
            tab.painted()
