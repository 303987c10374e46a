"""See what an image network looks at, while PyTorch Lightning trains it.

Importing this package loads neither torch nor Lightning: each name is fetched from its module when it is first used.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_vis.attribution.pipeline import look as look
    from lightning_vis.attribution.recorders import gradients as gradients
    from lightning_vis.attribution.recorders import record as record
    from lightning_vis.attribution.records import Record as Record
    from lightning_vis.attribution.views import View as View
    from lightning_vis.attribution.views import evidence as evidence
    from lightning_vis.attribution.views import grad_cam as grad_cam
    from lightning_vis.attribution.views import saliency as saliency
    from lightning_vis.callbacks.filters import FilterMaximizationCallback as FilterMaximizationCallback
    from lightning_vis.callbacks.probe import GradCAMCallback as GradCAMCallback
    from lightning_vis.callbacks.probe import ProbeCallback as ProbeCallback
    from lightning_vis.callbacks.probe import SaliencyCallback as SaliencyCallback
    from lightning_vis.constants import INPUT as INPUT
    from lightning_vis.constants import OUTPUT as OUTPUT
    from lightning_vis.film import Film as Film
    from lightning_vis.frames import Frame as Frame
    from lightning_vis.maximization.maximizer import maximize as maximize
    from lightning_vis.model.feature_map import last_feature_map as last_feature_map
    from lightning_vis.model.scores import log_odds as log_odds
    from lightning_vis.model.scores import logit as logit
    from lightning_vis.probe.probe import Probe as Probe
    from lightning_vis.reliance.alert import Thresholds as Thresholds

__version__ = "0.1.0"

_HOME = {
    "FilterMaximizationCallback": "callbacks.filters",
    "Film": "film",
    "Frame": "frames",
    "GradCAMCallback": "callbacks.probe",
    "INPUT": "constants",
    "OUTPUT": "constants",
    "Probe": "probe.probe",
    "ProbeCallback": "callbacks.probe",
    "Record": "attribution.records",
    "SaliencyCallback": "callbacks.probe",
    "Thresholds": "reliance.alert",
    "View": "attribution.views",
    "evidence": "attribution.views",
    "grad_cam": "attribution.views",
    "gradients": "attribution.recorders",
    "last_feature_map": "model.feature_map",
    "log_odds": "model.scores",
    "logit": "model.scores",
    "look": "attribution.pipeline",
    "maximize": "maximization.maximizer",
    "record": "attribution.recorders",
    "saliency": "attribution.views",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _FORMER:
        return importlib.import_module(f"lightning_vis.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'lightning_vis' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"lightning_vis.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


# Modules of before the house had rooms -> where their names are now, in the order in which they are looked for.
_FORMER = {
    "alert": ("reliance.alert",),
    "colours": ("render.colormap",),
    "filter_callback": ("callbacks.filters",),
    "filters": ("maximization.channels", "maximization.frame_builder"),
    "layers": ("model.layers", "model.feature_map"),
    "looking": ("attribution.pipeline", "model.run"),
    "objectives": ("maximization.objectives",),
    "parameterizations": ("maximization.parameterizations",),
    "parts": ("events.encode",),
    "reading": ("events.frame_reader", "events.decode"),
    "recipes": ("maximization.presets",),
    "recording": ("attribution.recorders", "model.run", "constants"),
    "records": ("attribution.records", "model.run"),
    "rendering": ("render.cards", "render.strips", "render.legend", "render.canvas.tiles"),
    "scores": ("model.scores",),
    "storing": ("events.frame_writer",),
    "transforms": ("maximization.transforms",),
    "truncation": ("model.truncated", "model.run", "constants"),
    "views": ("attribution.views",),
    "weights": ("maximization.weights",),
    "writing": ("events.loggers",),
}


class _Former(ModuleType):
    """A module that has moved, under its former name."""

    def __getattr__(self, name: str) -> Any:
        homes = [] if name.startswith("__") else _FORMER[self.__name__.rpartition(".")[2]]
        for home in homes:
            module = importlib.import_module(f"lightning_vis.{home}")
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class _FormerModules:
    """Finds modules under their former names, where no file of that name is found."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """A spec of a module that has moved; None of any other."""
        package, _, name = fullname.rpartition(".")
        return ModuleSpec(fullname, _FormerModules) if package == __name__ and name in _FORMER else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        """The module under its former name; said once, since Python keeps what it has imported."""
        homes = ", ".join(f"lightning_vis.{home}" for home in _FORMER[spec.name.rpartition(".")[2]])
        warnings.warn(f"{spec.name} has moved: import from {homes}", DeprecationWarning, stacklevel=2)
        return _Former(spec.name)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Nothing: names are looked up when they are asked for."""


sys.meta_path.append(_FormerModules)
