"""Time calls in turn, and hold, print and store what came out."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.subprocess_call import Apart

Call = Callable[[], Any]


@dataclass
class Row:
    """One figure of a benchmark.

    Attributes
    ----------
    part, name
        Which benchmark, and which of its figures.
    value, unit
        The figure: "x" a ratio of times, "%" a share, else as the unit says.
    low, high
        Its least and largest value over the rounds, where there are rounds.
    ours, theirs
        Median seconds of danq and of what it is compared with, where there are two.
    target, goal
        What it must reach, and what is hoped for; ``at_most`` says that less is better.
    note
        Why there is no figure, or what the comparison leaves out.
    details
        Whatever else the benchmark measured, for the JSON file.
    """

    part: str
    name: str
    value: float | None = None
    unit: str = "x"
    low: float | None = None
    high: float | None = None
    ours: float | None = None
    theirs: float | None = None
    target: float | None = None
    goal: float | None = None
    at_most: bool = False
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def alternate(calls: Mapping[str, Call], rounds: int, warm: int = 1) -> dict[str, list[float]]:
    """Seconds of each call in each round; every round runs each call once, in turn.

    What slows the machine for a while slows all calls of a round, so ratios within a round hold
    where times do not. Every other round runs backwards. Calls that are apart are closed.
    """
    for _ in range(warm):
        for call in calls.values():
            call()
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        names = list(calls) if number % 2 == 0 else list(calls)[::-1]
        for name in names:
            begun = time.perf_counter()
            calls[name]()
            spent[name].append(time.perf_counter() - begun)
    for call in calls.values():
        if isinstance(call, Apart):
            call.close()
    return spent


def compare(
    part: str, name: str, theirs: Sequence[float], ours: Sequence[float], **more: Any
) -> Row:
    """How many times as fast ours is: the median of the rounds' ratios, and their spread."""
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    return Row(
        part,
        name,
        value=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        ours=statistics.median(ours),
        theirs=statistics.median(theirs),
        **more,
    )


def share(part: str, name: str, limit: Sequence[float], ours: Sequence[float], **more: Any) -> Row:
    """Per cent of a limit's speed that ours reaches: ``compare``, times 100."""
    row = compare(part, name, limit, ours, unit="%", **more)
    assert row.value is not None
    assert row.low is not None
    assert row.high is not None
    row.value, row.low, row.high = 100 * row.value, 100 * row.low, 100 * row.high
    return row


def skipped(part: str, name: str, why: str) -> Row:
    """A row without a figure."""
    return Row(part, name, note=f"skipped: {why}")


def peak_bytes(call: Call) -> tuple[Any, int | None]:
    """What a call returns, and by how many bytes it made this process grow at most.

    Linux keeps the process's peak and lets it be reset; elsewhere the second part is None.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
    except OSError:
        return call(), None
    result = call()
    return result, max(0, _status("VmHWM") - before)


def _status(field_name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field_name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {field_name} in /proc/self/status")


def machine() -> dict[str, Any]:
    """Processor, cores, threads and versions of this run."""
    import numba
    import numpy as np
    import torch

    import danq

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "numba_threads": numba.get_num_threads(),
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "bf16_instructions": sorted(_flags() & {"avx512_bf16", "amx_bf16"}),
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
    found = (line.partition(":")[2] for line in text.splitlines() if line.startswith(key))
    return next(found, "").strip()


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor()


def _flags() -> set[str]:
    return set(_cpuinfo("flags").split())


def show(rows: Sequence[Row]) -> str:
    """The rows as one table of text."""
    head = ("part", "figure", "value", "spread", "asked", "ours", "theirs", "")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    def figure(value: float | None) -> str:
        return "" if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"

    def seconds(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.3g} ms"

    value = "" if row.value is None else f"{figure(row.value)} {row.unit}"
    spread = "" if row.low is None else f"{figure(row.low)}-{figure(row.high)}"
    asked = "" if row.target is None else f"{'<' if row.at_most else '>='} {figure(row.target)}"
    if row.goal is not None:
        asked += f" (goal {figure(row.goal)})"
    return (
        row.part,
        row.name,
        value,
        spread,
        asked,
        seconds(row.ours),
        seconds(row.theirs),
        row.note,
    )


def write(path: Path, rows: Sequence[Row], **more: Any) -> None:
    """Write rows and whatever else belongs to the run as JSON."""
    told = {**more, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
