"""Check, before any other work, that variants are of the same assembly as the genome."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.contig_numbers import ContigNumbers
from danq.genome.variants.read_data_frame import TableSource
from danq.genome.variants.reference_alleles import RECORDS, ReferenceTally
from danq.genome.variants.spread_records import spread_records, spread_source
from danq.inference.variants.variant_input import VariantInput


def check_assembly(input: VariantInput, genome: PackedGenome, *, in_shards: bool = False) -> None:
    """Compare contigs and REF of records with the genome.

    Streams can be read only once; `VariantInput.open` checks their first records. The records are
    from the whole input, so that the result is the same for all shards.

    Parameters
    ----------
    input
        The variants.
    genome
        The reference.
    in_shards
        Whether these records must have a contig of the genome. A run without shards sees at its end
        whether any record has one, and a shard does not read all records.

    Raises
    ------
    InputError
        When the variants seem to be of another assembly; or as
        `danq.genome.variants.open_variants`.
    """
    variants = input.variants
    if variants.is_stream:
        return
    # The notices appear when the variants are read again.
    with _silence():
        if variants.is_file:
            records = spread_records(str(variants.source), RECORDS)
        else:
            table = TableSource(variants.source, "the table")  # type: ignore[arg-type]
            records = spread_source(table, RECORDS)
        contigs = ContigNumbers(
            genome, records.source, input.chrom_map(), check_assembly=variants.check_assembly
        )
        numbers = contigs.numbers(records.chrom)
        if numbers.size:
            contigs.check(last=in_shards)
    if variants.ref_mismatch != "error":
        tally = ReferenceTally(genome, records.source.name)
        tally.add(numbers, *records[1:])
        input.check_references(tally, records.source.oriented)


@contextmanager
def _silence() -> Iterator[None]:
    """Drop the messages that this thread logs meanwhile."""
    log, thread = logging.getLogger("danq"), threading.get_ident()

    def other(record: logging.LogRecord) -> bool:
        return record.thread != thread

    log.addFilter(other)
    try:
        yield
    finally:
        log.removeFilter(other)
