"""The numbers of twins: by hand, against slow loops after the formula, and by their laws."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_vis.reliance.metrics import (
    background_driven,
    background_effects,
    background_share,
    object_effects,
    only_background_accuracy,
    paste_control,
    total_variation,
    twin_numbers,
    typical_gap,
    variation_of_backgrounds,
    variation_of_objects,
    worst_group,
)

# Two objects, a bird (class 0) and a mammal (class 1), on leaves and on stones; leaves are typical of birds. The bird
# is called a bird with a probability of .9 on leaves and .3 on stones, the mammal with .6 and .2.
LOGITS = torch.tensor([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]]).log()[:, :, None]
LABELS = torch.tensor([0, 1])
TYPICAL = torch.tensor([0, 1])


def by_hand(logits=LOGITS, typical=TYPICAL):
    return twin_numbers(logits.softmax(-1), LABELS, typical)


def random_probabilities(objects=6, kinds=3, plates=2, classes=4, seed=0):
    values = torch.randn(objects, kinds, plates, classes, generator=torch.Generator().manual_seed(seed))
    return values.mul(2).softmax(-1).double()


# --- by hand -------------------------------------------------------------------------------------------------------


def test_two_objects_on_two_backgrounds_by_hand():
    numbers, effects = by_hand()
    # the bird: p(bird) .9 -> .3, p(mammal) .7 - .1: .6 both; the mammal: .6 -> .2 and .8 - .4: .4 both
    assert effects.tolist() == pytest.approx([0.6, 0.4])
    assert numbers == {
        "reliance/background_effect": pytest.approx(0.5),
        "reliance/background_effect_error": pytest.approx(0.1 / math.sqrt(2)),
        # p(bird) is (.9 + .3) / 2 on the bird and (.6 + .2) / 2 on the mammal: .2; p(mammal) .6 - .4: .2
        "reliance/object_effect": pytest.approx(0.2),
        "reliance/background_share": pytest.approx(0.5 / 0.7),
        # called right: the bird on leaves, the mammal on stones, and nothing else
        "reliance/typical_gap": 1.0,
        "reliance/worst_group": 0.0,
    }


def test_three_plates_of_one_kind_are_averaged():
    plates = LOGITS.softmax(-1).repeat(1, 1, 3, 1)
    plates[0, 0, :, 0] = torch.tensor([0.8, 0.9, 1.0])
    plates[0, 0, :, 1] = torch.tensor([0.2, 0.1, 0.0])
    assert background_effects(plates, TYPICAL).tolist() == pytest.approx([0.6, 0.4])


def test_total_variation_by_hand():
    assert total_variation(torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.1, 0.3, 0.6])) == pytest.approx(0.4)
    assert total_variation(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])) == 1
    assert total_variation(torch.tensor([0.7, 0.3]), torch.tensor([0.7, 0.3])) == 0


def test_variation_between_and_within_kinds_by_hand():
    # one object, two plates of each kind, p(class 0): leaves .9 and .7, stones .2 and .1
    p = torch.tensor([0.9, 0.7, 0.2, 0.1]).reshape(1, 2, 2)
    between, within = variation_of_backgrounds(torch.stack([p, 1 - p], -1))
    assert between.item() == pytest.approx((0.7 + 0.8 + 0.5 + 0.6) / 4)
    assert within.item() == pytest.approx((0.2 + 0.1) / 2)


def test_paste_control_compares_object_i_with_kind_i_modulo_their_number():
    shifted = torch.tensor([[0.8, 0.2], [0.5, 0.5]])  # the bird on leaves: .9 -> .8; the mammal on stones: .2 -> .5
    assert paste_control(LOGITS.softmax(-1), shifted) == pytest.approx((0.1 + 0.3) / 2)


def test_accuracy_of_empty_backgrounds_by_hand():
    plates = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]])
    assert only_background_accuracy(plates, torch.tensor([0, 0, 1, 1]), TYPICAL) == 0.75
    assert only_background_accuracy(plates, torch.tensor([0, 0, 1, 1]), TYPICAL.flip(0)) == 0.25


def test_gap_and_worst_group_by_hand():
    right = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])  # three objects on three kinds
    labels, typical = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2])
    answers = torch.where(right == 1, labels[:, None], 2)
    probabilities = torch.eye(3)[answers][:, :, None]
    # own: objects 0 and 1 on kind 0, object 2 on kind 1: (1 + 0 + 1) / 3; the other six cells: 3 / 6
    assert typical_gap(probabilities, labels, typical) == pytest.approx(2 / 3 - 3 / 6)
    # groups: class 0 on kinds 0, 1, 2: .5, 0, 1; class 1: 1, 1, 0
    assert worst_group(probabilities, labels) == 0
    assert worst_group(probabilities[:, :1], labels) == 0.5


def test_channels_by_hand():
    # spatial means of three channels; channel 0 goes with the background, 1 with the object, 2 never moves
    activations = torch.zeros(2, 2, 1, 3)
    activations[:, 0, 0, 0], activations[:, 1, 0, 0] = 1.0, 3.0
    activations[0, :, 0, 1], activations[1, :, 0, 1] = 5.0, 2.0
    activations[..., 2] = 4.0
    assert background_driven(activations, LABELS).tolist() == [1.0, 0.0, 0.5]
    activations[:, 0, 0, 1] += 1.0  # a difference of 1 between backgrounds beside one of 3 between objects
    assert background_driven(activations, LABELS)[1].item() == pytest.approx(1 / (1 + 3))


# --- against slow loops --------------------------------------------------------------------------------------------


def test_background_effects_against_loops():
    p, typical = random_probabilities(kinds=4), torch.tensor([0, 2, 0, 3])  # kinds 0 and 2 go with one class
    expected = []
    for i in range(6):
        per_kind = []
        for k in range(4):
            here = sum(p[i, k, r, typical[k]] for r in range(2)) / 2
            others = [other for other in range(4) if typical[other] != typical[k]]
            there = sum(p[i, other, r, typical[k]] for other in others for r in range(2)) / 2 / len(others)
            per_kind.append(here - there)
        expected.append(sum(per_kind) / 4)
    torch.testing.assert_close(background_effects(p, typical), torch.stack(expected))


def test_object_effects_against_loops():
    p, labels = random_probabilities(), torch.tensor([0, 1, 1, 3, 0, 2])
    expected = []
    for i in range(6):
        own = sum(p[i, k, r, labels[i]] for k in range(3) for r in range(2)) / 6
        rivals = [j for j in range(6) if labels[j] != labels[i]]
        theirs = sum(p[j, k, r, labels[i]] for j in rivals for k in range(3) for r in range(2)) / 6 / len(rivals)
        expected.append(own - theirs)
    torch.testing.assert_close(object_effects(p, labels), torch.stack(expected))


def test_variations_against_loops():
    p, labels = random_probabilities(plates=3), torch.tensor([0, 1, 1, 0, 0, 2])

    def distance(one, other):
        return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / 2

    def mean(values):
        return sum(values) / len(values) if values else torch.tensor(torch.nan, dtype=torch.double)

    between, within, others, own = [], [], [], []
    for i in range(6):
        cells = [(k, r) for k in range(3) for r in range(3)]
        pairs = [(a, b) for a in cells for b in cells if a != b]
        between.append(mean([distance(p[i][a], p[i][b]) for a, b in pairs if a[0] != b[0]]))
        within.append(mean([distance(p[i][a], p[i][b]) for a, b in pairs if a[0] == b[0]]))
        others.append(mean([distance(p[i][c], p[j][c]) for j in range(6) if labels[j] != labels[i] for c in cells]))
        own.append(mean([distance(p[i][c], p[j][c]) for j in range(6) if labels[j] == labels[i] and j != i for c in cells]))
    for found, expected in zip(variation_of_backgrounds(p), (between, within), strict=True):
        torch.testing.assert_close(found, torch.stack(expected))
    for found, expected in zip(variation_of_objects(p, labels), (others, own), strict=True):
        torch.testing.assert_close(found, torch.stack(expected), equal_nan=True)


# --- laws ----------------------------------------------------------------------------------------------------------


def test_swapping_the_names_of_the_backgrounds_flips_the_sign_and_leaves_the_object_alone():
    one, other = by_hand()[0], by_hand(typical=TYPICAL.flip(0))[0]
    assert other["reliance/background_effect"] == pytest.approx(-one["reliance/background_effect"])
    assert other["reliance/object_effect"] == one["reliance/object_effect"]
    assert other["reliance/background_share"] == pytest.approx(one["reliance/background_share"])


def test_a_constant_added_to_the_logits_of_an_image_changes_nothing():
    constants = torch.tensor([[3.0, -5.0], [0.5, 10.0]])[:, :, None, None]
    assert by_hand(LOGITS + constants)[0] == {tag: pytest.approx(value) for tag, value in by_hand()[0].items()}


@pytest.mark.parametrize("typical", [torch.tensor([0, 1, 2]), None])
def test_an_answer_that_ignores_the_background_has_no_background_effect_and_the_other_way_round(typical):
    labels = torch.arange(6) % 3
    by_object = random_probabilities()[:, :1, :1].expand(6, 3, 2, 4)
    numbers, effects = twin_numbers(by_object, labels, typical)
    assert numbers["reliance/background_effect"] == pytest.approx(0, abs=1e-12)
    assert effects.abs().max() < 1e-12
    assert numbers["reliance/background_share"] == pytest.approx(0, abs=1e-12)
    by_background = random_probabilities()[:1].expand(6, 3, 2, 4)
    assert twin_numbers(by_background, labels, typical)[0]["reliance/object_effect"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("typical", [torch.tensor([0, 1, 2]), None])
def test_a_network_that_reads_only_the_background_has_effect_and_share_one(typical):
    by_background = torch.eye(3)[torch.tensor([0, 1, 2])][None, :, None].expand(6, 3, 2, 3)
    numbers, _ = twin_numbers(by_background, torch.arange(6) % 3, typical)
    assert numbers["reliance/background_effect"] == pytest.approx(1)
    assert numbers["reliance/object_effect"] == pytest.approx(0)
    assert numbers["reliance/background_share"] == pytest.approx(1)


@pytest.mark.parametrize("typical", [torch.tensor([0, 1, 2]), None])
def test_a_network_that_reads_only_the_object_has_share_zero(typical):
    labels = torch.arange(6) % 3
    numbers, _ = twin_numbers(torch.eye(3)[labels][:, None, None].expand(6, 3, 2, 3), labels, typical)
    assert numbers["reliance/object_effect"] == pytest.approx(1)
    assert numbers["reliance/background_share"] == pytest.approx(0)


def test_without_typical_the_effect_of_noise_is_nothing_where_the_variation_is_not():
    """The floor of total variation: plates of one kind move the answer as much as plates of two kinds."""
    probabilities = random_probabilities(objects=400)
    numbers, _ = twin_numbers(probabilities, torch.arange(400) % 4, None)
    assert numbers["reliance/within_kind"] > 0.3
    assert abs(numbers["reliance/background_effect"]) < 4 * numbers["reliance/background_effect_error"]
    assert abs(numbers["reliance/object_effect"]) < 0.01


def test_the_share_is_defined_everywhere_and_small_while_nothing_is_learnt():
    assert background_share(0.0, 0.0) == 0
    assert background_share(0.04, 0.01) == pytest.approx(0.08)
    assert background_share(-0.6, 0.2) == pytest.approx(0.75)
    assert background_share(0.25, 0.25) == 0.5
