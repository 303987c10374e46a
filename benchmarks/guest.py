"""Lightning's own tests with our callbacks in every Trainer: what fails that passes without them.

``python benchmarks/guest.py CHECKOUT > benchmarks/guest.md``, where CHECKOUT is Lightning's public repository at the version that is
installed. Each test runs without and with a `ProbeCallback()` and a small `FilterMaximizationCallback`: once as it is, where its
networks take vectors and nothing can be seen, and once with pictures in the place of these vectors. Tests of several processes and of
packages that are missing are left out, and of each parametrized test the first case is run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
FOLDERS = "callbacks checkpointing core deprecated_api loggers loops models overrides trainer tuner utilities test_cli.py"
LEFT_OUT = "not ddp and not spawn and not torchvision and not fsdp and not deepspeed and not standalone"
SHAPE = (3, 16, 16)
KINDS = {
    r"test_hooks\.py|test_callback_connector": "lists exactly which hooks are called, or which callbacks there are",
    r"lightning_vis'|lightning_vis/\d|film\.html|listdir|\.ckpt'|IsADirectory": (
        "lists a folder, in which what is to be seen lies too: `lightning_vis/<n>`, as no logger has a folder"
    ),
}
"""What cannot but fail, by what its message or its name holds."""

MADE: list[Any] = []


# --- the plugin: pytest -p guest -----------------------------------------------------------------------------------------


class Linear(nn.Linear):
    """The layer of Lightning's test networks, with convolutions before it where it gets pictures."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        first = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*first, nn.Conv2d(8, 32, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.features(x).mean((2, 3)) if x.ndim == 4 else x)


def pytest_configure(config: Any) -> None:
    """Puts pictures and callbacks in, as the environment says."""
    if os.environ["GUEST_PICTURES"] == "yes":
        put_pictures_in()
    if os.environ["GUEST"] == "with":
        put_callbacks_in()


def put_pictures_in() -> None:
    """Data sets of 32 numbers have pictures, and the network that takes them looks at pictures."""
    from lightning.pytorch import LightningModule
    from lightning.pytorch.demos import boring_classes as boring

    def data(self: Any, size: int, length: int) -> None:
        self.len, self.data = length, torch.randn(length, *(SHAPE if size == 32 else (size,)))

    def network(self: Any) -> None:
        LightningModule.__init__(self)
        self.layer = Linear(32, 2)

    boring.RandomDataset.__init__ = boring.RandomDictDataset.__init__ = data
    boring.BoringModel.__init__ = network


def put_callbacks_in() -> None:
    """Each Trainer has ours behind its own."""
    from lightning.pytorch.trainer.connectors.callback_connector import _CallbackConnector

    from lightning_vis import FilterMaximizationCallback, ProbeCallback

    plain = _CallbackConnector.on_trainer_init

    def with_ours(self: Any, callbacks: Any, *given: Any, **named: Any) -> Any:
        ours = [ProbeCallback(), FilterMaximizationCallback(steps=1, channels=1)]
        MADE.extend(ours)
        users = callbacks if isinstance(callbacks, (list, tuple)) else [each for each in [callbacks] if each is not None]
        return plain(self, [*users, *ours], *given, **named)

    _CallbackConnector.on_trainer_init = with_ours


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """The first case of each test that may run here."""
    seen: set[str] = set()
    kept = []
    for item in items:
        name = item.nodeid.partition("[")[0]
        skipped = any(mark.kwargs.get("condition") or True in mark.args for mark in item.iter_markers("skipif"))
        if not skipped and name not in seen:
            seen.add(name)
            kept.append(item)
    items[:] = kept


def pytest_sessionfinish() -> None:
    """How often was looked."""
    Path(os.environ["GUEST_LOOKS"]).write_text(json.dumps(sum(each.film.count for each in MADE)), "utf-8")


# --- the table -----------------------------------------------------------------------------------------------------------


def run(tests: Path, how: str, pictures: str, folder: Path) -> tuple[dict[str, str], int, int]:
    """Messages of the tests that failed, by their name; how many ran; how often was looked."""
    result, looks = folder / f"{how} {pictures}.xml", folder / f"{how} {pictures}.json"
    places = [str(ROOT / "benchmarks"), str(ROOT), str(tests)]
    environment = {**os.environ, "GUEST": how, "GUEST_PICTURES": pictures, "GUEST_LOOKS": str(looks), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "guest", "-q", "-o", "markers=flaky: again", "-p", "no:cacheprovider"]
    command += ["--continue-on-collection-errors", "-k", LEFT_OUT, f"--junitxml={result}"]
    command += [f"tests_pytorch/{each}" for each in FOLDERS.split()]
    subprocess.run(command, cwd=tests, env={**environment, "PYTHONPATH": os.pathsep.join(places)}, stdout=sys.stderr)
    cases = list(ElementTree.parse(result).iter("testcase"))
    failed = {}
    for case in cases:
        for found in (*case.findall("failure"), *case.findall("error")):
            name = f"{(case.get('classname') or '').replace('tests_pytorch.', '')}.py::{case.get('name')}"
            failed[name] = f"{name} {found.get('message')} {found.text}"
    return failed, len({(case.get("classname"), case.get("name")) for case in cases}), json.loads(looks.read_text("utf-8"))


def kind_of(message: str) -> str:
    """Why it cannot but fail; empty if it can."""
    is_ours = re.search(r"lightning_vis/[a-z_/]+\.py:\d+: ", message)  # it was raised in here
    return "" if is_ours else next((kind for pattern, kind in KINDS.items() if re.search(pattern, message)), "")


def main(checkout: Path) -> None:
    import lightning

    print("# Lightning's own tests with our callbacks in every Trainer\n")
    print(
        f"{date.today()}, lightning {lightning.__version__}, torch {torch.__version__.partition('+')[0]}; `python benchmarks/guest.py"
    )
    print("CHECKOUT`, which says what is run.\n")
    print(
        "| | tests | looks, filters' among them | fail without us | fail with us, and pass without | of these can be mended |"
    )
    print("|---|---|---|---|---|---|")
    lists = []
    with tempfile.TemporaryDirectory() as folder:
        for pictures in ("no", "yes"):
            without, _, _ = run(checkout / "tests", "without", pictures, Path(folder))
            failed, count, looks = run(checkout / "tests", "with", pictures, Path(folder))
            new = {name: kind_of(message) for name, message in failed.items() if name not in without}
            open_ones = [name for name, kind in new.items() if not kind]
            title = "with pictures" if pictures == "yes" else "as they are"
            print(f"| {title} | {count} | {looks} | {len(without)} | {len(new)} | {len(open_ones)} |")
            lists.append((title, new))
    for title, new in lists:
        print(f"\n## {title.capitalize()}")
        for kind in sorted(set(new.values())):
            print(f"\n{kind or 'Others'}:\n")
            print("\n".join(f"- `{name}`" for name, each in new.items() if each == kind))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
