"""`danq vision`: image, video and sequence tasks on the CNN-RNN core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options, own_files
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
        lines.append(f"{models[0].task}: {models[0].about}. Data: {models[0].data}")
        widths = [max(len(getattr(m, f)) for m in models) for f in ("model", "configuration")]
        for one in models:
            name, blocks = one.model.ljust(widths[0]), one.configuration.ljust(widths[1])
            count = "?" if one.parameters is None else f"{one.parameters:,}"
            lines.append(f"  {name}  {blocks}  {count:>9}  {one.paper}")
    show("\n".join(lines), found)


@vision.command(
    epilog=example(
        "danq vision train --images photos/ --out runs/photos",
        "danq vision train --videos clips.csv --model c3d --set frames=8 --out runs/clips",
        "danq vision train direction --out runs/direction",
    )
)
@click.argument("task", required=False)
@own_files.files
@options.out(metavar="RUN", help="Run directory to write.")
@click.option(
    "--model", metavar="NAME", help="Select a model of the task.  [default: its first model]"
)
@click.option(
    "--data",
    type=InputPath(file_okay=False),
    metavar="FOLDER",
    help="Train on examples of TASK in the layout of 'danq vision data'.",
)
@own_files.settings
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
def train(task: str | None, data: Path | None, **given: Any) -> None:
    """Train a model on TASK (see `danq vision list`) or on your own files, and evaluate it.

    \b
    A source of your own files is one of:
      FOLDER  one folder per class: cats/1.jpg; or with splits: train/cats/1.jpg
      TABLE   .csv, .tsv or .json with the column path and one of class, labels,
              value (or value.NAME), caption, question and answer, frames;
              also split (train, valid, test) and group

    Without one, the examples of TASK are generated from --seed.
    """
    if given["resume"] and given["overwrite"]:
        raise click.UsageError(
            "--resume continues a run, --overwrite deletes it. Give one of them."
        )
    from danq.vision import Recipe, RunSettings
    from danq.vision import train as run

    files = own_files.taken(task, data, given)
    recipe = Recipe(**options.pop(given, "epochs", "batch_size", "lr", "frozen_epochs"))
    settings = RunSettings(**options.pop(given, "seed", "device", "precision", "threads"))
    result = run(task, data=files or data, recipe=recipe, run=settings, **given)
    if result.rank:
        return
    show(result.describe(), result)


@vision.command(
    epilog=example(
        "danq vision predict runs/direction clip.gif",
        "danq vision predict runs/photos new_photos/ --out classes.tsv",
        'danq vision predict runs/vqa scene.png --text "what colour is the circle?"',
    )
)
@click.argument("model", type=InputPath())
@click.argument(
    "sources", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--text", metavar="TEXT", help="Add text to the input, such as a question about an image."
)
@own_files.skip_damaged
@options.out(
    required=False,
    help="Write a table (.tsv, .json, or - for TSV on standard output); or, of one input, the "
    "predicted frames, map or audio.",
)
@options.overwrite(help="Replace the table if it exists.")
@options.device()
@_precision
def predict(
    model: Path, sources: tuple[Path, ...], out: Path | None, overwrite: bool, **given: Any
) -> None:
    """Apply a model to every INPUT.

    MODEL is a run directory or model file.

    INPUT is a clip (GIF, folder of frames, .npy, .mp4), an image, a text file or an array (.npy),
    as the task requires; a folder of such files; or, for models of your own files, a table with
    the column path. Classes, captions and answers are printed or written as a table; frames,
    segmentation maps and audio of one input are written to --out.
    """
    from danq.errors import escaped
    from danq.vision.prediction import predict as run
    from danq.vision.prediction import predictions, write_predictions
    from danq.vision.prediction_table import is_table

    chosen, first = options.given(given), sources[0]
    if out is not None and is_table(out):
        written = write_predictions(model, sources, out, overwrite=overwrite, **chosen)
        show(written.describe(), written, err=options.is_stdout(str(out)))
        return
    if out is not None:
        if len(sources) > 1 or overwrite or chosen.pop("skip_damaged", False):
            raise click.UsageError(
                f"'{out}' is the file of one prediction. Use .tsv or .json for a table of several."
            )
        lines = run(model, first, out=out, **chosen)
        show("\n".join(lines), {"file": first, "lines": lines, "path": out}, several=True)
        return
    single = len(sources) == 1 and not first.is_dir()
    for one in predictions(model, sources, **chosen):
        name = "" if single and one.name == str(first) else f"{escaped(one.name)}: "
        text = "\n".join(f"{name}{line}" for line in one.lines)
        show(text, {"file": one.name, "lines": one.lines, "rows": one.rows}, several=True)


@vision.command(
    epilog=example(
        "danq vision evaluate runs/photos",
        "danq vision evaluate runs/photos other_photos/ --out evaluation/",
    )
)
@click.argument("model", type=InputPath())
@click.argument("source", metavar="[SOURCE]", required=False, type=InputPath())
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    help="Evaluate on this split of the data.  [default: test]",
)
@own_files.skip_damaged
@options.out(
    required=False, metavar="FOLDER", help="Write metrics.tsv and confusion.tsv to this folder."
)
@options.overwrite(help="Replace the folder if it exists.")
@options.device()
@_precision
def evaluate(
    model: Path, source: Path | None, out: Path | None, overwrite: bool, **given: Any
) -> None:
    """Evaluate a model on a split of its data, or on SOURCE.

    MODEL is a run directory or model file. SOURCE is class folders or a table, as for training, or
    a folder of 'danq vision data'. The printed table counts true and predicted classes.
    """
    from danq.vision import evaluate as run
    from danq.vision import write_evaluation

    if out is not None:
        from danq.output import check_output_folder
        from danq.vision.evaluation import KIND

        check_output_folder(out, overwrite, kind=KIND)
    report = run(model, source, **options.given(given))
    if out is not None:
        write_evaluation(report, out, overwrite=overwrite)
    show(report.text(), report.summary())


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
