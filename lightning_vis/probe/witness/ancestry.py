"""What a tensor is made of, what was made of it, which calls lie between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lightning_vis.model.places import Path
from lightning_vis.probe.witness.functions import ALIKE, LINKS, MOVES, STACKS
from lightning_vis.probe.witness.notes import Call, Node

MOST_AFTER, MOST_BEFORE = 200, 4000


def link(nodes: Sequence[Node]) -> None:
    """Tells each node what was made of it, and whether weights come after it."""
    for node in nodes:
        node.kids.clear()
    for node in nodes:
        for parent in node.parents:
            parent.kids.append(node)
    for node in reversed(nodes):
        node.later = any(kid.later or kid.direct for kid in node.kids)


def ancestors(nodes: Iterable[Node], most: int = MOST_BEFORE) -> Iterator[Node]:
    """The nodes and all that they are made of."""
    return _walk(nodes, lambda node: node.parents, most)


def weights_of(node: Node, most: int = 20 * MOST_BEFORE) -> frozenset[str]:
    """Names of the weights that a gradient reaches from a tensor."""
    found = _walk([node], lambda each: [one for one in each.parents if one.trained or one.weight == "trained"], most)
    return frozenset(each.parameter for each in found if each.weight == "trained")


def descendants(node: Node, *, through_cuts: bool = False) -> Iterator[Node]:
    """What was made of a node, as far as a gradient flows, or all of it."""
    return _walk(node.kids, lambda each: each.kids if each.trained or through_cuts else [], MOST_AFTER)


def _walk(nodes: Iterable[Node], steps: Callable[[Node], Sequence[Node]], most: int) -> Iterator[Node]:
    todo, seen = [*nodes], set[int]()
    while todo and len(seen) < most:
        node = todo.pop()
        if node.at not in seen:
            seen.add(node.at)
            todo += steps(node)
            yield node


@dataclass(frozen=True)
class End:
    """A tensor that a call returned."""

    node: Node
    call: Call
    path: Path


@dataclass
class Way:
    """From a tensor back to the calls that returned what it is made of.

    Attributes:
        ends: what they returned.
        names: of the functions in between.
        has_weights: whether weights of the step's own lie in between.
        is_alike: whether answers are compared with answers.
        is_moving: whether answers say where the pixels of something else are taken from.
    """

    ends: list[End] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    has_weights: bool = False
    is_alike: bool = False
    is_moving: bool = False

    @property
    def first(self) -> End:
        """The end that was returned first."""
        return min(self.ends, key=lambda end: (end.call.order, end.node.at))

    @property
    def calls(self) -> list[Call]:
        """Each call once, in the order of the step."""
        return sorted({end.call for end in self.ends}, key=lambda call: call.order)

    @property
    def sources(self) -> frozenset[Path]:
        """Leaves of the batch that the calls were given."""
        return frozenset[Path]().union(*(call.sources for call in self.calls))

    @property
    def links(self) -> set[str]:
        """Links on the way, and those that the calls end with."""
        return {LINKS[name] for name in self.names | {end.node.name for end in self.ends} if name in LINKS}

    def step(self, node: Node) -> list[Node]:
        """Goes one step back."""
        self.names.add(node.name)
        grown = [each for each in node.parents if each.trained or each.weight == "trained"]
        answers = [each for each in grown if each.sources]
        of_own = [each for each in node.parents if each.trained and not each.sources]
        others = [each for each in node.parents if each.frozen and each.sources and not each.touched]
        self.is_alike |= node.name in ALIKE and bool(answers) and len(answers) + len(others) > 1
        self.is_moving |= node.name in MOVES and not _is_moved(node)
        self.has_weights |= node.direct or (node.name in ALIKE and len(answers) == 1 and len(of_own) > 0)
        return [each for each in node.parents if each.is_answer]


def _is_moved(node: Node) -> bool:
    """Whether it is the pixels of an answer that are taken from somewhere else."""
    return any(node.places.get(each.at) == 0 for each in node.parents if each.is_answer)


def way_back(node: Node) -> Way:
    """From a tensor back to the outermost calls that returned what it is made of."""
    way, todo, seen = Way(), [node], set[int]()
    while todo:
        each = todo.pop()
        if each.at in seen:
            continue
        seen.add(each.at)
        returned = [(call, path) for call, path in each.calls if _answers(call)]
        if returned:
            way.ends.append(End(each, *min(returned, key=lambda one: one[0].order)))
        else:
            todo += way.step(each)
    return way


def _answers(call: Call) -> bool:
    """Whether a call is one of the network: trained, or frozen behind what is trained, and made of the batch."""
    behind = call.has_weights and any(node.trained for node in call.nodes)
    return bool(call.sources) and (call.is_trained or behind)


def chain_of(call: Call) -> list[Call]:
    """The calls, trained or not, that made what this one was given, in the order of the step."""
    chain: list[Call] = []
    todo, seen = [call], set[int]()
    while todo:
        one = todo.pop()
        new = [each for each in _makers(one, seen) if each not in chain]
        chain += new
        todo += new
    return sorted(chain, key=lambda each: each.order)


def _makers(call: Call, seen: set[int]) -> list[Call]:
    """The outermost calls that returned what the arguments of a call are made of."""
    found: dict[Call, None] = {}
    todo = [node for node in call.nodes if node.touched or node.frozen]
    while todo:
        node = todo.pop()
        if node.at in seen:
            continue
        seen.add(node.at)
        over = [one for one, _ in node.calls if one is not call and one.end <= call.start and (one.is_trained or node.frozen)]
        if over:
            found[min(over, key=lambda one: one.order)] = None
        else:
            todo += [each for each in node.parents if each.sources]
    return [*found]


Rows = tuple[Node, int, int]
"""Some rows of a tensor: from one to before another."""


def leaves_of_rows(rows: Rows) -> frozenset[Path] | None:
    """Leaves of the batch that these rows are made of; None where a tensor does not keep its rows in order."""
    todo, seen, found = [rows], set[tuple[int, int, int]](), set[Path]()
    while todo:
        node, low, high = todo.pop()
        if (node.at, low, high) in seen:
            continue
        seen.add((node.at, low, high))
        before = [] if node.leaf is not None else _rows_before(node, low, high)
        if before is None:
            return None
        found |= {node.leaf} if node.leaf is not None else set()
        todo += before
    return frozenset(found)


def _rows_before(node: Node, low: int, high: int) -> list[Rows] | None:
    """What some rows are made of, one step back, or in front of the call that returned them."""
    call = min((call for call, _ in node.calls), key=lambda call: call.order, default=None)
    given = [each for each in (node.parents if call is None else call.nodes) if each.sources and each.shape]
    if node.row is not None and call is None:
        return [(given[0], low + node.row, high + node.row)]
    if node.name in STACKS and call is None and sum(each.shape[0] for each in given) == node.shape[0]:
        return _rows_of_parts(given, low, high)
    return [(each, low, high) for each in given] if {each.shape[0] for each in given} == {node.shape[0]} else None


def _rows_of_parts(parts: Sequence[Node], low: int, high: int) -> list[Rows]:
    """Of tensors that are stacked those that have some of the rows."""
    found, begin = [], 0
    for each in parts:
        first, last = max(low - begin, 0), min(high - begin, each.shape[0])
        found += [(each, first, last)] if first < last else []
        begin += each.shape[0]
    return found
