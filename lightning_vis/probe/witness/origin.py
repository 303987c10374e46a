"""Which leaves of the batch the images are, and where a target comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lightning_vis.model.places import Path
from lightning_vis.probe.witness.ancestry import ancestors, chain_of
from lightning_vis.probe.witness.meetings import Encounter
from lightning_vis.probe.witness.notes import Call, Node

BATCH, IMAGE, ITSELF, FROZEN, CONSTANT = "batch", "image", "itself", "frozen network", "constant"
ORIGINS = (BATCH, IMAGE, ITSELF, FROZEN, CONSTANT)
"""Where a target may come from; what comes first says more about the network."""


@dataclass(frozen=True)
class Batch:
    """The shapes of a batch's leaves; the images among them, if they are known."""

    shapes: Mapping[Path, tuple[int, ...]]
    images: tuple[Path, ...] | None = None

    @property
    def count(self) -> int:
        """How many images it has: what most of its leaves begin with."""
        lengths = [shape[0] for shape in self.shapes.values() if shape]
        return max(dict.fromkeys(lengths), key=lengths.count) if lengths else 0

    def pictured(self, calls: Iterable[Call]) -> frozenset[Path]:
        """The leaves that reach calls and are images: three dimensions or more, or known to be."""
        reached = frozenset[Path]().union(*(call.sources for call in calls))
        return frozenset(leaf for leaf in reached if self._is_image(leaf))

    def _is_image(self, leaf: Path) -> bool:
        return len(self.shapes[leaf]) >= 3 if self.images is None else leaf in self.images


@dataclass(frozen=True)
class Sources:
    """Where both sides of an encounter come from.

    Attributes:
        origin: of the target.
        target: its leaves, where it comes from the batch.
        fed: leaves that reach the network as images.
        image: those among them that reach the answer that is looked at.
        made: names of the functions that made the target.
    """

    origin: str
    target: tuple[Path, ...]
    fed: frozenset[Path]
    image: tuple[Path, ...]
    made: frozenset[str]


def sources_of(encounter: Encounter, chain: Sequence[Call], batch: Batch) -> Sources:
    """Looks both sides of an encounter up in the batch.

    Args:
        encounter: with an answer of at least one call.
        chain: all calls that the images go through, to the one that answers first.
        batch: what the step got.
    """
    target, sources = encounter.target, encounter.answer.sources
    everyone = [one for call in encounter.way.calls for one in (*chain_of(call), call)]
    # Labels may be arguments too, but no answer is made of them.
    fed = batch.pictured(everyone) & sources
    origin = _origin(target, fed)
    is_of_batch = origin == BATCH and target is not None
    weights = sources - encounter.way.sources
    found = _compared(target, weights, fed) if is_of_batch and target is not None else frozenset[Path]()
    own = batch.pictured(chain) & sources
    again = own & target.sources if origin == IMAGE and target is not None else frozenset[Path]()
    own = again or own  # a mask goes in beside what is made again
    made = frozenset(node.name for node in ancestors([target])) if is_of_batch and target is not None else frozenset[str]()
    return Sources(
        origin,
        tuple(leaf for leaf in batch.shapes if leaf in found),
        fed,
        tuple(leaf for leaf in batch.shapes if leaf in own),
        made,
    )


def _compared(target: Node, weights: frozenset[Path], fed: frozenset[Path]) -> frozenset[Path]:
    """The leaves that an answer is compared with, without those that it is multiplied with behind the network, too."""
    leaves = target.sources - fed
    return leaves - weights or leaves


def _origin(target: Node | None, fed: frozenset[Path]) -> str:
    if target is None or not (target.sources or target.touched):
        return CONSTANT
    if target.touched:
        return ITSELF
    if target.frozen:
        return FROZEN
    return BATCH if target.sources - fed else IMAGE
