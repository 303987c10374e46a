"""The tiles of Compare as a browser paints them, held against what their words say."""

from __future__ import annotations

import re

import numpy as np
from tab_page import PACK, unpacked

from lightning_vis.frames import Maps, Scale
from lightning_vis.render.canvas.tiles import drawn

TILES = f"""() => {{
    {PACK}
    return [...document.querySelectorAll('.picture canvas')].map(each => {{
    const {{ width, height }} = each;
    const {{ data }} = each.getContext('2d').getImageData(0, 0, width, height);
    const pixels = [];
    for (let y = 3; y < height; y += 9) for (let x = 3; x < width; x += 9) pixels.push(...data.slice(4 * (y * width + x), 4 * (y * width + x) + 4));
    return {{ state: each.dataset.state, label: each.getAttribute('aria-label'), width, height, pixels: packed(new Uint8Array(pixels)) }};
}}); }}"""
LABEL = re.compile(r"image (\d+), run (\w+), (start|epoch (\d+)|not yet): ")


def pixels_of(tile):
    """Each ninth pixel in both directions, with its opacity."""
    return unpacked(tile["pixels"]).reshape(-1, 4).astype(int)


def expected(run, tile, view):
    """The pixels that `render` draws of what a tile's words name."""
    image, _, when, epoch = LABEL.match(tile["label"]).groups()
    frame = run.frames[0 if when == "start" else int(epoch)]
    flat = np.broadcast_to(run.inputs.pictures[int(image) - 1][16, 16], (tile["height"], tile["width"], 3))
    return drawn(flat, frame.maps[view], int(image) - 1)[3::9, 3::9].reshape(-1, 3)


def assert_true(tab, runs, view, of=""):
    """Law 9: what a tile shows is of the look, run and image that its words name; what it does not show, it says."""
    for tile in [each for each in tab.frame.evaluate(TILES) if of in each["label"]]:
        pixels = pixels_of(tile)
        if tile["state"] != "shown":
            assert tile["state"] in ("loading", "failed", "missing")
            assert (pixels[:, 3] == 0).all()
            continue
        run = runs[LABEL.match(tile["label"])[2]]
        assert np.abs(pixels[:, :3] - expected(run, tile, view)).max() <= 3, tile["label"]


def difference(first, second, image):
    """What one image's maps differ by, ``(h, w)`` in the unit of the score or in multiples of their means, and its scale."""
    values = [each.values[image] * (each.values[image].size if each.scale.by_area else 1) for each in (first, second)]
    if first.scale.kind != "log":
        values = [each / each.mean() for each in values]
    return np.subtract(*values), Scale("log" if first.scale.kind == "log" else "density", first.scale.limit, signed=True)


def drawn_difference(photo, first, second, image):
    """What is drawn over a photo of the difference of two looks' maps, by `render`."""
    values, scale = difference(first, second, image)
    return drawn(photo, Maps(values[None].astype(np.float32), np.zeros(1, int), "conv3", scale, "difference"), 0)
