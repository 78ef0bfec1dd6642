"""`danq vision`: image, video and sequence tasks on the CNN-RNN core."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import click

from . import options
from .options import example


@click.group(epilog=example("danq vision list", "danq vision bench direction --quick"))
def vision() -> None:
    """Train, use and measure the image and video systems built from the same core."""


@vision.command("list", epilog=example("danq vision list", "danq vision list direction"))
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
def list_(tasks: tuple[str, ...]) -> None:
    """Show every system: its task, blocks, parameters and paper."""
    from danq.vision import list_systems

    for _, entries in groupby(list_systems(tasks), key=lambda entry: entry.task):
        systems = list(entries)
        click.echo(f"{systems[0].task}: {systems[0].about}")
        widths = [max(len(getattr(s, f)) for s in systems) for f in ("system", "configuration")]
        for one in systems:
            name, blocks = one.system.ljust(widths[0]), one.configuration.ljust(widths[1])
            click.echo(f"  {name}  {blocks}  {one.parameters:>9,}  {one.paper}")


@vision.command(
    epilog=example(
        "danq vision train direction --out runs/direction",
        "danq vision train direction --system c3d --epochs 5 --out runs/c3d",
    )
)
@click.argument("task")
@options.out(metavar="RUN", help="Run folder to write.")
@click.option("--system", metavar="NAME", help="One of the task's systems.  [default: its first]")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Your own examples, laid out as 'danq vision data' writes them.",
)
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Passes over the data.")
@options.batch_size(
    default=None, show_default=False, help="Examples per step.  [default: the task's]"
)
@click.option(
    "--lr", type=click.FloatRange(min=0, min_open=True), metavar="RATE", help="Learning rate."
)
@options.frozen_epochs()
@click.option("--quick", is_flag=True, help="Few examples and epochs.")
@options.device()
@options.precision(default="fp32")
@options.threads()
@options.seed()
@click.option("--resume", is_flag=True, help="Go on from the run folder's last checkpoint.")
@options.overwrite(help="Replace the run folder if it exists.")
def train(task: str, **given: Any) -> None:
    """Train a system on TASK and measure it on held-out examples.

    Without --data the examples are made from --seed.
    """
    if given["resume"] and given["overwrite"]:
        raise click.UsageError("--resume goes on with a run, --overwrite throws it away.")
    from danq.vision import train as run

    changes = {name: given.pop(name) for name in ("epochs", "batch_size", "lr", "frozen_epochs")}
    changes = {name: value for name, value in changes.items() if value is not None}
    result = run(task, recipe_changes=changes, **given)
    figures = ", ".join(f"{name} {value:.4f}" for name, value in result.figures.items())
    passes = f"{result.epochs} epoch" + "s" * (result.epochs != 1)
    click.echo(
        f"{result.folder}: best of {passes} was {result.best_epoch}; "
        f"test split: {figures}; trained for {result.seconds:.0f} s"
    )


@vision.command(
    epilog=example(
        "danq vision predict runs/direction clip.gif",
        'danq vision predict runs/vqa scene.png --text "what colour is the circle?"',
    )
)
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("--text", metavar="WORDS", help="What belongs to the input, such as a question.")
@options.out(required=False, help="Where files go that a prediction consists of.")
@options.device()
@options.precision(default="fp32")
def predict(model: Path, source: Path, **given: Any) -> None:
    """Predict with MODEL, a run folder or model file, on INPUT.

    INPUT is what the task reads: a clip (GIF, folder of frames, .npy, .mp4), an image, a text
    file, numbers (.npy). Classes, captions and answers are printed; frames, maps and sound are
    written to --out.
    """
    from danq.vision import predict as run

    for line in run(model, source, **given):
        click.echo(line)


@vision.command(epilog=example("danq vision data direction --out direction/ --seed 1"))
@click.argument("task")
@options.out(metavar="FOLDER", help="Folder to write.")
@options.seed()
@click.option("--quick", is_flag=True, help="Few examples.")
def data(task: str, out: Path, seed: int, quick: bool) -> None:
    """Write the examples of TASK: train/, valid/, test/ with an .npy file a field; facts.json."""
    from danq.vision import make_data, write_data

    click.echo(str(write_data(out, make_data(task, seed, quick=quick))))


@vision.command(
    epilog=example(
        "danq vision bench --quick",
        "danq vision bench direction --seeds 5 --out direction.json",
    )
)
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@click.option("--quick", is_flag=True, help="Few examples and epochs, to see that all works.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Repetitions.  [default: 3; 1 with --quick]",
)
@options.seed(help="The first seed.")
@options.out(required=False, metavar="JSON", help="Write all figures of all seeds too.")
@options.overwrite()
@options.device()
@options.threads()
def bench(tasks: tuple[str, ...], quick: bool, seeds: int | None, **given: Any) -> None:
    """Train every system of the tasks, all by default, and show it beside its baselines.

    Figures are mean and standard deviation over seeds; seconds are processor time of training and
    testing a system, or of measuring a baseline. Exits with 1 where a training did not lower its
    loss.
    """
    from danq.vision import bench as run

    reports = run(
        tasks,
        quick=quick,
        seeds=seeds or (1 if quick else 3),
        tell=lambda report: click.echo(report.text()),
        **given,
    )
    if any(report.stuck for report in reports):
        raise click.exceptions.Exit(1)
