"""Asking anew for pictures that could not be had, in a real browser."""

from __future__ import annotations

import pytest
from tab_cell import BLOBS, link
from tab_page import Tab

pytest_plugins = ("tab_fixtures",)
NOT_BY_ITSELF = (
    "{ const own = setTimeout; window.setTimeout = (made, wait, ...more) => (wait >= 1000 ? 0 : own(made, wait, ...more)); }"
)
"""The page asks again by itself after a second at the earliest."""


@pytest.mark.parametrize(
    ("root", "shown"),
    [
        (".cell", {"cell": "0,alpha"}),
        ("main", {"tab": "filters", "runs": "gamma"}),
        ("main", {"tab": "twins", "runs": "gamma"}),
    ],
)
def test_what_could_not_be_had_is_asked_for_at_a_press(browser, server, root, shown):
    failed, again = f"{root} canvas[data-state=failed]", f"{root} .again"
    with Tab(browser, server, link(**shown), polls=False) as tab:
        tab.context.add_init_script(NOT_BY_ITSELF)
        tab.context.route(BLOBS, lambda route: route.abort())
        tab.page.reload()
        tab.wait()
        tab.frame.wait_for_selector(failed)
        tab.frame.wait_for_selector(again, timeout=5000)
        tab.context.unroute_all()
        tab.frame.click(again)
        tab.frame.wait_for_selector(f"{root} canvas[data-state=shown]", timeout=10_000)
        assert tab.frame.query_selector(failed) is None
        assert tab.frame.query_selector(again) is None
