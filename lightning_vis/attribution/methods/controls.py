"""The control of a method: the same maps of a network whose weights are shuffled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from lightning_vis.attribution.methods.choice import settled
from lightning_vis.attribution.recorders import gradients
from lightning_vis.attribution.records import Recorded, Recorder, Requests
from lightning_vis.model.run import Pass
from lightning_vis.model.snapshot.snapshot import preserve_state


@dataclass(frozen=True)
class ShuffledWeights:
    """A recorder that explains, of the same classes, a network whose weights have changed places; they are put back.

    Each tensor of weights keeps its values and gives them other places, by a generator of its own, the same ones at every look.
    What a map still shows then it does not have from what was learned.

    Source: J. Adebayo et al., 2018, "Sanity Checks for Saliency Maps" (the model parameter randomization test).

    Attributes:
        recorder: what records.
    """

    recorder: Recorder

    @property
    def passes(self) -> int:
        """One to know what is explained, and those of the recorder."""
        return 1 + int(getattr(self.recorder, "passes", 1))

    def __call__(self, run: Pass, requests: Requests) -> Recorded:
        """Answers and scores of the network as it is, records of the shuffled one."""
        found = gradients(run, requests)
        with preserve_state(run.model):
            shuffle(run.model)
            other = self.recorder(settled(run, found), requests)
        explained = {key: replace(each, records=other.explained[key].records) for key, each in found.explained.items()}
        return replace(found, explained=explained)


def shuffle(model: nn.Module, seed: int = 0) -> None:
    """Gives the values of each parameter of a model other places in it.

    Args:
        model: its parameters are overwritten.
        seed: of the places.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            places = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[places].reshape(parameter.shape))
