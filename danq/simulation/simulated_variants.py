"""Select variants with known effects, and write them as VCF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from danq.errors import InputError
from danq.genome.nucleotide_codes import decode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import anchored_windows, from_table
from danq.simulation.binding_model import BindingModel
from danq.simulation.ground_truth import KnownVariant
from danq.simulation.plant_motifs import PlantedMotif, Site
from danq.typing import CodeBatch, Codes

SHARES = {
    "breaking": 0.4,
    "releasing": 0.05,
    "neutral-inside": 0.15,
    "neutral-outside": 0.25,
    "indel": 0.15,
}
CANDIDATES = 8
"""Candidates drawn per variant."""
STRONG = 1.0
NEUTRAL = 0.05
"""Smallest effect of a breaking and largest effect of a neutral variant (natural log odds)."""
LONGEST = 4
"""Largest number of bases that an indel inserts or deletes."""


@dataclass(frozen=True)
class _Candidate:
    contig: str
    start: int
    ref: Codes
    alt: Codes
    kind: str
    track: str


def select_variants(
    model: BindingModel,
    contigs: Mapping[str, Codes],
    sites: Sequence[Site],
    count: int,
    rng: np.random.Generator,
) -> list[KnownVariant]:
    """Draw candidates of each kind and keep those with the effect of their kind.

    Parameters
    ----------
    model
        The true model.
    contigs
        Name to ``(L,)`` codes of the reference.
    sites
        Planted elements and decoys.
    count
        Number of variants; there are fewer if a small genome has too few sites of a kind.
    rng
        Random number generator.

    Returns
    -------
    list of KnownVariant
        Sorted by contig and position, at most one per position.
    """
    draw = _Draw(model, contigs, sites, rng)
    taken: set[tuple[str, int]] = set()
    kept: list[tuple[_Candidate, np.ndarray]] = []
    for kind, share in SHARES.items():
        quota = round(share * count)
        candidates = list(draw.candidates(kind, CANDIDATES * quota))
        found = 0
        for one, effect in zip(candidates, effects(model, contigs, candidates), strict=True):
            if found == quota:
                break
            position = (one.contig, one.start)
            if position in taken or not _fits(one, effect, model.tracks):
                continue
            taken.add(position)
            kept.append((one, effect))
            found += 1
    order = list(contigs)
    kept.sort(key=lambda pair: (order.index(pair[0].contig), pair[0].start))
    return [
        KnownVariant(
            id=f"var{number:04d}",
            contig=one.contig,
            pos=one.start + 1,
            ref=decode(one.ref),
            alt=decode(one.alt),
            kind=one.kind,
            track=one.track,
            effect={
                track: round(float(value), 4)
                for track, value in zip(model.tracks, effect, strict=True)
            },
        )
        for number, (one, effect) in enumerate(kept, start=1)
    ]


def effects(
    model: BindingModel, contigs: Mapping[str, Codes], candidates: Sequence[_Candidate]
) -> Float64[np.ndarray, "N K"]:
    """Change in log odds that the bin centred on each variant is positive.

    The windows are those of :func:`allele_windows`.
    """
    if not candidates:
        return np.zeros((0, len(model.tracks)))
    rows = [(one.contig, one.start + 1, decode(one.ref), decode(one.alt)) for one in candidates]
    genome = PackedGenome.from_contigs(contigs.items())
    pair = allele_windows(genome, rows, model.window)
    reference, alternate = (model.probability(codes) for codes in pair)
    return np.log(alternate / (1 - alternate)) - np.log(reference / (1 - reference))


def allele_windows(
    genome: PackedGenome, rows: Sequence[tuple[str, int, str, str]], window: int
) -> tuple[CodeBatch, CodeBatch]:
    """Windows of variants, cut by :func:`danq.genome.variants.anchored_windows`.

    The variant is at index ``window // 2``, in the middle of the bin of the true model.

    Parameters
    ----------
    genome
        The reference.
    rows
        N tuples of contig, 1-based position, REF and one ALT.
    window
        Bases L.

    Returns
    -------
    reference, alternate
        ``(N, L)`` codes with the reference and the alternate allele.

    Raises
    ------
    InputError
        When a variant does not match the genome.
    """
    parts = []
    for block in from_table(rows, genome):
        for reject in block.rejects:
            raise InputError(
                f"the variant {reject.chrom}:{reject.pos} {reject.ref}>{reject.alt} does not match "
                f"the genome ({reject.reason}: {reject.detail})"
            )
        parts.append(anchored_windows(genome, block, window, center=window // 2))
    reference, alternate = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    return reference, alternate


def write_vcf(
    path: str | Path, variants: Sequence[KnownVariant], contigs: Mapping[str, int], seed: int
) -> None:
    """Write variants as VCF 4.2, with their kind in INFO.

    Parameters
    ----------
    path
        File to write; an existing one is replaced.
    variants
        Variants sorted by contig and position.
    contigs
        Name to length in bases, for the header.
    seed
        Random seed, written to the header.
    """
    lines = ["##fileformat=VCFv4.2", f"##source=danq simulate, seed {seed}"]
    lines += [f"##contig=<ID={name},length={length}>" for name, length in contigs.items()]
    lines += [
        '##FILTER=<ID=PASS,Description="All filters passed">',
        '##INFO=<ID=KIND,Number=1,Type=String,Description="Kind of the simulated variant">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    lines += [
        f"{one.contig}\t{one.pos}\t{one.id}\t{one.ref}\t{one.alt}\t.\tPASS\tKIND={one.kind}"
        for one in variants
    ]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _fits(one: _Candidate, effect: np.ndarray, tracks: Sequence[str]) -> bool:
    if one.kind == "breaking":
        return effect[tracks.index(one.track)] <= -STRONG
    if one.kind == "releasing":
        return effect[tracks.index(one.track)] >= STRONG
    if one.kind.startswith("neutral"):
        return float(np.abs(effect).max()) <= NEUTRAL
    return True


class _Draw:
    """Draw candidates of each kind."""

    def __init__(
        self,
        model: BindingModel,
        contigs: Mapping[str, Codes],
        sites: Sequence[Site],
        rng: np.random.Generator,
    ) -> None:
        self.model = model
        self.contigs = contigs
        self.rng = rng
        # Variants are at least a window away from contig ends and N.
        inside = [site for site in sites if self._has_room(site.contig, site.start, site.end)]
        self.elements = [site for site in inside if site.kind == "element"]
        self.blocked = [site for site in inside if site.kind == "blocked"]
        self.all = [site for site in inside if site.motifs]
        self.planted = {name: np.zeros(codes.size, dtype=bool) for name, codes in contigs.items()}
        for site in sites:
            self.planted[site.contig][site.start : site.end] = True

    def candidates(self, kind: str, count: int) -> Iterator[_Candidate]:
        """At most ``count`` candidates of a kind; none if the genome has no site for it."""
        sources = {"breaking": self.elements, "releasing": self.blocked, "indel": self.all}
        sites = sources.get(kind, self.all)
        for number in range(count):
            if kind == "neutral-outside" or (kind == "indel" and number % 3 == 0):
                yield from self._outside(kind)
            elif sites:
                site = sites[self.rng.integers(len(sites))]
                motifs = site.motifs
                if kind == "releasing":
                    anchor = self._anchor(site.track)
                    motifs = tuple(motif for motif in motifs if motif.name != anchor)
                motif = motifs[self.rng.integers(len(motifs))]
                yield self._indel(site, motif) if kind == "indel" else self._snv(site, motif, kind)

    def _anchor(self, track: str) -> str:
        return next(rule.anchor for rule in self.model.rules if rule.track == track)

    def _snv(self, site: Site, motif: PlantedMotif, kind: str) -> _Candidate:
        start = int(self.rng.integers(motif.start, motif.end))
        return self._substitution(site.contig, start, kind, site.track)

    def _substitution(self, contig: str, start: int, kind: str, track: str) -> _Candidate:
        ref = self.contigs[contig][start : start + 1].copy()
        alt = (ref + self.rng.integers(1, 4).astype(np.uint8)) % np.uint8(4)
        return _Candidate(contig, start, ref, alt, kind, track)

    def _indel(self, site: Site, motif: PlantedMotif) -> _Candidate:
        # From one base before the motif: VCF anchors an indel on the base to its left.
        start = int(self.rng.integers(motif.start - 1, motif.end - 1))
        return self._insert_or_delete(site.contig, start, site.track)

    def _insert_or_delete(self, contig: str, start: int, track: str) -> _Candidate:
        codes = self.contigs[contig]
        size = int(self.rng.integers(1, LONGEST + 1))
        ref = alt = codes[start : start + 1]
        if self.rng.random() < 0.5:
            ref = codes[start : start + 1 + size]
        else:
            alt = np.concatenate([ref, self.rng.integers(0, 4, size).astype(np.uint8)])
        # Left-aligned, as a VCF should be.
        while ref[-1] == alt[-1]:
            start -= 1
            before = codes[start : start + 1]
            ref, alt = (np.concatenate([before, one[:-1]]) for one in (ref, alt))
        return _Candidate(contig, start, ref, alt, "indel", track)

    def _outside(self, kind: str) -> Iterator[_Candidate]:
        names = list(self.contigs)
        contig = names[self.rng.integers(len(names))]
        start = int(self.rng.integers(0, self.contigs[contig].size))
        planted = self.planted[contig][start : start + LONGEST + 1]
        if planted.any() or not self._has_room(contig, start, start + 1):
            return
        if kind == "indel":
            yield self._insert_or_delete(contig, start, "")
        else:
            yield self._substitution(contig, start, kind, "")

    def _has_room(self, contig: str, start: int, end: int) -> bool:
        codes = self.contigs[contig]
        margin = self.model.window + LONGEST
        left, right = start - margin, end + margin
        return left >= 0 and right <= codes.size and not (codes[left:right] > 3).any()
