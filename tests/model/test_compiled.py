"""The compiler's stance is put back, in whatever order it is given back."""

from contextlib import ExitStack

import pytest
import torch
import torch._dynamo
from modules import Classifier, loader
from nets import images

from lightning_vis.callbacks.probe import ProbeCallback
from lightning_vis.model.compiled import eagerly
from lightning_vis.probe.probe import Probe

HAS_STANCE = hasattr(torch.compiler, "set_stance")
with_stance = pytest.mark.skipif(not HAS_STANCE, reason="torch before 2.6 has no stance")


def stance():
    return torch._dynamo.eval_frame._stance.stance


@with_stance
def test_whoever_gives_it_back_last_puts_it_back():
    first, second = ExitStack(), ExitStack()
    first.enter_context(eagerly())
    second.enter_context(eagerly())
    first.close()
    assert stance() == "force_eager"
    second.close()
    assert stance() == "default"


@with_stance
def test_a_stance_of_the_users_is_put_back():
    with torch.compiler.set_stance("eager_on_recompile"):
        with eagerly(), eagerly():
            assert stance() == "force_eager"
        assert stance() == "eager_on_recompile"


@with_stance
def test_what_is_raised_inside_goes_on():
    with pytest.raises(KeyError), eagerly():
        raise KeyError
    assert stance() == "default"


@with_stance
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


class Compiled(Classifier):
    def __init__(self):
        super().__init__()
        self.net = torch.compile(self.net, backend="eager")


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_without_a_stance_nothing_compiled_is_watched_and_the_remedy_works(trainer, monkeypatch):
    """Torch 2.4 traced our mode, and left it on; what is compiled trains on, and is seen where images and task are given."""
    monkeypatch.delattr(torch.compiler, "set_stance", raising=False)
    unseen = ProbeCallback()
    with pytest.warns(UserWarning, match=r"something is compiled, .* pass probe=Probe\(images, labels\) and task="):
        trainer([unseen], max_epochs=1, num_sanity_val_steps=1).fit(Compiled(), loader(), loader(4))
    seen = ProbeCallback(Probe(images(4), [0, 1, 2, 0]), task="multiclass", exchange=False)
    trainer([seen], max_epochs=1, num_sanity_val_steps=1).fit(Compiled(), loader(), loader(4))
    assert (unseen.film.count, torch._C._len_torch_function_stack()) == (0, 0)
    assert len(seen.film.frames[-1].maps) == 3
