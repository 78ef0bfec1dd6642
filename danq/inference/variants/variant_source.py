"""Which variants to score, and how their alleles become windows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import polars as pl

from danq.errors import InputError
from danq.files.open_input import check_file
from danq.genome.variants import Anchor, RefMismatch
from danq.genome.variants.read_data_frame import Frame, TableRows, table_rows
from danq.genome.variants.several_files import listed_files
from danq.genome.variants.uncompressed_stream import STDIN, name_of
from danq.provenance import sha256_of
from danq.typing import Location

ANCHORS: dict[str, tuple[Anchor, ...]] = {"left": ("left",), "both": ("left", "right")}

VariantTable = Frame | Iterable[tuple]
"""A data frame of polars or pandas, or rows (chrom, pos, ref, alt[, id])."""

VariantSource = Location | Sequence[Location] | VariantTable
"""A file, several files, or a table in memory."""


@dataclass(frozen=True)
class Variants:
    """Variants to score, and how their alleles become windows.

    `danq.score_variants` accepts the source alone where the defaults suit.

    Attributes
    ----------
    source
        VCF, BCF, or table with a header line (chrom, pos, ref, alt and optionally id, or other
        names that `danq.genome.variants.table_columns` lists), plain or compressed; ``-`` for
        standard input; a list of such files, which are read one after the other; or a data frame
        of polars or pandas with these columns, or such rows. Positions are 1-based. A list whose
        elements are all paths is a list of files.
    chrom_map
        Tab-separated file with two columns: contig name in the source, name in the genome.
    ref_mismatch
        If REF does not match the genome: ``"skip"`` rejects the allele, ``"swap"`` exchanges REF
        and ALT where the genome has ALT (and sets the flag ``swapped``), ``"error"`` raises.
    within
        Score only the records that overlap regions of the genome (``chr4:1-5000``, 1-based and
        closed, or ``chr4``), as ``bcftools view --regions`` selects them: one text, or several. A
        VCF or BCF with a tabix or CSI index is read only near them.
    haplotypes
        A sample of the VCF: windows then also carry the sample's other variants on the same
        haplotype, those of all files.
    indel_anchor
        ``"left"``: the alternate window of an indel starts at the same base as the reference
        window and is extended on the right. ``"both"`` also scores the window that keeps the base
        after the allele, extended on the left, and averages.
    center
        0-based position of the variant in the window; None for ``window // 2 - 1``, as DeepSEA.
    check_assembly
        Refuse variants that seem to be of another assembly than the genome: the header states
        another length for a contig with records, or REF differs in more than 5 % of up to 10,000
        records, taken from the whole input. Of a stream these are the first 10,000, compared block
        by block, each before its rows are written. False logs a warning.
    regions
        For `danq.write_background`: BED file with the name of a class in column 4, such as promoter
        or exon. p-values then compare a variant with background variants of its class. Where
        classes overlap, the one that the file names first applies. None: there is one class.

    Raises
    ------
    InputError
        When ``indel_anchor`` or ``ref_mismatch`` has another value, or haplotypes are requested
        for a source that is not a file.
    """

    source: VariantSource
    chrom_map: Location | None = None
    within: str | Sequence[str] | None = None
    ref_mismatch: RefMismatch = "skip"
    haplotypes: str | None = None
    indel_anchor: str = "left"
    center: int | None = None
    check_assembly: bool = True
    regions: Location | None = None

    def __post_init__(self) -> None:
        if self.indel_anchor not in ANCHORS:
            raise InputError(
                f"indel_anchor is '{self.indel_anchor}'", remedy="Choose 'left' or 'both'"
            )
        if self.ref_mismatch not in get_args(RefMismatch):
            raise InputError(
                f"ref_mismatch is '{self.ref_mismatch}'",
                remedy=f"Choose from {', '.join(get_args(RefMismatch))}",
            )
        if self.within is not None and not (
            self.within if isinstance(self.within, str) else list(self.within)
        ):
            raise InputError(
                "the list of regions is empty", remedy="Give a region, or None for all"
            )
        source = self.source
        if _is_list_of_files(source):
            object.__setattr__(self, "source", tuple(map(str, source)))  # type: ignore[arg-type]
        elif not isinstance(source, str | Path | pl.DataFrame):
            # A run reads the source several times.
            stored = table_rows(source).stored()  # type: ignore[arg-type]
            object.__setattr__(self, "source", stored)
        if self.haplotypes is not None:
            self.check_file("haplotypes need the genotypes of a file")

    @property
    def paths(self) -> list[str]:
        """The files, or standard input; empty for a table in memory."""
        if isinstance(self.source, str | Path):
            return [str(self.source)]
        return list(self.source) if _is_list_of_files(self.source) else []  # type: ignore[arg-type]

    @property
    def is_file(self) -> bool:
        """Whether the source is one or several paths, or standard input."""
        return bool(self.paths)

    @property
    def is_stream(self) -> bool:
        """Whether the source can be read only once."""
        return any(
            str(path) == STDIN or (path.exists() and not path.is_file())
            for path in map(Path, self.paths)
        )

    @property
    def name(self) -> str:
        """The source as text."""
        if isinstance(self.source, TableRows) and self.source.file is not None:
            return self.source.file
        return ", ".join(self.paths) or "a table"

    @property
    def table(self) -> Frame | Iterable[tuple]:
        """The table in memory."""
        return cast("Frame | Iterable[tuple]", self.source)

    def check_file(self, reason: str) -> None:
        """Raise unless the source is a regular file, which can be read again.

        Parameters
        ----------
        reason
            Why a file is needed, as the beginning of the message.

        Raises
        ------
        InputError
            For standard input, pipes and tables in memory.
        """
        if not self.is_file:
            raise InputError(
                f"{reason}, and the variants are a table in memory",
                remedy="Save the variants to a file first",
            )
        if self.is_stream:
            raise InputError(
                f"{reason}, and the variants are a stream",
                file=name_of(self.name),
                remedy="Save the variants to a file first",
            )

    def checksums(self) -> list[str]:
        """SHA-256 of each file's bytes or of a table's values; the name of a stream."""
        source = self.source
        if self.is_file:
            return [
                path if path == STDIN or not check_file(path).is_file() else sha256_of(path)
                for path in listed_files(self.paths)
            ]
        table = (source.columns, source.rows()) if isinstance(source, pl.DataFrame) else source
        return [hashlib.sha256(repr(table).encode()).hexdigest()]


def _is_list_of_files(source: object) -> bool:
    return (
        isinstance(source, list | tuple)
        and not isinstance(source, TableRows)
        and bool(source)
        and all(isinstance(one, str | Path) for one in source)
    )


def as_variants(variants: Variants | VariantSource) -> Variants:
    """A source alone, with the defaults of `Variants`."""
    return variants if isinstance(variants, Variants) else Variants(variants)
