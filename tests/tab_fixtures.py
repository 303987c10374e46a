"""What the tests of the page share: a browser, three runs, a TensorBoard that serves them."""

from __future__ import annotations

import numpy as np
import pytest
from tab_page import CHROMIUM, Tab, api
from tab_runs import film_of, frame_of, inputs_of, pictures_of, with_twins, write_run
from tab_server import tensorboard, wait_for_looks

from lightning_vis.frames import Frame


@pytest.fixture(scope="session")
def browser():
    assert CHROMIUM, "LIGHTNING_VIS_BROWSER asks for these tests, but there is no chromium"
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def logdir(tmp_path_factory):
    """Three runs of 12 looks; the second one's alert goes on at its sixth look, the third has twins and filters."""
    root = tmp_path_factory.mktemp("logs")
    write_run(root / "alpha", film_of(12, wrong=(1,)), inputs_of())
    alerted = [frame_of(10 * at, share=at / 11, seed=1, alert=1.0 if at >= 5 else 0.0) for at in range(12)]
    write_run(root / "beta", alerted, inputs_of())
    nobody = np.full(0, -1), np.full(0, np.nan, np.float32)
    found = {at: {"filters/conv1": pictures_of(8, value=20 * at)} for at in (0, 4, 11)}
    filters = [
        Frame("probe", *nobody, pictures=each, finished_steps=10 * at, log_step=10 * at - 1, moment="step")
        for at, each in found.items()
    ]
    write_run(root / "gamma", [*with_twins(film_of(12, seed=2)), *filters], inputs_of(twins=True))
    return root


@pytest.fixture(scope="session")
def server(logdir):
    with tensorboard(logdir) as address:
        for run in ("alpha", "beta", "gamma"):
            wait_for_looks(address, run, 12)
        yield address


@pytest.fixture(scope="session")
def page(browser, server):
    """One page of the three runs, for all tests that leave nothing behind but what a link replaces."""
    with Tab(browser, server) as tab:
        yield tab
