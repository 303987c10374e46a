"""Trainings on two processes, each with and without us: ``python sharded_run.py FOLDER SECONDS KIND...``."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.strategies.fsdp import _setup_activation_checkpointing
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import CPUOffloadPolicy, FullyShardedDataParallel, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

sys.path.insert(0, str(Path(__file__).parents[2]))

from lightning_vis import FilterMaximizationCallback, Probe, ProbeCallback, View, evidence
from lightning_vis.attribution.maps import grad_cam_map
from tests.torture.ddp_run import Seeds
from tests.torture.nets import CLASSES, Net, images, loaders
from tests.torture.running import Run, seed_everything
from tests.torture.spy import Trace


class OnCPU(FSDPStrategy):
    """Lightning refuses its own class on a CPU, and no other one; PyTorch wants the device to be named then."""

    def _setup_model(self, model: nn.Module) -> nn.Module:
        usual = {"sharding_strategy": self.sharding_strategy, "mixed_precision": self.mixed_precision_config}
        wrapped = FullyShardedDataParallel(model, device_id=torch.device("cpu"), **usual, **self.kwargs)
        _setup_activation_checkpointing(wrapped, self._activation_checkpointing_kwargs)
        return wrapped


class Spread(Net):
    """Three parts, of which strategies make units."""

    def __init__(self) -> None:
        first = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        second = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU())
        super().__init__(
            nn.Sequential(first, second, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES)))
        )


class Fully(Spread):
    """As FSDP2 wants it."""

    def configure_model(self) -> None:
        for each in (*self.net, self.net):
            fully_shard(each, mesh=self.device_mesh["data_parallel"])


class Mixed(Spread):
    """Computes in 16 bits, and keeps weights of 32."""

    def configure_model(self) -> None:
        for each in (*self.net, self.net):
            fully_shard(each, mesh=self.device_mesh["data_parallel"], mp_policy=MixedPrecisionPolicy(torch.bfloat16))


class Offloaded(Spread):
    """Its parts of the weights lie on the CPU, whatever the device is."""

    def configure_model(self) -> None:
        for each in (*self.net, self.net):
            fully_shard(each, mesh=self.device_mesh["data_parallel"], offload_policy=CPUOffloadPolicy(pin_memory=False))


class Tensors(Spread):
    """One layer split by its columns."""

    def configure_model(self) -> None:
        plan = {"2": ColwiseParallel(output_layouts=Replicate())}
        parallelize_module(self.net[2], self.device_mesh["tensor_parallel"], plan)


class Flat(Spread):
    """Without `use_orig_params` the optimizer has flat weights."""

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.trainer.model.parameters(), self.rate)


class Killed(Net):
    """Its second process dies in the middle of the training."""

    def loss(self, batch: Any) -> Tensor:
        if self.trainer.global_rank == 1 and self.trainer.global_step == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(batch)


class Fails:
    """A view that fails, in the one process that looks."""

    def __call__(self, record: Any) -> Tensor:
        raise RuntimeError("this view fails")


class Slow:
    """A view that takes longer than the process group waits."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, record: Any) -> Tensor:
        time.sleep(self.seconds)
        return grad_cam_map(record)


def probe() -> Probe:
    """With masks and labels, so that numbers are measured on one rank and logged on both."""
    masks = torch.zeros(4, 12, 12)
    masks[:, 3:8, 3:8] = 1
    return Probe(images(4, seed=1)[0], [0, 0, 1, 1], masks)


def usual() -> list[pl.Callback]:
    return [ProbeCallback(probe(), on_error="raise"), FilterMaximizationCallback(channels=1, steps=2, on_error="raise")]


def unconfigured() -> list[pl.Callback]:
    """Nothing is said of the images and of the task."""
    return [ProbeCallback(on_error="raise", images=False), FilterMaximizationCallback(channels=1, steps=2)]


def failing() -> list[pl.Callback]:
    return [ProbeCallback(probe(), [View("fails", ("net.0",), Fails()), evidence()], images=False)]


def slow() -> list[pl.Callback]:
    view = View("slow", ("net.0",), Slow(float(sys.argv[2]) + 3))
    return [ProbeCallback(probe(), [view], at_steps=(), on_error="raise", images=False, exchange=False)]


CONVS: dict[str, Any] = {"auto_wrap_policy": {nn.Conv2d}}
FSDP: dict[str, dict[str, Any]] = {
    "fsdp": CONVS,
    "flat": {**CONVS, "use_orig_params": False},
    "whole": {},
    "mixed": CONVS,
    "recomputed": {**CONVS, "activation_checkpointing_policy": {nn.Conv2d}},
    "gradients": {**CONVS, "sharding_strategy": "SHARD_GRAD_OP"},
    "hybrid": {**CONVS, "sharding_strategy": "HYBRID_SHARD"},
    "offloaded": {**CONVS, "cpu_offload": True},
}
PARALLEL = {"fsdp2": (2, 1), "tensors": (1, 2), "fsdp2-mixed": (2, 1), "fsdp2-offloaded": (2, 1)}
NETS = {"fsdp2": Fully, "tensors": Tensors, "flat": Flat, "fsdp2-mixed": Mixed, "fsdp2-offloaded": Offloaded}
PRECISIONS = {"mixed": "bf16-mixed", "fsdp2-mixed": "32-true"}
OURS = {"failing": failing, "unconfigured": unconfigured, "slow": slow}
ALONE = ("slow", "killed", "monitored")
"""Without us there is nothing to compare these with."""


def network(name: str, what: str) -> Net:
    """What is trained; where a process dies, one that kills it."""
    kind = NETS.get(name, Spread)
    return type("Dies", (Killed, kind), {})() if what == "killed" else kind()


def strategy(name: str, seconds: float) -> Any:
    """As Lightning's own, on gloo."""
    common = {"process_group_backend": "gloo", "timeout": timedelta(seconds=seconds)}
    if name == "ddp":
        return DDPStrategy(**common)
    if name in PARALLEL:
        return ModelParallelStrategy(*PARALLEL[name], save_distributed_checkpoint=False, **common)
    # PyTorch crashes where it gathers whole weights on a CPU and moves them to one.
    return OnCPU(**FSDP[name], **common, state_dict_type="sharded")


class Notes(pl.Callback):
    """What every process knows of our numbers when a validation ends, and at which step."""

    def __init__(self) -> None:
        self.known: list[Any] = []

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.sanity_checking:
            return
        numbers = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("reliance/")}
        self.known.append((trainer.global_step, numbers))


def acting(folder: Path) -> list[pl.Callback]:
    """What acts on our numbers."""
    tag = "reliance/background_effect"
    return [EarlyStopping(tag, patience=0, min_delta=1.0), ModelCheckpoint(folder, monitor=tag, filename="best")]


def trained(folder: Path, kind: str, how: str, seconds: float) -> None:
    """One training, and what this process found in it as a file."""
    folder.mkdir(exist_ok=True)
    seed_everything(7)
    name, _, what = kind.partition(" ")
    module = network(name, what)
    begun = {key: each.clone() for key, each in module.state_dict().items()}
    run, notes = Run(folder, list if how == "without" else OURS.get(what, usual), Trace()), Notes()
    users = [*(acting(folder) if what == "monitored" else []), notes]
    trainer = run.trainer(
        *users,
        before=[Seeds()],
        accelerator="cpu",
        devices=2,
        strategy=strategy(name, seconds),
        num_sanity_val_steps=1,  # FSDP sets itself up when it is met first, and that may be our look
        val_check_interval=2,
        accumulate_grad_batches=2,
        precision=PRECISIONS.get(name, "32-true"),
        max_epochs=4 if what == "monitored" else 1,
        enable_checkpointing=what == "monitored",
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if what == "alone":
            trainer.validate(module, loaders(4)[1], verbose=False)
        else:
            trainer.fit(module, *loaders(4))
    kept = {**found(run, trainer, users, notes), "begun": begun, "said": [str(each.message) for each in caught]}
    (folder / f"rank{trainer.global_rank}.pickle").write_bytes(pickle.dumps(kept))


def found(run: Run, trainer: Any, users: list[Any], notes: Notes) -> dict[str, Any]:
    films = [each.film for each in run.made]
    first = [{key: each.values for key, each in film.frames[0].maps.items()} for film in films if film.frames]
    best = [str(each.best_model_score) for each in users if isinstance(each, ModelCheckpoint)]
    return {
        "hooks": run.trace.hooks,
        "stuck": run.trace.stuck,
        "looks": [[(frame.moment, frame.finished_steps) for frame in film.frames] for film in films],
        "maps": first,
        "known": notes.known,
        "ended": (trainer.global_step, best, [each.stopped_epoch for each in users if isinstance(each, EarlyStopping)]),
    }


def main(folder: Path, seconds: float, kinds: list[str]) -> None:
    torch.set_num_threads(1)
    child = os.fork()
    os.environ["LOCAL_RANK"] = str(int(child == 0))
    for kind in kinds:
        for how in ("with",) if kind.endswith(ALONE) else ("without", "with"):
            trained(folder / f"{kind}, {how}", kind, how, seconds)
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
