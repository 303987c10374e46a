"""What chromium holds of decoded pictures after ten runs of 300 looks were played to their end, by its own memory dump.

``python benchmarks/tab_memory.py [VIEW]`` prints MB by chromium's names for them, of the process of the page.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

SPEC = importlib.util.spec_from_file_location("benchmark", Path(__file__).with_name("tab.py"))
benchmark = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(benchmark)  # tests have a package of the name tab

RUNS, EPOCHS = 10, 300
ASKED = {
    "transferMode": "ReportEvents",
    "traceConfig": {
        "includedCategories": ["disabled-by-default-memory-infra"],
        "excludedCategories": ["*"],
        "memoryDumpConfig": {"triggers": []},
    },
}
HELD = ("cc/image_memory", "partition_alloc/partitions/array_buffer", "malloc", "partition_alloc/partitions/buffer", "v8/main")
"""Decoded copies of the browser's own; codes and photos at the size shown; bitmaps among others; the rest for comparison."""


def dump(browser, tab):
    """MB by process and allocator."""
    session, events, ended = browser.new_browser_cdp_session(), [], []
    session.on("Tracing.dataCollected", lambda each: events.extend(each["value"]))
    session.on("Tracing.tracingComplete", lambda _: ended.append(True))
    session.send("Tracing.start", ASKED)
    session.send("Tracing.requestMemoryDump", {"levelOfDetail": "detailed"})
    session.send("Tracing.end")
    while not ended:
        tab.wait_for_timeout(100)
    found = {}
    for event in (each for each in events if each.get("ph") == "v"):
        for name, each in event["args"]["dumps"].get("allocators", {}).items():
            size = each.get("attrs", {}).get("size")
            found[event["pid"], name] = int(size["value"], 16) / 1e6 if size else 0
    return found


def said(found):
    """Of the process with the most JavaScript, which is the page's."""
    page = max((size, pid) for (pid, name), size in found.items() if name == "v8/main")[1]
    return ", ".join(f"{name} {found.get((page, name), 0):.0f}" for name in HELD)


def played(address, view):
    """Plays every look, and prints what is held before and after."""
    names = ",".join(f"run_{run}" for run in range(RUNS))
    with benchmark.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        link = f"&p.lightning_vis.runs={names}&p.lightning_vis.view={view}&p.lightning_vis.speed=every"
        tab.goto(f"{address}/data/plugin_entry.html?name=lightning_vis#{link}")
        tab.wait_for_selector("main > [aria-busy=false]", timeout=120_000)
        print(f"opened: {said(dump(browser, tab))}")
        tab.keyboard.press("Home")
        tab.keyboard.press("Space")
        tab.wait_for_timeout(2000)
        tab.wait_for_selector("button.play[aria-label=play]", timeout=400_000)
        print(f"played to {tab.inner_text('footer .when')}: {said(dump(browser, tab))}")
        browser.close()


def main():
    with tempfile.TemporaryDirectory() as name:
        benchmark.write(Path(name), RUNS, EPOCHS)
        with benchmark.tensorboard(Path(name)) as address:
            for run in range(RUNS):
                benchmark.wait_for_looks(address, f"run_{run}", EPOCHS + 1)
            played(address, sys.argv[1] if len(sys.argv) > 1 else "saliency")


if __name__ == "__main__":
    main()
