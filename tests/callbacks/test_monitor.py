"""What is monitored: there at every epoch, of this epoch, in every set-up; and what happens when a look fails."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from modules import SAFELY
from nets import Tokens
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from worlds import NAMES, TYPICAL, Classifier, Unvalidated, loader, plates, scenes, twin_probe

from lightning_vis.attribution import evidence, occlusion, saliency
from lightning_vis.attribution.methods.views import exchange_map
from lightning_vis.attribution.metrics import edge_map, lift
from lightning_vis.attribution.pipeline import look, look_at_twins
from lightning_vis.attribution.views import grad_cam
from lightning_vis.callbacks.filters import FilterMaximizationCallback
from lightning_vis.callbacks.monitor import Monitor, monitored_tags
from lightning_vis.callbacks.probe import GradCAMCallback, ProbeCallback
from lightning_vis.frames import filters_of
from lightning_vis.probe.probe import Probe
from lightning_vis.reliance.alert import Thresholds

TAGS = (
    "reliance/background_effect",
    "reliance/object_effect",
    "reliance/background_share",
    "reliance/alert",
    "attribution/grad_cam/lift",
)


def watching(*arguments, **more):
    """A callback that draws nothing: pictures have tests of their own, and take longer than the looks."""
    return ProbeCallback(*arguments, **({"images": False} | more))


@pytest.fixture(autouse=True)
def _alerts_are_expected():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="lightning_vis: (the alert is|no logger)")
        warnings.filterwarnings("ignore", message="lightning_vis: attribution/grad_cam/lift could not be measured")
        yield


class Witness(pl.Callback):
    """Measures for itself whenever EarlyStopping and ModelCheckpoint could look, and keeps what they would find."""

    def __init__(self, probe):
        self.probe, self.found = probe, []

    def _look(self, trainer, pl_module, hook):
        if trainer.sanity_checking:
            return
        logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
        of_cam = look(pl_module, self.probe).numbers["attribution/grad_cam/lift"]
        truth = look_at_twins(pl_module, self.probe).numbers | {"attribution/grad_cam/lift": of_cam}
        self.found.append((hook, trainer.current_epoch, logged, truth))

    def on_validation_end(self, trainer, pl_module):
        self._look(trainer, pl_module, "validation")

    def on_train_epoch_end(self, trainer, pl_module):
        self._look(trainer, pl_module, "epoch")


SET_UPS = {
    "validation": {},
    "no validation": {"validates": False},
    "no validation batches": {"limit_val_batches": 0},
    "validation every second epoch": {"check_val_every_n_epoch": 2},
    "validation twice an epoch": {"val_check_interval": 0.5},
    "validation that ends before the epoch does": {"val_check_interval": 2},
    "sanity check": {"num_sanity_val_steps": 2},
    "accumulation": {"accumulate_grad_batches": 2, "val_check_interval": 0.5},
    "pictures every third epoch": {"every_n_epochs": 3},
    "no logger": {"logger": False},
    "early looks": {"at_steps": None, "val_check_interval": 1 / 3},
}


def fit(trainer, callbacks, validates=True, correlation=0.95, model=None, **arguments):
    torch.manual_seed(0)
    model = model or (Classifier() if validates else Unvalidated())
    made = trainer(callbacks, **({"max_epochs": 5} | arguments))
    made.fit(model, loader(48, correlation), loader(32, correlation, seed=1) if validates else None)
    return made, model


def kept(folder):
    """A ModelCheckpoint for each number, in a folder of its own; it too raises where its number is missing."""
    return [ModelCheckpoint(folder / tag, "{epoch}-{step}", monitor=tag, save_weights_only=True) for tag in TAGS]


@pytest.mark.parametrize("name", SET_UPS)
def test_what_is_monitored_is_there_and_of_this_moment_in_every_set_up(trainer, tmp_path, name):
    arguments = dict(SET_UPS[name])
    ours = {key: arguments.pop(key) for key in ("every_n_epochs", "at_steps") if key in arguments}
    probe = twin_probe()
    witness = Witness(probe)
    strict = [EarlyStopping(tag, patience=10**6) for tag in TAGS]  # it raises where its number is missing
    callbacks = [watching(probe, **({"at_steps": ()} | ours)), witness, *strict, *kept(tmp_path)]
    made, _ = fit(trainer, callbacks, enable_checkpointing=True, **arguments)
    assert made.current_epoch == 5
    assert all((tmp_path / tag).exists() for tag in TAGS)
    assert {epoch for _, epoch, _, _ in witness.found} >= set(range(5))
    for hook, epoch, logged, truth in witness.found:
        assert set(TAGS) <= set(logged), f"{hook} of epoch {epoch}"
        assert "reliance/age" not in logged
        for tag in set(TAGS) - {"reliance/alert"}:
            assert logged[tag] == pytest.approx(truth[tag], abs=1e-5), f"{tag} at the {hook} of epoch {epoch}"


def test_at_most_five_scalars_are_logged(trainer, events):
    fit(trainer, [watching(twin_probe())], max_epochs=2)
    ours = {tag for tag in events().Tags()["scalars"] if tag.split("/")[0] in ("reliance", "attribution")}
    assert ours == set(TAGS)
    validated = {event.step for event in events().Scalars("val_loss")}
    assert {event.step for event in events().Scalars("reliance/alert")} == validated


def test_other_loggers_get_the_numbers_too(trainer, tmp_path):
    logger = CSVLogger(tmp_path)
    fit(trainer, [watching(twin_probe())], logger=logger)
    with (Path(logger.log_dir) / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["reliance/background_effect"]]
    assert len(rows) == 5
    assert all(math.isfinite(float(row["reliance/background_share"])) for row in rows)


def test_without_masks_nothing_is_logged_and_with_masks_alone_one_lift():
    images, labels, masks = scenes(6, 0.5)
    assert monitored_tags(Probe(images, labels), [grad_cam()]) == ()
    assert monitored_tags(Probe(images, None, masks), [evidence(), grad_cam()]) == ("attribution/grad_cam/lift",)
    assert monitored_tags(Probe(images, None, masks), [evidence()]) == ("attribution/evidence/lift",)
    assert monitored_tags(Probe(images, None, masks), [occlusion(), saliency()]) == (
        "attribution/saliency/lift",
    )  # at each look
    assert monitored_tags(Probe(images, None, masks), [occlusion()]) == ()
    assert monitored_tags(twin_probe(), []) == TAGS[:4]


def test_pictures_are_thinned_and_numbers_are_not(trainer):
    callback = watching(twin_probe(), every_n_epochs=3, at_steps=())
    witness = Witness(callback.probe)
    fit(trainer, [callback, witness], max_epochs=6)
    assert [frame.epoch for frame in callback.film.frames] == [0, 3, 6]
    effects = [logged[TAGS[0]] for hook, _, logged, _ in witness.found if hook == "validation"]
    assert len(set(effects)) == 6


def test_training_is_the_same_to_the_bit_with_twins(trainer):
    _, plain = fit(trainer, [])
    _, watched = fit(trainer, [watching(twin_probe(), every_n_epochs=2)])
    for one, other in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def documented(heading):
    """The numbers in the table below a heading of docs/numbers.md."""
    page = (Path(__file__).parents[2] / "docs" / "numbers.md").read_text()
    below = page.split(f"## Under `{heading}`\n")[1].split("\n## ")[0].split("\n### ")[0]
    return {row.split("`")[1] for row in below.splitlines() if row.startswith("| `")}


def test_the_page_names_all_numbers_and_no_others(trainer):
    callback = watching(twin_probe(), at_steps=())
    fit(trainer, [callback], max_epochs=1)
    plates = {"warm": torch.rand(2, 3, 16, 16), "cold": torch.rand(2, 3, 16, 16)}
    images, labels, masks = scenes(6, 0.5)
    untyped = look(Unvalidated(), Probe(images, labels, masks, plates), [])
    tokens = look(Tokens(), Probe(torch.rand(2, 3, 16, 16)), [evidence()])
    exchanged = look(Unvalidated(), Probe(images, labels), [exchange_map()])
    found = {*callback.film.frames[-1].numbers, *untyped.numbers, *tokens.numbers, *exchanged.numbers, "reliance/age"}
    of_twins = {tag.removeprefix("reliance/") for tag in found if tag.startswith("reliance/")}
    of_maps = {
        re.sub("^attribution/((evidence|grad_cam|saliency|exchange_map)/)?", "", tag)
        for tag in found
        if tag.startswith("attribution/")
    }
    assert of_twins == documented("reliance/")
    assert of_maps == documented("attribution/<view>/")


def test_the_lift_of_edges_is_one_line_for_the_whole_run(trainer):
    callback = watching(twin_probe(), at_steps=())
    fit(trainer, [callback], max_epochs=2)
    probe = callback.probe
    expected = float(lift(edge_map(probe.images), probe.masks).mean())
    assert expected > 1.2  # bars have edges and noise has fewer
    lines = [frame.numbers["attribution/edges/lift"] for frame in callback.film.frames]
    assert lines == pytest.approx([expected] * 3)


# --- EarlyStopping, ModelCheckpoint, on_alert ----------------------------------------------------------------------


def stopping():
    return EarlyStopping("reliance/alert", mode="max", stopping_threshold=0.5, patience=10**6)


@pytest.mark.parametrize("validates", [True, False])
def test_early_stopping_ends_the_run_that_answers_by_background_and_lets_the_other_finish(trainer, validates):
    made, _ = fit(trainer, [watching(twin_probe()), stopping()], validates, max_epochs=12)
    assert made.current_epoch <= 3
    made, model = fit(trainer, [watching(twin_probe()), stopping()], validates, 0.5, max_epochs=12)
    assert made.current_epoch == 12
    assert look_at_twins(model, twin_probe()).numbers["reliance/object_effect"] > 0.3  # it has learnt something


@pytest.mark.parametrize(("threshold", "epochs"), [(0.5, {5}), (0.4, {2, 3})])
def test_early_stopping_at_a_half_waits_for_red_and_below_it_stops_at_amber(trainer, threshold, epochs):
    never_red = Thresholds(red_effect=1.0, red_share=1.0)
    stops = EarlyStopping("reliance/alert", mode="max", stopping_threshold=threshold, patience=10**6)
    witness = Witness(twin_probe())
    made, _ = fit(trainer, [watching(twin_probe(), thresholds=never_red), witness, stops])
    assert witness.found[-1][2]["reliance/alert"] == 0.5
    assert made.current_epoch in epochs


@pytest.mark.parametrize("arguments", [{}, {"check_val_every_n_epoch": 2}, {"val_check_interval": 0.5}, {"validates": False}])
def test_checkpoints_are_named_after_the_share_of_the_weights_in_them(trainer, tmp_path, arguments):
    saving = ModelCheckpoint(
        tmp_path / "best",
        "{epoch}-{step}-{reliance/background_share:.6f}",
        monitor="reliance/background_share",
        save_top_k=-1,
        auto_insert_metric_name=False,
    )
    probe = twin_probe()
    callbacks = [watching(probe), saving]
    fit(trainer, callbacks, enable_checkpointing=True, max_epochs=4, **arguments)
    files = sorted((tmp_path / "best").glob("*.ckpt"))
    assert len(files) == {"check_val_every_n_epoch": 2, "val_check_interval": 12}.get(next(iter(arguments), ""), 4)
    shares = {}
    for file in files:
        model = Unvalidated()
        model.load_state_dict(torch.load(file, weights_only=False)["state_dict"])
        shares[file] = look_at_twins(model, probe).numbers["reliance/background_share"]
        assert float(file.stem.split("-")[2]) == pytest.approx(shares[file], abs=2e-6)
    assert saving.best_model_path == str(min(shares, key=shares.get))


def test_on_alert_stop_ends_the_training_and_says_why(trainer):
    with pytest.warns(
        UserWarning, match="the alert is red.*answers by background.*The training stops here, because on_alert='stop'"
    ):
        made, _ = fit(trainer, [watching(twin_probe(), on_alert="stop")], max_epochs=12)
    assert made.current_epoch <= 3


def test_on_alert_calls_a_function_with_what_happened_and_survives_it(trainer):
    heard = []
    fit(trainer, [watching(twin_probe(), on_alert=heard.append)], max_epochs=4)
    assert [alert.level for alert in heard][-1] == 1
    assert heard[-1].epoch <= 3
    assert f"(epoch {heard[-1].epoch}, 8 objects" in heard[-1].sentence
    assert heard[-1].numbers["reliance/alert"] == 1
    with pytest.warns(UserWarning, match=r"on_alert failed \(division by zero\)"):
        made, _ = fit(trainer, [watching(twin_probe(), on_alert=lambda alert: 1 / 0)], max_epochs=4)
    assert made.current_epoch == 4


def test_thresholds_reach_the_alert(trainer):
    never = Thresholds(red_effect=1.0, amber_effect=1.0)
    made, _ = fit(trainer, [watching(twin_probe(), thresholds=never, on_alert="stop")], max_epochs=4)
    assert made.current_epoch == 4


def test_filters_can_be_those_of_the_channels_that_follow_the_background(trainer):
    probe, layer = twin_probe(), "net.3"
    watcher = ProbeCallback(probe, [grad_cam()], at_steps=())
    filters = FilterMaximizationCallback([layer], "background-driven", probe, steps=1)
    fit(trainer, [watcher, filters], max_epochs=2)
    tag = f"reliance/background_driven/{layer}"
    wanted = [np.flatnonzero(frame.per_image[tag] > 0.5).tolist() for frame in watcher.film.frames]
    shown = [[int(each.name) for each in filters_of(frame, layer)] for frame in filters.film.frames]
    assert [sorted(channels) for channels in shown] == wanted
    assert min(map(len, wanted)) < 8  # not simply all of them


def test_filters_wait_where_no_channel_follows_the_background(trainer):
    images, labels, masks = scenes(8, 0.5, seed=7)
    alike = {"warm": plates(0, 4, 8), "cold": plates(0, 4, 8)}  # two names for one background: nothing can follow it
    probe = Probe(images, labels, masks, alike, TYPICAL, class_names=NAMES)
    filters = FilterMaximizationCallback(None, "background-driven", probe, steps=1)
    with pytest.warns(UserWarning, match=r"no channel of 'net.\d' follows the background now: its filters are shown when"):
        fit(trainer, [ProbeCallback(probe, [grad_cam()], at_steps=()), filters], max_epochs=2)
    assert filters.film.frames == []
    assert not filters.failures.resting


def test_settings_of_the_alert_survive_when_callbacks_share_a_look(trainer):
    probe, heard = twin_probe(), []
    fit(trainer, [GradCAMCallback(probe), ProbeCallback(probe, on_alert=heard.append)], max_epochs=3)
    assert heard


def test_another_word_for_on_alert_is_refused():
    with pytest.raises(ValueError, match="on_alert='shout': expected 'warn', 'stop' or a function"):
        ProbeCallback(on_alert="shout")


def test_two_probes_with_twins_are_refused(trainer):
    callbacks = [watching(twin_probe(name="a")), watching(twin_probe(name="b"))]
    with pytest.raises(ValueError, match="the probes 'a' and 'b' would both log"):
        fit(trainer, callbacks)


# --- what can never be there ---------------------------------------------------------------------------------------


def unmasked():
    images, labels, _ = scenes(6, 0.5)
    return Probe(images, labels)


def with_masks():
    return Probe(*scenes(6, 0.5))


TAKES_MASKS = "it takes a probe with masks, as in ProbeCallback(Probe(images, labels, masks))"
NEVER = [
    ("attribution/grad_cam/lift", lambda: ProbeCallback(), TAKES_MASKS),
    ("attribution/grad_cam/lift", lambda: ProbeCallback(unmasked()), TAKES_MASKS),
    (
        "attribution/evidence/lift",
        lambda: ProbeCallback(unmasked()),
        f"{TAKES_MASKS}: 'attribution/grad_cam/lift' is logged then",
    ),
    ("attribution/saliency/lift", lambda: ProbeCallback(with_masks()), f"monitored are {', '.join(TAGS)}"),
    ("attribution/gradcam/lift", lambda: ProbeCallback(with_masks()), f"monitored are {', '.join(TAGS)}"),
    ("attribution/grad_cam/pointing", lambda: ProbeCallback(with_masks()), f"monitored are {', '.join(TAGS)}"),
    ("reliance/effect", lambda: ProbeCallback(with_masks()), f"monitored are {', '.join(TAGS)}"),
    (
        "attribution/occlusion/lift",
        lambda: ProbeCallback(unmasked(), [occlusion()]),
        "it takes a probe with masks and a view that each look has, as in ProbeCallback(Probe(images, labels, masks),"
        " [grad_cam()]): 'attribution/grad_cam/lift' is logged then",
    ),
    (
        "reliance/age",
        lambda: ProbeCallback(unmasked()),
        "it takes a probe with twins, as ProbeCallback(Probe(images, labels, masks)) has them",
    ),
]


class Plateau(Classifier):
    """Lowers its rate where a number stays as it is."""

    def __init__(self, key):
        super().__init__()
        self.key = key

    def configure_optimizers(self):
        optimizer = super().configure_optimizers()
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": self.key}}


WAITING = {
    "EarlyStopping": lambda key: ([EarlyStopping(key)], Classifier()),
    "ModelCheckpoint": lambda key: ([ModelCheckpoint(monitor=key)], Classifier()),
    "ReduceLROnPlateau": lambda key: ([], Plateau(key)),
}


@pytest.mark.parametrize("who", WAITING)
@pytest.mark.parametrize(("key", "make", "sentence"), NEVER)
def test_a_number_that_can_never_be_there_is_refused_when_fit_starts(trainer, who, key, make, sentence):
    others, model = WAITING[who](key)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fit(trainer, [make(), *others], model=model, max_epochs=1, enable_checkpointing=True)
    assert str(caught.value) == f"{who} monitors {key!r}, which is never logged: {sentence}"
    assert model.trainer.global_step == 0


@pytest.mark.parametrize("who", WAITING)
@pytest.mark.parametrize(
    ("key", "make"),
    [
        ("attribution/grad_cam/lift", lambda: watching(with_masks())),
        ("attribution/grad_cam/lift", lambda: watching(with_masks(), [grad_cam()])),
        ("attribution/saliency/lift", lambda: watching(with_masks(), [saliency()])),
        ("reliance/age", lambda: watching(with_masks())),
    ],
)
def test_what_the_refusal_names_is_logged(trainer, who, key, make):
    others, model = WAITING[who](key)
    made, _ = fit(trainer, [make(), *others], model=model, max_epochs=2, enable_checkpointing=True)
    assert made.current_epoch == 2
    assert float(made.callback_metrics[key]) == (0 if key == "reliance/age" else pytest.approx(1, abs=1))


class Remakes(Classifier):
    """Makes the image again."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 3, 3, padding=1)
        )

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.mse_loss(self(batch[0]), batch[0])

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.training_step(batch, batch_idx))


@pytest.mark.filterwarnings("ignore:lightning_vis. reliance")
def test_a_task_without_maps_has_no_lift_and_a_score_of_the_users_own_has_one(trainer):
    stopping = EarlyStopping("attribution/grad_cam/lift")
    with pytest.raises(ValueError, match="'attribution/grad_cam/lift', which is never logged of a task that is reconstruction"):
        fit(trainer, [ProbeCallback(with_masks()), stopping], model=Remakes(), max_epochs=1)
    scored = ProbeCallback(with_masks(), score=lambda output, _: output.flatten(1).mean(1))
    made, _ = fit(trainer, [scored, stopping], model=Remakes(), max_epochs=1)
    assert made.current_epoch == 1


def test_who_waits_in_a_fit_does_not_stop_a_validation(trainer):
    made = trainer([ProbeCallback(unmasked()), EarlyStopping("attribution/grad_cam/lift")])
    made.validate(Classifier(), loader(16, 0.5), verbose=False)


# --- failing looks -------------------------------------------------------------------------------------------------


class Fragile(Classifier):
    """Refuses, or answers NaN, when it is asked."""

    mood = "fine"

    def forward(self, images):
        if self.mood == "refuses" and not torch.is_grad_enabled():
            raise RuntimeError("not now")
        return super().forward(images) * (torch.nan if self.mood == "nan" else 1)


class Upset(pl.Callback):
    """Upsets the module before our look at some epochs; `Calm` behind our callback calms it down."""

    def __init__(self, mood, epochs):
        self.mood, self.epochs = mood, epochs

    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.mood = self.mood if trainer.current_epoch in self.epochs else "fine"

    def on_train_epoch_end(self, trainer, pl_module):
        self.on_validation_epoch_end(trainer, pl_module)


class Calm(pl.Callback):
    def __init__(self):
        self.found = []

    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.mood = "fine"

    def on_train_epoch_end(self, trainer, pl_module):
        pl_module.mood = "fine"
        self.found.append({key: float(value) for key, value in trainer.callback_metrics.items()})


@pytest.mark.parametrize("mood", ["refuses", "nan"])
@pytest.mark.parametrize("limit", [1.0, 0])
def test_a_failed_look_sends_the_last_good_values_out_counts_their_age_and_warns_once(trainer, mood, limit):
    calm = Calm()
    callbacks = [
        Upset(mood, {2, 3}),
        watching(twin_probe(), views=[], at_steps=()),
        calm,
        EarlyStopping(TAGS[3], patience=99),
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made, _ = fit(trainer, callbacks, model=Fragile(), max_epochs=6, limit_val_batches=limit)
    assert made.current_epoch == 6  # EarlyStopping never met a NaN or a missing value
    said = [str(warning.message) for warning in caught if "could not be measured" in str(warning.message)]
    assert len(said) == 1
    assert ("not now" if mood == "refuses" else "not finite") in said[0]
    assert "the last good values" in said[0]
    found = calm.found
    assert "reliance/age" not in found[1]
    assert [epoch["reliance/age"] for epoch in found[2:]] == [1, 2, 0, 0]
    for tag in TAGS[:4]:
        assert found[1][tag] == found[2][tag] == found[3][tag]
    assert found[4][TAGS[0]] != found[3][TAGS[0]]
    assert all(math.isfinite(value) for epoch in found for key, value in epoch.items() if key in TAGS)


def test_before_any_good_look_neutral_values_go_out_and_it_is_said(trainer):
    calm = Calm()
    callbacks = [
        Upset("refuses", {0, 1}),
        watching(twin_probe(), views=[], at_steps=()),
        calm,
        EarlyStopping(TAGS[0]),
    ]
    with pytest.warns(UserWarning, match="neutral values"):
        fit(trainer, callbacks, model=Fragile(), max_epochs=3)
    assert [epoch["reliance/background_effect"] for epoch in calm.found[:2]] == [0, 0]
    assert [epoch["reliance/age"] for epoch in calm.found] == [1, 2, 0]
    assert calm.found[2]["reliance/background_effect"] != 0


def test_the_alert_stays_where_it_was_while_looks_fail():
    monitor = Monitor(tags=TAGS[:4])
    fresh, _ = monitor._fresh(dict.fromkeys(TAGS[:4], 0.7) | {"reliance/alert": 1.0}, "")
    with pytest.warns(UserWarning, match="out of memory"):
        stale, _ = monitor._fresh({}, "out of memory")
    assert fresh == {tag: stale[tag] for tag in TAGS[:4]}
    assert stale["reliance/age"] == 1


# --- resuming, several processes -----------------------------------------------------------------------------------


def test_a_resumed_training_goes_on_with_the_alert_where_it_was(trainer, tmp_path):
    heard = []
    soon = Thresholds(red_effect=0, red_share=0, amber_effect=0, amber_share=0)
    made, model = fit(trainer, [watching(twin_probe(), at_steps=(), thresholds=soon)], max_epochs=1)
    made.save_checkpoint(tmp_path / "one.ckpt")
    resumed = trainer([watching(twin_probe(), on_alert=heard.append, at_steps=(), thresholds=soon)], max_epochs=2)
    resumed.fit(model, loader(48, 0.95), loader(32, 0.95, seed=1), ckpt_path=tmp_path / "one.ckpt", weights_only=False)
    assert [(alert.level, alert.epoch) for alert in heard] == [(1, 2)]  # the first of the two looks lies before the cut


SCRIPT = """
import json, sys, warnings
sys.path.insert(0, {tests!r})
warnings.simplefilter("ignore")
import pytorch_lightning as pl, torch
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.strategies import DDPStrategy
from worlds import Classifier, loader, twin_probe
from lightning_vis.callbacks.probe import ProbeCallback

class Keep(pl.Callback):
    found = []
    def on_train_epoch_end(self, trainer, pl_module):
        self.found.append({{key: float(value) for key, value in trainer.callback_metrics.items()}})
    def on_train_end(self, trainer, pl_module):
        with open({folder!r} + f"/{{trainer.global_rank}}.json", "w") as file:
            json.dump(self.found, file)

torch.set_num_threads(1)
torch.manual_seed(0)
trainer = pl.Trainer(max_epochs=8, accelerator="cpu", devices=2, logger=False, default_root_dir={folder!r},
    enable_checkpointing=False,
    strategy=DDPStrategy(process_group_backend="gloo", start_method="fork"), enable_progress_bar=False,
    callbacks=[ProbeCallback(twin_probe(), on_alert="stop"), Keep(),
        EarlyStopping("reliance/alert", mode="max", patience=99)])
trainer.fit(Classifier(), loader(48, .95, batch_size=8), loader(32, .95, seed=1))
"""


def test_two_processes_log_the_same_values_and_stop_together(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path)))
    done = subprocess.run([sys.executable, script], timeout=300, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    one, other = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert len(one) == len(other) <= 3
    for mine, theirs in zip(one, other, strict=True):
        assert {tag: mine[tag] for tag in TAGS} == {tag: theirs[tag] for tag in TAGS}
    assert one[-1]["reliance/alert"] == 1


@pytest.mark.parametrize("damage", [lambda film: film.pop("frames"), lambda film: film["frames"][0].pop("parts")])
def test_a_film_that_cannot_be_read_begins_anew_and_the_alert_goes_on(trainer, tmp_path, damage):
    soon = Thresholds(red_effect=0, red_share=0, amber_effect=0, amber_share=0)
    first = watching(twin_probe(), at_steps=(), thresholds=soon)
    made, model = fit(trainer, [first], max_epochs=1)
    made.save_checkpoint(tmp_path / "one.ckpt")
    content = torch.load(tmp_path / "one.ckpt", weights_only=True)
    damage(content["callbacks"][first.state_key]["film"])
    torch.save(content, tmp_path / "one.ckpt")
    heard = []
    resumed = watching(twin_probe(), on_alert=heard.append, at_steps=(), thresholds=soon)
    with pytest.warns(UserWarning, match="lightning_vis: the film in the checkpoint cannot be read .*: it begins anew"):
        trainer([resumed], max_epochs=2).fit(
            model, loader(48, 0.95), loader(32, 0.95, seed=1), ckpt_path=tmp_path / "one.ckpt", **SAFELY
        )
    assert [frame.epoch for frame in resumed.film.frames] == [1, 2]  # what it goes on from first
    assert [(alert.level, alert.epoch) for alert in heard] == [(1, 2)]
