"""What the documentation tells users to write is run as it stands there."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from pathlib import Path

import pytest
import yaml

DOCS = Path(__file__).parents[1] / "docs"


def names_in(path):
    """What is written between backticks as a dotted name of the package."""
    return set(re.findall(r"`(lightning_vis(?:\.\w+)+)`", path.read_text("utf-8")))


def find(name):
    """A module, or what stands in one."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(find(module), attribute)


WRITTEN = [*sorted(DOCS.parent.glob("lightning_vis/**/*.py")), *sorted(DOCS.rglob("*.md")), *sorted(DOCS.parent.glob("*.md"))]


@pytest.mark.parametrize("path", [path for path in WRITTEN if names_in(path)], ids=lambda path: path.stem)
def test_every_dotted_name_in_prose_leads_somewhere(path):
    for name in names_in(path):
        assert find(name) is not None


def papers_in(path):
    """What a docstring names behind "Source": the first author and the year of each paper."""
    paragraphs = re.findall(
        r"\bSources?: (.*?)(?:\n\n|\"\"\")", re.sub(r"\n +", " ", path.read_text("utf-8")) + "\n\n", re.DOTALL
    )
    cited = [each for paragraph in paragraphs for each in paragraph.split(";")]
    found = [re.search(r"([A-Z]\w+)(?: et al\.)?(?:, (?:[A-Z][.-]+ ?)+[\w-]+)*, (\d{4})", each) for each in cited]
    return {each.groups() for each in found if each}


def test_the_citation_file_has_every_paper_that_a_docstring_names():
    cited = yaml.safe_load((DOCS.parent / "CITATION.cff").read_text("utf-8"))
    known = {(each["authors"][0]["family-names"], str(each["year"])) for each in cited["references"]}
    named = {paper for path in DOCS.parent.glob("lightning_vis/**/*.py") for paper in papers_in(path)}
    assert named == known


@pytest.mark.parametrize("form", sorted(DOCS.parent.glob(".github/ISSUE_TEMPLATE/*.yml")), ids=lambda path: path.stem)
def test_issue_forms_ask_for_what_the_doctor_prints(form):
    known = yaml.safe_load(form.read_text("utf-8"))
    assert {"name", "description", "body"} <= known.keys()
    asked = {each["id"]: each["attributes"]["description"] for each in known["body"]}
    assert "python -m lightning_vis doctor" in asked["doctor"]


def test_hooks_before_a_commit_are_the_linters_of_make_lint():
    hooks = yaml.safe_load((DOCS.parent / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    lint = (DOCS.parent / "Makefile").read_text("utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    run = [each["entry"].removeprefix(".venv/bin/").split(" --")[0] for each in hooks]
    assert run == ["ruff check", "ruff format", "mypy"]
    assert all(f"$(VENV)/bin/{each}" in lint for each in run)


def script(name):
    """A script of the pages as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sentences():
    return script("sentences")


def test_the_page_of_names_is_what_can_be_imported():
    assert (DOCS / "api.md").read_text("utf-8") == script("reference").page(), "python docs/reference.py writes it anew"


def test_as_many_sentences_are_explained_as_the_package_can_say(sentences):
    """Each of them once, and no other."""
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    assert sorted(sentences.explained(page)) == sorted(sentences.every())
    assert page == sentences.written_anew(page), "python docs/sentences.py writes it anew"
    assert re.findall(sentences.NUMBERS, page) == [
        "can say {0} sentences, and {0} are explained".format(len(sentences.every()))
    ]


def test_rows_are_for_sentences_that_do_not_help_themselves(sentences):
    rows = re.findall(r"^\| `(.+?)` \| .+ \|$", (DOCS / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
    assert {each for each, helps in sentences.every().items() if not helps} == set(rows)


def test_the_collector_sees_what_is_said_and_leaves_out_what_is_handed_on(sentences):
    code = """
raise ValueError(f"images: expected {a}; got {b}")
raise ValueError(why)
raise AttributeError("which Python asks for")
failures.say("a training goes on " + f"in {place}", more)
log(trainer, "something happened")
with failures.surviving("drawing"): ...
raise LookupError("nothing was found")
EXPECTED = "maps: expected some"
raise TypeError(f"{EXPECTED}; got {b}")
def refusal():
    start = "looking costs more in an epoch than" if first else "looking costs more than"
    return "there is no time left" if late else f"{start} {share}"
"""
    assert sorted(sentences.spoken(ast.parse(code))) == sorted(
        [
            ("refused", "images: expected ...; got ..."),
            ("said", "a training goes on in ..."),
            ("said", "something happened"),
            ("said", "drawing failed"),
            ("reason", "nothing was found"),
            ("refused", "maps: expected some; got ..."),
            ("reason", "there is no time left"),
            ("reason", "looking costs more ... ..."),
        ]
    )


LINK = re.compile(r"\]\((?!http|#)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("path", [*sorted(DOCS.rglob("*.md")), *sorted(DOCS.parent.glob("*.md"))], ids=lambda path: path.stem)
def test_links_lead_to_files_that_are_there(path):
    for target in LINK.findall(path.read_text("utf-8")):
        assert (path.parent / target).exists(), target


def links_of(path):
    """The files that a page leads to."""
    return {(path.parent / target).resolve() for target in LINK.findall(path.read_text("utf-8"))}


def test_each_page_is_two_clicks_from_the_readme():
    first = links_of(DOCS.parent / "README.md")
    second = {page for path in first if path.suffix == ".md" for page in links_of(path)}
    pages = {path.resolve() for path in [*DOCS.rglob("*.md"), *DOCS.glob("*.ipynb")]}
    assert (DOCS / "index.md").resolve() in first
    assert pages <= first | second, "a new page belongs into docs/index.md"


def test_every_picture_is_made_by_a_script_that_names_it_or_a_command_beside_it():
    scripts = "".join(path.read_text("utf-8") for room in ("docs", "benchmarks") for path in DOCS.parent.glob(f"{room}/*.py"))
    told = [DOCS.parent / "README.md", *DOCS.rglob("*.md"), *DOCS.parent.glob("benchmarks/*.md")]
    commands = " ".join(
        re.findall(r"`python [^`]+`|^    python .*$", "".join(each.read_text("utf-8") for each in told), re.MULTILINE)
    )
    for path in DOCS.glob("pictures/*"):
        assert path.stem in scripts or path.name in commands or path.stem.startswith("methods_"), path.name


def test_numbers_of_the_tutorial_are_those_of_the_benchmark():
    """Least and largest of five seeds, column by column."""
    runs = re.findall(
        r"^\| (spurious|balanced) \| \d{4} \|(.*)\|$", (DOCS.parent / "benchmarks/leaves.md").read_text("utf-8"), re.MULTILINE
    )
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+ \| [^|]+?) \|$", (DOCS / "tutorial.md").read_text("utf-8"), re.MULTILINE))
    titles = {
        "accuracy in validation": 0,
        "accuracy of the worst group (class x background)": 1,
        "Grad-CAM on the object, times chance": 2,
    }
    for title, column in titles.items():
        values = {
            arm: [cells.split("|")[column].strip() for kind, cells in runs if kind == arm] for arm in ("spurious", "balanced")
        }
        ends = [sorted({min(each, key=float), max(each, key=float)}, key=float) for each in values.values()]
        assert rows[title] == " | ".join(" to ".join(each) for each in ends)


def plain(text):
    return re.sub("[`,]", "", text).strip()


def test_the_page_of_the_tab_has_the_keys_of_its_help_and_what_tiles_may_say():
    rows = {
        plain(word): plain(meaning)
        for word, meaning in re.findall(r"^\| (.+?) \| (.+) \|$", (DOCS / "tab.md").read_text("utf-8"), re.MULTILINE)
    }
    static = DOCS.parent / "lightning_vis/tab/static"
    keys = (static / "page/help.js").read_text("utf-8").partition('["Keys", [')[2]
    known = {plain(word): plain(meaning) for word, meaning in re.findall(r'\["([^"]+)", "([^"]+)"\]', keys)}
    assert len(known) > 10
    assert {word: rows.get(word) for word in known} == known
    states = re.search(r"const SAID = \{(.*)\};", (static / "picture/cell.js").read_text("utf-8"))[1]
    assert set(re.findall(r'"([^"]+)"', states)) <= rows.keys()
