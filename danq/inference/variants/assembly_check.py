"""Check, before any other work, that variants are of the same assembly as the genome."""

from __future__ import annotations

from pathlib import Path

from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.contig_numbers import ContigNumbers
from danq.genome.variants.open_regions import open_regions
from danq.genome.variants.read_data_frame import TableSource
from danq.genome.variants.reference_alleles import RECORDS, ReferenceTally
from danq.genome.variants.several_files import joined_header, listed_files
from danq.genome.variants.spread_records import SpreadRecords, spread_records, spread_source
from danq.genome.variants.variant_index import find_index
from danq.inference.variants.silence import silence
from danq.inference.variants.variant_input import VariantInput

FEWEST = 1000
"""Smallest number of records of each of several files that are compared."""


def check_assembly(
    input: VariantInput, genome: PackedGenome, *, in_shards: bool = False, one_vcf: bool = False
) -> None:
    """Compare contigs and REF of records with the genome, and several files with each other.

    Streams can be read only once; `VariantInput.open` checks their first records while it reads.
    The records are from the whole input, so that the result is the same for all shards.

    Parameters
    ----------
    input
        The variants.
    genome
        The reference.
    in_shards
        Whether these records must have a contig of the genome. A run without shards sees at its end
        whether any record has one, and a shard does not read all records.
    one_vcf
        The records are written again, as one VCF.

    Raises
    ------
    InputError
        When the variants seem to be of another assembly, or several files do not fit together;
        or as `danq.genome.variants.open_variants`.
    """
    variants = input.variants
    paths = listed_files(variants.paths) if variants.is_file else []
    # Errors in the regions come first.
    input.within(genome)
    if variants.is_stream:
        return
    if len(paths) > 1:
        joined_header(paths, keep_lines=one_vcf)
    order: list[SpreadRecords] = []
    count = RECORDS if len(paths) < 2 else max(RECORDS // len(paths), FEWEST)
    for path in paths or [None]:
        # The notices appear when the variants are read again.
        with silence():
            records = _spread(input, genome, path, count)
            contigs = ContigNumbers(
                genome, records.source, input.chrom_map(), check_assembly=variants.check_assembly
            )
            numbers = contigs.numbers(records.chrom)
            if numbers.size:
                contigs.check(last=in_shards)
        order.append(records)
        if variants.ref_mismatch != "error":
            tally = ReferenceTally(genome, records.source.name)
            tally.add(numbers, *records[1:])
            input.check_references(tally, records.source.oriented)
    if one_vcf:
        _check_order(order)


def _spread(
    input: VariantInput, genome: PackedGenome, path: str | None, count: int
) -> SpreadRecords:
    """Records that are spread over a file, or over the table in memory."""
    if path is None:
        return spread_source(TableSource(input.variants.table, "the table"), count)
    regions = input.within(genome)
    if regions is None or find_index(Path(path)) is None:
        return spread_records(path, count)
    with open_regions(path, regions, genome.contigs, chrom_map=input.chrom_map()) as source:
        return spread_source(source, count)


def _check_order(files: list[SpreadRecords]) -> None:
    """Refuse files whose records, one file after the other, are not sorted."""
    seen: dict[str, tuple[int, str]] = {}
    last = ""
    for records in files:
        spans: dict[str, tuple[int, int]] = {}
        for chrom, pos in zip(records.chrom, records.pos, strict=True):
            low, high = spans.get(chrom, (pos, pos))
            spans[chrom] = min(low, pos), max(high, pos)
        for number, (chrom, (low, high)) in enumerate(spans.items()):
            before, earlier = seen.get(chrom, (0, ""))
            if low < before or (earlier and (number or chrom != last)):
                raise InputError(
                    f"has records on {chrom} that belong before others of {earlier}, so that the "
                    "output would not be sorted",
                    file=records.source.name,
                    remedy="Give the files in the order of their records, or choose an output "
                    "that ends with .tsv, .h5 or .parquet",
                )
            seen[chrom], last = (high, records.source.name), chrom
