"""Probe(..., inputs=False): no pixel of the images is in any file of a run, and the eye that looks finds them elsewhere."""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageSequence
from pytorch_lightning.callbacks import ModelCheckpoint
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from worlds import Classifier, loader

from lightning_vis import FilterMaximizationCallback, Probe, ProbeCallback
from lightning_vis.attribution.views import View
from lightning_vis.constants import INPUT
from lightning_vis.frames import Scale

SIZE, EYE = 32, 16
SIDES = (32, 56, 80, 96, 100, 104, 128, 162, 170, 220, 244)
"""How large a probe image may be drawn."""


def secrets():
    """Images of 8 x 8 squares, each black or white: nothing that is not one of them looks like them."""
    squares = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(3)).round()
    return squares.repeat_interleave(4, 2).repeat_interleave(4, 3).expand(2, 3, SIZE, SIZE).contiguous()


def is_in(picture, secret):
    """Whether a grey picture shows the secret at one of the usual sizes: normalised cross-correlation in all places."""
    template = np.asarray(Image.fromarray(secret).resize((EYE, EYE)), float)
    template = (template - template.mean()) / np.linalg.norm(template - template.mean())
    for side in SIDES:
        width, height = (round(length * EYE / side) for length in picture.size)
        if min(width, height) < EYE:
            continue
        grey = np.asarray(picture.resize((width, height), Image.Resampling.BOX), np.float32)
        windows = sliding_window_view(grey, (EYE, EYE))
        dots = np.einsum("ijkl,kl->ij", windows, template.astype(np.float32))
        if (dots / np.maximum(EYE * windows.std((2, 3)), 1)).max() > 0.75:
            return True
    return False


def blobs(path):
    """Everything in a file that may be a picture: the file itself, or the strings of its events."""
    if "tfevents" not in path.name:
        yield path.name, path.read_bytes()
        return
    for raw in RawEventFileLoader(str(path)).Load():
        for value in Event.FromString(raw).summary.value:
            tag = "tab" if value.tag.startswith("lightning_vis/") else value.tag.split("/")[0]
            yield from ((tag, each) for each in (value.image.encoded_image_string, *value.tensor.string_val) if each)


def pictures(folder):
    """By what they are, the different pictures in all files of a run, grey; of animations the last one."""
    found = {}
    for path in (each for each in folder.rglob("*") if each.is_file()):
        for name, data in blobs(path):
            try:
                last = list(ImageSequence.Iterator(Image.open(io.BytesIO(data))))[-1].convert("L")
            except OSError:
                continue
            found.setdefault(name, {})[last.tobytes()] = last
    return {name: list(each.values()) for name, each in found.items()}


def ramp(record):
    """A map that does not depend on the images, so that what shows them is not the map."""
    return torch.linspace(0, 1e-3, 16).reshape(1, 4, 4).expand(len(record.activation), 4, 4)


def run(trainer, tmp_path, shown):
    masks = torch.zeros(2, SIZE, SIZE)
    masks[:, 14:18, 14:18] = 1
    probe = Probe(secrets(), [0, 1], masks, inputs=shown)
    view = View("ramp", (INPUT,), ramp, scale=Scale("log"))
    filters = FilterMaximizationCallback(["net.0"], 2, probe, steps=1, weights=True)
    saving = ModelCheckpoint(str(tmp_path / "run" / "kept"), save_last=True)
    callbacks = [ProbeCallback(probe, [view], at_steps=(), on_alert=lambda alert: None, images=True), filters, saving]
    trainer(callbacks, max_epochs=1, enable_checkpointing=True).fit(Classifier(), loader(32, 1.0), loader(16, 1.0))
    return tmp_path / "run"


def seen(folder):
    """In which kinds of pictures the first secret is found."""
    secret = (secrets()[0, 0].numpy() * 255).astype(np.uint8)
    return {name for name, found in pictures(folder).items() if any(is_in(each, secret) for each in found)}


KINDS = {"probe", "film", "twins", "tab", "weights", "film_probe_ramp.gif", "summary.png"}


def test_the_eye_finds_the_images_wherever_they_are_shown(trainer, tmp_path):
    assert seen(run(trainer, tmp_path, shown=True)) == KINDS


def test_concealed_images_are_nowhere(trainer, tmp_path):
    folder = run(trainer, tmp_path, shown=False)
    assert set(pictures(folder)) >= KINDS
    assert seen(folder) == set()


def test_neither_bytes_nor_values_of_concealed_images_are_in_any_file(trainer, tmp_path):
    folder = run(trainer, tmp_path, shown=False)
    files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert "last.ckpt" in files
    row = secrets()[0, 0, 0]
    for kind in (torch.float32, torch.float64, torch.float16):
        assert not any(row.to(kind).numpy().tobytes() in data for data in files.values())
    assert not any((row * 255).byte().numpy().tobytes() in data for data in files.values())
    kept = torch.load(folder / "kept" / "last.ckpt", weights_only=True)["callbacks"]
    assert all(max(each.shape, default=0) < SIZE for each in tensors(kept) if each.is_floating_point())


def tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        yield from tensors(item)
