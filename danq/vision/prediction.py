"""Prediction with the model of a vision task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from danq.device import resolve_device, resolve_precision
from danq.errors import InputError, escaped
from danq.files.inputs_in_use import protects_inputs
from danq.progress import stage
from danq.vision.clip_files import IMAGES
from danq.vision.dataset import Examples, Metadata
from danq.vision.own_data.input_settings import InputSettings
from danq.vision.own_data.sequence_files import SERIES_SUFFIXES, TEXT_SUFFIXES
from danq.vision.own_data.source_examples import own_inputs
from danq.vision.own_data.streamed_examples import StreamedExamples
from danq.vision.own_data.words import encoded, words_of
from danq.vision.own_tasks.clip_tasks import FRAMES, VideoFrames
from danq.vision.own_tasks.own_task import OwnTask
from danq.vision.prediction_rows import Row
from danq.vision.prediction_table import FILE, TEXT, table_writer
from danq.vision.problem import inference
from danq.vision.task import Task
from danq.vision.task_registry import load_task
from danq.vision.vision_model_file import VisionModel, load_vision_model
from danq.vision.vocabulary import Vocabulary


class Prediction(NamedTuple):
    """The prediction for one input.

    Attributes
    ----------
    name
        The input: a path, or a text.
    rows
        Rows of a table: one per input, frame or word.
    lines
        Lines for a person to read.
    """

    name: str
    rows: list[Row]
    lines: list[str]


@dataclass(frozen=True)
class WrittenPredictions:
    """Number of inputs and rows of a table of predictions, and the table."""

    path: Path | str
    inputs: int
    rows: int

    def describe(self) -> str:
        """Describe the table in a sentence."""
        rows = "" if self.rows == self.inputs else f" in {self.rows:,} rows"
        return f"{self.path}: predictions for {self.inputs:,} inputs{rows}"


def predict(
    model: str | Path | VisionModel,
    source: str | Path | Examples,
    *,
    text: str | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
) -> list[str]:
    """Predict for one input file, or for examples.

    Parameters
    ----------
    model
        A model, a model file or a run directory of `danq.vision.train`.
    source
        A clip, an image, a text file or an array, as the task requires; or examples.
    text
        Text that accompanies the input, such as a question.
    out
        File for the frames, map or sound of a prediction; None writes none.
    device, precision
        As `danq.device` resolves them.

    Returns
    -------
    Lines for a person to read: class names, captions, answers, or the files written.

    Raises
    ------
    InputError
        When the model or the input cannot be used, or the output exists.
    """
    loaded = _loaded(model)
    task, metadata = load_task(loaded.spec.task), loaded.spec.metadata
    if isinstance(source, Examples):
        examples = source
    elif isinstance(task, OwnTask):
        ((_, examples),) = _own_examples(task, metadata, [source], text, False)
    else:
        examples = task.read_input(Path(source), metadata, text)
    target = resolve_device(device)
    path = None if out is None else Path(out)
    with inference(loaded.module, target, resolve_precision(precision, target)) as ready:
        return [escaped(line) for line in task.predict(ready, examples, metadata, path)]


def predictions(
    model: str | Path | VisionModel,
    sources: Sequence[str | Path],
    *,
    text: str | None = None,
    skip_damaged: bool = False,
    device: str = "auto",
    precision: str = "fp32",
) -> Iterator[Prediction]:
    """Predict for many inputs, some at a time, in the inference mode of torch while iterated.

    Parameters
    ----------
    model, text, device, precision
        As `predict` takes them.
    sources
        Files; folders, whose files are inputs unless the task is on clips and they hold the frames
        of one; and for models of own data, tables with the column ``path``.
    skip_damaged
        Leave out files that cannot be read, with a warning.

    Yields
    ------
    Prediction
        In the order of the inputs.

    Raises
    ------
    InputError
        When there is no input, or the model or an input cannot be used.
    """
    if not sources:
        raise InputError("no input is given", remedy="Give files or folders")
    loaded = _loaded(model)
    task = load_task(loaded.spec.task)
    inputs = []
    if isinstance(task, OwnTask):
        inputs = _own_examples(task, loaded.spec.metadata, sources, text, skip_damaged)
    target = resolve_device(device)
    with inference(loaded.module, target, resolve_precision(precision, target)) as ready:
        if isinstance(task, OwnTask):
            yield from _of_own(ready, task, loaded.spec.metadata, inputs)
            return
        for source in _files(sources, loaded.spec.metadata):
            examples = task.read_input(source, loaded.spec.metadata, text)
            outputs = task.outputs(ready, examples)
            (rows,) = task.rows(outputs, examples, loaded.spec.metadata)
            lines = task.describe(outputs, examples, loaded.spec.metadata)
            yield Prediction(str(source), rows, [escaped(line) for line in lines])


@protects_inputs
def write_predictions(
    model: str | Path | VisionModel,
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    text: str | None = None,
    skip_damaged: bool = False,
    device: str = "auto",
    precision: str = "fp32",
    overwrite: bool = False,
) -> WrittenPredictions:
    """Predict for many inputs and write a table.

    Parameters
    ----------
    model, sources, text, skip_damaged, device, precision
        As `predictions` takes them.
    out
        A ``.tsv`` or ``.json`` file, or "-" for TSV on standard output. Each row has the column
        ``file`` (``text`` for texts) and those of the task: ``class``, ``probability`` and the
        probabilities of all classes; ``labels``; values; ``caption`` and ``score``; ``answer``;
        one row per frame or word where these have classes.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        As `predictions`; when the output exists or cannot be written.
    """
    loaded, inputs = _loaded(model), 0
    column = TEXT if loaded.spec.task.startswith("text-") else FILE
    found = predictions(
        loaded,
        sources,
        text=text,
        skip_damaged=skip_damaged,
        device=device,
        precision=precision,
    )
    with table_writer(out, overwrite=overwrite) as table:
        for one in found:
            inputs += 1
            for row in one.rows:
                table.write({column: one.name, **row})
        rows = table.count
    return WrittenPredictions(out, inputs, rows)


def _of_own(
    module: nn.Module,
    task: OwnTask,
    metadata: Metadata,
    inputs: list[tuple[list[str], Examples]],
) -> Iterator[Prediction]:
    with stage("predicting", "inputs", sum(len(names) for names, _ in inputs)) as progress:
        for names, examples in inputs:
            name = iter(names)
            for outputs, small in task.stream(module, examples):
                tables = task.rows(outputs, small, metadata)
                for rows in tables:
                    this = next(name)
                    named = task.with_input(rows, this)
                    yield Prediction(this, named, [escaped(task.line(named))])
                progress.add(len(tables))


def _own_examples(
    task: OwnTask,
    metadata: Metadata,
    sources: Sequence[str | Path],
    text: str | None,
    skip_damaged: bool,
) -> list[tuple[list[str], Examples]]:
    """Names and examples of each source; all files are checked first."""
    settings = InputSettings(skip_damaged=skip_damaged)
    asks = "question" in task.inputs
    if text is not None and not asks:
        raise InputError(f"models of the task '{task.name}' read no text with their input")
    found = []
    for source in _sequence_files(task, sources):
        names, examples = own_inputs(task.name, source, metadata, settings)
        if asks:
            if ("question" in examples.arrays) == (text is not None):
                raise InputError(
                    "has questions, and another one is given"
                    if text is not None
                    else "no question is given",
                    file=source,
                    remedy="Give one question for all inputs, or a table with the column "
                    "'question'",
                )
            if text is not None:
                words = [words_of(text)] * len(names)
                length = metadata["lengths"]["question"]
                question = encoded(Vocabulary(metadata["vocabulary"]), words, length)
                examples = replace(examples, arrays={**examples.arrays, "question": question})
        if isinstance(task, VideoFrames) and isinstance(examples, StreamedExamples):
            frames = np.array([one["frames"] for one in examples.sources], np.int64)
            examples = replace(examples, arrays={**examples.arrays, FRAMES: frames})
        found.append((names, examples))
    return found


def _sequence_files(task: Task, sources: Sequence[str | Path]) -> Iterator[str | Path]:
    """Sources, with the files of folders of texts or series that have no folders of classes."""
    for source in map(Path, sources):
        of_files = task.name.startswith(("text-", "series-")) and source.is_dir()
        if not of_files or any(one.is_dir() for one in source.iterdir()):
            yield source
            continue
        yield from files_below(source, SERIES_SUFFIXES | TEXT_SUFFIXES) or [source]


def files_below(folder: Path, suffixes: Set[str]) -> list[Path]:
    """Files of some endings in a folder and in all folders in it, in the order of their paths."""
    found = [path for path in folder.rglob("*") if path.suffix.lower() in suffixes]
    return sorted(path for path in found if path.is_file())


def _files(sources: Sequence[str | Path], metadata: Metadata) -> Iterator[Path]:
    """Inputs of a task that reads one at a time: a folder of images has several for such a task."""
    of_images = len(metadata.get("shape", ())) == 3
    for source in map(Path, sources):
        if of_images and source.is_dir():
            found = files_below(source, IMAGES | {".gif"})
            if not found:
                raise InputError("has no images", file=source, remedy="Give a folder of images")
            yield from found
        else:
            yield source


def _loaded(model: str | Path | VisionModel) -> VisionModel:
    return model if isinstance(model, VisionModel) else load_vision_model(model)
