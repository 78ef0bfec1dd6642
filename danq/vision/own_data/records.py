"""Examples of a user: files, what is to be predicted, split and group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from danq.errors import InputError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
"""Names of splits in folders and tables, in lower case."""


class FrameClasses(NamedTuple):
    """Classes of the frames of a clip.

    Attributes
    ----------
    segments
        First frame, frame behind the last one (0-based), and class; ascending, without overlap.
    frames
        Number of frames that the classes are for; None if only segments are given.
    """

    segments: tuple[tuple[int, int, str], ...]
    frames: int | None


class Record(NamedTuple):
    """One example.

    Attributes
    ----------
    path
        Its file; for a text, the text.
    target
        What is to be predicted: the name of a class, a tuple of labels, a list of values,
        `FrameClasses`, a caption, an answer; None if it is not known.
    split
        "train", "valid" or "test"; None if it is not given.
    group
        Examples of a group are never divided between splits; None is a group of its own.
    line
        1-based line of the table.
    more
        Further inputs: a question, the file of a sound.
    """

    path: str
    target: Any
    split: str | None = None
    group: str | None = None
    line: int | None = None
    more: Any = None


class Source(NamedTuple):
    """The examples of a source, and what was found beside them.

    Attributes
    ----------
    path
        The folder or table.
    kind
        What is to be predicted: "classes", "labels", "values", "captions", "questions", "frames".
    records
        The examples, in the order of the source.
    notices
        What was left out or assumed.
    names
        Names of the values.
    text
        Whether the paths of the examples are texts.
    sounds
        Whether ``more`` of the examples is the file of a sound.
    """

    path: Path
    kind: str
    records: Sequence[Record]
    notices: Sequence[str] = ()
    names: Sequence[str] = ()
    text: bool = False
    sounds: bool = False

    def error(self, problem: str, remedy: str, record: Record | None = None) -> InputError:
        """Make an error that names the source and the line of a record."""
        line = None if record is None else record.line
        return InputError(problem, file=self.path, line=line, remedy=remedy)
