"""The verdict of a training: one sentence, the same in the frame, the log, the summary, the tab's facts and `on_alert`."""

from __future__ import annotations

import logging

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from worlds import NAMES, TYPICAL, Classifier, bars, loader, plates

from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.film import Film
from lightning_vis.probe.probe import Probe
from lightning_vis.render.summary import words

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")


def probe(names=NAMES, count=12, other=1):
    """Bars on plates of two kinds; of one and the same kind where `other` is 0."""
    labels = torch.arange(count) % 2
    objects, masks = bars(labels)
    images = objects * masks[:, None] + plates(0, count, 7) * (1 - masks[:, None])
    backgrounds = {"warm": plates(0, 4, 8), "cold": plates(other, 4, 8)}
    typical = {kind: names[NAMES.index(name)] for kind, name in TYPICAL.items()}
    return Probe(images, labels, masks, backgrounds, typical, class_names=names)


def trained(trainer, given, heard=None, **arguments):
    callback = ProbeCallback(given, at_steps=(), on_alert=(lambda alert: None) if heard is None else heard.append, **arguments)
    torch.manual_seed(0)
    trainer([callback], max_epochs=4).fit(Classifier(), loader(48, 1.0), loader(32, 1.0, seed=1))
    return callback


def test_one_sentence_everywhere(trainer, caplog, tmp_path):
    heard = []
    with caplog.at_level(logging.INFO):
        callback = trained(trainer, probe(), heard, exchange=False)
    last = callback.film.frames[-1]
    assert (last.verdict.state, last.verdict.picture) == ("red", "twins")
    assert f"lightning_vis: {last.verdict.sentence}" in caplog.messages
    assert last.verdict.sentence in words(callback.film.frames, callback.session.inputs)
    stored = Film.from_logdir(tmp_path / "run").frames
    assert [each.verdict for each in stored] == [each.verdict for each in callback.film.frames]
    told = {frame.epoch: frame.verdict for frame in callback.film.frames}
    assert heard[-1].verdict == told[heard[-1].epoch]
    assert heard[-1].sentence == heard[-1].verdict.sentence


@pytest.mark.parametrize("exchange", [True, False])
def test_a_verdict_that_stopped_the_training_is_said_once(trainer, caplog, exchange):
    callback = ProbeCallback(probe(), at_steps=(), on_alert="stop", exchange=exchange)
    with caplog.at_level(logging.INFO), pytest.warns(UserWarning, match="The training stops here") as told:
        trainer([callback], max_epochs=12).fit(Classifier(), loader(48, 1.0), loader(32, 1.0, seed=1))
    sentence = callback.looks.spoken.verdict.sentence
    assert "In one class alone" in sentence or "This network" in sentence
    said = [*(str(each.message) for each in told), *caplog.messages]
    for part in sentence.removesuffix(".").split(". "):
        assert sum(part in each for each in said) == 1, part


def test_the_sentence_counts_what_the_pictures_show(trainer):
    callback = trained(trainer, probe(), exchange=False)
    frame = callback.session.logger.last
    captions = frame.pictures["twins"].captions
    kind, label, said = next(
        (kind, label, said)
        for kind in ("warm", "cold")
        for label, said in (NAMES, NAMES[::-1])
        if frame.verdict.sentence.startswith(f"On {kind}, {label} is called {said} in ")
    )
    shows = [each for each in captions if f"{label} on {kind}" in each and each.endswith(f"says {said}: the answer flips")]
    assert f"called {said} in {len(shows)} of 6 twins" in frame.verdict.sentence
    assert shows
    for row in frame.verdict.rows:
        assert any(each.startswith(f"{row + 1}: ") for each in shows)
        assert str(row + 1) in frame.verdict.sentence.split("See ")[1]


def test_other_names_make_the_same_sentence_with_other_names(trainer):
    plain, other = (trained(trainer, probe(names), exchange=False).film.frames[-1].verdict for names in (NAMES, ["A", "B"]))
    renamed = plain.sentence.replace("upright", "A").replace("lying", "B")
    assert other.sentence == renamed
    assert other.rows == plain.rows


def test_backgrounds_that_look_alike_are_not_measured_and_the_remedy_works(trainer):
    same = plates(0, 4, 8)
    given = probe()
    alike = Probe(given.images, given.labels, given.masks, {"warm": same, "cold": same}, TYPICAL, class_names=NAMES)
    states = [frame.verdict.state for frame in trained(trainer, alike, exchange=False).film.frames]
    assert set(states) == {"not measured"}
    assert "not measured" not in trained(trainer, probe(), exchange=False).film.frames[-1].verdict.sentence


class Blind(Classifier):
    """Always says the same."""

    def forward(self, images):
        return self.net(0 * images)


def test_a_network_that_sees_nothing_is_not_measured(trainer):
    callback = ProbeCallback(probe(), views=[], at_steps=())
    trainer([callback], max_epochs=3).fit(Blind(), loader(48, 1.0), loader(32, 1.0, seed=1))
    assert {frame.verdict.state for frame in callback.film.frames} == {"not measured"}
    assert "so it follows neither" in callback.film.frames[-1].verdict.sentence


class Shifted(Classifier):
    """Adds a constant to all its logits."""

    def forward(self, images):
        return self.net(images) + 3.0


def test_a_constant_in_all_logits_changes_nothing(trainer):
    found = []
    for kind in (Classifier, Shifted):
        torch.manual_seed(0)
        callback = ProbeCallback(probe(), at_steps=(), exchange=False, on_alert=lambda alert: None)
        trainer([callback], max_epochs=3).fit(kind(), loader(48, 1.0), loader(32, 1.0, seed=1))
        found.append([frame.verdict for frame in callback.film.frames])
    assert [each.sentence for each in found[0]] == [each.sentence for each in found[1]]


def test_outside_of_fit_twins_have_a_verdict_and_move_no_alert(trainer):
    callback = trained(trainer, probe(), exchange=False)
    before = callback.monitor.state
    images, labels = probe().images, probe().labels
    trainer([callback]).validate(Classifier(), DataLoader(TensorDataset(images, labels), 6), verbose=False)
    assert callback.film.frames[-1].moment == "validate"
    assert callback.film.frames[-1].verdict.state in ("seen", "nothing", "not measured")
    assert callback.monitor.state == before
