"""Frozen backbones, trained for real: seen through, said so, and trained as if nobody had looked."""

from __future__ import annotations

import pytest
import torch
from modules import Classifier, loader
from nets import images
from torch import nn

from lightning_vis import FilterMaximizationCallback, ProbeCallback, grad_cam, look, maximize, saliency
from lightning_vis.model.scores import logit
from lightning_vis.probe.probe import Probe

from .test_identical import fingerprint, same

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode at the start of training"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]
SAID = "seen through a frozen part, which training sends no gradient through"


class Transfer(Classifier):
    """As Lightning's page on transfer learning writes it."""

    def __init__(self):
        super().__init__()
        self.feature_extractor, self.classifier = self.net[:-1], self.net[-1]
        del self.net

    def forward(self, x):
        self.feature_extractor.eval()
        with torch.no_grad():
            representations = self.feature_extractor(x).flatten(1)
        return self.classifier(representations)


class Linear(Classifier):
    """As lightly evaluates: the features are cut off in the step."""

    def __init__(self):
        super().__init__()
        self.backbone, self.classification_head = self.net[:-1], self.net[-1]
        del self.net

    def forward(self, x):
        return self.classification_head(self.backbone(x).detach().flatten(start_dim=1))


class Served(Transfer):
    """The backbone runs in inference mode."""

    def forward(self, x):
        with torch.inference_mode():
            representations = self.feature_extractor(x)
        return self.classifier(representations.clone())


class Compiled(Transfer):
    """The backbone is compiled."""

    def __init__(self):
        super().__init__()
        self.feature_extractor = torch.compile(self.feature_extractor, backend="eager")


class Whole(Transfer):
    """The same network without a cut."""

    def forward(self, x):
        self.feature_extractor.eval()
        return self.classifier(self.feature_extractor(x).flatten(1))


class Alone(Classifier):
    """The step itself cuts."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = self.net[:-1], self.net[-1]
        del self.net

    def training_step(self, batch, _):
        with torch.no_grad():
            features = self.backbone(batch[0])
        return nn.functional.cross_entropy(self.head(features), batch[1])

    def validation_step(self, batch, _):
        self.log("val_loss", nn.functional.cross_entropy(self.head(self.backbone(batch[0])), batch[1]))


SETUPS = {
    "transfer": (Transfer, {}),
    "transfer, bf16-mixed": (Transfer, {"precision": "bf16-mixed"}),
    "linear evaluation": (Linear, {}),
    "inference mode": (Served, {}),
    "compiled": (Compiled, {}),
}


@pytest.mark.parametrize("setup", SETUPS)
def test_a_frozen_backbone_is_seen_through_and_the_training_is_bit_identical(trainer, probe, setup, caplog):
    module, arguments = SETUPS[setup]
    callback = ProbeCallback(probe, on_error="raise")
    without = fingerprint(trainer, [], module, **arguments)
    with caplog.at_level("INFO"):
        assert same(fingerprint(trainer, [callback], module, **arguments), without)
    assert len(callback.film.frames) >= 4
    for frame in callback.film.frames:
        assert set(frame.maps) == {"evidence", "grad_cam", "saliency"}
        assert all((maps.values != 0).any() for maps in frame.maps.values())
        assert len([note for note in frame.notes if note.startswith(SAID)]) == 1
    assert [record for record in caplog.records if SAID in record.getMessage()]


def test_the_step_that_cuts_by_itself_is_seen_through_too(trainer):
    callback = ProbeCallback(on_error="raise")
    without = fingerprint(trainer, [], Alone)
    assert same(fingerprint(trainer, [callback], Alone), without)
    frame = callback.film.frames[-1]
    assert (frame.maps["saliency"].values != 0).any()
    assert [note for note in frame.notes if note.startswith(SAID)]


def test_saliency_alone_needs_no_place_and_is_seen_through_all_the_same(trainer, probe):
    callback = ProbeCallback(probe, views=[saliency()], on_error="raise")
    trainer([callback]).fit(Transfer(), loader(), loader(12, seed=2))
    assert all((frame.maps["saliency"].values != 0).any() for frame in callback.film.frames)


def test_maps_are_those_of_the_network_without_the_cut():
    seen = Probe(images(4), labels=[0, 1, 2, 0])
    cut, whole = look(Transfer(), seen), look(Whole(), seen)
    for key, maps in whole.maps.items():
        assert maps.layer == cut.maps[key].layer
        assert (cut.maps[key].values == maps.values).all()
    assert (cut.predicted == whole.predicted).all()
    assert not [note for note in whole.notes if note.startswith(SAID)]


class Thaws(Transfer):
    """The backbone learns from the second epoch on."""

    def forward(self, x):
        with torch.set_grad_enabled(self.current_epoch > 0):
            representations = self.feature_extractor(x)
        return self.classifier(representations)


def test_a_backbone_that_thaws_is_no_longer_called_frozen(trainer, probe):
    callback = ProbeCallback(probe, on_error="raise")
    trainer([callback], max_epochs=3).fit(Thaws(), loader(), loader(12, seed=2))
    said = [any(note.startswith(SAID) for note in frame.notes) for frame in callback.film.frames]
    assert said[0]
    assert not said[-1]


def test_filters_of_a_frozen_backbone_are_maximized_and_that_is_said(trainer, probe):
    def callback():
        return FilterMaximizationCallback(probe=probe, channels=2, steps=3, max_overhead=1.0, on_error="raise")

    without, seen = fingerprint(trainer, [], Transfer), callback()
    assert same(fingerprint(trainer, [seen], Transfer), without)
    whole = callback()
    trainer([whole]).fit(Whole(), loader(), loader(12, seed=2))
    first, expected = seen.film.frames[0], whole.film.frames[0]
    assert len(first.pictures) == 2
    assert first.pictures.keys() == expected.pictures.keys()
    assert all((each.values == expected.pictures[key].values).all() for key, each in first.pictures.items())
    assert [note.startswith(SAID) for note in first.notes] == [True]
    assert expected.notes == ()


class Unopened(Transfer):
    """A frozen part that goes through NumPy, with a map behind it, or that part with gradients."""

    def __init__(self, is_mended=False):
        super().__init__()
        self.behind, self.is_mended = nn.Conv2d(4, 4, 3, padding=1), is_mended

    def forward(self, x):
        features = self.feature_extractor[:4](x)
        if not self.is_mended:
            features = torch.from_numpy(features.detach().numpy())
        return self.classifier(self.feature_extractor[4:](self.behind(features)))


def test_what_cannot_be_opened_is_said_and_both_remedies_work(trainer, probe):
    sentence = (
        r"no gradient of the answer reaches the image: detach in forward\(\), test_cuts.py line \d+ stops it, and could not be opened"
        " for our own pass: compute that part with gradients on, or name a layer behind it"
    )
    with pytest.raises(ValueError, match=sentence):
        look(Unopened(), probe, [saliency()])
    assert (look(Unopened(is_mended=True), probe, [saliency()]).maps["saliency"].values != 0).any()
    assert (look(Unopened(), probe, [grad_cam("behind")]).maps["grad_cam.behind"].values != 0).any()
    with pytest.raises(ValueError, match="no gradient of the answer reaches the image: detach in forward"):
        maximize(Unopened(), "behind", [0], probe.images, steps=2)
    maximize(Unopened(is_mended=True), "behind", [0], probe.images, steps=2)


def test_captum_finds_the_same_on_the_network_without_the_cut(probe):
    captum = pytest.importorskip("captum.attr")
    found = look(Linear(), probe, [saliency("label")], score=logit).maps.popitem()[1].values
    whole = Whole().eval()
    theirs = captum.Saliency(whole).attribute(probe.images.clone().requires_grad_(), target=probe.labels).amax(1)
    assert torch.allclose(torch.as_tensor(found), theirs, rtol=1e-5, atol=1e-8)
