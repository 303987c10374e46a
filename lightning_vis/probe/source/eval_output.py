"""What a network returns in eval mode, and where in it the trained answer is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from lightning_vis.constants import MULTICLASS
from lightning_vis.model.answer.answer import UNKNOWN
from lightning_vis.model.answer.output import PROBABILITIES, SHARES, squash_of
from lightning_vis.model.places import Path, leaves, written
from lightning_vis.model.snapshot.snapshot import preserve_state
from lightning_vis.probe.witness.testimony import Head, Testimony
from lightning_vis.probe.witness.witness import plain_name


class NotInEval(LookupError):
    """The trained answer is in no output of eval mode.

    Args:
        module: dotted name of the submodule that answers.
        head: where in its output the answer is while it trains.
    """

    def __init__(self, module: str, head: Path) -> None:
        answer = f"{module or 'self'}(...){written(head, '')}"
        super().__init__(
            f"{answer} is the answer that is trained, and what is returned in eval mode, in which it is looked at, is another"
            " one or none: nothing is shown; let forward return it in eval mode too, or name another head with head="
        )


@dataclass(frozen=True)
class Returned:
    """A tensor of numbers in an output.

    Attributes:
        path: where it is.
        shape: of it, the images first.
        weights: names of those that a gradient reaches from it.
        squash: how its numbers come about, as `squash_of` has it.
    """

    path: Path
    shape: tuple[int, ...]
    weights: frozenset[str]
    squash: str


def in_eval(
    it: Testimony, run: Callable[[Tensor], Any], module: nn.Module, images: Tensor, *, may_switch: bool
) -> Testimony | None:
    """Where the answer is in what the network returns in eval mode, in which it is looked at.

    Auxiliary heads, lists of maps at several depths and probabilities may be there in one mode alone. What has been trained is
    known again by the weights that it is made of, and by its shape.

    Args:
        it: what the step does with a batch, in whatever mode it ran.
        run: images -> what the last submodule returns.
        module: whose weights these are.
        images: ``(N, ...)`` on the module's device, of the form of those in the batch.
        may_switch: whether another head will do that is trained for the same target; not where a user has named this one.

    Returns:
        The testimony of that; None where the answer is not there.
    """
    if it.in_eval is not None or it.task == UNKNOWN or not it.heads:
        return it
    names = {id(each): plain_name(name) for name, each in module.named_parameters()}
    with preserve_state(module):  # gradients are on in it
        returned = returned_in(run(images), len(images), names)
    found = found_in(it.heads if may_switch else it.heads[:1], returned, it.values)
    if found is None:
        return None
    return _seen_at(replace(it, heads=(found[0], *_there_too(it.heads, found[0], returned))), found[1])


def _there_too(heads: Sequence[Head], first: Head, returned: Sequence[Returned]) -> list[Head]:
    """The other heads without those that the same call returns while it trains alone."""
    rest = [each for each in heads if each != first]
    found = [(each, found_in([each, *(one for one in heads if one != each)], returned, "")) for each in rest]
    return [each for each, place in found if each.call != first.call or (place is not None and place[0] == each)]


def returned_in(output: Any, count: int, names: Mapping[int, str]) -> list[Returned]:
    """The tensors of numbers in an output that have a row for each image.

    Args:
        output: with the graph behind it.
        count: of images.
        names: of weights, by their ids.
    """
    found = [(path, each) for path, each in leaves(output) if each.is_floating_point() and each.ndim and len(each) == count]
    return [Returned(path, tuple(each.shape), _weights_behind(each, names), squash_of(each)) for path, each in found]


def _weights_behind(values: Tensor, names: Mapping[int, str]) -> frozenset[str]:
    todo: list[Any] = [values.grad_fn]
    seen, found = set[Any](), set[str]()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found.add(names.get(id(getattr(node, "variable", None)), ""))
        todo += [each for each, _ in node.next_functions]
    return frozenset(found - {""})


def found_in(heads: Sequence[Head], returned: Sequence[Returned], values: str) -> tuple[Head, Returned] | None:
    """The first head where it is returned, or one that is trained for the same target; None where neither is there.

    Args:
        heads: of a step, the wanted one first.
        returned: in eval mode.
        values: whether the answer was ``"logits"`` or ``"probabilities"``.
    """
    wanted, *others = heads
    alike = [each for each in others if (each.call, each.task, each.target) == (wanted.call, wanted.task, wanted.target)]
    here = next((each for each in returned if each.path == wanted.path and _has_form(wanted, each)), None)
    fitting = [each for each in returned if _is_made_alike(wanted, each)]
    if here is not None and (here in fitting or not (fitting or any(_is_made_alike(each, here) for each in others))):
        return wanted, here
    found = [(head, each) for head in alike for each in returned if _is_made_alike(head, each)]
    best = _best(wanted, fitting, values)
    return (wanted, best) if best is not None else found[0] if len(found) == 1 and not fitting else None


def _best(head: Head, fitting: Sequence[Returned], values: str) -> Returned | None:
    """The one of several that is of these weights alone, and of such numbers."""
    alone = [each for each in fitting if each.weights == head.weights]
    alike = [each for each in alone if (each.squash in (PROBABILITIES, SHARES)) == (values == "probabilities")]
    return next((left[0] for left in (fitting, alone, alike) if len(left) == 1), None)


def _has_form(head: Head, returned: Returned) -> bool:
    return returned.shape[1:] == head.shape[1:]


def _is_made_alike(head: Head, returned: Returned) -> bool:
    """Whether it has the form of a head and all of its weights: parts that are left out at random come back in eval mode."""
    return _has_form(head, returned) and bool(head.weights) and head.weights <= returned.weights


def _seen_at(it: Testimony, returned: Returned) -> Testimony:
    """The first of its heads as it is in eval mode."""
    head = it.heads[0]
    it = replace(it, head=head.path, names=head.names, shape=head.shape, in_eval=returned.path)
    if returned.squash == PROBABILITIES and it.change == "sigmoid":
        return replace(it, change="")
    is_share = returned.squash == SHARES or (returned.squash == PROBABILITIES and it.task != MULTICLASS)
    return replace(it, values="probabilities") if is_share and it.values == "logits" else it
