"""Processor, cores, threads and versions of this machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

import danq


def machine() -> dict[str, Any]:
    """Description of this machine for the JSON output."""
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "processor": _cpuinfo("model name") or platform.processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "numba_threads": numba.get_num_threads(),
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "bf16_instructions": sorted({*_cpuinfo("flags").split()} & {"avx512_bf16", "amx_bf16"}),
        "system": platform.platform(),
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "versions": {
            "danq": danq.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numba": numba.__version__,
            "numpy": np.__version__,
        },
    }


def _cpuinfo(key: str) -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    values = (line.partition(":")[2] for line in text.splitlines() if line.startswith(key))
    return next(values, "").strip()
