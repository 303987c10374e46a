"""The page of each task in a real browser: its words, and nothing that it does not know."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from tab_page import Tab
from tab_runs import twin_pictures, write_run
from tab_server import tensorboard, wait_for_looks
from task_frames import COUNT, ERRORS, NUMBERS, PLAIN, TASKS, film_for, frame_for, inputs_for, with_predicted

from lightning_vis.export import export_html

pytest_plugins = ("tab_fixtures",)
OTHERS = [name for name in TASKS if name != PLAIN]
HOSTILE = "<img src=x onerror=window.top.hacked=1>, dog “0.31” & 猫"
CROSS = (255, 138, 76)
COUNTED = """(rows, colour) => rows.map(row => [0, 1, 2, 3].map(column => {
    const { data } = row.getContext("2d").getImageData(column * row.width / 4, 0, row.width / 4, 20);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) count += colour.every((each, channel) => Math.abs(data[at + channel] - each) < 25);
    return count;
}))"""
"""How many pixels at the top of each of four tiles have a colour."""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """A run of four looks for each task, the one of segmentation with pictures of what it predicts."""
    root = tmp_path_factory.mktemp("tasks")
    for name in TASKS:
        inputs = inputs_for(name)
        frames = film_for(name)
        write_run(root / name, [with_predicted(each, inputs) for each in frames] if name == "segmentation" else frames, inputs)
    hostile = [replace(frame_for("multilabel"), said=(HOSTILE,) * COUNT, answer=HOSTILE)]
    write_run(root / "zhostile", hostile, replace(inputs_for("multilabel"), truth=(HOSTILE,) * COUNT))
    return root


@pytest.fixture(scope="module")
def address(tasks):
    with tensorboard(tasks) as address:
        for name in (*TASKS, "zhostile"):
            wait_for_looks(address, name, 4 if name in TASKS else 1)
        yield address


@pytest.fixture(scope="module")
def page(browser, address):
    """One page for all tests that leave nothing behind but what a link replaces."""
    with Tab(browser, address, link(PLAIN)) as tab:
        yield tab


def link(name, **more):
    return "".join(f"&p.lightning_vis.{key}={value}" for key, value in {"runs": name, **more}.items())


def read(tab):
    """What Compare says: true words, captions and shares below the tiles, the run's facts, how the colours are read."""
    tab.painted()
    names = tab.texts("figcaption .name")
    return {
        "truth": names[:COUNT],
        "captions": names[COUNT:],
        "shares": tab.texts("figcaption .number"),
        "facts": tab.frame.eval_on_selector_all(".facts > div", "all => all.map(each => each.textContent)"),
        "reading": tab.texts("p.caption")[0],
        "spoken": tab.frame.eval_on_selector_all(".picture canvas", "all => all.map(each => each.getAttribute('aria-label'))"),
        "charts": tab.frame.eval_on_selector_all("select.scalar option", "all => all.map(each => each.textContent)"),
    }


def crosses(tab):
    """Where the film's rows have the colour of a cross, by row and column."""
    counts = tab.frame.eval_on_selector_all(".film .row > canvas", COUNTED, list(CROSS))
    return [[count > 15 for count in row] for row in counts]


@pytest.mark.parametrize("name", OTHERS)
def test_compare_has_the_words_of_the_task_and_nothing_else(page, name):
    frame, inputs, task = frame_for(name), inputs_for(name), TASKS[name]
    tab = page.follow(link(name))
    found = read(tab)
    tab.press("Home")
    assert [said.removeprefix("✗ ") for said in read(tab)["captions"]] == list(task.first)  # of the picture above it
    wrong = [frame.is_wrong(index, inputs) is True for index in range(COUNT)]
    assert found["captions"] == [f"{'✗ ' * each}{said}" for each, said in zip(wrong, frame.said, strict=True)]
    assert found["truth"] == [inputs.truth_of(index) for index in range(COUNT)]
    assert found["shares"] == [""] * COUNT
    right, known = frame.count_right(inputs)
    assert [each for each in found["facts"] if "right" in each] == ([f"{right} of {known} right"] if known else [])
    assert found["reading"].count(task.answer) == 1
    assert [said.endswith(", wrong") for said in found["spoken"]] == wrong
    assert ("right answers on the probe" in found["charts"]) == (known > 0)
    assert len(set(found["charts"])) == len(found["charts"])


@pytest.mark.parametrize("name", NUMBERS)
def test_where_nothing_is_right_or_wrong_there_is_no_p_no_class_and_no_cross(page, name):
    tab = page.follow(link(name))
    found = read(tab)
    all_of_it = tab.frame.inner_text("main") + tab.frame.inner_text("header") + " ".join(found["spoken"])
    tab.press("2")
    tab.painted()
    assert not any(map(any, crosses(tab)))
    assert not re.search(r"✗|\bp \d|\bclass\b|wrong|\bright\b|bird|mammal|\blabel\b|predicted", all_of_it)
    assert "probability of the predicted class" not in found["charts"]


@pytest.mark.parametrize("name", [name for name in TASKS if name not in NUMBERS])
def test_the_film_crosses_what_is_wrong_at_each_look(page, name):
    frames, inputs = film_for(name), inputs_for(name)
    tab = page.follow(link(name, tab="film"))
    tab.painted()
    assert crosses(tab) == [[frame.is_wrong(row, inputs) is True for frame in frames] for row in range(COUNT)]


@pytest.mark.parametrize(
    ("name", "reading"),
    [
        ("multiclass", "Evidence in log-odds: warm speaks for the label, blue against it."),
        ("binary", "Evidence in log-odds: warm speaks for yes, blue against it."),
        ("multilabel", "Evidence in log-odds: warm speaks for what is true, blue against it."),
        ("regression", "Evidence in years: warm raises the number, blue lowers it."),
        ("embedding", "Evidence in cosine: warm raises what is explained, blue lowers it."),
        ("reconstruction", "The error of the picture, in squared error: the output itself, not what it rests on."),
        ("unknown", "Evidence: warm raises the score, blue lowers it."),
    ],
)
def test_colours_are_read_in_their_unit(page, name, reading):
    tab = page.follow(link(name))
    assert read(tab)["reading"] == f"{reading} {TASKS[name].answer}".strip()


@pytest.mark.parametrize(
    ("name", "fact", "chart"),
    [
        ("regression", "mean absolute error (years) 2.52", "mean absolute error (years)"),
        ("ordinal", "mean distance from the truth 0.25", "mean distance from the truth"),
        ("segmentation", "mean IoU 0.575", "mean IoU"),
        ("reconstruction", "mean squared error 0.046", "mean squared error"),
    ],
)
def test_how_far_answers_are_off_stands_beside_the_run_and_on_the_chart(page, name, fact, chart):
    tab = page.follow(link(name))
    found = read(tab)
    shown = tab.frame.eval_on_selector("select.scalar", "each => each.selectedOptions[0].textContent")
    assert fact in found["facts"]
    assert shown == chart


def test_an_error_is_a_bar_from_the_line_in_the_middle(page):
    tab = page.follow(link("regression"))
    tab.painted()
    bars = tab.frame.eval_on_selector_all(
        ".spread:not([hidden]) i", "all => all.map(each => [parseFloat(each.style.left), parseFloat(each.style.width)])"
    )
    shares = [(min(max(error, -2), 2) / 2 + 1) / 2 for error in ERRORS.tolist()]
    assert bars == pytest.approx(np.array([[100 * min(at, 0.5), 100 * abs(at - 0.5)] for at in shares]), abs=0.01)
    said = tab.frame.get_attribute(".spread >> nth=0", "aria-label")
    assert said == "error −0.19 spreads of the targets"  # noqa: RUF001
    tab.press("2")
    tab.painted()
    row = tab.pixels(".film .row > canvas", 2).astype(int)
    pitch = row.shape[1] // 4
    inked = np.abs(row[-5, :pitch] - (236, 236, 236)).max(axis=1) < 12
    assert inked[: pitch // 2 - 8].mean() > 0.9
    assert inked[pitch // 2 + 4 :].sum() == 0
    tab = page.follow(link("unknown"))
    tab.painted()
    assert tab.frame.query_selector(".spread:not([hidden])") is None


def test_one_image_s_own_line_is_named_by_its_truth_and_may_be_its_error(page):
    tab = page.follow(link("regression", image=2, scalar="answers/error"))
    tab.painted()
    assert tab.frame.inner_text("button.one") == "line of image 3, 67.0 years ✕"
    assert tab.frame.input_value("select.scalar") == "answers/error"


def test_other_labels_are_named_in_the_film_without_numbers_of_classes(page):
    tab = page.follow(link("multilabel", tab="film"))
    tab.painted()
    rows = [tab.pixels(".film .row > canvas", at).astype(int)[-16:] for at in range(COUNT)]
    pitch = rows[0].shape[1] // 4
    named = [[bool((row[-14:, at * pitch : at * pitch + 20].max(axis=2) < 70).any()) for at in range(4)] for row in rows]
    first, last = TASKS["multilabel"].explains, TASKS["multilabel"].explains_last
    assert named == [[True, was != now, False, False] for was, now in zip(first, last, strict=True)]


@pytest.mark.parametrize(
    ("name", "changed", "orders"),
    [
        ("multiclass", [1, 2, 3, 4], ["given", "class", "changed", "wrong", "unsure"]),
        ("binary", [1, 4, 2, 3], ["given", "class", "changed", "wrong", "unsure"]),
        ("multilabel", [1, 2, 4, 3], ["given", "class", "changed", "wrong"]),
        ("ordinal", [1, 3, 4, 2], ["given", "class", "changed", "wrong"]),
        ("regression", [3, 2, 1, 4], ["given", "changed"]),
        ("reconstruction", [1, 3, 2, 4], ["given", "changed"]),
        ("unknown", [4, 1, 2, 3], ["given", "changed"]),
    ],
)
def test_images_are_put_in_the_orders_that_the_task_knows(page, name, changed, orders):
    tab = page.follow(link(name, order="changed"))
    tab.painted()
    assert [int(each) for each in tab.texts(".picture + figcaption .nth")] == changed
    values = "all => all.map(each => each.value)"
    assert tab.frame.eval_on_selector_all("select[aria-label='order of images'] option", values) == orders
    judged = {"wrong", "right"} & set(tab.frame.eval_on_selector_all("select[aria-label='which images'] option", values))
    assert judged == ({"wrong", "right"} if "wrong" in orders else set())
    tab = page.follow(link(name, order="off", only="right"))
    tab.painted()
    assert tab.frame.input_value("select[aria-label='order of images']") == "given"  # nothing is known of objects
    last = TASKS[name].wrong_last if name != PLAIN else (False, False, False, True)
    right = [at + 1 for at in range(COUNT) if last[at] is False] if "wrong" in orders else [1, 2, 3, 4]
    assert [int(each) for each in tab.texts(".picture + figcaption .nth")] == right


def test_a_difference_says_where_its_maps_explain_different_things(page):
    tab = page.follow(link("multilabel", steps=30, against="moment", other=0))
    tab.painted()
    apart = ["", "what explains cat minus what explains dog", "", "what explains bicycle minus what explains tree"]
    tiles = tab.frame.query_selector_all(".picture canvas")[2 * COUNT :]
    ends = [each.get_attribute("aria-label").rpartition(", what ")[2] for each in tiles]
    assert [f"what {end}" if end.startswith("explains") else "" for end in ends] == apart
    assert [each for each in tab.texts(".measures span:not([hidden])") if " minus " in each] == [
        "cat minus dog",
        "bicycle minus tree",
    ]
    tab.frame.click(f".picture canvas >> nth={2 * COUNT + 1}")
    captions = tab.texts(".cell figcaption")
    assert captions[-1].endswith(f" · {apart[1]}")
    tab.press("Escape")


def test_what_is_predicted_is_looked_through_as_a_view(page):
    tab = page.follow(link("segmentation"))
    tab.click("predicted")
    tab.painted()
    assert tab.frame.query_selector(".bar.second:not([hidden])") is None
    red = np.abs(tab.pixels(".picture canvas", 1).astype(int) - (200, 30, 30)).max(axis=2) < 30
    assert 0.2 < red.mean() < 0.3
    assert tab.texts("figcaption .name")[COUNT:][0] == "class 3, IoU 0.71"
    tab.press("2")
    tab.painted()
    assert tab.frame.query_selector(".film .row")
    tab.press("v")
    tab.painted()
    assert tab.frame.query_selector("[role=radio][aria-checked=true] >> text=Evidence")
    tab = page.follow(link("multilabel"))
    assert tab.frame.query_selector("role=radio[name='predicted']") is None


def test_a_unit_below_one_keeps_its_scale_at_every_gain(page):
    for gain in (-3, 1, 2):
        tab = page.follow(link("reconstruction", gain=gain))
        tab.painted()
        assert tab.frame.inner_text("output") == f"to {float(f'{2.0**-gain:.2g}'):g}"
        assert "NaN" not in tab.frame.inner_html(".ticks")


def test_words_are_text_whatever_they_contain_and_long_ones_stay_below_their_tile(browser, address, page):
    tab = page.follow(link("zhostile"))
    found = read(tab)
    assert found["captions"][1] == HOSTILE
    assert HOSTILE in found["reading"]
    for key in "214":
        tab.press(key)
    assert tab.frame.query_selector("img, script:not([type=module])") is None
    assert tab.page.evaluate("() => window.hacked") is None
    with Tab(browser, address, link("multilabel"), width=1000) as tab:
        tab.painted()
        boxes = [each.bounding_box() for each in tab.frame.query_selector_all(".name.words")]
        tiles = [each.bounding_box() for each in tab.frame.query_selector_all(".picture canvas")]
        assert all(box["width"] <= tile["width"] + 1 for box, tile in zip(boxes, tiles, strict=True))
        assert max(box["height"] for box in boxes) < 45
        assert tab.frame.get_attribute(".name.words >> nth=3", "title").startswith(TASKS["multilabel"].last[3])


def test_runs_of_different_tasks_each_have_their_own_reading(page):
    tab = page.follow(link("multiclass,regression,unknown"))
    said = read(tab)["reading"]
    assert "multiclass: Evidence in log-odds: warm speaks for the label" in said
    assert "regression: Evidence in years" in said
    assert f"unknown: {TASKS['unknown'].answer}" in said


def test_a_run_of_an_unknown_task_without_maps_says_so(browser, tmp_path):
    frames = [replace(each, maps={}, said=(), answer="") for each in film_for("unknown", 2)]
    write_run(tmp_path / "run", frames, inputs_for("unknown"))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        with Tab(browser, address, "&p.lightning_vis.tab=compare") as tab:
            assert tab.frame.inner_text(".empty") == "What the output means is not known."


def test_numbers_on_twins_move_by_spreads_and_are_no_classes(browser, tmp_path):
    effects = {"reliance/background_effect": 0.42, "reliance/object_effect": 1.7}
    twins = {"twins": twin_pictures(COUNT), "kinds": ("leaves", "stones")}
    frames = [replace(each, numbers=each.numbers | effects) for each in film_for("regression", 2)]
    write_run(tmp_path / "run", frames, replace(inputs_for("regression"), **twins))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        with Tab(browser, address) as tab:
            assert "background effect 0.42 spreads" in read(tab)["facts"]
            tab.press("4")
            tab.painted()
            said = tab.frame.inner_text("main")
            chart = tab.frame.input_value("select.scalar")
    assert chart == "reliance/background_effect"
    assert "moves the answer by 0.42 spreads, swapping the object by 1.70 spreads" in said
    assert "41.0 years" in said
    assert not re.search("probability|class|✗", said)


@pytest.mark.parametrize(
    ("name", "moved", "below", "shown"),
    [
        (
            "segmentation",
            "moves the IoU of the object by 42 points, swapping the object by 90 points",
            "IoU of the object",
            "0.25",
        ),
        ("embedding", "moves the embedding by 0.42 in cosine, swapping the object by 0.90 in cosine", "", ""),
        ("reconstruction", "moves the error on the object by 0.42 in squared error.", "squared error on the object", "0.25"),
        ("ordinal", "moves the answer by 42 % of the scale, swapping the object by 90 % of the scale", "", ""),
    ],
)
def test_twins_of_each_task_move_in_its_words(browser, tmp_path, name, moved, below, shown):
    effects = {"reliance/background_effect": 0.42, "reliance/object_effect": 0.9}
    effects = dict(list(effects.items())[:1]) if name == "reconstruction" else effects
    on = {f"reliance/on/{kind}": np.full(COUNT, 0.25, np.float32) for kind in ("leaves", "stones")} if below else {}
    twins = {"twins": twin_pictures(COUNT), "kinds": ("leaves", "stones")}
    frames = [replace(each, numbers=each.numbers | effects, per_image={**each.per_image, **on}) for each in film_for(name, 2)]
    write_run(tmp_path / "run", frames, replace(inputs_for(name), **twins))
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        with Tab(browser, address) as tab:
            tab.press("4")
            tab.painted()
            said = tab.frame.inner_text("main")
    assert moved in said
    assert below in said
    assert said.count("0.25") == (2 * COUNT if shown else 0)
    assert not re.search("probability|✗|red frame", said)


def test_the_exported_page_says_the_same(browser, page, tasks, tmp_path):
    export_html(tasks, tmp_path / "all.html")
    for name in ("regression", "multilabel", "unknown"):
        served = read(page.follow(link(name)))
        context = browser.new_context(viewport={"width": 1440, "height": 836}, offline=True)
        exported = context.new_page()
        exported.goto(f"file://{tmp_path}/all.html#{link(name)[1:]}")
        tab = Tab.__new__(Tab)
        tab.frame = exported.main_frame
        assert read(tab) == served
        context.close()
