"""Collects the sentences that the package can say, out of its code: ``python docs/sentences.py`` writes ``docs/sentences.md``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAYS = {"say": 0, "tell": 0, "warn": 0, "log": 1}
"""What speaks while a training runs, and which of its arguments is the sentence."""
REFUSES = {"ValueError", "TypeError", "ModuleNotFoundError", "ArgumentTypeError"}
"""What stops a call or a fit with one sentence."""
HEAD = """# Sentences

All that the package can refuse with, or say while a training runs, as its code has it; `...` stands for what you wrote, or for what there
is. Made by `python docs/sentences.py`, and compared by a test. [Troubleshooting](troubleshooting.md) has what to do.
"""


def template(node: ast.AST) -> str:
    """A sentence as far as its code tells it; `...` for the rest."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(template(each) for each in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left) + template(node.right)
    return "..."


def is_sentence(text: str) -> bool:
    """Whether it has words of its own: others are handed on, and stand where they are made."""
    return len(re.sub(r"[^a-z]", "", text.removeprefix("lightning_vis"))) >= 8


def spoken(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Kind (``"refused"`` or ``"said"``) and sentence of all that a file can say."""
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else node
        if not isinstance(call, ast.Call):
            continue
        name = ast.unparse(call.func).split(".")[-1]
        at = 0 if isinstance(node, ast.Raise) and name in REFUSES else SAYS.get(name)
        if at is not None and len(call.args) > at and is_sentence(text := template(call.args[at])):
            yield ("refused" if isinstance(node, ast.Raise) else "said"), text


def collected() -> dict[str, dict[str, list[str]]]:
    """Sentences by kind and room, in the order of the files."""
    found: dict[str, dict[str, list[str]]] = {"said": {}, "refused": {}}
    for path in sorted((ROOT / "lightning_vis").rglob("*.py")):
        room = path.relative_to(ROOT / "lightning_vis").parts[0].removesuffix(".py")
        for kind, text in spoken(ast.parse(path.read_text("utf-8"))):
            own = found[kind].setdefault(room, [])
            own += [text] if text not in own else []
    return found


def page() -> str:
    """The page."""
    lines = [HEAD]
    for kind, title in (("said", "Said while a training runs"), ("refused", "Refused")):
        rooms = collected()[kind]
        lines += [f"## {title}: {sum(map(len, rooms.values()))}\n"]
        for room, sentences in rooms.items():
            lines += [f"### {room}\n", *(f"- `` {each} ``" for each in sentences), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    (ROOT / "docs" / "sentences.md").write_text(page(), "utf-8")
