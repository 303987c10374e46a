"""What the server answers, made of what TensorBoard's data provider gives."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lightning_vis import constants

OVERLAP = 60.0
"""Seconds that are answered again: two writers of one run may be read out of order."""
ON_DEMAND = ("captions", "format", "seconds")
"""Facts that are left out until somebody looks at the part."""
TAG_LIMIT = 2000
NOT_OURS = "this is not a key of ours"
FILTERS = "pictures/filters/"
CAPTION = re.compile(
    r"\w+ (?P<name>.*)(?: reaches \S+; the best probe image \S+?(?P<prefers>: it prefers the probe image)?|(?P<dead>: dead \(.*))",
    re.DOTALL,
)
"""What is said of a filter, as `filter_facts` puts it."""

Series = Any


def runs(newest: Mapping[str, float]) -> dict[str, Any]:
    """All runs with frames and when they were written last, and the constants that colour them."""
    listed = [{"run": run, "newest": newest[run]} for run in sorted(newest)]
    return {"runs": listed, "constants": shared_constants()}


def shared_constants() -> dict[str, Any]:
    """The constants of the drawing that the page needs."""
    return {
        "inferno": constants.INFERNO,
        "cividis": constants.CIVIDIS,
        "warm": constants.WARM,
        "cool": constants.COOL,
        "dim": constants.DIM,
        "opaque": constants.OPAQUE,
        "rise": constants.RISE,
        "densityLimit": constants.DENSITY_LIMIT,
        "spriteColumns": constants.SPRITE_COLUMNS,
    }


def looks(run: str, tags: Mapping[str, Series], since: float) -> dict[str, Any]:
    """The parts of one run that were written after a moment.

    Args:
        run: its name.
        tags: our tags in it.
        since: seconds since 1970; what was written up to a minute before it comes again.
    """
    fresh = {tag: series for tag, series in tags.items() if series.max_wall_time > since - OVERLAP}
    parts = [part for tag, series in sorted(fresh.items()) if (part := _part(run, tag, series)) is not None]
    newest = max((series.max_wall_time for series in tags.values()), default=since)
    return {"run": run, "newest": newest, "parts": parts}


def _part(run: str, tag: str, series: Series) -> dict[str, Any] | None:
    found = facts(series.plugin_content)
    if found is None:
        return None
    return {"key": key_of(run, tag, series.max_wall_time), **without_details(found)}


def without_details(found: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that the page needs before somebody looks at the part; of filters their names instead of captions."""
    kept = {name: value for name, value in found.items() if name not in ON_DEMAND}
    captions = found.get("captions")
    return kept | filters(captions) if str(found.get("part")).startswith(FILTERS) and isinstance(captions, list) else kept


def filters(captions: Sequence[Any]) -> dict[str, Any]:
    """What each filter is called, and by index which of them are dead or answer to a probe image more than to their picture.

    The numbers of a look say so too, but those of one callback alone where several have written filters.
    """
    found = [CAPTION.fullmatch(str(caption)) for caption in captions]
    return {
        "names": [str(caption) if each is None else each["name"] for each, caption in zip(found, captions, strict=True)],
        "dead": [at for at, each in enumerate(found) if each and each["dead"]],
        "prefers_probe": [at for at, each in enumerate(found) if each and each["prefers"]],
    }


def facts(content: bytes) -> dict[str, Any] | None:
    """The facts of a part; None where they are not ours or of a later version than this reader."""
    try:
        found = json.loads(content)
    except (ValueError, TypeError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("part"), str) or found["part"] == "latest":
        return None
    return found if isinstance(found.get("format"), int) and found["format"] <= constants.FORMAT else None


def key_of(run: str, tag: str, wall_time: float) -> str:
    """An opaque key of a part; a part that is written anew gets a new one, so that keys can be kept by browsers."""
    return base64.urlsafe_b64encode(json.dumps([run, tag, wall_time]).encode()).decode()


def place_of(key: str) -> tuple[str, str]:
    """Run and tag of a key.

    Raises:
        ValueError: it is not one of `key_of`, or of a tag that does not begin with our name.
    """
    try:
        run, tag, _ = json.loads(base64.urlsafe_b64decode(key.encode("ascii")))
    except (ValueError, TypeError, binascii.Error) as error:
        raise ValueError(NOT_OURS) from error
    if not isinstance(run, str) or not isinstance(tag, str) or len(tag) > TAG_LIMIT:
        raise ValueError(NOT_OURS)
    if not tag.startswith(f"{constants.PLUGIN}/"):
        raise ValueError(NOT_OURS)
    return run, tag


def picture_type(data: bytes) -> str | None:
    """The media type of a PNG or a JPEG; None of anything else, which is not served."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/jpeg" if data.startswith(b"\xff\xd8\xff") else None


def number(value: float) -> float | None:
    """A number for JSON, which cannot say NaN."""
    return value if math.isfinite(value) else None


def dumped(content: dict[str, Any]) -> str:
    """JSON without blanks."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=True)
