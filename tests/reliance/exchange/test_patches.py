"""Patches that carry a class, and the surest answers: worked by hand, and a network of which it is known what convinces it."""

from __future__ import annotations

import pytest
import torch

from lightning_vis.reliance.exchange.experiment import MOST
from lightning_vis.reliance.exchange.patches import BEST, PLACES, Patch, carried_by_patches, places
from lightning_vis.reliance.exchange.surest import Sure, surest_of

SIDE = 20


def test_patches_reach_from_edge_to_edge():
    found = places(20, 10, 0.4)
    assert len(found) == PLACES**2
    assert found[0] == (slice(0, 8), slice(0, 4))
    assert found[1] == (slice(0, 8), slice(2, 6))
    assert found[-1] == (slice(12, 20), slice(6, 10))


def test_a_patch_lies_where_it_was_and_leaves_the_rest():
    images = torch.stack([torch.full((3, 4, 4), float(each)) for each in range(3)])
    found = Patch(2, slice(1, 3), slice(0, 2)).pasted(images, torch.tensor([0, 1]))
    assert found[0, 0].tolist() == [[0] * 4, [2, 2, 0, 0], [2, 2, 0, 0], [0] * 4]
    assert found[1, 0].tolist() == [[1] * 4, [2, 2, 1, 1], [2, 2, 1, 1], [1] * 4]
    assert images[0].max() == 0  # nothing is painted into the pool


def marked(classes=2, each=14):
    """Dark images with a bright mark in the lower right corner in the channel of their class."""
    labels = torch.arange(classes * each) % classes
    images = 0.1 * torch.rand(len(labels), classes, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    images[torch.arange(len(labels)), labels, 16:, 16:] = 1.0
    return images, labels


def by_mark(images, rows=None):
    """Answers the class whose mark lies in the corner."""
    return (20 * images[:, :, 16:, 16:].mean((2, 3))).softmax(1)


def test_where_a_mark_convinces_its_patches_are_found_and_random_ones_carry_nothing():
    images, labels = marked()
    found = carried_by_patches(by_mark, images, labels, by_mark(images))
    assert [each.label for each in found] == [0, 1]
    for each in found:
        assert (each.follows, each.of) == (12, 12)
        assert each.control <= 6  # 1 of 16 places holds the mark
        assert len({example.patch.source for example in each.examples}) == BEST
        for example in each.examples:
            assert (example.patch.rows, example.patch.columns) == (slice(12, 20), slice(12, 20))
            assert labels[example.patch.source] == each.label == example.said
            assert labels[example.host] != each.label
            assert example.probability > 0.99


def test_what_sees_nothing_that_a_patch_holds_is_carried_nowhere():
    """The whole image's mean decides: three fifths of its sides, 36 % of its area, are too little."""
    images = torch.stack([torch.full((1, SIDE, SIDE), float(at % 2)) for at in range(28)])
    labels = torch.arange(28) % 2

    def ask(batch, rows=None):
        bright = batch.mean((1, 2, 3)) * 20 - 10
        return torch.stack((-bright, bright), 1).softmax(1)

    assert [(each.follows, each.control) for each in carried_by_patches(ask, images, labels, ask(images))] == [(0, 0), (0, 0)]


def test_where_small_patches_carry_little_larger_ones_are_tried():
    """A third of the area decides: 0.4 of the sides have 16 % of it, 0.6 have 36 %."""
    images = torch.stack([torch.full((1, SIDE, SIDE), float(at % 2)) for at in range(28)])
    labels = torch.arange(28) % 2

    def ask(batch, rows=None):
        share = batch.mean((1, 2, 3))
        said = (share > 1 / 3).long()
        return torch.nn.functional.one_hot(said, 2).float()

    found = carried_by_patches(ask, images, labels, ask(images))
    # bright patches brighten dark images enough; dark ones leave bright images 64 % bright
    assert [(each.side, each.follows, each.control, each.of) for each in found] == [(0.4, 0, 0, 12), (0.6, 12, 12, 12)]


@pytest.mark.parametrize("classes", [2, 3, 8])
def test_forward_passes_are_counted_and_stay_below_the_most(classes):
    images, labels = marked(classes)
    asked = []

    def ask(batch, rows):
        assert len(batch) == len(rows) <= 24
        asked.append(len(batch))
        return by_mark(batch)

    found = carried_by_patches(ask, images, labels, by_mark(images))
    assert len(found) == classes
    assert sum(asked) <= MOST
    sources = min(12, (600 // classes - 24) // 16)
    assert sum(asked) == classes * (16 * sources + 24)


def test_it_is_the_same_every_time_and_draws_from_no_shared_stream():
    images, labels = marked()
    state = torch.get_rng_state()
    one, other = (carried_by_patches(by_mark, images, labels, by_mark(images)) for _ in range(2))
    assert one == other
    assert torch.equal(torch.get_rng_state(), state)


def test_images_that_are_wrong_neither_lend_nor_take():
    images, labels = marked()
    wrong = labels.clone()
    wrong[:4] = 1 - wrong[:4]
    for each in carried_by_patches(by_mark, images, wrong, by_mark(images)):
        assert all(example.patch.source >= 4 and example.host >= 4 for example in each.examples)


def test_of_one_class_or_too_few_right_images_there_is_nothing():
    images, labels = marked()
    assert carried_by_patches(by_mark, images[labels == 0], labels[labels == 0], by_mark(images[labels == 0])) == ()
    assert carried_by_patches(by_mark, images[:10], labels[:10], by_mark(images[:10])) == ()


def test_the_surest_by_hand():
    plain = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6], [1.0, 0.0]])
    found = surest_of(plain, torch.tensor([0, 0, 1, 1, -1]))
    assert (found.mistakes, found.hits) == (2, 2)
    assert [(each.row, each.label, each.said) for each in found.wrong] == [(1, 0, 1), (2, 1, 0)]
    assert found.right[0] == Sure(0, 0, 0, pytest.approx(0.9))
    assert [each.row for each in found.right] == [0, 3]
