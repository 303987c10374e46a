"""Damaged runs on the command line: what can be had is made, what cannot is said in lines, nothing else reaches anybody."""

from __future__ import annotations

import os
import random

import pytest
from mutations import write_mutated
from tab_runs import film_of, inputs_of, write_run

from lightning_vis.cli import main

MUTATIONS = 200 if os.environ.get("LIGHTNING_VIS_SLOW") else 12
SEED = 5


def flipped(path, chance):
    """Some bits of a file are others, and its end may be missing."""
    data = bytearray(path.read_bytes())
    for _ in range(chance.randrange(1, 6)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data[: chance.randrange(len(data) // 2, len(data) + 1)])


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Folders of one damaged run each, with a sound one beside it."""
    root, chance = tmp_path_factory.mktemp("damage"), random.Random(SEED)
    write_run(root / "sound" / "good", film_of(3), inputs_of(), scalars=False)
    for at in range(MUTATIONS):
        folder = root / "logs" / f"{at}" / "bad"
        write_mutated(folder, chance)
        if at % 3 == 0:
            flipped(next(folder.iterdir()), chance)
        (folder.parent / "good").symlink_to(root / "sound" / "good")
    return root / "logs"


@pytest.mark.parametrize(("command", "suffix"), [("gif", ".gif"), ("strip", ".png"), ("export", ".html")])
def test_beside_a_sound_run_damage_is_said_in_lines_and_the_rest_is_made(damaged, tmp_path, capsys, command, suffix):
    for folder in sorted(damaged.iterdir()):
        output = tmp_path / f"{folder.name}{suffix}"
        assert main([command, str(folder), "-o", str(output)]) == 0, folder
        assert output.stat().st_size > 1000
        lines = capsys.readouterr().err.splitlines()
        assert all(line.startswith("lightning_vis: bad: ") for line in lines), lines
        assert all(len(line) < 400 for line in lines), lines
