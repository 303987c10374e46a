"""Cards and strips: sizes, labels, colours where they are expected, and that no odd input breaks them."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lightning_vis.frames import Frame, Inputs, Maps, Scale, Verdict
from lightning_vis.render.canvas import style, text
from lightning_vis.render.canvas.style import GAP, RIGHT, TEXT, WIDTH, WRONG
from lightning_vis.render.canvas.text import elide
from lightning_vis.render.canvas.tiles import jpeg
from lightning_vis.render.cards import card
from lightning_vis.render.colormap import overlay
from lightning_vis.render.strips import NARROW, WIDE, strip

HEAD = TEXT + 2 * GAP
SIGNED, CAM, DENSITY = Scale(signed=True), Scale(by_area=True), Scale("density", 12.0)


def noise(count, height, width, seed=0):
    """Smooth pictures with some texture, as photographs have it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (count, height // 8 + 1, width // 8 + 1, 3)).astype(np.uint8)
    large = [np.asarray(Image.fromarray(each).resize((width, height), Image.Resampling.BICUBIC)) for each in coarse]
    return np.clip(np.stack(large) + rng.normal(0, 12, (count, height, width, 3)), 0, 255).astype(np.uint8)


def inputs(count=2, height=64, width=64, **more):
    return Inputs("probe", noise(count, height, width), np.arange(count) % 2, class_names=("bird", "mammal"), **more)


def frame(count=2, predicted=(0, 0), values=None, **more):
    rng = np.random.default_rng(1)
    classes = np.zeros(count, int)
    evidence = rng.standard_normal((count, 7, 7)).astype(np.float32) * 10 if values is None else values
    maps = {
        "evidence": Maps(evidence, classes, "layer4", SIGNED, "evidence", "label"),
        "grad_cam": Maps(np.abs(evidence) / 49, classes, "layer4", CAM, "Grad-CAM"),
        "saliency": Maps(rng.random((count, 64, 64)).astype(np.float32), classes, "<input>", DENSITY, "saliency"),
    }
    return Frame("probe", np.resize(predicted, count), np.full(count, 0.75, np.float32), maps, **more)


@pytest.fixture
def written(monkeypatch):
    """The texts that are really drawn, with their place, size and colour."""
    texts = []
    real = ImageDraw.ImageDraw.text

    def text(self, xy, text, fill=None, font=None, *args, **kwargs):
        texts.append((text, xy, font.size, fill, font.getlength(text)))
        return real(self, xy, text, fill, font, *args, **kwargs)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return texts


def near(picture, colour, tolerance=40):
    """How many pixels have nearly this colour."""
    return int((np.abs(picture.astype(int) - colour).max(axis=2) < tolerance).sum())


def test_a_card_is_700_wide_and_says_everything(written):
    found = card(frame(finished_steps=12, epoch=3, moment="epoch"), inputs(), 0)
    assert found.shape[1:] == (WIDTH, 3)
    assert found.dtype == np.uint8
    said = [text for text, *_ in written]
    for expected in ("bird, epoch 3", "says bird", " 0.75", "input", "evidence", "for bird", "Grad-CAM", "of bird"):
        assert expected in said
    assert any(text.startswith("saliency") for text in said)
    assert [text for text in said if text.lstrip("-").isdigit()] == ["-31", "-3", "0", "3", "31", "0", "1", "3", "7", "31"]


def test_no_text_on_a_card_is_smaller_than_30_pixels_nor_beyond_its_edge(written):
    names = ("a class with a very long name indeed", "another class with an even longer name")
    found = card(frame(predicted=(1, 1), finished_steps=123456, moment="step"), replace(inputs(), class_names=names), 0)
    assert len(written) > 15
    for said, (x, y), size, _, length in written:
        assert size >= TEXT == 30
        assert x >= 0
        assert y >= 0
        assert x + length <= WIDTH + 1, said
        assert y + size <= found.shape[0] + 1, said


def test_a_wrong_answer_has_a_mark_and_a_colour_a_right_one_has_another_mark(written):
    right, wrong = (card(frame(predicted=(answer, 0)), inputs(), 0) for answer in (0, 1))
    assert [fill for text, _, _, fill, _ in written if text.startswith("says")] == [style.INK, WRONG]
    assert near(wrong[:HEAD], WRONG) > 50 > near(right[:HEAD], WRONG)
    assert near(right[:HEAD], RIGHT) > 20 > near(wrong[:HEAD], RIGHT)


def test_without_labels_nothing_is_right_or_wrong(written):
    found = card(frame(), replace(inputs(), labels=None), 0)
    assert near(found[:HEAD], WRONG) + near(found[:HEAD], RIGHT) == 0
    assert "now" in [text for text, *_ in written]


def test_without_class_scores_no_answer_is_drawn(written):
    card(frame(predicted=(-1,)), inputs(), 0)
    assert not any(text.startswith("says") for text, *_ in written)


@pytest.mark.parametrize(
    ("values", "state"),
    [
        (np.zeros((2, 7, 7), np.float32), "empty"),
        (np.full((2, 7, 7), 2.5, np.float32), "constant"),
        (np.full((2, 7, 7), np.nan, np.float32), "not finite"),
        (np.where(np.eye(7) > 0, np.inf, 1.0).astype(np.float32)[None].repeat(2, 0), "not finite"),
        (np.where(np.eye(7) > 0, np.inf, -np.inf).astype(np.float32)[None].repeat(2, 0), "not finite"),
        (np.random.default_rng(0).random((2, 7, 7)).astype(np.float32), None),
    ],
)
def test_maps_that_say_nothing_are_named(written, values, state):
    look = frame(values=values)
    look = replace(look, maps=look.maps | {"saliency": replace(look.maps["saliency"], values=values)})
    card(look, inputs(), 0)
    states = [text for text, *_ in written if text in ("empty", "constant", "not finite")]
    assert states == ([state] * 3 if state else [])
    for key in look.maps:
        strip([look] * 2, inputs(), key)


def test_maps_are_drawn_where_they_lie_in_their_colours():
    values = np.zeros((2, 8, 8), np.float32)
    values[:, :, :4], values[:, :, 4:] = 31, -31
    photo = replace(inputs(), pictures=np.zeros((2, 64, 64, 3), np.uint8))
    found = card(frame(values=values), photo, 0).astype(int)
    side = (WIDTH - 4 * GAP) // 3
    x, y = 2 * GAP + side, TEXT + 2 * GAP
    tile = found[y : y + side, x : x + side]
    warm, blue = overlay(np.zeros((1, 2, 3), np.uint8), np.array([[1.0, -1.0]]), signed=True)[0].astype(int)
    assert np.abs(tile[side // 2, side // 8] - warm).max() <= 2
    assert np.abs(tile[side // 2, -side // 8] - blue).max() <= 2


@pytest.mark.parametrize(("height", "width"), [(32, 128), (128, 32), (1, 1), (28, 28), (300, 224)])
def test_pictures_of_any_shape_keep_their_proportions(height, width):
    photo = replace(inputs(), pictures=np.full((2, height, width, 3), 255, np.uint8))
    found = card(frame(), photo, 0)
    side = (WIDTH - 4 * GAP) // 3
    tile = found[TEXT + 2 * GAP : TEXT + 2 * GAP + side, GAP : GAP + side]
    white = np.argwhere(tile.min(axis=2) > 250)
    tall, wide = white.max(axis=0) - white.min(axis=0) + 1
    assert max(tall, wide) == side
    assert tall / wide == pytest.approx(height / width, rel=0.03)
    assert strip([frame()], photo, "saliency").ndim == 3


@pytest.mark.parametrize("keys", [["saliency"], ["grad_cam"], ["evidence", "grad_cam"], ["evidence", "grad_cam", "saliency"]])
def test_a_card_of_any_views(keys):
    whole = frame()
    found = card(replace(whole, maps={key: whole.maps[key] for key in keys}), inputs(), 1)
    assert found.shape[1] == WIDTH


def test_many_views_take_more_rows(written):
    whole = frame()
    many = {f"grad_cam.layer{index}": replace(whole.maps["grad_cam"], title=f"cam {index}") for index in range(7)}
    found = card(replace(whole, maps=many), inputs(), 0)
    assert found.shape[0] > 2.5 * card(whole, inputs(), 0).shape[0] * 0.8
    assert [text for text, *_ in written if text.startswith("cam")] == [f"cam {index}" for index in range(7)]


def test_a_strip_has_a_row_per_image_and_a_column_per_look(written):
    looks = [frame(finished_steps=step, moment="step" if step else "start") for step in (0, 1, 2)]
    one, more = strip(looks[:1] * 8, inputs(), "evidence"), strip(looks * 3, inputs(), "evidence")
    column = more.shape[1] - one.shape[1]
    assert more.shape[0] == one.shape[0]
    taller = strip([frame(4)] * 9, inputs(4), "evidence")
    assert taller.shape[0] - more.shape[0] == 2 * (column + WIDE.name)
    said = [text for text, *_ in written]
    assert said.count("start") == 8 + 3
    assert {"step 1", "step 2"} <= set(said)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("evidence", "evidence for the label. Orange frame: wrong answer."),
        ("grad_cam", "Grad-CAM of the predicted class. Orange frame: wrong answer. White bar:"),
        ("saliency", "wrong answer. Full colour: 12 times the map's mean. White bar:"),
    ],
)
@pytest.mark.parametrize("columns", [1, 10])
def test_a_strip_says_what_it_shows_whole(written, key, said, columns):
    strip([frame(finished_steps=step) for step in range(columns)], inputs(), key)
    assert said in " ".join(text for text, *_ in written)
    assert not any("…" in text for text, *_ in written)
    ticks = {"evidence": ["-31", "-3", "0", "3", "31"], "grad_cam": ["0", "1", "3", "7", "31"], "saliency": []}
    assert [text for text, *_ in written if text.lstrip("-").isdigit()] == ticks[key]


def test_wrong_answers_in_a_strip_have_a_frame():
    right = strip([frame(1, (0,))], inputs(1), "saliency")
    wrong = strip([frame(1, (1,))], inputs(1), "saliency")
    assert near(wrong, WRONG, 4) - near(right, WRONG, 4) > 200


def test_a_new_explained_class_is_named_in_the_strip(written):
    before = frame()
    maps = {"grad_cam": replace(before.maps["grad_cam"], classes=np.array([1, 0]))}
    strip([before, before, before], inputs(), "grad_cam")
    steady = [text for text, *_ in written].count("mammal")
    assert steady == 1  # the label of the second row
    strip([before, replace(before, maps=maps), replace(before, maps=maps)], inputs(), "grad_cam")
    assert [text for text, *_ in written].count("mammal") == 2 * steady + 1


def test_looks_without_the_view_are_left_out():
    other = replace(frame(), maps={})
    np.testing.assert_array_equal(strip([other, frame(), other], inputs(), "evidence"), strip([frame()], inputs(), "evidence"))


def test_jpeg_is_what_was_drawn():
    picture = card(frame(), inputs(), 0)
    found = np.asarray(Image.open(io.BytesIO(jpeg(picture))))
    assert found.shape == picture.shape
    assert np.abs(found.astype(int) - picture).mean() < 3


def test_the_8_cards_of_a_look_take_at_most_half_a_megabyte():
    photos = inputs(8, 224, 224)
    cards = [jpeg(card(frame(8), photos, index)) for index in range(8)]
    assert sum(map(len, cards)) <= 500_000


def test_both_ends_of_a_long_name_are_kept():
    sheet = ImageDraw.Draw(Image.new("RGB", (9, 9)))
    font = text._font(30)
    name = "model.backbone.layer4.1.conv2"
    short = elide(sheet, name, 200, font)
    assert sheet.textlength(short, font=font) <= 200
    assert short.startswith("model")
    assert short.endswith("conv2")
    assert "…" in short
    assert elide(sheet, "layer4", 200, font) == "layer4"
    assert elide(sheet, name, 1, font) == "m"


def test_views_that_differ_by_target_or_layer_are_told_apart_on_a_card(written):
    looked = frame()
    other = replace(looked.maps["saliency"], classes=np.ones(2, int), target="1")
    cam = replace(looked.maps["grad_cam"], layer="net.4")
    maps = {
        **looked.maps,
        "grad_cam": cam,
        "grad_cam.net.0": replace(cam, layer="net.0"),
        "saliency+1": other,
        "saliency+label": looked.maps["saliency"],
    }
    card(replace(looked, maps=maps), inputs(), 0)
    said = [text for text, *_ in written]
    assert [text for text in said if text.startswith("Grad-CAM")] == ["Grad-CAM net.4", "Grad-CAM net.0"]
    at = [place for place, text in enumerate(said) if text == "saliency"]
    assert [said[place + 1] for place in at] == ["of bird", "of mammal", "of bird"]
    assert said[-1] == "sensitivity: not what the answer rests on"


@pytest.mark.parametrize("epoch", [3, 30, 300, 3000])
def test_the_head_of_a_strip_is_never_cut_and_of_one_size(written, epoch):
    frames = [frame(finished_steps=1, epoch=each, moment="epoch") for each in (1, epoch)]
    strip(frames, inputs(), "evidence")
    heads = {text: size for text, _, size, *_ in written if text.startswith("ep")}
    assert list(heads) == ["epoch 1", f"epoch {epoch}"]
    assert len(set(heads.values())) == 1


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("label", "saliency of the label. Orange frame: wrong answer."),
        ("1", "saliency of mammal. Orange frame: wrong answer."),
        (
            "runner_up",
            "saliency of the runner-up class. Orange frame: wrong answer. Full colour: 12 times the map's mean. White bar:",
        ),
    ],
)
def test_a_strip_says_which_class_it_explains(written, target, words):
    looked = frame()
    maps = {"saliency": replace(looked.maps["saliency"], target=target)}
    strip([replace(looked, maps=maps)] * 8, inputs(), "saliency")
    assert " ".join(text for text, _, size, *_ in written if size == TEXT).startswith(words)


def test_a_strip_names_maps_that_say_nothing(written):
    looked = frame()
    blank = replace(looked.maps["evidence"], values=looked.maps["evidence"].values * 0)
    strip([replace(looked, maps={"evidence": blank})] * 2, inputs(), "evidence")
    assert [text for text, *_ in written].count("empty") == 2 * len(inputs().pictures)


def test_a_strip_of_both_signs_without_a_bar_says_which_is_which(written):
    looked = frame()
    maps = {"saliency": replace(looked.maps["saliency"], scale=replace(looked.maps["saliency"].scale, signed=True))}
    strip([replace(looked, maps=maps)], inputs(), "saliency")
    assert "Red: for it, blue: against it." in " ".join(text for text, *_ in written)


def test_a_narrow_strip_is_as_wide_as_a_card_its_letters_too_and_says_what_it_leaves_out(written):
    looks = [frame(6, finished_steps=step) for step in range(4)]
    assert strip(looks, inputs(6), "evidence", NARROW).shape[1] == WIDTH
    assert min(size for _, _, size, _, _ in written) >= 26
    said = " ".join(text for text, *_ in written)
    assert "The first 4 of 6 images." in said
    written.clear()
    strip(looks, inputs(4), "evidence", NARROW)
    assert "images." not in " ".join(text for text, *_ in written)


@pytest.mark.parametrize(("size", "says"), [(NARROW, True), (WIDE, False)])
def test_a_strip_that_stands_alone_says_where_the_picture_of_its_verdict_is(written, size, says):
    """The Images tab has pictures of exchanges and twins beside wide strips alone."""
    looks = [frame(2, verdict=Verdict("seen", "It follows. See exchange 2.", (1,)))]
    strip(looks, inputs(2), "evidence", size)
    assert ("tab Lightning Vis" in " ".join(text for text, *_ in written)) == says


def test_narrow_strips_say_a_verdict_once(written):
    verdict = Verdict("stays", "The answer stays with the object.")
    looks = [frame(2, finished_steps=step, verdict=verdict) for step in range(2)]
    for size, count in ((NARROW, 1), (WIDE, 3)):
        written.clear()
        for key in looks[-1].maps:
            strip(looks, inputs(2), key, size)
        assert " ".join(text for text, *_ in written).count("with the object.") == count
