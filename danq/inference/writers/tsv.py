"""Tables as tab-separated text."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

import polars as pl

from danq.inference.writers.layout import Layout
from danq.inference.writers.writer import Writer
from danq.output import comment_lines, os_errors

# For 40 MB of predictions, level 1 is 7 times as fast as level 6; its files are a tenth larger.
GZIP_LEVEL = 1


def write_table(path: Path, table: pl.DataFrame, about: Mapping[str, object]) -> None:
    """Write a whole table: comment lines with the provenance, column names, one line a row.

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

    Numbers have the fewest digits that read back as the same float32, so no precision is lost.

    Parameters
    ----------
    path
        File to create.
    layout
        Columns and provenance.
    """

    unique_columns = True
    zipped: ClassVar[bool] = False

    def __init__(self, path: Path, layout: Layout) -> None:
        self.layout = layout
        self._raw = path.open("wb")
        self._file = self._raw
        if self.zipped:
            # Without name and time, the same input gives the same bytes.
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

    def write(self, *block: Any) -> None:
        table = self.layout.frame(*block)
        with os_errors():
            table.write_csv(self._file, separator="\t", include_header=False, quote_style="never")

    def finish(self) -> None:
        self._file.close()
        self._raw.close()

    def release(self) -> None:
        # After an error, closing may fail for the same reason; the first error is raised.
        for file in (self._file, self._raw):
            with suppress(OSError, ValueError):
                file.close()


class GzipTsvWriter(TsvWriter):
    """The same, compressed with gzip."""

    zipped = True
