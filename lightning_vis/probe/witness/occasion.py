"""Which of a function's calls brought an answer and its target together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lightning_vis.model.places import Path
from lightning_vis.probe.witness.ancestry import way_back
from lightning_vis.probe.witness.judgement import Case
from lightning_vis.probe.witness.notes import Call, Node
from lightning_vis.probe.witness.origin import BATCH
from lightning_vis.probe.witness.testimony import Meeting


def meeting_of(case: Case, nodes: Sequence[Node]) -> Meeting:
    """Where the answer of a case meets its target, so that it is found again where a step goes another way.

    Args:
        case: an encounter in these notes.
        nodes: all of them, in the order of the step.
    """
    encounter = case.encounter
    places, target = encounter.node.places, encounter.target
    # Of an angle between answers the sides lie behind it.
    answer, beside = places[encounter.answer.at], None if target is None else places.get(target.at)
    leaves = case.sources.target if case.sources.origin == BATCH and beside is not None else ()
    ends = {end: call for node in way_back(encounter.answer).ends for end, call in _returned(node.node, encounter.node)}
    made = _made_of(ends, nodes)
    meeting = Meeting(encounter.node.function, 0, answer, beside, tuple(ends), leaves, len(encounter.answer.shape))
    before = {each.nth for each in nodes if each.nth < encounter.node.nth and _is_alike(each, meeting, made)}
    return replace(meeting, nth=len(before))


def _returned(answer: Node, met: Node) -> list[tuple[tuple[str, Path], Call]]:
    """The submodules that had returned an answer when it met its target, by name and place, the outermost one alone."""
    over = [(call, path) for call, path in answer.calls if call.end <= met.at]
    first = min(over, key=lambda each: each[0].order, default=None)
    return [] if first is None else [((first[0].name, first[1]), first[0])]


def _made_of(ends: Mapping[tuple[str, Path], Call], nodes: Sequence[Node]) -> dict[int, int]:
    """What is made of what these submodules returned, in any of their calls, and when it may have been: by number of the node."""
    made: dict[int, int] = {}
    for node in nodes:
        returned = [call.end for call, path in node.calls if (call.name, path) in ends]
        grown = any(each.at in made and made[each.at] <= node.at for each in node.parents)
        if grown or returned:
            made[node.at] = node.at if grown else min(returned)
    return made


def _is_alike(node: Node, meeting: Meeting, made: Mapping[int, int]) -> bool:
    """Whether a call of the function brings an answer of the same form, and what is made of the same leaves, together."""
    given = {node.places.get(each.at): each for each in node.parents}
    answer, target = given.get(meeting.answer), given.get(meeting.target)
    if node.function != meeting.function or answer is None or not meeting.has_form(answer.shape):
        return False
    if meeting.ends and not _is_made(answer, node, made):
        return False
    return not meeting.leaves or (
        target is not None and bool({*meeting.leaves} & target.sources) and not _is_made(target, node, made)
    )


def _is_made(each: Node, node: Node, made: Mapping[int, int]) -> bool:
    return each.at in made and made[each.at] <= node.at
