"""What is to be said of tokens: how much of a map lies beside the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lightning_vis.attribution.maps import evidence_map, grad_cam_map, prefix_share
from lightning_vis.attribution.records import Record, Recorded
from lightning_vis.attribution.views import View
from lightning_vis.frames import Maps

SAID = 0.1
"""What lies in the prefix is told where it is more than this share."""


def token_numbers(maps: Mapping[str, Maps], views: Sequence[View], found: Mapping[str, Recorded]) -> dict[str, float]:
    """By tag the share of each view's evidence that lies in tokens without a place in the image, the mean over the images.

    Args:
        maps: those that worked, by view key.
        views: what was looked through.
        found: what was recorded for each view.
    """
    shares = {view.key: prefix_share(record) for view, record in _read(maps, views, found)}
    return {f"attribution/{key}/prefix": float(share.float().mean()) for key, share in shares.items() if share is not None}


def token_notes(maps: Mapping[str, Maps], views: Sequence[View], found: Mapping[str, Recorded]) -> tuple[str, ...]:
    """The same in words, where there is something to be said; arguments as `token_numbers`."""
    numbers = token_numbers(maps, views, found)
    notes: dict[str, None] = {}
    for view, record in _read(maps, views, found):
        share = numbers.get(f"attribution/{view.key}/prefix", 0.0)
        if share > SAID and record.prefix is not None:
            notes[_in_prefix(view, share, record.prefix.activation.shape[1])] = None
    return tuple(notes)


def _in_prefix(view: View, share: float, count: int) -> str:
    tokens, have = ("the token", "has") if count == 1 else (f"the {count} tokens", "have")
    named = view.key if any(view.layers) else view.title or view.name  # several places of one view are told apart
    return f"{share:.0%} of {named} is in {tokens} before those of the patches, which {have} no place in the image"


def _read(maps: Mapping[str, Maps], views: Sequence[View], found: Mapping[str, Recorded]) -> Iterator[tuple[View, Record]]:
    """The records that were read as evidence is."""
    for view in views:
        if view.key in maps and view.to_map in (evidence_map, grad_cam_map):
            yield view, found[view.key].explained[view.target].records[maps[view.key].layer]
