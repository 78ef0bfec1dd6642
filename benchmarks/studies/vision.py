"""The table of `docs/vision.md`, from what `danq vision bench --out` wrote.

    for seed in 0 1 2; do
        danq vision bench gait --seeds 1 --seed $seed --threads 1 --out bench/gait$seed.json
    done
    python -m benchmarks.studies.vision bench/*.json

One line a task: the main metric of the task's first model, then of its other models and of the
baselines, each target with whether it was met, and the seconds that all models of one seed took.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from danq.errors import InputError
from danq.vision import TASKS
from danq.vision.benchmark import Row, TaskReport, report_on
from danq.vision.task_registry import load_task

HEAD = (
    "task",
    "metric",
    "first model",
    "others and baselines",
    "target",
    "parameters",
    "seconds a seed",
    "seeds",
)


def read(paths: Sequence[Path]) -> list[TaskReport]:
    """Reports of all files, one a task, in the order in which `danq vision list` names the tasks.

    Raises
    ------
    InputError
        When a file is not of `danq vision bench`, is of its quick form, or repeats a seed.
    """
    found: dict[str, TaskReport] = {}
    for path in paths:
        for report in _reports(path):
            if report.quick:
                raise InputError("metrics of the quick form mean nothing", file=path)
            known = found.setdefault(report.task, report)
            if known is not report:
                if set(known.seeds) & set(report.seeds):
                    raise InputError(f"a seed of {report.task} that was read before", file=path)
                found[report.task] = _joined(known, report)
    return [found[task] for task in TASKS if task in found]


def _reports(path: Path) -> list[TaskReport]:
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))["tasks"]
        return [TaskReport(rows=[Row(**row) for row in task.pop("rows")], **task) for task in tasks]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"not a file of danq vision bench: {error}", file=path) from error


def _joined(one: TaskReport, other: TaskReport) -> TaskReport:
    rows = [
        replace(
            a,
            metrics=a.metrics + b.metrics,
            seconds=a.seconds + b.seconds,
            losses=a.losses + b.losses,
        )
        for a, b in zip(one.rows, other.rows, strict=True)
    ]
    return report_on(load_task(one.task), rows, False, [*one.seeds, *other.seeds])


def line(report: TaskReport) -> str:
    """A task's line of the table."""
    metric = report.reported_metrics[0]
    first, *others = report.rows
    means = {row.name: row.mean_and_deviation(metric).split(" ± ")[0] for row in others}
    targets = [f"{text}: **{'met' if met else 'not met'}**" for text, met in report.targets]
    cells = [
        report.task,
        metric,
        f"{first.name} {first.mean_and_deviation(metric)}",
        "; ".join(f"{name} {mean}" for name, mean in means.items() if mean),
        "; ".join(targets),
        f"{first.parameters:,}",
        f"{sum(sum(row.seconds) for row in report.rows) / len(report.seeds):.0f}",
        str(len(report.seeds)),
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
