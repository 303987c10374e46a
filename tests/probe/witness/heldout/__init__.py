"""Set-ups held out from the witness until it was done: name -> (make, wanted)."""

from __future__ import annotations

from . import areas, bundles, classification, grades, likeness, loops, mixtures, pretexts, restorations, scenes

FILES = (classification, mixtures, grades, likeness, areas, scenes, restorations, loops, bundles, pretexts)
CASES = {name: case for file in FILES for name, case in file.CASES.items()}
