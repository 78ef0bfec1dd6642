"""Evaluation of a vision model on a split of its data, or on other data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from danq.device import resolve_device, resolve_precision
from danq.errors import InputError, escaped
from danq.files.toml_file import read_toml
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.output import replacing_folder
from danq.training.config import CONFIG
from danq.training.problem import Metrics
from danq.vision.dataset import SPLITS, Dataset, Examples
from danq.vision.dataset_folder import read_dataset
from danq.vision.own_data.input_settings import InputSettings
from danq.vision.own_data.source_examples import own_inputs
from danq.vision.own_data.training_files import report_training_files
from danq.vision.own_files import OwnFiles
from danq.vision.own_tasks.own_task import OwnTask
from danq.vision.prediction_rows import Truth
from danq.vision.problem import inference
from danq.vision.task import Task
from danq.vision.task_registry import load_task
from danq.vision.training_run import OWN_FILES
from danq.vision.vision_model_file import VisionModel, load_vision_model

KIND = "vision evaluation"
"""Kind of the folder that `write_evaluation` writes."""

SHOWN = 12
"""Largest number of classes of a confusion table that is printed."""


@dataclass(frozen=True, repr=False)
class VisionEvaluation:
    """Metrics of a vision model.

    Attributes
    ----------
    task
        Name of the task.
    data
        What the model was evaluated on.
    examples
        Number of examples.
    metrics
        Metrics by name.
    truth
        True and predicted classes; None for a task without classes.
    """

    task: str
    data: str
    examples: int
    metrics: Metrics
    truth: Truth | None

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        tables = [
            FirstRows.of("Metrics", {"metric": [*self.metrics], "value": [*self.metrics.values()]})
        ]
        if self.truth is not None and len(self.truth.classes) <= SHOWN:
            counts = dict(zip(self.truth.classes, self.truth.confusion().T.tolist(), strict=True))
            table = {"true class": list(self.truth.classes)} | {
                f"predicted {name}": column for name, column in counts.items()
            }
            tables.append(FirstRows.of("True and predicted classes", table, SHOWN))
        return Display(f"{self.task}, {self.data}: {self.examples:,} examples", tables=tables)

    def text(self) -> str:
        """Metrics, and the table of true and predicted classes if there are few."""
        lines = [f"{self.data}: {self.examples:,} examples"]
        lines += [f"{name}\t{value:.4f}" for name, value in self.metrics.items()]
        if self.truth is not None and len(self.truth.classes) <= SHOWN:
            lines += ["", "true class \\ predicted class", *confusion_lines(self.truth)]
        return "\n".join(lines)

    def summary(self) -> dict[str, Any]:
        """The evaluation as JSON values; ``confusion`` counts true (rows) and predicted classes."""
        truth = self.truth
        table = None
        if truth is not None:
            table = {"classes": list(truth.classes), "counts": truth.confusion().tolist()}
        return {
            "task": self.task,
            "data": self.data,
            "examples": self.examples,
            "metrics": self.metrics,
            "confusion": table,
        }


def evaluate(
    model: str | Path,
    source: str | Path | Dataset | None = None,
    *,
    split: str | None = None,
    skip_damaged: bool = False,
    device: str = "auto",
    precision: str = "fp32",
) -> VisionEvaluation:
    """Evaluate a vision model.

    Parameters
    ----------
    model
        A model file or a run directory.
    source
        Other data: class folders or a table of files, or for a task of danq a directory that
        `danq.vision.write_dataset` wrote; or a dataset. None is the data of the training, whose
        files have to be where they were and unchanged.
    split
        "train", "valid" or "test" (the default). A user's files that are not those of the training
        have no splits: all are evaluated.
    skip_damaged
        Leave out files that cannot be read, with a warning.
    device, precision
        As `danq.device` resolves them.

    Raises
    ------
    InputError
        When the model or the data cannot be used.
    """
    if split not in (None, *SPLITS):
        raise InputError(f"there is no split '{split}'", remedy=f"Use {', '.join(SPLITS)}")
    loaded = load_vision_model(model)
    task = load_task(loaded.spec.task)
    target = resolve_device(device)
    name, examples = _examples(Path(model), loaded, task, source, split, skip_damaged)
    if task.is_own and source is not None and (split != "train" or not isinstance(source, Dataset)):
        sha256, fields = loaded.spec.data_sha256, task.exported_inputs
        report_training_files(name, Path(model), sha256, examples, fields)
    with inference(loaded.module, target, resolve_precision(precision, target)) as ready:
        if isinstance(task, OwnTask):
            outputs, examples = task.evaluated(ready, examples)
            predictions = task.decode(outputs)
            metrics = task.score(predictions, examples)
            truth = task.truth(predictions, examples, loaded.spec.metadata)
        else:
            metrics, truth = task.metrics(ready, examples), None
    return VisionEvaluation(task.name, name, len(examples), metrics, truth)


def write_evaluation(report: VisionEvaluation, out: str | Path, *, overwrite: bool = False) -> Path:
    """Write ``metrics.tsv``, and ``confusion.tsv`` for classes, to a new folder.

    A row of ``confusion.tsv`` is a true class, a column a predicted class.

    Raises
    ------
    InputError
        When the folder exists or cannot be written.
    """
    with replacing_folder(out, overwrite, kind=KIND) as fresh:
        lines = [f"{name}\t{value:.6g}\n" for name, value in report.metrics.items()]
        text = "".join(["metric\tvalue\n", *lines])
        (fresh / "metrics.tsv").write_text(text, encoding="utf-8")
        if report.truth is not None:
            table = "\n".join(confusion_lines(report.truth)) + "\n"
            (fresh / "confusion.tsv").write_text(table, encoding="utf-8")
    return Path(out)


def confusion_lines(truth: Truth) -> list[str]:
    """Lines of a table with the counts of true (rows) and predicted classes (columns)."""
    names = [escaped(name) for name in truth.classes]
    rows = truth.confusion().tolist()
    body = ["\t".join([name, *map(str, row)]) for name, row in zip(names, rows, strict=True)]
    return ["\t".join(["", *names]), *body]


def _examples(
    path: Path,
    model: VisionModel,
    task: Task,
    source: str | Path | Dataset | None,
    split: str | None,
    skip_damaged: bool,
) -> tuple[str, Examples]:
    """The examples, and their name."""
    chosen = split or "test"
    if isinstance(source, Dataset):
        return f"split '{chosen}'", getattr(source, chosen)
    if source is not None and task.is_own:
        if split is not None:
            raise InputError(
                "files that are not those of the training have no split of it",
                file=source,
                remedy="Leave out the split: all files are evaluated",
            )
        settings = InputSettings(skip_damaged=skip_damaged)
        _, found = own_inputs(task.name, source, model.spec.metadata, settings, labelled=True)
        return str(source), found
    if source is not None:
        return f"{source}, split '{chosen}'", getattr(read_dataset(source, task), chosen)
    data = _training_data(path, model, task)
    return f"split '{chosen}'", getattr(data, chosen)


def _training_data(path: Path, model: VisionModel, task: Task) -> Dataset:
    """The data of the training, read or made again."""
    spec = model.spec
    remedy = "Give data to evaluate on"
    if task.is_own:
        config = path / CONFIG
        table = read_toml(config).get(OWN_FILES) if config.is_file() else None
        if table is None:
            raise InputError("does not say which files it was trained on", file=path, remedy=remedy)
        source = Path(table["source"])
        if source.is_relative_to(Path.cwd()):
            source = source.relative_to(Path.cwd())
        _, data = OwnFiles.from_table({**table, "source": str(source)}).read()
        if data.sha256 != spec.data_sha256:
            # Facts that follow from the training split were added to its metadata.
            data = Dataset(data.train, data.valid, data.test, dict(spec.metadata))
        if data.sha256 != spec.data_sha256:
            raise InputError(
                "the files have changed since the training",
                file=source,
                remedy=remedy,
            )
        return data
    seed = int(spec.training.get("seed", 0))
    for sizes in (task.quick_sizes, task.sizes):
        data = task.make(seed, sizes)
        if data.sha256 == spec.data_sha256:
            return data
    raise InputError("was trained on other data than that of its task", file=path, remedy=remedy)
