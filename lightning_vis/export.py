"""Runs as one HTML file, a GIF or a strip."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from PIL import Image

from lightning_vis.constants import FILTERS, PAGE
from lightning_vis.events.decode import finite, page_streams, without_repeated
from lightning_vis.events.event_file import event_files
from lightning_vis.events.frame_reader import RunFrames, StoredRun, read_run, whole_run
from lightning_vis.events.part import Part, media_type
from lightning_vis.frames import Array, thinned
from lightning_vis.render.canvas.style import GAP, INK, PANEL, SMALL_TEXT, TEXT
from lightning_vis.render.canvas.text import paragraph, write
from lightning_vis.render.canvas.tiles import put
from lightning_vis.render.filters import filter_reading, filter_strip, has_gaps
from lightning_vis.render.gif import animated, animated_filters
from lightning_vis.render.strips import strip

STATIC = Path(__file__).parent / "tab" / "static"


COLUMNS = 10


MOST_POINTS = 1000


_IMPORT = re.compile(r'^import (\{[^}]*\}) from "(\.[\w./]+\.js)";$', re.MULTILINE)


_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>Lightning Vis</title>
<style>
{style}
</style>
</head>
<body>
<script type="application/json" id="constants">{constants}</script>
"""


RUN = """<script type="application/json" class="exported">{data}</script>
"""


TAIL = """<script type="module">
{script}
const read = (each) => JSON.parse(each.textContent);
const runs = [...document.querySelectorAll("script.exported")].map(read);
modules["index.js"].render({{ constants: read(document.getElementById("constants")), runs }});
</script>
</body>
</html>
"""


def export_html(logdir: str | Path, output: str | Path, looks: int | None = None) -> list[str]:
    """Writes one self-contained HTML file: the tab's page with all frames of all runs below a folder, run by run.

    Args:
        logdir: a run's folder, or one with runs in it.
        output: the file to write; it is there as a whole or not at all.
        looks: at most this many looks of each run, first and last always among them; None for all.

    Returns:
        What could not be read, in sentences.

    Raises:
        ValueError: the folder does not exist, or no frames are in it.
        OSError: the file cannot be written.
    """
    damage: list[str] = []
    runs = _stored_runs(logdir)
    first = next(runs, None)
    if first is None:
        raise ValueError(_no_frames(logdir))
    with _whole(Path(output)) as page:
        page.write(HEAD.format(style=(STATIC / "style.css").read_text("utf-8"), constants=_json(PAGE)))
        for at, run in enumerate(chain((first,), runs)):
            page.write(RUN.format(data=_json(exported(at, run, looks))))
            damage += [f"{run.name}: {each}" for each in run.damage]
        page.write(TAIL.format(script=bundle(STATIC / "index.js")))
    return damage


def _json(content: Any) -> str:
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A file that takes its place when all of it has been written; what stood there before stays until then."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def export_gif(logdir: str | Path, output: str | Path, view: str | None = None) -> list[str]:
    """Writes a GIF of one view (the first one if None), all runs below each other. Otherwise as `export_html`."""
    runs = [whole_run(stored) for stored in _stored(logdir)]
    key = view_key(runs, view)
    if key.startswith(FILTERS):
        data = animated_filters([(run.name, run.filters) for run in runs], key.removeprefix(FILTERS))
    else:
        data = animated([(run.name, run.inputs, run.frames) for run in runs], key)
    Path(output).write_bytes(data)
    return [f"{run.name}: {damage}" for run in runs for damage in run.damage]


def export_strip(logdir: str | Path, output: str | Path, view: str | None = None) -> list[str]:
    """Writes a strip of one view (the first one if None), all runs below each other. Otherwise as `export_html`."""
    runs = [whole_run(stored) for stored in _stored(logdir)]
    key = view_key(runs, view)
    shown = [run for run in runs if key in (*_views(run), *_filters(run))]
    strips = [_strip(run, key) for run in shown]
    named = [_named(run.name, each) for run, each in zip(shown, strips, strict=True)] if len(shown) > 1 else strips
    Image.fromarray(_stacked([*named, *_below(shown, key, max(each.shape[1] for each in named))])).save(output)
    return [f"{run.name}: {damage}" for run in runs for damage in run.damage]


def view_key(runs: Sequence[RunFrames], view: str | None) -> str:
    """The view to show: the one that was asked for, else the first one; filters stand behind all maps.

    Raises:
        ValueError: no run has it; the message names those there are.
    """
    there = list(dict.fromkeys(key for views in (_views, _filters) for run in runs for key in views(run)))
    if not there:
        raise ValueError("these runs have no maps and no filters")
    if view is not None and view not in there:
        raise ValueError(f"no view {view!r} in these runs: there are {', '.join(there)}")
    return view or there[0]


def exported(at: int, run: StoredRun, looks: int | None) -> dict[str, Any]:
    """One run as the page's own source of data: what the server would answer, the pictures in the page itself."""
    parts = _keyed_parts(at, run, looks)
    return {
        "run": run.name,
        "data": {"run": run.name, "newest": 0, "streams": page_streams(parts)},
        "facts": {part.facts["key"]: {"captions": part.facts["captions"]} for part in parts if "captions" in part.facts},
        "pictures": {part.facts["key"]: _data_address(part.picture) for part in parts if part.picture},
        "scalars": _thinned_scalars(run),
    }


def bundle(entry: Path) -> str:
    """A page's modules as one script: each a function of its own scope, behind those that it imports."""
    sources: dict[str, str] = {}
    _collect(entry, sources)
    return "\n".join(("const modules = {};", *sources.values())).replace("</script", "<\\/script")


def _collect(path: Path, sources: dict[str, str]) -> None:
    text = path.read_text("utf-8")
    imported = [(path.parent / address).resolve() for _, address in _IMPORT.findall(text)]
    for each in imported:
        if _name_of(each) not in sources:
            _collect(each, sources)
    names = iter(imported)
    body = _EXPORT.sub(r"\1", _IMPORT.sub(lambda found: f'const {found[1]} = modules["{_name_of(next(names))}"];', text))
    exported = ", ".join(name for _, name in _EXPORT.findall(text))
    sources[_name_of(path)] = f'modules["{_name_of(path)}"] = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();'


def _name_of(path: Path) -> str:
    """A module's name in the bundle: its path below the page's folder."""
    return path.resolve().relative_to(STATIC.resolve()).as_posix()


def _keyed_parts(at: int, run: StoredRun, looks: int | None) -> list[Part]:
    """The parts of at most so many looks, each with a key among its facts."""
    parts = without_repeated(run.parts)
    steps = sorted({part.facts["steps"] for part in parts if "steps" in part.facts})
    kept = set(steps) if looks is None else {steps[at] for at in thinned(len(steps), looks)}
    shown = [part for part in parts if part.facts.get("steps") in kept or "steps" not in part.facts]
    return [replace(part, facts={**part.facts, "key": f"{at}.{number}"}) for number, part in enumerate(shown)]


def _thinned_scalars(run: StoredRun) -> dict[str, list[tuple[int, float | None]]]:
    return {
        tag: [(points[at][0], finite(points[at][1])) for at in thinned(len(points), MOST_POINTS)]
        for tag, points in run.scalars.items()
    }


def _data_address(picture: bytes) -> str:
    return f"data:{media_type(picture)};base64,{base64.b64encode(picture).decode()}"


def _views(run: RunFrames) -> list[str]:
    return list(dict.fromkeys(key for frame in run.frames for key in frame.maps))


def _filters(run: RunFrames) -> list[str]:
    return list(dict.fromkeys(name for frame in run.filters for name in frame.pictures))


def _strip(run: RunFrames, key: str) -> Array:
    is_filters = key.startswith(FILTERS)
    frames = [frame for frame in (run.filters if is_filters else run.frames) if key in {**frame.maps, **frame.pictures}]
    shown = [frames[at] for at in thinned(len(frames), COLUMNS)]
    return filter_strip(shown, key.removeprefix(FILTERS)) if is_filters else strip(shown, run.inputs, key)


def _below(runs: Sequence[RunFrames], key: str, width: int) -> list[Array]:
    """What is to be said below all strips: those of maps have their own legends."""
    if not key.startswith(FILTERS):
        return []
    layer = key.removeprefix(FILTERS)
    is_gappy = any(has_gaps(run.filters, layer) for run in runs)
    said = filter_reading(layer) + " Empty: that look was at other filters." * is_gappy
    return [paragraph(said, width, SMALL_TEXT)]


def _named(name: str, picture: Array) -> Array:
    """A picture below its run's name."""
    sheet = Image.new("RGB", (picture.shape[1], picture.shape[0] + TEXT + 2 * GAP), PANEL)
    write(sheet, (GAP, GAP), name, INK, picture.shape[1] - 2 * GAP)
    put(sheet, (0, TEXT + 2 * GAP), picture)
    return np.asarray(sheet)


def _stacked(pictures: Sequence[Array]) -> Array:
    width = max(picture.shape[1] for picture in pictures)
    return np.concatenate([np.pad(each, ((0, 0), (0, width - each.shape[1]), (0, 0)), "edge") for each in pictures])


def _stored(logdir: str | Path) -> list[StoredRun]:
    """What the runs below a folder hold."""
    runs = list(_stored_runs(logdir))
    if not runs:
        raise ValueError(_no_frames(logdir))
    return runs


def _no_frames(logdir: str | Path) -> str:
    return f"no frames in {str(logdir)!r}: they are written by ProbeCallback while it trains"


def _stored_runs(logdir: str | Path) -> Iterator[StoredRun]:
    """What the runs below a folder hold, one after the other, read with a bar that counts bytes."""
    from tqdm import tqdm

    files = event_files(logdir)
    size = sum(path.stat().st_size for _, paths in files for path in paths)
    with tqdm(total=size, desc="reading runs", unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:
        for name, paths in files:
            if (run := read_run(name, paths, bar.update)).parts:
                yield run
