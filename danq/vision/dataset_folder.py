"""Folders with the examples of a task: made, written and read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from danq.errors import InputError
from danq.files.json_file import read_json
from danq.files.npy_input import read_npy
from danq.output import replacing_folder
from danq.vision.dataset import SPLITS, Dataset, Examples
from danq.vision.metadata_checks import check_dataset, check_metadata
from danq.vision.task import Task
from danq.vision.task_registry import load_task

METADATA = "metadata.json"


def make_dataset(task: str, seed: int = 0, *, quick: bool = False) -> Dataset:
    """Make the examples of a task as `danq.vision.train` makes them.

    Raises
    ------
    InputError
        When no task has that name.
    """
    found = load_task(task)
    return found.make(seed, found.quick_sizes if quick else found.sizes)


def write_dataset(folder: str | Path, data: Dataset) -> Path:
    """Write examples to a new folder, in the layout that `read_dataset` reads.

    Raises
    ------
    InputError
        When the folder exists and is not empty, or cannot be written.
    """
    with replacing_folder(folder, kind="vision dataset") as fresh:
        text = json.dumps(data.metadata, indent=1) + "\n"
        (fresh / METADATA).write_text(text, encoding="utf-8")
        for split in SPLITS:
            (fresh / split).mkdir()
            examples: Examples = getattr(data, split)
            for name, array in examples.arrays.items():
                np.save(fresh / split / f"{name}.npy", array, allow_pickle=False)
    return Path(folder)


def read_dataset(folder: str | Path, task: Task) -> Dataset:
    """Read examples in the layout that `write_dataset` writes.

    Parameters
    ----------
    folder
        ``train/``, ``valid/`` and ``test/``, each with one ``.npy`` file per field of the task,
        and ``metadata.json``.
    task
        The task; its ``fields`` give the names, types and axes.

    Raises
    ------
    InputError
        When a file is missing, an array has another type or number of axes, the fields of a split
        differ in length, or the metadata are incomplete or contradict the arrays
        (`danq.vision.metadata_checks`).
    """
    folder = Path(folder)
    remedy = "Write the examples with danq.vision.write_dataset"
    metadata = read_json(folder / METADATA, "the metadata of examples", remedy=remedy)
    if not isinstance(metadata, dict):
        raise InputError("is JSON, but not an object", file=folder / METADATA, remedy=remedy)
    check_metadata(task, metadata, folder / METADATA)
    splits = {split: _read_split(folder / split, task.fields) for split in SPLITS}
    data = Dataset(metadata=metadata, **splits)
    check_dataset(task, data, folder)
    return data


def _read_split(folder: Path, fields: Mapping[str, str]) -> Examples:
    arrays = {}
    for name, layout in fields.items():
        file = folder / f"{name}.npy"
        array = read_npy(file)
        kind, *axes = layout.split()
        if array.dtype != kind or array.ndim != 1 + len(axes):
            raise InputError(
                f"an array of {array.dtype} with {array.ndim} axes; expected {kind} with axes "
                f"({', '.join(['N', *axes])})",
                file=file,
            )
        arrays[name] = array
    lengths = sorted({len(array) for array in arrays.values()})
    if len(lengths) > 1 or 0 in lengths:
        raise InputError(f"fields have {' and '.join(map(str, lengths))} examples", file=folder)
    return Examples(arrays)
