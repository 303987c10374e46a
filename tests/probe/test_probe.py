"""The probe: what it takes, and what tells it apart."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from nets import images

from lightning_vis.probe.probe import Probe

# --- from tensors -----------------------------------------------------------------------------------------------------


def test_images_are_kept_as_a_copy():
    given = images(2)
    probe = Probe(given, labels=np.array([1, 0]))
    given.zero_()
    assert probe.images.abs().sum() > 0
    assert probe.labels.tolist() == [1, 0]
    assert len(probe) == 2


def test_soft_labels_count_for_the_class_they_favour():
    assert Probe(images(2), torch.tensor([[0.1, 0.9], [0.6, 0.4]])).labels.tolist() == [1, 0]


# --- what tells probes apart ------------------------------------------------------------------------------------------


def test_the_fingerprint_is_of_images_and_labels():
    given = images(2)
    known = Probe(given, labels=[0, 1]).fingerprint
    assert Probe(given.clone(), labels=[0, 1], name="other", class_names=["a", "b"]).fingerprint == known
    other = given.clone()
    other[1, 2, 3, 4] += 1e-6
    assert (
        len(
            {
                known,
                *(each.fingerprint for each in (Probe(other, labels=[0, 1]), Probe(given, labels=[1, 0]), Probe(given))),
            }
        )
        == 4
    )


def test_probes_pickle_and_copy():
    probe = Probe(images(2), labels=[0, 1], window=(0, 2))
    again = pickle.loads(pickle.dumps(probe))
    assert again.fingerprint == probe.fingerprint
    assert again.inputs().note == "window 0, 2"


def test_of_several_labels_nobody_knows_which_one_the_mask_shows_and_one_for_each_image_makes_twins():
    masks, plates = torch.zeros(4, 8, 8), {kind: torch.rand(2, 3, 8, 8) for kind in ("leaves", "stones")}
    masks[:, 2:6, 2:6] = 1
    several = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]])
    with pytest.raises(ValueError, match="need labels=, one for each image, that of the object in its mask"):
        Probe(torch.rand(4, 3, 8, 8), several, masks, backgrounds=plates)
    several[0, 0] = 0
    assert Probe(torch.rand(4, 3, 8, 8), several, masks, backgrounds=plates).twins is not None
