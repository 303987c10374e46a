"""The house: which room may import which. The table is the design; what it does not allow fails."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

import lightning_vis

PACKAGE = Path(lightning_vis.__file__).parent

# room, or file at the top -> what it may import of the package; whoever stands in a line imports only what stands below it.
MAY_IMPORT = {
    "__main__": ["cli"],
    "cli": ["export", "doctor", "boxes", "callbacks.replay"],
    "doctor": ["events", "frames", "constants"],
    "export": ["page", "events", "render", "frames", "progress_bar", "constants"],
    "tab": ["events.decode", "events.part", "constants"],
    "callbacks": [
        "attribution",
        "maximization",
        "probe",
        "reliance",
        "page",
        "film",
        "boxes.pool_file",
        "events",
        "render",
        "model",
        "frames",
        "progress_bar",
        "clock",
        "arguments",
        "constants",
    ],
    "attribution": ["probe", "reliance", "render.notebook", "model", "frames", "clock", "arguments", "constants"],
    "maximization": ["probe", "render.colormap", "model", "frames", "clock", "arguments", "constants"],
    "probe": ["reliance", "boxes.box_file", "render.notebook", "model", "frames", "progress_bar", "arguments", "constants"],
    "reliance": ["model", "frames", "arguments", "constants"],
    "page": ["events", "frames", "constants"],
    "film": ["events", "render", "frames"],
    "boxes": ["events.folder", "events.sprites", "render.canvas.tiles", "frames"],
    "events": ["render.canvas.tiles", "frames", "constants"],
    "render": ["frames", "constants"],
    "model": ["arguments", "constants"],
    "frames": ["scale", "constants"],
    "scale": [],
    "progress_bar": [],
    "clock": [],
    "arguments": [],
    "constants": [],
    "__init__": [],
}

# the third-party packages that each may import
OUTSIDE = {
    "export": {"numpy", "PIL"},
    "tab": {"tensorboard", "werkzeug"},
    "callbacks": {"torch", "numpy", "PIL", "pytorch_lightning", "tqdm"},
    "attribution": {"torch", "numpy"},
    "maximization": {"torch", "numpy"},
    "probe": {"torch", "numpy"},
    "progress_bar": {"tqdm"},
    "reliance": {"torch"},
    "film": {"numpy", "matplotlib"},
    "boxes": {"numpy", "PIL"},
    "events": {"numpy", "PIL", "tensorboard", "fsspec"},
    "render": {"numpy", "PIL"},
    "model": {"torch", "numpy"},
    "frames": {"numpy"},
    "scale": {"numpy"},
    "arguments": {"torch"},
}

MOST = 12
"""Modules of one folder."""
NOUNS = {"embedding"}
"""Words that end like a gerund and are none."""

FILES = {path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(tree):
    """Dotted names of all modules that a file imports, anywhere in it, but for those under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from (name for other in node.orelse for name in imported(ast.Module([other], [])))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _modules_of(node)
        else:
            yield from imported(node)


def _modules_of(node):
    """The module itself, or, where modules are taken out of a room, each of them."""
    inside = (node.module or "").removeprefix("lightning_vis").removeprefix(".")
    taken = [".".join(filter(None, (inside, alias.name))) for alias in node.names]
    modules = [f"lightning_vis.{name}" for name in taken if name in FILES or f"{name}.__init__" in FILES]
    return modules if modules and (node.module or "").startswith("lightning_vis") else [node.module]


def split(source):
    """What a source imports: (dotted names within the package, third-party packages)."""
    names = set(imported(ast.parse(source)))
    inside = {name.removeprefix("lightning_vis.") for name in names if name.startswith("lightning_vis.")}
    outside = {name.split(".")[0] for name in names} - {"lightning_vis"}
    return inside, outside - set(sys.stdlib_module_names)


def room_of(name):
    return name.split(".")[0]


def is_within(name, place):
    return name == place or name.startswith(f"{place}.")


@pytest.mark.parametrize("file", FILES)
def test_each_file_imports_only_what_its_room_may(file):
    room = room_of(file)
    inside, outside = split(FILES[file].read_text("utf-8"))
    others = [name for name in inside if room_of(name) != room]
    assert [name for name in others if not any(is_within(name, place) for place in MAY_IMPORT[room])] == []
    assert outside <= OUTSIDE.get(room, set())


def test_no_room_imports_one_that_stands_above_it():
    order = list(MAY_IMPORT)
    for room, allowed in MAY_IMPORT.items():
        assert [place for place in allowed if order.index(room_of(place)) <= order.index(room)] == []


def test_imports_make_no_circle():
    remaining = {file: set(split(path.read_text("utf-8"))[0]) for file, path in FILES.items() if not file.endswith("__init__")}
    while remaining:
        leaves = {file for file, wants in remaining.items() if not wants & remaining.keys()}
        assert leaves, f"a circle among {sorted(remaining)}"
        remaining = {file: wants for file, wants in remaining.items() if file not in leaves}


def test_no_folder_holds_more_modules_than_a_reader_remembers():
    modules = [path for kind in ("*.py", "*.js") for path in PACKAGE.rglob(kind) if path.name != "__init__.py"]
    counts = Counter(path.parent for path in modules)
    assert [folder.name for folder, count in counts.items() if count > MOST] == []


def is_gerund(stem):
    """Whether what a file is, the last of its words, is something that is done."""
    word = stem.split("_")[-1]
    return bool(re.fullmatch(r"\w{2,}ing", word)) and word not in NOUNS


def test_files_are_named_by_nouns():
    assert [file for file in FILES if is_gerund(file.split(".")[-1])] == []
    assert [path.stem for path in PACKAGE.rglob("*.js") if is_gerund(path.stem)] == []
    assert is_gerund("forward_tracing")
    assert not is_gerund("embedding")


@pytest.mark.parametrize("file", FILES)
def test_no_relative_and_no_star_imports(file):
    nodes = [node for node in ast.walk(ast.parse(FILES[file].read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    assert all(node.level == 0 and node.names[0].name != "*" for node in nodes)


@pytest.mark.parametrize("file", FILES)
def test_the_first_line_says_in_one_line_what_a_file_is(file):
    first = (ast.get_docstring(ast.parse(FILES[file].read_text("utf-8"))) or "").split("\n")[0]
    assert 10 <= len(first) <= 80


def test_only_callbacks_know_lightning():
    assert [room for room, outside in OUTSIDE.items() if any("lightning" in name for name in outside)] == ["callbacks"]


def test_no_public_name_is_a_modules_name():
    assert not set(lightning_vis.__all__) & {room_of(file) for file in FILES}


def test_the_reader_of_imports_sees_nested_ones_and_leaves_out_those_for_type_checkers():
    source = """
import numpy.random
if TYPE_CHECKING:
    import captum
else:
    import matplotlib
def f():
    from lightning_vis.model import scores, layers
    from lightning_vis.frames import Frame
    import torch.nn, os
"""
    assert split(source) == ({"frames", "model.scores", "model.layers"}, {"numpy", "matplotlib", "torch"})
