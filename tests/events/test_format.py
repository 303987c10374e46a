"""What docs/format.md says of parts and addresses is what is stored and answered, fact for fact."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tab_runs import film_of, inputs_of, pictures_of, with_twins, write_run
from tab_server import ask_json, tensorboard, wait_for_looks
from task_frames import film_for, heads_film, inputs_for
from torch.utils.tensorboard import SummaryWriter

from lightning_vis.events.frame_reader import read_runs
from lightning_vis.events.frame_writer import FrameWriter
from lightning_vis.frames import Filter, Frame, Pictures

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text("utf-8")
ADDED = ("task", "explains", "truth")
"""Facts of which each makes an example one of a task."""
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
NAMED = ("numbers", "per_image", "seconds", "maps", "pictures")
"""Objects whose keys are names, of views for instance."""


def shape_of(value, name=""):
    """Which facts there are and of what kind; of lists and of what has names, what their first item is."""
    if isinstance(value, dict) and name in NAMED:
        return [shape_of(each) for each in list(value.values())[:1]]
    if isinstance(value, dict):
        return {key: shape_of(each, key) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return [shape_of(each) for each in value[:1]]
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def filters():
    facts = (Filter("0", 1.5, 0.75), Filter("5", 0.0, 0.0, dead=True))
    pictures = Pictures(pictures_of(2).values, tuple(each.caption for each in facts), facts)
    return Frame(
        "probe", *(film_of(1)[0].predicted[:0],) * 2, pictures={"filters/conv1": pictures}, finished_steps=10, log_step=9
    )


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("format")
    writer = SummaryWriter(folder / "run")
    store, other = FrameWriter([writer]), FrameWriter([writer])  # as two callbacks of one fit
    for frame in with_twins(film_of(2)):
        assert not store.add(replace(frame, seconds={"pass": 0.031}, top=(((0, 0.5), (1, 0.5)),) * 4), inputs_of(twins=True))
        writer.add_scalar("val/accuracy", 0.5, frame.log_step)
    assert not other.add(filters(), None)
    writer.close()
    return folder


@pytest.fixture(scope="module")
def ages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ages")
    write_run(folder / "run", film_for("regression", 2), inputs_for("regression"))
    return folder


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    write_run(folder / "run", heads_film("multiclass", "regression", 2), inputs_for("multiclass"))
    return folder


@pytest.mark.parametrize("example", [each for each in EXAMPLES if "part" in each], ids=lambda example: example["part"])
def test_the_facts_of_a_part_are_those_of_the_example(logdir, ages, heads, example):
    (run,) = read_runs(heads if "heads" in example else ages if set(ADDED) & set(example) else logdir)
    found = next(part for part in run.parts if part.name == example["part"] and part.facts.get("steps", 10) == 10)
    assert shape_of(dict(found.facts)) == shape_of(example)
    if "task" in example:
        assert {name: found.facts[name] for name in ("said", "wrong", "answer", "unit", "per_image", "predicted")} == {
            name: example[name] for name in ("said", "wrong", "answer", "unit", "per_image", "predicted")
        }


def test_what_a_task_adds_reaches_the_page(ages):
    with tensorboard(ages) as address:
        wait_for_looks(address, "run", 2)
        (stream,) = ask_json(address, "data", run="run")["streams"]
    facts, maps, inputs = [each for each in EXAMPLES if set(ADDED) & set(each)]
    look = stream["looks"][1]
    for name in ("task", "unit", "answer", "said", "wrong"):
        assert look[name] == facts[name]
    assert {name: look["maps"]["evidence"][name] for name in ("explains", "unit")} == {
        name: maps[name] for name in ("explains", "unit")
    }
    assert stream["inputs"]["truth"] == inputs["truth"]


def test_of_classes_nothing_is_added(logdir):
    (run,) = read_runs(logdir)
    added = {"task", "unit", "answer", "said", "wrong", "explains", "truth"}
    assert [part.name for part in run.parts if added & set(part.facts)] == []


def test_the_answers_are_those_of_the_examples(logdir):
    runs, data, tags, points = [each for each in EXAMPLES if not {"part", "boxes"} & set(each)]
    with tensorboard(logdir) as address:
        wait_for_looks(address, "run", 2)
        assert shape_of(ask_json(address, "runs")) == shape_of(runs)
        found = ask_json(address, "data", run="run")
        stream, sheets = sorted(found["streams"], key=lambda stream: stream["kind"])
        example = data["streams"][0]
        assert stream["twins"] is not None
        stream = {**stream, "twins": None, "looks": stream["looks"][1:]}
        stream["looks"][0]["pictures"] = sheets["looks"][0]["pictures"]  # the example shows both in one
        assert shape_of({**found, "streams": [stream]}) == shape_of({**data, "streams": [example]})
        assert set(ask_json(address, "scalars", run="run")) == set(tags)
        assert ask_json(address, "part", key=stream["looks"][0]["key"])["part"] == "facts"
    assert set(points) == {"points"}
