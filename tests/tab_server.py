"""A real TensorBoard on a free port, and what it takes to ask it."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

PLUGIN = "/data/plugin/lightning_vis"


@contextlib.contextmanager
def tensorboard(logdir, *flags, prefix="", python=sys.executable):
    """Serves a folder; gives the address and ends the server by its process id."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [python, "-m", "tensorboard.main", "--logdir", str(logdir), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--reload_interval", "1", *flags, *(["--path_prefix", prefix] if prefix else [])]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    address = f"http://127.0.0.1:{port}{prefix}"
    try:
        wait_for(lambda: ask(address + "/data/plugins_listing")[0] == 200, "TensorBoard does not answer")
        yield address
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
        assert b"Traceback" not in errors, errors.decode()


def ask(address, method="GET", headers=None):
    """Status, headers and body of an answer, of a refusal too; status 0 where nobody listens yet."""
    request = urllib.request.Request(address, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()
    except OSError:
        return 0, {}, b""


def ask_json(address, path, **query):
    """What the plugin answers under a path, which must be an answer and no refusal."""
    status, _, body = ask(f"{address}{PLUGIN}/{path}?{urllib.parse.urlencode(query)}")
    assert status == 200, body
    return json.loads(body)


def wait_for(is_there, message, seconds=90):
    """Waits until something is there; the time is generous, for machines that are busy."""
    until = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < until, message
        time.sleep(0.2)


def wait_for_looks(address, run, count):
    """Waits until TensorBoard has read so many looks of a run."""

    def are_there():
        status, _, body = ask(f"{address}{PLUGIN}/data?{urllib.parse.urlencode({'run': run})}")
        return status == 200 and len({at for stream in json.loads(body)["streams"] for at in stream["places"]}) >= count

    wait_for(are_there, f"{run} does not reach {count} looks")


def looks_in(found):
    """All looks of an answer, whatever their stream."""
    return [look for stream in found["streams"] for look in stream["looks"]]
