"""Print the table of `docs/vision.md` from the files of `danq vision bench --out`.

    for seed in 0 1 2; do
        danq vision bench gait --seeds 1 --seed $seed --threads 1 --out bench/gait$seed.json
    done
    python -m benchmarks.studies.vision bench/*.json

A task is one row: its data (real or made), the main metric of its first model, the same metric of
its other models and baselines, each target with its margin over the seeds, and the seconds of all
models per seed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table
from danq.errors import InputError
from danq.vision import TASKS
from danq.vision.benchmark import Row, TaskReport, report_on
from danq.vision.task_registry import load_task

HEADER = (
    "task",
    "data",
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

    The rows of a task may come from several files; a report has the seeds that all rows have.

    Raises
    ------
    InputError
        When a file is not from `danq vision bench`, is in its quick form, or repeats a seed.
    """
    found: dict[str, dict[str, Row]] = {}
    seeds: dict[tuple[str, str], list[int]] = {}
    for path in paths:
        for content in _contents(path):
            if content["quick"]:
                raise InputError(
                    "holds metrics of the quick form, which have no meaning", file=path
                )
            rows = found.setdefault(content["task"], {})
            for one in content["rows"]:
                known = seeds.setdefault((content["task"], one.name), [])
                for seed in set(known) & set(content["seeds"]):
                    raise InputError(
                        f"repeats seed {seed} of {content['task']}, {one.name}", file=path
                    )
                known += content["seeds"]
                rows[one.name] = _joined(rows[one.name], one) if one.name in rows else one
    return [
        _report(task, found[task], {name: seeds[task, name] for name in found[task]})
        for task in TASKS
        if task in found
    ]


def _contents(path: Path) -> list[dict[str, Any]]:
    """Name, seeds and rows of the tasks of a file."""
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))["tasks"]
        return [
            {key: task[key] for key in ("task", "quick", "seeds")}
            | {"rows": [Row(**row) for row in task["rows"]]}
            for task in tasks
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"is not a file of danq vision bench: {error}", file=path) from error


def _joined(a: Row, b: Row) -> Row:
    return replace(
        a,
        metrics=a.metrics + b.metrics,
        seconds=a.seconds + b.seconds,
        losses=a.losses + b.losses,
    )


def _report(name: str, rows: Mapping[str, Row], seeds: Mapping[str, list[int]]) -> TaskReport:
    """The report of a task; models are in the order of the task, before the baselines."""
    task = load_task(name)
    models = [model.name for model in task.models]
    shared = sorted(set.intersection(*map(set, seeds.values())))
    ordered = [one for one in models if one in rows] + [one for one in rows if one not in models]
    kept = []
    for one in ordered:
        numbers = [seeds[one].index(seed) for seed in shared]
        row = rows[one]
        kept.append(
            replace(
                row,
                metrics=[row.metrics[n] for n in numbers],
                seconds=[row.seconds[n] for n in numbers],
                losses=[row.losses[n] for n in numbers] if row.losses else [],
            )
        )
    return report_on(task, kept, False, shared)


def row(report: TaskReport) -> list[str]:
    """Cells of a task's row."""
    metric = report.reported_metrics[0]
    first, *others = report.rows
    means = {one.name: one.mean_and_deviation(metric).split(" ± ")[0] for one in others}
    targets = [f"{target.text}: {_marked(target.result())}" for target in report.targets]
    return [
        report.task,
        load_task(report.task).data_source,
        metric,
        f"{first.name} {first.mean_and_deviation(metric)}",
        "; ".join(f"{name} {mean}" for name, mean in means.items() if mean),
        "; ".join(targets),
        f"{first.parameters:,}",
        f"{sum(sum(one.seconds) for one in report.rows) / len(report.seeds):.0f}",
        str(len(report.seeds)),
    ]


def _marked(result: str) -> str:
    """The verdict in bold, and the margin after it."""
    verdict, bracket, margin = result.partition(" (")
    return f"**{verdict}**{bracket}{margin}"


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
