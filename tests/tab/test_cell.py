"""One cell large, and the help, in a real browser."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tab_cell import BLOBS, at_cell, facts, link, shown_cell
from tab_page import Tab
from tab_runs import film_of, inputs_of, write_run
from tab_server import tensorboard, wait_for_looks
from tab_tiles import difference, drawn_difference
from task_frames import film_for, inputs_for, masks

from lightning_vis.events.frame_reader import read_frames
from lightning_vis.frames import Maps, Scale
from lightning_vis.render.canvas.tiles import drawn

pytest_plugins = ("tab_fixtures",)


def test_a_press_opens_a_tile_large_with_all_that_is_known_of_it(browser, logdir, server):
    run = next(each for each in read_frames(logdir) if each.name == "alpha")
    with Tab(browser, server, link(steps=70)) as tab:
        tab.painted()
        tab.frame.click(".picture canvas >> nth=1")
        assert tab.frame.inner_text(".cell h2") == "image 2, alpha"
        assert tab.texts(".cell figcaption") == ["2 · mammal", "epoch 7 · ✗ bird · p 0.71 · explains mammal"]
        known = facts(tab)
        assert known["moment"] == "epoch 7, after 70 steps"
        assert (known["answer"], known["truth"], known["right or wrong"]) == ("bird, p 0.71", "mammal", "wrong")
        assert known["on the object, times chance"] == "1.7"
        shown = tab.pixels(".cell .photo canvas", 1).astype(int)
        flat = np.broadcast_to(run.inputs.pictures[1][16, 16], shown.shape)
        error = np.abs(shown - drawn(flat, run.frames[7].maps["evidence"], 1))
        assert np.median(error) <= 1
        assert (error.max(axis=2) <= 3).mean() > 0.9  # but for the lines between its cells
        box = tab.frame.query_selector(".cell .photo canvas >> nth=1").bounding_box()
        tab.page.mouse.move(box["x"] + 2.5 * box["width"] / 7, box["y"] + 4.5 * box["height"] / 7)
        tab.until("() => document.querySelector('.cell .under').textContent")
        said = tab.frame.inner_text(".cell .under")
        value = run.frames[7].maps["evidence"].values[1, 4, 2]
        assert said.startswith("row 5 of 7, column 3 of 7: evidence ")
        assert abs(float(said.split("evidence ")[1].split(" ")[0].replace("−", "-")) - value) < 0.1  # noqa: RUF001
        tab.frame.click("text=next image")
        assert tab.frame.inner_text(".cell h2") == "image 3, alpha"
        tab.press("ArrowLeft")
        tab.until("() => document.querySelectorAll('.cell figcaption')[1].textContent.startsWith('epoch 6')")
        tab.until("() => parent.location.hash.includes('cell=2') && parent.location.hash.includes('steps=60')")
        address = tab.link
        tab.press("Escape")
        assert tab.frame.query_selector(".cell[open]") is None
    with Tab(browser, server, address) as tab:
        assert tab.frame.inner_text(".cell h2") == "image 3, alpha"
        shown_cell(tab, 2)
        assert tab.texts(".cell figcaption")[1].startswith("epoch 6")


def kept_picture(tab):
    """What a press on "download as PNG" gives: its name and its pixels."""
    with tab.page.expect_download() as download:
        tab.frame.click("text=download as PNG")
    file = download.value
    return file.suggested_filename, np.asarray(Image.open(io.BytesIO(file.path().read_bytes())).convert("RGB")).astype(int)


@pytest.mark.parametrize("view", ["evidence", "grad_cam"])
def test_both_moments_and_their_difference_stand_side_by_side_and_can_be_kept(page, logdir, view):
    run = next(each for each in read_frames(logdir) if each.name == "alpha")
    first, second = (run.frames[at].maps[view] for at in (9, 3))
    tab = page.follow(link(runs="alpha", view=view, steps=90, against="moment", other=30))
    tab.painted()
    tab.frame.click(".picture canvas >> nth=9")  # of the row of differences
    shown_cell(tab, 4)
    said = [each.split(" ·")[0] for each in tab.texts(".cell figcaption")[1:]]
    assert said == ["A: epoch 9", "B: epoch 3", "A minus B: epoch 9 minus epoch 3"]
    tops = {round(each.bounding_box()["y"]) for each in tab.frame.query_selector_all(".cell .photo canvas")}
    assert len(tops) == 1
    panel = tab.pixels(".cell .photo canvas", 3).astype(int)
    flat = np.broadcast_to(run.inputs.pictures[1][16, 16], panel.shape)
    assert np.median(np.abs(panel - drawn_difference(flat, first, second, 1))) <= 3  # but for the lines between its cells
    value = difference(first, second, 1)[0]
    row, column = np.unravel_index(value.argmax(), value.shape)
    under = at_cell(tab, 3, row, column)
    assert under.startswith(f"row {row + 1} of 7, column {column + 1} of 7: A minus B, evidence +")
    assert float(under.split("evidence ")[1].split(" ")[0]) == pytest.approx(value[row, column], rel=0.05)
    name, picture = kept_picture(tab)
    assert name == f"alpha_image_2_{view}_A_epoch_9_B_epoch_3.png"
    height, width = panel.shape[:2]
    left = 16 + 3 * (width + 16)
    assert np.abs(picture[36 : 36 + height, left : left + width] - tab.pixels(".cell .photo canvas", 3)).max() <= 3
    assert picture.shape[0] > height + (80 if first.scale.signed else 130)  # captions, a legend of each kind, how to read it
    tab.resize(390, 844)
    boxes = [each.bounding_box() for each in tab.frame.query_selector_all(".cell .photo canvas")]
    assert max(each["x"] + each["width"] for each in boxes) <= 390
    assert len({round(each["x"]) for each in boxes}) == 2  # two of them side by side
    tab.resize(1440, 900)
    tab.press("Escape")


@pytest.mark.parametrize(
    ("settings", "reading", "name"),
    [
        ({}, "Evidence in log-odds: warm speaks for the label, blue against it.", "alpha_image_2_evidence_epoch_9.png"),
        (
            {"mode": "shape"},
            "Evidence in multiples of each map's own mean: warm speaks for the label, blue against it. "
            "Only the shape counts, strong and weak maps look alike.",
            "alpha_image_2_evidence_shape_only_epoch_9.png",
        ),
        (
            {"photo": "spotlight"},
            "Evidence in log-odds: lit where it speaks for the label; what speaks against it does not show.",
            "alpha_image_2_evidence_epoch_9.png",
        ),
    ],
)
def test_the_unit_is_that_of_the_settings_and_a_download_is_named_by_what_it_holds(page, settings, reading, name):
    tab = page.follow(link(runs="alpha", view="evidence", steps=90, cell="1,alpha", **settings))
    tab.until("said => document.querySelector('.cell[open] .reading')?.textContent === said", reading)
    shown_cell(tab, 2)
    assert tab.texts(".caption")[0].startswith(reading)
    assert tab.texts(".cell .signs")[1] == (
        "lit: speaks for mammal" if "photo" in settings else "warm speaks for mammal, blue against it"
    )
    legends = ["header .legend", ".cell .legend"]
    ticks, bars = ([tab.texts(f"{each} .ticks span") for each in legends], [tab.pixels(f"{each} canvas") for each in legends])
    assert ticks[0] == ticks[1] != []
    assert np.array_equal(*bars)
    map_, bar = (tab.frame.query_selector(each).bounding_box() for each in (".cell .photo canvas >> nth=1", ".cell .legend"))
    assert 0 < bar["y"] - map_["y"] - map_["height"] < 160
    assert bar["y"] + bar["height"] < 836  # on the first screen
    said = at_cell(tab, 1, 4, 2)
    assert ("times the map's mean" in said) == ("mode" in settings)
    assert kept_picture(tab)[0] == name
    tab.press("Escape")


def test_the_difference_of_two_runs_is_opened_with_both_and_never_shows_another_picture(page):
    tab = page.follow(link(runs="alpha,beta", against="run:alpha", cell="1,beta"))
    shown_cell(tab, 4)
    assert [each.split(":")[0] for each in tab.texts(".cell figcaption")[1:]] == ["beta", "alpha", "beta minus alpha"]
    assert "bird → mammal" in tab.texts(".cell figcaption")[3]
    tab.follow(link(runs="alpha", against="moment", steps=0, other=0, cell="1,alpha"))
    shown_cell(tab, 4)
    assert tab.texts(".cell .state") == ["", "no evidence: 0 everywhere", "no evidence: 0 everywhere", "no difference"]
    tab.press("Escape")


def test_a_large_cell_says_what_could_not_be_had(browser, server):
    with Tab(browser, server, link(cell="0,alpha")) as tab:
        tab.until("() => document.querySelectorAll('.cell canvas[data-state=shown]').length === 2")
        tab.context.route(BLOBS, lambda route: route.abort())
        tab.press("Home")
        tab.until("() => document.querySelectorAll('.cell canvas[data-state=failed]').length === 1")
        assert tab.texts(".cell .state") == ["", "could not be had"]
        tab.context.unroute_all()
        tab.until("() => document.querySelectorAll('.cell canvas[data-state=shown]').length === 2")


def test_an_opened_view_begins_at_its_top(page):
    scrolled = "() => document.querySelector('.cell').scrollTop"
    tab = page.follow(link(runs="alpha", cell="1,alpha"))
    shown_cell(tab, 2)
    tab.resize(1440, 500)
    tab.frame.evaluate("() => { document.querySelector('.cell').scrollTop = 200; }")
    assert tab.frame.evaluate(scrolled) == 200
    tab.press("Escape")
    tab.frame.click(".picture canvas >> nth=0")
    shown_cell(tab, 2)
    assert tab.frame.evaluate(scrolled) == 0
    tab.press("Escape")
    tab.resize(1440, 900)


def test_tiles_are_one_stop_of_the_keyboard_and_arrows_go_between_them(page):
    focused = "() => document.activeElement.getAttribute('aria-label')?.split(':')[0]"
    tab = page.follow()
    tab.painted()
    stops = "() => [...document.querySelectorAll('main canvas')].filter(each => each.tabIndex === 0).length"
    assert tab.frame.evaluate(stops) == 1
    tab.frame.focus("main canvas[tabindex='0']")
    seen = []
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowUp"):
        tab.press(key)
        seen.append(tab.frame.evaluate(focused))
    at = "epoch 11"
    assert seen == [
        "image 2",
        f"image 2, run alpha, {at}",
        f"image 2, run beta, {at}",
        f"image 1, run beta, {at}",
        f"image 1, run alpha, {at}",
    ]
    assert tab.when == "epoch 11"
    assert tab.frame.evaluate(stops) == 1
    tab.press("Enter")
    assert tab.frame.inner_text(".cell h2") == "image 1, alpha"
    tab.press("Escape")
    assert tab.frame.evaluate(focused) == seen[-1]


def test_help_says_what_everything_means(page):
    tab = page.follow()
    tab.painted()
    tab.press("?")
    said = tab.frame.inner_text(".help")
    for word in (
        "Evidence",
        "white lines over a map",
        "Saliency",
        "half in 19 %",
        "object 2.3 ×",  # noqa: RUF001
        "could not be had",
        "not looked at",
        "lift",
        "exchange",
        "An orange frame: the answer leaves the label",
        "background, surroundings",
        "not in the installed package",
        "space",
        "second moment B",
    ):
        assert word in said
    tab.press("Escape")
    assert tab.frame.query_selector(".help[open]") is None
    tab.frame.click(".ask")
    assert tab.frame.query_selector(".help[open]")
    tab.frame.click(".help .close")  # the page is other tests', too


def test_a_run_without_photos_has_its_cell_too(browser, tmp_path):
    write_run(tmp_path / "bare", film_of(2, masks=False), None)
    write_run(tmp_path / "whole", film_of(2), inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "bare", 2)
        with Tab(browser, address, link(runs="bare", cell="1,bare")) as tab:
            tab.until("() => document.querySelectorAll('.cell canvas[data-state=shown]').length === 1")
            assert "truth" not in facts(tab)


def test_the_classes_and_their_probabilities_stand_below_the_map_of_their_moment(browser, tmp_path):
    names = tuple(f"n{at:08d} a class with a name as long as ImageNet's, {at}" for at in range(1000))
    top = (((999, 0.81), (1, 0.12), (7, 0.02)),) * 4
    frames = [replace(frame, top=top if frame.finished_steps else ()) for frame in film_of(2)]
    write_run(tmp_path / "run", frames, inputs_of(class_names=names))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        with Tab(browser, address, link(cell="1,run", against="moment", other=0)) as tab:
            shown_cell(tab, 4)
            assert tab.texts(".cell .likeliest .number") == ["0.81", "0.12", "0.02"]
            assert tab.texts(".cell .likeliest .name") == [names[999], f"{names[1]} (label)", names[7]]
            hidden = tab.frame.eval_on_selector_all(".cell .likeliest", "all => all.map(each => each.hidden)")
            assert hidden == [
                True,
                False,
                True,
                True,
            ]  # the photo, A, B, of whose moment no probabilities were stored, and their difference
            wide = "() => document.documentElement.scrollWidth <= innerWidth && document.querySelector('.cell').scrollWidth <= innerWidth"
            assert tab.frame.evaluate(wide)


def test_the_label_stands_among_the_bars_however_improbable_it_is(browser, tmp_path):
    own = {"answers/label": np.array([0.9, 0.003, 0.9, 0.9])}
    frames = [replace(frame, top=(((0, 0.99),),) * 4, per_image={**frame.per_image, **own}) for frame in film_of(2)]
    write_run(tmp_path / "run", frames, inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        with Tab(browser, address, link(cell="1,run")) as tab:
            shown_cell(tab, 2)
            assert tab.texts(".cell .likeliest .name") == ["bird", "mammal (label)"]
            assert tab.texts(".cell .likeliest .number") == ["0.99", "< 0.01"]


@pytest.mark.parametrize(("task", "knows"), [("multiclass", True), ("regression", False)])
def test_the_line_speaks_of_wrong_only_where_that_is_known_and_in_the_moments_of_the_axis(browser, tmp_path, task, knows):
    write_run(tmp_path / "run", film_for(task, 3), inputs_for(task))
    said = "() => document.querySelector('.cell canvas.line').getAttribute('aria-label')"
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 3)
        with Tab(browser, address, link(cell="1,run")) as tab:
            shown_cell(tab, 2)
            assert ("✗: wrong" in tab.frame.evaluate(said)) == knows
            assert "from start to epoch 2" in tab.frame.evaluate(said)
            tab.follow(link(cell="1,run", axis="step"))
            tab.until("() => document.querySelector('.cell canvas.line').getAttribute('aria-label').includes('to step 20')")


def test_the_predicted_mask_of_a_segmentation_stands_beside_with_the_true_one_and_the_overlap(browser, tmp_path):
    predicted = Maps(masks(56), np.full(4, -1), "<output>", Scale(limit=1.0), "predicted mask", "label", ("class 3",) * 4, "")
    overlap = {"answers/iou": np.array([0.71, 0.83, 0.64, 0.12])}
    frames = [replace(each, maps={**each.maps, "mask": predicted}, per_image=overlap) for each in film_for("segmentation", 2)]
    write_run(tmp_path / "run", frames, inputs_for("segmentation", masked=True))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        with Tab(browser, address, link(cell="1,run", view="evidence")) as tab:
            tab.until("() => document.querySelectorAll('.cell canvas[data-state=shown]').length === 3")
            said = "predicted mask of class 3 · overlap (IoU) 0.83 · white line: the true one"
            assert tab.texts(".cell figcaption")[2].endswith(said)
            assert (tab.pixels(".cell .photo canvas", 2) == 255).all(axis=2).sum() > 100  # that line


def test_from_an_opened_tile_it_is_a_press_to_the_proof(page):
    tab = page.follow("&p.lightning_vis.tab=compare&p.lightning_vis.steps=90&p.lightning_vis.cell=0,gamma")
    tab.frame.click('role=button[name="its run\'s twins"]')
    tab.painted()
    assert tab.frame.query_selector(".cell[open]") is None
    assert tab.texts(".twins h2 strong")[0] == "gamma"
    assert tab.when == "epoch 9"
    tab.follow("&p.lightning_vis.tab=compare&p.lightning_vis.cell=0,alpha")
    tab.frame.wait_for_selector(".cell[open]")
    assert tab.frame.is_hidden('.cell button:has-text("twins")')
    tab.follow()


def test_a_link_that_comes_just_after_a_close_opens_its_cell(page):
    """The browser says that a dialog was closed in a task of its own."""
    tab = page.follow("&p.lightning_vis.tab=compare&p.lightning_vis.cell=1,alpha")
    shown_cell(tab, 2)
    tab.frame.evaluate(
        """() => {
            document.querySelector(".cell").close();
            location.hash = "&p.lightning_vis.tab=compare&p.lightning_vis.cell=2,alpha";
            dispatchEvent(new HashChangeEvent("hashchange"));
        }"""
    )
    tab.until("() => document.querySelector('.cell h2').textContent === 'image 3, alpha'")
    tab.frame.evaluate("() => new Promise(done => setTimeout(done, 50))")
    assert tab.frame.query_selector(".cell[open]")
    tab.press("Escape")
