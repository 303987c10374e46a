"""The film: memory does not grow with the number of looks, first and last are always there, a checkpoint holds it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from lightning_vis.callbacks.schedule import is_spaced
from lightning_vis.events.encode import frame_parts, small_pictures
from lightning_vis.film import LIMIT, Film
from lightning_vis.frames import Frame, Maps, Pictures, Scale


def frame(step, size=8):
    values = np.random.default_rng(step).standard_normal((2, size, size)).astype(np.float32)
    signed = Maps(values, np.array([0, 1]), "layer4", Scale(signed=True), "evidence", "label")
    positive = Maps(np.abs(values), np.array([1, 1]), "<input>", Scale("density", 12.0), "saliency")
    return Frame(
        "probe",
        np.array([0, 1]),
        np.array([0.5, 0.75], np.float32),
        {"evidence": signed, "saliency": positive},
        {"twins": Pictures(np.full((1, 4, 4, 3), step % 256, np.uint8), ("bird on stones",))},
        numbers={"attribution/evidence/lift": 1.5},
        per_image={"attribution/evidence/lift": np.array([1.0, 2.0])},
        seconds={"pass": 0.1},
        notes=("a note",),
        finished_steps=step,
        log_step=step - 1,
        epoch=step // 10,
        moment="epoch" if step else "start",
    )


@pytest.mark.parametrize("looks", [1, 2, 63, 64, 65, 66, 127, 128, 129, 300, 1000])
def test_at_most_64_looks_first_and_last_always_among_them(looks):
    film = Film()
    for step in range(looks):
        film.add(frame(step, 2))
        assert len(film.frames) <= LIMIT
        assert film.positions[0] == 0
        assert film.positions[-1] == step == film.frames[-1].finished_steps
    assert film.positions == [each.finished_steps for each in film.frames] == sorted(set(film.positions))
    if looks <= LIMIT:
        assert len(film.frames) == looks
    else:
        assert len(film.frames) > LIMIT // 2 - 1
        assert set(np.diff(film.positions[:-1])) == {film.stride}


def test_memory_is_bounded_also_for_large_maps():
    film = Film()
    for step in range(300):
        film.add(frame(step, 224 if step % 50 == 0 else 4))
    assert all(max(each.maps["saliency"].values.shape) <= 56 for each in film.frames)


def test_looks_are_drawn_often_at_first_and_then_at_every_tenth_more():
    drawn, last = [], 0
    for count in range(1, 1001):
        if is_spaced(count, last):
            drawn.append(count)
            last = count
    assert drawn[:16] == list(range(1, 17))
    assert all(1.1 <= later / earlier < 1.2 for earlier, later in zip(drawn[16:], drawn[17:], strict=False))
    assert len(drawn) < 65


def as_tensors(value):
    if isinstance(value, dict):
        return {key: as_tensors(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_tensors(item) for item in value]
    return torch.as_tensor(value) if isinstance(value, np.ndarray) else value


def as_arrays(value):
    if isinstance(value, dict):
        return {key: as_arrays(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_arrays(item) for item in value]
    return value.numpy() if isinstance(value, torch.Tensor) else value


def test_the_state_loads_with_weights_only_and_is_the_same_film(tmp_path):
    film = Film()
    for step in range(70):
        film.add(frame(step))
    torch.save(as_tensors(film.state()), tmp_path / "film.pt")
    loaded = Film.from_state(as_arrays(torch.load(tmp_path / "film.pt", weights_only=True)))
    assert (loaded.positions, loaded.count, loaded.stride) == (film.positions, film.count, film.stride)
    for one, other in zip(loaded.frames, film.frames, strict=True):
        plain = [key for key in vars(one) if key not in ("maps", "pictures", "per_image", "predicted", "probability")]
        assert all(getattr(one, key) == getattr(other, key) for key in plain)
        for key, each in one.maps.items():
            np.testing.assert_array_equal(each.values, other.maps[key].values)
            np.testing.assert_array_equal(each.classes, other.maps[key].classes)
            assert (each.layer, each.scale, each.title, each.target) == (
                other.maps[key].layer,
                other.maps[key].scale,
                other.maps[key].title,
                other.maps[key].target,
            )
        np.testing.assert_array_equal(one.predicted, other.predicted)
        np.testing.assert_array_equal(one.pictures["twins"].values, other.pictures["twins"].values)
        assert one.pictures["twins"].captions == ("bird on stones",)


def test_a_loaded_film_goes_on():
    film = Film()
    for step in range(70):
        film.add(frame(step, 2))
    loaded = Film.from_state(film.state())
    for each in (film, loaded):
        for step in range(70, 140):
            each.add(frame(step, 2))
    assert loaded.positions == film.positions


def test_a_checkpoint_holds_frames_part_by_part_as_an_event_file_does():
    film = Film()
    film.add(frame(3))
    (packed,) = film.state()["frames"]
    stored = {name: make() for name, make in frame_parts(frame(3), small_pictures).items()}
    assert [each["name"] for each in packed["parts"]] == list(stored)
    for each in packed["parts"]:
        assert each["facts"].keys() == stored[each["name"]].facts.keys()
        assert each["picture"].dtype == np.uint8
    kept = {each["name"]: each["picture"].tobytes() for each in packed["parts"]}
    assert kept["maps/evidence"] == stored["maps/evidence"].picture


def test_a_damaged_state_is_refused_and_not_half_read():
    film = Film()
    film.add(frame(3))
    state = film.state()
    state["frames"][0]["parts"][1]["picture"] = np.zeros(9, np.uint8)
    with pytest.raises(ValueError, match="'maps/evidence' after 3 steps cannot be read"):
        Film.from_state(state)


def test_a_figure_without_matplotlib_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"Film.plot\(\) draws with matplotlib: pip install matplotlib"):
        Film().plot()
