"""Large weights are watched instead of copied: what that saves, and that it sees every way to write to them."""

from __future__ import annotations

import pytest
import torch
from nets import images
from torch import nn
from torch.profiler import ProfilerActivity, profile

from lightning_vis.attribution.recorders import record
from lightning_vis.constants import INPUT
from lightning_vis.model.snapshot.copy_on_write import CopyOnWrite
from lightning_vis.model.snapshot.snapshot import preserve_state

MEBI = 2**20


def heavy():
    """A network of 16 MiB whose activations are small."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(256, 16 * 1024))


def peak(work):
    """The most bytes that PyTorch's allocator has given out at one time since the beginning."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        work()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


@pytest.mark.parametrize(("large", "least", "most"), [(8 * MEBI, 0, 8 * MEBI), (2**40, 16 * MEBI, 2**40)])
def test_large_weights_are_not_copied_where_nothing_writes_to_them(monkeypatch, large, least, most):
    monkeypatch.setattr("lightning_vis.model.snapshot.snapshot.LARGE", large)
    net, batch = heavy(), images(2)
    assert least <= peak(lambda: record(net, batch, [INPUT], [0, 1])) < most


def test_records_are_the_same_either_way(monkeypatch):
    net, batch = heavy(), images(2)
    watched = record(net, batch, [INPUT, "0"], [0, 1])
    monkeypatch.setattr("lightning_vis.model.snapshot.snapshot.LARGE", 2**40)
    copied = record(net, batch, [INPUT, "0"], [0, 1])
    for name in copied:
        assert torch.equal(watched[name].gradient, copied[name].gradient)


def test_only_what_is_written_to_is_copied():
    written, left = torch.ones(3), torch.ones(3)
    watch = CopyOnWrite()
    put_back, put_back_too = watch.keep(written), watch.keep(left)
    with watch:
        written.add_(1)
        written.add_(1)
        left + 1
    assert len(watch._unwritten) == 1
    put_back(), put_back_too()
    assert written.tolist() == left.tolist() == [1, 1, 1]


def test_weights_in_one_memory_are_all_put_back():
    """As recurrent layers and flat optimizers hold them."""
    flat = torch.arange(6.0)
    first, second = nn.Parameter(flat[:3]), nn.Parameter(flat[3:])
    watch = CopyOnWrite()
    steps = [watch.keep(first), watch.keep(second)]
    with watch:
        flat.zero_()
    for step in steps:
        step()
    assert flat.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_recurrent_network_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr("lightning_vis.model.snapshot.snapshot.LARGE", 0)
    net = nn.GRU(4, 5, batch_first=True)
    before = [value.clone() for value in net.parameters()]
    with preserve_state(net):
        net(torch.randn(2, 3, 4))
        for value in net.parameters():
            value.data.mul_(2)
    assert all(torch.equal(value, kept) for value, kept in zip(net.parameters(), before, strict=True))


def test_scripted_networks_are_copied(monkeypatch):
    monkeypatch.setattr("lightning_vis.model.snapshot.snapshot.LARGE", 0)
    net = torch.jit.trace(nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval(), images(2))
    before = net.get_parameter("0.weight").clone()
    with preserve_state(net):
        assert net(images(2)).shape == (2, 2)
        net.get_parameter("0.weight").data.mul_(2)
    assert torch.equal(net.get_parameter("0.weight"), before)
