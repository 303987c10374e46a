"""Each set-up is read right, and is trained as if nobody had looked."""

from __future__ import annotations

import os

import pytest
import torch

from .cases import PLAIN, RUNS
from .cases.parts import UNKNOWN
from .harness import InRehearsal, InSanityCheck, differences, fitted

MOST = 0.04
"""Share of set-ups that may be unknown without need."""

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*"),  # those of the set-ups themselves
]


@pytest.fixture(autouse=True)
def _alone():
    """Lightning leaves the one process of DDP in its group, and its words in the environment."""
    environment = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(environment)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("case", [*PLAIN, *RUNS], ids=str)
def test_what_is_read_is_right_and_training_stays_the_same(case):
    without = fitted(case)
    sanity, rehearsal = InSanityCheck(), InRehearsal()
    assert fitted(case, sanity) == without
    assert fitted(case, rehearsal) == without
    wanted = UNKNOWN if case.is_unneeded else case.want
    assert differences(rehearsal.testimony, wanted) == {}
    if sanity.testimony is not None:
        assert differences(sanity.testimony, wanted if case.in_sanity else UNKNOWN) == {}
        assert sanity.testimony.trouble == ()


def test_few_are_unknown_without_need():
    every = [*PLAIN, *RUNS]
    assert len({case.name for case in every}) == len(every) > 100
    assert sum(case.is_unneeded for case in every) <= MOST * len(every)
