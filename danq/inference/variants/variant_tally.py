"""Counts of a variant run: records, alleles, rows, rejects and flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from danq.inference.blocks import Blocks
from danq.inference.writers.variant_layout import FLAGS

CONTIG = "contig"
"""Kind of the counts of alleles by contig, in the order of the contigs."""


@dataclass
class VariantTally:
    """Counts of records, alleles and rejects.

    Attributes
    ----------
    records, alleles, rows
        Records read; variant alleles in them; alleles that were scored.
    rejects
        Alleles that were not scored, by reason.
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
        """The inverse of `to_counts`; a KeyError for other counts."""
        done = cls(counts["records"], counts["alleles"], counts["rows"])
        kinds = {"rejects": done.rejects, "flags": done.flags, CONTIG: Counter()}
        for name, count in counts.items():
            kind, _, what = name.partition(":")
            if what:
                kinds[kind][what] += count
        return done

    def to_counts(self) -> dict[str, int]:
        """Counts by name, for the journal."""
        return {
            "records": self.records,
            "alleles": self.alleles,
            "rows": self.rows,
            **{f"rejects:{name}": count for name, count in self.rejects.items()},
            **{f"flags:{name}": count for name, count in self.flags.items()},
        }

    def add(self, other: VariantTally) -> None:
        """Add the counts of a block."""
        self.records += other.records
        self.alleles += other.alleles
        self.rows += other.rows
        self.rejects.update(other.rejects)
        self.flags.update(other.flags)

    def describe(self) -> str:
        """Records, alleles, rows, rejects by reason and flags, on one line."""
        rejected = sum(self.rejects.values())
        kinds = ", ".join(f"{count:,} {name}" for name, count in self.rejects.most_common())
        text = (
            f"{self.records:,} records, {self.alleles:,} alleles = {self.rows:,} scored + "
            f"{rejected:,} rejected{f' ({kinds})' if kinds else ''}"
        )
        flags = ", ".join(f"{self.flags[name]:,} {name}" for name in FLAGS if self.flags[name])
        return f"{text}; {flags}" if flags else text


def contig_counts(*tables: pl.DataFrame) -> dict[str, int]:
    """Number of alleles of each contig, in the order in which tables of a block have them."""
    counts: Counter[str] = Counter()
    for table in tables:
        counts.update(table["chrom"].to_list())
    return {f"{CONTIG}:{name}": count for name, count in counts.items()}


def contigs_of(counts: Mapping[str, int]) -> Iterator[str]:
    """Names of the contigs of a block, from its counts."""
    for name in counts:
        kind, found, contig = name.partition(":")
        if found and kind == CONTIG:
            yield contig


def count_blocks(blocks: Blocks) -> tuple[VariantTally, dict[str, None]]:
    """The counts of all blocks, and the names of their contigs in order.

    Raises
    ------
    InputError
        When the counts of a block are not those of variants.
    """
    tally, contigs = VariantTally(), {}
    for number, counts in zip(blocks.numbers, blocks.counts, strict=True):
        with blocks.readable(number):
            tally.add(VariantTally.of(counts))
        contigs.update(dict.fromkeys(contigs_of(counts)))
    return tally, contigs
