"""The public names and what their docstrings say: ``python docs/reference.py`` writes ``docs/api.md``, the site shows the docstrings."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

ROOMS = {
    "lightning_vis": "What most need",
    "lightning_vis.attribution": "Views and maps",
    "lightning_vis.maximization": "What filters and classes want to see",
    "lightning_vis.reliance": "Numbers of twins",
}
HEAD = """# API

Every public name, with the first sentence of its docstring; `help(lightning_vis.ProbeCallback)` has the rest, as has the site that
`make docs` makes. Made by `python docs/reference.py`, and compared by a test.
"""


def names() -> dict[str, dict[str, Any]]:
    """Public names by room, each under the first room that has it."""
    found: dict[str, dict[str, Any]] = {}
    for room in ROOMS:
        module, seen = importlib.import_module(room), {name for each in found.values() for name in each}
        public = getattr(module, "__all__", None) or [name for name in vars(module) if name[0] != "_"]
        values = {name: getattr(module, name) for name in sorted(public) if name not in seen}
        found[room] = {
            name: each for name, each in values.items() if getattr(each, "__module__", room).startswith("lightning_vis")
        }
    return found


def summary(value: Any) -> str:
    """The first sentence of a docstring; what a constant is."""
    if isinstance(value, str):
        return f"`{value!r}`"
    return " ".join((value.__doc__ or "").strip().split("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


def page() -> str:
    """The page as the repository shows it."""
    lines = [HEAD]
    for room, found in names().items():
        lines += [f"## {ROOMS[room]}: `{room}`\n", "| name | |", "|---|---|"]
        lines += [*(f"| `{name}` | {summary(value)} |" for name, value in found.items()), ""]
    return "\n".join(lines)


def documented() -> str:
    """What the site's page has beside, for Sphinx: all docstrings."""
    return "\n".join(f"\n## Docstrings: `{room}`\n\n{directives(room, found)}" for room, found in names().items())


def directives(room: str, found: dict[str, Any]) -> str:
    """What Sphinx is told of the names of one room."""
    kinds = {name: "class" if isinstance(value, type) else "function" for name, value in found.items() if callable(value)}
    members = {"class": "   :members:\n", "function": ""}
    return "\n".join(f"```{{eval-rst}}\n.. auto{kind}:: {room}.{name}\n{members[kind]}```\n" for name, kind in kinds.items())


if __name__ == "__main__":
    Path(__file__).with_name("api.md").write_text(page(), "utf-8")
