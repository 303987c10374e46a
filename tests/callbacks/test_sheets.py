"""Sheets of the last look in a real training: left in the run's folder, true of the network, within the budget."""

from __future__ import annotations

import re

import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from lightning_vis.attribution import exchange_map
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.callbacks.session import sheet_looks
from lightning_vis.callbacks.session.exchange_looks import NO_TIME, ExchangeLooks
from lightning_vis.film import Film
from lightning_vis.reliance.exchange.experiment import experiment
from lightning_vis.render.experiment.sheets import SHEETS
from lightning_vis.render.experiment.verdict import proofs
from tests.callbacks.test_exchange import Sees, run, scenes

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:lightning_vis. the alert is"),
    pytest.mark.filterwarnings("ignore:Found 1 module.* in eval mode at the start of training"),
]
COUNTED = re.compile(
    r"answered (.*) in (\d+) of (\d+) cases, random patches of (.*) in (\d+) of (\d+) \(0\.[46] of each side\)\.$"
)


def counts(pictures):
    return [tuple(int(COUNTED.search(each)[at]) for at in (2, 3, 5)) for each in pictures.captions[::4]]


def test_what_convinces_and_where_it_is_sure_are_left_and_come_back(trainer, tmp_path):
    callback, _ = run(trainer, Sees("middle"), max_epochs=2)
    frames, last = callback.film.frames, callback.session.logger.last
    assert [each.epoch for each in frames if "convinces" in each.pictures or "sure" in each.pictures] == []  # of thumbnails
    assert len(last.pictures["convinces"].values) == 8  # two classes, two patches, two tiles each
    # the object in the middle convinces wherever it is pasted; a random patch of 16 rarely holds enough of it
    for follows, of, control in counts(last.pictures["convinces"]):
        assert (follows, of) == (12, 12)
        assert control < 12
    assert last.pictures["convinces"].captions[1].startswith("class 1 with the patch: says class 0 ")
    assert [each.split(": ")[0] for each in last.pictures["sure"].captions] == [f"right {n} of 48" for n in (1, 2, 3, 4)]
    for name in ("what_convinces_it", "sure_and_wrong", "summary"):
        with Image.open(tmp_path / "run" / f"{name}.png") as picture:
            assert picture.width == (1200 if name == "summary" else 700)
    stored = Film.from_logdir(tmp_path / "run").frames
    assert [("convinces" in each.pictures, "sure" in each.pictures) for each in stored] == [(False, False)] * (
        len(stored) - 1
    ) + [(True, True)]
    assert stored[-1].pictures["convinces"].captions == last.pictures["convinces"].captions
    assert stored[-1]._repr_html_().count("<div><img") == len(SHEETS)


def test_mistakes_stand_first_and_are_counted(trainer):
    data = scenes()
    data.tensors[1][::8] = 1 - data.tensors[1][::8]  # an eighth of the labels are wrong, and so the network is
    callback, _ = run(trainer, Sees("middle"), data, max_epochs=2)
    captions = callback.session.logger.last.pictures["sure"].captions
    mistakes = int(re.match(r"wrong 1 of (\d+): ", captions[0])[1])
    assert 0 < mistakes < 16
    shown = min(4, mistakes)
    assert [each.split()[0] for each in captions] == ["wrong"] * shown + ["right"] * 4
    assert f"right 1 of {48 - mistakes}: " in captions[shown]


def of_four_classes():
    """Of a network that tells two of them apart: an image in eight is of a third, none of the fourth."""
    data, module = scenes(), Sees("middle")
    data.tensors[1][::8] = 2
    module.net.head.weight.data = torch.tensor([[-8.0], [8.0], [0.0], [0.0]])
    return module, data


def test_classes_that_the_patches_leave_out_are_named(trainer):
    module, data = of_four_classes()
    callback, _ = run(trainer, module, data, max_epochs=2)
    headers = callback.session.logger.last.pictures["convinces"].captions[::2]
    assert [headers[0], headers[2]] == [headers[1], headers[3]]
    assert "not shown" not in headers[0]
    assert headers[2].endswith(" Classes not shown: class 2 (0 of 15 images right, 6 needed), 1 without images here.")


def test_nothing_is_said_of_classes_where_all_are_shown(trainer):
    callback, _ = run(trainer, Sees("middle"), max_epochs=2)
    assert not any("not shown" in each for each in callback.session.logger.last.pictures["convinces"].captions)


def test_the_console_names_the_sheets_that_are_left_and_no_others(trainer, tmp_path, monkeypatch, caplog):
    folder = tmp_path / "run"
    with caplog.at_level("INFO"):
        run(trainer, Sees("middle"), max_epochs=2)
    both = f"{folder}/what_convinces_it.png, {folder}/sure_and_wrong.png"
    assert f"lightning_vis: sheets of the last look: {both}" in caplog.messages
    caplog.clear()
    monkeypatch.setattr(ExchangeLooks, "_has_time", lambda *_: False)
    with caplog.at_level("INFO"):
        run(trainer, Sees("middle"))
    assert [each for each in caplog.messages if "sheets" in each] == [
        f"lightning_vis: sheets of the last look: {folder}/sure_and_wrong.png"
    ]
    caplog.clear()
    with caplog.at_level("INFO"):
        run(trainer, Sees("middle"), callback=ProbeCallback(exchange=False, views=[]))
    assert not any("sheets" in each for each in caplog.messages)


class Stops(pl.Callback):
    """Ends the training early, so that nobody knows which look is the last one."""

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = trainer.current_epoch == 1


def test_a_training_that_ends_early_has_them_by_one_more_look(trainer):
    callback, _ = run(trainer, Sees("corners"), beside=[Stops()], max_epochs=50)
    last = callback.session.logger.last
    assert (last.moment, last.epoch) == ("end", 2)
    assert {"convinces", "sure", "exchange"} <= set(last.pictures)
    assert last.verdict.state == "red"


def test_what_was_exchanged_is_not_exchanged_again_for_another_look_at_the_same_network(trainer, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "lightning_vis.callbacks.session.exchange_looks.experiment", lambda *given: asked.append(1) or experiment(*given)
    )
    callback, _ = run(trainer, Sees("corners"), callback=ProbeCallback(views=[exchange_map], on_error="raise"), max_epochs=2)
    last = callback.session.logger.last
    assert (last.moment, len(asked)) == ("end", 2)
    assert {"convinces", "sure", "exchange"} <= set(last.pictures)
    assert (last.verdict.state, last.numbers["reliance/surroundings_alert"]) == ("red", 1)


def test_what_fails_is_said_and_takes_no_look_along(trainer, monkeypatch, tmp_path):
    def broken(*_):
        raise RuntimeError("no patches today")

    monkeypatch.setattr(sheet_looks, "carried_by_patches", broken)
    with pytest.warns(UserWarning, match="looking for what convinces the network failed: no patches today"):
        callback, _ = run(trainer, Sees("corners"), callback=ProbeCallback(views=[], exchange=True))
    assert callback.session.logger.last.verdict.state == "red"
    assert not (tmp_path / "run" / "what_convinces_it.png").exists()


def test_without_time_no_patch_is_tried(trainer, monkeypatch):
    monkeypatch.setattr(ExchangeLooks, "_has_time", lambda *_: False)
    callback, _ = run(trainer, Sees("corners"))
    assert {"sure", "exchange"} <= set(callback.session.logger.last.pictures)
    assert "convinces" not in callback.session.logger.last.pictures


def test_the_summary_shows_the_pair_of_the_look_whose_verdict_stands(trainer, monkeypatch):
    """The last look had no time; what was said stems from an earlier one, whose pictures a film does not keep."""
    real = ExchangeLooks._found

    def found(self, trainer, *rest):
        return NO_TIME if trainer.current_epoch == 2 else real(self, trainer, *rest)

    monkeypatch.setattr(ExchangeLooks, "_found", found)
    callback, _ = run(trainer, Sees("corners"), max_epochs=3)
    spoken, logger = callback.looks.spoken, callback.session.logger
    assert (spoken.when, logger.last.verdict.state) == ("epoch 2", "not measured")
    told = logger._frames(spoken)
    assert [each.when for each in told] == [each.when for each in logger.film.frames]
    assert len(proofs(told[-2], callback.session.inputs)) == len(spoken.verdict.rows) > 0
    assert told[-2] is spoken  # not its thumbnail
