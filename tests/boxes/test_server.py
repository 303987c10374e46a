"""The server of boxes: what it answers, whom it refuses, what it saves, how it ends."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from lightning_vis.boxes.box_file import read_boxes, write_boxes
from lightning_vis.boxes.page import BoxPage
from lightning_vis.boxes.pool_file import leave_pool
from lightning_vis.boxes.server import _server
from lightning_vis.cli import main
from tests.boxes.test_pool_file import pool


@contextlib.contextmanager
def serving(path, pools=None):
    with _server(BoxPage(pools or [pool()], path), 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def ask(address, boxes=None, data=None, **headers):
    """Status and body of an answer, or of a refusal."""
    data = json.dumps({"boxes": boxes}).encode() if boxes is not None else data
    request = urllib.request.Request(address, data, headers, method="GET" if data is None else "PUT")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_images_boxes_and_pictures_are_served_and_nothing_else(tmp_path):
    write_boxes(tmp_path / "b.json", {"key1": (0, 0, 0.5, 0.5), "of other data": (0, 0, 1, 1)})
    with serving(tmp_path / "b.json", [pool(2), pool(3)]) as address:
        facts = json.loads(ask(f"{address}/images")[1])
        assert [(each["key"], each["pool"], each["place"]) for each in facts["images"]] == [
            ("key0", 0, 0),
            ("key1", 0, 1),
            ("key2", 1, 2),
        ]
        assert [each["box"] for each in facts["images"]] == [None, [0, 0, 0.5, 0.5], None]
        assert facts["images"][0]["cut"] == [0, 0.25, 0.5, 1]
        assert ask(f"{address}/pictures/1")[1][:2] == b"\xff\xd8"
        assert ask(f"{address}/cuts/0")[1][:4] == b"\x89PNG"
        for asset in ("", "index.html", "index.js", "style.css"):
            assert ask(f"{address}/{asset}")[0] == 200
        for path in ("pictures/2", "pictures/-1", "server.py", "../server.py", "%2e%2e/server.py", "b.json", "static/index.js"):
            assert ask(f"{address}/{path}")[0] == 404


def test_what_is_saved_stands_in_the_file_beside_what_was_there(tmp_path):
    write_boxes(tmp_path / "b.json", {"of other data": (0, 0, 1, 1)})
    with serving(tmp_path / "b.json") as address:
        assert ask(f"{address}/boxes", {"key0": [0.1, 0.2, 0.3, 0.4], "key1": [0, 0, 1, 1]}) == (200, b'{"count": 2}')
        assert ask(f"{address}/boxes", {"key1": None, "key2": None}) == (200, b'{"count": 1}')
    assert read_boxes(tmp_path / "b.json") == {"of other data": (0, 0, 1, 1), "key0": (0.1, 0.2, 0.3, 0.4)}
    assert [each.name for each in tmp_path.iterdir()] == ["b.json"]


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ({"key0": [0.5, 0, 0.2, 1]}, "the box of key0 is [0.5, 0.0, 0.2, 1.0]: expected left < right"),
        ({"key0": [0, 0, 1, 1], "key1": "all"}, "the box of key1 is ['all']"),
        ({"nobody": [0, 0, 1, 1]}, "there is no image 'nobody' here"),
        ([], None),
        ("no", "dictionary"),
    ],
)
def test_what_is_no_box_is_refused_and_nothing_of_it_saved(tmp_path, boxes, reason):
    with serving(tmp_path / "b.json") as address:
        status, body = ask(f"{address}/boxes", boxes)
        assert status == (200 if reason is None else 400)
        assert reason is None or reason in json.loads(body)["error"]
        assert ask(f"{address}/boxes", data=b"{")[0] == 400
        assert ask(f"{address}/boxes", data=b"")[0] == 413
        assert ask(f"{address}/images", {})[0] == 404
    assert not read_boxes(tmp_path / "b.json") if reason is None else not (tmp_path / "b.json").exists()


def test_other_sites_and_other_names_get_nothing(tmp_path):
    with serving(tmp_path / "b.json") as address:
        port = address.rpartition(":")[2]
        own = f"127.0.0.1:{port}"
        assert ask(f"{address}/images", Host="evil.example")[0] == 403
        assert ask(f"{address}/images", Host="[")[0] in (400, 403)
        assert ask(f"{address}/boxes", {"key0": [0, 0, 1, 1]}, Host=own, Origin="http://evil.example")[0] == 403
        assert ask(f"{address}/boxes", {"key0": [0, 0, 1, 1]}, Host=own, Origin="http://127.0.0.1:1")[0] == 403
        assert (
            ask(f"{address}/boxes", {"key0": [0, 0, 1, 1]}, Host="localhost:99", Origin="http://localhost:99")[0] == 200
        )  # a tunnel


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    with serving(folder / "b.json") as address:
        folder.rmdir()
        status, body = ask(f"{address}/boxes", {"key0": [0, 0, 1, 1]})
    assert status == 500
    assert json.loads(body)["error"].endswith("gone/b.json: No such file or directory")


def test_the_command_ends_with_ctrl_c_and_says_what_it_saved(tmp_path):
    leave_pool(str(tmp_path), pool())
    command = [sys.executable, "-m", "lightning_vis", "boxes", str(tmp_path), "-o", "b.json"]
    # where tests run in the background a shell has them ignore Ctrl-C, and what they start with them
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heard) as process:
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())[0]
        ask(f"{address}/boxes", {"key0": [0, 0, 1, 1]})
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert said == "b.json: boxes of 1 of 3 images; ProbeCallback(boxes='b.json') reads them\n"


def refused(capsys, *words):
    assert main(["boxes", *map(str, words)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_cannot_be_served_is_one_sentence(tmp_path, capsys):
    run, other = tmp_path / "run", tmp_path / "other.json"
    leave_pool(str(run), pool())
    other.write_text("{}")
    (tmp_path / "link.json").symlink_to(other)
    assert "there is no folder" in refused(capsys, tmp_path / "nowhere")
    assert "it is no file of boxes" in refused(capsys, run, "-o", other)
    assert "/none' to save boxes in" in refused(capsys, run, "-o", tmp_path / "none" / "b.json")
    assert "the file cannot be read (Is a directory)" in refused(capsys, run, "-o", run)
    assert f"is a symbolic link: name the file that it leads to, -o {other}" in refused(
        capsys, run, "-o", tmp_path / "link.json"
    )
    with serving(tmp_path / "b.json") as address:
        port = address.rpartition(":")[2]
        assert re.search(
            rf"--port {port}: nothing can be served there .*; --port 0 takes", refused(capsys, run, "--port", port)
        )
    assert "--port 70000: nothing can be served there" in refused(capsys, run, "--port", 70000)
    assert other.read_text() == "{}"


def test_before_a_box_is_drawn_there_is_no_file(tmp_path, monkeypatch, capsys):
    leave_pool(str(tmp_path), pool())
    monkeypatch.setattr(
        "lightning_vis.boxes.server._Server.serve_forever", lambda self: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    assert main(["boxes", str(tmp_path), "-o", str(tmp_path / "b.json")]) == 0
    assert capsys.readouterr().out == "no box was drawn, and no file written\n"
    assert not (tmp_path / "b.json").exists()
