"""The exchange map: a linear network by hand, a slow loop, and who lends cells to whom."""

from __future__ import annotations

import pytest
import torch
from nets import Plain, images, trained_looking
from torch import nn

from lightning_vis import Probe, look
from lightning_vis.attribution import exchange_map
from lightning_vis.attribution.methods.cells import ExchangedCells, _donors, cell_map, design
from lightning_vis.attribution.records import in_chunks
from lightning_vis.constants import INPUT
from lightning_vis.model.run import prepare
from lightning_vis.model.scores import logit

LABELS = torch.tensor([0, 1, 0, 1])


def test_each_two_cells_are_kept_together_as_often_as_apart():
    signs = design(7)
    assert signs.shape == (64, 7, 7)
    assert torch.equal(signs.flatten(1).T @ signs.flatten(1), 64 * torch.eye(49))
    assert (signs[0] == 1).all()
    assert design(3).shape == (64, 3, 3)


def recorded(run, donors=2, chunk_size=None, target="label"):
    return in_chunks(ExchangedCells(donors), run, {target: [INPUT]}, chunk_size).explained[target]


def linear(side=14, classes=2):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, classes))


@pytest.mark.parametrize("donors", [1, 2])
def test_where_pixels_add_up_each_cell_has_exactly_its_own_share(donors):
    """Cells of 2 x 2 pixels: what they add to the label's logit here, minus the mean of what the donors' add there."""
    net, batch = linear(), images(4, 14)
    run = prepare(net, batch, LABELS, score=logit)
    found = recorded(run, donors)
    for row in range(4):
        weight = net[1].weight[LABELS[row]].detach().view(3, 14, 14)
        lent = torch.stack([each[row] for each in _donors(run, donors)])
        shares = (weight * (batch[row] - lent.mean(0))).sum(0)
        by_hand = shares.view(7, 2, 7, 2).sum((1, 3))
        torch.testing.assert_close(found.records[INPUT].gradient[row, 0], by_hand, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found.rise[row], by_hand.sum(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(cell_map(found.records[INPUT]).sum((1, 2)), found.rise, atol=1e-5, rtol=1e-4)


def slow(net, image, donor, label):
    """Cell by cell, pair by pair, pixel by pixel."""
    signs, found = design(7), torch.zeros(7, 7)
    side = image.shape[1]

    def score(kept):
        mixed = donor.clone()
        for y in range(side):
            for x in range(side):
                if kept[y * 7 // side, x * 7 // side]:
                    mixed[:, y, x] = image[:, y, x]
        scores = net(mixed[None])[0]
        return scores[label] - torch.logsumexp(torch.stack([scores[each] for each in range(len(scores)) if each != label]), 0)

    for sign in signs:
        found += sign * (score(sign > 0) - score(sign < 0)) / 64
    return found


@torch.no_grad()
def test_as_a_slow_loop_has_it():
    net, batch = trained_looking(Plain()).eval(), images(4, 12)
    run = prepare(net, batch, LABELS)
    with torch.enable_grad():
        found = recorded(run, 1)
    (lent,) = _donors(run, 1)
    for row in (0, 3):
        by_loop = slow(net, batch[row], lent[row], LABELS[row])
        torch.testing.assert_close(found.records[INPUT].gradient[row, 0], by_loop, atol=1e-5, rtol=1e-3)


def test_a_cell_shares_evenly_with_its_neighbours():
    one = torch.zeros(2, 1, 7, 7)
    one[0, 0, 0, 0], one[1, 0, 3, 3] = 8.0, 9.0
    found = cell_map(type("Record", (), {"gradient": one})())
    assert found[0, :2, :2].tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert found[1, 2:5, 2:5].tolist() == [[1.0] * 3] * 3
    assert found.sum((1, 2)).tolist() == [8.0, 9.0]


def test_cells_come_from_other_classes_and_no_chunk_has_others():
    batch = images(4, 12)
    run = prepare(linear(12), batch, LABELS)
    lent = _donors(run, 2)
    for row in range(4):
        others = batch[LABELS[row] != LABELS]
        assert all(any(torch.equal(each[row], other) for other in others) for each in lent)
        assert not torch.equal(lent[0][row], lent[1][row])
    whole, parts = (recorded(run, 1, chunk_size).records[INPUT].gradient for chunk_size in (None, 3))
    torch.testing.assert_close(parts, whole)


def test_unlabelled_images_are_of_the_class_that_is_answered():
    batch = images(6, 12)
    net = linear(12)
    said = net(batch).argmax(1)
    assert len(said.unique()) == 2
    assert torch.equal(_donors(prepare(net, batch), 2)[0], _donors(prepare(net, batch, said), 2)[0])
    partly = torch.where(torch.arange(6) < 3, said, -1)
    assert torch.equal(_donors(prepare(net, batch, partly), 2)[0], _donors(prepare(net, batch, said), 2)[0])


def test_the_view_is_in_units_of_the_score_and_asks_as_often_as_it_says():
    net, probe, count = linear(14), Probe(images(4, 14), LABELS), [0]
    net.register_forward_hook(lambda *_: count.__setitem__(0, count[0] + 1))
    frame = look(net, probe, [exchange_map()])
    maps = frame.maps["exchange_map"]
    assert (maps.unit, maps.target, maps.values.shape) == ("log-odds", "label", (4, 7, 7))
    assert maps.scale.signed
    assert frame.numbers["attribution/exchange_map/completeness"] == pytest.approx(
        1.0, abs=1e-4
    )  # of two classes log-odds are linear
    assert exchange_map().passes == 257
    assert count[0] <= 257 + 1  # and one that finds the places


def test_a_constant_on_all_logits_changes_nothing():
    class Shifted(nn.Module):
        def __init__(self, shift):
            super().__init__()
            self.net, self.shift = linear(12), shift

        def forward(self, x):
            return self.net(x) + self.shift

    one, other = (recorded(prepare(Shifted(each), images(4, 12), LABELS), 1).records[INPUT].gradient for each in (0.0, 5.0))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_images_of_one_class_lend_nothing_and_the_remedy_helps():
    with pytest.raises(ValueError, match="all images of the probe are of one: give it some of another class"):
        look(linear(12), Probe(images(3, 12), [1, 1, 1]), [exchange_map()])
    assert look(linear(12), Probe(images(3, 12), [1, 1, 0]), [exchange_map()]).maps


def test_of_numbers_and_volumes_there_is_none():
    with pytest.raises(ValueError, match="tells classes apart, and this one is read as regression: leave it out"):
        look(linear(12, 1), Probe(images(3, 12), torch.rand(3)), [exchange_map()])
    run = prepare(nn.Sequential(nn.Flatten(), nn.Linear(3 * 2 * 64, 2)), torch.ones(2, 3, 2, 8, 8), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="not of volumes or clips"):
        recorded(run)
