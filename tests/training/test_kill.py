"""Training processes killed with SIGKILL and resumed end with the weights of one left alone."""

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
from danq.training import train
train(
    sys.argv[1],
    out=sys.argv[2],
    model_changes={"filters": 24, "width": 11, "pool": 10, "hidden": 8, "dense": (16,)},
    recipe_changes={"epochs": 8, "batch_size": 8},
    threads=1,
    device="cpu",
    precision="fp32",
    resume=True,
    evaluate=False,
    checkpoint_steps=7,
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
    """Until the training has its run folder: what comes before is the interpreter's start."""
    while not run.is_dir() and process.poll() is None:
        time.sleep(0.01)


def kill_after(data: Path, run: Path, seconds: float) -> bool:
    """Start a training, kill it so long after its run folder appeared; False if it was done."""
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
    # The first training may compile kernels, which would make most kills come too late.
    finish(start(data, folder / "warm"))
    process = start(data, folder / "whole")
    wait_for(folder / "whole", process)
    begun = time.monotonic()
    finish(process)
    duration = time.monotonic() - begun
    wanted = (folder / "whole" / "model.safetensors").read_bytes()
    rng = np.random.default_rng(seed)
    killed = 0
    for number in range(10 * kills):
        run = folder / f"run{number}"
        killed += kill_after(data, run, rng.uniform(0, duration))
        finish(start(data, run))
        assert (run / "model.safetensors").read_bytes() == wanted, f"kill {number}"
        assert (run / "metrics.csv").read_bytes() == (folder / "whole/metrics.csv").read_bytes()
        if killed == kills:
            return
    raise AssertionError(f"only {killed} of {kills} kills came before the end of the training")


def test_killed_twice_and_resumed(planted_set, tmp_path):
    kill_and_resume(planted_set, tmp_path, kills=2, seed=0)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_and_resumed(planted_set, tmp_path):
    kill_and_resume(planted_set, tmp_path, kills=20, seed=1)
