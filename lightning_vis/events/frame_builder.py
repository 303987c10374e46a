"""Stored looks to frames and inputs: the inverse of `encode`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from lightning_vis.constants import EXCHANGE, LOG_ODDS
from lightning_vis.events.decode import Look
from lightning_vis.events.part import Part
from lightning_vis.events.quantise import Quantised, restored
from lightning_vis.events.sprites import tiles
from lightning_vis.frames import Array, Cell, Filter, Frame, HeadAnswer, Inputs, Maps, Pictures, Scale, Verdict

DAMAGE = (
    *(OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, SyntaxError),
    Image.DecompressionBombError,
)
"""What foreign or damaged parts lead to."""


def build_frame(probe: str, look: Look, damage: list[str]) -> Frame:
    """The frame of one look; to `damage` is added what of it cannot be read."""
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    frame = Frame(probe, *nobody, finished_steps=look.steps, log_step=look.steps - 1, moment=look.alone or "now")
    for part in sorted(look.parts, key=lambda part: part.facts["stream"] == "frames"):  # whose facts count
        try:
            frame = _with(frame, part)
        except DAMAGE as error:
            damage.append(f"{part.name!r} after {look.steps} steps cannot be read: {error}")
    return frame


def _with(frame: Frame, part: Part) -> Frame:
    kind, _, name = part.name.partition("/")
    if kind == "maps":
        return replace(frame, maps={**frame.maps, name: _maps(part)})
    if kind == "pictures":
        return replace(frame, pictures={**frame.pictures, name: _pictures(part)})
    return _with_facts(frame, part.facts) if kind == "facts" else frame


def _with_facts(frame: Frame, facts: Mapping[str, Any]) -> Frame:
    return replace(
        frame,
        predicted=_integers(facts["predicted"]),
        probability=numbers(facts["probability"]),
        numbers={**frame.numbers, **{key: float(number_of(value)) for key, value in facts["numbers"].items()}},
        per_image={key: numbers(values) for key, values in facts["per_image"].items()},
        seconds={key: float(number_of(value)) for key, value in facts["seconds"].items()},
        notes=tuple(facts["notes"]),
        log_step=int(facts["step"]),
        epoch=int(facts["epoch"]),
        moment=str(facts["moment"]),
        weights=str(facts["weights"]),
        **_words(facts),
    )


def _words(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the task adds to a frame."""
    plain = {name: str(facts[name]) for name in ("task", "unit", "answer", "head") if name in facts}
    heads = {str(name): HeadAnswer(**_said(each), truth=_texts(each, "truth")) for name, each in facts.get("heads", {}).items()}
    top = tuple(tuple((int(index), float(share)) for index, share in each) for each in facts.get("top", ()))
    words = {"said": _texts(facts, "said"), "wrong": _wrong(facts)}
    return plain | words | {"heads": heads, "verdict": _verdict(facts), "top": top}


def _verdict(facts: Mapping[str, Any]) -> Verdict | None:
    """What the experiments said, if this look asked."""
    known = facts.get("verdict")
    if known is None:
        return None
    rows, picture = tuple(int(each) for each in known["rows"]), str(known.get("picture", EXCHANGE))
    cells = (Cell(str(label), str(host), int(follows), int(of)) for label, host, follows, of in known.get("cells", ()))
    return Verdict(str(known["state"]), str(known["sentence"]), rows, picture, tuple(cells))


def _said(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What one head says, all of it known."""
    plain = {name: str(facts[name]) for name in ("task", "unit", "answer")}
    return plain | {"said": _texts(facts, "said"), "wrong": _wrong(facts)}


def _texts(facts: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(map(str, facts.get(name, ())))


def _wrong(facts: Mapping[str, Any]) -> tuple[bool | None, ...]:
    return tuple(None if each is None else bool(each) for each in facts.get("wrong", ()))


def _maps(part: Part) -> Maps:
    facts = part.facts
    scale = Scale(**facts["scale"])
    codes = tiles(part.picture, facts["size"], len(facts["maximum"]))
    values = restored(Quantised(codes, numbers(facts["maximum"]), numbers(facts["mean"]), scale.signed))
    # Drawing multiplies by the number of cells; where they were joined for storing, there are fewer of them now.
    values = values * np.float32(facts["area"] / (codes.shape[1] * codes.shape[2])) if scale.by_area else values
    plain = {"unit": str(facts.get("unit", LOG_ODDS)), "head": str(facts.get("head", ""))}
    words: dict[str, Any] = {"explains": _texts(facts, "explains"), **plain}
    return Maps(values, _integers(facts["classes"]), facts["layer"], scale, facts["title"], facts["target"], **words)


def _pictures(part: Part) -> Pictures:
    filters = tuple(_filter(each) for each in part.facts.get("filters", ()))
    return Pictures(tiles(part.picture, part.facts["size"], part.facts["count"]), tuple(part.facts["captions"]), filters)


def _filter(facts: Mapping[str, Any]) -> Filter:
    reached, on_probe = (number_of(facts[name]) for name in ("reached", "on_probe"))
    return Filter(str(facts["name"]), reached, on_probe, bool(facts["dead"]), str(facts["kind"]))


def fitted(frame: Frame, count: int, damage: list[str]) -> Frame:
    """The frame with what is of `count` images; of the others something else is stored, and that is added to `damage`."""
    if not len(frame.predicted) and not frame.maps:  # pictures alone
        return frame
    lists = {"answers": frame.predicted, **{f"maps/{key}": each.values for key, each in frame.maps.items()}}
    odd = [name for name, each in lists.items() if len(each) != count]
    if odd:
        found = ", ".join(f"{name} of {len(lists[name])}" for name in odd)
        damage.append(f"after {frame.finished_steps} steps: {found} images where there are {count}")
    known = {} if len(frame.predicted) == len(frame.probability) == count else _answers_of_nobody(count)
    lists_of_words = {name: getattr(frame, name) for name in ("said", "wrong", "top")}
    words: dict[str, Any] = {name: each if len(each) == count else () for name, each in lists_of_words.items()}
    maps = {key: replace(each, **_words_of(each, count)) for key, each in frame.maps.items() if len(each.values) == count}
    per_image = {tag: each for tag, each in frame.per_image.items() if len(each) == count}
    return replace(frame, **known, **words, maps=maps, per_image=per_image)


def _answers_of_nobody(count: int) -> dict[str, Any]:
    return {"predicted": np.full(count, -1), "probability": np.full(count, np.nan, np.float32)}


def _words_of(maps: Maps, count: int) -> dict[str, Any]:
    """What maps explain, where it is of as many images as there are."""
    classes = maps.classes if len(maps.classes) == count else np.full(count, -1)
    return {"classes": classes, "explains": maps.explains if len(maps.explains) == count else ()}


def build_inputs(probe: str, parts: dict[str, Part], frames: tuple[Frame, ...], damage: list[str]) -> Inputs:
    """What people see of a probe, black pictures where none can be read; to `damage` is added what cannot be read."""
    count = max((len(frame.predicted) for frame in frames), default=0)
    inputs = Inputs(probe, np.zeros((count, 112, 112, 3), np.uint8), note="no pictures were stored")
    for name, read in (("inputs", _with_pictures), ("masks", _with_masks), ("twins", _with_twins)):
        try:
            inputs = read(inputs, parts[name], parts["inputs"].facts) if name in parts and "inputs" in parts else inputs
        except DAMAGE as error:
            damage.append(f"the {name} cannot be read: {error}")
    return inputs


def _with_pictures(inputs: Inputs, part: Part, facts: Mapping[str, Any]) -> Inputs:
    pictures = tiles(part.picture, facts["size"], facts["count"])
    labels = None if facts["labels"] is None or len(facts["labels"]) != len(pictures) else _integers(facts["labels"])
    truth = tuple(map(str, facts.get("truth", ())))
    truth = truth if len(truth) == len(pictures) else ()
    names = tuple(facts["class_names"])
    return replace(inputs, pictures=pictures, labels=labels, class_names=names, note=facts["note"], truth=truth)


def _with_twins(inputs: Inputs, part: Part, _: Mapping[str, Any]) -> Inputs:
    pictures = tiles(part.picture, part.facts["size"], part.facts["count"])
    kinds = tuple(part.facts["kinds"])
    return replace(inputs, twins=pictures.reshape(-1, len(kinds), *pictures.shape[1:]), kinds=kinds)


def _with_masks(inputs: Inputs, part: Part, facts: Mapping[str, Any]) -> Inputs:
    """The masks at the size of the pictures."""
    height, width = facts["size"]
    small = tiles(part.picture, part.facts["size"], facts["count"])
    large = [Image.fromarray(mask).resize((width, height), Image.Resampling.BILINEAR) for mask in small]
    return replace(inputs, masks=np.stack([np.asarray(mask) for mask in large]).astype(np.float32) / 255)


def _integers(values: Iterable[Any]) -> Array:
    return np.array([int(value) for value in values], np.int64)


def numbers(values: Iterable[float | None]) -> Array:
    """Stored numbers as an array; None was NaN."""
    with np.errstate(over="ignore"):  # damage may be larger than there is a float for: it is infinite then
        return np.array([number_of(value) for value in values], np.float64).astype(np.float32)


def number_of(value: float | None) -> float:
    """One number as `numbers` has it."""
    return float("nan") if value is None else value
