"""The table of `docs/vision.md`, from what `danq vision bench --out` wrote.

    for task in direction gait; do danq vision bench $task --threads 1 --out bench/$task.json; done
    python -m benchmarks.vision bench/*.json

One line a task: the main figure of the task's first system, then of its other systems and of the
baselines, each target with whether it was met, and the seconds that all systems of all seeds took.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from danq.errors import InputError
from danq.vision import TASKS
from danq.vision.benchmark import Row, TaskReport

HEAD = ("task", "figure", "first system", "others and baselines", "target", "parameters", "seconds")


def read(paths: Sequence[Path]) -> list[TaskReport]:
    """Reports of all files, in the order in which `danq vision list` names the tasks.

    Raises
    ------
    InputError
        When a file is not of `danq vision bench`, or of its quick form.
    """
    reports = []
    for path in paths:
        try:
            tasks = json.loads(path.read_text(encoding="utf-8"))["tasks"]
            for task in tasks:
                rows = [Row(**row) for row in task.pop("rows")]
                reports.append(TaskReport(rows=rows, **task))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"not a file of danq vision bench: {error}", file=path) from error
        if reports and reports[-1].quick:
            raise InputError("figures of the quick form mean nothing", file=path)
    return sorted(reports, key=lambda report: list(TASKS).index(report.task))


def line(report: TaskReport) -> str:
    """A task's line of the table."""
    figure = report.shown[0]
    first, *others = report.rows
    told = [
        f"{row.name} {row.shown(figure).split(' ± ')[0]}" for row in others if row.shown(figure)
    ]
    targets = [f"{text}: **{'met' if met else 'not met'}**" for text, met in report.targets]
    cells = [
        report.task,
        figure,
        f"{first.name} {first.shown(figure)}",
        "; ".join(told),
        "; ".join(targets),
        f"{first.parameters:,}",
        f"{sum(sum(row.seconds) for row in report.rows):.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def table(reports: Sequence[TaskReport]) -> str:
    """All lines below a head."""
    return "\n".join(
        [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD), *(line(one) for one in reports)]
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.json")
    print(table(read(parser.parse_args().files)))


if __name__ == "__main__":
    main()
