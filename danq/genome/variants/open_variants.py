"""Open variants of files, streams and tables in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import Region
from danq.genome.variants.read_data_frame import Frame
from danq.genome.variants.several_files import joined_header, listed_files
from danq.genome.variants.variant_file import Settings, VariantFile
from danq.genome.variants.variant_reader import BLOCK, Blocks, RefMismatch, VariantReader
from danq.typing import Location


def open_variants(
    path: Location | Sequence[Location],
    genome: PackedGenome,
    *,
    chrom_map: Mapping[str, str] | None = None,
    regions: Sequence[Region] | None = None,
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
        bgzip; a file, a named pipe, or ``-`` for standard input. In any order. Several files are
        read one after the other; their records and blocks are numbered through, and no block has
        records of two files.
    genome
        The reference.
    chrom_map
        Contig names of the file to names of the genome, as
        :func:`danq.genome.contig_names.read_chrom_map` returns it. Without it ``chr1`` and ``1``
        are matched, with a message.
    regions
        Read only the records that overlap regions of the genome, numbered from 1
        (:func:`danq.genome.variants.open_regions.open_regions`). None reads all.
    ref_mismatch
        What to do where REF differs from the genome: "skip" rejects the allele; "swap"
        exchanges REF and ALT where the genome has ALT, and rejects otherwise; "error" stops.
        Tables that do not show which allele is REF are always exchanged so.
    longest
        Largest number of bases of a normalised allele, usually
        :func:`danq.genome.variants.longest_allele`; longer alleles are rejected. None for no
        limit.
    block
        Records per block; the last block of a file may have fewer.
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
        a table; when an index is damaged or of another file; when several files do not fit
        together; and, while it is read, at a record with too few columns or a position that is
        not a whole number, at the first REF that differs with "error", and when the genome has
        none of the file's contigs, or a contig of another length.

    Examples
    --------
    >>> with open_variants("common.vcf.gz", genome) as reader:  # doctest: +SKIP
    ...     for block in reader:
    ...         ref, alt, padded = anchored_windows(genome, block, 1000)
    """
    paths = listed_files(path)
    header = joined_header(paths, keep_lines=keep_lines) if len(paths) > 1 else None
    settings = Settings(chrom_map, regions, keep_lines=keep_lines, check_assembly=check_assembly)
    return VariantReader(
        (VariantFile.of_file(one, genome, settings) for one in paths),
        header=header,
        ref_mismatch=ref_mismatch,
        longest=longest,
        block=block,
        blocks=blocks,
    )


def from_table(
    rows: Iterable[tuple] | Frame,
    genome: PackedGenome,
    *,
    chrom_map: Mapping[str, str] | None = None,
    regions: Sequence[Region] | None = None,
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
    table = VariantFile.of_table(rows, genome, Settings(chrom_map, regions))
    return VariantReader(
        iter([table]), ref_mismatch=ref_mismatch, longest=longest, block=block, blocks=blocks
    )
