"""The page in a real browser, on a real TensorBoard."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from dataclasses import replace as replaced
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from tab_runs import EVIDENCE, alone_at, film_of, frame_of, inputs_of, pictures_of, with_twins, write_run
from tab_server import ask_json, tensorboard, wait_for, wait_for_looks

from lightning_vis.exporting import export_html
from lightning_vis.frames import Frame, Maps
from lightning_vis.reading import read_frames
from lightning_vis.rendering import drawn

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LONG = 300
OLDEST = "2.9.1"

if CHROMIUM is None and not os.environ.get("LIGHTNING_VIS_BROWSER"):
    pytest.skip("no chromium here (apt-get install chromium)", allow_module_level=True)
if os.environ.get("LIGHTNING_VIS_BROWSER"):
    import playwright.sync_api as api
else:
    api = pytest.importorskip("playwright.sync_api", reason="no playwright here (pip install playwright)")


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM, "LIGHTNING_VIS_BROWSER asks for these tests, but there is no chromium"
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    """Three runs of 12 looks; the second one's alert goes on at its sixth look, the third has twins and filters."""
    root = tmp_path_factory.mktemp("logs")
    write_run(root / "alpha", film_of(12, wrong=(1,)), inputs_of())
    alerted = [frame_of(10 * at, share=at / 11, seed=1, alert=1.0 if at >= 5 else 0.0) for at in range(12)]
    write_run(root / "beta", alerted, inputs_of())
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    found = {at: {"filters/conv1": pictures_of(8, value=20 * at)} for at in (0, 4, 11)}
    filters = [
        Frame("probe", *nobody, pictures=each, finished_steps=10 * at, log_step=10 * at - 1, moment="step")
        for at, each in found.items()
    ]
    write_run(root / "gamma", [*with_twins(film_of(12, seed=2)), *filters], inputs_of(twins=True))
    return root


@pytest.fixture(scope="module")
def server(logdir):
    with tensorboard(logdir) as address:
        for run in ("alpha", "beta", "gamma"):
            wait_for_looks(address, run, 12)
        yield address


class Tab:
    """The page as a reader meets it. Everything that a console or a foreign address would show is noted."""

    def __init__(self, browser, address, link="", *, width=1440, height=900, ratio=1, query="", polls=True):
        self.address = address
        self.context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=ratio)
        self.page = self.context.new_page()
        if not polls:
            self.context.add_init_script("if (window !== top) window.setInterval = () => 0;")
        self.errors, self.foreign = [], []
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._note)
        self.page.on("response", self._note_answer)
        self.page.goto(f"{address}/{query}#lightning_vis{link}")
        self.wait()

    def _note_console(self, message):
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def _note_answer(self, answer):
        if answer.status >= 400 and "/font-roboto/" not in answer.url:  # TensorBoard's own font forgets the prefix
            self.errors.append(answer.url)

    def _note(self, request):
        if urlsplit(request.url).netloc not in (urlsplit(self.address).netloc, ""):
            self.foreign.append(request.url)

    def wait(self):
        self.frame = self.page.wait_for_selector("iframe").content_frame()
        self.frame.wait_for_selector("footer .when:not(:empty)", timeout=60_000)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            assert self.errors == []
            assert self.foreign == []
        self.context.close()

    @property
    def when(self):
        return self.frame.inner_text("footer .when")

    @property
    def position(self):
        return int(self.frame.get_attribute("canvas.chart", "aria-valuenow"))

    def press(self, key):
        self.page.keyboard.press(key)

    def click(self, text):
        self.frame.click(f"role=radio[name='{text}']")

    def until(self, expression, argument=None):
        self.frame.wait_for_function(expression, arg=argument, timeout=60_000)

    def until_when(self, text):
        self.until("text => document.querySelector('footer .when').textContent === text", text)

    def painted(self):
        """Waits until every picture of the page is painted."""
        self.frame.wait_for_selector("main > [aria-busy=false]", timeout=60_000)

    def pixels(self, selector=".picture canvas", at=0, channels=3):
        """A canvas as an array (H, W, 3), or (H, W, 4) with its opacity."""
        width, height, data = self.frame.evaluate(
            "([selector, at]) => { const each = document.querySelectorAll(selector)[at];"
            " const all = each.getContext('2d').getImageData(0, 0, each.width, each.height);"
            " return [each.width, each.height, [...all.data]]; }",
            [selector, at],
        )
        return np.array(data, np.uint8).reshape(height, width, 4)[..., :channels]

    def texts(self, selector):
        return self.frame.eval_on_selector_all(selector, "all => all.map(each => each.textContent)")

    def drag_to(self, share):
        """Clicks on the chart at a share of its axis."""
        box = self.frame.query_selector("canvas.chart").bounding_box()
        self.page.mouse.move(box["x"] + 64 + share * (box["width"] - 64 - 150), box["y"] + 40)
        self.page.mouse.down()
        self.page.mouse.up()


def test_the_tab_is_there_without_a_flag_and_opens_on_the_newest_look(browser, server):
    with Tab(browser, server) as tab:
        assert tab.page.get_by_text("Lightning Vis").count() == 1
        assert tab.when == "epoch 11"
        assert tab.frame.inner_text("summary").strip() == "3 of 3 runs"
        assert len(tab.frame.query_selector_all(".picture canvas")) == 12  # 4 images x 3 runs
        tab.painted()


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
            tab.until("() => document.querySelector('.state').textContent === 'empty'")
            assert not np.array_equal(last, tab.pixels())
            tab.press("ArrowRight")
            assert tab.when == "epoch 1"
            tab.press("2")
            heads = tab.frame.eval_on_selector_all(".film .times button", "all => all.map(each => each.title)")
            assert heads[0].startswith("start:")
            assert heads[-1].startswith("epoch 299:")


def test_play_goes_on_by_itself_and_stops_at_the_end_or_when_asked(browser, server):
    with Tab(browser, server) as tab:
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


def test_the_chart_is_the_scrubber(browser, server):
    with Tab(browser, server) as tab:
        tab.painted()
        before = tab.pixels()
        tab.drag_to(3 / 11)
        assert tab.position == 3
        tab.until_when("epoch 3")
        tab.painted()
        assert not np.array_equal(before, tab.pixels())


def test_any_scalar_can_be_on_the_chart_those_of_the_training_too(browser, server):
    with Tab(browser, server) as tab:
        tab.frame.wait_for_selector("footer select option[value='logged:val/accuracy']", state="attached")
        values = tab.frame.eval_on_selector_all("footer option", "all => all.map(each => each.value)")
        assert {"attribution/evidence/lift", "answers/right", "logged:val/accuracy"} <= set(values)
        assert tab.frame.input_value("footer select") == "reliance/background_effect"
        before = tab.pixels("canvas.chart")
        tab.frame.select_option("footer select", "logged:val/accuracy")
        tab.until("() => new URLSearchParams(parent.location.hash.slice(1)).get('p.lightning_vis.scalar')")
        tab.page.wait_for_timeout(500)
        assert not np.array_equal(before, tab.pixels("canvas.chart"))


def test_runs_are_chosen_from_a_list(browser, server):
    with Tab(browser, server) as tab:
        tab.frame.click("summary")
        tab.frame.uncheck(".list input[value=beta]")
        assert tab.texts(".run strong") == ["alpha", "gamma"]
        tab.frame.uncheck(".list input[value=alpha]")
        assert tab.texts(".run strong") == ["gamma"]
        tab.frame.check(".list input[value=beta]")
        assert tab.texts(".run strong") == ["beta", "gamma"]


def test_a_click_in_the_film_goes_there(browser, server):
    with Tab(browser, server, "&p.lightning_vis.tab=film") as tab:
        tab.painted()
        wide = tab.frame.eval_on_selector(".film .row > canvas", "each => each.clientWidth")
        assert wide >= 12 * 76
        tab.frame.click(".film .row > canvas >> nth=0", position={"x": 4.4 * wide / 12, "y": 30})
        assert tab.when == "epoch 4"
        tab.frame.click(".film .times button >> nth=1")
        assert tab.when == "epoch 1"
        assert tab.frame.get_attribute(".film .times button >> nth=1", "aria-current") == "true"


def test_the_film_marks_a_change_of_the_explained_class(browser, tmp_path):
    steady = [replaced(frame_of(10 * at), maps=flat_maps(0, 1)) for at in range(3)]
    turned = [replaced(frame, maps=flat_maps(int(at == 1), 1)) for at, frame in enumerate(steady)]
    write_run(tmp_path / "steady", steady, inputs_of())
    write_run(tmp_path / "turned", turned, inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "turned", 3)
        with Tab(browser, address, "&p.lightning_vis.tab=film") as tab:
            tab.painted()
            calm, changed = (tab.pixels(".film .row > canvas", at) for at in (0, 1))
            pitch = calm.shape[1] // 3
            gaps = slice(pitch - 3, pitch - 1), slice(2 * pitch - 3, 2 * pitch - 1)
            assert np.array_equal(calm[:, : pitch - 4], changed[:, : pitch - 4])
            assert [np.array_equal(calm[:, gap], changed[:, gap]) for gap in gaps] == [False, False]
            below = slice(calm.shape[0] - 16, None), slice(pitch, 2 * pitch - 4)
            assert not np.array_equal(calm[below], changed[below])  # the new name


def flat_maps(explained, value):
    values = np.full((4, 7, 7), value, np.float32) + np.eye(7, dtype=np.float32)
    return {"evidence": Maps(values, np.full(4, explained), "conv3", EVIDENCE, "Evidence", "label")}


def test_keys(browser, server):
    with Tab(browser, server) as tab:
        keys = ("Home", "ArrowRight", "ArrowRight", "ArrowLeft", "End")
        seen = [(tab.press(key), tab.when)[1] for key in keys]
        assert seen == ["start", "epoch 1", "epoch 2", "epoch 1", "epoch 11"]
        for key, shown in (("2", ".film"), ("3", ".sheets"), ("4", ".sheets"), ("1", ".compare")):
            tab.press(key)
            assert tab.frame.query_selector(f"main > {shown}")
        tab.press("v")
        assert tab.frame.query_selector("[role=radio][aria-checked=true] >> text=Grad-CAM")
        before = tab.pixels()
        tab.press("o")
        tab.until("() => document.querySelector('.labelled input[type=checkbox]').checked")
        tab.painted()
        assert not np.array_equal(before, tab.pixels())


def test_every_control_has_a_name_and_the_chart_says_where_it_is(browser, server):
    with Tab(browser, server) as tab:
        nameless = tab.frame.evaluate(
            "() => [...document.querySelectorAll('button, input, select, canvas')]"
            ".filter(each => !each.closest('[hidden]')"
            " && !each.matches('[aria-label], [aria-hidden]') && !each.closest('label') && !each.textContent.trim())"
            ".map(each => each.outerHTML)"
        )
        assert nameless == []
        chart = tab.frame.query_selector("canvas.chart")
        assert chart.get_attribute("role") == "slider"
        assert chart.get_attribute("aria-valuetext") == "epoch 11"
        label = tab.frame.query_selector_all(".picture canvas")[1].get_attribute("aria-label")
        assert label == "image 2, run alpha, epoch 11: says bird, wrong, on the object 1.7 × chance"  # noqa: RUF001
        tab.frame.focus("role=radio[name='Compare']")
        tab.page.keyboard.press("Tab")
        outline = tab.frame.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"


def test_a_wrong_answer_is_marked_by_more_than_its_colour(browser, server):
    with Tab(browser, server) as tab:
        names = tab.texts(".picture + figcaption .name")
        assert names[:4] == ["bird", "✗ bird", "bird", "mammal"]
        assert [each for each in names[4:] if "✗" in each] == []


def test_dark_and_light_follow_tensorboard(browser, server):
    ground = "() => getComputedStyle(document.body).backgroundColor"
    with Tab(browser, server) as tab:
        assert tab.frame.evaluate(ground) == "rgb(255, 255, 255)"
        tab.page.evaluate("() => document.body.classList.add('dark-mode')")
        tab.until("() => getComputedStyle(document.body).backgroundColor === 'rgb(48, 48, 48)'")
    with Tab(browser, server, query="?darkMode=true") as tab:
        assert tab.frame.evaluate(ground) == "rgb(48, 48, 48)"


def test_a_reload_keeps_the_position_and_a_link_opens_it(browser, server):
    with Tab(browser, server) as tab:
        tab.drag_to(4 / 11)
        tab.click("Saliency")
        tab.frame.click("summary")
        tab.frame.uncheck(".list input[value=beta]")
        tab.until("() => parent.location.hash.includes('saliency')")
        link = tab.page.url
        tab.page.reload()
        tab.wait()
        assert tab.when == "epoch 4"
        assert tab.frame.query_selector("[role=radio][aria-checked=true] >> text=Saliency")
    with Tab(browser, server, link.split("#lightning_vis")[1]) as tab:
        assert tab.when == "epoch 4"
        assert tab.texts(".run strong") == ["alpha", "gamma"]


def test_a_link_may_name_the_epoch_alone_and_a_broken_one_still_opens(browser, server):
    with Tab(browser, server, "&p.lightning_vis.epoch=7&p.lightning_vis.tab=film") as tab:
        assert tab.when == "epoch 7"
    broken = {"tab": "<b>", "steps": "-1e99", "gain": "NaN", "runs": "%25E0", "view": "no"}
    with Tab(browser, server, "".join(f"&p.lightning_vis.{name}={value}" for name, value in broken.items())) as tab:
        assert tab.when == "epoch 11"
        tab.painted()


def test_under_a_path_prefix(browser, logdir):
    with tensorboard(logdir, prefix="/deep/down") as address:
        wait_for_looks(address, "alpha", 12)
        with Tab(browser, address) as tab:
            tab.painted()


def test_with_the_older_loader(browser, logdir):
    with tensorboard(logdir, "--load_fast=false") as address:
        for run in ("alpha", "beta", "gamma"):
            wait_for_looks(address, run, 12)
        with Tab(browser, address) as tab:
            assert tab.frame.inner_text("footer .quiet") == "look 12 of 12"
            tab.painted()


@pytest.mark.skipif(
    not os.environ.get("LIGHTNING_VIS_BROWSER"), reason="installs an old TensorBoard: set LIGHTNING_VIS_BROWSER=1"
)
@pytest.mark.parametrize("flags", [[], ["--load_fast=false"]])
def test_beside_the_oldest_tensorboard_installed_without_dependencies(browser, logdir, oldest, flags):
    with tensorboard(logdir, *flags, python=oldest) as address:
        for run in ("alpha", "beta", "gamma"):
            wait_for_looks(address, run, 12)
        with Tab(browser, address) as tab:
            assert tab.frame.inner_text("footer .quiet") == "look 12 of 12"
            for key in "1234":
                tab.press(key)
                tab.painted()


@pytest.fixture(scope="module")
def oldest(tmp_path_factory):
    """The Python of an environment with the oldest TensorBoard that is supported, and this package without torch."""
    folder = tmp_path_factory.mktemp("oldest")
    venv.create(folder, with_pip=True)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    # What that TensorBoard needs and does not ask for: releases of its own time.
    subprocess.run([*install, f"tensorboard=={OLDEST}", "six", "numpy<2", "setuptools<81"], check=True)
    subprocess.run([*install, "--no-deps", str(Path(__file__).parents[1])], check=True)
    return install[0]


def test_a_running_training_is_followed_unless_somebody_looks_back(browser, tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    from lightning_vis.storing import Store

    writer = SummaryWriter(tmp_path / "live")
    store, frames = Store([writer]), film_of(6)
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
        wait_for_looks(address, "again", 6)
        with Tab(browser, address) as tab:
            assert tab.frame.inner_text("footer .quiet") == "look 3 of 3"
            assert "✗" in tab.frame.inner_text(".picture + figcaption")


def test_looks_outside_of_fit_stand_behind_the_film_s_and_take_nothing_away(browser, tmp_path):
    write_run(tmp_path / "run", film_of(4), inputs_of())
    for moment in ("test", "validate"):
        write_run(tmp_path / "run", [alone_at(30, moment, wrong=(0,))], inputs_of())
    write_run(tmp_path / "run", [alone_at(20, wrong=(0, 1))], inputs_of())
    write_run(tmp_path / "run", [alone_at(30, "test", count=6)], inputs_of(6))
    write_run(tmp_path / "run", [alone_at(30, "test", wrong=(0, 1, 2))], inputs_of())  # the newest one stands
    written = 4 + 5
    with tensorboard(tmp_path) as address:
        parts = lambda: ask_json(address, "data", run="run")["parts"]  # noqa: E731
        wait_for(lambda: sum(part["part"] == "facts" for part in parts()) == written, "not all looks are there")
        with Tab(browser, address) as tab:
            seen = []
            for _ in range(7):
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


HOSTILE = "<img src=x onerror=window.top.hacked=1>"


def test_hostile_names_are_text(browser, tmp_path):
    inputs = inputs_of(twins=True, class_names=(HOSTILE, "</script><script>window.top.hacked=1</script>"), name=HOSTILE)
    frames = [replaced(frame, notes=(HOSTILE,), numbers={f"{HOSTILE}/lift": 1.0}) for frame in film_of(3, name=HOSTILE)]
    filters = {f"filters/{HOSTILE}": pictures_of(3, caption=HOSTILE)}
    frames = [replaced(frame, pictures=filters) for frame in with_twins(frames, kinds=(HOSTILE, "stones"))]
    write_run(tmp_path / "<img src=x onerror=alert(1)>", frames, replaced(inputs, kinds=(HOSTILE, "stones")))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "<img src=x onerror=alert(1)>", 3)
        with Tab(browser, address) as tab:
            tab.painted()
            assert HOSTILE in tab.frame.inner_text(".name >> nth=0")
            for key in "243":
                tab.press(key)
                tab.painted()
            tab.until("() => document.querySelector('main figcaption')?.textContent.includes('onerror')")
            assert tab.frame.query_selector("img, script:not([type=module])") is None
            assert tab.page.evaluate("() => window.hacked") is None


@pytest.mark.parametrize("view", ["Evidence", "Grad-CAM", "Saliency"])
def test_pixels_are_those_that_rendering_draws(browser, logdir, server, view):
    run = next(each for each in read_frames(logdir) if each.name == "alpha")
    key = {"Evidence": "evidence", "Grad-CAM": "grad_cam", "Saliency": "saliency"}[view]
    with Tab(browser, server, "&p.lightning_vis.runs=alpha&p.lightning_vis.steps=70") as tab:
        tab.click(view)
        tab.painted()
        tab.page.wait_for_timeout(300)
        for index in range(4):
            shown = tab.pixels(at=index)
            flat = np.broadcast_to(run.inputs.pictures[index][16, 16], shown.shape)
            expected = drawn(flat, run.frames[7].maps[key], index)
            assert np.abs(shown.astype(int) - expected).max() <= 3


def test_gain_opacity_photo_and_shape_change_what_is_drawn_and_cividis_is_cividis(browser, server):
    with Tab(browser, server, "&p.lightning_vis.runs=alpha&p.lightning_vis.view=grad_cam") as tab:
        tab.painted()
        seen = [tab.pixels()]
        for act in (
            lambda: tab.frame.fill(".labelled input[type=range] >> nth=1", "3"),
            lambda: tab.frame.fill(".labelled input[type=range] >> nth=0", "0.3"),
            lambda: tab.click("colour"),
            lambda: tab.click("spotlight"),
            lambda: tab.click("grey"),
            lambda: tab.click("cividis"),
            lambda: tab.click("shape only"),
        ):
            act()
            tab.page.wait_for_timeout(200)
            seen.append(tab.pixels())
        assert tab.frame.inner_text(".labelled output") == "to 1.5 × mean"  # noqa: RUF001
        different = [not np.array_equal(one, other) for one, other in pairwise(seen)]
        assert different == [True] * 7


def test_the_legend_has_the_scale_s_ticks_and_follows_the_gain(browser, server):
    with Tab(browser, server, "&p.lightning_vis.view=grad_cam") as tab:
        ticks = "all => all.map(each => [each.textContent, parseFloat(each.style.left)])"
        shown = tab.frame.eval_on_selector_all(".ticks span", ticks)
        assert [text for text, _ in shown] == ["0", "1", "3", "7", "15", "31"]
        assert [at for _, at in shown] == pytest.approx([0, 20, 40, 60, 80, 100])
        tab.frame.fill(".labelled input[type=range] >> nth=1", "1")
        shown = tab.frame.eval_on_selector_all(".ticks span", ticks)
        assert [text for text, _ in shown] == ["0", "1", "3", "7", "15"]
        assert tab.frame.inner_text(".labelled output") == "to 15"


def test_the_alert_stands_on_the_timeline_and_leads_to_its_look(browser, server):
    with Tab(browser, server) as tab:
        flags = tab.texts(".flag")
        assert flags == ["⚑ beta: background, from epoch 5"]
        tab.frame.click(".flag")
        assert tab.when == "epoch 5"
        assert tab.frame.query_selector(".alert.red")
        tab.press("ArrowLeft")
        assert tab.frame.query_selector(".alert") is None


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


def test_without_masks_without_labels_and_with_broken_maps(browser, tmp_path):
    bare = [replaced(frame, numbers={}, per_image={}) for frame in film_of(3, masks=False)]
    values = np.stack([np.zeros((7, 7)), np.full((7, 7), 2.0), np.full((7, 7), np.nan), np.eye(7)]).astype(np.float32)
    maps = {"evidence": Maps(values, np.full(4, -1), "conv", EVIDENCE, "Evidence", "label")}
    inputs = inputs_of(labels=False, masks=False, class_names=())
    write_run(tmp_path / "bare", [*bare[:2], replaced(bare[2], maps=maps)], inputs)
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "bare", 3)
        with Tab(browser, address) as tab:
            tab.painted()
            states = tab.texts(".state")
            assert states == ["empty", "constant", "not finite", ""]
            halves = tab.frame.eval_on_selector_all(".measures", "all => all.map(each => each.innerText.trim())")
            assert halves[3] == "half of it in 7 % of the image"  # 3.5 of 49 cells
            assert tab.frame.input_value("footer select") == "answers/probability"
            assert tab.frame.query_selector(".labelled:has-text('outline')[hidden]")


def test_more_than_eight_images_are_on_pages(browser, tmp_path):
    write_run(tmp_path / "many", film_of(2, count=11), inputs_of(11))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "many", 2)
        with Tab(browser, address) as tab:
            assert tab.frame.inner_text(".pager span") == "images 1 to 8 of 11"
            tab.frame.click("role=button[name='next images']")
            assert tab.frame.inner_text(".pager span") == "images 9 to 11 of 11"
            tab.painted()
            assert len(tab.frame.query_selector_all(".picture canvas")) == 3


def test_sharp_on_dense_screens_and_usable_at_a_thousand_pixels(browser, server):
    with Tab(browser, server, ratio=2) as tab:
        ratios = tab.frame.eval_on_selector_all("canvas", "all => all.map(each => each.width / each.clientWidth)")
        assert ratios == pytest.approx([2] * len(ratios), rel=0.01)
    for link in ("", "&p.lightning_vis.tab=film"):
        with Tab(browser, server, link, width=1000, height=760) as tab:
            wide = "each => each.scrollWidth - each.clientWidth"
            assert [tab.frame.eval_on_selector(each, wide) for each in ("html", "main", "header", "footer")] == [0] * 4


def test_the_exported_page_shows_the_same_offline(browser, logdir, server, tmp_path):
    export_html(logdir, tmp_path / "film.html")
    with Tab(browser, server, "&p.lightning_vis.steps=50") as tab:
        tab.painted()
        served = tab.pixels()
    context = browser.new_context(viewport={"width": 1440, "height": 836}, offline=True)
    page = context.new_page()
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)
    page.goto(f"file://{tmp_path}/film.html#p.lightning_vis.steps=50")
    tab = Tab.__new__(Tab)
    tab.frame = page.main_frame
    tab.painted()
    assert tab.when == "epoch 5"
    assert np.abs(tab.pixels().astype(int) - served[: tab.pixels().shape[0], : tab.pixels().shape[1]]).max() <= 3
    page.keyboard.press("2")
    tab.painted()
    assert errors == []
    assert asked == [f"file://{tmp_path}/film.html"]
    context.close()


def test_the_screenshot_of_a_dead_page_would_be_noticed(browser, server):
    """The page is looked at once as a picture: it has the colours of its maps, and not those of an error."""
    import io

    with Tab(browser, server) as tab:
        tab.painted()
        picture = np.asarray(Image.open(io.BytesIO(tab.page.screenshot())).convert("RGB")).reshape(-1, 3)
        assert len(np.unique(picture // 8, axis=0)) > 150


def test_a_tile_brings_its_own_line_to_the_chart(browser, tmp_path):
    lifts = {"attribution/evidence/lift": np.array([0.25, 1.0, 1.0, 4.0])}
    frames = [replaced(frame, per_image=lifts) for frame in film_of(3)]
    write_run(tmp_path / "run", frames, inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 3)
        with Tab(browser, address, "&p.lightning_vis.runs=run") as tab:
            assert tab.frame.input_value("footer select") == "reliance/background_effect"  # not known of single images
            tab.frame.click(".picture canvas >> nth=3")
            assert tab.frame.input_value("footer select") == "attribution/evidence/lift"
            assert tab.frame.inner_text(".one") == "image 4, mammal ✕"
            assert tab.frame.get_attribute(".picture canvas >> nth=3", "aria-pressed") == "true"
            assert line_at(tab) == pytest.approx(12, abs=1)  # 4 x stands at the top
            tab.frame.focus(".picture canvas >> nth=0")
            tab.press("Enter")
            assert line_at(tab) == pytest.approx(96, abs=1)  # 1/4 x at the bottom
            link = tab.page.url
            tab.frame.select_option("footer select", "logged:val/accuracy")
            assert tab.frame.inner_text(".one") == "image 1, bird: not known of one image ✕"
            tab.frame.select_option("footer select", "attribution/evidence/lift")
            tab.press("Escape")
            assert tab.frame.query_selector(".one[hidden]")
            mean = frames[0].numbers["attribution/evidence/lift"]
            assert line_at(tab) == pytest.approx(96 - 84 * (np.log2(mean) + 2) / 4, abs=1)
        with Tab(browser, address, link.split("#lightning_vis")[1]) as tab:
            assert line_at(tab) == pytest.approx(96, abs=1)


def line_at(tab):
    """How far below the chart's upper edge the first run's line passes, halfway through the training."""
    pixels = tab.pixels("canvas.chart", channels=4).astype(int)
    column = pixels[:, 64 + (pixels.shape[1] - 64 - 150) // 2 - 20]  # beside the middle look, where a time is written below
    (rows,) = np.nonzero(np.abs(column - (0xD5, 0x5E, 0x00, 255)).max(1) < 8)  # the line of all images is fainter
    return rows.mean()


def test_tensorboard_s_own_reload_brings_what_is_new(browser, tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    from lightning_vis.storing import Store

    writer = SummaryWriter(tmp_path / "live")
    store, frames = Store([writer]), film_of(4)
    for frame in frames[:2]:
        store.add(frame, inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "live", 2)
        with Tab(browser, address, polls=False) as tab:
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


def test_what_is_written_below_tiles_does_not_run_into_its_neighbour(browser, tmp_path):
    names = tuple(f"n{at:08d} a long name of a species {at}" for at in range(1000))
    bare = [replaced(frame, numbers={}, per_image={}) for frame in film_of(2, masks=False)]
    write_run(tmp_path / "bare", bare, inputs_of(masks=False, class_names=names))
    write_run(tmp_path / "other", bare, inputs_of(masks=False, class_names=names))
    write_run(tmp_path / "third", film_of(2, count=20, wrong=(0, 1, 2)), inputs_of(20, class_names=names))
    beyond = (
        "() => [...document.querySelectorAll('figure')].flatMap(figure => [...figure.querySelectorAll('span, figcaption, div')]"
        ".filter(each => each.getBoundingClientRect().right > figure.getBoundingClientRect().right + 1)).length"
    )
    with tensorboard(tmp_path) as address:
        for run in ("bare", "other", "third"):
            wait_for_looks(address, run, 2)
        for runs in ("bare", "bare,other", "bare,other,third", "third"):
            for width in (1000, 1440):
                with Tab(browser, address, f"&p.lightning_vis.runs={runs}", width=width) as tab:
                    tab.painted()
                    tab.page.wait_for_timeout(100)
                    assert tab.frame.evaluate(beyond) == 0, (runs, width)


def test_a_look_that_was_not_taken_is_not_passed_off_as_one(browser, tmp_path):
    write_run(tmp_path / "whole", film_of(4), inputs_of())
    write_run(tmp_path / "sparse", [frame for frame in film_of(4) if frame.finished_steps != 20], inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "whole", 4)
        wait_for_looks(address, "sparse", 3)
        with Tab(browser, address, "&p.lightning_vis.tab=film") as tab:
            tab.painted()
            sparse, whole = (tab.pixels(".film .row > canvas", at, channels=4) for at in (0, 1))  # runs in order of names
            pitch = whole.shape[1] // 4
            opacity = [[row[20, at * pitch + 20, 3] for at in range(4)] for row in (sparse, whole)]
            assert opacity[1] == [255] * 4
            assert opacity[0][2] == pytest.approx(0.3 * 255, abs=2)
            assert opacity[0][:2] + opacity[0][3:] == [255] * 3
            assert tab.frame.inner_text(".film > p").startswith("Faint: no look of this run at that moment")
            tab.press("1")
            tab.press("ArrowLeft")
            facts = tab.texts(".run .facts")
            assert facts[0].startswith("epoch 1no look since then")
            assert facts[1].startswith("epoch 24 of 4 right")


def test_the_film_is_painted_anew_when_a_run_catches_up(browser, tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    from lightning_vis.storing import Store

    write_run(tmp_path / "done", film_of(4), inputs_of())
    writer = SummaryWriter(tmp_path / "live")
    store, frames = Store([writer]), film_of(4, seed=5)
    for frame in frames[:2]:
        store.add(frame, inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "done", 4)
        wait_for_looks(address, "live", 2)
        with Tab(browser, address, "&p.lightning_vis.tab=film") as tab:
            tab.painted()
            assert tab.pixels(".film .row > canvas", 1, channels=4)[20, -20, 3] < 100
            for frame in frames[2:]:
                store.add(frame, inputs_of())
            tab.until("() => !document.querySelector('.film > p')")
            tab.painted()
            assert tab.pixels(".film .row > canvas", 1, channels=4)[20, -20, 3] == 255
    writer.close()


def test_the_range_is_the_same_for_all_runs_shown_and_half_of_a_map_is_said_with_masks_too(browser, tmp_path):
    """A map of 2 in one run is painted as a map of 2 beside a map of 20 in the other, whatever the range."""
    weak = [replaced(frame, maps=flat_maps(0, 2)) for frame in film_of(2)]
    both = [replaced(frame, maps=flat_maps(0, 2 if at else 20)) for at, frame in enumerate(film_of(2))]
    write_run(tmp_path / "both", both, inputs_of())
    write_run(tmp_path / "weak", weak, inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "both", 2)
        wait_for_looks(address, "weak", 2)
        for gain in (0, 2):
            with Tab(browser, address, f"&p.lightning_vis.gain={gain}") as tab:
                tab.painted()
                assert np.array_equal(tab.pixels(at=0), tab.pixels(at=4))
                assert (
                    tab.texts(".measures span:last-child")[0] == "half in 46 %"
                )  # 7 cells of 3 and 15.75 of 2 are half of 105
                tab.press("Home")
                tab.painted()
                assert not np.array_equal(tab.pixels(at=0), tab.pixels(at=4))


def test_a_training_without_masks_has_the_probability_of_the_label_on_its_chart(browser, tmp_path):
    import torch
    from modules import CLASSES, Classifier
    from nets import images
    from pytorch_lightning import Trainer
    from pytorch_lightning.loggers import TensorBoardLogger
    from torch.utils.data import DataLoader, TensorDataset

    from lightning_vis.callbacks import ProbeCallback

    data = DataLoader(TensorDataset(images(8), torch.arange(8) % CLASSES), batch_size=4)
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    Trainer(max_epochs=2, logger=logger, callbacks=[ProbeCallback()], enable_progress_bar=False).fit(Classifier(), data, data)
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 3)
        with Tab(browser, address) as tab:
            tab.painted()
            assert tab.frame.input_value("footer select") == "answers/label"
            tab.frame.click(".picture canvas >> nth=2")
            assert tab.frame.input_value("footer select") == "answers/label"
            assert tab.frame.inner_text(".one") == "image 3, class 2 ✕"
