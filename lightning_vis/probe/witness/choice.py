"""Chooses among all that was seen, and gives testimony."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lightning_vis.model.answer.answer import UNKNOWN
from lightning_vis.model.places import Path
from lightning_vis.probe.witness.ancestry import chain_of, descendants, link, weights_of
from lightning_vis.probe.witness.functions import NUMBER, SIGMOID
from lightning_vis.probe.witness.judgement import Case, as_whole, case_of, change_of, judge, values_of
from lightning_vis.probe.witness.meetings import encounters, is_tilted
from lightning_vis.probe.witness.notes import Call, Node, Notes
from lightning_vis.probe.witness.occasion import meeting_of
from lightning_vis.probe.witness.origin import BATCH, CONSTANT, ORIGINS, Batch
from lightning_vis.probe.witness.testimony import Argument, Head, Testimony

Judged = tuple[Case, str, str]
"""A case, its task, and what decided."""


def concluded(
    notes: Notes,
    roots: Sequence[Node],
    shapes: Mapping[Path, tuple[int, ...]],
    images: Sequence[Path] | None = None,
    trouble: Sequence[str] = (),
    head: Path | None = None,
) -> Testimony:
    """What the notes of one batch say."""
    link(notes.nodes)
    batch = Batch(shapes, None if images is None else tuple(images))
    cases = _wholes([case_of(each, batch) for each in encounters(notes.nodes, roots)])
    judged = [(case, *judge(case)) for case in cases]
    if not judged:
        return replace(_unread(notes, batch), why=_why_unread(notes), trouble=tuple(trouble))
    named = [each for each in judged if head is None or _head_of(*each[:2]).is_called(head)]
    told = _told(named or judged, notes, tuple(trouble))
    return told if named or head is None else told.of_unmet(head)


def _told(judged: Sequence[Judged], notes: Notes, trouble: tuple[str, ...]) -> Testimony:
    chosen = _chosen(judged)
    parted = _parts_of_one(chosen, judged)
    case, task, why = (chosen[0], UNKNOWN, parted) if parted else chosen
    return _testimony(case, task, why, judged, notes, trouble)


def _wholes(cases: Sequence[Case]) -> list[Case]:
    """Losses of one kind that take an answer's columns, each of them once, take it as a whole: labels one by one, numbers, maps."""
    return [as_whole(each) if _is_shared_out(each, cases) else each for each in cases]


def _is_shared_out(case: Case, cases: Sequence[Case]) -> bool:
    same = [each for each in cases if _is_same_head(each, case) and each.sources.origin == BATCH]
    met = [each for each in same if each.encounter.is_named or is_tilted(each.encounter.node)]
    has_rows = case.is_picture or (len(case.shape) == 2 and case.shape[0] == case.count)
    is_apart = has_rows and case.encounter.kind in (SIGMOID, NUMBER)
    is_alike = len({(each.encounter.kind, each.encounter.node.name, each.sources.target) for each in met}) == 1
    sizes = [each.encounter.answer.size for each in met]
    return is_apart and len(same) == len(met) > 1 and is_alike and sum(sizes) == case.end.node.size and not _meet_again(met)


def _meet_again(cases: Sequence[Case]) -> bool:
    """Whether two of them take the same tensor, of the answer or of its target, which only quantiles share."""
    answers = {each.encounter.answer.at for each in cases}
    targets = {each.encounter.target.at for each in cases if each.encounter.target}
    are_quantiles = all(is_tilted(each.encounter.node) for each in cases)
    return len(answers) < len(cases) or (len(targets) < len(cases) and not are_quantiles)


def _head_of(case: Case, task: str) -> Head:
    call, path = case.end.call, case.end.path
    names = tuple(words for words, place in call.named.items() if place == path)
    return Head(call.name, path, task, case.shape, names, case.sources.target, weights_of(case.end.node))


def _why_unread(notes: Notes) -> str:
    if not any(call.is_trained for call in notes.calls):
        return "no submodule whose weights an optimizer has was called"
    outer = [call for call in notes.calls if call.is_trained and not any(one.is_trained for one in call.within)]
    names = [*dict.fromkeys(call.name or "the module itself" for call in outer)][:4]
    return f"no loss that is known took the answer of {' or '.join(names)}"


def _unread(notes: Notes, batch: Batch) -> Testimony:
    """The parts that images go through where no loss that is known takes the answer of the last one; nothing where there is one
    part alone, which tells itself, or where several might be the last."""
    rows = [call for call in notes.calls if _has_rows(call, batch.count)]
    outer = [call for call in rows if not any(one in rows for one in call.within)]
    ways = [(*chain_of(call), call) for call in outer]
    within = {call for way in ways for call in way[:-1]}
    last = [way for way in ways if way[-1] not in within and batch.pictured(way)]
    if len({way[-1].name for way in last}) != 1 or len(last[0]) < 2:
        return Testimony(frozen=_frozen(notes.calls, ()))
    way, images = last[0], batch.pictured(last[0])
    arguments, image = _arguments(way[0]), tuple(leaf for leaf in batch.shapes if leaf in images)
    return Testimony(
        chain=tuple(call.name for call in way),
        module=way[0].name,
        nth=way[0].nth,
        image=image,
        arguments=arguments,
        image_argument=_image_argument(arguments, image),
        frozen=_frozen(notes.calls, way),
    )


def _has_rows(call: Call, count: int) -> bool:
    """Whether a call may be one of the network: trained, made of the batch, and with a row of numbers for each image."""
    given = call.is_trained and bool(call.sources)
    return given and any(node.shape[:1] == (count,) and node.dtype.is_floating_point for _, node in call.outputs)


def _chosen(judged: Sequence[Judged]) -> Judged:
    """Origin of the target first, then what is known, then what comes first in the step."""
    order = sorted(judged, key=lambda each: _rank(each, judged))
    embeddings = [each for each in order if each[1] == "embedding"]
    best = order[0]
    if best[0].sources.origin == CONSTANT and embeddings:
        return embeddings[0]
    return _discriminator(judged, best) if best[1] == "binary" and best[0].sources.origin == CONSTANT else best


def _rank(each: Judged, judged: Sequence[Judged]) -> tuple[bool, int, bool, int]:
    case, task, _ = each
    rivals = [other for other, _, _ in judged if _is_same_head(case, other)]
    by_name = any(other.encounter.is_named and other.sources.origin == BATCH for other in rivals)
    hand = by_name and not case.encounter.is_named
    return hand, ORIGINS.index(case.sources.origin), task == UNKNOWN, case.encounter.node.at


def _discriminator(judged: Sequence[Judged], best: Judged) -> Judged:
    """Of a GAN's answers the one that is made of real images."""
    of_constants = [each for each in judged if each[0].sources.origin == CONSTANT and each[1] == "binary"]
    raw = [each for each in of_constants if not any(node.trained for node in each[0].end.call.nodes)]
    return raw[0] if raw else best


def _is_same_head(one: Case, other: Case) -> bool:
    return one.end.call is other.end.call and one.end.path == other.end.path


def _parts_of_one(chosen: Judged, judged: Sequence[Judged]) -> str:
    """Why several losses that share one answer make it unreadable (detection); empty if they do not."""
    best = chosen[0]
    if best.sources.origin != BATCH:
        return ""
    if _is_of_detector(chosen, judged):
        return "there are numbers at each pixel beside another answer there that is not known"
    same = [each for each in judged if _shares(each[0], best)]
    kinds = {task for _, task, _ in same} - {UNKNOWN}
    partial = any(case.is_part for case, _, _ in same) and len(same) > 1 and not _are_channels(same, best)
    names = [*dict.fromkeys(case.encounter.loss for case, _, _ in same)][:4]
    several = f"{' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))}" if names else ""
    if partial:
        return f"{several} {'each take' if len(names) > 1 else 'takes'} a part of one answer"
    return f"{several} read one answer in several ways" if len(kinds) > 1 else ""


def _is_of_detector(chosen: Judged, judged: Sequence[Judged]) -> bool:
    """Whether numbers at each pixel go with another answer there that nobody knows: sizes of objects that a heat map finds."""
    best, task, _ = chosen
    others = [each for each in judged if each[0].end.call is best.end.call and each[0].end.path != best.end.path]
    strangers = [case for case, other, _ in others if other == UNKNOWN and case.sources.origin == BATCH]
    return task == "regression" and best.is_picture and any(case.is_picture for case in strangers)


def _shares(case: Case, best: Case) -> bool:
    of_batch = case.sources.origin == BATCH and case.encounter.is_named == best.encounter.is_named
    return of_batch and _is_same_head(case, best)


def _are_channels(same: Sequence[Judged], best: Case) -> bool:
    """Whether each of them takes one channel of a map, all channels together."""
    if all(case.is_taken_as_whole for case, _, _ in same):
        return True
    if len(best.shape) < 4 or len(same) != best.shape[1]:
        return False
    whole = best.end.node.size
    return all(case.encounter.answer.size * best.shape[1] == whole for case, _, _ in same)


def _testimony(case: Case, task: str, why: str, judged: Sequence[Judged], notes: Notes, trouble: tuple[str, ...]) -> Testimony:
    first = case.chain[0]
    labels = _labels_beside(case, notes) if task == "embedding" and not case.sources.target else ()
    is_label_of_image = bool(labels) and len(case.sources.fed) == 1
    arguments = _arguments(first)
    meeting = meeting_of(case, notes.nodes)
    return Testimony(
        task=task,
        why=why,
        loss=case.encounter.loss,
        chain=tuple(call.name for call in case.chain),
        module=first.name,
        nth=first.nth,
        is_one_call=_is_one_call(case, task),
        is_made=case.is_made_by_step,
        head=case.end.path,
        names=_head_of(case, task).names,
        shape=case.shape,
        values=values_of(case, task),
        target=labels or case.sources.target,
        origin=BATCH if is_label_of_image else case.sources.origin,
        image=case.sources.image,
        arguments=arguments,
        image_argument=_image_argument(arguments, case.sources.image),
        meeting=replace(meeting, target=None) if labels else meeting,
        heads=_heads(case, task, judged),
        frozen=_frozen(notes.calls, case.chain),
        made=case.sources.made,
        change=change_of(case, task),
        trouble=trouble,
    )


def _labels_beside(case: Case, notes: Notes) -> tuple[Path, ...]:
    """What else of the batch there is in that which is made of an embedding, if it is one thing: who is who, or same."""
    later = {each.at for each in descendants(case.end.node, through_cuts=True)}
    beside = [each for node in notes.nodes if node.at in later for each in node.parents if not each.touched]
    found = frozenset[Path]().union(*(each.sources for each in beside if not each.frozen)) - case.sources.fed
    encoded = frozenset[Path]().union(*(call.sources for call in notes.calls if _encodes(call)))
    labels = tuple(sorted(found - encoded, key=str))
    return labels if len(labels) == 1 else ()


def _encodes(call: Call) -> bool:
    """Whether a call is of a network that is given data of the batch, and no answers."""
    return bool(call.name) and call.has_weights and not any(node.touched for node in call.nodes)


def _arguments(call: Call) -> tuple[Argument, ...]:
    return tuple(Argument(path, *_of_batch(node)) for path, node in call.arguments)


def _of_batch(node: Node | None) -> tuple[tuple[Path, ...], bool]:
    return ((), False) if node is None else (tuple(sorted(node.sources, key=str)), node.leaf is not None)


def _image_argument(arguments: Sequence[Argument], image: Sequence[Path]) -> Path | None:
    fitting = [each for each in arguments if {*each.leaves} & {*image}]
    best = sorted(fitting, key=lambda each: not each.is_leaf)
    return best[0].path if best else None


def _is_one_call(case: Case, task: str) -> bool:
    is_raw = len(case.chain) == 1 and not any(node.touched or node.frozen for node in case.end.call.nodes)
    rows = case.end.node.shape[:1] == (case.count,)
    return is_raw and rows and not case.is_made_by_step and (task == "embedding" or len(case.encounter.way.calls) == 1)


def _heads(chosen: Case, chosen_task: str, judged: Sequence[Judged]) -> tuple[Head, ...]:
    """What meets labels of the batch, and what was chosen; of an unknown answer no part is a head."""
    known = [each for each in judged if each[1] != UNKNOWN and (each[0].sources.origin == BATCH or each[0] is chosen)]
    if chosen_task == UNKNOWN:
        known = [each for each in known if not _is_same_head(each[0], chosen)]
    order = sorted(known, key=lambda each: not _is_same_head(each[0], chosen))
    found: dict[tuple[str, Path], Head] = {}
    for case, task, _ in order:
        head = _head_of(case, task)
        found.setdefault((head.call, head.path), head)
    return tuple(found.values())


def _frozen(calls: Sequence[Call], chain: Sequence[Call]) -> tuple[str, ...]:
    """The outermost networks without trained weights that are no part of what is looked at."""
    names = {call.name for call in chain}
    alone = [call for call in calls if not any(one.has_weights for one in call.within if one.name)]
    strangers = [call.name for call in alone if call.has_weights and not call.is_trained and call.name not in names]
    return tuple(dict.fromkeys(filter(None, strangers)))
