"""Metrics of a task's models and baselines over several random seeds."""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from danq._version import __version__
from danq.errors import InputError
from danq.notebook_display import Display, display_html, display_text
from danq.output import check_target, replacing
from danq.progress import Stage, stage
from danq.training.config import RunSettings
from danq.training.problem import Metrics
from danq.vision.task import Task
from danq.vision.task_registry import load_tasks
from danq.vision.training_run import train

FORMAT_VERSION = 3
"""Version of the JSON file of `write_reports`."""


@dataclass
class Row:
    """A model or baseline of a task.

    Attributes
    ----------
    name
        Its name.
    metrics
        Metrics on the test split, one dictionary per seed.
    seconds
        Processor time of training and evaluation, one value per seed.
    parameters
        Number of trained values; 0 for a baseline.
    losses
        Loss of some training examples before and after training, one pair per seed.
    control
        Whether it is a negative control, whose loss need not decrease.
    """

    name: str
    metrics: list[Metrics]
    seconds: list[float]
    parameters: int = 0
    losses: list[tuple[float, float]] = field(default_factory=list)
    control: bool = False

    @property
    def learned(self) -> bool:
        """Whether the loss decreased with every seed; for a control, whether it is finite."""
        if self.control:
            return all(math.isfinite(after) for _, after in self.losses)
        return all(after < before for before, after in self.losses)

    def over_seeds(self, metric: str) -> list[float]:
        """Values of a metric, one per seed."""
        return [metrics[metric] for metrics in self.metrics]

    def mean_and_deviation(self, metric: str) -> str:
        """Mean and sample standard deviation over the seeds as text; empty without the metric."""
        if metric not in self.metrics[0]:
            return ""
        values = self.over_seeds(metric)
        spread = f" ± {_short(statistics.stdev(values))}" if len(values) > 1 else ""
        return _short(statistics.fmean(values)) + spread


@dataclass
class TargetResult:
    """Margins of a target over the seeds.

    Attributes
    ----------
    text
        The target.
    margins
        By how much each seed exceeds it; empty in the quick form.
    met
        Whether the mean margin is more than its standard error above 0. None in the quick form,
        and with one seed, which has no standard error.
    """

    text: str
    margins: list[float]
    met: bool | None

    def result(self) -> str:
        """Whether it is met, with the mean margin and its standard error."""
        if not self.margins:
            return "not evaluated in the quick form"
        mean, error = mean_and_error(self.margins)
        if error is None:
            return f"needs two seeds ({_signed(mean)} with one)"
        return f"{'met' if self.met else 'not met'} ({_signed(mean)} ± {_short(error)})"


@dataclass
class TaskReport:
    """Rows of a task over some seeds, and its targets."""

    task: str
    about: str
    reported_metrics: tuple[str, ...]
    rows: list[Row]
    targets: list[TargetResult]
    quick: bool
    seeds: list[int]

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        return Display(f"{self.task}: {self.about}", self.text().partition("\n")[2])

    @property
    def failed(self) -> list[Row]:
        """Models whose loss did not decrease."""
        return [row for row in self.rows if not row.learned]

    def text(self) -> str:
        """The report as a table for a person to read."""
        head = ["", *self.reported_metrics, "parameters", "seconds"]
        body = [
            [
                row.name,
                *(row.mean_and_deviation(metric) for metric in self.reported_metrics),
                f"{row.parameters:,}" if row.parameters else "",
                f"{statistics.fmean(row.seconds):.1f}",
            ]
            for row in self.rows
        ]
        widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
        lines = [f"{self.task}: {self.about}"]
        for line in [head, *body]:
            cells = [line[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
            lines.append("  " + "  ".join(cells).rstrip())
        lines += [f"  target: {target.text}: {target.result()}" for target in self.targets]
        lines += [f"  {row.name}: did NOT learn, its loss did not decrease" for row in self.failed]
        return "\n".join(lines) + "\n"


def bench(
    tasks: Iterable[str] = (),
    *,
    seeds: int | None = None,
    seed: int = 0,
    quick: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> Iterator[TaskReport]:
    """Train every model of the tasks and evaluate it and the baselines.

    Parameters
    ----------
    tasks
        Names; all tasks if there are none.
    seeds, seed
        Number of random seeds (None: 3, or 1 with ``quick``), and the first one. Each seed gives
        other examples, initial weights and batches.
    quick
        Few examples and epochs, as a test; targets are not evaluated.
    device, threads
        As `danq.device` resolves them.

    Returns
    -------
    An iterator over the reports. A task's models are trained when its report is requested.

    Raises
    ------
    InputError
        When no task has that name, or ``seeds`` is not above 0.
    """
    count = (1 if quick else 3) if seeds is None else seeds
    if count < 1:
        raise InputError(f"seeds is {count}, not above 0")
    return (
        _bench_task(task, range(seed, seed + count), quick, device, threads)
        for task in load_tasks(tasks)
    )


def write_reports(
    path: str | Path, reports: Iterable[TaskReport], *, overwrite: bool = False
) -> list[TaskReport]:
    """Write the metrics of all seeds as JSON, and return the reports.

    The file is checked before the first report of an iterator is computed.

    Raises
    ------
    InputError
        When the file exists and ``overwrite`` is not set, or cannot be written.
    """
    check_target(path, overwrite)
    done = list(reports)
    content = {
        "format_version": FORMAT_VERSION,
        "danq": __version__,
        "tasks": [asdict(report) for report in done],
    }
    with replacing(path, overwrite) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return done


def report_on(task: Task, rows: Sequence[Row], quick: bool, seeds: Sequence[int]) -> TaskReport:
    """Make the report of a task; the margins of its targets are computed for each seed."""
    targets = []
    for target in task.targets:
        margins = (
            []
            if quick
            else [
                float(target.margin({row.name: row.metrics[number] for row in rows}))
                for number in range(len(seeds))
            ]
        )
        targets.append(TargetResult(target.text, margins, exceeds_error(margins)))
    names = task.reported_metrics
    return TaskReport(task.name, task.about, names, [*rows], targets, quick, [*seeds])


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and its standard error; None for a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    return mean, statistics.stdev(values) / math.sqrt(len(values))


def exceeds_error(margins: Sequence[float]) -> bool | None:
    """Whether the mean of paired differences is more than its standard error above 0."""
    if len(margins) < 2:
        return None
    mean, error = mean_and_error(margins)
    return error is not None and mean > error


def _bench_task(
    task: Task, seeds: Sequence[int], quick: bool, device: str, threads: int | None
) -> TaskReport:
    count = len(seeds) * len(task.models)
    with stage(f"training models of {task.name}", "models", count) as now:
        rows = _trained(task, seeds, quick, device, threads, now)
    return report_on(task, rows, quick, seeds)


def _trained(
    task: Task, seeds: Sequence[int], quick: bool, device: str, threads: int | None, now: Stage
) -> list[Row]:
    """The rows of all models and baselines."""
    rows: dict[str, Row] = {}
    for seed in seeds:
        data = task.make(seed, task.quick_sizes if quick else task.sizes)
        for model in task.models:
            row = rows.setdefault(model.name, Row(model.name, [], [], control=model.control))
            # Processor time leaves out other programs on the machine.
            started = time.process_time()
            with tempfile.TemporaryDirectory(prefix="danq-bench-") as folder:
                result = train(
                    task,
                    out=Path(folder) / "run",
                    model=model.name,
                    data=data,
                    quick=quick,
                    run=RunSettings(seed=seed, device=device, threads=threads, quiet=True),
                )
            row.seconds.append(time.process_time() - started)
            row.metrics.append(result.metrics)
            row.parameters = result.parameters
            row.losses.append(result.losses)
            now.add()
        for name, evaluate in task.baselines(data, quick).items():
            row = rows.setdefault(name, Row(name, [], []))
            started = time.process_time()
            row.metrics.append(evaluate())
            row.seconds.append(time.process_time() - started)
    return list(rows.values())


def _signed(value: float) -> str:
    return f"+{_short(value)}" if value > 0 else _short(value)


def _short(value: float) -> str:
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.001 else f"{value:.1e}"
