"""The exchange by itself: bit-identical, within its count, logged or said, and refused with a reason that can be followed."""

from __future__ import annotations

import re
import shlex
import warnings
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from modules import Classifier as Tiny
from modules import loader as tiny_loader
from nets import images
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from lightning_vis.boxes.page import BoxPage
from lightning_vis.boxes.pool_file import read_pools
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.callbacks.session.exchange_looks import NO_TIME, ExchangeLooks
from lightning_vis.cli import parser
from lightning_vis.events.sprites import tiles
from lightning_vis.film import Film
from lightning_vis.probe.box_file import key_of, write_boxes
from lightning_vis.probe.probe import Probe
from lightning_vis.reliance.verdict import TAGS
from tests.callbacks.test_identical import Classifier, Drawing, PartlyFrozen, fingerprint, same

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:lightning_vis. the alert is"),
    pytest.mark.filterwarnings("ignore:Found 1 module.* in eval mode at the start of training"),
]
SIZE = 32


def scenes(count=120, shortcut=True, seed=0, plain=False):
    """A red or a blue square on noise; dark noise goes with red where there is a shortcut."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    bright = labels if shortcut else (torch.arange(count) // 2) % 2
    pictures = 0.1 * torch.rand(count, 3, SIZE, SIZE, generator=generator) + 0.5 * bright.view(-1, 1, 1, 1)
    colours = torch.tensor([[1.0, 0.0, 0.1], [0.1, 0.0, 1.0]])
    if not plain:
        pictures[:, :, 10:22, 10:22] = colours[labels][:, :, None, None]
    return TensorDataset(pictures, labels)


class Seer(nn.Module):
    """Scores of which the truth is known: by the middle, by the corners, by nothing."""

    def __init__(self, what):
        super().__init__()
        self.what, self.head = what, nn.Linear(1, 2, bias=False)
        self.head.weight.data = torch.tensor([[-8.0], [8.0]])

    def forward(self, x):
        middle = x[:, 2, 12:20, 12:20].mean((1, 2)) - 0.5
        corner = 2 * x[:, :, :2, :2].mean((1, 2, 3)) - 0.6
        seen = {"middle": middle, "corners": corner, "nothing": 0 * corner}[self.what]
        return self.head(seen[:, None])


class Sees(pl.LightningModule):
    """Learns next to nothing."""

    def __init__(self, what="corners"):
        super().__init__()
        self.net = Seer(what)

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-6)


class Logged(pl.Callback):
    """What EarlyStopping and ModelCheckpoint would find at the end of each validation."""

    def __init__(self):
        self.seen = []

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.seen.append({tag: float(trainer.callback_metrics[tag]) for tag in TAGS if tag in trainer.callback_metrics})


def run(trainer, module, data=None, callback=None, beside=(), **arguments):
    callback = callback or ProbeCallback(exchange=True, on_error="raise", views=[])
    data = scenes() if data is None else data
    logged = Logged()
    training = trainer([callback, logged, *beside], **arguments)
    training.fit(module, DataLoader(scenes(32), 8), data if isinstance(data, DataLoader) else DataLoader(data, 40))
    return callback, logged.seen


def verdicts(callback):
    return [frame.verdict for frame in callback.film.frames if frame.verdict is not None]


@pytest.mark.parametrize("module", [Classifier, Drawing, PartlyFrozen])
def test_training_is_bit_identical_with_and_without(trainer, module):
    callback = ProbeCallback(exchange=True)
    with_it, without = (fingerprint(trainer, found, module, max_epochs=3) for found in ([callback], []))
    assert verdicts(callback)
    assert {*TAGS} <= set(with_it[-1][3])
    for tag in TAGS:
        del with_it[-1][3][tag]
    assert same(with_it, without)


def test_so_it_is_where_pictures_are_really_exchanged(trainer):
    seen = []
    for callbacks in ([ProbeCallback(exchange=True)], []):
        torch.manual_seed(5)
        net = Tiny(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)))
        trainer(callbacks, max_epochs=4).fit(net, DataLoader(scenes(64), 8, shuffle=True), DataLoader(scenes(), 40))
        seen.append([*net.state_dict().values(), torch.get_rng_state()])
        if callbacks:
            assert any(frame.verdict and frame.verdict.state != "not measured" for frame in callbacks[0].film.frames)
    assert same(*seen)


def test_a_network_that_lives_on_surroundings_is_red_at_the_second_look(trainer):
    callback, logged = run(trainer, Sees("corners"), max_epochs=3)
    assert [each.state for each in verdicts(callback)] == ["seen", "red", "red"]
    assert "is called class 1 in 72 of 72 exchanges" in verdicts(callback)[-1].sentence
    assert [each["reliance/surroundings_alert"] for each in logged] == [0, 1, 1]
    assert logged[-1]["reliance/surroundings_effect"] > 0.9


def test_whoever_asked_for_its_numbers_hears_of_its_alert_and_can_stop_by_it(trainer):
    heard = []
    callback, _ = run(
        trainer, Sees("corners"), callback=ProbeCallback(exchange=True, views=[], on_alert=heard.append), max_epochs=3
    )
    assert [(each.level, each.epoch) for each in heard] == [(1, 2)]
    assert heard[0].verdict == verdicts(callback)[1]
    assert heard[0].sentence == verdicts(callback)[1].sentence
    assert heard[0].numbers["reliance/surroundings_alert"] == 1
    with pytest.warns(UserWarning, match=r"the alert is red\. In the surroundings of .*The training stops here"):
        stopped, _ = run(
            trainer, Sees("corners"), callback=ProbeCallback(exchange=True, views=[], on_alert="stop"), max_epochs=9
        )
    assert stopped.film.frames[-1].epoch == 2


def test_a_fit_that_goes_on_says_the_verdict_that_stopped_the_one_before(trainer, caplog):
    callback = ProbeCallback(exchange=True, views=[], on_alert="stop")
    training, module, data = trainer([callback], max_epochs=9), Sees("corners"), DataLoader(scenes(), 40)
    with pytest.warns(UserWarning, match="The training stops here") as told:
        training.fit(module, DataLoader(scenes(32), 8), data)
    training.should_stop, training.fit_loop.max_epochs = False, training.current_epoch + 2
    with caplog.at_level("INFO"):
        training.fit(module, DataLoader(scenes(32), 8), data)
    sentence = callback.looks.spoken.verdict.sentence
    assert any(sentence in str(each.message) for each in told)
    assert f"lightning_vis: {sentence}" in caplog.messages


def test_by_itself_it_stops_nothing(trainer):
    heard = []
    run(trainer, Sees("corners"), callback=ProbeCallback(views=[], on_alert=heard.append), max_epochs=3)
    assert heard == []


def test_a_network_that_sees_the_object_is_not(trainer):
    callback, logged = run(trainer, Sees("middle"))
    assert [each.state for each in verdicts(callback)] == ["nothing", "nothing"]
    assert "nothing above 30 points was found. What lies on the object itself is not tested." in verdicts(callback)[0].sentence
    assert abs(logged[-1]["reliance/surroundings_effect"]) < 0.02


def test_a_network_that_sees_nothing_is_not_measured(trainer):
    callback, logged = run(trainer, Sees("nothing"))
    assert "50% of the 48 images are right, which is near chance" in verdicts(callback)[0].sentence
    assert all(value == 0 for each in logged for value in each.values())
    assert all(each.keys() == {*TAGS} for each in logged)


def test_between_exchanges_the_last_value_goes_out_with_its_age(trainer):
    _, logged = run(trainer, Sees("corners"), max_epochs=6)
    assert [each["reliance/surroundings_age"] for each in logged] == [0, 0, 0, 1, 0, 0]
    assert all(each["reliance/surroundings_effect"] > 0.9 and each["reliance/surroundings_measured"] == 1 for each in logged)


def test_in_a_validation_within_the_first_epoch_the_neutral_value_goes_out(trainer):
    _, logged = run(trainer, Sees("corners"), val_check_interval=0.5)
    assert logged[0] == dict.fromkeys(TAGS, 0.0)
    assert logged[1]["reliance/surroundings_measured"] == 1


def test_by_itself_it_logs_nothing_but_says_it(trainer):
    callback, logged = run(trainer, Sees("corners"), callback=ProbeCallback(views=[]))
    assert logged == [{}, {}]
    assert [each.state for each in verdicts(callback)] == ["seen", "red"]


def test_where_something_monitors_a_number_all_are_logged(trainer, tmp_path):
    best = ModelCheckpoint(tmp_path, monitor="reliance/surroundings_effect")
    _, logged = run(trainer, Sees("corners"), callback=ProbeCallback(views=[]), beside=[best], enable_checkpointing=True)
    assert all(each.keys() == {*TAGS} for each in logged)
    assert float(best.best_model_score) > 0.9


def test_false_exchanges_nothing(trainer):
    callback, logged = run(trainer, Sees("corners"), callback=ProbeCallback(views=[], exchange=False))
    assert verdicts(callback) == []
    assert logged == [{}, {}]


def test_without_a_logger_the_numbers_are_measured_all_the_same(trainer):
    _, logged = run(trainer, Sees("corners"), logger=False)
    assert logged[-1]["reliance/surroundings_measured"] == 1


def test_it_goes_on_from_a_checkpoint(trainer, tmp_path):
    callback, _ = run(trainer, Sees("corners"), max_epochs=1)
    state = callback.state_dict()
    again = ProbeCallback(exchange=True, views=[])
    again.load_state_dict(state)
    assert again.looks.exchanges.numbers() == callback.looks.exchanges.numbers()


def test_the_same_network_twice_is_one_look(trainer):
    """Red takes two looks at two networks: a validation behind the fit sees the one that was seen."""
    callback = ProbeCallback(exchange=True, views=[], task="multiclass", labels_at=1)
    training = trainer([callback], max_epochs=1)
    net, data = Sees("corners"), DataLoader(scenes(), 40)
    training.fit(net, DataLoader(scenes(32), 8), data)
    training.validate(net, data)
    assert [each.state for each in verdicts(callback)] == ["seen", "seen"]


def test_what_fails_takes_no_look_along_and_says_so_once(trainer, monkeypatch):
    def broken(*_):
        raise RuntimeError("no exchange today")

    monkeypatch.setattr("lightning_vis.callbacks.session.exchange_looks.experiment", broken)
    with pytest.warns(UserWarning, match="the exchange of surroundings failed: no exchange today") as said:
        callback, logged = run(trainer, Sees("corners"), callback=ProbeCallback(views=[], exchange=True))
    assert len([each for each in said if "exchange" in str(each.message)]) == 1
    assert all(len(frame.predicted) == 8 for frame in callback.film.frames)
    assert all(each == dict.fromkeys(TAGS, 0.0) for each in logged)
    with pytest.raises(RuntimeError, match="no exchange today"):
        run(trainer, Sees("corners"))


@pytest.mark.parametrize(("share", "state"), [(1e-9, "not measured"), (100.0, "seen")])
def test_without_time_nothing_is_measured_and_a_larger_share_gives_more(trainer, monkeypatch, share, state):
    monkeypatch.setattr("lightning_vis.callbacks.budget.FLOOR", 0.0)
    monkeypatch.setattr("lightning_vis.callbacks.schedule.is_early", lambda *_: False)
    callback = ProbeCallback(views=[], exchange=True, max_overhead=share)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="lightning_vis: looking would cost more")
        run(trainer, Sees("corners"), callback=callback, max_epochs=1)
    assert [each.state for each in verdicts(callback)][:1] == [state]


def test_what_was_found_is_said_where_the_last_look_has_no_time(trainer, monkeypatch, caplog):
    real = ExchangeLooks._found

    def found(self, trainer, *rest):
        return NO_TIME if trainer.current_epoch == 2 else real(self, trainer, *rest)

    monkeypatch.setattr(ExchangeLooks, "_found", found)
    with caplog.at_level("INFO"):
        callback, _ = run(trainer, Sees("corners"), max_epochs=3)
    assert [each.state for each in verdicts(callback)] == ["seen", "red", "not measured"]
    assert f"lightning_vis: epoch 2: {verdicts(callback)[1].sentence}" in caplog.messages


# --- not measured --------------------------------------------------------------------------------------------------------


class Stream(IterableDataset):
    def __iter__(self):
        yield from scenes(40)


def of_one_class():
    pictures, labels = scenes().tensors
    return TensorDataset(pictures[labels == 1], labels[labels == 1])


def alike():
    """Objects on one and the same black."""
    pictures, labels = scenes().tensors
    blank = torch.zeros_like(pictures)
    blank[:, :, 10:22, 10:22] = pictures[:, :, 10:22, 10:22]
    return TensorDataset(blank, labels)


def repeated():
    """Two pictures, over and over."""
    pictures, labels = scenes(2).tensors
    return TensorDataset(pictures.repeat(60, 1, 1, 1), labels.repeat(60))


REFUSALS = {
    "plates": (
        lambda: scenes(plain=True),
        "corners",
        "no objects stand out from what surrounds them. A box for each image would help: python -m lightning_vis boxes ",
    ),
    "one class": (of_one_class, "corners", "the images are of one class. A validation set of at least two classes would help"),
    "alike": (alike, "middle", "what surrounds the objects looks alike in most images"),
    "few right": (lambda: scenes(8), "middle", "fewer than 6 images are right in all classes but one"),
    "the same images": (repeated, "middle", "fewer than 6 images are right in all classes but one"),
    "near chance": (scenes, "nothing", "chance. The network may not have learned enough yet, or what it learned does"),
    "no index": (lambda: DataLoader(Stream(), 8), "middle", "the data have no index. A validation set whose items can be had"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_measured_says_why_and_what_would_help(trainer, case):
    data, what, reason = REFUSALS[case]
    callback, logged = run(trainer, Sees(what), data())
    assert {each.state for each in verdicts(callback)} == {"not measured"}
    assert reason in verdicts(callback)[-1].sentence
    assert all(each == dict.fromkeys(TAGS, 0.0) for each in logged)


@pytest.mark.parametrize("what", ["corners", "middle"])
def test_boxes_of_the_probe_are_taken_instead_of_cut_outs(trainer, what):
    """The other remedy: of a network that sees the objects nothing is found, of one that sees what surrounds them it is."""
    pictures, labels = scenes(24, plain=what == "corners").tensors
    given = Probe(pictures, labels, boxes=[[10, 10, 22, 22]] * 24)
    callback, _ = run(trainer, Sees(what), callback=ProbeCallback(given, views=[], exchange=True))
    assert given.twins is None
    assert verdicts(callback)[-1].state == ("red" if what == "corners" else "nothing")
    assert "cut out automatically" not in verdicts(callback)[-1].sentence


@pytest.mark.parametrize("count", [48, 20, 0])
def test_a_file_of_boxes_takes_the_place_of_cut_outs_and_is_said(trainer, tmp_path, caplog, count):
    """The pool has 48 images; those whose boxes the file knows are cut out by them."""
    first, _ = run(trainer, Sees("corners"))
    pool, objects = first.looks.exchanges._pool
    write_boxes(tmp_path / "b.json", {key_of(each): (0.25, 0.25, 0.75, 0.75) for each in pool.images[:count]})
    with caplog.at_level("INFO"):
        given = ProbeCallback(exchange=True, views=[], boxes=tmp_path / "b.json")
        callback, _ = run(trainer, Sees("corners"), callback=given)
    assert f"lightning_vis: boxes: {count} of the 48 images that are exchanged have one" in caplog.messages
    inside = callback.looks.exchanges._pool[1].parts.inside
    assert bool(inside[:count, 8:24, 8:24].all())
    assert not inside[:count, :4].any()
    assert torch.equal(inside[count:], objects.parts.inside[count:])
    words = {48: "24 images)", 20: "cut out automatically but for 20 in boxes)", 0: "cut out automatically)"}
    assert words[count] in verdicts(callback)[-1].sentence


def stored(folder):
    (found,), damage = read_pools(str(folder))
    assert damage == []
    return found


def test_the_pool_and_its_cut_outs_lie_in_the_runs_folder_whatever_boxes_there_are(trainer, tmp_path):
    callback, _ = run(trainer, Sees("corners"), max_epochs=1)
    pool, objects = callback.looks.exchanges._pool
    found = stored(tmp_path / "run")
    assert found.keys == tuple(map(key_of, pool.images))
    assert found.classes == tuple(f"class {each}" for each in pool.labels.tolist())
    assert torch.equal(torch.from_numpy(tiles(found.cuts, found.size, 48)) > 0, objects.cuts)
    write_boxes(tmp_path / "b.json", dict.fromkeys(found.keys, (0, 0, 0.5, 0.5)))
    run(trainer, Sees("corners"), callback=ProbeCallback(views=[], boxes=tmp_path / "b.json"), max_epochs=1)
    assert len(list((tmp_path / "run").glob("exchange_pool_*"))) == 1


@pytest.mark.parametrize("case", ["hidden", "nothing is written", "masks"])
def test_no_pool_is_left_where_nobody_may_see_it_nothing_is_written_or_masks_are_known(trainer, tmp_path, case):
    pictures, labels = scenes(24).tensors
    masks = torch.zeros(24, SIZE, SIZE)
    masks[:, 10:22, 10:22] = 1
    probes = {"hidden": Probe(pictures, labels, inputs=False), "masks": Probe(pictures, labels, masks)}
    callback = ProbeCallback(probes.get(case), views=[], exchange=True, on_alert=lambda alert: None)
    run(trainer, Sees("middle"), callback=callback, **({"fast_dev_run": 1} if case == "nothing is written" else {}))
    assert list(tmp_path.rglob("exchange_pool_*")) == []


def test_a_pool_that_cannot_be_left_takes_no_exchange_along_and_is_said(trainer, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning_vis.callbacks.session.exchange_looks.leave_pool", full)
    with pytest.warns(
        UserWarning, match="storing the images that are exchanged failed: .*No space left.*Make room for the log"
    ):
        callback, _ = run(trainer, Sees("corners"), callback=ProbeCallback(views=[]), max_epochs=1)
    assert [each.state for each in verdicts(callback)] == ["seen"]


def test_the_command_that_a_refusal_names_has_boxes_and_with_them_it_is_measured(trainer, tmp_path):
    """Of plates no object stands out; whoever follows the sentence and boxes every image gets a verdict."""
    callback, _ = run(trainer, Sees("corners"), scenes(plain=True), max_epochs=1)
    command = shlex.split(re.search(r"(python -m lightning_vis boxes .*?) takes them", verdicts(callback)[-1].sentence)[1])
    arguments = parser().parse_args(command[3:])
    page = BoxPage(read_pools(arguments.logdir)[0], tmp_path / arguments.output)
    page.save({image["key"]: [0.3, 0.3, 0.7, 0.7] for image in page.facts()["images"]})
    again = ProbeCallback(exchange=True, views=[], boxes=page.path)
    measured, _ = run(trainer, Sees("corners"), scenes(plain=True), callback=again)
    assert verdicts(measured)[-1].state == "red"


def test_the_boxes_of_a_probe_that_a_refusal_names_have_it_measured(trainer):
    """Nobody may see the images, so that the sentence names no page; what it names is run as it stands, of six images of each class."""
    hidden = ProbeCallback(Probe(*scenes(8).tensors, inputs=False), views=[], exchange=True)
    refused, _ = run(trainer, Sees("corners"), scenes(plain=True), callback=hidden, max_epochs=1)
    code, each = re.search(r"help: (Probe.*) with at least (\w+) images of each class", verdicts(refused)[-1].sentence).groups()
    assert each == "six"
    images, labels = scenes(12, plain=True).tensors
    given = eval(
        code,
        {
            "ProbeCallback": partial(ProbeCallback, views=[]),
            "Probe": Probe,
            "images": images,
            "labels": labels,
            "boxes": [[10, 10, 22, 22]] * 12,
        },
    )
    measured, _ = run(trainer, Sees("corners"), scenes(plain=True), callback=given)
    assert verdicts(measured)[-1].state == "red"
    assert "cut out automatically" not in verdicts(measured)[-1].sentence


def test_a_file_that_is_not_there_stops_when_fit_starts(trainer):
    with pytest.raises(ValueError, match="boxes='nowhere.json': the file cannot be read"):
        run(trainer, Sees("corners"), callback=ProbeCallback(boxes="nowhere.json"))


def test_boxes_that_leave_nothing_around_are_refused(trainer):
    pictures, labels = scenes(24).tensors
    given = Probe(pictures, labels, boxes=[[0, 0, SIZE, SIZE]] * 24)
    callback, _ = run(trainer, Sees("middle"), callback=ProbeCallback(given, views=[], exchange=True))
    assert "the objects fill the images, so that next to nothing surrounds them" in verdicts(callback)[-1].sentence


def test_masks_of_the_probe_are_taken_instead_of_cut_outs(trainer):
    """The remedy that the refusals name: of plates nothing stands out, and masks say where the objects are."""
    pictures, labels = scenes(24, plain=True).tensors
    masks = torch.zeros(24, SIZE, SIZE)
    masks[:, 10:22, 10:22] = 1
    given = ProbeCallback(Probe(pictures, labels, masks), views=[], exchange=True, on_alert=lambda alert: None)
    callback, _ = run(trainer, Sees("corners"), callback=given)
    assert verdicts(callback)[-1].state == "red"
    assert "cut out automatically" not in verdicts(callback)[-1].sentence


class Numbers(Tiny):
    """Predicts a number."""

    def __init__(self):
        super().__init__(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1)))

    def training_step(self, batch, _):
        return nn.functional.mse_loss(self(batch[0])[:, 0], batch[1])

    def validation_step(self, batch, _):
        self.log("val_loss", nn.functional.mse_loss(self(batch[0])[:, 0], batch[1]))


def numbers():
    return DataLoader(TensorDataset(images(24, 12), torch.rand(24)), 8)


def test_numbers_are_not_exchanged_and_it_is_told_at_the_end_at_the_latest(trainer):
    silent, callback = ProbeCallback(views=[]), ProbeCallback(exchange=True, views=[])
    for each in (silent, callback):
        trainer([each]).fit(Numbers(), numbers(), numbers())
        reason = "it takes a network that tells classes apart, and this one is read as regression"
        assert reason in verdicts(each)[-1].sentence
    assert {each.state for each in verdicts(silent)} == {"not measured"}
    assert silent.film.frames[-1].verdict is not None


def test_what_waits_for_a_number_that_never_comes_is_refused(trainer, tmp_path):
    waiting = ModelCheckpoint(tmp_path, monitor="reliance/surroundings_alert")
    with pytest.raises(ValueError, match="never logged of a task that is regression"):
        trainer([ProbeCallback(), waiting], enable_checkpointing=True).fit(Numbers(), numbers(), numbers())
    with pytest.raises(ValueError, match="surroundings_alert', which is never logged"):
        trainer([ProbeCallback(exchange=False), waiting], enable_checkpointing=True).fit(Tiny(), tiny_loader(), tiny_loader())


def test_another_word_than_yes_or_no_is_refused():
    with pytest.raises(TypeError, match="exchange='yes': expected True, False or None"):
        ProbeCallback(exchange="yes")


def test_what_is_stored_comes_back(trainer, tmp_path):
    callback, _ = run(trainer, Sees("corners"))
    stored = Film.from_logdir(tmp_path / "run").frames
    assert [each.verdict for each in stored] == [each.verdict for each in callback.film.frames]
    assert len(stored[-1].pictures["exchange"].values) == 12
    assert {(each.follows, each.of) for each in stored[-1].verdict.cells} == {(72, 72)}
    assert stored[-1].pictures["exchange"].captions[2] == "1: class 0, surroundings of class 1: says class 1 1.00"
