"""The inputs of a prediction with a model of own data: files, folders and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from danq.errors import InputError
from danq.vision.dataset import Examples, Metadata
from danq.vision.own_data.checked_files import check_image, checked
from danq.vision.own_data.image_examples import IMAGE_SUFFIXES
from danq.vision.own_data.input_settings import InputSettings
from danq.vision.own_data.records import Record, Source
from danq.vision.own_data.streamed_examples import StreamedExamples
from danq.vision.own_data.tables import TABLES, read_table
from danq.vision.task import Task


class OwnInputs(NamedTuple):
    """Inputs of a prediction.

    Attributes
    ----------
    names
        Name of each input in tables: its path.
    examples
        Their fields, which are read when they are needed.
    """

    names: list[str]
    examples: Examples


def own_inputs(
    task: Task,
    metadata: Metadata,
    sources: Sequence[str | Path],
    *,
    text: str | None = None,
    skip_damaged: bool = False,
) -> OwnInputs:
    """Find and check the inputs of a prediction.

    Parameters
    ----------
    task
        A task on a user's own data.
    metadata
        That of the model's training data.
    sources
        Files, folders of files, and tables with the column ``path``.
    text
        Text that accompanies every input: a question.
    skip_damaged
        Leave out files that cannot be read, with a warning.

    Raises
    ------
    InputError
        When there are no inputs, or files cannot be read and are not to be left out.
    """
    settings = replace(InputSettings(), skip_damaged=skip_damaged)
    records = [one for source in sources for one in _records(Path(source))]
    where = Path(sources[0]) if len(sources) == 1 else Path("inputs")
    source = Source(where, "inputs", records)
    records, files = checked(source, check_image, settings, "images")
    examples = StreamedExamples(
        {"row": np.arange(len(records))},
        metadata["decoder"],
        [record.path for record in records],
        [file.digest for file in files],
    )
    return OwnInputs([record.path for record in records], examples)


def _records(source: Path) -> list[Record]:
    if not source.exists():
        raise InputError("no such file or folder", file=source, remedy="Check the path")
    if source.is_dir():
        found = files_below(source, IMAGE_SUFFIXES)
        if not found:
            raise InputError("has no images", file=source, remedy="Give a folder of images")
        return [Record(str(path), None) for path in found]
    if source.suffix.lower() in TABLES:
        table = read_table(source, ["path"])
        return [Record(table.file_of(row), None, line=row.line) for row in table.rows]
    return [Record(str(source), None)]


def files_below(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Files of some endings in a folder and in all folders in it, in the order of their paths."""
    found = [path for path in folder.rglob("*") if path.suffix.lower() in suffixes]
    return sorted(path for path in found if path.is_file())
