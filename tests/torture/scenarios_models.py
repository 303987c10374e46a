"""Networks as people build them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .nets import CLASSES, Net
from .running import Run
from .scenario import scenario

USUAL = 5
"""Looks of a usual training."""


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


@scenario("models")
def transformer(run: Run) -> None:
    run.fit(Net(Tokens()))


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


@scenario("models", lends_hooks=True)
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


@scenario("models", frames=USUAL)
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


@scenario("models", frames=USUAL, views=0)
def adversarial_networks(run: Run) -> None:
    run.fit(Adversaries())
