"""Every task through look(): the law of the evidence map, chunks, captum, awkward outputs, remedies, a real training."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from captum.attr import LayerGradCam
from nets import PooledLinear, images, trained_looking
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_vis.attribution.pipeline import look, try_look
from lightning_vis.attribution.views import evidence, grad_cam, saliency
from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.model.run import ForwardConfig
from lightning_vis.model.scores import log_odds, logit
from lightning_vis.probe.probe import Probe, answer_of_labels

X = images(5)
MASKS = torch.zeros(5, 12, 12, dtype=torch.long)
MASKS[:, 3:8, 3:8] = 1
HOT = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1], [1, 0, 1]])
TRUTH = {
    "multiclass": torch.tensor([0, 1, 2, 0, 1]),
    "binary": torch.tensor([0, 1, 1, 0, 1]),
    "multilabel": HOT,
    "ordinal": torch.tensor([0, 1, 2, 3, 1]),
    "regression": torch.randn(5, 3, generator=torch.Generator().manual_seed(5)),
    "segmentation": MASKS,
    "embedding": torch.tensor([0, 1, 0, 1, 2]),
    "reconstruction": None,
}
WIDTH = {"binary": 1}


class Dense(nn.Sequential):
    """Two convolutions, an answer at each pixel."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))


def net_for(task):
    return trained_looking(Dense() if task in ("segmentation", "reconstruction") else PooledLinear(WIDTH.get(task, 3)))


class Then(nn.Module):
    """A network whose output is made into something else."""

    def __init__(self, net, change):
        super().__init__()
        self.net, self.change = net, change

    def forward(self, images):
        return self.change(self.net(images))


def scores_of(task, frame, net):
    """The score of each image, worked by hand of what the frame says is explained."""
    output = net(X).detach()
    if task == "ordinal":
        return output.mean(1)
    chosen = torch.as_tensor(frame.maps["evidence.features"].classes)
    return torch.where(chosen == 1, 1, -1) * output[:, 0] if task == "binary" else output.gather(1, chosen[:, None])[:, 0]


@pytest.mark.parametrize("task", ["multilabel", "binary", "ordinal", "regression"])
def test_the_mean_of_the_evidence_and_the_bias_are_the_score(task):
    net = net_for(task)
    frame = look(net, Probe(X, TRUTH[task]), [evidence("features")], task=task)
    net.fc.bias.data.zero_()
    means = frame.maps["evidence.features"].values.mean((1, 2))
    np.testing.assert_allclose(means, scores_of(task, frame, net), atol=1e-5)


def test_evidence_of_a_segmentation_is_the_score_of_the_object_and_lies_where_its_pixels_look():
    """Of two classes the log-odds are linear: what the last convolution weighs adds up to the mean over the object's pixels."""
    net = trained_looking(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1, bias=False)))
    maps = look(net, Probe(X, MASKS), [evidence("1")], task="segmentation").maps["evidence.1"].values
    logits = net(X).detach()
    score = (logits[:, 1] - logits[:, 0])[:, 3:8, 3:8].mean((1, 2))
    np.testing.assert_allclose(maps.mean((1, 2)), score, rtol=1e-4, atol=1e-5)
    seen = np.zeros((12, 12), bool)
    seen[2:9, 2:9] = True
    assert not maps[:, ~seen].any()
    assert maps[:, seen].any()


@pytest.mark.parametrize("task", TRUTH)
def test_chunks_change_nothing(task):
    net, probe = net_for(task), Probe(X, TRUTH[task])
    whole = look(net, probe, task=task)
    for size in (1, 2, 3):
        part = look(net, probe, task=task, chunk_size=size)
        assert (part.said, part.wrong, list(part.maps)) == (whole.said, whole.wrong, list(whole.maps))
        for key, maps in whole.maps.items():
            np.testing.assert_allclose(part.maps[key].values, maps.values, atol=1e-5)


@pytest.mark.parametrize(("task", "at"), [("multilabel", 2), ("regression", 1)])
def test_grad_cam_is_captums(task, at):
    net = net_for(task)
    ours = look(net, Probe(X, TRUTH[task]), [grad_cam("features", target=at)], task=task)
    theirs = LayerGradCam(net, net.features).attribute(X, target=at, relu_attributions=True).detach()[:, 0].numpy()
    (maps,) = ours.maps.values()
    np.testing.assert_allclose(maps.values, theirs, atol=1e-5)


CHANGES = {
    "NaN": lambda out: out * torch.nan,
    "bf16": lambda out: out.bfloat16(),
    "one class": lambda out: out[:, :1],
    "scalar": lambda out: out.mean(),
    "nothing": lambda out: None,
}
LABELS = {
    "as they are": lambda truth: truth,
    "unknown": lambda t: t * 0 - 1,
    "ignored": lambda t: t * 0 - 100,
    "many": lambda t: t + 9,
}


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("task", TRUTH)
def test_nothing_but_clear_errors_escapes(task, change, labels):
    truth = TRUTH[task]
    net = Then(net_for(task), CHANGES[change])
    for rows in (slice(0, 5), slice(0, 1)):
        try:
            given = None if truth is None else LABELS[labels](truth)[rows]
            frame = look(net, Probe(X[rows], given), [evidence()], task=task)
        except (ValueError, TypeError) as error:
            assert len(str(error)) > 20
        else:
            assert frame.task == task


def test_captions_speak_of_the_number_that_is_explained():
    net, probe = net_for("regression"), Probe(X, TRUTH["regression"], class_names=["x", "y", "z"])
    for frame in (look(net, probe), look(net, probe, component=2), look(net, probe, component=2, chunk_size=1)):
        name = frame.maps["evidence"].explains[0]
        assert all(said.startswith(f"{name}: ") for said in frame.said)
    assert look(net, probe, component=2, unit="mm").maps["evidence"].unit == "mm"


def test_captions_of_the_first_epoch_speak_of_the_number_that_is_explained_in_it():
    truth = TRUTH["regression"].clone()
    truth[:, 2] += 1000  # by far the farthest
    probe = Probe(X, truth)
    for is_early, name in ((True, "number 0: "), (False, "number 2: ")):
        running = ForwardConfig(answer=answer_of_labels(probe), is_early=is_early)
        frame = try_look(net_for("regression"), probe, [evidence()], running).frame
        assert all(said.startswith(name) for said in frame.said)


def test_one_number_is_not_called_by_the_name_of_a_class():
    frame = look(PooledLinear(1), Probe(X, torch.rand(5), class_names=["cat", "dog"]))
    assert set(frame.maps["evidence"].explains) == {"the number"}
    assert not any("cat" in said for said in frame.said)
    assert np.isnan(frame.probability).all()


def test_an_embedding_is_explained_by_a_users_score_too():
    frame = look(net_for("embedding"), Probe(X, TRUTH["embedding"]), task="embedding", score=lambda out, _: out[:, 0])
    assert list(frame.maps) == ["evidence", "grad_cam", "saliency"]


def test_unknown_shows_nothing_until_a_score_is_given():
    assert look(PooledLinear(3), Probe(X), task="unknown").maps == {}
    frame = look(PooledLinear(3), Probe(X), task="unknown", score=lambda out, _: out[:, 0] * 0 + 2)
    assert (frame.said, frame.wrong) == (("2",) * 5, (None,) * 5)


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel", "regression"])
def test_a_score_of_the_users_own_is_not_called_by_a_name_of_the_task(task):
    """The sum of all outputs is no class's and no number's: no map says that it explains one."""
    frame = look(net_for(task), Probe(X, TRUTH[task], class_names=list("xyz")), task=task, score=lambda out, _: out.sum(1))
    for maps in frame.maps.values():
        assert (maps.explains, maps.unit) == ((), "")
        assert set(maps.classes.tolist()) == {-1}


def test_a_score_of_the_users_own_has_the_unit_that_is_said():
    frame = look(net_for("regression"), Probe(X, TRUTH["regression"]), score=lambda out, _: out.sum(1), unit="mm")
    assert {maps.unit for maps in frame.maps.values()} == {"mm"}


@pytest.mark.parametrize(("score", "unit"), [(None, "log-odds"), (log_odds, "log-odds"), (logit, "logits")])
def test_the_scores_of_the_package_explain_the_class(score, unit):
    given = {} if score is None else {"score": score}
    maps = look(net_for("multiclass"), Probe(X, TRUTH["multiclass"]), **given).maps["evidence"]
    assert (maps.unit, maps.classes.tolist()) == (unit, TRUTH["multiclass"].tolist())


def test_the_remedy_for_several_outputs_leads_to_a_frame():
    net = Then(PooledLinear(3), lambda out: {"a": out, "b": out + 1})
    with pytest.raises(ValueError, match="name it with head="):
        look(net, Probe(X, HOT))
    assert len(look(net, Probe(X, HOT), head="b").said) == 5


class Scaled(nn.Module):
    """A network with another argument."""

    def __init__(self):
        super().__init__()
        self.net = PooledLinear(3)

    def forward(self, images, by):
        return self.net(images) * by[:, None]


def test_the_rows_of_other_arguments_go_with_their_images_in_chunks_too():
    probe = Probe(X, TRUTH["multiclass"], arguments={"by": torch.arange(1.0, 6.0)})
    net = Scaled()
    whole, parts = look(net, probe, [evidence()]), look(net, probe, [evidence()], chunk_size=2)
    np.testing.assert_allclose(parts.maps["evidence"].values, whole.maps["evidence"].values, atol=1e-6)
    with pytest.raises(ValueError, match="expected a row of 'by' for each of 5 images; got 3"):
        Probe(X, arguments={"by": torch.ones(3)})


def test_rows_that_were_named_before_are_what_chunks_are_taken_of():
    probe = Probe(X, arguments={"by": torch.arange(5.0)})
    call = probe.call(lambda images, by: by).at(torch.tensor([4, 3, 2, 1, 0, 4]))
    assert call.at(torch.tensor([4, 5]))(X[:2]).tolist() == [0.0, 4.0]


def test_clips_have_their_error_at_their_frame():
    clip = images(2, 8)[:, None].repeat(1, 6, 1, 1, 1)
    net = Then(nn.Identity(), lambda out: out + torch.arange(6.0)[:, None, None, None])
    frame = look(net, Probe(clip, slices=4), task="reconstruction")
    np.testing.assert_allclose(frame.maps["error"].values, np.full((2, 8, 8), 16.0), atol=1e-4)


class Tags(pl.LightningModule):
    """Learns labels that an image may have several of; in each epoch another one is the least sure by far."""

    def __init__(self):
        super().__init__()
        self.net = PooledLinear(3)

    def forward(self, x):
        return self.net(x) - 50 * nn.functional.one_hot(torch.tensor(self.current_epoch % 3), 3)

    def training_step(self, batch, _):
        return nn.functional.binary_cross_entropy_with_logits(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 3.0)


def explained(callback):
    return [frame.maps["evidence"].classes.tolist() for frame in callback.film.frames if frame.epoch >= 1]


def test_what_is_chosen_after_the_first_epoch_is_kept_also_by_a_run_that_goes_on(trainer, tmp_path):
    data = DataLoader(TensorDataset(images(20), (torch.rand(20, 3) > 0.5).float()), 5)
    probe = Probe(images(20)[:4], torch.ones(4, 3).long())
    first = ProbeCallback(probe, task="multilabel")
    training = trainer([first], max_epochs=3)
    training.fit(Tags(), data)
    kept = explained(first)
    assert len(kept) >= 3
    assert all(each == kept[0] for each in kept)
    training.save_checkpoint(tmp_path / "last.ckpt")
    again = ProbeCallback(probe, task="multilabel")
    module = Tags()
    trainer([again], max_epochs=5).fit(module, data, ckpt_path=tmp_path / "last.ckpt")
    assert all(each == kept[0] for each in explained(again))


class Squashed(nn.Module):
    """A network whose forward ends in a sigmoid."""

    def __init__(self, net, pick=lambda values: values):
        super().__init__()
        self.net, self.pick = net, pick

    def forward(self, x):
        return self.pick(self.net(x).sigmoid())


@pytest.mark.parametrize("pick", [lambda values: values, lambda values: {"out": values.squeeze(-1).view(values.shape)}])
@pytest.mark.parametrize("task", ["binary", "multilabel", "ordinal"])
def test_a_sigmoid_in_forward_is_not_squashed_again(task, pick):
    torch.manual_seed(0)
    net = net_for(task)
    frames = [look(each, Probe(images(3)), [saliency()], task=task) for each in (net, Squashed(net, pick))]
    assert frames[0].said == frames[1].said
    assert all("probabilities" in note for note in frames[1].notes[:1])
    if task == "multilabel":
        share = float(net(images(3)).detach().sigmoid()[0].max())
        assert f"{share:.2f}" in frames[1].said[0]


class Breaking(nn.Module):
    """A network whose answers to the first images are no numbers."""

    def __init__(self, net, count=2):
        super().__init__()
        self.net, self.count = net, count

    def forward(self, images):
        output, at = self.net(images), torch.arange(len(images))
        broken = (at < self.count).reshape(-1, *[1] * (output.ndim - 1))
        return output + torch.where(broken, torch.nan, 0)


@pytest.mark.parametrize("task", TRUTH)
def test_answers_that_are_no_numbers_are_called_so_and_take_no_others_along(task):
    net, probe = net_for(task), Probe(X, TRUTH[task])
    whole, frame = (look(each, probe, task=task) for each in (net, Breaking(net)))
    inputs = probe.inputs()
    assert [frame.caption(at, inputs) for at in (0, 1)] == ["not a number"] * 2
    assert [frame.is_wrong(at, inputs) for at in (0, 1)] == [None] * 2
    assert all(np.isfinite(each.values[2:]).all() for each in frame.maps.values())
    assert sum("not a number" in note for note in frame.notes) == 1
    if task not in ("embedding", "regression"):  # where the others count for what is compared, or chosen
        assert [frame.caption(at, inputs) for at in (2, 3, 4)] == [whole.caption(at, inputs) for at in (2, 3, 4)]


def test_of_scores_that_are_no_numbers_no_share_is_said():
    frame = look(Breaking(net_for("multiclass"), 5), Probe(X, TRUTH["multiclass"]))
    assert not any("accounts for" in note for note in frame.notes)
    own = look(Breaking(net_for("multiclass")), Probe(X), task="unknown", score=lambda output, _: output[:, 0])
    assert own.said[:2] == ("not a number",) * 2
    assert "nan" not in "".join(own.said)


SQUASHED = {
    "binary": (TRUTH["binary"], 1),
    "multilabel": (HOT, 3),
    "ordinal": (TRUTH["ordinal"], 3),
    None: (TRUTH["binary"], 1),
}


def by_hand(z):
    return 1 / (1 + (-z).exp())


def cut(z):
    return z.sigmoid().clamp(1e-6, 1 - 1e-6)


@pytest.mark.parametrize("task", SQUASHED)
@pytest.mark.parametrize("squash", [torch.sigmoid, cut])
def test_probabilities_are_not_squashed_again(task, squash):
    truth, width = SQUASHED[task]
    net, probe = trained_looking(PooledLinear(width)), Probe(X, truth)
    plain, frame = look(net, probe, task=task), look(Then(net, squash), probe, task=task)
    assert frame.said == plain.said
    assert frame.wrong == plain.wrong
    np.testing.assert_allclose(frame.probability, plain.probability, atol=1e-5)
    np.testing.assert_allclose(frame.maps["evidence"].values, plain.maps["evidence"].values, rtol=1e-3, atol=1e-4)
    assert "the model returns probabilities" in " ".join(frame.notes)


@pytest.mark.parametrize("task", SQUASHED)
def test_numbers_between_0_and_1_that_may_be_either_are_refused(task):
    truth, width = SQUASHED[task]
    net = trained_looking(PooledLinear(width))
    with pytest.raises(ValueError, match=r"whether they are probabilities or logits cannot be seen: .* torch.sigmoid"):
        look(Then(net, by_hand), Probe(X, truth), task=task)
    look(Then(net, lambda z: by_hand(z) * 4 - 2), Probe(X, truth), task=task)  # these are no probabilities


def test_sigmoids_of_several_classes_have_the_probabilities_that_the_network_returns():
    net = Then(trained_looking(PooledLinear(3)), torch.sigmoid)
    frame, shares = look(net, Probe(X, TRUTH["multiclass"])), net(X).detach()
    np.testing.assert_allclose(frame.probability, shares.amax(1), atol=1e-6)
    assert frame.predicted.tolist() == shares.argmax(1).tolist()


def test_a_softmax_of_labels_is_refused_with_a_remedy_that_works():
    shares = Then(trained_looking(PooledLinear(3)), lambda z: z.softmax(1))
    with pytest.raises(ValueError, match="task='multiclass' reads it so"):
        look(shares, Probe(X, TRUTH["ordinal"]), task="ordinal")
    look(shares, Probe(X, TRUTH["multiclass"]), task="multiclass")


def test_masks_of_black_and_white_are_refused_where_there_are_several_classes():
    with pytest.raises(ValueError, match="hold nothing but 0 and 255, and the answer has 3 classes"):
        look(net_for("segmentation"), Probe(X, 255 * MASKS))
    look(net_for("segmentation"), Probe(X, MASKS))


def test_a_number_at_each_pixel_is_no_number_of_the_image():
    net, probe = Then(net_for("segmentation"), lambda z: z[:, 0]), Probe(X, torch.rand(5))
    with pytest.raises(ValueError, match=r"expected numbers for each image, \(N, K\); got 144, one at each pixel"):
        look(net, probe)
    assert look(net, probe, component=3).said[0].startswith("number 3")
    look(net, probe, task="reconstruction")


def test_what_another_task_was_read_from_is_not_said_of_the_one_that_is_given():
    assert "multilabel" in look(net_for("multilabel"), Probe(X, HOT)).answer
    levels = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]])
    assert look(net_for("ordinal"), Probe(X, levels), task="ordinal").answer == ""


def test_a_network_without_values_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="the model's weights are on the device 'meta', where nothing has a value"):
        look(net_for("multiclass").to("meta"), Probe(X))
    for task in ("multiclass", "reconstruction"):
        with pytest.raises(ValueError, match=r"the model's output, a tensor .*, is on the device 'meta'"):
            look(Then(net_for(task), lambda z: z.to("meta")), Probe(X), task=task)


class Two(Tags):
    """Two numbers, of which the second one is far off."""

    def __init__(self):
        super().__init__()
        self.net = PooledLinear(2)

    def training_step(self, batch, _):
        return nn.functional.mse_loss(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-4)


def test_what_one_training_explained_is_not_kept_for_the_next_one(trainer):
    truth = torch.stack([torch.rand(20), 50 + torch.rand(20)], 1)
    data, callback = DataLoader(TensorDataset(images(20), truth), 5), ProbeCallback(Probe(images(20)[:4], truth[:4]))
    for _ in range(2):
        trainer([callback], max_epochs=2).fit(Two(), data)
        classes = [frame.maps["evidence"].classes.tolist() for frame in callback.film.frames]
        assert classes[0] == [0] * 4  # the first, while nothing is chosen
        assert classes[-1] == [1] * 4  # the one farthest off
