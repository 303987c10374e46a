"""Twins: every pixel where it belongs, and one clear sentence for what cannot be pasted."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_vis.attribution.pipeline import look, look_at_twins
from lightning_vis.attribution.views import grad_cam
from lightning_vis.model.feature_map import ROWS
from lightning_vis.model.run import ForwardConfig, Pass
from lightning_vis.probe.probe import Probe
from lightning_vis.reliance.evaluate import evaluate_twins
from lightning_vis.reliance.paste import inpainted, translated

KINDS = ("leaves", "stones")
TYPICAL = {"leaves": "bird", "stones": "mammal"}
NAMES = ["bird", "mammal"]


def objects(count=4, size=12):
    """Image i is i + 1 all over, its mask a square of 4 x 4 at its own place."""
    images = torch.ones(count, 3, size, size) * torch.arange(1, count + 1)[:, None, None, None]
    masks = torch.zeros(count, size, size)
    for i in range(count):
        masks[i, i : i + 4, 2 : 6 + i % 2] = 1
    return images, torch.arange(count) % 2, masks


def plates(count=3, side=12, start=-10.0):
    return torch.ones(count, 3, side, side) * (start - torch.arange(count))[:, None, None, None]


def backgrounds(**arguments):
    return {"leaves": plates(3, **arguments), "stones": plates(2, start=-20.0, **arguments)}


def made(**arguments):
    images, labels, masks = objects()
    given = {"labels": labels, "masks": masks, "class_names": NAMES, "backgrounds": backgrounds(), "typical": TYPICAL}
    return Probe(images, **(given | arguments))


# --- on plates -----------------------------------------------------------------------------------------------------


def test_each_object_stands_at_its_place_on_plate_i_modulo_their_number_of_each_kind():
    _, _, masks = objects()
    twins = made().twins
    assert twins.images.shape == (4, 2, 1, 3, 12, 12)
    assert twins.kinds == KINDS
    assert twins.typical.tolist() == [0, 1]
    for i in range(4):
        for k, (start, count) in enumerate(((-10, 3), (-20, 2))):
            expected = torch.where(masks[i] == 1, i + 1, start - i % count).expand(3, 12, 12)
            assert torch.equal(twins.images[i, k, 0], expected.float())


def test_soft_masks_mix_object_and_plate():
    _, _, masks = objects()
    twins = made(masks=masks * 0.25).twins
    assert twins.images[1, 0, 0, 0, 2, 3] == 0.25 * 2 + 0.75 * -11


def test_without_typical_each_object_stands_on_two_plates_of_each_kind():
    twins = made(typical=None).twins
    assert twins.images.shape == (4, 2, 2, 3, 12, 12)
    assert twins.typical is None
    assert twins.images[1, :, :, 0, 11, 11].tolist() == [[-11, -12], [-21, -20]]


def test_of_larger_plates_the_middle_is_used():
    large = backgrounds(side=20)
    large["leaves"][:, :, :4] = 99
    large["leaves"][:, :, :, -4:] = 99
    assert torch.equal(made(backgrounds=large).twins.images, made().twins.images)


def test_the_paste_control_moves_the_object_by_three_pixels_into_the_picture():
    _, _, masks = objects()
    twins = made().twins
    for i in range(4):
        there = torch.zeros(12, 12)
        there[:, 3:] = masks[i][:, :-3]  # all these objects lie in the left half
        plate = (-10 - i % 3, -20 - i % 2)[i % 2]
        assert torch.equal(twins.shifted[i], torch.where(there == 1, i + 1.0, plate).expand(3, 12, 12))
    right = made(masks=masks.flip(2)).twins
    assert torch.equal(right.shifted, twins.shifted.flip(3))


def test_what_leaves_the_picture_on_one_side_does_not_come_back_on_the_other():
    image, mask = torch.arange(12.0).expand(3, 12, 12), torch.zeros(12, 12)
    mask[4:6] = 1  # from one side to the other
    there, shown = translated(image, mask, (0, 3))
    assert shown[4].tolist() == [0] * 3 + [1] * 9
    assert there[0, 4, 3:].tolist() == list(range(9))
    there, shown = translated(image, mask, (-5, -2))
    assert shown.sum() == 1 * 10  # one of the two rows is left, and ten of its places
    assert shown[0].tolist() == [1] * 10 + [0] * 2


def test_the_clean_plates_come_along_with_their_kinds():
    twins = made().twins
    assert torch.equal(twins.plates, torch.cat([plates(3), plates(2, start=-20.0)]))
    assert twins.plate_kinds.tolist() == [0, 0, 0, 1, 1]
    few = made(backgrounds={"leaves": plates(9), "stones": plates(9)}).twins
    assert len(few.plates) == 8  # as many of each kind as there are objects


def test_a_batch_taken_apart_is_what_it_was_made_of():
    for twins in (made().twins, made(typical=None).twins, made(backgrounds=None, typical=None).twins):
        images, shifted, clean = twins.split(twins.batch())
        assert torch.equal(images, twins.images)
        assert torch.equal(shifted, twins.shifted)
        assert (clean is None) == (twins.plates is None)
        assert clean is None or torch.equal(clean, twins.plates)


# --- on each other -------------------------------------------------------------------------------------------------


def noisy(count=6, size=24, seed=0):
    """Noise in 0..1 with squares of 5 in it."""
    images = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
    masks = torch.zeros(count, size, size)
    for i in range(count):
        masks[i, 2 + 2 * i : 10 + 2 * i, 3 : 9 + i] = 1
    return torch.where(masks[:, None] == 1, 5.0, images), torch.arange(count) % 2, masks


def test_a_filled_hole_shows_nothing_of_the_object_and_leaves_the_rest_as_it_is():
    images, _, masks = noisy()
    for image, mask in zip(images, masks, strict=True):
        result = inpainted(image, mask)
        assert result.max() <= 1
        far = nn.functional.max_pool2d(mask[None], 3, 1, 1)[0] == 0
        assert torch.equal(result[:, far], image[:, far])
        assert result[:, mask == 1].std() > 0.2  # texture, not a grey patch


def test_the_rim_of_an_object_goes_with_it():
    image, mask = torch.zeros(3, 16, 16), torch.zeros(16, 16)
    image[:, 5:11, 5:11] = 5  # one pixel wider on each side than its mask, as a blurred outline is
    mask[6:10, 6:10] = 1
    assert inpainted(image, mask).abs().max() == 0


def test_a_hole_that_no_shift_can_fill_gets_the_mean_of_the_rest():
    image, mask = torch.full((1, 16, 16), 7.0), torch.ones(16, 16)
    image[0, 15, 15], mask[15, 15] = 0.5, 0  # only a corner is known, and its rim belongs to the hole
    assert inpainted(image, mask).max() <= 7
    image, mask = torch.full((1, 16, 16), 7.0), torch.ones(16, 16)
    image[0, :, 13:], mask[:, 13:] = 0.5, 0
    assert inpainted(image, mask).unique().tolist() == [0.5]


def test_masks_and_labels_are_enough_and_the_kind_is_the_donors_label():
    images, labels, masks = noisy()
    images += 10 * labels[:, None, None, None] * (masks[:, None] == 0)  # the background of class 1 lies in 10..11
    twins = Probe(images, labels, masks, class_names=NAMES).twins
    assert twins.kinds == ("bird's", "mammal's")
    assert twins.typical.tolist() == [0, 1]
    for i in range(6):
        for k in range(2):
            values = twins.images[i, k, 0]
            of_object = values == 5
            assert of_object[0].sum() == masks[i].sum()  # the object is whole
            background = values[~of_object]
            assert (background.min() >= 10 * k) & (background.max() <= 10 * k + 1)


def test_another_image_gives_the_background_and_the_object_lies_over_its_hole():
    images, labels, masks = noisy(4)
    images = torch.where(masks[:, None] == 1, 5.0, torch.arange(4.0)[:, None, None, None].expand(4, 3, 24, 24) / 10)
    twins = Probe(images, labels, masks).twins
    donors = (twins.images[:, :, 0, 0, 0, 0] * 10).round().tolist()
    assert donors == [[2, 1], [2, 3], [0, 1], [2, 1]]
    rows = (twins.images[0, 1, 0, 0] == 5).any(1).nonzero().flatten()
    donor = masks[int(donors[0][1])].any(1).nonzero().flatten()
    assert rows.float().mean() == donor.float().mean()


def test_an_object_that_is_alone_in_its_class_keeps_its_own_background():
    images, _, masks = noisy(3)
    twins = Probe(images, [0, 0, 1], masks).twins
    assert torch.equal(twins.images[2, 1, 0][:, masks[2] == 1], images[2][:, masks[2] == 1])
    outside = nn.functional.max_pool2d(masks[2][None], 3, 1, 1)[0] == 0
    assert torch.equal(twins.images[2, 1, 0][:, outside], images[2][:, outside])


def test_one_class_or_no_labels_or_no_masks_give_no_twins():
    images, labels, masks = noisy()
    assert Probe(images, torch.zeros(6, dtype=int), masks).twins is None
    assert Probe(images, None, masks).twins is None
    assert Probe(images, labels).twins is None


def test_of_many_classes_at_most_eight_give_backgrounds():
    images, _, masks = objects(8, size=12)
    many, labels = torch.cat([images, images]), torch.arange(16)
    twins = Probe(many, labels, torch.cat([masks, masks])).twins
    assert twins.images.shape[:3] == (16, 8, 1)
    assert {0, 15} <= set(twins.typical.tolist())


# --- ready-made ----------------------------------------------------------------------------------------------------


def test_ready_made_twins_are_the_probe_and_the_twins():
    images = torch.rand(3, 2, 3, 8, 8)
    probe = Probe(images, [0, 1, 1], torch.ones(3, 8, 8) * 0.5, ["leaves", "stones"], TYPICAL, class_names=NAMES)
    assert torch.equal(probe.images, images.flatten(0, 1))
    assert probe.labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert probe.masks.shape == (6, 8, 8)
    assert torch.equal(probe.twins.images[:, :, 0], images)
    assert probe.twins.labels.tolist() == [0, 1, 1]
    assert probe.twins.shown == 2


def test_backgrounds_of_one_name_are_plates_of_one_kind():
    images = torch.rand(3, 4, 3, 8, 8)
    twins = Probe(images, [0, 1, 1], backgrounds=["leaves", "stones", "stones", "leaves"]).twins
    assert twins.kinds == KINDS
    assert torch.equal(twins.images[:, 0], images[:, [0, 3]])
    assert torch.equal(twins.images[:, 1], images[:, [1, 2]])


# --- refusals ------------------------------------------------------------------------------------------------------

WHOLE, NOTHING = objects()[2].clone(), objects()[2].clone()
WHOLE[2], NOTHING[3] = 1, 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"masks": NOTHING}, "the mask of image 3 is empty"),
        ({"masks": WHOLE}, "the mask of image 2 covers everything"),
        ({"masks": WHOLE, "backgrounds": None, "typical": None}, "the mask of image 2 covers everything"),
        (
            {"masks": None},
            "expected plates by kind, .* and masks= of the objects to paste on them; got a dict and no masks",
        ),
        ({"backgrounds": ["leaves", "stones"]}, "got a list and masks"),
        ({"labels": None}, "need labels="),
        ({"labels": [1, 1, 1, 1]}, "all objects are of class 1"),
        (
            {"backgrounds": {"leaves": plates()}, "typical": {"leaves": "bird"}},
            "at least two kinds .*; got leaves",
        ),
        (
            {"backgrounds": backgrounds(side=11)},
            "the plates of 'leaves' are 11 x 11, smaller than .* 12 x 12",
        ),
        (
            {"backgrounds": {**backgrounds(), "stones": torch.zeros(3, 12, 12)}},
            r"'stones', at least one; got \(3, 12, 12\)",
        ),
        (
            {"backgrounds": {"leaves": plates(1), "stones": plates()}, "typical": None},
            "at least two, because typical",
        ),
        ({"typical": {"leaves": "bird", "stones": "fish"}}, "'fish' is no class; the classes are bird, mammal"),
        ({"typical": {"leaves": "bird", "stones": 2}}, "2 is no class; the classes are bird, mammal"),
        ({"typical": {"leaves": "bird"}}, r"one class for each background \(leaves, stones\); got leaves"),
        ({"typical": {"leaves": "bird", "stones": "bird"}}, "all backgrounds are typical of 'bird'"),
        ({"backgrounds": None}, "of backgrounds=, which are not given"),
        ({"typical": None, "labels": [0, 1, 2, 3]}, "without typical= at least one class needs two objects"),
    ],
)
def test_what_cannot_be_pasted_is_refused_in_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        made(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backgrounds": ["a", "b", "c"]}, "3 names were given for images on 4 backgrounds"),
        ({"backgrounds": ["a", "a", "a", "b"]}, "each kind needs the same number of backgrounds; got a, a, a, b"),
        ({"backgrounds": ["a", "b", "c", "d"]}, "here each kind comes once"),
        ({"labels": [0, 1]}, r"one class index per image, \(3,\), or .*; got \(2,\)"),
    ],
)
def test_ready_made_twins_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Probe(torch.rand(3, 4, 3, 8, 8), **({"labels": [0, 1, 1]} | arguments))


# --- asking --------------------------------------------------------------------------------------------------------


class Corner(nn.Module):
    """Answers class 0 by the brightness of the lower right corner: the background alone."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1, bias=False)
        nn.init.constant_(self.layer.weight, 1.0)

    def forward(self, x):
        corner = self.layer(x)[:, 0, -1, -1]
        return torch.stack([corner, -corner], 1)


def counted(model):
    """How to run the model, and a list of the batches it was run on: how many images, and whether with gradients."""
    seen = []

    def forward(images):
        seen.append((len(images), torch.is_grad_enabled()))
        return model(images)

    return forward, seen


def test_all_numbers_take_one_forward_pass_without_gradients():
    images = torch.zeros(16, 3, 12, 12)
    masks = objects()[2].repeat(4, 1, 1)
    kinds = {"leaves": torch.ones(4, 3, 12, 12), "stones": -torch.ones(4, 3, 12, 12)}
    probe = Probe(images, torch.arange(16) % 2, masks, kinds, TYPICAL, class_names=NAMES)
    forward, seen = counted(model := Corner())
    numbers = look_at_twins(model, probe, ForwardConfig(forward), "layer").numbers
    assert seen == [(16 * 2 + 16 + 8, False)]  # the twins, the paste control, the clean backgrounds
    for tag in ("background_effect", "object_effect", "background_share", "paste_control", "only_background_accuracy"):
        assert f"reliance/{tag}" in numbers
    assert numbers["reliance/background_effect"] == pytest.approx(torch.tensor(3.0).tanh().item(), abs=1e-6)
    assert numbers["reliance/only_background_accuracy"] == 1
    assert numbers["reliance/object_effect"] == pytest.approx(0, abs=1e-6)
    assert numbers["reliance/paste_control"] == pytest.approx(0, abs=1e-6)
    assert numbers["reliance/background_channels"] == 1


@pytest.mark.parametrize(("plates_of_a_kind", "typical"), [(1, TYPICAL), (2, None)])
def test_ready_made_twins_cost_no_image_more(plates_of_a_kind, typical):
    names = [kind for kind in KINDS for _ in range(plates_of_a_kind)]
    images = torch.rand(16, len(names), 3, 12, 12)
    probe = Probe(images, torch.arange(16) % 2, backgrounds=names, typical=typical, class_names=NAMES)
    forward, seen = counted(model := Corner())
    numbers = look_at_twins(model, probe, ForwardConfig(forward), "layer").numbers
    assert seen == [(32 * plates_of_a_kind, False)]
    assert {"reliance/background_effect", "reliance/object_effect", "reliance/worst_group"} <= set(numbers)


def test_a_look_through_a_view_adds_a_dry_run_and_one_pass_of_the_probe_alone():
    probe = made()
    forward, seen = counted(model := Corner())
    assert "reliance/background_effect" in look(model, probe, [grad_cam("layer")], forward=forward).numbers
    assert seen == [(ROWS, True), (len(probe), True), (len(probe.twins.batch()), False)]


def test_chunks_and_constants_in_the_logits_change_nothing():
    probe, model = made(), Corner()
    plain = look_at_twins(model, probe, layer="layer")
    chunked = look_at_twins(model, probe, ForwardConfig(chunk_size=3), "layer")
    assert chunked.numbers == pytest.approx(plain.numbers)
    shifted = look_at_twins(model, probe, ForwardConfig(forward=lambda x: model(x) + x.sum((1, 2, 3))[:, None]), "layer")
    assert shifted.numbers == pytest.approx(plain.numbers, abs=1e-4)


def test_per_image_values_stand_beside_the_probe_images():
    probe = Probe(torch.rand(3, 2, 3, 8, 8), [0, 1, 1], None, ["leaves", "stones"], TYPICAL, class_names=NAMES)
    model = Corner()
    per_image = look_at_twins(model, probe).per_image
    with torch.no_grad():
        answers = model(probe.images).softmax(1).reshape(3, 2, 2)
    judged = [f"reliance/{what}_effect" for what in ("background", "object", "home")]
    assert list(per_image) == judged + [f"reliance/{w}/{k}" for k in KINDS for w in ("on", "says")]
    for k, kind in enumerate(KINDS):
        own = answers[torch.arange(3), k, torch.tensor([0, 1, 1])].repeat_interleave(2)
        torch.testing.assert_close(torch.from_numpy(per_image[f"reliance/on/{kind}"]), own)
        assert per_image[f"reliance/says/{kind}"].tolist() == answers[:, k].argmax(1).repeat_interleave(2).tolist()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda x: x.new_full((len(x), 2), torch.nan), "not finite"),
        (lambda x: {"maps": x, "again": x}, "cannot read class scores"),
    ],
)
def test_answers_that_cannot_be_used_are_refused(output, message):
    twins = made().twins
    with pytest.raises(ValueError, match=message):
        evaluate_twins(Pass(nn.Identity(), twins.batch(), output), twins)


def test_a_class_that_the_model_does_not_have_is_refused():
    twins = made(labels=[0, 1, 5, 0], class_names=None, typical={"leaves": 0, "stones": 1}).twins
    with pytest.raises(ValueError, match="ask for class 5, but the model gives scores for 2 classes"):
        evaluate_twins(Pass(nn.Identity(), twins.batch(), Corner()), twins)
