"""Notebooks: a look knows its pictures, which are those of the Images tab; short reprs, and HTML of small PNGs."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from modules import Classifier, loader
from nets import Plain, images
from PIL import Image
from worlds import twin_probe

from lightning_vis import Film, Frame, Probe, ProbeCallback, look
from lightning_vis.events.loggers import encoded
from lightning_vis.render.cards import card
from lightning_vis.render.notebook import SHOWN, pictured

NASTY = '<script>alert("x")</script>'


@pytest.fixture
def frame(probe):
    return look(Plain(), probe)


def pngs(html):
    """The pictures within a page, decoded."""
    found = re.findall(r'src="data:image/png;base64,([^"]*)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in found]


def test_a_look_plots_the_cards_of_all_images(frame, probe):
    sheet = np.asarray(frame.plot())
    for index in range(4):
        expected = card(frame, probe.inputs(), index)
        height, width = expected.shape[:2]
        y, x = index // 2 * (height + 10), index % 2 * (width + 10)
        np.testing.assert_array_equal(sheet[y : y + height, x : x + width], expected)
    assert sheet.shape == (2 * height + 10, 2 * width + 10, 3)


def test_a_single_image_is_a_single_card():
    frame = look(Plain(), Probe(images(1), [2]))
    np.testing.assert_array_equal(np.asarray(frame.plot()), card(frame, frame.inputs, 0))


def test_the_picture_is_what_tensorboard_shows(trainer, events, probe):
    module = Classifier()
    frame = look(module, probe)
    trainer([ProbeCallback(probe, images=True)], max_epochs=1).fit(module, loader(), loader(8))
    shown = events().Images("probe/1")[0].encoded_image_string
    drawn = card(replace(frame, moment="start"), frame.inputs, 1)
    ((data, *_),) = encoded({"probe/1": drawn}).values()
    assert shown == data


def test_a_head_of_several_plots_what_it_knows(frame):
    other = pictured(replace(frame, head="kind"), frame.inputs).of("kind")
    assert other.plot().size == frame.plot().size


def test_reprs_are_short_and_say_what_there_is(frame, probe):
    assert repr(frame) == "<Frame of 'probe': now, 4 images, evidence, grad_cam, saliency>"
    assert repr(probe) == "<Probe 'probe': 4 images (3, 12, 12); labels>"
    assert repr(twin_probe()) == "<Probe 'probe': 8 images (3, 16, 16); labels; masks; twins on warm, cold>"
    boxed = Probe(images(2), boxes=[[0, 0, 5, 5], [1, 1, 6, 6]])
    assert repr(boxed) == "<Probe 'probe': 2 images (3, 12, 12); boxes>"
    assert repr(Film()) == "<Film of 0 looks>"
    film = Film()
    film.add(frame)
    assert repr(film) == "<Film of 1 look: now; evidence, grad_cam, saliency>"
    for step in range(1, 80):
        film.add(replace(frame, finished_steps=step, moment="step"))
    assert repr(film) == "<Film of 80 looks, 41 kept: now to step 79; evidence, grad_cam, saliency>"


def test_what_users_named_stays_text():
    probe = Probe(images(2), [0, 1], name=NASTY, class_names=[NASTY, "b", "c"])
    frame = look(Plain(), probe)
    film = Film([replace(frame, maps={NASTY: frame.maps["evidence"]})], [0], 1, inputs=frame.inputs)
    for each in (probe, frame, replace(frame, notes=(NASTY,)), film):
        assert "<script" not in each._repr_html_()
        assert "&lt;script&gt;" in each._repr_html_()


def test_pages_show_small_pictures_and_say_what_is_left_out():
    probe = Probe(images(SHOWN + 3), [0] * (SHOWN + 3))
    frame = look(Plain(), probe)
    for html, width in ((probe._repr_html_(), 96), (frame._repr_html_(), 350)):
        assert [each.shape[1] for each in pngs(html)] == [width] * SHOWN
        assert "and 3 more" in html


def test_a_probe_shows_its_twins():
    html = twin_probe()._repr_html_()
    assert "<p>twins:</p>" in html
    assert html.count("<figcaption>warm</figcaption>") == 2


def test_frames_of_a_film_that_was_read_know_their_pictures(trainer, probe, tmp_path):
    trainer([ProbeCallback(probe)], max_epochs=1).fit(Classifier(), loader(), loader(8))
    film = Film.from_logdir(tmp_path / "run")
    assert repr(film).startswith("<Film of 5 looks: start to epoch 1; evidence")
    last = film.frames[-1]
    np.testing.assert_array_equal(
        np.asarray(last.plot())[: card(last, film.inputs, 0).shape[0], :700], card(last, film.inputs, 0)
    )
    assert isinstance(last, Frame)
    assert len(pngs(film._repr_html_())) == len(film.views)
