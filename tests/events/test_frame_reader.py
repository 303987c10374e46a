"""Frames come back from event files as they were written, as far as the files are whole."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tab_runs import alone_at, film_of, frame_of, inputs_of, pictures_of, with_twins, write_run

from lightning_vis import Film
from lightning_vis.events.decode import streams_of
from lightning_vis.events.event_file import masked_crc, records
from lightning_vis.events.frame_reader import read_frames, read_runs
from lightning_vis.frames import Frame, Maps, Scale
from lightning_vis.render.colormap import map_strength
from lightning_vis.render.gif import animated


def the_file(folder):
    (path,) = folder.glob("*tfevents*")
    return path


def test_frames_come_back_as_they_were_written(tmp_path):
    top = (((0, 0.75), (1, 0.25)), (), ((1, 1.0),), ((0, 0.5),))
    written = [replace(frame, top=top) for frame in with_twins(film_of(4, wrong=(2,)))]
    write_run(tmp_path / "run", written, inputs_of(twins=True))
    (run,) = read_frames(tmp_path)
    assert (run.name, run.damage, len(run.frames)) == ("run", (), 4)
    for found, frame in zip(run.frames, written, strict=True):
        same = ("probe", "finished_steps", "log_step", "epoch", "moment", "weights", "notes", "when", "top")
        assert [getattr(found, name) for name in same] == [getattr(frame, name) for name in same]
        assert np.array_equal(found.predicted, frame.predicted)
        assert found.probability == pytest.approx(frame.probability, rel=1e-4)
        assert dict(found.numbers) == pytest.approx(dict(frame.numbers), rel=1e-4)
        assert {key: values.tolist() for key, values in found.per_image.items()} == {
            key: pytest.approx(values, rel=1e-4) for key, values in frame.per_image.items()
        }


def test_maps_come_back_to_within_half_a_code_of_their_own_maximum(tmp_path):
    frame = frame_of(10)
    write_run(tmp_path / "run", [frame], inputs_of())
    (run,) = read_frames(tmp_path / "run")
    for key, maps in frame.maps.items():
        found = run.frames[0].maps[key]
        assert (found.layer, found.scale, found.title, found.target) == (
            maps.layer,
            maps.scale,
            maps.title,
            maps.target,
        )
        assert np.array_equal(found.classes, maps.classes)
        half = np.abs(maps.values).max((1, 2), keepdims=True) / (254 if maps.scale.signed else 510)
        assert (np.abs(found.values - maps.values) <= 1.01 * half).all()


def test_empty_constant_and_broken_maps_stay_what_they_were(tmp_path):
    values = np.stack([np.zeros((3, 3)), np.full((3, 3), 2.0), np.full((3, 3), np.nan), np.eye(3)]).astype(np.float32)
    maps = {"v": Maps(values, np.full(4, -1), "conv", Scale())}
    write_run(tmp_path / "run", [Frame(**{**vars(frame_of(0)), "maps": maps})], inputs_of())
    found = read_frames(tmp_path)[0].frames[0].maps["v"].values
    assert np.array_equal(found, values, equal_nan=True)


def test_colours_stay_the_same_where_cells_were_joined(tmp_path):
    """Grad-CAM of a large feature map is multiplied by its number of cells: by those it had, not by those stored."""
    values = np.full((4, 224, 224), 5 / 224**2, np.float32)
    maps = {"grad_cam": Maps(values, np.zeros(4, int), "conv1", Scale("log", 31.0, by_area=True))}
    frame = Frame(**{**vars(frame_of(0)), "maps": maps})
    write_run(tmp_path / "run", [frame], inputs_of())
    found = read_frames(tmp_path)[0].frames[0].maps["grad_cam"]
    assert found.values.shape == (4, 112, 112)
    shares = [map_strength(each, 0, (20, 20)) for each in (maps["grad_cam"], found)]
    assert shares[0] == pytest.approx(np.log1p(5) / np.log1p(31))
    assert shares[1] == pytest.approx(shares[0], rel=1e-4)


def test_inputs_masks_and_twins_come_back(tmp_path):
    written = inputs_of(twins=True)
    write_run(tmp_path / "run", film_of(2), written)
    found = read_frames(tmp_path)[0].inputs
    assert np.abs(found.pictures.astype(int) - written.pictures).max() <= 3  # JPEG
    assert np.abs(found.twins.astype(int) - written.twins).max() <= 3
    assert (found.kinds, found.class_names, found.labels.tolist()) == (written.kinds, written.class_names, [0, 1, 0, 1])
    assert np.array_equal(found.masks, written.masks)


def test_pictures_of_another_callback_join_the_look_of_the_same_step(tmp_path):
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    filters = Frame("probe", *nobody, pictures={"filters/conv": pictures_of(3)}, finished_steps=10, log_step=9)
    write_run(tmp_path / "run", [*film_of(3), filters], inputs_of())
    frames = read_frames(tmp_path)[0].frames
    assert [sorted(frame.pictures) for frame in frames] == [[], ["filters/conv"], []]
    assert frames[1].pictures["filters/conv"].captions == ("channel 0", "channel 1", "channel 2")
    assert len(frames[1].predicted) == 4


def test_a_later_fit_replaces_what_it_repeats(tmp_path):
    write_run(tmp_path / "run", film_of(5), inputs_of())
    resumed = [frame_of(steps, seed=1, wrong=(0,)) for steps in (25, 30)]
    write_run(tmp_path / "run", resumed, inputs_of())
    (run,) = read_frames(tmp_path)
    assert [frame.finished_steps for frame in run.frames] == [0, 10, 20, 25, 30]
    assert [int(frame.predicted[0]) for frame in run.frames] == [0, 0, 0, 1, 1]


def seen(run):
    return [(frame.when, frame.finished_steps, int(frame.predicted[0])) for frame in run.frames]


def test_looks_outside_of_fit_replace_only_their_like(tmp_path):
    """Each into the same folder after the other: what stands is the film and the newest look of each moment and step."""
    film = [("start", 0, 0), ("epoch 1", 10, 0), ("epoch 2", 20, 0)]
    write_run(tmp_path / "run", film_of(3), inputs_of())
    write_run(tmp_path / "run", [alone_at(20, "test")], inputs_of())
    write_run(tmp_path / "run", [alone_at(20)], inputs_of())
    write_run(tmp_path / "run", [alone_at(0, "test")], inputs_of())  # as that of a new Trainer
    (run,) = read_frames(tmp_path)
    assert seen(run) == [film[0], ("test", 0, 0), *film[1:], ("validate", 20, 0), ("test", 20, 0)]
    write_run(tmp_path / "run", [alone_at(20, wrong=(0,))], inputs_of())
    write_run(tmp_path / "run", [frame_of(20, seed=1, wrong=(0,)), frame_of(30)], inputs_of())  # the training goes on
    (run,) = read_frames(tmp_path)
    film[2:] = [("epoch 2", 20, 1), ("validate", 20, 1), ("test", 20, 0), ("epoch 3", 30, 0)]
    assert seen(run) == [film[0], ("test", 0, 0), *film[1:]]


def test_looks_of_two_probes_outside_of_fit_leave_each_other_and_both_films(tmp_path):
    for frames in (film_of, lambda _, name: [alone_at(20, name=name)]):
        for name in ("a", "b"):  # the second film has steps of its own: a fit has one name for all its callbacks
            own = [replace(frame, finished_steps=frame.finished_steps + 30 * (name == "b")) for frame in frames(3, name=name)]
            write_run(tmp_path / "run", own, inputs_of(name=name))
    a, b = (read_frames(tmp_path, name)[0] for name in ("a", "b"))
    assert [frame.finished_steps for frame in a.frames] == [0, 10, 20, 20]
    assert [frame.finished_steps for frame in b.frames] == [30, 40, 50, 50]
    assert (a.frames[-1].moment, b.frames[-1].moment) == ("validate", "validate")


def test_a_look_outside_of_fit_at_other_images_has_a_name_of_its_own(tmp_path):
    """No picture stands for another: neither those of the film nor those of an earlier look at others."""
    write_run(tmp_path / "run", film_of(3), inputs_of())
    for count in (6, 5):
        write_run(tmp_path / "run", [alone_at(20, "test", count=count), alone_at(20, count=count)], inputs_of(count))
    write_run(tmp_path / "run", [alone_at(40, count=6)], inputs_of(6))
    write_run(tmp_path / "run", [alone_at(20, "test")], inputs_of())
    names = ("probe", "probe, test", "probe, test 2", "probe, validate", "probe, validate 2")
    found = [read_frames(tmp_path, name)[0] for name in (None, *names)]
    assert [len(run.inputs.pictures) for run in found] == [4, 4, 6, 5, 6, 5]
    assert [seen(run)[-1][:2] for run in found[1:]] == [*[("test", 20)] * 3, ("validate", 40), ("validate", 20)]
    assert [len(run.frames) for run in found] == [4, 4, 1, 1, 2, 1]
    assert all(len(frame.predicted) == len(run.inputs.pictures) for run in found for frame in run.frames)


def test_looks_of_a_fit_stand_on_the_photos_and_names_that_they_were_taken_of(tmp_path):
    """A fit goes on in the same folder with other photos, then with other class names, then with the first ones again."""
    first, names = inputs_of(), ("cat", "dog")
    others = replace(first, pictures=255 - first.pictures)
    for steps, inputs in ((0, first), (30, others), (60, replace(others, class_names=names)), (90, first)):
        write_run(tmp_path / "run", [frame_of(steps + 10 * at) for at in range(3)], inputs)
    known = {
        "probe": (first, [0, 10, 20, 90, 100, 110]),
        "probe, steps 30 to 50": (others, [30, 40, 50]),
        "probe, steps 60 to 80": (replace(others, class_names=names), [60, 70, 80]),
    }
    for name, (inputs, steps) in known.items():
        (run,) = read_frames(tmp_path, name)
        assert np.abs(run.inputs.pictures.astype(int) - inputs.pictures).max() <= 3  # JPEG
        assert run.inputs.class_names == inputs.class_names
        assert [frame.finished_steps for frame in run.frames] == steps
    (run,) = read_frames(tmp_path)
    assert [frame.finished_steps for frame in run.frames] == known["probe"][1]


def test_photos_of_which_no_look_is_left_are_no_probe(tmp_path):
    """A training begun anew in the same folder with other photos has replaced all looks at the former ones."""
    write_run(tmp_path / "run", film_of(2), inputs_of(6))
    write_run(tmp_path / "run", film_of(3), inputs_of())
    (stored,) = read_runs(tmp_path)
    assert [(stream.probe, len(stream.looks)) for stream in streams_of(stored.parts)] == [("probe", 3)]


def test_a_gif_shows_a_look_outside_of_fit_behind_the_film_s(tmp_path):
    write_run(tmp_path / "run", film_of(3), inputs_of())
    (film,) = read_frames(tmp_path)
    write_run(tmp_path / "run", [alone_at(20)], inputs_of())
    (whole,) = read_frames(tmp_path)
    counts = [
        Image.open(io.BytesIO(animated([(run.name, run.inputs, run.frames)], "evidence"))).n_frames for run in (film, whole)
    ]
    assert counts == [3, 4]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_file_is_read_up_to_the_damage_and_that_is_said(tmp_path, share):
    path = the_file(write_run(tmp_path / "run", film_of(20), inputs_of()))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    (run,) = read_frames(tmp_path)
    assert 20 * share - 3 < len(run.frames) < 20 * share + 3
    assert len(run.damage) == 1
    assert run.damage[0].startswith(f"{path.name}: ends within a record, at byte ")
    with pytest.warns(UserWarning, match="ends within a record"):
        Film.from_logdir(tmp_path / "run")


@pytest.mark.parametrize("left", [1, 11, 12, 20])
def test_a_file_that_ends_right_behind_where_a_record_begins_ends_within_it(tmp_path, left):
    path = the_file(write_run(tmp_path / "run", film_of(3), inputs_of()))
    at = sum(len(each) + 16 for each in list(records(path))[:-1])
    path.write_bytes(path.read_bytes()[: at + left])
    assert read_frames(tmp_path)[0].damage == (
        f"{path.name}: ends within a record, at byte {at}; what lies before it was read",
    )


def test_a_file_with_a_broken_length_is_read_up_to_it(tmp_path):
    path = the_file(write_run(tmp_path / "run", film_of(6), inputs_of()))
    data, lengths = bytearray(path.read_bytes()), [len(each) + 16 for each in records(path)]
    at = sum(lengths[: len(lengths) // 2])
    data[at + 2] ^= 1
    path.write_bytes(bytes(data))
    (run,) = read_frames(tmp_path)
    assert run.damage == (f"{path.name}: damaged at byte {at}; what lies before it was read",)
    assert 1 <= len(run.frames) < 6


def test_a_part_that_is_damaged_inside_takes_no_other_along(tmp_path):
    path = the_file(write_run(tmp_path / "run", film_of(3), inputs_of()))
    data = path.read_bytes()
    at = [at for at in range(len(data)) if data.startswith(b"\x89PNG", at)]
    path.write_bytes(data[: at[1]] + b"\x00" * 30 + data[at[1] + 30 :])
    (run,) = read_frames(tmp_path)
    assert len(run.frames) == 3
    assert len(run.damage) == 1
    assert "after 0 steps cannot be read" in run.damage[0]
    assert [len(frame.maps) for frame in run.frames] == [2, 3, 3]


def test_lengths_are_checked_as_tensorboard_checks_them():
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    generator = np.random.default_rng(0)
    for size in (1, 8, 50):
        data = generator.bytes(size)
        assert masked_crc(data) == masked_crc32c(data)


def test_other_versions_and_others_summaries_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("lightning_vis.events.frame_writer.FORMAT", 99)
    write_run(tmp_path / "later", film_of(2), inputs_of())
    with pytest.raises(ValueError, match="no frames in"):
        read_frames(tmp_path)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"there is no folder '.*nowhere'"):
        read_frames(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no frames in '.*': they are written by ProbeCallback while it trains"):
        read_frames(tmp_path)
    write_run(tmp_path / "a", film_of(2), inputs_of())
    write_run(tmp_path / "b", film_of(2), inputs_of())
    with pytest.raises(ValueError, match="no frames of a probe 'x' in"):
        read_frames(tmp_path, "x")
    with pytest.raises(ValueError, match=r"holds several runs \(a, b\): give the folder of one"):
        Film.from_logdir(tmp_path)
    with pytest.raises(ValueError, match="view='x': this film has evidence, grad_cam, saliency"):
        Film.from_logdir(tmp_path / "a").plot("x")
    with pytest.raises(ValueError, match="this film has no maps to show"):
        Film().plot()


def test_a_film_is_shown_in_a_notebook(tmp_path):
    write_run(tmp_path / "run", film_of(14), inputs_of())
    film = Film.from_logdir(tmp_path / "run")
    assert len(film.frames) == film.count == 14
    assert film._repr_html_().count("<img ") == 3
    figure = film.plot("grad_cam", columns=5)
    assert len(figure.axes[0].images) == 1
    few, many = (film.plot(columns=count).get_size_inches()[0] for count in (3, 9))
    assert few < many
    assert Film()._repr_html_() == "<p>&lt;Film of 0 looks&gt;, without pictures</p>"
