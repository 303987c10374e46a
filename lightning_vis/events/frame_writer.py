"""Writes frames to event files, each part under a tag of its own.

There are two reasons for that: TensorBoard keeps ten events of a tag but all tags, so that no look is ever lost, and a
part that cannot be written takes no other part along.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

from lightning_vis.constants import FORMAT, LATEST, PLUGIN
from lightning_vis.events.encode import frame_parts, input_part, mask_part, small_pictures, twin_part
from lightning_vis.events.event_file import EventFile
from lightning_vis.events.loggers import is_summary_writer
from lightning_vis.events.part import Part
from lightning_vis.frames import ALONE, Frame, Inputs


@dataclass
class FitId:
    """One call of fit, as a writer sees it: a name, later ones sort behind earlier ones, and whether it has begun."""

    name: str
    has_begun: bool = False


_FITS: WeakKeyDictionary[Any, FitId] = WeakKeyDictionary()


def fit_of(writer: Any) -> FitId:
    """The fit that is about to begin: all who ask before the first frame is written share it.

    A later fit into the same folder replaces what it repeats, whoever wrote it: that takes one name for all callbacks.
    ``trainer.validate`` and ``trainer.test`` have names like those of fits, and replace only their like.
    """
    fit = _FITS.get(writer)
    if fit is None or fit.has_begun:
        after = int(fit.name) + 1 if fit is not None else 0
        fit = _FITS[writer] = FitId(f"{max(after, time.time_ns() // 1_000_000):013d}")
    return fit


class FrameWriter:
    """Writes the frames of one fit to all writers that can take them, and before the first one the probe's pictures.

    Args:
        writers: ``torch.utils.tensorboard.SummaryWriter`` or `EventFile`; others are left alone.
    """

    def __init__(self, writers: Iterable[Any]) -> None:
        taken = [each for each in writers if isinstance(each, EventFile) or is_summary_writer(each)]
        self.fits = [(writer, fit_of(writer)) for writer in taken]
        self._stored: list[set[str]] = [set() for _ in taken]  # of the inputs' parts, by writer
        self._images: dict[str, str] = {}
        self._failed: set[str] = set()

    def add(self, frame: Frame, inputs: Inputs | None) -> dict[str, Exception]:
        """Writes a frame; returns what could not be written, by part, and each part only once in a fit."""
        failures: dict[str, Exception] = {}
        if inputs is not None and inputs.twins is not None:  # they are stored with the inputs, once
            frame = replace(frame, pictures={name: each for name, each in frame.pictures.items() if name != "twins"})
        if inputs is not None and not self._images:
            self._images = {"images": images_digest(inputs)}
        alone = {"alone": frame.moment} if frame.moment in ALONE else {}
        for (writer, fit), stored in zip(self.fits, self._stored, strict=True):
            fit.has_begun = True
            where = {"fit": fit.name, **alone, **self._images}
            if inputs is not None:
                failures |= store_inputs(writer, inputs, where, frame.log_step, stored)
            failures |= store_frame(writer, frame, where)
            _add(writer, _summary(LATEST, {"format": FORMAT, "part": "latest"}, b""), frame.log_step)
            if is_summary_writer(writer):
                writer.flush()
        new = {part: failure for part, failure in failures.items() if part not in self._failed}
        self._failed |= new.keys()
        return new


def _add(writer: Any, summary: Any, step: int) -> None:
    """Hands a summary to what writes it."""
    (writer._get_file_writer() if is_summary_writer(writer) else writer).add_summary(summary, step)


def images_digest(inputs: Inputs) -> str:
    """Tells images apart: a look outside of fit may be at others than the film's."""
    labels = b"" if inputs.labels is None else inputs.labels.tobytes()
    return hashlib.blake2b(inputs.pictures.tobytes() + labels, digest_size=8).hexdigest()


def store_inputs(writer: Any, inputs: Inputs, where: Mapping[str, Any], step: int, stored: set[str]) -> dict[str, Exception]:
    """Writes what people see of a probe but for what is `stored` already, and adds to that what now is.

    Otherwise as `store_frame`.
    """
    parts = {"inputs": partial(input_part, inputs)}
    if inputs.masks is not None:
        parts["masks"] = partial(mask_part, inputs.masks)
    if inputs.twins is not None:
        parts["twins"] = partial(twin_part, inputs.twins, inputs)
    missing = {name: make for name, make in parts.items() if name not in stored}
    failures = _store(writer, missing, {**where, "probe": inputs.name, "stream": "frames"}, step)
    stored |= missing.keys() - failures.keys()
    return failures


def store_frame(writer: Any, frame: Frame, where: Mapping[str, Any]) -> dict[str, Exception]:
    """Writes all that one look found, each part under its own tag.

    Args:
        writer: as `FrameWriter` has them.
        frame: what the look found.
        where: ``fit``, its name, the same for all its frames; ``alone``, the moment of a look outside of fit; ``images``,
            which images were looked at.

    Returns:
        What could not be written, by part.
    """
    stream = "frames" if len(frame.predicted) or frame.maps else "sheets"
    own = {"probe": frame.probe, "stream": stream, "steps": frame.finished_steps}
    return _store(writer, frame_parts(frame, small_pictures), {**where, **own}, frame.log_step)


def _store(writer: Any, parts: Mapping[str, Callable[[], Part]], where: Mapping[str, Any], step: int) -> dict[str, Exception]:
    failures: dict[str, Exception] = {}
    for name, make in parts.items():
        try:
            _add(writer, part_summary(make(), where), step)
        except Exception as error:
            failures[name] = error
    return failures


def part_summary(part: Part, where: Mapping[str, Any]) -> Any:
    """A part as a summary of our plugin.

    Args:
        part: what is stored.
        where: as `store_frame`, with ``probe``, ``stream`` (frames of pictures alone have their own) and, but for inputs,
            ``steps``.
    """
    return _summary(tag_of(part.name, where), {"format": FORMAT, "part": part.name, **where, **part.facts}, part.picture)


def _summary(tag: str, facts: Mapping[str, Any], picture: bytes) -> Any:
    from tensorboard.compat.proto import summary_pb2 as proto
    from tensorboard.compat.proto import tensor_pb2, tensor_shape_pb2, types_pb2

    content = json.dumps(facts, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    metadata = proto.SummaryMetadata(
        plugin_data=proto.SummaryMetadata.PluginData(plugin_name=PLUGIN, content=content),
        data_class=proto.DATA_CLASS_BLOB_SEQUENCE,
    )
    shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)])
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=[picture])
    return proto.Summary(value=[proto.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)])


def tag_of(name: str, where: Mapping[str, Any]) -> str:
    """The tag of a part: plugin, fit, probe, stream, step, moment if it is outside of fit, part."""
    steps = [f"{where['steps']:09d}"] if "steps" in where else []
    alone = [where["alone"]] if "alone" in where else []
    places = (where["fit"], where["probe"], where["stream"], *steps, *alone)
    return "/".join((PLUGIN, *(quote(str(place), safe="") for place in places), quote(name)))
