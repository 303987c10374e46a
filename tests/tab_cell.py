"""What the tests of an opened cell share."""

from __future__ import annotations

import re

BLOBS = re.compile(r"/blobs\?")


def link(**more):
    return "".join(f"&p.lightning_vis.{name}={value}" for name, value in more.items())


def facts(tab):
    words = tab.texts(".cell dl > *")
    return dict(zip(words[::2], words[1::2], strict=True))


def shown_cell(tab, count):
    tab.until("count => document.querySelectorAll('.cell canvas[data-state=shown]').length === count", count)


def at_cell(tab, panel, row, column):
    """What is said where a pointer lies on a cell of a panel's map."""
    box = tab.frame.query_selector(f".cell .photo canvas >> nth={panel}").bounding_box()
    tab.page.mouse.move(box["x"] + (column + 0.5) * box["width"] / 7, box["y"] + (row + 0.5) * box["height"] / 7)
    return tab.frame.inner_text(".cell .under").replace("−", "-")  # noqa: RUF001
