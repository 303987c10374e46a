"""The page in Firefox and in WebKit, the engine of Safari: each is tested where it is, in `make slow`."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from tab_boxes import BOXES
from tab_page import PIXELS, unpacked
from tab_runs import film_of, inputs_of, write_run
from tab_server import ask, tensorboard, wait_for_looks
from webdriver import driven, has

from lightning_vis.events.frame_reader import read_frames
from lightning_vis.export import export_html
from lightning_vis.render.canvas.tiles import drawn

LONG = 300
SECOND = 990  # milliseconds: clocks of browsers are coarse
STATES = "() => [...document.querySelectorAll('.picture canvas')].map(each => each.dataset.state)"
ALL_ARE = "state => { const all = [...document.querySelectorAll('.picture canvas')]; return all.length > 0 && all.every(each => each.dataset.state === state); }"
WATCH = """() => {
    window.errors = [];
    window.written = [];
    addEventListener("error", (event) => window.errors.push(String(event.message)));
    addEventListener("unhandledrejection", (event) => window.errors.push(String(event.reason)));
    const own = history.replaceState.bind(history);
    history.replaceState = (...all) => { window.written.push(performance.now()); return own(...all); };
}"""


@pytest.fixture(scope="module", params=["firefox", "webkit"])
def driver(request):
    if not has(request.param):
        pytest.skip(f"no {request.param} with its driver here")
    with driven(request.param) as driver:
        yield driver


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("engines")
    write_run(root / "alpha", film_of(12, wrong=(1,)), inputs_of())
    write_run(root / "beta", film_of(12, seed=1), inputs_of())
    return root


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export_html(runs, folder / "film.html")
    (folder / "narrow.html").write_text('<iframe src="film.html" width="390" height="844" style="border: 0"></iframe>')
    return folder


def test_the_exported_page_is_painted_as_rendering_draws_it(driver, runs, exported):
    run = next(each for each in read_frames(runs) if each.name == "alpha")
    driver.open(f"file://{exported}/film.html#p.lightning_vis.steps=70")
    driver.run(WATCH)
    driver.until(ALL_ARE, "shown")
    assert len(driver.run(STATES)) == 8
    width, height, data = driver.run(PIXELS, [".picture canvas", 2])
    shown = unpacked(data).reshape(height, width, 4)[..., :3].astype(int)
    flat = np.broadcast_to(run.inputs.pictures[2][16, 16], shown.shape)
    assert np.abs(shown - drawn(flat, run.frames[7].maps["evidence"], 2)).max() <= 4
    for key, page in (("2", ".film"), ("4", ".sheets"), ("3", ".sheets"), ("1", ".compare")):
        driver.press(key)
        driver.until("page => Boolean(document.querySelector(`main > ${page}`))", page)
    assert driver.run("() => window.errors") == []


def test_three_hundred_looks_are_played_to_the_end_and_the_address_is_written_once_a_second(driver, tmp_path):
    write_run(tmp_path / "long", film_of(LONG, count=2), inputs_of(2))
    export_html(tmp_path / "long", tmp_path / "film.html")
    driver.open(f"file://{tmp_path}/film.html#p.lightning_vis.speed=every")
    driver.until(ALL_ARE, "shown")
    driver.run(WATCH)
    driver.press("Home")
    driver.press("Space")
    driver.until("() => document.querySelector('.play').getAttribute('aria-label') === 'pause'")
    driver.until("() => document.querySelector('.play').getAttribute('aria-label') === 'play'", seconds=400)
    assert driver.run("() => document.querySelector('footer .when').textContent") == f"epoch {LONG - 1}"
    driver.until(ALL_ARE, "shown")
    written = np.array(driver.run("() => window.written"))
    assert len(written) > 5
    assert np.diff(written).min() >= SECOND
    assert driver.run("() => window.errors") == []


def test_a_window_of_390_pixels_has_room_for_all(driver, exported):
    driver.open(f"file://{exported}/narrow.html")
    driver.into_frame()
    driver.until(ALL_ARE, "shown")
    assert driver.run("() => innerWidth") == 390
    for key in "12":
        driver.press(key)
        driver.until("() => document.querySelector('main > [aria-busy=false]') !== null")
        assert driver.run("() => document.documentElement.scrollWidth") <= 390
        assert [driver.run(BOXES, region) for region in ("header", "main", "footer")] == [[], [], []]


@contextlib.contextmanager
def line_to(address):
    """A line to a server which pictures do not get through while `line.refuses`."""

    class Line(BaseHTTPRequestHandler):
        def do_GET(self):
            refused = self.server.refuses and "/blobs?" in self.path
            status, headers, body = (503, {}, b"") if refused else ask(address + self.path)
            self.send_response(status)
            for name in ("Content-Type", "Content-Security-Policy"):
                if headers.get(name):
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Line)
    server.refuses = False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_picture_that_fails_is_said_and_comes_when_it_can_be_had(driver, runs):
    with tensorboard(runs) as address, line_to(address) as (line, way):
        for run in ("alpha", "beta"):
            wait_for_looks(address, run, 12)
        driver.open(f"{way}/data/plugin_entry.html?name=lightning_vis")
        driver.run(WATCH)
        driver.until(ALL_ARE, "shown")
        line.refuses = True
        driver.press("Home")
        driver.until(ALL_ARE, "failed")
        said = driver.run("() => [...document.querySelectorAll('.picture .state')].map(each => each.textContent)")
        assert set(said) == {"could not be had"}
        driver.press("End")
        driver.until(ALL_ARE, "shown")
        driver.press("Home")
        line.refuses = False
        driver.until(ALL_ARE, "shown")
        assert driver.run("() => document.querySelector('footer .when').textContent") == "start"
        assert driver.run("() => window.errors") == []


WITHIN = """state => {
    const page = document.querySelector("iframe")?.contentDocument; // of this origin: WebKit's driver does not get into frames
    const all = page ? [...page.querySelectorAll(".picture canvas")] : [];
    return all.length === 8 && all.every(each => each.dataset.state === state) && page.querySelector("footer .when").textContent;
}"""


def test_inside_of_tensorboard_the_tab_is_painted(driver, runs):
    with tensorboard(runs) as address:
        for run in ("alpha", "beta"):
            wait_for_looks(address, run, 12)
        driver.open(f"{address}/#lightning_vis")
        driver.until(WITHIN, "shown")
        assert driver.run(WITHIN, "shown") == "epoch 11"
