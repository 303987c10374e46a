"""The presets against slow loops written after the published code of keras-vis 0.4.1, Lucid and lucent."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from nets import Plain, images, trained_looking
from torch import nn

from lightning_vis.maximization.maximizer import maximize
from lightning_vis.maximization.objectives import lp_norm, total_variation
from lightning_vis.maximization.parameterizations import IMAGENET_BASIS, Subject, _amplitudes, raw_pixels
from lightning_vis.maximization.presets import LUCID_TRANSFORMS, keras_vis, lucid, unit_rmsprop
from lightning_vis.maximization.transforms import jitter, pad, rotate, scale

EPSILON = 1e-7  # keras.backend.epsilon()


def net():
    return trained_looking(Plain()).eval().double()


def published_norms(image):
    """keras-vis's LPNorm (p = 6) and TotalVariation (beta = 2) of one image ``(C, H, W)``, pixel by pixel."""
    channels, height, width = image.shape
    power = sum(abs(float(value)) ** 6 for value in image.ravel())
    tv = sum(
        (image[c, y + 1, x] - image[c, y, x]) ** 2 + (image[c, y, x + 1] - image[c, y, x]) ** 2
        for c, y, x in product(range(channels), range(height - 1), range(width - 1))
    )
    return power ** (1 / 6) / image.size, tv / image.size


def published_gradients(image):
    """The derivatives of both, worked by hand."""
    size, total = image.size, np.sum(np.abs(image) ** 6)
    lp = total ** (1 / 6 - 1) * np.abs(image) ** 5 * np.sign(image) / size
    tv = np.zeros_like(image)
    down, right = image[:, 1:, :-1] - image[:, :-1, :-1], image[:, :-1, 1:] - image[:, :-1, :-1]
    tv[:, 1:, :-1] += 2 * down
    tv[:, :-1, 1:] += 2 * right
    tv[:, :-1, :-1] -= 2 * (down + right)
    return lp, tv / size


def keras_vis_minimize(model, layer, filter_index, seed_input, steps):
    """``Optimizer.minimize``: losses -activation, 10 LPNorm and 10 TotalVariation; the input after its best step."""
    inside = nn.Sequential(*list(model)[: int(layer) + 1])
    image, cache, best_loss, best_input, losses = seed_input.copy(), None, math.inf, None, []
    for _ in range(steps):
        tensor = torch.tensor(image)[None].requires_grad_()
        loss = -inside(tensor)[:, filter_index].mean()
        (gradient,) = torch.autograd.grad(loss, tensor)
        (lp, tv), (lp_gradient, tv_gradient) = published_norms(image), published_gradients(image)
        overall = loss.item() + 10 * lp + 10 * tv
        gradient = gradient[0].numpy() + 10 * lp_gradient + 10 * tv_gradient
        gradient = gradient / (np.sqrt(np.mean(np.square(gradient))) + EPSILON)
        cache = 0.95 * (np.zeros_like(gradient) if cache is None else cache) + 0.05 * gradient**2
        image = image - gradient / np.sqrt(cache + EPSILON)
        losses.append(-loss.item())
        if overall < best_loss:
            best_loss, best_input = overall, image.copy()
    return best_input, losses


def deprocess_input(image):
    """keras-vis's, for the range 0..1."""
    image = (image - image.mean()) / (image.std() + EPSILON) * 0.1 + 0.5
    return np.clip(image, 0, 1)


def seed_input(shape, low, high, seed=0):
    """``random_array`` around mid-range, from the random numbers that our seed gives."""
    noise = torch.rand(1, *shape, generator=torch.Generator().manual_seed(seed))[0].numpy()
    noise = (noise - np.mean(noise)) / (np.std(noise) + EPSILON)
    return (noise * 0.05 * (high - low) + (low + high) / 2).astype(np.float64)


@pytest.mark.parametrize("steps", [1, 2, 12])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (-2, 3), (0, 255)])
def test_the_keras_vis_preset_is_keras_vis_with_the_models_input_range(low, high, steps):
    model = net()
    batch = torch.rand(2, 3, 10, 9).double() * (high - low) + low
    batch[0, :, 0, 0], batch[0, :, 0, 1] = low, high  # the range is read from the images
    start = seed_input((3, 10, 9), low, high)
    found = maximize(model, "4", [3, 5], batch, preset="keras-vis", steps=steps)
    for row, index in enumerate([3, 5]):
        expected, losses = keras_vis_minimize(model, "4", index, start, steps)
        assert found.images[row].numpy() == pytest.approx(expected, rel=1e-4, abs=1e-4 * (high - low))
        assert found.history[:, row].tolist() == pytest.approx(losses, rel=1e-4, abs=1e-4)
        assert found.pictures[row].numpy() == pytest.approx(deprocess_input(expected), abs=1e-4)


def test_the_start_has_the_losses_that_keras_vis_published():
    """Its notebook on MNIST prints them for the first iteration: L-6 0.019828862, TV 0.095951974, of one random image."""
    subject = Subject((1, 28, 28), torch.ones(1, 1), torch.ones(1, 1, 1, 1))
    starts = torch.cat([raw_pixels()(subject, torch.Generator().manual_seed(seed)).start for seed in range(50)])
    starts = starts.double()
    assert starts.mean((1, 2, 3)).tolist() == pytest.approx([0.5] * 50)
    assert starts.std((1, 2, 3), correction=0).tolist() == pytest.approx([0.05] * 50, rel=1e-4)
    for prior, published in ((lp_norm(10.0), 0.019828862), (total_variation(10.0), 0.095951974)):
        ours = prior(starts)
        assert ours.min() < published < ours.max()
        assert ours.std() < 0.05 * published
    assert published_norms(starts[0].numpy()) == pytest.approx(
        [(lp_norm(1.0)(starts[:1])).item(), total_variation(1.0)(starts[:1]).item()]
    )


def test_two_steps_of_the_update_by_hand():
    """(3, -4) has the root mean square sqrt(12.5); then 0.05 g^2, and 0.95 of that + 0.05 g^2."""
    first, second = torch.tensor([[3.0, -4.0]]), torch.tensor([[0.0, 2.0]])
    step, state = unit_rmsprop()(first, None)
    assert step.tolist()[0] == pytest.approx([math.sqrt(20), -math.sqrt(20)], rel=1e-5)  # g / sqrt(0.05 g^2)
    step, _ = unit_rmsprop()(second, state)
    cache = 0.95 * 0.05 * 16 / 12.5 + 0.05 * 2  # the second gradient is (0, 2) / sqrt(2)
    assert step.tolist()[0] == pytest.approx([0, math.sqrt(2) / math.sqrt(cache)], rel=1e-5)


def rfft2d_freqs(height, width):
    """Lucid's and lucent's, cut to the columns that lucent's inverse transform reads."""
    fy = np.fft.fftfreq(height)[:, None]
    fx = np.fft.fftfreq(width)[: width // 2 + (2 if width % 2 == 1 else 1)]
    return np.sqrt(fx * fx + fy * fy)[:, : width // 2 + 1]


def lucents_image(spectrum, height, width):
    """``fft_image`` and ``to_valid_rgb(decorrelate=True)`` of lucent, with numpy's inverse transform."""
    freqs = rfft2d_freqs(height, width)
    weight = 1.0 / np.maximum(freqs, 1.0 / max(width, height))
    waves = np.fft.irfft2(weight * (spectrum[..., 0] + 1j * spectrum[..., 1]), (height, width), norm="ortho") / 4.0
    matrix = np.asarray(IMAGENET_BASIS) / np.max(np.linalg.norm(np.asarray(IMAGENET_BASIS), axis=0))
    return 1 / (1 + np.exp(-np.einsum("chw,dc->dhw", waves, matrix)))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 10), (10, 7), (9, 5), (224, 224)])
def test_the_spectrum_is_scaled_bit_for_bit_as_published(height, width):
    published = 1.0 / np.maximum(rfft2d_freqs(height, width), 1.0 / max(width, height))
    assert np.array_equal(_amplitudes(height, width, 1.0).float().numpy(), published.astype(np.float32))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 10), (9, 5)])
def test_the_lucid_preset_paints_what_lucent_paints(height, width):
    canvas = lucid().parameterization(
        Subject((3, height, width), torch.eye(3) * 7, torch.ones(1, 3, 1, 1)), torch.Generator().manual_seed(4)
    )
    assert canvas.start.std().item() == pytest.approx(0.01, rel=0.25)
    spectrum = 30 * canvas.start[0]
    painted = canvas.paint(spectrum[None])[0].numpy()
    assert painted == pytest.approx(lucents_image(spectrum.double().numpy(), height, width), abs=1e-5)


def test_the_lucid_preset_climbs_as_torchs_adam_does_at_the_published_rate():
    """The graph of lucent without transforms: spectrum, image, network, minus the mean of a channel, Adam at 0.05."""
    model, batch = net(), torch.rand(1, 3, 12, 10).double()
    canvas = lucid().parameterization(
        Subject((3, 12, 10), torch.eye(3), torch.ones(1, 3, 1, 1)), torch.Generator().manual_seed(0)
    )
    spectrum = canvas.start.double().requires_grad_()
    optimizer, inside = torch.optim.Adam([spectrum], lr=5e-2), nn.Sequential(*list(model)[:5])
    for _ in range(10):
        optimizer.zero_grad()
        (-inside(canvas.paint(spectrum))[:, 6].mean()).backward()
        optimizer.step()
    found = maximize(model, "4", [6], batch, preset="lucid", transforms=(), steps=10)
    torch.testing.assert_close(found.images, canvas.paint(spectrum).detach(), rtol=1e-6, atol=1e-7)


def spied(function):
    """Parameters that a transform was made of, in words."""
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True)}


def test_the_lucid_preset_has_the_published_transforms_in_the_published_order():
    assert lucid().steps == 512
    assert [spied(each) for each in LUCID_TRANSFORMS] == [
        {"margin": 12, "value": 0.5},
        {"distance": 8},
        {"factors": [0.9, 0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06, 1.08, 1.1]},
        {"degrees": [*range(-10, 11), 0, 0, 0, 0, 0]},
        {"distance": 4},
    ]
    made = [pad(1), jitter(1), scale([1]), rotate([0]), jitter(1)]
    assert [each.__code__ for each in LUCID_TRANSFORMS] == [each.__code__ for each in made]


def test_sizes_on_the_way_through_the_lucid_transforms():
    """128 + 2 x 12 = 152, less 8 = 144, times 0.9 .. 1.1 and cut to whole pixels as Lucid does, less 4."""
    seen = set()
    for seed in range(200):
        view, generator = torch.rand(1, 3, 128, 128), torch.Generator().manual_seed(seed)
        for transform in LUCID_TRANSFORMS:
            view = transform(view, generator)
        seen.add(view.shape[2])
    assert seen == {int(np.float32(1 + (i - 5) / 50.0) * np.float32(144)) - 4 for i in range(11)}


def test_jitter_reaches_every_window_and_no_other():
    """A crop that is d smaller has d + 1 places in each direction."""
    image = torch.arange(36.0).view(1, 1, 6, 6)
    windows = [jitter(2)(image, torch.Generator().manual_seed(seed)) for seed in range(200)]
    corners = {window[0, 0, 0, 0].item() for window in windows}
    assert corners == {float(6 * y + x) for y, x in product(range(3), range(3))}


@pytest.mark.parametrize("degrees", [0.0, 7.0, -10.0, 90.0])
def test_a_rotation_by_hand(degrees):
    """Each pixel is the bilinear mean of the four around the place it comes from, the edge continued outwards."""
    image = images(1, size=7, channels=1)[0, 0].double()
    ours = rotate([degrees])(image[None, None], torch.Generator().manual_seed(0))[0, 0]
    angle = math.radians(degrees)
    for y, x in product(range(7), range(7)):
        source_x = 3 + math.cos(angle) * (x - 3) - math.sin(angle) * (y - 3)
        source_y = 3 + math.sin(angle) * (x - 3) + math.cos(angle) * (y - 3)
        left, top = math.floor(source_x), math.floor(source_y)
        value = sum(
            (1 - abs(source_x - column)) * (1 - abs(source_y - row)) * image[min(max(row, 0), 6), min(max(column, 0), 6)]
            for row, column in product((top, top + 1), (left, left + 1))
        )
        assert ours[y, x].item() == pytest.approx(value.item(), abs=1e-4)


def test_keras_vis_moves_nothing_and_lucid_penalizes_nothing():
    assert keras_vis().transforms(64, 64) == ()
    assert keras_vis().steps == 200
    assert lucid().priors == ()
