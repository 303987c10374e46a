"""Frames to summaries of our own TensorBoard plugin: maps as small grey pictures, facts as JSON. NumPy and protos only.

Each part of a look has a tag of its own, for two reasons: TensorBoard keeps ten events of a tag but all tags, so that
no look is ever lost, and a part that cannot be written takes no other part along.
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

import numpy as np
from PIL import Image

from lightning_vis.constants import FORMAT, LATEST, PLUGIN, SPRITE_COLUMNS
from lightning_vis.frames import Array, Frame, Inputs, Maps, Pictures, Quantised, quantise, reduced

MAP_SIDE = 112
"""Maps are stored with this many cells per edge at most."""
INPUT_SIDE = 224
"""The probe's pictures are stored this large at most."""
BUDGET = 150_000
"""Bytes of a part that holds pictures."""
MAP_BUDGET = 9_000
"""Bytes per probe image of a part that holds maps."""
TEXT_LIMIT = 240
NAMES_LIMIT = 64_000


@dataclass(frozen=True)
class Part:
    """Something stored under a tag of its own.

    Attributes:
        name: ``"inputs"``, ``"masks"``, ``"twins"``, ``"facts"``, ``"maps/<view key>"`` or ``"pictures/<name>"``.
        facts: small enough for the metadata, JSON types only.
        picture: a PNG or a JPEG, empty where facts are all there is.
    """

    name: str
    facts: Mapping[str, Any]
    picture: bytes = b""


@dataclass
class Fit:
    """One call of fit, as a writer sees it: a name, later ones sort behind earlier ones, and whether it has begun."""

    name: str
    has_begun: bool = False


_FITS: WeakKeyDictionary[Any, Fit] = WeakKeyDictionary()


def fit_of(writer: Any) -> Fit:
    """The fit that is about to begin: all who ask before the first frame is written share it.

    A later fit into the same folder replaces what it repeats, whoever wrote it: that takes one name for all callbacks.
    """
    fit = _FITS.get(writer)
    if fit is None or fit.has_begun:
        after = int(fit.name) + 1 if fit is not None else 0
        fit = _FITS[writer] = Fit(f"{max(after, time.time_ns() // 1_000_000):013d}")
    return fit


class Store:
    """Writes the frames of one fit to all writers that can take them, and before the first one the probe's pictures.

    Args:
        writers: ``torch.utils.tensorboard.SummaryWriter``; others are left alone.
    """

    def __init__(self, writers: Iterable[Any]) -> None:
        taken = [each for each in writers if type(each).__module__.startswith("torch.utils.tensorboard")]
        self.fits = [(writer, fit_of(writer)) for writer in taken]
        self._has_inputs = False
        self._failed: set[str] = set()

    def add(self, frame: Frame, inputs: Inputs | None) -> dict[str, Exception]:
        """Writes a frame; returns what could not be written, by part, and each part only once in a fit."""
        failures: dict[str, Exception] = {}
        if inputs is not None and inputs.twins is not None:  # they are stored with the inputs, once
            frame = replace(frame, pictures={name: each for name, each in frame.pictures.items() if name != "twins"})
        for writer, fit in self.fits:
            fit.has_begun = True
            if inputs is not None and not self._has_inputs:
                failures |= store_inputs(writer, inputs, fit.name, frame.log_step)
            failures |= store_frame(writer, frame, fit.name)
            writer._get_file_writer().add_summary(_summary(LATEST, {"format": FORMAT, "part": "latest"}, b""), frame.log_step)
            writer.flush()
        self._has_inputs = True
        new = {part: failure for part, failure in failures.items() if part not in self._failed}
        self._failed |= new.keys()
        return new


def store_inputs(writer: Any, inputs: Inputs, fit: str, step: int) -> dict[str, Exception]:
    """Writes what people see of a probe, once per fit. Arguments and result as `store_frame`."""
    parts = {"inputs": partial(input_part, inputs)}
    if inputs.masks is not None:
        parts["masks"] = partial(mask_part, inputs.masks)
    if inputs.twins is not None:
        parts["twins"] = partial(twin_part, inputs.twins, inputs)
    return _store(writer, parts, {"fit": fit, "probe": inputs.name, "stream": "frames"}, step)


def store_frame(writer: Any, frame: Frame, fit: str) -> dict[str, Exception]:
    """Writes all that one look found, each part under its own tag.

    Args:
        writer: a ``torch.utils.tensorboard.SummaryWriter``.
        frame: what the look found.
        fit: the name of the fit, the same for all its frames.

    Returns:
        What could not be written, by part.
    """
    parts: dict[str, Callable[[], Part]] = {"facts": partial(facts_part, frame)}
    parts |= {f"maps/{key}": partial(map_part, key, maps) for key, maps in frame.maps.items()}
    parts |= {f"pictures/{key}": partial(picture_part, key, each) for key, each in frame.pictures.items()}
    stream = "frames" if len(frame.predicted) or frame.maps else "sheets"
    where = {"fit": fit, "probe": frame.probe, "stream": stream, "steps": frame.finished_steps}
    return _store(writer, parts, where, frame.log_step)


def _store(writer: Any, parts: Mapping[str, Callable[[], Part]], where: Mapping[str, Any], step: int) -> dict[str, Exception]:
    failures: dict[str, Exception] = {}
    for name, make in parts.items():
        try:
            writer._get_file_writer().add_summary(summary(make(), where), step)
        except Exception as error:
            failures[name] = error
    return failures


def summary(part: Part, where: Mapping[str, Any]) -> Any:
    """A part as a summary of our plugin.

    Args:
        part: what is stored.
        where: ``fit``, ``probe``, ``stream`` (frames of pictures alone have their own) and, but for inputs, ``steps``.
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
    """The tag of a part: plugin, fit, probe, stream, step, part."""
    steps = [f"{where['steps']:09d}"] if "steps" in where else []
    places = (where["fit"], where["probe"], where["stream"], *steps)
    return "/".join((PLUGIN, *(quote(str(place), safe="") for place in places), quote(name)))


def facts_part(frame: Frame) -> Part:
    """When the look was, what the network answered, and all numbers."""
    facts = {
        "step": frame.log_step,
        "epoch": frame.epoch,
        "moment": frame.moment,
        "when": frame.when,
        "weights": frame.weights,
        "predicted": [int(each) for each in frame.predicted],
        "probability": rounded(frame.probability),
        "numbers": {key: number(value) for key, value in frame.numbers.items()},
        "per_image": {key: rounded(each) for key, each in frame.per_image.items() if len(each) == len(frame.predicted)},
        "seconds": {key: number(value) for key, value in frame.seconds.items()},
        "notes": [shortened(note) for note in frame.notes[:10]],
    }
    return Part("facts", facts)


def map_part(key: str, maps: Maps) -> Part:
    """A view's maps as a grey PNG in 8 bits of each map's own maximum, with maximum and mean beside it."""
    codes, picture = _map_within_budget(maps)
    facts = {
        "size": list(codes.codes.shape[1:]),
        "area": int(np.prod(maps.values.shape[1:])),
        "maximum": rounded(codes.maximum),
        "mean": rounded(codes.mean),
        "classes": [int(each) for each in maps.classes],
        "layer": shortened(maps.layer),
        "title": shortened(maps.title),
        "target": shortened(maps.target),
        "scale": asdict(maps.scale),
    }
    return Part(f"maps/{key}", facts, picture)


def picture_part(key: str, pictures: Pictures) -> Part:
    """Finished pictures as one JPEG, made smaller until they fit into the budget."""
    picture, size = _within_budget(pictures.values)
    captions = [shortened(caption) for caption in pictures.captions]
    return Part(f"pictures/{key}", {"count": len(pictures.values), "size": size, "captions": captions}, picture)


def input_part(inputs: Inputs) -> Part:
    """What people see of the probe."""
    pictures = np.stack([smaller(picture, INPUT_SIDE) for picture in inputs.pictures])
    facts = {
        "count": len(pictures),
        "size": list(pictures.shape[1:3]),
        "full_size": list(inputs.pictures.shape[1:3]),
        "labels": None if inputs.labels is None else [int(label) for label in inputs.labels],
        "class_names": _within_limit(inputs.class_names),
        "note": shortened(inputs.note),
    }
    return Part("inputs", facts, jpeg(sprite(pictures), 90))


def mask_part(masks: Array) -> Part:
    """The masks, 255 on the object."""
    values = reduced(masks, MAP_SIDE)
    return Part("masks", {"size": list(values.shape[1:])}, png(sprite(np.rint(values * 255).astype(np.uint8))))


def twin_part(twins: Array, inputs: Inputs) -> Part:
    """The twins' pictures, which do not change; what is answered on them is among the facts of every look."""
    objects, kinds = twins.shape[:2]
    picture, size = _within_budget(twins.reshape(-1, *twins.shape[2:]))
    names = [shortened(kind) for kind in inputs.kinds]
    return Part("twins", {"count": objects * kinds, "objects": objects, "kinds": names, "size": size}, picture)


def sprite(tiles: Array) -> Array:
    """Tiles ``(N, h, w, ...)`` side by side in rows of eight, as one picture; what is left of the last row is 0."""
    columns = min(len(tiles), SPRITE_COLUMNS)
    missing = -len(tiles) % columns
    tiles = np.concatenate((tiles, np.zeros((missing, *tiles.shape[1:]), tiles.dtype)))
    height, width = tiles.shape[1:3]
    grid = tiles.reshape(-1, columns, *tiles.shape[1:]).swapaxes(1, 2)
    return grid.reshape(-1, columns * width, *tiles.shape[3:]) if height else grid


def png(picture: Array) -> bytes:
    """A picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def jpeg(picture: Array, quality: int) -> bytes:
    """A picture as JPEG, colours at full resolution."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def smaller(picture: Array, side: int) -> Array:
    """A picture ``(H, W, 3)`` at `side` pixels per edge at most."""
    height, width = picture.shape[:2]
    ratio = side / max(height, width)
    if ratio >= 1:
        return picture
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _map_within_budget(maps: Maps) -> tuple[Quantised, bytes]:
    for side in (MAP_SIDE, 3 * MAP_SIDE // 4, MAP_SIDE // 2):
        codes = quantise(reduced(maps.values, side), maps.scale.signed)
        picture = png(sprite(codes.codes))
        if len(picture) <= MAP_BUDGET * len(maps.values):
            break
    return codes, picture


def _within_budget(pictures: Array) -> tuple[bytes, list[int]]:
    for tiles, quality in _smaller_and_smaller(pictures):
        data = jpeg(sprite(tiles), quality)
        if len(data) <= BUDGET:
            break
    return data, list(tiles.shape[1:3])


def _smaller_and_smaller(pictures: Array) -> Iterator[tuple[Array, int]]:
    side = max(pictures.shape[1:3])
    yield pictures, 90
    yield pictures, 80
    while side > 24:
        side = side * 3 // 4
        yield np.stack([smaller(picture, side) for picture in pictures]), 80


def _within_limit(names: tuple[str, ...]) -> list[str]:
    """The first names, as many as metadata has room for; classes behind them are shown by number."""
    kept = [shortened(name) for name in names]
    ends = np.cumsum([len(name) for name in kept])
    return kept[: int(np.searchsorted(ends, NAMES_LIMIT, side="right"))]


def rounded(values: Array) -> list[float | None]:
    """Numbers with five digits; None where they are not finite, which JSON cannot say."""
    return [number(value) for value in np.asarray(values, np.float64)]


def number(value: float) -> float | None:
    """One number as `rounded` has it."""
    value = float(value)
    return float(f"{value:.5g}") if math.isfinite(value) else None


def shortened(text: str) -> str:
    """The text, its middle left out where it is longer than metadata should be."""
    half = TEXT_LIMIT // 2
    return text if len(text) <= TEXT_LIMIT else f"{text[:half]}…{text[-half + 1 :]}"
