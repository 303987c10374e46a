"""What is on its way, silent or gone, in a real browser: it is said, takes nothing else along, and comes when it can be had."""

from __future__ import annotations

import re

import pytest
from tab_page import Tab

pytest_plugins = ("tab_fixtures",)
BETA, DATA, RUNS = re.compile(r"/data\?run=beta&"), re.compile(r"/data\?run="), re.compile(r"/runs\?")
BLOBS, SCALARS, SCALAR = re.compile(r"/blobs\?"), re.compile(r"/scalars\?"), re.compile(r"/scalar\?")
ROWS = "count => document.querySelectorAll('.run strong').length === count"
SHOWN = "count => document.querySelectorAll('.picture canvas[data-state=shown]').length === count"
SECONDS = 20


class Gate:
    """Holds requests until they are let through: a server that is silent, or far away."""

    def __init__(self, tab, way):
        self.tab, self.way, self.held = tab, way, []
        tab.context.route(way, lambda route: self.held.append(route))  # playwright marks what it calls

    def open(self):
        for route in self.held:
            route.continue_()
        self.tab.context.unroute(self.way)


def reloaded(tab):
    tab.page.reload()
    tab.frame = tab.find()


def test_what_has_come_is_shown_whatever_the_others_do(browser, server):
    with Tab(browser, server) as tab:
        gate = Gate(tab, BETA)
        reloaded(tab)
        tab.until(ROWS, 2)
        tab.painted()
        assert "loading beta …" in tab.frame.inner_text(".others")
        tab.frame.evaluate("() => { window.asked = 0; const own = window.fetch;"
                           " window.fetch = (way, ...more) => { window.asked += String(way).startsWith('runs'); return own(way, ...more); }; }")  # fmt: skip
        tab.until("() => window.asked > 0")  # the page asks on, and asks for the silent run once only
        assert len(gate.held) == 1
        gate.open()
        tab.until(ROWS, 3)
        assert "loading" not in tab.frame.inner_text(".others")


def test_while_runs_are_on_their_way_nothing_else_is_said_of_them(browser, server):
    with Tab(browser, server) as tab:
        gate = Gate(tab, DATA)
        reloaded(tab)
        tab.until("() => document.querySelector('.runs summary')?.textContent === '3 of 3 runs'")
        tab.resize(1300, 900)  # draws once more
        assert tab.frame.inner_text(".message") == "Loading frames …"
        gate.open()
        tab.until(ROWS, 3)
        assert tab.frame.is_hidden(".message")


def test_a_run_that_stays_silent_is_named_after_a_while_and_asked_for_again(browser, server):
    with Tab(browser, server) as tab:
        tab.context.clock.install()
        gate = Gate(tab, BETA)
        reloaded(tab)
        tab.until(ROWS, 2)
        tab.context.clock.fast_forward(1000 * SECONDS)
        tab.until("() => document.querySelector('.banner:not([hidden])')")
        assert (
            tab.frame.inner_text(".banner div >> nth=0")
            == f"beta could not be loaded: TensorBoard has not answered for {SECONDS} seconds"
        )
        tab.context.unroute(BETA)
        gate.held.clear()
        tab.context.clock.fast_forward(5000)
        tab.until(ROWS, 3)
        assert tab.frame.is_hidden(".banner")


def test_a_server_that_stays_silent_is_said(browser, server):
    with Tab(browser, server) as tab:
        tab.painted()
        tab.context.clock.install()
        reloaded(tab)
        tab.wait()
        gate = Gate(tab, RUNS)
        tab.context.clock.fast_forward(5000)
        tab.until("() => document.querySelector('.run strong')")
        tab.context.clock.fast_forward(1000 * SECONDS)
        tab.until("() => document.querySelector('.banner:not([hidden])')")
        assert tab.frame.inner_text(".banner div >> nth=0").startswith("TensorBoard does not answer since ")
        tab.context.unroute(RUNS)
        gate.held.clear()
        tab.context.clock.fast_forward(5000)
        tab.frame.wait_for_selector(".banner", state="hidden")


def test_a_film_goes_on_over_pictures_that_never_come(browser, server):
    with Tab(browser, server) as tab:
        tab.painted()
        tab.context.clock.install()
        reloaded(tab)
        tab.wait()
        tab.painted()
        gate = Gate(tab, BLOBS)
        tab.press("Home")
        tab.press("Space")
        tab.frame.wait_for_selector("role=button[name='pause']")
        for _ in range(40):
            if tab.position == 11:
                break
            tab.context.clock.fast_forward(1000 * SECONDS + 1000)
            tab.page.wait_for_timeout(20)
        assert tab.position == 11
        tab.context.unroute(BLOBS)
        gate.held.clear()


def test_an_answer_that_is_no_answer_is_said_as_such(browser, server):
    with Tab(browser, server) as tab:
        tab.painted()
        tab.context.route(BLOBS, lambda route: route.fulfill(body="<html>please log in</html>", content_type="text/html"))
        tab.press("Home")
        tab.frame.wait_for_selector(".run .again")
        reasons = tab.frame.eval_on_selector_all(".run .again", "all => all.map(each => each.title)")
        assert set(reasons) == {"The picture could not be had: TensorBoard's answer cannot be read"}


@pytest.mark.parametrize("way", [SCALARS, SCALAR])
def test_logged_scalars_that_could_not_be_had_are_said_and_come_later(browser, server, way):
    link = "&p.lightning_vis.tab=compare&p.lightning_vis.scalar=logged%3Aval%2Faccuracy"
    chosen = "() => document.querySelector('select.scalar').selectedOptions[0].textContent"
    with Tab(browser, server) as tab:
        tab.painted()
        tab.context.clock.install()
        tab.context.route(way, lambda route: route.abort())
        tab.context.route(
            SCALARS, lambda route: route.abort() if way is SCALARS else route.fulfill(json={"tags": ["val/accuracy"]})
        )
        if way is SCALAR:
            tab.context.route(SCALAR, lambda route: route.abort())
        tab.page.goto(tab.way("", link))
        tab.page.reload()
        tab.wait()
        tab.until(f"text => ({chosen})().endsWith(text)", "(could not be had, asked again)")
        tab.context.unroute(way)
        tab.context.route(SCALARS, lambda route: route.fulfill(json={"tags": ["val/accuracy"]}))
        tab.context.route(SCALAR, lambda route: route.fulfill(json={"points": [[9, 0.5], [19, 0.75]]}))
        tab.context.clock.fast_forward(6000)
        tab.until(f"() => !({chosen})().includes('(')")


def only(tab, *names, newest=None):
    """Lists these runs alone, as if the others had been deleted."""

    def answer(route):
        content = route.fetch().json()
        content["runs"] = [
            {**each, **({"newest": newest} if newest else {})} for each in content["runs"] if each["run"] in names
        ]
        route.fulfill(json=content)

    tab.context.route(RUNS, answer)


def test_a_run_that_is_deleted_while_it_is_shown_is_missed(browser, server):
    with Tab(browser, server) as tab:
        tab.painted()
        only(tab, "alpha", "gamma")
        tab.until(ROWS, 2)
        assert tab.frame.inner_text(".banner div >> nth=0") == "Not among the runs any more: beta."
        tab.context.unroute(RUNS)
        tab.until(ROWS, 3)
        assert tab.frame.is_hidden(".banner")


def test_a_link_to_runs_that_are_not_there_says_so(browser, server):
    with Tab(browser, server, "&p.lightning_vis.runs=nosuch,beta") as tab:
        tab.until(ROWS, 1)
        assert tab.frame.inner_text(".banner div >> nth=0") == "Not among the runs: nosuch."
        tab.follow("&p.lightning_vis.runs=nosuch")
        tab.until(ROWS, 3)
        assert tab.frame.inner_text(".banner div >> nth=0") == "Not among the runs: nosuch. Others are shown in their place."
    with Tab(browser, server, query="&runFilter=zzz") as tab:
        assert tab.texts(".run strong") == ["alpha", "beta", "gamma"]
        assert "finds none of these runs" in tab.frame.inner_text(".banner div >> nth=0")


def test_a_run_that_was_begun_anew_is_read_anew(browser, server):
    """Another folder at the same address, or a run that was deleted and trained again: what was known is of another training."""
    with Tab(browser, server) as tab:
        tab.painted()
        asked = []
        tab.page.on("request", lambda request: asked.append(request.url) if "/data?" in request.url else None)
        only(tab, "alpha", "beta", "gamma", newest=5.0)
        tab.until("() => performance.getEntriesByType('resource').filter(each => each.name.includes('data?run=')).length >= 6")
        assert {"since=0&" in f"{each}&" for each in asked[:3]} == {True}
