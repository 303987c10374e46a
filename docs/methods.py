"""Makes the pictures and the table of docs/methods.md: one network, one picture of each view. A minute or two on two cores.

``python docs/methods.py``; everything is drawn, nothing is downloaded. The network is that of examples/leaves.py, trained where the
background tells nothing.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import numpy as np
import pytorch_lightning as pl
import torch
from experiment import Sources, data_of, probes_of
from leaves import CLASSES, EPOCHS, IMAGES, KINDS, PAINTERS, SIZE, plates
from network import SmallCNN, dataset
from token_networks import NETWORKS
from tokens import trained as trained_tokens
from tokens import worlds
from torch.utils.data import DataLoader

from lightning_vis import Probe, attribution, look
from lightning_vis.attribution.methods.controls import ShuffledWeights, shuffle
from lightning_vis.attribution.methods.correlation import rank_correlation
from lightning_vis.render.canvas.tiles import drawn, fit, jpeg

SHOWN = [0, 1, 4, 7]
"""A bird on leaves and on pebbles, another one on leaves, a mammal on pebbles."""
TOKENS = [0, 1, 6, 7]
"""Of the transformer's probe."""
SIDE, GAP = 160, 4
NAMES = (
    *("saliency", "grad_cam", "evidence", "input_x_gradient", "grad_cam_plus_plus", "hires_cam", "layer_cam"),
    *("smooth_grad", "integrated_gradients", "occlusion", "score_cam", "guided_backprop", "deconvolution"),
)


def main() -> None:
    """Trains, draws, measures."""
    model, few, many = trained(seed=0)
    pictures = Path(__file__).parent / "pictures"
    views = [
        getattr(attribution, name)(target="predicted") if name == "evidence" else getattr(attribution, name)() for name in NAMES
    ]
    frame, photos = look(model, few, views), few.inputs().pictures
    (pictures / "methods_photos.jpg").write_bytes(jpeg(row([photos[index] for index in SHOWN])))
    for key, maps in frame.maps.items():
        name = key.removesuffix("+predicted").replace(" (random weights)", "_control")
        tiles = [drawn(photos[index], maps, index) for index in SHOWN]
        (pictures / f"methods_{name}.jpg").write_bytes(jpeg(row(tiles)))
    draw_tokens(pictures)
    print(table(model, many, views))  # noqa: T201


def trained(seed: int) -> tuple[SmallCNN, Probe, Probe]:
    """The network, the images that are shown, and more of them for the numbers."""
    rng = np.random.default_rng(seed)
    objects = [PAINTERS[name] for name in CLASSES]
    seen, unseen = (Sources(objects, [plates(draw, count, rng) for draw in KINDS.values()]) for count in (16, 8))
    few, many = probes_of(unseen, CLASSES, list(KINDS), SIZE, rng)
    data = data_of(seen, unseen, IMAGES, 0.5, SIZE, seed + 1)
    pl.seed_everything(seed)
    model = SmallCNN()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=EPOCHS, accelerator="cpu", **quiet)
    validation = DataLoader(dataset(data.validation), batch_size=100)
    trainer.fit(model, DataLoader(dataset(data.train), batch_size=50, shuffle=True), validation)
    said = f"validation accuracy {float(trainer.callback_metrics['val/accuracy']):.3f}, torch {torch.__version__}"
    print(said, flush=True)  # noqa: T201
    return model.eval(), few, many


def draw_tokens(pictures: Path) -> None:
    """The pictures of a transformer with a class token, which has learned where the background tells nothing."""
    data, probe = worlds(seed=11)["balanced"]
    learned = trained_tokens("class token", "balanced", data, 11)
    print(f"transformer: validation accuracy {learned['accuracy']:.3f}", flush=True)  # noqa: T201
    model = NETWORKS["class token"]().eval()
    model.load_state_dict(learned["state"])
    frame = look(model, probe, [attribution.attention_rollout(), attribution.evidence(target="predicted")])
    photos = probe.inputs().pictures
    (pictures / "methods_tokens_photos.jpg").write_bytes(jpeg(row([photos[index] for index in TOKENS])))
    for key, maps in frame.maps.items():
        tiles = [drawn(photos[index], maps, index) for index in TOKENS]
        (pictures / f"methods_tokens_{key.removesuffix('+predicted')}.jpg").write_bytes(jpeg(row(tiles)))


def row(tiles: list[np.ndarray]) -> np.ndarray:
    """Pictures side by side."""
    between = np.full((SIDE, GAP, 3), 255, np.uint8)
    large = [part for tile in tiles for part in (fit(tile, SIDE), between)]
    return np.concatenate(large[:-1], 1)


def table(model: SmallCNN, probe: Probe, views: list[attribution.View]) -> str:
    """Markdown: what each view costs, how far its maps are those of shuffled weights, and what deletion says."""
    headless = without_head(model, probe)
    curves = attribution.faithfulness(model, probe, views)
    words = ("view", "passes", "all shuffled", "magnitudes", "head shuffled", "magnitudes", "deletion", "insertion", "lift")
    lines = [f"| {' | '.join(words)} |", "|---" * len(words) + "|"]
    for view in views:
        frame = look(model, probe, [replace(view, control=None)])
        alike = [*compared(model, model, shuffled(view), view, probe), *compared(model, headless, view, view, probe)]
        gains, lift = curves[view.key], frame.numbers[f"attribution/{view.key}/lift"]
        cells = [f"`{view.name}`", str(view.passes), *(f"{each:.2f}" for each in alike)]
        cells += [f"{gains.deletion_gain:+.2f}", f"{gains.insertion_gain:+.2f}", f"{lift:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def compared(
    model: SmallCNN, other: SmallCNN, control: attribution.View, view: attribution.View, probe: Probe
) -> tuple[float, float]:
    """Rank correlation of the label's maps of two networks, with signs and of magnitudes: the mean over images."""
    pair = [(model, view), (other, control)]
    made = [look(net, probe, [replace(each, target="label", control=None)]).maps for net, each in pair]
    maps, others = (torch.from_numpy(next(iter(each.values())).values) for each in made)
    return tuple(float(rank_correlation(*each).nanmean()) for each in ((maps, others), (maps.abs(), others.abs())))


def without_head(model: SmallCNN, probe: Probe) -> SmallCNN:
    """The network with the weights of its head shuffled: the first shuffle by which its answers are lost.

    Of two classes' weights many a shuffle tells the classes apart as before; its maps may then be as before, too.
    """
    for seed in range(100):
        other = copy.deepcopy(model)
        shuffle(other.head, seed)
        right = float((other(probe.images).argmax(1) == probe.labels).float().mean())
        if abs(right - 0.5) < 0.1:
            print(f"head shuffled with seed {seed}: accuracy {right:.2f}", flush=True)  # noqa: T201
            return other
    raise RuntimeError("every shuffled head tells the classes apart")


def shuffled(view: attribution.View) -> attribution.View:
    """The view of a network whose weights are shuffled."""
    return replace(view, recorder=ShuffledWeights(view.recorder))


if __name__ == "__main__":
    main()
