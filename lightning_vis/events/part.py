"""A part: what is stored under one tag of an event file, or in a checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lightning_vis.constants import FORMAT

MOST_STEPS = 2**53
"""From here on a browser cannot tell steps apart."""


@dataclass(frozen=True)
class Part:
    """Something stored under a tag of its own, or read again.

    Attributes:
        name: ``"inputs"``, ``"masks"``, ``"twins"``, ``"facts"``, ``"maps/<view key>"`` or ``"pictures/<name>"``.
        facts: small enough for the metadata, JSON types only.
        picture: a PNG or a JPEG, empty where facts are all there is.
    """

    name: str
    facts: Mapping[str, Any]
    picture: bytes = b""

    @property
    def alone(self) -> str:
        """The moment of a look outside of fit, else an empty text."""
        return str(self.facts.get("alone", ""))


def part_of(content: bytes, picture: bytes = b"") -> Part | None:
    """A part out of a summary's metadata; None where it is of a later version than this reader, or none of ours after all."""
    try:
        facts = json.loads(content, parse_constant=lambda word: None, parse_float=_finite)
    except (ValueError, TypeError, RecursionError):
        return None
    if not isinstance(facts, dict) or not isinstance(facts.get("format"), int) or facts["format"] > FORMAT:
        return None
    return Part(facts["part"], facts, picture) if _has_a_place(facts) else None


def _finite(text: str) -> float | None:
    """A number; None of one that is none for JSON, which a browser would refuse with all the rest."""
    value = float(text)
    return value if math.isfinite(value) else None


def _has_a_place(facts: Mapping[str, Any]) -> bool:
    """Whether facts say, in the right kinds of values, where a part belongs."""
    named = all(isinstance(facts.get(name), str) for name in ("part", "fit", "probe", "stream"))
    known = all(isinstance(facts.get(name, ""), str) for name in ("alone", "images"))
    steps = facts.get("steps", 0)
    return named and known and type(steps) is int and 0 <= steps < MOST_STEPS


def media_type(data: bytes) -> str | None:
    """The media type of a PNG, a JPEG; None of anything else, which is not served."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/jpeg" if data.startswith(b"\xff\xd8\xff") else None
