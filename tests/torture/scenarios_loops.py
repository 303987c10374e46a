"""Loops as people run them."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    EarlyStopping,
    ModelCheckpoint,
)
from torch import Tensor
from torch.nn.functional import cross_entropy

from .nets import Net, loaders
from .running import Run, leftovers
from .scenario import as_people_start, drawing, scenario, unconfigured

# Steps 0, 1 and 2, and the ends of both epochs: three batches each.
USUAL = 5


@scenario("loops", frames=USUAL)
def plain(run: Run) -> None:
    run.fit()


@scenario("loops", frames=USUAL, callbacks=as_people_start)
def nothing_configured(run: Run) -> None:
    run.fit()


@scenario("loops", frames=USUAL)
def no_validation(run: Run) -> None:
    run.fit(data=(loaders()[0],))


@scenario("loops", frames=USUAL, callbacks=unconfigured)
def no_validation_nothing_configured(run: Run) -> None:
    run.fit(data=(loaders()[0],))


@scenario("loops", frames=USUAL, lends_hooks=True)
def sanity_check(run: Run) -> None:
    run.fit(num_sanity_val_steps=2)


@scenario("loops", frames=7)
def validation_every_two_epochs(run: Run) -> None:
    run.fit(max_epochs=4, check_val_every_n_epoch=2)


@scenario("loops", frames=8)
def validation_within_epochs(run: Run) -> None:
    run.fit(data=loaders(4), val_check_interval=0.5)


@scenario("loops")
def validation_every_five_batches_across_epochs(run: Run) -> None:
    run.fit(max_epochs=4, val_check_interval=5, check_val_every_n_epoch=None)


@scenario("loops", frames=USUAL)
def no_validation_batches(run: Run) -> None:
    run.fit(limit_val_batches=0)


@scenario("loops")
def limited_training_batches(run: Run) -> None:
    run.fit(limit_train_batches=2, limit_val_batches=0.5)


@scenario("loops")
def overfit_batches(run: Run) -> None:
    run.fit(overfit_batches=1)


@scenario("loops")
def accumulation(run: Run) -> None:
    run.fit(data=loaders(4), accumulate_grad_batches=4, val_check_interval=0.5)


@scenario("loops")
def accumulation_longer_than_an_epoch(run: Run) -> None:
    run.fit(accumulate_grad_batches=5, data=(loaders()[0],))


@scenario("loops", frames=5)
def max_steps_in_mid_epoch(run: Run) -> None:
    run.fit(max_epochs=-1, max_steps=4)


@scenario("loops", frames=0)
def max_steps_zero(run: Run) -> None:
    run.fit(max_steps=0)


@scenario("loops")
def gradient_clipping(run: Run) -> None:
    run.fit(gradient_clip_val=0.1)


@scenario("loops")
def early_stopping_on_the_validation_loss(run: Run) -> None:
    run.fit(Net(rate=0.3), EarlyStopping("val_loss", patience=1), max_epochs=6)


@scenario("loops")
def early_stopping_on_the_training_loss(run: Run) -> None:
    run.fit(Net(rate=0.3), EarlyStopping("loss", patience=1), max_epochs=6, data=(loaders()[0],))


@scenario("loops")
def checkpoints_of_the_best(run: Run) -> None:
    run.fit(Net(), ModelCheckpoint(run.folder / "best", monitor="val_loss", save_top_k=2, save_last=True), max_epochs=3)


@scenario("loops")
def checkpoints_every_two_steps(run: Run) -> None:
    run.fit(Net(), ModelCheckpoint(run.folder / "often", every_n_train_steps=2, save_top_k=-1))


@scenario("loops", frames=7, callbacks=drawing)
def fit_twice_with_one_trainer(run: Run) -> None:
    model, data = Net(), loaders()
    trainer = run.fit(model, data=data)
    trainer.fit_loop.max_epochs = 4
    trainer.fit(model, *data)


@scenario("loops", frames=USUAL)
def fit_twice_with_two_trainers(run: Run) -> None:
    model, data = Net(), loaders()
    run.fit(model, data=data)
    run.fit(model, data=data)


@scenario("loops", frames=7, callbacks=drawing)
def resume(run: Run) -> None:
    run.fit().save_checkpoint(run.folder / "kept.ckpt")
    again = run.trainer(max_epochs=4)
    again.fit(Net(), *loaders(), ckpt_path=run.folder / "kept.ckpt")


@scenario("loops", frames=6)
def resume_in_mid_epoch(run: Run) -> None:
    run.fit(max_epochs=-1, max_steps=4).save_checkpoint(run.folder / "kept.ckpt")
    again = run.trainer(max_epochs=3)
    again.fit(Net(), *loaders(), ckpt_path=run.folder / "kept.ckpt")


@scenario("loops", frames=5)
def resume_without_the_callbacks_state(run: Run) -> None:
    run.fit().save_checkpoint(run.folder / "kept.ckpt")
    content = torch.load(run.folder / "kept.ckpt", weights_only=True)
    content["callbacks"] = {}
    torch.save(content, run.folder / "stripped.ckpt")
    run.trainer(max_epochs=4).fit(Net(), *loaders(), ckpt_path=run.folder / "stripped.ckpt")


@scenario("loops", frames=1)
def validate_alone(run: Run) -> None:
    run.trainer().validate(Net(), loaders()[1], verbose=False)


@scenario("loops", frames=1)
def test_and_predict_alone(run: Run) -> None:
    model = Net()
    run.trainer().test(model, loaders()[1], verbose=False)
    run.trainer().predict(model, loaders()[1])


@scenario("loops")
def fit_then_validate_then_test(run: Run) -> None:
    model, data = Net(), loaders()
    trainer = run.fit(model, data=data)
    trainer.validate(model, data[1], verbose=False)
    trainer.test(model, data[1], verbose=False)


@scenario("loops")
def validate_then_fit(run: Run) -> None:
    model, data, trainer = Net(), loaders(), run.trainer()
    trainer.validate(model, data[1], verbose=False)
    trainer.fit(model, *data)


class Interrupted(Net):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        if self.current_epoch == 1:
            raise KeyboardInterrupt
        return super().training_step(batch, batch_idx)


@scenario("loops", frames=4, raises="SystemExit")
def interrupted(run: Run) -> None:
    run.fit(Interrupted())


class Failing(Net):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        if self.current_epoch == 1:
            raise RuntimeError("the user's own mistake")
        return super().training_step(batch, batch_idx)


@scenario("loops", frames=4, raises="RuntimeError")
def training_step_fails(run: Run) -> None:
    run.fit(Failing())


class SkipsSteps(Net):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        return None if batch_idx == 1 else super().training_step(batch, batch_idx)


@scenario("loops")
def training_step_skips_batches(run: Run) -> None:
    run.fit(SkipsSteps())


class TwoOptimizers(Net):
    """Manual optimization, two optimizers, gradients of the first alive while the second steps."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = torch.nn.Linear(4, 1)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        first, second = self.optimizers()
        output = self(batch[0])
        loss = cross_entropy(output, batch[1]) + 0.1 * self.critic(output).mean()
        self.manual_backward(loss)
        for optimizer in (first, second):
            optimizer.step()
        first.zero_grad()  # the critic's gradients stay and add up
        self.log("loss", loss)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.net.parameters(), 1e-2), torch.optim.SGD(self.critic.parameters(), 1e-2)


@scenario("loops", frames=USUAL)
def manual_optimization_with_two_optimizers(run: Run) -> None:
    run.fit(TwoOptimizers())


class Accumulating(Net):
    """Manual accumulation over epochs: gradients are alive at every hook."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.manual_backward(self.loss(batch) / 2)
        if self.trainer.fit_loop.epoch_loop.total_batch_idx % 4 == 3:
            self.optimizers().step()
            self.optimizers().zero_grad()


@scenario("loops")
def manual_accumulation_across_epochs(run: Run) -> None:
    run.fit(Accumulating(), max_epochs=3, data=(loaders()[0],))


class Counted(pl.Callback):
    """Counts what is alive after every epoch and refuses that it grows; the first two epochs may fill caches."""

    def __init__(self) -> None:
        self.found: list[dict[str, int]] = []

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.found.append(leftovers())
        if len(self.found) > 3 and any(
            now > then for now, then in zip(self.found[-1].values(), self.found[2].values(), strict=True)
        ):
            raise RuntimeError(f"grown from {self.found[2]} to {self.found[-1]}")


@scenario("loops", frames=13, callbacks=drawing)
def ten_epochs_leak_nothing(run: Run) -> None:
    run.fit(Net(), Counted(), max_epochs=10)
