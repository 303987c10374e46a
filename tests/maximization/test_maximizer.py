"""maximize(): exact optima where they are known, rows that do not know of each other, a model that notices nothing."""

from __future__ import annotations

import math
from itertools import product
from unittest.mock import Mock

import pytest
import torch
from nets import Depthwise, Plain, Residual, images, trained_looking
from torch import nn
from torch.nn import functional as F

from lightning_vis.constants import OUTPUT
from lightning_vis.maximization.maximizer import maximize
from lightning_vis.maximization.objectives import channel, log_odds, lp_norm, neuron, total_variation
from lightning_vis.maximization.parameterizations import Canvas, bounds, colour_basis, fourier, pixels, raw_pixels
from lightning_vis.maximization.presets import Recipe, adam
from lightning_vis.maximization.transforms import jitter, pad, roll, rotate, scale


def net(kind=Plain):
    return trained_looking(kind()).eval()


def first(model, count):
    """A Sequential's first layers."""
    return nn.Sequential(*list(model)[:count])


def on_sphere(subject, generator):
    """Images of length 1: the L2 bound of the oracle, as a parameterization."""
    start = torch.randn(1, *subject.shape, generator=generator)
    return Canvas(start, lambda values: values / values.flatten(1).norm(dim=1).view(-1, 1, 1, 1))


def test_the_optimum_of_a_linear_layer_on_the_unit_sphere_is_its_weight_vector():
    """The maximum of w x over |x| = 1 is x = w / |w|, where it is |w| (Cauchy and Schwarz)."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 5 * 4, 6, bias=False))
    recipe = Recipe(on_sphere, lambda height, width: (), adam(0.05), steps=600, develop=lambda unit: unit)
    found = maximize(model, "1", 6, torch.rand(2, 3, 5, 4), preset=recipe)
    weights = model[1].weight.detach()
    torch.testing.assert_close(found.images.flatten(1), F.normalize(weights), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.activation, weights.norm(dim=1), atol=1e-4, rtol=1e-4)


def test_the_optimum_of_a_linear_layer_in_a_box_is_the_corner_that_its_signs_point_to():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 4 * 4, 3))
    batch, still = torch.rand(2, 2, 4, 4), {"parameterization": pixels(), "transforms": ()}
    found = maximize(model, OUTPUT, 3, batch, objective=channel, steps=400, **still)
    corner = (model[1].weight.detach() > 0).float()
    torch.testing.assert_close(found.images.flatten(1), corner, atol=0.05, rtol=0)


@pytest.mark.parametrize("kind", [Plain, Residual, Depthwise])
@pytest.mark.parametrize("preset", ["default", "keras-vis", "lucid"])
def test_row_k_equals_the_same_filter_maximized_alone(kind, preset):
    model, layer = net(kind).double(), {Plain: "5", Residual: "layer2.1", Depthwise: "norm"}[kind]
    batch = images(3).double()
    together = maximize(model, layer, [4, 1, 6], batch, preset=preset, steps=8)
    for row, index in enumerate([4, 1, 6]):
        alone = maximize(model, layer, [index], batch, preset=preset, steps=8)
        torch.testing.assert_close(together.images[row], alone.images[0], rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(together.activation[row], alone.activation[0])


def test_chunks_of_rows_are_what_they_are_together():
    model, batch = net().double(), images(2).double()
    whole = maximize(model, "5", 5, batch, steps=4)
    torch.testing.assert_close(maximize(model, "5", 5, batch, steps=4, memory=1).images, whole.images)


def test_the_same_seed_gives_the_same_images_and_another_seed_gives_others():
    model, batch = net(), images(2)
    one = maximize(model, "4", 3, batch, steps=6)
    torch.rand(7)  # the global stream has nothing to do with it
    assert torch.equal(one.images, maximize(model, "4", 3, batch, steps=6).images)
    assert not torch.equal(one.images, maximize(model, "4", 3, batch, steps=6, seed=1).images)


OBJECTIVES = {
    "channel": ("5", channel),
    "neuron": ("4", neuron(2, 3)),
    "logit": (OUTPUT, channel),
    "odds": (OUTPUT, log_odds),
}
PARAMETERIZATIONS = {"fourier": fourier(), "pixels": pixels(), "raw": raw_pixels()}
PRIORS = {
    "none": (),
    "tv": (total_variation(0.5),),
    "lp": (lp_norm(0.5),),
    "both": (total_variation(0.5), lp_norm(0.5)),
}
TRANSFORMS = {"still": (), "moving": (pad(1), jitter(1), scale([0.9, 1.0, 1.1]), rotate([-5, 0, 5]), roll(1))}


@pytest.mark.parametrize(
    ("objective", "parameterization", "prior", "moved"),
    list(product(OBJECTIVES, PARAMETERIZATIONS, PRIORS, TRANSFORMS)),
)
def test_the_objective_rises(objective, parameterization, prior, moved):
    layer, function = OBJECTIVES[objective]
    found = maximize(
        net(), layer, 3, images(2), objective=function, parameterization=PARAMETERIZATIONS[parameterization],
        priors=PRIORS[prior], transforms=TRANSFORMS[moved], steps=32,
    )  # fmt: skip
    assert (found.activation > found.history[0]).all()
    assert (found.history[-8:].mean(0) > found.history[:8].mean(0)).all()


def test_several_channels_in_one_picture_excite_the_mean_of_them():
    model, batch = net(), images(2)
    both = maximize(model, "5", [(1, 4)], batch, steps=24)
    reached = first(model, 6)(both.images)[0].mean((1, 2))[[1, 4]]
    assert both.activation.item() == pytest.approx(reached.mean().item(), rel=1e-4)
    assert both.channels == ((1, 4),)
    alone = maximize(model, "5", [1, 4], batch, steps=24).images
    mixed = first(model, 6)(alone)[:, [1, 4]].mean((1, 2, 3))  # each picture for one of them serves both less well
    assert (both.activation > mixed).all()


def test_an_objective_of_ones_own_is_any_function_of_the_layers_output():
    def variance(activation, directions):
        return activation.flatten(1).var(1)

    model, batch = net(), images(2)
    found = maximize(model, "4", [0], batch, objective=variance, steps=24)
    assert found.activation.item() == pytest.approx(first(model, 5)(found.images).flatten(1).var().item(), rel=1e-4)
    assert found.activation > found.history[0]


def test_the_activation_is_that_of_the_final_image_and_beside_it_the_best_of_the_given_images():
    model, batch = net(), images(5)
    found = maximize(model, "5", [2, 0], batch, steps=5)
    torch.testing.assert_close(found.activation, first(model, 6)(found.images)[[0, 1], [2, 0]].mean((1, 2)).detach())
    torch.testing.assert_close(found.on_images, first(model, 6)(batch)[:, [2, 0]].mean((2, 3)).amax(0).detach())
    assert not found.activation.requires_grad


def test_the_forward_pass_stops_at_the_layer_and_no_parameter_gets_a_gradient(monkeypatch):
    model, asked = net(), []
    hooks = [Mock(return_value=None) for _ in model]  # what a hook of ours counts would be put back
    for module, hook in zip(model, hooks, strict=True):
        module.register_forward_hook(hook)
    real = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda out, wanted, **how: asked.append(wanted) or real(out, wanted, **how))
    maximize(model, "4", 2, images(2), steps=3)
    ran = [hook.call_count for hook in hooks]
    assert (
        ran[:5] == [7 + 3] * 5
    )  # once for where the grid lies, twice for the order in memory, the given ones, twice for the bytes, the result
    assert ran[5:] == [1] * len(ran[5:])
    assert [len(wanted) for wanted in asked] == [2, 2, 2, 2]
    assert all(wanted.is_leaf for wanted in asked)


def flags_of(model):
    return [module.training for module in model.modules()], [value.requires_grad for value in model.parameters()]


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_untouched(fails):
    model = trained_looking(Residual()).train()
    model.bn1.eval()
    model.conv1.weight.requires_grad_(False)
    model.fc.weight.grad = torch.ones_like(model.fc.weight)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flags = flags_of(model)
    stream = torch.get_rng_state()

    def objective(activation, directions):
        if fails and activation.requires_grad:
            raise RuntimeError("on purpose")
        return channel(activation, directions)

    if fails:
        with pytest.raises(RuntimeError, match="on purpose"):
            maximize(model, "layer1", 2, images(2), objective=objective, steps=2)
    else:
        maximize(model, "layer1", 2, images(2), objective=objective, steps=2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert flags == flags_of(model)
    assert torch.equal(stream, torch.get_rng_state())
    assert torch.equal(model.fc.weight.grad, torch.ones_like(model.fc.weight))
    assert all(value.grad is None for name, value in model.named_parameters() if name != "fc.weight")
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 13])
@pytest.mark.parametrize("preset", ["default", "keras-vis", "lucid"])
def test_any_number_of_input_channels(count, preset):
    model = trained_looking(Plain(channels=count)).eval()
    found = maximize(model, "1", 2, torch.rand(3, count, 12, 10), preset=preset, steps=3)
    assert found.images.shape == found.pictures.shape == (2, count, 12, 10)
    assert found.pictures.min() >= 0
    assert found.pictures.max() <= 1


def test_pictures_stay_in_the_range_that_mean_and_std_say():
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.1)
    found = maximize(net(), "5", 4, images(2), mean=mean, std=std, steps=200)
    shift, factor = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))
    torch.testing.assert_close(found.images * factor + shift, found.pictures)
    assert found.pictures.amin() < 0.2  # the range is used, not only kept
    assert found.pictures.amax() > 0.8


def test_the_range_is_that_of_the_images_where_nobody_says():
    batch = torch.stack([torch.linspace(-2, 3, 16).view(4, 4), torch.linspace(5, 5, 16).view(4, 4)])[None]
    low, high = bounds(batch)
    assert low.flatten().tolist() == [-2, 5]
    assert high.flatten().tolist() == [3, 6]  # a constant channel gets a width
    assert [value.item() for value in bounds(torch.tensor([0.2, 0.9]).view(1, 1, 1, 2))] == [0, 1]


def test_the_colour_basis_is_a_root_of_the_measured_covariance():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.tensor([[1.0, 0.2, 0.0], [0.8, -0.3, 0.1], [0.9, 0.1, -0.4]])
    batch = torch.einsum("dc,nchw->ndhw", mixing, torch.randn(20, 3, 30, 30, generator=generator))
    basis = colour_basis(batch, floor=0.0)
    covariance = batch.double().transpose(0, 1).flatten(1).cov(correction=0)
    ratio = basis @ basis.T / covariance
    torch.testing.assert_close(ratio, torch.full_like(ratio, ratio[0, 0].item()))
    assert basis.norm(dim=0).max().item() == pytest.approx(1)


def test_grey_images_and_constant_ones_have_a_basis_too():
    grey = torch.rand(4, 1, 8, 8).expand(-1, 3, -1, -1)
    assert torch.linalg.matrix_rank(colour_basis(grey)) == 3
    assert torch.linalg.matrix_rank(colour_basis(torch.ones(2, 3, 4, 4))) == 3
    assert colour_basis(torch.rand(3, 1, 4, 4)).abs().tolist() == [[1.0]]


def test_a_fourier_image_is_the_slow_sum_of_its_waves():
    """The inverse transform written out for one spectrum of a 4 x 4 image, 1 / frequency and Lucid's 4 included."""
    from lightning_vis.maximization.parameterizations import Subject

    canvas = fourier()(Subject((1, 4, 4), torch.ones(1, 1), torch.ones(1, 1, 1, 1)), torch.Generator())
    spectrum = torch.zeros(1, 1, 4, 3, 2)
    spectrum[0, 0, 1, 1] = torch.tensor([0.7, -0.3])
    painted = canvas.paint(spectrum)
    amplitude = 1 / math.hypot(0.25, 0.25)
    for y, x in product(range(4), range(4)):
        angle = 2 * math.pi * (y + x) / 4
        wave = 2 * amplitude * (0.7 * math.cos(angle) + 0.3 * math.sin(angle)) / 4 / 4
        assert painted[0, 0, y, x].item() == pytest.approx(1 / (1 + math.exp(-wave)), abs=1e-6)


def test_total_variation_and_lp_norm_by_hand():
    """A 2 x 2 picture 1 2 / 4 8: one corner has both neighbours, (4 - 1)^2 + (2 - 1)^2 = 10; over C H W = 4."""
    picture = torch.tensor([[1.0, 2.0], [4.0, 8.0]])[None, None]
    assert total_variation(3.0)(picture).item() == pytest.approx(3 * 10 / 4)
    assert total_variation(3.0, beta=1.0)(picture).item() == pytest.approx(3 * math.sqrt(10) / 4)
    assert lp_norm(2.0, p=2.0)(picture).item() == pytest.approx(2 * math.sqrt(85) / 4)
    assert lp_norm(2.0)(torch.full((1, 1, 2, 2), 1e9)).item() == pytest.approx(2e9 * 4 ** (1 / 6) / 4, rel=1e-5)


def test_log_odds_and_several_classes_by_hand():
    scores, wanted = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[0.5, 0.0, 0.5]])
    assert channel(scores, wanted).item() == 2.5
    assert log_odds(scores, wanted).item() == pytest.approx(2.5 - 2.0)
    others = math.log(math.e**2 + math.e**4)
    assert log_odds(scores, torch.tensor([[1.0, 0, 0]])).item() == pytest.approx(1 - others, rel=1e-6)


def test_a_layer_that_is_never_called_is_named():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

        def forward(self, x):
            try:
                return self.used(x)
            except Exception:
                raise AssertionError("nobody may see how the pass is stopped") from None

    with pytest.raises(ValueError, match="layer 'idle' gave no output: forward never calls it"):
        maximize(Idle(), "idle", 1, images(2))
    assert maximize(Idle(), "used", 1, images(2), steps=1).images.shape == (1, 3, 12, 12)
