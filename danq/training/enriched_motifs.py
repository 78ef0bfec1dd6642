"""Filters seeded from the data: words that a track's windows hold too often.

A motif of a rare track has a weak gradient from a random start, so a plain network first learns
what all promoters share and stays there. Starting some filters as the enriched gapped 8-mers of
each track removes that wall, and needs no motif collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from danq.core import CnnRnn
from danq.datasets.dataset import Dataset
from danq.genome.gapped_kmers import count_gapped_kmers, kmer_bases
from danq.genome.motif_files import Motif
from danq.genome.nucleotide_codes import decode, reverse_complement
from danq.models import first_layer

GAPS = range(9)
CENTRE = 250
"""Bases in the middle of a window that are searched."""
MAX_WINDOWS = 200_000
SMALL_SET = 1_000_000
"""Training windows up to which seeding is on by default."""
MIN_OBSERVED = 5
MIN_FOLD = 1.8
MIN_Z = 4.0
PER_TRACK = 20
SAME_BASES = 7
"""Words that agree in so many fixed bases are one seed."""
SEEDED_SHARE = 0.9
"""Most of the filters that may be seeded."""
MATCH_WEIGHT = 0.6
BIAS_SHARE = 0.61
NOISE = 0.02
TRACKS_AT_ONCE = 64


@dataclass(frozen=True)
class Seed:
    """An enriched gapped word.

    Attributes
    ----------
    word
        Bases, N in the gap.
    track
        The track it was found in.
    z
        ``(observed - expected) / sqrt(expected (1 - f) + 1)``, f the share of all windows that
        hold the word.
    observed, expected
        Positive windows that hold it, and those expected from all windows.
    """

    word: str
    track: str
    z: float
    observed: int
    expected: float

    def motif(self) -> Motif:
        """The word as base frequencies: 1 at its bases, 1/4 in the gap."""
        rows = [[float(base == letter) for letter in "ACGT"] for base in self.word]
        probabilities = np.array([row if any(row) else [0.25] * 4 for row in rows])
        comment = {
            "track": self.track,
            "z": f"{self.z:.1f}",
            "observed": str(self.observed),
            "expected": f"{self.expected:.1f}",
        }
        return Motif(f"{self.word}_{self.track}", probabilities, self.observed, comment)


def find_seeds(dataset: Dataset, *, limit: int, seed: int = 0) -> list[Seed]:
    """Most enriched words of every track on the training split.

    Per track, words in the middle 250 bp are scored, both strands as one; a word needs 5
    occurrences, 1.8-fold enrichment and z of 4. The best twenty that do not repeat one another are
    taken, and over tracks, in the order of z, those that repeat none before.

    Parameters
    ----------
    dataset
        Its training split is read, at most 200,000 windows of it, drawn by ``seed``.
    limit
        Largest number of seeds.

    Returns
    -------
    Seeds, the strongest first.
    """
    indices = dataset.indices("train")
    if len(indices) > MAX_WINDOWS:
        indices = np.sort(np.random.default_rng(seed).choice(indices, MAX_WINDOWS, replace=False))
    cut = max(0, dataset.window - CENTRE) // 2
    codes = dataset.codes(indices)[:, cut : dataset.window - cut]
    labels = dataset.labels(indices)
    found: list[Seed] = []
    for first in range(0, len(dataset.tracks), TRACKS_AT_ONCE):
        names = dataset.tracks[first : first + TRACKS_AT_ONCE]
        found += _enriched(codes, labels[:, first : first + TRACKS_AT_ONCE], names)
    return _distinct(sorted(found, key=lambda s: (-s.z, s.word, s.track)), limit)


def _enriched(codes: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> list[Seed]:
    counts, totals = count_gapped_kmers(codes, labels, GAPS)
    share = totals / max(1, len(codes))
    found: list[Seed] = []
    for k, name in enumerate(names):
        expected = share * int(labels[:, k].sum())
        observed = counts[:, k]
        z = (observed - expected) / np.sqrt(expected * (1 - share) + 1)
        z[(observed < MIN_OBSERVED) | (observed < MIN_FOLD * expected) | (z < MIN_Z)] = 0
        # Repeats are weeded out below; far more than are kept must be looked at.
        best = np.argsort(-z, axis=None, kind="stable")[: 20 * PER_TRACK]
        mine = []
        for place in best[z.ravel()[best] > 0]:
            g, word = np.unravel_index(place, z.shape)
            text = decode(kmer_bases(int(word), GAPS[g]))
            mine.append(
                Seed(
                    text, name, float(z[g, word]), int(observed[g, word]), float(expected[g, word])
                )
            )
        found += _distinct(mine, PER_TRACK)
    return found


def _distinct(seeds: Sequence[Seed], limit: int) -> list[Seed]:
    kept: list[Seed] = []
    for one in seeds:
        if len(kept) == limit:
            break
        if not any(_agreement(one.word, other.word) >= SAME_BASES for other in kept):
            kept.append(one)
    return kept


def _agreement(word: str, other: str) -> int:
    """Most fixed bases in which two words agree, less their conflicts, over offsets and strands."""
    letters = {"A": 0, "C": 1, "G": 2, "T": 3, "N": 4}
    a = np.array([letters[base] for base in word], np.uint8)
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
def apply_seeds(module: CnnRnn, motifs: Sequence[Motif], seed: int = 0) -> int:
    """Start filters as motifs, each on both strands, in place.

    The weight of a base is ``0.6 (frequency - 0.25)`` over small noise, the motif lies in the
    middle of its filter, and the bias takes 0.61 of the best match's score away: of a full match
    of 8 bases +1.4 is left, of one mismatch +0.8. At most nine tenths of the filters are seeded.

    Returns
    -------
    Number of filters set.
    """
    layer = first_layer(module)
    room = int(SEEDED_SHARE * layer.out_features)
    noise = torch.Generator().manual_seed(seed)
    number = 0
    for motif in motifs:
        for rows in (motif.probabilities, motif.probabilities[::-1, ::-1]):
            if number == room:
                return number
            cut = max(0, len(rows) - layer.width) // 2
            rows = rows[cut : cut + layer.width]
            start = (layer.width - len(rows)) // 2
            weight = torch.from_numpy(MATCH_WEIGHT * (rows.T - 0.25)).float()
            layer.weight[number] = NOISE * torch.randn(4, layer.width, generator=noise)
            layer.weight[number, :, start : start + len(rows)] += weight
            layer.bias[number] = -BIAS_SHARE * float(weight.amax(dim=0).sum())
            number += 1
    return number
