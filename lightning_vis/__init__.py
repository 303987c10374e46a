"""See what an image network looks at, while PyTorch Lightning trains it.

Importing this package loads neither torch nor Lightning: each name is fetched from its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_vis.alert import Thresholds as Thresholds
    from lightning_vis.callbacks import GradCAMCallback as GradCAMCallback
    from lightning_vis.callbacks import ProbeCallback as ProbeCallback
    from lightning_vis.callbacks import SaliencyCallback as SaliencyCallback
    from lightning_vis.film import Film as Film
    from lightning_vis.filter_callback import FilterMaximizationCallback as FilterMaximizationCallback
    from lightning_vis.frames import Frame as Frame
    from lightning_vis.layers import last_feature_map as last_feature_map
    from lightning_vis.looking import look as look
    from lightning_vis.maximization import OUTPUT as OUTPUT
    from lightning_vis.maximization import maximize as maximize
    from lightning_vis.probe import Probe as Probe
    from lightning_vis.recording import INPUT as INPUT
    from lightning_vis.recording import gradients as gradients
    from lightning_vis.recording import record as record
    from lightning_vis.records import Record as Record
    from lightning_vis.scores import log_odds as log_odds
    from lightning_vis.scores import logit as logit
    from lightning_vis.views import View as View
    from lightning_vis.views import evidence as evidence
    from lightning_vis.views import grad_cam as grad_cam
    from lightning_vis.views import saliency as saliency

__version__ = "0.1.0.dev0"

_HOME = {
    "FilterMaximizationCallback": "filter_callback",
    "Film": "film",
    "Frame": "frames",
    "GradCAMCallback": "callbacks",
    "INPUT": "recording",
    "OUTPUT": "maximization",
    "Probe": "probe",
    "ProbeCallback": "callbacks",
    "Record": "records",
    "SaliencyCallback": "callbacks",
    "Thresholds": "alert",
    "View": "views",
    "evidence": "views",
    "grad_cam": "views",
    "gradients": "recording",
    "last_feature_map": "layers",
    "log_odds": "scores",
    "logit": "scores",
    "look": "looking",
    "maximize": "maximization",
    "record": "recording",
    "saliency": "views",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lightning_vis' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"lightning_vis.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
