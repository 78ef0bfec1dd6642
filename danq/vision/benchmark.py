"""Our figures beside their baselines, over several seeds."""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from danq._version import __version__
from danq.output import check_target, replacing
from danq.training.problem import Metrics
from danq.vision.examples import Data
from danq.vision.registry import load_tasks
from danq.vision.task import Task
from danq.vision.training_run import train


@dataclass
class Row:
    """One system or baseline of a task.

    Attributes
    ----------
    name
        Its name.
    figures
        Figures on the test split, one dictionary a seed.
    seconds
        Processor time of training or measuring, one number a seed.
    parameters
        Trained values; 0 for a baseline.
    losses
        Loss of some training examples before and after the training, a pair a seed.
    control
        Whether it lacks what the task asks for, so that its loss need not fall.
    """

    name: str
    figures: list[Metrics]
    seconds: list[float]
    parameters: int = 0
    losses: list[tuple[float, float]] = field(default_factory=list)
    control: bool = False

    @property
    def learned(self) -> bool:
        """Whether its loss fell with every seed; of a control, whether it stayed finite."""
        if self.control:
            return all(math.isfinite(after) for _, after in self.losses)
        return all(after < before for before, after in self.losses)

    def means(self) -> Metrics:
        """Mean of each figure over the seeds."""
        return {name: statistics.fmean(self.over_seeds(name)) for name in self.figures[0]}

    def over_seeds(self, figure: str) -> list[float]:
        """A figure's values, one a seed."""
        return [figures[figure] for figures in self.figures]

    def shown(self, figure: str) -> str:
        """Mean and standard deviation over the seeds as text; empty where it was not measured."""
        if figure not in self.figures[0]:
            return ""
        values = self.over_seeds(figure)
        spread = f" ± {_short(statistics.stdev(values))}" if len(values) > 1 else ""
        return _short(statistics.fmean(values)) + spread


@dataclass
class TaskReport:
    """A task's rows over some seeds, and its targets with whether each was met (None in the quick
    form)."""

    task: str
    about: str
    shown: tuple[str, ...]
    rows: list[Row]
    targets: list[tuple[str, bool | None]]
    quick: bool
    seeds: list[int]

    @property
    def stuck(self) -> list[Row]:
        """Systems whose training did not lower their loss."""
        return [row for row in self.rows if not row.learned]

    def text(self) -> str:
        """The report as a table for a person to read."""
        head = ["", *self.shown, "parameters", "seconds"]
        body = [
            [
                row.name,
                *(row.shown(figure) for figure in self.shown),
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
        words = {True: "met", False: "NOT met", None: "not judged in the quick form"}
        lines += [f"  target: {text}: {words[met]}" for text, met in self.targets]
        lines += [f"  {row.name}: did NOT learn, its loss did not fall" for row in self.stuck]
        return "\n".join(lines) + "\n"


def bench(
    tasks: Iterable[str] = (),
    *,
    seeds: int = 3,
    seed: int = 0,
    quick: bool = False,
    device: str = "auto",
    threads: int | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    tell: Callable[[TaskReport], None] | None = None,
) -> list[TaskReport]:
    """Train every system of the tasks and measure it beside the baselines.

    Parameters
    ----------
    tasks
        Names; none for all.
    seeds, seed
        How many seeds, and the first of them; data, start values and order are drawn from each.
    quick
        Few examples and epochs, to see that all works; targets are not judged.
    device, threads
        As `danq.device` resolves them.
    out
        A JSON file for all figures of all seeds; None writes none.
    overwrite
        Replace that file if it exists.
    tell
        Is given each task's report as soon as it is done.

    Raises
    ------
    InputError
        When no task has that name, or the output exists or cannot be written.
    """
    reports, chosen = [], load_tasks(tasks)
    if out is not None:
        check_target(out, overwrite)
    for task in chosen:
        reports.append(_bench_task(task, range(seed, seed + seeds), quick, device, threads))
        if tell is not None:
            tell(reports[-1])
    if out is not None:
        found = {"danq": __version__, "tasks": [asdict(report) for report in reports]}
        with replacing(out, overwrite) as temporary:
            temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return reports


def report_on(task: Task, rows: Sequence[Row], quick: bool, seeds: Sequence[int]) -> TaskReport:
    """The report on a task, its targets judged by the means of all seeds."""
    means = {row.name: row.means() for row in rows}
    targets = [(target.text, None if quick else target.met(means)) for target in task.targets]
    return TaskReport(task.name, task.about, task.shown, [*rows], targets, quick, [*seeds])


def _bench_task(
    task: Task, seeds: Sequence[int], quick: bool, device: str, threads: int | None
) -> TaskReport:
    rows: dict[str, Row] = {}
    for seed in seeds:
        data = task.make(seed, task.quick_sizes if quick else task.sizes)
        for system in task.systems:
            row = rows.setdefault(system.name, Row(system.name, [], [], control=system.control))
            _train(row, task, data, quick, seed, device, threads)
        for name, measured in task.baselines(data, quick).items():
            row = rows.setdefault(name, Row(name, [], []))
            # Other programs of the machine do not count in a processor's time.
            started = time.process_time()
            row.figures.append(measured())
            row.seconds.append(time.process_time() - started)
    return report_on(task, list(rows.values()), quick, seeds)


def _train(
    row: Row, task: Task, data: Data, quick: bool, seed: int, device: str, threads: int | None
) -> None:
    started = time.process_time()
    with tempfile.TemporaryDirectory(prefix="danq-bench-") as folder:
        result = train(
            task,
            out=Path(folder) / "run",
            system=row.name,
            data=data,
            quick=quick,
            seed=seed,
            device=device,
            threads=threads,
            quiet=True,
        )
    row.figures.append(result.figures)
    row.seconds.append(time.process_time() - started)
    row.parameters = result.parameters
    row.losses.append(result.losses)


def _short(value: float) -> str:
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.001 else f"{value:.1e}"
