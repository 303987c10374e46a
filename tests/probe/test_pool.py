"""The pool: by index, classes in turn, always the same, and nothing of the user's is touched."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from modules import Classifier, loader
from nets import images
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.callbacks.trainer import source_of
from lightning_vis.probe.source.pool import frequent
from tests.callbacks.test_identical import same
from tests.probe.test_from_trainer import OnlyNet, dicts

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
    pytest.mark.filterwarnings("ignore:Trying to infer the `batch_size`"),
]


class Taking(pl.Callback):
    """Takes a pool behind each validation."""

    def __init__(self, callback):
        self.callback, self.pools, self.streams = callback, [], []

    def on_validation_end(self, trainer, pl_module):
        finder = self.callback.session.finder
        before = torch.get_rng_state()
        self.pools.append(finder.pool(pl_module, source_of(trainer, pl_module, finder.step)))
        self.streams.append((before, torch.get_rng_state()))


def pools(trainer, validation, module=Classifier, train=None):
    callback = ProbeCallback()
    taking = Taking(callback)
    net = module()
    trainer([callback, taking], num_sanity_val_steps=0).fit(net, train or loader(), validation)
    return net.eval(), taking


class Counted(DataLoader):
    """Counts how often it is iterated."""

    count = 0

    def __iter__(self):
        type(self).count += 1
        return super().__iter__()


class Noisy(Dataset):
    """Draws from the global stream for each item."""

    targets = (*(index % 3 for index in range(60)),)

    def __len__(self):
        return 60

    def __getitem__(self, index):
        return torch.rand(3, 12, 12), index % 3


def test_of_few_classes_48_images_in_turn_and_always_the_same_ones(trainer):
    net, taking = pools(trainer, loader(120, seed=2))
    first, second = taking.pools
    assert first.labels.bincount().tolist() == [16, 16, 16]
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.labels, second.labels)
    assert len(torch.unique(first.images.flatten(1), dim=0)) == 48
    assert first.note == ""
    torch.testing.assert_close(second.forward(second.images), net(second.images))


def test_of_many_classes_the_most_frequent_ones_and_it_is_said(trainer):
    labels = torch.cat((torch.arange(20).repeat(10), torch.arange(10, 18).repeat(20)))
    data = TensorDataset(images(len(labels), 12), labels % 3)
    data.targets = labels  # what is known of them without loading
    _, taking = pools(trainer, DataLoader(data, 20))
    found = taking.pools[0]
    assert len(found) == 96
    assert found.note == "the 8 most frequent of 20 classes"
    assert frequent(labels.numpy()) == [*range(10, 18)]


def test_the_rest_of_a_batch_goes_along(trainer):
    net, taking = pools(trainer, dicts(60), OnlyNet, dicts())
    found = taking.pools[-1]
    assert found.labels.bincount().tolist() == [16, 16, 16]
    torch.testing.assert_close(found.forward(found.images[5:9]), net.net(found.images[5:9]))


def test_items_are_read_where_only_that_tells_their_class(trainer):
    data = [(image, int(label)) for image, label in loader(30).dataset]
    _, taking = pools(trainer, DataLoader(data, 4))
    assert taking.pools[0].labels.bincount().tolist() == [10, 10, 10]


def test_nothing_is_drawn_and_no_loader_is_iterated(trainer):
    Counted.count = 0
    _, taking = pools(trainer, Counted(Noisy(), 20), train=Counted(loader().dataset, 4))
    assert all(same(before, after) for before, after in taking.streams)
    plain = Counted.count
    Counted.count = 0
    trainer([]).fit(Classifier(), Counted(loader().dataset, 4), Counted(Noisy(), 20))
    assert plain == Counted.count


class Stream(IterableDataset):
    def __iter__(self):
        yield from loader(12).dataset


def test_data_without_an_index_say_so(trainer):
    with pytest.raises(LookupError, match="the data have no index: a validation set whose items can be had by index is needed"):
        pools(trainer, DataLoader(Stream(), 4))
