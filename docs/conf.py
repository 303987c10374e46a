"""Makes the documentation's site of the same pages that the repository shows: ``make docs``, nothing is fetched by a reader."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import lightning_vis

project = "lightning_vis"
author = "The lightning_vis maintainers"
release = version = lightning_vis.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
include_patterns = ["docs/**", "benchmarks/*.md", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
root_doc = "docs/index"
html_theme = "furo"
html_title = f"lightning_vis {release}"
html_copy_source = html_show_copyright = html_show_sphinx = False

myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 120

default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_ivar = True

LINK = re.compile(r"^(?:- |\| ?)\[[^\]]+\]\(([^)#]+)\)", re.MULTILINE)
ROOMS = ("lightning_vis", "lightning_vis.attribution", "lightning_vis.reliance", "lightning_vis.maximization")


def contents(page: str) -> str:
    """The site's table of contents, a part for each heading of the first page and an entry for each link that begins a line."""
    parts = re.split(r"^## (.*)$", page, flags=re.MULTILINE)[1:]
    return "\n".join(tree(title, LINK.findall(body)) for title, body in zip(parts[::2], parts[1::2], strict=True))


def tree(title: str, links: list[str]) -> str:
    """One part of it."""
    entries = "\n".join(link.removesuffix(".md") for link in links)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{entries}\n```\n" if links else ""


def reference() -> str:
    """Every public name with its docstring, under the room that it is imported from; once, where it stands first."""
    seen: set[str] = set()
    return "\n".join(f"\n## {room}\n\n{documented(room, seen)}" for room in ROOMS)


def documented(room: str, seen: set[str]) -> str:
    """The names of one room that none before it has."""
    module = importlib.import_module(room)
    names = getattr(module, "__all__", None) or [name for name in vars(module) if name[0] != "_"]
    found = [name for name in names if getattr(getattr(module, name), "__module__", "").startswith("lightning_vis")]
    new = [name for name in sorted(found) if name not in seen]
    seen.update(new)
    return "\n".join(directive(room, name, getattr(module, name)) for name in new)


def directive(room: str, name: str, value: Any) -> str:
    """What Sphinx is told of one name."""
    kind, members = ("class", "   :members:\n") if isinstance(value, type) else ("function", "")
    return f"```{{eval-rst}}\n.. auto{kind}:: {room}.{name}\n{members}```\n"


def complete(app: Any, name: str, source: list[str]) -> None:
    """Adds to two pages what a repository's page has no use for."""
    added = {root_doc: contents, "docs/api": lambda page: reference()}.get(name)
    source[0] += added(source[0]) if added else ""


def lead_on(app: Any, error: Exception | None) -> None:
    """The site's own address leads to its first page."""
    if error is None:
        page = f'<!doctype html><meta http-equiv="refresh" content="0; url={root_doc}.html"><a href="{root_doc}.html">{project}</a>'
        (Path(app.outdir) / "index.html").write_text(page, "utf-8")


def setup(app: Any) -> None:
    """Asked by Sphinx."""
    app.connect("source-read", complete)
    app.connect("build-finished", lead_on)
