"""The pages of maps in a real browser: Compare and Film."""

from __future__ import annotations

from dataclasses import asdict
from dataclasses import replace as replaced
from itertools import pairwise

import numpy as np
import pytest
from tab_page import Tab
from tab_runs import EVIDENCE, film_of, frame_of, inputs_of, pictures_of, with_twins, write_run
from tab_server import tensorboard, wait_for_looks

from lightning_vis.events.frame_reader import read_frames
from lightning_vis.frames import Frame, Maps, Scale
from lightning_vis.render.canvas.tiles import drawn

pytest_plugins = ("tab_fixtures",)


def test_runs_are_chosen_from_a_list(page):
    tab = page.follow()
    tab.frame.click("summary")
    tab.frame.uncheck(".list input[value=beta]")
    assert tab.texts(".run strong") == ["alpha", "gamma"]
    tab.frame.uncheck(".list input[value=alpha]")
    assert tab.texts(".run strong") == ["gamma"]
    tab.frame.check(".list input[value=beta]")
    assert tab.texts(".run strong") == ["beta", "gamma"]


def test_a_click_in_the_film_goes_there(page):
    tab = page.follow("&p.lightning_vis.tab=film")
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


def test_a_wrong_answer_is_marked_by_more_than_its_colour(page):
    tab = page.follow()
    names = tab.texts(".picture + figcaption .name")
    assert names[:4] == ["bird", "✗ bird", "bird", "mammal"]
    assert [each for each in names[4:] if "✗" in each] == []


@pytest.mark.parametrize("view", ["Evidence", "Grad-CAM", "Saliency"])
def test_pixels_are_those_that_rendering_draws(logdir, view, page):
    run = next(each for each in read_frames(logdir) if each.name == "alpha")
    key = {"Evidence": "evidence", "Grad-CAM": "grad_cam", "Saliency": "saliency"}[view]
    tab = page.follow("&p.lightning_vis.runs=alpha&p.lightning_vis.steps=70")
    tab.click(view)
    tab.painted()
    tab.page.wait_for_timeout(300)
    for index in range(4):
        shown = tab.pixels(at=index)
        flat = np.broadcast_to(run.inputs.pictures[index][16, 16], shown.shape)
        expected = drawn(flat, run.frames[7].maps[key], index)
        assert np.abs(shown.astype(int) - expected).max() <= 3


def test_gain_opacity_photo_and_shape_change_what_is_drawn_and_cividis_is_cividis(page):
    tab = page.follow("&p.lightning_vis.runs=alpha&p.lightning_vis.view=grad_cam")
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


@pytest.mark.parametrize("scale", [Scale(limit=limit, signed=signed) for limit in (7, 31, 100) for signed in (False, True)])
def test_the_page_s_scale_is_the_one_of_the_pictures(scale, page):
    script = """async ({ scale, values }) => {
      const { strengthOf, ticksOf } = await import("./static/picture/colours.js");
      const settings = { mode: "evidence", gain: 0 };
      const shares = values.map((value) => strengthOf(scale, { area: 1 }, settings, {})(value));
      return { shares, ticks: ticksOf(scale, settings, {}) };
    }"""
    values = [0.0, 0.5, 3.0, -3.0, 31.0, 1000.0]
    tab = page.follow()
    found = tab.frame.evaluate(script, {"scale": asdict(scale), "values": values})
    assert found["shares"] == pytest.approx(scale.share(np.array(values)).tolist())
    ticks = {round(each["value"], 6): each["at"] for each in found["ticks"]}
    assert set(ticks) <= set(scale.ticks())
    assert (min(ticks.values()), max(ticks.values())) == (0, 1)
    shares = {value: float(scale.share(np.array(value))) for value in ticks}
    assert ticks == pytest.approx({value: (share + 1) / 2 if scale.signed else share for value, share in shares.items()})


def test_the_legend_has_the_scale_s_ticks_and_follows_the_gain(page):
    tab = page.follow("&p.lightning_vis.view=grad_cam")
    ticks = "all => all.map(each => [each.textContent, parseFloat(each.style.left)])"
    shown = tab.frame.eval_on_selector_all("header .ticks span", ticks)
    assert [text for text, _ in shown] == ["0", "1", "3", "7", "15", "31"]
    assert [at for _, at in shown] == pytest.approx([0, 20, 40, 60, 80, 100])
    tab.frame.fill(".labelled input[type=range] >> nth=1", "1")
    shown = tab.frame.eval_on_selector_all("header .ticks span", ticks)
    assert [text for text, _ in shown] == ["0", "1", "3", "7", "15"]
    assert tab.frame.inner_text(".labelled output") == "to 15"


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
            states = tab.texts(".picture .state")
            assert states == ["empty", "constant", "not finite", ""]
            halves = tab.frame.eval_on_selector_all(".measures", "all => all.map(each => each.innerText.trim())")
            assert halves[3] == "half of it in 7 % of the image"  # 3.5 of 49 cells
            assert tab.frame.input_value("select.scalar") == "answers/probability"
            assert tab.frame.query_selector(".labelled:has-text('outline')[hidden]")


def test_images_that_find_no_room_are_on_pages(browser, tmp_path):
    write_run(tmp_path / "many", film_of(2, count=40), inputs_of(40))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "many", 2)
        with Tab(browser, address) as tab:
            tab.painted()
            first = len(tab.frame.query_selector_all(".picture canvas"))
            assert 8 <= first < 40
            assert tab.frame.inner_text(".pager span") == f"images 1 to {first} of 40"
            tab.frame.click("role=button[name='next images']")
            assert tab.frame.inner_text(".pager span") == f"images {first + 1} to {min(40, 2 * first)} of 40"
            tab.painted()
            pages = -(-40 // first)
            tab.frame.select_option("select[aria-label='page of images']", str(pages - 1))
            assert tab.frame.inner_text(".pager span").endswith("to 40 of 40")
            tab.painted()
            assert len(tab.frame.query_selector_all(".picture canvas")) == 40 - (pages - 1) * first


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
        with Tab(browser, address) as tab:
            for width in (1000, 1440):
                tab.resize(width, 900)
                for runs in ("bare", "bare,other", "bare,other,third", "third"):
                    tab.follow(f"&p.lightning_vis.runs={runs}").painted()
                    assert tab.texts(".grid.first .run strong") == runs.split(",")
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
            assert tab.frame.inner_text(".film > div > p").startswith("Faint: no look of this run at that moment")
            tab.press("1")
            tab.press("ArrowLeft")
            tab.painted()
            facts = tab.texts(".run .facts")
            assert facts[0].startswith("epoch 1no look since then")
            assert facts[1].startswith("epoch 24 of 4 right")


def test_runs_without_maps_take_no_rows_and_are_named_below(browser, tmp_path):
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    found = {"filters/conv1": pictures_of(2)}
    filters = [Frame("probe", *nobody, pictures=found, finished_steps=7 * at, log_step=7 * at - 1) for at in range(3)]
    write_run(tmp_path / "filters", filters, None)
    write_run(tmp_path / "maps", with_twins(film_of(3)), inputs_of(twins=True))
    write_run(tmp_path / "others", film_of(3, name="second"), inputs_of(name="second"))
    said = ["filters: filters only, see Filters", "others: no looks at the probe probe"]
    with tensorboard(tmp_path) as address:
        for run in ("filters", "maps", "others"):
            wait_for_looks(address, run, 3)
        with Tab(browser, address) as tab:
            tab.painted()
            assert tab.texts(".run strong") == ["maps"]
            assert len(tab.frame.query_selector_all(".picture canvas")) == 4
            assert tab.texts(".note") == said
            tab.press("2")
            tab.painted()
            assert len(tab.frame.query_selector_all(".film .row")) == 4
            assert tab.texts(".film .times button") == ["start", "epoch 1", "epoch 2"]
            assert tab.texts(".note") == said
            tab.press("4")
            assert tab.texts(".twins h2") == ["filters", "maps epoch 2", "others"]
            tab.press("1")
            tab.frame.select_option("select[aria-label=probe]", "second")
            assert tab.texts(".run strong") == ["others"]
            assert tab.texts(".note") == [said[0], "maps: no looks at the probe second"]


def test_the_film_is_painted_anew_when_a_run_catches_up(browser, tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    from lightning_vis.events.frame_writer import FrameWriter

    write_run(tmp_path / "done", film_of(4), inputs_of())
    writer = SummaryWriter(tmp_path / "live")
    store, frames = FrameWriter([writer]), film_of(4, seed=5)
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
            tab.until("() => !document.querySelector('.film > div > p')")
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
