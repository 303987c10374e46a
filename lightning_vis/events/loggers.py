"""Pictures, numbers and texts to TensorBoard and to other loggers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from lightning_vis.constants import ERROR, EXCHANGE, LOG_ODDS, MULTICLASS, SENSITIVITIES, TARGET_UNIT
from lightning_vis.frames import Array, Frame, Inputs, Maps
from lightning_vis.render.canvas.tiles import halved, jpeg


def image_writers(loggers: Iterable[Any], which: str = "all") -> list[Any]:
    """What draws in each logger, found by what it can do and not by its class.

    Args:
        loggers: of the Trainer.
        which: ``"all"``: whatever takes images; ``"tensorboard"``: experiments with ``add_image`` alone.
    """
    found = [(logger, getattr(logger, "experiment", None)) for logger in loggers]
    writers = [experiment for _, experiment in found if hasattr(experiment, "add_image")]
    others = [_other(logger, experiment) for logger, experiment in found if not hasattr(experiment, "add_image")]
    return writers if which == "tensorboard" else [*writers, *(each for each in others if each is not None)]


Send = Callable[[str, Array, int], object]


@dataclass(frozen=True)
class ImageLogger:
    """A logger with a way of its own to take images, as something with ``add_image``.

    Attributes:
        name: what people call it.
        send: takes a tag, a picture ``(H, W, 3)`` uint8 and a step.
    """

    name: str
    send: Send

    def add_image(self, tag: str, picture: Array, step: int, dataformats: str = "HWC") -> None:
        """Hands a picture on; such loggers know no step below 0."""
        self.send(tag, picture, max(0, step))


def _by_logger(logger: Any, experiment: Any) -> Send | None:
    """Weights & Biases, and whatever has such a ``log_image``."""
    log_image = getattr(logger, "log_image", None)
    return None if log_image is None else lambda tag, picture, step: log_image(key=tag, images=[picture], step=step)


def _by_client(logger: Any, experiment: Any) -> Send | None:
    """MLflow: its client is told the run, and calls an image by a key of plain letters."""
    if not hasattr(experiment, "log_image") or not hasattr(logger, "run_id"):
        return None

    def send(tag: str, picture: Array, step: int) -> None:
        experiment.log_image(logger.run_id, picture, key=re.sub(r"[^\w\-./ ]", "_", tag), step=step)

    return send


def _by_experiment(logger: Any, experiment: Any) -> Send | None:
    """Comet."""
    log_image = getattr(experiment, "log_image", None)
    return None if log_image is None else lambda tag, picture, step: log_image(picture, name=tag, step=step)


def _by_series(logger: Any, experiment: Any) -> Send | None:
    """Neptune: a run is a tree of series, and any path in it takes a picture; by name, because it answers to every path."""
    if not any(kind.__name__ == "NeptuneLogger" for kind in type(logger).__mro__):
        return None

    def send(tag: str, picture: Array, step: int) -> None:
        from PIL import Image

        experiment[f"lightning_vis/{tag}"].append(Image.fromarray(picture), step=step)

    return send


WAYS = {"Neptune": _by_series, "W&B": _by_logger, "MLflow": _by_client, "Comet": _by_experiment}
"""How loggers other than TensorBoard's take images, by whom it was made for; the first that a logger has is taken."""


def _other(logger: Any, experiment: Any) -> ImageLogger | None:
    ways = ((name, way(logger, experiment)) for name, way in WAYS.items())
    return next((ImageLogger(name, send) for name, send in ways if send is not None), None)


def write_number(writer: Any, tag: str, value: float, step: int) -> None:
    """Writes a scalar where the writer takes scalars."""
    if hasattr(writer, "add_scalar"):
        writer.add_scalar(tag, value, step)


def write_note(writer: Any, frame: Frame) -> None:
    """Writes how to read the pictures of a run into the Text tab, once, whichever callback comes first."""
    if hasattr(writer, "add_text") and writer not in _NOTED:
        _NOTED.add(writer)
        writer.add_text("lightning_vis", _note(frame), frame.log_step)


_NOTED: WeakSet[Any] = WeakSet()


def _note(frame: Frame) -> str:
    """The note, its line about classes replaced where the network tells none apart."""
    if frame.task == MULTICLASS:
        return _NOTE
    unit = f" in {_said_of(frame.unit)}" if frame.unit else ""
    maps = f"- {frame.reading}\n- **Maps** with a colour bar are drawn on one scale{unit} that never changes."
    return _NOTE.replace(_OF_CLASSES, maps)


_OF_CLASSES = """- **Evidence** (warm: for the label, blue: against it) and **Grad-CAM** are drawn on one scale in log-odds that never
  changes: an untrained network shows nothing."""


_NOTE = f"""Looked at with lightning_vis, which changes nothing in the training.

- Tab **Lightning Vis**: every look, played, several runs side by side.
- Tab **Images**, at ever wider moments: `film/<view>` probe images over the whole training; `<probe>/<number>` one image with
  all views on it; `filters/<layer>` what excites each filter. With `images=True` more often, larger, and `twins`: the same
  object on other backgrounds. The *i* beside a picture says how to read it.
{_OF_CLASSES}
- **Saliency** shows where a small change would matter, not what the answer rests on.
- Heat maps illustrate; the twins prove."""


def is_summary_writer(writer: Any) -> bool:
    """Whether it is torch's ``SummaryWriter``, or a child of it."""
    return any(kind.__module__.startswith("torch.utils.tensorboard") for kind in type(writer).__mro__)


Encoded = Mapping[str, tuple[bytes, int, int]]
"""Pictures as JPEG with height and width, by tag."""


def encoded(pictures: Mapping[str, Array]) -> Encoded:
    """Pictures as they are, once for all writers."""
    return {tag: (jpeg(picture), *picture.shape[:2]) for tag, picture in pictures.items()}


def small(pictures: Mapping[str, Array]) -> Encoded:
    """Pictures half as wide, which is the width at which TensorBoard shows them, in a tenth of the bytes."""
    return {
        tag: (jpeg(each, SMALL_QUALITY), *each.shape[:2])
        for tag, each in zip(pictures, map(halved, pictures.values()), strict=True)
    }


SMALL_QUALITY = 52
"""Of small pictures, as Pillow counts it: what one sees first below it are letters."""


def write_pictures(writer: Any, pictures: Encoded, step: int, descriptions: Mapping[str, str]) -> None:
    """Writes encoded pictures as images at one step, and has them on disk when it returns.

    Args:
        writer: a ``SummaryWriter``, or anything with ``add_image``.
        pictures: by tag, as `encoded` gives them.
        step: the step, -1 for the untrained network.
        descriptions: by tag, what TensorBoard shows under the picture's "i".
    """
    for tag, picture in pictures.items():
        if is_summary_writer(writer):
            writer._get_file_writer().add_summary(_summary(tag, picture, descriptions.get(tag, "")), step)
        else:
            _add_image(writer, tag, picture[0], step)
    if hasattr(writer, "flush"):
        writer.flush()


def film_tag(probe: str, key: str) -> str:
    """Where a view's film is written; two probes with other names than "probe" do not write one tag."""
    return f"film/{key}" if probe == "probe" else f"film/{probe}/{key}"


def descriptions(frame: Frame, inputs: Inputs) -> dict[str, str]:
    """How to read each picture, by tag."""
    notes = "".join(f"\n\nNote: {note}." for note in frame.notes)
    seen = frame.each_head(inputs)
    card = "\n\n".join(_card(*each) for each in seen)
    cards = {f"{inputs.name}/{index}": f"{card}{notes}" for index in range(len(inputs.pictures))}
    return {"twins": _TWINS, EXCHANGE: _EXCHANGE} | cards | {tag: said for each in seen for tag, said in _strips(*each).items()}


def _card(frame: Frame, inputs: Inputs) -> str:
    """How to read what a card shows of one head."""
    layers = ", ".join(f"{each.title}: layer `{each.layer}`" for each in frame.maps.values())
    return f"{_CARD if _is_of_classes(frame) else _card_of_task(frame, inputs)}\n\n{layers}."


def _strips(frame: Frame, inputs: Inputs) -> dict[str, str]:
    said = _STRIP if _is_of_classes(frame) else _strip_of_task(frame, inputs)
    return {film_tag(inputs.name, key): f"{said}\n\n{each.title}: layer `{each.layer}`." for key, each in frame.maps.items()}


def _is_of_classes(frame: Frame) -> bool:
    """Whether it tells classes apart, and there is no other head beside it."""
    return frame.task == MULTICLASS and not frame.head


def _card_of_task(frame: Frame, inputs: Inputs) -> str:
    """How to read a card of another task than that of classes: only what such a card shows."""
    views = [_view_of_task(each) for each in frame.maps.values()]
    log = any(each.scale.kind == "log" for each in frame.maps.values())
    said = ["One probe image and what the network makes of it today.", frame.reading, *views]
    said += ["What has a colour bar is drawn on one log scale that never changes."] * log
    said += ["A cross: the answer is wrong; a tick: it is right."] * _knows_right(frame, inputs)
    said += [_ERROR] * (ERROR in frame.per_image)
    said += [_ON_OBJECT] * (inputs.masks is not None)
    return "\n".join(each for each in said if each)


def _view_of_task(maps: Maps) -> str:
    """What a view shows, in the unit of what it explains."""
    unit = f", in {_said_of(maps.unit)}" if maps.unit else ""
    if maps.is_output:
        return f"**{maps.title}**{unit}: the output itself, not what it rests on."
    if maps.scale.kind != "log" and maps.title not in SENSITIVITIES:
        return f"**{maps.title}**: its shape alone, in multiples of its own mean{_SIGNS if maps.scale.signed else ''}."
    if maps.scale.kind != "log":
        return f"**{maps.title}**: where a small change of the image matters; it does not show what the answer rests on."
    if not maps.scale.signed:
        return f"**{maps.title}**{unit}: how much of what is named below it lies where."
    speaks = ("speaks for", "against it") if maps.unit == LOG_ODDS else ("raises", "lowers it")
    return f"**{maps.title}**{unit}: warm {speaks[0]} what is named below it, blue {speaks[1]}."


_SIGNS = "; warm speaks for what is named below it, blue against it"


def _said_of(unit: str) -> str:
    return f"the {unit}" if unit == TARGET_UNIT else unit


def _strip_of_task(frame: Frame, inputs: Inputs) -> str:
    said = ["A film of the whole training so far: a row per probe image, a column per look, on one scale that never changes."]
    said += [frame.reading] * bool(frame.reading)
    said += ["An orange frame and a cross: the answer is wrong."] * _knows_right(frame, inputs)
    said += [_ERROR] * (ERROR in frame.per_image)
    return "\n".join([*said, "A name below a tile: what is explained from here on."])


def _knows_right(frame: Frame, inputs: Inputs) -> bool:
    return frame.count_right(inputs)[1] > 0


_ERROR = """The bar around a line: the error over the spread of the targets, from two spreads too low on the left to two too
high on the right."""


_ON_OBJECT = """**on object 1.6 x**: the map is 1.6 times denser on the object than by chance; the axis below it goes from
a quarter to four times, its tick is chance."""


_CARD = """One probe image and what the network makes of it today.
**Evidence**, in log-odds: warm speaks for the label, blue against it; 3 means "three units of log-odds if the whole image
were like this spot". **Grad-CAM**: where the evidence for the predicted class lies. Both are on one log scale that never
changes, so that an untrained network shows nothing. **Saliency**: where a small change of the image matters; it does not
show what the answer rests on. **on object 1.6 x**: the map is 1.6 times denser on the object than by chance; the axis
below it goes from a quarter to four times, its tick is chance."""


_TWINS = """The same object on each background. The bar and the number: the probability of the object's own class there.
A cross: the answer is wrong here. An orange frame besides: it is right on another background. The line above says by how many
points the answer moves when the background is swapped, when the object is swapped, and when the object is only moved by
three pixels."""


_EXCHANGE = """Rows of three: the image; its cut-out in the surroundings of another image of its class, and of an image of another
class. Under each what is answered. An orange frame: the answer is not the object's class. What is cut out is shown as it was
exchanged, so that a wrong cut is seen."""


_STRIP = """A film of the whole training so far: a row per probe image, a column per look, on one scale that never changes.
An orange frame and a cross: the prediction is wrong. A name in a tile: from here on another class is explained."""


def _summary(tag: str, picture: tuple[bytes, int, int], description: str) -> Any:
    from tensorboard.compat.proto import summary_pb2 as proto

    data, height, width = picture
    image = proto.Summary.Image(encoded_image_string=data, height=height, width=width, colorspace=3)
    # Without plugin name and data class, TensorBoard's default loader drops the description.
    metadata = proto.SummaryMetadata(
        summary_description=description,
        plugin_data=proto.SummaryMetadata.PluginData(plugin_name="images"),
        data_class=proto.DATA_CLASS_BLOB_SEQUENCE,
    )
    return proto.Summary(value=[proto.Summary.Value(tag=tag, image=image, metadata=metadata)])


def _add_image(writer: Any, tag: str, data: bytes, step: int) -> None:
    import io

    import numpy as np
    from PIL import Image

    writer.add_image(tag, np.asarray(Image.open(io.BytesIO(data))), step, dataformats="HWC")
