"""Read variants block by block, check them against a genome and normalise them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np

from danq.errors import InputError
from danq.genome.nucleotide_codes import decode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.contig_numbers import ContigNumbers
from danq.genome.variants.normalise import (
    MISMATCH,
    OK,
    UNKNOWN,
    Normalised,
    Ragged,
    normalise,
)
from danq.genome.variants.open_variant_file import Source, open_source
from danq.genome.variants.raw_records import Records
from danq.genome.variants.read_data_frame import Frame, TableSource
from danq.genome.variants.reference_alleles import ReferenceTally
from danq.genome.variants.reject_reasons import Reject, explain
from danq.genome.variants.table_alleles import TableAlleles
from danq.genome.variants.variant_block import VariantBlock
from danq.typing import IntRow

RefMismatch = Literal["skip", "swap", "error"]
MISMATCHES = ("skip", "swap", "error")
BLOCK = 4096

Blocks = Callable[[int], bool]
"""Whether the block with a number, from 0, is read."""


def open_variants(
    path: str | Path,
    genome: PackedGenome,
    *,
    chrom_map: Mapping[str, str] | None = None,
    ref_mismatch: RefMismatch = "skip",
    longest: int | None = None,
    block: int = BLOCK,
    blocks: Blocks | None = None,
    keep_lines: bool = False,
    check_assembly: bool = True,
) -> VariantReader:
    """Open variants of a VCF, a BCF or a table for reading block by block.

    Parameters
    ----------
    path
        VCF or BCF, or a table whose first line names the columns ``chrom``, ``pos`` (1-based),
        ``ref``, ``alt`` and optionally ``id``, or has other names that
        :mod:`danq.genome.variants.table_columns` lists; other columns are ignored. Plain, gzip or
        bgzip; a file, a named pipe, or ``-`` for standard input. In any order.
    genome
        The reference.
    chrom_map
        Contig names of the file to names of the genome, as
        :func:`danq.genome.contig_names.read_chrom_map` returns it. Without it ``chr1`` and ``1``
        are matched, with a message.
    ref_mismatch
        What to do where REF differs from the genome: "skip" rejects the allele; "swap"
        exchanges REF and ALT where the genome has ALT, and rejects otherwise; "error" stops.
        Tables that do not show which allele is REF are always exchanged so.
    longest
        Largest number of bases of a normalised allele, usually
        :func:`danq.genome.variants.longest_allele`; longer alleles are rejected. None for no
        limit.
    block
        Records per block.
    blocks
        Called with the number of each block, from 0, in order: whether the block is read. Other
        blocks are skipped without parsing them, which is much faster; records and lines are
        numbered as if they were read. None reads all blocks. For the second of four shards:
        ``blocks=lambda number: number % 4 == 1``.
    keep_lines
        Keep each record as text in ``VariantBlock.lines``.
    check_assembly
        Refuse records on a contig whose length in the header differs from the genome's. False
        logs a warning.

    Returns
    -------
    VariantReader
        A context manager and an iterator of :class:`VariantBlock`.

    Raises
    ------
    InputError
        When the file is missing, empty, truncated or damaged, or is neither VCF, BCF nor such
        a table; and, while it is read, at a record with too few columns or a position that is
        not a whole number, at the first REF that differs with "error", and when the genome has
        none of the file's contigs, or a contig of another length.

    Examples
    --------
    >>> with open_variants("common.vcf.gz", genome) as reader:  # doctest: +SKIP
    ...     for block in reader:
    ...         ref, alt, padded = anchored_windows(genome, block, 1000)
    """
    _check(ref_mismatch, block)
    stack = ExitStack()
    source = stack.enter_context(open_source(path, keep_lines=keep_lines))
    try:
        contigs = ContigNumbers(genome, source, chrom_map, check_assembly=check_assembly)
    except BaseException:
        stack.close()
        raise
    return VariantReader(
        source,
        contigs,
        ref_mismatch=ref_mismatch,
        longest=longest,
        block=block,
        blocks=blocks,
        stack=stack,
    )


def from_table(
    rows: Iterable[tuple] | Frame,
    genome: PackedGenome,
    *,
    chrom_map: Mapping[str, str] | None = None,
    ref_mismatch: RefMismatch = "skip",
    longest: int | None = None,
    block: int = BLOCK,
    blocks: Blocks | None = None,
) -> VariantReader:
    """Read variants from memory; the other parameters are those of :func:`open_variants`.

    Parameters
    ----------
    rows
        Tuples (chrom, pos, ref, alt) or (chrom, pos, ref, alt, id), ``pos`` 1-based and
        several ALT alleles separated by commas; or a polars or pandas data frame with columns of
        these names.
    """
    _check(ref_mismatch, block)
    source = TableSource(rows, "the table")
    return VariantReader(
        source,
        ContigNumbers(genome, source, chrom_map),
        ref_mismatch=ref_mismatch,
        longest=longest,
        block=block,
        blocks=blocks,
        stack=ExitStack(),
    )


class VariantReader:
    """Iterator over :class:`VariantBlock`; close it, or use it in a ``with`` statement.

    Made by :func:`open_variants` and :func:`from_table`.
    """

    def __init__(
        self,
        source: Source,
        contigs: ContigNumbers,
        *,
        stack: ExitStack,
        ref_mismatch: RefMismatch = "skip",
        longest: int | None = None,
        block: int = BLOCK,
        blocks: Blocks | None = None,
        align: bool = True,
    ) -> None:
        self.genome, self.name = contigs.genome, source.name
        self._source, self._stack = source, stack
        self._contigs = contigs
        self._ahead: deque[tuple[int, Records]] = deque()
        self._number, self._blocks = 0, blocks
        self._skipped = False
        self._table = (
            TableAlleles(self.genome, source.name, source.oriented) if source.is_table else None
        )
        self._ref_mismatch, self._longest = ref_mismatch, longest
        self._block, self._align = block, align

    def __enter__(self) -> VariantReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the input."""
        self._stack.close()

    @property
    def header_lines(self) -> list[str]:
        """Header lines of a VCF or BCF that start with ``##``; none for a table."""
        return self._source.header.meta

    @property
    def samples(self) -> list[str]:
        """Names of the samples."""
        return self._source.header.samples

    @property
    def oriented(self) -> bool:
        """Whether REF is the reference allele; False for tables that do not show it."""
        return self._source.oriented

    def compare_references(self, count: int) -> ReferenceTally:
        """Compare REF of about ``count`` records ahead with the genome; they are read afterwards.

        Raises
        ------
        InputError
            As while the input is read.
        """
        tally = ReferenceTally(self.genome, self.name)
        ahead = 0
        while ahead < count and (records := self._source.read(self._block)) is not None:
            if self._is_read():
                self._ahead.append((self._number, records))
            self._number += 1
            ahead += len(records.chrom)
            numbers = self._contigs.numbers(records.chrom)
            tally.add(numbers, records.chrom, records.pos, records.ref, records.alt)
        return tally

    def __iter__(self) -> Iterator[VariantBlock]:
        for _, block in self.records():
            yield block

    def records(self) -> Iterator[tuple[Records, VariantBlock]]:
        """Blocks, each with its raw records."""
        while (found := self._next()) is not None:
            number, records = found
            yield records, self._block_of(number, records)
        # Closing raises an error if a pipe was truncated.
        self.close()
        self._contigs.check(last=True, all_read=not self._skipped)
        if self._table is not None:
            self._table.report()

    def contigs(self, names: list[str]) -> IntRow:
        """Numbers of contigs of the input in the genome; -1 for those that it does not have."""
        return self._contigs.numbers(names)

    def _next(self) -> tuple[int, Records] | None:
        """Number and records of the next block that is read; None after the last."""
        if self._ahead:
            return self._ahead.popleft()
        while not self._is_read():
            if not self._source.skip(self._block):
                return None
            self._number += 1
        records = self._source.read(self._block)
        self._number += 1
        return None if records is None else (self._number - 1, records)

    def _is_read(self) -> bool:
        """Whether the next block of the input is read rather than skipped."""
        read = self._blocks is None or self._blocks(self._number)
        self._skipped |= not read
        return read

    def _block_of(self, number: int, records: Records) -> VariantBlock:
        numbers = self._contigs.numbers(records.chrom)
        exchanged = None
        if self._table is not None:
            records, exchanged = self._table.rewrite(records, numbers)
        rows, allele, alt = _alleles(records.alt)
        ref = [records.ref[row] for row in rows] if len(alt) > len(records.ref) else records.ref
        pos = np.array(records.pos, dtype=np.int64)
        done = normalise(
            self.genome,
            numbers[rows],
            pos[rows] - 1,
            Ragged.of(ref),
            Ragged.of(alt),
            swap=self._ref_mismatch == "swap" or not self._source.oriented,
            align=self._align,
        )
        swapped = done.swapped
        if self._table is not None and exchanged is not None:
            swapped = swapped | exchanged[rows]
            self._table.count(done, swapped)
        ok = done.found == OK
        if self._longest is not None:
            ok &= np.maximum(done.ref_size, done.alt_size) <= self._longest
        rejects = [
            self._reject(records, int(rows[i]), ref[i], alt[i], done, int(i))
            for i in np.flatnonzero(~ok)
        ]
        kept = np.flatnonzero(ok)
        names = _Kept(kept.tolist(), rows[kept].tolist())
        refs, alts = names.of_alleles(ref), names.of_alleles(alt)
        for i in np.flatnonzero(done.swapped[kept]):
            refs[i], alts[i] = alts[i], refs[i]
        ref_allele, alt_allele = self._normalised(refs, alts, done, kept, numbers[rows[kept]])
        vcf_start = done.start - ((done.ref_size == 0) | (done.alt_size == 0))
        return VariantBlock(
            number=number,
            first=records.first,
            records=len(records.chrom),
            record=rows[kept] + records.first,
            allele=allele[kept],
            chrom=names.of_records(records.chrom),
            pos=pos[rows[kept]],
            id=names.of_records(records.id),
            ref=refs,
            alt=alts,
            contig=numbers[rows[kept]],
            start=done.start[kept],
            ref_allele=ref_allele,
            alt_allele=alt_allele,
            moved=(np.maximum(vcf_start, 0) < pos[rows] - 1)[kept],
            swapped=swapped[kept],
            rejects=rejects,
            lines=records.lines or None,
        )

    def _normalised(
        self, ref: list[str], alt: list[str], done: Normalised, kept: np.ndarray, contig: np.ndarray
    ) -> tuple[list[str], list[str]]:
        """Normalised alleles as text."""
        refs, alts = [one.upper() for one in ref], [one.upper() for one in alt]
        skip, start, shift = done.skip[kept], done.start[kept], done.shift[kept]
        sizes = done.ref_size[kept], done.alt_size[kept]
        cut = np.zeros(len(ref), dtype=np.bool_)
        for texts, size in zip((refs, alts), sizes, strict=True):
            cut |= size != np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        for i in np.flatnonzero(cut | (shift > 0)):
            for texts, size in zip((refs, alts), sizes, strict=True):
                text = texts[i][skip[i] : skip[i] + size[i]]
                if text and shift[i]:
                    # Left-alignment rotates the allele through the bases that it passed.
                    low = int(start[i])
                    into = min(int(shift[i]), len(text))
                    name = self.genome.names[contig[i]]
                    text = decode(self.genome.codes(name, low, low + into)) + text[:-into]
                texts[i] = text
        return refs, alts

    def _reject(
        self, records: Records, row: int, ref: str, alt: str, done: Normalised, i: int
    ) -> Reject:
        chrom, pos, found = records.chrom[row], records.pos[row], int(done.found[i])
        if found == OK:
            size = max(done.ref_size[i], done.alt_size[i])
            reason, detail = "too-long", f"{size} bases, the window permits {self._longest}"
        else:
            contig = int(self._contigs.numbers([chrom])[0])
            reason, detail = explain(self.genome, found, contig, chrom, pos, ref, alt)
            if found == UNKNOWN and chrom in self._contigs.other_length:
                reason, detail = "other-length", self._contigs.other_length[chrom]
        if found == MISMATCH and self._ref_mismatch == "error":
            raise InputError(
                f"REF differs at {chrom}:{pos}: {detail}",
                file=self.name,
                line=records.numbers[row] if records.numbers else None,
                record=None if records.numbers else str(records.first + row),
                remedy="Use the assembly that the variants were called on, or set ref_mismatch to "
                "skip or swap",
            )
        return Reject(records.first + row, chrom, pos, records.id[row], ref, alt, reason, detail)


class _Kept:
    """Selects the values of the alleles that are not rejected."""

    def __init__(self, kept: list[int], rows: list[int]) -> None:
        self.kept, self.rows = kept, rows

    def of_alleles(self, texts: list[str]) -> list[str]:
        return [texts[i] for i in self.kept]

    def of_records(self, texts: list[str]) -> list[str]:
        return [texts[i] for i in self.rows]


def _check(ref_mismatch: str, block: int) -> None:
    if ref_mismatch not in MISMATCHES:
        raise InputError(f"ref_mismatch is '{ref_mismatch}', not skip, swap or error")
    if block < 1:
        raise InputError(f"a block of {block} records is below 1")


def _alleles(alts: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Row of the record, 1-based number in the record and text of each ALT allele."""
    if not any("," in alt for alt in alts):
        return np.arange(len(alts)), np.ones(len(alts), dtype=np.int64), alts
    split = [alt.split(",") for alt in alts]
    counts = np.array([len(one) for one in split])
    rows = np.repeat(np.arange(len(alts)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return rows, np.arange(rows.size) - first + 1, [alt for one in split for alt in one]
