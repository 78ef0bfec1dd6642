"""What every writer of an output does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from danq.inference.writers.layout import Layout
from danq.output import OutputFile, check_files, replacing


class Writer(ABC):
    """Writes rows, block by block, to a file or directory.

    A context manager: the output is completed when the block ends without an error; open files
    are closed in any case. `open` adds a temporary name, so that the output appears whole or not
    at all.

    Parameters
    ----------
    path
        File to create.
    layout
        Columns and provenance.
    """

    ordered: ClassVar[bool] = False
    """Whether rows must be sorted and must not overlap."""

    profiles: ClassVar[bool] = False
    """Whether the steps of profiles are written, not only their totals."""

    unique_columns: ClassVar[bool] = False
    """Whether no two columns may have one name."""

    @abstractmethod
    def __init__(self, path: Path, layout: Any) -> None: ...

    @abstractmethod
    def write(self, *block: Any) -> None:
        """Append a block of rows: what `Layout.frame` takes.

        Raises
        ------
        OSError
            When the operating system refuses, as on a full disk.
        """

    @abstractmethod
    def finish(self) -> None:
        """Complete the output after the last row."""

    @abstractmethod
    def release(self) -> None:
        """Close all open files; called at the end, after errors too."""

    @classmethod
    def files(cls, out: Path) -> tuple[Path, ...]:
        """Every file that an output may consist of."""
        return (out,)

    @classmethod
    def outputs(cls, out: Path) -> tuple[OutputFile, ...]:
        """The same files in the order in which they get their names, the main one last."""
        return tuple(OutputFile(file) for file in cls.files(out))

    @classmethod
    def check(cls, out: Path, overwrite: bool) -> None:
        """Check that an output can be written.

        Raises
        ------
        InputError
            When one of its files exists and ``overwrite`` is false, or the parent directory is
            missing or not writable.
        """
        check_files(cls.outputs(out), overwrite)

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        """Check that the columns can be written.

        Raises
        ------
        InputError
            When two columns would have one name.
        """
        if cls.unique_columns:
            layout.check_names()

    @classmethod
    @contextmanager
    def open(cls, out: Path, layout: Any, overwrite: bool) -> Iterator[Writer]:
        """Writer of an output that appears whole at the end of the block, or not at all.

        Raises
        ------
        InputError
            As `check` and `check_layout`; when the operating system refuses to write.
        """
        with replacing(out, overwrite) as temporary, cls(temporary, layout) as writer:
            yield writer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self.release()
