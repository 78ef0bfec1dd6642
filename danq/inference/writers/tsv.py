"""Tables as tab-separated text."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import polars as pl

from danq.inference.writers.layout import Table, Values, Writer
from danq.output import comment_lines, os_errors

# Of 40 MB of predictions, level 1 makes files a tenth larger than level 6, 7 times as fast.
GZIP_LEVEL = 1


def write_table(path: Path, table: pl.DataFrame, about: Mapping[str, object]) -> None:
    """Write a whole table: comment lines of provenance, names of columns, one line a row.

    Raises
    ------
    OSError
        When the operating system refuses, as on a full disk.
    """
    with path.open("wb") as file, os_errors():
        file.write(comment_lines(about))
        table.write_csv(file, separator="\t", quote_style="never")


class TsvWriter(Writer):
    """Comment lines with the provenance, a header line, then one line a row.

    Numbers have the fewest digits that read back as the same float32, so that nothing is lost
    against the binary outputs.

    Parameters
    ----------
    path
        File to make.
    layout
        Columns and provenance.
    zipped
        Write gzip.
    """

    def __init__(self, path: Path, layout: Table, *, zipped: bool = False) -> None:
        self.layout = layout
        self._raw = path.open("wb")
        self._file = self._raw
        if zipped:
            # Neither name nor time goes into the file: the same input gives the same bytes.
            self._file = cast(
                BinaryIO,
                gzip.GzipFile(
                    filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=self._raw, mtime=0
                ),
            )
        header = "\t".join(layout.header)
        try:
            self._file.write(comment_lines(layout.provenance) + f"{header}\n".encode())
        except BaseException:
            self.release()
            raise

    def write(self, rows: Any, values: Values) -> None:
        table = self.layout.frame(rows, values)
        with os_errors():
            table.write_csv(self._file, separator="\t", include_header=False, quote_style="never")

    def finish(self) -> None:
        self._file.close()
        self._raw.close()

    def release(self) -> None:
        # The error that led here is the one to tell; what closing adds is its echo.
        for file in (self._file, self._raw):
            with suppress(OSError, ValueError):
                file.close()
