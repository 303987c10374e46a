"""What a forward pass may do besides: draw, count, log, cache, refuse."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from typing import Any

import numpy as np
import torch
import torchmetrics
from torch import Tensor, nn

from .nets import CLASSES, Net, body, loaders
from .running import Run
from .scenario import scenario

USUAL = 5
"""Looks of a usual training."""


class Draws(Net):
    """Draws from every stream there is, in eval mode as well."""

    def __init__(self) -> None:
        super().__init__()
        self.torch_stream = torch.Generator().manual_seed(1)
        self.numpy_stream = np.random.default_rng(1)
        self.old_stream = np.random.RandomState(1)
        self.python_stream = random.Random(1)

    def forward(self, x: Tensor) -> Tensor:
        shared = torch.rand(()).item() + float(np.random.rand()) + random.random()
        private = torch.rand((), generator=self.torch_stream).item() + self.numpy_stream.random()
        private += self.python_stream.random() + self.old_stream.rand()
        return self.net(x) * (1 + 0.01 * (shared + private))


@scenario("forward")
def draws_random_numbers_in_eval(run: Run) -> None:
    run.fit(Draws())


class SeedsNumpy(Net):
    def forward(self, x: Tensor) -> Tensor:
        np.random.seed(0)
        return self.net(x + 0.01 * torch.from_numpy(np.random.rand(*x.shape).astype(np.float32)))


@scenario("forward")
def seeds_numpy_in_forward(run: Run) -> None:
    run.fit(SeedsNumpy())


class Counts(Net):
    """Keeps all kinds of books in eval mode, and lets them weigh."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.calls, self.history = 0, []
        self.by_size: dict[int, int] = defaultdict(int)
        self.recent: deque[float] = deque(maxlen=3)
        self.shapes: set[tuple[int, ...]] = set()
        self.table = np.zeros(3)
        self.nested = {"inner": {"list": [0]}}
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        self.calls += 1
        self.history.append(float(x.detach().mean()))
        self.by_size[len(x)] += 1
        self.recent.append(float(x.detach().max()))
        self.shapes.add(tuple(x.shape))
        self.table[self.calls % 3] += 1
        self.nested["inner"]["list"][0] += 1
        self.last = x.detach().clone()
        books = float(self.seen) + self.calls + len(self.history) + sum(self.by_size.values()) + sum(self.recent)
        books += len(self.shapes) + self.table.sum() + self.nested["inner"]["list"][0]
        return self.net(x) * (1 + 1e-4 * books)


@scenario("forward")
def counts_and_remembers_in_eval(run: Run) -> None:
    run.fit(Counts())


class Memory:
    """A plain object of the user's, not a module."""

    def __init__(self) -> None:
        self.count, self.rows = 0, [0.0]


class KeepsObject(Net):
    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()

    def forward(self, x: Tensor) -> Tensor:
        self.memory.count += 1
        self.memory.rows.append(float(x.detach().mean()))
        return self.net(x) * (1 + 1e-3 * self.memory.count)


@scenario("forward")
def counts_in_an_object_of_its_own(run: Run) -> None:
    run.fit(KeepsObject())


class Bank(Net):
    """A memory bank: a buffer replaced by another, and a queue written in place, in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bank", torch.zeros(4, CLASSES))
        self.register_buffer("queue", torch.zeros(8))
        self.at = 0

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x)
        self.bank = 0.9 * self.bank + 0.1 * out.detach().mean(0)
        self.queue[self.at % 8] = float(out.detach().mean())
        self.at += 1
        return out + 0.1 * self.bank.mean() + 0.1 * self.queue.sum()


@scenario("forward")
def memory_bank_replaces_its_buffer(run: Run) -> None:
    run.fit(Bank())


class LogsInForward(Net):
    """Logs and updates a metric in forward: its own numbers must stay those of its own batches."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torchmetrics.MeanMetric()

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x)
        self.mean.update(out.detach().mean())
        self.log("forward", out.mean(), on_step=False, on_epoch=True)
        self.log_dict({"size": float(len(x))}, on_step=False, on_epoch=True, reduce_fx="sum")
        return out

    def on_train_epoch_end(self) -> None:
        self.log("mean", self.mean.compute())
        self.mean.reset()


@scenario("forward")
def logs_and_metrics_in_forward(run: Run) -> None:
    run.fit(LogsInForward())


class WritesInput(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.sub_(0.5).div_(0.3))


@scenario("forward")
def changes_its_input_in_place(run: Run) -> None:
    run.fit(WritesInput())


class ClampsWeights(Net):
    """Keeps its weights in bounds in forward, in eval mode too."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.net[4].weight.mul_(0.99).clamp_(-0.3, 0.3)
        return self.net(x)


@scenario("forward")
def shrinks_its_weights_in_forward(run: Run) -> None:
    run.fit(ClampsWeights())


class Renormalises(Net):
    """An embedding that renormalises the rows it looks up, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Embedding(8, CLASSES, max_norm=0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) + self.codes((x.mean((1, 2, 3)) * 8).long().clamp(0, 7))


@scenario("forward")
def embedding_with_max_norm(run: Run) -> None:
    run.fit(Renormalises())


class Merges(Net):
    """As LoRA does: train(False) merges an adapter into the weight, train(True) takes it out again."""

    def __init__(self) -> None:
        super().__init__()
        self.adapter = nn.Parameter(0.1 * torch.randn(8, CLASSES).T.contiguous())
        self.merged = False

    def train(self, mode: bool = True) -> Merges:
        with torch.no_grad():
            if mode is self.merged:
                self.net[9].weight.add_(self.adapter, alpha=-1.0 if mode else 1.0)
                self.merged = not mode
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        features = self.net[:9](x)
        return self.net[9](features) + (0 if self.merged else nn.functional.linear(features, self.adapter))


@scenario("forward")
def adapter_merged_by_train_false(run: Run) -> None:
    run.fit(Merges())


class BackwardInside(Net):
    """Calls backward inside its forward: energies, adversarial steps."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            moved = x.detach().clone().requires_grad_()
            self.net(moved).square().sum().backward()
        return self.net(x + 0.01 * moved.grad.sign())

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.loss(batch))


@scenario("forward", views=1, refusal="feature map")
def backward_inside_forward(run: Run) -> None:
    run.fit(BackwardInside())


class NoGrad(Net):
    """A forward without gradients; it trains another way."""

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def loss(self, batch: Any) -> Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])


@scenario("forward", frames=USUAL)
def forward_without_gradients(run: Run) -> None:
    run.fit(NoGrad())


class Refuses(Net):
    """Takes batches of its training's size only."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) != 8:
            raise RuntimeError(f"a batch of {len(x)}")
        return self.net(x)


@scenario("forward", frames=0, refusal="a batch of")
def forward_refuses_the_probe(run: Run) -> None:
    run.fit(Refuses())


class OutOfMemory(Net):
    """Has no memory for the probe's batch, in the second epoch."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) != 8 and self.current_epoch == 1:
            raise torch.OutOfMemoryError("tried to allocate 20.00 GiB")
        return self.net(x)


@scenario("forward", frames=USUAL, refusal="fewer images")
def out_of_memory_while_looking(run: Run) -> None:
    run.fit(OutOfMemory())


class Caches(Net):
    """Keeps a tensor of its first batch for ever."""

    cached: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.cached is None:
            self.cached = 0.1 * x.mean(0)
        return self.net(x + self.cached)


@scenario("forward")
def caches_a_tensor(run: Run) -> None:
    run.fit(Caches())


@scenario("forward", frames=1, raises="RuntimeError")
def caches_a_tensor_of_inference_mode(run: Run) -> None:
    model, data, trainer = Net(CachesInside()), loaders(), run.trainer()
    trainer.validate(model, data[1], verbose=False)
    trainer.fit(model, *data)


class CachesInside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net, self.scale, self.cached = body(), nn.Parameter(torch.ones(())), None

    def forward(self, x: Tensor) -> Tensor:
        if self.cached is None:
            self.cached = 0.1 * x.mean(0)
        return self.net(x + self.scale * self.cached)


class Diverges(Net):
    """Its weights go NaN in the second epoch."""

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == 1:
            with torch.no_grad():
                self.net[0].weight.fill_(torch.nan)


@scenario("forward", frames=5)
def weights_go_nan(run: Run) -> None:
    run.fit(Diverges())
