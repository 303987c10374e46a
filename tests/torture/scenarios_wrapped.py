"""Networks that are compiled, scripted, checkpointed, functional."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from .nets import CLASSES, Net, body
from .running import Run
from .scenario import scenario


def forget_graphs() -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


class Compiled(Net):
    """Compiled with a backend that needs no C++ compiler; counters of graphs and recompilations are part of the comparison."""

    def __init__(self, part: str) -> None:
        super().__init__()
        if part == "submodule":
            self.net = torch.compile(self.net, backend="eager")
        elif part == "in place":
            self.net.compile(backend="eager")
        elif part == "a block":
            self.net[4] = torch.compile(self.net[4], backend="eager")
        elif part == "forward":
            self.forward = torch.compile(self.forward, backend="eager")


@scenario("wrapped")
def compiled_submodule(run: Run) -> None:
    forget_graphs()
    run.fit(Compiled("submodule"))


@scenario("wrapped")
def submodule_compiled_in_place(run: Run) -> None:
    forget_graphs()
    run.fit(Compiled("in place"))


@scenario("wrapped")
def compiled_block(run: Run) -> None:
    forget_graphs()
    run.fit(Compiled("a block"))


@scenario("wrapped")
def compiled_forward(run: Run) -> None:
    forget_graphs()
    run.fit(Compiled("forward"))


@scenario("wrapped")
def compiled_lightning_module(run: Run) -> None:
    forget_graphs()
    model = Net()
    model.compile(backend="eager")
    run.fit(model)


@scenario("wrapped", views=1, refusal="feature map")
def scripted_network(run: Run) -> None:
    run.fit(Net(torch.jit.script(body())))


@scenario("wrapped", views=1, refusal="feature map")
def traced_network(run: Run) -> None:
    run.fit(Net(torch.jit.trace(body(), torch.rand(2, 3, 12, 12), check_trace=False)))


def partly_scripted() -> nn.Module:
    stem = torch.jit.script(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU()))
    return nn.Sequential(stem, nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES))


@scenario("wrapped")
def scripted_stem(run: Run) -> None:
    run.fit(Net(partly_scripted()))


class Checkpointed(nn.Module):
    """Recomputes its middle in the backward pass, with dropout in it."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.stem, self.reentrant = nn.Conv2d(3, 6, 3, padding=1), reentrant
        self.middle = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.2))
        self.last = nn.Sequential(nn.Conv2d(6, 8, 3), nn.ReLU())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = checkpoint(self.middle, self.stem(x), use_reentrant=self.reentrant)
        return self.head(self.last(x).mean((2, 3)))


@scenario("wrapped")
def checkpointing(run: Run) -> None:
    run.fit(Net(Checkpointed(False)))


@scenario("wrapped")
def reentrant_checkpointing(run: Run) -> None:
    run.fit(Net(Checkpointed(True)))


class CheckpointedWhole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = body()

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint_sequential(self.net, 2, x, use_reentrant=True)


@scenario("wrapped")
def reentrant_checkpointing_of_everything(run: Run) -> None:
    run.fit(Net(CheckpointedWhole()))


class Functional(Net):
    """Runs its network through functional_call, with weights that it computes."""

    def forward(self, x: Tensor) -> Tensor:
        weights = {name: 0.99 * value for name, value in self.net.named_parameters()}
        return functional_call(self.net, weights, (x,))


@scenario("wrapped")
def functional_call_with_computed_weights(run: Run) -> None:
    run.fit(Functional())


class Mapped(Net):
    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(0), nn.Linear(6, 4)))

    def forward(self, x: Tensor) -> Tensor:
        return vmap(self.net)(x)


@scenario("wrapped", views=1, refusal="feature map")
def vmapped_network(run: Run) -> None:
    run.fit(Mapped())


def counting(calls: list[str], name: str) -> Any:
    def hook(*arguments: Any) -> None:
        calls.append(name)

    return hook


class Hooked(Net):
    """Hooks of the user's own on every site, which append to a list that weighs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        layer = self.net[4]
        layer.register_forward_hook(counting(self.calls, "forward"))
        layer.register_forward_pre_hook(counting(self.calls, "before"))
        layer.register_full_backward_hook(counting(self.calls, "backward"))
        layer.weight.register_hook(counting(self.calls, "weight"))
        layer.weight.register_post_accumulate_grad_hook(counting(self.calls, "accumulated"))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) * (1 + 1e-4 * len(self.calls))


@scenario("wrapped")
def hooks_of_the_users_own(run: Run) -> None:
    run.fit(Hooked())


class OneHookForAll(Net):
    """A global module hook that counts."""

    def on_fit_start(self) -> None:
        self.calls: list[str] = []
        self.handle = nn.modules.module.register_module_forward_hook(counting(self.calls, "any"))

    def on_fit_end(self) -> None:
        self.handle.remove()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) * (1 + 1e-5 * len(self.calls))


@scenario("wrapped")
def global_hooks_of_the_users_own(run: Run) -> None:
    run.fit(OneHookForAll())


class StepsInBackward(Net):
    """An optimizer per parameter that steps as soon as its gradient is there."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.steps = {each: torch.optim.SGD([each], 1e-2, momentum=0.9) for each in self.parameters()}
        self.handles = [each.register_post_accumulate_grad_hook(self.step_one) for each in self.parameters()]

    def on_fit_end(self) -> None:
        for handle in self.handles:
            handle.remove()  # or the hooks keep module and Trainer alive for ever

    def step_one(self, parameter: Tensor) -> None:
        self.steps[parameter].step()
        self.steps[parameter].zero_grad()

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.manual_backward(self.loss(batch))

    def configure_optimizers(self) -> None:
        return None


@scenario("wrapped")
def optimizer_steps_in_backward(run: Run) -> None:
    run.fit(StepsInBackward())


class HiddenModule(Net):
    """Keeps a network in a list, where torch does not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = [nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3))]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x + 0.1 * self.hidden[0](x))


@scenario("wrapped")
def network_hidden_in_a_list(run: Run) -> None:
    run.fit(HiddenModule())
