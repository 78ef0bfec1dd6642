"""Alleles of tables: ``-`` for no bases, and pairs of which either may be the reference."""

from __future__ import annotations

import logging

import numpy as np

from danq.genome.nucleotide_codes import decode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.normalise import MISMATCH, OK, Normalised
from danq.genome.variants.raw_records import Records
from danq.typing import BoolRow, IntRow

DASHES = frozenset({"-", "--"})
"""An allele without bases, as in MAF and in tables of ANNOVAR."""

log = logging.getLogger("danq")


class TableAlleles:
    """Rewrites alleles of one table as in VCF, and counts.

    Parameters
    ----------
    genome
        The reference.
    name
        Name of the table in messages.
    oriented
        Whether REF is the reference allele. Otherwise, the allele that the genome has is: in
        an insertion or deletion of which the genome has both, the longer one.
    """

    def __init__(self, genome: PackedGenome, name: str, oriented: bool) -> None:
        self.genome, self.name, self.oriented = genome, name, oriented
        self._told = False
        self._given = self._exchanged = self._neither = self._both = 0

    def rewrite(self, records: Records, contigs: IntRow) -> tuple[Records, BoolRow]:
        """Records with alleles as in VCF, ``(V,)`` of them with REF and ALT exchanged.

        Parameters
        ----------
        records
            Records of the table.
        contigs
            ``(V,)`` numbers of their contigs, -1 for unknown.
        """
        exchanged = np.zeros(len(records.chrom), dtype=np.bool_)
        if self.oriented:
            return self._anchored(records, contigs), exchanged
        refs, alts = list(records.ref), list(records.alt)
        for i, (ref, alt) in enumerate(zip(refs, alts, strict=True)):
            if len(ref) == len(alt) or "," in alt:
                continue
            short, long = sorted((ref, alt), key=len)
            if not self._has(int(contigs[i]), records.pos[i], long):
                continue
            self._both += long.upper().startswith(short.upper())
            if long == alt:
                refs[i], alts[i] = alt, ref
                exchanged[i] = True
        return records._replace(ref=refs, alt=alts), exchanged

    def count(self, done: Normalised, swapped: BoolRow) -> None:
        """Count the alleles of a block by their orientation."""
        ok = done.found == OK
        exchanged = int((ok & swapped).sum())
        self._exchanged += exchanged
        self._given += int(ok.sum()) - exchanged
        self._neither += int((done.found == MISMATCH).sum())

    def report(self) -> None:
        """Show the counts, after the last record."""
        if self.oriented:
            return
        log.info(
            "%s: REF is the allele that the genome has: %s rows as given, %s exchanged (flag "
            "swapped), %s with neither (rejected)",
            self.name,
            *(f"{count:,}" for count in (self._given, self._exchanged, self._neither)),
        )
        if self._both:
            log.warning(
                "%s: for %s insertions or deletions the genome has both alleles; the longer one "
                "is taken as REF. If the table shows which one is, name the columns ref and alt",
                self.name,
                f"{self._both:,}",
            )

    def _has(self, contig: int, pos: int, allele: str) -> bool:
        if contig < 0 or pos < 1 or pos - 1 + len(allele) > self.genome.lengths[contig]:
            return False
        return self._bases(contig, pos, len(allele)) == allele.upper()

    def _bases(self, contig: int, pos: int, size: int) -> str:
        return decode(self.genome.codes(self.genome.names[contig], pos - 1, pos - 1 + size))

    def _anchored(self, records: Records, contigs: IntRow) -> Records:
        """Add the base before a deletion or insertion to alleles that are ``-``."""
        if "-" not in "".join(records.alt) and "-" not in "".join(records.ref):
            return records
        refs, alts, pos = list(records.ref), list(records.alt), list(records.pos)
        for i, (ref, alt) in enumerate(zip(refs, alts, strict=True)):
            each = alt.split(",")
            inserted, contig = ref in DASHES, int(contigs[i])
            # The position of an insertion is the base before it, of a deletion its first base.
            before = pos[i] - (not inserted)
            if contig < 0 or not (inserted or DASHES & {*each}):
                continue
            if not 1 <= before <= self.genome.lengths[contig]:
                continue
            if not self._told:
                log.info(
                    "%s: alleles '-' get the base before them, as in VCF; an insertion is taken "
                    "as after the base at its position, as in MAF",
                    self.name,
                )
                self._told = True
            base = self._bases(contig, before, 1)
            pos[i] = before
            refs[i] = base + ("" if inserted else ref)
            alts[i] = ",".join(base + ("" if one in DASHES else one) for one in each)
        return records._replace(ref=refs, alt=alts, pos=pos)
