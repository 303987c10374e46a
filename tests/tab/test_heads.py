"""Several heads of one network on the page: each view with the words, marks and numbers of its own head."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tab_page import Tab
from tab_runs import twin_pictures, write_run
from tab_server import tensorboard, wait_for_looks
from task_frames import COUNT, TASKS, film_for, heads_film, inputs_for

from lightning_vis.export import export_html
from tests.tab.test_tasks import crosses, link, read

pytest_plugins = ("tab_fixtures",)
AGE = TASKS["regression"]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    root = tmp_path_factory.mktemp("heads")
    twins = {"twins": twin_pictures(COUNT), "kinds": ("leaves", "stones")}
    effects = {"reliance/background_effect": 0.42, "reliance/object_effect": 0.1}
    frames = [replace(each, numbers=each.numbers | effects) for each in heads_film("multiclass", "regression")]
    write_run(root / "both", frames, replace(inputs_for("multiclass"), **twins))
    write_run(root / "other", heads_film("regression", "multiclass"), inputs_for("regression"))
    write_run(root / "single", film_for("multiclass"), inputs_for("multiclass"))
    return root


@pytest.fixture(scope="module")
def address(logdir):
    with tensorboard(logdir) as address:
        for name in ("both", "other", "single"):
            wait_for_looks(address, name, 4)
        yield address


def test_each_view_has_the_words_of_its_head(browser, address):
    with Tab(browser, address, link("both", view="evidence")) as tab:
        first = read(tab)
        assert first["truth"] == ["bird", "mammal", "bird", "mammal"]
        assert first["captions"] == ["bird", "mammal", "bird", "✗ bird"]
        assert "Reads two classes, kind." in first["reading"]
        assert any("background effect 42 %" in each for each in first["facts"])
    with Tab(browser, address, link("both", view="evidence@age")) as tab:
        other = read(tab)
        assert other["truth"] == list(AGE.truth)
        assert other["captions"] == list(AGE.last)
        assert not any("p 0" in each or "bird" in each or "background" in each for part in other.values() for each in part)
        assert AGE.answer in other["reading"]
        assert "in years: warm raises the number" in other["reading"]
        assert any("mean absolute error (years) 2.5" in each for each in other["facts"])
        assert tab.frame.query_selector_all(".picture .cross:not([hidden])") == []
        tab.press("2")
        tab.painted()
        assert crosses(tab) == [[False] * 4] * COUNT
        tab.press("4")  # twins are the first head's
        tab.painted()
        assert "moves the answer by 42 points" in tab.frame.inner_text("main")


def test_a_head_of_classes_behind_one_of_numbers_has_its_own_marks(browser, address):
    with Tab(browser, address, link("other", view="evidence@age")) as tab:
        said = read(tab)
        assert said["truth"] == ["bird", "mammal", "bird", "mammal"]
        assert said["captions"] == ["bird 0.90", "mammal 0.80", "bird 0.93", "✗ bird 0.61"]
        tab.press("2")
        tab.painted()
        assert crosses(tab) == [[False] * 4, [False] * 4, [False] * 4, [True] * 4]
    with Tab(browser, address, link("other", view="evidence")) as tab:
        assert read(tab)["captions"] == list(AGE.last)


def test_views_are_chosen_by_names_that_say_the_head(browser, address):
    with Tab(browser, address, link("both")) as tab:
        tab.painted()
        shown = tab.frame.eval_on_selector_all("[role=radio]", "all => all.map(each => each.textContent)")
        assert {"Evidence (kind)", "Evidence (age)", "Grad-CAM (age)"} <= {each.strip() for each in shown}
    with Tab(browser, address, link("single")) as tab:
        tab.painted()
        shown = tab.frame.eval_on_selector_all("[role=radio]", "all => all.map(each => each.textContent)")
        assert "Evidence" in {each.strip() for each in shown}


def test_beside_a_run_that_has_no_such_head_the_view_stays_true(browser, address):
    with Tab(browser, address, "&p.lightning_vis.runs=both,single&p.lightning_vis.view=evidence@age") as tab:
        tab.painted()
        said = tab.texts("figcaption .name")
        assert list(AGE.last) == said[COUNT : 2 * COUNT]


def test_the_exported_page_says_the_same(browser, logdir, tmp_path):
    export_html(logdir, tmp_path / "all.html")
    page = browser.new_page()
    page.goto(f"{(tmp_path / 'all.html').as_uri()}#p.lightning_vis.runs=both&p.lightning_vis.view=evidence@age")
    page.wait_for_selector("figcaption .name")
    page.wait_for_function("document.querySelector('main').innerText.includes('38.2')")
    said = page.inner_text("main")
    page.close()
    assert AGE.last[0] in said
    assert "bird" not in said
