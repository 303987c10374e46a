"""What the server answers, made of what TensorBoard's data provider gives."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lightning_vis import constants
from lightning_vis.events.decode import Look, page_streams
from lightning_vis.events.part import Part, part_of

OVERLAP = 60.0
"""Seconds that are looked at again, as two writers of one run may be read out of order: what the page has already is left out."""
MOST_TOKENS = 200
"""Looks of those seconds that the page names at most: addresses have an end."""
TAG_LIMIT = 2000
"""Characters of a tag that is asked for: ours are shorter."""
NOT_OURS = "this is not a key of ours"

Series = Any


def runs(newest: Mapping[str, float]) -> dict[str, Any]:
    """All runs with frames and when they were written last, and the constants that colour them."""
    return {"runs": [{"run": run, "newest": newest[run]} for run in sorted(newest)], "constants": constants.PAGE}


def looks(run: str, tags: Mapping[str, Series], since: float, known: Collection[str] = ()) -> dict[str, Any]:
    """The looks of one run, joined: where all of them stand, and those that are new since a moment.

    Args:
        run: its name.
        tags: our tags in it.
        since: seconds since 1970; what was written up to a minute before it may be new too.
        known: what an answer before this one had under ``recent``: those looks have been sent.
    """
    written = {key_of(run, tag, series.max_wall_time): (tag, series) for tag, series in sorted(tags.items())}
    parts = [part for key, (_, series) in written.items() if (part := _keyed_part(key, series.plugin_content)) is not None]
    recent: list[str] = []

    def is_new(look: Look) -> bool:
        if all(written[part.facts["key"]][1].max_wall_time <= since - OVERLAP for part in look.parts):
            return False
        recent.append(token_of(look))
        return recent[-1] not in known

    newest = max((series.max_wall_time for series in tags.values()), default=since)
    streams = page_streams(parts, is_new)
    return {"run": run, "newest": newest, "recent": recent[-MOST_TOKENS:], "streams": streams}


def token_of(look: Look) -> str:
    """Tells apart what has been written of looks so far."""
    keys = "".join(sorted(str(part.facts["key"]) for part in look.parts))
    return hashlib.blake2b(keys.encode(), digest_size=6).hexdigest()


def _keyed_part(key: str, content: bytes) -> Part | None:
    """A part with the key of its picture among its facts."""
    part = part_of(content)
    return None if part is None else replace(part, facts={**part.facts, "key": key})


def facts(content: bytes) -> dict[str, Any]:
    """All facts of one part."""
    part = part_of(content)
    return {} if part is None else dict(part.facts)


def key_of(run: str, tag: str, wall_time: float) -> str:
    """An opaque key of a part; a part that is written anew gets a new one, so that keys can be kept by browsers."""
    return base64.urlsafe_b64encode(json.dumps([run, tag, wall_time]).encode()).decode()


def parse_key(key: str) -> tuple[str, str]:
    """Run and tag of a key.

    Raises:
        ValueError: it is not one of `key_of`, or of a tag that does not begin with our name.
    """
    try:
        run, tag, _ = json.loads(base64.urlsafe_b64decode(key.encode("ascii")))
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise ValueError(NOT_OURS) from error
    if not isinstance(run, str) or not isinstance(tag, str) or len(tag) > TAG_LIMIT:
        raise ValueError(NOT_OURS)
    if not tag.startswith(f"{constants.PLUGIN}/"):
        raise ValueError(NOT_OURS)
    return run, tag


def found_key(key: str) -> tuple[str, str] | None:
    """Run and tag of a key; None if it is not one of `key_of`."""
    try:
        return parse_key(key)
    except ValueError:
        return None


def packed(pictures: Sequence[bytes | str]) -> bytes:
    """Pictures as one answer: the length of a list, the list as JSON, and all pictures.

    Args:
        pictures: bytes, or why they cannot be had. The list says how many bytes each has, or that sentence.
    """
    told = json.dumps([len(each) if isinstance(each, bytes) else each for each in pictures]).encode()
    return b"".join([struct.pack("<I", len(told)), told, *(each for each in pictures if isinstance(each, bytes))])


def dumped(content: dict[str, Any]) -> str:
    """JSON without blanks."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
