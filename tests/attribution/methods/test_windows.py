"""Occlusion: windows counted by hand, and a score that is the sum of known pixels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_vis.attribution import occlusion
from lightning_vis.attribution.methods.windows import Occlusion, occlusion_map, windows
from lightning_vis.constants import INPUT
from lightning_vis.model.run import prepare
from lightning_vis.model.scores import logit


class Sum(nn.Module):
    """Two scores: the sum of one corner's four pixels, and nothing."""

    def forward(self, x):
        score = x[:, 0, :2, :2].sum((1, 2))
        return torch.stack((score, 0 * score), 1)


@pytest.mark.parametrize(("side", "count", "last"), [(8, 7, (6, 8)), (224, 7, (168, 224)), (12, 5, (8, 12)), (30, 7, (24, 32))])
def test_windows_cover_the_image(side, count, last):
    found = [*windows(side, side)]
    assert len(found) == count**2 <= Occlusion().passes - 1
    assert (found[-1][0].start, found[-1][0].stop) == last
    covered = torch.zeros(side, side)
    for rows, columns in found:
        covered[rows, columns] += 1
    assert (covered > 0).all()


def test_an_image_of_one_pixel_has_one_window():
    assert [*windows(1, 1)] == [(slice(0, 2), slice(0, 2))]


def test_by_hand_where_the_score_is_the_sum_of_a_corner():
    """8 x 8 pixels, windows of 2 x 2 every pixel; each pixel of the corner counts 1."""
    run = prepare(Sum(), torch.ones(2, 3, 8, 8), torch.zeros(2, dtype=torch.long), score=logit)
    found = occlusion_map(Occlusion()(run, {"label": [INPUT]}).explained["label"].records[INPUT])
    # windows begin at 0..6: those at 0, 1, 2, ... hide 2, 1, 0 pixels of the corner along an axis; of pixel 0 only the first lies
    # over it, of pixel 1 the mean of 2 and 1, of pixel 2 that of 1 and 0
    along = torch.tensor([2.0, 1.5, 0.5, 0, 0, 0, 0, 0])
    torch.testing.assert_close(found, (along[:, None] * along).expand(2, 8, 8))


def test_volumes_are_occluded_through_all_slices():
    run = prepare(nn.Sequential(nn.Flatten(), nn.Linear(3 * 2 * 64, 2)), torch.ones(1, 3, 2, 8, 8))
    found = occlusion_map(Occlusion()(run, {"predicted": [INPUT]}).explained["predicted"].records[INPUT])
    assert found.shape == (1, 2, 8, 8)
    torch.testing.assert_close(found[:, 0], found[:, 1])


def test_the_view():
    assert occlusion().key == "occlusion"
    assert occlusion().scale.signed
    assert occlusion().passes == 50
