"""Networks lent whole: weights in their places, nothing of torch.distributed in the way, everything back afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from lightning_vis.model.snapshot.shards import gathered, lent_whole


class Unit(nn.Module):
    """A wrapper as FSDP1 has them, which would talk to other processes."""

    def __init__(self, module):
        super().__init__()
        self._fsdp_wrapped_module = module

    def forward(self, x):
        raise AssertionError("another process was asked")


def talk(*arguments):
    raise AssertionError("another process was asked")


talk.__module__ = "torch.distributed.fsdp"


def heard(module, arguments):
    module.heard = True


@pytest.fixture
def net():
    torch.manual_seed(0)
    tied = nn.Linear(3, 3, bias=False)
    net = nn.Sequential(nn.Linear(4, 3), tied, Unit(checkpoint_wrapper(nn.Sequential(nn.Linear(3, 3), tied))))
    net[0].register_forward_pre_hook(talk)
    net[0].register_forward_pre_hook(heard)
    return net


def state(net):
    return [(each, dict(vars(each)), *(dict(vars(each)[key]) for key in ("_modules", "_parameters"))) for each in net.modules()]


def test_inside_it_is_what_its_author_wrote(net):
    x, plain = torch.ones(2, 4), [nn.Linear(4, 3), nn.Linear(3, 3, bias=False), nn.Linear(3, 3)]
    weights = gathered(net)
    with lent_whole(net, weights):
        assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.weight", "2.0.weight", "2.0.bias"]
        assert net[1].weight is net[2][1].weight  # tied as before
        assert net[1].bias is None
        for layer, at in zip(plain, (net[0], net[1], net[2][0]), strict=True):
            layer.load_state_dict(at.state_dict())
        expected = plain[1](plain[2](plain[1](plain[0](x))))
        assert torch.equal(net(x), expected)
    assert net[0].heard  # the user's own hook did run


def test_afterwards_all_is_as_it_was_and_the_parts_were_not_touched(net):
    net[0].weight.grad = torch.ones(3, 4)
    before, values = state(net), [each.clone() for each in net.parameters()]
    with pytest.raises(RuntimeError), lent_whole(net, gathered(net)):
        net[0].weight.data.zero_()
        net(torch.ones(2, 4)).sum().backward()
        raise RuntimeError
    del net[0].heard
    assert state(net) == before
    assert all(map(torch.equal, net.parameters(), values))
    assert torch.equal(net[0].weight.grad, torch.ones(3, 4))
    assert net[1].weight.grad is None


def test_a_network_that_is_whole_is_left_alone(net):
    with lent_whole(net, {}), pytest.raises(AssertionError, match="another process was asked"):
        net(torch.ones(2, 4))


class Fleeting(nn.Module):
    """Has its weight made anew each time it is asked for, as FSDP1 without `use_orig_params` puts weights together."""

    def __init__(self, value):
        super().__init__()
        self.__dict__["_parameters"] = Made(value)


class Made(dict):
    def __init__(self, value):
        super().__init__(weight=None)
        self.value = value

    def items(self):
        return [("weight", nn.Parameter(torch.full((1,), self.value)))]


def test_weights_that_are_made_for_the_moment_are_not_taken_for_one_another():
    weights = gathered(nn.Sequential(*(Fleeting(float(each)) for each in range(8))))
    assert [float(each.detach()) for each in weights.values()] == [0, 1, 2, 3, 4, 5, 6, 7]
