"""Collect the alleles that a sample carries: those that windows can hold, and all others."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import NamedTuple

import numpy as np

from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.genotypes import MISSING, UNPHASED, Call, Genotypes, codes
from danq.genome.variants.normalise import MISMATCH, Ragged, normalise
from danq.genome.variants.raw_records import Records
from danq.genome.variants.reference_spans import Span, Spans, allele_span, lacks_length
from danq.genome.variants.reject_reasons import Reject
from danq.genome.variants.variant_block import VariantBlock
from danq.genome.variants.variant_reader import VariantReader
from danq.typing import BoolRow, IntRow

REF = 0
"""Code of the REF allele in a genotype."""

NO_ALT = (".", "")
DELETIONS = ("<DEL", "<CN")
"""Symbolic alleles that may delete bases."""


class Edit(NamedTuple):
    """Alleles that windows can hold, one element each; the fields are those of
    :class:`danq.genome.variants.window_kernel.Edits`."""

    contig: IntRow
    start: IntRow
    end: IntRow
    carriers: IntRow
    missing: IntRow
    every: BoolRow
    phase: IntRow
    alt: list[str]


class CarriedAlleles:
    """The alleles that a sample carries, collected block by block.

    Attributes
    ----------
    edits
        Alleles that windows can hold, one element per block.
    reasons
        Number of the other alleles, by the reason for which windows cannot hold them.
    unmeasured
        Number of symbolic deletions, duplications and inversions without END and SVLEN.
    records, missing, uncalled
        Number of records, of those whose genotype is missing or partly missing, and of those
        whose genotype is missing.
    """

    def __init__(self, reader: VariantReader) -> None:
        self.edits: list[Edit] = []
        self.reasons: Counter[str] = Counter()
        self.records = self.missing = self.uncalled = self.unmeasured = 0
        self._reader = reader
        self._genotypes = Genotypes()
        self._others: list[Span] = []
        self._stars: list[tuple[Span, Call]] = []
        self._deletions: list[Span] = []

    def add(self, records: Records, block: VariantBlock) -> None:
        """Add the alleles of a block.

        Raises
        ------
        InputError
            When a genotype cannot be parsed, or names an allele that its record does not have.
        """
        self._check(records)
        call, genotype, phase_set = self._genotypes.call, records.genotype, records.phase_set
        rows = (block.record - block.first).tolist()
        called = np.where(block.swapped, REF, block.allele).tolist()
        found = [
            call(genotype[row], code, phase_set[row])
            for row, code in zip(rows, called, strict=True)
        ]
        carried = np.array([one[0] > 0 for one in found], dtype=np.bool_)
        ambiguous = _ambiguous(block)
        for i in np.flatnonzero(carried & (ambiguous | _deletes(block))).tolist():
            start = int(block.pos[i]) - 1
            span = _span(int(block.contig[i]), start, start + len(block.ref[i]), found[i])
            if ambiguous[i]:
                self._put_other(span, "ref-mismatch")
            else:
                self._deletions.append(span)
        kept = np.flatnonzero(carried & ~ambiguous).tolist()
        calls = [found[i] for i in kept]
        self._add_rejects(records, block)
        taken = np.array(kept, dtype=np.int64)
        sizes = np.array([len(block.ref_allele[i]) for i in kept], dtype=np.int64)
        columns = np.array([call[:2] for call in calls], dtype=np.int64).reshape(-1, 2)
        edit = Edit(
            block.contig[taken],
            block.start[taken],
            block.start[taken] + sizes,
            columns[:, 0],
            columns[:, 1],
            np.array([call.every for call in calls], dtype=np.bool_),
            np.array([call.phase for call in calls], dtype=np.int64),
            [block.alt_allele[i] for i in kept],
        )
        self.edits.append(edit)

    def others(self) -> Spans:
        """Alleles that windows cannot hold.

        A star is none of them where another allele of the sample deletes its base.
        """
        deletions = Spans(self._deletions)
        for span, call in self._stars:
            bits = range(1, call.carriers.bit_length() + 1) if call.phase != UNPHASED else [0]
            haplotypes = [one for one in bits if one == 0 or call.carriers >> (one - 1) & 1]
            contig, low, high, phase = (
                np.full(len(haplotypes), value)
                for value in (span.contig, span.start, span.start + 1, call.phase)
            )
            haplotype = np.array(haplotypes)
            if not deletions.overlapping(contig, low, high, haplotype, phase).all():
                self._others.append(span)
                self.reasons["star"] += 1
        self._stars.clear()
        return Spans(self._others)

    def _check(self, records: Records) -> None:
        """Check genotypes, and count those that are missing."""
        self.records += len(records.genotype)
        highest: dict[str, int] = {}
        for genotype, count in Counter(records.genotype).items():
            try:
                alleles = codes(genotype)
            except ValueError:
                row = records.genotype.index(genotype)
                raise self._invalid(records, row, "cannot be parsed") from None
            highest[genotype] = max(alleles)
            self.missing += count * (MISSING in alleles)
            self.uncalled += count * (max(alleles) == MISSING)
        if max(highest.values()) < 2 and not set(NO_ALT) & set(records.alt):
            return
        for row, (genotype, alt) in enumerate(zip(records.genotype, records.alt, strict=True)):
            count = 0 if alt in NO_ALT else alt.count(",") + 1
            if highest[genotype] > count:
                problem = f"names allele {highest[genotype]}, the record has {count} in ALT"
                raise self._invalid(records, row, problem)

    def _invalid(self, records: Records, row: int, problem: str) -> InputError:
        return InputError(
            f"the genotype '{records.genotype[row]}' at {records.chrom[row]}:{records.pos[row]} "
            f"{problem}",
            file=self._reader.name,
            line=records.numbers[row] if records.numbers else None,
            record=None if records.numbers else str(records.first + row),
            remedy="Correct or remove the record",
        )

    def _add_rejects(self, records: Records, block: VariantBlock) -> None:
        by_record = [
            (number - block.first, list(rejects))
            for number, rejects in groupby(block.rejects, key=lambda one: one.record)
        ]
        rows = [row for row, _ in by_record]
        swapped = set((block.record - block.first)[block.swapped].tolist())
        contigs = self._reader.contigs([records.chrom[row] for row in rows])
        pos = np.array([records.pos[row] for row in rows], dtype=np.int64)
        refs = [records.ref[row] for row in rows]
        differ = _differ(self._reader.genome, contigs, pos, refs)
        for (row, rejects), contig, differs in zip(
            by_record, contigs.tolist(), differ.tolist(), strict=True
        ):
            if contig >= 0:
                self._add_record(records, row, rejects, contig, differs and row not in swapped)

    def _add_record(
        self, records: Records, row: int, rejects: list[Reject], contig: int, differs: bool
    ) -> None:
        """Add the carried alleles of a record that has rejects; ``differs``: REF is not the
        genome's allele, so that a haplotype with REF carries an allele that is not in the
        genome."""
        genotype, phase_set = records.genotype[row], records.phase_set[row]
        pos, ref = records.pos[row], records.ref[row]
        rejected = {one.alt: one.reason for one in rejects}
        for code in dict.fromkeys(codes(genotype)):
            alt = ref if code == REF else records.alt[row].split(",")[code - 1] if code > 0 else ""
            reason = "ref-mismatch" if code == REF else rejected.get(alt)
            if code < 0 or reason is None or (code == REF and not differs):
                continue
            if reason == "same-as-ref" and not differs:
                continue
            if reason == "ref-mismatch" and code > 0 and len(alt) == len(ref):
                where = np.array([contig]), np.array([pos])
                if not _differ(self._reader.genome, *where, [alt])[0]:
                    # The sample carries the genome's allele.
                    continue
            call = self._genotypes.call(genotype, code, phase_set)
            chrom, info = records.chrom[row], records.info[row]
            start, end = allele_span(chrom, pos, ref, alt, info)
            self.unmeasured += lacks_length(pos, alt, info)
            if reason == "star":
                self._stars.append((_span(contig, start, end, call), call))
                continue
            if alt.startswith(DELETIONS) or "[" in alt or "]" in alt:
                self._deletions.append(_span(contig, start, end, call))
            self._put_other(_span(contig, start, end, call), reason)

    def _put_other(self, span: Span, reason: str) -> None:
        self._others.append(span)
        self.reasons[reason] += 1


def _span(contig: int, start: int, end: int, call: Call) -> Span:
    phase = None if call.every or call.phase == UNPHASED else call.phase
    return Span(contig, start, end, call.carriers | call.missing, phase)


def _differ(genome: PackedGenome, contig: IntRow, pos: IntRow, alleles: list[str]) -> BoolRow:
    """Whether alleles of A, C, G, T inside their contig are not those of the genome."""
    longer = Ragged.of([allele + "A" for allele in alleles])
    found = normalise(genome, contig, pos - 1, Ragged.of(alleles), longer, align=False).found
    return found == MISMATCH


def _ambiguous(block: VariantBlock) -> BoolRow:
    """Rows of records in which the genome has several of the ALT alleles, but not REF."""
    if not block.swapped.any():
        return np.zeros(len(block), dtype=np.bool_)
    row = block.record - block.first
    return block.swapped & (np.bincount(row, block.swapped, block.records)[row] > 1)


def _deletes(block: VariantBlock) -> BoolRow:
    """Rows whose ALT is shorter than REF."""
    sizes = (
        np.fromiter(map(len, alleles), dtype=np.int64, count=len(block))
        for alleles in (block.ref, block.alt)
    )
    return np.greater(*sizes)
