"""The house: which file may import which. The table is the design; a file that it does not know fails."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lightning_vis"

# file -> what it may import of the package; files to come are added to the table by those who write them.
HOUSE = {
    "__init__": set(),  # names are fetched lazily; imports for type checkers only
    "attribution": set(),
    "frames": set(),
    "observing": {"remembering", "silencing", "values", "watching"},
    "remembering": {"restoring", "values"},
    "restoring": {"values"},
    "silencing": {"restoring"},
    "values": set(),
    "watching": {"values"},
    "failures": set(),
    "arguments": set(),
    "scores": {"arguments"},
    "timing": set(),
    "constants": set(),
    "colours": {"constants", "frames"},
    "film": {"frames", "reading", "rendering", "sheets"},
    "sprites": {"constants", "frames"},
    "parts": {"frames", "sprites"},
    "storing": {"constants", "frames", "parts"},
    "tfevents": set(),
    "joining": {"frames", "parts", "sprites"},
    "reading": {"constants", "filter_facts", "frames", "joining", "parts", "tfevents"},
    "animation": {"frames", "rendering", "sheets", "writing"},
    "filter_animation": {"animation", "constants", "filter_facts", "filter_rendering", "frames", "sheets"},
    "exporting": {
        "animation",
        "filter_animation",
        "filter_rendering",
        "frames",
        "parts",
        "reading",
        "rendering",
        "sheets",
        "tab",
        "tfevents",
    },
    "__main__": {"exporting"},
    "layers": {"observing", "scores"},
    "alert": set(),
    "checking": {"arguments"},
    "pasting": set(),
    "reliance": set(),
    "twins": {"checking", "pasting"},
    "asking": {"frames", "layers", "records", "reliance", "scores", "twins"},
    "monitoring": {"alert", "frames", "probe", "saying"},
    "twin_pictures": {"frames", "sheets"},
    "labelling": set(),
    "datasets": {"constants", "labelling"},
    "choosing": {"datasets", "observing", "recording", "scores"},
    "picturing": set(),
    "entering": {"datasets", "labelling", "layers", "scores"},
    "finding": {"datasets", "entering", "labelling", "looking", "observing", "probe", "scores"},
    "first_batches": {"finding"},
    "probe": {"arguments", "checking", "choosing", "datasets", "frames", "labelling", "observing", "picturing", "twins"},
    "records": {"scores"},
    "recording": {"arguments", "layers", "observing", "records", "scores"},
    "lift_axis": {"frames"},
    "sheets": {"frames"},
    "rendering": {"colours", "frames", "lift_axis", "sheets"},
    "views": {"arguments", "attribution", "frames", "recording", "records", "scores"},
    "writing": {"frames", "sheets"},
    "framing": {"attribution", "constants", "frames", "probe", "records", "scores", "views"},
    "looking": {
        "arguments",
        "asking",
        "frames",
        "framing",
        "layers",
        "observing",
        "probe",
        "recording",
        "records",
        "scores",
        "views",
    },
    "objectives": {"arguments"},
    "wishes": {"arguments", "constants", "objectives", "parameterizations", "recipes", "scores", "transforms"},
    "parameterizations": set(),
    "transforms": set(),
    "rescue": set(),
    "truncation": {"constants", "layers", "scores"},
    "receptive": {"truncation"},
    "recipes": {"objectives", "parameterizations", "transforms"},
    "ascent": {"objectives", "parameterizations", "recipes", "rescue", "transforms", "truncation"},
    "maximization": {
        "ascent",
        "objectives",
        "observing",
        "parameterizations",
        "receptive",
        "recipes",
        "transforms",
        "truncation",
        "wishes",
    },
    "filter_facts": {"frames"},
    "weights": {"colours", "frames", "layers", "observing", "truncation"},
    "weight_rendering": {"frames", "sheets"},
    "weight_film": {"frames", "probe", "weight_rendering", "weights"},
    "filter_rendering": {"constants", "filter_facts", "frames", "sheets"},
    "filters": {"filter_facts", "frames", "layers", "maximization", "objectives", "observing", "probe", "truncation"},
    "filter_frames": {"frames", "probe"},
    "filter_visiting": {
        "budget",
        "failures",
        "filter_facts",
        "filter_frames",
        "filters",
        "frames",
        "probe",
        "recipes",
        "timing",
        "truncation",
        "weight_film",
    },
    "filter_gallery": {
        "budget",
        "failures",
        "film",
        "filter_rendering",
        "frames",
        "gallery",
        "storing",
        "writing",
    },
    "filter_callback": {
        "arguments",
        "budget",
        "callbacks",
        "failures",
        "film",
        "filter_frames",
        "filter_gallery",
        "filter_visiting",
        "filters",
        "finding",
        "first_batches",
        "layers",
        "looking",
        "maximization",
        "objectives",
        "probe",
        "recipes",
        "saying",
        "state",
        "timing",
        "wishes",
        "writing",
    },
    "budget": set(),
    "state": set(),
    "summary": {"frames", "rendering", "sheets"},
    "gallery": {
        "animation",
        "budget",
        "failures",
        "film",
        "frames",
        "rendering",
        "scores",
        "storing",
        "summary",
        "twin_pictures",
        "writing",
    },
    "saying": set(),
    "sharing": {"alert"},
    "visiting": {
        "budget",
        "failures",
        "finding",
        "frames",
        "gallery",
        "looking",
        "monitoring",
        "probe",
        "scores",
        "state",
        "timing",
        "views",
    },
    "callbacks": {
        "alert",
        "arguments",
        "budget",
        "failures",
        "film",
        "finding",
        "first_batches",
        "frames",
        "gallery",
        "layers",
        "looking",
        "monitoring",
        "probe",
        "recording",
        "saying",
        "scores",
        "sharing",
        "timing",
        "views",
        "visiting",
        "writing",
    },
}

# file -> the third-party packages it may import
OUTSIDE = {
    "arguments": {"torch"},
    "budget": set(),
    "gallery": set(),
    "state": {"numpy", "torch"},
    "summary": {"numpy", "PIL"},
    "failures": set(),
    "remembering": {"torch", "numpy"},
    "restoring": {"torch", "numpy"},
    "silencing": {"torch"},
    "values": {"torch", "numpy"},
    "watching": {"torch"},
    "__init__": set(),
    "timing": set(),
    "film": {"matplotlib"},
    "constants": set(),
    "sprites": {"numpy", "PIL"},
    "parts": {"numpy"},
    "storing": {"tensorboard"},
    "tfevents": set(),
    "joining": {"numpy", "PIL"},
    "reading": {"numpy", "tensorboard"},
    "animation": {"numpy", "PIL"},
    "exporting": {"numpy", "PIL", "tqdm"},
    "__main__": set(),
    "views": {"torch"},
    "frames": {"numpy"},
    "attribution": {"torch"},
    "layers": {"torch"},
    "records": {"torch"},
    "recording": {"torch"},
    "scores": {"torch"},
    "observing": {"torch", "numpy"},
    "alert": set(),
    "checking": {"torch"},
    "pasting": {"torch"},
    "reliance": {"torch"},
    "twins": {"torch"},
    "asking": {"torch"},
    "monitoring": set(),
    "twin_pictures": {"numpy", "PIL"},
    "labelling": {"torch", "numpy"},
    "datasets": {"torch", "numpy"},
    "choosing": {"torch", "tqdm"},
    "picturing": {"numpy"},
    "entering": {"torch"},
    "finding": {"torch"},
    "probe": {"torch"},
    "framing": {"torch", "numpy"},
    "looking": {"torch"},
    "colours": {"numpy", "PIL"},
    "lift_axis": {"numpy"},
    "sheets": {"numpy", "PIL"},
    "rendering": {"numpy", "PIL"},
    "writing": {"numpy", "PIL", "tensorboard"},
    "saying": set(),
    "sharing": set(),
    "visiting": {"torch"},
    "callbacks": {"torch", "pytorch_lightning"},
    "objectives": {"torch"},
    "wishes": {"torch"},
    "parameterizations": {"torch"},
    "transforms": {"torch"},
    "rescue": {"torch"},
    "truncation": {"torch"},
    "receptive": {"torch"},
    "recipes": {"torch"},
    "ascent": {"torch"},
    "maximization": {"torch"},
    "filter_facts": set(),
    "weights": {"numpy", "torch"},
    "weight_rendering": {"numpy", "PIL"},
    "weight_film": {"numpy", "torch"},
    "filter_rendering": {"numpy", "PIL"},
    "filter_animation": {"numpy", "PIL"},
    "filters": {"torch", "numpy"},
    "filter_frames": {"numpy"},
    "filter_visiting": {"torch", "numpy"},
    "filter_gallery": set(),
    "filter_callback": {"torch"},
    "first_batches": {"torch"},
}

FILES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def imported(tree):
    """Dotted names of all modules that a file imports, anywhere in it, but for those under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from (name for other in node.orelse for name in imported(ast.Module([other], [])))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        else:
            yield from imported(node)


def split(source):
    """What a source imports: (files of the package, third-party packages)."""
    names = set(imported(ast.parse(source)))
    inside = {name.split(".")[1] for name in names if name.startswith("lightning_vis.")}
    outside = {name.split(".")[0] for name in names} - {"lightning_vis"}
    return inside, outside - set(STANDARD)


STANDARD = __import__("sys").stdlib_module_names


@pytest.mark.parametrize("file", FILES)
def test_each_file_imports_only_what_the_table_allows(file):
    assert file in HOUSE, f"{file}.py is not in the table: say what it may import"
    inside, outside = split((PACKAGE / f"{file}.py").read_text())
    assert inside <= HOUSE[file]
    assert outside <= OUTSIDE[file]


@pytest.mark.parametrize("file", FILES)
def test_no_relative_and_no_star_imports(file):
    nodes = [node for node in ast.walk(ast.parse((PACKAGE / f"{file}.py").read_text())) if isinstance(node, ast.ImportFrom)]
    assert all(node.level == 0 and node.names[0].name != "*" for node in nodes)


def test_the_tab_imports_tensorboard_and_the_constants_alone():
    found = [split(path.read_text()) for path in (PACKAGE / "tab").glob("*.py")]
    assert set().union(*(inside for inside, _ in found)) <= {"constants", "tab"}
    assert set().union(*(outside for _, outside in found)) == {"tensorboard", "werkzeug"}


def test_imports_run_one_way():
    remaining = dict(HOUSE)
    while remaining:
        leaves = {file for file, wants in remaining.items() if not wants & remaining.keys()}
        assert leaves, f"a circle among {sorted(remaining)}"
        remaining = {file: wants for file, wants in remaining.items() if file not in leaves}


def test_only_callbacks_knows_lightning():
    assert [file for file, outside in OUTSIDE.items() if any("lightning" in name for name in outside)] == ["callbacks"]


def test_no_public_name_is_a_modules_name():
    import lightning_vis

    assert not set(lightning_vis.__all__) & set(FILES)


def test_the_reader_of_imports_sees_nested_ones_and_leaves_out_those_for_type_checkers():
    source = """
import numpy.random
if TYPE_CHECKING:
    import captum
else:
    import matplotlib
def f():
    from lightning_vis.frames import Frame
    import torch.nn, os
"""
    assert split(source) == ({"frames"}, {"numpy", "matplotlib", "torch"})
