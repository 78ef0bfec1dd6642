"""Which variants to score, and how their alleles become windows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import polars as pl

from danq.errors import InputError
from danq.files.open_input import check_file
from danq.genome.contig_names import read_chrom_map
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import (
    Anchor,
    Blocks,
    Haplotypes,
    RefMismatch,
    VariantBlock,
    VariantReader,
    from_table,
    longest_allele,
    open_variants,
    read_haplotypes,
    window_center,
)
from danq.genome.variants.allele_windows import anchored_pieces
from danq.genome.variants.count_records import count_records
from danq.genome.variants.haplotypes import haplotype_pieces
from danq.genome.variants.read_data_frame import Frame, TableRows, table_rows
from danq.genome.variants.reference_alleles import RECORDS, ReferenceTally
from danq.genome.variants.uncompressed_stream import STDIN, name_of
from danq.genome.variants.window_pieces import WindowPieces
from danq.provenance import Inputs, Provenance, sha256_of
from danq.typing import BoolRow, CodeBatch, Location

VariantTable = Frame | Iterable[tuple]
"""A data frame of polars or pandas, or rows (chrom, pos, ref, alt[, id])."""

ANCHORS: dict[str, tuple[Anchor, ...]] = {"left": ("left",), "both": ("left", "right")}


@dataclass(frozen=True)
class Variants:
    """Variants to score, and how their alleles become windows.

    `danq.score_variants` accepts the source alone where the defaults suit.

    Attributes
    ----------
    source
        VCF, BCF, or table with a header line (chrom, pos, ref, alt and optionally id, or other
        names that `danq.genome.variants.table_columns` lists), plain or compressed; ``-`` for
        standard input; or a data frame of polars or pandas with these columns, or such rows.
        Positions are 1-based.
    chrom_map
        Tab-separated file with two columns: contig name in the source, name in the genome.
    ref_mismatch
        If REF does not match the genome: ``"skip"`` rejects the allele, ``"swap"`` exchanges REF
        and ALT where the genome has ALT (and sets the flag ``swapped``), ``"error"`` raises.
    haplotypes
        A sample of the VCF: windows then also carry the sample's other variants on the same
        haplotype.
    indel_anchor
        ``"left"``: the alternate window of an indel starts at the same base as the reference
        window and is extended on the right. ``"both"`` also scores the window that keeps the base
        after the allele, extended on the left, and averages.
    center
        0-based position of the variant in the window; None for ``window // 2 - 1``, as DeepSEA.
    check_assembly
        Refuse variants that seem to be of another assembly than the genome: the header states
        another length for a contig with records, or REF differs in more than 5 % of up to 10,000
        records, taken from the whole input (from a stream, the first). False logs a warning.
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

    source: Location | VariantTable
    chrom_map: Location | None = None
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
        if not isinstance(self.source, str | Path | pl.DataFrame):
            # A run reads the source several times.
            object.__setattr__(self, "source", table_rows(self.source).stored())
        if self.haplotypes is not None:
            self.check_file("haplotypes need the genotypes of a file")

    @property
    def is_file(self) -> bool:
        """Whether the source is a path or standard input."""
        return isinstance(self.source, str | Path)

    @property
    def is_stream(self) -> bool:
        """Whether the source can be read only once."""
        path = Path(str(self.source))
        return self.is_file and (str(path) == STDIN or (path.exists() and not path.is_file()))

    @property
    def name(self) -> str:
        """The source as text."""
        if isinstance(self.source, TableRows) and self.source.file is not None:
            return self.source.file
        return str(self.source) if self.is_file else "a table"

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
                file=name_of(str(self.source)),
                remedy="Save the variants to a file first",
            )

    def checksum(self) -> str:
        """SHA-256 of a file's bytes or a table's values; the name of a stream."""
        if self.is_file:
            path = str(self.source)
            if path == STDIN or not check_file(path).is_file():
                return path
            return sha256_of(path)
        source = self.source
        table = (source.columns, source.rows()) if isinstance(source, pl.DataFrame) else source
        return hashlib.sha256(repr(table).encode()).hexdigest()


def as_variants(variants: Variants | Location | VariantTable) -> Variants:
    """A source alone, with the defaults of `Variants`."""
    return variants if isinstance(variants, Variants) else Variants(variants)


@dataclass(frozen=True, eq=False)
class AlleleWindows:
    """A block of variants and its windows.

    Attributes
    ----------
    block
        V variant alleles and their rejects.
    genome
        The genome that the windows are read from.
    reference_pieces
        V windows.
    alternate_pieces
        V windows for each anchor.
    flags
        ``(V,)`` each, by the names in `danq.inference.writers.variant_layout.FLAGS`.
    """

    block: VariantBlock
    genome: PackedGenome
    reference_pieces: WindowPieces
    alternate_pieces: Sequence[WindowPieces]
    flags: Mapping[str, BoolRow]

    @cached_property
    def reference(self) -> CodeBatch:
        """``(V, L)`` codes."""
        return self.reference_pieces.written(self.genome)

    @cached_property
    def alternates(self) -> Sequence[CodeBatch]:
        """``(V, L)`` codes for each anchor."""
        return [pieces.written(self.genome) for pieces in self.alternate_pieces]


@dataclass(frozen=True)
class VariantInput:
    """Variants, cut into windows of a model's length.

    Attributes
    ----------
    variants
        The variants.
    window
        Window length in bases.

    Raises
    ------
    InputError
        When the variant's position in the window is outside of it.
    """

    variants: Variants
    window: int

    def __post_init__(self) -> None:
        window_center(self.window, self.variants.center)

    @property
    def center(self) -> int:
        """0-based position of the variant in the window."""
        return window_center(self.window, self.variants.center)

    def conditions(self) -> Provenance:
        """How windows are made: what scores must share to be compared."""
        return Provenance.shown(
            {
                "window": f"{self.window} bases, the variant at index {self.center}",
                "indel anchor": self.variants.indel_anchor,
            }
        )

    def provenance(self) -> Provenance:
        """The variants, and how their windows are made."""
        source = self.variants
        inputs = {"set of variants": Inputs([source.name], [source.checksum()])}
        files = {}
        if source.chrom_map is not None:
            path = check_file(source.chrom_map)
            inputs["contig map"] = Inputs([str(path)], [sha256_of(path)])
            files["chrom map"] = str(path)
        sample = (
            {} if source.haplotypes is None else {"haplotypes": f"of sample {source.haplotypes}"}
        )
        return (
            Provenance(header={"variants": source.name}, inputs=inputs)
            | self.conditions()
            | Provenance.shown({"ref mismatch": source.ref_mismatch})
            | Provenance.shown({} if source.check_assembly else {"assembly check": "off"})
            | Provenance(header=files)
            | Provenance.shown(sample)
        )

    def records(self) -> int | None:
        """Number of records, for a progress bar; None where only a full read would give it.

        For a large file this is an estimate (`danq.genome.variants.count_records`).
        """
        source = self.variants.source
        if not self.variants.is_file:
            rows = source.rows if isinstance(source, TableRows) else source
            return len(rows)  # type: ignore[arg-type]
        path = Path(str(self.variants.source))
        return count_records(path) if path.is_file() else None

    @contextmanager
    def open(
        self,
        genome: PackedGenome,
        *,
        block: int,
        blocks: Blocks | None = None,
        keep_lines: bool = False,
    ) -> Iterator[VariantReader]:
        """Reader of the variants.

        Parameters
        ----------
        genome
            The reference genome.
        block
            Records per block.
        blocks
            Called with the number of each block: whether it is read; None reads all
            (`danq.genome.variants.open_variants`).
        keep_lines
            Keep each record as text.

        Raises
        ------
        InputError
            As `danq.genome.variants.open_variants`.
        """
        source = self.variants
        options: dict[str, Any] = {
            "chrom_map": self.chrom_map(),
            "ref_mismatch": source.ref_mismatch,
            "longest": longest_allele(self.window, self.center),
            "block": block,
            "blocks": blocks,
        }
        if source.is_file:
            more: dict[str, Any] = {
                "keep_lines": keep_lines,
                "check_assembly": source.check_assembly,
            }
            reader = open_variants(str(source.source), genome, **options, **more)
        else:
            reader = from_table(source.source, genome, **options)  # type: ignore[arg-type]
        with reader:
            if source.is_stream and source.ref_mismatch != "error":
                self.check_references(reader.compare_references(RECORDS), reader.oriented)
            yield reader

    def check_references(self, tally: ReferenceTally, oriented: bool) -> None:
        """Check how many reference alleles the genome has.

        Parameters
        ----------
        tally
            Their counts.
        oriented
            Whether REF of the input is the reference allele.

        Raises
        ------
        InputError
            As :meth:`danq.genome.variants.reference_alleles.ReferenceTally.check`.
        """
        swap = self.variants.ref_mismatch == "swap" or not oriented
        tally.check(swap=swap, stop=self.variants.check_assembly)

    def windows(self, reader: VariantReader) -> Iterator[AlleleWindows]:
        """Blocks with their windows.

        Parameters
        ----------
        reader
            From :meth:`open`.
        """
        source = self.variants
        sample = None if source.haplotypes is None else self._haplotypes(reader.genome)
        for block in reader:
            made = []
            flags = {"moved": block.moved, "swapped": block.swapped}
            for anchor in ANCHORS[source.indel_anchor]:
                where = {"center": self.center, "anchor": anchor}
                if sample is None:
                    done = anchored_pieces(reader.genome, block, self.window, **where)
                    found = {"padded": done.padded}
                else:
                    done = haplotype_pieces(reader.genome, block, sample, self.window, **where)
                    found = {
                        "padded": done.padded,
                        "neighbours": done.neighbours + done.reference_neighbours > 0,
                        "left-out": done.left_out + done.reference_left_out > 0,
                    }
                made.append(done)
                flags |= {name: flags.get(name, False) | flag for name, flag in found.items()}
            alternates = [one.alternate for one in made]
            yield AlleleWindows(block, reader.genome, made[0].reference, alternates, flags)

    def _haplotypes(self, genome: PackedGenome) -> Haplotypes:
        sample = self.variants.haplotypes
        assert sample is not None
        path = str(self.variants.source)
        return read_haplotypes(
            path,
            genome,
            sample,
            chrom_map=self.chrom_map(),
            ref_mismatch=self.variants.ref_mismatch,
            check_assembly=self.variants.check_assembly,
        )

    def chrom_map(self) -> dict[str, str] | None:
        """The map of contig names, read from its file."""
        path = self.variants.chrom_map
        return None if path is None else read_chrom_map(path)
