"""What people do besides modelling: hooks and counters for logging, writers of their own, state in odd places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from .nets import Net
from .running import Run
from .scenario import scenario

SEEN: list[Tensor] = []
LATEST: dict[str, float] = {}
STEP = 0


def keep(module: nn.Module, _: Any, output: Tensor) -> None:
    """A hook as in many a tutorial: it fills a global list."""
    SEEN.append(output.detach().mean())
    LATEST["mean"] = float(SEEN[-1])


class HooksIntoAGlobal(Net):
    """What the hook has gathered weighs."""

    def __init__(self) -> None:
        super().__init__()
        self.net[4].register_forward_hook(keep)

    def loss(self, batch: Any) -> Tensor:
        return super().loss(batch) * (1 + 1e-3 * len(SEEN) + 1e-3 * LATEST.get("mean", 0))


@scenario("habits")
def hook_that_fills_a_global_list(run: Run) -> None:
    SEEN.clear()
    LATEST.clear()
    run.fit(HooksIntoAGlobal())
    SEEN.clear()


def counted() -> tuple[Any, Any]:
    """A hook that counts in a closure, and what reads the count."""
    calls, rows = 0, []

    def hook(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        rows.append(calls)

    return hook, lambda: calls + len(rows)


class HooksIntoAClosure(Net):
    def __init__(self) -> None:
        super().__init__()
        hook, self.count = counted()
        self.net[4].register_forward_hook(hook)

    def loss(self, batch: Any) -> Tensor:
        return super().loss(batch) * (1 + 1e-3 * self.count())


@scenario("habits")
def hook_that_counts_in_a_closure(run: Run) -> None:
    run.fit(HooksIntoAClosure())


class CountsGlobally(Net):
    def forward(self, x: Tensor) -> Tensor:
        global STEP
        STEP += 1
        return self.net(x) * (1 + 1e-3 * STEP)


@scenario("habits")
def counts_in_a_global(run: Run) -> None:
    global STEP
    STEP = 0
    run.fit(CountsGlobally())


class CountsInItsClass(Net):
    calls = 0
    sizes: dict[str, int] = {}  # noqa: RUF012

    def forward(self, x: Tensor) -> Tensor:
        CountsInItsClass.calls += 1
        self.sizes["last"] = len(x)
        return self.net(x) * (1 + 1e-3 * self.calls)

    def loss(self, batch: Any) -> Tensor:
        return super().loss(batch) * (1 + 1e-3 * self.sizes.get("last", 0))


@scenario("habits")
def counts_in_its_class(run: Run) -> None:
    CountsInItsClass.calls = 0
    CountsInItsClass.sizes.clear()
    run.fit(CountsInItsClass())


@dataclass(slots=True)
class Meter:
    """A running mean, as every project has one."""

    total: float = 0.0
    count: int = 0


class KeepsMeter(Net):
    def __init__(self) -> None:
        super().__init__()
        self.meter = Meter()

    def forward(self, x: Tensor) -> Tensor:
        self.meter.total += float(x.detach().mean())
        self.meter.count += 1
        return self.net(x) * (1 + 1e-3 * self.meter.total / self.meter.count)


@scenario("habits")
def object_with_slots(run: Run) -> None:
    run.fit(KeepsMeter())


class WritesToTheLogger(Net):
    """Writes to the Trainer's logger in forward, and from a hook."""

    def __init__(self) -> None:
        super().__init__()
        self.net[4].register_forward_hook(self.write)

    def write(self, module: nn.Module, _: Any, output: Tensor) -> None:
        self.logger.experiment.add_scalar("activation", output.mean(), self.global_step)

    def forward(self, x: Tensor) -> Tensor:
        self.logger.log_metrics({"pixels": float(x.detach().mean())}, self.global_step)
        return self.net(x)


@scenario("habits")
def writes_to_the_logger_in_forward(run: Run) -> None:
    run.fit(WritesToTheLogger())


class KeepsWriter(Net):
    """Has a writer of its own beside the logger."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.writer, self.at = SummaryWriter(folder), 0
        self.net[4].register_forward_hook(self.write)

    def write(self, module: nn.Module, _: Any, output: Tensor) -> None:
        self.writer.add_scalar("activation", output.mean(), self.at)
        self.at += 1

    def on_fit_end(self) -> None:
        self.writer.close()


@scenario("habits")
def writes_to_a_writer_of_its_own(run: Run) -> None:
    run.fit(KeepsWriter(str(run.folder / "own")))


class Delegates(nn.Module):
    """Answers for the network inside, as wrappers do, and counts how often it was asked."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.asked = inner, [0]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if "asked" in vars(self):
                vars(self)["asked"][0] += 1
            return getattr(super().__getattr__("inner"), name)

    @property
    def temperature(self) -> float:
        """Not only an attribute: reading it is an event."""
        self.asked[0] += 1
        return 1 + 1e-3 * self.asked[0]

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * self.temperature


@scenario("habits")
def wrapper_that_delegates_and_counts(run: Run) -> None:
    run.fit(Net(Delegates(Net().net)))


class SwitchesGradientsOff(pl.Callback):
    """Leaves gradients off wherever Lightning does not switch them on itself."""

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        torch.set_grad_enabled(False)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        torch.set_grad_enabled(True)


@scenario("habits")
def gradients_off_between_epochs(run: Run) -> None:
    run.fit(before=[SwitchesGradientsOff()])
