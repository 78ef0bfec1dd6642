"""Trainings that tests kill; each runs a script that takes a dataset and a run directory."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path


def start(script: str, data: Path, run: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(data), str(run)],
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


def seconds_of(script: str, data: Path, folder: Path) -> float:
    """Seconds of the training in ``folder / "whole"``, from when its directory appears.

    Another training, which may compile kernels, runs first; measured with it, most kills would come
    too late.
    """
    finish(start(script, data, folder / "warm"))
    process = start(script, data, folder / "whole")
    wait_for(folder / "whole", process)
    started = time.monotonic()
    finish(process)
    return time.monotonic() - started


def kill_after(script: str, data: Path, run: Path, seconds: float) -> bool:
    """Start a training, kill it ``seconds`` after its run directory appeared; False if it ended."""
    process = start(script, data, run)
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
