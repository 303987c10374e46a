"""What a network answers is read from its first batch: steps of all kinds, with and without a sanity check."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytorch_lightning as pl
import torch
import torchmetrics
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss, relu, triplet_margin_loss
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from lightning_vis import ProbeCallback, saliency

from .nets import CLASSES, SIZE, Net, body, images, loaders
from .running import Run
from .scenario import scenario
from .scenarios_models import Lazy
from .scenarios_wrapped import forget_graphs

IS_SLOW = bool(os.environ.get("LIGHTNING_VIS_SLOW"))
"""Whether everything that is compiled is trained too, which takes minutes; ``make slow`` says so."""

Act = Callable[..., None]
Loaders = tuple[DataLoader[Any], DataLoader[Any]]


def watching() -> list[pl.Callback]:
    """Images and answer come from the Trainer's first batch."""
    return [ProbeCallback(images=False), ProbeCallback(None, [saliency()], images=False)]


def named(act: Act, name: str, sanity: int) -> Callable[[Run], None]:
    """A scenario of its own name with so many batches of sanity check."""

    def acted(run: Run) -> None:
        act(run, max_epochs=1, num_sanity_val_steps=sanity)

    acted.__name__ = name
    return acted


def task(only: int | None = None, *, slow: bool = False, **expected: Any) -> Callable[[Act], Act]:
    """Adds a training without a sanity check, and one with; or one of them only."""
    expected = {"callbacks": watching, "views": 3, **expected}

    def add(act: Act) -> Act:
        for sanity in (0, 2) if only is None else (only,):
            name = act.__name__ + (f"_after_sanity_{sanity}" if sanity else "")
            if IS_SLOW or not slow:
                scenario("task", lends_hooks=bool(sanity), **expected)(named(act, name, sanity))
        return act

    return add


def data(targets: Tensor, pixels: Tensor | None = None) -> Loaders:
    """As `nets.loaders`, with other targets."""
    pairs = TensorDataset(images(len(targets))[0] if pixels is None else pixels, targets)
    return DataLoader(pairs, 8, shuffle=True), DataLoader(pairs, 8)


class Task(Net):
    """Another loss, of another network.

    Args:
        loss: (output, target) -> loss.
        net: the network.
    """

    def __init__(self, loss: Callable[[Any, Any], Tensor], net: nn.Module | None = None) -> None:
        super().__init__(net)
        self.of = loss

    def loss(self, batch: Any) -> Tensor:
        return self.of(self(batch[0]), batch[1])


# --- compiled -----------------------------------------------------------------------------------------------------------


class CompiledNet(Net):
    def __init__(self, backend: str = "inductor") -> None:
        super().__init__()
        self.net = torch.compile(self.net, backend=backend)


class CompiledLoss(Net):
    """Its loss function is compiled, which nothing in the network tells."""

    def __init__(self, backend: str = "inductor") -> None:
        super().__init__()
        self.of = torch.compile(cross_entropy, backend=backend)

    def loss(self, batch: Any) -> Tensor:
        return self.of(self(batch[0]), batch[1])


class CompiledInPlace(Net):
    def __init__(self, backend: str = "inductor") -> None:
        super().__init__()
        self.net.compile(backend=backend)


class CompiledWhole(Net):
    """The LightningModule itself is compiled, its steps too."""

    def __init__(self, backend: str = "inductor") -> None:
        super().__init__()
        self.compile(backend=backend)


class CompiledStep(Net):
    """Network and loss are compiled as one function."""

    def __init__(self, backend: str = "inductor") -> None:
        super().__init__()
        self.whole = torch.compile(lambda net, batch: cross_entropy(net(batch[0]), batch[1]), backend=backend)

    def loss(self, batch: Any) -> Tensor:
        return self.whole(self.net, batch)


@cache
def warm_up() -> None:
    """What inductor sets up once in a process, threads and limits, is there before both trainings."""
    import torch._inductor.config as inductor

    inductor.compile_threads = 1  # its pool of processes starts whenever it likes
    forget_graphs()
    with inductor.patch(force_disable_caches=True):
        torch.compile(lambda x: (x.sin() + 1).sum())(torch.ones(4, requires_grad=True)).backward()


def compiled(run: Run, kind: type[Net], backend: str = "inductor", data: Loaders | None = None, **arguments: Any) -> None:
    if backend == "inductor":
        warm_up()
    forget_graphs()
    model = kind(backend)  # type: ignore[arg-type]
    run.fit(model, data=data, **arguments)
    forget_graphs()  # which hold tensors


def sizes() -> Loaders:
    """Batches of other sizes in validation: what is compiled first decides whether sizes are dynamic afterwards."""
    return loaders()[0], loaders(4)[1]


@task(2)
def net_by_inductor(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledNet, **arguments)


@task(2)
def loss_by_inductor(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledLoss, **arguments)


@task(1)
def step_by_inductor_with_other_sizes(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledStep, data=sizes(), **arguments)


@task(0, slow=True)
def net_by_inductor_at_once(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledNet, **arguments)


@task(0, slow=True)
def loss_by_inductor_at_once(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledLoss, **arguments)


@task(slow=True)
def step_by_inductor(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledStep, **arguments)


@task(1, slow=True)
def net_by_inductor_with_other_sizes(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledNet, data=sizes(), **arguments)


@task(1, slow=True)
def loss_by_inductor_with_other_sizes(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledLoss, data=sizes(), **arguments)


@task(slow=True)
def net_by_inductor_in_place(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledInPlace, **arguments)


@task(slow=True)
def lightning_module_by_inductor(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledWhole, **arguments)


@task()
def net_through_dynamo_in_place(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledInPlace, "eager", **arguments)


@task()
def lightning_module_through_dynamo(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledWhole, "eager", **arguments)


@task()
def loss_through_dynamo(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledLoss, "eager", **arguments)


@task(1)
def step_through_dynamo_with_other_sizes(run: Run, **arguments: Any) -> None:
    compiled(run, CompiledStep, "eager", data=sizes(), **arguments)


# --- networks -----------------------------------------------------------------------------------------------------------


class Encoder(nn.Module):
    """In eval mode a TransformerEncoder takes a fast path that no hook and no mode may see."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


@task()
def transformer_encoder(run: Run, **arguments: Any) -> None:
    run.fit(Net(Encoder()), **arguments)


class Frozen(Net):
    """A backbone that runs in eval mode and without gradients; only the head learns."""

    def __init__(self) -> None:
        super().__init__()
        self.net[:-1].requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.net[:-1](x)
        return self.net[-1](features)


@task()
def frozen_backbone(run: Run, **arguments: Any) -> None:
    run.fit(Frozen(), **arguments)


class Heads(nn.Module):
    """Two answers."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.kind, self.size = body()[:-1], nn.Linear(8, CLASSES), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.body(x)
        return {"kind": self.kind(features), "size": self.size(features)}


@task()
def dict_of_heads(run: Run, **arguments: Any) -> None:
    run.fit(Task(lambda out, y: cross_entropy(out["kind"], y) + out["size"].square().mean(), Heads()), **arguments)


class LikeHuggingFace(nn.Module):
    """Makes its own loss, and an object of all that it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.body = body()

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> SimpleNamespace:
        logits = self.body(pixel_values)
        return SimpleNamespace(loss=None if labels is None else cross_entropy(logits, labels), logits=logits)


class HuggingFace(Net):
    def __init__(self) -> None:
        super().__init__(LikeHuggingFace())

    def loss(self, batch: Any) -> Tensor:
        return self.net(pixel_values=batch[0], labels=batch[1]).loss


@task()
def output_like_hugging_face(run: Run, **arguments: Any) -> None:
    run.fit(HuggingFace(), **arguments)


@task()
def lazy_layers(run: Run, **arguments: Any) -> None:
    run.fit(Lazy(), **arguments)


# --- tasks --------------------------------------------------------------------------------------------------------------


def made(*last: nn.Module) -> nn.Module:
    """A convolution and what makes the answer of it."""
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), *last)


@task()
def regression(run: Run, **arguments: Any) -> None:
    net = made(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))
    run.fit(Task(mse_loss, net), data=data(torch.randn(24, 2)), **arguments)


@task(views=4)
def multilabel(run: Run, **arguments: Any) -> None:
    targets = (torch.rand(24, CLASSES) > 0.5).float()
    run.fit(Task(binary_cross_entropy_with_logits), data=data(targets), **arguments)


@task(views=4)
def segmentation(run: Run, **arguments: Any) -> None:
    targets = torch.randint(CLASSES, (24, SIZE, SIZE))
    run.fit(Task(cross_entropy, made(nn.Conv2d(6, CLASSES, 1))), data=data(targets), **arguments)


class Reconstructs(Net):
    def loss(self, batch: Any) -> Tensor:
        return mse_loss(self(batch[0]), batch[0])


@task(views=1)
def reconstruction(run: Run, **arguments: Any) -> None:
    run.fit(Reconstructs(made(nn.Conv2d(6, 3, 3, padding=1))), **arguments)


def far_apart(out: Tensor, labels: Tensor) -> Tensor:
    """Each image from its neighbours."""
    return triplet_margin_loss(out, out.roll(1, 0), out.roll(2, 0))


@task()
def embedding(run: Run, **arguments: Any) -> None:
    run.fit(Task(far_apart), **arguments)


def of_no_kind(out: Tensor, labels: Tensor) -> Tensor:
    return out.sin().mul(out.roll(1, 0)).sum().square()


@task(views=0)
def unknown(run: Run, **arguments: Any) -> None:
    run.fit(Task(of_no_kind), **arguments)


class Pairs(Dataset[Any]):
    """Two images and whether they are alike."""

    def __init__(self) -> None:
        self.pixels, self.labels = images(24)

    def __len__(self) -> int:
        return 24

    def __getitem__(self, at: int) -> Any:
        other = (at + 1) % 24
        return self.pixels[at], self.pixels[other], float(self.labels[at] == self.labels[other])


class Siamese(Net):
    def loss(self, batch: Any) -> Tensor:
        one, other, alike = batch
        distance = (self(one) - self(other)).square().sum(1)
        return (alike * distance + (1 - alike) * relu(1 - distance)).mean()


@task()
def siamese_pair(run: Run, **arguments: Any) -> None:
    run.fit(Siamese(), data=(DataLoader(Pairs(), 8), DataLoader(Pairs(), 8)), **arguments)


class WithMetadata(Net):
    """A second input goes into the network beside the images."""

    def __init__(self) -> None:
        super().__init__()
        self.age = nn.Linear(2, CLASSES)

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        return self.net(x) + self.age(age)

    def loss(self, batch: Any) -> Tensor:
        return cross_entropy(self(batch[0], batch[1]), batch[2])


@task()
def metadata(run: Run, **arguments: Any) -> None:
    pixels, labels = images(24)
    all_of_it = TensorDataset(pixels, torch.randn(24, 2), labels)
    run.fit(WithMetadata(), data=(DataLoader(all_of_it, 8), DataLoader(all_of_it, 8)), **arguments)


def of_5_axes(channels: int) -> Loaders:
    return data(torch.arange(24) % CLASSES, torch.rand(24, channels, 4, SIZE, SIZE))


@task()
def volume(run: Run, **arguments: Any) -> None:
    net = nn.Sequential(nn.Conv3d(1, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, 4))
    run.fit(Net(net), data=of_5_axes(1), **arguments)


class ByFrame(nn.Module):
    """A clip (N, C, T, H, W), each frame of it by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.net = body()

    def forward(self, clip: Tensor) -> Tensor:
        frames = clip.transpose(1, 2)
        return self.net(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]).mean(1)


@task()
def clip(run: Run, **arguments: Any) -> None:
    run.fit(Net(ByFrame()), data=of_5_axes(3), **arguments)


# --- steps --------------------------------------------------------------------------------------------------------------


class Gan(Net):
    """Two networks, two optimizers, one step of each."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Linear(4, 432), nn.Unflatten(1, (3, SIZE, SIZE))))
        self.critic = made(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 1))
        self.automatic_optimization = False

    def loss(self, batch: Any) -> Tensor:
        fake, real = self.critic(self.net(torch.randn(len(batch[0]), 4))), self.critic(batch[0])
        both = binary_cross_entropy_with_logits(real, torch.ones_like(real))
        return both + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))

    def training_step(self, batch: Any, batch_idx: int) -> None:
        for optimizer, sign in zip(self.optimizers(), (-1, 1), strict=True):
            loss = sign * self.loss(batch)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            self.log(f"loss {sign}", loss)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.net.parameters(), 1e-2), torch.optim.Adam(self.critic.parameters(), 1e-2)


@task()
def gan_by_hand(run: Run, **arguments: Any) -> None:
    run.fit(Gan(), **arguments)


class Sam(Net):
    """Sharpness-aware minimization: climbs, takes the gradient there, goes back, steps."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        optimizer, weights = self.optimizers(), [*self.parameters()]
        self.manual_backward(self.loss(batch))
        moves = [0.05 * each.grad / (each.grad.norm() + 1e-12) for each in weights]
        self._move(weights, moves, 1)
        optimizer.zero_grad()
        loss = self.loss(batch)
        self.manual_backward(loss)
        self._move(weights, moves, -1)
        optimizer.step()
        optimizer.zero_grad()
        self.log("loss", loss)

    @torch.no_grad()
    def _move(self, weights: list[nn.Parameter], moves: list[Tensor], sign: int) -> None:
        for each, move in zip(weights, moves, strict=True):
            each.add_(sign * move)


@task()
def sam_by_hand(run: Run, **arguments: Any) -> None:
    run.fit(Sam(), **arguments)


class AccumulatesByHand(Net):
    """Steps at every second batch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.manual_backward(self.loss(batch) / 2)
        if batch_idx % 2:
            self.optimizers().step()
            self.optimizers().zero_grad()


@task()
def accumulation_by_hand(run: Run, **arguments: Any) -> None:
    run.fit(AccumulatesByHand(), **arguments)


class CountsCalls(TorchFunctionMode):
    """A mode of the user's own, as profilers have them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


class HasMode(Net):
    """What its mode has counted in a step weighs; ours below it must add no call to it."""

    def __init__(self) -> None:
        super().__init__()
        self.mode = CountsCalls()

    def loss(self, batch: Any) -> Tensor:
        with self.mode:
            loss = super().loss(batch)
        return loss * (1 + 1e-3 * self.mode.calls)


@task()
def step_with_a_mode_of_its_own(run: Run, **arguments: Any) -> None:
    run.fit(HasMode(), **arguments)


class Busy(Net):
    """A step that counts, measures, draws random numbers and writes into its batch, all of which weighs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.accuracy = 0, torchmetrics.Accuracy("multiclass", num_classes=CLASSES)

    def loss(self, batch: Any) -> Tensor:
        pixels, labels = batch
        self.calls += 1
        pixels.add_(0.1 * torch.randn_like(pixels))
        if float(torch.rand(())) < 0.5:
            pixels = pixels.flip(3)
        out = self(pixels)
        self.accuracy(out.softmax(1), labels)
        self.log("accuracy", self.accuracy, on_step=self.trainer.training, on_epoch=True)
        return cross_entropy(out, labels) * (1 + 0.01 * self.calls)


@task()
def step_with_side_effects(run: Run, **arguments: Any) -> None:
    run.fit(Busy(), **arguments)


class Averages(Net):
    """An average of the weights in a network of its own, which teaches."""

    def __init__(self) -> None:
        super().__init__()
        self.teacher = body().requires_grad_(False)

    def loss(self, batch: Any) -> Tensor:
        with torch.no_grad():
            taught = self.teacher(batch[0]).softmax(1)
        out = self(batch[0])
        return cross_entropy(out, batch[1]) + mse_loss(out.softmax(1), taught)

    @torch.no_grad()
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        for teacher, each in zip(self.teacher.parameters(), self.net.parameters(), strict=True):
            teacher.lerp_(each, 0.1)


@task()
def average_that_teaches(run: Run, **arguments: Any) -> None:
    run.fit(Averages(), **arguments)


class CheckpointedStep(Net):
    """Recomputes in its backward pass what the step has not kept."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.reentrant = reentrant

    def loss(self, batch: Any) -> Tensor:
        features = checkpoint(self.net[3:-1], self.net[:3](batch[0]), use_reentrant=self.reentrant)
        return cross_entropy(self.net[-1](features), batch[1])


@task()
def gradient_checkpointing_in_the_step(run: Run, **arguments: Any) -> None:
    run.fit(CheckpointedStep(False), **arguments)


@task()
def reentrant_checkpointing_in_the_step(run: Run, **arguments: Any) -> None:
    run.fit(CheckpointedStep(True), **arguments)


@task()
def mixed_bf16(run: Run, **arguments: Any) -> None:
    run.fit(precision="bf16-mixed", **arguments)


@task()
def true_bf16(run: Run, **arguments: Any) -> None:
    run.fit(precision="bf16-true", **arguments)


# --- data and loops -----------------------------------------------------------------------------------------------------


class Stream(IterableDataset[Any]):
    """Counts what is read of it, which tells whether anybody else has read."""

    def __init__(self) -> None:
        self.read = 0

    def __iter__(self) -> Any:
        for pixels, label in zip(*images(24), strict=True):
            self.read += 1
            yield pixels + 0.001 * self.read, label


@task()
def stream(run: Run, **arguments: Any) -> None:
    run.fit(data=(DataLoader(Stream(), 8), DataLoader(Stream(), 8)), **arguments)


class Batches(list[Any]):
    """Ready-made batches are a loader too; a plain list would be one of loaders."""


@task()
def batches_in_a_list(run: Run, **arguments: Any) -> None:
    pixels, labels = images(24)
    batches = Batches([pixels[at : at + 8].clone(), labels[at : at + 8].clone()] for at in (0, 8, 16))
    run.fit(data=(batches, batches), **arguments)


class TakesIterator(Net):
    """Its steps take their batches by themselves."""

    def training_step(self, dataloader_iter: Any) -> Tensor:
        return self.loss(next(dataloader_iter)[0])


@task()
def step_that_takes_an_iterator(run: Run, **arguments: Any) -> None:
    run.fit(TakesIterator(), **arguments)


class Calm(Busy):
    """Leaves its batch as it is."""

    def loss(self, batch: Any) -> Tensor:
        return super().loss([batch[0].clone(), batch[1]])


@task(0)
def validated_alone(run: Run, **arguments: Any) -> None:
    run.trainer(**arguments).validate(Calm(), loaders()[1], verbose=False)


@task(0)
def validated_alone_by_a_step_that_writes(run: Run, **arguments: Any) -> None:
    run.trainer(**arguments).validate(Busy(), loaders()[1], verbose=False)


@task()
def resumed_in_mid_epoch(run: Run, **arguments: Any) -> None:
    steps = {**arguments, "max_epochs": -1, "max_steps": 2}
    run.fit(Busy(), **steps).save_checkpoint(run.folder / "kept.ckpt")
    again = run.trainer(**{**arguments, "max_epochs": 2})
    again.fit(Busy(), *loaders(), ckpt_path=run.folder / "kept.ckpt")
