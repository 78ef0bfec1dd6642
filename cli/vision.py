"""`danq vision`: image, video and sequence tasks on the CNN-RNN core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .input_path import InputPath
from .options import example
from .show import show

if TYPE_CHECKING:
    from danq.vision import TaskReport

_precision = options.precision(
    help="Numeric precision; auto uses bf16 if the device has native bf16 arithmetic, else fp32.  "
    "[default: fp32]"
)


@click.group(epilog=example("danq vision list", "danq vision bench direction --quick"))
def vision() -> None:
    """Train, evaluate and apply models of images, video, text and sound.

    They are built from the same layers as the DNA models.
    """


@vision.command("list", epilog=example("danq vision list", "danq vision list direction"))
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
def list_(tasks: tuple[str, ...]) -> None:
    """List tasks and their models: layers, number of parameters, paper."""
    from danq.vision import list_models

    found, lines = list(list_models(tasks)), []
    for _, entries in groupby(found, key=lambda entry: entry.task):
        models = list(entries)
        lines.append(f"{models[0].task}: {models[0].about}")
        widths = [max(len(getattr(m, f)) for m in models) for f in ("model", "configuration")]
        for one in models:
            name, blocks = one.model.ljust(widths[0]), one.configuration.ljust(widths[1])
            lines.append(f"  {name}  {blocks}  {one.parameters:>9,}  {one.paper}")
    show("\n".join(lines), found)


@vision.command(
    epilog=example(
        "danq vision train direction --out runs/direction",
        "danq vision train direction --model c3d --epochs 5 --out runs/c3d",
    )
)
@click.argument("task")
@options.out(metavar="RUN", help="Run directory to write.")
@click.option(
    "--model", metavar="NAME", help="Select a model of the task.  [default: its first model]"
)
@click.option(
    "--data",
    type=InputPath(file_okay=False),
    metavar="FOLDER",
    help="Train on your own examples, in the layout of 'danq vision data'.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Set the number of passes over the data.  [default: the model's]",
)
@options.batch_size(
    default=None,
    show_default=False,
    help="Set the number of examples per step.  [default: the model's]",
)
@click.option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    metavar="RATE",
    help="Set the learning rate.  [default: the model's]",
)
@options.frozen_epochs()
@click.option("--quick", is_flag=True, help="Smoke test: use few examples and epochs.")
@options.device()
@_precision
@options.threads()
@options.seed()
@click.option("--resume", is_flag=True, help="Resume from the last checkpoint of the run.")
@options.overwrite(help="Replace the run directory if it exists.")
def train(task: str, **given: Any) -> None:
    """Train a model on TASK (see `danq vision list`) and evaluate it on the test split.

    Without --data, examples are generated from --seed.
    """
    if given["resume"] and given["overwrite"]:
        raise click.UsageError(
            "--resume continues a run, --overwrite deletes it. Give one of them."
        )
    from danq.vision import Recipe, RunSettings
    from danq.vision import train as run

    recipe = Recipe(**options.pop(given, "epochs", "batch_size", "lr", "frozen_epochs"))
    settings = RunSettings(**options.pop(given, "seed", "device", "precision", "threads"))
    result = run(task, recipe=recipe, run=settings, **given)
    if result.rank:
        return
    show(result.describe(), result)


@vision.command(
    epilog=example(
        "danq vision predict runs/direction clip.gif",
        'danq vision predict runs/vqa scene.png --text "what colour is the circle?"',
    )
)
@click.argument("model", type=InputPath())
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option(
    "--text", metavar="TEXT", help="Add text to the input, such as a question about an image."
)
@options.out(required=False, help="Write the predicted frames, map or audio to this file.")
@options.device()
@_precision
def predict(model: Path, source: Path, **given: Any) -> None:
    """Apply a model to INPUT.

    MODEL is a run directory or model file.

    INPUT is a clip (GIF, folder of frames, .npy, .mp4), an image, a text file or an array (.npy),
    as the task requires. Classes, captions and answers are printed; frames, segmentation maps and
    audio are written to --out.
    """
    from danq.vision import predict as run

    lines = list(run(model, source, **options.given(given)))
    show("\n".join(lines), {"lines": lines, "path": given["out"]})


@vision.command(epilog=example("danq vision data direction --out direction/ --seed 1"))
@click.argument("task")
@options.out(metavar="FOLDER", help="Folder to write.")
@options.seed()
@click.option("--quick", is_flag=True, help="Write few examples.")
def data(task: str, out: Path, **given: Any) -> None:
    """Write the examples of TASK to a folder.

    Each split has one .npy file per field; metadata.json has shapes, class names and vocabularies.
    """
    from danq.vision import make_dataset, write_dataset

    path = write_dataset(out, make_dataset(task, **options.given(given)))
    show(str(path), {"path": path})


@vision.command(
    epilog=example(
        "danq vision bench --quick",
        "danq vision bench direction --seeds 5 --out direction.json",
    )
)
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@click.option("--quick", is_flag=True, help="Smoke test: use few examples and epochs.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Set the number of random seeds.  [default: 3; 1 with --quick]",
)
@options.seed(help="Set the first random seed.  [default: 0]")
@options.out(required=False, metavar="JSON", help="Write the metrics of every seed as JSON.")
@options.overwrite()
@options.device()
@options.threads()
def bench(
    tasks: tuple[str, ...],
    quick: bool,
    out: Path | None,
    overwrite: bool,
    **given: Any,
) -> None:
    """Compare the models and baselines of the given tasks, by default of all tasks.

    The table shows mean and sample standard deviation of the metrics over the seeds; the column
    'seconds' shows the CPU time of the process. The exit code is 1 if a training loss did not
    decrease.
    """
    from danq.vision import bench as run
    from danq.vision import write_reports

    reports = _printed(run(tasks, quick=quick, **options.given(given)))
    done = [*reports] if out is None else write_reports(out, reports, overwrite=overwrite)
    if any(report.failed for report in done):
        raise click.exceptions.Exit(1)


def _printed(reports: Iterable[TaskReport]) -> Iterator[TaskReport]:
    """Print each report when it is ready."""
    for report in reports:
        show(report.text(), report, several=True)
        yield report
