"""Networks as people build them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from .nets import CLASSES, Net, body
from .running import Run
from .scenario import scenario


class FrozenNorms(Net):
    """Keeps its norms frozen by overriding train(), and counts the calls."""

    calls = 0

    def train(self, mode: bool = True) -> FrozenNorms:
        self.calls += 1
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


@scenario("models")
def frozen_norms_by_overriding_train(run: Run) -> None:
    run.fit(FrozenNorms())


class PartlyEval(Net):
    def on_train_epoch_start(self) -> None:
        self.net[1].eval()
        self.net[6].eval()


@scenario("models")
def partly_eval_by_hand(run: Run) -> None:
    run.fit(PartlyEval())


class PartlyTrainInValidation(Net):
    """Monte Carlo dropout: dropout stays on in validation."""

    def on_validation_epoch_start(self) -> None:
        self.net[6].train()


@scenario("models")
def dropout_on_in_validation(run: Run) -> None:
    run.fit(PartlyTrainInValidation())


@scenario("models")
def frozen_all_but_the_head(run: Run) -> None:
    model = Net()
    model.net[:-1].requires_grad_(False)
    run.fit(model)


class Unfreezes(Net):
    def on_train_epoch_start(self) -> None:
        self.net[0].requires_grad_(self.current_epoch > 0)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 1e-2)


@scenario("models")
def unfreezes_in_the_second_epoch(run: Run) -> None:
    run.fit(Unfreezes())


class ReluTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3)
        self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.second(self.relu(self.first(x))))
        return self.head(x.mean((2, 3)))


@scenario("models")
def inplace_relu_and_conv_reused(run: Run) -> None:
    run.fit(Net(ReluTwice()))


class ConvTwice(ReluTwice):
    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.second(self.first(x)).relu()).relu()
        return self.head(x.mean((2, 3)))


@scenario("models")
def last_convolution_called_twice(run: Run) -> None:
    run.fit(Net(ConvTwice()))


def shared() -> nn.Module:
    """One convolution under two names, and a head whose weight is another's."""
    conv, head, other = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, CLASSES), nn.Linear(3, CLASSES)
    other.weight = head.weight
    return nn.Sequential(conv, nn.ReLU(), conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), Either(head, other))


class Either(nn.Module):
    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) + self.other(x)


@scenario("models")
def shared_modules_and_tied_weights(run: Run) -> None:
    run.fit(Net(shared()))


@scenario("models", views=1, refusal="feature map")
def fully_connected(run: Run) -> None:
    run.fit(Net(nn.Sequential(nn.Flatten(), nn.Linear(432, 16), nn.ReLU(), nn.Linear(16, CLASSES))))


class Tokens(nn.Module):
    """A vision transformer in small."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.block(tokens).mean(1))


@scenario("models", views=1, refusal="tokens")
def transformer(run: Run) -> None:
    run.fit(Net(Tokens()))


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


@scenario("models")
def batch_norm_with_cumulative_average(run: Run) -> None:
    run.fit(Net(norm("cumulative")))


@scenario("models")
def batch_norm_without_running_stats(run: Run) -> None:
    run.fit(Net(norm("batch only")))


@scenario("models")
def group_norm(run: Run) -> None:
    run.fit(Net(norm("group")))


@scenario("models")
def instance_norm_with_running_stats(run: Run) -> None:
    run.fit(Net(norm("instance")))


@scenario("models")
def spectral_norm(run: Run) -> None:
    net = body()
    parametrizations.spectral_norm(net[4])
    run.fit(Net(net))


@scenario("models")
def old_spectral_norm(run: Run) -> None:
    net = body()
    nn.utils.spectral_norm(net[4])
    run.fit(Net(net))


@scenario("models")
def weight_norm(run: Run) -> None:
    net = body()
    parametrizations.weight_norm(net[4])
    run.fit(Net(net))


@scenario("models")
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


@scenario("models")
def pruned_between_epochs(run: Run) -> None:
    run.fit(Pruned(), max_epochs=3)


class Orthogonal(Net):
    """Puts a parametrization on a layer between epochs."""

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == 1:
            parametrizations.orthogonal(self.net[9])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.net[0].parameters(), 1e-2)


@scenario("models")
def parametrization_between_epochs(run: Run) -> None:
    run.fit(Orthogonal(), max_epochs=3)


def lazy() -> nn.Module:
    return nn.Sequential(
        nn.LazyConv2d(6, 3),
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LazyLinear(CLASSES),
    )


class Lazy(Net):
    def __init__(self) -> None:
        super().__init__(lazy())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 1e-2)


@scenario("models", frames=4)
def lazy_modules(run: Run) -> None:
    run.fit(Lazy())


@scenario("models")
def lazy_modules_after_the_sanity_check(run: Run) -> None:
    run.fit(Lazy(), num_sanity_val_steps=1)


@scenario("models")
def channels_last(run: Run) -> None:
    run.fit(Net().to(memory_format=torch.channels_last))


@dataclass
class Output:
    logits: Tensor
    hidden: Tensor


class Wraps(Net):
    """Returns its logits in something."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Any:
        logits = self.net(x)
        return {
            "dict": {"logits": logits, "x": x},
            "tuple": (logits, x),
            "dataclass": Output(logits, x),
            "scalar": logits[:, 0].mean(),
        }[self.kind]

    def loss(self, batch: Any) -> Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])


@scenario("models")
def output_is_a_dict(run: Run) -> None:
    run.fit(Wraps("dict"))


@scenario("models")
def output_is_a_tuple(run: Run) -> None:
    run.fit(Wraps("tuple"))


@scenario("models")
def output_is_a_dataclass(run: Run) -> None:
    run.fit(Wraps("dataclass"))


@scenario("models", frames=0, refusal="class scores")
def output_is_one_number(run: Run) -> None:
    run.fit(Wraps("scalar"))


class Adversaries(Net):
    """A GAN: forward makes images out of noise, and the network that sees images is no part of it."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Linear(4, 432), nn.Unflatten(1, (3, 12, 12))))
        self.critic = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 1))
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        first, second = self.optimizers()
        made = self(torch.randn(len(batch[0]), 4))
        self.step(second, self.critic(made.detach()) - self.critic(batch[0]))
        self.step(first, -self.critic(made))

    def step(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss.mean())
        optimizer.step()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.critic(batch[0]).mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.net.parameters(), 1e-2), torch.optim.Adam(self.critic.parameters(), 1e-2)


@scenario("models", frames=0, refusal="cannot be multiplied")
def adversarial_networks(run: Run) -> None:
    run.fit(Adversaries())


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


@scenario("models")
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


@scenario("models")
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


@scenario("models")
def buffers_that_share_memory(run: Run) -> None:
    run.fit(Views())
