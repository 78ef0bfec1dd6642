"""Predictions as a directory of bigWig files, one for each track."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch

from danq.errors import InputError
from danq.inference.sources.tiling import Rows
from danq.inference.writers.bigwig_file import ContigRows, write_bigwig
from danq.inference.writers.layout import Layout, PredictionLayout, TrackProfile, Values
from danq.inference.writers.writer import Writer
from danq.output import check_output_folder, replacing_folder
from danq.typing import IntRow

EXTENSION = ".bw"
INDEX = "danq.json"
KIND = "bigWig prediction"

MOST_THREADS = 8
"""Files that are written at the same time; each needs memory for a block and for summaries."""

LONGEST_NAME = 255
"""Bytes of the longest file name on common file systems."""

_UNSAFE = re.compile(r"[^\w.+-]+")


class Block(NamedTuple):
    """Rows of one contig in the scratch file.

    The values of a column with a profile are those of its steps, row after row.

    Attributes
    ----------
    contig
        Name of the contig.
    rows
        Number of rows.
    offset
        Byte of the start positions; the end positions follow (both int64), then for each
        column its values (float32).
    """

    contig: str
    rows: int
    offset: int


class BigWigWriter(Writer):
    """One bigWig file per column, and ``danq.json`` with the provenance.

    A bigWig file is written in one go, so the values of all columns are kept in a scratch file in
    the directory until the last row: 4 bytes per value. Rows must come contig by contig, ascending
    and without overlap; contigs may come in any order. A column with a profile has the amounts of
    its steps, which are cut at the ends of their row.

    Parameters
    ----------
    path
        Directory to fill; created if it does not exist.
    layout
        Columns and provenance, with the contigs' lengths.

    Raises
    ------
    InputError
        As `check_layout`.
    """

    ordered = True
    profiles = True
    kind = KIND
    """What the directory is, in its marker."""

    def __init__(self, path: Path, layout: PredictionLayout) -> None:
        self.check_layout(layout)
        self.layout, self.path = layout, path
        self.contigs = layout.contigs or {}
        self._names = file_names(layout.columns)
        tracks = len(layout.tracks)
        self._profiles = {one.column: one for one in layout.profiles}
        if layout.spread:
            self._profiles |= {tracks + one.column: one for one in layout.profiles}
        sizes = [self._values_of(column) for column in range(len(layout.columns))]
        self._first = np.concatenate([[0], np.cumsum(sizes)])
        self.path.mkdir(exist_ok=True)
        self._blocks: list[Block] = []
        self._over = False
        self._scratch_path = self.path / ".values"
        self._scratch: BinaryIO = self._scratch_path.open("w+b")

    @classmethod
    def check(cls, out: Path, overwrite: bool) -> None:
        check_output_folder(out, overwrite, kind=cls.kind)

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        """Check that the columns can be written.

        Raises
        ------
        InputError
            When the layout has no contigs; as `file_names`.
        """
        if not isinstance(layout, PredictionLayout) or layout.contigs is None:
            raise InputError(
                "bigWig output needs positions on a genome, which standalone sequences do not have",
                remedy="Tile a genome, give a BED file with its genome, or choose an output that "
                "ends with .tsv, .h5 or .parquet",
            )
        file_names(layout.columns)

    @classmethod
    @contextmanager
    def open(cls, out: Path, layout: PredictionLayout, overwrite: bool) -> Iterator[Writer]:
        with (
            replacing_folder(out, overwrite, kind=cls.kind) as temporary,
            cls(temporary, layout) as writer,
        ):
            yield writer

    def write(self, rows: Rows, values: Values, steps: Values | None = None) -> None:
        check_covered(self.layout.profiles, int((rows.end - rows.start).max(initial=0)))
        names = np.array(rows.names, dtype=object)
        breaks = np.flatnonzero(names[1:] != names[:-1]) + 1
        for part in np.split(np.arange(len(names)), breaks):
            if part.size == 0:
                continue
            span = slice(int(part[0]), int(part[-1]) + 1)
            block = Block(str(names[part[0]]), part.size, self._scratch.tell())
            self._scratch.write(rows.start[span].astype("<i8").tobytes())
            self._scratch.write(rows.end[span].astype("<i8").tobytes())
            for column in self._columns(values[span], None if steps is None else steps[span]):
                self._scratch.write(np.ascontiguousarray(column, dtype="<f4").tobytes())
            self._blocks.append(block)

    def _columns(self, values: Values, steps: Values | None) -> Iterator[np.ndarray]:
        """Values of each column, one after another; of its steps if it has a profile."""
        if steps is None:
            yield values.T
            return
        at = 0
        for number, column in enumerate(values.T):
            profile = self._profiles.get(number)
            if profile is None:
                yield column
            else:
                yield steps[:, at : at + profile.steps]
                at += profile.steps

    def _values_of(self, column: int) -> int:
        """Values per row of a column."""
        profile = self._profiles.get(column)
        return 1 if profile is None else profile.steps

    def finish(self) -> None:
        self._scratch.flush()
        # A bigWig file lists contigs by name.
        blocks = sorted(self._blocks, key=lambda block: block.contig)
        sizes = {name: int(self.contigs[name]) for name in sorted(self.contigs)}
        self._write_tracks(blocks, sizes)
        self._scratch.close()
        self._scratch_path.unlink()
        index = {
            "provenance": dict(self.layout.provenance),
            "tracks": dict(zip(self.layout.columns, self._names, strict=True)),
        }
        (self.path / INDEX).write_text(json.dumps(index, indent=1) + "\n")

    def release(self) -> None:
        # After an error, closing may fail for the same reason; the first error is raised.
        with suppress(OSError):
            self._scratch.close()

    def _write_tracks(self, blocks: list[Block], sizes: dict[str, int]) -> None:
        """Write the files of all columns, several at a time: most of the work is compression."""
        threads = max(1, min(MOST_THREADS, torch.get_num_threads(), len(self._names)))
        with ThreadPoolExecutor(threads) as pool:
            done = [
                pool.submit(self._write_track, self.path / file, column, blocks, sizes)
                for column, file in enumerate(self._names)
            ]
            try:
                for one in done:
                    one.result()
            except BaseException:
                self._over = True
                pool.shutdown(cancel_futures=True)
                raise

    def _write_track(
        self, path: Path, column: int, blocks: list[Block], sizes: dict[str, int]
    ) -> None:
        with path.open("wb") as file:
            write_bigwig(file, sizes, self._rows(column, blocks))

    def _rows(self, column: int, blocks: list[Block]) -> Iterator[ContigRows]:
        for contig, rows, offset in blocks:
            if self._over:
                return
            start, end = self._read(offset, 2 * rows, "<i8").reshape(2, rows)
            first, count = int(self._first[column]), self._values_of(column)
            values = self._read(offset + 16 * rows + 4 * rows * first, rows * count, "<f4")
            profile = self._profiles.get(column)
            if profile is not None:
                start, end, values = _cut(profile, start, end, values)
            yield ContigRows(contig, start, end, values)

    def _read(self, offset: int, count: int, dtype: str) -> IntRow:
        size = count * np.dtype(dtype).itemsize
        return np.frombuffer(os.pread(self._scratch.fileno(), size, offset), dtype=dtype)


def check_covered(profiles: Sequence[TrackProfile], bases: int) -> None:
    """Check that profiles cover rows of a number of bases.

    Raises
    ------
    InputError
        When a profile is shorter.
    """
    for profile in profiles:
        if bases > profile.span:
            raise InputError(
                f"a row of {bases:,} bases is longer than its profile of {profile.span:,}, so the "
                "bigWig file of the profile would have gaps",
                remedy=f"Use tiles or regions of at most {profile.span:,} bases, or a table",
            )


def _cut(
    profile: TrackProfile, start: IntRow, end: IntRow, values: np.ndarray
) -> tuple[IntRow, IntRow, np.ndarray]:
    """Start, end and values of the steps of rows, cut at the ends of their row."""
    first = (start + end) // 2 - profile.span // 2
    low = first[:, None] + profile.bases * np.arange(profile.steps)
    high = np.minimum(low + profile.bases, end[:, None])
    low = np.maximum(low, start[:, None])
    inside = (low < high).ravel()
    return low.ravel()[inside], high.ravel()[inside], values[inside]


def file_names(columns: tuple[str, ...]) -> tuple[str, ...]:
    """File of each column: its name, with ``_`` for characters that are unsafe in file names.

    A name of dots alone, or without any character, becomes ``_``.

    Raises
    ------
    InputError
        When two columns get one name, or names that a file system may not distinguish because
        they differ only in case or in the composition of accents; when a name is too long.
    """
    files = [(_UNSAFE.sub("_", name).lstrip(".") or "_") + EXTENSION for name in columns]
    seen: dict[str, str] = {}
    for name, file in zip(columns, files, strict=True):
        if len(os.fsencode(file)) > LONGEST_NAME:
            raise InputError(
                f"the name of track '{name[:20]}...' has {len(name):,} characters, too many for "
                "the name of a bigWig file",
                remedy="Select tracks without that one, or choose an output that ends with .tsv, "
                ".h5 or .parquet",
            )
        other = seen.setdefault(unicodedata.normalize("NFC", file).casefold(), name)
        if other != name:
            raise InputError(
                f"tracks '{other}' and '{name}' would both be written to {file}",
                remedy="Select tracks without one of them, or choose an output that ends with "
                ".tsv, .h5 or .parquet",
            )
    return tuple(files)
