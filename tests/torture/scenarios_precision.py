"""Precision settings, on the CPU."""

from __future__ import annotations

import torch

from .nets import Net
from .running import Run
from .scenario import scenario


@scenario("precision")
def bf16_mixed(run: Run) -> None:
    run.fit(precision="bf16-mixed")


@scenario("precision")
def fp16_mixed_with_a_gradient_scaler(run: Run) -> None:
    run.fit(precision="16-mixed")


@scenario("precision")
def bf16_true(run: Run) -> None:
    run.fit(precision="bf16-true")


@scenario("precision")
def fp16_true(run: Run) -> None:
    run.fit(precision="16-true")


@scenario("precision")
def fp64_true(run: Run) -> None:
    run.fit(precision="64-true")


@scenario("precision")
def bf16_weights_by_hand(run: Run) -> None:
    class Half(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x.bfloat16()).float()

    model = Half()
    model.net.bfloat16()
    run.fit(model)


@scenario("precision")
def autocast_by_hand(run: Run) -> None:
    class Cast(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return self.net(x).float()

    run.fit(Cast())


@scenario("precision")
def mixed_precision_with_clipping_and_accumulation(run: Run) -> None:
    run.fit(precision="bf16-mixed", accumulate_grad_batches=2, gradient_clip_val=0.5)
