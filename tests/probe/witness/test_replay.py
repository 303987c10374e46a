"""What was read can be run again: the call with its own arguments, and the step up to the meeting."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.utils.data import default_collate

from lightning_vis.model.places import at, leaves, replaced, rows_of
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.witness.dry_run import dry_run, still
from lightning_vis.probe.witness.replay import captured, meet, submodule
from lightning_vis.probe.witness.testimony import Meeting

from .cases import PLAIN
from .harness import digest

FEW, MANY = 8, 16
MIXING = {"mixup", "rotations", "SimCLR", "supervised contrast by hand", "Barlow Twins", "pictures and words", "triplet"}
"""Their steps mix the images of a batch, so that few images give other answers than many."""
FLAT = {"segmentation, flattened"}
"""Images by pixels: more rows than images."""
CLOSED = {"frozen backbone", "temperature alone, without gradients"}
"""No gradient goes back to the image."""
READ = [case for case in PLAIN if case.want.task != "unknown" and case.in_sanity]


def begun(case):
    """A set-up's module in eval mode with what its optimizers have, and a batch of 16."""
    torch.manual_seed(0)
    module, data = case.make()
    optimizers = module.configure_optimizers()
    weights = {id(each) for group in optimizers.param_groups for each in group["params"]}
    module.log = lambda *args, **kwargs: None
    return module.eval(), weights, default_collate([data[row] for row in range(MANY)])


def seeded(module):
    """The step, with the same random numbers each time."""

    def step(batch):
        torch.manual_seed(1)
        return module._validation(module, batch)

    return step


@pytest.fixture(params=READ, ids=str)
def witnessed(request):
    module, weights, batch = begun(request.param)
    testimony = dry_run(module, partial(seeded(module), batch), batch, weights)
    return request.param, module, batch, testimony


def test_the_call_with_its_own_arguments_gives_the_watched_answer(witnessed):
    case, module, batch, testimony = witnessed
    whole = captured(module, seeded(module), batch, testimony)
    few = captured(module, seeded(module), rows_of(batch, torch.arange(FEW), MANY), testimony)
    if not testimony.is_one_call or case.name == "denoising":  # whose noise depends on the count
        return
    network = submodule(module, testimony.module)
    with torch.no_grad():
        torch.manual_seed(1)
        all_of_them = at(network(*whole.args, **whole.kwargs), testimony.head)
        torch.manual_seed(1)
        args, kwargs = rows_of((whole.args, whole.kwargs), torch.arange(FEW), MANY)
        alone = at(network(*args, **kwargs), testimony.head)
    assert len(alone) == FEW
    if case.name != "VAE":  # whose noise depends on the count
        assert torch.allclose(alone, all_of_them[:FEW], atol=1e-5)
    given = dict(leaves((few.args, few.kwargs)))
    assert [each.path for each in testimony.arguments] == [*given]
    for each in testimony.arguments:
        if each.is_leaf:
            assert torch.equal(given[each.path], at(batch, each.leaves[0])[:FEW])


def test_the_step_up_to_the_meeting_gives_the_watched_answer_and_its_labels(witnessed):
    case, module, batch, testimony = witnessed
    whole = captured(module, seeded(module), batch, testimony)
    few = captured(module, seeded(module), rows_of(batch, torch.arange(FEW), MANY), testimony)
    assert len(few.answer) * 2 == len(whole.answer) or case.name in MIXING
    if case.name not in MIXING | {"denoising", "VAE"}:
        assert torch.allclose(few.answer, whole.answer[: len(few.answer)], atol=1e-5)
        if testimony.origin == "batch" and testimony.meeting.target is not None:  # labels of an embedding are met later
            assert torch.equal(few.target, whole.target[: len(few.target)])


def test_a_gradient_reaches_the_image(witnessed):
    case, module, batch, testimony = witnessed
    image = at(batch, testimony.image[0])
    if not image.is_floating_point():
        return
    image = image.clone().requires_grad_()
    with preserve_state(module), still(module):
        answer, _ = meet(module, seeded(module), replaced(batch, testimony.image[0], image), testimony.meeting)
        weight = torch.randn(answer.shape)  # a plain sum is constant behind a softmax or a mean taken off
        reached = answer.requires_grad and torch.autograd.grad((answer * weight).sum(), image, allow_unused=True)[0]
    assert (reached is not False and reached is not None and bool(reached.any())) is (case.name not in CLOSED)


def test_nothing_of_a_replay_stays():
    case = next(each for each in READ if each.name == "cross entropy")
    module, weights, batch = begun(case)
    testimony = dry_run(module, partial(seeded(module), batch), batch, weights)
    module.train()
    before = digest([module.state_dict(), torch.get_rng_state()])
    captured(module, seeded(module), batch, testimony)
    assert digest([module.state_dict(), torch.get_rng_state()]) == before
    assert module.training
    assert not module.net._forward_pre_hooks


def test_a_meeting_that_is_not_reached_is_said():
    with pytest.raises(LookupError, match="does not bring the answer and its target together in mse_loss"):
        meet(torch.nn.Identity(), lambda _: torch.ones(2) + 1, (), Meeting("mse_loss", 0, 0, 1))


def test_a_submodule_that_is_not_there_is_said():
    with pytest.raises(LookupError, match="there is no submodule 'head'"):
        submodule(torch.nn.Linear(1, 1), "head")


def test_a_replay_stops_before_the_loss_and_no_except_of_the_step_keeps_it():
    came = []

    def step(_):
        try:
            torch.nn.functional.mse_loss(torch.ones(2), torch.zeros(2))
        except Exception:
            came.append("caught")
        came.append("after")

    answer, target = meet(torch.nn.Identity(), step, (), Meeting("mse_loss", 0, 0, 1))
    assert (answer.sum(), target.sum(), came) == (2, 0, [])


def test_a_replay_runs_no_backward_pass():
    weight = torch.nn.Parameter(torch.ones(2))

    def step(_):
        weight.sum().backward()
        torch.nn.functional.mse_loss(weight, torch.zeros(2))

    meet(torch.nn.Identity(), step, (), Meeting("mse_loss", 0, 0, 1))
    assert weight.grad is None


def test_the_right_one_of_several_calls_is_met():
    def step(_):
        for value in range(4):
            torch.nn.functional.mse_loss(torch.full((2,), float(value)), torch.zeros(2))

    answer, _ = meet(torch.nn.Identity(), step, (), Meeting("mse_loss", 2, 0, 1))
    assert answer.tolist() == [2, 2]
