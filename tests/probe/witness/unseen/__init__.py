"""Set-ups by an author who did not know the witness: name -> (make, wanted)."""

from __future__ import annotations

from . import borders, classes, decoys, dense_maps, labels, networks, numbers, pictures, strangers, vectors

FILES = (classes, labels, numbers, dense_maps, vectors, pictures, strangers, networks, decoys, borders)
CASES = {name: case for file in FILES for name, case in file.CASES.items()}
