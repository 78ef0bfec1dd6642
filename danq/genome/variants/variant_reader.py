"""Read variants block by block, check them against a genome and normalise them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Literal, NamedTuple

import numpy as np

from danq.errors import InputError
from danq.genome.nucleotide_codes import decode
from danq.genome.variants.normalise import (
    MISMATCH,
    OK,
    UNKNOWN,
    Normalised,
    Ragged,
    normalise,
)
from danq.genome.variants.raw_records import Header, Records
from danq.genome.variants.reference_alleles import ReferenceTally
from danq.genome.variants.reject_reasons import Reject, explain
from danq.genome.variants.variant_block import VariantBlock
from danq.genome.variants.variant_file import VariantFile
from danq.typing import IntRow

RefMismatch = Literal["skip", "swap", "error"]
MISMATCHES = ("skip", "swap", "error")
BLOCK = 4096

Blocks = Callable[[int], bool]
"""Whether the block with a number, from 0, is read."""

Check = Callable[[ReferenceTally, bool], None]
"""Checks counts of compared records; the second argument is whether more will be compared."""


class VariantReader:
    """Iterator over :class:`VariantBlock`; close it, or use it in a ``with`` statement.

    Made by :func:`danq.genome.variants.open_variants` and
    :func:`danq.genome.variants.from_table`.
    """

    def __init__(
        self,
        files: Iterator[VariantFile],
        *,
        header: Header | None = None,
        ref_mismatch: RefMismatch = "skip",
        longest: int | None = None,
        block: int = BLOCK,
        blocks: Blocks | None = None,
        align: bool = True,
    ) -> None:
        if ref_mismatch not in MISMATCHES:
            raise InputError(f"ref_mismatch is '{ref_mismatch}', not skip, swap or error")
        if block < 1:
            raise InputError(f"a block of {block} records is below 1")
        self._files = files
        self._file = next(files)
        self._header = self._file.source.header if header is None else header
        self.genome = self._file.contigs.genome
        self._before = self._passed = 0
        """Records of earlier files, and those of this file that were read or skipped."""
        self._comparison: _Comparison | None = None
        self._number, self._blocks = 0, blocks
        self._skipped = False
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
        self._file.close()

    @property
    def name(self) -> str:
        """The input, or the one of several files that is being read."""
        return self._file.source.name

    @property
    def header_lines(self) -> list[str]:
        """Header lines of a VCF or BCF that start with ``##``; none for a table.

        Those of several files are joined; without ``keep_lines``, there are none.
        """
        return self._header.meta

    @property
    def samples(self) -> list[str]:
        """Names of the samples."""
        return self._header.samples

    @property
    def oriented(self) -> bool:
        """Whether REF is the reference allele; False for tables that do not show it."""
        return self._file.source.oriented

    def compare_references(self, count: int, check: Check) -> None:
        """Compare REF of the first records with the genome while they are read.

        Parameters
        ----------
        count
            Number of records that are compared; the last of their blocks as a whole.
        check
            Called before each of these blocks is returned, with the counts so far and whether
            records remain to be compared.
        """
        self._comparison = _Comparison(ReferenceTally(self.genome, self.name), count, check)

    def __iter__(self) -> Iterator[VariantBlock]:
        for _, block in self.records():
            yield block

    def records(self) -> Iterator[tuple[Records, VariantBlock]]:
        """Blocks, each with its raw records."""
        while (found := self._next()) is not None:
            yield found.records, self._block_of(found)

    def contigs(self, names: list[str]) -> IntRow:
        """Numbers of contigs of the input in the genome; -1 for those that it does not have."""
        return self._file.contigs.numbers(names)

    def _next(self) -> _Next | None:
        """The next block that is read; None after the last."""
        source = self._file.source
        while True:
            if self._is_read(self._number):
                if (records := source.read(self._block)) is not None:
                    return self._take(records)
            elif skipped := source.skip(self._block):
                self._passed += skipped
                self._number += 1
                continue
            if self._comparison is not None:
                self._comparison.end()
            # Closing raises an error if a pipe was truncated.
            self._file.finish(all_read=not self._skipped)
            if (file := next(self._files, None)) is None:
                return None
            self._file, source = file, file.source
            self._before, self._passed = self._before + self._passed, 0

    def _take(self, records: Records) -> _Next:
        """Number the records that were just read."""
        if self._comparison is not None:
            self._comparison.add(self.contigs(records.chrom), records)
        self._passed += len(records.chrom)
        self._number += 1
        return _Next(self._number - 1, self._before, records)

    def _is_read(self, number: int) -> bool:
        """Whether a block of the input is read rather than skipped."""
        read = self._blocks is None or self._blocks(number)
        self._skipped |= not read
        return read

    def _block_of(self, block: _Next) -> VariantBlock:
        before, records = block.before, block.records
        numbers, table = self.contigs(records.chrom), self._file.table
        exchanged = None
        if table is not None:
            records, exchanged = table.rewrite(records, numbers)
            block = block._replace(records=records)
        rows, allele, alt = _alleles(records.alt)
        ref = [records.ref[row] for row in rows] if len(alt) > len(records.ref) else records.ref
        pos = np.array(records.pos, dtype=np.int64)
        done = normalise(
            self.genome,
            numbers[rows],
            pos[rows] - 1,
            Ragged.of(ref),
            Ragged.of(alt),
            swap=self._ref_mismatch == "swap" or not self.oriented,
            align=self._align,
        )
        swapped = done.swapped
        if table is not None and exchanged is not None:
            swapped = swapped | exchanged[rows]
            table.count(done, swapped)
        ok = done.found == OK
        if self._longest is not None:
            ok &= np.maximum(done.ref_size, done.alt_size) <= self._longest
        rejects = [
            self._reject(block, int(rows[i]), ref[i], alt[i], done, int(i))
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
            number=block.number,
            first=records.first + before,
            records=len(records.chrom),
            record=rows[kept] + records.first + before,
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
        self, block: _Next, row: int, ref: str, alt: str, done: Normalised, i: int
    ) -> Reject:
        records, contigs = block.records, self._file.contigs
        chrom, pos, found = records.chrom[row], records.pos[row], int(done.found[i])
        if found == OK:
            size = max(done.ref_size[i], done.alt_size[i])
            reason, detail = "too-long", f"{size} bases, the window permits {self._longest}"
        else:
            contig = int(contigs.numbers([chrom])[0])
            reason, detail = explain(self.genome, found, contig, chrom, pos, ref, alt)
            if found == UNKNOWN and chrom in contigs.other_length:
                reason, detail = "other-length", contigs.other_length[chrom]
        if found == MISMATCH and self._ref_mismatch == "error":
            raise InputError(
                f"REF differs at {chrom}:{pos}: {detail}",
                file=self.name,
                line=records.numbers[row] if records.numbers else None,
                record=None if records.numbers else str(records.first + row),
                remedy="Use the assembly that the variants were called on, or set ref_mismatch to "
                "skip or swap",
            )
        number = block.before + records.first + row
        return Reject(number, chrom, pos, records.id[row], ref, alt, reason, detail)


class _Next(NamedTuple):
    """Number of a block, number of records of earlier files, and records of the block."""

    number: int
    before: int
    records: Records


class _Comparison:
    """Compares the first ``count`` records with the genome, block by block."""

    def __init__(self, tally: ReferenceTally, count: int, check: Check) -> None:
        self._tally, self._left, self._check = tally, count, check

    def add(self, contig: IntRow, records: Records) -> None:
        if self._left > 0:
            self._tally.add(contig, records.chrom, records.pos, records.ref, records.alt)
            self._left -= len(records.chrom)
            self._check(self._tally, self._left > 0)

    def end(self) -> None:
        """Check fewer records than were to be compared."""
        if self._left > 0:
            self._left = 0
            self._check(self._tally, False)


class _Kept:
    """Selects the values of the alleles that are not rejected."""

    def __init__(self, kept: list[int], rows: list[int]) -> None:
        self.kept, self.rows = kept, rows

    def of_alleles(self, texts: list[str]) -> list[str]:
        return [texts[i] for i in self.kept]

    def of_records(self, texts: list[str]) -> list[str]:
        return [texts[i] for i in self.rows]


def _alleles(alts: list[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Row of the record, 1-based number in the record and text of each ALT allele."""
    if not any("," in alt for alt in alts):
        return np.arange(len(alts)), np.ones(len(alts), dtype=np.int64), alts
    split = [alt.split(",") for alt in alts]
    counts = np.array([len(one) for one in split])
    rows = np.repeat(np.arange(len(alts)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return rows, np.arange(rows.size) - first + 1, [alt for one in split for alt in one]
