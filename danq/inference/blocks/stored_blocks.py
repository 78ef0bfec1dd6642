"""Blocks of a run that are stored on disk: their numbers, counts, tables and arrays.

A block is a few files. Files are compared with their checksums whenever they are read.
"""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from danq.errors import InputError
from danq.inference.blocks.folder import JOURNAL, read_bytes
from danq.inference.blocks.journal import part_name
from danq.inference.blocks.shard import WHOLE, Shard
from danq.inference.blocks.stored_columns import StoredColumns

TABLE, ARRAY = ".arrow", ".npy"
"""Endings of the files of tables and arrays."""


class FinishedBlock(NamedTuple):
    """One completed block.

    Attributes
    ----------
    tables
        Tables by name: lower-case letters and ``_``.
    arrays
        Arrays by name, of any shape, with numbers or truth values.
    counts
        Counts of the block, none below 0.
    """

    tables: Mapping[str, pl.DataFrame]
    arrays: Mapping[str, np.ndarray]
    counts: Mapping[str, int]


class Blocks(ABC):
    """Completed blocks of a run, in order: what the output of a run is assembled from."""

    @property
    @abstractmethod
    def numbers(self) -> Sequence[int]:
        """Numbers of the blocks, ascending."""

    @property
    @abstractmethod
    def counts(self) -> Sequence[Mapping[str, int]]:
        """Counts of each block."""

    @abstractmethod
    def readable(self, number: int) -> AbstractContextManager[None]:
        """Name the journal whose line of a block cannot be interpreted.

        Raises
        ------
        InputError
            When the block of the ``with`` raises a ValueError, a TypeError or a KeyError.
        """

    @abstractmethod
    def tables(self, number: int, *names: str) -> dict[str, pl.DataFrame]:
        """Tables of a block, by name.

        Parameters
        ----------
        number
            Number of the block.
        names
            Names of the tables that are read; none: all.

        Raises
        ------
        InputError
            When a file of the block is missing or damaged.
        """

    @abstractmethod
    def arrays(self, number: int) -> dict[str, np.ndarray]:
        """Arrays of a block, by name.

        Raises
        ------
        InputError
            When a file of the block is missing or damaged.
        """

    def __iter__(self) -> Iterator[FinishedBlock]:
        for number, counts in zip(self.numbers, self.counts, strict=True):
            yield FinishedBlock(self.tables(number), self.arrays(number), counts)


class StoredBlocks(Blocks):
    """Blocks in a folder, which holds one part of a run.

    Parameters
    ----------
    folder
        The folder.
    part
        Which blocks of the run it holds.
    remedy
        What to do when a file is damaged.
    """

    def __init__(self, folder: Path, part: Shard = WHOLE, *, remedy: str) -> None:
        self.folder, self.part, self._remedy = folder, part, remedy
        self._counts: list[Mapping[str, int]] = []
        self._files: list[Mapping[str, str]] = []
        self._stored_columns: dict[tuple[int, str], StoredColumns] = {}

    @property
    def numbers(self) -> range:
        part = self.part
        return range(part.number(0), part.number(len(self.counts)), part.count)

    @property
    def counts(self) -> list[Mapping[str, int]]:
        self._settle()
        return self._counts

    def tables(self, number: int, *names: str) -> dict[str, pl.DataFrame]:
        found = {}
        for name, content in self._contents(number, TABLE, names):
            with self._readable_file(name):
                found[_name(name)] = pl.read_ipc(content)
        return found

    def arrays(self, number: int) -> dict[str, np.ndarray]:
        found = {}
        for name, content in self._contents(number, ARRAY):
            with self._readable_file(name):
                found[_name(name)] = np.load(io.BytesIO(content), allow_pickle=False)
        return found

    def columns(self, number: int, array: str, columns: slice) -> np.ndarray:
        """Some columns of an array of float32 with two dimensions.

        If it is stored in column-major order, only these columns are read, except the first time.

        Raises
        ------
        InputError
            When the file is missing or damaged.
        """
        known = self._stored_columns.get((number, array))
        if known is None:
            values = self.arrays(number)[array]
            if values.flags.f_contiguous:
                self._stored_columns[number, array] = StoredColumns.of(values)
            return values[:, columns]
        self._settle()
        name = part_name(number, array + ARRAY)
        with self._readable_file(name):
            return known.read(self.folder / name, columns)

    def readable(self, number: int) -> AbstractContextManager[None]:
        return self._readable_file(JOURNAL)

    @contextmanager
    def _readable_file(self, name: str) -> Iterator[None]:
        """Name the file of the folder that cannot be interpreted."""
        try:
            yield
        except (
            PolarsError,
            PanicException,
            ValueError,
            TypeError,
            KeyError,
            OSError,
            EOFError,
        ) as error:
            if isinstance(error, InputError):
                raise
            raise self._damaged(name, str(error).partition("\n")[0]) from error

    def _settle(self) -> None:
        """Wait for a block that is being written."""

    def _contents(
        self, number: int, ending: str, names: Sequence[str] = ()
    ) -> Iterator[tuple[str, bytes]]:
        """Name and content of the files of a block, which have their checksums."""
        self._settle()
        files = self._files[(number - self.part.number(0)) // self.part.count]
        for name, checksum in files.items():
            if name.endswith(ending) and (not names or _name(name) in names):
                try:
                    content = read_bytes(self.folder / name)
                except OSError as error:
                    raise self._damaged(name, error.strerror or str(error)) from error
                if sha256(content) != checksum:
                    raise self._damaged(name, "its checksum is wrong")
                yield name, content

    def _damaged(self, name: str, reason: str) -> InputError:
        return InputError(
            f"is missing or damaged ({reason})", file=self.folder / name, remedy=self._remedy
        )


def sha256(content: bytes | memoryview) -> str:
    """Checksum of a file's content."""
    return hashlib.sha256(content).hexdigest()


def _name(file: str) -> str:
    return file.split(".")[1]
