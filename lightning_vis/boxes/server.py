"""The page of boxes on 127.0.0.1: fixed addresses, answered to this machine alone."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

from lightning_vis.boxes.page import BoxPage
from lightning_vis.boxes.pool_file import read_pools

HOST = "127.0.0.1"
STATIC = Path(__file__).parent / "static"
KINDS = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript"}
ASSETS = {path.name: KINDS[path.suffix] for path in sorted(STATIC.glob("*.*")) if path.suffix in KINDS}
"""All that is ever read from the disk, listed once: no address decides on a path."""
LARGEST = 1_000_000
"""Bytes of what is saved at a time, at most."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def served(logdir: str, output: str, port: int, inform: Callable[[str], object]) -> str:
    """Serves the page until Ctrl-C, and returns what is to be said then.

    Args:
        logdir: a run's folder, or one with runs in it.
        output: the file of boxes.
        port: to listen on; 0 for a free one.
        inform: is told where the page is, and what could not be read.

    Raises:
        ValueError: there is nothing to draw boxes on, the file is none of boxes, or the port is taken; one sentence.
    """
    pools, damage = read_pools(logdir)
    page = BoxPage(pools, Path(output))
    for sentence in damage:
        inform(sentence)
    with _server(page, port) as server:
        inform(f"open http://{HOST}:{server.server_address[1]}/ in a browser; Ctrl-C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return said(page)


def said(page: BoxPage) -> str:
    """What was saved, and who reads it."""
    if not page.path.exists():
        return "no box was drawn, and no file written"
    known = {key for pool in page.pools for key in pool.keys}
    count = len(known & page.boxes().keys())
    return f"{page.path}: boxes of {count} of {len(known)} images; ProbeCallback(boxes={str(page.path)!r}) reads them"


class _Server(ThreadingTCPServer):  # the one of http.server asks the network for a name first
    allow_reuse_address, daemon_threads = os.name != "nt", True  # an answer on its way holds nobody up

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a browser that has gone away in the middle of an answer."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _server(page: BoxPage, port: int) -> _Server:
    try:
        return _Server((HOST, port), partial(_Handler, page))
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"--port {port}: nothing can be served there ({why}); --port 0 takes a free one") from error


class _Handler(BaseHTTPRequestHandler):
    """Answers one request.

    Args:
        page: what is asked of.
        arguments: of the server.
    """

    server_version, sys_version = "lightning_vis", ""

    def __init__(self, page: BoxPage, *arguments: Any) -> None:
        self._page = page
        super().__init__(*arguments)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing: a terminal that scrolls hides the address."""

    def do_GET(self) -> None:
        """The page, its images and its boxes."""
        self._guarded(self._got)

    def do_PUT(self) -> None:
        """Boxes that are to be saved."""
        self._guarded(self._saved)

    def _guarded(self, answer: Callable[[str], None]) -> None:
        """Answers, or says in one line why not; other sites and other machines get nothing."""
        try:
            if not self._is_ours():
                return self._refuse(403, "this page is for the machine that serves it")
            return answer(urlsplit(self.path).path.strip("/"))
        except ConnectionError:  # nobody listens any more
            self.close_connection = True
        except (ValueError, TypeError, LookupError) as error:
            self._refuse(400, str(error))
        except OSError as error:
            self._refuse(500, f"{self._page.path}: {error.strerror or error}")
        return None

    def _is_ours(self) -> bool:
        """Whether it was asked for by this machine's name, and by no page of another site."""
        names = (HOST, "localhost")
        hosts = [urlsplit(f"//{self.headers.get('Host', '')}"), *map(urlsplit, self.headers.get_all("Origin", []))]
        return all(each.hostname in names for each in hosts) and len({each.netloc for each in hosts}) == 1

    def _got(self, path: str) -> None:
        name, _, at = path.rpartition("/")
        pools = self._page.pools
        if (path or "index.html") in ASSETS:
            asset = path or "index.html"
            return self._send((STATIC / asset).read_bytes(), ASSETS[asset])
        if path == "images":
            return self._say(200, self._page.facts())
        if path == "alive":
            return self._say(200, {})
        if name in ("pictures", "cuts") and at.isdecimal() and int(at) < len(pools):
            pool = pools[int(at)]
            return self._send(*((pool.pictures, "image/jpeg") if name == "pictures" else (pool.cuts, "image/png")))
        return self._refuse(404, "there is nothing under this address")

    def _saved(self, path: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if path != "boxes" or not 0 < length <= LARGEST:
            return self._refuse(404 if path != "boxes" else 413, "boxes are saved under /boxes, at most 1 MB at a time")
        return self._say(200, {"count": self._page.save(dict(json.loads(self.rfile.read(length))["boxes"]))})

    def _refuse(self, status: int, reason: str) -> None:
        self.close_connection = True  # what was sent along is not read
        self._say(status, {"error": reason[:300]})

    def _say(self, status: int, content: dict[str, Any]) -> None:
        self._send(json.dumps(content).encode(), "application/json", status)

    def _send(self, data: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
