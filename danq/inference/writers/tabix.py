"""Compressed tables of a genome with an index, so that programs read one region of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from danq.inference.mutagenesis.effects import BaseEffects
from danq.inference.writers.layout import Layout
from danq.inference.writers.mutation_layout import MutationLayout
from danq.inference.writers.tsv import GzipTsvWriter, head
from danq.inference.writers.variant_vcf import INDEXES, LONGEST_TBI, is_index
from danq.inference.writers.writer import Writer
from danq.output import OutputFile, os_errors, replacing_files


class TabixWriter(GzipTsvWriter):
    """Mutation effects sorted by position, contig after contig, and a tabix index of them.

    The index has the name of the file and ``.tbi``, or ``.csi`` if a contig is too long for that.

    Parameters
    ----------
    path
        File to create.
    layout
        Columns and provenance.
    """

    def __init__(self, path: Path, layout: MutationLayout) -> None:
        super().__init__(path, layout)
        self.path = path
        self.indexes = self.files(path)[1:]
        self._longest = 0

    @classmethod
    def files(cls, out: Path) -> tuple[Path, ...]:
        return out, *(out.with_name(out.name + extension) for extension in INDEXES)

    @classmethod
    def outputs(cls, out: Path) -> tuple[OutputFile, ...]:
        # An index of the file that is replaced would point to wrong positions.
        table, *indexes = cls.files(out)
        return *(OutputFile(file, is_index, optional=True) for file in indexes), OutputFile(table)

    @classmethod
    @contextmanager
    def open(cls, out: Path, layout: Layout, overwrite: bool) -> Iterator[Writer]:
        assert isinstance(layout, MutationLayout)
        with (
            replacing_files(cls.outputs(out), overwrite) as (*indexes, temporary),
            cls(temporary, layout) as writer,
        ):
            writer.indexes = tuple(indexes)
            yield writer

    def write(self, effects: BaseEffects) -> None:
        """Append the substitutions of a window."""
        super().write(effects)
        self._longest = max(self._longest, effects.window.target.length)

    def finish(self) -> None:
        from pysam import tabix_index

        super().finish()
        far = self._longest >= LONGEST_TBI
        first_lines = head(self.layout.header, self.layout.provenance).count(b"\n")
        with os_errors():
            tabix_index(
                str(self.path),
                seq_col=0,
                start_col=1,
                end_col=1,
                line_skip=first_lines,
                force=True,
                keep_original=True,
                index=str(self.indexes[far]),
                csi=far,
            )
