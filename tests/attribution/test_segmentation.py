"""Segmentation networks: the score is that of the object they see, by hand; label maps are masks; a real training."""

from __future__ import annotations

import pytest
import torch
from nets import Plain, images
from torch import nn
from torch.utils.data import DataLoader

from lightning_vis.attribution.pipeline import look
from lightning_vis.attribution.recorders import record
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.constants import INPUT
from lightning_vis.model.feature_map import last_feature_map
from lightning_vis.model.scores import class_scores, log_odds
from lightning_vis.probe.probe import Probe
from tests.callbacks.test_new_user import segmentation

# two rows of two pixels: background, class 1, class 2, class 2
LOGITS = torch.tensor([[[[9.0, 1.0], [0.0, 0.0]], [[0.0, 5.0], [1.0, 2.0]], [[0.0, 0.0], [3.0, 7.0]]]])


def test_the_scores_are_the_mean_logits_where_the_largest_foreground_class_is_predicted():
    torch.testing.assert_close(class_scores(LOGITS), torch.tensor([[0.0, 1.5, 5.0]]))
    torch.testing.assert_close(class_scores({"out": LOGITS, "aux": LOGITS * 0}), torch.tensor([[0.0, 1.5, 5.0]]))
    expected = 5.0 - torch.tensor([0.0, 1.5]).logsumexp(0)
    torch.testing.assert_close(log_odds(LOGITS, torch.tensor([2])), expected[None])


def test_where_only_background_is_predicted_all_pixels_count():
    scores = LOGITS.clone()
    scores[:, 0] += 20
    torch.testing.assert_close(class_scores(scores), scores.mean((2, 3)))
    assert class_scores(scores).argmax(1).tolist() == [0]


def test_one_logit_per_pixel_is_two_classes():
    z = torch.tensor([[[[-3.0, 4.0], [2.0, -1.0]]]])
    torch.testing.assert_close(class_scores(z), torch.tensor([[-1.5, 1.5]]))
    torch.testing.assert_close(log_odds(z, torch.tensor([1])), torch.tensor([3.0]))
    assert class_scores(-z.abs()).argmax(1).tolist() == [0]


def test_probabilities_per_pixel_are_noticed():
    logits = LOGITS.log_softmax(1)
    torch.testing.assert_close(class_scores(LOGITS.softmax(1)), class_scores(logits), atol=1e-4, rtol=1e-4)


def test_one_row_does_not_depend_on_another():
    scores = torch.randn(5, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([class_scores(each[None]) for each in scores])
    torch.testing.assert_close(class_scores(scores), alone)


def test_a_slow_loop_agrees():
    scores = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    for image, found in zip(scores, class_scores(scores), strict=True):
        said = image.argmax(0).flatten().tolist()
        largest = max((1, 2), key=said.count)
        pixels = [at for at, each in enumerate(said) if each == largest]
        expected = torch.stack([image.flatten(1)[:, at] for at in pixels]).mean(0)
        torch.testing.assert_close(found, expected)


class SmallUNet(nn.Module):
    """Down, a bottleneck, up with a skip connection, as many channels as classes."""

    def __init__(self, classes=3):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        self.bottleneck = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU())
        self.up = nn.Upsample(scale_factor=2)
        self.head = nn.Conv2d(14, classes, 1)

    def forward(self, x):
        first = self.down(x)
        return self.head(torch.cat((first, self.up(self.bottleneck(first))), 1))


def test_the_default_place_is_what_enters_the_head_and_gradients_come_from_the_object_alone():
    net = SmallUNet()
    assert last_feature_map(net, images(1)).layer == "head:input"
    found = record(net, images(2), [INPUT, "head"], targets=1)
    said = net(images(2)).argmax(1)
    for image in range(2):
        used = found["head"].gradient[image].abs().sum(0) > 0
        counts = [int((said[image] == each).sum()) for each in (1, 2)]
        expected = said[image] == (1 + counts.index(max(counts))) if max(counts) else torch.ones_like(used)
        assert torch.equal(used, expected)


def test_a_look_at_label_maps_has_labels_masks_and_lifts():
    maps = torch.zeros(4, 12, 12, dtype=torch.uint8)
    maps[:2, 2:6, 2:6], maps[2:, 5:11, 4:9] = 1, 2
    data = [(image, each) for image, each in zip(images(4), maps, strict=True)]
    probe = Probe.from_dataset(data, indices=[0, 1, 2, 3])
    assert probe.labels.tolist() == [1, 1, 2, 2]
    assert torch.equal(probe.masks, (maps > 0).float())
    frame = look(SmallUNet(), probe)
    assert set(frame.maps) == {"evidence", "grad_cam", "saliency", "mask"}
    assert frame.task == "segmentation"
    assert all("IoU" in said for said in frame.said)
    assert len(frame.per_image["attribution/saliency/lift"]) == 4


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 4, 4)])
def test_other_ranks_are_refused(shape):
    with pytest.raises(ValueError, match="cannot read class scores"):
        class_scores(torch.zeros(shape))


def test_class_0_of_label_maps_is_the_background_unless_it_has_a_name():
    maps = torch.zeros(2, 12, 12, dtype=torch.long)
    maps[:, 2:6, 2:6] = 1
    data = list(zip(images(2), maps, strict=True))
    named = Probe.from_dataset(data).inputs()
    assert [named.class_name(each) for each in (0, 1)] == ["background", "class 1"]
    own = Probe.from_dataset(data, class_names=["lake", "boat"]).inputs()
    assert [own.class_name(each) for each in (0, 1)] == ["lake", "boat"]
    classes = Probe.from_dataset(list(zip(images(2), [0, 1], strict=True))).inputs()
    assert classes.class_name(0) == "class 0"


SAID = (
    "the output is read as a segmentation: scores are means over the pixels predicted as the largest class but the"
    " background, 0"
)


@pytest.mark.parametrize("watched", [False, True])
def test_a_training_says_once_how_the_output_is_read(trainer, caplog, events, watched):
    module, train, validation = segmentation()
    if watched:
        module.on_after_batch_transfer = lambda batch, _: batch  # what makes them be watched
    callback = ProbeCallback()
    trainer([callback], max_epochs=1).fit(module, DataLoader(train, 8), DataLoader(validation, 8))
    assert sum("Reads 3 classes at each pixel" in record.message for record in caplog.records) == 1
    assert callback.session.inputs.class_names == ("background",)
    assert callback.session.inputs.masks.any()
    assert all(frame.task == "segmentation" and "at each pixel" in frame.answer for frame in callback.film.frames)


def test_a_classification_is_not_called_a_segmentation():
    assert look(Plain(), Probe(images(2))).notes == ("evidence accounts for 0% of the scores of all images together",)
