"""Makes the documentation's site of the same pages that the repository shows: ``make docs``, nothing is fetched by a reader."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import reference
from sphinx.util import logging

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
nb_execution_timeout = 600

default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_ivar = True

ELSEWHERE = re.compile(
    r"""(?:<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="|url\(["']?|@import ["'])((?:https?:)?//[^"')]+)"""
)
LINK = re.compile(r"^(?:- |\| ?)\[[^\]]+\]\(([^)#]+)\)", re.MULTILINE)


def contents(page: str) -> str:
    """The site's table of contents, a part for each heading of the first page and an entry for each link that begins a line.

    What was measured stands behind it, which other pages lead to.
    """
    parts = re.split(r"^## (.*)$", page, flags=re.MULTILINE)[1:]
    trees = [tree(title, LINK.findall(body)) for title, body in zip(parts[::2], parts[1::2], strict=True)]
    return "\n".join([*trees, tree("Measured", ["../benchmarks/*"])])


def tree(title: str, links: list[str]) -> str:
    """One part of it."""
    entries = "\n".join(link.removesuffix(".md") for link in links)
    return f"\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {title}\n\n{entries}\n```\n" if links else ""


def complete(app: Any, name: str, source: list[str]) -> None:
    """Adds to two pages what a repository's page has no use for."""
    added = {root_doc: contents, "docs/api": lambda page: reference.documented()}.get(name)
    source[0] += added(source[0]) if added else ""


def finish(app: Any, error: Exception | None) -> None:
    """The site's own address leads to its first page, and nothing is fetched from elsewhere by who reads it."""
    if error is not None:
        return
    out = Path(app.outdir)
    link = f"{root_doc}.html"
    (out / "index.html").write_text(
        f'<!doctype html><meta http-equiv="refresh" content="0; url={link}"><a href="{link}">{project}</a>'
    )
    for path in [*out.rglob("*.html"), *out.rglob("*.css")]:
        for address in ELSEWHERE.findall(path.read_text("utf-8")):
            logging.getLogger(__name__).warning("%s fetches %s", path.relative_to(out), address)


def setup(app: Any) -> None:
    """Asked by Sphinx."""
    app.connect("source-read", complete)
    app.connect("build-finished", finish)
