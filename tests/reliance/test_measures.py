"""What twins measure of each task: by hand, and of networks that see the object or the background alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lightning_vis.attribution.pipeline import look, look_at_twins
from lightning_vis.model.answer.answer import TASKS, Answer
from lightning_vis.model.answer.task import Facts
from lightning_vis.model.run import ForwardConfig
from lightning_vis.probe.probe import Probe
from lightning_vis.reliance.measures import MEASURES, of_distances, of_errors, of_shares
from lightning_vis.reliance.metrics import cosine_distance
from lightning_vis.reliance.twins import Twins

SIZE = 12
LABELS = torch.tensor([1, 2, 1, 2])
KINDS = {"leaves": 0.25, "stones": 0.75}
TYPICAL = {"leaves": 1, "stones": 2}


def scene(typical=TYPICAL, labels=LABELS, plates=2):
    """Squares that are as bright as their class, on plates as bright as their kind."""
    masks = torch.zeros(len(labels), SIZE, SIZE)
    for at in range(len(labels)):
        masks[at, 4 : 8 + at % 2, 4:8] = 1
    images = torch.full((len(labels), 1, SIZE, SIZE), 0.25)
    images = torch.where(masks[:, None] == 1, labels[:, None, None, None].float(), images)
    backgrounds = {kind: torch.full((plates, 1, SIZE, SIZE), value) for kind, value in KINDS.items()}
    return Probe(images, labels, masks, backgrounds, typical, class_names=["background", "bird", "mammal"])


class Sees(nn.Module):
    """Knows which class the object is of, and on which kind of background it stands, and answers by one of the two."""

    def __init__(self, what, answer):
        super().__init__()
        self.what, self.answer = what, answer
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, x):
        objects = x[:, 0] >= 1
        of_object = x[:, 0].flatten(1).amax(1).round().long()
        of_background = torch.where(x[:, 0, 0, 0] < 0.5, 1, 2)
        seen = of_object if self.what == "object" else of_background
        return self.answer(seen, objects, x) * self.one


def one_hot(seen, *_):
    return nn.functional.one_hot(seen, 3).float()


ANSWERS = {
    "multiclass": lambda seen, *_: 40 * one_hot(seen),
    "multilabel": lambda seen, *_: 80 * one_hot(seen) - 40,
    "ordinal": lambda seen, *_: (80.0 * (seen[:, None] == 2) - 40).repeat(1, 3),
    "regression": lambda seen, *_: 10.0 * seen[:, None],
    "embedding": one_hot,
    "segmentation": lambda seen, objects, _: one_hot(torch.where(objects, seen[:, None, None], 0)).permute(0, 3, 1, 2),
}
MOVES = {"regression": 10 / LABELS.float().std(correction=0).item()}


def numbers_of(task, sees, typical=TYPICAL):
    return {
        tag.removeprefix("reliance/"): value
        for tag, value in look(Sees(sees, ANSWERS[task]), scene(typical), [], task=task).numbers.items()
        if tag.startswith("reliance/")
    }


@pytest.mark.parametrize("typical", [TYPICAL, None])
@pytest.mark.parametrize("task", ANSWERS)
def test_a_network_that_sees_only_the_background_or_only_the_object_gets_the_extreme_values(task, typical):
    most = pytest.approx(MOVES.get(task, 1.0), abs=1e-5)
    none = pytest.approx(0, abs=1e-5)
    of_background, of_object = (numbers_of(task, sees, typical) for sees in ("background", "object"))
    assert (of_background["background_effect"], of_background["object_effect"]) == (most, none)
    assert (of_object["background_effect"], of_object["object_effect"]) == (none, most)
    assert of_background["background_share"] == pytest.approx(1, abs=1e-5)
    assert of_object["background_share"] == none
    assert of_object["paste_control"] == none
    of_one_class = {"worst_group", *(["typical_gap", "only_background_accuracy"] if typical else [])}
    assert (of_one_class & set(of_object)) == (of_one_class if task == "multiclass" else set())


def test_the_error_on_the_object_is_compared_here_and_elsewhere():
    def made(seen, objects, x):
        return torch.where((seen == x.flatten(1).amax(1).round())[:, None, None, None], x, x + 0.5)

    at_home = look(Sees("background", made), scene(), [], task="reconstruction")  # looks like that only where it is usual
    assert at_home.numbers["reliance/background_effect"] == pytest.approx(-0.25, abs=1e-6)
    assert at_home.per_image["reliance/on/leaves"].tolist() == pytest.approx([0, 0.25, 0, 0.25], abs=1e-6)
    everywhere = look(
        Sees("object", lambda seen, objects, x: x + 0.1 * seen[:, None, None, None]), scene(), [], task="reconstruction"
    )
    assert everywhere.numbers["reliance/background_effect"] == pytest.approx(0, abs=1e-6)
    for frame in (at_home, everywhere):
        assert not {"reliance/object_effect", "reliance/background_share"} & set(frame.numbers)
    untold = look(Sees("background", made), scene(None), [], task="reconstruction").numbers
    assert untold["reliance/background_effect"] == pytest.approx(0.25, abs=1e-6)


# --- by hand -------------------------------------------------------------------------------------------------------


def twins(labels, typical, plates=1):
    """Two objects on two kinds of background, without pictures."""
    kinds = None if typical is None else torch.tensor(typical)
    return Twins(torch.zeros(2, 2, plates, 1, 1, 1), torch.tensor(labels), ("leaves", "stones"), kinds)


def measured(measure, answers, made):
    return {tag.removeprefix("reliance/"): value for tag, value in measure(torch.tensor(answers), made).numbers.items()}


def test_shares_with_typical_classes_by_hand():
    # object 0 (class 0) on leaves, stones; object 1 (class 1) likewise; the IoU of either class
    answers = [[0.9, 0.0], [0.3, 0.2], [0.2, 0.4], [0.0, 0.8]]
    found = measured(of_shares, answers, twins([0, 1], [0, 1]))
    # class 0 on leaves minus stones, class 1 the other way round: (.6 + .2) / 2 and (.2 + .4) / 2
    assert found["background_effect"] == pytest.approx((0.4 + 0.3) / 2)
    # class 0 for object 0 minus for object 1: .6 - .1; class 1: .6 - .1
    assert found["object_effect"] == pytest.approx(0.5)
    assert found["background_share"] == pytest.approx(0.35 / 0.85)


def test_shares_without_typical_classes_follow_the_objects_own_class_by_hand():
    # two plates of each kind; of class 1 something may go with the background as it likes
    of_0 = [[0.9, 0.1], [0.7, 0.9], [0.2, 0.3], [0.4, 0.6]]
    of_1 = [[0.1, 0.5], [0.1, 0.5], [0.1, 0.5], [0.1, 0.5]]
    found = measured(of_shares, [*of_0, *of_1], twins([0, 1], None, 2))
    between = ((0.9 - 0.2) + (0.9 - 0.4) + (0.7 - 0.2) + (0.7 - 0.4)) / 4  # of class 0 on object 0; object 1 never moves
    within = 0.2
    assert found["within_kind"] == pytest.approx(within / 2)
    assert found["background_effect"] == pytest.approx((between - within) / 2)
    of_class_0 = (0.8 + 0.6 + 0.1 + 0.3) / 4  # object 0 against object 1 on each plate
    of_class_1 = (0.4 + 0.4 + 0.2 + 0.1) / 4
    assert found["object_effect"] == pytest.approx((of_class_0 + of_class_1) / 2)


def test_cosines_by_hand():
    def at(*degrees):
        return [[math.cos(math.radians(each)), math.sin(math.radians(each))] for each in degrees]

    found = measured(of_distances(cosine_distance), at(0, 60, 90, 90), twins([0, 1], None))
    assert found["background_effect"] == pytest.approx((0.5 + 0) / 2, abs=1e-6)  # 1 - cos 60, 1 - cos 0
    assert found["object_effect"] == pytest.approx(((1 - 0) + (1 - math.cos(math.radians(30)))) / 2, abs=1e-6)


def test_errors_by_hand():
    found = measured(of_errors, [[0.1], [0.3], [0.5], [0.2]], twins([0, 1], [0, 1]))
    assert found["background_effect"] == pytest.approx(((0.1 - 0.3) + (0.2 - 0.5)) / 2)
    assert found["background_effect_error"] == pytest.approx(0.05 / math.sqrt(2), abs=1e-6)
    homeless = measured(of_errors, [[0.1], [0.3], [0.5], [0.2]], twins([0, 2], [0, 1]))
    assert homeless["background_effect"] == pytest.approx(-0.2)  # object 1 is at home nowhere


def test_the_iou_of_a_pasted_mask_by_hand():
    masks = torch.zeros(2, 4, 4)
    masks[0, 0, :4] = 1  # four pixels
    said = torch.zeros(2, 3, 4, 4)
    said[:, 0] = 1
    said[0, 2, 0:2, 2:4] = 5  # two of them, and two others
    of = TASKS["segmentation"].on_objects
    assert of(Facts(), said, masks[:, None], masks).tolist() == [[pytest.approx(2 / 14), 0, pytest.approx(2 / 6)], [0, 0, 0]]
    small = nn.functional.avg_pool2d(said, 2)
    assert of(Facts(), small, masks[:, None], masks)[0, 2] == pytest.approx(2 / 6)


def test_the_error_on_an_object_by_hand():
    masks = torch.tensor([[[1.0, 0.5], [0.0, 0.0]]])
    images = torch.zeros(1, 2, 2, 2)
    answer = torch.tensor([[[1.0, 0.0], [9.0, 9.0]], [[0.0, 2.0], [9.0, 9.0]]])[None]
    # mean over channels .5 and 2, weighted by the mask: (.5 + 1) / 1.5
    assert TASKS["reconstruction"].on_objects(Facts(), answer, images, masks).tolist() == [[pytest.approx(1.0)]]
    with pytest.raises(ValueError, match="cannot be compared with twins"):
        TASKS["reconstruction"].on_objects(Facts(), answer[:, :1], images, masks)


# --- where the objects lie -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backgrounds", [True, False])
def test_where_objects_lie_is_known_of_every_image(backgrounds):
    probe = scene() if backgrounds else Probe(scene().images, LABELS, scene().masks)
    made = probe.twins
    batch, places = made.batch(), made.places()
    assert places.shape == (len(batch), SIZE, SIZE)
    of_objects = batch[:, 0] >= 1
    assert torch.equal(of_objects, places == 1)
    plates = 0 if made.plates is None else len(made.plates)
    assert (places.flatten(1).sum(1) == 0).sum() == plates


def test_ready_made_twins_are_asked_where_masks_are_given():
    given = torch.rand(4, 2, 1, SIZE, SIZE)
    known = Probe(given, LABELS, scene().masks, list(KINDS), TYPICAL, class_names=["background", "bird", "mammal"])
    blind = Probe(given, LABELS, None, list(KINDS), TYPICAL, class_names=["background", "bird", "mammal"])
    answer = Answer("segmentation")
    assert known.twins_for(answer) is known.twins
    assert blind.twins_for(answer) is None
    with pytest.raises(ValueError, match="not known where the objects lie, pass masks="):
        look_at_twins(Sees("object", ANSWERS["segmentation"]), blind, ForwardConfig(answer=answer))


def test_pictures_that_are_no_images_are_not_asked():
    probe = scene()
    assert probe.twins_for(Answer("reconstruction")) is probe.twins
    probe.truth = torch.rand(4, 1, SIZE, SIZE)
    assert probe.twins_for(Answer("reconstruction")) is None
    assert probe.twins_for(Answer("regression", Facts(is_dense=True))) is None
    assert probe.twins_for(Answer()) is None


@pytest.mark.parametrize("task", [task for task in MEASURES if task not in ("binary", "reconstruction")])
def test_chunks_change_nothing(task):
    net, probe = Sees("background", ANSWERS[task]), scene()
    whole, parts = (look(net, probe, [], task=task, chunk_size=size).numbers for size in (None, 3))
    assert parts == pytest.approx(whole)


def test_numbers_that_all_differ_have_an_object_effect():
    ages = torch.tensor([20, 31, 42, 57])
    images = scene().images + ages[:, None, None, None] * scene().masks[:, None]
    frame = look(
        Sees("object", lambda seen, *_: 1.0 * seen[:, None]), Probe(images, ages, scene().masks), [], task="regression"
    )
    off = (ages[:, None] - ages[None] + LABELS[:, None] - LABELS[None]).abs().float()
    expected = off.sum(1).mean() / 3 / ages.float().std(correction=0)
    assert frame.numbers["reliance/object_effect"] == pytest.approx(float(expected), rel=1e-4)
    assert frame.numbers["reliance/background_effect"] == pytest.approx(0, abs=1e-5)


def test_twins_are_asked_for_the_number_that_is_explained():
    """Of two numbers the one that is farthest off, which alone follows the background."""

    def answer(seen, *_):
        return torch.stack([torch.zeros(len(seen)), 100.0 * seen], 1)

    images, masks = scene().images, scene().masks
    probe = Probe(
        images, LABELS, masks, {"leaves": torch.full((2, 1, SIZE, SIZE), 0.25), "stones": torch.full((2, 1, SIZE, SIZE), 0.75)}
    )
    probe.truth = torch.tensor([[0.0, 1.0], [0.1, 2.0], [0.0, 3.0], [0.1, 4.0]])
    frame = look(Sees("background", answer), probe, [], task="regression")
    assert frame.numbers["reliance/background_effect"] == pytest.approx(100 / probe.truth[:, 1].std(correction=0).item())


def test_numbers_without_a_spread_are_not_measured():
    probe = scene()
    probe.truth = torch.full((4, 1), 7.0)
    with pytest.raises(ValueError, match="told in spreads of the targets, and these have none"):
        look_at_twins(Sees("object", ANSWERS["regression"]), probe, ForwardConfig(answer=Answer("regression")))


@pytest.mark.parametrize("backgrounds", [True, False])
def test_numbers_that_are_no_classes_have_twins_of_their_halves(backgrounds):
    ages = torch.tensor([20.5, 31.2, 42.1, 57.9])
    given = scene()
    images = given.images + ages[:, None, None, None] * given.masks[:, None]
    plates = {kind: torch.full((2, 1, SIZE, SIZE), value) for kind, value in KINDS.items()} if backgrounds else None
    probe = Probe(images, ages, given.masks, plates)
    assert probe.twins.labels.tolist() == [0, 0, 1, 1]
    assert backgrounds or probe.twins.kinds == ("lower half's", "upper half's")
    numbers = look(Sees("object", lambda seen, *_: 1.0 * seen[:, None]), probe, []).numbers
    assert numbers["reliance/background_effect"] == pytest.approx(0, abs=1e-5)
    assert numbers["reliance/object_effect"] > 0.5
    assert "reliance/worst_group" not in numbers


def test_soft_yes_and_no_are_parted_in_the_middle():
    soft = torch.tensor([0.9, 0.95, 0.1, 0.8])
    probe = Probe(scene().images, soft, scene().masks)
    assert probe.twins.labels.tolist() == [1, 1, 0, 1]
    assert Probe(scene().images, torch.full((4,), 2.5), scene().masks).twins is None
    assert Probe(scene().images, torch.tensor([0.6, 0.7, 0.8, 0.9]), scene().masks).twins is None
