"""Read genes from GFF3, GTF or BED, for display."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from danq.errors import InputError
from danq.files.recognise import other_interval_format
from danq.files.text_tables import text_blocks
from danq.genome.bed import read_bed

MOST_GENES = 1_000_000
"""Largest number of genes of a file."""

_GENES = {"gene", "pseudogene", "ncRNA_gene", "transposable_element_gene"}
_TRANSCRIPT = re.compile(r"\w*(transcript|RNA)", re.ASCII)
_EXONS = {"exon", "CDS"}
_GTF = re.compile(r'(\w+) "([^"]*)"')
_FIELDS = 9

log = logging.getLogger("danq")


class GeneModel(NamedTuple):
    """A gene, 0-based half-open.

    Attributes
    ----------
    name
        Its name, or its identifier.
    contig, start, end, strand
        Where it is.
    exons
        Its exons; none if the file has none.
    """

    name: str
    contig: str
    start: int
    end: int
    strand: str
    exons: tuple[tuple[int, int], ...] = ()


def read_genes(path: str | Path) -> list[GeneModel]:
    """Read genes of a GFF3 or GTF file, or the intervals of a BED file.

    Of GFF3 and GTF, features ``gene`` (also ``pseudogene`` and ``ncRNA_gene``) are genes, and
    ``exon`` and ``CDS`` are exons of the gene that their parents belong to. In a file without such
    features, genes are the transcripts and coding sequences without a parent; of GTF, they are all
    features with the same ``gene_id``. GFF counts from 1; the result is 0-based. The sequences
    after ``##FASTA`` are not read.

    Parameters
    ----------
    path
        Plain, gzip or bgzip file.

    Raises
    ------
    InputError
        When the file is missing, damaged or of another format, a line does not have nine columns or
        a position is not a whole number of at least 1, or there is no gene or too many.
    """
    path = Path(path)
    lines = _lines(path)
    first = [line for _, line in zip(range(100), lines, strict=False)]
    found = other_interval_format([line for _, line in first])
    if found is None or not found.name.startswith("GFF"):
        table = read_bed(path)
        names = table["name"].to_list() if "name" in table.columns else [""] * table.height
        strands = table["strand"].to_list() if "strand" in table.columns else ["."] * table.height
        genes = [
            GeneModel(name or f"{contig}:{start + 1}", contig, start, end, strand or ".")
            for name, contig, start, end, strand in zip(
                names, table["chrom"], table["start"], table["end"], strands, strict=True
            )
        ]
    else:
        genes = _from_gff(path)
    if not genes:
        raise InputError(
            "holds no gene", file=path, remedy="Give a GFF3, GTF or BED file with genes"
        )
    return genes


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    for block in text_blocks(path):
        for line in block.decode("utf-8").removesuffix("\n").split("\n"):
            number += 1
            yield number, line


def _from_gff(path: Path) -> list[GeneModel]:
    genes: dict[str, GeneModel] = {}
    others: dict[str, GeneModel] = {}
    parents: dict[str, str] = {}
    exons: dict[str, list[tuple[int, int]]] = {}
    for number, line in _lines(path):
        if line.startswith("##FASTA"):
            break
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != _FIELDS:
            raise InputError(
                f"the line has {len(fields)} columns, and GFF has 9",
                file=path,
                line=number,
                remedy="Check that it is GFF3 or GTF",
            )
        kind, about = fields[2], _attributes(fields[8])
        known = kind in _GENES or kind in _EXONS or "gene_id" in about
        if not known and "Parent" not in about and not _TRANSCRIPT.fullmatch(kind):
            continue
        start, end = _positions(fields, path, number)
        if kind in _GENES:
            _add(genes, _gene(fields, about, start, end, number), path)
            continue
        if "Parent" not in about and not genes:
            _add(others, _gene(fields, about, start, end, number), path)
        owner = about.get("Parent", "").split(",")[0] or about.get("gene_id", "")
        if "ID" in about and kind not in _EXONS:
            parents[about["ID"]] = owner
        if kind in _EXONS:
            exons.setdefault(owner, []).append((start, end))
    if not genes and others:
        genes = others
        log.info(f"{path} has no features of the type gene; its transcripts are taken as genes")
    for owner, intervals in exons.items():
        key = owner
        for _ in range(5):
            if key in genes or key not in parents:
                break
            key = parents[key]
        if key in genes:
            merged = _merged([*genes[key].exons, *intervals])
            genes[key] = genes[key]._replace(exons=merged)
    return list(genes.values())


def _gene(
    fields: list[str], about: dict[str, str], start: int, end: int, number: int
) -> tuple[str, GeneModel]:
    """Identifier and model of a feature."""
    key = about.get("ID") or about.get("gene_id") or f"gene {number}"
    names = (about.get(one) for one in ("Name", "gene_name", "gene"))
    name = next((one for one in names if one), key)
    return key, GeneModel(name, unquote(fields[0]), start, end, fields[6])


def _add(genes: dict[str, GeneModel], one: tuple[str, GeneModel], path: Path) -> None:
    """Add a gene, or a further part of one."""
    key, gene = one
    before = genes.get(key)
    if before is not None and (before.contig, before.strand) == (gene.contig, gene.strand):
        start, end = min(before.start, gene.start), max(before.end, gene.end)
        gene = before._replace(start=start, end=end)
    elif before is None and len(genes) == MOST_GENES:
        raise InputError(f"has more than {MOST_GENES:,} genes", file=path, remedy="Check the file")
    genes[key] = gene


def _attributes(text: str) -> dict[str, str]:
    if '"' in text:
        return dict(_GTF.findall(text))
    pairs = (one.strip().partition("=") for one in text.split(";") if "=" in one)
    return {name: unquote(value) for name, _, value in pairs}


def _positions(fields: list[str], path: Path, number: int) -> tuple[int, int]:
    first, last = fields[3], fields[4]
    if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()) or not (
        0 < int(first) <= int(last)
    ):
        raise InputError(
            f"the interval {first}-{last} is not 1-based and closed",
            file=path,
            line=number,
            remedy="GFF counts from 1, and the end is not before the start",
        )
    return int(first) - 1, int(last)


def _merged(intervals: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Union of intervals."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return tuple(merged)
