"""Read a sample's phased alleles, and cut windows that hold the alleles of its haplotypes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from danq._jit import kernel
from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import Region
from danq.genome.two_bit_packing import first_above
from danq.genome.variants.allele_windows import Anchor, checked_frame
from danq.genome.variants.carried_alleles import CarriedAlleles, Edit
from danq.genome.variants.genotypes import UNPHASED
from danq.genome.variants.normalise import Ragged, normalise
from danq.genome.variants.reference_spans import Spans
from danq.genome.variants.several_files import listed_files
from danq.genome.variants.variant_block import VariantBlock
from danq.genome.variants.variant_file import Settings, VariantFile
from danq.genome.variants.variant_reader import RefMismatch, VariantReader
from danq.genome.variants.window_kernel import (
    ALL_PHASES,
    Alleles,
    Edits,
    Neighbours,
    compose_windows,
)
from danq.genome.variants.window_pieces import WindowPieces
from danq.typing import BoolRow, CodeBatch, Codes, IntRow, Location

NOT_CARRIED = -1

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class Haplotypes:
    """The alleles that one sample carries.

    Attributes
    ----------
    sample
        Name of the sample.
    edits
        The alleles, trimmed but not left-aligned: left-alignment could move one past a
        neighbour.
    others
        The alleles that windows cannot hold, such as symbolic ones.
    unphased
        Number of edits of unknown phase.
    """

    sample: str
    edits: Edits
    others: Spans
    unphased: int


W = TypeVar("W", CodeBatch, WindowPieces)


class HaplotypeWindows(NamedTuple, Generic[W]):
    """Windows of V ALT alleles on a sample's haplotypes.

    Attributes
    ----------
    reference, alternate
        ``(V, L)`` uint8 codes without and with the allele, or V windows that are not written yet.
    padded
        ``(V,)`` whether either window extends past an end of the contig.
    haplotype
        ``(V,)`` haplotype of the windows, from 1: the first that carries the allele; 0 where
        the phase is unknown, -1 where the sample does not carry the allele.
    neighbours
        ``(V,)`` number of other alleles in the alternate window.
    left_out
        ``(V,)`` number of other alleles that were left out of the alternate window: those whose
        phase relative to this one is unknown, those that overlap it or a nearer one, and those
        that cannot be applied, such as symbolic ones.
    reference_neighbours, reference_left_out
        ``(V,)`` the same for the reference window, which may reach further.
    """

    reference: W
    alternate: W
    padded: BoolRow
    haplotype: IntRow
    neighbours: IntRow
    left_out: IntRow
    reference_neighbours: IntRow
    reference_left_out: IntRow


def read_haplotypes(
    path: Location | Sequence[Location],
    genome: PackedGenome,
    sample: str,
    *,
    chrom_map: Mapping[str, str] | None = None,
    regions: Sequence[Region] | None = None,
    ref_mismatch: RefMismatch = "skip",
    check_assembly: bool = True,
) -> Haplotypes:
    """Read the alleles that one sample carries, with their phase.

    Alleles of a haploid or homozygous genotype are on every haplotype. A heterozygous allele is
    phased where GT has ``|``, or by PGT and PID
    (:func:`danq.genome.variants.genotypes.phased`); alleles in different phase sets are not phased
    relative to each other. A missing allele (``.``) counts as REF, unless the same genotype has an
    ALT: it is then unknown which haplotypes carry that ALT. An allele that the file has twice,
    with different genotypes, is of unknown phase. All alleles are held in memory, in about 70
    bytes each, and more during reading.

    Alleles that windows cannot hold (those that
    :func:`danq.genome.variants.open_variants` rejects) are kept with the bases that they replace.
    Where REF differs from the genome, haplotypes with REF carry such an allele, too.

    Parameters
    ----------
    path
        VCF or BCF, in any order. Windows have the alleles of all of several files.
    genome
        The reference.
    sample
        Name of the sample.
    chrom_map, regions, ref_mismatch, check_assembly
        As for :func:`danq.genome.variants.open_variants`. With "swap", an allele whose REF and ALT
        were exchanged is carried where the genotype has REF.

    Raises
    ------
    InputError
        As :func:`danq.genome.variants.open_variants`; when there is no such sample, the file names
        a sample twice, or the sample has no genotype in any record; and when a genotype cannot be
        parsed, or names an allele that its record does not have.
    """
    settings = Settings(chrom_map, regions, sample, check_assembly=check_assembly)
    files = (VariantFile.of_file(one, genome, settings) for one in listed_files(path))
    with VariantReader(files, ref_mismatch=ref_mismatch, align=False) as reader:
        carried = CarriedAlleles(reader)
        for records, block in reader.records():
            carried.add(records, block)
    if carried.records and carried.uncalled == carried.records:
        raise InputError(
            f"sample '{sample}' has no genotype (GT) in any of {carried.records:,} records",
            file=reader.name,
            remedy="Use a file with called genotypes, or score the variants without haplotypes",
        )
    edits, conflicts = _sorted(carried.edits, len(genome.names))
    haplotypes = Haplotypes(sample, edits, carried.others(), int((edits.phase == UNPHASED).sum()))
    _report(reader.name, haplotypes, carried, conflicts)
    return haplotypes


def haplotype_windows(
    genome: PackedGenome,
    block: VariantBlock,
    haplotypes: Haplotypes,
    window: int,
    *,
    center: int | None = None,
    anchor: Anchor = "left",
) -> HaplotypeWindows[CodeBatch]:
    """Windows of a block's variants on a sample's haplotypes.

    As :func:`danq.genome.variants.anchored_windows`, but both windows also hold the other alleles
    that the sample carries on the same haplotype. The base at ``center`` keeps its index;
    neighbours are applied from there outwards. The windows of an allele that the sample does not
    carry have no neighbours; those of an allele of unknown phase have the neighbours that are on
    every haplotype.

    Parameters
    ----------
    genome, block, window, center, anchor
        As for :func:`danq.genome.variants.anchored_windows`.
    haplotypes
        Alleles of the sample, from :func:`read_haplotypes`.

    Raises
    ------
    InputError
        As :func:`danq.genome.variants.anchored_windows`.
    """
    done = haplotype_pieces(genome, block, haplotypes, window, center=center, anchor=anchor)
    return HaplotypeWindows(
        done.reference.written(genome), done.alternate.written(genome), *done[2:]
    )


def haplotype_pieces(
    genome: PackedGenome,
    block: VariantBlock,
    haplotypes: Haplotypes,
    window: int,
    *,
    center: int | None = None,
    anchor: Anchor = "left",
) -> HaplotypeWindows[WindowPieces]:
    """As :func:`haplotype_windows`, but the windows are not written yet."""
    frame = checked_frame(block, window, center, anchor)
    refs, alts = Ragged.of(block.ref), Ragged.of(block.alt)
    raw = normalise(genome, block.contig, block.pos - 1, refs, alts, align=False)
    edits = haplotypes.edits
    own = np.empty(len(block), dtype=np.int64)
    _find(edits, block.contig, raw, alts, own)
    carried = own >= 0
    haplotype = np.full(len(block), NOT_CARRIED, dtype=np.int64)
    phase = np.full(len(block), ALL_PHASES, dtype=np.int64)
    if carried.any():
        entry = own[carried]
        phased = edits.phase[entry] != UNPHASED
        lowest = edits.carriers[entry] & -edits.carriers[entry]
        haplotype[carried] = np.where(phased, np.log2(lowest).astype(np.int64) + 1, 0)
        phase[carried] = np.where(phased, edits.phase[entry], ALL_PHASES)
    # No neighbour may come between the positions before and after left-alignment.
    neighbours = Neighbours(edits, haplotype, phase, raw.start + raw.ref_size, own)
    done = compose_windows(genome, Alleles.of(block), frame, neighbours)
    others = [
        haplotypes.others.overlapping(block.contig, low, high, haplotype, phase)
        for low, high in zip(done.low, done.high, strict=True)
    ]
    before, after = done.left_out + others
    return HaplotypeWindows(*done[:3], haplotype, done.applied[1], after, done.applied[0], before)


def _report(name: str, haplotypes: Haplotypes, carried: CarriedAlleles, conflicts: int) -> None:
    """Log what the sample carries, and what windows cannot hold."""
    sample = haplotypes.sample
    log.info(
        "%s: sample %s carries %s alleles, %s of them of unknown phase",
        name,
        sample,
        f"{haplotypes.edits.start.size:,}",
        f"{haplotypes.unphased:,}",
    )
    if haplotypes.others.size:
        reasons = ", ".join(f"{count:,} {why}" for why, count in carried.reasons.most_common())
        log.warning(
            "%s: sample %s carries %s further alleles that windows cannot hold (%s); variants near "
            "them get the flag left-out",
            name,
            sample,
            f"{haplotypes.others.size:,}",
            reasons,
        )
    if carried.unmeasured:
        log.warning(
            "%s: %s symbolic alleles of sample %s have neither END nor SVLEN after POS; windows "
            "that they reach, but that do not contain POS, do not get the flag left-out",
            name,
            f"{carried.unmeasured:,}",
            sample,
        )
    if carried.missing:
        log.info(
            "%s: %s genotypes of sample %s are missing or partly missing; missing alleles count "
            "as the reference, unless the genotype has another allele",
            name,
            f"{carried.missing:,}",
            sample,
        )
    if conflicts:
        log.warning(
            "%s: %s alleles of sample %s are in several records with different genotypes; they "
            "count as alleles of unknown phase",
            name,
            f"{conflicts:,}",
            sample,
        )


@kernel
def _find(edits, contig, trimmed, alt, own):
    """Fill ``own`` with the index of each trimmed ALT allele among the edits, or -1."""
    for row in range(contig.size):
        own[row] = -1
        low, high = edits.first[contig[row]], edits.first[contig[row] + 1]
        first = alt.at[row] + trimmed.skip[row]
        start, ref_size = trimmed.start[row], trimmed.ref_size[row]
        edit = low + first_above(edits.start[low:high], start - 1)
        while edit < high and edits.start[edit] == start:
            begin, size = edits.at[edit], edits.at[edit + 1] - edits.at[edit]
            same = edits.end[edit] - start == ref_size and size == trimmed.alt_size[row]
            for i in range(size if same else 0):
                same &= edits.codes[begin + i] == alt.codes[first + i]
            if same:
                own[row] = edit
                break
            edit += 1


def _sorted(parts: list[Edit], contigs: int) -> tuple[Edits, int]:
    """Edits sorted by contig, start and end, and the number of those whose calls differ.

    Equal edits become one. If their calls differ, its phase is unknown.
    """
    empty = np.zeros(0, dtype=np.int64)
    contig, start, end, carriers, missing, phase = (
        np.concatenate([empty, *(getattr(part, name) for part in parts)])
        for name in ("contig", "start", "end", "carriers", "missing", "phase")
    )
    every = np.concatenate([np.zeros(0, dtype=np.bool_), *(part.every for part in parts)])
    texts = [text for part in parts for text in part.alt]
    order = np.lexsort((end, start, contig))
    kept: list[int] = []
    seen: dict[tuple[int, str], int] = {}
    conflicts: set[int] = set()
    position = None
    for i in order.tolist():
        if position != (contig[i], start[i]):
            position = contig[i], start[i]
            seen.clear()
        first = seen.setdefault((int(end[i]), texts[i]), i)
        if first == i:
            kept.append(i)
        elif any(one[i] != one[first] for one in (carriers, missing, every, phase)):
            conflicts.add(first)
    unsure = list(conflicts)
    phase[unsure], every[unsure] = UNPHASED, False
    alt = Ragged.of([texts[i] for i in kept])
    codes: Codes = alt.codes
    edits = Edits(
        first=np.searchsorted(contig[kept], np.arange(contigs + 1)),
        start=start[kept],
        end=end[kept],
        at=alt.at,
        codes=codes,
        carriers=carriers[kept],
        missing=missing[kept],
        every=every[kept],
        phase=phase[kept],
        longest=int((end - start).max(initial=0)),
    )
    return edits, len(conflicts)
