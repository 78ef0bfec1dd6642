"""What started a process, torchrun or a SLURM job, by a mark that all its attempts share."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping


def launch_marks(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Marks of the SLURM job and the torchrun that started this process, where there are any."""
    found = []
    if "SLURM_JOB_ID" in environment:
        found.append(f"SLURM {environment['SLURM_JOB_ID']}")
    if "TORCHELASTIC_RUN_ID" in environment:
        mark = f"torchrun {environment['TORCHELASTIC_RUN_ID']}"
        if environment.get("GROUP_WORLD_SIZE", "1") == "1":
            # On one node, the name need not be unique. The parent is torchrun.
            mark += f" {socket.gethostname()} {os.getppid()}"
        found.append(mark)
    return [hashlib.sha256(mark.encode()).hexdigest()[:16] for mark in found]


def was_restarted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun or SLURM started this process again after an earlier attempt."""
    counts = (
        environment.get(name, "0") for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
    )
    return any(count.isdecimal() and int(count) > 0 for count in counts)
