"""Scenarios once more, with the callback that maximizes filters."""

from __future__ import annotations

from dataclasses import replace

import pytorch_lightning as pl

from lightning_vis import FilterMaximizationCallback, ProbeCallback

from .scenario import SCENARIOS, probe

AGAIN = (
    "plain",
    "no_validation",
    "manual_accumulation_across_epochs",
    "partly_eval_by_hand",
    "frozen_all_but_the_head",
    "draws_random_numbers_in_eval",
    "counts_and_remembers_in_eval",
    "logs_and_metrics_in_forward",
    "memory_bank_replaces_its_buffer",
    "shrinks_its_weights_in_forward",
    "spectral_norm",
    "hooks_of_the_users_own",
    "submodule_compiled_in_place",
    "bf16_true",
    "ema_behind_ours",
    "resume",
)


def with_filters() -> list[pl.Callback]:
    """Two steps of ascent, to be quick."""
    shared = probe()
    filters = FilterMaximizationCallback(["net.4"], 2, shared, steps=2)
    return [ProbeCallback(shared, images=False), filters]


for _name in AGAIN:
    _act = SCENARIOS[_name]
    SCENARIOS[f"{_name}_with_filters"] = replace(_act, theme="filters", callbacks=with_filters, views=3)
