"""Time calls alternately and summarise the times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.harness.subprocess_call import SubprocessCall


@dataclass
class Measurement:
    """One measured value.

    Attributes
    ----------
    metric
        What was measured.
    value, unit
        The value: a ratio of times where the unit is "x", a percentage where it is "%".
    low, high
        Smallest and largest value over the repeats.
    seconds, baseline_seconds
        Median time of danq and of what it is compared with.
    target, goal
        Required and desired value; with ``at_most`` smaller values are better.
    note
        Why there is no value, or a limitation of the comparison.
    details
        Further values for the JSON file.
    benchmark
        Name of the benchmark.
    """

    metric: str
    value: float | None = None
    unit: str = "x"
    low: float | None = None
    high: float | None = None
    seconds: float | None = None
    baseline_seconds: float | None = None
    target: float | None = None
    goal: float | None = None
    at_most: bool = False
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    benchmark: str = ""


def time_alternately(
    calls: Mapping[str, Callable[[], Any]], repeats: int, *, warm_up: bool = True
) -> dict[str, list[float]]:
    """Seconds of each call in each repeat.

    A repeat makes every call once, in an order that is reversed from repeat to repeat. A
    temporary slowdown of the machine then affects all calls of a repeat, and their ratios remain
    valid. Subprocesses are closed at the end.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(-warm_up, repeats):
        for name in list(calls)[:: -1 if repeat % 2 else 1]:
            start = time.perf_counter()
            calls[name]()
            if repeat >= 0:
                seconds[name].append(time.perf_counter() - start)
    for call in calls.values():
        if isinstance(call, SubprocessCall):
            call.close()
    return seconds


def summarise(metric: str, values: Sequence[float], unit: str, **more: Any) -> Measurement:
    """Median and range of one value per repeat."""
    median = statistics.median(values)
    return Measurement(metric, median, unit, low=min(values), high=max(values), **more)


def speedup(
    metric: str, baseline: Sequence[float], seconds: Sequence[float], **more: Any
) -> Measurement:
    """Ratio of the baseline's time to danq's in each repeat: median and range."""
    ratios = [a / b for a, b in zip(baseline, seconds, strict=True)]
    row = summarise(metric, ratios, "x", **more)
    row.seconds, row.baseline_seconds = map(statistics.median, (seconds, baseline))
    return row
