"""Cuts, pairs and effects: worked by hand, and networks of which the truth is known."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_vis.reliance.exchange.composite import cut_parts, frame_parts
from lightning_vis.reliance.exchange.cut_out import contrasts, cut_outs, painted_out, strangeness
from lightning_vis.reliance.exchange.effect import effect_of, followed, own_probabilities, standard_error
from lightning_vis.reliance.exchange.morphology import components, filled, flooded, grown, largest, opened, otsu, shrunk
from lightning_vis.reliance.exchange.objects import difference, objects_of
from lightning_vis.reliance.exchange.plan import HOSTS, in_turn, plan_of


def drawn(*rows):
    return torch.tensor([[letter == "#" for letter in row] for row in rows])[None]


RING = drawn("......", ".####.", ".#..#.", ".####.", "......", "#.....")


def test_shapes_by_hand():
    assert torch.equal(grown(drawn("...", ".#.", "...")), drawn(".#.", "###", ".#."))
    assert torch.equal(shrunk(drawn("###", "###", "###")), drawn("###", "###", "###"))
    assert torch.equal(shrunk(drawn("....", ".##.", ".##.", "....")), drawn("....", "....", "....", "...."))
    assert torch.equal(opened(drawn("....", "###.", "###.", "###.")), drawn("....", ".#..", "###.", ".#.."))
    assert torch.equal(filled(RING), drawn("......", ".####.", ".####.", ".####.", "......", "#....."))
    assert torch.equal(largest(RING, 0.2), drawn("......", ".####.", ".#..#.", ".####.", "......", "......"))
    assert torch.equal(largest(RING, 0.05), RING)
    assert components(RING).unique().numel() == 3
    assert torch.equal(flooded(drawn("#...", "....")[:, :, :], drawn("##.#", "...#")), drawn("##..", "...."))


def test_diagonal_neighbours_are_two_parts():
    assert components(drawn("#.", ".#")).unique().numel() == 3


def test_the_threshold_lies_between_two_heaps():
    values = torch.cat((torch.full((50,), 0.1), torch.full((30,), 0.9)))[None]
    assert 0.1 < float(otsu(values)) < 0.9


def scene(colour=(1.0, 0.0, 0.0), side=64, at=20, size=24):
    generator = torch.Generator().manual_seed(0)
    picture = 0.3 + 0.1 * torch.rand(3, side, side, generator=generator)
    picture[:, at : at + size, at : at + size] = torch.tensor(colour)[:, None, None]
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[at : at + size, at : at + size] = True
    return picture, mask


@pytest.mark.parametrize("side", [64, 96, 128])
def test_a_square_on_noise_is_cut_out(side):
    picture, mask = scene(side=side, at=side // 3, size=side // 3)
    strange = strangeness(picture[None])
    found = cut_outs(strange, (side, side))[0]
    assert (found & mask).sum() / (found | mask).sum() > 0.75
    assert float(contrasts(strange, found[None])) > 5


def test_a_plain_picture_has_no_object_that_stands_out():
    strange = strangeness(torch.full((1, 3, 64, 64), 0.4))
    found = cut_outs(strange, (64, 64))
    assert not found.any()
    assert math.isnan(float(contrasts(strange, found)))


def test_no_picture_depends_on_another():
    one, other = scene()[0], scene((0.0, 0.0, 1.0), at=26)[0]
    together = cut_outs(strangeness(torch.stack((one, other))), (64, 64))
    for found, alone in zip(together, (one, other), strict=True):
        assert torch.equal(found, cut_outs(strangeness(alone[None]), (64, 64))[0])


@pytest.mark.parametrize("side", [48, 64, 100, 224])
def test_painting_out_leaves_the_rest_and_nothing_of_the_object(side):
    picture, mask = scene(side=side, at=side // 3, size=side // 3)
    found = painted_out(picture[None], grown(mask[None]))[0]
    assert torch.equal(found[:, ~grown(mask[None])[0]], picture[:, ~grown(mask[None])[0]])
    assert (found[0][mask] < 0.45).all()
    assert (found[0][mask] > 0.25).all()


def test_partners_are_of_the_same_class_and_of_others_and_always_the_same_ones():
    labels = torch.tensor([0, 1, 0, 1, 2, 0])
    plan = plan_of(labels, [0, 3])
    assert (labels[plan.partners[0, 0]] == 0).all()
    assert 0 not in plan.partners[0, 0]
    assert (labels[plan.partners[0, 1]] != 0).all()
    assert (plan.partners[1, 0] == 1).all()  # there is but one
    assert torch.equal(plan.partners, plan_of(labels, [0, 3]).partners)
    objects, hosts = plan.pairs()
    assert (objects[:, 0] == plan.subjects[:, None, None]).all()
    assert torch.equal(hosts[:, 0], plan.partners)
    assert torch.equal(objects[:, 1], plan.partners)


def test_a_class_of_one_image_has_no_partner():
    with pytest.raises(ValueError, match="image 2 of the pool has no partner: an exchange needs two images of a class"):
        plan_of(torch.tensor([0, 0, 1]), [2])


def test_classes_take_turns():
    labels = torch.tensor([0, 0, 0, 0, 1, 2, 2])
    allowed = torch.tensor([True, True, True, False, True, True, True])
    assert in_turn(labels, allowed, 5) == [0, 1, 4, 5, 6]
    assert in_turn(labels, torch.zeros(7, dtype=torch.bool), 5) == []


def test_effects_by_hand():
    own = torch.tensor([[[0.9, 0.3], [0.5, 0.4]], [[0.8, 0.4], [0.6, 0.5]]])
    found = effect_of(own)
    assert found.surroundings == pytest.approx(0.5)
    assert found.object == pytest.approx(0.1)
    assert found.share == pytest.approx(0.5 / 0.6)
    assert found.error == pytest.approx(standard_error(torch.tensor([0.6, 0.4])))
    assert effect_of(torch.full((2, 2, 2), 0.5)).share == 0.0


def test_the_bootstrap_is_that_of_a_mean():
    values = torch.randn(200, generator=torch.Generator().manual_seed(3))
    assert standard_error(values) == pytest.approx(float(values.std()) / math.sqrt(200), rel=0.1)


def test_who_follows_by_hand():
    probabilities = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    follows, of = followed(probabilities, torch.tensor([0, 0, 1, 1]), torch.tensor([1, 1, 0, 0]))
    assert follows.tolist() == [[0, 1], [0, 0]]
    assert of.tolist() == [[0, 2], [2, 0]]


def pool():
    """Red and blue squares on noise, dark noise for red, bright noise for blue."""
    generator = torch.Generator().manual_seed(1)
    images, cuts = [], []
    for index in range(12):
        picture, mask = scene(((1.0, 0.0, 0.0), (0.0, 0.0, 1.0))[index % 2])
        noise = torch.rand(picture.shape, generator=generator) * 0.1 + 0.5 * (index % 2)
        images.append(torch.where(mask, picture, noise))
        cuts.append(mask)
    return torch.stack(images), torch.stack(cuts), torch.arange(12) % 2


def by_object(images):
    """Sees the middle alone."""
    middle = images[:, :, 28:36, 28:36].mean((2, 3))
    return torch.stack((middle[:, 0], middle[:, 2]), 1)


def by_surroundings(images):
    """Sees a corner alone."""
    bright = (images[:, :, :6, :6].mean((1, 2, 3)) > 0.3).float()
    return torch.stack((1 - bright, bright), 1)


@pytest.mark.parametrize("parts_of", [lambda images, cuts: cut_parts(images, cuts), lambda images, cuts: frame_parts(images)])
@pytest.mark.parametrize(("net", "surroundings", "obj"), [(by_object, 0.0, 1.0), (by_surroundings, 1.0, 0.0)])
def test_networks_of_which_the_truth_is_known(parts_of, net, surroundings, obj):
    images, cuts, labels = pool()
    parts, plan = parts_of(images, cuts), plan_of(labels, range(12))
    objects, hosts = plan.pairs()
    answers = net(parts.exchanged(objects.flatten(), hosts.flatten())).view(12, 2, 2, HOSTS, 2)
    found = effect_of(own_probabilities(answers, labels))
    assert found.surroundings == pytest.approx(surroundings, abs=1e-6)
    assert found.object == pytest.approx(obj, abs=1e-6)


def on_black(tag):
    """Objects with a leg that their masks have missed, and a mark in the corner that tells the class."""
    labels = torch.arange(16) % 2
    pictures, masks = torch.zeros(16, 3, 32, 32), torch.zeros(16, 32, 32)
    masks[:, 10:22, 10:22] = 1
    pictures[:, :, 10:22, 10:22] = 0.8
    pictures[::2, :, 22:28, 11:15] = pictures[1::2, :, 22:28, 17:21] = 0.8
    pictures[::2, 0, :3, :3] = pictures[1::2, 2, :3, :3] = tag
    return objects_of(pictures + torch.linspace(0, 1e-4, 16).view(-1, 1, 1, 1), pictures, labels, masks), masks > 0


def test_what_a_cut_has_missed_of_the_object_is_no_surroundings_and_a_mark_in_the_corner_is():
    """On black nothing can be exchanged; of a mark that can, the measure is worked by hand: 9 of the places that are asked."""
    plain, _ = on_black(0.0)
    assert plain.refusal.reason.startswith("what surrounds the objects looks alike in most images")
    marked, masks = on_black(1.0)
    assert marked.refusal is None
    near = 12 * 12 + 4 * 12 * 6 + 4 * (1 + 2 + 3 + 4 + 5)  # within six steps of the square
    by_hand = math.sqrt(9 * (2 / 3) / (32 * 32 - near))
    assert float(difference(marked.parts, masks, marked.labels)) == pytest.approx(by_hand, rel=1e-3)


def test_objects_that_reach_nearly_to_the_border_are_asked_for_all_that_surrounds_them():
    images = torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(12, 32, 32)
    masks[:, 5:27, 5:27] = 1
    assert objects_of(images, images, torch.arange(12) % 2, masks).refusal is None
