"""Trainings in folds that are killed and resumed write the files of an uninterrupted one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.killed_training import finish, kill_after, seconds_of, start
from tests.several_contigs import several_contigs
from tests.training.test_folds import deterministic

SCRIPT = """
import sys
from danq.training import Folds, ModelSettings, Recipe, RunSettings, train_folds
train_folds(
    Folds(sys.argv[1], 3, "chr2"),
    out=sys.argv[2],
    model=ModelSettings(filters=24, width=11, pool=10, hidden=8, dense=(16,)),
    recipe=Recipe(epochs=4, batch_size=8),
    run=RunSettings(threads=1, device="cpu", precision="fp32", checkpoint_steps=7, quiet=True),
    resume=True,
)
"""


def kill_and_resume(folder: Path, kills: int, seed: int) -> None:
    data = folder / "data.h5"
    several_contigs(5, 120).save(data)
    duration = seconds_of(SCRIPT, data, folder)
    expected = deterministic(folder / "whole")
    run, rng, killed = folder / "run", np.random.default_rng(seed), 0
    # All kills hit one training, which therefore is resumed from what each of them left.
    for number in range(kills):
        killed += kill_after(SCRIPT, data, run, rng.uniform(0, duration / kills * 1.5))
        if number == 0:
            assert killed == 1
    finish(start(SCRIPT, data, run))
    assert deterministic(run) == expected


def test_killed_three_times_and_resumed(tmp_path):
    kill_and_resume(tmp_path, kills=3, seed=0)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_and_resumed(tmp_path):
    kill_and_resume(tmp_path, kills=20, seed=1)
