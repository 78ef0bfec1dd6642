"""Open one variant file or table, with the genome's numbers of its contigs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import Region
from danq.genome.variants.contig_numbers import ContigNumbers
from danq.genome.variants.open_regions import open_regions
from danq.genome.variants.open_variant_file import Source, open_source
from danq.genome.variants.read_data_frame import Frame, TableSource
from danq.genome.variants.selected_records import SelectedSource, regions_of
from danq.genome.variants.table_alleles import TableAlleles


class Settings(NamedTuple):
    """How a file is read; the fields are parameters of
    :func:`danq.genome.variants.open_variants`, and ``sample`` is that whose genotypes are read."""

    chrom_map: Mapping[str, str] | None = None
    regions: Sequence[Region] | None = None
    sample: str | None = None
    keep_lines: bool = False
    check_assembly: bool = True


class VariantFile:
    """An open input; close it.

    Attributes
    ----------
    source
        Its records.
    contigs
        The genome's numbers of its contigs.
    table
        Rewrites the alleles of a table; None for VCF and BCF.
    """

    def __init__(self, source: Source, contigs: ContigNumbers, stack: ExitStack) -> None:
        self.source, self.contigs, self._stack = source, contigs, stack
        self.table = (
            TableAlleles(contigs.genome, source.name, source.oriented) if source.is_table else None
        )

    @classmethod
    def of_file(cls, path: str | Path, genome: PackedGenome, settings: Settings) -> VariantFile:
        """Open a file or a stream.

        Raises
        ------
        InputError
            As :func:`danq.genome.variants.open_variants`.
        """
        chrom_map, regions, sample, keep_lines, check_assembly = settings
        with ExitStack() as stack:
            if regions is None:
                opened = open_source(path, sample, keep_lines)
            else:
                opened = open_regions(
                    path,
                    regions,
                    genome.contigs,
                    chrom_map=chrom_map,
                    sample=sample,
                    keep_lines=keep_lines,
                )
            source = stack.enter_context(opened)
            contigs = ContigNumbers(genome, source, chrom_map, check_assembly=check_assembly)
            return cls(source, contigs, stack.pop_all())

    @classmethod
    def of_table(
        cls, rows: Iterable[tuple] | Frame, genome: PackedGenome, settings: Settings
    ) -> VariantFile:
        """Variants in memory."""
        source: Source = TableSource(rows, "the table")
        if settings.regions is not None:
            names = genome.contigs, source.name, [], settings.chrom_map
            source = SelectedSource(source, regions_of(settings.regions, *names))
        return cls(source, ContigNumbers(genome, source, settings.chrom_map), ExitStack())

    def finish(self, *, all_read: bool) -> None:
        """Close the input after its last record, and report what all records show.

        Raises
        ------
        InputError
            When a pipe was truncated, or the genome has none of the contigs.
        """
        self.close()
        self.contigs.check(last=True, all_read=all_read)
        if self.table is not None:
            self.table.report()

    def close(self) -> None:
        """Close the input."""
        self._stack.close()
