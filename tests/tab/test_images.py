"""Which images are shown, in a real browser: as large as the window allows, all at a glance, chosen and in an order."""

from __future__ import annotations

from dataclasses import replace as replaced

import numpy as np
import pytest
from tab_page import Tab
from tab_runs import film_of, frame_of, inputs_of, write_run
from tab_server import tensorboard, wait_for_looks

pytest_plugins = ("tab_fixtures",)
MANY = 64


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """`many`: 64 images; `few`: eight of which two are wrong at the end, with a probability, a lift and a history of their own."""
    root = tmp_path_factory.mktemp("images")
    for seed, run in enumerate(("many", "more", "most")):
        write_run(root / run, film_of(3, count=MANY, seed=seed, wrong=(5, 40)), inputs_of(MANY))
    probability = np.array([0.9, 0.5, 0.8, 0.6, 0.99, 0.7, 0.95, 0.85], np.float32)
    lift = {"attribution/evidence/lift": np.array([2.0, 1.0, 0.2, 1.5, 3.0, 0.5, 4.0, 2.5])}
    shown = {"count": 8, "wrong": (2, 7)}
    turned = [
        frame_of(0, share=0.1, **(shown | {"wrong": (0, 2, 7)})),
        *(frame_of(10 * at, share=0.5, **shown) for at in (1, 2)),
    ]
    frames = [replaced(each, probability=probability, per_image=lift) for each in turned]
    write_run(root / "five", film_of(5, count=8), inputs_of(8))
    for run in ("few", "twice"):
        write_run(root / run, frames, inputs_of(8))
    with tensorboard(root) as address:
        for run in ("many", "more", "most", "few", "twice", "five"):
            wait_for_looks(address, run, 5 if run == "five" else 3)
        yield address


@pytest.fixture(scope="module")
def page(browser, images):
    with Tab(browser, images, link("few")) as tab:
        yield tab


def link(run, **more):
    return "".join(f"&p.lightning_vis.{name}={value}" for name, value in {"runs": run, **more}.items())


def order(tab):
    """The images that stand there, numbered as in the probe: the same to the eye and to the ear."""
    tab.painted()
    labels = tab.frame.eval_on_selector_all(".picture canvas", "all => all.map(each => each.getAttribute('aria-label'))")
    numbers = [int(label.split(",")[0].removeprefix("image ")) for label in labels]
    assert tab.texts(".picture + figcaption .nth") == [str(number) for number in numbers]
    assert tab.frame.eval_on_selector_all(
        "figcaption .nth", "all => all.every(each => each.scrollWidth <= each.clientWidth + 1)"
    )
    return numbers


@pytest.mark.parametrize(("width", "height"), [(2560, 1300), (1000, 760), (1440, 900)])
def test_one_run_fills_the_window_with_several_rows(page, width, height):
    tab = page.resize(width, height).follow(link("few"))
    tab.painted()
    stage = tab.frame.query_selector("main").bounding_box()
    boxes = [each.bounding_box() for each in tab.frame.query_selector_all(".picture canvas")]
    assert tab.frame.eval_on_selector("main", "each => each.scrollHeight <= each.clientHeight")
    used = sum(box["width"] * box["height"] for box in boxes) * 2
    assert used > 0.3 * stage["width"] * stage["height"]


ROWS = """all => new Set(all.map(each => Math.round(each.getBoundingClientRect().top))).size"""
USED = """() => {
    const bottom = (selector) => Math.max(...[...document.querySelectorAll(selector)].map(each => each.getBoundingClientRect().bottom));
    const rights = [...document.querySelectorAll("figure")].map(each => each.getBoundingClientRect().right);
    const stage = document.querySelector("main").getBoundingClientRect();
    const left = document.querySelector("figure").getBoundingClientRect().left;
    return { below: stage.bottom - Math.max(bottom("figure"), bottom(".others")), beside: (Math.max(...rights) - left) / (stage.right - left) };
}"""


@pytest.mark.parametrize("count", [12, MANY])
def test_many_images_of_one_run_stand_in_several_rows_and_leave_nothing_empty(browser, tmp_path, count):
    write_run(tmp_path / "alone", film_of(2, count=count), inputs_of(count))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "alone", 2)
        with Tab(browser, address) as tab:
            tab.painted()
            assert_full(tab)
            assert order(tab) == list(range(1, min(count, 15) + 1))


def assert_full(tab):
    assert tab.frame.eval_on_selector_all(".picture canvas", ROWS) >= 3
    assert tab.frame.eval_on_selector("main", "each => each.scrollHeight <= each.clientHeight")
    used = tab.frame.evaluate(USED)
    assert used["below"] < 80
    assert used["beside"] > 0.8
    photos, maps = (
        tab.frame.eval_on_selector_all(
            each, "all => all.map(each => [each.getBoundingClientRect().x, each.getBoundingClientRect().y])"
        )
        for each in (".photo canvas", ".picture canvas")
    )
    assert all(photo[1] == shown[1] and 0 < shown[0] - photo[0] < 200 for photo, shown in zip(photos, maps, strict=True))


def test_two_moments_of_two_runs_use_the_width_where_they_have_to_be_scrolled(page):
    tab = page.resize(2560, 1300).follow(link("few,twice", against="moment"))
    assert_wide(tab)


def test_twelve_runs_use_the_width(browser, tmp_path):
    runs = [f"run{at}" for at in range(12)]
    for seed, run in enumerate(runs):
        write_run(tmp_path / run, film_of(2, seed=seed), inputs_of())
    with tensorboard(tmp_path) as address:
        for run in runs:
            wait_for_looks(address, run, 2)
        with Tab(browser, address, link(",".join(runs))) as tab:
            assert_wide(tab)


def assert_wide(tab):
    tab.painted()
    assert tab.frame.eval_on_selector("main", "each => each.scrollHeight > each.clientHeight")
    assert tab.frame.evaluate(USED)["beside"] > 0.6
    assert tab.frame.query_selector(".pager") is None


LAYOUTS = """async () => {
    const { columnsAt, heightAt, layoutOf, roomOf, waysOf } = await import("./static/compare/layout.js");
    let seed = 1;
    const random = (least, most) => least + ((seed = (seed * 48271) % 2147483647) % (most - least + 1));
    const many = (count, make) => [...Array(count).keys()].map(make);
    const groupOf = () => {
        const inputs = { size: [random(24, 40), 32] };
        const runs = many(random(1, random(1, 6)), () => ({ inputs, looks: [] }));
        return { run: runs[0], runs, rows: runs.map((run) => ({ run })), images: many(random(1, random(1, 70)), (at) => at) };
    };
    const sizes = many(249, (at) => 112 + at);
    const found = { whole: 0, scrolled: 0, wrong: [] };
    for (let at = 0; at < 3000; at += 1) {
        const groups = many(random(1, random(1, 3)), groupOf);
        const space = { width: random(320, 2560), height: random(300, 1300), notes: random(0, 1), others: false };
        const layout = layoutOf(groups, space);
        const { side, columns, isTurned, isPaired, isWhole } = layout;
        const room = roomOf(space);
        const most = Math.max(...groups.map((group) => group.images.length));
        const beside = isTurned ? groups[0].rows.length + 1 : isPaired ? 2 * columns : columns;
        const used = beside * (side + 8) - 8 + (isPaired ? 8 * columns : 0);
        const fits = (each) => waysOf(groups, room, false).some((way) => (way.isPaired ? 2 * each + 16 : each) <= room.width && heightAt(each, groups, way) <= room.height && (most < 2 || columnsAt(each, way) > 1));
        const tall = Math.max(...groups.map(({ runs }) => runs[0].inputs.size[0] / 32));
        const note = (why) => found.wrong.push([why, JSON.stringify({ ...space, groups: groups.map(({ rows, images }) => [rows.length, images.length]), layout })]);
        if (used > room.width) note("too wide");
        if (isTurned) continue;
        if (isWhole !== sizes.some(fits)) note("whole");
        if (isWhole && (!fits(side) || (side < 359 && fits(side + 2)) || layout.perPage !== most)) note("not the largest");
        if (!isWhole && used < 0.6 * room.width && 2 * (side + 2) * tall + 92 + (room.labels ? 0 : 58) < room.height && side < 358) note("narrow");
        found[isWhole ? "whole" : "scrolled"] += 1;
    }
    return found;
}"""
"""Any number of runs, images and photos in any window: the layout held against trying every size."""


def test_of_any_runs_and_images_tiles_are_as_large_as_the_window_allows(page):
    found = page.frame.evaluate(LAYOUTS)
    assert found["wrong"] == []
    assert min(found["whole"], found["scrolled"]) > 200


def test_three_runs_of_sixty_four_are_seen_at_a_glance_or_it_is_said_how_many(page):
    tab = page.resize(1440, 900).follow(link("many,more,most", glance="true"))
    tab.painted()
    stage = tab.frame.query_selector("main").bounding_box()
    boxes = [each.bounding_box() for each in tab.frame.query_selector_all(".picture canvas")]
    assert len(boxes) == 3 * MANY
    assert min(box["width"] for box in boxes) >= 44
    assert max(box["y"] + box["height"] for box in boxes) <= stage["y"] + stage["height"]
    assert tab.frame.query_selector(".seen") is None
    wrong = "all => all.filter(each => each.checkVisibility()).map(each => each.closest('figure').querySelector('canvas').getAttribute('aria-label').split(',')[0])"
    assert tab.frame.eval_on_selector_all("figure .name", wrong) == ["image 6"] * 3 + ["image 41"] * 3
    tab.resize(1000, 760)
    tab.frame.wait_for_selector(".seen")
    stage = tab.frame.query_selector("main").bounding_box()
    boxes = [each.bounding_box() for each in tab.frame.query_selector_all(".picture canvas")]
    labels = tab.frame.eval_on_selector_all(".picture canvas", "all => all.map(each => each.getAttribute('aria-label'))")
    below = {
        label.split(",")[0]
        for label, box in zip(labels, boxes, strict=True)
        if box["y"] + box["height"] > stage["y"] + stage["height"]
    }
    seen = MANY - len(below)
    assert 0 < seen < MANY
    assert (
        tab.frame.inner_text(".seen")
        == f"{seen} of {MANY} images are seen at once, as small as tiles can be; the others stand below."
    )


def test_all_at_a_glance_is_offered_where_it_changes_something(page):
    tab = page.resize(1440, 900).follow(link("few"))
    tab.painted()
    assert tab.frame.is_visible("select[aria-label='order of images']")
    assert not tab.frame.is_visible("text=all at a glance")
    tab.follow(link("few", tab="film")).painted()
    assert not tab.frame.is_visible("text=all at a glance")
    tab.follow(link("many")).painted()
    assert tab.frame.is_visible("text=all at a glance")
    tab.follow(link("many", glance="true")).painted()
    assert tab.frame.is_visible("text=all at a glance")  # to leave it again


@pytest.mark.parametrize(("width", "height"), [(2560, 1300), (1440, 900)])
def test_all_sixty_four_are_seen_at_a_glance(page, width, height):
    tab = page.resize(width, height).follow(link("many"))
    tab.painted()
    tab.frame.click("role=button[name='all at a glance']")
    assert order(tab) == list(range(1, MANY + 1))
    assert tab.frame.eval_on_selector("main", "each => each.scrollHeight <= each.clientHeight + 1")
    assert sum("✗" in each for each in tab.texts(".picture + figcaption .name")) == 2
    assert tab.frame.query_selector(".pager") is None


def test_on_a_narrow_window_nothing_is_cut_off_and_the_page_scrolls(browser, images):
    with Tab(browser, images, link("few"), width=390, height=844) as tab:
        tab.painted()
        assert tab.frame.eval_on_selector("html", "each => each.scrollWidth <= each.clientWidth")
        tab.frame.click(".more")
        for selector in (".play", "select.scalar", ".picture canvas", ".run strong"):
            box = tab.frame.eval_on_selector(
                selector, "each => { const { left, right } = each.getBoundingClientRect(); return [left, right]; }"
            )
            assert box[0] >= 0
            assert box[1] <= 390
        tab.press("2")
        tab.painted()
        assert tab.frame.eval_on_selector("html", "each => each.scrollWidth <= each.clientWidth")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("given", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("class", [1, 3, 5, 7, 2, 4, 6, 8]),
        ("wrong", [3, 8, 1, 2, 4, 5, 6, 7]),
        ("changed", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("unsure", [2, 4, 6, 3, 8, 1, 7, 5]),
        ("off", [3, 6, 2, 4, 1, 8, 5, 7]),
    ],
)
def test_images_stand_in_the_order_that_is_asked_for(asked, expected, page):
    tab = page.follow(link("few"))
    tab.frame.select_option("select[aria-label='order of images']", asked)
    assert order(tab) == expected
    tab.press("Home")
    assert order(tab) == expected  # of the newest look: nothing moves while the film plays
    tab.until("order => order === 'given' || parent.location.hash.includes(`order=${order}`)", asked)


def test_images_are_chosen_by_class_and_by_right_and_wrong(page):
    tab = page.follow(link("few"))
    for asked, expected in (
        ("wrong", [3, 8]),
        ("right", [1, 2, 4, 5, 6, 7]),
        ("class:mammal", [2, 4, 6, 8]),
        ("", [*range(1, 9)]),
    ):
        tab.frame.select_option("select[aria-label='which images']", asked)
        assert order(tab) == expected
    tab.frame.select_option("select[aria-label='which images']", "wrong")
    tab.press("2")
    tab.painted()
    assert len(tab.frame.query_selector_all(".film .row")) == 2
    title = "At the newest look of the runs shown, whatever moment is shown"
    assert tab.frame.get_attribute("select[aria-label='which images']", "title") == title
    assert (
        tab.frame.eval_on_selector("select[aria-label='which images'] [value=wrong]", "each => each.text")
        == "wrong (newest look)"
    )
    tab = page.follow(link("few", only="class:nothing"))
    assert tab.frame.inner_text(".empty") == "No image is like that: choose others above."


def test_the_film_numbers_its_images_as_the_other_pages_do(page):
    tab = page.resize(1440, 900).follow(link("few", tab="film", order="wrong"))
    tab.painted()
    assert tab.texts(".film .left .badge") == [f"{at} · {('mammal', 'bird')[at % 2]}" for at in (3, 8, 1, 2, 4, 5, 6, 7)]


def test_on_a_telephone_two_runs_stand_side_by_side_with_their_photo_on_the_first_screen(browser, server):
    with Tab(browser, server, link("alpha,beta"), width=390, height=844) as tab:
        tab.painted()
        boxes = [each.bounding_box() for each in tab.frame.query_selector_all("figure canvas")]
        rows = [boxes[at::4] for at in range(4)]  # of four images the photo and both maps
        assert all(len({round(box["y"]) for box in row}) == 1 for row in rows)
        assert all([box["x"] for box in row] == sorted({box["x"] for box in row}) for row in rows)
        footer = tab.frame.query_selector("footer").bounding_box()
        assert rows[1][0]["y"] + rows[1][0]["height"] < footer["y"]  # two images of both runs are seen at once
        assert tab.frame.is_visible(".legend")
        assert not tab.frame.is_visible("text=shape only")
        tab.frame.click(".unfold")
        tab.frame.click("text=shape only")
        tab.frame.focus(".picture canvas >> nth=0")
        tab.press("ArrowRight")
        focused = "() => document.activeElement.getAttribute('aria-label').split(',').slice(0, 2).join()"
        assert tab.frame.evaluate(focused) == "image 1, run beta"


@pytest.mark.parametrize("runs", ["five", "five,few"])
def test_a_film_of_few_looks_uses_the_width_and_two_rows_of_it_are_seen(page, runs):
    tab = page.resize(1440, 900).follow(link(runs, tab="film"))
    tab.painted()
    stage = tab.frame.query_selector("main").bounding_box()
    strips = [each.bounding_box() for each in tab.frame.query_selector_all(".film .row > canvas")]
    assert strips[0]["width"] > 0.8 * stage["width"]
    assert strips[1]["y"] + strips[1]["height"] <= stage["y"] + stage["height"]
    tab.resize(700, 1200)
    tab.until("() => document.querySelector('.film .row > canvas').clientWidth > 0.8 * (innerWidth - 120)")


def test_paper_has_all_images_and_no_page_of_them(page):
    tab = page.resize(760, 1000).follow(link("many"))
    tab.painted()
    assert tab.frame.query_selector(".pager")
    tab.page.emulate_media(media="print")
    try:
        tab.until("count => document.querySelectorAll('.picture canvas').length === count", MANY)
        assert tab.frame.query_selector(".pager") is None
        tab.until("() => [...document.querySelectorAll('.picture canvas')].every(each => each.dataset.state === 'shown')")
        assert tab.frame.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        named = tab.frame.eval_on_selector_all(".run strong", "all => all.map(each => each.checkVisibility())")
        assert len(named) == len(tab.frame.query_selector_all(".grid")) > 1  # each block of images says whose they are
        assert all(named)
        tab.page.emulate_media(media="null")
        tab.frame.wait_for_selector(".pager")
        assert tab.page.pdf().count(b"/Subtype /Image") > 2 * MANY  # what a browser prints is drawn before it is asked
    finally:
        tab.page.emulate_media(media="null")
    tab.frame.wait_for_selector(".pager")
