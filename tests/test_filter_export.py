"""Films of filters taken along as GIF and strip, from event files that real trainings have left."""

from __future__ import annotations

import io

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from nets import Plain, images
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from tab_runs import film_of, inputs_of, pictures_of, write_run
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis.callbacks.filters import FilterMaximizationCallback
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.cli import main
from lightning_vis.events.frame_reader import read_frames, read_runs, whole_run
from lightning_vis.frames import Filter, Frame, Pictures, filters_of, numbers_of
from lightning_vis.probe.probe import Probe
from lightning_vis.render.canvas.style import FAINT, INK, PANEL, WRONG
from lightning_vis.render.canvas.text import paragraph, text_width, write
from lightning_vis.render.canvas.tiles import fit
from lightning_vis.render.filters import filter_card, filter_film, filter_sheet

ORANGE = "Orange frame: a probe image excites it more, or it is dead."


class Small(pl.LightningModule):
    """A classifier of twelve-pixel images, channel 1 of its last feature map dead."""

    def __init__(self):
        super().__init__()
        self.net = Plain()
        with torch.no_grad():
            self.net[5].weight[1], self.net[5].bias[1] = 0, -9

    def training_step(self, batch, _):
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def forward(self, x):
        return self.net(x)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def train(trainer, tmp_path):
    """Trains under a name and returns the callbacks."""

    def run(name, *callbacks, epochs=2):
        torch.manual_seed(0)
        data = DataLoader(TensorDataset(images(12, seed=3), torch.arange(12) % 3), batch_size=4)
        logger = TensorBoardLogger(tmp_path / "logs", name="", version=name)
        trainer(callbacks, max_epochs=epochs, logger=logger, limit_val_batches=0).fit(Small(), data)
        return callbacks

    return run


def filters(layer="net.6", **arguments):
    names = ["cat", "dog", "white-tailed eagle"]
    probe = Probe(images(4), labels=[0, 1, 2, 0], class_names=names)
    return FilterMaximizationCallback([layer], **({"channels": 3, "steps": 30, "probe": probe} | arguments))


def exported(command, tmp_path, *words, of="logs"):
    output = tmp_path / ("film.gif" if command == "gif" else "film.png")
    assert main([command, str(tmp_path / of), "-o", str(output), *words]) == 0
    return Image.open(io.BytesIO(output.read_bytes()))


def stored(tmp_path, name="a"):
    """The frames of a run's filters as they lie in its event file."""
    (run,) = [whole_run(each) for each in read_runs(tmp_path / "logs") if each.name == name]
    return run.filters


def sentence(words, width):
    """What a picture's last lines are, and how many pixels they take."""
    said = paragraph(words, width, 22)
    return said, len(said)


def text(words, width, height, size, colour):
    sheet = Image.new("RGB", (width, height), PANEL)
    write(sheet, (0, 0), words, colour, 10_000, size)
    return np.asarray(sheet).astype(int)


def reads(shown, words, size, colour):
    """Whether a part of a GIF holds these words: of its bright pixels nine in ten are theirs, and the palette is coarse."""
    drawn = text(words, shown.shape[1], shown.shape[0], size, colour).max(2) > 90
    found = shown.max(2) > 90
    assert np.abs(shown[drawn].mean(0) - text(words, *drawn.shape[::-1], size, colour)[drawn].mean(0)).max() < 25
    return (drawn & found).sum() > 0.9 * (drawn | found).sum()


# --- strips ---------------------------------------------------------------------------------------------------------


def test_a_strip_has_a_row_per_filter_and_a_column_per_look(train, tmp_path):
    (callback,) = train("a", filters(), epochs=3)
    shown = np.asarray(exported("strip", tmp_path, "--view", "filters/net.6"))
    left, top, step = max(text_width(name, 22) for name in "012") + 20, 42, 110
    marked = set()
    for column, (frame, kept) in enumerate(zip(callback.film.frames, stored(tmp_path), strict=True)):
        assert (
            np.abs(kept.pictures["filters/net.6"].values.astype(int).mean() - frame.pictures["filters/net.6"].values.mean()) < 3
        )
        for row in range(3):
            key = f"filters/net.6/{row}"
            numbers = [frame.numbers[f"{key}/{kind}"] for kind in ("activation", "on_probe", "dead")]
            x, y = left + column * step, top + row * step
            picture = kept.pictures["filters/net.6"].values[row]
            is_marked = bool(numbers[2]) or numbers[1] > numbers[0]
            assert np.array_equal(shown[y : y + 98, x : x + 98], fit(picture, 100)[:98, :98])
            assert tuple(shown[y - 2, x - 2]) == (WRONG if is_marked else PANEL)
            marked.add((row, is_marked))
    assert (1, True) in marked  # it is dead
    assert {(0, False), (2, False)} & marked
    assert np.ptp(shown[:42, left : left + 4 * step].reshape(-1, 4, step, 3), axis=(0, 2, 3)).min() > 100  # four heads


def test_a_strip_says_below_what_orange_means(train, tmp_path):
    train("a", filters(), filters("<output>"))
    for view, what in (("filters/net.6", "channels of net.6"), ("filters/<output>", "each class")):
        shown = np.asarray(exported("strip", tmp_path, "--view", view))
        below, height = sentence(f"What excites {what}. {ORANGE}", shown.shape[1])
        assert np.array_equal(shown[-height:], below)


def test_rows_are_the_filters_of_the_last_look_and_others_stay_empty(tmp_path):
    looks = [look_at(steps, channels) for steps, channels in ((0, "01"), (10, "21"), (20, "23"))]
    write_run(tmp_path / "logs", looks, inputs_of())
    shown = np.asarray(exported("strip", tmp_path))
    left = max(text_width(name, 22) for name in "23") + 20
    middles = [[tuple(shown[92 + 110 * row, left + 50 + 110 * column]) for column in range(3)] for row in range(2)]
    grey = [(60 * channel + 10,) * 3 for channel in range(4)]
    assert middles == [[PANEL, grey[2], grey[2]], [PANEL, PANEL, grey[3]]]
    below, height = sentence(f"What excites channels of conv. {ORANGE} Empty: that look was at other filters.", shown.shape[1])
    assert np.array_equal(shown[-height:], below)


def test_filters_that_are_no_longer_shown_leave_nothing_empty(tmp_path):
    write_run(tmp_path / "logs", [look_at(0, "012"), look_at(10, "01")], inputs_of())
    shown = np.asarray(exported("strip", tmp_path))
    below, height = sentence(f"What excites channels of conv. {ORANGE}", shown.shape[1])
    assert np.array_equal(shown[-height:], below)


def test_runs_stand_below_each_other_each_with_its_name_and_one_sentence_for_all(train, tmp_path):
    train("a", filters())
    train("b", filters(), epochs=3)
    train("c", ProbeCallback(Probe(images(4))))
    both = np.asarray(exported("strip", tmp_path, "--view", "filters/net.6")).astype(int)
    ones = [np.asarray(exported("strip", tmp_path, of=f"logs/{name}")).astype(int) for name in "ab"]
    _, foot = sentence(f"What excites channels of net.6. {ORANGE}", both.shape[1])
    at = 0
    for name, one in zip("ab", ones, strict=True):
        assert np.array_equal(both[at + 10 : at + 50, 10:200], text(name, 190, 40, 30, INK))
        assert np.array_equal(both[at + 50 : at + 50 + len(one) - foot, : one.shape[1]], one[:-foot])
        at += 50 + len(one) - foot
    assert at + foot == len(both)


def test_a_long_film_is_thinned_first_and_last_always_among_them(tmp_path):
    write_run(tmp_path / "logs", [look_at(10 * at, "01", brightness=at) for at in range(40)], inputs_of())
    shown = np.asarray(exported("strip", tmp_path))
    left = max(text_width(name, 22) for name in "01") + 20
    assert shown.shape[1] == left + 10 * 110
    assert [int(shown[92, left + 50 + 110 * column, 0]) for column in (0, 9)] == [10, 49]


# --- GIFs -----------------------------------------------------------------------------------------------------------


def tile(shown, run, index, heights):
    """A filter of a GIF: its picture, and the lines below it."""
    x, y = 10 + 106 * index, sum(heights[:run]) + 40
    return shown[y : y + 96, x : x + 96], shown[y + 98 : y + 146, x : x + 96]


def test_a_gif_has_a_picture_per_look_and_shows_all_runs_at_that_moment(train, tmp_path):
    train("a", filters("<output>"), epochs=1)
    train("b", filters("<output>"), epochs=3)
    film = exported("gif", tmp_path, "--view", "filters/<output>")
    assert (film.n_frames, film.info["loop"]) == (4, 0)
    for at in range(4):
        film.seek(at)
        shown = np.asarray(film.convert("RGB")).astype(int)
        for run, frame in enumerate([stored(tmp_path, "a")[min(at, 1)], stored(tmp_path, "b")[at]]):
            for index, each in enumerate(filters_of(frame, "<output>")):
                picture, lines = tile(shown, run, index, [194, 194])
                inner = fit(frame.pictures["filters/<output>"].values[index], 96)
                assert np.abs(picture[2:-2, 2:-2] - inner[2:-2, 2:-2]).mean() < 16
                assert reads(lines[24:], value_of(each), 20, FAINT if not orange(each) else WRONG)


def value_of(each):
    return "dead" if each.dead else f"{each.reached:.3g}" if abs(each.reached) >= 1 else f"{each.reached:.2g}"


def orange(each):
    return each.dead or each.on_probe > each.reached


def test_a_gif_names_filters_and_runs_and_marks_what_is_dead(train, tmp_path):
    train("a", filters())
    film = exported("gif", tmp_path)
    film.seek(film.n_frames - 1)
    shown = np.asarray(film.convert("RGB")).astype(int)
    for index, name in enumerate("012"):
        assert reads(tile(shown, 0, index, [0])[1][:24], name, 20, INK)
    assert reads(tile(shown, 0, 1, [0])[1][24:], "dead", 20, WRONG)
    assert np.abs(shown[38, 114:210] - WRONG).mean() < 12  # the frame's upper edge
    assert reads(shown[10:34, 10:400], "a: net.6, epoch 2", 22, INK)
    words = f"What excites channels of net.6. {ORANGE} Below each its name, and what its picture reaches."
    below, height = sentence(words, film.width)
    assert np.abs(shown[-10 - height : -10] - below).mean() < 8


def test_a_run_that_was_not_looked_at_yet_says_so(tmp_path):
    write_run(tmp_path / "logs" / "a", [look_at(0, "01"), look_at(10, "01")], inputs_of())
    write_run(tmp_path / "logs" / "b", [look_at(10, "01")], inputs_of())
    film = exported("gif", tmp_path)
    assert film.n_frames == 2
    shown = np.asarray(film.convert("RGB")).astype(int)
    assert reads(shown[204:228, 10:400], "b: conv, not yet", 22, FAINT)
    assert np.ptp(shown[232:380], axis=(0, 1)).max() == 0


def test_a_gif_has_room_for_the_look_with_the_most_filters(tmp_path):
    write_run(tmp_path / "logs", [look_at(0, "0"), look_at(10, "0123456789"), look_at(20, "0")], inputs_of())
    film = exported("gif", tmp_path)
    film.seek(1)
    shown = np.asarray(film.convert("RGB")).astype(int)
    assert film.n_frames == 3
    assert abs(shown[40 + 154 + 48, 10 + 106 + 48, 0] - 38) < 6  # the tenth is the second in the second row


@pytest.mark.parametrize(
    ("each", "words"),
    [
        (Filter("3", 35.94, 2), "35.9"),
        (Filter("3", -1.5, 2), "-1.5"),
        (Filter("3", 0.126, 2), "0.13"),
        (Filter("3", 0, 0, True), "dead"),
    ],
)
def test_values_are_short(each, words):
    assert each.value == words


# --- which view -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["gif", "strip"])
def test_runs_that_have_only_filters_show_the_first_of_them(command, train, tmp_path):
    train("a", filters("net.0"), filters("net.6"))
    without = exported(command, tmp_path).copy()
    assert without.tobytes() == exported(command, tmp_path, "--view", "filters/net.0").copy().tobytes()
    assert without.tobytes() != exported(command, tmp_path, "--view", "filters/net.6").copy().tobytes()


@pytest.mark.parametrize("command", ["gif", "strip"])
def test_filters_stand_behind_maps_and_are_named_where_a_view_is_unknown(command, train, tmp_path, capsys):
    train("a", filters("net.0"))
    train("b", ProbeCallback(Probe(images(4))), filters("<output>"))
    assert exported(command, tmp_path).copy().tobytes() == exported(command, tmp_path, "--view", "evidence").copy().tobytes()
    assert main([command, str(tmp_path / "logs"), "-o", str(tmp_path / "x"), "--view", "filters/net.9"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "lightning_vis: no view 'filters/net.9' in these runs: there are evidence, grad_cam, saliency, filters/net.0,"
        " filters/<output>, verdict"
    )
    assert not (tmp_path / "x").exists()


def test_filters_are_found_whatever_the_probe_of_their_callback_is_called(train, tmp_path):
    other = Probe(images(3), name="another")
    train("a", ProbeCallback(Probe(images(4))), filters("net.0", probe=other), filters("net.6"))
    for layer in ("net.0", "net.6"):
        assert exported("gif", tmp_path, "--view", f"filters/{layer}").n_frames == 3


def test_numbers_of_all_callbacks_at_one_moment_are_read(train, tmp_path):
    _, first, second = train("a", ProbeCallback(Probe(images(4))), filters("net.0"), filters("net.6"))
    (run,) = read_frames(tmp_path / "logs")
    wanted = {**first.film.frames[-1].numbers, **second.film.frames[-1].numbers}
    assert len(wanted) == 18
    assert {key: run.frames[-1].numbers[key] for key in wanted} == pytest.approx(wanted, rel=1e-4)


def test_pictures_of_which_nobody_knows_what_they_show_are_left_out_and_that_is_said(tmp_path, capsys):
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    lost = Frame("probe", *nobody, pictures={"filters/conv": pictures_of(3)}, finished_steps=10, log_step=9)
    write_run(tmp_path / "logs", [look_at(0, "01"), lost, look_at(20, "01")], inputs_of())
    assert exported("gif", tmp_path).n_frames == 2
    assert capsys.readouterr().err == "lightning_vis: logs: 'filters/conv' after 10 steps: 3 pictures of 0 filters\n"


def test_runs_without_maps_and_filters_say_so(tmp_path, capsys):
    (frame,) = film_of(1)
    write_run(tmp_path / "logs", [Frame(**{**vars(frame), "maps": {}})], inputs_of())
    assert main(["gif", str(tmp_path / "logs"), "-o", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err == "lightning_vis: these runs have no maps, no filters and no verdict\n"


# --- the card in the Images tab -------------------------------------------------------------------------------------


def look_at(steps, channels, brightness=0, layer="conv"):
    """A look at filters of one grey each: 60 brighter from channel to channel, modulo 256."""
    values = np.stack([np.full((32, 32, 3), (60 * int(each) + 10 + brightness) % 256, np.uint8) for each in channels])
    facts = [Filter(each, 2.0, 1.0) for each in channels]
    return named(layer, values, facts, steps)


def named(layer, values, facts, steps=10, epoch=1):
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    pictures = {f"filters/{layer}": Pictures(values, tuple(each.caption for each in facts))}
    when = {"finished_steps": steps, "log_step": steps - 1, "epoch": epoch, "moment": "epoch"}
    return Frame("probe", *nobody, pictures=pictures, numbers=numbers_of(layer, facts), **when)


def test_names_take_the_room_beside_a_short_film():
    facts = [Filter(name, 2.0, 1.0) for name in ("green square", "blue triangle")]
    frame = named("<output>", np.zeros((2, 56, 56, 3), np.uint8), facts)
    for looks, is_whole in ((1, True), (6, True), (10, False)):
        film = filter_film([frame] * looks, "<output>").astype(int)
        width = text_width("green square", 30)
        row = film[50 + 13 : 50 + 48, 10 : 10 + width]
        assert film.shape[1] == 700
        assert np.array_equal(row, text("green square", width, 35, 30, FAINT)) == is_whole


def test_ten_columns_fit_into_a_card():
    facts = [Filter("a very long name of a class", 2.0, 1.0)]
    frame = named("<output>", np.full((1, 56, 56, 3), 200, np.uint8), facts)
    film = filter_film([frame] * 10, "<output>")
    assert [int((film[78, :, 0] == 200).sum()), film.shape[1]] == [560, 700]


def test_a_card_says_what_its_numbers_and_orange_mean():
    for layer, what in (("<output>", "class"), ("conv", "channel")):
        frame = named(layer, np.zeros((1, 56, 56, 3), np.uint8), [Filter("0", 2.0, 1.0)], steps=1000, epoch=100)
        card, head = filter_card(frame, [frame], layer), f"{what}: reached, best on the probe"
        below = paragraph(ORANGE, 700)
        assert np.array_equal(card[-len(below) :], below)
        x = 20 + text_width("epoch 100", 30)
        drawn = text(head, 700 - x, 38, 30, FAINT)
        assert np.array_equal(filter_sheet(frame, layer)[10:48, x:], drawn)
