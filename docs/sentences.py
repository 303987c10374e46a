"""Collects the sentences that the package can say: ``python docs/sentences.py`` writes them into ``docs/troubleshooting.md``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "troubleshooting.md"
BEGIN, END = "<!-- from here on docs/sentences.py writes -->", "<!-- and no farther -->"
SAYS = {"say": 0, "tell": 0, "warn": 0, "log": 1, "surviving": 0}
"""What speaks while a training runs, and which of its arguments is the sentence."""
PYTHONS = {"AttributeError", "NotImplementedError"}
"""What Python asks of an object, and handles."""
GIVES_REASON = re.compile(r"refusal|_why|^_(too_much|unreadable|nothing_found|parts_of_one|refused)$")
"""Names of functions that return why something is not there."""
ASKS = re.compile(
    r"\b((?<!were )expected|needs?|takes|one class per image|one number per image|can be shown once|two kinds|without typical=)\b"
    r"|(?:[:;,] |[.] )(?:and |or )?(?:pass|name|leave|write|say|monitor|raise|lower|pip install|give|try|load|return|let|run|add"
    r"|tell|copy|set|read|keep|use)\b|: --\w"
)
"""A sentence that says what is wanted, or to be done."""
OFFERS = re.compile(
    r"[;:,] there are\b|(?:the classes are|those that do are|view=\.\.\.: this film has|the layer has|its layers are|has the grades)\b"
    r"|\bhas (?:one of )?\.\.\. (?:classes|number)|scores for \.\.\. classes|the layer's map of|\b(?:task|choose|target)='\w+'"
)
"""A sentence that says what there is: what was written has to be one of it."""
ROOMS = {
    "arguments": "Any call",
    "attribution": "Views, maps and what is looked at",
    "boxes": "Boxes",
    "callbacks": "Callbacks and replay",
    "cli": "The command line",
    "events": "Log folders",
    "export": "Films taken along",
    "film": "Films",
    "maximization": "Filters",
    "model": "The network, its layers and its answer",
    "probe": "Probe and data",
    "reliance": "Masks, backgrounds, thresholds",
    "render": "Pictures",
    "tab": "The tab",
}
"""Where a sentence is said, as users know it."""

NUMBERS = r"can say \d+ sentences, and \d+ are explained"
"""At the head of the page."""

Texts = Mapping[str, list[str]]


def template(node: ast.AST, known: Texts | None = None) -> str:
    """A sentence as far as its file tells it; `...` for the rest."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(template(each, known) for each in node.values)
    if isinstance(node, ast.FormattedValue):
        return template(node.value, known) if isinstance(node.value, ast.Name) else "..."
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left, known) + template(node.right, known)
    if isinstance(node, ast.BoolOp):  # what is said where nothing else is given
        return template(node.values[-1], known)
    given = (known or {}).get(node.id, []) if isinstance(node, ast.Name) else []
    return given[0] if len(given) == 1 else "..."


def _branches(node: ast.AST) -> list[ast.AST]:
    """What may be said, one way or the other."""
    return [*_branches(node.body), *_branches(node.orelse)] if isinstance(node, ast.IfExp) else [node]


def _common(ways: list[str]) -> str:
    """What is said either way."""
    same = "".join(letters[0] for letters in takewhile(lambda each: len(set(each)) == 1, zip(*ways, strict=False)))
    return same if len(ways) == 1 else f"{same}..."


def is_sentence(text: str) -> bool:
    """Whether it has words of its own: others are handed on, and stand where they are made."""
    return len(re.sub(r"[^a-z]", "", text.removeprefix("lightning_vis"))) >= 8


def texts(tree: ast.AST) -> Texts:
    """The sentences that a file gives a name, by name."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = _common([template(each) for each in _branches(node.value)])
            found.setdefault(node.targets[0].id, []).append(text if is_sentence(text) else "...")
    return found


def spoken(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Kind and sentence of all that a file can say: ``"said"`` while a training runs, ``"refused"``, ``"reason"`` of what is
    missing."""
    known = texts(tree)
    for node in ast.walk(tree):
        for kind, part, more in _speech(node):
            for text in (template(each, known) + more for each in _branches(part)):
                if is_sentence(text):
                    yield kind, text


def _speech(node: ast.AST) -> Iterator[tuple[str, ast.AST, str]]:
    if isinstance(node, ast.FunctionDef) and GIVES_REASON.search(node.name):
        yield from (("reason", each.value, "") for each in ast.walk(node) if isinstance(each, ast.Return) and each.value)
    call = node.exc if isinstance(node, ast.Raise) else node
    if not isinstance(call, ast.Call) or not call.args:
        return
    name = ast.unparse(call.func).split(".")[-1]
    if isinstance(node, ast.Raise) and name not in PYTHONS:
        yield "reason" if name == "LookupError" else "refused", call.args[0], ""
    elif name == "Refusal":
        yield "reason", call.args[0], ""
    elif len(call.args) > SAYS.get(name, 9):
        yield "said", call.args[SAYS[name]], " failed" if name == "surviving" else ""


@cache
def collected() -> dict[str, dict[str, list[str]]]:
    """Sentences by kind and room, in the order of the files; one that is said at several places stands at the first."""
    found: dict[str, dict[str, list[str]]] = {"said": {}, "refused": {}, "reason": {}}
    seen = set()
    for path in sorted((ROOT / "lightning_vis").rglob("*.py")):
        room = path.relative_to(ROOT / "lightning_vis").parts[0].removesuffix(".py")
        for kind, text in spoken(ast.parse(path.read_text("utf-8"))):
            if text not in seen:
                found[kind].setdefault(room, []).append(text)
                seen.add(text)
    return found


def helps_itself(sentence: str) -> bool:
    """Whether what to do stands in the sentence: it says what is wanted, what to do, or what there is to choose of."""
    return bool(ASKS.search(sentence) or OFFERS.search(sentence))


def every() -> dict[str, bool]:
    """All sentences, and whether each says itself what to do; what is said while a training runs is explained in any case."""
    return {
        each: kind != "said" and helps_itself(each)
        for kind, rooms in collected().items()
        for sentences in rooms.values()
        for each in sentences
    }


def explained(page: str) -> list[str]:
    """The sentences that a page explains: a row each where somebody says what to do, a line each where they do themselves."""
    return re.findall(r"^\| `(.+?)` \| .{4,} \|$", page, re.MULTILINE) + re.findall(r"^- `` (.+?) ``$", page, re.MULTILINE)


def listed() -> str:
    """The sentences that help themselves, by where they are said."""
    helps, rooms = every(), dict[str, list[str]]()
    for found in collected().values():
        for room, sentences in found.items():
            rooms.setdefault(room, []).extend(each for each in sentences if helps[each])
    parts = [f"### {ROOMS[room]}\n\n" + "\n".join(f"- `` {each} ``" for each in own) for room, own in rooms.items() if own]
    return "\n\n".join(parts)


def written_anew(page: str) -> str:
    """The page with its list and its two numbers as the code has them."""
    before, _, rest = page.partition(BEGIN)
    page = f"{before}{BEGIN}\n\n{listed()}\n\n{END}{rest.partition(END)[2]}"
    return re.sub(NUMBERS, f"can say {len(every())} sentences, and {len(explained(page))} are explained", page, count=1)


if __name__ == "__main__":
    PAGE.write_text(written_anew(PAGE.read_text("utf-8")), "utf-8")
