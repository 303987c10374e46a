"""The matrix as text."""

from __future__ import annotations

from collections.abc import Sequence

Row = Sequence[object]  # theme, scenario, passed, frames, refusal

FOOTER = """Each scenario trains a tiny network twice from one seed, with the callbacks and without, compared at every hook.
Frames: looks in the film. A refusal is an honest one: it is said once, and the training goes on.
Measured on this machine's CPU. {cuda} MPS is untested."""


def table(rows: Sequence[Row], caught: Sequence[Sequence[object]]) -> str:
    """Scenarios, whether they passed, frames drawn and refusals; then which mistakes the comparison caught."""
    import torch

    cuda = (
        "CUDA was there: its random streams were compared too."
        if torch.cuda.is_available()
        else "CUDA is untested: there is none."
    )
    passed, drawn = sum(bool(row[2]) for row in rows), sum(bool(row[3]) for row in rows)
    total = (
        f"{passed} of {len(rows)} scenarios passed, {drawn} drew frames, {sum(bool(row[4]) for row in rows)} refused something"
    )
    lines = [_line("theme", "scenario", "", "frames", "refusal"), *map(_row, rows), "", total]
    proof = [f"  {'caught' if found else 'MISSED'}  {what}: {where}" for what, found, where in caught]
    return "\n".join([*lines, "", *proof, "", FOOTER.format(cuda=cuda)])


def _row(row: Row) -> str:
    theme, name, passed, frames, refusal = row
    return _line(str(theme), str(name), "passed" if passed else "FAILED", str(frames), _short(str(refusal)))


def _line(theme: str, name: str, passed: str, frames: str, refusal: str) -> str:
    return f"{theme:<12} {name:<46} {passed:<6} {frames:>6}  {refusal}"


def _short(text: str, limit: int = 110) -> str:
    text = text.replace("lightning_vis: ", "")
    return text if len(text) <= limit else text[: limit - 4] + " ..."
