"""Read a folder of results: its summary, and files whose bytes are those that were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from danq.errors import InputError
from danq.files.json_file import read_json
from danq.files.open_input import check_file
from danq.inference.writers.folder_summary import SUMMARY
from danq.provenance import sha256_of
from danq.report.read_tables import read_stored_table


class ResultFolder(NamedTuple):
    """A folder of results.

    Attributes
    ----------
    path
        The folder.
    checksums
        Those of its files by name; None where the summary cannot be read.
    remedy
        What makes the folder again, for messages.
    """

    path: Path
    checksums: Mapping[str, Any] | None
    remedy: str

    def check(self, name: str) -> Path:
        """The path of a file, whose bytes are those that were written."""
        path = check_file(self.path / name)
        if self.checksums is not None and sha256_of(path) != self.checksums.get(name):
            raise InputError("has changed since it was written", file=path, remedy=self.remedy)
        return path

    def table(
        self, name: str, text: Mapping[str, type[pl.DataType]], needed: Sequence[str] = ()
    ) -> pl.DataFrame | InputError:
        """A table, or what is wrong with it.

        Parameters
        ----------
        name
            Name of the file.
        text
            Types of the columns that do not hold numbers.
        needed
            Columns that it must have.
        """
        try:
            return read_stored_table(self.check(name), text, needed=needed).frame
        except InputError as error:
            return error


def open_result_folder(
    path: Path, what: str, form: tuple[str, int], remedy: str
) -> tuple[ResultFolder, dict[str, Any], InputError | None]:
    """Read the summary of a folder of results.

    Parameters
    ----------
    path
        The folder.
    what
        What it is, for messages: "a motif report".
    form
        Name and version of its format.
    remedy
        What makes the folder again.

    Returns
    -------
    ResultFolder
        The folder.
    dict
        Its summary; empty where it cannot be read.
    InputError or None
        Why it cannot be read.
    """
    name, version = form
    try:
        summary = read_json(path / SUMMARY, what, remedy=remedy)
        known = isinstance(summary, dict) and summary.get("format") == name
        if not known or summary.get("format_version") != version:
            raise InputError(
                f"is not {what} of format version {version}", file=path / SUMMARY, remedy=remedy
            )
    except InputError as error:
        return ResultFolder(path, None, remedy), {}, error
    files = summary.get("files")
    return ResultFolder(path, files if isinstance(files, dict) else {}, remedy), summary, None


def summary_texts(summary: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Entries of a summary as text, by name; those that it lacks are left out."""
    texts = {}
    for name in names:
        value = summary.get(name)
        if value not in (None, "", []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            texts[name.replace("_", " ")] = text
    return texts
