"""Read variants, and cut them into windows of a model's length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from danq.files.open_input import check_file
from danq.genome.contig_names import read_chrom_map
from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import Region, parse_regions
from danq.genome.variants import (
    Blocks,
    Haplotypes,
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
from danq.genome.variants.open_regions import checksum_of_records
from danq.genome.variants.read_data_frame import TableRows
from danq.genome.variants.reference_alleles import RECORDS, ReferenceTally
from danq.genome.variants.window_pieces import WindowPieces
from danq.inference.variants.silence import silence
from danq.inference.variants.variant_source import ANCHORS, Variants
from danq.provenance import REGIONS, Inputs, Provenance, sha256_of
from danq.typing import BoolRow, CodeBatch


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

    def provenance(self, genome: PackedGenome, *, keep_lines: bool = False) -> Provenance:
        """The variants, and how their windows are made.

        Parameters
        ----------
        genome
            The reference genome.
        keep_lines
            The records are written again, as text.
        """
        source = self.variants
        names = source.paths or [source.name]
        inputs = {"set of variants": Inputs(names, self._checksums(genome, keep_lines))}
        files = {}
        if source.chrom_map is not None:
            path = check_file(source.chrom_map)
            inputs["contig map"] = Inputs([str(path)], [sha256_of(path)])
            files["chrom map"] = str(path)
        sample = (
            {} if source.haplotypes is None else {"haplotypes": f"of sample {source.haplotypes}"}
        )
        regions = self._regions(genome)
        within = [] if regions is None else _texts(regions)
        return (
            Provenance(header={"variants": source.name}, inputs=inputs)
            | (
                Provenance({"within": ", ".join(within)}, {REGIONS: within})
                if within
                else Provenance()
            )
            | self.conditions()
            | Provenance.shown({"ref mismatch": source.ref_mismatch})
            | Provenance.shown({} if source.check_assembly else {"assembly check": "off"})
            | Provenance(header=files)
            | Provenance.shown(sample)
        )

    def _checksums(self, genome: PackedGenome, keep_lines: bool) -> list[str]:
        """Checksums of the files; with regions, those of the records that are used."""
        source, regions = self.variants, self.within(genome)
        if regions is None or not source.is_file or source.is_stream:
            return source.checksums()
        sample = source.haplotypes
        if sample is not None:
            regions = self._of_haplotypes(genome, regions)
        options: dict[str, Any] = {
            "chrom_map": self.chrom_map(),
            # Complete records have the genotypes.
            "sample": None if keep_lines else sample,
            "keep_lines": keep_lines,
        }
        with silence():
            return [
                checksum_of_records(path, regions, genome.contigs, **options)
                for path in source.paths
            ]

    def _of_haplotypes(self, genome: PackedGenome, regions: Sequence[Region]) -> list[Region]:
        """Contigs whose alleles windows in some regions may hold."""
        lengths = genome.contigs
        return [Region(name, 0, lengths[name]) for name in sorted({one.contig for one in regions})]

    def within(self, genome: PackedGenome) -> list[Region] | None:
        """The requested regions of the genome.

        Raises
        ------
        InputError
            As `danq.genome.regions.parse_regions`.
        """
        # Their notices appear once, with the provenance.
        with silence():
            return self._regions(genome)

    def _regions(self, genome: PackedGenome) -> list[Region] | None:
        """As `within`, with notices."""
        texts = self.variants.within
        if texts is None:
            return None
        names = self.chrom_map()
        listed = [texts] if isinstance(texts, str) else texts
        return [
            region
            for text in listed
            for region in parse_regions(text, genome.contigs, chrom_map=names)
        ]

    def records(self) -> int | None:
        """Number of records, for a progress bar; None where only a full read would give it.

        For a large file this is an estimate (`danq.genome.variants.count_records`).
        """
        variants = self.variants
        if variants.within is not None or variants.is_stream:
            return None
        if not variants.is_file:
            table = variants.table
            return len(table.rows if isinstance(table, TableRows) else table)  # type: ignore[arg-type]
        counts = [count_records(path) for path in variants.paths]
        return None if None in counts else sum(counts)  # type: ignore[arg-type]

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

        Of a stream, REF of the first 10,000 records is compared with the genome while they are
        read: after each block, before it is returned, so that rows appear although the stream
        pauses. Other sources are compared before (`danq.inference.variants.assembly_check`).

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
            "regions": self.within(genome),
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
            reader = open_variants(source.paths, genome, **options, **more)
        else:
            reader = from_table(source.table, genome, **options)
        with reader:
            if source.is_stream and source.ref_mismatch != "error":
                reader.compare_references(
                    RECORDS,
                    lambda tally, more: self.check_references(tally, reader.oriented, more=more),
                )
            yield reader

    def check_references(
        self, tally: ReferenceTally, oriented: bool, *, more: bool = False
    ) -> None:
        """Check how many reference alleles the genome has.

        Parameters
        ----------
        tally
            Their counts.
        oriented
            Whether REF of the input is the reference allele.
        more
            More records will be compared: warnings are left to the last check.

        Raises
        ------
        InputError
            As :meth:`danq.genome.variants.reference_alleles.ReferenceTally.check`.
        """
        swap = self.variants.ref_mismatch == "swap" or not oriented
        tally.check(swap=swap, stop=self.variants.check_assembly, more=more)

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
        regions = self.within(genome)
        if regions is not None:
            regions = self._of_haplotypes(genome, regions)
        return read_haplotypes(
            self.variants.paths,
            genome,
            sample,
            chrom_map=self.chrom_map(),
            regions=regions,
            ref_mismatch=self.variants.ref_mismatch,
            check_assembly=self.variants.check_assembly,
        )

    def chrom_map(self) -> dict[str, str] | None:
        """The map of contig names, read from its file."""
        path = self.variants.chrom_map
        return None if path is None else read_chrom_map(path)


def _texts(regions: Sequence[Region]) -> list[str]:
    """Regions as a user types them, sorted."""
    return [f"{contig}:{start + 1}-{end}" for contig, start, end in sorted(set(regions))]
