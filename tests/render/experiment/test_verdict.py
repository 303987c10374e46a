"""The verdict as a picture: the pairs that it names, and no others, with what was answered on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tab_runs import film_of, frame_of, inputs_of, with_twins, write_run

from lightning_vis import export
from lightning_vis.callbacks.session.drawings import few_of_maps, of_maps
from lightning_vis.cli import main
from lightning_vis.events.frame_reader import read_frames
from lightning_vis.film import Film
from lightning_vis.frames import Verdict, thinned
from lightning_vis.render.canvas.style import WIDTH
from lightning_vis.render.experiment.exchange import exchange_pictures, exchange_sheet
from lightning_vis.render.experiment.verdict import height_of, proofs, verdict_sheet
from lightning_vis.render.gif import verdict_below
from lightning_vis.render.strips import strip
from lightning_vis.render.summary import SIZE, summary, words
from lightning_vis.render.twins import telling_kinds, twins_sheet
from tests.render.test_cards import written  # noqa: F401

SENTENCE = "On leaves, mammal is called bird in 2 of 2 twins. See twin 2."
TWINS = Verdict("red", SENTENCE, (1,), "twins")


def exchanged():
    """Two rows of three greys, the second one's last answer leaving its label."""
    values = np.full((2, 3, 8, 8, 3), 90, np.uint8)
    said = [[("bird", 0.9)] * 3, [("mammal", 0.8), ("mammal", 0.7), ("bird", 0.6)]]
    return exchange_pictures(values, [("bird", "mammal"), ("mammal", "bird")], said)


def looks(verdict, count=3):
    """The last one has a verdict and what was exchanged."""
    frames = with_twins(film_of(count))
    return [*frames[:-1], replace(frames[-1], verdict=verdict, pictures={"exchange": exchanged()})]


def texts(written):  # noqa: F811
    return [text for text, *_ in written]


def test_the_twin_that_is_named_is_shown_with_what_was_answered(written):  # noqa: F811
    (frame, inputs) = looks(TWINS)[-1], inputs_of(twins=True)
    sheet = verdict_sheet(frame, inputs)
    assert sheet.shape[1] == WIDTH
    assert "twin 2, epoch 2: one object on several backgrounds" in texts(written)
    assert {"says bird", "says mammal", "on leaves", "on stones", "mammal 0.10", "mammal 0.90"} <= {*texts(written)}
    assert SENTENCE in " ".join(texts(written))


def test_the_summary_shows_what_an_earlier_look_has_said_and_when(written):  # noqa: F811
    frames = looks(Verdict("red", "See exchange 2.", (1,)))
    summary("run", [*frames, replace(frame_of(90), verdict=Verdict("not measured", "There was no time."))], inputs_of())
    assert "exchange 2, epoch 2: image, same class, other class" in texts(written)
    assert "epoch 2: See exchange 2." in " ".join(texts(written))


def test_a_strip_says_the_verdict_that_stands_though_its_look_has_no_column(written, monkeypatch, tmp_path):  # noqa: F811
    """Of 14 looks the ninth was the last to say something; strips show ten of them or fewer, and this one not."""
    frames = [replace(each, verdict=Verdict("nothing", f"Said at {each.when}.")) for each in film_of(9)]
    frames = [*frames, *film_of(14)[9:]]
    assert 8 not in thinned(14, export.COLUMNS)
    film = Film(frames)
    film.inputs = inputs_of()
    film.plot("evidence", 5)
    of_maps(frames[-1], frames, inputs_of(), 0)
    few_of_maps(frames[-1], frames, inputs_of())
    write_run(tmp_path / "run", frames, inputs_of())
    assert main(["strip", str(tmp_path), "-o", str(tmp_path / "strip.png")]) == 0
    assert [each for each in texts(written) if ": Said at" in each] == ["epoch 8: Said at epoch 8."] * 6


def test_the_exchange_that_is_named_is_shown(written):  # noqa: F811
    frame = looks(Verdict("red", "See exchange 2.", (1,)))[-1]
    verdict_sheet(frame, inputs_of())
    assert "exchange 2, epoch 2: image, same class, other class" in texts(written)
    assert "says bird 0.60" in texts(written)
    assert "says bird 0.90" not in texts(written)


@pytest.mark.parametrize(
    ("state", "picture", "title"),
    [
        ("nothing", "twins", "no answers by background found"),
        ("nothing", "exchange", "no answers by surroundings found"),
        ("seen", "twins", "answers by background seen at this look"),
        ("not measured", "exchange", "answers by surroundings not measured"),
        ("red", "twins", "red"),
        ("of a later version", "twins", "of a later version"),
    ],
)
def test_its_heading_says_what_was_looked_for(written, state, picture, title):  # noqa: F811
    verdict_sheet(looks(Verdict(state, "A sentence.", (), picture))[-1], inputs_of(twins=True))
    assert f"epoch 2: {title}." in texts(written)


def test_a_verdict_that_names_nothing_shows_nothing():
    inputs = inputs_of(twins=True)
    for verdict in (None, replace(TWINS, rows=())):
        assert proofs(looks(verdict)[-1], inputs) == []
    assert proofs(replace(looks(TWINS)[-1], per_image={}), inputs) == []
    assert verdict_sheet(looks(None)[-1], inputs) is None
    assert verdict_sheet(looks(replace(TWINS, rows=()))[-1], inputs).shape[0] < height_of(220)


def test_of_many_backgrounds_one_that_holds_and_those_that_flip_are_shown():
    kinds = ("a", "b", "c", "d", "e")
    says = {"a": 0, "b": 0, "c": 1, "d": 0, "e": 1}
    per_image = {f"reliance/says/{kind}": np.full(2, says[kind]) for kind in kinds}
    frame = replace(looks(TWINS)[-1], per_image=per_image)
    inputs = replace(inputs_of(2), twins=np.zeros((2, 5, 8, 8, 3), np.uint8), kinds=kinds)
    assert telling_kinds(frame, inputs, 0, 3) == [0, 2, 4]  # a bird: right on a, b, d
    assert telling_kinds(frame, inputs, 1, 3) == [0, 1, 2]  # a mammal: right on c


def test_the_summary_shows_the_pair_that_proves_its_sentence(written):  # noqa: F811
    picture = summary("run", looks(TWINS), inputs_of(twins=True))
    assert picture.shape == (SIZE[1], SIZE[0], 3)
    assert "twin 2, epoch 2: one object on several backgrounds" in texts(written)
    assert SENTENCE in " ".join(texts(written))
    assert all(y + size <= SIZE[1] and x + length <= SIZE[0] for _, (x, y), size, _, length in written)


@pytest.mark.parametrize("verdict", [None, TWINS, Verdict("red", "See exchange 2. " * 12, (1,))])
def test_what_the_colours_of_the_summary_mean_stands_there_whatever_proves_its_sentence(written, verdict):  # noqa: F811
    summary("run", looks(verdict), inputs_of(twins=True))
    said = {text: (x, y, size) for text, (x, y), size, *_ in written}
    x, y, _ = said["Evidence for the label, log-odds"]
    assert {"-31", "31"} <= {*said}
    above = [top + letters for text, (left, top, letters) in said.items() if left == x and top < y and text]
    assert max(above, default=0) <= y  # no sentence lies on it


def test_each_sheet_says_the_sentence(written):  # noqa: F811
    frame, inputs = looks(TWINS)[-1], inputs_of(twins=True)
    for draw in (lambda: twins_sheet(frame, inputs), lambda: exchange_sheet(frame), lambda: verdict_sheet(frame, inputs)):
        written.clear()
        draw()
        assert SENTENCE in " ".join(texts(written))


def test_below_a_film_stands_what_was_said_last_in_a_place_of_one_size(written):  # noqa: F811
    frames = [
        replace(each, verdict=said)
        for each, said in zip(film_of(3), (None, TWINS, replace(TWINS, sentence="A " * 90)), strict=True)
    ]
    heights = {len(verdict_below(frames, frame.place, 600)) for frame in frames}
    assert len(heights) == 1
    written.clear()
    verdict_below(frames, frames[0].place, 600)
    assert "no verdict yet" in texts(written)
    written.clear()
    verdict_below(frames, frames[1].place, 600)
    assert f"epoch 1: {SENTENCE}" in " ".join(texts(written))
    assert verdict_below(film_of(3), frames[0].place, 600) is None


def test_what_was_found_stands_where_the_last_look_had_no_time(written):  # noqa: F811
    late = Verdict("not measured", "It would take more time.")
    frames = [replace(each, verdict=said) for each, said in zip(film_of(3), (None, TWINS, late), strict=True)]
    assert f"epoch 1: {SENTENCE}" in words(frames, inputs_of())
    for draw in (lambda: strip(frames, inputs_of(), "evidence"), lambda: verdict_below(frames, frames[2].place, 600)):
        written.clear()
        draw()
        assert f"epoch 1: {SENTENCE}" in " ".join(texts(written))


@pytest.mark.parametrize("view", ["twins", "exchange", "verdict"])
def test_what_experiments_found_can_be_taken_along(tmp_path, view):
    write_run(tmp_path / "logs" / "a", looks(TWINS), inputs_of(twins=True))
    write_run(tmp_path / "logs" / "b", looks(TWINS, 4), inputs_of(twins=True))
    for command, name in (("strip", "x.png"), ("gif", "x.gif")):
        assert main([command, str(tmp_path / "logs"), "--view", view, "-o", str(tmp_path / name)]) == 0
    with Image.open(tmp_path / "x.gif") as film, Image.open(tmp_path / "x.png") as strip:
        assert film.n_frames == (4 if view == "twins" else 2)
        assert strip.width == WIDTH
    run = read_frames(tmp_path / "logs" / "a")[0]
    assert run.frames[-1].verdict == TWINS
    assert verdict_sheet(run.frames[-1], run.inputs) is not None


def test_runs_without_experiments_have_no_such_view(tmp_path, capsys):
    write_run(tmp_path / "run", film_of(2), inputs_of())
    assert main(["strip", str(tmp_path), "--view", "verdict", "-o", str(tmp_path / "x.png")]) == 2
    assert "no view 'verdict' in these runs: there are evidence, grad_cam, saliency" in capsys.readouterr().err
