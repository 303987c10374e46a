"""The page as a whole in a real browser, on a real TensorBoard."""

from __future__ import annotations

import os
import subprocess
import venv
from dataclasses import replace as replaced
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tab_page import HostedTab, Tab
from tab_runs import film_of, inputs_of, pictures_of, with_twins, write_run
from tab_server import tensorboard, wait_for_looks

from lightning_vis.export import export_html

pytest_plugins = ("tab_fixtures",)
OLDEST = "2.9.1"


def test_the_tab_is_there_without_a_flag_and_opens_on_the_newest_look(browser, server):
    with HostedTab(browser, server) as tab:
        assert tab.page.get_by_text("Lightning Vis").count() == 1
        assert tab.when == "epoch 11"
        assert tab.frame.inner_text("summary").strip() == "3 of 3 runs"
        assert len(tab.frame.query_selector_all(".picture canvas")) == 12  # 4 images x 3 runs
        tab.painted()


def test_keys(browser, server):
    with HostedTab(browser, server) as tab:
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


def test_every_control_has_a_name_and_the_chart_says_where_it_is(page):
    tab = page.follow()
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


def test_dark_and_light_follow_tensorboard(browser, server):
    ground = "() => getComputedStyle(document.body).backgroundColor"
    with HostedTab(browser, server) as tab:
        assert tab.frame.evaluate(ground) == "rgb(255, 255, 255)"
        tab.page.evaluate("() => document.body.classList.add('dark-mode')")
        tab.until("() => getComputedStyle(document.body).backgroundColor === 'rgb(48, 48, 48)'")
    with HostedTab(browser, server, query="?darkMode=true") as tab:
        assert tab.frame.evaluate(ground) == "rgb(48, 48, 48)"


def test_a_reload_keeps_the_position_and_a_link_opens_it(browser, server):
    with HostedTab(browser, server) as tab:
        tab.drag_to(4 / 11)
        tab.click("Saliency")
        tab.frame.click("summary")
        tab.frame.uncheck(".list input[value=beta]")
        tab.until("() => ['saliency', 'runs=alpha%2Cgamma'].every(each => parent.location.hash.includes(each))")
        link = tab.link
        tab.page.reload()
        tab.wait()
        assert tab.when == "epoch 4"
        assert tab.frame.query_selector("[role=radio][aria-checked=true] >> text=Saliency")
    with HostedTab(browser, server, link) as tab:
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
        with HostedTab(browser, address) as tab:
            tab.painted()


def test_with_the_older_loader(browser, logdir):
    with tensorboard(logdir, "--load_fast=false") as address:
        for run in ("alpha", "beta", "gamma"):
            wait_for_looks(address, run, 12)
        with HostedTab(browser, address) as tab:
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
        with HostedTab(browser, address) as tab:
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
    subprocess.run([*install, "--no-deps", str(Path(__file__).parents[2])], check=True)
    return install[0]


HOSTILE = "<img src=x onerror=window.top.hacked=1>"


def test_hostile_names_are_text(browser, tmp_path):
    inputs = inputs_of(twins=True, class_names=(HOSTILE, "</script><script>window.top.hacked=1</script>"), name=HOSTILE)
    frames = [replaced(frame, notes=(HOSTILE,), numbers={f"{HOSTILE}/lift": 1.0}) for frame in film_of(3, name=HOSTILE)]
    filters = {f"filters/{HOSTILE}": pictures_of(3, caption=HOSTILE)}
    frames = [replaced(frame, pictures=filters) for frame in with_twins(frames, kinds=(HOSTILE, "stones"))]
    write_run(tmp_path / "<img src=x onerror=alert(1)>", frames, replaced(inputs, kinds=(HOSTILE, "stones")))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "<img src=x onerror=alert(1)>", 3)
        with HostedTab(browser, address) as tab:
            tab.painted()
            assert HOSTILE in tab.frame.inner_text(".name >> nth=0")
            for key in "243":
                tab.press(key)
                tab.painted()
            tab.until("() => document.querySelector('main figcaption')?.textContent.includes('onerror')")
            assert tab.frame.query_selector("img, script:not([type=module])") is None
            assert tab.page.evaluate("() => window.hacked") is None


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


def test_rows_of_a_film_name_their_run_where_there_are_several(page):
    page.follow("&p.lightning_vis.tab=film").painted()
    assert page.texts(".film .named") == ["alpha", "beta", "gamma"] * 4
    tops = "all => all.map(each => each.getBoundingClientRect().top)"
    names, strips = (page.frame.eval_on_selector_all(each, tops) for each in (".film .named", ".film .row > canvas"))
    assert all(0 < strip - name < 20 for name, strip in zip(names, strips, strict=True))
    page.follow("&p.lightning_vis.tab=film&p.lightning_vis.runs=beta").painted()
    assert page.texts(".film .named") == []


def test_views_of_one_title_have_buttons_that_can_be_told_apart(browser, tmp_path):
    frames = [
        replaced(
            frame, maps=frame.maps | {"fine": replaced(frame.maps["saliency"], layer="conv1"), "late": frame.maps["grad_cam"]}
        )
        for frame in film_of(2)
    ]
    write_run(tmp_path / "run", frames, inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        with Tab(browser, address) as tab:
            tab.painted()
            assert sorted(tab.texts("[aria-label=view] button")) == [
                "Evidence",
                "Grad-CAM (grad_cam)",
                "Grad-CAM (late)",
                "Saliency (<input>)",
                "Saliency (conv1)",
            ]


def test_a_map_too_weak_to_be_seen_says_so_and_its_numbers_are_no_findings(browser, tmp_path):
    frames = film_of(2)
    maps = frames[1].maps["evidence"]
    weak = replaced(maps, values=maps.values * np.array([1e-3, 1, 1e-3, 1], np.float32).reshape(4, 1, 1))
    write_run(tmp_path / "run", [frames[0], replaced(frames[1], maps={"evidence": weak})], inputs_of())
    dims = "all => all.map(each => getComputedStyle(each).opacity)"
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        with Tab(browser, address) as tab:
            tab.painted()
            assert tab.texts(".picture .state") == ["too weak to be seen", "", "too weak to be seen", ""]
            for measured in (".lift:not(.spread)", ".measures span:first-child"):
                assert tab.frame.eval_on_selector_all(measured, dims) == ["0.45", "1", "0.45", "1"]
            said = tab.frame.eval_on_selector_all(".picture canvas", "all => all.map(each => each.getAttribute('aria-label'))")
            assert [each.endswith("; its map is too weak to be seen") for each in said] == [True, False, True, False]
            tab.click("shape only")  # every map is seen by its own mean
            tab.until("() => [...document.querySelectorAll('.picture .state')].every(each => !each.textContent)")
            assert set(tab.frame.eval_on_selector_all(".lift:not(.spread)", dims)) == {"1"}
            tab.click("evidence")
            tab.resize(390, 844)
            tab.until("() => document.querySelector('.picture .state').textContent.startsWith('too weak')")
            assert tab.frame.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
