"""All set-ups, each with what is to be read from it."""

from __future__ import annotations

from . import classes, dense_maps, embeddings, losses, made_again, numbers, runs, several

PLAIN = [case for file in (classes, numbers, losses, dense_maps, embeddings, made_again, several) for case in file.CASES]
RUNS = runs.CASES
