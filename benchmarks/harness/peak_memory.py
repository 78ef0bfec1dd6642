"""Peak memory of a call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


def peak_bytes(call: Callable[[], Result]) -> tuple[Result, int | None]:
    """Result of a call, and the largest growth of this process's memory during it.

    The growth is None where the system does not allow to reset the peak (other than Linux).
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
    except OSError:
        return call(), None
    result = call()
    return result, max(0, _status("VmHWM") - before)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field} in /proc/self/status")
