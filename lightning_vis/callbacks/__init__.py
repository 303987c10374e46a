"""When to look, on which Trainer, at what cost; the one room that knows Lightning."""

from lightning_vis.callbacks.filters import FilterMaximizationCallback as FilterMaximizationCallback
from lightning_vis.callbacks.probe import GradCAMCallback as GradCAMCallback
from lightning_vis.callbacks.probe import ProbeCallback as ProbeCallback
from lightning_vis.callbacks.probe import SaliencyCallback as SaliencyCallback
