"""A variant run: blocks of rows, rejects and values, stored until the output is complete."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from danq.bounded_queue import read_ahead
from danq.errors import InputError
from danq.files.inputs_in_use import note_checked
from danq.files.unchanged_inputs import UnchangedInputs
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import Blocks, Reject, VariantBlock, VariantReader
from danq.genome.variants.reference_alleles import FEW, MOST_MISMATCHES
from danq.inference.blocks import FinishedBlock, FinishedBlocks, folder_of
from danq.inference.engine.transfer import overlapped
from danq.inference.variants.background import FEWEST
from danq.inference.variants.device_scorer import DeviceScorer
from danq.inference.variants.repeats import Repeats
from danq.inference.variants.scorer import Scorer
from danq.inference.variants.significance import Significance
from danq.inference.variants.strata import Strata
from danq.inference.variants.variant_input import AlleleWindows, VariantInput
from danq.inference.variants.variant_tally import VariantTally
from danq.inference.writers.layout import Values
from danq.inference.writers.variant_layout import FLAGS, KEYS, NO_FLAG, VcfHeader
from danq.provenance import Provenance
from danq.typing import BoolRow, Progress

BLOCK_VALUES = 1 << 23
"""Values per block: 32 MB."""

BLOCK_RECORDS = 4096
"""Maximum number of records per block."""

WINDOWS = "windows"
"""Column with a hash of each row's windows."""

VALUES = "values"
"""Name of the array with the ``(V, C)`` values of a block."""

STRATUM = "stratum"
"""Column with the number of each row's stratum, in runs with a background or for one."""

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
        ``variants``, or ``background``: values are then stored in column-major order.
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
    kind: str = "variants"
    unchanged: UnchangedInputs = field(default_factory=UnchangedInputs)
    strata: Strata | None = None

    @contextmanager
    def open(self, blocks: Blocks | None = None) -> Iterator[VariantReader]:
        """Reader of the variants in all blocks, or in those for which ``blocks`` is true."""
        with self.input.open(
            self.genome, block=self.block, blocks=blocks, keep_lines=self.keep_lines
        ) as reader:
            yield reader

    def blocks(
        self, reader: VariantReader, repeats: Repeats
    ) -> Generator[FinishedBlock, None, None]:
        """Score one block after the other; a file is read ahead in a separate thread.

        Parameters
        ----------
        reader
            Reader of the input.
        repeats
            Rows of the completed blocks; new rows are added.

        Raises
        ------
        InputError
            As the reader; when an input file has changed since the start of the run.
        """

        def begin(windows: AlleleWindows) -> Callable[[], FinishedBlock]:
            self.unchanged.check()
            keys = self.scorer.keys(windows)
            scored = self._start(windows, repeats, keys)
            repeats.add(keys)
            return lambda: self._finished(windows, keys, scored)

        read = self.input.windows(reader)
        # A thread that waits for a pipe cannot be ended.
        with nullcontext(read) if self.input.variants.is_stream else read_ahead(read) as ready:
            yield from overlapped(map(begin, ready), self.scorer.in_flight)
        self.unchanged.check()
        for path in self.unchanged.states:
            note_checked(path)

    def _start(
        self, windows: AlleleWindows, repeats: Repeats, keys: list[bytes]
    ) -> Callable[[], Values]:
        """Begin to score a block; the result is called once the earlier blocks are stored."""
        found = repeats.find(keys)
        if not found:
            return self.scorer.start(windows)
        fresh = np.setdiff1d(np.arange(len(keys)), list(found))
        scored = self.scorer.start(windows, fresh)

        def values() -> Values:
            out = np.empty((len(keys), len(self.scorer.layout.columns)), dtype=np.float32)
            out[fresh] = scored()
            for row, earlier in found.items():
                out[row] = repeats.values(earlier)
            return out

        return values

    def _finished(
        self, windows: AlleleWindows, keys: list[bytes], scored: Callable[[], Values]
    ) -> FinishedBlock:
        """The tables and values of a block, once it is scored."""
        values, block = scored(), windows.block
        stratum = None if self.strata is None else self.strata.of(block)
        background = self.scorer.background
        found = dict(windows.flags)
        if background is not None and stratum is not None:
            found["unmatched"] = background.unmatched[stratum]
        flags = _flags(found)
        tally = VariantTally(
            block.records,
            block.alleles,
            len(block),
            Counter(reject.reason for reject in block.rejects),
            Counter(flag for text in flags for flag in text.split(",") if flag != NO_FLAG),
        )
        rows = _rows(block, flags).with_columns(
            pl.Series(WINDOWS, keys, dtype=pl.Binary),
            *([] if stratum is None else [pl.Series(STRATUM, stratum, dtype=pl.Int32)]),
        )
        tables = {"rows": rows, "rejects": _rejects(block.rejects)}
        if self.keep_lines:
            lines = block.lines or []
            tables["lines"] = pl.DataFrame(
                {"record": range(block.first, block.first + len(lines)), "line": lines},
                schema={"record": pl.Int64, "line": pl.String},
            )
        stored = values.T.copy().T if self.kind == "background" else values
        return FinishedBlock(tables, {VALUES: stored}, tally.to_counts())

    def score(
        self,
        finished: FinishedBlocks,
        progress: Progress | None,
        seconds: dict[str, float],
        each: Callable[[FinishedBlock], None] = lambda _: None,
    ) -> tuple[VariantTally, VcfHeader]:
        """Score the remaining records, store each block, and count.

        Parameters
        ----------
        finished
            The stored blocks.
        progress
            Called with the number of records done and the total.
        seconds
            Time for scoring and for writing; this is added to it.
        each
            Called with each block.

        Raises
        ------
        InputError
            As the reader (the stored blocks are then removed); when the operating system cannot
            write.
        """
        repeats = Repeats(lambda number: finished.arrays(number)[VALUES])
        tally, known = VariantTally(), len(finished.counts)
        contigs: dict[str, None] = {}
        for number, counts in enumerate(finished.counts):
            with finished.readable():
                tables = finished.tables(number)
                contigs.update(_contigs(tables))
                tally.add(VariantTally.of(counts))
                repeats.add(tables["rows"][WINDOWS].to_list())
        total = self.input.records() if progress is not None else None
        try:
            with (
                self.open(lambda number: number >= known) as reader,
                closing(self.blocks(reader, repeats)) as blocks,
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
                    contigs.update(_contigs(block.tables))
                    if progress is not None:
                        # The total of a large file is an estimate.
                        progress(tally.records, total and max(total, tally.records))
        except InputError as error:
            if not Path(error.file or "").is_relative_to(finished.folder):
                finished.remove()
            raise
        if tally.records == 0:
            log.warning("%s: contains no record", self.input.variants.name)
        elif tally.rows == 0:
            log.warning("none of the variants could be scored")
        self.warn(tally)
        return tally, VcfHeader(lines, samples, list(contigs))

    def warn(self, tally: VariantTally) -> None:
        """Warn about REF that differ in many of all alleles, though not in the records that were
        compared before the run, and about alleles without their own stratum."""
        if unmatched := tally.flags["unmatched"]:
            log.warning(
                "%s of %s alleles: the background has fewer than %s variants of their kind and "
                "region, so their p compares them with more kinds or regions (flag unmatched); a "
                "larger background avoids this",
                f"{unmatched:,}",
                f"{tally.rows:,}",
                f"{FEWEST:,}",
            )
        wrong = tally.rejects["ref-mismatch"]
        total = wrong + tally.rows
        variants = self.input.variants
        if variants.check_assembly and wrong >= FEW and wrong > MOST_MISMATCHES * total:
            log.warning(
                "%s: REF differs from the genome in %s of %s alleles: wrong assembly, or N in the "
                "genome?",
                variants.name,
                f"{wrong:,}",
                f"{total:,}",
            )

    def significance(self) -> Significance | None:
        """Computes p and q of the rows; None without a background."""
        background = self.scorer.background
        return None if background is None else Significance(self.scorer.layout, background)

    def check_resume(self, out: Path, *, resume: bool, overwrite: bool) -> None:
        """Check that the run can be resumed.

        Raises
        ------
        InputError
            When ``overwrite`` is set, too, or the input cannot be read a second time.
        """
        if not resume:
            return
        if overwrite:
            raise InputError(
                "resume and overwrite are both set",
                file=out,
                remedy="Use resume to continue an unfinished run, overwrite to discard it",
            )
        if self.input.variants.is_file:
            self.input.variants.check_file("only a run on a file can be resumed")
        if not folder_of(out).exists() and not out.exists():
            log.info("%s: no unfinished run was found; starting a new one", out)


def no_rejects() -> pl.DataFrame:
    """Table of rejects without rows."""
    return _rejects([])


def _contigs(tables: Mapping[str, pl.DataFrame]) -> dict[str, None]:
    """Names of the contigs of a block, in order."""
    names = [tables[name]["chrom"].unique(maintain_order=True) for name in ("rows", "rejects")]
    return dict.fromkeys(name for each in names for name in each.to_list())


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
