"""Where networks that packages bring are looked at, and whether that is true.

    PYTHONPATH=. python benchmarks/networks.py [--only NAME ...] [--limit 60] [--write]

The networks are those of networks.txt, with random weights; each is surveyed in a process of its own, so that one that fails or takes
too long takes no other along. A row says which site is chosen and on what grid, and then:

- past: the share of the gradient at the image that does not go through the site. The score is differentiated once as it is and
  once with the site's values held constant, which leaves a; the share is |a| / (|a| + |whole - a|), sums over all pixels. Of a
  site with tokens before the grid's, what goes through them alone is given behind a plus.
- corners: of tokens, and of maps with channels last, whose grid is concluded from shapes, whether it is the image's. Some noise is
  added to one corner of the image after the other; of what a corner of the grid moves, as a share of what all do, this much is due
  to its own corner of the image, over what chance would be. It is about 1 where the grid is none, of channels taken for tokens for
  instance. Not of convolutions' maps: their grid is certain, and deep ones with random weights see the whole image everywhere.
- explained: how much of the score the mean of the evidence map accounts for.
- off: the largest difference of the shown Grad-CAM from ReLU of `captum.attr.LayerGradCam`, and of the shown evidence from the same
  without ReLU times the cells, over the largest value of captum's; at the site's own resolution, nothing is interpolated. Where
  captum has no such layer (tokens, channels last, one of several arguments), the same is computed here by hand, and it says so.
  Evidence of a segmentation is gradient x activation of each cell, computed by hand too.
- filters: which usual targets of `lightning_vis.maximization` can be maximized: each of them is, for one step.

The environment is one of its own: Python 3.11 with torch 2.13 (a build for the CPU is enough), torchvision 0.29, timm 1.0.31,
transformers 5.24, segmentation-models-pytorch 0.6, monai 1.6.1, open_clip_torch 3.3 (with ftfy, wcwidth), lightly 1.6,
einops 0.8 and captum 0.9 with matplotlib. Beside a torch for the CPU these are installed with ``pip install --no-deps``, each
with what it imports, since some of them ask for other builds of torch. What is not installed is said in the rows.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib
import itertools
import multiprocessing
import os
import platform
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from network_builders import PACKAGES, Network, built, images_for, listed  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from tqdm import tqdm  # noqa: E402

from lightning_vis import OUTPUT, Probe, evidence, grad_cam, look, maximize  # noqa: E402
from lightning_vis.frames import Frame  # noqa: E402
from lightning_vis.maximization.channels import usual_layers  # noqa: E402
from lightning_vis.model.answer.answer import CLASSES, Answer  # noqa: E402
from lightning_vis.model.answer.embedding import EMBEDDING_TASK, references  # noqa: E402
from lightning_vis.model.answer.output import answer_of  # noqa: E402
from lightning_vis.model.answer.words import Words  # noqa: E402
from lightning_vis.model.attention import Hold, holding  # noqa: E402
from lightning_vis.model.feature_map import last_feature_map  # noqa: E402
from lightning_vis.model.layers import find_layer  # noqa: E402
from lightning_vis.model.places import at, replaced  # noqa: E402
from lightning_vis.model.site.layout import MAPS, SEQUENCE  # noqa: E402
from lightning_vis.model.site.site import INPUT_SIDE  # noqa: E402

IMAGES = 2
SHORT, SHORTER = 150, 60
"""Characters of a sentence that says why not."""
LEAST = 1.2
"""Corners of the grid that are the image's own come to this and more."""
COLUMNS = ("network", "package", "task", "site", "grid", "past", "corners", "explained", "off", "filters", "why not")
Score = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Found:
    """A row of the table; what is not known is empty."""

    network: str
    kind: str
    package: str
    task: str
    site: str = ""
    grid: str = ""
    past: str = ""
    corners: str = ""
    explained: str = ""
    off: str = ""
    filters: str = ""
    said: str = ""
    is_broken: bool = False

    @property
    def cells(self) -> list[str]:
        where = [self.network, self.package, self.task, self.site, self.grid]
        return [*where, self.past, self.corners, self.explained, self.off, self.filters, self.said]


@dataclass(frozen=True)
class Place:
    """A site: a tensor that enters or leaves a layer, and how it becomes maps ``(N, K, h, w)``.

    Attributes:
        layer: its dotted name.
        is_input: whether the tensor enters it.
        path: where it stands in the output, or among the arguments by position and keyword.
        maps: from tensor to maps.
        prefix: of tokens, how many stand before the grid's, in the dimension `along`.
        is_plain: whether the tensor itself is the maps: else captum is not asked.
        by_cell: whether evidence has a gradient for each cell, as tokens have it.
        is_held: whether attention and norms behind it are held constant.
    """

    layer: str
    is_input: bool = False
    path: tuple[Any, ...] = ()
    maps: Callable[[Tensor], Tensor] = lambda tensor: tensor
    prefix: int = 0
    along: int = 1
    is_plain: bool = True
    by_cell: bool = False
    is_held: bool = False

    @property
    def name(self) -> str:
        return self.layer + ":input" * self.is_input


def chosen_place(net: nn.Module, images: Tensor, forward: Callable[[Tensor], Any]) -> Place:
    """The site that the library chooses: all that has to be exchanged here, should it choose another way."""
    found = last_feature_map(net, images[:1].repeat(3, *[1] * (images.ndim - 1)), forward)
    site = found.held or found.site
    layout, is_input = site.layout, site.side == INPUT_SIDE
    by_cell = layout.is_tokens or site.is_held
    is_plain = layout.kind == MAPS and len(site.place) == int(is_input) and not by_cell
    along = int(layout.kind != SEQUENCE)
    return Place(site.layer, is_input, site.place, layout.maps, layout.prefix, along, is_plain, by_cell, site.is_held)


def score_of(net: nn.Module, images: Tensor, answer: Answer) -> Score:
    """The number that is explained of each image, with what is explained held constant."""
    with torch.no_grad():
        values = answer.values(net(images.clone()))
        if answer.task == EMBEDDING_TASK.name:
            chosen = references(values, answer.values(net(images.flip(-1))), None)
        else:
            chosen = answer.kind.chosen(answer.facts, "predicted", values, None)
    score = answer.kind.score
    if score is None:
        raise ValueError(f"of a {answer.task} no number is explained")
    return lambda given: score(answer.values(net(given.clone())), chosen)


@contextlib.contextmanager
def changed(net: nn.Module, place: Place, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While it lasts, the tensor at a place is another one."""
    layer = find_layer(net, place.layer)

    def nest(given: Any) -> Any:
        return replaced(given, place.path, change(at(given, place.path, "site")))

    def entering(_: Any, args: Any, kwargs: Any) -> Any:
        given = nest({**dict(enumerate(args)), **kwargs})
        return tuple(given[each] for each in range(len(args))), {name: given[name] for name in kwargs}

    before = lambda: layer.register_forward_pre_hook(entering, with_kwargs=True)  # noqa: E731
    hook = before() if place.is_input else layer.register_forward_hook(lambda _, __, output: nest(output))
    try:
        yield
    finally:
        hook.remove()


def gradient(score: Score, images: Tensor) -> Tensor:
    """Of the score at the images; zeros where it does not depend on them."""
    leaf = images.clone().requires_grad_()
    values = score(leaf)
    found = torch.autograd.grad(values.sum(), leaf, allow_unused=True)[0] if values.requires_grad else None
    return torch.zeros_like(leaf) if found is None else found


def past(net: nn.Module, place: Place, score: Score, images: Tensor) -> str:
    """What does not go through a site, and behind a plus what goes through its prefix alone."""
    whole = gradient(score, images)
    said = f"{_share_past(net, place, score, images, whole, Tensor.detach):.3f}"
    if not place.prefix:
        return said
    share = _share_past(net, place, score, images, whole, lambda tensor: _without_cells(tensor, place))
    return f"{said} + {max(0.0, share - float(said)):.3f}"


def _without_cells(tensor: Tensor, place: Place) -> Tensor:
    """Only through the prefix goes a gradient."""
    before, cells = tensor.tensor_split([place.prefix], place.along)
    return torch.cat((before, cells.detach()), place.along)


def _share_past(
    net: nn.Module, place: Place, score: Score, images: Tensor, whole: Tensor, cut: Callable[[Tensor], Tensor]
) -> float:
    with changed(net, place, cut):
        around = gradient(score, images)
    around, through = around.abs().sum(), (whole - around).abs().sum()
    return float(around / (around + through))


def _maps(net: nn.Module, place: Place, images: Tensor) -> Tensor:
    """What stands at a place."""
    met: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        met.append(tensor.clone())
        return tensor

    with changed(net, place, keep), torch.no_grad():
        net(images.clone())
    return place.maps(met[-1])


def corners(net: nn.Module, place: Place, images: Tensor) -> str:
    """How much more corners of the grid follow their own corner of the image than the others."""
    if place.is_plain:
        return ""
    before = _maps(net, place, images)
    axes = [axis for axis in range(2, before.ndim) if before.shape[axis] > 1]
    ends = list(itertools.product((False, True), repeat=len(axes)))
    moves = torch.zeros(len(ends), len(ends))
    for row, each in zip(moves, ends, strict=True):
        other = images.clone()
        _corner(other, axes, each).add_(0.1 * torch.randn_like(_corner(other, axes, each)))
        moved = (_maps(net, place, other) - before).abs()
        row += torch.stack([_corner(moved, axes, corner).mean() for corner in ends])
    shares = moves / moves.sum(1, keepdim=True)
    return f"{float((shares / shares.sum(0)).diagonal().sum()):.2f}"


def _corner(maps: Tensor, axes: list[int], ends: tuple[bool, ...]) -> Tensor:
    """The first or the last half along each axis; of an odd number of cells the middle one belongs to neither."""
    for axis, is_end in zip(axes, ends, strict=True):
        half = maps.shape[axis] // 2
        maps = maps.narrow(axis, (maps.shape[axis] - half) * is_end, half)
    return maps


def signed_by_hand(net: nn.Module, place: Place, score: Score, images: Tensor, *, by_cell: bool) -> Tensor:
    """Grad-CAM without ReLU at any place, ``(N, h, w)``; by cell each one's own gradient, and not their mean."""
    met, hold = list[Tensor](), Hold()

    def keep(tensor: Tensor) -> Tensor:
        met.append(tensor if tensor.requires_grad else tensor.clone().requires_grad_())
        return met[-1].clone()  # what changes it in place changes the clone

    with changed(net, place, keep), holding(hold) if place.is_held else contextlib.nullcontext():
        values = score(images.clone().requires_grad_())
    with hold.closed():
        (slope,) = torch.autograd.grad(values.sum(), met[-1])
    maps, slope = place.maps(met[-1].detach()), place.maps(slope)
    cells = tuple(range(2, slope.ndim))
    return ((slope if by_cell else slope.mean(cells, keepdim=True)) * maps).sum(1)


def signed_by_captum(net: nn.Module, place: Place, score: Score, images: Tensor) -> Tensor:
    """The same by captum."""
    method = importlib.import_module("captum.attr").LayerGradCam(score, find_layer(net, place.layer))
    found = method.attribute(images.clone(), relu_attributions=False, attribute_to_layer_input=place.is_input)
    return found.detach()[:, 0]


def off(net: nn.Module, place: Place, score: Score, images: Tensor, frame: Frame, probe: Probe) -> str:
    """How far what is shown lies from what another program, or this one, says."""
    said, signed = "", None
    if place.is_plain:
        with contextlib.suppress(Exception):
            signed = signed_by_captum(net, place, score, images)
    if signed is None:
        said, signed = ", not by captum", signed_by_hand(net, place, score, images, by_cell=place.is_held)
    has_cells = place.by_cell or frame.task == "segmentation"
    by_cell = signed_by_hand(net, place, score, images, by_cell=True) if has_cells else signed
    pairs = (("grad_cam", signed.relu()), ("evidence", by_cell * by_cell[0].numel()))
    return f"{max(_far(frame, key, each, probe) for key, each in pairs):.0e}{said}"


def _far(frame: Frame, key: str, theirs: Tensor, probe: Probe) -> float:
    shown = frame.maps[key]
    if probe.slices is not None:
        theirs = probe.slices.of_maps(theirs, is_sum=shown.scale.kind == "log")
    ours, largest = torch.from_numpy(shown.values), float(theirs.abs().max())
    return float((ours - theirs).abs().max()) / largest if largest else float(ours.abs().max() > 0)


def explained(net: nn.Module, place: Place, score: Score, images: Tensor, frame: Frame) -> str:
    """As the frame says it; of volumes, where it says nothing, by hand."""
    share = frame.numbers.get("attribution/evidence/explained")
    if share is None:
        has_cells = place.by_cell or frame.task == "segmentation"
        mean = signed_by_hand(net, place, score, images, by_cell=has_cells).flatten(1).sum(1)
        whole = score(images).detach()
        share = max(0.0, 1 - float((whole - mean).abs().sum() / whole.abs().sum()))
    return f"{share:.3f}"


def filters(net: nn.Module, images: Tensor, forward: Callable[[Tensor], Any] | None) -> str:
    """The usual targets, each of which has been maximized for one step, or why not."""
    try:
        layers = usual_layers(net, images, forward)
        for layer in layers:
            maximize(net, layer, 1, images, steps=1, forward=forward)
    except Exception as error:
        return f"no: {shortened(error, SHORTER)}"
    return ", ".join(layers).replace(OUTPUT, "output")


def surveyed(row: Network) -> Found:
    """All that is asked of one network."""
    torch.manual_seed(0)
    found = Found(row.name, row.kind, row.package, row.task)
    try:
        net, images = built(row), images_for(row, IMAGES)
    except Exception as error:
        return replace(found, said=f"not built: {shortened(error)}", is_broken=True)
    answer = Words(row.task, row.head).over(CLASSES)
    forward = None if row.head is None else lambda given: answer_of(answer.facts, net(given))
    found = replace(found, filters=filters(net, images, forward))
    try:
        return _looked(found, net, images, answer, forward or net, row)
    except Exception as error:
        return replace(found, said=shortened(error))


def _looked(
    found: Found, net: nn.Module, images: Tensor, answer: Answer, forward: Callable[[Tensor], Any], row: Network
) -> Found:
    probe = Probe(images)
    frame = look(net, probe, [evidence(), grad_cam()], task=row.task, head=row.head)
    score, place = score_of(net, images, answer), chosen_place(net, images, forward)
    return replace(
        found,
        site=place.name,
        grid=_grid(net, place, images),
        past=past(net, place, score, images),
        corners=corners(net, place, images),
        explained=explained(net, place, score, images, frame),
        off=off(net, place, score, images, frame, probe),
    )


def _grid(net: nn.Module, place: Place, images: Tensor) -> str:
    return " x ".join(map(str, _maps(net, place, images).shape[2:]))


def shortened(error: BaseException, length: int = SHORT) -> str:
    """A sentence that fits into a table."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}".replace("|", "/")
    return said if len(said) <= length else f"{said[: length - 3]}..."


def alone(row: Network, limit: float) -> Found:
    """In a process of its own, which begins with all that is imported here."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(row, theirs))
    process.start()
    theirs.close()
    try:
        said = f"takes longer than {limit:.0f} s"
        if ours.poll(limit):
            said = "the process died"
            return Found(**ours.recv())
    except EOFError:
        pass
    finally:
        process.kill()
        process.join()
    return Found(row.name, row.kind, row.package, row.task, said=said, is_broken=True)


def _send(row: Network, connection: Connection) -> None:
    connection.send(asdict(surveyed(row)))


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def summary(rows: list[Found]) -> str:
    """Counts by kind, and the worst numbers."""
    head = [line(["kind", "networks", "maps", "no maps", "failed"]), "|:--|--:|--:|--:|--:|"]
    for kind in [*dict.fromkeys(each.kind for each in rows), "all"]:
        own = [each for each in rows if kind in (each.kind, "all")]
        counts = (len(own), sum(bool(each.site) for each in own), sum(each.is_broken for each in own))
        head.append(line([kind, *map(str, (*counts[:2], counts[0] - counts[1] - counts[2], counts[2]))]))
    return "\n".join([*head, "", *_worst([each for each in rows if each.site])])


def _worst(rows: list[Found]) -> Iterator[str]:
    if not rows:
        return
    astray = [each.network for each in rows if each.corners and not float(each.corners) > LEAST]
    aside = [float(each.past.split(" + ")[0]) for each in rows]
    shares = [float(each.explained) for each in rows]
    yield f"More than a tenth of the gradient goes past {sum(each > 0.1 for each in aside)} of {len(rows)} sites."
    yield f"The corners are not in place at {len(astray)} sites{': ' * bool(astray)}{', '.join(astray)}."
    yield f"Explained is the median {statistics.median(shares):.3f}, in {sum(each < 0.9 for each in shares)} below 0.9."
    yield f"The largest difference is {max(float(each.off.split(',')[0]) for each in rows):.0e}."


def survey(arguments: argparse.Namespace) -> Iterator[str]:
    """The lines of the table, each as soon as it is known: a survey that is stopped has not been for nothing."""
    rows = [each for each in listed() if not arguments.only or each.name in arguments.only]
    if not rows:
        raise SystemExit(f"--only {' '.join(arguments.only)}: the names are the first words of networks.txt")
    _prepare()
    yield from (_told(arguments), "", line(list(COLUMNS)), f"|{':--|' * len(COLUMNS)}")
    found = []
    for row in tqdm(rows, desc="networks", file=sys.stderr):
        found.append(alone(row, arguments.limit))
        yield line(found[-1].cells)
    yield from ("", summary(found))


def _prepare() -> None:
    """What all processes begin with."""
    torch.set_num_threads(1)
    for name in (*PACKAGES, "captum.attr"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    tqdm.monitor_interval = 0  # no thread beside one that forks


def _told(arguments: argparse.Namespace) -> str:
    versions = ", ".join(f"{name} {_version(name)}" for name in ("torch", *PACKAGES, "captum"))
    machine = platform.processor() or platform.machine()
    given = "".join(f" {each}" for each in ("--only", *arguments.only)) if arguments.only else ""
    said = f"{datetime.date.today()}, {machine}, Python {platform.python_version()}, one thread"
    return f"{said}: `PYTHONPATH=. python benchmarks/networks.py{given} --limit {arguments.limit:.0f}`\n\n{versions}"


def _version(name: str) -> str:
    try:
        return str(importlib.import_module(name).__version__)
    except ImportError:
        return "not installed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="names of networks.txt")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one network")
    parser.add_argument("--write", action="store_true", help="keep the table as networks.md")
    arguments = parser.parse_args()
    lines = []
    for each in survey(arguments):
        lines.append(each)
        print(each, flush=True)
    if arguments.write:
        Path(__file__).with_suffix(".md").write_text("\n".join(["# Where networks are looked at", "", *lines, ""]))


if __name__ == "__main__":
    main()
