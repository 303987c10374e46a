"""Everything about a training that an observer could change, by channel."""

from __future__ import annotations

import contextlib
import gc
import locale
import logging
import os
import random
import re
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import PIL.ImageFile
import torch
from torch import nn

from .encoding import digest, encoded

OURS = ("reliance/", "attribution/", "filters/", "lightning_vis/")
COMING_AND_GOING = {"_AsyncWriterThread", "TMonitor"}  # of TensorBoard and tqdm, as soon as either is used
ENDING = {"QueueFeederThread"}  # of a data loader's workers: ends by itself, some time after its queue was closed
BOOKKEEPING = {"_parameters", "_buffers", "_modules", "training", "_trainer", "_fabric", "_lightning_module"} | {
    "_torchdynamo_wrapper_id",
    "_metric_attributes",  # Lightning's, by the address of each metric, which is never the same
}
Fingerprint = dict[str, Any]


def fingerprint(trainer: Any, model: nn.Module) -> Fingerprint:
    """The state of a training by channel, each channel a name and what it concerns."""
    return {
        **dict(_tensors(model)),
        **dict(_modules(model)),
        **_random_streams(),
        **_flags(),
        **_process(),
        **_training(trainer),
    }


def _tensors(model: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, parameter in model.named_parameters(remove_duplicate=False):
        yield f"weight {name}", encoded(parameter)
        yield f"grad {name}", encoded(parameter.grad)
        hooks = (getattr(parameter, "_backward_hooks", None), getattr(parameter, "_post_accumulate_grad_hooks", None))
        yield f"hooks of {name}", tuple(len(each or ()) for each in hooks)
    for name, buffer in model.named_buffers(remove_duplicate=False):
        yield f"buffer {name}", encoded(buffer)


def _modules(model: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, module in model.named_modules():
        at = name or "<model>"
        yield f"mode {at}", (getattr(module, "training", None), type(module).__qualname__)
        if not isinstance(module, torch.jit.ScriptModule):
            yield (
                f"hooks of {at}",
                tuple((key, len(value or ())) for key, value in vars(module).items() if _is_hooks(key)),
            )
            yield from ((f"attribute {at}.{key}", encoded(value)) for key, value in vars(module).items() if _is_own(key))
    shared = vars(torch.nn.modules.module)
    yield (
        "global hooks",
        tuple((key, len(value)) for key, value in shared.items() if key.startswith("_global") and value),
    )


def _is_hooks(key: str) -> bool:
    return key.endswith(("_hooks", "_hooks_with_kwargs", "_hooks_always_called"))


def _is_own(key: str) -> bool:
    return key not in BOOKKEEPING and not _is_hooks(key)


def _random_streams() -> Fingerprint:
    numpy = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "random torch": encoded(torch.get_rng_state()),
        "random cuda": encoded(cuda),
        "random numpy": (digest(numpy[1].tobytes()), *numpy[2:]),
        "random python": digest(repr(random.getstate()).encode()),  # not its hash: that of None differs between processes
    }


def _flags() -> Fingerprint:
    """Global switches of torch and NumPy."""
    backends = torch.backends
    return {
        "flag grad": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "flag autocast": tuple(_autocast(kind) for kind in ("cpu", "cuda")) + (torch.is_autocast_cache_enabled(),),
        "flag deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,
        ),
        "flag cudnn": (backends.cudnn.benchmark, backends.cudnn.deterministic, backends.cudnn.enabled),
        "flag matmul": (torch.get_float32_matmul_precision(), backends.mkldnn.enabled, backends.mkldnn.flags.__name__),
        "flag default": (str(torch.get_default_dtype()), str(torch.get_default_device()), torch.get_num_threads()),
        "flag dispatch": (torch._C._len_torch_dispatch_stack(), torch._C._len_torch_function_stack()),
        "flag autograd": (
            torch._C._autograd._saved_tensors_hooks_is_enabled(),
            torch.autograd.is_multithreading_enabled(),
        ),
        "flag compile": _compiled(),
        "flag stance": _stance(),
        "flag numpy": (np.geterr(), np.get_printoptions()["precision"]),
        "flag gc": gc.isenabled(),
    }


def _autocast(kind: str) -> tuple[bool, str]:
    return torch.is_autocast_enabled(kind), str(torch.get_autocast_dtype(kind))


def _compiled() -> Any:
    """How many graphs have been compiled."""
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is None:
        return None
    counters = dynamo.utils.counters
    return (
        counters["stats"]["unique_graphs"],
        sum(counters["recompiles"].values()),
    )


def _stance() -> str:
    dynamo = sys.modules.get("torch._dynamo")
    return "" if dynamo is None else str(dynamo.eval_frame._stance.stance)


def _process() -> Fingerprint:
    figures = sys.modules["matplotlib.pyplot"].get_fignums() if "matplotlib.pyplot" in sys.modules else []
    return {
        "open figures": len(figures),
        "drawing": (digest(repr(dict(matplotlib.rcParams)).encode()), len(matplotlib.colormaps)),
        "pictures": (PIL.ImageFile.LOAD_TRUNCATED_IMAGES, PIL.Image.MAX_IMAGE_PIXELS),
        "logging": tuple((name, each.level, len(each.handlers)) for name, each in _loggers().items()),
        "warnings": digest(repr(warnings.filters).encode()),
        "limits": (
            sys.getrecursionlimit(),
            sys.getswitchinterval(),
            socket.getdefaulttimeout(),
            locale.setlocale(locale.LC_ALL),
        ),
        "signal handlers": tuple(_handler(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)),
        "environment": (os.getcwd(), digest(repr(_environment()).encode())),
        "threads": tuple(sorted(_threads())),
    }


def _environment() -> list[tuple[str, str]]:
    """Without what inductor sets once in a process, whoever compiles first."""
    return sorted((key, value) for key, value in os.environ.items() if "TORCHINDUCTOR" not in key)


def _threads() -> Iterator[str]:
    for each in threading.enumerate():
        if type(each).__name__ not in COMING_AND_GOING and each.name not in ENDING:  # what stays is counted in the end
            yield f"{type(each).__name__} {re.sub('[0-9]+', '', each.name)}"


def _loggers() -> dict[str, logging.Logger]:
    """Those that an observer might touch; packages that are first used in mid-training set up their own."""
    return {name: logging.getLogger(name) for name in ("", "pytorch_lightning", "lightning", "matplotlib", "PIL")}


def _handler(number: int) -> str:
    handler = signal.getsignal(number)
    return getattr(handler, "__qualname__", type(handler).__qualname__)


def _training(trainer: Any) -> Fingerprint:
    metrics = {}
    with contextlib.suppress(Exception):
        metrics = {**trainer.callback_metrics, **trainer.logged_metrics}
    return {
        "optimizer": tuple(encoded(optimizer.state_dict()) for optimizer in trainer.optimizers),
        "scheduler": tuple(encoded(config.scheduler.state_dict()) for config in trainer.lr_scheduler_configs),
        "precision": encoded(trainer.precision_plugin.state_dict()),
        "progress": (trainer.global_step, trainer.current_epoch, trainer.should_stop, str(trainer.state.fn)),
        "metrics": tuple((key, encoded(value)) for key, value in metrics.items() if not key.startswith(OURS)),
        "loops": encoded(trainer.fit_loop.state_dict()),
    }
