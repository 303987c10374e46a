"""The page in a real browser, as a reader meets it. Without a browser the tests that import this are skipped."""

from __future__ import annotations

import base64
import os
import shutil
from urllib.parse import urlsplit

import numpy as np
import pytest

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
"""The shell without windows does the same in half the time, and less of it is fetched."""

if CHROMIUM is None and not os.environ.get("LIGHTNING_VIS_BROWSER"):
    pytest.skip("no chromium here (apt-get install chromium-headless-shell)", allow_module_level=True)
if os.environ.get("LIGHTNING_VIS_BROWSER"):
    import playwright.sync_api as api
else:
    api = pytest.importorskip("playwright.sync_api", reason="no playwright here (pip install playwright)")

BAR = 64  # pixels of TensorBoard's own bar

PACK = """const packed = (bytes) => {
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(text);
};"""
"""Bytes as one text: as a list of numbers they take a hundred times as long to come here."""
PIXELS = f"""([selector, at]) => {{
    {PACK}
    const each = document.querySelectorAll(selector)[at];
    return [each.width, each.height, packed(each.getContext("2d").getImageData(0, 0, each.width, each.height).data)];
}}"""


def unpacked(text):
    return np.frombuffer(base64.b64decode(text), np.uint8)


OPENING = "&p.lightning_vis.tab=compare"
FOLLOW = """link => new Promise(done => {
    for (const each of document.querySelectorAll(".runs, .alerts details")) each.open = false;
    for (const each of document.querySelectorAll("input[type=search]")) each.value = "";
    for (const each of document.querySelectorAll("dialog.help[open]")) each.close();
    document.activeElement?.blur();
    dispatchEvent(new Event("blur"));  // the address bar has the keyboard
    addEventListener("hashchange", done, { once: true });
    const before = location.href;
    location.hash = link;
    if (location.href === before) done();
})"""

COUNT = """(() => {
    const own = window.fetch;
    window.loading = 0;
    const end = () => setTimeout(() => { window.loading -= 1; });  // when the page has drawn what came
    window.fetch = async (way, ...more) => {
        if (!String(way).startsWith("data?")) return own(way, ...more);
        window.loading += 1;
        try {
            const answer = await own(way, ...more);
            const json = answer.json.bind(answer);
            answer.json = () => json().finally(end);
            return answer;
        } catch (error) {
            end();
            throw error;
        }
    };
})()"""
"""Counts the runs that are on their way to the page."""


class Tab:
    """The plugin's page by itself, at the address that TensorBoard has for its frame. What a console or a foreign address would
    show is noted. The window is given with TensorBoard's own bar, which is not there."""

    def __init__(self, browser, address, link="", *, width=1440, height=900, ratio=1, query="", polls=True, **wishes):
        self.address = address
        self.context = browser.new_context(viewport=self.window(width, height), device_scale_factor=ratio, **wishes)
        self.page = self.context.new_page()
        self.context.add_init_script(COUNT)
        if not polls:
            self.context.add_init_script("if (window !== top) window.setInterval = () => 0;")
        self.errors, self.foreign = [], []
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._note)
        self.page.on("response", self._note_answer)
        self.page.goto(self.way(query, link))
        self.wait()

    @staticmethod
    def window(width, height):
        return {"width": width, "height": height - BAR}

    def way(self, query, link):
        return f"{self.address}/data/plugin_entry.html?name=lightning_vis{query}#{link}"

    def _note_console(self, message):
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def _note_answer(self, answer):
        if answer.status >= 400 and "/font-roboto/" not in answer.url:  # TensorBoard's own font forgets the prefix
            self.errors.append(answer.url)

    def _note(self, request):
        if urlsplit(request.url).netloc not in (urlsplit(self.address).netloc, ""):
            self.foreign.append(request.url)

    def wait(self):
        self.frame = self.find()
        self.frame.wait_for_selector("footer .when:not(:empty)", timeout=60_000)

    def find(self):
        return self.page.main_frame

    @property
    def link(self):
        """What the address says of the page, to open it anew."""
        return "&p.lightning_vis" + self.page.url.partition("&p.lightning_vis")[2]

    def follow(self, link=OPENING):
        """Pastes a link over the address, as a reader may: the page shows what it says, without being loaded anew."""
        assert self.errors == []
        self.frame.evaluate(FOLLOW, link)
        self.until("() => !window.loading")
        return self

    def resize(self, width, height):
        """Changes the window, and waits until the page has followed."""
        self.page.set_viewport_size(self.window(width, height))
        self.frame.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))")
        return self

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            assert self.errors == []
            assert self.foreign == []
        self.context.unroute_all(behavior="ignoreErrors")  # a handler may be in the middle of an answer
        self.context.close()

    @property
    def when(self):
        return self.frame.inner_text("footer .when")

    @property
    def position(self):
        return int(self.frame.get_attribute("canvas.chart", "aria-valuenow"))

    def press(self, key):
        self.page.keyboard.press(key)

    def click(self, text):
        self.frame.click(f"role=radio[name='{text}']")

    def until(self, expression, argument=None):
        self.frame.wait_for_function(expression, arg=argument, timeout=60_000)

    def until_when(self, text):
        self.until("text => document.querySelector('footer .when').textContent === text", text)

    def painted(self):
        """Waits until every picture of the page is painted."""
        self.frame.wait_for_selector("main > [aria-busy=false]", timeout=60_000)

    def pixels(self, selector=".picture canvas", at=0, channels=3):
        """A canvas as an array (H, W, 3), or (H, W, 4) with its opacity."""
        width, height, data = self.frame.evaluate(PIXELS, [selector, at])
        return unpacked(data).reshape(height, width, 4)[..., :channels]

    def texts(self, selector):
        return self.frame.eval_on_selector_all(selector, "all => all.map(each => each.textContent)")

    def drag_to(self, share):
        """Clicks on the chart at a share of its axis."""
        box = self.frame.query_selector("canvas.chart").bounding_box()
        self.page.mouse.move(box["x"] + 64 + share * (box["width"] - 64 - 150), box["y"] + 40)
        self.page.mouse.down()
        self.page.mouse.up()


class HostedTab(Tab):
    """The page where a reader meets it: inside of TensorBoard, whose own page takes some seconds to come."""

    @staticmethod
    def window(width, height):
        return {"width": width, "height": height}

    def way(self, query, link):
        return f"{self.address}/{query}#lightning_vis{link}"

    def find(self):
        return self.page.wait_for_selector("iframe").content_frame()
