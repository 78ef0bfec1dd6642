"""A process that ends together with all processes that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def run_alone(words: Sequence[str], folder: Path, timeout: float) -> int:
    """Run a command in a process group, which is killed afterwards, also after an interrupt.

    Parameters
    ----------
    words
        The command.
    folder
        Where it runs.
    timeout
        Seconds until it is killed.

    Returns
    -------
    Its exit status.

    Raises
    ------
    subprocess.TimeoutExpired
        When it was killed.
    """
    with subprocess.Popen(words, cwd=folder, start_new_session=True) as process:
        try:
            return process.wait(timeout)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
