"""Find regions on a genome: the records of a BED file, or regions that a person types."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from danq.errors import InputError
from danq.genome.bed import read_bed
from danq.genome.bed_checks import MOST_BEYOND, check_bounds, report_clipped
from danq.genome.contig_names import match_contigs
from danq.genome.fasta import Genome
from danq.genome.regions import Region, UnknownContig, parse_regions

log = logging.getLogger("danq")

SCHEMA = {"chrom": pl.String, "start": pl.Int64, "end": pl.Int64, "contig": pl.String}


def region_table(
    regions: Path | str | Sequence[str],
    genome: Genome,
    chrom_map: Mapping[str, str] | None = None,
    *,
    ordered: bool = False,
) -> pl.DataFrame:
    """Regions with the contigs of a genome that they are on.

    Parameters
    ----------
    regions
        BED file, or one or several regions as `danq.genome.regions.parse_regions` reads them.
    genome
        Open genome.
    chrom_map
        Contig names of the regions to names of the genome.
    ordered
        Sort the rows by contig and position, name contigs as the genome does and refuse rows
        that overlap, as bigWig requires. Otherwise rows keep their order, and those of a BED
        file the contig names of the file.

    Returns
    -------
    pl.DataFrame
        ``chrom``, ``start``, ``end`` (0-based half-open), ``contig`` (name in the genome), and
        ``name`` if a BED file names its records.

    Raises
    ------
    InputError
        As the readers of the files do; when a region is not inside a contig of the genome, no
        record of a BED file is on a contig of the genome, or rows overlap that must not.
    """
    if isinstance(regions, Path):
        table = _bed_table(regions, genome, chrom_map)
    else:
        typed = [regions] if isinstance(regions, str) else regions
        rows = [(*region, region[0]) for region in find_regions(typed, genome, chrom_map)]
        table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    if ordered:
        table = table.sort("contig", "start").with_columns(chrom="contig")
        _check_overlap(table, regions if isinstance(regions, Path) else None)
    return table


def find_regions(
    texts: Sequence[str], genome: Genome, chrom_map: Mapping[str, str] | None = None
) -> list[Region]:
    """Regions that a person types, as `danq.genome.regions.parse_regions` reads them.

    Raises
    ------
    InputError
        When a text is not a region, or the genome has no such contig or region.
    """
    try:
        return parse_regions(list(texts), genome.contigs, chrom_map=chrom_map, file=genome.path)
    except UnknownContig as error:
        raise InputError(
            error.problem,
            file=error.file,
            remedy="Write chr:start-end, 1-based with both ends included, or chr alone; in Python, "
            "a BED file is given as pathlib.Path",
        ) from error


def _bed_table(path: Path, genome: Genome, chrom_map: Mapping[str, str] | None) -> pl.DataFrame:
    table = read_bed(path)
    # Peak callers write dots where they have no names.
    labelled = "name" in table.columns and bool((table["name"] != ".").any())
    matched = match_contigs(
        table["chrom"].unique(maintain_order=True).to_list(),
        genome.contigs,
        source=str(path),
        chrom_map=chrom_map,
    )
    known = {name: contig for name, contig in matched.items() if contig is not None}
    _report_strand(table, path)
    records = table.height
    table = (
        table.select("chrom", "start", "end", *(["name"] if labelled else []))
        .filter(pl.col("chrom").is_in(list(known)))
        .with_columns(contig=pl.col("chrom").replace_strict(known, return_dtype=pl.String))
    )
    if table.height < records:
        log.warning(
            "%s: left out %s of %s records, whose contigs the genome does not have",
            path,
            f"{records - table.height:,}",
            f"{records:,}",
        )
    lengths = {name: genome.contigs[contig] for name, contig in known.items()}
    check_bounds(table, lengths, path, most_beyond=MOST_BEYOND)
    length = pl.col("contig").replace_strict(genome.contigs, return_dtype=pl.Int64)
    report_clipped(path, int(table.select((pl.col("end") > length).sum()).item()))
    return table.with_columns(end=pl.min_horizontal("end", length))


def _report_strand(table: pl.DataFrame, path: Path) -> None:
    reverse = int((table["strand"] == "-").sum()) if "strand" in table.columns else 0
    if reverse:
        log.info(
            "%s: %d of %d records are on the strand '-'; the windows of all records are read from "
            "the forward strand of the genome",
            path,
            reverse,
            table.height,
        )


def _check_overlap(table: pl.DataFrame, path: Path | None) -> None:
    before = pl.col("end").shift(1).over("contig")
    overlap = table.filter(pl.col("start") < before)
    if overlap.height:
        chrom, start, end = overlap.select("chrom", "start", "end").row(0)
        raise InputError(
            f"{overlap.height:,} records overlap the one before; the first is "
            f"{chrom}:{start}-{end} (0-based half-open)",
            file=path,
            remedy="bigWig stores one value per base: merge the records, or choose another format "
            "of output",
        )
