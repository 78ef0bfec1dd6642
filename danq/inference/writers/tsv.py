"""Tables as tab-separated text.

All tables of danq follow one rule, so that pandas, polars, R, awk and tabix read them alike: lines
that start with ``#`` come before the header line and nowhere else, and a field that contains a
``#``, a quotation mark, a tab or a line end is in quotation marks.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, cast

import polars as pl

from danq.errors import InputError
from danq.inference.writers.bgzip import BgzipFile
from danq.inference.writers.layout import Layout
from danq.inference.writers.writer import Writer
from danq.output import comment_lines, os_errors, standard_output

# For 40 MB of predictions, level 1 is 7 times as fast as level 6; its files are a tenth larger.
GZIP_LEVEL = 1

_SPECIAL = r'[#"\t\n\r]'
_UNREADABLE = re.compile(r'["\t\n\r]')
"""What readers do not agree on in a column name, even in quotation marks."""


def write_table(path: Path, table: pl.DataFrame, about: Mapping[str, object], *notes: str) -> None:
    """Write a whole table: comment lines, column names, one line a row.

    Parameters
    ----------
    path
        File to create.
    table
        Columns of text, numbers and truth values.
    about
        Provenance: names and values for the comment lines.
    notes
        Further comment lines.

    Raises
    ------
    OSError
        When the operating system refuses, as on a full disk.
    """
    with path.open("wb") as file, os_errors():
        file.write(head(table.columns, about, *notes))
        write_rows(file, table)


def head(columns: Sequence[str], about: Mapping[str, object], *notes: str) -> bytes:
    """Comment lines and the header line of a table.

    Parameters
    ----------
    columns
        Names of the columns.
    about, notes
        As in `write_table`.
    """
    # R removes blanks at the ends of a column name that is not in quotation marks.
    marked = [f'"{name}"' if "#" in name or name != name.strip() else name for name in columns]
    return comment_lines(about, *notes) + ("\t".join(marked) + "\n").encode()


def write_rows(file: BinaryIO, table: pl.DataFrame) -> None:
    """Append rows to a table, with fields in quotation marks where necessary.

    Raises
    ------
    OSError
        When the operating system refuses, as on a full disk.
    """
    texts = pl.col(pl.String)
    special = table.select(texts.str.contains(_SPECIAL).any())
    for name in (name for name in special.columns if special[name].item()):
        text = pl.col(name)
        doubled = text.str.replace_all('"', '""', literal=True)
        quoted = pl.concat_str(pl.lit('"'), doubled, pl.lit('"'))
        table = table.with_columns(
            pl.when(text.str.contains(_SPECIAL)).then(quoted).otherwise(text).alias(name)
        )
    table.write_csv(file, separator="\t", include_header=False, quote_style="never")


class TsvWriter(Writer):
    """Comment lines with the provenance, a header line, then one line a row.

    Numbers have the fewest digits that read back as the same float32, so no precision is lost.

    Parameters
    ----------
    path
        File to create, or a stream.
    layout
        Columns and provenance.
    """

    unique_columns = True
    zipped: ClassVar[bool] = False

    def __init__(self, path: Path | BinaryIO, layout: Layout) -> None:
        self.layout = layout
        self._raw = path.open("wb") if isinstance(path, Path) else path
        # The same input gives the same bytes: the blocks have neither name nor time.
        self._blocks = BgzipFile(self._raw, GZIP_LEVEL) if self.zipped else None
        self._file = cast(BinaryIO, self._blocks or self._raw)
        try:
            self._file.write(head(layout.header, layout.provenance))
        except BaseException:
            self.release()
            raise

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        """Check that the columns can be written.

        Raises
        ------
        InputError
            When two columns would have one name; when a name is empty or contains a quotation
            mark, a tab or a line end.
        """
        super().check_layout(layout)
        for name in layout.columns:
            if not name or _UNREADABLE.search(name):
                raise InputError(
                    f"programs read a column named {name!r} of a TSV in different ways",
                    remedy="Select tracks without that one, or choose an output that ends with "
                    ".h5 or .parquet",
                )

    def write(self, *block: Any) -> None:
        with os_errors():
            write_rows(self._file, self.layout.frame(*block))

    def finish(self) -> None:
        if self._blocks is not None:
            self._blocks.finish()
        self._raw.close()

    def release(self) -> None:
        # After an error, closing may fail for the same reason; the first error is raised.
        with suppress(OSError, ValueError):
            self._raw.close()


class TsvStream(TsvWriter):
    """The same on standard output."""

    @classmethod
    def files(cls, out: Path) -> tuple[Path, ...]:
        return ()

    @classmethod
    @contextmanager
    def open(cls, out: Path, layout: Layout, overwrite: bool) -> Iterator[Writer]:
        with standard_output() as stream, cls(stream, layout) as writer:
            yield writer

    def write(self, *block: Any) -> None:
        rows = io.BytesIO()
        write_rows(rows, self.layout.frame(*block))
        self._file.write(rows.getvalue())
        self._file.flush()


class GzipTsvWriter(TsvWriter):
    """The same, compressed as bgzip does: tabix indexes the file."""

    zipped = True
