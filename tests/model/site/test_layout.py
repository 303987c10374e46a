"""Layouts by shape: worked by hand, and the same values whichever way they lie."""

from __future__ import annotations

import pytest
import torch

from lightning_vis.model.site.layout import FLAT, LAST, MAPS, SEQUENCE, TOKENS, Layout, fits, layout_of, layout_of_frames

PATCHES = [(14, 14)]


@pytest.mark.parametrize(
    ("shape", "size", "known", "is_last", "expected"),
    [
        ((3, 512, 7, 7), (224, 224), [], False, Layout(MAPS, (7, 7))),
        ((3, 512, 1, 1), (224, 224), [], False, None),
        ((3, 7, 7, 768), (224, 224), [], False, Layout(LAST, (7, 7))),
        ((3, 8, 8, 8), (64, 64), [], False, Layout(MAPS, (8, 8))),  # by its shape it may be either
        ((3, 8, 8, 8), (64, 64), [], True, Layout(LAST, (8, 8))),
        ((3, 64, 2, 25), (32, 100), [], False, Layout(MAPS, (2, 25))),  # text lines are pooled by rows alone
        ((3, 16, 24, 96), (64, 96), [], False, Layout(LAST, (16, 24))),
        ((3, 197, 192), (224, 224), PATCHES, False, Layout(TOKENS, (14, 14), 1)),
        ((3, 198, 192), (224, 224), PATCHES, False, Layout(TOKENS, (14, 14), 2)),
        ((3, 201, 384), (224, 224), PATCHES, False, Layout(TOKENS, (14, 14), 5)),
        ((3, 196, 192), (224, 224), PATCHES, False, Layout(TOKENS, (14, 14))),
        ((3, 247, 192), (224, 224), PATCHES, False, Layout(TOKENS, (14, 14), 51)),  # fifty prompts and a class token
        ((3, 49, 768), (224, 224), [(56, 56)], False, Layout(TOKENS, (7, 7))),  # merged thrice
        ((197, 3, 192), (224, 224), PATCHES, False, Layout(SEQUENCE, (14, 14), 1)),
        ((3, 24, 32), (64, 96), [], False, Layout(TOKENS, (4, 6))),  # patches that no convolution made
        ((3, 25, 32), (64, 96), [], False, Layout(TOKENS, (4, 6), 1)),
        ((3, 65, 8), (32, 32, 32), [(4, 4, 4)], False, Layout(TOKENS, (4, 4, 4), 1)),
        ((3, 8, 4, 4, 4), (32, 32, 32), [], False, Layout(MAPS, (4, 4, 4))),
        ((3, 4, 4, 4, 96), (32, 32, 32), [], False, Layout(LAST, (4, 4, 4))),
        ((12, 49, 96), (56, 56), [(14, 14)], False, None),  # windows: their batch axis is not that of the images
        (
            (3, 64, 16),
            (64, 64),
            [(8, 8), (4, 4)],
            False,
            Layout(FLAT, (4, 4)),
        ),  # 64 channels of 16 cells, as the latest grid is
        ((3, 65, 64), (64, 64), [(8, 8)], True, Layout(TOKENS, (8, 8), 1)),  # 64 features, not 64 cells
        ((3, 65, 64), (64, 64), [(8, 8)], False, Layout(FLAT, (8, 8))),
        ((3, 1000), (224, 224), PATCHES, False, None),
        ((3, 768, 20), (224, 224), PATCHES, False, None),
    ],
)
def test_the_layout_by_hand(shape, size, known, is_last, expected):
    assert layout_of(shape, 3, size, known, is_last=is_last) == expected


@pytest.mark.parametrize(
    ("grid", "size", "does"),
    [
        ((14, 14), (224, 224), True),
        ((7, 10), (220, 320), True),  # 220 / 32 is 6.9
        ((7, 768), (224, 224), False),
        ((50, 64), (224, 224), False),
        ((300, 300), (224, 224), False),
    ],
)
def test_a_grid_divides_both_sides_alike(grid, size, does):
    assert fits(grid, size) is does


def test_whichever_way_they_lie_the_values_are_the_same():
    maps = torch.randn(3, 5, 2, 4)
    prefix = torch.randn(3, 2, 5)
    tokens = torch.cat((prefix, maps.flatten(2).transpose(1, 2)), 1)
    laid = {
        Layout(MAPS, (2, 4)): maps,
        Layout(LAST, (2, 4)): maps.permute(0, 2, 3, 1),
        Layout(TOKENS, (2, 4), 2): tokens,
        Layout(SEQUENCE, (2, 4), 2): tokens.transpose(0, 1),
    }
    for layout, tensor in laid.items():
        assert torch.equal(layout.maps(tensor), maps)
        before = layout.before(tensor)
        assert before is None if not layout.prefix else torch.equal(before, prefix)


def test_tokens_of_another_image_size_are_refused():
    with pytest.raises(
        ValueError, match="there are 16 tokens where 9 of a grid of 3 x 3 were expected: the images have another"
    ):
        Layout(TOKENS, (3, 3), 1).maps(torch.zeros(2, 17, 8))


def test_frames_that_are_run_one_by_one_come_back_as_clips():
    clips = torch.randn(3, 5, 7, 2, 4)  # three clips of five frames, seven channels
    found = layout_of_frames((15, 7, 2, 4), 3, 5, (16, 32), is_last=False)
    assert found == Layout(MAPS, (2, 4), frames=5)
    assert torch.equal(found.maps(clips.flatten(0, 1)), clips.movedim(1, 2))
    assert layout_of_frames((15, 7), 3, 5, (16, 32), is_last=False) is None
    assert layout_of_frames((3, 7, 2, 4), 3, 5, (16, 32), is_last=False) is None
