"""FilterMaximizationCallback in real trainings: what it writes, when, and that nothing of the training changes."""

from __future__ import annotations

import io

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from modules import SAFELY
from nets import Plain, images
from PIL import Image
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis.callbacks.filters import FilterMaximizationCallback
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.frames import Filter, filters_of
from lightning_vis.maximization.channels import usual_layers
from lightning_vis.maximization.frame_builder import filter_pictures
from lightning_vis.maximization.maximizer import maximize
from lightning_vis.maximization.objectives import log_odds, neuron
from lightning_vis.model.snapshot import snapshot
from lightning_vis.model.snapshot.reachable import reachable
from lightning_vis.probe.probe import Probe


class Small(pl.LightningModule):
    """A classifier of twelve-pixel images; with rate 0 it learns nothing."""

    def __init__(self, rate=0.05):
        super().__init__()
        self.net, self.rate = Plain(), rate
        self.net[7].p = 0.0  # a resumed training would draw other masks

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.rate)


def loader():
    return DataLoader(TensorDataset(images(12, seed=3), torch.arange(12) % 3), batch_size=4)


def small(seed=0, **arguments):
    torch.manual_seed(seed)
    return Small(**arguments)


def filters(**arguments):
    return FilterMaximizationCallback(**({"layers": ["net.0", "net.4"], "channels": 3, "steps": 3} | arguments))


def picture(event):
    return np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))


def test_grids_and_films_are_written_from_the_untrained_network_on(trainer, events):
    trainer([filters()], max_epochs=3).fit(small(), loader())
    found = events()
    tags = ["filters/net.0", "filters/net.4"]
    assert sorted(found.Tags()["images"]) == tags
    for tag in tags:
        assert [event.step for event in found.Images(tag)] == [-1, 8]
    assert picture(found.Images("filters/net.0")[0]).shape[1] == 350


def test_the_defaults_are_the_classes_and_the_last_feature_map(trainer, events):
    trainer([FilterMaximizationCallback(steps=1)], max_epochs=1).fit(small(), loader())
    written = {tag for tag in events().Tags()["images"] if tag.startswith("filters/")}
    assert written == {"filters/<output>", "filters/net.6"}


def test_what_the_model_does_not_have_is_left_out():
    given = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4))
    assert usual_layers(flat, given) == ["<output>"]
    embedding = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(0))
    assert usual_layers(embedding, given) == ["1"]
    with pytest.raises(ValueError, match="feature map"):
        usual_layers(nn.Flatten(0), given)


def test_classes_have_names_and_their_log_odds_rise(trainer):
    probe = Probe(
        torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(3)), [0, 1, 2, 0], class_names="cat dog owl".split()
    )
    callback = FilterMaximizationCallback(["<output>"], 3, probe, steps=20)
    model = small()
    trainer([callback], max_epochs=1).fit(model, loader())
    frame = callback.film.frames[-1]
    assert [each.name for each in filters_of(frame, "<output>")] == ["cat", "dog", "owl"]
    assert frame.pictures["filters/<output>"].captions[0].startswith("class cat reaches ")
    by_hand = maximize(model, "<output>", 3, probe.images, objective=log_odds, steps=20)
    assert [each.reached for each in filters_of(frame, "<output>")] == pytest.approx(by_hand.activation.tolist(), rel=1e-4)


def test_training_is_bit_for_bit_what_it_is_without(trainer):
    def weights(callbacks):
        model = small()
        torch.manual_seed(7)
        trainer(callbacks, max_epochs=2).fit(model, loader())
        return model.state_dict(), torch.rand(3)

    (with_us, drawn), (without, drawn_without) = weights([filters()]), weights([])
    assert all(torch.equal(value, without[name]) for name, value in with_us.items())
    assert torch.equal(drawn, drawn_without)


class Frozen(Small):
    """Steps are taken, but no weight and no statistic moves."""

    def on_train_batch_start(self, *_):
        self.net.eval()


def test_a_film_over_frozen_weights_stands_still(trainer):
    torch.manual_seed(0)
    callback = filters(steps=8)
    trainer([callback], max_epochs=4).fit(Frozen(rate=0.0), loader())
    first, *others = callback.film.frames
    assert len(others) == 4
    for frame in others:
        assert frame.numbers == first.numbers
        assert all(np.array_equal(frame.pictures[name].values, each.values) for name, each in first.pictures.items())


def test_over_a_training_pictures_and_activations_follow_the_weights(trainer):
    callback = filters(steps=8)
    trainer([callback], max_epochs=2).fit(small(rate=0.5), loader())
    first, last = callback.film.frames[0], callback.film.frames[-1]
    assert not np.array_equal(first.pictures["filters/net.4"].values, last.pictures["filters/net.4"].values)
    assert first.numbers != last.numbers


def test_a_frame_holds_the_activation_reached_and_the_best_of_the_probe(trainer):
    probe = Probe(images(5))
    callback, model = filters(probe=probe, layers=["net.4"]), small()
    trainer([callback], max_epochs=1).fit(model, loader())
    facts = filters_of(callback.film.frames[-1], "net.4")
    with torch.no_grad():
        on_probe = torch.nn.Sequential(*list(model.eval().net)[:5])(probe.images).mean((2, 3)).amax(0)
    assert [each.name for each in facts] == ["0", "1", "2"]
    assert [each.on_probe for each in facts] == pytest.approx(on_probe[:3].tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("each", "words"),
    [
        (Filter("3", 4.5, 2.25), "channel 3 reaches 4.5; the best probe image 2.25"),
        (Filter("3", 1.5, 2.25), "channel 3 reaches 1.5; the best probe image 2.25: it prefers the probe image"),
        (Filter("3", 0, 0, True), "channel 3: dead (constant on all probe images, and nothing was found to excite it)"),
    ],
)
def test_captions_say_what_is(each, words):
    assert each.caption == words


def test_scalars_come_on_request(trainer, events):
    trainer([filters(scalars=True)], max_epochs=1).fit(small(), loader())
    found = events()
    assert [event.step for event in found.Scalars("filters/net.4/2/activation")] == [-1, 2]


def test_background_driven_without_anybody_who_measures_it_is_refused(trainer):
    callback = filters(channels="background-driven", layers=["net.4"], steps=1)
    with pytest.raises(ValueError, match="channels='background-driven': it takes a ProbeCallback beside this one"):
        trainer([callback], max_epochs=2).fit(small(), loader())


def test_background_driven_without_twins_is_said_in_one_sentence(trainer):
    callback = filters(channels="background-driven", layers=["net.4"], steps=1)
    with pytest.warns(UserWarning, match="nobody has measured which channels of this layer follow the background: a Probe"):
        trainer([ProbeCallback(), callback], max_epochs=2).fit(small(), loader())


def test_the_usual_layers_leave_out_what_another_callback_shows(trainer, events):
    usual, named = FilterMaximizationCallback(steps=1), filters(layers=["net.6"])
    trainer([usual, named], max_epochs=1).fit(small(), loader())
    assert usual.looks.shown == ["<output>"]
    assert [event.step for event in events().Images("filters/net.6")] == [-1, 2]


def test_a_layer_without_maps_keeps_its_filters_and_loses_only_the_card_of_weights(trainer, events):
    with pytest.warns(UserWarning, match=r"no weights of 'net.10' are shown: layer 'net.10' returns \(4, 3\): only maps"):
        trainer([filters(layers=["net.10"], weights=True)], max_epochs=1).fit(small(), loader())
    assert events().Tags()["images"] == ["filters/net.10"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"size": 64}, "size=64: expected height and width"),
        ({"objective": neuron}, "objective=neuron: write neuron"),
        ({"preset": "dream"}, "preset='dream': expected one of"),
    ],
)
def test_mistakes_stop_before_anything_is_trained(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        filters(**arguments)


def test_pictures_of_many_channels_have_the_colours_of_the_probe():
    model, many = Plain(channels=5).eval(), torch.rand(4, 5, 12, 12, generator=torch.Generator().manual_seed(1))
    probe = Probe(many)
    pictures, _ = filter_pictures(model, "0", [0, 1], probe, steps=2)
    by_hand = maximize(model, "0", [0, 1], many, steps=2)
    assert np.array_equal(pictures.values, probe.painted(by_hand.images))
    assert np.array_equal(probe.painted(many), probe.inputs().pictures)


def test_weights_come_on_request(trainer, events, tmp_path):
    saving = ModelCheckpoint(str(tmp_path / "kept"), save_last=True)
    first = filters(weights=True)
    trainer([first, saving], max_epochs=1, enable_checkpointing=True).fit(small(), loader())
    assert [event.step for event in events().Images("weights/net.0")] == [-1, 2]
    resumed = filters(weights=True)
    kept = torch.load(tmp_path / "kept" / "last.ckpt", weights_only=True)
    resumed.load_state_dict(kept["callbacks"][first.state_key])
    assert resumed.looks.weights["net.0"].limit == first.looks.weights["net.0"].limit
    assert torch.equal(resumed.looks.weights["net.0"].last, first.looks.weights["net.0"].last)


def test_looks_are_spaced_and_the_last_one_is_there(trainer):
    callback = filters(layers=["net.0"], channels=1, steps=1)
    trainer([callback], max_epochs=41).fit(small(), loader())
    seen = [frame.epoch for frame in callback.film.frames]
    assert seen[:16] == list(range(16))
    assert seen[-1] == 41
    assert len(seen) < 30


def test_changed_shows_the_channels_whose_answers_moved_most(trainer):
    class OneMoves(Frozen):
        def on_train_epoch_start(self):
            with torch.no_grad():
                self.net[4].bias[5] += 3
                self.net[4].bias[1] += 2

    class Wider(OneMoves):
        def __init__(self):
            super().__init__(rate=0.0)
            self.net[4], self.net[5] = torch.nn.Conv2d(6, 40, 3), torch.nn.BatchNorm2d(40)
            self.net[10] = torch.nn.Linear(40, 3)

    callback = FilterMaximizationCallback(["net.4"], "changed", steps=1)
    trainer([callback], max_epochs=2).fit(Wider(), loader())
    names = [[each.name for each in filters_of(frame, "net.4")] for frame in callback.film.frames]
    assert names[0] == [str(index) for index in range(8)]
    assert {"1", "5"} <= set(names[1])


def test_a_resumed_training_goes_on_with_the_same_film(trainer, tmp_path):
    saving = ModelCheckpoint(str(tmp_path / "kept"), save_last=True)
    first = filters()
    trainer([first, saving], max_epochs=2, enable_checkpointing=True).fit(small(), loader())
    path = tmp_path / "kept" / "last.ckpt"
    torch.load(path, weights_only=True)
    resumed, whole = filters(), filters()
    again = ModelCheckpoint(str(tmp_path / "kept"), save_last=True)
    trainer([resumed, again], max_epochs=4, enable_checkpointing=True).fit(small(1), loader(), ckpt_path=path, **SAFELY)
    trainer([whole], max_epochs=4).fit(small(), loader())
    assert [frame.epoch for frame in resumed.film.frames] == [0, 1, 2, 3, 4]
    for one, other in zip(resumed.film.frames, whole.film.frames, strict=True):
        assert one.numbers == other.numbers
        assert one.pictures["filters/net.4"].captions == other.pictures["filters/net.4"].captions
        assert np.array_equal(one.pictures["filters/net.4"].values, other.pictures["filters/net.4"].values)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"preset": "lucid"}, "preset='lucid', not 'default'"),
        ({"steps": 5}, "steps=5, not 3"),
        ({"size": (9, 9)}, r"size=\(9, 9\), not None"),
        ({"objective": log_odds}, "objective=log_odds, not None"),
        ({"seed": 1}, "seed=1, not 0"),
    ],
)
def test_a_resumed_training_with_other_pictures_begins_a_film_anew_and_says_so(trainer, tmp_path, changed, said):
    """One film of two recipes would show a change that no network has made."""
    saving = ModelCheckpoint(str(tmp_path / "kept"), save_last=True)
    trainer([filters(), saving], max_epochs=2, enable_checkpointing=True).fit(small(), loader())
    resumed, again = filters(**changed), ModelCheckpoint(str(tmp_path / "kept"), save_last=True)
    with pytest.warns(UserWarning, match=rf"otherwise than in the checkpoint \({said}\): their film begins anew"):
        trainer([resumed, again], max_epochs=3, enable_checkpointing=True).fit(
            small(1), loader(), ckpt_path=tmp_path / "kept" / "last.ckpt", **SAFELY
        )
    assert [frame.epoch for frame in resumed.film.frames] == [2, 3]


def test_a_failing_layer_rests_with_one_warning_and_the_others_go_on(trainer, events):
    class Stubborn(Small):
        def forward(self, x):
            if not self.training and self.trainer.global_step and len(x) == 3:
                raise RuntimeError("no eval today")
            return super().forward(x)

    torch.manual_seed(0)
    callback = FilterMaximizationCallback(["net.0"], channels=3, steps=2)
    with pytest.warns(UserWarning, match="the filters of 'net.0' rest until the next fit, .* no eval today") as seen:
        trainer([callback], max_epochs=3).fit(Stubborn(), loader())
    assert len([each for each in seen if "rest until" in str(each.message)]) == 1
    assert len(events().Images("filters/net.0")) == 1


class Gallery(CSVLogger):
    """Takes images as Weights & Biases does."""

    def log_image(self, key, images, step):
        self.taken = [*getattr(self, "taken", []), (key, images[0].shape[2], step)]


def test_filters_go_to_every_logger_that_takes_images_unless_it_is_narrowed(trainer, tmp_path):
    logger = Gallery(tmp_path)
    trainer([filters()], max_epochs=1, logger=logger).fit(small(), loader())
    cards = ["filters/net.0", "filters/net.4"]
    assert logger.taken == [(key, 3, step) for step in (0, 2) for key in cards]
    narrowed = Gallery(tmp_path)
    trainer([filters(loggers="tensorboard")], max_epochs=1, logger=narrowed).fit(small(), loader())
    assert not hasattr(narrowed, "taken")
    with pytest.raises(ValueError, match="loggers='wandb': expected 'all' or 'tensorboard'"):
        filters(loggers="wandb")


class Counts(nn.Module):
    """Sees its input ever brighter, the more often it has been asked."""

    def __init__(self, net):
        super().__init__()
        self.net, self.asked = net, 0

    def forward(self, x):
        self.asked += 1
        return self.net(x * (1 + self.asked / 10))


def test_a_layer_s_pictures_do_not_depend_on_the_layers_beside_it(trainer):
    """Each begins cold, also where the network remembers that it was asked."""
    alone, beside = filters(layers=["net.net.4"]), filters(layers=["net.net.0", "net.net.4"])
    for callback in (alone, beside):
        model = small()
        model.net = Counts(model.net)
        trainer([callback], max_epochs=1).fit(model, loader())
    for one, other in zip(alone.film.frames, beside.film.frames, strict=True):
        assert np.array_equal(one.pictures["filters/net.net.4"].values, other.pictures["filters/net.net.4"].values)
        assert one.pictures["filters/net.net.4"].filters == other.pictures["filters/net.net.4"].filters


class Refuses(dict):
    """A dict that cannot be read."""

    def values(self):
        raise RuntimeError("lazy values")


def test_a_network_that_cannot_be_lent_stops_nothing(trainer):
    model = small()
    model.odd = Refuses(a=1)
    callback = filters(on_error="warn")
    made = trainer([callback], max_epochs=1)
    with pytest.warns(UserWarning, match="lazy values"):
        made.fit(model, loader())
    assert made.state.status == "finished"
    assert callback.film.frames == []


def test_a_visit_lends_the_network_once_for_all_layers(trainer, monkeypatch):
    walks = []
    monkeypatch.setattr(snapshot, "reachable", lambda *arguments: walks.append(1) or reachable(*arguments))
    callback = filters(layers=["net.0", "net.2", "net.4"], weights=True)
    model = small()
    visits = []
    original = callback.looks.look
    callback.looks.look = lambda *arguments: (walks.clear(), original(*arguments), visits.append(len(walks)))[1]
    trainer([callback], max_epochs=2).fit(model, loader())
    assert visits == [1, 1, 1]
    assert list(callback.film.frames[-1].pictures) == ["filters/net.0", "filters/net.2", "filters/net.4"]
