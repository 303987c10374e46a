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
    write_run(root / "many", film_of(3, count=MANY, wrong=(5, 40)), inputs_of(MANY))
    probability = np.array([0.9, 0.5, 0.8, 0.6, 0.99, 0.7, 0.95, 0.85], np.float32)
    lift = {"attribution/evidence/lift": np.array([2.0, 1.0, 0.2, 1.5, 3.0, 0.5, 4.0, 2.5])}
    shown = {"count": 8, "wrong": (2, 7)}
    turned = [
        frame_of(0, share=0.1, **(shown | {"wrong": (0, 2, 7)})),
        *(frame_of(10 * at, share=0.5, **shown) for at in (1, 2)),
    ]
    frames = [replaced(each, probability=probability, per_image=lift) for each in turned]
    write_run(root / "few", frames, inputs_of(8))
    with tensorboard(root) as address:
        wait_for_looks(address, "many", 3)
        wait_for_looks(address, "few", 3)
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
