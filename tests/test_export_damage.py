"""Damaged runs on the command line: what can be had is made, what cannot is said in lines, nothing else reaches anybody."""

from __future__ import annotations

import os
import random

import pytest
from mutations import write_mutated
from tab_runs import film_of, inputs_of, write_run

from lightning_vis.cli import main
from lightning_vis.events.event_file import record, records
from lightning_vis.events.frame_reader import read_frames

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


@pytest.mark.parametrize(("command", "suffix"), [("gif", ".gif"), ("strip", ".png"), ("export", ".html")])
def test_what_holds_nothing_is_named_and_a_pipe_is_not_waited_for(tmp_path, capsys, command, suffix):
    logs = tmp_path / "logs"
    write_run(logs / "good", film_of(3), inputs_of(), scalars=False)
    for name in ("pipe", "zeros"):
        (logs / name).mkdir()
    os.mkfifo(logs / "pipe" / "events.out.tfevents.1")
    (logs / "zeros" / "events.out.tfevents.1").write_bytes(bytes(1000))
    assert main([command, str(logs), "-o", str(tmp_path / f"film{suffix}")]) == 0
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "lightning_vis: pipe: events.out.tfevents.1: left out, as it is no file",
        "lightning_vis: zeros: events.out.tfevents.1: damaged at byte 0; what lies before it was read",
    ]


def test_looks_behind_a_record_that_is_no_event_are_read(tmp_path):
    write_run(tmp_path / "run", film_of(3), inputs_of(), scalars=False)
    (path,) = (tmp_path / "run").iterdir()
    whole = [record(each) for each in records(path)]
    path.write_bytes(b"".join([*whole[:3], record(b"\xff" * 40), *whole[3:]]))
    (run,) = read_frames(tmp_path)
    assert [frame.finished_steps for frame in run.frames] == [0, 10, 20]
    assert [each.endswith("; the others were read") for each in run.damage] == [True]


def test_a_page_is_written_through_links_and_into_devices(tmp_path, capsys):
    write_run(tmp_path / "run", film_of(2), inputs_of(), scalars=False)
    link, file = tmp_path / "link.html", tmp_path / "film.html"
    link.symlink_to(file)
    assert main(["export", str(tmp_path / "run"), "-o", str(link)]) == 0
    assert link.is_symlink()
    assert file.stat().st_size > 1000
    null = tmp_path / "null"
    null.symlink_to(os.devnull)
    assert main(["export", str(tmp_path / "run"), "-o", str(null)]) == 0
    assert null.is_char_device()
