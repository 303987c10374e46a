"""observing(): each thing that a model's forward may disturb, and three ways to end: well, with an error, with Ctrl-C."""

from __future__ import annotations

import functools
import gc
import os
import random
import signal
import threading
import types
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from nets import images
from torch import nn

from lightning_vis.model.snapshot import tensors as values
from lightning_vis.model.snapshot.rng import preserve_rng
from lightning_vis.model.snapshot.snapshot import preserve_state

CALLS = 0
SEEN = []


def keep(*args, latest=[None]):  # noqa: B006
    """A hook that fills a global, an attribute of its own, and its own default."""
    global CALLS
    CALLS += 1
    SEEN.append(CALLS)
    keep.calls = CALLS
    latest[0] = CALLS


def counted():
    count = 0

    def hook(*args):
        nonlocal count
        count += 1

    return hook, lambda: count


@dataclass(slots=True, frozen=True)
class Meter:
    count: int = 0
    rows: list = None


def counts_further(meter):
    object.__setattr__(meter, "count", meter.count + 1)


class Recorder:
    def __init__(self):
        self.rows = []

    def add(self, *args):
        self.rows.append(len(args))


def passed_on(rows, *args):
    rows.append(len(args))


class Burdened(nn.Module):
    """A module with one of everything that can be changed."""

    made = 0
    shapes: list = []  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.meter = Meter(1, [1])
        self.hook, self.count = counted()
        self.global_hook, self.method = keep, Recorder().add
        self.partial = functools.partial(passed_on, [])
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.table = nn.Embedding(2, 3)
        self.frozen = nn.BatchNorm2d(4)
        self.frozen.eval().requires_grad_(False)
        self.register_buffer("seen", torch.zeros(3))
        self.counter = 0
        self.history = [1, [2, 3]]
        self.cache = {"a": {"b": 1}}
        self.ordered = OrderedDict(a=1, b=2)
        self.tally = Counter("aab")
        self.classes = {1, 2}
        self.recent = deque([1, 2], maxlen=2)
        self.bytes = bytearray(b"abc")
        self.loose = torch.ones(2)
        self.listed = [torch.ones(2)]
        self.array = np.array([1.0, np.nan])
        self.pair = ([1], 2)
        self.streams = {
            "numpy": np.random.default_rng(1),
            "torch": torch.Generator().manual_seed(1),
            "python": random.Random(1),
        }

    def forward(self, x):
        return self.frozen(self.norm(self.conv(x))).mean(dim=(2, 3))


# name -> (what is done inside, what is compared)
DISTURBANCES = {
    "buffer in place": (lambda m: m.seen.add_(1), lambda m: m.seen.tolist()),
    "buffer replaced": (lambda m: setattr(m, "seen", torch.ones(3)), lambda m: (id(m.seen), m.seen.tolist())),
    "norm statistics": (
        lambda m: (m.norm.train(), m(images(2))),
        lambda m: (m.norm.running_mean.tolist(), m.norm.num_batches_tracked.item()),
    ),
    "counter": (lambda m: setattr(m, "counter", m.counter + 1), lambda m: m.counter),
    "attribute added": (lambda m: setattr(m, "fresh", 1), lambda m: hasattr(m, "fresh")),
    "attribute removed": (lambda m: delattr(m, "counter"), lambda m: m.counter),
    "list": (lambda m: m.history.append(4), lambda m: m.history),
    "list in a list": (lambda m: m.history[1].append(4), lambda m: m.history),
    "list in a tuple": (lambda m: m.pair[0].append(4), lambda m: m.pair),
    "list replaced": (lambda m: setattr(m, "history", []), lambda m: (id(m.history), m.history)),
    "dict": (lambda m: m.cache.update(c=1), lambda m: m.cache),
    "dict in a dict": (lambda m: m.cache["a"].update(b=2), lambda m: m.cache),
    "order of a dict": (lambda m: m.ordered.move_to_end("a"), lambda m: list(m.ordered.items())),
    "Counter": (lambda m: m.tally.update("b"), lambda m: m.tally),
    "set": (lambda m: m.classes.add(3), lambda m: m.classes),
    "deque": (lambda m: m.recent.append(3), lambda m: (list(m.recent), m.recent.maxlen)),
    "bytearray": (lambda m: m.bytes.append(1), lambda m: bytes(m.bytes)),
    "tensor attribute": (lambda m: m.loose.mul_(2), lambda m: m.loose.tolist()),
    "tensor in a list": (lambda m: m.listed[0].mul_(2), lambda m: m.listed[0].tolist()),
    "numpy attribute": (lambda m: m.array.__setitem__(0, 5.0), lambda m: m.array[0]),
    "numpy generator": (
        lambda m: m.streams["numpy"].random(),
        lambda m: m.streams["numpy"].bit_generator.state,
    ),
    "torch generator": (
        lambda m: torch.rand(3, generator=m.streams["torch"]),
        lambda m: m.streams["torch"].get_state().tolist(),
    ),
    "python generator": (lambda m: m.streams["python"].random(), lambda m: m.streams["python"].getstate()),
    "python stream": (lambda m: random.random(), lambda m: random.getstate()),
    "numpy stream": (lambda m: np.random.rand(), lambda m: np.random.get_state()[1].tolist()),
    "torch stream": (lambda m: torch.rand(3), lambda m: torch.get_rng_state().tolist()),
    "global": (lambda m: m.global_hook(), lambda m: CALLS),
    "list that a global names": (lambda m: m.global_hook(), lambda m: SEEN),
    "attribute of a function": (lambda m: m.global_hook(), lambda m: vars(keep)),
    "default of a function": (lambda m: m.global_hook(), lambda m: keep.__kwdefaults__),
    "variable of a closure": (lambda m: m.hook(), lambda m: m.count()),
    "object of a bound method": (lambda m: m.method(), lambda m: m.method.__self__.rows),
    "argument of a partial": (lambda m: m.partial(), lambda m: m.partial.args),
    "attribute of a class": (lambda m: setattr(type(m), "made", m.made + 1), lambda m: m.made),
    "attribute added to a class": (lambda m: setattr(type(m), "fresh", 1), lambda m: hasattr(m, "fresh")),
    "list of a class": (lambda m: m.shapes.append(1), lambda m: m.shapes),
    "slot": (lambda m: counts_further(m.meter), lambda m: m.meter),
    "list in a slot": (lambda m: m.meter.rows.append(1), lambda m: m.meter),
    "forward hook": (
        lambda m: m.conv.register_forward_hook(lambda *_: None),
        lambda m: len(m.conv._forward_hooks),
    ),
    "forward pre-hook": (
        lambda m: m.register_forward_pre_hook(lambda *_: None),
        lambda m: len(m._forward_pre_hooks),
    ),
    "backward hook": (
        lambda m: m.conv.register_full_backward_hook(lambda *_: None),
        lambda m: len(m.conv._backward_hooks),
    ),
    "submodule replaced": (lambda m: setattr(m, "conv", nn.Identity()), lambda m: id(m.conv)),
    "submodule added": (lambda m: m.add_module("extra", nn.Identity()), lambda m: list(m._modules)),
    "weights": (lambda m: m.conv.weight.data.mul_(2), lambda m: m.conv.weight.tolist()),
    "weights under no_grad": (
        lambda m: torch.no_grad()(m.conv.weight.clamp_)(-0.01, 0.01),
        lambda m: m.conv.weight.tolist(),
    ),
    "part of a weight": (lambda m: m.conv.weight.data[0, 0].fill_(7), lambda m: m.conv.weight.tolist()),
    "weight as a result": (
        lambda m: torch.mul(m.conv.bias.detach(), 2, out=m.conv.bias.data),
        lambda m: m.conv.bias.tolist(),
    ),
    "weights all at once": (
        lambda m: torch._foreach_mul_([m.conv.weight.data, m.conv.bias.data], 2),
        lambda m: (m.conv.weight.tolist(), m.conv.bias.tolist()),
    ),
    "weight set to another tensor": (
        lambda m: setattr(m.conv.weight, "data", torch.zeros(4, 3, 3, 3)),
        lambda m: m.conv.weight.tolist(),
    ),
    "weight of not a number": (
        lambda m: m.conv.weight.data.fill_(torch.nan),
        lambda m: m.conv.weight.tolist(),
    ),
    "weight renormed by embedding": (
        lambda m: nn.functional.embedding(torch.tensor([0, 1]), m.table.weight, max_norm=0.1),
        lambda m: m.table.weight.tolist(),
    ),
    "history of a buffer": (
        lambda m: m.seen.add_(torch.ones(3, requires_grad=True)),
        lambda m: (m.seen.requires_grad, m.seen.is_leaf, m.seen.tolist()),
    ),
    "history of a tensor attribute": (
        lambda m: m.loose.add_(torch.ones(2, requires_grad=True)),
        lambda m: (m.loose.requires_grad, m.loose.is_leaf, m.loose.tolist()),
    ),
    "history of a frozen weight": (
        lambda m: m.frozen.weight.add_(torch.ones(4, requires_grad=True)),
        lambda m: (m.frozen.weight.requires_grad, m.frozen.weight.is_leaf, m.frozen.weight.tolist()),
    ),
    "requires_grad": (
        lambda m: m.conv.weight.requires_grad_(False),
        lambda m: (m.conv.weight.requires_grad, m.conv.bias.requires_grad),
    ),
    "gradients added to": (
        lambda m: m(images(2)).sum().backward(),
        lambda m: (id(m.conv.bias.grad), m.conv.bias.grad.tolist(), m.conv.weight.grad),
    ),
    "gradients zeroed": (
        lambda m: m.zero_grad(set_to_none=False),
        lambda m: (id(m.conv.bias.grad), m.conv.bias.grad.tolist(), m.conv.weight.grad),
    ),
    "training flags": (lambda m: m.train(), lambda m: [module.training for module in m.modules()]),
    "one training flag": (lambda m: m.norm.train(), lambda m: [module.training for module in m.modules()]),
    "grad mode": (lambda m: torch.set_grad_enabled(False), lambda m: torch.is_grad_enabled()),
}


def burdened():
    global CALLS
    CALLS = Burdened.made = 0
    keep.__kwdefaults__["latest"][0] = None
    for each in (SEEN, Burdened.shapes, vars(keep)):
        each.clear()
    if "fresh" in vars(Burdened):
        del Burdened.fresh
    torch.manual_seed(0)
    model = Burdened()
    model.conv.bias.grad = torch.ones(4)
    return model


ARRAYS = {  # name -> (before, written in between): equal to each other, as NumPy compares, wherever that is possible
    "floats": (np.array([0.0, -0.0, np.nan]), [-0.0, 0.0, 1.0]),
    "zeros": (np.zeros(3, np.float32), -0.0),
    "complex numbers": (np.zeros(2, complex), -0j),
    "long doubles": (np.zeros(2, np.longdouble), -0.0),
    "every second of many": (np.zeros(8)[::2], -0.0),
    "no axis": (np.array(0.0), -0.0),
    "texts": (np.array(["a", "b"]), "c"),
    "fields": (np.array([(0.0, 1)], dtype=[("a", "f8"), ("b", "i2")]), (-0.0, 1)),
    "times": (np.array(["2020-01-01", "NaT"], "datetime64[D]"), "2021-01-01"),
    "objects": (np.array([1.5, None], object), [float("1.5"), None]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_put_back_byte_by_byte(name):
    """0.0 is not -0.0, and of objects it is the same ones that come back, not equal ones."""
    array, other = ARRAYS[name]
    restore, before = values.array(array), array.tobytes()
    array[...] = np.array(other, object) if array.dtype == object else other
    assert array.tobytes() != before
    restore()
    assert array.tobytes() == before


def tensors():
    made = np.empty(2, object)
    made[:] = [torch.rand(3), torch.rand(3)]
    return made


@pytest.mark.parametrize("given", [np.array([1.0, np.nan]), np.array([0.5, np.nan], object), tensors()])
def test_an_array_that_has_not_changed_is_not_written(given):
    """It may be read-only; and tensors among its objects cannot be asked whether they are equal."""
    given.flags.writeable = False
    model = nn.Conv2d(3, 4, 3)
    model.given = given
    with preserve_state(model):
        model(images(2))
    assert model.given is given


@pytest.mark.parametrize("watched", [False, True], ids=["copied", "watched"])
@pytest.mark.parametrize("ending", [None, ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("name", DISTURBANCES)
def test_each_disturbance_is_undone(name, ending, watched, monkeypatch):
    monkeypatch.setattr("lightning_vis.model.snapshot.snapshot.LARGE", 0 if watched else 2**40)
    model = burdened()
    disturb, read = DISTURBANCES[name]
    before = repr(read(model))
    try:
        with preserve_state(model):
            disturb(model)
            if ending:
                raise ending
    except (ValueError, KeyboardInterrupt) as error:
        assert type(error) is ending
    assert repr(read(model)) == before


@pytest.mark.parametrize("name", sorted(set(DISTURBANCES) - {"training flags", "grad mode"}))
def test_each_disturbance_is_one(name):
    """Without observing, what is compared does change: otherwise the test above could not fail."""
    model = burdened()
    disturb, read = DISTURBANCES[name]
    before = repr(read(model))
    model.eval()
    disturb(model)
    try:
        after = repr(read(model))
    except AttributeError:
        after = "gone"
    assert after != before


def test_inside_all_is_in_eval_mode_with_gradients_on_and_set_aside():
    model = burdened()
    with torch.inference_mode(), preserve_state(model) as same:
        assert same is model
        assert not any(module.training for module in model.modules())
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("keep", [lambda m, t: m.register_buffer("made", t), lambda m, t: setattr(m, "made", t)])
def test_tensors_of_inference_mode_take_part_in_a_graph_and_come_back_themselves(keep):
    model = nn.Linear(2, 2)
    with torch.inference_mode():
        kept = torch.ones(2)
    keep(model, kept)
    for _ in range(2):
        with preserve_state(model), preserve_state(model):
            assert not model.made.is_inference()
            (model.made * torch.ones(2, requires_grad=True)).sum().backward()
            model.made.zero_()
    assert model.made is kept
    assert kept.tolist() == [1, 1]


def test_a_hand_frozen_norm_stays_frozen_and_an_overridden_train_is_never_called():
    class Frozen(Burdened):
        calls = 0

        def train(self, mode=True):
            type(self).calls += 1
            return super().train(mode)

    model = Frozen()
    with preserve_state(model):
        pass
    assert Frozen.calls == 0
    assert [module.training for module in model.modules()] == [True, True, True, True, False]


class Stubborn(list):
    """A list that cannot be emptied."""

    def clear(self):
        raise RuntimeError("no")


def test_flags_of_scripted_modules_are_put_back():
    """They are no attributes of Python."""
    net = torch.jit.script(nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)))
    first, second = net.children()
    second.eval()
    with preserve_state(net):
        assert not net.training
        assert not first.training
    assert [net.training, first.training, second.training] == [True, True, False]


@pytest.mark.parametrize("place", ["first", "last"])
def test_one_restore_step_that_fails_stops_no_other(place):
    model = burdened()
    owner = model.conv if place == "first" else model.frozen
    owner.stubborn = Stubborn()
    before = {name: repr(read(model)) for name, (_, read) in DISTURBANCES.items()}
    with pytest.raises(RuntimeError, match="no"), preserve_state(model):
        owner.stubborn.append(1)
        for name in ("weights", "buffer in place", "counter", "torch stream", "numpy stream", "gradients zeroed", "list"):
            DISTURBANCES[name][0](model)
        model.norm.train()
    assert {name: repr(read(model)) for name, (_, read) in DISTURBANCES.items()} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_all_is_put_back(number):
    """It comes between emptying a list and filling it again, say; only then the handler is called."""

    class Slow(list):
        def clear(self):
            super().clear()
            os.kill(os.getpid(), number)

    model, heard = burdened(), []
    model.slow = Slow([1, 2])
    usual = signal.signal(number, lambda *_: heard.append(list(model.slow)))
    try:
        with preserve_state(model):
            model.slow.append(3)
            model.counter += 1
    finally:
        signal.signal(number, usual)
    assert heard == [[1, 2]]
    assert model.counter == 0


def test_other_threads_may_look_too():
    model = burdened()
    thread = threading.Thread(target=DISTURBANCES["counter"][0], args=(model,))
    with preserve_state(model):
        thread.start()
        thread.join()
    assert model.counter == 0
    looked = []

    def work():
        with preserve_state(model):
            model.counter += 1
        looked.append(model.counter)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert looked == [0]


def test_the_data_that_a_model_keeps_is_not_copied():
    """A data set on the module, as many scripts have it, may be larger than the network by far."""

    class Data(torch.utils.data.Dataset):
        def __init__(self):
            self.pixels, self.drawn, self.array = torch.zeros(2**20), 0, np.zeros(2**20)

    model = burdened()
    model.data = Data()
    model.tensors = torch.utils.data.TensorDataset(torch.zeros(2**20))
    with preserve_state(model):
        model.data.pixels.add_(1)
        model.data.drawn += 1
        model.tensors.tensors[0].add_(1)
    assert model.data.drawn == 0
    assert model.data.pixels[0] == model.tensors.tensors[0][0] == 1  # as nothing had kept what was there


def test_a_module_that_names_itself_is_gone_through_once():
    """As packages do that import themselves; what a hook counts in another module is put back, too."""
    home = types.ModuleType("home")
    home.home, home.count = home, 0
    exec("def hook(*args):\n    home.home.count += 1", vars(home))
    model = burdened()
    model.conv.register_forward_hook(home.hook)
    with preserve_state(model):
        model(images(2))
    assert home.count == 0
    model(images(2))
    assert home.count == 1


def test_properties_and_static_methods_of_a_class_are_gone_through():
    class Keeps(Burdened):
        rows = SEEN

        @property
        def latest(self):
            return keep(), CALLS

        @staticmethod
        def note():
            return keep()

    model = Keeps()
    before = CALLS
    with preserve_state(model):
        model.note()
        assert model.latest[1] == before + 2
    assert before == CALLS
    assert vars(keep).get("calls", before) == before


def test_what_the_module_and_its_data_share_is_put_back():
    model = burdened()
    model.bank = torch.zeros(2**20)
    model.data = torch.utils.data.TensorDataset(model.bank)
    with preserve_state(model):
        model.bank.add_(1)
    assert model.bank[0] == 0


def test_loggers_and_writers_are_silent_meanwhile_and_hooks_run():
    class Writer:
        """As TensorBoard's and Lightning's."""

        def __init__(self):
            self.written = ()

        def add_scalar(self, name):
            self.written += (name,)

        def log_metrics(self, name):
            self.written += (name,)

        def log_prob(self, x):
            return x

    kept, of_hook, logger = Writer(), Writer(), Writer()
    logger._experiment = Writer()
    model = burdened()
    model.writer, model._trainer = kept, type("Trainer", (), {"loggers": [logger]})()
    model.conv.register_forward_hook(lambda *_: of_hook.add_scalar("hook"))
    model.conv.register_forward_hook(lambda _, __, output: output * 0)

    def write():
        for each in (model.writer, logger):
            each.log_metrics("metric")
        logger._experiment.add_scalar("scalar")
        return model(images(2))

    with preserve_state(model):
        assert not write().any()  # hooks are part of the network
    everyone = (kept, of_hook, logger, logger._experiment)
    assert [each.written for each in everyone] == [(), (), (), ()]
    write()
    assert [each.written for each in everyone] == [("metric",), ("hook",), ("metric",), ("scalar",)]


def test_mathematics_are_not_muted():
    class Flow(Burdened):
        def log(self, *args): ...

        log_dict = log

        def log_prob(self, x):
            return x

    with preserve_state(Flow()) as model:
        assert model.log_prob(3) == 3


@pytest.mark.parametrize("large", [0, 2**40])
def test_nothing_is_written_to_where_nothing_changed(large, monkeypatch):
    """A needless write would raise the version counter, and a graph that a user keeps across the look would break."""
    monkeypatch.setattr("lightning_vis.model.snapshot.snapshot.LARGE", large)
    model = burdened()
    versions = [value._version for value in (*model.parameters(), *model.buffers(), model.loose)]
    with preserve_state(model):
        model(images(2))
    assert [value._version for value in (*model.parameters(), *model.buffers(), model.loose)] == versions


def test_a_graph_kept_across_the_look_can_still_go_backward():
    model = burdened()
    loss = model(images(2)).sum()
    with preserve_state(model):
        model(images(2)).sum().backward()
    loss.backward()
    assert model.conv.weight.grad is not None


def test_log_of_a_lightning_module_is_silent_meanwhile():
    class Logs(nn.Module):
        said = ()

        def log(self, *args):
            self.said += args

        log_dict = log

        def forward(self, x):
            self.log("a", 1)
            self.log_dict({"b": 2})
            return x

    outer = nn.Sequential(Logs())
    with preserve_state(outer):
        outer(1)
    assert outer[0].said == ()
    assert "log" not in vars(outer[0])
    outer(1)
    assert outer[0].said == ("a", 1, {"b": 2})


def test_a_torchmetric_inside_forward_keeps_its_count():
    from torchmetrics import MeanMetric
    from torchmetrics.classification import BinaryAveragePrecision

    class Measured(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean, self.precision = MeanMetric(), BinaryAveragePrecision(thresholds=None)

        def forward(self, x):
            self.mean.update(x)
            self.precision.update(x.sigmoid(), (x > 0).long())
            return x

    model = Measured()
    model(torch.tensor([1.0, -2.0]))
    with preserve_state(model):
        model(torch.tensor([7.0, -7.0]))
    assert model.mean.compute() == -0.5
    assert [each.tolist() for each in model.precision.target] == [[1, 0]]


def test_keeping_randomness_keeps_all_three_streams():
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    with preserve_rng():
        random.random(), np.random.rand(), torch.rand(1)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before


def test_a_compiled_submodule_runs_eagerly_and_its_layers_are_found():
    from lightning_vis.attribution.recorders import record

    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    eager = nn.Sequential(OrderedDict(body=inner, head=nn.Linear(4, 3)))
    expected = record(eager, images(2), ["body.0", "body"], [0, 1])
    compiled = nn.Sequential(OrderedDict(body=torch.compile(inner, backend="eager"), head=eager.head))
    with torch.no_grad():
        compiled(images(2))  # compiled now, before any hook
    found = record(compiled, images(2), ["body.0", "body"], [0, 1])
    for name in expected:
        assert torch.equal(found[name].gradient, expected[name].gradient)


def test_weights_up_to_a_size_are_copied_and_larger_ones_watched():
    model = nn.Linear(8, 8)  # 288 bytes
    for copied, watched in ((288, 0), (287, 1)):
        before = torch.utils._python_dispatch._len_torch_dispatch_stack()
        with preserve_state(model, copied):
            assert torch.utils._python_dispatch._len_torch_dispatch_stack() - before == watched
            weight = model.weight.detach().clone()
            with torch.no_grad():
                model.weight.add_(1)
        assert torch.equal(model.weight, weight)


# --- loans within loans ------------------------------------------------------------------------------------------------


class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.seen = nn.Linear(2, 2), []

    def forward(self, x):
        self.seen.append(float(x.sum()))
        return self.layer(x)


def test_a_loan_within_a_loan_takes_back_what_it_did_to_weights_and_streams():
    model = Remembers()
    weight, bias = model.layer.weight.detach().clone(), model.layer.bias
    with preserve_state(model):
        state = torch.get_rng_state()
        with preserve_state(model):
            model.requires_grad_(False)
            model.layer.weight.data = torch.zeros(2, 2)
            torch.manual_seed(5)
            model(torch.ones(1, 2)).sum()
        assert torch.equal(model.layer.weight, weight)
        assert model.layer.weight.requires_grad
        assert torch.equal(torch.get_rng_state(), state)
        assert model.seen == []
        model(torch.ones(1, 2))
        with preserve_state(model):
            assert not model.training
            model(torch.ones(1, 2)).sum().backward()
        assert model.layer.weight.grad is None
        assert not model.training
        assert model.seen == []  # back to where the outer loan began
    assert model.training
    assert model.seen == []
    assert model.layer.bias is bias


def test_after_a_loan_the_model_can_be_lent_as_before():
    """Also after one that ended in an error: the next loan is an outer one again."""
    model = Remembers()
    with pytest.raises(ValueError, match="no"), preserve_state(model):
        raise ValueError("no")
    with preserve_state(model):
        model(torch.ones(1, 2))
    assert model.seen == []


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_collector_works_inside_and_is_left_as_it_was(is_enabled):
    gc.enable() if is_enabled else gc.disable()
    try:
        with preserve_state(Remembers()):
            assert gc.isenabled() == is_enabled
        assert gc.isenabled() == is_enabled
    finally:
        gc.enable()


def test_the_default_of_new_tensors_is_put_back():
    model = nn.Linear(2, 2)
    with pytest.raises(KeyError), preserve_state(model):
        torch.set_default_dtype(torch.float64)
        raise KeyError
    assert torch.get_default_dtype() == torch.float32
