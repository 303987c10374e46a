"""Makes the pictures of the README: the tab on the runs of examples/leaves.py, in a real browser. Needs chromium.

``python docs/screenshots.py LOGDIR [FOLDER]``; LOGDIR holds the runs, docs/pictures is written if no folder is given.
All but the film show the moment at which the background has its largest effect on what the first run answers.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from PIL import Image
from playwright.sync_api import sync_playwright
from tab_server import ask_json, tensorboard, wait_for, wait_for_looks

PICTURES = {
    "tab_compare_dark": ("compare", "dark", 1440, 900),
    "tab_compare_light": ("compare", "light", 1440, 900),
    "tab_film_light": ("film", "light", 1440, 900),
    "tab_twins_light": ("twins", "light", 1440, 900),
}
MOST_BYTES = 300_000
FINE = Image.Dither.FLOYDSTEINBERG
EFFECT = "reliance/background_effect"


def clearest(address, run):
    """The finished steps at which the background moves a run's answers most."""
    stream = next(each for each in ask_json(address, "data", run=run)["streams"] if each["kind"] == "frames")
    return max(stream["looks"], key=lambda look: look["numbers"].get(EFFECT) or 0)["steps"]


def take(browser, link, theme, width, height, path):
    """One picture of one page, once all of it has been painted."""
    context = browser.new_context(viewport={"width": width, "height": height})
    tab = context.new_page()
    tab.goto(link.replace("#", "?darkMode=true#") if theme == "dark" else link)
    frame = tab.wait_for_selector("iframe").content_frame()
    frame.wait_for_selector("footer .when:not(:empty)", timeout=60_000)
    frame.wait_for_selector("main > [aria-busy=false], main .empty", timeout=60_000)
    tab.wait_for_timeout(1000)  # scalars of the chart, TensorBoard's own fades
    path.write_bytes(small(Image.open(io.BytesIO(tab.screenshot())).convert("RGB")))
    context.close()


def small(picture):
    """A PNG of at most 300 KB, in as many colours of its own as that allows."""
    for colours, dither in ((256, FINE), (192, FINE), (128, FINE), (192, Image.Dither.NONE), (128, Image.Dither.NONE)):
        palette = picture.quantize(colours, kmeans=20)  # without it the colours of small objects are lost
        buffer = io.BytesIO()
        picture.quantize(palette=palette, dither=dither).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()


def link_to(address, page, runs, steps):
    """The tab's own address of a page, at some finished steps, with outlines; the film as it is at its end."""
    chosen = {"tab": page, "runs": ",".join(runs), "outline": "true", **({} if page == "film" else {"steps": steps})}
    return f"{address}/#lightning_vis" + "".join(f"&p.lightning_vis.{name}={value}" for name, value in chosen.items())


def main():
    """Starts TensorBoard and takes them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logdir", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent / "pictures")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tensorboard(arguments.logdir) as address, sync_playwright() as playwright:
        wait_for(lambda: ask_json(address, "runs")["runs"], f"no frames in {arguments.logdir}")
        runs = sorted((each["run"] for each in ask_json(address, "runs")["runs"]), key=lambda run: (run != "spurious", run))
        for run in runs:
            wait_for_looks(address, run, 2)
        steps = clearest(address, runs[0])
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (page, theme, width, height) in PICTURES.items():
            take(browser, link_to(address, page, runs, steps), theme, width, height, arguments.folder / f"{name}.png")
            print(arguments.folder / f"{name}.png")  # noqa: T201
        browser.close()


if __name__ == "__main__":
    main()
