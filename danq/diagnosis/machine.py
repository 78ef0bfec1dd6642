"""CPU and memory that the process may use, and the limits of its container or batch job."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from danq.device import cpu_flags, resolve_threads
from danq.diagnosis.report import Finding, Machine

FEATURES = {
    "avx2": "AVX2",
    "fma": "FMA",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX-BF16",
    "asimd": "NEON",
    "sve": "SVE",
}
"""Flags of /proc/cpuinfo, and the name of the instructions."""

_UNLIMITED = 1 << 60
"""Bytes above which a limit of cgroup version 1 means that there is none."""

SETTINGS = {
    "NUMBA_DISABLE_JIT": "kernels run as Python code, hundreds of times slower",
    "PYTHONDONTWRITEBYTECODE": "Python compiles all modules at each start",
    "CUDA_LAUNCH_BLOCKING": "the CPU waits for each kernel of the GPU",
    "TRITON_INTERPRET": "GPU kernels run as Python code",
}
"""Environment variables that make danq slower while they are set, and why."""


def read_machine(root: Path = Path("/")) -> Machine:
    """What the machine has, and what the process may use of it.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.
    """
    flags = cpu_flags()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return Machine(
        platform.platform(),
        _model(root) or platform.processor() or platform.machine(),
        tuple(name for flag, name in FEATURES.items() if flag in flags),
        resolve_threads(),
        _cpu_limit(root),
        load,
        _memory(root),
        _memory_limit(root),
    )


def machine_findings(machine: Machine) -> Iterator[Finding]:
    """What makes the CPU slower than it could be."""
    limit = machine.cpu_limit
    if limit is not None and limit < machine.cores:
        whole = max(1, math.floor(limit))
        yield Finding(
            "slow",
            f"this container or batch job may use {limit:g} CPUs, but a run starts "
            f"{machine.cores} threads, which wait for each other",
            f"Set the number of threads to {whole}, or raise the limit",
        )
    if machine.load is not None and machine.load > machine.cores + 1:
        yield Finding(
            "slow",
            f"{machine.load:.0f} programs compute on {machine.cores} cores",
            "Run danq when other programs have ended",
        )
    if "AVX2" not in machine.features and platform.machine() in ("x86_64", "AMD64"):
        yield Finding("slow", "the CPU has no AVX2 instructions", "Use another machine")
    for name, effect in SETTINGS.items():
        if os.environ.get(name, "") not in ("", "0"):
            problem = f"the environment variable {name} is set: {effect}"
            yield Finding("slow", problem, f"Unset {name}")
    numba = os.environ.get("NUMBA_NUM_THREADS", "")
    if numba.isdecimal() and 0 < int(numba) < machine.cores:
        yield Finding(
            "slow",
            f"the environment variable NUMBA_NUM_THREADS is {numba}, so kernels use {numba} of "
            f"{machine.cores} cores",
            "Unset NUMBA_NUM_THREADS",
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _model(root: Path) -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", _text(root / "proc/cpuinfo"), re.MULTILINE)
    return match[1].strip() if match else ""


def _memory(root: Path) -> int | None:
    match = re.search(r"^MemTotal:\s*(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Control groups of the process and those that contain them, of both versions of cgroup."""
    mounts = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0":
            bases = [mounts]
        elif controller in names.split(","):
            bases = [mounts / controller, mounts / names]
        else:
            continue
        own = Path(path.strip("/"))
        # A container sees its own group at the root, under the path of the host.
        yield from (base / part for base in bases for part in (own, *own.parents))


def _cpu_limit(root: Path) -> float | None:
    """Smallest limit of CPU time, as a number of CPUs."""
    limits = []
    for group in _groups(root, "cpu"):
        words = _text(group / "cpu.max").split()
        if not words:
            words = [_text(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        if len(words) == 2 and all(one.isdecimal() and int(one) for one in words):
            limits.append(int(words[0]) / int(words[1]))
    return min(limits, default=None)


def _memory_limit(root: Path) -> int | None:
    """Smallest limit of memory in bytes."""
    limits = []
    for group in _groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _text(group / name).strip()
            if text.isdecimal() and int(text) < _UNLIMITED:
                limits.append(int(text))
    return min(limits, default=None)
