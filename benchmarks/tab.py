"""How fast the tab is with ten runs of 300 epochs, and what a look costs on the disk. Needs chromium.

Prints the table of tab.md: run it with ``python benchmarks/tab.py > benchmarks/tab.md``.
"""

from __future__ import annotations

import gzip
import os
import shutil
import statistics
import sys
import tempfile
import time
import urllib.request
from datetime import date
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from playwright.sync_api import sync_playwright
from tab_server import PLUGIN, tensorboard, wait_for_looks
from tensorboard import version
from tqdm import tqdm

from lightning_vis.events.encode import facts_part, map_part
from lightning_vis.events.frame_writer import FrameWriter
from lightning_vis.frames import Frame, Inputs, Maps, Scale

RUNS, EPOCHS, IMAGES, SIDE = 10, 300, 8, 224


def frames(seed):
    """Frames of the usual size: an evidence and a Grad-CAM map of 7 x 7, a saliency map at the input's size."""
    generator = np.random.default_rng(seed)
    smooth = generator.gamma(0.5, size=(IMAGES, SIDE, SIDE)).astype(np.float32)  # as heavy-tailed as gradients are
    for epoch in range(EPOCHS + 1):
        evidence = generator.normal(size=(IMAGES, 7, 7)).astype(np.float32) * epoch / 50
        saliency = np.roll(smooth, 3 * epoch, axis=2)
        predicted = generator.integers(0, 2, IMAGES)
        maps = {
            "evidence": Maps(evidence, predicted, "layer4", Scale("log", 31.0, signed=True), "Evidence", "label"),
            "grad_cam": Maps(np.maximum(evidence, 0) / 49, predicted, "layer4", Scale("log", 31.0, by_area=True), "Grad-CAM"),
            "saliency": Maps(saliency, predicted, "<input>", Scale("density", 12.0), "Saliency"),
        }
        lifts = {f"attribution/{key}/lift": generator.random(IMAGES) for key in maps}
        numbers = {f"attribution/{key}/{name}": generator.random() for key in maps for name in ("lift", "empty", "pointing")}
        numbers |= {f"reliance/{name}": generator.random() for name in ("background_effect", "object_effect", "alert")}
        yield Frame(
            "probe", predicted, generator.random(IMAGES), maps, numbers=numbers, per_image=lifts,
            finished_steps=10 * epoch, log_step=10 * epoch - 1, epoch=epoch, moment="epoch" if epoch else "start",
        )  # fmt: skip


def write(folder):
    """Writes the runs; the first one for real, the others with its bytes in other folders."""
    pictures = np.random.default_rng(0).integers(0, 256, (IMAGES, 28, 28, 3)).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    masks = np.zeros((IMAGES, SIDE, SIDE), np.float32)
    masks[:, 60:160, 60:160] = 1
    inputs = Inputs("probe", pictures, np.arange(IMAGES) % 2, masks, ("bird", "mammal"))
    writer = SummaryWriter(folder / "run_0")
    store, seconds = FrameWriter([writer]), []
    for frame in tqdm(frames(0), total=EPOCHS + 1, desc="writing", disable=not sys.stderr.isatty()):
        started = time.perf_counter()
        store.add(frame, inputs)
        seconds.append(time.perf_counter() - started)
    writer.close()
    for run in range(1, RUNS):
        shutil.copytree(folder / "run_0", folder / f"run_{run}")
    return statistics.median(seconds)


def bytes_per_look():
    """Bytes of the facts and of each map of one look."""
    frame = list(frames(1))[-1]
    parts = [facts_part(frame), *(map_part(key, maps) for key, maps in frame.maps.items())]
    return {part.name: len(part.picture) + len(str(dict(part.facts))) for part in parts}


def answers(address, paths):
    """Median time and bytes on the wire of some answers together, of five rounds."""
    rounds = []
    for _ in range(5):
        started, size, plain = time.perf_counter(), 0, 0
        for path in paths:
            request = urllib.request.Request(f"{address}{PLUGIN}/{path}", headers={"Accept-Encoding": "gzip"})
            with urllib.request.urlopen(request) as response:
                body = response.read()
            size, plain = size + len(body), plain + len(gzip.decompress(body))
        rounds.append((time.perf_counter() - started, size, plain))
    return statistics.median(seconds for seconds, _, _ in rounds), rounds[0][1], rounds[0][2]


REPAINT = """async () => {
  const { Compare } = await import("./static/compare.js");
  const times = [];
  const paint = Compare.prototype.paintTiles;
  Compare.prototype.paintTiles = function (model) {
    const started = performance.now();
    const done = paint.call(this, model);
    if (done) times.push(performance.now() - started);
    return done;
  };
  const key = (name) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  const rest = () => new Promise((done) => setTimeout(done, 60));
  key("Home");
  for (let at = 0; at < 40; at += 1) { key("ArrowRight"); await rest(); }
  await new Promise((done) => setTimeout(done, 1000));
  times.length = 0;
  for (let at = 0; at < 40; at += 1) { key("ArrowLeft"); await rest(); }
  return times;
}"""


def page(address, view):
    """Seconds from the click on the tab to painted tiles, and milliseconds of each repaint of 16 tiles."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        tab.goto(f"{address}/#timeseries")
        tab.wait_for_timeout(3000)
        link = f"#lightning_vis&p.lightning_vis.runs=run_0,run_1&p.lightning_vis.view={view}"
        started = time.perf_counter()
        tab.evaluate("link => { location.hash = link; location.reload(); }", link)
        frame = tab.wait_for_selector("iframe").content_frame()
        frame.wait_for_selector("main > [aria-busy=false]", timeout=120_000)
        opened = time.perf_counter() - started
        times = frame.evaluate(REPAINT)
        browser.close()
    return opened, statistics.median(times)


def main():
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        storing = write(folder)
        sizes = bytes_per_look()
        with tensorboard(folder) as address:
            for run in range(RUNS):
                wait_for_looks(address, f"run_{run}", EPOCHS + 1)
            first = answers(address, ["runs", "data?run=run_0", "data?run=run_1"])
            every = answers(address, ["runs", *(f"data?run=run_{run}" for run in range(RUNS))])
            pages = {view: page(address, view) for view in ("evidence", "saliency")}
    print(f"# The tab with {RUNS} runs of {EPOCHS} epochs, {IMAGES} images of {SIDE} x {SIDE}, three maps\n")
    print(
        f"{date.today()}, `python benchmarks/tab.py`, {os.cpu_count()} cores, TensorBoard {version.VERSION}, chromium without"
    )
    print(f"a GPU. Others used the machine too: its load was {load:.1f} when this began.\n")
    print("| what | measured | goal |\n|---|---|---|")
    print(f"| first answer, two runs shown | {first[0]:.2f} s, {first[1] / 1e6:.2f} MB on the wire | 0.5 s, 1.5 MB |")
    print(f"| all ten runs | {every[0]:.2f} s, {every[1] / 1e6:.2f} MB on the wire ({every[2] / 1e6:.1f} MB of JSON) | |")
    for view, (opened, repaint) in pages.items():
        print(f"| {view}: page reloaded until painted | {opened:.1f} s | |")
        print(f"| {view}: repaint of 16 tiles, once decoded, median | {repaint:.0f} ms | 60 ms |")
    parts = ", ".join(f"{name} {size / 1000:.1f}" for name, size in sizes.items())
    print(f"| bytes of a look | {sum(sizes.values()) / 1000:.0f} KB ({parts}) | 80 KB |")
    print(f"| storing a look, median | {1000 * storing:.0f} ms | |")


if __name__ == "__main__":
    main()
