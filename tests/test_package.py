"""Wheel and source distribution: built without a network, whole, of one version, and of use where nothing else is installed."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest
import yaml

import lightning_vis

ROOT = Path(__file__).parents[1]
LOOSE = (
    "setup.cfg",
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CITATION.cff",
    "constraints.txt",
)


def run(*words, where):
    done = subprocess.run([sys.executable, *map(str, words)], cwd=where, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheel_of(tree, folder):
    """A wheel of what lies in a folder, with what is installed here alone."""
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check")
    run("-m", "pip", "wheel", *options, "--wheel-dir", folder, tree, where=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A clean copy of what a clone has: building leaves things behind."""
    copied = tmp_path_factory.mktemp("clone")
    copytree(ROOT / "lightning_vis", copied / "lightning_vis", ignore=ignore_patterns("__pycache__"))
    copytree(ROOT / "tests" / "events" / "before", copied / "tests")
    for name in LOOSE:
        copy(ROOT / name, copied)
    return copied


@pytest.fixture(scope="module")
def sdist(tree, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    run("-c", f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})", where=tree)
    (found,) = folder.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Out of the source distribution, as an index builds it."""
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent, filter="data")
    return wheel_of(sdist.parent / sdist.name.removesuffix(".tar.gz"), tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel alone in a folder."""
    folder = tmp_path_factory.mktemp("installed")
    run("-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", folder, wheel, where=folder)
    return folder


def test_the_wheel_has_every_file_of_the_package(wheel):
    own = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "lightning_vis").rglob("*.*") if "__pycache__" not in str(path)
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert {name for name in held if not name.startswith("lightning_vis-")} == own
    assert all(held[name] == (ROOT / name).read_bytes() for name in own)
    assert any(name.endswith("tab/static/index.js") for name in own)


def test_the_source_distribution_has_no_half_of_the_tests(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(LOOSE) <= names
    assert not [name for name in names if name.startswith("tests")]


def test_one_version(wheel):
    version = lightning_vis.__version__
    assert wheel.name.split("-")[1] == version
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == version
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines() if line.startswith("## ")]
    assert headings[0] == f"## {version}"


def test_metadata_say_what_is_true_and_invent_no_address(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        facts = message_from_string(archive.read(name).decode())
    assert facts["License-Expression"] == "Apache-2.0"
    assert f"python_requires = {facts['Requires-Python']}\n" in (ROOT / "setup.cfg").read_text("utf-8")
    assert {"grad-cam", "tensorboard"} <= set(facts["Keywords"].split(","))
    assert (facts["Home-page"], facts.get_all("Project-URL")) == (None, None)
    assert facts.get_payload().startswith("# lightning_vis")


def test_the_installed_wheel_says_its_version_and_has_the_tab(installed):
    """Beside a TensorBoard, without torch and Lightning."""
    code = f"""
import sys; sys.path.insert(0, {str(installed)!r})
sys.modules.update(dict.fromkeys(("torch", "pytorch_lightning", "lightning", "matplotlib", "yaml")))
from importlib.metadata import distribution
from lightning_vis.tab import plugin
assert plugin.__file__.startswith({str(installed)!r}), plugin.__file__
(point,) = [each for each in distribution("lightning_vis").entry_points if each.group == "tensorboard_plugins"]
assert point.load() is plugin.LightningVisPlugin
print(*sorted(plugin.ASSETS))
"""
    files = {
        path.relative_to(ROOT / "lightning_vis/tab/static").as_posix()
        for path in (ROOT / "lightning_vis/tab/static").rglob("*.*")
    }
    assert set(run("-W", "error", "-W", "ignore::DeprecationWarning", "-c", code, where=installed).split()) == files
    said = run(
        "-c",
        f"import sys; sys.path.insert(0, {str(installed)!r}); from lightning_vis.cli import main; main(['--version'])",
        where="/",
    )
    assert said == f"lightning_vis {lightning_vis.__version__}\n"


def test_a_file_that_is_left_out_is_seen(tree, tmp_path):
    """The comparison above can fail."""
    copied = tmp_path / "less"
    copytree(tree, copied, ignore=ignore_patterns("build", "*.egg-info"))
    config = copied / "setup.cfg"
    config.write_text(config.read_text("utf-8").replace("    static/*/*\n", ""), "utf-8")
    with zipfile.ZipFile(wheel_of(copied, tmp_path)) as archive:
        held = [name for name in archive.namelist() if "static/" in name]
    assert len(held) < len(list((ROOT / "lightning_vis/tab/static").rglob("*.*")))
