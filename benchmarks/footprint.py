"""What the package weighs: the size of what is installed, and the time that importing takes, beside what it stands on.

python benchmarks/footprint.py > benchmarks/footprint.md
"""

from __future__ import annotations

import datetime
import platform
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

ROOT = Path(__file__).parents[1]
BESIDE = "import torch, pytorch_lightning"
STATEMENTS = {
    "`import lightning_vis`": ("", "import lightning_vis"),
    "torch and Lightning": ("", BESIDE),
    "`from lightning_vis import ProbeCallback` behind them": (BESIDE, "from lightning_vis import ProbeCallback"),
    "the tab, in a TensorBoard that runs": (
        "import tensorboard.plugins.base_plugin, tensorboard.errors",
        "import lightning_vis.tab.plugin",
    ),
}
REPEATS = 3


def seconds(before: str, statement: str) -> float:
    """CPU seconds of one statement in a fresh interpreter, the least of several: a busy machine changes them least."""
    code = f"{before}\nimport time; start = time.process_time()\n{statement}\nprint(time.process_time() - start)"
    return min(float(subprocess.check_output([sys.executable, "-c", code], text=True)) for _ in range(REPEATS))


def wheel_size() -> int:
    """Bytes of a wheel of this tree."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        copytree(ROOT / "lightning_vis", tree / "lightning_vis", ignore=ignore_patterns("__pycache__"))
        for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            copy(ROOT / name, tree)
        options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
        subprocess.check_call([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, str(tree)])
        return next(Path(folder).glob("*.whl")).stat().st_size


def own_size() -> int:
    """Bytes of the package's own files."""
    return sum(path.stat().st_size for path in (ROOT / "lightning_vis").rglob("*.*") if "__pycache__" not in str(path))


def needed(name: str, known: dict[str, int] | None = None) -> dict[str, int]:
    """Bytes of a distribution and of all that it needs, by name, as far as it is installed."""
    known = {} if known is None else known
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in known:
        return known
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return known
    known[key] = sum(path.stat().st_size for each in found.files or () if (path := Path(str(each.locate()))).is_file())
    for each in found.requires or ():
        if "extra ==" not in each:
            needed(re.split(r"[^\w.-]", each, maxsplit=1)[0], known)
    return known


def main() -> None:
    """Prints the page."""
    weights = needed("torch") | {}
    torch, others = sum(weights.values()), {}
    for name in ("pytorch-lightning", "tensorboard", "numpy", "tqdm", "pillow"):
        others |= {key: size for key, size in needed(name).items() if key not in weights}
    print("# What the package weighs\n")
    print(f"{datetime.date.today()}, {platform.system()} {platform.machine()}, Python {platform.python_version()},", end=" ")
    print(f"torch {metadata.version('torch')}; `python benchmarks/footprint.py`.\n")
    print("| what | MB |\n|---|---|")
    print(f"| the wheel | {wheel_size() / 1e6:.1f} |\n| the package, installed | {own_size() / 1e6:.1f} |")
    print(f"| torch and what it needs, installed | {torch / 1e6:.0f} |")
    print(f"| Lightning, TensorBoard, NumPy, Pillow, tqdm and what they need besides | {sum(others.values()) / 1e6:.0f} |\n")
    print(f"CPU seconds in a fresh interpreter, the least of {REPEATS}:\n\n| import | s |\n|---|---|")
    for name, (before, statement) in STATEMENTS.items():
        print(f"| {name} | {seconds(before, statement):.2f} |")


if __name__ == "__main__":
    main()
