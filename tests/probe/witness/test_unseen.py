"""Set-ups of two authors who did not know the witness: none is read wrongly, and training stays the same."""

from __future__ import annotations

import pytest

from .verdicts import CASES, JUDGED, SETS, UNNEEDED, WRONG, judged, watched

MOST = 0.1
"""Share of set-ups that may be unknown without need: 13 of 134 and 5 of 124 when this was written."""

EVERY = 2
"""One of so many is for each run of the tests; `make slow` runs all. Those that were judged are always among them."""
CHOSEN = [name for at, name in enumerate(CASES) if at % EVERY == 0 or name in JUDGED]

WITHOUT_GRADIENTS = {"SAM, two passes", "sharpness-aware, manual"}
"""Their steps read gradients, which a dry run does not make: they end there, and what was seen up to then counts."""

pytestmark = pytest.mark.filterwarnings("ignore:.*")  # those of the set-ups themselves

_unneeded: list[str] = []


@pytest.mark.parametrize("name", CHOSEN)
def test_nothing_is_read_wrongly_and_training_stays_the_same(name):
    make, _ = CASES[name]
    sanity, rehearsal, is_same = watched(make)
    assert is_same
    told = [judged(name, each) for each in (sanity, rehearsal) if each is not None]
    assert [other for said, other in told if said == WRONG] == []
    assert bool(rehearsal.trouble) == (name in WITHOUT_GRADIENTS)
    _unneeded.extend([name] if all(said == UNNEEDED for said, _ in told) else [])


def test_few_are_unknown_without_need():
    assert len(_unneeded) <= MOST * len(CHOSEN)


def test_what_was_judged_is_there():
    assert {*JUDGED} <= {*CASES}
    assert {title: len(cases) for title, cases in SETS.items()} == {"unseen": 134, "held out": 124}
    assert len(CASES) == 134 + 124
