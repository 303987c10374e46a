"""How much stands in TensorBoard's own tabs: strips and two cards, or at most 12 image tags, counted in real event files."""

from __future__ import annotations

import pytest
from torch.utils.data import DataLoader
from worlds import Classifier as Bars
from worlds import loader, twin_probe

from lightning_vis import (
    FilterMaximizationCallback,
    GradCAMCallback,
    Probe,
    ProbeCallback,
    SaliencyCallback,
    evidence,
    grad_cam,
    saliency,
)
from tests.callbacks.test_new_user import Plain, dicts, plain


def written(trainer, events, callbacks, module=None, loaders=None):
    """Image tags and scalar tags of a training, without the module's own."""
    own, train, validation = plain()
    loaders = loaders or (DataLoader(train, 8), DataLoader(validation, 8))
    trainer(callbacks, max_epochs=2).fit(module or own, *loaders)
    tags = events().Tags()
    return sorted(tags["images"]), sorted(set(tags["scalars"]) - {"val_loss", "epoch"})


def cards(tags):
    return [tag for tag in tags if tag.startswith("probe/")]


def filters(**arguments):
    return FilterMaximizationCallback(steps=1, **arguments)


@pytest.mark.parametrize(
    ("callbacks", "number", "count"),
    [
        (lambda: [ProbeCallback()], 5, 2),
        (lambda: [SaliencyCallback(), GradCAMCallback(), filters()], 6, 2),
        (lambda: [SaliencyCallback(), ProbeCallback(images=True)], 12, 7),
        (lambda: [ProbeCallback(images=True)], 12, 7),
        (lambda: [ProbeCallback(views=[saliency(), grad_cam()], images=True), filters()], 12, 6),
        (lambda: [filters(), ProbeCallback(images=True)], 12, 5),
        (lambda: [filters(), ProbeCallback(images=True), filters(layers=["net.3"])], 12, 4),
        (lambda: [ProbeCallback(images=True), filters(weights=True)], 12, 4),
        (lambda: [ProbeCallback(images=False), filters()], 2, 0),
    ],
    ids=["few", "few of three", "one wants all", "all", "two views", "filters first", "two with filters", "weights", "none"],
)
def test_without_a_probe_of_ones_own(trainer, events, callbacks, number, count):
    images, scalars = written(trainer, events, callbacks())
    assert (len(images), len(cards(images))) == (number, count)
    assert scalars == ["lightning_vis/seconds"]


def test_as_the_readme_has_it(trainer, events):
    own, train, validation = plain()
    probe = Probe.from_dataset(validation, n=8, mean=[0.5] * 3, std=[0.25] * 3, class_names=["disc", "bar"])
    views = [evidence(), grad_cam(), grad_cam("net.3"), saliency()]
    callbacks = [ProbeCallback(probe, views=views, images=True), filters(layers=["net.0", "net.3"], channels=8)]
    images, _ = written(trainer, events, callbacks, own, (DataLoader(train, 8), DataLoader(validation, 8)))
    assert (len(images), len(cards(images))) == (12, 4)


@pytest.mark.filterwarnings("ignore:lightning_vis. the alert is")
@pytest.mark.parametrize(("beside", "number", "count"), [([], 12, 6), ([filters], 12, 4)], ids=["alone", "with filters"])
def test_with_twins(trainer, events, beside, number, count):
    callbacks = [ProbeCallback(twin_probe(), images=True), *(make() for make in beside)]
    images, scalars = written(trainer, events, callbacks, Bars(), (loader(64, 1.0), loader(32, 1.0, seed=1)))
    assert (len(images), len(cards(images))) == (number, count)
    assert "twins" in images
    assert scalars == ["attribution/grad_cam/lift", "lightning_vis/seconds", *MONITORED]


MONITORED = ["reliance/alert", "reliance/background_effect", "reliance/background_share", "reliance/object_effect"]


def test_watched_images_have_cards_too(trainer, events):
    module, train, validation = dicts()
    loaders = DataLoader(train, 8), DataLoader(validation, 8)
    images, _ = written(trainer, events, [ProbeCallback(images=True), filters()], module, loaders)
    assert (len(images), len(cards(images))) == (11, 5)


def test_one_card_stays_however_many_views_there_are(trainer, events):
    views = [grad_cam(layer, target) for layer in ("net.0", "net.2", "net.3", "net.4") for target in (0, 1, "label")]
    images, _ = written(trainer, events, [ProbeCallback(Probe.from_dataset(plain()[1], n=2), views, images=True)], Plain())
    assert (len(images), len(cards(images))) == (
        len(views) + 3,
        1,
    )  # the first strip is played, and what is exchanged has a picture
