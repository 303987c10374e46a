"""What is written is what was found: the laws of storage, read back with TensorBoard's own reader."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import CLASSES, Classifier
from nets import images
from PIL import Image
from tab_runs import film_of, frame_of, inputs_of, pictures_of, with_twins, write_run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.tensorboard import SummaryWriter

from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.constants import LATEST
from lightning_vis.events import frame_writer as storing
from lightning_vis.events.encode import BUDGET, elided, facts_part, input_part, map_part, small_pictures
from lightning_vis.events.frame_reader import read_frames
from lightning_vis.events.frame_writer import FrameWriter
from lightning_vis.events.sprites import sprite, tiles
from lightning_vis.frames import Frame, Maps, Pictures, Scale
from lightning_vis.probe.probe import Probe

PLUGIN = "lightning_vis"


def stored(folder):
    """Steps, facts and pictures of all our events, by tag, as TensorBoard's reader sees them."""
    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    found = {}
    for tag in reader.PluginTagToContent(PLUGIN):
        if tag == LATEST:
            continue
        events = reader.Tensors(tag)
        assert len(events) == 1, "a tag holds one event: more would be thinned"
        facts = json.loads(reader.SummaryMetadata(tag).plugin_data.content)
        found[tag] = events[0].step, facts, events[0].tensor_proto.string_val[0]
    return found


def parts_of(found, name):
    return {facts.get("steps"): (step, facts, picture) for step, facts, picture in found.values() if facts["part"] == name}


def test_every_look_has_tags_of_its_own_at_lightning_s_step_the_untrained_one_at_minus_one(tmp_path):
    found = stored(write_run(tmp_path / "run", film_of(30), inputs_of()))
    facts = parts_of(found, "facts")
    assert sorted(facts) == [10 * at for at in range(30)]
    assert [facts[steps][0] for steps in sorted(facts)] == [10 * at - 1 for at in range(30)]
    assert len(parts_of(found, "maps/evidence")) == 30
    assert list(parts_of(found, "inputs")) == list(parts_of(found, "masks")) == [None]  # once, however many looks


def test_the_latest_look_is_announced_behind_all_its_parts(tmp_path):
    reader = EventAccumulator(str(write_run(tmp_path / "run", film_of(3), inputs_of()))).Reload()
    tags = reader.PluginTagToContent(PLUGIN)
    newest = max(reader.Tensors(tag)[-1].wall_time for tag in tags if tag != LATEST)
    assert reader.Tensors(LATEST)[-1].wall_time >= newest


def test_stored_facts_are_the_frame_s(tmp_path):
    frame = with_twins([frame_of(20, wrong=(1,))])[0]
    _, facts, _ = parts_of(stored(write_run(tmp_path / "run", [frame], inputs_of())), "facts")[20]
    assert facts["predicted"] == [0, 0, 0, 1]
    assert facts["probability"] == pytest.approx(frame.probability, rel=1e-4)
    assert facts["numbers"] == pytest.approx(dict(frame.numbers))
    assert set(facts["per_image"]) == set(frame.per_image)
    assert (facts["epoch"], facts["moment"], facts["when"]) == (2, "epoch", "epoch 2")


def test_what_json_cannot_say_becomes_null_and_lists_of_another_length_stay_out():
    frame = frame_of(0)
    frame = Frame("probe", frame.predicted, np.full(4, np.nan), numbers={"a": np.inf}, per_image={"channels": np.zeros(9)})
    facts = facts_part(frame).facts
    assert facts["probability"] == [None] * 4
    assert facts["numbers"] == {"a": None}
    assert facts["per_image"] == {}
    json.dumps(dict(facts), allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_tiles_are_the_inverse_of_sprite(count, height, width, has_colours):
    shape = (count, height, width, 3) if has_colours else (count, height, width)
    given_tiles = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(sprite(given_tiles)).save(buffer, "PNG")
    assert np.array_equal(tiles(buffer.getvalue(), (height, width), count), given_tiles)


def test_a_map_is_a_grey_png_whose_codes_are_its_values_over_their_maximum():
    values = np.array([[[0.0, 1.0], [2.0, 4.0]]], np.float32)
    part = map_part("v", Maps(values, np.zeros(1, int), "conv", Scale()))
    assert np.asarray(Image.open(io.BytesIO(part.picture))).tolist() == [[0, 64], [128, 255]]
    assert (part.facts["maximum"], part.facts["mean"], part.facts["size"], part.facts["area"]) == (
        [4.0],
        [1.75],
        [2, 2],
        4,
    )
    signed = map_part("v", Maps(values - 2, np.zeros(1, int), "conv", Scale(signed=True)))
    assert np.asarray(Image.open(io.BytesIO(signed.picture))).tolist() == [[1, 64], [128, 255]]


def test_maps_of_the_input_are_joined_to_112_cells_and_keep_their_number():
    values = np.random.default_rng(0).exponential(size=(2, 224, 224)).astype(np.float32) ** 3
    facts = map_part("v", Maps(values, np.zeros(2, int), "<input>", Scale("density", 12.0))).facts
    assert facts["size"] == [112, 112]
    assert facts["area"] == 224 * 224
    assert facts["mean"] == pytest.approx(values.mean((1, 2)), rel=1e-4)
    assert facts["maximum"][0] == pytest.approx(values[0].reshape(112, 2, 112, 2).mean((1, 3)).max(), rel=1e-4)


def test_a_look_of_eight_images_stays_below_80_kilobytes(tmp_path):
    """The worst case for a PNG, noise without structure, in the map of the input; and both budgets for pictures."""
    generator = np.random.default_rng(0)
    noise = np.abs(generator.normal(size=(8, 224, 224))).astype(np.float32)
    maps = {
        "evidence": Maps(generator.normal(size=(8, 14, 14)).astype(np.float32), np.zeros(8, int), "c", Scale(signed=True)),
        "saliency": Maps(noise, np.zeros(8, int), "<input>", Scale("density", 12.0)),
    }
    frame = Frame("probe", np.zeros(8, int), np.full(8, 0.5), maps, finished_steps=3)
    found = stored(write_run(tmp_path / "run", [frame], None, scalars=False))
    assert sum(len(picture) + len(json.dumps(facts)) for _, facts, picture in found.values()) < 80_000
    many = Pictures(generator.integers(0, 256, (32, 224, 224, 3)).astype(np.uint8), ("",) * 32)
    part = small_pictures("twins", many)
    assert len(part.picture) <= BUDGET
    assert tiles(part.picture, part.facts["size"], 32).shape == (32, *part.facts["size"], 3)


def test_a_part_that_fails_takes_no_other_along_and_is_told_once(tmp_path):
    frames = [Frame(**{**vars(frame), "maps": {**frame.maps, "broken": None}}) for frame in film_of(2)]
    writer = SummaryWriter(tmp_path / "run")
    store = FrameWriter([writer])
    assert [sorted(store.add(frame, inputs_of())) for frame in frames] == [["maps/broken"], []]
    writer.close()
    assert len(parts_of(stored(tmp_path / "run"), "maps/evidence")) == 2


@pytest.mark.parametrize("part", ["input_part", "mask_part"])
def test_inputs_that_could_not_be_stored_are_tried_again_and_nothing_twice(tmp_path, monkeypatch, part):
    """One writer of two fails at the first look: the next look gives it what it lacks, and the other one nothing."""
    make, calls = getattr(storing, part), []

    def fails_at_first(given):
        calls.append(given)
        if len(calls) == 1:
            raise MemoryError("for once")
        return make(given)

    monkeypatch.setattr(storing, part, fails_at_first)
    writers = [SummaryWriter(tmp_path / name) for name in "ab"]
    store, name = FrameWriter(writers), {"input_part": "inputs", "mask_part": "masks"}[part]
    assert [list(store.add(frame, inputs_of())) for frame in film_of(3)] == [[name], [], []]
    for writer in writers:
        writer.close()
    assert len(calls) == 3
    for folder in "ab":  # `stored` finds each under its tag once
        found = stored(tmp_path / folder)
        assert [len(parts_of(found, each)) for each in ("inputs", "masks")] == [1, 1]
    assert parts_of(stored(tmp_path / "a"), name)[None][0] == 9  # the step of the second look
    assert read_frames(tmp_path / "a")[0].inputs.note == ""


def test_twins_are_stored_once_with_the_inputs(tmp_path):
    frames = [Frame(**{**vars(frame), "pictures": {"twins": pictures_of(8)}}) for frame in with_twins(film_of(3))]
    found = stored(write_run(tmp_path / "run", frames, inputs_of(twins=True)))
    _, facts, picture = parts_of(found, "twins")[None]
    assert (facts["objects"], facts["kinds"], facts["count"]) == (4, ["leaves", "stones"], 8)
    assert np.abs(tiles(picture, facts["size"], 8).astype(int) - inputs_of(twins=True).twins.reshape(8, 16, 16, 3)).max() <= 2
    assert not parts_of(found, "pictures/twins")


def test_text_is_limited_and_strange_names_are_kept(tmp_path):
    assert len(elided("x" * 10_000)) == len(elided("y" * 241)) == 240
    inputs = inputs_of(name="a/b <c>", class_names=tuple(f"{'long' * 100}{at}" for at in range(1000)))
    facts = input_part(inputs).facts
    assert sum(map(len, facts["class_names"])) <= 64_000
    found = stored(write_run(tmp_path / "run", film_of(2, name="a/b <c>"), inputs))
    assert {facts["probe"] for _, facts, _ in found.values()} == {"a/b <c>"}


def test_callbacks_share_a_fit_and_a_later_fit_has_a_later_name(tmp_path):
    writer = SummaryWriter(tmp_path / "run")
    first, second = FrameWriter([writer]), FrameWriter([writer])
    first.add(frame_of(0), inputs_of())
    later = FrameWriter([writer])
    names = [store.fits[0][1].name for store in (first, second, later)]
    writer.close()
    assert names[0] == names[1] < names[2]


def test_validating_and_testing_after_a_training_leave_its_film(trainer, tmp_path):
    probes = [Probe(images(4), labels=[0, 1, 2, 0], name=name) for name in "ab"]
    data = DataLoader(TensorDataset(images(8), torch.arange(8) % CLASSES), batch_size=4)
    made, module = trainer([ProbeCallback(probe, at_steps=()) for probe in probes]), WithTests()
    made.fit(module, data, data)
    film = ["start", "epoch 1", "epoch 2"]
    assert [seen_of(tmp_path, name) for name in "ab"] == [film] * 2
    made.validate(module, data, verbose=False)
    made.test(module, data, verbose=False)
    assert [seen_of(tmp_path, name) for name in "ab"] == [[*film, "validate", "test"]] * 2
    trainer([ProbeCallback(probes[0])]).test(module, data, verbose=False)
    assert seen_of(tmp_path, "a") == ["start", "test", "epoch 1", "epoch 2", "validate", "test"]


class WithTests(Classifier):
    def test_step(self, batch, index):
        self.log("test_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))


def seen_of(folder, probe):
    return [frame.when for frame in read_frames(folder, probe)[0].frames]


def test_other_writers_are_left_alone():
    class Writer:
        def add_image(self, *_):
            raise AssertionError("nothing is written here")

    assert FrameWriter([Writer()]).add(frame_of(0), inputs_of()) == {}


def test_a_training_stores_every_look_the_first_one_untrained_and_leaves_films(trainer, tmp_path):
    callback = ProbeCallback(Probe(images(4), labels=[0, 1, 2, 0]), at_steps=())
    data = DataLoader(TensorDataset(images(8), torch.arange(8) % CLASSES), batch_size=4)
    trainer([callback], max_epochs=3).fit(Classifier(), data, data)
    facts = parts_of(stored(tmp_path / "run"), "facts")
    assert [facts[steps][1]["when"] for steps in sorted(facts)] == ["start", "epoch 1", "epoch 2", "epoch 3"]
    assert [facts[steps][0] for steps in sorted(facts)] == [-1, 1, 3, 5]
    films = sorted((tmp_path / "run").glob("*.gif"))
    assert [path.name for path in films] == [f"film_probe_{key}.gif" for key in ("evidence", "grad_cam", "saliency")]
    assert [Image.open(io.BytesIO(path.read_bytes())).n_frames for path in films] == [4, 4, 4]
