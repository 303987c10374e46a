"""One part that is malformed takes no other along: neither where a run is read, nor where the page is answered."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tab_runs import film_of, inputs_of, with_twins
from torch.utils.tensorboard import SummaryWriter

from lightning_vis.events.decode import page_streams
from lightning_vis.events.frame_reader import StoredRun, read_runs, whole_run
from lightning_vis.events.frame_writer import FrameWriter
from lightning_vis.events.part import part_of
from lightning_vis.tab.answers import dumped
from tests.events.test_format import filters

JUNK = [None, "x", [], [None], {}, {"a": 1}, True, -1, 10**400, "1e999", [10**400]]
PARTS = ["inputs", "masks", "twins", "facts", "maps/evidence", "pictures/filters/conv1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage") / "run"
    writer = SummaryWriter(folder)
    store, other = FrameWriter([writer]), FrameWriter([writer])
    for frame in with_twins(film_of(3)):
        store.add(frame, inputs_of(twins=True))
    other.add(filters(), None)
    writer.close()
    (found,) = read_runs(folder.parent)
    return found


def contents(facts):
    """The facts with each of them replaced by each kind of junk, or left out, as metadata."""
    for name in facts:
        yield name, "missing", json.dumps({key: value for key, value in facts.items() if key != name})
        for junk in [each for each in JUNK if (name, each) != ("fit", "x")]:  # a later fit: it replaces what it repeats
            yield name, junk, json.dumps({**facts, name: junk}).replace('"1e999"', "1e999")


def changed(run, at, part):
    return [*run.parts[:at], *([] if part is None else [part]), *run.parts[at + 1 :]]


@pytest.mark.parametrize("name", PARTS)
def test_whatever_is_wrong_with_a_part_the_others_are_read_and_answered(run, name):
    at = next(at for at, part in enumerate(run.parts) if part.name == name and part.facts.get("steps", 10) == 10)
    for fact, junk, content in contents(dict(run.parts[at].facts)):
        parts = changed(run, at, part_of(content.encode(), run.parts[at].picture))
        found = whole_run(StoredRun("run", parts))
        steps = [frame.finished_steps for frame in found.frames]
        assert {0, 20} <= set(steps), (fact, junk)
        assert all(frame.maps.keys() >= {"grad_cam", "saliency"} for frame in found.frames if frame.finished_steps in (0, 20))
        keyed = [replace(part, facts={**part.facts, "key": str(at)}) for at, part in enumerate(parts)]
        streams = page_streams(keyed)
        json.loads(dumped({"streams": streams}))
        places = {place for stream in streams for place in stream["places"]}
        assert {0, 20} <= places, (fact, junk)


@pytest.mark.parametrize("picture", [b"", b"x", b"\x89PNG\r\n\x1a\n"])
@pytest.mark.parametrize("name", [name for name in PARTS if name != "facts"])
def test_a_picture_that_is_none_is_said_and_the_rest_is_read(run, name, picture):
    at = next(at for at, part in enumerate(run.parts) if part.name == name and part.facts.get("steps", 10) == 10)
    found = whole_run(StoredRun("run", changed(run, at, replace(run.parts[at], picture=picture))))
    assert [frame.finished_steps for frame in found.frames] == [0, 10, 20]
    assert any(name in sentence for sentence in found.damage)


def test_numbers_that_are_none_for_json_are_unknown():
    facts = '{"format": 1, "part": "facts", "fit": "1", "probe": "p", "stream": "frames", "a": NaN, "b": -Infinity, "c": 1e999, "d": 0.5}'
    found = part_of(facts.encode())
    assert [found.facts[name] for name in "abcd"] == [None, None, None, 0.5]
