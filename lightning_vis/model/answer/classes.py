"""Multiclass and binary: one class for each image, explained by its log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_vis.arguments import class_indices_of
from lightning_vis.constants import LOG_ODDS, MULTICLASS
from lightning_vis.model.answer.output import answer_of, log_scores_of, logits_of
from lightning_vis.model.answer.task import Facts, Said, Target, Task, likeliest, name_of, no_words
from lightning_vis.model.scores import class_scores, classes_of, log_odds


def _scores(facts: Facts, output: Any) -> Tensor:
    """``(N, C)`` whose softmax are probabilities."""
    if facts.head is None and facts.probabilities is None:
        return class_scores(output)
    values = answer_of(facts, output)
    if facts.probabilities and values.numel() == len(values):  # of yes, where labels alone told of two classes
        return _two_scores(facts, output)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(
            f"task='multiclass': expected scores (N, classes) of at least two classes; got {tuple(values.shape)}{_other_task(values)}"
        )
    return log_scores_of(facts, values)


def _other_task(values: Tensor) -> str:
    """What reads one number for each image: labels that are whole numbers do not tell whether they are classes."""
    is_one = values.numel() == len(values)
    return ": task='regression' reads one number for each image, task='binary' yes or no" * is_one


def _two_scores(facts: Facts, output: Any) -> Tensor:
    """One logit z as two classes, -z/2 and z/2: probabilities are the sigmoid's, log-odds are -z and z."""
    values = answer_of(facts, output)
    if values.ndim == 2 and values.shape[1] == 2:
        return log_scores_of(facts, values)
    if values.numel() != len(values):
        raise ValueError(f"task='binary': expected one number for each image, (N,) or (N, 1); got {tuple(values.shape)}")
    z = logits_of(facts, values.reshape(-1))
    return torch.stack((-z / 2, z / 2), dim=1)


def classes_in(truth: Tensor | None) -> Tensor | None:
    """True classes ``(N,)`` out of indices, one-hot and soft vectors; a soft yes, 0.9, is a yes; -1 where nobody knows."""
    if truth is None:
        return None
    one = truth.argmax(1) if truth.ndim == 2 and truth.shape[1] > 1 else truth.reshape(len(truth))
    one = one.nan_to_num(-1).round() if one.is_floating_point() else one
    is_known = ~(truth.reshape(len(truth), -1).isnan().any(1)) & (one >= 0)
    return torch.where(is_known, one.long(), -1)


def whole_classes_in(truth: Tensor | None) -> Tensor | None:
    """As `classes_in`, of one class among several.

    Raises:
        ValueError: a number between two classes.
    """
    is_number = truth is not None and truth.is_floating_point() and (truth.ndim == 1 or truth.shape[1:] == (1,))
    between = [] if truth is None or not is_number else truth[truth.nan_to_num(-1).remainder(1) != 0].flatten().tolist()
    if between:
        broken = between[0]
        raise ValueError(f"task='multiclass': expected labels that are classes, whole numbers; got {broken:.3g}")
    return classes_in(truth)


def _chosen(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    return _explained_class(target, values, classes_in(truth))


def _explained_class(target: Target, values: Tensor, labels: Tensor | None) -> Tensor:
    """As `classes_of`; the predicted class where nobody knows the label."""
    known = None if labels is None else labels.to(values.device)
    return classes_of(target, values, None if known is None else torch.where(known >= 0, known, values.argmax(1)))


def _chosen_class(facts: Facts, target: Target, values: Tensor, truth: Tensor | None) -> Tensor:
    return _explained_class(target, values, whole_classes_in(truth))


def _said(facts: Facts, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
    shares = _shares(facts, values)
    probability, predicted = shares.max(1)
    labels = classes_in(truth)
    wrong = (
        () if labels is None or bool((labels >= 0).all()) else _differs(predicted.tolist(), labels.tolist(), values.shape[1])
    )
    return Said((), wrong, predicted, probability, _of_labels(shares, labels), top=likeliest(shares))


def _of_labels(shares: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
    """The probability of each image's label: where there are no masks, it shows how far the training is."""
    if labels is None or int(labels.max()) >= shares.shape[1] or not bool((labels >= 0).any()):
        return {}
    labels = labels.cpu()
    own = shares.cpu().gather(1, labels.clamp_min(0)[:, None]).squeeze(1)
    return {"answers/label": torch.where(labels >= 0, own, torch.nan)}


def _yes_or_no(facts: Facts, values: Tensor, truth: Tensor | None, names: Sequence[str]) -> Said:
    said = _said(facts, values, truth, names)
    assert said.predicted is not None  # both are always there
    assert said.probability is not None
    labels = classes_in(truth)
    words = tuple(names) if len(names) == 2 else facts.words
    if labels is None and facts.words[1] == "real":  # nobody knows which is right: one word for all
        captions = tuple(f"{words[1]} {share:.2f}" for share in values.float().softmax(1)[:, 1].tolist())
    else:
        answers = zip(said.predicted.tolist(), said.probability.tolist(), strict=True)
        captions = tuple(f"{words[each]} {share:.2f}" for each, share in answers)
    wrong = (None,) * len(captions) if labels is None else _differs(said.predicted.tolist(), labels.tolist())
    return Said(captions, wrong, said.predicted, said.probability, said.per_image)


def _differs(said: Sequence[int], true: Sequence[int], classes: int = 2) -> tuple[bool | None, ...]:
    """Whether each answer is not the label; None where the label is none of the classes."""
    return tuple(one != other if 0 <= other < classes else None for one, other in zip(said, true, strict=True))


def _explained_word(facts: Facts, chosen: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    words = names if len(names) == 2 else facts.words
    return tuple(name_of(words, int(each)) for each in chosen)


def _true_word(facts: Facts, truth: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    labels = classes_in(truth)
    if labels is None:
        return ()
    return tuple(word if label >= 0 else "" for word, label in zip(_explained_word(facts, labels, names), labels, strict=True))


def _true_class(facts: Facts, truth: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    """Classes say it, unless nobody knows some of them."""
    labels = classes_in(truth)
    if labels is None or bool((labels >= 0).all()):
        return ()
    return tuple(name_of(names, int(each)) if each >= 0 else "" for each in labels)


def _log_odds(values: Tensor, chosen: Tensor) -> Tensor:
    return log_odds(values, chosen)


def _shares(facts: Facts, values: Tensor) -> Tensor:
    return values.float().sigmoid() if facts.is_sigmoid else values.float().softmax(1)


def _softmax(facts: Facts, values: Tensor) -> Tensor:
    """Twins are compared by shares of one: several yes and no have no one distance."""
    return values.float().softmax(1)


def _logits_each(facts: Facts, output: Any) -> Tensor:
    """``(N, C)``, of each class whether it is the one."""
    values = answer_of(facts, output)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(f"task='multiclass': expected logits (N, classes) of at least two classes; got {tuple(values.shape)}")
    return logits_of(facts, values)


def _own_logit(values: Tensor, chosen: Tensor) -> Tensor:
    """A class's own log-odds, whatever the others have."""
    return values.gather(1, class_indices_of(chosen, values)[:, None]).squeeze(1)


MULTICLASS_TASK = Task(MULTICLASS, LOG_ODDS, _scores, _chosen_class, _log_odds, _said, no_words, _true_class, _shares)


EACH_CLASS_TASK = Task(MULTICLASS, LOG_ODDS, _logits_each, _chosen_class, _own_logit, _said, no_words, _true_class, _softmax)
"""One class for each image, out of a yes or no for each class: their probabilities do not sum to one."""


BINARY_TASK = Task("binary", LOG_ODDS, _two_scores, _chosen, _log_odds, _yes_or_no, _explained_word, _true_word, _shares)
