"""A variant run: blocks of rows, rejects and values, stored until the output is complete."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from danq.bounded_queue import read_ahead
from danq.errors import InputError
from danq.files.inputs_in_use import note_checked
from danq.files.unchanged_inputs import UnchangedInputs
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import Blocks, Reject, VariantBlock, VariantReader
from danq.inference.blocks import FinishedBlock, FinishedBlocks, Shard, folder_of
from danq.inference.blocks.folder import check_not_both
from danq.inference.engine.transfer import overlapped
from danq.inference.variants.allele_scores import P
from danq.inference.variants.device_scorer import DeviceScorer
from danq.inference.variants.scorer import Scorer
from danq.inference.variants.strata import Strata
from danq.inference.variants.variant_input import AlleleWindows, VariantInput
from danq.inference.variants.variant_tally import (
    VariantTally,
    contig_counts,
    contigs_of,
    count_blocks,
)
from danq.inference.writers.layout import Values
from danq.inference.writers.variant_layout import FLAGS, KEYS, NO_FLAG, VcfHeader
from danq.progress import is_watched, stage
from danq.provenance import Provenance
from danq.typing import BoolRow

BLOCK_VALUES = 1 << 23
"""Values per block: 32 MB."""

BLOCK_RECORDS = 4096
"""Maximum number of records per block."""

VALUES = "values"
"""Name of the array with the ``(V, C)`` values of a block."""

STRATUM = "stratum"
"""Column with the number of each row's stratum, in runs for a background."""

VARIANTS, BACKGROUND = "variants", "background"
"""Kinds of runs."""

REJECT_COLUMNS = Reject._fields
"""Columns of the table of rejects."""

log = logging.getLogger("danq")


@dataclass(frozen=True)
class VariantRun:
    """Variants to score, with models, genome and columns.

    Attributes
    ----------
    input
        The variants.
    genome
        The reference genome.
    scorer
        Models and output columns.
    conditions
        What scores must share to be compared.
    provenance
        Header of the output, and what a resumed run must share.
    block
        Records per block.
    keep_lines
        Whether blocks keep the records as text.
    kind
        `VARIANTS`, or `BACKGROUND`: values are then stored in column-major order.
    unchanged
        The input files, which must not change until the last record is read.
    strata
        Finds the strata of variants, in runs with a background or for one.
    """

    input: VariantInput
    genome: PackedGenome
    scorer: Scorer | DeviceScorer
    conditions: Provenance
    provenance: Provenance
    block: int
    keep_lines: bool = False
    kind: str = VARIANTS
    unchanged: UnchangedInputs = field(default_factory=UnchangedInputs)
    strata: Strata | None = None

    @contextmanager
    def open(self, blocks: Blocks | None = None) -> Iterator[VariantReader]:
        """Reader of the variants in all blocks, or in those for which ``blocks`` is true."""
        with self.input.open(
            self.genome, block=self.block, blocks=blocks, keep_lines=self.keep_lines
        ) as reader:
            yield reader

    def blocks(self, reader: VariantReader) -> Generator[FinishedBlock, None, None]:
        """Score one block after the other; a file is read ahead in a separate thread.

        Variants with the same windows have bit-identical scores within a block. Between blocks,
        the last bits may differ, because rounding depends on the composition of a batch.

        Parameters
        ----------
        reader
            Reader of the input.

        Raises
        ------
        InputError
            As the reader; when an input file has changed since the start of the run.
        """

        def begin(windows: AlleleWindows) -> Callable[[], FinishedBlock]:
            self.unchanged.check()
            scored = self.scorer.start(windows)
            return lambda: self._finished(windows, scored())

        read = self.input.windows(reader)
        # A thread that waits for a pipe cannot be ended.
        with nullcontext(read) if self.input.variants.is_stream else read_ahead(read) as ready:
            yield from overlapped(map(begin, ready), self.scorer.in_flight)
        self.unchanged.check()
        for path in self.unchanged.states:
            note_checked(path)

    def _finished(self, windows: AlleleWindows, values: Values) -> FinishedBlock:
        """The tables, values and counts of a block."""
        block = windows.block
        stratum = None if self.strata is None else self.strata.of(block)
        background = self.scorer.background
        found = dict(windows.flags)
        if background is not None and stratum is not None:
            found["unmatched"] = background.unmatched[stratum]
            p = self.scorer.layout.part(values, P)
            p[:] = background.p(p, stratum)
        flags = _flags(found)
        tally = VariantTally(
            block.records,
            block.alleles,
            len(block),
            Counter(reject.reason for reject in block.rejects),
            Counter(flag for text in flags for flag in text.split(",") if flag != NO_FLAG),
        )
        counts = tally.to_counts()
        tables = {"rows": _rows(block, flags), "rejects": _rejects(block.rejects)}
        if self.keep_lines:
            lines = block.lines or []
            tables["lines"] = pl.DataFrame(
                {"record": range(block.first, block.first + len(lines)), "line": lines},
                schema={"record": pl.Int64, "line": pl.String},
            )
            counts |= contig_counts(tables["rows"], tables["rejects"])
        if self.kind == BACKGROUND:
            tables["rows"] = tables["rows"].with_columns(
                pl.Series(STRATUM, stratum, dtype=pl.Int32)
            )
            values = values.T.copy().T
        return FinishedBlock(tables, {VALUES: values}, counts)

    def score(
        self,
        finished: FinishedBlocks,
        seconds: dict[str, float],
        each: Callable[[FinishedBlock], None] = lambda _: None,
    ) -> tuple[VariantTally, VcfHeader]:
        """Score the remaining records of a run or a shard, store each block, and count.

        Parameters
        ----------
        finished
            The stored blocks.
        seconds
            Time for scoring and for writing; this is added to it.
        each
            Called with each block.

        Returns
        -------
        VariantTally
            Counts of all stored blocks.
        VcfHeader
            Header of the input, with the contigs of the blocks.

        Raises
        ------
        InputError
            As the reader (the stored blocks are then removed); when the operating system cannot
            write.
        """
        tally, contigs = count_blocks(finished)
        first, part = finished.next, finished.part
        try:
            with (
                self.counting(tally.records, part) as count,
                self.open(lambda number: number >= first and part.owns(number)) as reader,
                closing(self.blocks(reader)) as blocks,
            ):
                lines, samples, begun = reader.header_lines, reader.samples, time.perf_counter()
                while (block := next(blocks, None)) is not None:
                    scored = time.perf_counter()
                    finished.add(block)
                    each(block)
                    seconds["score"] += scored - begun
                    begun = time.perf_counter()
                    seconds["write"] += begun - scored
                    tally.add(VariantTally.of(block.counts))
                    contigs.update(dict.fromkeys(contigs_of(block.counts)))
                    count(tally.records)
        except InputError as error:
            if not Path(error.file or "").is_relative_to(finished.folder):
                finished.remove()
            raise
        return tally, VcfHeader(lines, samples, list(contigs))

    @contextmanager
    def counting(
        self, first: int = 0, part: Shard | None = None
    ) -> Iterator[Callable[[int], None]]:
        """Stage of the scoring: a function to call with the number of records that are done.

        Parameters
        ----------
        first
            Records that were done before.
        part
            The shard, if it is one.
        """
        total = self.input.records() if is_watched() else None
        if part is not None:
            total = total and part.share(total, self.block)
        with stage("scoring", "variants", total, first) as now:
            # The total of a large file is an estimate.
            yield lambda done: now.reach(done, total and max(total, done))

    def check_resume(
        self, out: Path, *, resume: bool, overwrite: bool, shard: Shard | None = None
    ) -> None:
        """Check that the run, or a shard of it, can be resumed.

        Raises
        ------
        InputError
            When ``overwrite`` is set, too, or the input cannot be read a second time.
        """
        if not resume:
            return
        check_not_both(out, "run", resume=resume, overwrite=overwrite)
        if self.input.variants.is_file:
            self.input.variants.check_file("only a run on a file can be resumed")
        folder = folder_of(out, shard)
        if not folder.exists() and (shard is not None or not out.exists()):
            name = out if shard is None else folder
            log.info("%s: no unfinished run was found; starting a new one", name)


def no_rejects() -> pl.DataFrame:
    """Table of rejects without rows."""
    return _rejects([])


def _flags(found: Mapping[str, BoolRow]) -> list[str]:
    columns = {name: found[name] for name in FLAGS if name in found}
    names = [[name if flag else "" for flag in flags] for name, flags in columns.items()]
    return [",".join(filter(None, row)) or NO_FLAG for row in zip(*names, strict=True)]


def _rows(block: VariantBlock, flags: list[str]) -> pl.DataFrame:
    columns = {
        "record": block.record,
        "allele": block.allele,
        "chrom": block.chrom,
        "pos": block.pos,
        "id": block.id,
        "ref": block.ref,
        "alt": block.alt,
        "flags": flags,
    }
    return pl.DataFrame(columns, schema=KEYS)


def _rejects(rejects: list[Reject]) -> pl.DataFrame:
    kinds = {"record": pl.Int64, "pos": pl.Int64}
    schema = {name: kinds.get(name, pl.String) for name in Reject._fields}
    return pl.DataFrame(rejects, schema=schema, orient="row")
