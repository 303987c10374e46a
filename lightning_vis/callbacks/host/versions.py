"""The oldest versions that can work, and the sentence that refuses older ones."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import metadata

LEAST = {
    "torch": "2.4",
    "pytorch-lightning": "2.0",
    "lightning": "2.0",
    "tensorboard": "2.12",
    "numpy": "1.26",
    "pillow": "10.1",
}
"""By distribution, as setup.cfg has them."""


def refuse_old(version_of: Callable[[str], str] = metadata.version) -> None:
    """Refuses a package that is too old, before anything is trained; of the two Lightnings those that are loaded count.

    Args:
        version_of: what is installed, by distribution.

    Raises:
        ImportError: it is too old.
    """
    unused = {name for name, module in _LIGHTNINGS.items() if module not in sys.modules}
    for name in LEAST.keys() - unused:
        found = _found(name, version_of)
        if _numbers(found) < _numbers(LEAST[name]):
            raise ImportError(f"lightning_vis takes {name} {LEAST[name]} or later, and {found} is installed")


_LIGHTNINGS = {"pytorch-lightning": "pytorch_lightning", "lightning": "lightning.pytorch"}


def _found(name: str, version_of: Callable[[str], str]) -> str:
    """The version of a package; as good as any where it is installed under another name, as nightly builds are."""
    try:
        return version_of(name)
    except metadata.PackageNotFoundError:
        return LEAST[name]


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version; none where it has none, which is older than all."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()
