"""What is taken along: HTML, GIF and strip from the command line, and what is said where that cannot be."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from tab_runs import film_of, inputs_of, write_run

from lightning_vis import export
from lightning_vis.cli import main
from lightning_vis.events.frame_reader import read_frames
from lightning_vis.page import STATIC, bundle
from lightning_vis.render.canvas.tiles import drawn
from lightning_vis.render.gif import animated
from lightning_vis.render.legend import legend_of, reading_of
from lightning_vis.render.strips import strip


@pytest.fixture
def logdir(tmp_path):
    write_run(tmp_path / "logs" / "alpha", film_of(12, wrong=(1,)), inputs_of())
    write_run(tmp_path / "logs" / "beta", film_of(6, seed=1), inputs_of())
    return tmp_path / "logs"


def exported_data(path):
    (found,) = re.findall(r'<script type="application/json" id="exported">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    return json.loads(found)


def picture(path):
    return Image.open(io.BytesIO(path.read_bytes()))


def steps_of(data, run):
    (streams,) = [each["streams"] for each in data["data"] if each["run"] == run]
    return sorted({look["steps"] for stream in streams for look in stream["looks"]})


def test_the_page_holds_every_look_of_every_run_and_nothing_from_elsewhere(logdir, tmp_path, capsys):
    assert main(["export", str(logdir), "-o", str(tmp_path / "film.html")]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/film.html: {(tmp_path / 'film.html').stat().st_size / 1e6:.1f} MB\n"
    data = exported_data(tmp_path / "film.html")
    assert steps_of(data, "alpha") == [10 * at for at in range(12)]
    assert steps_of(data, "beta") == [10 * at for at in range(6)]
    assert len(data["scalars"]["alpha"]["val/accuracy"]) == 12
    assert {address.split(";")[0] for address in data["pictures"].values()} == {"data:image/png", "data:image/jpeg"}
    text = re.sub(r"data:image/\w+;base64,[\w+/=]+", "", (tmp_path / "film.html").read_text("utf-8"))
    assert re.findall(r"https?://", text) == []
    assert "default-src 'none'" in text


def test_several_folders_make_one_page_whose_runs_are_named_from_where_they_part(logdir, tmp_path, capsys):
    write_run(tmp_path / "older" / "gamma", film_of(2), inputs_of())
    for folders, names in (
        ((logdir / "alpha", logdir / "beta"), {"alpha", "beta"}),
        ((logdir, tmp_path / "older"), {"logs/alpha", "logs/beta", "older/gamma"}),
        ((logdir, logdir / "beta"), {"alpha", "beta"}),
        ((logdir,), {"alpha", "beta"}),
        ((logdir / "alpha",), {"alpha"}),
    ):
        assert main(["export", *map(str, folders), "-o", str(tmp_path / "film.html")]) == 0
        assert {each["run"] for each in exported_data(tmp_path / "film.html")["data"]} == names
    (tmp_path / "bare").mkdir()
    capsys.readouterr()
    assert main(["export", str(logdir), str(tmp_path / "bare"), "-o", str(tmp_path / "film.html")]) == 0
    assert capsys.readouterr().err == f"lightning_vis: {tmp_path}/bare: there is no run in it\n"
    assert main(["strip", str(logdir / "alpha"), str(logdir / "beta"), "-o", str(tmp_path / "two.png")]) == 0
    assert main(["strip", str(logdir), "-o", str(tmp_path / "all.png")]) == 0
    assert (tmp_path / "two.png").read_bytes() == (tmp_path / "all.png").read_bytes()


def test_a_page_can_be_thinned_first_and_last_always_among_them(logdir, tmp_path):
    assert main(["export", str(logdir), "-o", str(tmp_path / "film.html"), "--looks", "3"]) == 0
    assert steps_of(exported_data(tmp_path / "film.html"), "alpha") == [0, 60, 110]


def test_names_cannot_leave_the_data(tmp_path):
    hostile = "</script><script>alert(1)</script>"
    write_run(tmp_path / "run", film_of(2), inputs_of(class_names=(hostile, "b")))
    assert main(["export", str(tmp_path), "-o", str(tmp_path / "film.html")]) == 0
    text = (tmp_path / "film.html").read_text("utf-8")
    assert text.count("<script") == text.count("</script") == 2
    (stream,) = exported_data(tmp_path / "film.html")["data"][0]["streams"]
    assert stream["inputs"]["class_names"][0] == hostile


def test_modules_stand_behind_what_they_import_each_in_a_scope_of_its_own():
    script = bundle(STATIC / "index.js")
    names = re.findall(r'^modules\["(\w+\.js)"\] = ', script, re.MULTILINE)
    assert sorted(names) == sorted(path.name for path in STATIC.glob("*.js"))
    for at, name in enumerate(names):
        source = (STATIC / name).read_text("utf-8")
        assert set(re.findall(r'from "\./(\w+\.js)"', source)) <= set(names[:at])
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)


def test_a_gif_has_a_picture_per_look_the_runs_below_each_other(logdir, tmp_path):
    assert main(["gif", str(logdir), "-o", str(tmp_path / "film.gif"), "--view", "grad_cam"]) == 0
    film = picture(tmp_path / "film.gif")
    assert (film.n_frames, film.info["loop"]) == (12, 0)
    one = Image.open(io.BytesIO(animated([("a", r.inputs, r.frames) for r in read_frames(logdir)][:1], "evidence")))
    assert film.height > one.height
    assert film.width == one.width


def test_a_gif_s_tiles_are_what_rendering_draws_but_for_the_palette(logdir):
    run = read_frames(logdir)[0]
    film = Image.open(io.BytesIO(animated([(run.name, run.inputs, run.frames)], "evidence")))
    film.seek(film.n_frames - 1)
    shown = np.asarray(film.convert("RGB")).astype(int)
    flat = np.broadcast_to(run.inputs.pictures[0][16, 16], (96, 96, 3))
    expected = drawn(flat, run.frames[-1].maps["evidence"], 0)
    top = 2 * 40 + 96 + 10  # two titles, the row of the inputs, and a gap
    assert np.abs(shown[top : top + 96, 10:106] - expected).mean() < 6


def test_a_gif_says_below_what_its_colours_mean(logdir):
    run = read_frames(logdir)[0]
    film = Image.open(io.BytesIO(animated([(run.name, run.inputs, run.frames)], "evidence")))
    below = legend_of(run.frames[0].maps["evidence"], reading_of(run.frames, run.inputs, "evidence"), film.width)
    for at in (0, film.n_frames - 1):
        film.seek(at)
        shown = np.asarray(film.convert("RGB")).astype(int)[-10 - len(below) : -10]
        assert np.abs(shown - below).mean() < 6


def test_a_gif_stays_small_however_long_the_training_was(tmp_path):
    write_run(tmp_path / "long", film_of(90, count=2), inputs_of(2))
    assert main(["gif", str(tmp_path), "-o", str(tmp_path / "film.gif")]) == 0
    assert picture(tmp_path / "film.gif").n_frames == 48


def test_a_strip_shows_the_runs_below_each_other(tmp_path):
    logdir = tmp_path / "logs"
    for seed, name in enumerate(("alpha", "beta")):
        write_run(logdir / name, film_of(12, seed=seed), inputs_of())
    assert main(["strip", str(logdir), "-o", str(tmp_path / "both.png")]) == 0
    assert main(["strip", str(logdir / "alpha"), "-o", str(tmp_path / "one.png")]) == 0
    both, one = picture(tmp_path / "both.png"), picture(tmp_path / "one.png")
    head = both.height // 2 - one.height
    assert (both.height, head) == (2 * (one.height + head), 50)  # above each its name
    assert np.array_equal(np.asarray(both)[head : head + one.height, : one.width], np.asarray(one))
    assert np.ptp(np.asarray(both)[:head]) > 100


def test_columns_of_several_runs_are_at_the_same_moments(tmp_path, monkeypatch):
    seen = []

    def seeing(frames, *rest, **more):
        seen.append([each.when for each in frames])
        return strip(frames, *rest, **more)

    monkeypatch.setattr(export, "strip", seeing)
    for name, looks in (("short", 9), ("long", 14)):
        write_run(tmp_path / name, film_of(looks), inputs_of())
    assert main(["strip", str(tmp_path), "-o", str(tmp_path / "both.png")]) == 0
    long, short = seen
    assert short == long[: len(short)]
    assert (short[-1], long[-1], len(long)) == ("epoch 8", "epoch 13", 10)


MISTAKES = {
    "a folder that is not there": (["export", "nowhere"], "there is no folder 'nowhere'"),
    "a folder without frames": (["gif", "."], "no frames in '.': they are written by ProbeCallback while it trains"),
    "a view that is not there": (
        ["strip", "logs", "--view", "lime"],
        "no view 'lime' in these runs: there are evidence, grad_cam, saliency",
    ),
    "a verdict where nothing was swapped": (
        ["strip", "logs", "--view", "verdict"],
        "no view 'verdict' in these runs: there are evidence, grad_cam, saliency; it takes a probe with masks and backgrounds"
        " (twins) or a network that gives each image one class, and labels (exchange)",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_said_in_a_sentence(name, logdir, tmp_path, monkeypatch, capsys):
    words, sentence = MISTAKES[name]
    monkeypatch.chdir(tmp_path if "nowhere" in words or "logs" in words else make(tmp_path / "empty"))
    assert main(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"lightning_vis: {sentence}"


def make(folder):
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "words", [["export", "logs", "--looks", "1"], ["export", "logs", "--looks", "all"], ["film", "logs"], []]
)
def test_words_that_are_no_command_are_refused(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "usage: python -m lightning_vis" in capsys.readouterr().err


def test_damage_is_said_and_what_lies_before_it_exported(logdir, tmp_path, capsys):
    (path,) = (logdir / "alpha").glob("*tfevents*")
    path.write_bytes(path.read_bytes()[:-2000])
    for command, output in (("export", "film.html"), ("gif", "film.gif"), ("strip", "strip.png")):
        assert main([command, str(logdir), "-o", str(tmp_path / output)]) == 0
        assert "alpha: " in (said := capsys.readouterr().err)
        assert "ends within a record" in said
    assert len(steps_of(exported_data(tmp_path / "film.html"), "alpha")) in (11, 12)


@pytest.mark.parametrize("command", ["export", "gif", "strip"])
def test_a_bar_counts_what_has_been_read_where_somebody_watches(command, logdir, tmp_path, monkeypatch, capsys):
    assert main([command, str(logdir), "-o", str(tmp_path / "quiet.png")]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main([command, str(logdir), "-o", str(tmp_path / "watched.png")]) == 0
    last = capsys.readouterr().err.split("\r")[-1]
    assert last.startswith("reading runs: ")
    assert "100%" in last


def test_it_runs_as_a_module_without_torch(logdir, tmp_path):
    script = (
        "import sys; sys.modules['torch'] = sys.modules['pytorch_lightning'] = None;"
        "from lightning_vis.__main__ import main;"
        f"sys.exit(main(['export', {str(logdir)!r}, '-o', {str(tmp_path / 'a.html')!r}]))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-m", "lightning_vis", "--help"], check=True, capture_output=True, text=True)
    assert "{export,gif,strip,replay,boxes,doctor}" in done.stdout


def test_what_cannot_be_written_is_one_sentence(logdir, tmp_path, capsys):
    folder = tmp_path / "folder.png"
    folder.mkdir()
    for command in ("export", "gif", "strip"):
        for output, reason in ((tmp_path / "no" / "dir" / "x.png", "No such file or directory"), (folder, "Is a directory")):
            assert main([command, str(logdir), "-o", str(output)]) == 2
            assert reason in capsys.readouterr().err.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "logs"]


def test_a_page_that_cannot_be_finished_leaves_the_one_before(logdir, tmp_path, monkeypatch):
    page = tmp_path / "film.html"
    page.write_text("before")
    monkeypatch.setattr("lightning_vis.page.bundle", lambda entry: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["export", str(logdir), "-o", str(page)])
    assert page.read_text() == "before"
    assert not list(tmp_path.glob("*.part"))


def test_links_are_followed_and_rings_of_them_end(logdir, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "linked").symlink_to(logdir / "alpha", target_is_directory=True)
    (elsewhere / "ring").symlink_to(elsewhere, target_is_directory=True)
    assert main(["export", str(elsewhere), "-o", str(tmp_path / "film.html")]) == 0
    data = exported_data(tmp_path / "film.html")
    assert [each["run"] for each in data["data"]] == ["linked"]


def test_pictures_are_not_held_in_memory(tmp_path):
    """What is held grows by far less than what is written, with runs and their looks."""
    held, written = [], []
    for count in (1, 6):
        for at in range(count):
            write_run(tmp_path / str(count) / f"run{at}", film_of(12, size=96), inputs_of(size=96))
        tracemalloc.start()
        assert main(["export", str(tmp_path / str(count)), "-o", str(tmp_path / "film.html")]) == 0
        held.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        written.append((tmp_path / "film.html").stat().st_size)
    assert held[1] - held[0] < (written[1] - written[0]) / 3
