"""Takes a probe from a Trainer's data: by index, else from the first batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from lightning_vis.constants import LIGHTNING
from lightning_vis.model.layers import has_lazy_layers
from lightning_vis.model.run import ForwardConfig
from lightning_vis.model.scores import class_scores
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.dataset import Item, named, scaling_of, stacked
from lightning_vis.probe.forward_tracer import EntryPoint, ForwardTracer
from lightning_vis.probe.labels import class_names_of
from lightning_vis.probe.probe import Probe

CHANGES = ("on_before_batch_transfer", "on_after_batch_transfer")


class TrainerProbe:
    """Finds a probe in the data of a Trainer, once per run, for all who ask.

    By index where that gives what the network gets. Where it cannot (data without an index, items that are no pairs of
    image and label, a ``collate_fn`` or a hook that changes batches, a module without a ``forward`` that takes images
    and returns class scores) one batch is watched on its way through the network.

    Those who bring a probe ask too: how the network is run may have to be watched.

    Attributes:
        probe: what has been found.
        was_asked: whether somebody has begun to ask in this run.
    """

    def __init__(self) -> None:
        self.probe: Probe | None = None
        self.was_asked = False
        self._entry: EntryPoint | None = None
        self._no_forward: str | None = None  # why the module itself cannot be run; "" if it can
        self._reason = ""  # why images cannot be taken by index
        self._has_looked = False  # at the data
        self._nothing = ""  # why nothing was found in the batch that was watched
        self._tracer: ForwardTracer | None = None
        self._items: list[Item] = []

    def entry(self, given: Probe | None) -> EntryPoint | None:
        """The submodule that is run; None: the module itself, as usual."""
        return None if given is not None and not self._no_forward else self._entry

    @torch.inference_mode(False)  # Lightning validates in it, and what is made there takes no gradient ever
    def from_loader(
        self,
        trainer: Any,
        module: nn.Module,
        given: Probe | None,
        running: ForwardConfig,
        indices: Sequence[int] | None = None,
    ) -> Probe | None:
        """Images of the Trainer's own data: no loader is iterated and no random stream is touched.

        Args:
            trainer: its loaders are ready.
            module: what is to be looked at.
            given: the user's probe, if there is one.
            running: how it is run.
            indices: the images of a run that goes on; None to choose.

        Returns:
            None if a batch must be watched instead.
        """
        self.was_asked = True
        if self._no_forward is None:
            self._no_forward = _no_forward(module)
        if given is None and not self._has_looked:
            self._has_looked = True
            loader = loader_of(trainer)
            self._reason = self._no_forward or _obstacle(trainer, module, loader)
            if not self._reason:
                self._take_by_index(trainer, module, running, loader, indices)
        return self._known(trainer, given)

    def start(self, module: nn.Module, batch: Any) -> None:
        """A batch is about to go through the network, and somebody needs to know how: it is watched."""
        if self._tracer is None and self._entry is None and not self._nothing:
            self._tracer = ForwardTracer(module, batch)

    @torch.inference_mode(False)
    def finish(self, trainer: Any, given: Probe | None) -> Probe | None:
        """The batch is through: the images, if it was watched.

        Raises:
            ValueError: nobody took images and returned class scores.
        """
        if self._tracer is not None:
            tracer, self._tracer = self._tracer, None
            tracer.stop()
            try:
                self._entry, self._items = tracer.found()
            except LookupError as error:
                self._nothing = str(error)
        known = self._known(trainer, given)
        if known is None and self._nothing:
            raise ValueError(self._nothing_found(given))
        return known

    def stop(self) -> None:
        """Takes the hooks off, whatever happened, and lets go of what nobody has wanted."""
        self._items = []
        if self._tracer is not None:
            self._tracer.stop()
            self._tracer = None

    def _known(self, trainer: Any, given: Probe | None) -> Probe | None:
        if given is not None:
            return given if self._entry is not None or self._no_forward == "" else None
        if self.probe is None and self._items:
            self.probe = _probe_of(trainer, self._items)
        return self.probe

    def _nothing_found(self, given: Probe | None) -> str:
        remedy = "give the module a forward(images) that returns class scores"
        if given is not None:
            return f"{self._no_forward}, and in the first batch {self._nothing}: {remedy}"
        return (
            f"no probe= was given, none can be taken by index ({self._reason}), and in the first batch {self._nothing}:"
            f" pass probe=Probe(images, labels), and {remedy}"
        )

    def _take_by_index(
        self, trainer: Any, module: nn.Module, running: ForwardConfig, loader: Any, indices: Sequence[int] | None
    ) -> None:
        dataset = loader.dataset
        try:
            known = indices if indices is None or max(indices) < len(dataset) else None
            probe = Probe.from_dataset(dataset, indices=known, class_names=_class_names(trainer, dataset))
            if not has_lazy_layers(module):
                _try(module, probe, running)
        except Exception as error:
            self._reason = f"{error}".strip().split("\n")[0].rstrip(".") or type(error).__name__
        else:
            self.probe = probe


def loader_of(trainer: Any) -> Any:
    """The loader that images are taken from: the first for validation or test, else the first for training."""
    # Neither `or` nor `if`: the truth of a loader is its length, which iterable data do not have.
    given = trainer.test_dataloaders if trainer.state.fn == "test" else trainer.val_dataloaders
    loaders = trainer.train_dataloader if given is None or given in ([], ()) else given
    while isinstance(loaders, (list, tuple, Mapping)) and len(loaders):
        loaders = next(iter(loaders.values() if isinstance(loaders, Mapping) else loaders))
    return loaders


def _try(module: nn.Module, probe: Probe, running: ForwardConfig) -> None:
    """Raises if the module cannot be run on the images, or if what it returns cannot be read."""
    with preserve_state(module), torch.no_grad():
        run = running.prepare(module, probe.images[:1])
        with run.context():
            class_scores(run.forward(run.images.clone()))


def _probe_of(trainer: Any, items: list[Item]) -> Probe:
    images, labels, masks = stacked(items, "the first batch")
    dataset = getattr(loader_of(trainer), "dataset", None)
    scaling = scaling_of(dataset)
    known: dict[str, Any] = {"class_names": named(_class_names(trainer, dataset), items)}
    if scaling is not None and not {len(scaling[0]), len(scaling[1])} - {1, images.shape[1]}:
        known |= {"mean": scaling[0], "std": scaling[1]}
    return Probe(images, labels, masks, **known)


def _obstacle(trainer: Any, module: nn.Module, loader: Any) -> str:
    """Why images taken by index would not be what the network gets; empty if they would."""
    for owner in (module, getattr(trainer, "datamodule", None)):
        changed = [name for name in CHANGES if owner is not None and _is_users(getattr(owner, name, None))]
        if changed:
            return f"{type(owner).__name__}.{changed[0]} changes the batches"
    if getattr(loader, "dataset", None) is None:
        return f"a {type(loader).__name__} has no dataset"
    collate = getattr(loader, "collate_fn", None)
    if collate is not None and not _home(collate).startswith("torch.utils.data"):
        return f"the loader's collate_fn, {getattr(collate, '__name__', type(collate).__name__)}, makes its batches"
    return ""


def _no_forward(module: nn.Module) -> str:
    return "" if _is_users(getattr(module, "forward", None)) else f"{type(module).__name__} has no forward"


def _is_users(method: Callable[..., Any] | None) -> bool:
    """Whether a hook is more than Lightning's own, which does nothing."""
    return method is not None and _home(method).partition(".")[0] not in (*LIGHTNING, "torch")


def _home(function: Any) -> str:
    return str(getattr(getattr(function, "__func__", function), "__module__", ""))


def _class_names(trainer: Any, dataset: Any) -> tuple[str, ...]:
    return class_names_of(getattr(trainer, "datamodule", None)) or class_names_of(dataset)
