"""Which runs are shown, in a real browser: found, told apart, grouped by their photos, one line for each alert."""

from __future__ import annotations

import re
from dataclasses import replace as replaced

import numpy as np
import pytest
from tab_page import HostedTab, Tab
from tab_runs import film_of, frame_of, inputs_of, write_run
from tab_server import tensorboard, wait_for_looks

pytest_plugins = ("tab_fixtures",)
MANY = 50


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Fifty runs of two looks; each third one's alert has gone on, each sixth one's is gone again."""
    root = tmp_path_factory.mktemp("many")
    for at in range(MANY):
        alerts = (1.0 if at % 3 == 0 else 0.0, 0.0 if at % 6 == 0 else 1.0 if at % 3 == 0 else 0.0)
        frames = [frame_of(10 * step, count=2, seed=at, alert=alerts[step]) for step in range(2)]
        write_run(root / f"resnet_wd{at}", frames, inputs_of(2), scalars=False)
    with tensorboard(root) as address:
        for at in range(MANY):
            wait_for_looks(address, f"resnet_wd{at}", 2)
        yield address


@pytest.fixture(scope="module")
def page(browser, many):
    with Tab(browser, many) as tab:
        yield tab


def link(runs, **more):
    return "".join(f"&p.lightning_vis.{name}={value}" for name, value in {"runs": ",".join(runs), **more}.items())


def names(tab):
    return tab.frame.eval_on_selector_all(".grid.first .run strong", "all => all.map(each => each.title)")


def test_runs_stand_in_the_order_in_which_people_count(page):
    tab = page.follow()
    assert names(tab) == [f"resnet_wd{at}" for at in range(4)]
    tab.frame.click(".runs summary")
    assert [each.strip() for each in tab.texts(".runs label span:last-child")] == [f"resnet_wd{at}" for at in range(MANY)]


def test_a_search_finds_by_words_and_by_patterns_and_shows_what_it_found(page):
    tab = page.follow()
    tab.frame.click(".runs summary")
    for search, found in (("wd4[0-2]$", (40, 41, 42)), ("WD7", (7,)), ("wd(", ()), ("wd1$|wd2$", (1, 2))):
        tab.frame.fill(".runs input[type=search]", search)
        assert tab.frame.eval_on_selector_all(".runs label input", "all => all.map(each => each.value)") == [
            f"resnet_wd{at}" for at in found
        ]
    tab.frame.click("role=button[name='show these']")
    tab.painted()
    assert names(tab) == ["resnet_wd1", "resnet_wd2"]
    tab.frame.fill(".runs input[type=search]", "")
    tab.frame.click("role=button[name='show resnet_wd33 only']")
    tab.until("() => document.querySelectorAll('.run strong').length === 1")
    assert names(tab) == ["resnet_wd33"]


def test_what_is_not_shown_is_one_press_away(page):
    tab = page.follow()
    tab.painted()
    assert len(tab.frame.query_selector_all(".others button")) == MANY - 4
    tab.frame.click(".others button[title='show resnet_wd49 too']")
    tab.until("() => document.querySelectorAll('.run strong').length === 5")
    tab.painted()
    assert names(tab)[-1] == "resnet_wd49"


def test_fifty_runs_at_once_are_painted_and_told_apart(page):
    tab = page.follow(link([f"resnet_wd{at}" for at in range(MANY)]))
    tab.painted()
    assert len(names(tab)) == MANY
    assert tab.frame.eval_on_selector_all(".picture canvas", "all => all.every(each => each.dataset.state === 'shown')")
    marks = tab.frame.eval_on_selector_all(
        ".runs .mark", "all => all.map(each => each.style.background + ' ' + each.textContent)"
    )
    assert len(set(marks)) == MANY
    assert len({each.split(" ")[0] for each in marks}) == 8
    summary = tab.frame.inner_text(".alerts summary")
    assert summary == "⚑ background: 8 of 50 runs now, 9 before"
    bar = tab.frame.query_selector("footer .bar").bounding_box()
    assert bar["height"] < 50
    tab.frame.hover("canvas.chart")
    said = tab.frame.inner_text(".pointed").split("\n")
    assert len(said) == 14  # the moment, twelve runs, and how many more
    assert re.fullmatch(r"and \d+ more", said[-1])
    tab.frame.click(".alerts summary")
    flags = tab.texts(".flag")
    assert [", still at" in each for each in flags] == [True] * 8 + [False] * 9  # the worst first
    assert "⚑ resnet_wd3: background, from start, still at epoch 1" in flags
    assert "⚑ resnet_wd6: background, from start, gone since epoch 1" in flags


def test_a_colour_stays_with_its_run_when_others_come(browser, tmp_path):
    for name in ("m", "z"):
        write_run(tmp_path / name, film_of(2), inputs_of())
    colours = "all => Object.fromEntries(all.map(each => [each.querySelector('strong').title, each.style.borderColor]))"
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "z", 2)
        with Tab(browser, address) as tab:
            before = tab.frame.eval_on_selector_all(".run", colours)
            for name in ("a", "b", "n"):
                write_run(tmp_path / name, film_of(2), inputs_of())
            for reload in (False, True):
                for name in ("a", "b", "n"):
                    wait_for_looks(address, name, 2)
                if reload:
                    tab.page.reload()
                    tab.wait()
                tab.until(
                    "() => document.querySelectorAll('.run strong').length + document.querySelectorAll('.others button').length === 5"
                )
                after = tab.frame.eval_on_selector_all(".run", colours)
                assert {name: after[name] for name in before if name in after} == {
                    n: c for n, c in before.items() if n in after
                }
                assert len(set(after.values())) == len(after)


def test_runs_that_had_one_colour_in_two_folders_get_a_second_sign_when_they_meet(browser, server):
    """The browser keeps marks for all folders that a TensorBoard at one address has ever shown."""
    folders = (["alpha"], ["beta"], ["alpha", "beta", "gamma"], ["gamma", "beta", "alpha"])
    found, folder = [], []

    def listed(route):
        content = route.fetch().json()
        by_name = {each["run"]: each for each in content["runs"]}
        route.fulfill(json=content | {"runs": [by_name[name] for name in folder]})

    with Tab(browser, server, polls=False) as tab:
        tab.frame.evaluate(
            "() => localStorage.setItem('lightning_vis.marks', JSON.stringify([['alpha', [3, 0]], ['beta', [3, 0]]]))"
        )
        tab.context.route(re.compile("lightning_vis/runs"), listed)
        for each in folders:
            folder[:] = each
            tab.page.reload()
            tab.wait()
            found.append(
                tab.frame.eval_on_selector_all(
                    ".list label",
                    "all => Object.fromEntries(all.map(each => [each.textContent.replace(/^\\d/, ''),"
                    " each.querySelector('.mark').style.background + each.querySelector('.mark').textContent]))",
                )
            )
        assert found[0] == {"alpha": "var(--run-3)"}
        assert found[1] == {"beta": "var(--run-3)"}
        assert (found[2]["alpha"], found[2]["beta"]) == ("var(--run-3)", "var(--run-3)2")
        assert not found[2]["gamma"].startswith("var(--run-3)")
        assert found[3] == found[2]  # and keep it


def test_runs_of_the_same_photos_share_their_row_and_others_bring_their_own(browser, tmp_path):
    same, other, fewer = inputs_of(), inputs_of(), inputs_of(3)
    other = replaced(other, pictures=255 - other.pictures)
    unlike = replaced(inputs_of(), labels=np.array([1, 1, 1, 1]))
    probes = {"a1": same, "a2": same, "b": other, "c": fewer, "d": unlike}
    for name, inputs in probes.items():
        write_run(tmp_path / name, film_of(3, count=len(inputs.pictures)), inputs)
    with tensorboard(tmp_path) as address:
        for name in probes:
            wait_for_looks(address, name, 3)
        with Tab(browser, address, link(probes)) as tab:
            tab.painted()
            photos = [tab.pixels(".photo canvas", at)[20, 20].astype(int) for at in range(4 + 4 + 3 + 4)]
            expected = [each for inputs in (same, other, fewer, unlike) for each in inputs.pictures[:, 16, 16].astype(int)]
            assert np.abs(np.array(photos) - np.array(expected)).max() <= 3
            truth = tab.texts(".photo + figcaption .name")
            assert truth == ["bird", "mammal"] * 4 + ["bird", "mammal", "bird"] + ["mammal"] * 4
            assert names(tab) == list(probes)
            tab.frame.click(".photo canvas >> nth=0")
            assert tab.frame.inner_text(".one").startswith("line of image 1, bird (a1 and 3 more), mammal (d) ✕")
            assert tab.frame.get_attribute(".one", "title").startswith(
                "The chart's lines are of image 1, bird (a1 and 3 more), mammal (d) alone, the pale ones of all images."
            )
            tab.press("Escape")
            tab.frame.select_option("select[aria-label='compare with']", "run:a1")
            tab.painted()
            assert [each for each in tab.texts(".run strong") if "minus" in each] == ["a2 minus a1"]
            why = "only runs that look at the same photos, with the same labels, are subtracted."
            assert f"No difference to a1 of b, c, d: {why}" in tab.texts(".compare .note")
            tab.frame.select_option("select[aria-label='compare with']", "run:b")
            tab.painted()
            notes = tab.texts(".compare .note")
            assert f"No difference to b of a1, a2, c, d: {why}" in notes
            assert not any(each.startswith("Rows of one minus another") for each in notes)
            tab.frame.select_option("select[aria-label='compare with']", "")
            tab.press("2")
            tab.painted()
            assert len(tab.frame.query_selector_all(".film .row.first")) == 15
            assert len(tab.frame.query_selector_all(".film .row")) == 19


def test_labels_of_the_chart_leave_out_what_all_names_share(page):
    script = "async (names) => { const { shortNames } = await import('./static/runs/marks.js'); return [...shortNames(names).values()]; }"
    tab = page.follow()
    short = tab.frame.evaluate(script, ["net_wd1_seg", "net_wd11_seg", "net_wd3_seg"])
    assert short == ["wd1", "wd11", "wd3"]
    settings = ["exp7_net_lr0.1_wd0.01_augment-off", "exp7_net_lr0.01_wd0.001_augment-on"]
    assert tab.frame.evaluate(script, settings) == ["lr0.1_wd0.01_off", "lr0.01_wd0.001_on"]
    assert tab.frame.evaluate(script, ["long_net_wd1", "long_wd1"]) == ["…net_wd1", "…wd1"]
    assert tab.frame.evaluate(script, ["alpha", "beta"]) == ["alpha", "beta"]
    assert len(set(tab.frame.evaluate(script, ["a_b", "a_b_c", "a", "b"]))) == 4


def test_runs_that_tensorboard_s_own_filter_finds_are_shown_until_others_are_chosen(browser, server):
    with HostedTab(browser, server, query="?runFilter=alpha%7Cgamma") as tab:
        tab.painted()
        assert names(tab) == ["alpha", "gamma"]
        tab.frame.click(".others button[title='show beta too']")
        tab.until("() => document.querySelectorAll('.run strong').length === 3")
        tab.page.reload()
        tab.wait()
        tab.painted()
        assert names(tab) == ["alpha", "beta", "gamma"]


def test_looks_stand_on_the_photos_they_were_taken_of(browser, tmp_path):
    """A fit goes on in the same folder with other photos of the same probe, while the page is open."""
    first = inputs_of()
    others = replaced(first, pictures=255 - first.pictures, class_names=("cat", "dog"))
    write_run(tmp_path / "run", film_of(3), first)
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 3)
        with Tab(browser, address) as tab:
            tab.painted()
            write_run(tmp_path / "run", [frame_of(10 * at) for at in range(3, 6)], others)
            tab.until_when("epoch 5")
            for probe, inputs, when in (("probe, steps 0 to 20", first, "epoch 2"), ("probe", others, "epoch 5")):
                tab.frame.select_option("select[aria-label=probe]", probe)
                tab.painted()
                assert tab.texts(".run .facts > div:first-child") == [when]
                assert tab.texts(".photo + figcaption .name") == [*inputs.class_names] * 2
                photos = [tab.pixels(".photo canvas", at)[20, 20].astype(int) for at in range(4)]
                assert np.abs(np.array(photos) - inputs.pictures[:, 16, 16]).max() <= 3
