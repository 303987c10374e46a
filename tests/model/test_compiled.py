"""The compiler's stance is put back, in whatever order it is given back."""

from contextlib import ExitStack

import pytest
import torch
import torch._dynamo
from modules import Classifier, loader

from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.model.compiled import eagerly
from lightning_vis.probe.probe import Probe

pytestmark = pytest.mark.skipif(not hasattr(torch.compiler, "set_stance"), reason="torch before 2.6 has no stance")


def stance():
    return torch._dynamo.eval_frame._stance.stance


def test_whoever_gives_it_back_last_puts_it_back():
    first, second = ExitStack(), ExitStack()
    first.enter_context(eagerly())
    second.enter_context(eagerly())
    first.close()
    assert stance() == "force_eager"
    second.close()
    assert stance() == "default"


def test_a_stance_of_the_users_is_put_back():
    with torch.compiler.set_stance("eager_on_recompile"):
        with eagerly(), eagerly():
            assert stance() == "force_eager"
        assert stance() == "eager_on_recompile"


def test_what_is_raised_inside_goes_on():
    with pytest.raises(KeyError), eagerly():
        raise KeyError
    assert stance() == "default"


def test_callbacks_that_ask_differently_leave_the_compiler_as_it_was(trainer, probe):
    seen = []

    class Asks(Classifier):
        def on_train_start(self):
            seen.append(stance())

    others = Probe(probe.images, probe.labels, name="others")
    callbacks = [ProbeCallback(probe, task="multiclass"), ProbeCallback(others)]
    trainer(callbacks, num_sanity_val_steps=1).fit(Asks(), loader(), loader())
    assert (seen, stance()) == (["default"], "default")
    assert all(each.film.frames for each in callbacks)
