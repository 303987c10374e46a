"""Heads: several answers of one network, each looked at with its own task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lightning_vis.attribution.views import View
from lightning_vis.frames import Frame, HeadAnswer, Inputs, Maps
from lightning_vis.model.run import ForwardConfig
from lightning_vis.probe.probe import Probe


@dataclass(frozen=True)
class Head:
    """One of several answers of a network.

    Attributes:
        name: as the user calls it.
        probe: the images, with what is true of them for this head.
        running: how the network is run, and what this head's output means.
        views: what it is looked at through.
    """

    name: str
    probe: Probe
    running: ForwardConfig
    views: Sequence[View] = field(default_factory=tuple)

    def key(self, view: str) -> str:
        """The key of a view that is looked through as another head than the first."""
        return key_of(view, self.name)


def joined(heads: Sequence[Head], found: Sequence[Frame | None], why: Sequence[Mapping[str, Exception]]) -> Frame | None:
    """The first head's frame as if there were no other, with what the others found; None where nobody found anything.

    Args:
        heads: of one network, the first one first.
        found: what a look at each of them alone found.
        why: what went wrong with each.
    """
    if not any(found):
        return None
    frame = found[0] or _nothing(heads[0].probe)
    maps = {key: replace(each, title=_named(each.title or key, heads[0].name)) for key, each in frame.maps.items()}
    frame = replace(frame, head=heads[0].name, maps=maps)
    for head, seen, failures in zip(heads[1:], found[1:], why[1:], strict=True):
        frame = _with(frame, head, seen, failures)
    return frame


def key_of(view: str, head: str) -> str:
    """The key of another head's view: ``grad_cam@age``."""
    return f"{view}@{head.replace('/', '_')}"


def _with(frame: Frame, head: Head, found: Frame | None, why: Mapping[str, Exception]) -> Frame:
    seen = found or _nothing(head.probe)
    said = _said(seen, head, "" if found else f" It could not be read: {next(iter(why.values()), '')}")
    seconds = {part: frame.seconds.get(part, 0.0) + seen.seconds.get(part, 0.0) for part in {**frame.seconds, **seen.seconds}}
    return replace(
        frame,
        heads={**frame.heads, head.name: said},
        maps={**frame.maps, **{key_of(key, head.name): _maps(each, key, head) for key, each in seen.maps.items()}},
        numbers={**frame.numbers, **_tagged(seen.numbers, head.name)},
        per_image={**frame.per_image, **_tagged(seen.per_image, head.name)},
        notes=(*frame.notes, *(f"{head.name}: {note}" for note in seen.notes if note not in frame.notes)),
        seconds=seconds,
    )


def _maps(maps: Maps, key: str, head: Head) -> Maps:
    """Its maps, with all that they explain in words: class names belong to the first head."""
    seen = _words(head)
    explains = tuple(seen.explained(maps, at) for at in range(len(maps.values)))
    return replace(maps, head=head.name, title=_named(maps.title or key, head.name), explains=explains)


def _said(seen: Frame, head: Head, why: str) -> HeadAnswer:
    answer, inputs, count = head.running.answer, _words(head), len(head.probe)
    return HeadAnswer(
        answer.task,
        answer.score_unit,
        f"{answer.said}{why}".strip(),
        tuple(seen.caption(at, inputs) for at in range(count)),
        tuple(seen.is_wrong(at, inputs) for at in range(count)),
        tuple(inputs.truth_of(at) for at in range(count)),
    )


def _words(head: Head) -> Inputs:
    """What is known of the images, without their pictures; nothing of what is true where that is of another kind."""
    answer, pictures = head.running.answer, np.zeros((len(head.probe), 1, 1, 3), np.uint8)
    try:
        return head.probe.facts(answer, pictures)
    except ValueError:  # which the look at this head has said
        return head.probe.of(None).facts(answer, pictures)


def _nothing(probe: Probe) -> Frame:
    """A look that found nothing."""
    count = len(probe)
    nobody = np.full(count, -1), np.full(count, np.nan, np.float32)
    return Frame(probe.name, *nobody, said=("",) * count, wrong=(None,) * count, task="unknown", unit="")


def _named(title: str, head: str) -> str:
    return f"{title} ({head})"


def _tagged(values: Mapping[str, Any], head: str) -> dict[str, Any]:
    """Numbers under tags that name the head: of a map where its view is named, of edges not again."""
    own = {tag: value for tag, value in values.items() if not tag.startswith("attribution/edges/")}
    return {_tag(tag, head): value for tag, value in own.items()}


def _tag(tag: str, head: str) -> str:
    if not tag.startswith("attribution/"):
        return f"{tag}@{head}"
    start, _, what = tag.rpartition("/")
    return f"{key_of(start, head)}/{what}"
