"""Training processes that are killed and resumed reach the weights of an uninterrupted one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

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


def start(data: Path, run: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(data), str(run)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


def wait_for(run: Path, process: subprocess.Popen) -> None:
    """Wait until the run directory exists; before that, the interpreter starts."""
    while not run.is_dir() and process.poll() is None:
        time.sleep(0.01)


def kill_after(data: Path, run: Path, seconds: float) -> bool:
    """Start a training, kill it ``seconds`` after its run directory appeared; False if it ended."""
    process = start(data, run)
    try:
        wait_for(run, process)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return process.wait() == -signal.SIGKILL
        return False
    finally:
        if process.stderr is not None:
            process.stderr.close()


def kill_and_resume(planted_set, folder: Path, kills: int, seed: int) -> None:
    data = folder / "data.h5"
    planted_set.save(data)
    # The first training may compile kernels; measured with it, most kills would come too late.
    finish(start(data, folder / "warm"))
    process = start(data, folder / "whole")
    wait_for(folder / "whole", process)
    started = time.monotonic()
    finish(process)
    duration = time.monotonic() - started
    expected = (folder / "whole" / "model.safetensors").read_bytes()
    rng = np.random.default_rng(seed)
    killed = 0
    for number in range(10 * kills):
        run = folder / f"run{number}"
        killed += kill_after(data, run, rng.uniform(0, duration))
        finish(start(data, run))
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
