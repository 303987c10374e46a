"""Pictures of all tasks: the words of each, and nothing that it does not know."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from task_frames import CLASSES, COUNT, LONG, NUMBERS, PLAIN, TASKS, film_for, frame_for, inputs_for, with_lifts

from lightning_vis.constants import TARGET_UNIT
from lightning_vis.events.loggers import _note, descriptions
from lightning_vis.frames import Inputs
from lightning_vis.render.canvas.style import FAINT, INK, RIGHT, TEXT, WIDTH, WRONG
from lightning_vis.render.canvas.text import lines_within, printable, text_width
from lightning_vis.render.cards import card
from lightning_vis.render.error_bar import error_bar, position
from lightning_vis.render.gif import animated
from lightning_vis.render.strips import strip
from lightning_vis.render.summary import SIZE, summary, telling, words
from tests.render.test_cards import near, written  # noqa: F401

OTHERS = [name for name in TASKS if name != PLAIN]
SHARE = re.compile(r"\b0\.\d\d$")
CHOSEN = {(name, index) for name in TASKS for index in range(COUNT)}


def said_on(written):  # noqa: F811
    return " ".join(text for text, *_ in written)


def key_of(name):
    return "error" if name == "reconstruction" else "evidence"


@pytest.mark.parametrize(("name", "index"), sorted(CHOSEN - {(PLAIN, each) for each in range(COUNT)}))
def test_a_card_has_the_caption_and_the_truth_of_its_image_and_marks_what_is_known(written, name, index):  # noqa: F811
    frame, inputs = with_lifts(frame_for(name)), inputs_for(name, masked=True)
    head = card(frame, inputs, index)[: 3 * (TEXT + 10)].copy()
    said = said_on(written)
    assert frame.said[index] in said.replace("says ", "").replace("  ", " ")
    assert inputs.truth_of(index) in said
    wrong = frame.is_wrong(index, inputs)
    lines = head[: {"multilabel": 3, "binary": 1}.get(name, 2) * (TEXT + 10)]
    assert (near(lines, WRONG, 30) > 30) == (wrong is True)
    assert (near(lines, RIGHT, 30) > 20) == (wrong is False)


@pytest.mark.parametrize("name", NUMBERS)
def test_where_nothing_is_right_or_wrong_no_picture_has_a_mark_a_class_or_a_probability(written, name):  # noqa: F811
    frames, inputs = film_for(name), inputs_for(name)
    pictures = [card(frames[-1], inputs, index) for index in range(COUNT)]
    pictures += [strip(frames, inputs, key_of(name)), summary("run", frames, inputs)]
    for picture in pictures:
        assert near(picture, WRONG, 20) + near(picture, RIGHT, 20) == 0
    with Image.open(io.BytesIO(animated([("run", inputs, frames)], key_of(name)))) as film:
        film.seek(film.n_frames - 1)
        assert near(np.asarray(film.convert("RGB"))[:-20], WRONG, 20) == 0
    assert not re.search(r"\bclass\b|\bsays\b|wrong|label|\bp \d", said_on(written))


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_on_a_card_is_small_or_beyond_its_edge_and_cards_of_a_task_are_of_one_height(written, name):  # noqa: F811
    looks = film_for(name, 2)
    cards = [card(look, inputs_for(name), index) for look in looks for index in range(COUNT)]
    assert len({each.shape for each in cards}) == 1
    for said, (x, y), size, _, length in written:
        assert size >= TEXT
        assert x + length <= WIDTH + 1, said
        assert y + size <= cards[0].shape[0] + 1, said


def test_a_caption_of_many_labels_is_wrapped_and_cut_behind_a_word(written):  # noqa: F811
    longer = f"{LONG}, {LONG}"
    frame = frame_for("multilabel")
    card(replace(frame, said=(longer,) * COUNT), inputs_for("multilabel"), 0)
    first, second = [text for text, _, _, fill, _ in written if fill == WRONG]
    assert longer.startswith(f"{first} {second.removesuffix(' …')}")
    assert second.endswith(" …")
    assert lines_within("one two", 500, 1) == ["one two"]
    assert lines_within("onelongword", 10, 1) == ["onelongword"]


@pytest.mark.parametrize("name", OTHERS)
def test_strip_and_film_say_what_is_explained_in_which_unit_and_how_the_output_is_read(written, name):  # noqa: F811
    frames, inputs, task = film_for(name), inputs_for(name), TASKS[name]
    for draw in (lambda: strip(frames, inputs, key_of(name)), lambda: animated([("run", inputs, frames)], key_of(name))):
        written.clear()
        draw()
        said = said_on(written)
        assert printable(task.answer) in said
        assert ("Orange frame: wrong answer." in said) == (name not in NUMBERS)
        first = said[said.index("for " if key_of(name) == "evidence" else "error") :].split(".")[0]
        assert first.endswith(f", {task.unit}") == (task.unit not in ("", "log-odds"))
        assert not re.search(r"\blabel\b|predicted|class", first)


def test_each_task_explains_what_it_explains(written):  # noqa: F811
    found = {}
    for name in TASKS:
        written.clear()
        strip(film_for(name), inputs_for(name), key_of(name))
        found[name] = next(text for text, *_ in written if re.match("Evidence|error", text)).split(".")[0]
    assert found["multiclass"] == "Evidence for the label"
    assert found["binary"] == "Evidence for yes"
    assert found["ordinal"] == found["multilabel"] == "Evidence for what is true"
    assert found["regression"] == "Evidence for the number, years"
    assert found["unknown"] == "Evidence for the score"
    assert found["reconstruction"] == "error of the picture, squared error"


def test_a_card_names_the_unit_of_its_colours_where_it_is_another_one(written):  # noqa: F811
    for name, task in TASKS.items():
        written.clear()
        card(frame_for(name), inputs_for(name), 0)
        units = [text for text, *_ in written if text.startswith("unit of the colours")]
        assert units == ([f"unit of the colours: {task.unit}"] if task.unit not in ("", "log-odds") else [])


def test_in_a_strip_other_labels_are_named_behind_a_white_bar_without_class_numbers(written):  # noqa: F811
    strip(film_for("multilabel"), inputs_for("multilabel"), "evidence")
    names = [text for text, *_ in written if text in ("cat", "dog", "tree", "bicycle")]
    assert sorted(names) == sorted(
        ["cat", "dog", "tree", "tree", "cat", "bicycle", "cat"]
    )  # at first, then new, then the truth
    assert "White bar: from here on something else is explained." in said_on(written)
    written.clear()
    strip([frame_for("multilabel")] * 3, inputs_for("multilabel"), "evidence")
    assert "White bar" not in said_on(written)


def test_wrong_answers_are_framed_in_a_strip_where_they_are_known():
    frames, inputs = [frame_for("embedding")], inputs_for("embedding")
    framed = strip(frames, inputs, "evidence")
    nobody = strip([replace(frames[0], wrong=(None,) * COUNT)], inputs, "evidence")
    assert near(framed, WRONG, 4) > 200
    assert near(nobody, WRONG, 4) == 0


@pytest.mark.parametrize(("error", "place"), [(-2.0, 0), (-1.0, 50), (0.0, 100), (1.0, 150), (2.0, 199), (9.0, 199), (-9.0, 0)])
def test_an_error_lies_where_its_spreads_are(error, place):
    assert abs(position(error, 200) - place) <= 1
    bar = error_bar(error, 200, 24)
    inked = np.flatnonzero((bar[14] == INK).all(axis=1))
    assert inked.min() >= min(place, 100) - 3
    assert inked.max() <= max(place, 100) + 3
    assert len(inked) >= abs(place - 100)


def test_an_error_that_is_not_finite_has_no_bar():
    assert near(error_bar(float("nan"), 100, 16), INK, 10) == 0


def test_errors_stand_on_cards_and_below_the_tiles_of_a_strip():
    frame, inputs = frame_for("regression"), inputs_for("regression")
    places = (lambda look: card(look, inputs, 2)[46:70, 480:], lambda look: strip([look], inputs, "evidence")[166:180, 120:220])
    for place in places:
        assert near(place(frame), FAINT, 4) > 60
        assert near(place(replace(frame, per_image={})), FAINT, 4) == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("binary", "Right on 3 of 4 probe images at first, on 3 at last."),
        ("multilabel", "Right on 2 of 4 probe images at first, on 2 at last."),
        ("ordinal", "Mean distance from the truth: 1.25 at first, 0.25 at last."),
        ("regression", "Mean absolute error (years): 20.8 at first, 2.52 at last."),
        ("segmentation", "Mean IoU: 0.065 at first, 0.575 at last."),
        ("embedding", "Right on 1 of 2 probe images at first, on 1 at last."),
        ("reconstruction", "Mean squared error: 0.4 at first, 0.046 at last."),
    ],
)
def test_a_summary_says_how_good_the_answers_are_as_far_as_that_is_known(name, expected):
    said = words(film_for(name), inputs_for(name))
    assert said[0] == TASKS[name].answer
    assert expected in said
    assert any("Right on" in each for each in said) == (name not in NUMBERS)


def test_a_summary_says_that_it_is_not_known_what_an_output_means():
    frames, inputs = film_for("unknown"), inputs_for("unknown")
    assert words(frames, inputs) == ["What the output (4, 7, 3) means is not known; its mean is explained."]
    assert words([replace(each, answer="") for each in frames], inputs) == ["What the output means is not known."]


@pytest.mark.parametrize("name", OTHERS)
def test_a_summary_has_captions_of_its_looks_within_its_edges(written, name):  # noqa: F811
    frames, inputs = film_for(name), inputs_for(name)
    summary("run", frames, inputs)
    said = said_on(written)
    for index in telling(frames, inputs):
        assert frames[0].said[index] in said
        assert frames[-1].said[index] in said
    crosses = [frame.is_wrong(index, inputs) is True for index in telling(frames, inputs) for frame in (frames[0], frames[-1])]
    assert len([text for text, *_ in written if text.startswith("x ")]) == sum(crosses)
    for text, (x, y), size, _, length in written:
        assert x + length <= SIZE[0], text
        assert y + size <= SIZE[1] + 1, text


def test_the_best_and_the_worst_image_are_shown_where_that_is_known():
    assert telling(film_for("regression"), inputs_for("regression")) == [3, 2]
    assert telling(film_for("ordinal"), inputs_for("ordinal")) == [1, 0]
    assert telling(film_for("binary"), inputs_for("binary")) == [2, 3]


@pytest.mark.parametrize("name", OTHERS)
def test_descriptions_say_only_what_the_task_knows(name):
    frame, inputs = frame_for(name), inputs_for(name)
    said = descriptions(frame, inputs)
    assert len({said[f"probe/{index}"] for index in range(COUNT)}) == 1
    for text in (said["probe/0"], said[f"film/{key_of(name)}"], _note(frame)):
        assert TASKS[name].answer in text
        assert "the label" not in text
        assert "predicted class" not in text
        assert ("log-odds" in text.replace(TASKS[name].answer, "")) <= (TASKS[name].unit == "log-odds")
    assert ("A cross" in said["probe/0"]) == ("a cross" in said[f"film/{key_of(name)}"]) == (name not in NUMBERS)
    assert ("spread of the targets" in said["probe/0"]) == (name == "regression")
    assert ("warm raises" in said["probe/0"]) == (name in ("regression", "embedding", "unknown"))
    assert ("warm speaks for" in said["probe/0"]) == (TASKS[name].unit == "log-odds")


def test_letters_that_the_font_has_not_are_written_in_others_and_text_stays_on_its_line(written):  # noqa: F811
    assert printable("Zürich – naïve Œuvre −2.8 → 3 × 4\n5\u200b") == "Zurich - naive OEuvre -2.8 -> 3 x 4 5"  # noqa: RUF001
    assert printable("猫 <b>&") == "猫 <b>&"
    assert text_width("é") == text_width("e")
    names = Inputs("probe", inputs_for(PLAIN).pictures, np.zeros(COUNT, int), class_names=("Käse\n", "b"))
    card(frame_for(PLAIN), names, 0)
    assert "Kase , epoch 3" in [text for text, *_ in written]


def test_frames_of_classes_say_nothing_of_tasks(written):  # noqa: F811
    for name in CLASSES[:1]:
        frames, inputs = film_for(name), inputs_for(name)
        card(frames[-1], inputs, 0)
        strip(frames, inputs, "evidence")
    said = said_on(written)
    assert "says bird  0.90" in said
    assert "unit" not in said
    assert frames[-1].reading == ""


def test_a_unit_that_nobody_has_named_is_the_target_s():
    frames = [replace(each, unit=TARGET_UNIT, answer="") for each in film_for("regression")]
    frames = [replace(each, maps={key: replace(maps, unit=TARGET_UNIT) for key, maps in each.maps.items()}) for each in frames]
    assert "in the target's unit: warm raises" in descriptions(frames[-1], inputs_for("regression"))["probe/0"]
    assert words(frames, inputs_for("regression")) == ["Mean absolute error (target's unit): 20.8 at first, 2.52 at last."]


def test_maps_of_the_output_itself_explain_nothing(written):  # noqa: F811
    frame, inputs = frame_for("reconstruction"), inputs_for("reconstruction")
    assert "**error**, in squared error: the output itself" in descriptions(frame, inputs)["probe/0"]
    silent = replace(frame, maps={"error": replace(frame.maps["error"], explains=())})
    assert inputs.explained(silent.maps["error"], 0) == ""
    card(silent, inputs, 0)
    assert "of the output" in [text for text, *_ in written]
    strip([silent] * 2, inputs, "error")
    assert "another class" not in said_on(written)


def test_numbers_move_by_spreads_and_have_no_alert():
    effects = {"reliance/background_effect": 0.42, "reliance/object_effect": 1.7}
    for name, moved in (("regression", "0.42 spreads of the targets, swapping the object by 1.7."), ("binary", "42 points")):
        said = " ".join(words([replace(frame_for(name), numbers=effects)], inputs_for(name)))
        assert f"moves the answer by {moved}" in said
        assert "alert" not in said
    assert not any(
        "Swapping" in each for each in words([replace(frame_for("regression"), numbers={})], inputs_for("regression"))
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ordinal", "moves the answer by 42 % of the scale of grades, swapping the object by 90."),
        ("segmentation", "moves the IoU of the object by 42 points, swapping the object by 90."),
        ("embedding", "moves the embedding by 0.42 in cosine, swapping the object by 0.9."),
        ("reconstruction", "moves the error on the object by 0.42 in squared error."),
    ],
)
def test_a_summary_says_what_swapping_moves(name, said):
    effects = {"reliance/background_effect": 0.42, "reliance/object_effect": 0.9}
    known = dict(list(effects.items())[:1]) if name == "reconstruction" else effects
    sentences = words([replace(frame_for(name), numbers=known)], inputs_for(name))
    assert f"Swapping the background {said}" in sentences
    assert not any("alert" in each for each in sentences)
