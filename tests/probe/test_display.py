"""What people see of tensors: every range and number of channels, on numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets import images
from worlds import twin_probe

from lightning_vis.probe.display import GREY, concealed, display_of
from lightning_vis.probe.probe import Probe


def rows(*values):
    """One image ``(1, C, 1, W)`` from the channels' pixels."""
    return np.array(values, np.float32)[None, :, None, :]


def shown(values, **arguments):
    display = display_of(values, **arguments)
    return display.pictures(values)[0, 0].tolist(), display.note


def test_mean_and_std_are_undone_of_images_that_are_not_square():
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
    seen = torch.rand(2, 3, 4, 7, generator=torch.Generator().manual_seed(0))
    normalised = (seen - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    inputs = Probe(normalised, mean=mean, std=std).inputs()
    np.testing.assert_array_equal(inputs.pictures, (seen.permute(0, 2, 3, 1) * 255).round().numpy())
    assert (inputs.note, inputs.pictures.dtype, inputs.pictures.shape) == ("", np.uint8, (2, 4, 7, 3))


def test_images_in_0_to_1_are_shown_as_they_are():
    seen = torch.rand(2, 3, 4, 5)
    inputs = Probe(seen, labels=[1, 0], class_names=["a", "b"]).inputs()
    np.testing.assert_array_equal(inputs.pictures, (seen.permute(0, 2, 3, 1) * 255).round().numpy())
    assert inputs.labels.tolist() == [1, 0]
    assert (inputs.class_names, inputs.note) == (("a", "b"), "")


def test_one_channel_is_grey():
    assert shown(rows([0, 0.2, 1])) == ([[0, 0, 0], [51, 51, 51], [255, 255, 255]], "")


def test_two_channels_are_red_and_cyan():
    assert shown(rows([0, 0.2], [1, 0.6])) == ([[0, 255, 255], [51, 153, 153]], "channel 0 red, 1 cyan")


def test_a_chosen_triple_and_a_chosen_channel():
    five = rows([0.0, 1.0], [0.2, 0.2], [0.4, 0.4], [0.6, 0.6], [0.8, 0.8])
    assert shown(five, channels=(3, 1, 0)) == ([[153, 51, 0], [153, 51, 255]], "channels 3, 1, 0")
    assert shown(five, channels=(2,)) == ([[102, 102, 102]] * 2, "channel 2")


@pytest.mark.parametrize("high", [255.0, 4095.0, 65535.0, 0.0625])
def test_other_ranges_are_shown_between_their_percentiles_over_the_whole_probe(high):
    ramp = np.linspace(0, high, 101, dtype=np.float32).reshape(1, 1, 1, 101)
    two = np.concatenate([ramp, np.full_like(ramp, high / 2)])
    display = display_of(two)
    low, top = np.percentile(two, (1, 99))
    expected = np.rint(((two - low) / (top - low)).clip(0, 1) * 255)[:, 0, :, :, None].repeat(3, 3)
    np.testing.assert_allclose(display.pictures(two), expected, atol=1)
    assert display.note == "display rescaled"
    assert display.pictures(two)[1].max() in (127, 128)  # the second image keeps its place in the range of both


def test_a_mean_and_std_that_do_not_lead_to_0_to_1_are_rescaled_and_said():
    given = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    assert display_of(given, [120.0] * 3, [60.0] * 3).note == "display rescaled"
    assert display_of(given, [0.5], [0.05]).note == ""


def test_a_window_shows_its_values_and_is_said():
    hounsfield = rows([-1000, -160, 40, 240, 3000])
    assert [pixel[0] for pixel in shown(hounsfield, window=(40, 400))[0]] == [0, 0, 128, 255, 255]
    assert shown(hounsfield, window=(40, 400))[1] == "window 40, 400"
    normalised = (hounsfield - 100) / 500
    assert [pixel[0] for pixel in shown(normalised, mean=[100], std=[500], window=(40, 400))[0]] == [
        0,
        0,
        128,
        255,
        255,
    ]


def test_many_channels_show_their_principal_components():
    # three orthogonal patterns of falling strength in six channels: each must come out as one colour
    generator = np.random.default_rng(0)
    patterns = np.linalg.qr(generator.normal(size=(400, 3)) - 0.0)[0].T
    patterns -= patterns.mean(1, keepdims=True)
    directions = np.linalg.qr(generator.normal(size=(6, 3)))[0]
    pixels = (directions * [50, 20, 5]) @ patterns
    pictures = display_of(values := pixels.reshape(1, 6, 20, 20)).pictures(values)
    for colour in range(3):
        agreement = np.corrcoef(pictures[0, :, :, colour].reshape(-1), patterns[colour])[0, 1]
        assert abs(agreement) > 0.97
    assert display_of(values).note == "6 channels as 3 principal components"


def test_constant_images_and_pixels_that_are_not_finite_are_shown_black():
    assert shown(rows([7, 7, 7]))[0] == [[0, 0, 0]] * 3
    given = torch.full((1, 3, 2, 2), 0.5)
    given[0, 1, 0, 0], given[0, :, 1, 1] = torch.nan, torch.inf
    pictures = Probe(given).inputs().pictures
    assert pictures[0, 0, 0].tolist() == [128, 0, 128]
    assert pictures[0, 1, 1].tolist() == [0, 0, 0]
    assert pictures[0, 0, 1].tolist() == [128, 128, 128]


def test_twins_are_shown_on_the_scale_of_the_probe():
    probe = twin_probe()
    scaled = Probe(probe.images * 40, probe.labels, probe.masks).inputs()
    grey = (scaled.twins[:, :, 4:12, 7:9].astype(int) - 255)[probe.labels == 0]
    assert scaled.note == "display rescaled"
    assert (np.abs(grey) <= 1).all()  # the bars are white in the probe and in the twins


def test_inputs_of_patients_are_grey_panels_everywhere():
    probe = twin_probe(inputs=False)
    inputs = probe.inputs()
    assert (inputs.pictures == GREY).all()
    assert (inputs.twins == GREY).all()
    assert inputs.note == "not shown"
    assert inputs.pictures.shape == twin_probe().inputs().pictures.shape
    assert concealed(np.zeros((2, 5, 3, 4))).shape == (2, 3, 4, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": (0, 1, 3)}, "Probe(channels): expected one or three of the channels 0 to 2; got (0, 1, 3)"),
        ({"channels": (0, 1)}, "Probe(channels): expected one or three of the channels 0 to 2; got (0, 1)"),
        ({"channels": (-1,)}, "Probe(channels): expected one or three of the channels 0 to 2; got (-1,)"),
        ({"window": (40, 0)}, "Probe(window): expected (centre, width) with a width above 0; got (40, 0)"),
        ({"mean": [0.5, 0.5]}, "Probe(mean): expected one number per channel, 3; got 2"),
        ({"std": [1.0] * 4}, "Probe(std): expected one number per channel, 3; got 4"),
    ],
)
def test_what_the_user_wrote_and_the_sentence_they_get(arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Probe(images(2), **arguments)
    assert str(caught.value) == message
