"""What happens to weights and buffers: norms, parametrizations, pruning, sparse gradients, shared memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from .nets import CLASSES, Net, body
from .running import Run
from .scenario import scenario


def norm(kind: str) -> nn.Module:
    net = body()
    net[1] = {
        "group": lambda: nn.GroupNorm(2, 6),
        "instance": lambda: nn.InstanceNorm2d(6, track_running_stats=True),
        "cumulative": lambda: nn.BatchNorm2d(6, momentum=None),
        "batch only": lambda: nn.BatchNorm2d(6, track_running_stats=False),
        "lazy": lambda: nn.LazyBatchNorm2d(),
    }[kind]()
    return net


@scenario("weights")
def batch_norm_with_cumulative_average(run: Run) -> None:
    run.fit(Net(norm("cumulative")))


@scenario("weights")
def batch_norm_without_running_stats(run: Run) -> None:
    run.fit(Net(norm("batch only")))


@scenario("weights")
def group_norm(run: Run) -> None:
    run.fit(Net(norm("group")))


@scenario("weights")
def instance_norm_with_running_stats(run: Run) -> None:
    run.fit(Net(norm("instance")))


@scenario("weights")
def spectral_norm(run: Run) -> None:
    net = body()
    parametrizations.spectral_norm(net[4])
    run.fit(Net(net))


@scenario("weights")
def old_spectral_norm(run: Run) -> None:
    net = body()
    nn.utils.spectral_norm(net[4])
    run.fit(Net(net))


@scenario("weights")
def weight_norm(run: Run) -> None:
    net = body()
    parametrizations.weight_norm(net[4])
    run.fit(Net(net))


@scenario("weights")
def old_weight_norm(run: Run) -> None:
    net = body()
    nn.utils.weight_norm(net[4])
    run.fit(Net(net))


class Pruned(Net):
    """Prunes a layer between epochs: its parameter becomes another one."""

    def on_train_epoch_start(self) -> None:
        prune.random_unstructured(self.net[4], "weight", 0.3)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 1e-2)


@scenario("weights")
def pruned_between_epochs(run: Run) -> None:
    run.fit(Pruned(), max_epochs=3)


class Orthogonal(Net):
    """Puts a parametrization on a layer between epochs."""

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == 1:
            parametrizations.orthogonal(self.net[9])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.net[0].parameters(), 1e-2)


@scenario("weights")
def parametrization_between_epochs(run: Run) -> None:
    run.fit(Orthogonal(), max_epochs=3)


class LooksUp(Net):
    """Gradients of its embedding are sparse."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Embedding(8, CLASSES, sparse=True)
        self.automatic_optimization = False

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) + self.codes((x.mean((1, 2, 3)) * 8).long().clamp(0, 7))

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.manual_backward(self.loss(batch) / 2)  # gradients of two batches are alive at every hook between them
        if batch_idx % 2:
            for optimizer in self.optimizers():
                optimizer.step()
                optimizer.zero_grad()

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.net.parameters()), torch.optim.SparseAdam(self.codes.parameters())


@scenario("weights")
def sparse_gradients(run: Run) -> None:
    run.fit(LooksUp())


class Observes(nn.Module):
    """As quantization-aware training does: watches ranges, in eval mode too, in buffers that it resizes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.empty(0))
        self.register_buffer("high", torch.empty(0))

    def forward(self, x: Tensor) -> Tensor:
        low, high = torch.aminmax(x.detach())
        if not self.low.numel():
            self.low.resize_(1).copy_(low)
            self.high.resize_(1).copy_(high)
        self.low.copy_(torch.minimum(self.low, low))
        self.high.copy_(torch.maximum(self.high, high))
        scale = (self.high - self.low) / 255
        return x + (torch.round(x / scale) * scale - x).detach()


@scenario("weights")
def quantization_aware(run: Run) -> None:
    net = body()
    net[5] = nn.Sequential(nn.ReLU(), Observes())
    run.fit(Net(net))


class Views(Net):
    """A buffer that is a part of a weight, and one that is a view of another."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("first_filter", self.net[0].weight.data[0])
        self.register_buffer("queue", torch.zeros(2, 4))
        self.register_buffer("newest", self.queue[0])

    def forward(self, x: Tensor) -> Tensor:
        self.newest.add_(0.1)
        self.first_filter.mul_(0.99)
        return self.net(x) * (1 + 0.01 * self.queue.sum())


@scenario("weights")
def buffers_that_share_memory(run: Run) -> None:
    run.fit(Views())
