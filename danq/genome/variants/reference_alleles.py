"""Compare the REF alleles of many records with the genome: are both of the same assembly?"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np

from danq.errors import InputError
from danq.genome.nucleotide_codes import N, decode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.normalise import BEYOND, MISMATCH, OK, Ragged, normalise
from danq.typing import IntRow

RECORDS = 10_000
"""Records that are compared."""

MOST_MISMATCHES = 0.05
"""Largest share of records whose REF may differ from the genome. Files of the right assembly have
less than 0.1 %, those of another one about 70 %."""

FEW = 3
"""Number of records with another REF below which they may be errors of the records."""

MOST_OF_THEM = 0.9
"""Share of records from which a cause explains all."""

MANY = 20
"""Number of records from which alleles in either order, or of the other strand, do not agree with
the genome by chance."""

SHOWN = 3

_COMPLEMENT = str.maketrans("ACGT", "TGCA")

log = logging.getLogger("danq")


@dataclass
class ReferenceTally:
    """Counts of records by what the genome has at their position.

    Records are comparable if REF and the first ALT are bases and the genome has known bases
    there. A REF beyond the end of its contig counts as different.

    Attributes
    ----------
    genome
        The reference.
    name
        Name of the input in messages.
    matching
        Records whose REF the genome has.
    exchanged
        Other records whose ALT the genome has.
    neither
        Records of which the genome has neither allele.
    masked
        Records at whose position the genome has N.
    examples
        The first records with another REF.
    """

    genome: PackedGenome
    name: str
    matching: int = 0
    exchanged: int = 0
    neither: int = 0
    masked: int = 0
    examples: list[tuple[str, bool]] = field(default_factory=list)
    _shifted: dict[int, int] = field(default_factory=lambda: {-1: 0, 1: 0})
    _shifted_either: dict[int, int] = field(default_factory=lambda: {-1: 0, 1: 0})
    _other_strand: int = 0

    def add(
        self, contig: IntRow, chrom: list[str], pos: list[int], ref: list[str], alt: list[str]
    ) -> None:
        """Compare records.

        Parameters
        ----------
        contig
            ``(V,)`` contig numbers, -1 for unknown.
        chrom, pos, ref, alt
            As in the input; ``pos`` is 1-based. Of several ALT, the first counts.
        """
        first = np.array(pos, dtype=np.int64) - 1
        firsts = [text.partition(",")[0] for text in alt]
        alleles = Ragged.of(ref), Ragged.of(firsts)
        done = normalise(self.genome, contig, first, *alleles, swap=True, align=False)
        # Position 0 is a telomere, or missing in a table.
        differs = (done.found == MISMATCH) | ((done.found == BEYOND) & (first >= 0))
        for i in np.flatnonzero(done.found == MISMATCH):
            differs[i] = self._known(contig[i], first[i], len(ref[i]))
            self.masked += not differs[i]
        exchanged = (done.found == OK) & done.swapped
        self.matching += int(((done.found == OK) & ~done.swapped).sum())
        self.exchanged += int(exchanged.sum())
        self.neither += int(differs.sum())
        for i in np.flatnonzero(differs | exchanged):
            if len(self.examples) < 2 * SHOWN or not exchanged[i]:
                there = self._bases(int(contig[i]), int(first[i]), len(ref[i]))
                text = f"{chrom[i]}:{pos[i]} (the file has {ref[i][:20]}, the genome {there})"
                self.examples.append((text, bool(exchanged[i])))
            if sum(not one for _, one in self.examples) >= SHOWN:
                break
        for shift in self._shifted:
            moved = normalise(self.genome, contig, first + shift, *alleles, swap=True, align=False)
            agrees = moved.found == OK
            self._shifted[shift] += int((agrees & ~moved.swapped).sum())
            self._shifted_either[shift] += int(agrees.sum())
        bases = (done.found == OK) | (done.found == MISMATCH)
        paired = (Ragged.of([_complement(text) for text in texts]) for texts in (ref, firsts))
        found = normalise(self.genome, contig, first, *paired, swap=True, align=False).found
        self._other_strand += int(((found == OK) & bases).sum())

    def check(self, *, swap: bool, stop: bool, more: bool = False) -> None:
        """Refuse variants of which too many have another REF, or warn.

        Parameters
        ----------
        swap
            Records of which the genome has ALT agree with it.
        stop
            Raise an error rather than warn.
        more
            More records will be added: warnings are left to the last check.

        Raises
        ------
        InputError
            When more than `MOST_MISMATCHES` of the records, and at least `FEW`, have another REF.
        """
        total = self.matching + self.exchanged + self.neither
        if (
            not more
            and self.masked >= FEW
            and self.masked > MOST_MISMATCHES * (total + self.masked)
        ):
            log.warning(
                "%s: the genome has N at %s of %s records, which are rejected: is it masked? Use "
                "the genome without masked repeats, or with lower-case letters for them",
                self.name,
                f"{self.masked:,}",
                f"{total + self.masked:,}",
            )
        wrong = self.neither + (0 if swap else self.exchanged)
        if wrong <= MOST_MISMATCHES * total:
            return
        shown = [text for text, exchanged in self.examples if not (swap and exchanged)][:SHOWN]
        cause, remedy = self._cause(total, wrong, swap)
        problem = (
            f"REF differs from the genome in {wrong:,} of {total:,} records "
            f"({wrong / total:.0%}): {', '.join(shown)}; {cause}"
        )
        if stop and wrong >= FEW:
            raise InputError(
                problem,
                file=self.name,
                remedy=f"{remedy}, or set check_assembly to False to score the variants that agree",
            )
        if not more:
            log.warning("%s: %s", self.name, problem)

    def _cause(self, total: int, wrong: int, swap: bool) -> tuple[str, str]:
        """What is probably wrong, and what to do."""
        certain = wrong >= FEW
        if certain and not swap and self.exchanged >= MOST_OF_THEM * wrong:
            return (
                f"in {self.exchanged:,} of these, the genome has ALT: are REF and ALT exchanged, "
                "as in files of PLINK?",
                "Set ref_mismatch to swap",
            )
        many = total >= MANY
        shifted = self._shifted_either if swap and many else self._shifted
        for shift, where in ((1, "after"), (-1, "before")):
            if certain and shifted[shift] >= MOST_OF_THEM * total:
                counted = " (0-based)" if shift == 1 else ""
                return (
                    f"{shifted[shift]:,} agree with the base {where} the position: are the "
                    f"positions shifted{counted}?",
                    "Correct the positions, which are 1-based",
                )
        if many and self._other_strand >= MOST_OF_THEM * total:
            return (
                f"{self._other_strand:,} have the alleles of the other strand: are all alleles "
                "of the forward strand?",
                "Give alleles of the forward strand",
            )
        return "wrong assembly?", "Use the genome that the variants were called on"

    def _known(self, contig: int, start: int, size: int) -> bool:
        name = self.genome.names[contig]
        return not (self.genome.codes(name, start, start + size) == N).any()

    def _bases(self, contig: int, start: int, size: int) -> str:
        length = int(self.genome.lengths[contig])
        if start < 0 or start + size > length:
            return f"has {length:,} bases"
        name = self.genome.names[contig]
        return decode(self.genome.codes(name, start, start + min(size, 20)))


def _complement(allele: str) -> str:
    """Reverse complement; letters other than A, C, G and T are kept."""
    return allele.upper().translate(_COMPLEMENT)[::-1]
