"""Runs for the tests of the tab: frames made by hand, written by a real SummaryWriter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from lightning_vis.events.frame_writer import FrameWriter
from lightning_vis.frames import Frame, Inputs, Maps, Pictures, Scale

EVIDENCE = Scale("log", 31.0, signed=True)
GRAD_CAM = Scale("log", 31.0, by_area=True)
SALIENCY = Scale("density", 12.0)


def inputs_of(count=4, size=32, *, labels=True, masks=True, twins=False, class_names=("bird", "mammal"), name="probe"):
    """Flat pictures, each of its own colour, with a square object in the middle."""
    colours = np.linspace((40, 90, 200), (220, 160, 30), count).astype(np.uint8)
    pictures = np.broadcast_to(colours[:, None, None], (count, size, size, 3)).copy()
    mask = np.zeros((count, size, size), np.float32)
    mask[:, size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 1
    seen = Inputs(name, pictures, np.arange(count) % 2 if labels else None, mask if masks else None, class_names)
    return replace(seen, twins=twin_pictures(count), kinds=("leaves", "stones")) if twins else seen


def twin_pictures(count):
    """Each object on two kinds of background, each twin of one grey: 30 more from twin to twin."""
    greys = 30 * (np.arange(2 * count) % 8).astype(np.uint8)
    return np.broadcast_to(greys.reshape(count, 2, 1, 1, 1), (count, 2, 16, 16, 3)).copy()


def with_twins(frames, kinds=("leaves", "stones")):
    """Frames whose network answers by the background: "bird" on the first kind, "mammal" on the second."""
    return [
        replace(frame, per_image={**frame.per_image, **_answers(frame, kinds)}, numbers=_effects(frame)) for frame in frames
    ]


def _answers(frame, kinds):
    says = [np.full(len(frame.predicted), kind) for kind in (0, 1)] if frame.finished_steps else [frame.predicted] * 2
    own = [np.where(answer == frame.predicted, 0.9, 0.1) for answer in says]
    named = {"says": says, "on": own}
    return {f"reliance/{word}/{kind}": values[at] for word, values in named.items() for at, kind in enumerate(kinds)}


def _effects(frame):
    return {**frame.numbers, "reliance/object_effect": 0.04, "reliance/paste_control": 0.01}


def frame_of(steps, count=4, *, share=1.0, seed=0, wrong=(), lift=1.6, alert=0.0, name="probe", masks=True, size=32):
    """A frame whose maps grow with `share`, different for every image, step and seed."""
    generator = np.random.default_rng((seed, steps))
    shape = np.linspace(-1, 1, 49).reshape(1, 7, 7) * np.linspace(1, 2, count)[:, None, None]
    evidence = (share * (6 * shape + generator.normal(size=(count, 7, 7)))).astype(np.float32)
    labels = np.arange(count) % 2
    predicted = np.where(np.isin(np.arange(count), wrong), 1 - labels, labels)
    maps = {
        "evidence": Maps(evidence, labels, "conv3", EVIDENCE, "Evidence", "label"),
        "grad_cam": Maps(np.maximum(evidence, 0) / 49, predicted, "conv3", GRAD_CAM, "Grad-CAM"),
        "saliency": Maps(
            generator.exponential(1, (count, size, size)).astype(np.float32), predicted, "<input>", SALIENCY, "Saliency"
        ),
    }
    lifts = np.full(count, lift) + np.arange(count) / 10
    numbers = {"attribution/evidence/lift": float(lifts.mean()), "reliance/background_effect": share / 2}
    return Frame(
        name,
        predicted,
        np.full(count, 0.5 + share / 3, np.float32),
        maps,
        numbers={**numbers, "reliance/alert": alert} if masks else {},
        per_image={"attribution/evidence/lift": lifts} if masks else {},
        finished_steps=steps,
        log_step=steps - 1,
        epoch=steps // 10,
        moment="epoch" if steps else "start",
    )


def film_of(looks, **arguments):
    """Frames of epochs 0 to looks - 1, ten steps each, growing."""
    return [frame_of(10 * at, share=at / max(1, looks - 1), **arguments) for at in range(looks)]


def alone_at(steps, moment="validate", **arguments):
    """A look of ``trainer.validate`` or ``trainer.test``."""
    return replace(frame_of(steps, **arguments), moment=moment)


def pictures_of(count=4, size=24, value=128, caption="channel {}"):
    """Finished pictures of one grey each."""
    values = np.full((count, size, size, 3), value, np.uint8)
    return Pictures(values, tuple(caption.format(at) for at in range(count)))


def write_run(folder: Path, frames, inputs, scalars=True):
    """Writes frames as a callback does, with a scalar of the training beside them."""
    writer = SummaryWriter(folder)
    store = FrameWriter([writer])
    for frame in frames:
        assert not store.add(frame, inputs)
        if scalars:
            writer.add_scalar("val/accuracy", 0.5 + frame.finished_steps / 1e4, frame.log_step)
    writer.close()
    return folder
