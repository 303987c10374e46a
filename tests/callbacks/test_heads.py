"""Several heads under a Trainer: each read from the step, all in one film, in event files and checkpoints."""

from __future__ import annotations

import logging
import warnings
from collections import namedtuple

import numpy as np
import pytest
import torch
from nets import images
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis import Probe, ProbeCallback
from lightning_vis.callbacks.filters import FilterMaximizationCallback
from lightning_vis.film import Film
from tests.callbacks.test_tasks import Dicts, Steps, batches, cnn
from tests.probe.test_from_trainer import run, same

N = 24
X = images(N, 12)
KIND = torch.arange(N) % 3
AGE = 20 + 3.0 * (torch.arange(N) % 7)
MAPS = torch.zeros(N, 12, 12, dtype=torch.long).index_fill_(1, torch.tensor([3, 4, 5]), 1)
DATA = Dicts(image=X, kind=KIND, age=AGE, parts=MAPS)


def watching(*arguments, **more):
    """A callback that draws nothing: pictures have tests of their own, and take longer than the looks."""
    return ProbeCallback(*arguments, **({"images": False} | more))


class Heads(nn.Module):
    """One call gives all answers."""

    def __init__(self):
        super().__init__()
        self.body, self.kind, self.age, self.parts = (
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Linear(4, 3),
            nn.Linear(4, 1),
            nn.Conv2d(4, 2, 1),
        )
        self.free = nn.Linear(4, 5)

    def forward(self, x):
        features = self.body(x).relu()
        pooled = features.mean((2, 3))
        known = {"kind": self.kind(pooled), "age": self.age(pooled)[:, 0], "parts": self.parts(features)}
        return known | {"free": self.free(pooled)}


def one_call(m, b):
    out = m.net(b["image"])
    met = F.cross_entropy(out["kind"], b["kind"]) + 0.01 * F.l1_loss(out["age"], b["age"])
    return met + F.cross_entropy(out["parts"], b["parts"])


def in_the_step(m, b):
    features = m.body(b["image"])
    return F.cross_entropy(m.kind(features), b["kind"]) + 0.01 * F.l1_loss(m.age(features)[:, 0], b["age"])


def in_a_tuple(m, b):
    kind, age = m.net(b[0])
    return F.cross_entropy(kind, b[1]) + 0.01 * F.l1_loss(age, b[2])


class Pair(Heads):
    def forward(self, x):
        return tuple(super().forward(x).values())[:2]


STEPS = {
    "one call": (lambda: Steps(one_call, net=Heads), DATA, ["kind", "age", "parts"]),
    "in the step": (
        lambda: Steps(in_the_step, body=lambda: cnn(4), kind=lambda: nn.Linear(4, 3), age=lambda: nn.Linear(4, 1)),
        DATA,
        ["kind", "age"],
    ),
    "in a tuple": (lambda: Steps(in_a_tuple, net=Pair), TensorDataset(X, KIND, AGE), [0, 1]),
    "the other way round": (lambda: Steps(one_call, net=Heads), DATA, ["age", "kind"]),
}
TASKS = {"kind": "multiclass", "age": "regression", "parts": "segmentation", "0": "multiclass", "1": "regression"}


@pytest.mark.parametrize("sanity", [0, 1])
@pytest.mark.parametrize("name", STEPS)
def test_heads_are_read_from_the_step_and_the_training_is_as_without_us(trainer, name, sanity):
    make, data, heads = STEPS[name]
    callback = watching(head=heads, on_error="raise")

    def trained(callbacks):
        loaders = DataLoader(data, 8, shuffle=True), DataLoader(data, 8)
        return run(trainer, callbacks, make(), *loaders, num_sanity_val_steps=sanity)

    assert same(trained([callback]), trained([]))
    names = [str(each) for each in heads]
    for frame in callback.film.frames:
        assert (frame.head, list(frame.heads)) == (names[0], names[1:])
        assert [frame.of(each).task for each in names] == [TASKS[each] for each in names]
        for each in names:
            seen = frame.of(each)
            assert {key.partition("@")[0] for key in seen.maps} >= {"evidence", "grad_cam", "saliency"}
            assert f'["{each}"]' in seen.answer or f"[{each}]" in seen.answer or f"{each}," in seen.answer
    indices = list(callback.session.probe.indices)
    last = callback.film.frames[-1].of(names[1])
    truth = AGE if last.task == "regression" else KIND
    inputs = callback.session.inputs.of(callback.film.frames[-1], names[1])
    for at, index in enumerate(indices):
        assert inputs.truth_of(at) == (f"{truth[index]:.1f}" if last.task == "regression" else f"class {truth[index]}")
        assert last.said[at].startswith("class ") or f"(true {truth[index]:.1f}, " in last.said[at]


def fitted(trainer, heads=("kind", "age"), step=one_call, **arguments):
    callback = watching(head=[*heads], **({"on_error": "raise"} | arguments))
    run(trainer, [callback], Steps(step, net=Heads), *batches(DATA), num_sanity_val_steps=1)
    return callback


def test_one_call_that_gives_all_heads_is_made_once_at_a_look(trainer):
    seen = []

    class Counted(Heads):
        def forward(self, x):
            seen.append(torch.is_grad_enabled())
            return super().forward(x)

    callback = watching(head=["kind", "age", "parts"], at_steps=(), on_error="raise")
    module = Steps(one_call, net=Counted)
    run(trainer, [callback], module, *batches(DATA), num_sanity_val_steps=1)
    alone = watching(head="kind", at_steps=(), on_error="raise")
    ours, seen[:] = len(seen), []
    run(trainer, [alone], Steps(one_call, net=Counted), *batches(DATA), num_sanity_val_steps=1)
    looks = len(callback.film.frames)
    assert looks == len(alone.film.frames)
    assert ours - len(seen) <= 2 * 3  # at the start: reading two other heads, and finding their layers; nothing at a look


def test_event_files_and_pictures_have_all_heads(trainer, tmp_path):
    callback = fitted(trainer, unit=["", "years"], images="few")
    folder = next(tmp_path.rglob("events.out*")).parent
    film = Film.from_logdir(folder)
    assert len(film.frames) == len(callback.film.frames)
    for stored, kept in zip(film.frames, callback.film.frames, strict=True):
        assert (stored.head, stored.heads) == (kept.head, kept.heads)
        assert {key: maps.head for key, maps in stored.maps.items()} == {key: maps.head for key, maps in kept.maps.items()}
        assert stored.numbers["answers/mean_error@age"] == pytest.approx(kept.numbers["answers/mean_error@age"], rel=1e-4)
        np.testing.assert_allclose(stored.of("age").error(0), kept.of("age").error(0), rtol=1e-4)
    assert (folder / "film_probe_evidence@age.gif").exists()
    assert film.plot("evidence@age") is not None


def test_the_line_at_fit_start_says_all_heads(trainer, caplog):
    with caplog.at_level(logging.INFO):
        fitted(trainer)
    (line,) = [each.message for each in caplog.records if "see them with" in each.message]
    assert "evidence@age" in line
    assert 'age: Reads a number: net(batch["image"])["age"] meets batch["age"] in l1_loss' in line
    assert 'head="age"' not in line  # it is looked at


@pytest.mark.parametrize("sanity", [0, 1])
@pytest.mark.parametrize("head", ["age", ["age", "kind"]])
def test_filters_that_come_first_ask_for_the_heads_too(trainer, head, sanity):
    callback = watching(head=head, on_error="raise")
    first = FilterMaximizationCallback(channels=2, steps=1)
    run(trainer, [first, callback], Steps(one_call, net=Heads), *batches(DATA), num_sanity_val_steps=sanity)
    frame = callback.film.frames[-1]
    assert frame.task == "regression"
    assert "(true" in frame.said[0]
    assert list(frame.heads) == ([] if head == "age" else ["kind"])


def test_a_run_that_goes_on_keeps_its_heads(trainer, tmp_path):
    first = watching(head=["kind", "age"], on_error="raise")
    made = trainer([first], max_epochs=1)
    made.fit(Steps(one_call, net=Heads), *batches(DATA))
    made.save_checkpoint(tmp_path / "one.ckpt")
    assert torch.load(tmp_path / "one.ckpt", weights_only=True)
    again = watching(head=["kind", "age"], on_error="raise")
    trainer([again], max_epochs=2).fit(Steps(one_call, net=Heads), *batches(DATA), ckpt_path=tmp_path / "one.ckpt")
    before = first.film.frames
    assert [each.heads for each in again.film.frames[: len(before)]] == [each.heads for each in before]
    assert len(again.film.frames) > len(before)


class Tags(nn.Module):
    """Two heads of labels; in each look another label is the least sure by far."""

    def __init__(self):
        super().__init__()
        self.net, self.tags, self.looks = cnn(4), nn.Linear(4, 3), 0

    def forward(self, x):
        features = self.net(x)
        return {"kind": features[:, :3], "tags": self.tags(features) - 50 * F.one_hot(torch.tensor(self.looks % 3), 3)}


def test_what_is_explained_of_another_head_is_chosen_once_too(trainer):
    hot = torch.ones(N, 3)
    data = Dicts(image=X, kind=KIND, tags=hot)

    def step(m, b):
        m.net.looks = m.current_epoch
        out = m.net(b["image"])
        return F.cross_entropy(out["kind"], b["kind"]) + F.binary_cross_entropy_with_logits(out["tags"], b["tags"])

    callback = watching(head=["kind", "tags"], on_error="raise")
    run(trainer, [callback], Steps(step, net=Tags), *batches(data), max_epochs=4, num_sanity_val_steps=1)
    said = [frame.maps["evidence@tags"].explains for frame in callback.film.frames if frame.epoch >= 1]
    assert len(said) >= 3
    assert len({*said}) == 1


# --- what goes wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heads", [["kind", "agee"], ["kindd", "age"], "kindd"])
def test_a_head_that_is_not_there_is_refused_when_fit_starts(trainer, heads):
    callback = watching(head=heads)  # whatever on_error says: it is a mistake, not a failure
    module = Steps(one_call, net=Heads)
    word = "kindd" if "kindd" in heads or heads == "kindd" else "agee"
    message = (
        rf'head=\'{word}\': there is no output\["{word}"\]: output is a dict with "kind", "age", "parts", "free"; a loss takes'
    )
    with pytest.raises(ValueError, match=message):
        run(trainer, [callback], module, *batches(DATA), num_sanity_val_steps=1)
    assert module.trainer.global_step == 0


def test_a_head_that_meets_no_loss_is_unknown_until_it_is_said(trainer):
    frame = fitted(trainer, ["kind", "free"]).film.frames[-1]
    assert set(frame.maps) == {"evidence", "grad_cam", "saliency"}
    assert frame.heads["free"].task == "unknown"
    assert frame.heads["free"].answer.startswith("Unknown: no loss that is known took")
    told = fitted(trainer, ["kind", "free"], task=[None, "multiclass"], labels_at=[None, "kind"]).film.frames[-1]
    assert {"evidence@free", "saliency@free"} <= set(told.maps)
    assert told.heads["free"].truth[0].startswith("class ")


def test_a_head_that_cannot_be_read_takes_no_other_along_and_is_said_once(trainer):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = fitted(trainer, ["kind", "age", "parts"], task=[None, "multilabel", None], on_error="warn").film.frames
    said = [str(each.message) for each in caught if "lightning_vis" in str(each.message)]
    assert len(said) == 1, said
    assert "'evidence@age', 'grad_cam@age', 'saliency@age'" in said[0]
    assert "rest until the next fit" in said[0]
    for frame in frames:
        assert {"evidence", "evidence@parts"} <= set(frame.maps)
        assert not any(key.endswith("@age") for key in frame.maps)
        assert frame.heads["age"].said == ("",) * len(frame.predicted)
    assert "It could not be read: task='multilabel': expected logits" in frames[-1].heads["age"].answer


def test_other_images_are_not_looked_at_under_the_first_ones(trainer):
    def step(m, b):
        return F.cross_entropy(m.one(b["image"]), b["kind"]) + F.cross_entropy(m.two(b["image"].flip(3) * 2), b["kind"])

    callback = watching(head=["one", "two"], on_error="warn")
    with pytest.warns(UserWarning, match="this head is given other images"):
        run(trainer, [callback], Steps(step, one=cnn, two=cnn), *batches(DATA), num_sanity_val_steps=1)
    frame = callback.film.frames[-1]
    assert "this head is given other images than the first one" in frame.heads["two"].answer
    assert "evidence" in frame.maps


def test_a_probe_of_the_user_has_labels_of_each_head(trainer):
    labels = {"kind": KIND[:5], "age": AGE[:5]}
    callback = fitted(trainer, probe=Probe(X[:5], labels, class_names=["a", "b", "c"]))
    frame, inputs = callback.film.frames[-1], callback.session.inputs
    assert [inputs.truth_of(at) for at in range(3)] == ["a", "b", "c"]
    assert frame.heads["age"].truth == tuple(f"{each:.1f}" for each in AGE[:5].tolist())
    bare = fitted(trainer, probe=Probe(X[:5], KIND[:5])).film.frames[-1]
    assert bare.heads["age"].truth == ("",) * 5
    assert not any("true" in each for each in bare.heads["age"].said)
    with pytest.raises(ValueError, match="those of 'kind' stand first, and the first head is 'age'"):
        ProbeCallback(Probe(X[:5], labels), head=["age", "kind"])


def test_the_name_of_a_submodule_names_one_head_too(trainer):
    make, data, _ = STEPS["in the step"]
    callback = watching(head="age", on_error="raise")
    run(trainer, [callback], make(), *batches(data), num_sanity_val_steps=1)
    assert {frame.task for frame in callback.film.frames} == {"regression"}
    assert "evidence" in callback.film.frames[-1].maps


# --- words for a head ----------------------------------------------------------------------------------------------

Named = namedtuple("Named", ["kind", "age", "free"])


class InFields(Heads):
    def forward(self, x):
        found = super().forward(x)
        return Named(found["kind"], found["age"], found["free"])


def in_fields(m, b):
    out = m.net(b[0])
    return F.cross_entropy(out.kind, b[1]) + 0.01 * F.l1_loss(out.age, b[2])


def read(trainer, head, step=in_fields, net=InFields, **arguments):
    callback = watching(head=head, on_error="raise", **arguments)
    run(trainer, [callback], Steps(step, net=net), *batches(TensorDataset(X, KIND, AGE)), num_sanity_val_steps=1)
    return callback


@pytest.mark.parametrize("head", [1, -2, "age"])
def test_all_words_for_a_place_mean_it(trainer, head):
    callback = read(trainer, head)
    frame = callback.film.frames[-1]
    assert (frame.task, callback.session.answer.facts.head) == ("regression", ("age",))
    assert torch.equal(callback.session.probe.truth, AGE[[*callback.session.probe.indices]])
    assert set(frame.maps) == {"evidence", "grad_cam", "saliency"}
    beside = read(trainer, ["kind", head])
    assert [each.task for each in beside.film.frames[-1].heads.values()] == ["regression"]
    assert "there is also" not in beside.session.answer.said


def test_the_last_of_a_tuple_is_not_the_first(trainer):
    callback = read(trainer, -1, in_a_tuple, Pair)
    assert callback.session.answer.said.startswith("Reads a number: net(batch[0])[1] meets batch[2] in l1_loss")


UNMET = 'no loss that is known took an answer called ["free"]; a loss takes "kind" (3 classes), "age" (a number)'


@pytest.mark.parametrize("head", [2, -1, "free"])
def test_a_head_that_no_loss_takes_has_no_labels_of_another(trainer, head):
    callback = read(trainer, head)
    frame, said = callback.film.frames[-1], UNMET if head == "free" else UNMET.replace('["free"]', f"[{head}]")
    assert (frame.task, frame.maps, callback.session.probe.truth) == ("unknown", {}, None)
    words = "binary, multiclass, multilabel, regression, ordinal, segmentation, embedding or reconstruction"
    remedy = f'task= ({words}), head="..." or score= names what to explain.'
    assert frame.answer == f"Unknown: {said}. Pictures and filters only; {remedy}"
    told = read(trainer, head, task="multiclass")
    assert set(told.film.frames[-1].maps) == {"evidence", "grad_cam", "saliency"}
    assert (told.film.frames[-1].predicted < 5).all()
    assert told.session.probe.truth is None
    known = read(trainer, head, task="multiclass", labels_at=-2)
    assert torch.equal(known.session.probe.truth, KIND[[*known.session.probe.indices]])
    met = read(trainer, "age")  # the sentence says so, and it works
    assert met.film.frames[-1].task == "regression"


def test_a_head_of_the_last_part_that_no_loss_takes_is_run_by_the_step(trainer):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.kind, self.free = nn.Linear(4, 3), nn.Linear(4, 5)

        def forward(self, features):
            return {"kind": self.kind(features), "free": self.free(features)}

    def step(m, b):
        return F.cross_entropy(m.last(m.net(b[0]))["kind"], b[1])

    callback = watching(head="free", task="multiclass", on_error="raise")
    module = Steps(step, net=lambda: cnn(4), last=Last)
    run(trainer, [callback], module, *batches(TensorDataset(X, KIND)), num_sanity_val_steps=1)
    frame, images = callback.film.frames[-1], callback.session.probe.images
    expected = module.eval().last(module.net(images))["free"].softmax(1)
    np.testing.assert_allclose(frame.probability, expected.max(1).values.detach(), atol=1e-5)
    assert set(frame.maps) == {"evidence", "grad_cam", "saliency"}


def test_labels_of_another_kind_take_no_other_head_along(trainer):
    labels = {"age": AGE[:5], "kind": AGE[:5] + 0.5}
    with pytest.warns(UserWarning, match="the labels of the head 'kind' cannot be read.*task='multiclass': expected") as caught:
        frame = fitted(trainer, ["age", "kind"], probe=Probe(X[:5], labels), on_error="warn").film.frames[-1]
    assert len([each for each in caught if "lightning_vis" in str(each.message)]) == 1
    assert {"evidence", "evidence@kind"} <= set(frame.maps)
    assert (frame.heads["kind"].truth, frame.heads["kind"].wrong) == (("",) * 5, (None,) * 5)
