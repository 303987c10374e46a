"""Whether an output's numbers are probabilities already, as its graph tells; what cannot be seen is not guessed."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lightning_vis.model.answer.output import LOGARITHMS, OPEN, PROBABILITIES, SHARES, UNCLEAR, settled, squash_of
from lightning_vis.model.answer.task import Facts

WEIGHT = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
X = torch.rand(4, 2, generator=torch.Generator().manual_seed(1))
Z = F.linear(X, WEIGHT)
SQUASHES = {
    "sigmoid": (Z.sigmoid(), PROBABILITIES),
    "its columns": (Z.sigmoid()[:, 1].view(-1, 1).squeeze(1), PROBABILITIES),
    "one sigmoid beside another": (torch.cat([Z[:, :1].sigmoid(), Z[:, 1:].sigmoid()], 1), PROBABILITIES),
    "cut off": (Z.sigmoid().clamp(1e-6, 1 - 1e-6), PROBABILITIES),
    "hard": (F.hardsigmoid(Z), PROBABILITIES),
    "averaged": (torch.stack([Z, 2 * Z]).sigmoid().mean(0), PROBABILITIES),
    "softmax": (Z.softmax(1), SHARES),
    "a column of a softmax": (Z.softmax(1)[:, 1], SHARES),
    "the logarithm of a sigmoid": (F.logsigmoid(Z), LOGARITHMS),
    "the logarithm of a softmax": (Z.log_softmax(1), LOGARITHMS),
    "logits": (Z, OPEN),
    "a temperature": (Z / WEIGHT[0, 0].exp() - 1, OPEN),
    "a gate": (Z * Z.sigmoid(), OPEN),
    "a convolution": (F.conv2d(torch.rand(1, 3, 4, 4), torch.rand(2, 3, 1, 1).requires_grad_()).relu().mean((2, 3)), OPEN),
    "tanh": ((Z.tanh() + 1) / 2, UNCLEAR),
    "by hand": (1 / (1 + (-Z).exp()), UNCLEAR),
    "the other way round": (1 - Z.sigmoid(), UNCLEAR),
    "without a graph": (Z.detach(), UNCLEAR),
}


@pytest.mark.parametrize("name", SQUASHES)
def test_the_graph_tells_what_numbers_come_from(name):
    values, expected = SQUASHES[name]
    assert squash_of(values) == expected


CASES = [  # task, shape, squash, whether all lie between 0 and 1, whether they are read as probabilities, why they cannot be read
    ("binary", (4, 1), PROBABILITIES, True, True, ""),
    ("binary", (4,), SHARES, True, True, ""),
    ("binary", (4, 2), SHARES, True, None, ""),
    ("binary", (4, 1), OPEN, True, None, ""),
    ("binary", (4, 1), UNCLEAR, False, None, ""),
    ("binary", (4, 1), UNCLEAR, True, None, "cannot be seen"),
    ("multilabel", (4, 3), PROBABILITIES, True, True, ""),
    ("multilabel", (4, 3), SHARES, True, None, "softmax"),
    ("multilabel", (4, 3), UNCLEAR, True, None, "cannot be seen"),
    ("multilabel", (4, 3), LOGARITHMS, False, None, "is no logit"),
    ("multiclass", (4, 3), LOGARITHMS, False, None, ""),
    ("binary", (4, 2), LOGARITHMS, False, None, ""),
    ("ordinal", (4, 3), SHARES, True, None, "task='multiclass'"),
    ("multiclass", (4, 1), PROBABILITIES, True, True, ""),
    ("multiclass", (4, 3), PROBABILITIES, True, True, ""),
    ("multiclass", (4, 3), SHARES, True, None, ""),
    ("multiclass", (4, 3), UNCLEAR, True, None, ""),
    ("multiclass", (4, 1), UNCLEAR, True, None, "cannot be seen"),
    ("segmentation", (4, 1, 5, 5), PROBABILITIES, True, True, ""),
    ("segmentation", (4, 3, 5, 5), SHARES, True, None, ""),
    ("segmentation", (4, 1, 5, 5), UNCLEAR, True, None, "cannot be seen"),
]


@pytest.mark.parametrize(("task", "shape", "squash", "is_share", "probabilities", "why"), CASES)
def test_what_is_seen_is_known_and_what_is_not_is_refused(task, shape, squash, is_share, probabilities, why):
    found = settled(Facts(), task, torch.rand(shape), squash, is_share=is_share)
    assert found.probabilities is probabilities
    assert why in found.unreadable
    assert bool(why) == bool(found.unreadable)
