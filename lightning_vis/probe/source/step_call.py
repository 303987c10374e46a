"""The user's step as a network: images in, the answer out, nothing behind it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from lightning_vis.model.call import on_device, rows_for
from lightning_vis.model.hooks import after, before
from lightning_vis.model.places import Path, replaced, rows_of
from lightning_vis.model.snapshot.rng import begin_streams, random_streams
from lightning_vis.probe.witness.dry_run import goes_back_itself, still
from lightning_vis.probe.witness.replay import NoWayBack, meet, submodule
from lightning_vis.probe.witness.testimony import Testimony


class _Answered(BaseException):
    """The last submodule has returned; no ``except Exception`` of the step's own is to stop it."""


@dataclass(frozen=True)
class StepCall:
    """Runs the user's step on rows of a batch, with other images, up to the answer.

    Attributes:
        module: whose step it is; it should be lent meanwhile.
        step: runs the step on a batch.
        batch: on the CPU, with a row for each image of the probe.
        count: how many.
        testimony: what the step does with a batch.
        leaf: where in the batch the images are; None: they go into the first call, past whatever the step does to a batch.
        at_meeting: whether the answer is what meets the target: the step makes it of what the submodules return.
        rows: as of `lightning_vis.model.call.Call`.
    """

    module: nn.Module
    step: Callable[[Any], Any]
    batch: Any
    count: int
    testimony: Testimony
    leaf: Path | None = None
    at_meeting: bool = False
    rows: Tensor | None = None

    def at(self, rows: Tensor) -> StepCall:
        """The same for images that go with these rows: of the probe, or of those that were named before."""
        return replace(self, rows=rows if self.rows is None else self.rows[rows])

    def __call__(self, images: Tensor) -> Any:
        """What the network answers to images, the same whenever it is asked: the step's random numbers begin anew."""
        batch = self._batch(images)
        restores = [*random_streams()]
        begin_streams()
        try:
            with still(self.module):
                return self._answer(batch, images)
        finally:
            for restore in restores:
                restore()

    def _batch(self, images: Tensor) -> Any:
        """The rows that go with images, the images among them where the step takes them from the batch itself."""
        rows = rows_of(self.batch, rows_for(images, self.count, self.rows), self.count)
        batch = on_device(rows, images.device)
        return batch if self.leaf is None else replaced(batch, self.leaf, images)

    def _answer(self, batch: Any, images: Tensor) -> Any:
        found: list[Any] = []
        seen = [0, 0]
        taken_off = [before(submodule(self.module, self.testimony.module), partial(self._exchange, seen, images), first=True)]
        if not self.at_meeting:
            last = submodule(self.module, self.testimony.chain[-1])
            taken_off.append(after(last, partial(_stop, seen, found, self.testimony.nth)))
        try:
            return self._run(batch)
        except _Answered:
            return found[0]
        finally:
            for take_off in taken_off:
                take_off()

    def _run(self, batch: Any) -> Any:
        """Runs the step up to the meeting, or up to where the last submodule has returned, and no farther."""
        goes_back, meeting = goes_back_itself(self.module), self.testimony.meeting
        if self.at_meeting and meeting is not None:
            return meet(self.module, self.step, batch, meeting, goes_back=goes_back)[0]
        with nullcontext() if goes_back else NoWayBack():
            self.step(batch)
        raise LookupError(f"the step does not call {self.testimony.chain[-1] or 'the module itself'} in eval mode")

    def _exchange(self, seen: list[int], images: Tensor, module: nn.Module, args: Any, kwargs: Any) -> Any:
        """Has the first call get the images."""
        seen[0] += 1
        place = self.testimony.image_argument
        if self.leaf is not None or place is None or seen[0] != self.testimony.nth + 1:
            return None
        return replaced((args, kwargs), place, images)


def _stop(seen: list[int], found: list[Any], nth: int, module: nn.Module, args: Any, output: Any) -> None:
    if seen[0] > nth:
        found.append(output)
        raise _Answered
