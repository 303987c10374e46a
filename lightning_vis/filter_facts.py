"""What is known of each maximized filter: numbers of a frame, and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_vis.frames import Frame


@dataclass(frozen=True)
class Filter:
    """One filter or class: its name, the activation that its picture reaches, the best among the probe images, its state."""

    name: str
    reached: float
    on_probe: float
    dead: bool = False
    kind: str = "channel"

    @property
    def prefers_probe(self) -> bool:
        """Whether some probe image excites it more than its own picture does."""
        return self.on_probe > self.reached

    @property
    def is_marked(self) -> bool:
        """Whether pictures show it in orange: its own picture is no answer to what it wants to see."""
        return self.dead or self.prefers_probe

    @property
    def value(self) -> str:
        """What its picture reaches, as short as it goes below a picture."""
        if self.dead:
            return "dead"
        return f"{self.reached:.3g}" if abs(self.reached) >= 1 else f"{self.reached:.2g}"

    @property
    def caption(self) -> str:
        """The facts in words."""
        if self.dead:
            return f"{self.kind} {self.name}: dead (constant on all probe images, and nothing was found to excite it)"
        said = f"{self.kind} {self.name} reaches {self.reached:.3g}; the best probe image {self.on_probe:.3g}"
        return f"{said}: it prefers the probe image" if self.prefers_probe else said


def numbers_of(layer: str, filters: Sequence[Filter]) -> dict[str, float]:
    """The facts as numbers of a frame; `filters_of` reads them."""
    found: dict[str, float] = {}
    for each in filters:
        key = f"filters/{layer}/{each.name}"
        found |= {f"{key}/activation": each.reached, f"{key}/on_probe": each.on_probe, f"{key}/dead": float(each.dead)}
    return found


def filters_of(frame: Frame, layer: str) -> list[Filter]:
    """The facts of a layer's filters that a frame holds, in the order of its pictures."""
    start, end = f"filters/{layer}/", "/activation"
    names = [key[len(start) : -len(end)] for key in frame.numbers if key.startswith(start) and key.endswith(end)]
    kinds = ("activation", "on_probe", "dead")
    facts = {name: [frame.numbers[f"{start}{name}/{kind}"] for kind in kinds] for name in names}
    return [Filter(name, reached, on_probe, bool(dead)) for name, (reached, on_probe, dead) in facts.items()]
