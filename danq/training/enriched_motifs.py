"""Filters initialised from the data: gapped k-mers enriched in the positive windows of a track.

The motif of a rare track has a weak gradient from random weights: a network first learns what all
promoters share, and often never learns that motif. Initialising some filters from the enriched
gapped 8-mers of each track avoids this, and needs no collection of motifs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from danq.core import CnnRnn
from danq.datasets.column_summary import total_amounts
from danq.datasets.dataset import Dataset
from danq.genome.gapped_kmers import count_gapped_kmers, kmer_bases, sum_gapped_kmers
from danq.genome.motif_files import Motif
from danq.genome.nucleotide_codes import decode, reverse_complement
from danq.models import first_layer
from danq.typing import CodeBatch, IntRow

K = TypeVar("K", "EnrichedKmer", "CorrelatedKmer")

GAPS = range(9)
CENTRE = 250
"""Bases in the middle of a window that are searched."""
MAX_WINDOWS = 200_000
MAX_AMOUNTS = 2_000_000
LARGE_SET = 1_000_000
"""Training windows above which filters are not initialised from the data by default."""
MIN_OBSERVED = 5
MIN_FOLD = 1.8
MIN_Z = 4.0
PER_TRACK = 20
SAME_BASES = 7
"""Two k-mers that agree in this many bases, net of conflicts, count as the same."""
LARGEST_SHARE = 0.9
"""Largest share of the filters that motifs initialise."""
MATCH_WEIGHT = 0.6
BIAS_SHARE = 0.61
NOISE = 0.02
TRACKS_AT_ONCE = 64


@dataclass(frozen=True)
class EnrichedKmer:
    """An enriched gapped k-mer.

    Attributes
    ----------
    bases
        Its letters, N in the gap.
    track
        Track in which it is enriched.
    z
        ``(observed - expected) / sqrt(expected (1 - f) + 1)``, where f is the fraction of all
        windows that contain the k-mer.
    observed, expected
        Number of positive windows that contain it, and the number expected from all windows.
    """

    bases: str
    track: str
    z: float
    observed: int
    expected: float

    def motif(self) -> Motif:
        """The k-mer as base frequencies: 1 at its bases, 1/4 in the gap."""
        comment = {
            "track": self.track,
            "z": f"{self.z:.1f}",
            "observed": str(self.observed),
            "expected": f"{self.expected:.1f}",
        }
        return Motif(f"{self.bases}_{self.track}", _frequencies(self.bases), self.observed, comment)


def _frequencies(bases: str) -> np.ndarray:
    rows = [[float(base == letter) for letter in "ACGT"] for base in bases]
    return np.array([row if any(row) else [0.25] * 4 for row in rows])


def find_enriched_kmers(dataset: Dataset, *, limit: int, seed: int = 0) -> list[EnrichedKmer]:
    """Find the k-mers that are most enriched in the positive training windows of any track.

    The middle 250 bp of the windows are searched, both strands counted together. A k-mer needs 5
    occurrences, 1.8-fold enrichment and a z of 4. The twenty best of each track are kept, then the
    best over all tracks, by z; of k-mers that agree in 7 bases or more only the best is kept.

    Parameters
    ----------
    dataset
        Its training split is read: all windows, or a random sample of 200,000.
    limit
        Largest number of k-mers.
    seed
        Random seed of the sample.

    Returns
    -------
    K-mers in descending order of z.
    """
    indices = _sample(dataset, MAX_WINDOWS, seed)
    codes = _centres(dataset, indices)
    labels = dataset.labels(indices)
    found: list[EnrichedKmer] = []
    for first in range(0, dataset.peaks.size, TRACKS_AT_ONCE):
        tracks = slice(first, first + TRACKS_AT_ONCE)
        found += _enriched(codes, labels[:, tracks], dataset.tracks[: dataset.peaks.size][tracks])
    return _distinct(sorted(found, key=lambda k: (-k.z, k.bases, k.track)), limit)


def _sample(dataset: Dataset, most: int, seed: int) -> IntRow:
    """Training windows, or a random sample of them."""
    indices = dataset.indices("train")
    if len(indices) > most:
        indices = np.sort(np.random.default_rng(seed).choice(indices, most, replace=False))
    return indices


def _centres(dataset: Dataset, indices: IntRow) -> CodeBatch:
    margin = max(0, dataset.window - CENTRE) // 2
    return dataset.codes(indices)[:, margin : dataset.window - margin]


@dataclass(frozen=True)
class CorrelatedKmer:
    """A gapped k-mer whose windows have other amounts than most.

    Attributes
    ----------
    bases
        Its letters, N in the gap.
    track
        Track of the amounts.
    z
        ``sqrt(n / (1 - f))`` times the mean of the standardised amounts of the n windows that
        contain the k-mer, which are the fraction f of all windows.
    windows
        Number of windows that contain it.
    """

    bases: str
    track: str
    z: float
    windows: int

    def motif(self) -> Motif:
        """The k-mer as base frequencies: 1 at its bases, 1/4 in the gap."""
        comment = {"track": self.track, "z": f"{self.z:.1f}", "windows": str(self.windows)}
        return Motif(f"{self.bases}_{self.track}", _frequencies(self.bases), self.windows, comment)


def find_correlated_kmers(dataset: Dataset, *, limit: int, seed: int = 0) -> list[CorrelatedKmer]:
    """Find the k-mers that say most about the amounts of training windows.

    As `find_enriched_kmers`, but k-mers are ordered by the absolute value of their z
    (`CorrelatedKmer`), every track has its share of them, and 5 windows and a z of 4 are needed.

    Parameters
    ----------
    dataset, limit, seed
        As for `find_enriched_kmers`. At most two million amounts are read.

    Returns
    -------
    K-mers in descending order of the absolute value of z.
    """
    tracks = dataset.tracks[dataset.peaks.size :]
    indices = _sample(dataset, min(MAX_WINDOWS, MAX_AMOUNTS // len(tracks)), seed)
    codes = _centres(dataset, indices)
    amounts = total_amounts(dataset, indices).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.nanstd(amounts, axis=0)
        amounts = (amounts - np.nanmean(amounts, axis=0)) / np.where(spread > 0, spread, np.inf)
    values = np.nan_to_num(amounts).astype(np.float32)
    found: list[CorrelatedKmer] = []
    for first in range(0, len(tracks), TRACKS_AT_ONCE):
        part = slice(first, first + TRACKS_AT_ONCE)
        found += _correlated(codes, values[:, part], tracks[part], max(1, limit // len(tracks)))
    return _distinct(sorted(found, key=lambda k: (-abs(k.z), k.bases, k.track)), limit)


def _correlated(
    codes: np.ndarray, values: np.ndarray, tracks: Sequence[str], share: int
) -> list[CorrelatedKmer]:
    sums, totals = sum_gapped_kmers(codes, values, GAPS)
    scale = np.sqrt(np.maximum(totals, 1) * (1 - totals / (len(codes) + 1)))
    found: list[CorrelatedKmer] = []
    for k, track in enumerate(tracks):
        z = sums[:, :, k] / scale
        z[(totals < MIN_OBSERVED) | (np.abs(z) < MIN_Z)] = 0
        best = np.argsort(-np.abs(z), axis=None, kind="stable")[: 20 * share]
        candidates = []
        for index in best[z.ravel()[best] != 0]:
            at = np.unravel_index(index, z.shape)
            bases = decode(kmer_bases(int(at[1]), GAPS[at[0]]))
            candidates.append(CorrelatedKmer(bases, track, float(z[at]), int(totals[at])))
        found += _distinct(candidates, share)
    return found


def _enriched(codes: np.ndarray, labels: np.ndarray, tracks: Sequence[str]) -> list[EnrichedKmer]:
    counts, totals = count_gapped_kmers(codes, labels, GAPS)
    fraction = totals / max(1, len(codes))
    found: list[EnrichedKmer] = []
    for k, track in enumerate(tracks):
        expected = fraction * int(labels[:, k].sum())
        observed = counts[:, k]
        z = (observed - expected) / np.sqrt(expected * (1 - fraction) + 1)
        z[(observed < MIN_OBSERVED) | (observed < MIN_FOLD * expected) | (z < MIN_Z)] = 0
        # Most of the best are shifted copies of one another, which `_distinct` drops.
        best = np.argsort(-z, axis=None, kind="stable")[: 20 * PER_TRACK]
        candidates = []
        for index in best[z.ravel()[best] > 0]:
            at = np.unravel_index(index, z.shape)
            gap, word = GAPS[at[0]], int(at[1])
            counted = int(observed[at]), float(expected[at])
            candidates.append(
                EnrichedKmer(decode(kmer_bases(word, gap)), track, float(z[at]), *counted)
            )
        found += _distinct(candidates, PER_TRACK)
    return found


def _distinct(kmers: Sequence[K], limit: int) -> list[K]:
    kept: list[K] = []
    for kmer in kmers:
        if len(kept) == limit:
            break
        if not any(_agreement(kmer.bases, other.bases) >= SAME_BASES for other in kept):
            kept.append(kmer)
    return kept


def _agreement(kmer: str, other: str) -> int:
    """Bases in which two k-mers agree less their conflicts: the most over offsets and strands."""
    letters = {"A": 0, "C": 1, "G": 2, "T": 3, "N": 4}
    a = np.array([letters[base] for base in kmer], np.uint8)
    b = np.array([letters[base] for base in other], np.uint8)
    best = 0
    for strand in (b, reverse_complement(b)):
        for offset in range(1 - len(b), len(a)):
            x = a[max(0, offset) : offset + len(b)]
            y = strand[max(0, -offset) : len(a) - offset]
            fixed = (x < 4) & (y < 4)
            agree = int((fixed & (x == y)).sum())
            conflicts = int(fixed.sum()) - agree
            if conflicts <= 1:
                best = max(best, agree - conflicts)
    return best


@torch.no_grad()
def initialise_filters(module: CnnRnn, motifs: Sequence[Motif], seed: int = 0) -> int:
    """Initialise the first filters from motifs, two filters per motif (one per strand), in place.

    The weight of a base is ``0.6 (frequency - 0.25)`` plus small noise, with the motif in the
    middle of the filter. The bias is -0.61 times the score of the best match: a full match of 8
    bases gives +1.4, a match with one mismatch +0.8. Motifs initialise at most nine tenths of the
    filters.

    Parameters
    ----------
    seed
        Random seed of the noise.

    Returns
    -------
    Number of filters initialised.
    """
    layer = first_layer(module)
    # Layers of both strands add the filter of the other strand themselves.
    shared = layer.out_features // len(layer.weight)
    most = int(LARGEST_SHARE * len(layer.weight))
    noise = torch.Generator().manual_seed(seed)
    number = 0
    for motif in motifs:
        for rows in (motif.probabilities, motif.probabilities[::-1, ::-1])[: 2 // shared]:
            if number == most:
                return shared * number
            margin = max(0, len(rows) - layer.width) // 2
            rows = rows[margin : margin + layer.width]
            start = (layer.width - len(rows)) // 2
            weight = torch.from_numpy(MATCH_WEIGHT * (rows.T - 0.25)).float()
            layer.weight[number] = NOISE * torch.randn(4, layer.width, generator=noise)
            layer.weight[number, :, start : start + len(rows)] += weight
            layer.bias[number] = -BIAS_SHARE * float(weight.amax(dim=0).sum())
            number += 1
    return shared * number
