"""What variants to score: a file, standard input or a table, and how its alleles become windows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from danq.errors import InputError
from danq.genome.contig_names import read_chrom_map
from danq.genome.input_files import check_file
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import (
    Anchor,
    Haplotypes,
    RefMismatch,
    VariantBlock,
    VariantReader,
    anchored_windows,
    from_table,
    haplotype_windows,
    longest_allele,
    open_variants,
    read_haplotypes,
    window_center,
)
from danq.genome.variants.count_records import count_records
from danq.genome.variants.read_data_frame import Frame, table_rows
from danq.genome.variants.uncompressed_stream import STDIN, name_of
from danq.provenance import sha256_of
from danq.typing import BoolRow, CodeBatch, Location

Variants = Location | Frame | Iterable[tuple]
"""A VCF, BCF or TSV file, ``-`` for standard input, a data frame of polars or pandas, or rows
(chrom, pos, ref, alt[, id])."""

ANCHORS: dict[str, tuple[Anchor, ...]] = {"left": ("left",), "both": ("left", "right")}


class AlleleWindows(NamedTuple):
    """A block of variants and its windows.

    Attributes
    ----------
    block
        V variant-alleles and their rejects.
    reference
        ``(V, L)``.
    alternates
        ``(V, L)`` for each anchor.
    flags
        ``(V,)`` each, by name as in `danq.inference.writers.variant_layout.FLAGS`.
    """

    block: VariantBlock
    reference: CodeBatch
    alternates: Sequence[CodeBatch]
    flags: Mapping[str, BoolRow]


@dataclass(frozen=True)
class VariantInput:
    """Which variants, and how they become windows.

    Attributes
    ----------
    source
        The variants.
    window
        Bases of a window.
    center
        Index of a window at which its variant stands; None for ``window // 2 - 1``.
    indel_anchor
        ``"left"``, or ``"both"`` for a window of either anchor.
    ref_mismatch
        ``"skip"``, ``"swap"`` or ``"error"``.
    chrom_map
        Tab-separated file: contig name in the input, name in the genome.
    haplotypes
        Sample whose phased neighbours the windows hold; None for the reference alone.

    Raises
    ------
    InputError
        When the centre does not go with the window, ``indel_anchor`` is neither word, or
        haplotypes are wanted of what is no file.
    """

    source: Variants
    window: int
    center: int | None = None
    indel_anchor: str = "left"
    ref_mismatch: RefMismatch = "skip"
    chrom_map: Location | None = None
    haplotypes: str | None = None

    def __post_init__(self) -> None:
        if self.indel_anchor not in ANCHORS:
            raise InputError(
                f"indel_anchor is '{self.indel_anchor}'", remedy="Choose 'left' or 'both'"
            )
        object.__setattr__(self, "center", window_center(self.window, self.center))
        if self.haplotypes is not None:
            self.check_repeatable("haplotypes are read")
        if not isinstance(self.source, str | Path | pl.DataFrame):
            # It is read several times.
            object.__setattr__(self, "source", list(table_rows(self.source)))

    @property
    def is_file(self) -> bool:
        """Whether the source is a path or standard input."""
        return isinstance(self.source, str | Path)

    def conditions(self) -> dict[str, str]:
        """How windows are made, in words."""
        assert self.center is not None
        return {
            "window": f"{self.window} bases, the variant at index {self.center}",
            "indel anchor": self.indel_anchor,
        }

    def provenance(self) -> dict[str, str]:
        """The input in words, for the head of an output."""
        words = {
            "variants": str(self.source) if self.is_file else "a table",
            **self.conditions(),
            "ref mismatch": self.ref_mismatch,
        }
        if self.chrom_map is not None:
            words["chrom map"] = str(self.chrom_map)
        if self.haplotypes is not None:
            words["haplotypes"] = f"of sample {self.haplotypes}"
        return words

    def identity(self) -> dict[str, str]:
        """What a run that goes on must share, in words: contents instead of names of files."""
        names = self.provenance()
        names["variants"] = _digest(self.source)
        if self.chrom_map is not None:
            names["chrom map"] = _digest(self.chrom_map)
        return names

    def files(self) -> dict[str, tuple[str, ...]]:
        """What in `identity` are digests of contents, and how those are called."""
        return {
            "variants": (str(self.source) if self.is_file else "the table",),
            "chrom map": () if self.chrom_map is None else (str(self.chrom_map),),
        }

    def check_repeatable(self, what: str) -> None:
        """Refuse an input that is no file: it cannot be read twice, and has no genotypes.

        Parameters
        ----------
        what
            What needs a file, as "a run goes on".

        Raises
        ------
        InputError
            For standard input, pipes and tables in memory.
        """
        if not self.is_file:
            raise InputError(f"{what} from a file alone, and the variants are a table in memory")
        path = Path(str(self.source))
        if str(path) == STDIN or (path.exists() and not path.is_file()):
            raise InputError(
                f"{what} from a file alone, which can be read again",
                file=name_of(path),
                remedy="Save the variants to a file first",
            )

    def records(self) -> int | None:
        """Records in all, for a progress bar; None where only reading to the end would tell.

        Of a large file, about so many: see `danq.genome.variants.count_records.count_records`.
        """
        if not self.is_file:
            return len(self.source)  # type: ignore[arg-type]
        path = Path(str(self.source))
        return count_records(path) if path.is_file() else None

    @contextmanager
    def open(
        self, genome: PackedGenome, *, block: int, skip: int = 0, keep_lines: bool = False
    ) -> Iterator[VariantReader]:
        """Reader of the variants.

        Parameters
        ----------
        genome
            The reference.
        block
            Records at a time.
        skip
            Records at the beginning to pass over; a multiple of ``block``.
        keep_lines
            Keep each record as text.

        Raises
        ------
        InputError
            As `danq.genome.variants.open_variants`.
        """
        options: dict[str, Any] = {
            "chrom_map": self._chrom_map(),
            "ref_mismatch": self.ref_mismatch,
            "longest": longest_allele(self.window, self.center),
            "block": block,
        }
        if self.is_file:
            more = {"skip_records": skip, "keep_lines": keep_lines}
            reader = open_variants(str(self.source), genome, **options, **more)
        else:
            reader = from_table(self.source, genome, **options)  # type: ignore[arg-type]
        with reader:
            yield reader

    def windows(self, reader: VariantReader, *, skip: int = 0) -> Iterator[AlleleWindows]:
        """Blocks with their windows.

        Parameters
        ----------
        reader
            From :meth:`open`.
        skip
            Blocks at the beginning to pass over, of a table.
        """
        sample = None if self.haplotypes is None else self._haplotypes(reader.genome)
        for block in islice(reader, 0 if self.is_file else skip, None):
            made = []
            flags = {"moved": block.moved, "swapped": block.swapped}
            for anchor in ANCHORS[self.indel_anchor]:
                where = {"center": self.center, "anchor": anchor}
                if sample is None:
                    done = anchored_windows(reader.genome, block, self.window, **where)
                    found = {"padded": done.padded}
                else:
                    done = haplotype_windows(reader.genome, block, sample, self.window, **where)
                    found = {
                        "padded": done.padded,
                        "neighbours": done.neighbours > 0,
                        "left-out": done.left_out > 0,
                    }
                made.append(done)
                flags |= {name: flags.get(name, False) | flag for name, flag in found.items()}
            yield AlleleWindows(block, made[0].reference, [one.alternate for one in made], flags)

    def _haplotypes(self, genome: PackedGenome) -> Haplotypes:
        assert self.haplotypes is not None
        return read_haplotypes(
            str(self.source), genome, self.haplotypes, chrom_map=self._chrom_map()
        )

    def _chrom_map(self) -> dict[str, str] | None:
        return None if self.chrom_map is None else read_chrom_map(self.chrom_map)


def _digest(source: Variants) -> str:
    """SHA-256 of a file's bytes or a table's values; the name of what cannot be read twice."""
    if isinstance(source, str | Path):
        if str(source) == STDIN or not check_file(source).is_file():
            return str(source)
        return sha256_of(source)
    rows = source.rows() if isinstance(source, pl.DataFrame) else source
    return hashlib.sha256(repr(rows).encode()).hexdigest()
