"""A run over variants: blocks of rows, rejects and values, kept until the output is whole."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import Reject, VariantBlock, VariantReader
from danq.inference.variants.finished_blocks import FinishedBlock, FinishedBlocks, folder_of
from danq.inference.variants.repeats import Repeats, row_keys
from danq.inference.variants.scorer import Scorer
from danq.inference.variants.variant_input import AlleleWindows, VariantInput
from danq.inference.writers.layout import Values
from danq.inference.writers.variant_layout import FLAGS, KEYS, NO_FLAG, VcfHeader
from danq.provenance import Provenance
from danq.typing import Progress

BLOCK_VALUES = 1 << 23
"""Values of a block: 32 MB."""

BLOCK_RECORDS = 4096
"""Records of a block at most."""

WINDOWS = "windows"
"""Column of a block's rows that tells its windows from others."""

REJECT_COLUMNS = Reject._fields
"""Columns of the table of rejects."""

log = logging.getLogger("danq")


@dataclass
class VariantTally:
    """What became of the records.

    Attributes
    ----------
    records, alleles, rows
        Records read; the variant-alleles in them; those that were scored.
    rejects
        Variant-alleles that were not, by reason.
    flags
        Rows by `danq.inference.writers.variant_layout.FLAGS`.
    """

    records: int = 0
    alleles: int = 0
    rows: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> VariantTally:
        """From figures as `to_counts` gives them."""
        done = cls(counts["records"], counts["alleles"], counts["rows"])
        for name, count in counts.items():
            kind, _, what = name.partition(":")
            if what:
                getattr(done, kind)[what] += count
        return done

    def to_counts(self) -> dict[str, int]:
        """Flat figures, for a journal."""
        return {
            "records": self.records,
            "alleles": self.alleles,
            "rows": self.rows,
            **{f"rejects:{name}": count for name, count in self.rejects.items()},
            **{f"flags:{name}": count for name, count in self.flags.items()},
        }

    def add(self, other: VariantTally) -> None:
        """Take in the figures of a block."""
        self.records += other.records
        self.alleles += other.alleles
        self.rows += other.rows
        self.rejects.update(other.rejects)
        self.flags.update(other.flags)

    def describe(self) -> str:
        """One line: records, alleles, rows, every kind of reject, flags."""
        rejected = sum(self.rejects.values())
        kinds = ", ".join(f"{count:,} {name}" for name, count in self.rejects.most_common())
        text = (
            f"{self.records:,} records, {self.alleles:,} alleles = {self.rows:,} scored + "
            f"{rejected:,} rejected{f' ({kinds})' if kinds else ''}"
        )
        flags = ", ".join(f"{self.flags[name]:,} {name}" for name in FLAGS if self.flags[name])
        return f"{text}; {flags}" if flags else text


@dataclass(frozen=True)
class VariantRun:
    """Variants to score, and how.

    Attributes
    ----------
    input
        The variants.
    genome
        The reference.
    scorer
        Models and columns.
    conditions
        What scores must share to be compared.
    provenance
        Header of the output, and what a resumed run must share.
    block
        Records of a block.
    keep_lines
        Whether blocks keep the records as text.
    by_column
        Whether values lie column after column.
    """

    input: VariantInput
    genome: PackedGenome
    scorer: Scorer
    conditions: Provenance
    provenance: Provenance
    block: int
    keep_lines: bool = False
    by_column: bool = False

    @contextmanager
    def open(self, skip: int = 0) -> Iterator[VariantReader]:
        """Reader of the variants, after so many records."""
        with self.input.open(
            self.genome, block=self.block, skip=skip, keep_lines=self.keep_lines
        ) as reader:
            yield reader

    def blocks(
        self, reader: VariantReader, repeats: Repeats, *, skip: int = 0
    ) -> Iterator[FinishedBlock]:
        """Score block after block.

        Parameters
        ----------
        reader
            Of the input.
        repeats
            Rows of the blocks that are finished; takes in those that are made here.
        skip
            Blocks that are finished.

        Raises
        ------
        InputError
            As the reader.
        """
        for windows in self.input.windows(reader, skip=skip):
            keys = row_keys(windows.reference, windows.alternates)
            values = self._values(windows, repeats, keys)
            block = windows.block
            flags = _flags(windows)
            tally = VariantTally(
                block.records,
                block.alleles,
                len(block),
                Counter(reject.reason for reject in block.rejects),
                Counter(word for text in flags for word in text.split(",") if word != NO_FLAG),
            )
            repeats.add(keys)
            rows = _rows(block, flags).with_columns(pl.Series(WINDOWS, keys, dtype=pl.Binary))
            tables = {"rows": rows, "rejects": _rejects(block.rejects)}
            if self.keep_lines:
                lines = block.lines or []
                numbers = range(block.first, block.first + block.records)
                tables["lines"] = pl.DataFrame(
                    {"record": numbers[: len(lines)], "line": lines},
                    schema={"record": pl.Int64, "line": pl.String},
                )
            yield FinishedBlock(
                tables, values.T.copy().T if self.by_column else values, tally.to_counts()
            )

    def _values(self, windows: AlleleWindows, repeats: Repeats, keys: list[bytes]) -> Values:
        found = repeats.find(keys)
        if not found:
            return self.scorer.values(windows.reference, windows.alternates)
        fresh = np.setdiff1d(np.arange(len(keys)), list(found))
        out = np.empty((len(keys), len(self.scorer.layout.columns)), dtype=np.float32)
        alternates = [one[fresh] for one in windows.alternates]
        out[fresh] = self.scorer.values(windows.reference[fresh], alternates)
        for row, place in found.items():
            out[row] = repeats.values(place)
        return out

    def score(
        self, finished: FinishedBlocks, progress: Progress | None, seconds: dict[str, float]
    ) -> tuple[VariantTally, VcfHeader]:
        """Score what is not finished yet, keeping each block, and count.

        Raises
        ------
        InputError
            As the reader, whose blocks are then of no use and are thrown away; and when the
            system refuses to write.
        """
        tally, repeats = VariantTally(), Repeats(finished.values)
        for block in finished:
            tally.add(VariantTally.of(block.counts))
            repeats.add(block.tables["rows"][WINDOWS].to_list())
        total = self.input.records() if progress is not None else None
        try:
            with self.open(tally.records) as reader:
                head = VcfHeader(reader.header_lines, reader.samples)
                blocks = self.blocks(reader, repeats, skip=len(finished.counts))
                begun = time.perf_counter()
                while (block := next(blocks, None)) is not None:
                    scored = time.perf_counter()
                    finished.add(block)
                    seconds["score"] += scored - begun
                    begun = time.perf_counter()
                    seconds["write"] += begun - scored
                    tally.add(VariantTally.of(block.counts))
                    if progress is not None:
                        # Of a large file the total is a guess.
                        progress(tally.records, total and max(total, tally.records))
        except InputError as error:
            if error.file != str(finished.folder):
                finished.remove()
            raise
        if tally.records == 0:
            log.warning("%s: contains no record", self.input.variants.name)
        elif tally.rows == 0:
            log.warning("none of the variants could be scored")
        return tally, head

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


def _flags(windows: AlleleWindows) -> list[str]:
    columns = {name: windows.flags[name] for name in FLAGS if name in windows.flags}
    words = [[name if flag else "" for flag in flags] for name, flags in columns.items()]
    return [",".join(filter(None, row)) or NO_FLAG for row in zip(*words, strict=True)]


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
