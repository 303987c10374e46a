"""The server side: what a friendly and a hostile client get from a real TensorBoard."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
import subprocess
import sys
import urllib.parse
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tab_runs import film_of, frame_of, inputs_of, write_run
from tab_server import PLUGIN, ask, ask_json, looks_in, tensorboard, wait_for, wait_for_looks
from torch.utils.tensorboard import SummaryWriter
from werkzeug.test import Client

from lightning_vis import constants
from lightning_vis.events.decode import page_filters
from lightning_vis.events.frame_writer import FrameWriter
from lightning_vis.frames import Filter
from lightning_vis.tab.answers import key_of, parse_key
from lightning_vis.tab.plugin import ASSETS, STATIC, LightningVisPlugin


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    root = tmp_path_factory.mktemp("logs")
    write_run(root / "one", film_of(12), inputs_of())
    write_run(root / "two", film_of(5, seed=1), inputs_of())
    writer = SummaryWriter(root / "others")
    writer.add_image("secret", inputs_of().pictures[0], dataformats="HWC")
    writer.add_image("lightning_vis/secret picture", inputs_of().pictures[0], dataformats="HWC")
    writer.add_text("lightning_vis/secret", "words")
    writer.close()
    return root


@pytest.fixture(scope="module", params=["fast loader", "--load_fast=false"])
def server(request, logdir):
    flags = [request.param] if request.param.startswith("--") else []
    with tensorboard(logdir, *flags) as address:
        wait_for_looks(address, "one", 12)
        wait_for_looks(address, "two", 5)
        yield address


def get(server, path, **query):
    return ask(f"{server}{PLUGIN}/{path}?{urllib.parse.urlencode(query)}")


def key_in(server, run="one", part="maps/evidence"):
    stream = next(each for each in ask_json(server, "data", run=run)["streams"] if each["kind"] == "frames")
    kind, _, name = part.partition("/")
    if kind == "facts":
        return stream["looks"][0]["key"]
    return (stream["looks"][0][kind][name] if name else stream[kind])["key"]


def test_runs_come_with_the_constants_of_the_drawing(server):
    found = ask_json(server, "runs")
    assert [each["run"] for each in found["runs"]] == ["one", "two"]
    assert found["constants"]["inferno"] == list(constants.INFERNO)
    assert (found["constants"]["dim"], found["constants"]["opaque"]) == (constants.DIM, constants.OPAQUE)


def test_data_hold_every_look_and_only_what_is_new_since(server):
    found = ask_json(server, "data", run="one")
    stream = next(each for each in found["streams"] if each["kind"] == "frames")
    assert [look["steps"] for look in stream["looks"]] == stream["places"] == [10 * at for at in range(12)]
    assert stream["looks"][3]["numbers"]["attribution/evidence/lift"] == pytest.approx(1.75)
    nothing_new = ask_json(server, "data", run="one", since=found["newest"] + 61)
    assert looks_in(nothing_new) == []
    assert [each["places"] for each in nothing_new["streams"]] == [each["places"] for each in found["streams"]]
    assert looks_in(ask_json(server, "data", run="one", since=found["newest"])) == looks_in(found)
    known = ask_json(server, "data", run="one", since=found["newest"], known=",".join(found["recent"]))
    assert looks_in(known) == []
    assert known["recent"] == found["recent"]
    assert looks_in(ask_json(server, "data", run="one", since=found["newest"], known=found["recent"][0])) == looks_in(found)[1:]


def test_new_looks_arrive(tmp_path):
    writer = SummaryWriter(tmp_path / "live")
    store = FrameWriter([writer])
    store.add(frame_of(0), inputs_of())
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "live", 1)
        newest = ask_json(address, "data", run="live")["newest"]
        store.add(frame_of(10), inputs_of())
        wait_for_looks(address, "live", 2)
        found = ask_json(address, "data", run="live", since=newest)
        assert found["newest"] > newest
        assert 10 in {look["steps"] for look in looks_in(found)}
    writer.close()


def blobs(server, *keys):
    """Status, headers, and for each key its picture or why it cannot be had."""
    status, headers, body = ask(f"{server}{PLUGIN}/blobs?{urllib.parse.urlencode([('key', key) for key in keys])}")
    assert status == 200, body
    (length,) = struct.unpack_from("<I", body)
    at, found = 4 + length, []
    for told in json.loads(body[4:at]):
        size = told if isinstance(told, int) else 0
        found.append(body[at : at + size] if size else told)
        at += size
    assert at == len(body)
    return headers, found


def test_pictures_are_served_by_their_keys_in_one_answer(server):
    keys = [key_in(server, run, part) for run, part in (("one", "maps/evidence"), ("two", "inputs"), ("two", "maps/evidence"))]
    headers, found = blobs(server, *keys)
    assert [each[:3] for each in found] == [b"\x89PN", b"\xff\xd8\xff", b"\x89PN"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "max-age" in headers["Cache-Control"]
    assert [blobs(server, key)[1] for key in reversed(keys)] == [[each] for each in reversed(found)]


def test_answers_are_zipped_for_those_who_take_it(server):
    status, headers, body = ask(f"{server}{PLUGIN}/data?run=one", headers={"Accept-Encoding": "gzip"})
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert json.loads(gzip.decompress(body))["run"] == "one"
    plain = ask(f"{server}{PLUGIN}/data?run=one")[2]
    assert len(body) < len(plain) / 4


NUMBERS = st.floats(width=32)


@given(st.lists(st.builds(Filter, st.text(), NUMBERS, NUMBERS, st.booleans(), st.sampled_from(("channel", "class")))))
@example([Filter("a reaches 1; the best probe image 2", 1.0, 2.0, dead, "class") for dead in (False, True)])
@example([Filter("a: dead (b", 2.0, 1.0, dead) for dead in (False, True)])
def test_what_filters_are_called_and_how_they_are_is_read_from_their_captions(found):
    read = page_filters({"captions": [each.caption for each in found]})
    assert read["names"] == [each.name for each in found]
    assert read["dead"] == [at for at, each in enumerate(found) if each.dead]
    assert read["prefers_probe"] == [at for at, each in enumerate(found) if each.prefers_probe and not each.dead]


def test_scalars_of_the_training(server):
    assert ask_json(server, "scalars", run="one") == {"tags": ["val/accuracy"]}
    points = ask_json(server, "scalar", run="one", tag="val/accuracy")["points"]
    assert [step for step, _ in points] == [10 * at - 1 for at in range(12)]
    assert ask_json(server, "scalars", run="missing") == {"tags": []}


def test_assets_are_those_of_a_table_and_page_and_table_agree(server):
    assert sorted(ASSETS) == sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.*"))
    for name, kind in ASSETS.items():
        status, headers, body = ask(f"{server}{PLUGIN}/static/{name}")
        assert (status, headers["Content-Type"].split(";")[0]) == (200, kind)
        assert body == (STATIC / name).read_bytes()


def test_a_running_server_goes_on_with_the_files_of_its_start(monkeypatch):
    """An upgrade of the package below it brings pages that ask for what it does not have."""
    apps = LightningVisPlugin(SimpleNamespace(data_provider=None)).get_plugin_apps()
    before = (STATIC / "index.js").read_bytes()
    monkeypatch.setattr(Path, "read_bytes", lambda _: b"another version")
    answer = Client(apps["/static/index.js"]).get("/")
    assert (answer.status_code, answer.data) == (200, before)


def test_a_server_that_is_ending_says_so_in_place_of_pictures():
    """A page that is open goes on asking, and what is written to the log last would be a traceback of ours."""
    found = SimpleNamespace(read_blob_sequences=lambda *_, **__: {})
    plugin = LightningVisPlugin(SimpleNamespace(data_provider=found))
    blobs = plugin.get_plugin_apps()["/blobs"]
    key = key_of("one", "lightning_vis/x", 0)
    assert b"TensorBoard has no picture of it" in Client(blobs).get("/", query_string={"key": key}).data
    plugin._readers.shutdown()
    assert b"TensorBoard is ending" in Client(blobs).get("/", query_string={"key": key}).data


def test_a_picture_that_cannot_be_read_takes_no_other_of_its_answer_along():
    def read_blob(_, blob_key):
        return b"\x89PNG\r\n\x1a\n" if blob_key == "good" else 1 / 0

    def series(key):
        return [SimpleNamespace(values=[SimpleNamespace(blob_key=key)])]

    found = {"one": {"lightning_vis/x": series("good")}, "two": {"lightning_vis/x": series("bad")}}
    provider = SimpleNamespace(read_blob_sequences=lambda *_, **__: found, read_blob=read_blob)
    blobs = LightningVisPlugin(SimpleNamespace(data_provider=provider)).get_plugin_apps()["/blobs"]
    keys = [key_of(run, "lightning_vis/x", 0) for run in found]
    answer = Client(blobs).get("/", query_string={"key": keys})
    assert answer.status_code == 200
    assert json.loads(answer.data[4:-8]) == [8, "it could not be read; TensorBoard's log says why"]
    assert answer.data.endswith(b"\x89PNG\r\n\x1a\n")


def test_keys_of_nothing_ours_read_nothing():
    asked = []
    provider = SimpleNamespace(read_blob_sequences=lambda *_, **about: asked.append(about))
    blobs = LightningVisPlugin(SimpleNamespace(data_provider=provider)).get_plugin_apps()["/blobs"]
    assert b"this is not a key of ours" in Client(blobs).get("/", query_string={"key": "a"}).data
    assert asked == []


def test_the_page_finds_its_module_whether_its_base_is_heeded_or_not(server):
    page = ask(f"{server}/data/plugin_entry.html?name=lightning_vis")[2].decode()
    base, path = re.search('<base href="(.*?)"', page)[1], re.search(r'import\("(.*?)"\)', page)[1]
    for origin in (f"{server}/data/plugin_entry.html", urllib.parse.urljoin(f"{server}/data/plugin_entry.html", base)):
        assert ask(urllib.parse.urljoin(origin, path))[2] == (STATIC / "index.js").read_bytes()


def test_the_tab_is_announced_and_is_active_where_there_are_frames(server):
    listed = json.loads(ask(f"{server}/data/plugins_listing")[2])
    assert listed["lightning_vis"]["enabled"]
    assert listed["lightning_vis"]["tab_name"] == "Lightning Vis"


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


HOSTILE = {
    "no run": ("data", {}),
    "two runs": ("data?run=one&run=two", None),
    "a missing run": ("data", {"run": "missing"}),
    "a run without frames": ("data", {"run": "others"}),
    "a path as a run": ("data", {"run": "../../../etc"}),
    "a zero byte": ("data", {"run": "one\0"}),
    "words as a time": ("data", {"run": "one", "since": "yesterday"}),
    "no number as a time": ("data", {"run": "one", "since": "nan"}),
    "no end of time": ("data", {"run": "one", "since": "-inf"}),
    "a very long number": ("data", {"run": "one", "since": "9" * 5000}),
    "no key": ("blobs", {}),
    "very many keys": ("blobs?" + "&".join(["key=a"] * 33), None),
    "facts of another plugin under our name": ("part", {"key": key_of("others", "lightning_vis/secret", 0)}),
    "a scalar without a tag": ("scalar", {"run": "one"}),
    "a missing scalar": ("scalar", {"run": "one", "tag": "missing"}),
    "a scalar of a missing run": ("scalar", {"run": "missing", "tag": "val/accuracy"}),
    "a file above": ("static/../plugin.py", None),
    "a file above, encoded": ("static/%2e%2e%2fplugin.py", None),
    "a file that is not in the table": ("static/index.html", None),
    "a folder": ("static/", None),
}


KEYS = {
    "a key without a bottom": base64.urlsafe_b64encode(b"[" * 3000).decode(),
    "words as a key": "../../../../etc/passwd",
    "a key that is no text": "ÿÿÿ",
    "a key of numbers": encoded([1, 2, 3]),
    "a key that is too short": encoded(["one"]),
    "a key that is an object": encoded({"run": "one"}),
    "a key of a missing run": key_of("missing", "lightning_vis/x", 0),
    "a key of a missing tag": key_of("one", "lightning_vis/x", 0),
    "a picture of another plugin": key_of("others", "secret", 0),
    "a picture of another plugin under our name": key_of("others", "lightning_vis/secret picture", 0),
    "a text of another plugin under our name": key_of("others", "lightning_vis/secret", 0),
    "a tag without end": key_of("one", "lightning_vis/" + "x" * 9000, 0),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_is_none_is_refused_and_takes_no_other_along(server, name):
    good = key_in(server)
    headers, (picture, refused, again) = blobs(server, good, KEYS[name], good)
    assert picture == again
    assert picture.startswith(b"\x89PNG")
    assert refused in ("this is not a key of ours", "TensorBoard has no picture of it")
    assert "max-age" not in headers["Cache-Control"]  # what could not be had is asked for again


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests_are_refused(server, name):
    path, query = HOSTILE[name]
    status, _, body = ask(f"{server}{PLUGIN}/{path}") if query is None else get(server, path, **query)
    assert 400 <= status < 500, body
    assert b"Traceback" not in body
    assert b"root:" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(server, method):
    assert ask(f"{server}{PLUGIN}/runs", method=method)[0] == 405


def test_a_key_says_where_and_only_ours_are_read():
    assert parse_key(key_of("a/b ü", "lightning_vis/1/probe", 12.5)) == ("a/b ü", "lightning_vis/1/probe")
    with pytest.raises(ValueError, match="not a key of ours"):
        parse_key(key_of("a", "images/1", 0))


def test_facts_without_a_picture_are_no_picture(server):
    assert blobs(server, key_in(server, part="facts"))[1] == ["TensorBoard has no picture of it"]
    assert json.loads(get(server, "part", key=key_in(server, part="facts"))[2])["part"] == "facts"


def test_foreign_content_under_our_name_harms_nobody(tmp_path):
    """Somebody else's summaries under our plugin name, of a later version or no JSON at all, are passed over."""
    from tensorboard.compat.proto import summary_pb2

    folder = write_run(tmp_path / "run", film_of(2), inputs_of())
    writer = SummaryWriter(folder, filename_suffix=".more")
    for tag, content in (
        ("words", b"\xff{"),
        ("list", b"[]"),
        ("later", b'{"format": 99, "part": "facts", "fit": "1", "probe": "probe", "stream": "frames", "steps": 0}'),
        ("nowhere", b'{"format": 1, "part": "facts", "steps": 0}'),
        ("odd", b'{"format": 1, "part": "facts", "fit": "1", "probe": "probe", "stream": "frames", "steps": "many"}'),
        ("deep", b'{"a":' * 3000),
    ):
        value = summary_pb2.Summary.Value(tag=f"lightning_vis/{tag}", simple_value=1.0)
        value.metadata.plugin_data.plugin_name = "lightning_vis"
        value.metadata.plugin_data.content = content
        value.metadata.data_class = summary_pb2.DATA_CLASS_BLOB_SEQUENCE
        writer._get_file_writer().add_summary(summary_pb2.Summary(value=[value]), 0)
    writer.close()
    with tensorboard(tmp_path) as address:
        wait_for_looks(address, "run", 2)
        (stream,) = ask_json(address, "data", run="run")["streams"]
        assert stream["inputs"]["count"] == len(stream["looks"][0]["predicted"])


def test_it_loads_neither_torch_nor_lightning_nor_anything_else_that_is_heavy():
    script = (
        "import sys; import lightning_vis.tab.plugin;"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'pytorch_lightning', 'lightning',"
        " 'matplotlib', 'PIL', 'tensorflow', 'captum'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_error_inside_is_an_answer_and_no_end(tmp_path):
    """A plugin that fails in every call still lets TensorBoard serve everything else."""
    (tmp_path / "broken_plugin.py").write_text(
        "import lightning_vis.tab.answers as answers\n"
        "def fail(*_):\n    raise RuntimeError('broken')\n"
        "answers.runs = answers.looks = answers.parse_key = fail\n"
    )
    write_run(tmp_path / "logs" / "run", film_of(2), inputs_of())
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import broken_plugin;"
    script += "from tensorboard.main import run_main; run_main()"
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    arguments = ["--logdir", str(tmp_path / "logs"), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: ask(address + "/data/plugins_listing")[0] == 200, "TensorBoard does not answer")
        status, _, body = ask(f"{address}{PLUGIN}/runs")
        assert (status, json.loads(body)) == (
            500,
            {"error": "Lightning Vis could not answer; TensorBoard's log says why"},
        )
        assert ask(f"{address}/data/runs")[0] == 200
    finally:
        process.terminate()
        _, log = process.communicate(timeout=30)
    assert b"Lightning Vis could not answer" in log
