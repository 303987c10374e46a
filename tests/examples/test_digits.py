"""The example of the digits: IDX files as others write them, and a zero that looks like one."""

from __future__ import annotations

import gzip
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import digits

FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's dataset-fashion-mnist lies."""
WANTED = bool(os.environ.get("LIGHTNING_VIS_DATASETS"))


def test_class_0_looks_like_a_zero(tmp_path, monkeypatch, capsys):
    """Of the ten mean digits of the data, the picture of class 0 is most like the zero, and most others like their own."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # Lightning sets it; this takes it back
    digits.main(["--logdir", str(tmp_path), "--epochs", "4"])
    assert "log-odds of the ten pictures: 0 " in capsys.readouterr().out
    drawn = Image.open(tmp_path / "classes.png").convert("L").resize((10 * digits.SIZE, digits.SIZE), Image.Resampling.BOX)
    pictures = torch.from_numpy(np.stack(np.split(np.asarray(drawn, np.float32), 10, 1)))
    images, labels = digits.sklearn_digits()
    means = torch.stack([images[labels == label].mean(0) for label in range(10)])
    likeness = torch.corrcoef(torch.cat([pictures.flatten(1), means.flatten(1)]))[:10, 10:]
    assert likeness[0].argmax() == 0
    assert (likeness.argmax(1) == torch.arange(10)).sum() >= 8
    assert pictures[0, 11:17, 11:17].mean() < 0.25 * pictures[0].max()  # a hole in its middle


def written(folder, packed):
    """Twelve images of 28 x 28 and their labels in IDX files."""
    images = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
    labels = np.arange(12, dtype=np.uint8) % 10
    for name, values in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        raw = struct.pack(f">BBBB{values.ndim}i", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()
        (folder / f"{name}{'.gz' if packed else ''}").write_bytes(gzip.compress(raw) if packed else raw)
    return images, labels


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_packed_or_not(tmp_path, packed):
    images, labels = written(tmp_path, packed)
    found, classes = digits.idx_digits(tmp_path, count=7)
    assert torch.equal(found, torch.from_numpy(images[:7, None] / np.float32(255)))
    assert classes.tolist() == labels[:7].tolist()


def test_a_folder_without_idx_files_is_named(tmp_path):
    with pytest.raises(SystemExit, match="--data: there is neither .*train-images-idx3-ubyte nor .*ubyte.gz"):
        digits.idx_digits(tmp_path)


@pytest.mark.skipif(not FASHION.exists() and not WANTED, reason="needs Debian's dataset-fashion-mnist")
def test_fashion_mnist_is_what_its_authors_published():
    """60000 images of 28 x 28, 6000 of each class; the mean pixel is 0.2860 and the standard deviation 0.3530."""
    images, labels = digits.idx_digits(FASHION, count=60000)
    assert images.shape == (60000, 1, 28, 28)
    assert labels.bincount().tolist() == [6000] * 10
    assert (images.mean().item(), images.std().item()) == pytest.approx((0.2860, 0.3530), abs=1e-4)
