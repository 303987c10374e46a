"""The page of boxes in a real browser: eight cuts corrected, saved, read by the run that goes on."""

from __future__ import annotations

import numpy as np
import pytest
from pytorch_lightning.callbacks import ModelCheckpoint
from tab_page import api
from torch.utils.data import DataLoader

from lightning_vis.boxes.box_file import read_boxes
from lightning_vis.boxes.pool_file import read_pools
from lightning_vis.callbacks.probe import ProbeCallback
from tests.boxes.test_pool_file import pool
from tests.boxes.test_server import serving
from tests.callbacks.test_exchange import Sees, scenes, verdicts

pytest_plugins = ("tab_fixtures",)
pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:Found 1 module.* in eval mode at the start of training"),
]
SAVED = "() => document.querySelector('#state').dataset.state === 'saved'"


class Desk:
    """The page as somebody meets it; what its console says and what it asks elsewhere is noted."""

    def __init__(self, browser, address, width=1280):
        self.context = browser.new_context(viewport={"width": width, "height": 800})
        self.page = self.context.new_page()
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda each: each.url.startswith((address, "data:")) or self.errors.append(each.url))
        self.page.goto(address)
        self.page.wait_for_selector("main:not([hidden])")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.context.close()
        assert kind is not None or self.errors == []

    def text(self, selector):
        return self.page.inner_text(selector)

    def drag(self, start, end):
        """Over the large image, in shares of it."""
        box = self.page.locator("#large").bounding_box()
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        self.page.mouse.move(*points[1])
        self.page.mouse.up()

    def saved(self, count):
        self.page.wait_for_function(f"() => document.querySelector('#count').textContent.endsWith(', {count} with a box')")
        self.page.wait_for_function(SAVED)


def trained(trainer, tmp_path, epochs, boxes=None, **where):
    """A fit of some epochs with a checkpoint at its end."""
    callback = ProbeCallback(exchange=True, views=[], boxes=boxes)
    keeper = ModelCheckpoint(tmp_path / "kept", filename="{epoch}", save_top_k=-1)
    made = trainer([callback, keeper], max_epochs=epochs, enable_checkpointing=True)
    made.fit(Sees("middle"), DataLoader(scenes(16), 8), DataLoader(scenes(), 40), **where)
    return callback


def test_eight_cuts_are_corrected_saved_and_used_by_the_run_that_goes_on(browser, trainer, tmp_path, caplog):
    before = trained(trainer, tmp_path, 1).looks.exchanges._pool[1].parts.inside
    with serving(tmp_path / "b.json", read_pools(str(tmp_path))[0]) as address, Desk(browser, address) as desk:
        assert desk.text("#count") == "48 images, 0 with a box"
        for _ in range(4):  # the first four are drawn, from the right lower corner to the left upper one
            desk.drag((0.75, 0.75), (0.25, 0.25))
            desk.page.keyboard.press("n")
        for _ in range(4):
            desk.page.keyboard.press("a")
        desk.saved(8)
        assert desk.text("#state") == "saved in b.json"
    boxes = read_boxes(tmp_path / "b.json")
    keys = read_pools(str(tmp_path))[0][0].keys
    assert list(boxes) == list(keys[:8])
    assert np.abs(np.array([boxes[key] for key in keys[:4]]) - [0.25, 0.25, 0.75, 0.75]).max() < 0.005
    with caplog.at_level("INFO"):
        callback = trained(trainer, tmp_path, 2, tmp_path / "b.json", ckpt_path=tmp_path / "kept" / "epoch=0.ckpt")
    assert "lightning_vis: boxes: 8 of the 48 images that are exchanged have one" in caplog.messages
    assert "cut out automatically but for 8 in boxes" in verdicts(callback)[-1].sentence
    parts = callback.looks.exchanges._pool[1].parts.inside
    assert parts[:4, 8:24, 8:24].all()
    assert not parts[:4, :4].any()
    assert (parts[8:] == before[8:]).all()


def test_every_hand_works_and_every_state_is_said(browser, tmp_path):
    with serving(tmp_path / "b.json") as address, Desk(browser, address, 390) as desk:
        page = desk.page
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert desk.text("#state") == "nothing drawn yet; every box is saved in b.json at once"
        assert desk.text("#caption") == "image 1 of 3: bird"
        assert desk.text("#said") == "cut out automatically: left 0\xa0%, top 25\xa0%, right 50\xa0%, bottom 100\xa0%"
        assert page.is_disabled("#previous")
        assert page.is_disabled("#clear")
        desk.drag((0.5, 0.5), (0.51, 0.9))  # as narrow as a click
        assert desk.text("#count") == "3 images, 0 with a box"
        page.fill("#left", "10")  # the other sides are those of the cut
        page.keyboard.press("Tab")
        desk.saved(1)
        assert read_boxes(tmp_path / "b.json") == {"key0": (0.1, 0.25, 0.5, 1)}
        page.fill("#left", "60")
        page.keyboard.press("Tab")
        assert desk.text("#said").startswith("no box yet: left and top")
        page.get_by_role("button", name="3 bird").click()
        assert desk.text("#caption") == "image 3 of 3: bird"
        assert "image 3, bird, cut out automatically" in page.get_attribute("#large", "aria-label")
        page.keyboard.press("p")
        page.keyboard.press("a")
        page.keyboard.press("p")
        page.keyboard.press("c")
        desk.saved(1)
        page.get_by_role("button", name="1 bird").click()
        (tmp_path / "b.json").write_text("of somebody else")
        page.keyboard.press("a")
        page.wait_for_selector("#state[data-state=failed]")
        assert desk.text("#state").startswith("not saved (1 image): boxes=")
        (tmp_path / "b.json").unlink()
        page.click("#retry")
        page.wait_for_function(SAVED)
        assert set(read_boxes(tmp_path / "b.json")) == {"key0"}


def test_what_is_drawn_while_the_server_is_gone_is_saved_when_it_is_back(browser, tmp_path):
    with serving(tmp_path / "b.json") as address, Desk(browser, address) as desk:
        desk.page.route("**/*", lambda route: route.abort())
        desk.page.keyboard.press("a")
        port = address.rpartition(":")[2]
        words = f"the server is gone, and 1 image not saved: leave this page open. Start the same command with --port {port} to go on"
        desk.page.wait_for_function(
            "words => document.querySelector('#state').textContent === words", arg=words, timeout=20_000
        )
        desk.page.unroute("**/*")
        desk.page.wait_for_function(SAVED, timeout=20_000)
        assert set(read_boxes(tmp_path / "b.json")) == {"key0"}


assert api  # without a browser this file is skipped
assert pool
