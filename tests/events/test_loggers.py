"""Pictures on disk, read back with TensorBoard's own reader, and writers found by what they can do."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from tensorboard.data.provider import RunTagFilter
from torch.utils.tensorboard import SummaryWriter

from lightning_vis.events.loggers import descriptions, encoded, image_writers, small, write_pictures
from lightning_vis.render.cards import card
from tests.render.test_cards import frame, inputs


class Logger:
    """What Lightning's loggers have in common: an experiment."""

    def __init__(self, experiment):
        self.experiment = experiment


class Takes:
    """Not TensorBoard's, but it takes images."""

    def __init__(self):
        self.images = []

    def add_image(self, tag, image, step, dataformats):
        self.images.append((tag, image.shape, step, dataformats))


@pytest.fixture
def pictures():
    return {f"probe/{index}": card(frame(), inputs(), index) for index in range(2)}


def test_what_is_written_is_what_is_read(tmp_path, events, pictures):
    writer = SummaryWriter(tmp_path / "run")
    for step in (-1, 0, 5):
        write_pictures(writer, encoded(pictures), step, {})
    found = events()  # the writer is still open: what is written is on disk
    writer.close()
    assert found.Tags()["images"] == ["probe/0", "probe/1"]
    for tag, picture in pictures.items():
        assert [event.step for event in found.Images(tag)] == [-1, 0, 5]
        event = found.Images(tag)[0]
        assert (event.height, event.width) == picture.shape[:2]
        image = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
        assert np.abs(image.astype(int) - picture).mean() < 4


def test_the_images_tab_finds_them_with_their_descriptions(tmp_path, pictures):
    """Through the data provider of TensorBoard's server, which is what the page asks."""
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.context import RequestContext

    writer = SummaryWriter(tmp_path / "run")
    write_pictures(writer, encoded(pictures), -1, descriptions(frame(), inputs()))
    writer.close()
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(tmp_path))
    found = provider.list_blob_sequences(
        RequestContext(), experiment_id="", plugin_name="images", run_tag_filter=RunTagFilter(["run"])
    )
    assert set(found["run"]) == {"probe/0", "probe/1"}
    assert "**Evidence**, in log-odds" in found["run"]["probe/0"].description
    assert "Grad-CAM: layer `layer4`" in found["run"]["probe/0"].description


def test_every_picture_has_a_description():
    said = descriptions(frame(), inputs())
    for tag in ("probe/0", "probe/1", "film/evidence", "film/grad_cam", "film/saliency"):
        assert len(said[tag]) > 100


def test_notes_are_part_of_the_description():
    noted = descriptions(frame(notes=("the model returns probabilities",)), inputs())
    assert "the model returns probabilities" in noted["probe/0"]


def test_writers_are_found_by_what_they_can_do(tmp_path):
    writer, other = SummaryWriter(tmp_path), Takes()
    loggers = [Logger(writer), Logger(object()), Logger(other), object()]
    assert image_writers(loggers) == [writer, other]
    assert image_writers([]) == []


class WandbLike(Logger):
    """As Lightning's W&B logger: it takes images itself."""

    def __init__(self):
        super().__init__(object())
        self.taken = []

    def log_image(self, key, images, step=None, **words):
        self.taken += [(key, image.shape, step) for image in images]


class Client:
    """As MLflow's: it serves all runs, and refuses keys of other letters."""

    def __init__(self):
        self.taken = []

    def log_image(self, run_id, image, artifact_file=None, key=None, step=None):
        assert run_id == "run 1"
        assert re.fullmatch(r"[\w\-./ ]+", key)
        self.taken += [(key, image.shape, step)]


class MlflowLike(Logger):
    run_id = "run 1"

    def __init__(self):
        super().__init__(Client())
        self.taken = self.experiment.taken


class Experiment:
    """As Comet's."""

    def __init__(self):
        self.taken = []

    def log_image(self, image_data, name=None, overwrite=False, image_format="png", step=None):
        self.taken += [(name, image_data.shape, step)]


class CometLike(Logger):
    def __init__(self):
        super().__init__(Experiment())
        self.taken = self.experiment.taken


class Run(dict):
    """As Neptune's: a tree in which every path is there, and takes pictures of Pillow."""

    def __missing__(self, path):
        return Series(path, self.setdefault("taken", []))


class Series:
    def __init__(self, path, taken):
        self.path, self.taken = path, taken

    def append(self, image, step):
        self.taken.append((self.path.removeprefix("lightning_vis/"), np.asarray(image).shape, step))


class NeptuneLogger(Logger):
    def __init__(self):
        super().__init__(Run())

    @property
    def taken(self):
        return self.experiment.get("taken", [])


KINDS = [WandbLike, MlflowLike, CometLike, NeptuneLogger]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_logger_takes_pictures_in_its_own_way_if_it_may(kind):
    logger, picture = kind(), np.zeros((20, 10, 3), np.uint8)
    assert image_writers([logger], "tensorboard") == []
    (writer,) = image_writers([logger])
    for step in (-1, 7):
        write_pictures(writer, encoded({"film/evidence": picture}), step, {})
    assert logger.taken == [("film/evidence", (20, 10, 3), 0), ("film/evidence", (20, 10, 3), 7)]


def test_a_key_has_letters_that_mlflow_takes():
    logger = MlflowLike()
    write_pictures(*image_writers([logger]), encoded({"filters/<output>": np.zeros((20, 10, 3), np.uint8)}), 1, {})
    assert [key for key, *_ in logger.taken] == ["filters/_output_"]


def test_small_pictures_are_half_as_wide_and_a_tenth_of_the_bytes(pictures):
    large, little = encoded(pictures), small(pictures)
    for tag, (data, height, width) in little.items():
        assert (height, width) == (large[tag][1] // 2, 350)
        assert Image.open(io.BytesIO(data)).size == (width, height)
    assert sum(len(data) for data, *_ in little.values()) < 0.4 * sum(len(data) for data, *_ in large.values())


def test_other_writers_get_arrays(pictures):
    other = Takes()
    write_pictures(other, encoded(pictures), 3, {})
    height = pictures["probe/0"].shape[0]
    assert other.images == [("probe/0", (height, 700, 3), 3, "HWC"), ("probe/1", (height, 700, 3), 3, "HWC")]


def test_a_child_of_tensorboards_writer_is_one(tmp_path, events, pictures):
    class Mine(SummaryWriter):
        pass

    with Mine(tmp_path / "run") as writer:
        write_pictures(writer, encoded(pictures), 0, {})
    first = encoded(pictures)["probe/0"][0]
    assert events().Images("probe/0")[0].encoded_image_string == first  # our JPEG, not its PNG
