"""Print the table of `docs/vision.md` from the files of `danq vision bench --out`.

    for seed in 0 1 2; do
        danq vision bench gait --seeds 1 --seed $seed --threads 1 --out bench/gait$seed.json
    done
    python -m benchmarks.studies.vision bench/*.json

A task is one row: the main metric of its first model, the same metric of its other models and
baselines, each target and whether it is met, and the seconds of all models per seed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table
from danq.errors import InputError
from danq.vision import TASKS
from danq.vision.benchmark import Row, TaskReport, report_on
from danq.vision.task_registry import load_task

HEADER = (
    "task",
    "metric",
    "first model",
    "others and baselines",
    "target",
    "parameters",
    "seconds per seed",
    "seeds",
)


def read(paths: Sequence[Path]) -> list[TaskReport]:
    """Reports of all files, one per task, in the order of `danq vision list`.

    Raises
    ------
    InputError
        When a file is not from `danq vision bench`, is in its quick form, or repeats a seed.
    """
    found: dict[str, TaskReport] = {}
    for path in paths:
        for report in _reports(path):
            if report.quick:
                raise InputError(
                    "holds metrics of the quick form, which have no meaning", file=path
                )
            known = found.setdefault(report.task, report)
            if known is not report:
                for seed in set(known.seeds) & set(report.seeds):
                    raise InputError(f"repeats seed {seed} of task {report.task}", file=path)
                found[report.task] = _joined(known, report)
    return [found[task] for task in TASKS if task in found]


def _reports(path: Path) -> list[TaskReport]:
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))["tasks"]
        return [TaskReport(rows=[Row(**row) for row in task.pop("rows")], **task) for task in tasks]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"is not a file of danq vision bench: {error}", file=path) from error


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


def row(report: TaskReport) -> list[str]:
    """Cells of a task's row."""
    metric = report.reported_metrics[0]
    first, *others = report.rows
    means = {one.name: one.mean_and_deviation(metric).split(" ± ")[0] for one in others}
    targets = [f"{text}: **{'met' if met else 'not met'}**" for text, met in report.targets]
    return [
        report.task,
        metric,
        f"{first.name} {first.mean_and_deviation(metric)}",
        "; ".join(f"{name} {mean}" for name, mean in means.items() if mean),
        "; ".join(targets),
        f"{first.parameters:,}",
        f"{sum(sum(one.seconds) for one in report.rows) / len(report.seeds):.0f}",
        str(len(report.seeds)),
    ]


def table(reports: Sequence[TaskReport]) -> str:
    """The Markdown table of some tasks."""
    return markdown_table(HEADER, [row(report) for report in reports])


def main() -> None:
    """Print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.json")
    print(table(read(parser.parse_args().files)))


if __name__ == "__main__":
    main()
