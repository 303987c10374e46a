"""Runs as one HTML page: the tab's page and data, pictures streamed from files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from lightning_vis.constants import PAGE
from lightning_vis.events.decode import finite, page_streams, without_repeated
from lightning_vis.events.folder import File
from lightning_vis.events.frame_reader import StoredRun, read_run
from lightning_vis.events.part import Part, media_type
from lightning_vis.frames import thinned

STATIC = Path(__file__).parent / "tab" / "static"


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
<script type="application/json" id="exported">"""


FOOT = """</script>
<script type="module">
{script}
modules["index.js"].render(JSON.parse(document.getElementById("exported").textContent));
</script>
</body>
</html>
"""


Tell = Callable[[int], object]


class PageRun:
    """A run as a page shows it: facts are kept, pictures stay in the files until they are written.

    Args:
        name: of the run.
        files: its event files, oldest first.
        tell: as `read_run` has it.

    Attributes:
        stored: all that the files hold but for pictures; each part has a key among its facts.
        sizes: bytes of each picture there is, by key.
    """

    def __init__(self, name: str, files: Iterable[File], tell: Tell = lambda size: None) -> None:
        self.files, self.sizes = list(files), dict[str, int]()
        key_of = _keys(name)

        def keep(part: Part) -> Part:
            key = key_of(part)
            self.sizes |= {key: len(part.picture)} if part.picture else {}
            return replace(part, facts={**part.facts, "key": key}, picture=b"")

        self.stored: StoredRun = read_run(name, self.files, tell, keep)

    def each_picture(self, take: Callable[[str, bytes], object], tell: Tell = lambda size: None) -> None:
        """Reads the files once more, and hands over what pictures there are, one by one, with their keys."""
        key_of = _keys(self.stored.name)

        def keep(part: Part) -> Part:
            take(key_of(part), part.picture)
            return replace(part, facts={}, picture=b"")

        read_run(self.stored.name, self.files, tell, keep)

    def shown(self, looks: int | None) -> list[Part]:
        """The parts of at most so many looks, first and last always among them; None for all."""
        parts = without_repeated(self.stored.parts)
        steps = sorted({part.facts["steps"] for part in parts if "steps" in part.facts})
        kept = set(steps) if looks is None else {steps[at] for at in thinned(len(steps), looks)}
        return [part for part in parts if part.facts.get("steps") in kept or "steps" not in part.facts]

    @property
    def looks(self) -> int:
        """How many there are."""
        return len({part.facts["steps"] for part in self.stored.parts if "steps" in part.facts})


def _keys(run: str) -> Callable[[Part], str]:
    """Names parts alike whenever the files are read, though they may have grown: by tag, and how often it has come."""
    seen = Counter[str]()

    def key_of(part: Part) -> str:
        tag = json.dumps([run, *(part.facts.get(name) for name in ("fit", "probe", "stream", "steps", "alone", "part"))])
        seen[tag] += 1
        return hashlib.blake2b(f"{tag}{seen[tag]}".encode(), digest_size=8).hexdigest()

    return key_of


def write_page(file: IO[bytes], runs: Sequence[PageRun], looks: int | None = None, tell: Tell = lambda size: None) -> None:
    """Writes one self-contained HTML page.

    Args:
        file: open for writing.
        runs: what is shown, in order.
        looks: at most this many looks of each run, first and last always among them; None for all.
        tell: as `read_run` has it.
    """
    data, wanted = _data_of(runs, looks)
    file.write(HEAD.format(style=(STATIC / "style.css").read_text("utf-8")).encode() + _json(data)[:-1] + b',"pictures":{')
    separators = iter((b"",))

    def take(key: str, picture: bytes) -> None:
        if picture and key in wanted:
            file.write(next(separators, b",") + _json(key) + b":" + _json(_data_address(picture)))

    for run in runs:
        run.each_picture(take, tell)
    file.write(b"}}" + FOOT.format(script=bundle(STATIC / "index.js")).encode())


def looks_within(runs: Sequence[PageRun], most: int) -> int | None:
    """How many looks of each run make a page of at most so many bytes; None if two are too many already."""
    looks = max((run.looks for run in runs), default=0)
    while page_size(runs, looks) > most:
        if looks <= 2:
            return None
        looks = max(2, looks * 9 // 10)
    return max(2, looks)


def page_size(runs: Sequence[PageRun], looks: int | None = None) -> int:
    """Bytes of a page, as `write_page` would write it, or a few more."""
    data, wanted = _data_of(runs, looks)
    pictures = sum(4 * (size + 2) // 3 + 60 for run in runs for key, size in run.sizes.items() if key in wanted)
    static = sum(path.stat().st_size for path in STATIC.rglob("*.*"))
    return len(_json(data)) + pictures + static + len(HEAD) + len(FOOT) + 4000  # names of modules, around each of them


def _data_of(runs: Sequence[PageRun], looks: int | None) -> tuple[dict[str, Any], Collection[str]]:
    """What the server would answer, and the keys of the pictures that belong to it."""
    shown = {run.stored.name: run.shown(looks) for run in runs}
    parts = {part.facts["key"]: part for each in shown.values() for part in each}
    data = {
        "runs": {"runs": [{"run": name, "newest": 0} for name in shown], "constants": PAGE},
        "data": [{"run": name, "newest": 0, "streams": page_streams(own)} for name, own in shown.items()],
        "facts": {key: {"captions": part.facts["captions"]} for key, part in parts.items() if "captions" in part.facts},
        "scalars": {run.stored.name: _thinned_scalars(run.stored) for run in runs},
    }
    return data, parts.keys()


def _json(data: Any) -> bytes:
    """For a page: no name can leave the data."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").encode()


def _thinned_scalars(run: StoredRun) -> dict[str, list[tuple[int, float | None]]]:
    return {
        tag: [(points[at][0], finite(points[at][1])) for at in thinned(len(points), MOST_POINTS)]
        for tag, points in run.scalars.items()
    }


def _data_address(picture: bytes) -> str:
    return f"data:{media_type(picture)};base64,{base64.b64encode(picture).decode()}"


# --- the script ----------------------------------------------------------------------------------------------------------


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
