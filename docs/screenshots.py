"""Makes the pictures of the README: the tab on the runs of examples/leaves.py, in a real browser. Needs chromium.

``python docs/screenshots.py LOGDIR [FOLDER]``; LOGDIR holds the runs, docs/pictures is written if no folder is given.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from playwright.sync_api import sync_playwright
from tab_server import ask_json, tensorboard, wait_for, wait_for_looks

PICTURES = {
    "tab_compare_dark": ("compare", "dark", 1440, 900),
    "tab_compare_light": ("compare", "light", 1440, 900),
    "tab_film_dark": ("film", "dark", 1440, 900),
    "tab_film_light": ("film", "light", 1440, 900),
    "tab_twins_light": ("twins", "light", 1440, 900),
    "tab_filters_dark": ("filters", "dark", 1440, 900),
    "tab_compare_narrow": ("compare", "light", 1000, 760),
}


def take(browser, address, runs, page, theme, width, height, path):
    """One picture of one page, once all of it has been painted."""
    context = browser.new_context(viewport={"width": width, "height": height})
    tab = context.new_page()
    chosen = ",".join(runs)
    query = "?darkMode=true" if theme == "dark" else ""
    tab.goto(f"{address}/{query}#lightning_vis&p.lightning_vis.tab={page}&p.lightning_vis.runs={chosen}")
    frame = tab.wait_for_selector("iframe").content_frame()
    frame.wait_for_selector("footer .when:not(:empty)", timeout=60_000)
    frame.wait_for_selector("main > [aria-busy=false], main .empty", timeout=60_000)
    tab.wait_for_timeout(1000)  # scalars of the chart, TensorBoard's own fades
    tab.screenshot(path=path)
    context.close()


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
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (page, theme, width, height) in PICTURES.items():
            take(browser, address, runs, page, theme, width, height, arguments.folder / f"{name}.png")
            print(arguments.folder / f"{name}.png")  # noqa: T201
        browser.close()


if __name__ == "__main__":
    main()
