"""How fast the tab is with ten runs of 300 epochs, and what a look costs on the disk. Needs chromium.

Prints the table of tab.md: run it with ``python benchmarks/tab.py > benchmarks/tab.md``.
"""

from __future__ import annotations

import gzip
import os
import shutil
import statistics
import subprocess
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

IMAGES, SIDE = 8, 224
SHAPES = ((10, 300), (50, 100), (1, 3000))
"""Runs, and epochs of each."""
SHOWN = 10
"""Runs that a page shows at most."""


def frames(seed, epochs):
    """Frames of the usual size: an evidence and a Grad-CAM map of 7 x 7, a saliency map at the input's size."""
    generator = np.random.default_rng(seed)
    smooth = generator.gamma(0.5, size=(IMAGES, SIDE, SIDE)).astype(np.float32)  # as heavy-tailed as gradients are
    for epoch in range(epochs + 1):
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


def write(folder, runs, epochs):
    """Writes the runs; the first one for real, the others with its bytes in other folders."""
    pictures = np.random.default_rng(0).integers(0, 256, (IMAGES, 28, 28, 3)).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    masks = np.zeros((IMAGES, SIDE, SIDE), np.float32)
    masks[:, 60:160, 60:160] = 1
    inputs = Inputs("probe", pictures, np.arange(IMAGES) % 2, masks, ("bird", "mammal"))
    writer = SummaryWriter(folder / "run_0")
    store, seconds = FrameWriter([writer]), []
    for frame in tqdm(frames(0, epochs), total=epochs + 1, desc="writing", disable=not sys.stderr.isatty()):
        started = time.perf_counter()
        store.add(frame, inputs)
        seconds.append(time.perf_counter() - started)
    writer.close()
    for run in range(1, runs):
        shutil.copytree(folder / "run_0", folder / f"run_{run}")
    return statistics.median(seconds)


def bytes_per_look():
    """Bytes of the facts and of each map of one look."""
    *_, frame = frames(1, 50)
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


PRESS = """name => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }))"""
REST = 150  # milliseconds until a step has painted all that it can
STEPS = 40


def thread_times(session):
    """Milliseconds that the page's thread has worked so far: in all, and of it in scripts."""
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return np.array([1000 * metrics["TaskDuration"], 1000 * metrics["ScriptDuration"]])


def walk(tab, frame, session, key):
    """Milliseconds of the page's thread for each of some steps, ``(STEPS, 2)``: in all, and of it in scripts."""
    found = []
    for _ in range(STEPS):
        before = thread_times(session)
        frame.evaluate(PRESS, key)
        tab.wait_for_timeout(REST)
        frame.wait_for_selector("main > [aria-busy=false]", timeout=120_000)
        found.append(thread_times(session) - before)
    return np.array(found)


def resident(pid):
    """MB of memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1000


def descendants(pid):
    """A process and all that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in descendants(int(child)))]


def server_memory():
    """MB of TensorBoard with its loader: the only processes of ours that are called so."""
    ours = [pid for pid in descendants(os.getpid()) if b"tensorboard" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return sum(resident(pid) for pid in ours if pid != os.getpid())


def page_memory(browser):
    """MB of the largest process of a page."""
    found = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return max(resident(each["id"]) for each in found if each["type"] == "renderer")


def page(address, view, runs):
    """What it costs to open the tab and to go through the film, by what it is called."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        tab.set_default_timeout(120_000)
        tab.goto(f"{address}/#timeseries")
        tab.wait_for_timeout(3000)
        empty = page_memory(browser)
        link = f"#lightning_vis&p.lightning_vis.runs={','.join(runs)}&p.lightning_vis.view={view}"
        started = time.perf_counter()
        tab.evaluate("link => { location.hash = link; location.reload(); }", link)
        frame = tab.wait_for_selector("iframe").content_frame()
        frame.wait_for_selector("main > [aria-busy=false]", timeout=120_000)
        opened = time.perf_counter() - started
        session = tab.context.new_cdp_session(tab)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        frame.evaluate(PRESS, "Home")
        tab.wait_for_timeout(2000)
        fresh, decoded, idle = (walk(tab, frame, session, key) for key in ("ArrowRight", "ArrowLeft", "F13"))
        heap = frame.evaluate("() => performance.memory.usedJSHeapSize / 1e6")
        memory = page_memory(browser)
        browser.close()
    return {
        f"{view}: reloaded until painted": f"{opened:.1f} s",
        f"{view}: thread per step, decoded": steps_of(decoded),
        f"{view}: thread per step, seen first": steps_of(fresh),
        f"{view}: thread where a key does nothing": steps_of(idle),
        f"{view}: memory of the page after {2 * STEPS} steps": f"{memory:.0f} MB ({empty:.0f} before; heap {heap:.0f})",
    }


def steps_of(times):
    """Times of steps in words: the middle one, that in scripts, and the longest."""
    median, scripts = np.median(times, axis=0)
    return f"{median:.0f} ms (scripts {scripts:.0f}; at most {times[:, 0].max():.0f})"


def export(folder):
    """Seconds, most memory in MB and size in MB of an exported page, in a process of its own."""
    code = (
        "import resource, sys; from lightning_vis.cli import main; main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)"
    )
    output = folder.parent / f"{folder.name}.html"
    started = time.perf_counter()
    told = subprocess.run(
        [sys.executable, "-c", code, "export", str(folder), "-o", str(output)], check=True, capture_output=True, text=True
    ).stdout
    return time.perf_counter() - started, float(told.split()[-1]), output.stat().st_size / 1e6


def measured(folder, runs, epochs):
    """A column of the table: what was measured of so many runs."""
    storing = write(folder, runs, epochs)
    names = [f"run_{run}" for run in range(runs)]
    with tensorboard(folder) as address:
        for name in names:
            wait_for_looks(address, name, epochs + 1)
        first = answers(address, ["runs", *(f"data?run={name}" for name in names[:2])])
        every = answers(address, ["runs", *(f"data?run={name}" for name in names)])
        loaded = server_memory()
        pages = page(address, "evidence", names[:SHOWN]) | page(address, "saliency", names[:SHOWN])
        served = server_memory()
    exported = export(folder)
    return {
        "first answer, two runs": f"{first[0]:.2f} s, {first[1] / 1e6:.2f} MB",
        "all runs": f"{every[0]:.2f} s, {every[1] / 1e6:.2f} MB ({every[2] / 1e6:.1f} MB of JSON)",
        **pages,
        "memory of the server, all read": f"{loaded:.0f} MB ({served:.0f} after the pages)",
        "export": f"{exported[0]:.1f} s, {exported[1]:.0f} MB of memory, {exported[2]:.0f} MB",
        "storing a look, median": f"{1000 * storing:.0f} ms",
    }


def shapes():
    """Those that were asked for by their runs (``10``), else all."""
    asked = [int(each) for each in sys.argv[1:]]
    return [shape for shape in SHAPES if not asked or shape[0] in asked]


def main():
    load = os.getloadavg()[0]
    columns = {}
    for runs, epochs in shapes():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "logs"
            folder.mkdir()
            columns[f"{runs} x {epochs}"] = measured(folder, runs, epochs)
    sizes = bytes_per_look()
    print(f"# The tab with runs x epochs, {IMAGES} images of {SIDE} x {SIDE}, three maps, up to ten runs shown\n")
    print(
        f"{date.today()}, `python benchmarks/tab.py`, {os.cpu_count()} cores, TensorBoard {version.VERSION}, chromium without"
    )
    print(f"a GPU. Others used the machine too: its load was {load:.1f} when this began.\n")
    print(f"| what | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for what in next(iter(columns.values())):
        print(f"| {what} | {' | '.join(column[what] for column in columns.values())} |")
    parts = ", ".join(f"{name} {size / 1000:.1f}" for name, size in sizes.items())
    print(f"\nA look is {sum(sizes.values()) / 1000:.0f} KB ({parts}).")


if __name__ == "__main__":
    main()
