"""Print measurements as tables and write them as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.harness.machine import machine
from benchmarks.harness.timing import Measurement

HEADER = ("benchmark", "metric", "value", "range", "target", "seconds", "baseline", "")


def table(measurements: Sequence[Measurement]) -> str:
    """Measurements as an aligned table without empty columns."""
    columns = zip(HEADER, *(_cells(row) for row in measurements), strict=True)
    cells = list(zip(*(column for column in columns if any(column[1:])), strict=True))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _cells(row: Measurement) -> tuple[str, ...]:
    target = "" if row.target is None else f"{'<' if row.at_most else '>='} {_number(row.target)}"
    if row.goal is not None:
        target += f" (goal {_number(row.goal)})"
    return (
        row.benchmark,
        row.metric,
        "" if row.value is None else f"{_number(row.value)} {row.unit}",
        "" if row.low is None else f"{_number(row.low)}-{_number(row.high)}",
        target,
        _time(row.seconds),
        _time(row.baseline_seconds),
        row.note,
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def _time(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s" if value >= 1 else f"{1000 * value:.3g} ms"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_json(path: Path | None, content: dict[str, Any]) -> None:
    """Write the content of a benchmark and the machine's description as JSON.

    Measurements are written as dictionaries. Without a path, nothing is written.
    """
    if path is not None:
        text = json.dumps({"machine": machine(), **content}, indent=1, default=asdict)
        path.write_text(text + "\n", encoding="utf-8")
