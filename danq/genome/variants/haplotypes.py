"""Read a sample's phased alleles, and cut windows that hold the alleles of its haplotypes."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from danq._jit import kernel
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants.allele_windows import Anchor, checked_frame
from danq.genome.variants.normalise import Ragged, normalise
from danq.genome.variants.open_variant_file import open_source
from danq.genome.variants.variant_block import VariantBlock
from danq.genome.variants.variant_reader import BLOCK, VariantReader
from danq.genome.variants.window_kernel import (
    ALL_PHASES,
    Alleles,
    Edits,
    Neighbours,
    compose_windows,
)
from danq.typing import BoolRow, CodeBatch, Codes, IntRow

UNPHASED = -1
NOT_CARRIED = -1
PLOIDY = 62
"""Largest number of haplotypes: one bit of an int64 each."""

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
    unphased
        Number of alleles of unknown phase.
    """

    sample: str
    edits: Edits
    unphased: int


class HaplotypeWindows(NamedTuple):
    """Windows of V ALT alleles on a sample's haplotypes.

    Attributes
    ----------
    reference, alternate
        ``(V, L)`` uint8 codes without and with the allele.
    padded
        ``(V,)`` whether either window extends past an end of the contig.
    haplotype
        ``(V,)`` haplotype of the windows, from 1: the first that carries the allele; 0 where
        the phase is unknown, -1 where the sample does not carry the allele.
    neighbours
        ``(V,)`` number of other alleles in the alternate window.
    left_out
        ``(V,)`` number of other alleles that were left out of the alternate window: those whose
        phase relative to this one is unknown, and those that overlap it or a nearer one.
    """

    reference: CodeBatch
    alternate: CodeBatch
    padded: BoolRow
    haplotype: IntRow
    neighbours: IntRow
    left_out: IntRow


def read_haplotypes(
    path: str | Path,
    genome: PackedGenome,
    sample: str,
    *,
    chrom_map: Mapping[str, str] | None = None,
) -> Haplotypes:
    """Read the alleles that one sample carries, with their phase.

    Alleles of a haploid or homozygous genotype are on every haplotype. A heterozygous allele is
    phased where GT has ``|``; alleles in different phase sets (PS) are not phased relative to
    each other. All alleles are held in memory, in about 60 bytes each, and more during reading.

    Parameters
    ----------
    path
        VCF or BCF, in any order. Alleles that :func:`danq.genome.variants.open_variants` rejects
        are skipped.
    genome
        The reference.
    sample
        Name of the sample.
    chrom_map
        As for :func:`danq.genome.variants.open_variants`.

    Raises
    ------
    InputError
        As :func:`danq.genome.variants.open_variants`, and when there is no such sample.
    """
    parts: list[_Carried] = []
    with ExitStack() as stack:
        source = stack.enter_context(open_source(path, sample))
        reader = VariantReader(source, genome, stack=stack, chrom_map=chrom_map, align=False)
        calls = _Calls()
        for records, block in reader.records():
            parts.append(calls.carried(block, records.genotype, records.phase_set))
    edits = _sorted(parts, len(genome.names))
    unphased = int((edits.phase == UNPHASED).sum())
    log.info(
        "%s: sample %s carries %s alleles, %s of them of unknown phase",
        reader.name,
        sample,
        f"{edits.start.size:,}",
        f"{unphased:,}",
    )
    return Haplotypes(sample, edits, unphased)


def haplotype_windows(
    genome: PackedGenome,
    block: VariantBlock,
    haplotypes: Haplotypes,
    window: int,
    *,
    center: int | None = None,
    anchor: Anchor = "left",
) -> HaplotypeWindows:
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
    return HaplotypeWindows(*done[:3], haplotype, done.applied, done.left_out)


class _Carried(NamedTuple):
    contig: IntRow
    start: IntRow
    end: IntRow
    carriers: IntRow
    every: BoolRow
    phase: IntRow
    alt: list[str]


class _Calls:
    """Carriers and phase of alleles, cached by the text of the genotype."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, str], tuple[int, bool, int]] = {}
        self._sets: dict[str, int] = {".": 0}

    def carried(self, block: VariantBlock, genotypes: list[str], phase_sets: list[str]) -> _Carried:
        """The alleles of a block that the sample carries."""
        calls = [
            self._call(genotypes[record], int(allele), phase_sets[record])
            for record, allele in zip(block.record - block.first, block.allele, strict=True)
        ]
        kept = np.array([i for i, call in enumerate(calls) if call[0]], dtype=np.int64)
        sizes = np.array([len(block.ref_allele[i]) for i in kept], dtype=np.int64)
        return _Carried(
            block.contig[kept],
            block.start[kept],
            block.start[kept] + sizes,
            np.array([calls[i][0] for i in kept], dtype=np.int64),
            np.array([calls[i][1] for i in kept], dtype=np.bool_),
            np.array([calls[i][2] for i in kept], dtype=np.int64),
            [block.alt_allele[i] for i in kept],
        )

    def _call(self, genotype: str, allele: int, phase_set: str) -> tuple[int, bool, int]:
        """Bits of the haplotypes that carry an allele, whether all do, and the phase set."""
        key = genotype, allele, phase_set
        if key not in self._known:
            called = re.split(r"[/|]", genotype.lstrip("/|"))[:PLOIDY]
            carriers = sum(1 << i for i, one in enumerate(called) if one == str(allele))
            every = all(one == str(allele) for one in called)
            if len(self._known) > BLOCK:
                # Every phase set adds keys.
                self._known.clear()
            phase = self._sets.setdefault(phase_set, len(self._sets))
            if not every and "/" in genotype.lstrip("/|"):
                phase = UNPHASED
            self._known[key] = carriers, every, phase
        return self._known[key]


@kernel
def _find(edits, contig, trimmed, alt, own):
    """Fill ``own`` with the index of each trimmed ALT allele among the edits, or -1."""
    for row in range(contig.size):
        own[row] = -1
        low, high = edits.first[contig[row]], edits.first[contig[row] + 1]
        first = alt.at[row] + trimmed.skip[row]
        start, ref_size = trimmed.start[row], trimmed.ref_size[row]
        edit = low + np.searchsorted(edits.start[low:high], start)
        while edit < high and edits.start[edit] == start:
            begin, size = edits.at[edit], edits.at[edit + 1] - edits.at[edit]
            same = edits.end[edit] - start == ref_size and size == trimmed.alt_size[row]
            for i in range(size if same else 0):
                same &= edits.codes[begin + i] == alt.codes[first + i]
            if same:
                own[row] = edit
                break
            edit += 1


def _sorted(parts: list[_Carried], contigs: int) -> Edits:
    """Edits sorted by contig, start and end; the first of equal ones is kept."""
    empty = np.zeros(0, dtype=np.int64)
    contig, start, end, carriers, phase = (
        np.concatenate([empty, *(getattr(part, name) for part in parts)])
        for name in ("contig", "start", "end", "carriers", "phase")
    )
    every = np.concatenate([np.zeros(0, dtype=np.bool_), *(part.every for part in parts)])
    texts = [text for part in parts for text in part.alt]
    order = np.lexsort((end, start, contig))
    kept: list[int] = []
    seen: set[tuple[int, str]] = set()
    position = None
    for i in order.tolist():
        if position != (contig[i], start[i]):
            position = contig[i], start[i]
            seen.clear()
        edit = int(end[i]), texts[i]
        if edit not in seen:
            seen.add(edit)
            kept.append(i)
    alt = Ragged.of([texts[i] for i in kept])
    codes: Codes = alt.codes
    return Edits(
        first=np.searchsorted(contig[kept], np.arange(contigs + 1)),
        start=start[kept],
        end=end[kept],
        at=alt.at,
        codes=codes,
        carriers=carriers[kept],
        every=every[kept],
        phase=phase[kept],
        longest=int((end - start).max(initial=0)),
    )
