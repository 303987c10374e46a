"""Facts about a Trainer: step, moment, precision, averaged weights."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from lightning_vis.callbacks.schedule import ends_epoch
from lightning_vis.probe.from_trainer import is_read, loader_of, loaders_of
from lightning_vis.probe.source.source import Source


def finished_steps(trainer: Any, moment: str) -> int:
    """Batches whose optimizer steps are finished, however many optimizers there are.

    Lightning counts them only after the hooks of the batch and of the validation behind it, so that at ``"step"`` and
    ``"validation"`` the running batch is still to be added, unless it only accumulates.
    """
    loop = trainer.fit_loop.epoch_loop
    running = moment in ("step", "validation") and not loop._should_accumulate()
    return int(loop._batches_that_stepped) + running


def log_step(trainer: Any, finished: int) -> int:
    """The step of Lightning's own epoch scalars: a logged ``step`` if there is one, else one less than what is finished.

    The untrained network stands at -1.
    """
    logged = logged_step(trainer)
    return finished - 1 if logged is None else logged


def logged_step(trainer: Any) -> int | None:
    """The value that the user logs under the name ``step`` in this loop, if they do.

    It is read from the sums that Lightning keeps, not through ``callback_metrics``, which would compute every metric.
    """
    for _, result in trainer._results.valid_items() if trainer._results is not None else ():
        if result.meta.name == "step" and result.is_tensor:
            total = result.value / result.cumulated_batch_size if result.meta.is_mean_reduction else result.value
            return int(total)
    return None


def moment_of(trainer: Any, callback: Any, moment: str, finished: int) -> dict[str, Any]:
    """Where in the training a frame stands, as fields of a `Frame`.

    At the end of fit Lightning has already counted the last epoch. An epoch that is cut short (``max_steps``) is none: its
    last look is called by its step. A fit that goes on without a film begins one where the fit before it ended.

    Args:
        trainer: whose training it is.
        callback: ours, one of the Trainer's.
        moment: the hook we are in: ``"start"``, ``"step"``, ``"validation"``, ``"epoch"``, ``"end"``, or ``"validate"`` and
            ``"test"`` outside of fit.
        finished: steps.
    """
    if moment in ("validate", "test"):
        return {"finished_steps": finished, "log_step": finished - 1, "epoch": trainer.current_epoch, "moment": moment}
    whole = ends_epoch(trainer)
    if moment in ("epoch", "validation"):
        epoch, named = trainer.current_epoch + whole, "epoch" if whole else moment.replace("epoch", "step")
    else:
        cut = moment == "end" and not whole
        goes_on = moment == "start" and finished > 0
        epoch = trainer.current_epoch - cut
        named = "step" if cut or (goes_on and not whole) else "epoch" if goes_on else moment
    return {
        "finished_steps": finished,
        "log_step": log_step(trainer, finished),
        "epoch": epoch,
        "moment": named,
        "weights": weights_looked_at(trainer, callback, moment),
    }


def precision_of(trainer: Any) -> tuple[Callable[[], AbstractContextManager[Any]], Callable[[Any], Any] | None]:
    """The context of a forward pass, and what converts its input.

    Under ``*-mixed`` the weights are fp32, and so is the look; under ``*-true`` the Trainer's precision rules.
    """
    plugin = trainer.precision_plugin
    if "true" not in str(plugin.precision) or plugin.precision == "32-true":
        return nullcontext, None
    return plugin.forward_context, plugin.convert_input


def source_of(trainer: Any, module: Any, step: str) -> Source:
    """What is known of a Trainer where its data and its step are read.

    Args:
        trainer: its loaders are ready.
        module: the Lightning module.
        step: the name of its step.
    """
    return Source(
        step=partial(_run_step, trainer, module, step),
        transfer=partial(_transferred, trainer, module),
        loader=loader_of(trainer),
        weights=trained_weights(trainer, module),
        optimizers=tuple(trainer.optimizers),
        is_alone=trainer.world_size == 1,
        datamodule=getattr(trainer, "datamodule", None),
        loaders=loaders_of(trainer),
        is_read=is_read(trainer),
        is_quiet=trainer.progress_bar_callback is None,
    )


def trained_weights(trainer: Any, module: Any) -> set[int]:
    """Ids of the parameters that an optimizer has; of all that take gradients outside of a fit, and where it has parts of them."""
    optimizers = [] if is_sharded(trainer) else trainer.optimizers
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    found = {id(each) for group in groups for each in group["params"]}
    return found or {id(each) for each in module.parameters() if each.requires_grad}


def _run_step(trainer: Any, module: Any, name: str, batch: Any) -> Any:
    """The user's step on a batch, in the Trainer's precision, as if it were the first batch."""
    step = getattr(module, name)
    parameters = inspect.signature(step).parameters
    context = (
        "train_step_context"
        if name == "training_step"
        else f"{name.removesuffix('idation_step').removesuffix('_step')}_step_context"
    )
    known: dict[str, Any] = {"batch_idx": 0, "dataloader_idx": 0}
    beside = [known[each] for each in list(parameters)[1:] if each in known] or [0] * (len(parameters) > 1)
    given = (iter([(batch, 0, 0)]),) if "dataloader_iter" in parameters else (batch, *beside)  # it takes its batches by itself
    with getattr(trainer.precision_plugin, context)():
        return step(*given)


def _transferred(trainer: Any, module: Any, batch: Any) -> Any:
    """A batch as a step gets it: converted, changed by the user's hooks, on the device; what the hooks count is put back."""
    with _counts_kept(module, getattr(trainer, "datamodule", None)):
        batch = trainer.precision_plugin.convert_input(batch)
        batch = module._on_before_batch_transfer(batch, dataloader_idx=0)
        return trainer.strategy.batch_to_device(batch, dataloader_idx=0)


@contextmanager
def _counts_kept(*owners: Any) -> Iterator[None]:
    """Puts back the numbers, texts and flags of some objects."""
    kinds = (int, float, str, bytes, tuple, type(None))
    kept = [(vars(owner), dict(vars(owner))) for owner in owners if owner is not None]
    try:
        yield
    finally:
        for attributes, before in kept:
            for name in [name for name, value in attributes.items() if name not in before and isinstance(value, kinds)]:
                del attributes[name]  # the class has what it began with
            attributes.update({name: value for name, value in before.items() if isinstance(value, kinds)})


def time_limit_of(trainer: Any) -> float:
    """Seconds that a training may take from now on by ``max_time`` or a `Timer`; infinite where none says so."""
    timers = [each for each in trainer.callbacks if "Timer" in {kind.__name__ for kind in type(each).__mro__}]
    left = [each.time_remaining() for each in timers if callable(getattr(each, "time_remaining", None))]
    return float(max(0, min((each for each in left if isinstance(each, (int, float))), default=math.inf)))


def refusal_of(trainer: Any) -> str:
    """Why nothing is looked at: a strategy that was never tried, or a Trainer that was asked to do nothing beside the training."""
    if getattr(trainer, "barebones", False):
        return "a Trainer with barebones=True logs nothing, so nothing is looked at"
    if _is_under(trainer, "DeepSpeedStrategy"):
        return "under DeepSpeedStrategy, which was never tried with it, nothing is looked at"
    return ""


def is_sharded(trainer: Any) -> bool:
    """Whether each process holds a part of the weights only."""
    return _is_under(trainer, "FSDPStrategy", "ModelParallelStrategy")


def _is_under(trainer: Any, *strategies: str) -> bool:
    return any(kind.__name__ in strategies for kind in type(trainer.strategy).__mro__)


def looks_here(trainer: Any) -> bool:
    """Whether this process is the one that looks: the first one, unless nothing is looked at."""
    return bool(trainer.is_global_zero) and not refusal_of(trainer)


def weights_looked_at(trainer: Any, callback: Any, moment: str) -> str:
    """``"averaged"`` where another callback has put an average of weights into the network at this moment, else ``"raw"``.

    Lightning's ``WeightAveraging`` lends its average for the validation and takes it back in the very hook that we look in,
    so that the order of the callbacks decides; at the end of fit it leaves it there, and so does SWA.

    Args:
        trainer: during fit.
        callback: ours, one of the Trainer's.
        moment: ``"start"``, ``"step"``, ``"validation"``, ``"epoch"`` or ``"end"``.
    """
    callbacks = list(trainer.callbacks)
    own = callbacks.index(callback)
    for at, other in enumerate(callbacks):
        kinds = {base.__name__ for base in type(other).__mro__}
        if "WeightAveraging" in kinds and _lends(other, moment, at < own):
            return "averaged"
        if "StochasticWeightAveraging" in kinds and _has_left(trainer, other, moment, at < own):
            return "averaged"
    return "raw"


def _lends(average: Any, moment: str, comes_first: bool) -> bool:
    there = getattr(average, "_average_model", None) is not None
    return there and ((moment == "validation" and not comes_first) or (moment == "end" and comes_first))


def _has_left(trainer: Any, average: Any, moment: str, comes_first: bool) -> bool:
    """SWA moves its average into the network for one more epoch, that of the norms, or, without norms, at the end."""
    model = getattr(average, "_average_model", None)  # a user's own class of this name has none
    if model is None or average._max_epochs == -1:
        return moment == "end" and comes_first and model is not None
    epoch = trainer.current_epoch - (moment == "end")
    return bool(epoch > average.swa_end or (moment == "end" and epoch == average.swa_end and comes_first))
