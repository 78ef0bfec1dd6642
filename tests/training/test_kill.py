"""Training processes that are killed and resumed reach the weights of an uninterrupted one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.killed_training import finish, kill_after, seconds_of, start

SCRIPT = """
import sys
from danq.training import ModelSettings, Recipe, RunSettings, train
train(
    sys.argv[1],
    out=sys.argv[2],
    model=ModelSettings(filters=24, width=11, pool=10, hidden=8, dense=(16,)),
    recipe=Recipe(epochs=8, batch_size=8),
    run=RunSettings(
        threads=1, device="cpu", precision="fp32", evaluate=False, checkpoint_steps=7
    ),
    resume=True,
)
"""


def kill_and_resume(planted_set, folder: Path, kills: int, seed: int) -> None:
    data = folder / "data.h5"
    planted_set.save(data)
    duration = seconds_of(SCRIPT, data, folder)
    expected = (folder / "whole" / "model.safetensors").read_bytes()
    rng = np.random.default_rng(seed)
    killed = 0
    for number in range(10 * kills):
        run = folder / f"run{number}"
        killed += kill_after(SCRIPT, data, run, rng.uniform(0, duration))
        finish(start(SCRIPT, data, run))
        assert (run / "model.safetensors").read_bytes() == expected, f"kill {number}"
        assert (run / "metrics.csv").read_bytes() == (folder / "whole/metrics.csv").read_bytes()
        if killed == kills:
            return
    raise AssertionError(f"only {killed} of {kills} kills came before the end of the training")


def test_killed_twice_and_resumed(planted_set, tmp_path):
    kill_and_resume(planted_set, tmp_path, kills=2, seed=0)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_and_resumed(planted_set, tmp_path):
    kill_and_resume(planted_set, tmp_path, kills=20, seed=1)
