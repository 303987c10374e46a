"""Stored pictures in a real browser: measured before they are decoded, and held within a budget."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

pytest_plugins = ("tab_fixtures",)

SIZE = """async bytes => {
    const { sizeOf } = await import("./static/picture/file_size.js");
    try { return Object.values(sizeOf(Uint8Array.from(bytes))); } catch (error) { return error.message; }
}"""
HELD = """async ([bytes, count, side]) => {
    const { Store } = await import("./static/picture/store.js");
    const store = new Store({ picture: async () => Uint8Array.from(bytes) }, 4, () => {});
    const parts = [...Array(count).keys()].map(key => ({ key, size: [side, side], count: 1 }));
    const bitmaps = [];
    for (const part of parts) {
        await store.entry(part).settled;
        bitmaps.push(store.entry(part).picture);
    }
    return bitmaps.map(each => each.width);  // a bitmap that was closed has none
}"""


def stored(kind, **how):
    """The bytes of a picture of 37 x 11 pixels."""
    file = io.BytesIO()
    Image.fromarray(np.arange(11 * 37 * 3, dtype=np.uint8).reshape(11, 37, 3)).save(file, kind, **how)
    return list(file.getvalue())


@pytest.mark.parametrize(
    ("kind", "how"), [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True, "comment": b"\xff\xc0" * 99})]
)
def test_a_picture_is_measured_by_its_file(page, kind, how):
    whole = stored(kind, **how)
    assert page.frame.evaluate(SIZE, whole) == [37, 11]
    assert page.frame.evaluate(SIZE, whole[:3]) == "it is no picture"
    assert page.frame.evaluate(SIZE, [*whole[:2], 0, 0, *whole[4:30]]) == "it is no picture"


def test_decoded_pictures_are_given_back_when_the_budget_is_used(page):
    file = io.BytesIO()
    Image.new("L", (1000, 1000)).save(file, "PNG")
    widths = page.frame.evaluate(HELD, [list(file.getvalue()), 24, 1000])  # 4 MB each
    assert widths == [0] * 8 + [1000] * 16  # 64 MB of them
