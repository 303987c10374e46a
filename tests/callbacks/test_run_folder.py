"""Something to see with any logger or none: what a user would open is read back, and the command that shows it is followed."""

from __future__ import annotations

import io
import json
import logging
import re
import shlex
from contextlib import nullcontext
from pathlib import Path

import fsspec
import pytest
from modules import Classifier, loader
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger
from torch.utils.data import DataLoader

from lightning_vis import FilterMaximizationCallback, Probe, ProbeCallback, SaliencyCallback
from lightning_vis.callbacks.session import frame_logger
from lightning_vis.callbacks.session.run_folder import frame_files, leave_nothing_empty
from lightning_vis.cli import main
from lightning_vis.events.event_file import event_files
from lightning_vis.events.folder import event_files_in
from lightning_vis.events.frame_reader import frames_of, read_frames, read_run
from lightning_vis.film import Film
from tests.events.test_loggers import Experiment, Run

LOGGERS = {
    "none": (lambda root: False, ["lightning_vis/0"]),
    "no loggers": (lambda root: [], ["lightning_vis/0"]),
    "CSV": (lambda root: CSVLogger(root / "logs"), ["logs/lightning_logs/version_0"]),
    "TensorBoard": (lambda root: TensorBoardLogger(root / "logs"), ["logs/lightning_logs/version_0"]),
    "CSV and two TensorBoards": (
        lambda root: [CSVLogger(root / "c"), *(TensorBoardLogger(root / "logs", "", each) for each in "ab")],
        ["logs/a", "logs/b"],
    ),
}


def fit(trainer, callbacks, **arguments):
    made = trainer(callbacks, **arguments)
    made.fit(Classifier(), loader(), loader(12, seed=2))
    return made


def said(caplog):
    """What the line at the start says after "see them with"."""
    lines = [each.message for each in caplog.records if "see them with: " in each.message]
    assert len(lines) == 1
    return shlex.split(re.search(r"see them with: (.*?)\. Reads", lines[0])[1])


def opened(path):
    return Image.open(io.BytesIO(path.read_bytes()))


def page_of(text):
    return json.loads(re.search(r'id="exported">(.*?)</script>', text, re.DOTALL)[1])


def looks_of(page):
    return [look["steps"] for stream in page["data"][0]["streams"] if stream["kind"] == "frames" for look in stream["looks"]]


@pytest.mark.parametrize("name", LOGGERS)
def test_whatever_logs_the_run_s_folder_has_frames_and_films(trainer, tmp_path, caplog, monkeypatch, name):
    root = tmp_path / "it's here"
    root.mkdir()
    monkeypatch.chdir(root)
    make, folders = LOGGERS[name]
    callback = ProbeCallback(Probe.from_dataset(loader().dataset, n=3))
    with caplog.at_level(logging.INFO):
        fit(trainer, [callback], logger=make(root), default_root_dir=Path("."))
    for folder in folders:
        (run,) = read_frames(root / folder)
        assert [frame.finished_steps for frame in run.frames] == [0, 1, 2, 4, 6, 12]
        assert looks_of(page_of((root / folder / "film.html").read_text("utf-8"))) == [0, 1, 2, 4, 6, 12]
        assert opened(root / folder / "summary.png").size == (1200, 630)
        films = [opened(root / folder / f"film_probe_{key}.gif") for key in ("evidence", "grad_cam", "saliency")]
        assert [film.n_frames for film in films] == [6] * 3
    program, flag, shown = said(caplog)
    assert (program, flag) == ("tensorboard", "--logdir")
    found = [path.parent.relative_to(root).as_posix() for _, paths in event_files(shown) for path in paths]
    assert sorted(found) == folders
    assert main(["gif", shown, "-o", str(tmp_path / "film.gif")]) == 0


def test_a_remote_folder_has_them_too(trainer, caplog):
    callback = ProbeCallback()
    with caplog.at_level(logging.INFO):
        fit(trainer, [callback], logger=TensorBoardLogger("memory://remote/a b", "", "run"))
    system, folder = fsspec.filesystem("memory"), "memory://remote/a b/run"
    (line,) = [each.message for each in caplog.records if "memory of this process" in each.message]
    assert "memory://remote/a b is in the memory of this process, where no tensorboard finds it: the callback's film" in line
    assert "tensorboard --logdir" not in line
    assert callback.film.count == 6  # as the sentence says
    (run,) = frames_of(read_run("run", event_files_in(folder)))
    assert len(run.frames) == 6
    assert looks_of(page_of(system.cat("/remote/a b/run/film.html").decode())) == [0, 1, 2, 4, 6, 12]
    assert system.exists("/remote/a b/run/summary.png")


def test_a_remote_root_folder_takes_what_no_logger_takes(trainer):
    fit(trainer, [ProbeCallback()], logger=False, default_root_dir="memory://elsewhere")
    system = fsspec.filesystem("memory")
    (page,) = [path for path in system.find("/elsewhere") if path.endswith("film.html")]
    assert looks_of(page_of(system.cat(page).decode())) == [0, 1, 2, 4, 6, 12]


def test_each_trainer_has_a_number_and_keeps_it(trainer, tmp_path):
    first = fit(trainer, [ProbeCallback()], logger=False)
    fit(trainer, [ProbeCallback()], logger=False)
    first.fit_loop.max_epochs = 3
    first.fit(Classifier(), loader(), loader(12, seed=2))
    assert sorted(path.name for path in (tmp_path / "lightning_vis").iterdir()) == ["0", "1"]
    assert Film.from_logdir(tmp_path / "lightning_vis" / "0").frames[-1].finished_steps == 18


def test_several_callbacks_share_one_event_file_and_one_page(trainer, tmp_path):
    probe = Probe.from_dataset(loader().dataset, n=3)
    callbacks = [FilterMaximizationCallback(["net.0"], 2, steps=1), SaliencyCallback(probe), ProbeCallback(probe)]
    fit(trainer, callbacks, logger=False)
    folder = tmp_path / "lightning_vis" / "0"
    assert len(list(folder.glob("*tfevents*"))) == 1
    streams = page_of((folder / "film.html").read_text("utf-8"))["data"][0]["streams"]
    assert sorted(stream["kind"] for stream in streams) == ["frames", "sheets"]


def test_filters_alone_leave_a_film_too(trainer, tmp_path):
    fit(trainer, [FilterMaximizationCallback(["net.0"], 2, steps=1)], logger=False)
    page = page_of((tmp_path / "lightning_vis" / "0" / "film.html").read_text("utf-8"))
    assert [stream["kind"] for stream in page["data"][0]["streams"]] == ["sheets"]


@pytest.mark.filterwarnings("ignore:.*barebones", "ignore:`self.log", "ignore:You passed `Trainer.barebones=True")
@pytest.mark.parametrize("arguments", [{"fast_dev_run": True}, {"barebones": True}], ids=["fast_dev_run", "barebones"])
def test_where_lightning_leaves_nothing_nothing_is_left(trainer, tmp_path, arguments):
    bare = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "num_sanity_val_steps", "log_every_n_steps"))
    fit(trainer, [ProbeCallback()], logger=None if "barebones" in arguments else False, **bare, **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:You defined a `validation_step`")
@pytest.mark.parametrize("fails", [False, True])
def test_where_no_images_are_found_no_folder_is_left(trainer, tmp_path, fails):
    class Vectors(Classifier):
        def training_step(self, batch, batch_idx):
            if fails and batch_idx == 4:
                raise KeyError("a mistake of the user's")
            return super().training_step([batch[0].reshape(-1, 3, 12, 12), batch[1]], batch_idx)

    data = DataLoader([(image.flatten(), label) for image, label in loader().dataset], 4)
    callbacks = [ProbeCallback(), FilterMaximizationCallback(["net.0"], 2, steps=1)]
    with pytest.warns(UserWarning, match="no images were found"), pytest.raises(KeyError) if fails else nullcontext():
        trainer(callbacks, logger=False).fit(Vectors(), data)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_of_a_logger_stays(trainer, tmp_path):
    logger = CSVLogger(tmp_path, name="lightning_vis", version="run")
    made = trainer([], logger=logger)
    assert frame_files(made)
    folder = tmp_path / "lightning_vis" / "run"
    folder.mkdir(parents=True, exist_ok=True)
    leave_nothing_empty(made)
    assert folder.exists()


def test_without_pictures_there_are_frames_alone(trainer, tmp_path):
    fit(trainer, [ProbeCallback(images=False)], logger=False)
    names = sorted(file.name for file in (tmp_path / "lightning_vis" / "0").iterdir())
    assert [re.sub("[_.].*", "", name) for name in names] == ["events", "exchange"]  # and what a page of boxes is made of


def test_a_page_stays_within_its_bytes_first_and_last_look_among_them(trainer, tmp_path, monkeypatch):
    fit(trainer, [ProbeCallback()], logger=False, max_epochs=1)
    whole = (tmp_path / "lightning_vis" / "0" / "film.html").stat().st_size
    monkeypatch.setattr(frame_logger, "MOST", whole + 2000)
    fit(trainer, [ProbeCallback()], logger=False, max_epochs=12)
    page = tmp_path / "lightning_vis" / "1" / "film.html"
    looks = looks_of(page_of(page.read_text("utf-8")))
    assert whole / 2 < page.stat().st_size <= whole + 2000
    assert (looks[0], looks[-1]) == (0, 72)
    assert 2 < len(looks) < 16


def test_what_is_too_large_with_two_looks_is_not_left(trainer, tmp_path, monkeypatch):
    monkeypatch.setattr(frame_logger, "MOST", 1000)
    fit(trainer, [ProbeCallback()], logger=False, max_epochs=1)
    assert not (tmp_path / "lightning_vis" / "0" / "film.html").exists()


def test_a_validation_alone_is_seen_without_a_logger(trainer, tmp_path):
    trainer([ProbeCallback()], logger=False).validate(Classifier(), loader(12, seed=2), verbose=False)
    (run,) = read_frames(tmp_path / "lightning_vis" / "0")
    assert [frame.moment for frame in run.frames] == ["validate"]


class Outside(Logger):
    """A logger of a service: no folder, and an experiment that takes images in its own way."""

    name, version = "outside", "0"

    def __init__(self, experiment):
        super().__init__()
        self.experiment = experiment

    def log_metrics(self, metrics, step=None):
        pass

    def log_hyperparams(self, *arguments, **words):
        pass


class CometLogger(Outside):
    """A stand-in; its experiment has the method of comet_ml's `Experiment`."""

    def __init__(self):
        super().__init__(Experiment())


class NeptuneLogger(Outside):
    """A stand-in; its experiment has the methods of neptune's `Run` and `FileSeries`."""

    def __init__(self):
        super().__init__(Run())

    @property
    def taken(self):
        return self.experiment["taken"]


@pytest.mark.parametrize("kind", [CometLogger, NeptuneLogger])
def test_a_service_gets_pictures_and_the_run_s_folder_frames(trainer, tmp_path, caplog, kind):
    """Comet's and Neptune's own packages are not asked: these are stand-ins with their methods."""
    logger, probe = kind(), Probe.from_dataset(loader().dataset, n=3)
    with caplog.at_level(logging.INFO):
        fit(trainer, [ProbeCallback(probe)], logger=logger, max_epochs=1)
    taken = logger.taken if kind is NeptuneLogger else logger.experiment.taken
    assert {tag for tag, *_ in taken} == {"film/evidence", "film/grad_cam", "film/saliency", "probe/0", "probe/1"}
    assert said(caplog)[-1] == str(tmp_path / "lightning_vis" / "0")
    (run,) = read_frames(tmp_path / "lightning_vis" / "0")
    assert run.frames[-1].finished_steps == 6


def test_two_tensorboards_have_the_pictures_both(trainer, tmp_path, events):
    loggers = [TensorBoardLogger(tmp_path / "logs", "", each) for each in "ab"]
    fit(trainer, [ProbeCallback(Probe.from_dataset(loader().dataset, n=3))], logger=loggers, max_epochs=1)
    tags = [events(tmp_path / "logs" / each).Tags()["images"] for each in "ab"]
    assert tags[0] == tags[1]
    assert "film/evidence" in tags[0]


class Nowhere(Logger):
    """A logger that cannot say where it writes."""

    name, version = "nowhere", 0

    @property
    def log_dir(self):
        raise OSError("no such server")

    def log_metrics(self, metrics, step=None):
        pass

    def log_hyperparams(self, *arguments, **words):
        pass


def test_a_logger_that_does_not_know_its_folder_stops_nothing(trainer):
    with pytest.warns(UserWarning, match="finding where pictures and frames go failed: no such server") as said:
        made = fit(trainer, [ProbeCallback(), FilterMaximizationCallback(steps=1)], logger=Nowhere())
    assert made.state.finished
    assert len([each for each in said if "no such server" in str(each.message)]) == 1
