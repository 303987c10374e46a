"""Several heads on pictures: every word stands with the head that says it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from task_frames import COUNT, TASKS, film_for, heads_film, inputs_for

from lightning_vis.events.loggers import descriptions
from lightning_vis.film import Film
from lightning_vis.frames import Frame, seen_by_head
from lightning_vis.render.cards import card
from lightning_vis.render.gif import animated
from lightning_vis.render.strips import strip
from lightning_vis.render.summary import summary, words
from tests.render.test_cards import written  # noqa: F401
from tests.render.test_tasks import said_on

OTHERS = [name for name in TASKS if name not in ("multiclass", "unknown", "reconstruction")]


@pytest.mark.parametrize("other", OTHERS)
def test_a_strip_says_what_its_head_says_and_nothing_else(written, other):  # noqa: F811
    frames, inputs = heads_film("multiclass", other), inputs_for("multiclass")
    strip(frames, inputs, "evidence@age")
    ours = said_on(written)
    written.clear()
    strip(
        [
            replace(
                each,
                maps={
                    key: replace(maps, title=f"{maps.title} (age)", explains=each_explained(each, maps, other))
                    for key, maps in each.maps.items()
                },
            )
            for each in film_for(other)
        ],
        inputs_for(other),
        "evidence",
    )
    alone = said_on(written)
    assert ours == alone
    assert "Evidence (age)" in ours
    assert "Reads two classes" not in ours


def each_explained(frame, maps, name):
    inputs = inputs_for(name)
    return tuple(inputs.explained(maps, at) for at in range(COUNT))


def test_a_strip_of_the_first_head_is_as_without_the_other(written):  # noqa: F811
    frames, inputs = heads_film("multiclass", "regression"), inputs_for("multiclass")
    picture = strip(frames, inputs, "evidence")
    assert "years" not in said_on(written)
    assert "38.2" not in said_on(written)
    alone = [replace(each, heads={}, maps={key: maps for key, maps in each.maps.items() if not maps.head}) for each in frames]
    assert np.array_equal(picture, strip(alone, inputs, "evidence"))


def test_a_card_has_a_part_for_each_head_with_its_own_mark(written):  # noqa: F811
    frame, inputs = heads_film("multiclass", "multilabel")[-1], inputs_for("multiclass")
    picture = card(frame, inputs, 0)
    texts = [text for text, *_ in written]
    first, second = texts.index("kind: bird, epoch 3"), texts.index("age: cat, dog, epoch 3")
    assert first < second
    assert "says bird" in texts[first:second]
    assert any("cat 0.98, dog 0.31 missed" in each for each in texts[second:])
    assert "for bird" in texts[first:second]
    assert "for cat" in texts[second:]
    parts = [card(frame.of(head), inputs.of(frame, head), 0) for head in ("kind", "age")]
    assert np.array_equal(picture, np.concatenate(parts))


def test_a_gif_is_of_one_head(written):  # noqa: F811
    animated([("run", inputs_for("multiclass"), heads_film("multiclass", "regression"))], "evidence@age")
    said = said_on(written)
    assert "run: Evidence (age), epoch 3" in said
    assert TASKS["regression"].answer.split()[0] in said
    assert "wrong answer" not in said  # the first head's answers are wrong, this one's never


def test_a_summary_has_a_sentence_for_each_head():
    frames, inputs = heads_film("multiclass", "regression"), inputs_for("multiclass")
    said = words(frames, inputs)
    assert "Right on 3 of 4 probe images at first, on 3 at last." in said
    assert "age: Mean absolute error (years): 20.8 at first, 2.52 at last." in said
    assert summary("run", frames, inputs).shape == (630, 1200, 3)
    other = words(heads_film("regression", "multiclass"), inputs_for("regression"))
    assert "age: Right on 3 of 4 probe images at first, on 3 at last." in other


def test_a_summary_shows_the_other_head_where_the_first_has_no_maps(written):  # noqa: F811
    frames = heads_film("multiclass", "regression")
    bare = [replace(each, maps={key: maps for key, maps in each.maps.items() if maps.head}) for each in frames]
    summary("run", bare, inputs_for("multiclass"))
    said = said_on(written)
    assert "38.2 (true" in said or "33.0 (true" in said or "24.9 (true" in said or "66.1 (true" in said
    assert "bird" not in said


def test_descriptions_are_of_their_head():
    frame, inputs = heads_film("multiclass", "regression")[-1], inputs_for("multiclass")
    said = descriptions(frame, inputs)
    assert "the answer is wrong" not in said["film/evidence@age"]
    assert TASKS["regression"].answer in said["film/evidence@age"]
    assert "Reads two classes, kind." in said["film/evidence"]
    assert "An orange frame and a cross" in said["film/evidence"]
    assert {"Reads two classes, kind.", TASKS["regression"].answer} <= set(said["probe/0"].splitlines())


def test_looks_from_before_a_head_could_be_read_say_nothing_of_it():
    frames = heads_film("multiclass", "regression")
    early = replace(frames[0], heads={})
    seen = early.of("age")
    assert (seen.task, seen.said, seen.wrong) == ("unknown", ("",) * COUNT, (None,) * COUNT)
    inputs = inputs_for("multiclass")
    assert [inputs.of(early, "age").truth_of(at) for at in range(COUNT)] == [""] * COUNT
    assert seen_by_head([early], inputs, "nothing") == ([], inputs)


def test_a_frame_with_one_head_is_the_frame_itself():
    frame, inputs = film_for("multiclass")[-1], inputs_for("multiclass")
    assert frame.of("") is frame
    assert inputs.of(frame, "") is inputs
    assert frame.each_head(inputs) == [(frame, inputs)]
    assert isinstance(frame.of("age"), Frame)


def test_a_checkpoint_keeps_all_heads():
    film = Film()
    for frame in heads_film("multiclass", "regression"):
        film.add(frame)
    again = Film.from_state(film.state())
    assert [each.heads for each in again.frames] == [each.heads for each in film.frames]
    assert [each.head for each in again.frames] == ["kind"] * 4
    assert {key: maps.head for key, maps in again.frames[-1].maps.items()} == {
        key: maps.head for key, maps in film.frames[-1].maps.items()
    }
