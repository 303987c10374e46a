"""How to read the pictures: what a running TensorBoard says about those of a real training, with its default loader."""

from __future__ import annotations

import json
import urllib.parse

import pytest
from tab_server import ask, tensorboard, wait_for
from worlds import Classifier, loader, twin_probe

from lightning_vis import FilterMaximizationCallback, ProbeCallback, SaliencyCallback


def answer(address, path, **query):
    status, _, body = ask(f"{address}/data/plugin/{path}?{urllib.parse.urlencode(query)}")
    assert status == 200, body
    return json.loads(body)


def fit(trainer, callbacks, **arguments):
    made = trainer(callbacks, **({"max_epochs": 1} | arguments))
    made.fit(Classifier(), loader(32, 1.0), loader(16, 0.5))


def filters(**arguments):
    return FilterMaximizationCallback(["net.0"], 2, steps=1, **arguments)


@pytest.mark.filterwarnings("ignore:lightning_vis. the alert is")
def test_every_image_says_how_to_read_it_and_the_run_has_one_note(trainer, tmp_path):
    probe = twin_probe()
    fit(trainer, [ProbeCallback(probe, images=True), SaliencyCallback(probe), filters(probe=probe, weights=True)])
    with tensorboard(tmp_path) as address:
        wait_for(lambda: answer(address, "images/tags").get("run"), "the run is not read")
        tags = answer(address, "images/tags")["run"]
        assert {"probe/0", "film/evidence", "film/evidence, played", "twins", "filters/net.0", "weights/net.0"} <= set(tags)
        assert all(len(facts["description"]) > 100 for facts in tags.values())
        openings = {tag.split("/")[0]: facts["description"].split(".")[0] for tag, facts in tags.items()}
        assert len(set(openings.values())) == len(openings)  # each kind has its own
        assert answer(address, "text/tags") == {"run": ["lightning_vis/text_summary"]}
        notes = answer(address, "text/text", run="run", tag="lightning_vis/text_summary")
    assert [note["step"] for note in notes] == [-1]
    assert "<strong>Evidence</strong>" in notes[0]["text"]
    assert len(notes[0]["text"]) < 1500


@pytest.mark.parametrize(
    ("callback", "count"),
    [(lambda: ProbeCallback(twin_probe(2)), 1), (filters, 1), (lambda: ProbeCallback(images=False), 0)],
    ids=["probe", "filters", "no pictures"],
)
@pytest.mark.filterwarnings("ignore:lightning_vis. the alert is")
def test_the_note_stands_beside_pictures_alone(trainer, events, callback, count):
    fit(trainer, [callback()], max_epochs=3)
    tags = [tag for tag in events().Tags()["tensors"] if tag == "lightning_vis/text_summary"]
    assert len(tags) == count
    assert all(len(events().Tensors(tag)) == 1 for tag in tags)
