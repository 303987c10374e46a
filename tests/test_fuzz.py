"""Anything at all is given to Probe, record, the scores and the callbacks: it works, or one clear sentence refuses it."""

from __future__ import annotations

import dis
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from lightning_vis import (
    INPUT,
    FilterMaximizationCallback,
    GradCAMCallback,
    Probe,
    ProbeCallback,
    SaliencyCallback,
    View,
    look,
    record,
    saliency,
)
from lightning_vis.attribution.maps import saliency_map
from lightning_vis.model.scores import class_scores, classes_of, log_odds, logit

usual = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

sizes = st.lists(st.integers(0, 4), max_size=5)
dtypes = st.sampled_from([torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool, torch.complex64, torch.float16])
numbers = st.one_of(st.integers(-3, 5), st.floats(), st.booleans(), st.none(), st.text(max_size=3))


def filled(shape: list[int], dtype: torch.dtype, value: float) -> torch.Tensor:
    return torch.full(shape, 2.0 if dtype in (torch.uint8, torch.int64) else value, dtype=torch.float64).to(dtype)


tensors = st.builds(filled, sizes, dtypes, st.sampled_from([0.0, 0.5, 1.0, -1.0, float("nan"), float("inf")]))
batches = st.builds(lambda n, h, w: torch.rand(n, 3, h, w), st.integers(0, 3), st.integers(0, 9), st.integers(0, 9))
junk: st.SearchStrategy[Any] = st.recursive(
    st.one_of(numbers, tensors, batches, st.builds(object), st.builds(lambda: np.zeros(3))),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)
names = st.sampled_from([INPUT, "0", "1", "3", "5", "9", "", "no such layer"])
targets = st.one_of(st.sampled_from(["predicted", "label", "runner_up", "best", 0, 3, 4, -1, 10**20]), junk)


def net() -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)]
    model = nn.Sequential(*layers)
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -1, 1, generator=generator)
    return model


NET = net()


def is_raised_by_us(error: BaseException) -> bool:
    """Whether a `raise` of the package is what raised it, and not something inside that stumbled over the value."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    assert last is not None
    code = last.tb_frame.f_code
    return "lightning_vis" in code.co_filename and code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def works_or_refuses(act: Callable[[], Any]) -> Any:
    """What `act` returns, or None where it refuses in a sentence; anything else fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return act()
        except (ValueError, TypeError) as error:
            *_, (frame, line) = traceback.walk_tb(error.__traceback__)
            assert is_raised_by_us(error), f"not our refusal: {frame.f_code.co_filename}:{line}: {error!r}"
            assert len(str(error).split()) >= 5, str(error)
            return None
        except RuntimeError as error:
            inside = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
            assert any("torch/nn/modules/conv" in name for name in inside), "not the network's own refusal"
            return None


@usual
@given(images=st.one_of(batches, junk), labels=st.one_of(st.none(), st.just([0, 1]), junk), masks=st.one_of(st.none(), junk))
def test_probe_takes_or_refuses_any_images(images: Any, labels: Any, masks: Any) -> None:
    probe = works_or_refuses(lambda: Probe(images, labels, masks))
    if probe is not None:
        inputs = probe.inputs()
        assert inputs.pictures.shape == (len(probe), *probe.images.shape[2:], 3)
        assert inputs.pictures.dtype == np.uint8


@usual
@given(values=st.fixed_dictionaries({}, optional=dict.fromkeys(("mean", "std", "class_names", "name"), junk)))
def test_probe_takes_or_refuses_any_words_about_it(values: dict[str, Any]) -> None:
    probe = works_or_refuses(lambda: Probe(torch.rand(2, 3, 4, 4), [0, 1], **values))
    if probe is not None:
        assert probe.inputs().class_name(0)


@usual
@given(masks=junk, backgrounds=junk, typical=junk)
def test_probe_takes_or_refuses_any_backgrounds(masks: Any, backgrounds: Any, typical: Any) -> None:
    works_or_refuses(lambda: Probe(torch.rand(2, 3, 8, 8), [0, 1], masks, backgrounds, typical))


@usual
@given(plates=st.dictionaries(st.text(max_size=3), st.one_of(batches, tensors), max_size=3), typical=junk)
def test_probe_takes_or_refuses_any_plates(plates: Any, typical: Any) -> None:
    masks = torch.zeros(2, 8, 8)
    masks[:, 2:5, 2:5] = 1
    works_or_refuses(lambda: Probe(torch.rand(2, 3, 8, 8), [0, 1], masks, plates, typical))


@usual
@given(data=junk, n=numbers, indices=st.one_of(st.none(), junk))
def test_probe_from_any_data_set(data: Any, n: Any, indices: Any) -> None:
    works_or_refuses(lambda: Probe.from_dataset(data, n, indices=indices))


@usual
@given(items=st.lists(junk, min_size=1, max_size=4), n=numbers, indices=st.one_of(st.none(), st.lists(st.integers(-9, 9))))
def test_probe_from_any_items(items: list[Any], n: Any, indices: Any) -> None:
    works_or_refuses(lambda: Probe.from_dataset(items, n, indices=indices))


@usual
@given(
    images=st.one_of(batches, tensors, junk),
    layers=st.one_of(st.lists(names, max_size=3), junk),
    targets=targets,
    chunk_size=st.one_of(st.none(), st.integers(-1, 3), junk),
)
def test_record_takes_or_refuses_anything(images: Any, layers: Any, targets: Any, chunk_size: Any) -> None:
    before = {name: value.clone() for name, value in NET.state_dict().items()}
    records = works_or_refuses(lambda: record(NET, images, layers, targets, chunk_size=chunk_size))
    for each in (records or {}).values():
        assert each.activation.shape == each.gradient.shape
    assert all(torch.equal(value, before[name]) for name, value in NET.state_dict().items())
    assert NET.training


@usual
@given(output=junk)
def test_any_output_is_read_or_refused(output: Any) -> None:
    scores = works_or_refuses(lambda: class_scores(output))
    if scores is not None:
        assert scores.ndim == 2
        assert scores.shape[1] >= 2


@usual
@given(output=st.one_of(tensors, junk), classes=st.one_of(tensors, junk), score=st.sampled_from([log_odds, logit]))
def test_any_score_is_taken_or_refused(output: Any, classes: Any, score: Any) -> None:
    works_or_refuses(lambda: score(output, classes))


@usual
@given(target=targets, count=st.integers(0, 3), classes=st.integers(1, 3), labels=st.one_of(st.none(), tensors))
def test_any_target_is_taken_or_refused(target: Any, count: int, classes: int, labels: Any) -> None:
    found = works_or_refuses(lambda: classes_of(target, torch.rand(count, classes), labels))
    if found is not None:
        assert found.shape == (count,)


@usual
@given(output=junk)
def test_a_look_at_a_network_of_any_output(output: Any) -> None:
    class Any_(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return output

    works_or_refuses(lambda: look(Any_(), Probe(torch.rand(2, 3, 8, 8)), [saliency()]))


@usual
@given(found=junk)
def test_a_view_of_any_result(found: Any) -> None:
    works_or_refuses(lambda: look(NET, Probe(torch.rand(2, 3, 8, 8)), [View("own", (INPUT,), lambda _: found)]))


@usual
@given(found=junk)
def test_a_score_of_any_result(found: Any) -> None:
    works_or_refuses(lambda: record(NET, torch.rand(2, 3, 8, 8), [INPUT], score=lambda *_: found))


PROBE_CALLBACK = [
    "probe",
    "views",
    "every_n_epochs",
    "at_steps",
    "score",
    "on_error",
    "on_alert",
    "thresholds",
    "images",
    "loggers",
    "on_validate",
    "max_overhead",
]
FILTERS = [
    "layers",
    "channels",
    "probe",
    "every_n_epochs",
    "steps",
    "objective",
    "preset",
    "size",
    "seed",
    "scalars",
    "max_overhead",
]


@usual
@given(values=st.fixed_dictionaries({}, optional=dict.fromkeys(PROBE_CALLBACK, junk)))
def test_probe_callback_takes_or_refuses_anything(values: dict[str, Any]) -> None:
    callback = works_or_refuses(lambda: ProbeCallback(**values))
    assert callback is None or callback.state_key


@usual
@given(layer=junk, target=targets, every=junk)
def test_short_callbacks_take_or_refuse_anything(layer: Any, target: Any, every: Any) -> None:
    works_or_refuses(lambda: GradCAMCallback(None, layer, target, every_n_epochs=every))
    works_or_refuses(lambda: SaliencyCallback(None, target, at_steps=every))


@usual
@given(values=st.fixed_dictionaries({}, optional=dict.fromkeys(FILTERS, junk)))
def test_filter_callback_takes_or_refuses_anything(values: dict[str, Any]) -> None:
    callback = works_or_refuses(lambda: FilterMaximizationCallback(**values))
    assert callback is None or callback.state_key


@usual
@given(name=junk, layers=junk, target=targets)
def test_a_view_is_made_or_refused(name: Any, layers: Any, target: Any) -> None:
    view = works_or_refuses(lambda: View(name, layers, saliency_map, target=target))
    assert view is None or view.key
